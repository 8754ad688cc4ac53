"""Subscriptions on the pages: begun, told of, mended, ended; and all that a hostile browser could send."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.running import Browser, forms, running_sandbox
from tests.support.shops import DAY, HOUR, Shop, running_shop

from tollkeeper.model import Standing, Verdict
from tollkeeper.storage.findings import Noted
from tollkeeper.storage.tables import orders
from tollkeeper.web.plans import state_of

NOTICE = "Your last payment failed. Access until"


@pytest.fixture
def shop(sqlite_url: str, tmp_path: Path) -> Iterator[Shop]:
    """With a clock of its own, that tests move."""
    with running_sandbox() as sandbox, running_shop(sandbox, sqlite_url, tmp_path) as shop:
        yield shop


def begin(shop: Shop, browser: Browser, **fields: str) -> int:
    """The status of the answer to a form for buying that somebody made up."""
    token = forms(browser.get("/"))[0].fields["csrf_token"]
    where = f"{shop.url}/purchase/checkout-session"
    return browser.client.post(where, data={"csrf_token": token} | fields, headers={"Origin": shop.url}).status_code


def test_only_prices_on_sale_are_sold_and_only_of_that_product(shop: Shop) -> None:
    someone, prices = shop.newcomer(), shop.prices
    for product, price in (
        ("pro", "price_made_up"),
        ("pro", prices["legacy"]),
        ("pro", prices["basic"]),
        ("flying", prices["month"]),
        ("pro", ""),
        ("pro", "../prices"),
        ("nothing", prices["month"]),
    ):
        assert begin(shop, someone, product=product, price=price) == 400
    assert shop.site.rows(orders) == []
    assert begin(shop, someone, product="pro", price=prices["year"]) == 303
    assert [(order.price_id, order.trial_days) for order in shop.site.rows(orders)] == [(prices["year"], 14)]


def test_a_trial_begins_and_says_what_comes_next(shop: Shop) -> None:
    someone = shop.newcomer()
    page = shop.buy(someone, "month").text
    for words in ("Your trial has begun", "Nothing was charged today.", "First payment on", "€9.00 per month", "€0.00"):
        assert words in page
    assert someone.enters()
    account = someone.get("/account").text
    for words in (
        "Free trial",
        "Free until",
        "€9.00 per month",
        "Manage billing",
        "Nothing besides your subscriptions",
    ):
        assert words in account


def test_a_subscription_that_is_not_told_of_yet_is_being_confirmed(sqlite_url: str, tmp_path: Path) -> None:
    def rename(before: str, after: str) -> None:
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite3", timeout=10)) as ledger, ledger:
            ledger.execute("UPDATE objects SET kind = ? WHERE kind = ?", (after, before))

    with (
        running_sandbox(tmp_path) as sandbox,
        running_shop(sandbox, sqlite_url, tmp_path, STRIPE_WEBHOOK_SECRET="") as shop,
    ):
        someone = shop.newcomer()
        paid = someone.pay(someone.follow(shop.order(someone, "month")))
        rename("subscription", "not told of")
        page = someone.follow(paid)
        assert "Confirming your subscription" in page.text
        assert page.headers["Refresh"] == "3"
        assert not someone.enters()
        rename("not told of", "subscription")
        assert "Your trial has begun" in someone.follow(paid).text
        assert someone.enters()


def test_a_subscription_without_a_trial_is_paid_at_once(shop: Shop) -> None:
    someone = shop.newcomer()
    page = shop.buy(someone, "basic").text
    for words in ("You are subscribed", "€5.00 per month", "Next payment on", "Paid"):
        assert words in page
    assert "Nothing was charged" not in page
    assert "Active" in someone.get("/account").text


def test_leaving_the_checkout_of_a_trial_keeps_it(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.order(someone, "year")
    checkout = shop.site.rows(orders)[0].checkout_id
    page = someone.get("/purchase/cancel", session_id=checkout)
    for words in ("Nothing was charged", "before starting your trial", "€90.00", "per year", "14 days free"):
        assert words in page.text
    again = someone.submit(page, "Start free trial")
    assert checkout in again.headers["Location"]


def test_a_renewal_that_fails_is_told_of_and_mended(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "basic")
    shop.let_card("pm_card_chargeCustomerFail")
    shop.pass_time(31 * DAY + 2 * HOUR)
    shop.sign_in_again(someone)
    for path in ("/", "/pricing", "/account"):
        assert NOTICE in shop.shows(someone, path, NOTICE).text
    assert someone.enters()
    page = someone.get("/account")
    assert "Payment failed" in page.text
    portal = someone.submit(page, "Mend it")
    assert "/p/session/" in portal.headers["Location"]

    shop.pass_time(8 * DAY)
    assert not someone.enters()
    assert "access ended on" in someone.get("/account").text
    answer = someone.get("/account").text
    assert "Mend it" in answer

    shop.let_card("pm_card_visa")
    for owed in shop.sandbox.stripe.v1.invoices.list({"subscription": shop.subscription().id, "status": "open"}).data:
        shop.sandbox.stripe.v1.invoices.pay(owed.id)
    back = someone.get("/account/billing")
    assert (back.status_code, back.headers["Location"]) == (303, "/account")
    page = someone.get("/account")
    assert "Active" in page.text
    assert "Mend it" not in page.text
    assert someone.enters()


def test_nobody_subscribes_twice(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "basic")
    shop.let_card("pm_card_chargeCustomerFail")
    shop.pass_time(31 * DAY + 2 * HOUR)
    shop.pass_time(8 * DAY)
    shop.sign_in_again(someone)
    shop.shows(someone, "/account", "access ended on")
    page = someone.get("/pricing")
    assert shop.prices["basic"] not in [form.fields.get("price") for form in forms(page)]
    assert "See your account" in page.text
    token = forms(page)[0].fields["csrf_token"]
    answer = someone.client.post(
        f"{shop.url}/purchase/checkout-session",
        data={"csrf_token": token, "product": "basic", "price": shop.prices["basic"]},
        headers={"Origin": shop.url},
    )
    assert answer.status_code == 409
    assert "You have a subscription already" in answer.text
    assert "/p/session/" in someone.submit(answer, "Mend it").headers["Location"]


def test_canceled_it_lasts_to_its_end_and_no_longer(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "basic")
    shop.sandbox.stripe.v1.subscriptions.update(shop.subscription().id, {"cancel_at_period_end": True})
    page = shop.shows(someone, "/account", "Canceled")
    assert "Nothing more will be charged." in page.text
    shop.pass_time(29 * DAY)
    assert someone.enters()
    shop.pass_time(2 * DAY + HOUR)
    shop.sign_in_again(someone)
    assert not someone.enters()
    assert "Ended" in shop.shows(someone, "/account", "Ended on").text
    assert "Subscribe" in someone.get("/pricing").text


def test_seats_are_told_where_there_are_several(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "basic")
    assert "Seats" not in someone.get("/account").text
    item = shop.subscription()["items"]["data"][0]["id"]
    shop.sandbox.stripe.v1.subscriptions.update(shop.subscription().id, {"items": [{"id": item, "quantity": 3}]})
    assert "for each seat" in shop.shows(someone, "/account", "Seats").text


def test_billing_is_for_customers(shop: Shop) -> None:
    someone = shop.newcomer()
    token = forms(someone.get("/"))[0].fields["csrf_token"]
    where = f"{shop.url}/account/billing"
    nothing = someone.client.post(where, data={"csrf_token": token}, headers={"Origin": shop.url})
    assert nothing.status_code == 404
    shop.buy(someone, "basic")
    for data, origin in (
        ({}, shop.url),
        ({"csrf_token": "x"}, shop.url),
        ({"csrf_token": token}, "https://evil.example"),
    ):
        assert someone.client.post(where, data=data, headers={"Origin": origin}).status_code == 403
    assert someone.client.post(where, data={"csrf_token": token}).status_code == 403
    stranger = Browser(shop.url)
    assert stranger.client.post(where, headers={"Origin": shop.url}).headers["Location"] == "/login"
    assert stranger.get("/account/billing").headers["Location"].startswith("/login?return_to=")
    portal = someone.client.post(where, data={"csrf_token": token}, headers={"Origin": shop.url})
    assert portal.status_code == 303
    assert f'href="{shop.url}/account/billing"' in someone.get(portal.headers["Location"]).text


def test_billing_while_the_provider_is_away(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "basic")
    page = someone.get("/account")
    shop.sandbox.thread.stop()
    answer = someone.submit(page, "Manage billing")
    assert answer.status_code == 503
    assert "The billing page does not open" in answer.text
    assert someone.get("/account").status_code == 200
    assert someone.get("/account/billing").headers["Location"] == "/account"


def test_a_page_of_our_own_may_lead_to_the_portal(shop: Shop) -> None:
    policy = Browser(shop.url).get("/").headers["Content-Security-Policy"]
    assert shop.sandbox.url in policy


def test_api_me_says_until_when(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "basic")
    told = someone.get("/api/me").json()
    assert told["buy"] == f"{shop.url}/pricing"
    assert told["features"][0]["feature"] == "dashboard"
    assert told["features"][0]["until"].endswith("Z")


NOW = 1_800_000_000
FOUND = Noted(
    source="sub_1",
    person_id="per_1",
    order_id="ord_1",
    product="pro",
    verdict=Verdict.GRANTED,
    reason="Paid until then.",
    amount=900,
    refunded=0,
    currency="eur",
    reference=None,
    email=None,
    bought_at=NOW - DAY,
    found_at=NOW,
    standing=Standing.ACTIVE,
    price_id="price_1",
    quantity=1,
    until=NOW + 31 * DAY,
    period_end=NOW + 30 * DAY,
)
END = "14 February 2027"


@pytest.mark.parametrize(
    ("changes", "label", "words", "to_mend"),
    [
        ({}, "Active", f"Next payment on {END}.", False),
        (
            {"standing": Standing.TRIALING, "trial_end": NOW + 30 * DAY},
            "Free trial",
            f"Free until {END}. First payment on {END}.",
            False,
        ),
        (
            {"ends_at": NOW + 30 * DAY, "until": NOW + 30 * DAY},
            "Canceled",
            f"Paid until {END}, when it ends. Nothing more will be charged.",
            False,
        ),
        (
            {"standing": Standing.TRIALING, "ends_at": NOW + 30 * DAY, "until": NOW + 30 * DAY},
            "Canceled",
            f"Free until {END}, when it ends. Nothing more will be charged.",
            False,
        ),
        (
            {"until": NOW + 30 * DAY},
            "Paused",
            f"Paid until {END}. No payments are asked for from then on.",
            False,
        ),
        (
            {"standing": Standing.PAST_DUE, "until": NOW + 30 * DAY},
            "Payment failed",
            f"Your last payment failed. Access until {END}.",
            True,
        ),
        (
            {"standing": Standing.PAST_DUE, "until": NOW},
            "Payment failed",
            "Your last payment failed, and access ended on 15 January 2027.",
            True,
        ),
        (
            {"until": NOW},
            "No access",
            "It should have been renewed, but nothing was heard of it by 15 January 2027.",
            False,
        ),
        (
            {"verdict": Verdict.PENDING},
            "Under way",
            "The payment is still being processed. Access arrives by itself.",
            False,
        ),
        ({"verdict": Verdict.SUSPENDED, "standing": Standing.UNPAID}, "On hold", "Paid until then.", True),
        ({"verdict": Verdict.SUSPENDED, "standing": Standing.PAUSED}, "On hold", "Paid until then.", True),
        ({"verdict": Verdict.SUSPENDED}, "Paused", "Paid until then.", False),
        ({"verdict": Verdict.ENDED}, "Ended", "Paid until then.", False),
        ({"verdict": Verdict.REVOKED}, "No access", "Paid until then.", False),
        (
            {"verdict": Verdict.QUARANTINED},
            "No access",
            "We have to look at this payment ourselves. Please write to us.",
            False,
        ),
    ],
)
def test_every_state_in_words(changes: dict[str, object], label: str, words: str, to_mend: bool) -> None:
    state = state_of(replace(FOUND, **changes), NOW)  # type: ignore[arg-type]
    assert (state.label, state.words, state.to_mend) == (label, words, to_mend)


def test_a_trial_without_a_card_says_how_it_goes_on() -> None:
    found = replace(FOUND, standing=Standing.TRIALING, trial_end=NOW + 30 * DAY)
    assert state_of(found, NOW, cardless=True).words == (
        f"Free until {END}. It goes on from then if you have added a card, and ends if not."
    )
