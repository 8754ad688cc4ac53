"""Scheduled changes: renewals, repeated attempts to collect, and the same ledger however time is moved."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx2
import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from tests.sandbox.stripe.subscribing import DAY, START, monthly, subscriber
from tests.sandbox.stripe.support import KEY, Running, card_form, running

from tollkeeper_sandbox.stripe import StripeSandbox

HOUR = 3600
FIRST_RENEWAL = 28 * DAY + HOUR  # from the last of January to the last of February, and an hour as a draft
RETRIES = [FIRST_RENEWAL + days * DAY for days in (0, 3, 8, 15)]


@pytest.fixture
def own() -> Iterator[Running]:
    """A sandbox whose time and settings are the test's own."""
    with running() as made:
        yield made


def set_unpaid(sandbox: Running, outcome: str) -> None:
    sandbox.browser.post(f"{sandbox.url}/control/unpaid", data={"outcome": outcome})


def act(sandbox: Running, subscription: Any, move: str) -> httpx2.Response:
    return sandbox.browser.post(f"{sandbox.url}/control/subscriptions/{subscription.id}/{move}")


def test_it_is_renewed_on_the_month_s_last_day(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    buyer.go_to(2027, 5, 1)
    days = [datetime.fromtimestamp(one.created, UTC) for one in buyer.invoices(made)]
    assert [(day.month, day.day, day.hour) for day in days] == [(1, 31, 10), (2, 28, 10), (3, 31, 10), (4, 30, 10)]
    assert [one.lines.data[0].period.start for one in buyer.invoices(made)] == [
        one.created for one in buyer.invoices(made)
    ]
    numbers = [str(one.number).rpartition("-")[2] for one in buyer.invoices(made)]
    assert numbers == ["0001", "0002", "0003", "0004"]


def test_a_renewal_s_invoice_is_a_draft_for_an_hour(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    buyer.go(28 * DAY)
    draft = buyer.invoices(made)[-1]
    assert (draft.status, draft.number, draft.hosted_invoice_url) == ("draft", None, None)
    assert draft.automatically_finalizes_at == buyer.now + HOUR
    assert buyer.read(made)["items"].data[0].current_period_start == buyer.now
    buyer.go(HOUR)
    assert buyer.invoices(made)[-1].status == "paid"
    assert buyer.events_about(made)[-8:] == [
        ("customer.subscription.updated", 0),
        ("invoice.created", 28 * DAY),
        ("customer.subscription.updated", 28 * DAY),
        *((f"invoice.{name}", FIRST_RENEWAL) for name in ("finalized", "paid", "payment_succeeded", "updated")),
        ("invoice_payment.paid", FIRST_RENEWAL),
    ]


@pytest.mark.parametrize(
    ("outcome", "status"), [("canceled", "canceled"), ("unpaid", "unpaid"), ("past_due", "past_due")]
)
def test_what_cannot_be_collected_is_tried_four_times(own: Running, outcome: str, status: str) -> None:
    buyer = subscriber(own)
    made = buyer.subscribe()
    set_unpaid(own, outcome)
    buyer.use_card("chargeCustomerFail")
    buyer.go(28 * DAY + HOUR)
    invoice = buyer.invoices(made)[-1]
    assert (buyer.read(made).status, invoice.status, invoice.attempt_count) == ("past_due", "open", 1)
    assert invoice.next_payment_attempt == buyer.now + 3 * DAY
    buyer.go(16 * DAY)
    invoice = buyer.invoices(made)[-1]
    assert (buyer.read(made).status, invoice.status, invoice.attempt_count) == (status, "open", 4)
    assert invoice.next_payment_attempt is None
    failures = [at for type_, at in buyer.events_about(made) if type_ == "invoice.payment_failed"]
    assert failures == RETRIES
    if outcome == "canceled":
        assert buyer.read(made).cancellation_details.reason == "payment_failed"
        assert buyer.events_about(made)[-1] == ("customer.subscription.deleted", RETRIES[-1])


def test_a_fixed_card_pays_at_the_next_try(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    assert act(stripe_sandbox, made, "fail").status_code == 200
    buyer.go(28 * DAY + HOUR)
    assert buyer.read(made).status == "past_due"
    assert act(stripe_sandbox, made, "replace-card").json()["default_payment_method"]
    buyer.go(3 * DAY)
    assert (buyer.read(made).status, buyer.invoices(made)[-1].attempt_count) == ("active", 2)


def test_a_customer_pays_in_between(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    buyer.use_card("chargeCustomerFail")
    buyer.go(28 * DAY + HOUR)
    owed = buyer.invoices(made)[-1]
    with pytest.raises(stripe.CardError) as refused:
        stripe_sandbox.sdk.v1.invoices.pay(owed.id)
    assert refused.value.code == "card_declined"
    charges = stripe_sandbox.sdk.v1.charges.list({"customer": buyer.customer}).data
    assert [one.status for one in charges] == ["failed", "failed", "succeeded"]
    assert buyer.invoices(made)[-1].attempt_count == 1  # only automatic tries count after the first
    paid = stripe_sandbox.sdk.v1.invoices.pay(owed.id, {"payment_method": "pm_card_visa"})
    assert (paid.status, paid.next_payment_attempt, buyer.read(made).status) == ("paid", None, "active")
    buyer.go(10 * DAY)
    assert buyer.invoices(made)[-1].attempt_count == 1


def test_an_unpaid_one_makes_drafts_until_the_newest_invoice_is_paid(own: Running) -> None:
    buyer = subscriber(own)
    made = buyer.subscribe()
    set_unpaid(own, "unpaid")
    buyer.use_card("chargeCustomerFail")
    buyer.go(65 * DAY)
    assert [one.status for one in buyer.invoices(made)] == ["paid", "open", "draft"]
    paid = own.sdk.v1.invoices.pay(buyer.invoices(made)[-1].id, {"payment_method": "pm_card_visa"})
    assert (paid.status, buyer.read(made).status) == ("paid", "active")


def test_a_card_that_always_asks_needs_its_owner(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox, "authenticationRequired")
    made = buyer.subscribe(trial_period_days=7)
    buyer.go(7 * DAY + HOUR)
    events_about = [type_ for type_, _ in buyer.events_about(made)]
    assert "invoice.payment_action_required" in events_about
    (link,) = stripe_sandbox.sdk.v1.invoice_payments.list({"invoice": buyer.invoices(made)[-1].id}).data
    payment = stripe_sandbox.sdk.v1.payment_intents.retrieve(str(link.payment.payment_intent))
    assert (payment.status, buyer.read(made).status) == ("requires_action", "past_due")


def test_a_voided_or_written_off_invoice_is_owed_no_more(stripe_sandbox: Running) -> None:
    invoices = stripe_sandbox.sdk.v1.invoices
    for close, status in ((invoices.void_invoice, "void"), (invoices.mark_uncollectible, "uncollectible")):
        buyer = subscriber(stripe_sandbox)
        made = buyer.subscribe()
        buyer.use_card("chargeCustomerFail")
        buyer.go(28 * DAY + HOUR)
        assert close(buyer.invoices(made)[-1].id).status == status
        assert buyer.read(made).status == "active"
        with pytest.raises(stripe.InvalidRequestError):
            close(buyer.invoices(made)[0].id)


def test_without_a_first_payment_nothing_begins(stripe_sandbox: Running) -> None:
    invoices = stripe_sandbox.sdk.v1.invoices
    for close in (invoices.void_invoice, invoices.mark_uncollectible):
        buyer = subscriber(stripe_sandbox, "chargeCustomerFail")
        made = buyer.subscribe()
        close(str(made.latest_invoice))
        assert buyer.read(made).status == "incomplete_expired"


def test_money_from_elsewhere_counts(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox, "chargeCustomerFail")
    made = buyer.subscribe()
    paid = stripe_sandbox.sdk.v1.invoices.pay(str(made.latest_invoice), {"paid_out_of_band": True})
    assert (paid.status, buyer.read(made).status) == ("paid", "active")


def test_the_sandbox_s_own_clock_renews_too(own: Running) -> None:
    session = own.checkout(monthly(own), mode="subscription")
    own.pay(session)
    made: Any = own.read(session, "subscription").subscription
    renewed = act(own, made, "renew").json()
    assert renewed["items"]["data"][0]["current_period_start"] == made["items"].data[0].current_period_end
    assert own.sdk.v1.invoices.list({"subscription": made.id}).data[0].status == "paid"
    act(own, made, "fail")
    assert act(own, made, "renew").json()["status"] == "past_due"
    assert act(own, made, "cancel").json()["status"] == "canceled"
    refused = act(own, made, "renew")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "resource_missing")
    clock = own.browser.get(f"{own.url}/control/clock").json()
    moved = own.browser.post(f"{own.url}/control/clock/forward", data={"days": "2", "hours": "3"}).json()
    assert moved["ahead"] == clock["ahead"] + 2 * DAY + 3 * HOUR


@pytest.mark.parametrize("form", [{"days": "-1"}, {"days": "1.5"}, {"hours": "999999"}, {"days": "99999"}])
def test_time_moves_by_whole_days_and_not_back(stripe_sandbox: Running, form: dict[str, str]) -> None:
    assert stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/clock/forward", data=form).status_code == 400


def test_what_becomes_of_the_unpaid_is_one_of_three(stripe_sandbox: Running) -> None:
    refused = stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/unpaid", data={"outcome": "forgiven"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "outcome")


def test_a_browser_is_led_back(stripe_sandbox: Running) -> None:
    made = subscriber(stripe_sandbox).subscribe()
    html = {"Accept": "text/html"}
    moves = {
        f"/control/subscriptions/{made.id}/fail": f"/control/objects/{made.id}",
        "/control/clock/forward": "/#time",
    }
    for path, back in moves.items():
        answer = stripe_sandbox.browser.post(f"{stripe_sandbox.url}{path}", headers=html, data={"days": "0"})
        assert (answer.status_code, answer.headers["Location"]) == (303, back)


def test_the_control_page_shows_what_renews(own: Running) -> None:
    buyer = subscriber(own)
    made = buyer.subscribe()
    page = own.browser.get(own.url).text
    for words in (made.id, "$20.00 per month", "renews 2027-02-28", "Let the next renewal fail", "Move time"):
        assert words in page
    buyer.update(made, cancel_at_period_end=True)
    assert "ends 2027-02-28" in own.browser.get(f"{own.url}/control/objects/{made.id}").text


def test_a_test_clock_goes_forward_alone(stripe_sandbox: Running) -> None:
    clocks = stripe_sandbox.sdk.v1.test_helpers.test_clocks
    made = clocks.create({"frozen_time": START, "name": "mine"})
    moved = clocks.advance(made.id, {"frozen_time": START + DAY})
    assert (moved.status, moved.frozen_time) == ("advancing", START)
    details: Any = moved.status_details
    assert details.advancing.target_frozen_time == START + DAY
    assert (clocks.retrieve(made.id).status, clocks.retrieve(made.id).frozen_time) == ("ready", START + DAY)
    for wrong in (START, START + 11 * 366 * DAY):
        with pytest.raises(stripe.InvalidRequestError):
            clocks.advance(made.id, {"frozen_time": wrong})
    buyer = stripe_sandbox.sdk.v1.customers.create({"test_clock": made.id})
    assert (buyer.created, buyer.test_clock) == (START + DAY, made.id)
    assert clocks.delete(made.id).deleted
    assert stripe_sandbox.sdk.v1.customers.retrieve(buyer.id).deleted
    assert made.id not in [one.id for one in clocks.list().data]
    with pytest.raises(stripe.InvalidRequestError):
        clocks.advance(made.id, {"frozen_time": START + 2 * DAY})


class Shop:
    """A sandbox in this process, whose ids are numbers and whose time only its control API moves."""

    def __init__(self) -> None:
        numbers = count(1)
        self.sandbox = StripeSandbox(
            base_url="http://sandbox.test", clock=lambda: START, token=lambda size: f"{next(numbers):0{2 * size}x}"
        )
        transport = httpx2.ASGITransport(Starlette(routes=self.sandbox.routes))
        headers = {"Authorization": f"Bearer {KEY}"}
        self.client = httpx2.AsyncClient(base_url="http://sandbox.test", transport=transport, headers=headers)

    async def post(self, path: str, **form: str) -> Any:
        answer = await self.client.post(path, data=form)
        assert answer.status_code in (200, 303), answer.text
        return answer.json() if answer.status_code == 200 else None

    async def subscribe(self, interval: str, card: str, trial: int) -> None:
        price = {"currency": "eur", "unit_amount": "500", "recurring[interval]": interval}
        made = await self.post("/v1/prices", **price, **{"product_data[name]": "Tea"})
        form = {"mode": "subscription", "success_url": "http://merchant.test/"}
        form |= {"line_items[0][price]": made["id"], "line_items[0][quantity]": "1"}
        form |= {"subscription_data[trial_period_days]": str(trial)} if trial else {}
        session = await self.post("/v1/checkout/sessions", **form)
        await self.post(f"/c/pay/{session['id']}", **card_form(card))

    async def move(self, ahead: int) -> None:
        answer = await self.client.post("/control/clock", json={"ahead": ahead})
        assert answer.status_code == 200, answer.text

    def ledger(self) -> list[tuple[Any, ...]]:
        later = self.sandbox.ledger.rows("SELECT object, outcome, at FROM later ORDER BY at, object")
        return [tuple(row) for row in [*self.sandbox.ledger.rows("SELECT * FROM objects ORDER BY seq"), *later]]


GOOD, FAILING = "4242424242424242", "4000000000000341"
BUYERS = st.lists(
    st.tuples(
        st.sampled_from(["day", "week", "month"]),
        st.sampled_from([(GOOD, 0), (GOOD, 2), (GOOD, 10), (FAILING, 2), (FAILING, 10)]),
    ),
    min_size=1,
    max_size=3,
)


@given(BUYERS, st.lists(st.integers(1, 40 * DAY), max_size=6))
@settings(max_examples=15, deadline=None)
def test_one_jump_or_many_write_the_same_ledger(buyers: list[tuple[str, tuple[str, int]]], steps: list[int]) -> None:
    async def lived(moves: list[int]) -> list[tuple[Any, ...]]:
        shop = Shop()
        for interval, (card, trial) in buyers:
            await shop.subscribe(interval, card, trial)
        for ahead in moves:
            await shop.move(ahead)
        ledger = shop.ledger()
        await shop.sandbox.close()
        return ledger

    end = 45 * DAY
    many = [*sorted(step for step in steps if step < end), end]
    assert asyncio.run(lived(many)) == asyncio.run(lived([end]))
