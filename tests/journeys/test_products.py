"""Somebody changes to a bigger plan, and then buys it for good: they never pay twice for the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.journeys.visitor import Lobby
from tests.support.running import running_sandbox
from tests.support.shelves import running_shelves
from tests.support.shops import DAY, Shop


@pytest.fixture
def shop(sqlite_url: str, tmp_path: Path) -> Iterator[Shop]:
    with running_sandbox() as sandbox, running_shelves(sandbox, sqlite_url, tmp_path) as shop:
        yield shop


def charges(shop: Shop) -> list[int]:
    """Return all of them, oldest first."""
    return [one.amount for one in reversed(shop.sandbox.stripe.v1.charges.list({"limit": 100}).data)]


def test_from_a_small_plan_to_a_large_one_and_to_keeping_it_for_good(browser: Browser, shop: Shop) -> None:
    with Lobby(browser, shop.url) as visit:
        someone = visit()
        someone.forgive("409 ")
        someone.sign_in()
        someone.begin("Subscribe Basic", "Basic")
        someone.subscribe()
        someone.sees("You are subscribed")
        shop.pass_time(15 * DAY)

        someone.open("/pricing")
        someone.press("Change plan Pro, per month")
        someone.sees("Change your plan")
        someone.reads("Today")
        someone.follow("Keep Basic")
        someone.sees("Account")
        expect(someone.page.get_by_role("heading", name="Basic")).to_be_visible()

        someone.open("/pricing")
        someone.press("Change plan Pro, per month")
        someone.press("Change to Pro")
        someone.sees("Confirm your new plan")
        someone.press("Confirm")
        someone.sees("Account")
        expect(someone.page.get_by_role("heading", name="Pro")).to_be_visible()
        basic, difference = charges(shop)
        assert (basic, 150 < difference < 250) == (500, True)

        someone.open("/pricing")
        someone.press("Buy for good Pro")
        someone.sees("Before you pay")
        someone.reads("and nothing more is charged for it.")
        someone.press("Continue to payment")
        someone.pay()
        someone.sees("Payment done")
        someone.gets_in()

        shop.pass_time(60 * DAY)
        someone.context.clear_cookies()
        someone.sign_in()
        someone.gets_in()
        assert charges(shop) == [basic, difference, 99_000]
        someone.reads_in_the_end("/account", "Ended on")
