"""The actions of the control page on subscriptions and on their clocks."""

from collections.abc import Mapping

from tollkeeper_sandbox.stripe.engine import clock
from tollkeeper_sandbox.stripe.engine.errors import invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.cards import NAMED, card_of
from tollkeeper_sandbox.stripe.known.ibans import IBANS
from tollkeeper_sandbox.stripe.known.ibans import NAMED as NAMED_ACCOUNTS
from tollkeeper_sandbox.stripe.objects import invoices, payment_methods, standing, subscriptions, test_clocks
from tollkeeper_sandbox.stripe.objects.happenings import happen

GOOD_ACCOUNT = NAMED_ACCOUNTS["pm_success_de"]
GOOD_CARD = card_of(NAMED["visa"])
MOVES = {
    "renew": "Go to just after the next renewal",
    "fail": "Let the next renewal fail",
    "replace-card": "Replace the card by a good one",
    "debit": "Pay by bank debit from now on",
    "cancel": "Cancel at once",
}


def renew(work: Work, id_: str, _form: Mapping[str, str]) -> JSON:
    """Move time forward until the next period's invoice has been collected, or its collection has failed."""
    subscription = subscriptions.live(work, id_)
    if subscription["status"] not in standing.RENEWING:
        raise invalid(f"This subscription has a status of `{subscription['status']}`; it is not renewed.")
    move(work, subscription, standing.period_of(subscription)[1] + invoices.draft_seconds(work))
    return work.get(subscriptions.KIND, id_)


def move(work: Work, body: JSON, moment: int) -> None:
    """Move the clock that the object is on: a test clock, or the sandbox's own."""
    if body.get("test_clock"):
        test_clocks.advance(work, {"frozen_time": moment}, body["test_clock"])
    else:
        forward(work, moment - work.now)


def forward(work: Work, seconds: int) -> None:
    clock.move(work.ledger, {"ahead": clock.ahead(work.ledger) + seconds})
    happen(work.at(work.now + seconds))


def let_fail(work: Work, id_: str, _form: Mapping[str, str]) -> JSON:
    """Let the card be declined from now on, until it is replaced."""
    subscription = subscriptions.live(work, id_)
    method = _method_of(work, subscription)
    if method is None:
        raise invalid("There is no card that could be declined: this subscription has no payment method.")
    payment_methods.let_fail(work, method)
    return subscription


def _method_of(work: Work, subscription: JSON) -> JSON | None:
    customer = work.get("customer", subscription["customer"])
    known = subscription["default_payment_method"] or payment_methods.default_of(customer)
    return work.ledger.find(known) if known else None


def replace_card(work: Work, id_: str, _form: Mapping[str, str]) -> JSON:
    """Replace the card by a good one. What is owed is collected from it at the next attempt."""
    subscription = subscriptions.live(work, id_)
    work = work.on_clock_of(subscription)
    return payment_methods.use_for(work, subscription, payment_methods.of_test_card(work, GOOD_CARD))


def debit(work: Work, id_: str, form: Mapping[str, str]) -> JSON:
    """Pay by bank debits from now on: from the test account ``iban``, or by default from one whose payments succeed."""
    subscription = subscriptions.live(work, id_)
    iban = form.get("iban", "").replace(" ", "") or GOOD_ACCOUNT
    if iban not in IBANS or subscription["currency"] != "eur":
        raise invalid("Only euros are debited, and only test accounts.", "iban")
    work = work.on_clock_of(subscription)
    return payment_methods.use_for(work, subscription, payment_methods.of_test_account(work, iban))


def cancel(work: Work, id_: str, _form: Mapping[str, str]) -> JSON:
    return subscriptions.cancel(work, {}, id_)
