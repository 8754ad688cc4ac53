"""The hosted page in a browser without scripts."""

import html
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.support import VISA, Running, card_form, running

from tollkeeper_sandbox.stripe.known.cards import AUTHENTICATION_FAILED, CARDS, Card

AUTHENTICATES = "4000 0025 0000 3155"
DECLINES = {
    "4000 0000 0000 0002": ("generic_decline", "Your card was declined."),
    "4000 0000 0000 9995": ("insufficient_funds", "Your card has insufficient funds."),
    "4000 0000 0000 9987": ("lost_card", "Your card was declined."),
    "4000 0000 0000 0069": ("expired_card", "Your card has expired."),
    "4000 0000 0000 0127": ("incorrect_cvc", "Your card's security code is incorrect."),
    "4000 0000 0000 0119": ("processing_error", "An error occurred while processing your card."),
    # Passes Luhn, but is no test card.
    "4111 1111 1111 1111": ("test_mode_live_card", "used a non test card"),
}
PAYING = [card for card in CARDS if not (card.decline or card.authenticate or card.dispute)]


def words(answer: Any) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", answer.text)))


def payment(sandbox: Running, session: Any) -> Any:
    return sandbox.read(session, "payment_intent.latest_charge")["payment_intent"]


@pytest.mark.parametrize("card", PAYING, ids=lambda card: card.number)
def test_cards_that_pay(stripe_sandbox: Running, card: Card) -> None:
    session = stripe_sandbox.checkout()
    answer = stripe_sandbox.pay(session, card.spaced)
    assert answer.status_code == 303, words(answer)
    assert answer.headers["Location"] == f"http://merchant.test/success?session_id={session.id}"
    read = stripe_sandbox.read(session)
    assert (read.status, read.payment_status, read.url) == ("complete", "paid", None)
    paid = payment(stripe_sandbox, session)
    assert (paid["status"], paid["amount_received"], paid["currency"]) == ("succeeded", 2000, "usd")
    shown = paid["latest_charge"]["payment_method_details"]["card"]
    assert (shown["brand"], shown["last4"], shown["funding"]) == (card.brand, card.last4, card.funding)
    assert stripe_sandbox.events_about(session.id, paid["id"], paid["latest_charge"]["id"]) == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]


@pytest.mark.parametrize(("number", "expected"), DECLINES.items())
def test_cards_that_are_declined(stripe_sandbox: Running, number: str, expected: tuple[str, str]) -> None:
    code, message = expected
    session = stripe_sandbox.checkout()
    answer = stripe_sandbox.pay(session, number)
    assert answer.status_code == 402
    assert message in words(answer)
    assert 'role="alert"' in answer.text
    read = stripe_sandbox.read(session)
    assert (read.status, read.payment_status) == ("open", "unpaid")
    tried = payment(stripe_sandbox, session)
    assert (tried["status"], tried["amount_received"]) == ("requires_payment_method", 0)
    assert tried["last_payment_error"]["decline_code"] == code
    charge = tried["latest_charge"]
    assert (charge["status"], charge["paid"], charge["amount_captured"]) == ("failed", False, 0)
    assert stripe_sandbox.events_about(session.id, tried["id"], charge["id"]) == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    ]


def test_after_a_decline_another_card_pays(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout()
    stripe_sandbox.pay(session, "4000 0000 0000 9995")
    first = payment(stripe_sandbox, session)
    assert stripe_sandbox.pay(session).status_code == 303
    second = payment(stripe_sandbox, session)
    assert second["id"] == first["id"]
    assert second["latest_charge"]["id"] != first["latest_charge"]["id"]
    assert (second["status"], second["last_payment_error"]) == ("succeeded", None)


def test_authentication_completed_pays(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout()
    asked = stripe_sandbox.pay(session, AUTHENTICATES)
    bank = f"{stripe_sandbox.page(session)}/authenticate"
    assert (asked.status_code, stripe_sandbox.url + asked.headers["Location"]) == (303, bank)
    waiting = payment(stripe_sandbox, session)
    assert (waiting["status"], waiting["next_action"]["redirect_to_url"]["url"]) == ("requires_action", bank)
    page = stripe_sandbox.browser.get(bank)
    assert "Complete" in words(page)
    assert "$20.00" in words(page)
    done = stripe_sandbox.browser.post(bank, data={"answer": "complete"})
    assert done.headers["Location"].endswith(session.id)
    paid = payment(stripe_sandbox, session)
    assert (paid["status"], paid["next_action"]) == ("succeeded", None)
    assert paid["latest_charge"]["payment_method_details"]["card"]["three_d_secure"]["result"] == "authenticated"
    assert "payment_intent.requires_action" in stripe_sandbox.events_about(paid["id"])


def test_authentication_failed_charges_nothing_and_can_be_tried_again(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout()
    stripe_sandbox.pay(session, AUTHENTICATES)
    bank = f"{stripe_sandbox.page(session)}/authenticate"
    back = stripe_sandbox.browser.post(bank, data={"answer": "fail"})
    page = stripe_sandbox.browser.get(stripe_sandbox.url + back.headers["Location"])
    assert AUTHENTICATION_FAILED in words(page)
    assert 'value="buyer@example.com"' in page.text
    failed = payment(stripe_sandbox, session)
    assert (failed["status"], failed["latest_charge"]) == ("requires_payment_method", None)
    assert failed["last_payment_error"]["code"] == "payment_intent_authentication_failure"
    # The bank's page is over: neither looking at it nor answering again does anything.
    again = (stripe_sandbox.browser.get(bank), stripe_sandbox.browser.post(bank, data={"answer": "complete"}))
    assert {answer.headers["Location"] for answer in again} == {back.headers["Location"]}
    assert stripe_sandbox.read(session).status == "open"
    assert stripe_sandbox.pay(session).status_code == 303


def test_a_bank_may_decline_after_authentication(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout()
    stripe_sandbox.pay(session, "4000 0082 6000 3178")
    back = stripe_sandbox.browser.post(f"{stripe_sandbox.page(session)}/authenticate", data={"answer": "complete"})
    assert "insufficient funds" in words(stripe_sandbox.browser.get(stripe_sandbox.url + back.headers["Location"]))
    assert payment(stripe_sandbox, session)["amount_received"] == 0


def test_clicking_pay_many_times_at_once_charges_once(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stripe_sandbox.pay(session), range(16)))
    assert {answer.status_code for answer in answers} == {303}
    assert {answer.headers["Location"] for answer in answers} == {
        f"http://merchant.test/success?session_id={session.id}"
    }
    paid = payment(stripe_sandbox, session)
    charges = stripe_sandbox.sdk.v1.charges.list({"payment_intent": paid["id"]}).data
    assert [charge.status for charge in charges] == ["succeeded"]
    assert stripe_sandbox.events_about(session.id) == ["checkout.session.completed"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("card_number", "", "Your card number is incomplete."),
        ("card_number", "4242 4242 4242 4241", "Your card number is invalid."),
        ("card_number", "4242 4242", "Your card number is invalid."),
        ("card_number", "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢", "Your card number is invalid."),
        ("expiration", "", "Your card's expiration date is incomplete."),
        ("expiration", "12", "Your card's expiration date is incomplete."),
        ("expiration", "13 / 34", "Your card's expiration date is invalid."),
        ("expiration", "01 / 20", "Your card's expiration year is in the past."),
        ("expiration", "01 / 99", "Your card's expiration year is invalid."),
        ("cvc", "", "Your card's security code is incomplete."),
        ("cvc", "12", "Your card's security code is incomplete."),
        ("cvc", "12345", "Your card's security code is invalid."),
        ("cvc", "abc", "Your card's security code is invalid."),
        ("email", "", "Your email is incomplete."),
        ("email", "nobody", "Your email is invalid."),
        ("cardholder_name", " ", "Your name is incomplete."),
        ("country", "XX", "Choose a country."),
    ],
)
def test_faulty_fields_are_named_and_charge_nothing(
    stripe_sandbox: Running, field: str, value: str, message: str
) -> None:
    session = stripe_sandbox.checkout()
    answer = stripe_sandbox.pay(session, **{field: value})
    assert answer.status_code == 422
    assert f'<p class="error" id="{field}-error">{message}</p>' in html.unescape(answer.text)
    control = re.search(f'<(input|select) id="{field}"[^>]*>', answer.text)
    assert control
    assert f'aria-invalid="true" aria-describedby="{field}-error"' in control[0]
    assert stripe_sandbox.read(session).payment_intent is None


def test_this_month_is_not_past_and_last_month_is(stripe_sandbox: Running) -> None:
    today = datetime.fromtimestamp(stripe_sandbox.clock(), UTC)
    session = stripe_sandbox.checkout()
    last = f"{today.month - 1 or 12:02}/{today.year - (today.month == 1)}"
    assert "in the past" in words(stripe_sandbox.pay(session, expiration=last))
    assert stripe_sandbox.pay(session, expiration=f"{today.month:02}{today.year % 100:02}").status_code == 303


def test_american_express_has_four_digits_more(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout()
    assert "security code is incomplete" in words(stripe_sandbox.pay(session, "3782 822463 10005", cvc="123"))


def test_what_was_entered_is_kept_but_for_the_card(stripe_sandbox: Running) -> None:
    answer = stripe_sandbox.pay(stripe_sandbox.checkout(), "4000 0000 0000 0002", cardholder_name='"><script>')
    assert 'value="buyer@example.com"' in answer.text
    assert 'value="12 / 34"' in answer.text
    assert '<option value="DE" selected>' in answer.text
    assert "&#34;&gt;&lt;script&gt;" in answer.text
    assert "<script" not in answer.text
    assert "4000000000000002" not in answer.text.replace(" ", "").replace("4000000000000002</code>", "")
    assert 'value="123"' not in answer.text


def test_no_card_number_is_kept(tmp_path: Path) -> None:
    with running(tmp_path / "ledger.db") as sandbox:
        for card in (VISA, "4111 1111 1111 1111", "4000 0000 0000 0002"):
            sandbox.pay(sandbox.checkout(), card)
        fingerprints = [
            charge["payment_method_details"]["card"]["fingerprint"] for charge in sandbox.sdk.v1.charges.list()
        ]
    assert [bool(one) for one in fingerprints] == [True, False, True]  # none of a card that may be real
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"4242" in kept
    for number in (b"4242424242424242", b"4111111111111111", b"4000000000000002"):
        assert number not in kept


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [(2000, "usd", "$20.00"), (123456, "eur", "€1,234.56"), (500, "jpy", "¥500"), (1500, "kwd", "KWD\xa01.500")],
)
def test_sums_are_shown_as_their_currency_is_written(
    stripe_sandbox: Running, amount: int, currency: str, shown: str
) -> None:
    session = stripe_sandbox.checkout(stripe_sandbox.price(unit_amount=amount, currency=currency))
    page = stripe_sandbox.browser.get(stripe_sandbox.page(session))
    assert shown in html.unescape(page.text)
    assert "Dashboard" in words(page)


@pytest.mark.parametrize(
    ("behavior", "total", "tax", "shown"),
    [
        ("exclusive", 2380, 380, "Tax (19%)"),
        ("unspecified", 2380, 380, "Tax (19%)"),
        ("inclusive", 2000, 319, "included"),
    ],
)
def test_automatic_tax(stripe_sandbox: Running, behavior: str, total: int, tax: int, shown: str) -> None:
    session = stripe_sandbox.checkout(stripe_sandbox.price(tax_behavior=behavior), automatic_tax={"enabled": True})
    assert (session.automatic_tax.status, session.amount_total) == ("requires_location_inputs", 2000)
    page = words(stripe_sandbox.browser.get(stripe_sandbox.page(session)))
    assert shown in page
    assert f"${total / 100:.2f}" in page
    stripe_sandbox.pay(session)
    paid = stripe_sandbox.read(session, "payment_intent", "line_items")
    assert (paid.automatic_tax.status, paid.amount_subtotal, paid.amount_total) == ("complete", 2000, total)
    assert paid["total_details"]["amount_tax"] == paid["line_items"]["data"][0]["amount_tax"] == tax
    assert paid["payment_intent"]["amount_received"] == paid["line_items"]["data"][0]["amount_total"] == total


def test_without_automatic_tax_there_is_no_tax_line(stripe_sandbox: Running) -> None:
    assert "Tax (" not in words(stripe_sandbox.browser.get(stripe_sandbox.page(stripe_sandbox.checkout())))


def test_automatic_tax_needs_the_customer_s_place_or_leave_to_save_it(stripe_sandbox: Running) -> None:
    customers = stripe_sandbox.sdk.v1.customers
    customer = customers.create({"email": "a@example.com"})
    tax: Any = {"customer": customer.id, "automatic_tax": {"enabled": True}}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_sandbox.checkout(**tax)
    assert refused.value.code == "customer_tax_location_invalid"
    session = stripe_sandbox.checkout(**tax, customer_update={"address": "auto", "name": "auto"})
    stripe_sandbox.pay(session)
    updated = customers.retrieve(customer.id)
    assert updated.address
    assert (updated.address.country, updated.name) == ("DE", "Test Buyer")
    assert stripe_sandbox.events_about(customer.id) == ["customer.created", "customer.updated"]
    assert stripe_sandbox.checkout(**tax).amount_total == 2380


def test_an_account_without_stripe_tax(stripe_sandbox: Running) -> None:
    setting = f"{stripe_sandbox.url}/control/tax"
    stripe_sandbox.browser.post(setting, data={"active": "no"})
    try:
        with pytest.raises(stripe.InvalidRequestError, match="Stripe Tax has not been activated on your account"):
            stripe_sandbox.checkout(automatic_tax={"enabled": True})
    finally:
        stripe_sandbox.browser.post(setting, data={"active": "yes"})


@pytest.mark.parametrize(("typed", "expected"), [("", "known@example.com"), ("other@example.com", "other@example.com")])
def test_the_form_begins_with_a_known_e_mail_address(stripe_sandbox: Running, typed: str, expected: str) -> None:
    customer = stripe_sandbox.sdk.v1.customers.create({"email": "known@example.com"})
    known: tuple[Any, ...] = ({"customer": customer.id}, {"customer_email": "known@example.com"})
    for params in known:
        session = stripe_sandbox.checkout(**params)
        page = stripe_sandbox.browser.get(stripe_sandbox.page(session)).text
        assert re.search(r'<input id="email"[^>]*value="known@example.com">', page)
        stripe_sandbox.pay(session, email=typed)
        details = stripe_sandbox.read(session).customer_details
        assert details
        assert (details.email, details.name) == (expected, "Test Buyer")
    assert stripe_sandbox.sdk.v1.customers.retrieve(customer.id).email == "known@example.com"


def test_a_customer_is_made_when_the_session_asks_for_one(stripe_sandbox: Running) -> None:
    guest, kept = stripe_sandbox.checkout(), stripe_sandbox.checkout(customer_creation="always")
    for session in (guest, kept):
        stripe_sandbox.pay(session)
    assert stripe_sandbox.read(guest).customer is None
    customer: Any = stripe_sandbox.read(kept, "customer").customer
    assert (customer["email"], customer["name"]) == ("buyer@example.com", "Test Buyer")
    assert payment(stripe_sandbox, kept)["customer"] == customer["id"]


def test_cancel_leads_to_the_merchant(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout()
    page = stripe_sandbox.browser.get(stripe_sandbox.page(session)).text
    assert f'<a href="http://merchant.test/cancel?session_id={session.id}">Cancel</a>' in page
    assert ">Cancel<" not in _page_without_cancel(stripe_sandbox)


def _page_without_cancel(sandbox: Running) -> str:
    values = {"mode": "payment", "success_url": "http://merchant.test/", "line_items[0][quantity]": "1"}
    values["line_items[0][price]"] = sandbox.price().id
    return str(sandbox.browser.get(sandbox.post("/v1/checkout/sessions", data=values).json()["url"]).text)


def test_a_used_page_says_so_and_leads_back(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout()
    stripe_sandbox.pay(session)
    page = stripe_sandbox.browser.get(stripe_sandbox.page(session))
    assert "all done here" in words(page)
    assert f'href="http://merchant.test/success?session_id={session.id}"' in page.text
    assert "Card number" not in page.text


def test_an_expired_page_says_so_and_charges_nothing(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout()
    stripe_sandbox.sdk.v1.checkout.sessions.expire(session.id)
    page = stripe_sandbox.browser.get(stripe_sandbox.page(session))
    assert page.status_code == 410
    assert f'href="http://merchant.test/cancel?session_id={session.id}"' in page.text
    assert stripe_sandbox.pay(session).status_code == 410
    assert stripe_sandbox.read(session).payment_status == "unpaid"


def test_an_unknown_page_is_not_found(stripe_sandbox: Running) -> None:
    assert stripe_sandbox.browser.get(f"{stripe_sandbox.url}/c/pay/cs_test_none").status_code == 404


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_other_sites_cannot_post_here(stripe_sandbox: Running, headers: dict[str, str]) -> None:
    session = stripe_sandbox.checkout()
    answer = stripe_sandbox.browser.post(stripe_sandbox.page(session), data=card_form(VISA), headers=headers)
    assert answer.status_code == 403
    assert stripe_sandbox.read(session).status == "open"
    assert stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/tax", headers=headers).status_code == 403
