"""What every payment provider must do."""

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.providers.worlds import WORLDS, Answers, Interval, World, opened
from tests.support.issuers import serving
from tests.support.running import eventually
from tests.support.webhooks import Receiver, receiving

from tollkeeper.billing.entitlements import derive
from tollkeeper.catalog import Catalog
from tollkeeper.errors import (
    BadWebhook,
    CustomerMissing,
    IdempotencyConflict,
    Obstacle,
    ProviderMissing,
    ProviderRefused,
    ProviderUnavailable,
)
from tollkeeper.model.access import Verdict
from tollkeeper.model.bought import Line, Payment, Purchase
from tollkeeper.model.events import Event
from tollkeeper.model.orders import Customer, Order, OrderState, Realm
from tollkeeper.model.people import Person
from tollkeeper.model.selling import Offer, Product
from tollkeeper.providers.protocol import Checkout, CheckoutState, CustomerRecord, PaymentProvider, ReturnAddresses

pytestmark = pytest.mark.anyio

Call = Callable[[PaymentProvider, World], Awaitable[Any]]


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with WORLDS[request.param]() as world:
        yield world


@pytest.fixture
async def provider(world: World) -> AsyncIterator[PaymentProvider]:
    async with opened(world.provider()) as provider:
        yield provider


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def returns_to(provider: PaymentProvider) -> ReturnAddresses:
    success = f"https://pay.example/success?id={provider.facts.checkout_placeholder}"
    return ReturnAddresses(success, "https://pay.example/cancel")


def a_person(**changes: Any) -> Person:
    token = secrets.token_hex(8)
    return replace(Person(f"per_{token}", "Alice Example", f"{token}@example.com", 1_790_000_000), **changes)


async def realm_of(provider: PaymentProvider) -> Realm:
    return Realm(provider.name, await provider.account(), provider.live)


async def a_customer(provider: PaymentProvider) -> Customer:
    person = a_person()
    return Customer(1, await realm_of(provider), await provider.create_customer(person), person.id)


async def an_order(provider: PaymentProvider, customer: Customer, price_id: str) -> Order:
    price = await provider.price(price_id)
    return Order(
        id=f"ord_{secrets.token_hex(12)}",
        person_id=customer.person_id,
        product="dashboard",
        realm=customer.realm,
        price_id=price.id,
        quantity=1,
        amount=price.amount,
        currency=price.currency,
        state=OrderState.OPEN,
        idempotency_key=f"order-{secrets.token_hex(16)}",
        created_at=int(time.time()),
    )


async def a_checkout(provider: PaymentProvider, customer: Customer, price_id: str) -> tuple[Order, Checkout]:
    order = await an_order(provider, customer, price_id)
    return order, await provider.create_checkout(order, customer, returns_to(provider))


async def test_it_knows_its_name_its_mode_and_its_account(world: World, provider: PaymentProvider) -> None:
    assert provider.name == world.kind.name
    assert provider.facts == world.kind.facts
    assert provider.live is False
    account = await provider.account()
    assert account
    async with opened(world.provider()) as another:
        assert await another.account() == account


async def test_a_price_has_its_amount_currency_and_product(world: World, provider: PaymentProvider) -> None:
    price = await provider.price(price_id := world.price(123_45, "usd", "Diving lessons"))
    assert (price.id, price.amount, price.currency) == (price_id, 123_45, "usd")
    assert price.product_name == "Diving lessons"
    assert await provider.price(price_id) == price


async def test_ids_have_the_form_that_settings_and_addresses_are_checked_by(
    world: World, provider: PaymentProvider
) -> None:
    customer, price_id = await a_customer(provider), world.price()
    _, checkout = await a_checkout(provider, customer, price_id)
    assert world.kind.price_id(price_id) == price_id
    assert provider.facts.checkout_id.fullmatch(checkout.id)


async def test_the_buyer_comes_back_with_the_id_of_the_checkout(world: World, provider: PaymentProvider) -> None:
    _, checkout = await a_checkout(provider, await a_customer(provider), world.price())
    assert world.pay(checkout.url or "") == f"https://pay.example/success?id={checkout.id}"


async def test_an_unknown_price_or_checkout_is_missing(world: World, provider: PaymentProvider) -> None:
    for ask in (provider.price(world.unknown.price), provider.checkout(world.unknown.checkout)):
        with pytest.raises(ProviderMissing) as missing:
            await ask
        assert missing.value.advice


@pytest.mark.parametrize("email", ["alice@example.com", None])
async def test_making_a_customer_again_finds_the_same(provider: PaymentProvider, email: str | None) -> None:
    person = a_person(email=email)
    ids = await asyncio.gather(*(provider.create_customer(person) for _ in range(4)))
    assert len({*ids, await provider.create_customer(person)}) == 1
    assert await provider.create_customer(a_person(email=email)) not in ids


async def test_an_address_that_the_provider_does_not_take_keeps_nobody_from_buying(provider: PaymentProvider) -> None:
    person = a_person(email="alice@intranet")
    made = await provider.create_customer(person)
    assert made == await provider.create_customer(person)


async def test_k78_a_customer_has_the_address_that_was_told_last(world: World, provider: PaymentProvider) -> None:
    person = a_person(email="old@example.com")
    customer = Customer(1, await realm_of(provider), await provider.create_customer(person), person.id)
    neighbour = await a_customer(provider)
    of_neighbour = world.address_of(neighbour.external_id)
    for reported, known in [
        ("new@example.com", "new@example.com"),
        ("new@example.com", "new@example.com"),
        ("new@intranet", None),
        ("newer@example.com", "newer@example.com"),
        (None, None),
    ]:
        await provider.update_customer(customer, replace(person, email=reported))
        assert world.address_of(customer.external_id) == known
    assert world.address_of(neighbour.external_id) == of_neighbour


async def test_k78_a_customer_who_is_gone_is_sent_nothing(world: World, provider: PaymentProvider) -> None:
    customer = await a_customer(provider)
    world.delete_customer(customer.external_id)
    for gone in (customer, replace(customer, external_id=world.unknown.customer)):
        with pytest.raises(CustomerMissing):
            await provider.update_customer(gone, a_person())


async def listed(provider: PaymentProvider) -> dict[str, CustomerRecord]:
    return {one.id: one async for page in provider.customers() for one in page}


async def test_i62_customers_are_listed_with_whose_they_are_and_who_deleted_their_account(
    world: World, provider: PaymentProvider
) -> None:
    person, others = a_person(), [await a_customer(provider) for _ in range(3)]
    customer = Customer(1, await realm_of(provider), await provider.create_customer(person), person.id)
    gone = await a_customer(provider)
    world.delete_customer(gone.external_id)
    before = await listed(provider)
    record = before[customer.external_id]
    assert (record.person_id, record.deleted_person) == (person.id, None)
    assert record.created_at > 1_700_000_000
    assert {one.external_id for one in others} < before.keys()
    assert gone.external_id not in before
    for _ in range(2):
        await provider.mark_deleted(customer)
    after = await listed(provider)
    assert after[customer.external_id] == replace(record, deleted_person=person.id)
    assert {id: one for id, one in after.items() if id != customer.external_id} == {
        id: one for id, one in before.items() if id != customer.external_id
    }


async def test_i62_a_customer_who_is_gone_cannot_be_marked(world: World, provider: PaymentProvider) -> None:
    customer = await a_customer(provider)
    world.delete_customer(customer.external_id)
    with pytest.raises(CustomerMissing):
        await provider.mark_deleted(customer)


async def test_making_a_checkout_again_finds_the_same(world: World, provider: PaymentProvider) -> None:
    customer = await a_customer(provider)
    order = await an_order(provider, customer, world.price())
    made = await asyncio.gather(*(provider.create_checkout(order, customer, returns_to(provider)) for _ in range(4)))
    assert len({*made, await provider.create_checkout(order, customer, returns_to(provider))}) == 1
    assert made[0].state == "open"
    assert made[0].url is not None
    another = await provider.create_checkout(
        replace(order, id="ord_other", idempotency_key=f"order-{secrets.token_hex(16)}"), customer, returns_to(provider)
    )
    assert another.id != made[0].id


async def test_a_retry_with_other_settings_is_a_conflict(world: World, provider: PaymentProvider) -> None:
    customer = await a_customer(provider)
    order, made = await a_checkout(provider, customer, world.price())
    with pytest.raises(IdempotencyConflict):
        await provider.create_checkout(
            order, customer, replace(returns_to(provider), cancel="https://new.example/cancel")
        )
    assert await provider.checkout_of_order(order, customer) == made


async def test_a_checkout_is_open_then_complete_or_expired(world: World, provider: PaymentProvider) -> None:
    customer = await a_customer(provider)
    price_id = world.price()
    (_, paid), (_, left) = [await a_checkout(provider, customer, price_id) for _ in range(2)]
    assert await provider.checkout(paid.id) == paid
    assert paid.url is not None
    world.pay(paid.url)
    world.expire(left.id)
    assert await provider.checkout(paid.id) == Checkout(paid.id, None, CheckoutState.COMPLETE)
    assert await provider.checkout(left.id) == Checkout(left.id, None, CheckoutState.EXPIRED)


async def test_the_checkout_of_an_order_is_found_when_its_id_was_lost(world: World, provider: PaymentProvider) -> None:
    customer = await a_customer(provider)
    price_id = world.price()
    made = [await a_checkout(provider, customer, price_id) for _ in range(3)]
    world.expire(made[2][1].id)
    for order, checkout in made[:2]:
        assert await provider.checkout_of_order(order, customer) == checkout
    assert await provider.checkout_of_order(made[2][0], customer) == Checkout(
        made[2][1].id, None, CheckoutState.EXPIRED
    )
    assert await provider.checkout_of_order(replace(made[0][0], id="ord_never_made"), customer) is None
    assert await provider.checkout_of_order(made[0][0], await a_customer(provider)) is None


async def test_the_snapshot_of_a_customer_with_nothing_is_empty(provider: PaymentProvider) -> None:
    snapshot = await provider.snapshot(customer := await a_customer(provider))
    assert (snapshot.customer, snapshot.purchases, snapshot.expired_checkouts) == (customer, (), frozenset())


async def test_a_snapshot_tells_what_was_paid_what_expired_and_nothing_else(
    world: World, provider: PaymentProvider
) -> None:
    customer, neighbour = await a_customer(provider), await a_customer(provider)
    price_id = world.price()
    order, paid = await a_checkout(provider, customer, price_id)
    _, left = await a_checkout(provider, customer, price_id)
    await a_checkout(provider, customer, price_id)
    assert paid.url is not None
    world.pay(paid.url)
    world.expire(left.id)

    snapshot = await provider.snapshot(customer)
    assert snapshot.expired_checkouts == {left.id}
    (purchase,) = snapshot.purchases
    now = int(time.time())
    assert purchase.paid_at is not None
    assert now - 60 < purchase.created_at <= purchase.paid_at <= now
    assert purchase.reference
    assert purchase.email
    assert purchase.receipt_url
    assert await provider.bought(paid.id) == purchase
    assert replace(purchase, created_at=0, paid_at=None, reference=None, email=None, receipt_url=None) == Purchase(
        source=paid.id,
        order_id=order.id,
        person_id=customer.person_id,
        customer_id=customer.external_id,
        lines=(Line(price_id, 1),),
        amount_subtotal=1900,
        amount_discount=0,
        amount_total=1900,
        currency="eur",
        live=False,
        payment=Payment.PAID,
        created_at=0,
    )
    assert [found.verdict for found in derive(snapshot, {order.id: order}, Catalog((), provider.name))] == [
        Verdict.GRANTED
    ]
    assert (await provider.snapshot(neighbour)).purchases == ()


async def test_a07_a_purchase_by_a_stranger_is_reported_with_their_address_and_names_nobody_here(
    world: World, provider: PaymentProvider
) -> None:
    checkout_id = world.pay_elsewhere(price_id := world.price(700), "stranger@example.com")
    found = await provider.bought(checkout_id)
    assert isinstance(found, Purchase)
    assert (found.source, found.payment, found.email) == (checkout_id, Payment.PAID, "stranger@example.com")
    assert (found.order_id, found.person_id, found.live) == (None, None, False)
    assert (found.lines, found.amount_total, found.currency) == ((Line(price_id, 1),), 700, "eur")
    assert found.reference
    assert await provider.bought(found.reference) == found


async def test_a_payment_leads_to_the_person_who_made_it(world: World, provider: PaymentProvider) -> None:
    customer = await a_customer(provider)
    _, page = await a_checkout(provider, customer, price_id := world.price())
    world.pay(page.url or "")
    (purchase,) = (await provider.snapshot(customer)).purchases
    assert await provider.payer(purchase.reference or "") == customer.external_id
    stranger = await provider.bought(world.pay_elsewhere(price_id, "stranger@example.com"))
    assert stranger is not None
    assert await provider.payer(stranger.reference or "") is None
    assert await provider.payer(world.unknown.payment) is None


async def test_what_nobody_has_completed_is_no_purchase(world: World, provider: PaymentProvider) -> None:
    customer, price_id = await a_customer(provider), world.price()
    (_, unpaid), (_, left) = [await a_checkout(provider, customer, price_id) for _ in range(2)]
    world.expire(left.id)
    for checkout_id in (unpaid.id, left.id, world.unknown.checkout):
        assert await provider.bought(checkout_id) is None


async def test_a04_promotion_codes_are_taken_where_the_seller_wants_it(world: World, provider: PaymentProvider) -> None:
    customer = await a_customer(provider)
    order = await an_order(provider, customer, world.price(1000))
    made = await provider.create_checkout(replace(order, promotion_codes=True), customer, returns_to(provider))
    again = await provider.create_checkout(replace(order, promotion_codes=True), customer, returns_to(provider))
    assert made == again
    _, without = await a_checkout(provider, customer, order.price_id)
    assert made.url is not None
    assert without.url is not None
    assert world.takes_promotion_codes(made.url)
    assert not world.takes_promotion_codes(without.url)


@pytest.mark.parametrize(("percent", "payment", "total"), [(40, Payment.PAID, 600), (100, Payment.FREE, 0)])
async def test_a04_what_a_promotion_code_took_off_is_reported(
    world: World, provider: PaymentProvider, percent: int, payment: Payment, total: int
) -> None:
    customer = await a_customer(provider)
    order = await an_order(provider, customer, world.price(1000))
    made = await provider.create_checkout(replace(order, promotion_codes=True), customer, returns_to(provider))
    assert made.url is not None
    world.pay(made.url, world.promotion_code(percent))
    (found,) = (await provider.snapshot(customer)).purchases
    assert (found.payment, found.amount_subtotal, found.amount_total) == (payment, 1000, total)
    assert found.amount_discount == 1000 - total
    assert (found.order_id, found.person_id) == (order.id, customer.person_id)


async def test_a04_what_costs_nothing_is_free_and_not_paid(world: World, provider: PaymentProvider) -> None:
    customer = await a_customer(provider)
    _, made = await a_checkout(provider, customer, world.price(0))
    assert made.url is not None
    world.pay(made.url)
    (found,) = (await provider.snapshot(customer)).purchases
    assert (found.payment, found.amount_total, found.paid_at, found.reference) == (Payment.FREE, 0, None, None)


async def test_a_customer_who_never_was_is_missing_and_not_one_who_bought_nothing(
    world: World, provider: PaymentProvider
) -> None:
    customer = await a_customer(provider)
    with pytest.raises(CustomerMissing):
        await provider.snapshot(replace(customer, external_id=world.unknown.customer))


async def test_a12_what_a_customer_bought_is_reported_after_they_were_deleted(
    world: World, provider: PaymentProvider
) -> None:
    customer = await a_customer(provider)
    order, checkout = await a_checkout(provider, customer, world.price())
    assert checkout.url is not None
    world.pay(checkout.url)
    before = await provider.snapshot(customer)
    world.delete_customer(customer.external_id)
    assert await provider.snapshot(customer) == before
    assert await provider.bought(checkout.id) == before.purchases[0]
    with pytest.raises(CustomerMissing):
        await provider.create_checkout(
            replace(order, idempotency_key=secrets.token_hex(16)), customer, returns_to(provider)
        )


async def test_c25_the_list_of_events_names_who_paid(world: World, provider: PaymentProvider) -> None:
    began = int(time.time())
    customer = await a_customer(provider)
    _, checkout = await a_checkout(provider, customer, world.price())
    assert checkout.url
    world.pay(checkout.url)
    listed = [event async for page in provider.events(began - 1) for event in page]
    (paid,) = [event for event in listed if event.object_id == checkout.id]
    assert (paid.customer_id, paid.realm, paid.relevant) == (customer.external_id, customer.realm, True)
    assert [event async for page in provider.events(began + 3600) for event in page] == []


async def test_c27_a_long_list_of_events_is_read_to_its_end(world: World, provider: PaymentProvider) -> None:
    customer, price = await a_customer(provider), world.price()
    began = int(time.time())
    expired = set()
    for _ in range(101):
        _, checkout = await a_checkout(provider, customer, price)
        world.expire(checkout.id)
        expired.add(checkout.id)
    pages = [page async for page in provider.events(began - 1)]
    assert len(pages) > 1
    assert expired <= {event.object_id for page in pages for event in page}


async def test_tax_comes_on_top_of_what_was_ordered_where_it_is_turned_on(world: World) -> None:
    async with opened(world.provider(automatic_tax=True)) as provider:
        customer = await a_customer(provider)
        order, checkout = await a_checkout(provider, customer, world.price(1000))
        assert checkout.url is not None
        world.pay(checkout.url)
        snapshot = await provider.snapshot(customer)
    (purchase,) = snapshot.purchases
    assert purchase.amount_subtotal == order.amount == 1000
    assert purchase.amount_total > 1000
    assert [found.verdict for found in derive(snapshot, {order.id: order}, Catalog((), provider.name))] == [
        Verdict.GRANTED
    ]


async def test_tax_on_an_account_that_cannot_reckon_it_tells_the_operator_what_to_do(world: World) -> None:
    world.set_tax(False)
    try:
        async with opened(world.provider(automatic_tax=True)) as provider:
            customer = await a_customer(provider)
            order = await an_order(provider, customer, world.price())
            with pytest.raises(ProviderRefused) as refused:
                await provider.create_checkout(order, customer, returns_to(provider))
            assert world.tax_setting in refused.value.advice
        async with opened(world.provider(automatic_tax=False)) as provider:
            await a_checkout(provider, customer, order.price_id)
    finally:
        world.set_tax(True)


@pytest.mark.parametrize("interval", [None, "week"])
async def test_trying_a_sale_tells_whether_a_page_can_be_made(
    world: World, provider: PaymentProvider, interval: Interval | None
) -> None:
    await provider.try_sale(world.price(900, interval=interval), returns_to(provider))
    with pytest.raises(ProviderMissing) as missing:
        await provider.try_sale(world.unknown.price, returns_to(provider))
    assert missing.value.obstacle is Obstacle.PRICE_MISSING
    assert provider.facts.remedies[Obstacle.PRICE_MISSING]


async def test_an_account_is_set_up_once_and_then_sells_what_was_offered(
    world: World, provider: PaymentProvider, receiver: Receiver
) -> None:
    once, weekly = Offer(99_00, "eur"), Offer(9_00, "eur", "week")
    product = Product(f"key-{secrets.token_hex(4)}", "Lessons", frozenset({"dashboard"}), {provider.name: ()})
    wanted = replace(product, offers=(weekly, once))
    looked = await world.configured().set_up(receiver.url, (wanted,), dry_run=True)
    assert looked.steps
    assert {step.id for step in looked.steps} == {None}
    assert (looked.prices, looked.webhook_secret) == ({}, None)
    done = await world.configured().set_up(receiver.url, (wanted,))
    assert (done.account, done.live, done.trouble) == (await provider.account(), False, None)
    assert [step.what for step in done.steps] == [step.what for step in looked.steps]
    assert None not in {step.id for step in done.steps}
    assert done.webhook_secret
    to_set = done.prices[product.key]
    (by_week,), (for_good,) = to_set[provider.name], to_set[f"{provider.name}_also"]
    found = [await provider.price(one) for one in (by_week, for_good)]
    assert [(one.amount, one.currency, one.interval) for one in found] == [(9_00, "eur", "week"), (99_00, "eur", None)]
    assert {one.product_name for one in found} == {"Lessons"}
    sold = {provider.name: (by_week, for_good)}
    again = await world.configured().set_up(receiver.url, (replace(wanted, prices=sold, on_sale=sold),))
    assert (again.steps, again.webhook_secret, again.prices[product.key]) == ((), None, to_set)
    other = await world.configured().set_up(receiver.url, (wanted,), new_endpoint=True)
    assert other.webhook_secret not in (None, done.webhook_secret)


def nobody(world: World) -> Customer:
    return Customer(1, Realm(world.kind.name, "acct_1", live=False), world.unknown.customer, "per_1")


def nothing(world: World) -> Order:
    realm = nobody(world).realm
    return Order("ord_1", "per_1", "pro", realm, world.unknown.price, 1, 1900, "eur", OrderState.OPEN, "order-1", 1)


BACK = "https://pay.example/account"
CALLS: dict[str, Call] = {
    "account": lambda provider, world: provider.account(),
    "price": lambda provider, world: provider.price(world.unknown.price),
    "create_customer": lambda provider, world: provider.create_customer(a_person()),
    "update_customer": lambda provider, world: provider.update_customer(nobody(world), a_person()),
    "mark_deleted": lambda provider, world: provider.mark_deleted(nobody(world)),
    "customers": lambda provider, world: anext(provider.customers()),
    "create_checkout": lambda provider, world: provider.create_checkout(
        nothing(world), nobody(world), returns_to(provider)
    ),
    "try_sale": lambda provider, world: provider.try_sale(world.unknown.price, returns_to(provider)),
    "checkout": lambda provider, world: provider.checkout(world.unknown.checkout),
    "checkout_of_order": lambda provider, world: provider.checkout_of_order(nothing(world), nobody(world)),
    "snapshot": lambda provider, world: provider.snapshot(nobody(world)),
    "expire_checkout": lambda provider, world: provider.expire_checkout(world.unknown.checkout),
    "billing_portal": lambda provider, world: provider.billing_portal(nobody(world), BACK),
    "preview_change": lambda provider, world: provider.preview_change(world.unknown.subscription, world.unknown.price),
    "change_plan": lambda provider, world: provider.change_plan(
        nobody(world), world.unknown.subscription, world.unknown.price, BACK
    ),
    "end_subscription": lambda provider, world: provider.end_subscription(
        world.unknown.subscription, at_period_end=True, purchase=world.unknown.checkout
    ),
    "bought": lambda provider, world: provider.bought(world.unknown.checkout),
    "bought by payment": lambda provider, world: provider.bought(world.unknown.payment),
    "payer": lambda provider, world: provider.payer(world.unknown.payment),
    "events": lambda provider, world: anext(provider.events(0)),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@each_call
async def test_a_wrong_key_is_refused_with_advice(world: World, call: Call) -> None:
    async with opened(world.provider(key=world.wrong_key)) as provider:
        with pytest.raises(ProviderRefused) as refused:
            await call(provider, world)
    assert world.kind.key in refused.value.advice
    assert world.wrong_key not in str(refused.value)


# With a patience of 0.3 seconds. On a busy machine everything takes longer; without a bound of its own it would be ten.
IN_TIME = 3

# A client that does not retry learns at once that nobody is there. Seconds.
AT_ONCE = 0.2


@each_call
async def test_a_server_that_cannot_be_reached_is_unavailable_in_time(world: World, call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    async with opened(world.provider(at=address, patience=0.3)) as provider:
        await unavailable_within(IN_TIME, call(provider, world))


@contextmanager
def hanging() -> Iterator[str]:
    """A server that lets everybody connect, and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


@each_call
async def test_e37_a_server_that_hangs_is_unavailable_in_time(world: World, call: Call) -> None:
    with hanging() as address:
        async with opened(world.provider(at=address, patience=0.3)) as provider:
            await unavailable_within(IN_TIME, call(provider, world))


async def unavailable_within(seconds: float, asked: Awaitable[Any]) -> None:
    """What was asked ends in ``ProviderUnavailable`` in time, and holds up nobody meanwhile."""
    began = time.monotonic()
    turns = [began]

    async def watch() -> None:
        while True:
            await asyncio.sleep(0.01)
            turns.append(time.monotonic())

    watching = asyncio.create_task(watch())
    with pytest.raises(ProviderUnavailable):
        await asked
    watching.cancel()
    turns.append(time.monotonic())
    took = turns[-1] - began
    assert took < seconds
    assert len(turns) > 6 or took < AT_ONCE  # or it was held up all the time
    assert max(later - earlier for earlier, later in pairwise(turns)) < 1  # or once, for long


TROUBLE: dict[str, tuple[int, Callable[[Answers], bytes]]] = {
    "500": (500, lambda answers: answers.failed),
    "502 of a proxy": (502, lambda answers: b"<h1>Bad gateway</h1>"),
    "503": (503, lambda answers: b""),
    "429": (429, lambda answers: answers.too_soon),
    "409": (409, lambda answers: answers.under_way),
    "a page": (200, lambda answers: b"<h1>Welcome to our hotel. Please sign in.</h1>"),
    "half an answer": (200, lambda answers: answers.torn),
    "nothing": (200, lambda answers: b""),
    "403 of a proxy": (403, lambda answers: b"<h1>Blocked</h1>"),
}


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_e34_an_answer_that_says_nothing_definite_is_unavailable(world: World, trouble: str) -> None:
    status, body_of = TROUBLE[trouble]

    async def answer(_: Request) -> Response:
        return Response(body_of(world.answers), status, media_type="application/json")

    app = Starlette(routes=[Route("/{any:path}", answer, methods=["GET", "POST"])])
    with serving(app) as address:
        async with opened(world.provider(at=address, patience=3)) as provider:
            with pytest.raises(ProviderUnavailable):
                await provider.create_checkout(nothing(world), nobody(world), returns_to(provider))


def too_soon(world: World, retry_after: str) -> Response:
    return Response(world.answers.too_soon, 429, {"Retry-After": retry_after}, media_type="application/json")


@pytest.mark.parametrize("retry_after", ["1", "0.5", "", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "nan", "1e9"])
async def test_e36_what_came_too_soon_is_asked_again_later(world: World, retry_after: str) -> None:
    asked: list[float] = []

    async def answer(_: Request) -> Response:
        asked.append(time.monotonic())
        if len(asked) == 1:
            return too_soon(world, retry_after)
        return Response(world.answers.account, media_type="application/json")

    with serving(Starlette(routes=[Route("/{any:path}", answer, methods=["GET", "POST"])])) as address:
        async with opened(world.provider(at=address)) as provider:
            assert await provider.account() == "acct_1"
    first, again = asked
    assert again - first >= {"1": 1, "0.5": 0.5}.get(retry_after, 0)


async def test_e36_a_provider_that_goes_on_refusing_is_unavailable_in_time(world: World) -> None:
    async def answer(_: Request) -> Response:
        return too_soon(world, "60")

    with serving(Starlette(routes=[Route("/{any:path}", answer, methods=["GET", "POST"])])) as address:
        async with opened(world.provider(at=address, patience=0.3)) as provider:
            await unavailable_within(IN_TIME, provider.account())


async def test_an_event_that_was_really_delivered_is_read(world: World, receiver: Receiver) -> None:
    secret = world.send_events_to(receiver.url)
    async with opened(world.provider(webhook_secrets=(world.wrong_secret, secret))) as provider:
        customer = await a_customer(provider)
        _, checkout = await a_checkout(provider, customer, world.price())
        assert checkout.url is not None
        world.pay(checkout.url)
        read: list[Event] = []
        events: dict[str, Event] = {}
        async with asyncio.timeout(10):
            while not {world.types.completed, world.types.beside} <= events.keys():
                await asyncio.sleep(0.02)
                for headers, body in receiver.taken[len(read) :]:
                    read.append(await provider.read_webhook(headers, body, int(time.time())))
                events = {event.type: event for event in read if event.customer_id == customer.external_id}
    paid = events[world.types.completed]
    assert (paid.realm, paid.object_id, paid.relevant) == (customer.realm, checkout.id, True)
    assert int(time.time()) - 60 < paid.created_at <= int(time.time())
    assert not events[world.types.beside].relevant
    assert len({event.id for event in read}) == len(read)


async def test_an_event_that_was_tampered_with_or_has_grown_old_is_not_believed(
    world: World, receiver: Receiver
) -> None:
    secret = world.send_events_to(receiver.url)
    world.price()
    (headers, body), *_ = await asyncio.to_thread(eventually, lambda: receiver.taken)
    now = int(time.time())
    unsigned = [(name, value) for name, value in headers if name.lower() != world.signature]
    async with opened(world.provider(webhook_secrets=(secret,))) as provider:
        assert not (await provider.read_webhook(headers, body, now)).relevant
        for wrong_headers, wrong_body, wrong_now in [
            (headers, body + b" ", now),
            (headers, body.replace(b"false", b"true ", 1), now),
            (headers, b"", now),
            (headers, body, now + 400),
            (headers, body, now - 100),
            (unsigned, body, now),
            ([*headers, *headers], body, now),
        ]:
            with pytest.raises(BadWebhook):
                await provider.read_webhook(wrong_headers, wrong_body, wrong_now)
    for secrets_of_others in ((), (world.wrong_secret,), ("",), (" ",)):
        async with opened(world.provider(webhook_secrets=secrets_of_others)) as provider:
            with pytest.raises(BadWebhook):
                await provider.read_webhook(headers, body, now)
