"""Subscriptions in a browser: trial, renewal, failure, a new card, the end. The clocks of app and sandbox are moved."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from tests.journeys.visitor import Lobby, Visitor
from tests.support.running import running_sandbox
from tests.support.shops import DAY, HOUR, Shop, running_shop


@pytest.fixture
def shop(sqlite_url: str, tmp_path: Path) -> Iterator[Shop]:
    with running_sandbox() as sandbox, running_shop(sandbox, sqlite_url, tmp_path) as shop:
        yield shop


@pytest.fixture
def someone(browser: Browser, shop: Shop) -> Iterator[Visitor]:
    """Somebody who is signed in."""
    with Lobby(browser, shop.url) as visit:
        visitor = visit()
        visitor.sign_in()
        yield visitor


def comes_back(visitor: Visitor) -> None:
    """In another browser: a sign-in lasts for 30 days."""
    visitor.context.clear_cookies()
    visitor.sign_in()


def is_out(visitor: Visitor) -> None:
    visitor.open("/dashboard")
    visitor.is_at("/")


def test_from_trial_to_renewal_to_failure_and_back(someone: Visitor, shop: Shop) -> None:
    someone.begin("Start free trial Pro, per month", "Pro")
    someone.reads("14 days free")
    someone.subscribe()
    someone.sees("Your trial has begun")
    someone.reads("Nothing was charged today.")
    someone.gets_in()

    shop.pass_time(14 * DAY + 2 * HOUR)
    someone.reads_in_the_end("/account", "Next payment on")
    someone.gets_in()

    shop.let_card("pm_card_chargeCustomerFail")
    shop.pass_time(31 * DAY)
    comes_back(someone)
    someone.reads_in_the_end("/account", "Your last payment failed. Access until")
    someone.gets_in()

    someone.open()
    someone.press("Fix payment")
    someone.sees("Manage your billing")
    someone.follow("Update your card")
    someone.fill_card()
    someone.press("Save card")
    shop.pass_time(3 * DAY + HOUR)  # when it is tried again
    someone.open("/account/billing")
    someone.is_at("/account")
    someone.reads("Next payment on")
    expect(someone.button("Fix payment")).to_have_count(0)
    someone.gets_in()


def test_after_the_grace_the_door_is_closed(someone: Visitor, shop: Shop) -> None:
    someone.begin("Subscribe Basic", "Basic")
    someone.subscribe()
    someone.sees("You are subscribed")
    shop.let_card("pm_card_chargeCustomerFail")
    shop.pass_time(31 * DAY + 2 * HOUR)
    comes_back(someone)
    someone.reads_in_the_end("/account", "Your last payment failed. Access until")
    someone.gets_in()
    shop.pass_time(7 * DAY)
    is_out(someone)
    someone.open("/account")
    someone.reads("Your last payment failed, and access ended on")


def test_canceled_in_the_portal_it_lasts_to_its_end_and_no_longer(someone: Visitor, shop: Shop) -> None:
    someone.begin("Subscribe Basic", "Basic")
    someone.subscribe()
    someone.follow("Account")
    someone.press("Manage billing")
    someone.sees("Manage your billing")
    someone.press("Cancel")
    someone.press("Cancel subscription")
    someone.page.get_by_role("link", name="Return to").first.click()
    someone.is_at("/account")
    someone.reads("Nothing more will be charged.")
    end = shop.subscription().cancel_at or shop.subscription()["items"]["data"][0]["current_period_end"]
    shop.pass_time(end - shop.site.clock() - HOUR)
    comes_back(someone)
    someone.gets_in()
    shop.pass_time(HOUR + 60)
    is_out(someone)
    someone.reads_in_the_end("/account", "Ended on")


def test_a_better_plan_opens_more_at_once(someone: Visitor, shop: Shop) -> None:
    offer_plans(shop)
    someone.begin("Subscribe Basic", "Basic")
    someone.subscribe()
    someone.open("/pricing?feature=reports")
    someone.reads("you need this")
    someone.open("/account")
    someone.press("Manage billing")
    someone.press("Change plan")
    someone.page.get_by_label("Plan").select_option("Pro, €9.00 per month")
    someone.press("Change plan")
    someone.page.get_by_role("link", name="Return to").first.click()
    expect(someone.page.get_by_role("heading", level=3, name="Pro", exact=True)).to_be_visible()
    someone.open("/pricing?feature=reports")
    someone.reads("This is what unlocks it.")


def offer_plans(shop: Shop) -> None:
    """Have the portal offer Basic and Pro, as its settings do."""
    v1 = shop.sandbox.stripe.v1
    prices = [v1.prices.retrieve(shop.prices[name]) for name in ("basic", "month")]
    products = [{"product": str(price.product), "prices": [price.id]} for price in prices]
    change: Any = {"enabled": True, "default_allowed_updates": ["price"], "products": products}
    usual = v1.billing_portal.configurations.list({"is_default": True}).data[0]
    v1.billing_portal.configurations.update(usual.id, {"features": {"subscription_update": change}})


def test_a_coupon_for_everything_lets_in_for_nothing(browser: Browser, sqlite_url: str, tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_shop(sandbox, sqlite_url, tmp_path, terms="") as shop:
        v1 = sandbox.stripe.v1
        coupon = v1.coupons.create({"percent_off": 100, "duration": "forever"})
        code = v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}}).code
        with Lobby(browser, shop.url) as visit:
            someone = visit()
            someone.sign_in()
            someone.begin("Subscribe Pro, per month", "Pro")
            someone.type("Promotion code", code)
            someone.press("Apply")
            someone.subscribe()
            someone.sees("You are subscribed")
            someone.reads("Nothing was charged today.")
            someone.gets_in()
            shop.pass_time(31 * DAY + 2 * HOUR)
            comes_back(someone)
            someone.reads_in_the_end("/dashboard", "Dashboard")
            someone.gets_in()


def test_two_products_open_what_is_theirs(someone: Visitor, shop: Shop) -> None:
    someone.begin("Purchase Flying lessons", "Flying lessons")
    someone.pay()
    someone.sees("Payment done")
    someone.open("/pricing?feature=reports")
    someone.reads("you need this")
    someone.press("Start free trial Pro, per year")
    someone.subscribe()
    someone.sees("Your trial has begun")
    someone.open("/pricing")
    expect(someone.page.get_by_text("You have this.")).to_have_count(2)
    someone.open("/account")
    someone.reads("For good")
    someone.reads("€90.00 per year")


def test_deleting_the_account_ends_what_is_running(someone: Visitor, shop: Shop) -> None:
    someone.begin("Start free trial Pro, per month", "Pro")
    someone.subscribe()
    someone.follow("Account")
    with someone.page.expect_download() as download:
        someone.follow("Download your data")
    assert someone.email in Path(download.value.path()).read_text()
    someone.follow("Delete account")
    someone.reads("Your subscription to Pro ends.")
    someone.page.get_by_role("checkbox").check()
    someone.press("Delete account")
    someone.sees("Your account is deleted")
    assert shop.subscription().status == "canceled"
    someone.sign_in()
    is_out(someone)
