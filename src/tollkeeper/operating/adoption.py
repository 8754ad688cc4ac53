"""Adoption: what was bought elsewhere on the account is assigned to a person, and follows the provider from then on.

An order of our own records it, and the rules apply to it as to any other.
"""

import secrets
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from tollkeeper.billing.entitlements import lines_of, selling
from tollkeeper.billing.neighbours import look_at
from tollkeeper.billing.reconcile import Services, reconcile
from tollkeeper.catalog import Catalog
from tollkeeper.errors import NotDone, ProviderRefused, ProviderUnavailable
from tollkeeper.model.access import Verdict
from tollkeeper.model.bought import Bought, Subscription
from tollkeeper.model.orders import Customer, Order, OrderState, Realm
from tollkeeper.operating.lookup import Found, the_person
from tollkeeper.operating.operators import no_such_product
from tollkeeper.reasons import Code, because
from tollkeeper.storage import customers, findings, grants, orders, privacy
from tollkeeper.storage.findings import Noted
from tollkeeper.wording import adoption as wording

# What may be adopted: what nobody has ordered here.
FREE = frozenset({Verdict.UNCLAIMED, Verdict.UNRELATED})


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was assigned to whom, and the finding now. ``trouble``: why the provider could not be asked."""

    whom: Found
    found: Noted
    trouble: str | None = None


async def adopt(services: Services, who: str, payment: str, *, note: str, product: str | None = None) -> Adopted:
    """Assign a purchase or subscription that nobody ordered here to a person.

    ``payment`` is the id of the payment, of the subscription or of the checkout session. ``product`` is needed if the
    catalog does not know the price. Raises ``PersonUnclear``, ``NotDone`` with the reason, and
    ``ProviderUnavailable`` or ``ProviderRefused``; then nothing is assigned.
    """
    realm, evidence = await services.realm(), f"tollkeeper adopt: {note}"
    known = await services.database.read(findings.paid_by, realm, payment)
    found = await look_at(services, realm, known.source if known else payment, evidence=evidence)
    if found is None:
        raise NotDone(wording.nothing_to_adopt(payment))
    order = _order(found.bought, services.catalog, realm, product, note, services.clock())
    whom, customer, before = await services.database.write(_adopt, who, order, found.bought, payment)
    trouble = None
    try:
        await reconcile(services, customer, evidence=evidence)
    except (ProviderUnavailable, ProviderRefused) as error:
        trouble = str(error)
    after = await services.database.read(findings.called, realm, before.source)
    return Adopted(whom, after or before, trouble)


def _order(bought: Bought, catalog: Catalog, realm: Realm, product: str | None, note: str, now: int) -> Order:
    """An order for what has been bought. Whose it is comes later."""
    recurring = isinstance(bought, Subscription)
    if not recurring and len(lines_of(bought)) != 1:
        raise NotDone(wording.several_lines(bought.reference or bought.source))
    line, sold = selling(bought, catalog)
    line = line or next(iter(lines_of(bought)), None)
    if line is None:
        raise NotDone(wording.nothing_to_adopt(bought.source))
    return Order(
        id=f"ord_{secrets.token_hex(12)}",
        person_id="",
        product=_product(catalog, sold, product, line.price_id),
        realm=realm,
        price_id=line.price_id,
        quantity=line.quantity,
        amount=bought.amount_total if isinstance(bought, Subscription) else bought.amount_subtotal,
        currency=bought.currency,
        state=OrderState.COMPLETE,
        idempotency_key=f"adopted-{secrets.token_hex(16)}",
        created_at=now,
        checkout_id=bought.checkout_id,
        promotion_codes=not isinstance(bought, Subscription) and bought.amount_discount > 0,
        recurring=recurring,
        adopts=bought.source,
        adoption=because(Code.OPERATOR_ADOPTED, note=note),
    )


def _product(catalog: Catalog, sold: str | None, wanted: str | None, price_id: str) -> str:
    if sold is not None and wanted not in {None, sold}:
        raise NotDone(wording.other_product(price_id, sold))
    key = sold or wanted
    if key is None:
        raise NotDone(wording.product_to_say(price_id))
    if catalog.find(key) is None:
        raise NotDone(no_such_product(catalog, key))
    return key


def _adopt(conn: Connection, who: str, order: Order, bought: Bought, payment: str) -> tuple[Found, Customer, Noted]:
    whom = the_person(conn, who)
    person = whom.person
    if privacy.is_erased(conn, person.id):
        raise NotDone(wording.account_deleted(person))
    found = _undecided(conn, order, bought, payment)
    known_as, guest = bought.customer_id or bought.source, bought.customer_id is None
    customer = customers.tie(conn, person, order.realm, known_as, order.created_at, guest=guest)
    if customer.person_id != person.id:
        raise NotDone(wording.paid_by_another(payment, customer.person_id))
    if not orders.adopt(conn, replace(order, person_id=person.id)):
        raise NotDone(wording.adopted_already(payment))
    customers.set_checked(conn, customer.id, 0)  # the sweep handles it at once, if the provider cannot be asked now
    return whom, customer, found


def _undecided(conn: Connection, order: Order, bought: Bought, payment: str) -> Noted:
    """Nothing is given twice for one payment, and orders made here are not adopted."""
    if (before := orders.adopting(conn, order.realm, bought.source)) is not None:
        raise NotDone(wording.adopted_already(payment, before))
    found = findings.held_still(conn, order.realm, bought.source)
    names = {bought.source, payment, bought.reference} - {None}
    for granted in filter(None, (grants.for_payment(conn, order.realm.live, name) for name in names if name)):
        raise NotDone(wording.granted_already(payment, granted))
    if found is None or found.verdict not in FREE:
        raise NotDone(wording.not_to_adopt(payment, found))
    return found
