"""The provider is down or refuses: visitors read that nothing was charged, and members notice nothing."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.support.running import Browser, Sandbox, Site, eventually, running_site

from tollkeeper.billing.off_sale import AGAIN
from tollkeeper.billing.worker import LOOK
from tollkeeper.storage.tables import off_sale, orders


@pytest.fixture
def engine() -> str:
    return "sqlite"


@pytest.fixture
def sandbox(own_sandbox: Sandbox) -> Sandbox:
    """The app's own, so that it can be stopped."""
    return own_sandbox


def test_while_the_provider_is_away(site: Site, sandbox: Sandbox) -> None:
    member, buyer = Browser(site.url), Browser(site.url)
    member.sign_in("Alice Example")
    member.follow(member.pay())
    buyer.sign_in("Bob Example")
    sandbox.thread.stop()

    assert member.enters()
    assert "Flying lessons" in member.get("/account").text
    refused = buyer.press_purchase()
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "60"
    assert "Nothing was charged. Please try again" in refused.text
    assert not buyer.enters()
    assert "Login" in Browser(site.url).get("/").text


def test_away_from_the_start(sandbox: Sandbox, database_url: str, tmp_path: Path) -> None:
    price, away = sandbox.price(), sandbox.thread.stop
    with running_site(sandbox, database_url, tmp_path, PRODUCT_PRICE_ID=price, STRIPE_WEBHOOK_SECRET="") as site:
        away()
        browser = Browser(site.url)
        landing = browser.get("/")
        assert landing.status_code == 200
        assert "At checkout" in landing.text
        assert browser.get("/login").status_code == 503
        assert "sign-in service is not responding" in browser.get("/login").text


def test_a_price_that_does_not_exist(sandbox: Sandbox, database_url: str, tmp_path: Path) -> None:
    with running_site(sandbox, database_url, tmp_path, PRODUCT_PRICE_ID="price_nothing") as site:
        browser = Browser(site.url)
        assert "At checkout" in browser.sign_in("Alice Example").text
        with capture_logs() as logs:
            answer = browser.press_purchase()
        assert answer.status_code == 409
        assert "Nothing was charged" in answer.text
        assert "price_nothing" not in answer.text
        assert any("STRIPE_API_KEY" in (entry.get("advice") or "") for entry in logs)
        assert site.rows(orders) == []


def test_stripe_tax_that_is_not_turned_on(sandbox: Sandbox, database_url: str, tmp_path: Path) -> None:
    settings = Browser(sandbox.url)
    settings.client.post(f"{sandbox.url}/control/tax", data={}, headers={"Origin": sandbox.url})
    with running_site(sandbox, database_url, tmp_path, STRIPE_AUTOMATIC_TAX="true") as site:
        browser = Browser(site.url)
        browser.sign_in("Alice Example")
        with capture_logs() as logs:
            answer = browser.press_purchase()
        assert answer.status_code == 409
        assert "Nothing was charged." in answer.text
        assert "Stripe Tax" not in answer.text
        (reported,) = [entry for entry in logs if entry["event"] == "off sale"]
        assert "STRIPE_AUTOMATIC_TAX=false" in reported["advice"]
        assert "https://dashboard.stripe.com/settings/tax" in reported["advice"]
        assert [row.state for row in site.rows(orders)] == ["expired"]

        settings.client.post(f"{sandbox.url}/control/tax", data={"active": "yes"}, headers={"Origin": sandbox.url})
        site.clock.ahead += AGAIN + LOOK
        eventually(lambda: site.rows(off_sale) == [])
        assert "Payment done" in browser.follow(browser.pay()).text
        assert browser.enters()
