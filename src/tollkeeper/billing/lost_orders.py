"""Orders that were lost with a database: found again in what the provider says was bought.

An order made here is written before the provider is called, so an id of an order that is unknown here means nothing,
except for the time between a backup and its restore. Of that time, an order is written again if everything agrees: the
customer is a person's own record, the purchase names the same person and an order of our form, and is for a price of
the catalog. Both names are written with the account's key, so no buyer can choose them. See decision 25.
"""

import re
from collections.abc import Collection, Iterable

from sqlalchemy import Connection

from tollkeeper.billing.entitlements import DAY, selling
from tollkeeper.catalog import Catalog
from tollkeeper.model.bought import Bought, Snapshot, Subscription
from tollkeeper.model.orders import Customer, Order, OrderState
from tollkeeper.model.selling import Price, Product
from tollkeeper.providers.protocol import PaymentProvider
from tollkeeper.storage import gaps, orders
from tollkeeper.storage.database import Database


class OrdersLost(Exception):
    """A reconcile found orders that were lost with a database: nothing was written, and they must be put back first."""

    def __init__(self, bought: tuple[Bought, ...]) -> None:
        super().__init__(f"{len(bought)} order(s) lost with the database")
        self.bought = bought


ORDER_ID = re.compile(r"ord_[0-9a-f]{24}")


def lost(
    conn: Connection, snapshot: Snapshot, ordered: Collection[str], ours: Collection[str], catalog: Catalog
) -> tuple[Bought, ...]:
    """What names an order that was lost. ``ordered`` are the ids of the person's orders, ``ours`` other ids of ours."""
    return tuple(
        one
        for one in snapshot.bought
        if one.order_id not in ordered
        and one.order_id not in ours
        and _names_both(one, snapshot.customer)
        and selling(one, catalog)[1] is not None
        and gaps.covers(conn, one.created_at)
    )


def _names_both(bought: Bought, customer: Customer) -> bool:
    """Whether it names this person, and something that may be an order of theirs, in the customer's own mode."""
    named = bought.order_id is not None and ORDER_ID.fullmatch(bought.order_id) is not None
    return named and bought.person_id == customer.person_id and bought.live == customer.realm.live


async def put_back(
    database: Database, provider: PaymentProvider, catalog: Catalog, customer: Customer, found: Iterable[Bought]
) -> None:
    """Write these orders again. What was asked for is taken from the price, and not from what was paid.

    Raises ``ProviderUnavailable``, ``ProviderRefused`` or ``StorageBusy``.
    """
    for one in found:
        line, key = selling(one, catalog)
        product = catalog.find(key or "")
        if line is not None and product is not None:
            order = order_of(one, customer, product, await provider.price(line.price_id))
            await database.write(orders.put_back, order)


def order_of(bought: Bought, customer: Customer, product: Product, price: Price) -> Order:
    """The order as it must have been: one of the product, at its price.

    Only our own server opens a checkout that takes promotion codes, so a discount shows that this one did.
    """
    subscribed = isinstance(bought, Subscription)
    return Order(
        id=bought.order_id or "",
        person_id=customer.person_id,
        product=product.key,
        realm=customer.realm,
        price_id=price.id,
        quantity=1,
        amount=price.amount,
        currency=price.currency,
        state=OrderState.OPEN,
        idempotency_key=f"restored-{bought.order_id}",
        created_at=bought.created_at,
        checkout_id=bought.checkout_id,
        promotion_codes=not isinstance(bought, Subscription) and bought.amount_discount > 0,
        recurring=subscribed,
        trial_days=_trial_days(bought) if isinstance(bought, Subscription) else None,
    )


def _trial_days(subscription: Subscription) -> int | None:
    """How many days were free at the start, so that nobody is offered a second trial."""
    if subscription.trial_end is None:
        return None
    return max(1, round((subscription.trial_end - subscription.created_at) / DAY))
