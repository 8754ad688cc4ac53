"""J: subscriptions over time, on the real sandbox: renewed, failed and fixed, changed, paused, refunded, ended."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.faults.subscribing import DAY, GRACE, HOUR, RENEWED, WEEK, Shop, open_shop

from tollkeeper.billing.checkout import Completed
from tollkeeper.billing.entitlements import LATE
from tollkeeper.billing.reconcile import reconcile
from tollkeeper.billing.sweep import sweep
from tollkeeper.errors import AlreadyHeld, Refused, SubscriptionNeedsAction
from tollkeeper.model.access import Verdict
from tollkeeper.model.orders import OrderState
from tollkeeper.operating import operators
from tollkeeper.operating.explanations import answers
from tollkeeper.storage import customers, events, grants, orders
from tollkeeper.storage.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as shop:
        yield shop


async def test_j01_a_renewal_moves_the_end_and_nobody_is_locked_out_before_it_is_heard_of(shop: Shop) -> None:
    person, subscription = await shop.subscriber()
    found = await shop.found(person)
    assert found.period_end is not None
    assert await shop.until(person) == found.until == found.period_end + LATE
    assert (found.standing, found.price_id, found.quantity) == ("active", shop.weekly, 1)
    assert (found.renews_at, found.ends_at, found.payment) == (found.period_end, None, subscription)
    first = (await shop.grants(person))[0].reference
    shop.world.pass_time(RENEWED)
    assert await shop.held(person) == ["pro"]
    await shop.hear()
    assert await shop.until(person) == found.until + WEEK
    ((grant, *none), changes) = (await shop.grants(person), await shop.changes(person))
    assert (grant.reference != first, none, changes) == (True, [], ["granted", "extended"])
    await shop.hear()
    assert await shop.changes(person) == changes


async def test_j02_a_renewal_that_fails_leads_through_the_grace_to_suspension_until_it_is_fixed(shop: Shop) -> None:
    person, subscription = await shop.subscriber()
    shop.world.let_renewals(subscription, succeed=False)
    shop.world.pass_time(RENEWED)
    await shop.hear()
    failed = await shop.found(person)
    assert (failed.verdict, failed.standing, failed.until) == (Verdict.GRANTED, "past_due", await shop.until(person))
    assert failed.renews_at is None
    assert await shop.held(person) == ["pro"]
    with pytest.raises(AlreadyHeld):
        await shop.page(person)
    shop.world.pass_time(GRACE)
    await shop.hear()
    assert (await shop.found(person)).until == failed.until
    assert await shop.held(person) == []
    with pytest.raises(SubscriptionNeedsAction) as refused:
        await shop.page(person)
    assert refused.value.product == "pro"
    shop.world.let_renewals(subscription, succeed=True)
    await shop.hear()
    assert await shop.held(person) == ["pro"]
    assert await shop.changes(person) == ["granted", "extended", "restored"]


async def test_j02_anybody_who_comes_back_to_buy_after_fixing_is_let_in_although_no_event_reported(shop: Shop) -> None:
    person, subscription = await shop.subscriber()
    shop.world.let_renewals(subscription, succeed=False)
    shop.world.pass_time(RENEWED + GRACE)
    await shop.hear()
    shop.world.let_renewals(subscription, succeed=True)
    with pytest.raises(AlreadyHeld):
        await shop.page(person)


async def test_j02_a_credit_for_another_plan_does_not_make_a_failed_renewal_a_first_payment(shop: Shop) -> None:
    """Found by the simulator: of the present period something was paid, so what was paid before was not asked for."""
    person, subscription = await shop.subscriber()
    shop.world.let_renewals(subscription, succeed=False)
    shop.world.pass_time(RENEWED)
    v1 = shop.world.sandbox.stripe.v1
    item = v1.subscriptions.retrieve(subscription)["items"]["data"][0]["id"]
    cheaper: Any = {"items": [{"id": item, "price": shop.plain}], "proration_behavior": "always_invoice"}
    assert v1.subscriptions.update(subscription, cheaper).status == "active"
    await shop.hear()
    assert ((await shop.found(person)).verdict, await shop.held(person)) == (Verdict.GRANTED, ["basic"])


async def test_j03_an_end_that_is_set_is_kept_to_the_second_and_then_one_may_subscribe_again(shop: Shop) -> None:
    person, subscription = await shop.subscriber()
    shop.world.end(subscription, at_period_end=True)
    await shop.hear()
    ending = await shop.found(person)
    assert await shop.until(person) == ending.ends_at == ending.period_end == ending.until
    assert (ending.renews_at, await shop.changes(person)) == (None, ["granted", "shortened"])
    shop.world.pass_time(WEEK)
    assert await shop.held(person) == []
    await shop.hear()
    assert (await shop.found(person)).verdict is Verdict.ENDED
    assert await shop.changes(person) == ["granted", "shortened"]
    shop.world.pay(await shop.page(person))
    await shop.hear()
    assert await shop.held(person) == ["pro"]


async def test_j03_one_that_is_ended_at_once_closes_the_door_at_once(shop: Shop) -> None:
    person, subscription = await shop.subscriber()
    shop.world.end(subscription, at_period_end=False)
    await shop.hear()
    assert (await shop.held(person), await shop.changes(person)) == ([], ["granted", "ended"])
    assert (await shop.found(person)).verdict is Verdict.ENDED


async def test_j04_another_plan_counts_at_once_in_the_same_grant(shop: Shop) -> None:
    person, subscription = await shop.subscriber("basic")
    shop.world.change_plan(subscription, shop.weekly)
    await shop.hear()
    assert await shop.held(person) == ["pro"]
    shop.world.change_plan(subscription, shop.plain)
    await shop.hear()
    assert await shop.held(person) == ["basic"]
    assert await shop.changes(person) == ["granted", "changed", "changed"]
    assert len(await shop.grants(person)) == 1


async def test_j05_a_price_that_the_catalog_does_not_know_keeps_access_and_is_shown(shop: Shop) -> None:
    person, subscription = await shop.subscriber()
    stray = shop.world.price(1, interval="week")
    shop.world.change_plan(subscription, stray)
    await shop.hear()
    assert (await shop.held(person), await shop.changes(person)) == (["pro"], ["granted"])
    (odd,) = await shop.to_check()
    assert (odd.kind, odd.payment, odd.person_id) == ("unknown price", subscription, person.id)
    assert stray in odd.reason
    explained = await operators.why(shop.services, person.id)
    assert [one.source for one in explained.remarked] == [subscription]
    assert not explained.outdated
    shop.world.end(subscription, at_period_end=False)
    await shop.hear()
    assert await shop.to_check() == ()


async def test_j06_while_payments_are_paused_what_is_paid_counts_and_nothing_beyond(shop: Shop) -> None:
    person, subscription = await shop.subscriber()
    shop.world.pause_payments(subscription, True)
    await shop.hear()
    paid = (await shop.found(person)).period_end
    assert paid == await shop.until(person)
    shop.world.pass_time(RENEWED)
    await shop.hear()
    assert ((await shop.found(person)).verdict, await shop.held(person)) == (Verdict.SUSPENDED, [])
    shop.world.pause_payments(subscription, False)
    shop.world.pass_time(RENEWED)
    await shop.hear()
    assert await shop.held(person) == ["pro"]


async def test_j07_what_goes_back_of_this_period_ends_access_until_the_next_is_paid(shop: Shop) -> None:
    person, _ = await shop.subscriber()
    (grant,) = await shop.grants(person)
    assert grant.reference
    shop.world.refund(grant.reference, 900)
    await shop.hear()
    assert (await shop.held(person), (await shop.found(person)).verdict) == ([], Verdict.REVOKED)
    with pytest.raises(SubscriptionNeedsAction):
        await shop.page(person)
    shop.world.pass_time(RENEWED)
    await shop.hear()
    assert await shop.held(person) == ["pro"]
    assert await shop.changes(person) == ["granted", "revoked", "restored"]


async def test_j07_money_of_a_period_that_is_over_changes_nothing_when_it_goes_back(shop: Shop) -> None:
    person, _ = await shop.subscriber()
    (grant,) = await shop.grants(person)
    shop.world.pass_time(RENEWED)
    await shop.hear()
    assert grant.reference
    shop.world.refund(grant.reference, 900)
    await shop.hear()
    assert (await shop.held(person), await shop.changes(person)) == (["pro"], ["granted", "extended"])


@pytest.mark.parametrize(
    ("counts", "held", "after"), [(False, ["pro"], ["granted", "restored"]), (True, [], ["granted"])]
)
async def test_j07_disputes_of_periods_that_are_over_are_settled_at_once_and_end_access_where_they_count(
    shop: Shop, counts: bool, held: list[str], after: list[str]
) -> None:
    """Found by the simulator: each was reconciled by itself, and all at once, so that one superseded the other."""
    shop.sell(earlier_dispute_counts=counts)
    person, subscription = await shop.subscriber()
    v1 = shop.world.sandbox.stripe.v1
    customer = str(v1.subscriptions.retrieve(subscription).customer)
    for card in ("pm_card_createDispute", "pm_card_visa"):
        method = v1.payment_methods.attach(card, {"customer": customer})
        v1.subscriptions.update(subscription, {"default_payment_method": method.id})
        shop.world.pass_time(2 * WEEK + RENEWED)
    disputes = v1.disputes.list().data
    assert len(disputes) == 3
    await shop.hear()  # for the first time in six weeks
    reported = {
        one.object_id: one.outcome for one in await shop.services.database.read(events.newest, shop.services.mode, 100)
    }
    assert {reported[dispute.id] for dispute in disputes} == {"0 changed"}
    assert b'tollkeeper_reconciles_total{outcome="superseded"} 0.0' in shop.services.metrics.text()
    assert (await shop.held(person), await shop.changes(person)) == (held, after)
    assert (await shop.found(person)).verdict is (Verdict.REVOKED if counts else Verdict.GRANTED)


async def test_j08_a_trial_is_offered_once_and_costs_nothing_until_it_ends(shop: Shop) -> None:
    shop.sell(trial_days=2)
    person, subscription = await shop.subscriber()
    trial = await shop.found(person)
    assert (trial.standing, trial.trial_end, trial.amount) == ("trialing", trial.period_end, 0)
    shop.world.pass_time(2 * DAY + 2 * HOUR)
    await shop.hear()
    assert ((await shop.found(person)).standing, (await shop.found(person)).amount) == ("active", 900)
    shop.world.end(subscription, at_period_end=False)
    await shop.hear()
    for key in ("pro", "basic"):
        await shop.page(person, key)
    ordered = await shop.services.database.read(orders.in_mode, person.id, False)
    assert sorted((one.state, one.trial_days) for one in ordered) == [("complete", 2), ("open", None), ("open", None)]


async def test_j08_a_trial_without_a_card_ends_unless_there_is_one(shop: Shop) -> None:
    shop.sell(trial_days=2, trial_without_card=True)
    person, _ = await shop.subscriber()
    assert await shop.held(person) == ["pro"]
    shop.world.pass_time(2 * DAY + 2 * HOUR)
    await shop.hear()
    assert (await shop.held(person), (await shop.found(person)).verdict) == ([], Verdict.ENDED)


async def test_j08_two_tabs_cannot_begin_two_trials(shop: Shop) -> None:
    shop.sell(trial_days=2)
    for _ in range(3):
        person = await shop.newcomer()
        await asyncio.gather(*(shop.page(person, key) for key in ("pro", "basic", "pro", "basic")))
        ordered = await shop.services.database.read(orders.in_mode, person.id, False)
        assert sorted(one.trial_days or 0 for one in ordered) == [0, 2]


async def test_j08_a_trial_that_nobody_took_is_offered_again(shop: Shop) -> None:
    shop.sell(trial_days=2)
    person = await shop.newcomer()
    await shop.page(person)
    (left,) = await shop.services.database.read(orders.in_mode, person.id, False)
    assert left.checkout_id
    shop.world.expire(left.checkout_id)
    await shop.hear()
    await shop.page(person, "basic")
    offered = await shop.services.database.read(orders.in_mode, person.id, False)
    assert sorted((one.product, one.state, one.trial_days) for one in offered) == [
        ("basic", "open", 2),
        ("pro", "expired", 2),
    ]


async def test_j09_another_choice_closes_the_page_of_the_first(shop: Shop) -> None:
    person = await shop.newcomer()
    first = await shop.page(person, price_id=shop.weekly)
    assert await shop.page(person) == first
    second = await shop.page(person, price_id=shop.yearly)
    assert second != first
    assert await shop.page(person) == second
    assert await open_pages(shop) == 1
    shop.world.pay(second)
    await shop.hear()
    assert (await shop.found(person)).price_id == shop.yearly
    with pytest.raises(AlreadyHeld):
        await shop.page(person, price_id=shop.weekly)


async def test_j09_a_choice_that_was_paid_already_stands(shop: Shop) -> None:
    person = await shop.newcomer()
    shop.world.pay(await shop.page(person, price_id=shop.weekly))
    found = await shop.checkout_service.begin(person, shop.product(), shop.yearly)
    assert isinstance(found, Completed)
    assert (await shop.found(person)).price_id == shop.weekly
    assert await open_pages(shop) == 0


async def test_j09_tabs_with_several_choices_leave_one_page_at_most(shop: Shop) -> None:
    person = await shop.newcomer()
    await asyncio.gather(
        *(shop.page(person, price_id=price) for price in (shop.weekly, shop.yearly, shop.once) * 2),
        return_exceptions=True,
    )
    assert await open_pages(shop) <= 1  # none, where each tab gave up for another


async def open_pages(shop: Shop) -> int:
    return len(shop.world.sandbox.stripe.v1.checkout.sessions.list({"status": "open", "limit": 100}).data)


@pytest.mark.parametrize("price", ["plain", "price_unknown"])
async def test_j09_only_what_is_on_sale_can_be_chosen(shop: Shop, price: str) -> None:
    person = await shop.newcomer()
    with pytest.raises(Refused) as refused:
        await shop.page(person, price_id=getattr(shop, price, price))
    assert refused.value.status == 404
    assert await shop.services.database.read(orders.in_mode, person.id, False) == ()


async def test_j10_one_made_by_hand_opens_no_door_until_an_operator_decides(shop: Shop) -> None:
    person = await shop.newcomer()
    await shop.page(person)
    customer = await shop.services.database.read(customers.of_person, person.id, await shop.services.realm())
    assert customer is not None
    made = shop.world.subscribe_by_hand(customer.external_id, shop.weekly)
    await shop.hear()
    assert (await shop.held(person), (await shop.found(person)).verdict) == ([], Verdict.UNCLAIMED)
    (odd,) = await shop.to_check()
    assert (odd.kind, odd.payment, odd.person_id) == ("unclaimed", made, person.id)
    assert "End and refund it" in odd.remedy
    await operators.grant(shop.services, person.id, "pro", note="By hand.", payment=made)
    shop.world.pass_time(RENEWED)
    await shop.hear()
    assert (await shop.to_check(), await shop.held(person)) == ((), ["pro"])


async def test_j10_one_of_a_stranger_is_shown_too(shop: Shop) -> None:
    stranger = shop.world.sandbox.stripe.v1.customers.create({"email": "stranger@example.com"}).id
    made = shop.world.subscribe_by_hand(stranger, shop.weekly)
    await shop.hear()
    (odd,) = await shop.to_check()
    assert (odd.kind, odd.payment, odd.email) == ("unclaimed", made, "stranger@example.com")
    assert (odd.amount, odd.person_id) == (900, None)


async def test_j11_what_no_event_reported_the_sweep_finds(shop: Shop) -> None:
    person, subscription = await shop.subscriber()
    realm = await shop.services.realm()
    shop.world.pass_time(RENEWED)
    assert await sweep(shop.services, realm, HOUR)
    assert await shop.changes(person) == ["granted", "extended"]
    shop.world.end(subscription, at_period_end=False)
    shop.world.pass_time(HOUR)
    assert await sweep(shop.services, realm, HOUR)
    assert await shop.held(person) == []
    before = await shop.changes(person)
    await shop.hear()  # of everything, late and in the wrong order
    assert await shop.changes(person) == before == ["granted", "extended", "ended"]


async def test_j12_a_subscription_next_to_what_is_held_for_good_is_bought_twice(shop: Shop) -> None:
    person = await shop.newcomer()
    shop.world.pay(await shop.page(person, price_id=shop.once))
    other = await shop.newcomer()
    await shop.hear()
    assert await shop.held(person) == ["pro"]
    shop.world.pay(await shop.page(person, "basic"))
    shop.world.pay(await shop.page(other, "basic"))
    await shop.hear()
    (basic,) = [one for one in await shop.grants(person) if one.product == "basic"]
    for price in (shop.plain, shop.weekly):  # another plan, of the very product that is held for good
        shop.world.change_plan(basic.source, price)
        await shop.hear()
        (odd,) = await shop.to_check()
        assert (odd.kind, odd.payment, odd.person_id) == ("bought twice", basic.source, person.id)
        assert odd.remedy == "End and refund it at the provider; access stays."


async def test_j13_what_an_operator_took_back_no_renewal_gives_again(shop: Shop) -> None:
    person, _ = await shop.subscriber()
    await operators.revoke(shop.services, person.id, "pro", note="Shared a login.")
    shop.world.pass_time(RENEWED)
    await shop.hear()
    assert (await shop.held(person), await shop.changes(person)) == ([], ["granted", "revoked"])
    with pytest.raises(SubscriptionNeedsAction):
        await shop.page(person)
    # And to look again is no change of access, which the sweep would report each time.
    (customer,) = await shop.services.database.read(customers.all_of_person, person.id, await shop.services.realm())
    assert (await reconcile(shop.services, customer, evidence="sweep")).changes == 0


async def test_j14_an_operator_is_told_in_a_sentence(shop: Shop) -> None:
    person, subscription = await shop.subscriber()
    shop.world.let_renewals(subscription, succeed=False)
    shop.world.pass_time(RENEWED + GRACE)
    explained = await operators.why(shop.services, person.id)
    assert not explained.outdated
    (dashboard, _) = answers(explained, shop.services.catalog)
    assert dashboard.sentence.startswith("Nova Example may not use dashboard, because the access that subscription")
    await shop.hear()
    (dashboard, _) = answers(await operators.why(shop.services, person.id), shop.services.catalog)
    assert "it was not renewed: the payment that was due on" in dashboard.sentence
    shop.world.let_renewals(subscription, succeed=True)
    explained = await operators.why(shop.services, person.id)
    assert explained.outdated
    await shop.hear()
    (dashboard, _) = answers(await operators.why(shop.services, person.id), shop.services.catalog)
    assert (dashboard.allowed, f"because subscription {subscription} of" in dashboard.sentence) == (True, True)
    assert "is paid until" in dashboard.sentence


async def test_j15_an_order_is_complete_when_its_own_page_was_gone_through(shop: Shop) -> None:
    person, _ = await shop.subscriber()
    (order,) = await shop.services.database.read(orders.in_mode, person.id, False)
    assert (order.state, order.recurring, order.trial_days) == (OrderState.COMPLETE, True, None)
    (given,) = await shop.services.database.read(grants.of_order, order)
    assert given.product == "pro"
