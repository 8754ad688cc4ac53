"""Person and product -> order -> checkout session, or the page they already have.

One intent to buy causes at most one charge: the order is written, with its idempotency key, before the provider is
called, and an open order is always resumed, never duplicated.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from tollkeeper.billing import off_sale
from tollkeeper.billing.contact import tell_address
from tollkeeper.billing.reconcile import Reconciled, Services, reconcile, reconcile_person
from tollkeeper.errors import (
    AlreadyHeld,
    CustomerMissing,
    IdempotencyConflict,
    NotForSale,
    ProviderFailed,
    ProviderMissing,
    ProviderRefused,
    ProviderUnavailable,
    Refused,
    SubscriptionNeedsAction,
)
from tollkeeper.model.access import Finding, Verdict
from tollkeeper.model.bought import Purchase
from tollkeeper.model.orders import Customer, Order, OrderState, Realm
from tollkeeper.model.people import Person
from tollkeeper.model.selling import OffSale, Price, Product
from tollkeeper.providers.protocol import Checkout, CheckoutState, ReturnAddresses
from tollkeeper.storage import customers, findings, grants, orders
from tollkeeper.wording.pages import NEEDS_A_LOOK, NOT_OPENED, NOT_SOLD

# Refusals that a retry overcomes: a deleted customer is replaced, and a new order has a new key.
PASSING = (CustomerMissing, IdempotencyConflict)


@dataclass(frozen=True, slots=True)
class Hosted:
    """Send the buyer to the provider's page."""

    url: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The buyer has already completed a checkout: show them its result."""

    checkout_id: str


@dataclass(frozen=True, slots=True)
class CheckoutService:
    """Starts and resumes purchases."""

    services: Services
    base_url: str

    async def begin(self, person: Person, product: Product, price_id: str | None = None) -> Hosted | Completed:
        """Find or create the page where this person pays for this product.

        ``price_id`` is one of the product's prices that are on sale; None: the one chosen before, or the usual one.
        Raises ``AlreadyHeld``, ``SubscriptionNeedsAction``, ``NotForSale``, ``ProviderUnavailable`` (a new try charges
        nothing), ``Refused`` or ``StorageBusy``.
        """
        known = await self.check_it_is_sold(person, product, price_id)
        chosen = self._chosen(product, price_id)
        try:
            try:
                page = await self._page(person, product, price_id)
            except SubscriptionNeedsAction:  # as far as we know: it may be fixed or over by now
                await reconcile_person(self.services, person.id, evidence="purchase beside a subscription")
                page = await self._page(person, product, price_id)
        except PASSING as trouble:
            raise ProviderUnavailable(str(trouble)) from trouble
        except ProviderRefused as refusal:
            raise await off_sale.take_off(self.services, product.key, chosen, person.id, refusal) from refusal
        for one in known:  # of this person, and long ago
            if one.person_id and (one.product, one.price_id) == (product.key, chosen):
                await off_sale.put_back(self.services, one)
        return page

    async def check_it_is_sold(
        self, person: Person, product: Product, price_id: str | None = None
    ) -> tuple[OffSale, ...]:
        """Check whether this person can buy this at this price, as far as is known. Returns what is off sale for them.

        Raises ``Refused`` and ``NotForSale``.
        """
        if price_id not in {None, *self._on_sale(product)}:
            raise Refused(404, NOT_SOLD)
        known = await off_sale.known(self.services, person.id)
        chosen = self._chosen(product, price_id)
        if found := off_sale.in_the_way(known, product.key, chosen, self.services.clock()):
            raise NotForSale(product.key, found.obstacle, found.facts)
        return known

    async def try_sales_again(self, every: int = off_sale.AGAIN) -> None:
        """Retry what is off sale for everybody and was not tried for that many seconds, and put back what sells."""
        await off_sale.try_again(self.services, self._returns(), every)

    async def _page(self, person: Person, product: Product, price_id: str | None) -> Hosted | Completed:
        customer = await self._customer(person, await self.services.realm())
        try:
            return await self._page_of_customer(person, product, price_id, customer)
        except CustomerMissing:  # deleted at the provider
            external_id = await self.services.provider.create_customer(person, replacing=customer.external_id)
            renewed = await self.services.database.write(
                customers.replace, customer, external_id, self.services.clock(), known_email=person.email
            )
            return await self._page_of_customer(person, product, price_id, renewed)

    async def _page_of_customer(
        self, person: Person, product: Product, price_id: str | None, customer: Customer
    ) -> Hosted | Completed:
        # After an order that is finished, or that is for another choice, one new order is opened.
        for _ in range(3):
            order = await self._open_order(person, product, price_id, customer.realm)
            checkout = await self._checkout(order, customer)
            if checkout is not None and checkout.url is not None:
                if price_id in {None, order.price_id}:
                    return Hosted(checkout.url)
                checkout = await self.services.provider.expire_checkout(checkout.id)
            if checkout is not None and checkout.state is CheckoutState.COMPLETE:
                if await self._holds_good(order):
                    return Completed(checkout.id)
            else:
                await self._give_up(order, checkout.id if checkout else order.checkout_id)
        raise Refused(503, NOT_OPENED)

    async def settle(self, order: Order, evidence: str) -> Reconciled | None:
        """Ask the provider what became of an order, and make the grants match."""
        done = None
        for customer in await self.services.database.read(customers.all_of_person, order.person_id, order.realm):
            with suppress(CustomerMissing):  # a replaced customer, about which the provider no longer answers
                done = await reconcile(self.services, customer, evidence=evidence)
            if done is not None and done.of_order(order) is not None:
                break
        return done

    async def _customer(self, person: Person, realm: Realm) -> Customer:
        known = await self.services.database.read(customers.of_person, person.id, realm)
        if known is not None:
            await tell_address(self.services, known)
            return known
        external_id = await self.services.provider.create_customer(person)
        return await self.services.database.write(
            customers.add, person.id, realm, external_id, self.services.clock(), known_email=person.email
        )

    def _on_sale(self, product: Product) -> tuple[str, ...]:
        return self.services.catalog.prices_on_sale(product)

    def _chosen(self, product: Product, price_id: str | None) -> str:
        """The price that was chosen, or else the usual one; empty where none is on sale."""
        return price_id or next(iter(self._on_sale(product)), "")

    async def _open_order(self, person: Person, product: Product, price_id: str | None, realm: Realm) -> Order:
        found = await self.services.database.read(_resume, person.id, product.key, realm.live, self.services.clock())
        if found is not None:
            return found
        chosen = self._chosen(product, price_id)
        if not chosen:
            raise Refused(404, NOT_SOLD)
        order = self._new_order(person, product, await self.services.provider.price(chosen), realm)
        return await self.services.database.write(_start, order, self.services.clock())

    def _new_order(self, person: Person, product: Product, price: Price, realm: Realm) -> Order:
        trial = product.policy.trial_days if price.recurring else 0
        return Order(
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
            created_at=self.services.clock(),
            promotion_codes=product.policy.promotion_codes,
            recurring=price.recurring,
            trial_days=trial or None,
            trial_without_card=bool(trial) and product.policy.trial_without_card,
        )

    async def _checkout(self, order: Order, customer: Customer) -> Checkout | None:
        """The order's hosted page, created now if there was none. None: it cannot be used and was never completed."""
        if order.checkout_id is not None:
            try:
                return await self.services.provider.checkout(order.checkout_id)
            except ProviderMissing:
                return None
        checkout = await self._new_checkout(order, customer)
        if checkout is None:
            return None
        kept = await self.services.database.write(orders.set_checkout, order.id, checkout.id)
        return checkout if kept else None

    async def _new_checkout(self, order: Order, customer: Customer) -> Checkout | None:
        """Create the page, or find the one that an earlier attempt created although its answer was lost."""
        if self.services.clock() - order.created_at > self.services.provider.facts.key_lifetime:
            return await self.services.provider.checkout_of_order(order, customer)
        try:
            return await self.services.provider.create_checkout(order, customer, self._returns())
        except (IdempotencyConflict, ProviderFailed):  # the settings changed since that attempt, or it failed for good
            return await self.services.provider.checkout_of_order(order, customer)
        except ProviderRefused as refusal:  # a definite no is remembered with its key: the next try needs a new one
            await self._give_up(order, order.checkout_id)
            if isinstance(refusal, PASSING):
                raise
            what = (order.product, order.price_id, order.person_id)
            raise await off_sale.take_off(self.services, *what, refusal, sold_in=order.currency) from refusal

    async def _give_up(self, order: Order, checkout_id: str | None) -> None:
        await self.services.database.write(orders.give_up, order.id, checkout_id, self.services.clock())

    async def _holds_good(self, order: Order) -> bool:
        """Return whether a completed checkout is still valid: paid, or about to be. Reconciles first."""
        done = await self.settle(order, "purchase of what was paid already")
        found = done.of_order(order) if done else None
        if found is not None and _needs_a_look(found):
            raise Refused(409, NEEDS_A_LOOK)
        return found is None or found.verdict in {Verdict.GRANTED, Verdict.PENDING}

    def _returns(self) -> ReturnAddresses:
        """Built only from our own public address. The provider fills in the id."""
        base, id_ = f"{self.base_url}/purchase", self.services.provider.facts.checkout_placeholder
        return ReturnAddresses(success=f"{base}/success?session_id={id_}", cancel=f"{base}/cancel?session_id={id_}")


def _needs_a_look(found: Finding) -> bool:
    """Whether it is quarantined, and holds the buyer's money, or is a subscription that will take money."""
    there = not (isinstance(found.bought, Purchase) and found.bought.paid_back)
    return found.verdict is Verdict.QUARANTINED and there


def _resume(conn: Connection, person_id: str, product: str, live: bool, now: int) -> Order | None:
    """The order that a person has open for a product, if what it is for can be bought."""
    found = orders.open_order(conn, person_id, product, live)
    if found is not None:
        _allow(conn, found, now)
    return found


def _start(conn: Connection, order: Order, now: int) -> Order:
    """Open an order, unless what it is for is held.

    Checks after opening, in the same transaction: a reconcile that just granted it has closed the order first, and
    opening waits for that. If it checked before opening, a second tab could slip in between.
    """
    opened = orders.start(conn, order)
    if _held(conn, order, now):
        raise AlreadyHeld(order.product)
    _allow(conn, opened, now)
    return opened


def _held(conn: Connection, order: Order, now: int) -> bool:
    """Whether there is nothing to order. What is held for a time can be bought for good."""
    held = [one for one in grants.held(conn, order.person_id, order.realm.live, now) if one.product == order.product]
    return any(order.recurring or one.until is None for one in held)


def _allow(conn: Connection, order: Order, now: int) -> None:
    """Check that the person does not subscribe twice.

    Raises ``AlreadyHeld`` if another subscription to the product gives access, and ``SubscriptionNeedsAction`` if one
    that is not over gives none.
    """
    if not order.recurring or not findings.running(conn, order):
        return
    if _held(conn, order, now):
        raise AlreadyHeld(order.product)
    raise SubscriptionNeedsAction(order.product)
