"""K: edge cases of a subscription's money: ended trials, drafts, written-off invoices, late money, earlier periods."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.faults.subscribing import DAY, GRACE, HOUR, RENEWED, WEEK, Shop, open_shop

from tollkeeper.billing.sweep import sweep
from tollkeeper.model.access import Verdict
from tollkeeper.model.bought import Bill
from tollkeeper.model.people import Person
from tollkeeper.operating import operators
from tollkeeper.operating.explanations import PaymentIssue, answers, remarks
from tollkeeper.reasons import Code
from tollkeeper.storage.database import Database

pytestmark = pytest.mark.anyio

TRIAL = 2 * DAY


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with open_shop(database) as shop:
        yield shop


def v1(shop: Shop) -> Any:
    return shop.world.sandbox.stripe.v1


def invoices(shop: Shop, subscription: str) -> list[Any]:
    """Newest first."""
    return list(v1(shop).invoices.list({"subscription": subscription}).data)


def control(shop: Shop, name: str, **reported: str) -> None:
    """What the account's owner sets in the dashboard."""
    shop.world.set(name, **reported)


def use(shop: Shop, subscription: str, method: str) -> None:
    """Pay with another card or account from now on."""
    calls = v1(shop)
    customer = str(calls.subscriptions.retrieve(subscription).customer)
    attached = calls.payment_methods.attach(method, {"customer": customer})
    calls.subscriptions.update(subscription, {"default_payment_method": attached.id})


async def sentence(shop: Shop, person: Person, feature: str = "reports") -> str:
    explained = await operators.why(shop.services, person.id)
    return next(one.sentence for one in answers(explained, shop.services.catalog) if one.feature == feature)


async def cases(shop: Shop) -> list[PaymentIssue]:
    return list(await shop.to_check())


async def reason(shop: Shop, person: Person) -> Code:
    return (await shop.found(person)).reason.code


async def no_gap(shop: Shop, person: Person, seconds: int, step: int = 6 * HOUR) -> None:
    """Time passes, and there is access all the while."""
    while seconds > 0:
        shop.world.pass_time(min(step, seconds))
        seconds -= step
        assert await shop.held(person) == ["pro"]
        await shop.hear()
        assert await shop.held(person) == ["pro"]


@pytest.mark.parametrize("draft", [0, HOUR, 71 * HOUR])
async def test_k63_a_trial_becomes_a_paid_subscription_without_a_gap(shop: Shop, draft: int) -> None:
    control(shop, "drafts", seconds=str(draft))
    shop.sell(trial_days=2)
    person, _ = await shop.subscriber()
    await no_gap(shop, person, TRIAL + draft + HOUR)
    found = await shop.found(person)
    assert (found.reason.code, found.amount) == (Code.SUBSCRIBED, 900)
    assert set(await shop.changes(person)) <= {"granted", "extended", "shortened"}


async def test_k64_a_trial_that_is_paid_by_debit_goes_on_until_the_bank_has_spoken(shop: Shop) -> None:
    for fate, days, after in (("pm_success_de", 5, ["pro"]), ("pm_failed_de", 5, [])):
        control(shop, "debits", seconds=str(days * DAY))
        shop.sell(trial_days=2)
        person, subscription = await shop.subscriber()
        use(shop, subscription, fate)
        await no_gap(shop, person, TRIAL + days * DAY)
        assert await reason(shop, person) is Code.RENEWING
        assert "on its way" in await sentence(shop, person)
        shop.world.pass_time(2 * HOUR)
        await shop.hear()
        assert await shop.held(person) == after


async def test_k64_no_debit_is_waited_for_longer_than_a_fortnight(shop: Shop) -> None:
    control(shop, "debits", seconds=str(60 * DAY))
    shop.sell(trial_days=2)
    person, subscription = await shop.subscriber(price_id=shop.yearly)
    use(shop, subscription, "pm_success_de")
    await no_gap(shop, person, TRIAL + 14 * DAY, step=DAY)
    shop.world.pass_time(2 * HOUR)
    assert await shop.held(person) == []


async def test_k64_the_first_real_payment_after_a_month_for_nothing(shop: Shop) -> None:
    coupon = v1(shop).coupons.create({"percent_off": 100, "duration": "once"})
    code = v1(shop).promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}}).code
    shop.sell(promotion_codes=True)
    person = await shop.newcomer()
    shop.world.pay(await shop.page(person), code)
    await shop.hear()
    assert (await shop.found(person)).amount == 0
    await no_gap(shop, person, WEEK + 2 * HOUR)
    assert (await shop.found(person)).amount == 900
    assert set(await shop.changes(person)) == {"granted", "extended"}


@pytest.mark.parametrize("days", [0, 3])
async def test_k65_a_payment_at_a_trial_s_end_that_fails_has_a_grace_of_its_own(shop: Shop, days: int) -> None:
    shop.sell(trial_days=2, trial_grace_days=days)
    person, subscription = await shop.subscriber()
    shop.world.let_renewals(subscription, succeed=False)
    shop.world.pass_time(TRIAL + 2 * HOUR)
    await shop.hear()
    assert (await shop.held(person), await reason(shop, person)) == (["pro"] if days else [], Code.RENEWAL_FAILED)
    shop.world.pass_time(days * DAY)
    assert await shop.held(person) == []
    shop.world.let_renewals(subscription, succeed=True)
    await shop.hear()
    assert await shop.held(person) == ["pro"]


@pytest.mark.parametrize("how", ["void_invoice", "mark_uncollectible"])
async def test_k66_what_is_written_off_is_not_paid_and_opens_no_second_grace(shop: Shop, how: str) -> None:
    person, subscription = await shop.subscriber()
    shop.world.let_renewals(subscription, succeed=False)
    shop.world.pass_time(RENEWED)
    await shop.hear()
    grace_ends = await shop.until(person)
    assert await shop.held(person) == ["pro"]
    getattr(v1(shop).invoices, how)(invoices(shop, subscription)[0].id)
    assert v1(shop).subscriptions.retrieve(subscription).status == "active"
    await shop.hear()
    assert (await shop.until(person), await shop.held(person)) == (grace_ends, ["pro"])
    assert "has not been paid since" in await sentence(shop, person)
    shop.world.pass_time(3 * DAY)
    await shop.hear()
    assert await shop.held(person) == []
    shop.world.let_renewals(subscription, succeed=True)
    shop.world.pass_time(WEEK)
    await shop.hear()
    assert (await shop.held(person), (await shop.found(person)).amount) == (["pro"], 900)


async def test_k66_a_credit_for_a_plan_that_was_not_paid_pays_for_nothing(shop: Shop) -> None:
    person, subscription = await shop.subscriber()
    use(shop, subscription, "pm_card_chargeCustomerFail")
    shop.world.pass_time(DAY)
    failed_at = shop.services.clock()
    shop.world.change_plan(subscription, shop.yearly)
    shop.world.pass_time(HOUR)
    shop.world.change_plan(subscription, shop.weekly)
    await shop.hear()
    assert v1(shop).subscriptions.retrieve(subscription).status == "active"
    assert await shop.until(person) in range(failed_at, failed_at + GRACE + 60)
    assert "credited for a plan that was not paid" in await sentence(shop, person)
    for _ in range(3):  # which Stripe pays out of the credit
        shop.world.pass_time(RENEWED)
        await shop.hear()
        assert await shop.held(person) == []
    use(shop, subscription, "pm_card_visa")
    owed = next(one.id for one in invoices(shop, subscription) if one.status == "open")
    v1(shop).invoices.pay(owed)
    await shop.hear()
    assert await shop.held(person) == ["pro"]


async def test_k67_a_renewal_that_stays_a_draft_is_a_failed_one_and_is_reported_at_once(shop: Shop) -> None:
    person, subscription = await shop.subscriber(price_id=shop.yearly)
    assert await cases(shop) == []
    control(shop, "drafts", seconds="never")
    shop.world.pass_time(365 * DAY + 2 * HOUR)
    # No event: the first sweep tells.
    assert await sweep(shop.services, await shop.services.realm(), 0)
    (case,) = await cases(shop)
    assert (case.kind, case.payment) == ("not finalized", subscription)
    draft = invoices(shop, subscription)[0]
    assert draft.last_finalization_error.message in case.reason
    assert await shop.until(person) == (await shop.found(person)).invoices[0].starts + 3 * DAY
    shop.world.pass_time(3 * DAY)
    await shop.hear()
    assert await shop.held(person) == []
    assert "a draft, payment not requested" in await sentence(shop, person)
    control(shop, "drafts", seconds="3600")
    v1(shop).invoices.pay(draft.id)
    await shop.hear()
    assert (await shop.held(person), await cases(shop)) == (["pro"], [])


@pytest.mark.parametrize("behavior", ["void", "mark_uncollectible", "keep_as_draft"])
async def test_k68_months_of_a_pause_stay_unpaid_and_what_is_paid_counts(shop: Shop, behavior: str) -> None:
    person, subscription = await shop.subscriber()
    v1(shop).subscriptions.update(subscription, {"pause_collection": {"behavior": behavior}})
    for _ in range(3):
        shop.world.pass_time(WEEK)
        await shop.hear()
    assert (await shop.held(person), await reason(shop, person)) == ([], Code.COLLECTION_PAUSED)
    v1(shop).subscriptions.update(subscription, {"pause_collection": ""})
    await shop.hear()
    assert await shop.held(person) == []
    shop.world.pass_time(RENEWED)
    await shop.hear()
    found = await shop.found(person)
    assert (await shop.held(person), found.reason.code) == (["pro"], Code.SUBSCRIBED)
    assert {one.bill for one in found.invoices[1:-1]} <= {Bill.VOID, Bill.UNCOLLECTIBLE, Bill.DRAFT}


async def test_k69_money_that_comes_after_the_end_is_listed_and_gives_no_access(shop: Shop) -> None:
    person, subscription = await shop.subscriber()
    shop.world.let_renewals(subscription, succeed=False)
    shop.world.pass_time(RENEWED)
    shop.world.end(subscription, at_period_end=False)
    await shop.hear()
    assert (await shop.held(person), await cases(shop)) == ([], [])
    shop.world.pass_time(9 * DAY)
    late = v1(shop).invoices.pay(invoices(shop, subscription)[0].id, {"payment_method": "pm_card_visa"})
    await shop.hear()
    (case,) = await cases(shop)
    assert (case.kind, case.payment, case.person_id) == ("paid after the end", subscription, person.id)
    assert late.id in case.reason
    assert "€9.00" in case.reason
    assert await shop.held(person) == []
    explained = await operators.why(shop.services, person.id)
    assert [one.source for one in explained.remarked] == [subscription]
    (paid,) = [one for one in explained.payments[0].invoices if one.id == late.id]
    v1(shop).refunds.create({"payment_intent": paid.reference})
    await shop.hear()
    assert await cases(shop) == []


def dispute(shop: Shop, reference: str, how: str = "") -> None:
    path = f"/control/payments/{reference}/dispute"
    shop.world.press(path, reason="product_not_received")
    if how:
        shop.world.press(f"/control/disputes/{v1(shop).disputes.list().data[0].id}/{how}")


@pytest.mark.parametrize("how", ["win", "lose"])
async def test_k70_a_dispute_about_an_earlier_period_holds_for_the_whole_subscription(shop: Shop, how: str) -> None:
    person, subscription = await shop.subscriber()
    first = (await shop.grants(person))[0].reference or ""
    shop.world.pass_time(RENEWED)
    await shop.hear()
    dispute(shop, first)
    await shop.hear()
    assert (await shop.held(person), (await shop.found(person)).verdict) == ([], Verdict.SUSPENDED)
    assert "an earlier payment" in await sentence(shop, person)
    shop.world.press(f"/control/disputes/{v1(shop).disputes.list().data[0].id}/{how}")
    await shop.hear()
    if how == "win":
        assert (await shop.held(person), await cases(shop)) == (["pro"], [])
        assert await shop.changes(person) == ["granted", "extended", "suspended", "restored"]
        return
    assert (await shop.held(person), (await shop.found(person)).verdict) == ([], Verdict.REVOKED)
    (case,) = await cases(shop)
    assert (case.kind, case.remedy) == (
        "disputed",
        f"To end the subscription: tollkeeper end {subscription} --note WHY",
    )
    ended = await operators.end(shop.services, subscription, note="The dispute was lost.")
    assert ended is not None
    assert (ended.verdict, await cases(shop)) == (Verdict.ENDED, [])
    assert v1(shop).subscriptions.retrieve(subscription).status == "canceled"


async def test_k70_a_seller_may_want_to_be_told_and_no_more(shop: Shop) -> None:
    shop.sell(earlier_dispute_counts=False)
    person, _ = await shop.subscriber()
    first = (await shop.grants(person))[0].reference or ""
    shop.world.pass_time(RENEWED)
    await shop.hear()
    dispute(shop, first)
    await shop.hear()
    assert await shop.held(person) == ["pro"]
    assert [one.kind for one in await cases(shop)] == ["disputed"]


async def test_k71_a_refund_of_an_earlier_period_is_shown_and_changes_nothing(shop: Shop) -> None:
    person, _ = await shop.subscriber()
    first = (await shop.grants(person))[0].reference or ""
    shop.world.pass_time(RENEWED)
    await shop.hear()
    shop.world.refund(first, 900)
    await shop.hear()
    assert (await shop.held(person), await shop.changes(person)) == (["pro"], ["granted", "extended"])
    explained = await operators.why(shop.services, person.id)
    (reported,) = remarks(explained, shop.services.catalog)
    assert "€9.00" in reported
    assert "refunded in full" in reported
    (earlier,) = (await shop.found(person)).earlier_invoices
    assert (earlier.refunded, earlier.reference) == (900, first)


async def test_k72_an_invoice_of_many_lines_and_years_of_invoices_are_read_to_their_end(shop: Shop) -> None:
    person, subscription = await shop.subscriber()
    more = [{"price": shop.world.price(100, interval="week")} for _ in range(13)]
    v1(shop).subscriptions.update(subscription, {"items": more, "proration_behavior": "none"})
    shop.world.pass_time(RENEWED)
    await shop.hear()
    newest, found = invoices(shop, subscription)[0], await shop.found(person)
    assert (len(newest.lines.data), newest.lines.has_more) == (10, True)
    assert (found.invoices[0].bill, found.invoices[0].total, found.amount) == (Bill.PAID, 2200, 2200)
    assert (await shop.held(person), (await cases(shop))[0].reason.count("price_")) == (["pro"], 13)
    for _ in range(105):
        shop.world.pass_time(WEEK)
    await shop.hear()
    found = await shop.found(person)
    assert (len(found.invoices), found.reason.code) == (107, Code.SUBSCRIBED)
