"""Subscriptions on the pages: started, shown, fixed, ended; and everything that a hostile browser could send."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.running import Browser, forms, running_sandbox
from tests.support.shops import DAY, HOUR, Shop, running_shop

from tollkeeper.model.access import Verdict
from tollkeeper.model.bought import SubscriptionStatus
from tollkeeper.reasons import Code, Fact, Reason, because
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
        rename("subscription", "not reported")
        page = someone.follow(paid)
        assert "Confirming your subscription" in page.text
        assert page.headers["Refresh"] == "3"
        assert not someone.enters()
        rename("not reported", "subscription")
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


def test_a_renewal_that_fails_is_reported_and_fixed(shop: Shop) -> None:
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
    portal = someone.submit(page, "Fix payment")
    assert "/p/session/" in portal.headers["Location"]

    shop.pass_time(8 * DAY)
    assert not someone.enters()
    assert "access ended on" in someone.get("/account").text
    answer = someone.get("/account").text
    assert "Fix payment" in answer

    shop.let_card("pm_card_visa")
    for owed in shop.sandbox.stripe.v1.invoices.list({"subscription": shop.subscription().id, "status": "open"}).data:
        shop.sandbox.stripe.v1.invoices.pay(owed.id)
    back = someone.get("/account/billing")
    assert (back.status_code, back.headers["Location"]) == (303, "/account")
    page = someone.get("/account")
    assert "Active" in page.text
    assert "Fix payment" not in page.text
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
    assert "/p/session/" in someone.submit(answer, "Fix payment").headers["Location"]


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
    shop.shows(someone, "/pricing", "Subscribe")  # once the provider has reported the end


def test_seats_are_reported_where_there_are_several(shop: Shop) -> None:
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
    assert "The billing page cannot be opened" in answer.text
    assert someone.get("/account").status_code == 200
    assert someone.get("/account/billing").headers["Location"] == "/account"


def test_a_page_of_our_own_may_lead_to_the_portal(shop: Shop) -> None:
    policy = Browser(shop.url).get("/").headers["Content-Security-Policy"]
    assert shop.sandbox.url in policy


def test_api_me_says_until_when(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "basic")
    reported = someone.get("/api/me").json()
    assert reported["buy"] == f"{shop.url}/pricing"
    assert reported["features"][0]["feature"] == "dashboard"
    assert reported["features"][0]["until"].endswith("Z")


NOW = 1_800_000_000
FOUND = Noted(
    source="sub_1",
    person_id="per_1",
    order_id="ord_1",
    product="pro",
    verdict=Verdict.GRANTED,
    reason=because(Code.SUBSCRIBED, until=NOW + 30 * DAY),
    amount=900,
    refunded=0,
    currency="eur",
    reference=None,
    email=None,
    bought_at=NOW - DAY,
    found_at=NOW,
    standing=SubscriptionStatus.ACTIVE,
    price_id="price_1",
    quantity=1,
    until=NOW + 31 * DAY,
    period_end=NOW + 30 * DAY,
)
TODAY, END = "15 January 2027", "14 February 2027"


MONTH = NOW + 30 * DAY
REFUND: dict[str, Fact] = {"refunded": 900, "amount": 900, "currency": "eur", "limit": 100}
# (the verdict, until when it gives access, its reason) -> what its buyer reads, and whether they can fix it
STATES: list[tuple[Verdict, int | None, Reason, str, str, bool]] = [
    (
        Verdict.GRANTED,
        MONTH + DAY,
        because(Code.SUBSCRIBED, until=MONTH),
        "Active",
        f"Next payment on {END}.",
        False,
    ),
    (
        Verdict.GRANTED,
        MONTH + DAY,
        because(Code.TRIAL, until=MONTH),
        "Free trial",
        f"Free until {END}. First payment on {END}.",
        False,
    ),
    (
        Verdict.GRANTED,
        MONTH,
        because(Code.SUBSCRIBED, until=MONTH, ends=MONTH),
        "Canceled",
        f"Paid until {END}, when it ends. Nothing more will be charged.",
        False,
    ),
    (
        Verdict.GRANTED,
        MONTH,
        because(Code.TRIAL, until=MONTH, ends=MONTH),
        "Canceled",
        f"Free until {END}, when it ends. Nothing more will be charged.",
        False,
    ),
    (
        Verdict.GRANTED,
        MONTH,
        because(Code.SUBSCRIBED, until=MONTH, paused=True),
        "Paused",
        f"Paid until {END}. No payments are collected after that.",
        False,
    ),
    (
        Verdict.GRANTED,
        MONTH,
        because(Code.RENEWING, since=NOW, until=MONTH),
        "Active",
        f"Your payment for the period from {TODAY} is on its way to us.",
        False,
    ),
    (
        Verdict.GRANTED,
        MONTH,
        because(Code.RENEWAL_FAILED, due=NOW - DAY, until=MONTH, bill="failed"),
        "Payment failed",
        f"Your last payment failed. Access until {END}.",
        True,
    ),
    (
        Verdict.GRANTED,
        NOW,
        because(Code.RENEWAL_FAILED, due=NOW - DAY, until=NOW, bill="failed"),
        "Payment failed",
        f"Your last payment failed, and access ended on {TODAY}.",
        True,
    ),
    (
        Verdict.GRANTED,
        MONTH,
        because(Code.PERIOD_NOT_PAID, due=NOW - DAY, until=MONTH, bill="uncollectible"),
        "Not paid",
        f"The current period is not paid yet. Access until {END}.",
        False,
    ),
    (
        Verdict.GRANTED,
        NOW,
        because(Code.PERIOD_NOT_PAID, due=NOW - DAY, until=NOW, bill="void"),
        "Not paid",
        f"The current period is not paid, and access ended on {TODAY}.",
        False,
    ),
    *(
        (
            Verdict.GRANTED,
            NOW,
            because(code, until=NOW - DAY, **more),
            "No access",
            f"It should have been renewed, but we had no news of a renewal by {TODAY}.",
            False,
        )
        for code, more in ((Code.SUBSCRIBED, {}), (Code.TRIAL, {}), (Code.RENEWING, {"since": NOW - 2 * DAY}))
    ),
    *(
        (Verdict.GRANTED, NOW, because(code, until=NOW, ends=NOW), "Ended", f"Ended on {TODAY}.", False)
        for code in (Code.SUBSCRIBED, Code.TRIAL)
    ),
    (
        Verdict.GRANTED,
        NOW,
        because(Code.SUBSCRIBED, until=NOW, paused=True),
        "Paused",
        f"It was paid until {TODAY}. No payments have been collected since.",
        False,
    ),
    (
        Verdict.PENDING,
        None,
        because(Code.PROCESSING),
        "Processing",
        "The payment is still being processed. You get access as soon as it succeeds.",
        False,
    ),
    (
        Verdict.SUSPENDED,
        None,
        because(Code.ON_HOLD),
        "On hold",
        "Its payments failed, and it is on hold until the amount due is paid.",
        True,
    ),
    (
        Verdict.SUSPENDED,
        None,
        because(Code.NO_CARD),
        "On hold",
        "Its trial ended without a card, and it is on hold until a card is added.",
        True,
    ),
    (
        Verdict.SUSPENDED,
        None,
        because(Code.FIRST_PAYMENT_MISSING),
        "On hold",
        "Its first payment has not been made.",
        True,
    ),
    (
        Verdict.SUSPENDED,
        None,
        because(Code.FIRST_PAYMENT_FAILED),
        "On hold",
        "Its first payment has failed.",
        True,
    ),
    (
        Verdict.SUSPENDED,
        None,
        because(Code.COLLECTION_PAUSED),
        "Paused",
        "Its payments are paused, and this period is not paid.",
        False,
    ),
    (
        Verdict.SUSPENDED,
        None,
        because(Code.DISPUTED, reference="pi_1"),
        "On hold",
        "Your bank disputes the payment. Access comes back if that is settled in our favour.",
        False,
    ),
    (
        Verdict.SUSPENDED,
        None,
        because(Code.DISPUTED, reference="pi_1", since=NOW),
        "On hold",
        f"Your bank disputes the payment for the period from {TODAY}. Access comes back if that is settled in our"
        " favour.",
        False,
    ),
    (
        Verdict.REVOKED,
        None,
        because(Code.DISPUTE_LOST, reference="pi_1", since=NOW),
        "No access",
        f"Your bank took back the payment for the period from {TODAY}, so access ended. Please write to us.",
        False,
    ),
    (
        Verdict.REVOKED,
        None,
        because(Code.REFUNDED, **REFUND),
        "Refunded",
        "€9.00 was refunded in full, so access ended.",
        False,
    ),
    (
        Verdict.REVOKED,
        None,
        because(Code.REFUNDED, part=True, **REFUND | {"refunded": 450, "limit": 50}),
        "Refunded in part",
        "€4.50 of €9.00 was refunded, so access ended.",
        False,
    ),
    (Verdict.ENDED, None, because(Code.ENDED, at=NOW), "Ended", f"Ended on {TODAY}.", False),
    (
        Verdict.ENDED,
        None,
        because(Code.NEVER_BEGUN),
        "Ended",
        "Its first payment was not made in time.",
        False,
    ),
    *(
        (
            Verdict.QUARANTINED,
            None,
            because(code),
            "No access",
            "We need to check this payment ourselves. Please write to us.",
            False,
        )
        for code in (Code.ORDERED_ONCE, Code.OTHER_PERSON, Code.OTHER_REALM, Code.UNKNOWN_STANDING)
    ),
    # From before there were codes, until the next sweep.
    (Verdict.GRANTED, MONTH, because(Code.WRITTEN, words="Paid until then."), "Active", "Paid until then.", False),
    (Verdict.GRANTED, NOW, because(Code.WRITTEN, words="Paid until then."), "No access", "Paid until then.", False),
    (Verdict.REVOKED, None, because(Code.WRITTEN, words="Refunded?"), "No access", "Refunded?", False),
]


@pytest.mark.parametrize(("verdict", "until", "reason", "label", "words", "needs_action"), STATES)
def test_every_state_in_words(
    verdict: Verdict, until: int | None, reason: Reason, label: str, words: str, needs_action: bool
) -> None:
    state = state_of(replace(FOUND, verdict=verdict, until=until, reason=reason), NOW)
    assert (state.label, state.words, state.needs_action) == (label, words, needs_action)


def test_a_trial_without_a_card_says_how_it_goes_on() -> None:
    found = replace(FOUND, standing=SubscriptionStatus.TRIALING, reason=because(Code.TRIAL, until=NOW + 30 * DAY))
    assert state_of(found, NOW, cardless=True).words == (
        f"Free until {END}. It continues after that if you have added a card, and ends if not."
    )
