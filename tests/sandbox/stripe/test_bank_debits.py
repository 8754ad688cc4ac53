"""A payment method whose result comes later: SEPA Direct Debit."""

import html
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.support import Receiver, Running, card_form, running

from tollkeeper_sandbox.stripe.known.ibans import IBANS
from tollkeeper_sandbox.stripe.objects.debit_form import passes_mod_97

SUCCEEDS, SUCCEEDS_LATE = "DE89 3704 0044 0532 0130 00", "DE08370400440532013003"
FAILS, FAILS_LATE = "DE62370400440532013001", "DE78370400440532013004"
DISPUTED = "DE35370400440532013002"
BEGUN = ["payment_intent.created", "charge.pending", "payment_intent.processing", "checkout.session.completed"]


def euros(sandbox: Running, **params: Any) -> stripe.checkout.Session:
    return sandbox.checkout(sandbox.price(currency="eur"), **params)


def waiting(sandbox: Running, iban: str = SUCCEEDS_LATE, **params: Any) -> tuple[stripe.checkout.Session, Any]:
    """A checkout that was paid by debit, and its payment intent, with its charge."""
    session = euros(sandbox, **params)
    answer = sandbox.debit(session, iban)
    assert (answer.status_code, answer.headers["Location"].endswith(session.id)) == (303, True)
    return session, payment(sandbox, session)


def payment(sandbox: Running, session: stripe.checkout.Session) -> Any:
    return sandbox.read(session, "payment_intent.latest_charge").payment_intent


def tell(sandbox: Running, payment: Any, move: str) -> Any:
    return sandbox.browser.post(f"{sandbox.url}/control/payments/{payment.id}/{move}")


def test_the_checkout_is_complete_and_unpaid(stripe_sandbox: Running) -> None:
    session, begun = waiting(stripe_sandbox, customer_creation="always")
    read = stripe_sandbox.read(session)
    assert (read.status, read.payment_status, read.url) == ("complete", "unpaid", None)
    assert read.payment_method_types == ["card", "sepa_debit"]
    assert (begun.status, begun.amount_received, begun.customer) == ("processing", 0, read.customer)
    charge = begun.latest_charge
    assert (charge.status, charge.paid, charge.payment_method_details.sepa_debit.last4) == ("pending", False, "3003")
    assert stripe_sandbox.events_about(session.id, begun.id, charge.id) == BEGUN
    page = html.unescape(stripe_sandbox.browser.get(stripe_sandbox.page(session)).text)
    assert "your bank has the last word" in page
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
        stripe_sandbox.sdk.v1.refunds.create({"payment_intent": begun.id})


def test_it_succeeds_when_told(stripe_sandbox: Running) -> None:
    session, begun = waiting(stripe_sandbox, FAILS_LATE)
    assert tell(stripe_sandbox, begun, "succeed").json()["status"] == "succeeded"
    done = payment(stripe_sandbox, session)
    assert (done.status, done.amount_received, done.latest_charge.paid) == ("succeeded", 2000, True)
    assert stripe_sandbox.read(session).payment_status == "paid"
    assert stripe_sandbox.events_about(session.id, done.id, done.latest_charge.id) == [
        *BEGUN,
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.async_payment_succeeded",
    ]
    receipt = stripe_sandbox.browser.get(done.latest_charge.receipt_url)
    assert "Bank account ending in 3004" in receipt.text
    stripe_sandbox.clock.ahead += 181
    assert stripe_sandbox.read(session).payment_status == "paid"
    assert tell(stripe_sandbox, begun, "fail").status_code == 400
    assert stripe_sandbox.sdk.v1.refunds.create({"payment_intent": begun.id}).status == "succeeded"


def test_it_fails_when_told(stripe_sandbox: Running) -> None:
    session, begun = waiting(stripe_sandbox)
    assert tell(stripe_sandbox, begun, "fail").json()["status"] == "requires_payment_method"
    failed = payment(stripe_sandbox, session)
    assert (failed.amount_received, failed.last_payment_error.code) == (0, "insufficient_funds")
    assert (failed.latest_charge.status, failed.latest_charge.paid) == ("failed", False)
    read = stripe_sandbox.read(session)
    assert (read.status, read.payment_status) == ("complete", "unpaid")
    assert stripe_sandbox.events_about(session.id, failed.id, failed.latest_charge.id) == [
        *BEGUN,
        "charge.failed",
        "payment_intent.payment_failed",
        "checkout.session.async_payment_failed",
    ]
    stripe_sandbox.clock.ahead += 181
    assert tell(stripe_sandbox, begun, "succeed").status_code == 400


@pytest.mark.parametrize(
    ("iban", "seconds", "paid"),
    [(SUCCEEDS, 2, "paid"), (SUCCEEDS_LATE, 180, "paid"), (FAILS, 2, "unpaid"), (FAILS_LATE, 180, "unpaid")],
)
def test_test_accounts_settle_by_the_clock(stripe_sandbox: Running, iban: str, seconds: int, paid: str) -> None:
    session, begun = waiting(stripe_sandbox, iban)
    assert begun.status == "processing"
    stripe_sandbox.clock.ahead += seconds + 1
    assert stripe_sandbox.read(session).payment_status == paid
    assert payment(stripe_sandbox, session).status == ("succeeded" if paid == "paid" else "requires_payment_method")


def test_one_test_account_is_disputed_for_good(stripe_sandbox: Running) -> None:
    session, begun = waiting(stripe_sandbox, DISPUTED)
    stripe_sandbox.clock.ahead += 3
    assert payment(stripe_sandbox, session).latest_charge.disputed is True
    dispute = stripe_sandbox.sdk.v1.disputes.list({"payment_intent": begun.id}).data[0]
    assert (dispute.status, dispute.reason) == ("lost", "debit_not_authorized")


def test_all_at_once_debit_once(stripe_sandbox: Running) -> None:
    session = euros(stripe_sandbox)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stripe_sandbox.debit(session, SUCCEEDS_LATE), range(16)))
    assert {answer.status_code for answer in answers} == {303}
    assert stripe_sandbox.pay(session).status_code == 303
    charges = stripe_sandbox.sdk.v1.charges.list({"payment_intent": payment(stripe_sandbox, session).id}).data
    assert [charge.status for charge in charges] == ["pending"]


def test_after_a_declined_card_a_debit_pays(stripe_sandbox: Running) -> None:
    session = euros(stripe_sandbox, automatic_tax={"enabled": True})
    stripe_sandbox.pay(session, "4000 0000 0000 9995")
    declined = payment(stripe_sandbox, session)
    stripe_sandbox.debit(session, SUCCEEDS_LATE)
    begun = payment(stripe_sandbox, session)
    assert (begun.id, begun.status, begun.last_payment_error) == (declined.id, "processing", None)
    assert begun.amount == 2380


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("iban", "", "Your IBAN is incomplete."),
        ("iban", "DE89370400440532013001", "The IBAN you entered is invalid."),
        ("iban", "GB82 WEST 1234 5698 7654 32", "No real account works here."),
        ("iban", "DE", "The IBAN you entered is invalid."),
        ("iban", "٤" * 22, "The IBAN you entered is invalid."),
        ("iban", "DE89" + "9" * 100, "The IBAN you entered is invalid."),
        ("email", "nobody", "Your email is invalid."),
        ("account_holder", " ", "Your name is incomplete."),
        ("account_holder", "", "Your name is incomplete."),
    ],
)
def test_faulty_fields_are_named_and_debit_nothing(
    stripe_sandbox: Running, field: str, value: str, message: str
) -> None:
    session = euros(stripe_sandbox)
    answer = stripe_sandbox.debit(session, SUCCEEDS, **{field: value})
    assert answer.status_code == 422
    assert f'id="{field}-error">{message}' in html.unescape(answer.text)
    assert SUCCEEDS not in answer.text.split("Test accounts")[0]
    assert stripe_sandbox.read(session).payment_intent is None


def test_only_sessions_in_euros_offer_it(stripe_sandbox: Running) -> None:
    dollars, euro = stripe_sandbox.checkout(), euros(stripe_sandbox)
    for session, offered in ((dollars, False), (euro, True)):
        page = stripe_sandbox.browser.get(stripe_sandbox.page(session)).text
        assert ("Pay by bank debit instead" in page) is offered
    for answer in (
        stripe_sandbox.debit(dollars, SUCCEEDS),
        stripe_sandbox.browser.get(stripe_sandbox.page(dollars) + "/debit"),
    ):
        assert answer.headers["Location"] == f"/c/pay/{dollars.id}"
    assert stripe_sandbox.read(dollars).payment_intent is None


def test_a_session_offers_what_it_allows(stripe_sandbox: Running) -> None:
    cards = euros(stripe_sandbox, allowed_payment_method_types=["card"])
    assert stripe_sandbox.debit(cards, SUCCEEDS).headers["Location"] == f"/c/pay/{cards.id}"
    debits = euros(stripe_sandbox, allowed_payment_method_types=["sepa_debit"])
    for answer in (
        stripe_sandbox.browser.get(stripe_sandbox.page(debits)),
        stripe_sandbox.browser.post(stripe_sandbox.page(debits), data=card_form("4242424242424242")),
    ):
        assert answer.headers["Location"] == f"/c/pay/{debits.id}/debit"
    assert "with card instead" not in stripe_sandbox.browser.get(stripe_sandbox.page(debits) + "/debit").text
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_sandbox.checkout(allowed_payment_method_types=["sepa_debit"])
    assert refused.value.param == "allowed_payment_method_types"


def test_the_outcome_of_card_payments_cannot_be_set(stripe_sandbox: Running) -> None:
    session = euros(stripe_sandbox)
    stripe_sandbox.pay(session)
    assert tell(stripe_sandbox, payment(stripe_sandbox, session), "fail").status_code == 400
    assert payment(stripe_sandbox, session).status == "succeeded"


def test_its_outcome_is_reported_by_webhook(receiver: Receiver) -> None:
    with running() as sandbox:
        sandbox.sdk.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
        _, begun = waiting(sandbox)
        receiver.wait_for_types(*BEGUN)
        assert "checkout.session.async_payment_succeeded" not in receiver.types()
        tell(sandbox, begun, "succeed")
        receiver.wait_for_types("checkout.session.async_payment_succeeded")


def test_the_test_accounts_pass_their_own_check() -> None:
    assert all(passes_mod_97(iban) for iban in IBANS)
