"""Unpaid invoices: voided, written off, drafts of a pause; and late payments for them."""

from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.subscribing import DAY, Subscriber, subscriber
from tests.sandbox.stripe.support import Running

HOUR = 3600
NOT_OPEN = "You can only pass in open invoices. This invoice isn't open."


def failed(sandbox: Running) -> tuple[Subscriber, Any, Any]:
    """A subscription whose first renewal was declined."""
    buyer = subscriber(sandbox)
    made = buyer.subscribe()
    buyer.use_card("chargeCustomerFail")
    buyer.go(28 * DAY + HOUR)
    assert buyer.read(made).status == "past_due"
    return buyer, made, buyer.invoices(made)[-1]


def refusal(call: Any, *args: Any) -> Any:
    with pytest.raises(stripe.StripeError) as refused:
        call(*args)
    return refused.value


@pytest.mark.parametrize("how", ["void", "uncollectible"])
def test_the_subscription_is_active_again(stripe_sandbox: Running, how: str) -> None:
    buyer, made, invoice = failed(stripe_sandbox)
    calls = stripe_sandbox.sdk.v1.invoices
    closed: Any = {"void": calls.void_invoice, "uncollectible": calls.mark_uncollectible}[how](invoice.id)
    assert (closed.status, closed.next_payment_attempt, closed.amount_remaining) == (how, None, 2000)
    reason = closed.status_details and closed.status_details.uncollectible.reason
    assert reason == {"void": None, "uncollectible": "user_forgiven"}[how]
    assert buyer.read(made).status == "active"
    events_about = [type_ for type_, at in buyer.events_about(made, "invoice.")][-2:]
    assert events_about == [
        {"void": "invoice.voided", "uncollectible": "invoice.marked_uncollectible"}[how],
        "invoice.updated",
    ]
    buyer.go(20 * DAY)
    assert buyer.invoices(made)[-1].attempt_count == 1


def test_an_uncollectible_invoice_can_be_paid_or_voided(stripe_sandbox: Running) -> None:
    buyer, made, invoice = failed(stripe_sandbox)
    calls = stripe_sandbox.sdk.v1.invoices
    calls.mark_uncollectible(invoice.id)
    assert refusal(calls.pay, invoice.id).code == "card_declined"
    still: Any = calls.retrieve(invoice.id)
    assert (still.status, still.next_payment_attempt, buyer.read(made).status) == ("uncollectible", None, "active")
    paid: Any = calls.pay(invoice.id, {"payment_method": "pm_card_visa"})
    assert (paid.status, paid.status_details, paid.amount_paid) == ("paid", None, 2000)
    _, _, other = failed(stripe_sandbox)
    calls.mark_uncollectible(other.id)
    assert calls.void_invoice(other.id).status == "void"


def test_an_open_invoice_of_a_canceled_subscription_is_paid(stripe_sandbox: Running) -> None:
    buyer, made, invoice = failed(stripe_sandbox)
    calls = stripe_sandbox.sdk.v1.invoices
    stripe_sandbox.sdk.v1.subscriptions.cancel(made.id)
    left = calls.retrieve(invoice.id)
    assert (left.status, left.auto_advance, left.next_payment_attempt) == ("open", False, None)
    assert calls.pay(invoice.id, {"payment_method": "pm_card_visa"}).status == "paid"
    assert buyer.read(made).status == "canceled"
    assert buyer.events_about(made)[-1][0] == "invoice_payment.paid"


def test_what_makes_no_sense_is_refused(stripe_sandbox: Running) -> None:
    buyer, made, invoice = failed(stripe_sandbox)
    calls = stripe_sandbox.sdk.v1.invoices
    paid = buyer.invoices(made)[0].id
    assert refusal(calls.void_invoice, paid).user_message == "Invoices with `paid` payments cannot be voided."
    assert refusal(calls.mark_uncollectible, paid).user_message == NOT_OPEN
    assert refusal(calls.pay, paid).user_message == "Invoice is already paid"
    assert "non-draft" in refusal(calls.finalize_invoice, paid).user_message
    calls.mark_uncollectible(invoice.id)
    words = "This invoice has already been marked uncollectible."
    assert refusal(calls.mark_uncollectible, invoice.id).user_message == words
    calls.void_invoice(invoice.id)
    for call in (calls.void_invoice, calls.mark_uncollectible):
        assert refusal(call, invoice.id).user_message == NOT_OPEN
    assert refusal(calls.pay, invoice.id).user_message == "This invoice can no longer be paid."


def test_an_older_debt_does_not_decide_how_a_subscription_stands(stripe_sandbox: Running) -> None:
    """A voided renewal, one that is paid, then a vain try to pay the first after it was written off."""
    buyer, made, invoice = failed(stripe_sandbox)
    stripe_sandbox.sdk.v1.invoices.mark_uncollectible(invoice.id)
    buyer.use_card("visa")
    buyer.go(31 * DAY)
    assert [one.status for one in buyer.invoices(made)] == ["paid", "uncollectible", "paid"]
    buyer.use_card("chargeCustomerFail")
    refusal(stripe_sandbox.sdk.v1.invoices.pay, invoice.id)
    assert buyer.read(made).status == "active"


def test_a_vain_try_to_pay_an_old_debt_changes_nothing(stripe_sandbox: Running) -> None:
    """A renewal was never paid, but the next one is: the subscription is active, whatever happens to the first."""
    setting = f"{stripe_sandbox.url}/control/unpaid"
    stripe_sandbox.browser.post(setting, data={"outcome": "past_due"})
    buyer, made, invoice = failed(stripe_sandbox)
    buyer.go(16 * DAY)
    stripe_sandbox.browser.post(setting, data={"outcome": "canceled"})
    buyer.use_card("visa")
    buyer.go(16 * DAY)
    assert [one.status for one in buyer.invoices(made)] == ["paid", "open", "paid"]
    assert buyer.read(made).status == "active"
    buyer.use_card("chargeCustomerFail")
    refusal(stripe_sandbox.sdk.v1.invoices.pay, invoice.id)
    assert buyer.read(made).status == "active"


@pytest.mark.parametrize(
    ("behavior", "left"), [("keep_as_draft", "draft"), ("mark_uncollectible", "uncollectible"), ("void", "void")]
)
def test_collection_is_paused_for_months_and_resumed(stripe_sandbox: Running, behavior: str, left: str) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    buyer.update(made, pause_collection={"behavior": behavior})
    buyer.go(60 * DAY)
    assert [one.status for one in buyer.invoices(made)] == ["paid", left, left]
    assert {one.auto_advance for one in buyer.invoices(made)[1:]} == {False}
    assert buyer.read(made).status == "active"
    if left == "uncollectible":
        assert buyer.invoices(made)[-1].status_details.uncollectible.reason == "subscription_paused"
    buyer.update(made, pause_collection="")
    buyer.go(31 * DAY)
    assert [one.status for one in buyer.invoices(made)] == ["paid", left, left, "paid"]
    first = buyer.invoices(made)[1].id
    if left != "void":
        assert stripe_sandbox.sdk.v1.invoices.pay(first).status == "paid"


def test_a_pause_leaves_a_past_due_subscription_past_due(stripe_sandbox: Running) -> None:
    """What comes later is not asked for; what was owed before is still tried."""
    buyer, made, invoice = failed(stripe_sandbox)
    buyer.update(made, pause_collection={"behavior": "void"})
    stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/unpaid", data={"outcome": "past_due"})
    buyer.go(31 * DAY)
    stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/unpaid", data={"outcome": "canceled"})
    assert [one.status for one in buyer.invoices(made)] == ["paid", "open", "void"]
    assert buyer.read(made).status == "past_due"
    assert stripe_sandbox.sdk.v1.invoices.retrieve(invoice.id).attempt_count == 4


def test_the_first_payment_comes_after_a_month_for_nothing(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    coupon = stripe_sandbox.sdk.v1.coupons.create({"percent_off": 100, "duration": "once"})
    made = buyer.subscribe(discounts=[{"coupon": coupon.id}])
    assert (made.status, buyer.invoices(made)[0].amount_paid) == ("active", 0)
    assert buyer.read(made).discounts == []
    buyer.go(28 * DAY)
    assert (buyer.read(made).status, buyer.invoices(made)[-1].status) == ("active", "draft")
    buyer.go(HOUR)
    assert [one.amount_paid for one in buyer.invoices(made)] == [0, 2000]


def test_a_pause_does_not_touch_what_costs_nothing(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    coupon = stripe_sandbox.sdk.v1.coupons.create({"percent_off": 100, "duration": "forever"})
    made = buyer.subscribe(discounts=[{"coupon": coupon.id}])
    buyer.update(made, pause_collection={"behavior": "void"})
    buyer.go(28 * DAY)
    assert [one.status for one in buyer.invoices(made)] == ["paid", "paid"]


@pytest.mark.parametrize(("move", "status"), [("void", "void"), ("uncollectible", "uncollectible")])
def test_the_control_page_does_the_same(stripe_sandbox: Running, move: str, status: str) -> None:
    _, _, invoice = failed(stripe_sandbox)
    page = stripe_sandbox.browser.get(f"{stripe_sandbox.url}/control/objects/{invoice.id}").text
    assert f"/control/invoices/{invoice.id}/{move}" in page
    done = stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/invoices/{invoice.id}/{move}")
    assert done.json()["status"] == status
