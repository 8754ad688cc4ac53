"""Leaving the checkout, coming back to it, and doing things twice: one order is charged at most once."""

from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Route, expect
from tests.journeys.demo import Demo
from tests.journeys.visitor import Lobby, Visitor, checkout_id
from tests.support.running import eventually, running_sandbox, running_site


@pytest.fixture
def buyer(visit: Lobby) -> Visitor:
    """Somebody who is signed in."""
    buyer = visit()
    buyer.sign_in()
    return buyer


def pay_and_lose_the_answer(route: Route) -> None:
    """Send the form, and lose the response as if the browser were closed right after that."""
    route.fetch(max_redirects=0)
    route.abort()


def test_cancel_charges_nothing_and_purchase_resumes(buyer: Visitor) -> None:
    checkout = buyer.purchase()
    buyer.follow("Cancel")
    buyer.is_at("/purchase/cancel")
    buyer.sees("Nothing was charged")
    buyer.is_kept_out()

    assert buyer.purchase() == checkout
    buyer.open()
    buyer.reads("You have an open checkout.")
    assert buyer.purchase() == checkout
    buyer.pay()
    buyer.gets_in()


def test_closing_the_browser_after_paying_loses_nothing(buyer: Visitor, visit: Lobby, demo: Demo) -> None:
    checkout = buyer.purchase()
    buyer.fill_card()
    buyer.page.route(checkout, pay_and_lose_the_answer)
    buyer.forgive("net::ERR_FAILED")
    buyer.press("Pay")
    eventually(lambda: demo.charges(buyer.email))
    buyer.context.close()

    later = visit(buyer.email)
    later.sign_in()
    later.follow("Enter")
    later.is_at("/dashboard")
    later.sees("Dashboard")


def test_the_confirming_page_notices_the_payment_by_itself(browser: Browser, sqlite_url: str, tmp_path: Path) -> None:
    with ExitStack() as provider:
        sandbox = provider.enter_context(running_sandbox(tmp_path / "sandbox"))
        port = urlsplit(sandbox.url).port or 0
        with running_site(sandbox, sqlite_url, tmp_path) as site, Lobby(browser, site.url) as visit:
            buyer = visit()
            buyer.sign_in()
            checkout = buyer.purchase("Flying lessons")
            provider.close()
            buyer.open(f"/purchase/success?session_id={checkout_id(checkout)}")
            buyer.sees("Confirming your payment")
            with running_sandbox(tmp_path / "sandbox", port):
                waiting = buyer.page
                buyer.new_tab()
                buyer.open(checkout)
                buyer.pay()
                buyer.sees("Payment done")
                buyer.page = waiting
                buyer.sees("Payment done")


def test_a_double_click_on_pay_charges_once(buyer: Visitor, demo: Demo) -> None:
    buyer.purchase()
    buyer.fill_card()
    buyer.button("Pay").dblclick()
    buyer.sees("Payment done")
    assert len(demo.charges(buyer.email)) == 1


def test_a_double_click_on_purchase_opens_one_checkout(buyer: Visitor, demo: Demo) -> None:
    buyer.purchase_button.dblclick()
    buyer.sees("The Flying Machine")
    customer = demo.stripe.v1.customers.list({"email": buyer.email}).data[0]
    assert len(demo.stripe.v1.checkout.sessions.list({"customer": customer.id}).data) == 1


def test_two_tabs_lead_to_one_checkout_and_one_charge(buyer: Visitor, demo: Demo) -> None:
    first = buyer.page
    buyer.new_tab()
    buyer.open()
    checkout = buyer.purchase()
    second, buyer.page = buyer.page, first
    assert buyer.purchase() == checkout
    buyer.pay()
    buyer.sees("Payment done")

    buyer.page = second
    buyer.pay()
    buyer.sees("Payment done")
    assert len(demo.charges(buyer.email)) == 1


def test_purchase_in_a_tab_from_before_leads_a_payer_in(buyer: Visitor, demo: Demo) -> None:
    stale = buyer.page
    buyer.new_tab()
    buyer.open()
    buyer.purchase()
    buyer.pay()
    buyer.sees("Payment done")
    buyer.page = stale
    buyer.purchase_button.click()
    buyer.is_at("/dashboard")
    assert len(demo.charges(buyer.email)) == 1


def test_an_expired_checkout_says_so_and_makes_room_for_a_new_one(buyer: Visitor, demo: Demo) -> None:
    checkout = buyer.purchase()
    demo.stripe.v1.checkout.sessions.expire(checkout_id(checkout))
    buyer.forgive("410 ")
    buyer.pay()
    buyer.sees("This checkout has timed out")
    buyer.is_kept_out()

    buyer.follow("Return to the merchant")
    buyer.open()
    assert buyer.purchase() != checkout
    buyer.pay()
    buyer.gets_in()


def test_back_after_paying_finds_a_checkout_that_is_done(buyer: Visitor, demo: Demo) -> None:
    buyer.purchase()
    buyer.pay()
    buyer.sees("Payment done")
    buyer.page.go_back()
    buyer.sees("You’re all done here")
    expect(buyer.button("Pay")).to_have_count(0)
    buyer.follow("Return to the merchant")
    buyer.sees("Payment done")
    assert len(demo.charges(buyer.email)) == 1


def test_the_success_page_of_somebody_else_is_the_landing_page(buyer: Visitor, visit: Lobby) -> None:
    buyer.purchase()
    buyer.pay()
    buyer.sees("Payment done")

    other = visit()
    other.sign_in()
    other.open(buyer.page.url)
    other.is_at("/")
    other.sees(f"Hello, {other.name}")
    other.is_kept_out()

    stranger = visit()
    stranger.open(buyer.page.url)
    stranger.introduce()
    stranger.is_at("/")
    stranger.is_kept_out()
