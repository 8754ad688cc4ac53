"""Cards that do not pay, or not at once. Buyers who have not paid get no access, and can always try again."""

import pytest
from playwright.sync_api import expect
from tests.journeys.demo import Demo
from tests.journeys.visitor import Lobby, Visitor
from tests.support.running import ASKS, DECLINED, PAYS, POOR


@pytest.fixture
def buyer(visit: Lobby) -> Visitor:
    """Somebody on the hosted page."""
    buyer = visit()
    buyer.sign_in()
    buyer.purchase()
    return buyer


@pytest.mark.parametrize(
    ("card", "words"),
    [
        pytest.param(DECLINED, "Your card was declined.", id="declined"),
        pytest.param(POOR, "Your card has insufficient funds.", id="no funds"),
    ],
)
def test_a_declined_card_opens_nothing_and_another_one_pays(buyer: Visitor, demo: Demo, card: str, words: str) -> None:
    buyer.forgive("402 ")
    buyer.pay(card)
    expect(buyer.page.get_by_role("alert")).to_contain_text(words)
    expect(buyer.page.get_by_role("alert")).to_contain_text("Nothing was charged.")
    buyer.is_kept_out()
    assert demo.charges(buyer.email) == []

    buyer.pay(PAYS)
    buyer.sees("Payment done")
    buyer.gets_in()
    assert len(demo.charges(buyer.email)) == 1


def test_a_card_that_asks_pays_when_the_buyer_completes(buyer: Visitor) -> None:
    buyer.pay(ASKS)
    buyer.sees("Authenticate your payment")
    buyer.reads("€19.00")
    buyer.is_kept_out()
    buyer.press("Complete")
    buyer.sees("Payment done")
    buyer.gets_in()


def test_a_card_that_asks_does_not_pay_when_the_buyer_fails(buyer: Visitor, demo: Demo) -> None:
    buyer.pay(ASKS)
    buyer.press("Fail")
    expect(buyer.page.get_by_role("alert")).to_contain_text("We are unable to authenticate your payment method.")
    buyer.is_kept_out()
    assert demo.charges(buyer.email) == []

    buyer.pay(ASKS)
    buyer.press("Complete")
    buyer.sees("Payment done")
    buyer.gets_in()
    assert len(demo.charges(buyer.email)) == 1


def test_a_mistyped_number_is_refused_and_what_else_was_typed_is_kept(buyer: Visitor) -> None:
    buyer.forgive("422 ")
    buyer.pay("4242 4242 4242 4241")
    expect(buyer.page.get_by_role("alert")).to_contain_text("Your card number is invalid.")
    expect(buyer.page.get_by_label("Card number", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(buyer.page.get_by_label("Card number", exact=True)).to_have_value("")
    expect(buyer.page.get_by_label("Cardholder name", exact=True)).to_have_value(buyer.name)
    buyer.is_kept_out()


def test_an_empty_form_names_every_field(buyer: Visitor) -> None:
    buyer.forgive("422 ")
    buyer.press("Pay")
    alert = buyer.page.get_by_role("alert")
    for label in ("Card number", "Expiration", "CVC", "Cardholder name"):
        expect(alert.get_by_role("link", name=label, exact=True)).to_be_visible()
    alert.get_by_role("link", name="CVC", exact=True).click()
    expect(buyer.page.get_by_label("CVC", exact=True)).to_be_focused()
    buyer.is_kept_out()
