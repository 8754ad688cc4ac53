"""What every payment provider must report about subscriptions: their whole life, as a snapshot shows it."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from tests.providers.test_conformance import a_customer, an_order, returns_to
from tests.providers.worlds import WORLDS, Behavior, World, opened
from tests.support.webhooks import receiving

from tollkeeper.errors import ProviderMissing
from tollkeeper.model.bought import Bill, Dispute, Invoice, Line, Subscription, SubscriptionStatus
from tollkeeper.model.orders import Customer, Order
from tollkeeper.model.selling import Offer, Product
from tollkeeper.providers.protocol import PaymentProvider

pytestmark = pytest.mark.anyio

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """One of their own, for time goes by in it."""
    with WORLDS[request.param]() as world:
        yield world


@pytest.fixture
async def provider(world: World) -> AsyncIterator[PaymentProvider]:
    async with opened(world.provider()) as provider:
        yield provider


async def ordered(
    provider: PaymentProvider, world: World, customer: Customer, trial_days: int | None = None, card: bool = True
) -> Order:
    order = await an_order(provider, customer, world.price(900, interval="week"))
    return replace(order, recurring=True, trial_days=trial_days, trial_without_card=not card)


async def begun(
    provider: PaymentProvider, world: World, trial_days: int | None = None, card: bool = True
) -> tuple[Customer, Order, Subscription]:
    customer = await a_customer(provider)
    order = await ordered(provider, world, customer, trial_days, card)
    checkout = await provider.create_checkout(order, customer, returns_to(provider))
    assert checkout.url is not None
    world.pay(checkout.url)
    one = await read_one(provider, customer)
    assert one.checkout_id == checkout.id
    return customer, order, one


async def read_one(provider: PaymentProvider, customer: Customer) -> Subscription:
    snapshot = await provider.snapshot(customer)
    assert snapshot.purchases == ()
    (one,) = snapshot.subscriptions
    return one


async def test_a_recurring_price_says_how_often_it_is_paid(world: World, provider: PaymentProvider) -> None:
    weekly, once = world.price(900, interval="week"), world.price(900)
    assert ((price := await provider.price(weekly)).interval, price.interval_count) == ("week", 1)
    assert (await provider.price(once)).interval is None


async def test_what_was_subscribed_to_is_reported(world: World, provider: PaymentProvider) -> None:
    customer, order, one = await begun(provider, world)
    assert world.now() - 60 < one.created_at <= world.now()
    assert one.reference
    assert one.email
    assert one.receipt_url
    (first,) = one.invoices
    assert replace(one, created_at=0, email=None, invoices=()) == Subscription(
        source=one.source,
        order_id=order.id,
        person_id=customer.person_id,
        customer_id=customer.external_id,
        live=False,
        currency="eur",
        created_at=0,
        standing=SubscriptionStatus.ACTIVE,
        items=(Line(order.price_id, 1),),
        period_start=one.created_at,
        period_end=one.created_at + WEEK,
        checkout_id=one.checkout_id,
    )
    assert replace(first, created_at=0, due_at=None, paid_at=None) == Invoice(
        id=first.id,
        bill=Bill.PAID,
        starts=one.period_start,
        ends=one.period_end,
        created_at=0,
        total=900,
        paid=900,
        reference=one.reference,
        receipt_url=one.receipt_url,
    )
    for at in (first.created_at, first.due_at, first.paid_at):
        assert at is not None
        assert one.created_at <= at <= world.now()
    assert one.checkout_id is not None
    alone = await provider.bought(one.source)
    assert alone in (one, replace(one, checkout_id=None))  # not every provider says, asked that way
    assert await provider.bought(one.checkout_id) == alone
    assert await provider.payer(one.reference) == customer.external_id
    assert (await provider.snapshot(await a_customer(provider))).subscriptions == ()


async def test_a_checkout_that_nobody_went_through_is_no_subscription(world: World, provider: PaymentProvider) -> None:
    customer = await a_customer(provider)
    left = await provider.create_checkout(await ordered(provider, world, customer), customer, returns_to(provider))
    assert (await provider.snapshot(customer)).subscriptions == ()
    assert await provider.bought(left.id) is None
    assert await provider.bought(world.unknown.subscription) is None


@pytest.mark.parametrize("card", [True, False])
async def test_a_trial_is_free_until_it_ends(world: World, provider: PaymentProvider, card: bool) -> None:
    customer, _, one = await begun(provider, world, trial_days=3, card=card)
    assert (one.standing, one.amount_total) == (SubscriptionStatus.TRIALING, 0)
    assert not any(invoice.total for invoice in one.invoices)
    assert one.trial_end == one.period_end
    assert one.period_end - one.created_at == 3 * DAY
    world.pass_time(3 * DAY + 2 * HOUR)
    after = await read_one(provider, customer)
    if card:
        assert (after.standing, after.bill, after.amount_total) == (SubscriptionStatus.ACTIVE, Bill.PAID, 900)
        assert [invoice.total for invoice in after.earlier] == [invoice.total for invoice in one.invoices]
    else:
        assert (after.standing, after.ends_at) == (SubscriptionStatus.CANCELED, one.trial_end)


async def test_a_renewal_moves_the_period_and_its_money(world: World, provider: PaymentProvider) -> None:
    customer, _, one = await begun(provider, world)
    assert one.reference
    world.refund(one.reference, 900)
    assert (await read_one(provider, customer)).amount_refunded == 900
    world.pass_time(WEEK + 2 * HOUR)
    after = await read_one(provider, customer)
    assert (after.period_start, after.period_end) == (one.period_end, one.period_end + WEEK)
    assert (after.bill, after.amount_total, after.amount_refunded) == (Bill.PAID, 900, 0)
    assert [(invoice.paid, invoice.refunded, invoice.reference) for invoice in after.invoices] == [
        (900, 0, after.reference),
        (900, 900, one.reference),
    ]
    assert [(invoice.starts, invoice.ends) for invoice in after.invoices] == [
        (after.period_start, after.period_end),
        (one.period_start, one.period_end),
    ]
    assert after.reference not in (None, one.reference)
    assert (after.source, after.created_at) == (one.source, one.created_at)


async def test_a_renewal_that_fails_is_owed_until_it_is_paid(world: World, provider: PaymentProvider) -> None:
    customer, _, one = await begun(provider, world)
    world.let_renewals(one.source, succeed=False)
    world.pass_time(WEEK + 2 * HOUR)
    failed = await read_one(provider, customer)
    assert (failed.standing, failed.bill, failed.amount_total) == (SubscriptionStatus.PAST_DUE, Bill.FAILED, 0)
    assert failed.earlier == one.invoices
    ((owed,), due_at) = failed.present, failed.present[0].due_at
    assert due_at is not None
    assert one.period_end <= due_at <= one.period_end + 2 * HOUR
    assert (owed.total, owed.paid, owed.paid_at, owed.reference) == (900, 0, None, None)
    world.pass_time(4 * DAY)
    assert [invoice.due_at for invoice in (await read_one(provider, customer)).present] == [due_at]
    world.let_renewals(one.source, succeed=True)
    paid_up = await read_one(provider, customer)
    assert (paid_up.standing, paid_up.bill, paid_up.amount_total) == (SubscriptionStatus.ACTIVE, Bill.PAID, 900)
    (paid,) = paid_up.present
    assert (paid.id, paid.due_at) == (owed.id, due_at)
    assert paid.paid_at is not None
    assert paid.paid_at >= due_at + 4 * DAY - 2 * HOUR


@pytest.mark.parametrize("behavior", ["void", "mark_uncollectible", "keep_as_draft"])
async def test_what_nobody_is_asked_to_pay_is_told_as_what_became_of_it(
    world: World, provider: PaymentProvider, behavior: Behavior
) -> None:
    customer, _, one = await begun(provider, world)
    world.pause_payments(one.source, True, behavior)
    world.pass_time(WEEK + 2 * HOUR)
    paused = await read_one(provider, customer)
    expected = {"void": Bill.VOID, "mark_uncollectible": Bill.UNCOLLECTIBLE, "keep_as_draft": Bill.DRAFT}[behavior]
    assert (paused.collection_paused, paused.bill, paused.amount_total) == (True, expected, 0)
    world.pause_payments(one.source, False)
    after = await read_one(provider, customer)
    assert (after.collection_paused, after.bill) == (False, expected)
    world.pass_time(WEEK + 2 * HOUR)
    later = await read_one(provider, customer)
    assert [invoice.bill for invoice in later.invoices] == [Bill.PAID, expected, Bill.PAID]


async def test_a_draft_has_fallen_due_for_nobody_yet(world: World, provider: PaymentProvider) -> None:
    customer, _, one = await begun(provider, world)
    world.pass_time(WEEK + HOUR // 2)
    renewed = await read_one(provider, customer)
    assert (renewed.standing, renewed.bill) == (SubscriptionStatus.ACTIVE, Bill.DRAFT)
    assert [(invoice.due_at, invoice.trouble) for invoice in renewed.present] == [(None, None)]
    assert renewed.period_start == one.period_end


async def test_a_dispute_is_reported_for_the_period_that_it_is_about(world: World, provider: PaymentProvider) -> None:
    customer, _, one = await begun(provider, world)
    world.pass_time(WEEK + 2 * HOUR)
    assert one.reference
    world.dispute(one.reference)
    disputed = await read_one(provider, customer)
    assert (disputed.dispute, [invoice.dispute for invoice in disputed.earlier]) == (Dispute.NONE, [Dispute.OPEN])
    assert disputed.reference
    world.dispute(disputed.reference)
    assert (await read_one(provider, customer)).dispute is Dispute.OPEN


async def test_money_that_comes_after_the_end_is_reported(world: World, provider: PaymentProvider) -> None:
    customer, _, one = await begun(provider, world)
    world.let_renewals(one.source, succeed=False)
    world.pass_time(WEEK + 2 * HOUR)
    await provider.end_subscription(one.source, at_period_end=False)
    world.pass_time(DAY)
    world.pay_owed(one.source)
    late = await read_one(provider, customer)
    assert late.standing is SubscriptionStatus.CANCELED
    assert late.ends_at is not None
    (invoice,) = late.present
    assert (invoice.bill, invoice.paid) == (Bill.PAID, 900)
    assert invoice.paid_at is not None
    assert invoice.paid_at >= late.ends_at + DAY


async def test_another_plan_is_reported_at_once(world: World, provider: PaymentProvider) -> None:
    customer, _, one = await begun(provider, world)
    dearer = world.price(2900, interval="week")
    world.change_plan(one.source, dearer)
    after = await read_one(provider, customer)
    assert (after.items, after.standing, after.bill) == ((Line(dearer, 1),), SubscriptionStatus.ACTIVE, Bill.PAID)
    assert after.period_end == one.period_end


async def test_what_another_plan_costs_is_reported_and_nothing_is_changed_by_that(
    world: World, provider: PaymentProvider
) -> None:
    customer, _, one = await begun(provider, world)
    sold = [
        Product(key, key, frozenset({"dashboard"}), {provider.name: ()}, offers=(Offer(amount, "eur", "week"),))
        for key, amount in {"basic": 900, "plus": 2900}.items()
    ]
    with receiving() as receiver:
        made = await world.configured().set_up(receiver.url, tuple(sold))
    (dearer,) = made.prices["plus"][provider.name]
    cost = await provider.preview_change(one.source, dearer)
    assert 0 < cost.due_now <= 2000
    assert (cost.credit, cost.currency, cost.renews_at, cost.trial_goes_on) == (0, "eur", one.period_end, False)
    with pytest.raises(ProviderMissing):
        await provider.preview_change(world.unknown.subscription, dearer)
    with pytest.raises(ProviderMissing):
        await provider.preview_change(one.source, world.unknown.price)
    assert await read_one(provider, customer) == one


async def test_an_end_that_is_set_is_reported_and_then_comes(world: World, provider: PaymentProvider) -> None:
    customer, _, one = await begun(provider, world)
    world.end(one.source, at_period_end=True)
    assert (set_ := await read_one(provider, customer)).ends_at == one.period_end
    assert set_.standing is SubscriptionStatus.ACTIVE
    world.pass_time(WEEK + HOUR)
    assert ((over := await read_one(provider, customer)).standing, over.ends_at) == (
        SubscriptionStatus.CANCELED,
        one.period_end,
    )


async def test_paused_payments_are_reported_and_leave_the_next_period_unpaid(
    world: World, provider: PaymentProvider
) -> None:
    customer, _, one = await begun(provider, world)
    world.pause_payments(one.source, True)
    paused = await read_one(provider, customer)
    assert (paused.collection_paused, paused.bill) == (True, Bill.PAID)
    world.pass_time(WEEK + 2 * HOUR)
    later = await read_one(provider, customer)
    assert (later.collection_paused, later.bill, later.amount_total) == (True, Bill.VOID, 0)
    assert later.earlier == one.invoices
    world.pause_payments(one.source, False)
    assert not (await read_one(provider, customer)).collection_paused


async def test_one_can_be_ended_by_us_at_its_periods_end_or_at_once(world: World, provider: PaymentProvider) -> None:
    customer, _, one = await begun(provider, world)
    await provider.end_subscription(one.source, at_period_end=True)
    assert (await read_one(provider, customer)).ends_at == one.period_end
    await provider.end_subscription(one.source, at_period_end=False)
    ended = await read_one(provider, customer)
    assert ended.standing is SubscriptionStatus.CANCELED
    assert ended.ends_at is not None
    assert ended.ends_at < one.period_end
    assert ended.amount_refunded == 0
    for source in (one.source, world.unknown.subscription):
        with pytest.raises(ProviderMissing):
            await provider.end_subscription(source, at_period_end=False)


async def test_one_of_a_customer_that_is_not_ours_is_reported_with_all_its_money(
    world: World, provider: PaymentProvider
) -> None:
    price = world.price(900, interval="week")
    made = world.subscribe_by_hand(world.stranger("stranger@example.com"), price)
    world.pass_time(WEEK + 2 * HOUR)
    one = await provider.bought(made)
    assert isinstance(one, Subscription)
    assert (one.source, one.order_id, one.person_id, one.email) == (made, None, None, "stranger@example.com")
    assert one.items == (Line(price, 1),)
    assert [(invoice.bill, invoice.paid) for invoice in one.invoices] == [(Bill.PAID, 900)] * 2
    assert one.reference
    world.refund(one.reference, 100)
    world.dispute(one.invoices[1].reference or "")
    after = await provider.bought(made)
    assert isinstance(after, Subscription)
    assert (after.amount_refunded, [invoice.dispute for invoice in after.earlier]) == (100, [Dispute.OPEN])


async def test_what_was_made_by_hand_names_nobody_here(world: World, provider: PaymentProvider) -> None:
    customer = await a_customer(provider)
    made = world.subscribe_by_hand(customer.external_id, world.price(900, interval="month"))
    one = await read_one(provider, customer)
    assert (one.source, one.order_id, one.person_id, one.checkout_id) == (made, None, None, None)
    assert (one.standing, one.amount_total) == (SubscriptionStatus.ACTIVE, 900)


async def test_one_subscription_of_several_is_ended_at_once_and_only_once(
    world: World, provider: PaymentProvider
) -> None:
    customer, _, _ = await begun(provider, world)
    other = world.subscribe_by_hand(customer.external_id, world.price(900, interval="month"))
    await provider.end_subscription(other, at_period_end=False)
    standings = {one.source: one.standing for one in (await provider.snapshot(customer)).subscriptions}
    assert standings.pop(other) is SubscriptionStatus.CANCELED
    assert [*standings.values()] == [SubscriptionStatus.ACTIVE]
    with pytest.raises(ProviderMissing):
        await provider.end_subscription(other, at_period_end=False)


async def test_the_portal_is_a_page_for_the_customer(world: World, provider: PaymentProvider) -> None:
    customer, _, _ = await begun(provider, world)
    pages = [await provider.billing_portal(customer, "https://pay.example/account") for _ in range(2)]
    assert all(page.startswith("http") for page in pages)


async def test_an_open_page_can_be_closed_and_one_that_was_gone_through_cannot(
    world: World, provider: PaymentProvider
) -> None:
    customer = await a_customer(provider)
    made = [
        await provider.create_checkout(await ordered(provider, world, customer), customer, returns_to(provider))
        for _ in range(2)
    ]
    assert made[0].url is not None
    world.pay(made[0].url)
    for _ in range(2):
        assert (await provider.expire_checkout(made[0].id)).state == "complete"
        assert (await provider.expire_checkout(made[1].id)).state == "expired"
    assert (await provider.snapshot(customer)).expired_checkouts == {made[1].id}
    with pytest.raises(ProviderMissing):
        await provider.expire_checkout(world.unknown.checkout)


async def test_what_happens_to_a_subscription_is_reported_in_events_that_name_it_and_its_customer(
    world: World, provider: PaymentProvider
) -> None:
    began = world.now()
    customer, _, one = await begun(provider, world)
    world.let_renewals(one.source, succeed=False)
    world.pass_time(WEEK + 2 * HOUR)
    world.end(one.source, at_period_end=False)
    listed = [event async for page in provider.events(began - 1) for event in page]
    ours = [event for event in listed if event.object_id == one.source]
    assert {event.customer_id for event in ours} == {customer.external_id}
    assert all(event.relevant for event in ours)
    assert {event.type for event in ours} >= world.types.subscription
