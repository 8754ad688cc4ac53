"""Renewals that are paid by bank debit: open for days until the bank answers, then paid or not."""

from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.subscribing import DAY, Subscriber, monthly, subscriber
from tests.sandbox.stripe.support import Running, running

HOUR = 3600


@pytest.fixture
def own() -> Iterator[Running]:
    with running() as made:
        made.browser.post(f"{made.url}/control/debits", data={"seconds": str(5 * DAY)})
        yield made


def renewed(sandbox: Running, account: str, **params: Any) -> tuple[Subscriber, Any, Any]:
    """A subscription in euros, and its invoice that a bank was asked to pay."""
    buyer = subscriber(sandbox)
    made = buyer.subscribe(monthly(sandbox, currency="eur"), **params)
    settings: Any = {"invoice_settings": {"default_payment_method": account}}
    sandbox.sdk.v1.customers.update(buyer.customer, settings)
    buyer.go((7 if params else 28) * DAY + HOUR)
    return buyer, made, buyer.invoices(made)[-1]


def payment(sandbox: Running, invoice: Any) -> Any:
    (link,) = sandbox.sdk.v1.invoice_payments.list({"invoice": invoice.id}).data
    return sandbox.sdk.v1.payment_intents.retrieve(str(link.payment.payment_intent), {"expand": ["latest_charge"]})


@pytest.mark.parametrize("params", [{}, {"trial_period_days": 7}])
def test_it_is_active_and_its_invoice_open_while_the_bank_thinks(own: Running, params: Any) -> None:
    buyer, made, invoice = renewed(own, "pm_success_de", **params)
    assert (invoice.status, invoice.attempted, invoice.attempt_count) == ("open", True, 1)
    assert (payment(own, invoice).status, payment(own, invoice).latest_charge.status) == ("processing", "pending")
    buyer.go(5 * DAY - 1)
    assert (buyer.read(made).status, buyer.invoices(made)[-1].status) == ("active", "open")
    buyer.go(1)
    assert (buyer.read(made).status, buyer.invoices(made)[-1].status) == ("active", "paid")
    assert payment(own, invoice).latest_charge.paid


def test_the_bank_says_no_in_the_end(own: Running) -> None:
    buyer, made, invoice = renewed(own, "pm_failed_de")
    buyer.go(5 * DAY)
    now = buyer.invoices(made)[-1]
    assert (buyer.read(made).status, now.status, now.attempt_count) == ("past_due", "open", 1)
    assert now.next_payment_attempt == buyer.now + 3 * DAY
    assert payment(own, invoice).last_payment_error.code == "insufficient_funds"
    assert [at for type_, at in buyer.events_about(made) if type_ == "invoice.payment_failed"] == [33 * DAY + HOUR]


def test_a_debit_is_disputed(own: Running) -> None:
    buyer, made, invoice = renewed(own, "pm_disputed_de")
    buyer.go(5 * DAY)
    assert buyer.invoices(made)[-1].status == "paid"
    disputes = own.sdk.v1.disputes.list({"payment_intent": payment(own, invoice).id}).data
    assert [one.status for one in disputes] == ["lost"]


@pytest.mark.parametrize(("move", "status"), [("succeed", "paid"), ("fail", "open")])
def test_the_bank_is_hurried(own: Running, move: str, status: str) -> None:
    buyer, made, invoice = renewed(own, "pm_success_de")
    answer = own.browser.post(f"{own.url}/control/payments/{payment(own, invoice).id}/{move}")
    assert answer.status_code == 200
    assert buyer.invoices(made)[-1].status == status


def test_nothing_else_is_done_meanwhile(own: Running) -> None:
    _, _, invoice = renewed(own, "pm_success_de")
    for call in (own.sdk.v1.invoices.pay, own.sdk.v1.invoices.void_invoice):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            call(invoice.id)
        assert refused.value.code == "payment_intent_unexpected_state"


@pytest.mark.parametrize("close", ["cancel", "mark_uncollectible"])
def test_the_money_comes_though_nobody_waits_for_it(own: Running, close: str) -> None:
    buyer, made, invoice = renewed(own, "pm_success_de")
    if close == "cancel":
        own.sdk.v1.subscriptions.cancel(made.id)
    else:
        own.sdk.v1.invoices.mark_uncollectible(invoice.id)
    buyer.go(5 * DAY)
    assert buyer.invoices(made)[-1].status == "paid"


def test_an_account_is_entered_and_only_euros_are_debited(own: Running) -> None:
    methods = own.sdk.v1.payment_methods
    billing = {"name": "A. Example", "email": "a@example.com"}
    entered: Any = {"type": "sepa_debit", "sepa_debit": {"iban": "DE89 3704 0044 0532 0130 00"}}
    whole: Any = {**entered, "billing_details": billing}
    made = methods.create(whole)
    assert made.sepa_debit
    assert (made.type, made.sepa_debit.last4) == ("sepa_debit", "3000")
    unknown: Any = {"type": "sepa_debit", "sepa_debit": {"iban": "GB82WEST12345698765432"}, "billing_details": billing}
    for wrong in (entered, unknown):
        with pytest.raises(stripe.InvalidRequestError):
            methods.create(wrong)
    buyer = subscriber(own)
    in_dollars = buyer.subscribe()
    refused = own.browser.post(f"{own.url}/control/subscriptions/{in_dollars.id}/debit")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "iban")
    settings: Any = {"invoice_settings": {"default_payment_method": "pm_success_de"}}
    own.sdk.v1.customers.update(buyer.customer, settings)
    buyer.go(28 * DAY + HOUR)
    assert buyer.read(in_dollars).status == "past_due"


def test_a_subscription_turns_to_bank_debit(own: Running) -> None:
    buyer = subscriber(own)
    made = buyer.subscribe(monthly(own, currency="eur"))
    form = {"iban": "DE62 3704 0044 0532 0130 01"}
    answer = own.browser.post(f"{own.url}/control/subscriptions/{made.id}/debit", data=form)
    assert answer.json()["default_payment_method"]
    buyer.go(28 * DAY + HOUR)
    assert payment(own, buyer.invoices(made)[-1]).status == "processing"


def test_a_first_payment_by_debit_begins_at_once(own: Running) -> None:
    buyer = subscriber(own, card=None)
    settings: Any = {"invoice_settings": {"default_payment_method": "pm_failed_de"}}
    own.sdk.v1.customers.update(buyer.customer, settings)
    made = buyer.subscribe(monthly(own, currency="eur"))
    assert (made.status, buyer.invoices(made)[0].status) == ("active", "open")
    buyer.go(5 * DAY)
    assert (buyer.read(made).status, buyer.invoices(made)[0].status) == ("past_due", "open")
