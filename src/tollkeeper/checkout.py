"""Person and product -> order -> checkout session, or the page they already have.

One intent to buy makes at most one charge: the order is written, with its idempotency key, before the provider is
called, and an open order is always resumed, never doubled.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from tollkeeper.errors import (
    AlreadyHeld,
    CustomerMissing,
    IdempotencyConflict,
    ProviderFailed,
    ProviderMissing,
    ProviderRefused,
    Refused,
)
from tollkeeper.model import Customer, Order, OrderState, Person, Product, Realm, Verdict
from tollkeeper.provider import Checkout, ReturnAddresses
from tollkeeper.reconcile import Books, Reconciled, reconcile
from tollkeeper.storage import customers, grants, orders

# Idempotency keys live for at least 24 hours (https://docs.stripe.com/api/idempotent_requests). Seconds.
KEY_LIFETIME = 23 * 3600


@dataclass(frozen=True, slots=True)
class Hosted:
    """Send the buyer to the provider's page."""

    url: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The buyer has been through checkout already: show them how that ended."""

    checkout_id: str


@dataclass(frozen=True, slots=True)
class Till:
    """Where people buy."""

    books: Books
    base_url: str

    async def begin(self, person: Person, product: Product) -> Hosted | Completed:
        """Find or make the page where this person pays for this product.

        Raises ``AlreadyHeld``, ``ProviderUnavailable`` (nothing is charged by trying again), ``ProviderRefused``,
        ``Refused`` or ``StorageBusy``.
        """
        realm = await self.books.realm()
        customer = await self._customer(person, realm)
        try:
            return await self._open(person, product, customer)
        except CustomerMissing:  # deleted at the provider
            external_id = await self.books.provider.create_customer(person, replacing=customer.external_id)
            renewed = await self.books.database.write(customers.replace, customer, external_id, self.books.clock())
            return await self._open(person, product, renewed)

    async def _open(self, person: Person, product: Product, customer: Customer) -> Hosted | Completed:
        for _ in range(2):  # an order that has come to its end makes room for one new one
            order = await self._open_order(person, product, customer.realm)
            checkout = await self._checkout(order, customer)
            if checkout is not None and checkout.url is not None:
                return Hosted(checkout.url)
            if checkout is not None and checkout.state == "complete":
                if await self._holds_good(order):
                    return Completed(checkout.id)
            else:
                await self._give_up(order, checkout.id if checkout else order.checkout_id)
        raise Refused(503, "The payment page could not be opened. Nothing was charged. Please try again in a minute.")

    async def settle(self, order: Order, evidence: str) -> Reconciled | None:
        """Ask the provider what became of an order, and make the grants agree."""
        done = None
        for customer in await self.books.database.read(customers.all_of_person, order.person_id, order.realm):
            with suppress(CustomerMissing):  # one that was replaced, of which the provider tells nothing any more
                done = await reconcile(self.books, customer, evidence=evidence)
            if done is not None and done.of_order(order) is not None:
                break
        return done

    async def _customer(self, person: Person, realm: Realm) -> Customer:
        known = await self.books.database.read(customers.of_person, person.id, realm)
        if known is not None:
            return known
        external_id = await self.books.provider.create_customer(person)
        return await self.books.database.write(customers.add, person.id, realm, external_id, self.books.clock())

    async def _open_order(self, person: Person, product: Product, realm: Realm) -> Order:
        found = await self.books.database.read(orders.open_order, person.id, product.key, realm.live)
        if found is not None:
            return found
        price_id = self.books.catalog.price_on_sale(product, self.books.provider.name)
        if price_id is None:
            raise Refused(404, "This product is not on sale here.")
        price = await self.books.provider.price(price_id)
        order = Order(
            id=f"ord_{secrets.token_hex(12)}",
            person_id=person.id,
            product=product.key,
            realm=realm,
            price_id=price.id,
            quantity=1,
            amount=price.amount,
            currency=price.currency,
            state=OrderState.OPEN,
            idempotency_key=f"order-{secrets.token_hex(16)}",
            created_at=self.books.clock(),
            promotion_codes=product.policy.promotion_codes,
        )
        return await self.books.database.write(_start, order, self.books.clock())

    async def _checkout(self, order: Order, customer: Customer) -> Checkout | None:
        """The order's hosted page, made now if it never was. None: it cannot be used and was never completed."""
        if order.checkout_id is not None:
            try:
                return await self.books.provider.checkout(order.checkout_id)
            except ProviderMissing:
                return None
        checkout = await self._create(order, customer)
        if checkout is None:
            return None
        kept = await self.books.database.write(orders.set_checkout, order.id, checkout.id)
        return checkout if kept else None

    async def _create(self, order: Order, customer: Customer) -> Checkout | None:
        """Make the page, or find the one made by an earlier try whose answer was lost."""
        if self.books.clock() - order.created_at > KEY_LIFETIME:
            return await self.books.provider.checkout_of_order(order, customer)
        try:
            return await self.books.provider.create_checkout(order, customer, self._returns())
        except (IdempotencyConflict, ProviderFailed):  # the settings changed since that try, or it failed for good
            return await self.books.provider.checkout_of_order(order, customer)
        except ProviderRefused:  # a definite no is remembered with its key: the next try needs a new one
            await self._give_up(order, order.checkout_id)
            raise

    async def _give_up(self, order: Order, checkout_id: str | None) -> None:
        await self.books.database.write(orders.give_up, order.id, checkout_id, self.books.clock())

    async def _holds_good(self, order: Order) -> bool:
        """Whether a completed checkout still stands: paid, or about to be. Brings the books up to date first."""
        done = await self.settle(order, "purchase of what was paid already")
        found = done.of_order(order) if done else None
        if found is not None and found.verdict is Verdict.QUARANTINED and not found.bought.paid_back:
            raise Refused(409, "We have received a payment of yours that needs a closer look. Please write to us.")
        return found is None or found.verdict in {Verdict.GRANTED, Verdict.PENDING}

    def _returns(self) -> ReturnAddresses:
        """Built from our own public address alone. The provider fills in the braces."""
        base = f"{self.base_url}/purchase"
        return ReturnAddresses(
            success=f"{base}/success?session_id={{CHECKOUT_SESSION_ID}}",
            cancel=f"{base}/cancel?session_id={{CHECKOUT_SESSION_ID}}",
        )


def _start(conn: Connection, order: Order, now: int) -> Order:
    """Open an order, unless what it is for is held.

    Looks after opening, in the same transaction: whoever granted it a moment ago has closed the order before it, and
    opening waits for that. The other way round a second tab could slip in between.
    """
    opened = orders.start(conn, order)
    if any(grant.product == order.product for grant in grants.held(conn, order.person_id, order.realm.live, now)):
        raise AlreadyHeld(order.product)
    return opened
