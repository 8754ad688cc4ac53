"""K73 and K74: products that contain each other, and purchases for good during a subscription."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs
from tests.support.processes import run_here
from tests.support.running import Browser, eventually, forms, running_sandbox
from tests.support.shelves import running_shelves
from tests.support.shops import DAY, HOUR, Shop

from tollkeeper.storage.tables import audit, events, grants, orders
from tollkeeper.words import day

MONTH = 31 * DAY


@pytest.fixture
def shop(database_url: str, tmp_path: Path) -> Iterator[Shop]:
    with running_sandbox() as sandbox, running_shelves(sandbox, database_url, tmp_path) as shop:
        yield shop


@pytest.fixture
def reaching(database_url: str, tmp_path: Path) -> Iterator[Any]:
    """Opens a shop with other terms than usual."""

    def opening(**terms: Any) -> Any:
        return running_shelves(sandbox, database_url, tmp_path, **terms)

    with running_sandbox() as sandbox:
        yield opening


def subscribed(shop: Shop, price: str) -> tuple[Browser, Any]:
    """Somebody new with a subscription, as the provider tells it."""
    someone = shop.newcomer()
    done = shop.buy(someone, price)
    assert done.status_code == 200, done.text
    return someone, shop.subscription()


def running(shop: Shop) -> list[Any]:
    """The subscriptions at the provider that are not over."""
    found = shop.sandbox.stripe.v1.subscriptions.list({"status": "all", "limit": 100}).data
    return [one for one in found if one.status not in {"canceled", "incomplete_expired"}]


def holds(shop: Shop, someone: Browser) -> list[str]:
    now = shop.site.clock()
    rows = shop.site.rows_of(someone, grants)
    return sorted(one.product for one in rows if one.revoked_at is None and (one.until is None or one.until > now))


def charges(shop: Shop) -> list[int]:
    """What was taken of cards, in all."""
    found = shop.sandbox.stripe.v1.charges.list({"limit": 100}).data
    return sorted(one.amount for one in found if one.paid)


def open_pages(shop: Shop) -> int:
    return len(shop.sandbox.stripe.v1.checkout.sessions.list({"status": "open", "limit": 100}).data)


def portal(shop: Shop, **change: Any) -> None:
    """What the seller's portal does about changes of plan."""
    v1 = shop.sandbox.stripe.v1
    (ours,) = [one for one in v1.billing_portal.configurations.list().data if not one.is_default]
    update: Any = {"enabled": True, **change}
    v1.billing_portal.configurations.update(ours.id, {"features": {"subscription_update": update}})


def confirm_and_pay(shop: Shop, someone: Browser, page: httpx2.Response) -> httpx2.Response:
    """Confirm what a page tells, and pay. Answers the last page."""
    return someone.follow(someone.pay(someone.follow(someone.submit(page, "Continue to payment"))))


def post(shop: Shop, someone: Browser, path: str, **fields: str) -> httpx2.Response:
    token = forms(someone.get("/account"))[0].fields["csrf_token"]
    return someone.client.post(f"{shop.url}{path}", data={"csrf_token": token} | fields, headers={"Origin": shop.url})


def listed(shop: Shop, folder: Path) -> list[dict[str, Any]]:
    """What ``tollkeeper payments`` says."""
    reported = run_here("payments", "--json", folder=folder, environment=shop.site.settings)
    assert reported.returncode == 0, reported.stderr
    found: list[dict[str, Any]] = json.loads(reported.stdout)["payments"]
    return found


def why(shop: Shop, someone: Browser, folder: Path) -> str:
    reported = run_here("why", shop.emails[someone], folder=folder, environment=shop.site.settings)
    assert reported.returncode == 0, reported.stderr
    return reported.stdout


# 73


def test_k73_anybody_who_wants_more_is_led_to_change_the_plan_and_told_what_that_costs(shop: Shop) -> None:
    someone, basic = subscribed(shop, "basic")
    assert "You subscribe to Basic: this changes your plan" in someone.get("/pricing").text
    shop.pass_time(10 * DAY)
    led = shop.order(someone, "pro")
    assert (led.status_code, led.headers["Location"].partition("?")[0]) == (303, "/purchase/change")
    page = someone.follow(led)
    assert page.status_code == 200
    assert "Change your plan" in page.text
    assert "€5.00 per month" in page.text
    assert "€9.00 per month" in page.text
    portal = someone.follow(someone.submit(page, "Change to Pro"))
    assert portal.url.path.startswith("/p/session/")
    (due,) = re.findall(r"<dd[^>]*>(€2\.\d\d)</dd>", portal.text)
    assert f"<dd>{due}</dd>" in page.text
    assert charges(shop) == [500]  # nothing by looking
    back = someone.follow(someone.submit(portal, "Confirm"))
    assert (back.url.path, "Pro" in back.text) == ("/account", True)
    assert holds(shop, someone) == ["pro"]
    (only,) = running(shop)
    assert only.id == basic.id
    (first, second) = charges(shop)
    assert (second, 200 < first < 400) == (500, True)
    assert open_pages(shop) == 0


def test_k73_another_period_is_billed_at_once_and_reported_so(shop: Shop) -> None:
    someone, _ = subscribed(shop, "basic")
    page = someone.follow(shop.order(someone, "year"))
    assert "€85.0" in page.text  # less what is left of the month, nearly all
    someone.follow(someone.submit(someone.follow(someone.submit(page, "Change to Pro")), "Confirm"))
    assert holds(shop, someone) == ["pro"]
    assert len(running(shop)) == 1


def test_k73_anybody_who_has_more_is_told_so_and_may_change_down(shop: Shop) -> None:
    someone, pro = subscribed(shop, "pro")
    page = someone.follow(shop.order(someone, "basic"))
    assert "You have this already" in page.text
    assert "lose reports" in page.text
    assert "deducted from your next payments" in page.text
    back = someone.follow(someone.submit(someone.follow(someone.submit(page, "Change to Basic")), "Confirm"))
    assert back.url.path == "/account"
    assert holds(shop, someone) == ["basic"]
    assert ([one.id for one in running(shop)], charges(shop)) == ([pro.id], [900])


def test_k73_a_trial_goes_on_with_the_other_plan(reaching: Any) -> None:
    with reaching(terms="trial_days = 14") as shop:
        someone, pro = subscribed(shop, "pro")
        assert pro.status == "trialing"
        page = someone.follow(shop.order(someone, "basic"))
        assert "Nothing: your trial continues" in page.text
        someone.follow(someone.submit(someone.follow(someone.submit(page, "Change to Basic")), "Confirm"))
        assert (shop.subscription().status, holds(shop, someone), charges(shop)) == ("trialing", ["basic"], [])
        shop.pass_time(14 * DAY + 2 * HOUR)
        assert charges(shop) == [500]


def test_k73_a_portal_that_ends_trials_is_reported_as_it_is(reaching: Any) -> None:
    """As one that was set up by an earlier version."""
    with reaching(terms="trial_days = 14") as shop:
        someone, _ = subscribed(shop, "pro")
        portal(shop, trial_update_behavior="end_trial")
        page = someone.follow(shop.order(someone, "basic"))
        assert "<dd>€5.00</dd>" in page.text
        assert "your trial continues" not in page.text
        someone.follow(someone.submit(someone.follow(someone.submit(page, "Change to Basic")), "Confirm"))
        changed = shop.subscription()
        assert (changed.status, charges(shop)) == ("active", [500])
        assert day(changed["items"].data[0].current_period_end) in page.text


def test_k73_a_portal_that_charges_with_the_next_invoice_is_reported_as_it_is(shop: Shop) -> None:
    someone, _ = subscribed(shop, "basic")
    portal(shop, proration_behavior="create_prorations")
    page = someone.follow(shop.order(someone, "pro"))
    assert "<dd>Nothing</dd>" in page.text
    someone.follow(someone.submit(someone.follow(someone.submit(page, "Change to Pro")), "Confirm"))
    assert charges(shop) == [500]


def test_k73_a_subscription_with_several_prices_is_not_changed_here(shop: Shop) -> None:
    someone, basic = subscribed(shop, "basic")
    more: Any = {"items": [{"price": shop.prices["apart"]}], "proration_behavior": "none"}
    shop.sandbox.stripe.v1.subscriptions.update(basic.id, more)
    page = someone.follow(shop.order(someone, "pro"))
    assert (page.status_code, "cannot be made here at the moment" in page.text) == (409, True)


def test_k73_while_the_provider_is_down_nothing_is_begun(shop: Shop) -> None:
    someone, _ = subscribed(shop, "basic")
    failing = {"effect": "error", "path": "/v1/invoices/create_preview", "method": "POST", "status": 500, "times": None}
    assert httpx2.post(f"{shop.sandbox.url}/control/faults", json=failing).status_code == 201
    page = someone.follow(shop.order(someone, "pro"))
    assert (page.status_code, "Nothing was charged." in page.text) == (503, True)
    failing["path"] = "/v1/subscriptions"
    assert httpx2.post(f"{shop.sandbox.url}/control/faults", json=failing | {"method": "GET"}).status_code == 201
    assert shop.order(someone, "pro").status_code == 503
    httpx2.delete(f"{shop.sandbox.url}/control/faults")
    assert (charges(shop), open_pages(shop), len(running(shop))) == ([500], 0, 1)


def test_k73_a_first_payment_that_is_on_its_way_is_waited_for(shop: Shop) -> None:
    assert httpx2.post(f"{shop.sandbox.url}/control/debits", data={"seconds": str(DAY)}).is_success
    someone = shop.newcomer()
    shop.order(someone, "basic")
    (order,) = shop.site.rows_of(someone, orders)
    v1 = shop.sandbox.stripe.v1
    (customer,) = v1.customers.list({"email": shop.emails[someone]}).data
    debit = v1.payment_methods.attach("pm_success_de", {"customer": customer.id})
    v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": shop.prices["basic"]}],
            "default_payment_method": debit.id,
            "metadata": {"order": order.id, "person": order.person_id},
        }
    )
    eventually(lambda: "Processing" in someone.get("/account").text)
    page = shop.order(someone, "pro")
    assert (page.status_code, "Your payment is on its way" in page.text) == (409, True)
    assert not [form for form in forms(page) if "price" in form.fields]


def test_k73_anybody_who_changes_gets_no_second_trial_nor_a_charge_for_both(reaching: Any) -> None:
    with reaching(terms="trial_days = 14") as shop:
        someone, _ = subscribed(shop, "basic")
        pricing = someone.get("/pricing").text
        assert "Start free trial" not in pricing
        page = someone.follow(shop.order(someone, "pro"))
        assert "trial" not in page.text
        assert "€4.0" in page.text


def test_k73_where_the_portal_is_not_set_up_it_says_what_to_do_and_charges_nothing(reaching: Any) -> None:
    with reaching(portal=False) as shop:
        someone, _ = subscribed(shop, "basic")
        with capture_logs() as logs:
            page = someone.follow(shop.order(someone, "pro"))
        assert page.status_code == 409
        assert (
            "This change cannot be made here at the moment. Nothing was changed, and nothing was charged." in page.text
        )
        assert "end Basic. When it has ended, subscribe to Pro here." in page.text
        (line,) = [one for one in logs if one["event"] == "no change of plan"]
        assert "tollkeeper setup stripe" in line["advice"]
        assert (charges(shop), open_pages(shop), len(running(shop))) == ([500], 0, 1)
        assert "Manage billing" in page.text


def test_k73_a_price_that_the_portal_does_not_offer_is_refused_plainly(shop: Shop) -> None:
    someone, _ = subscribed(shop, "basic")
    page = someone.follow(shop.order(someone, "pro"))
    price = shop.sandbox.stripe.v1.prices.retrieve(shop.prices["basic"])
    portal(shop, products=[{"product": str(price.product), "prices": [price.id]}])
    refused = someone.submit(page, "Change to Pro")
    assert refused.status_code == 409
    assert "cannot be made here at the moment" in refused.text
    assert (charges(shop), holds(shop, someone)) == ([500], ["basic"])


def test_k73_one_whose_payment_failed_is_fixed_first(shop: Shop) -> None:
    someone, _ = subscribed(shop, "basic")
    shop.let_card("pm_card_chargeCustomerFail")
    shop.pass_time(MONTH + 2 * HOUR)
    shop.sign_in_again(someone)
    eventually(lambda: "Payment failed" in someone.get("/account").text)
    assert shop.buy(someone, "apart").status_code == 200  # the page is not about this one, though it is newer
    page = shop.order(someone, "pro")
    assert page.status_code == 409
    assert "Your subscription to Basic is still running, but a payment for it has failed." in page.text
    assert "Your last payment failed" in page.text
    assert open_pages(shop) == 0


def test_k73_one_that_ends_is_reported_and_only_who_confirms_that_goes_on(shop: Shop) -> None:
    someone, basic = subscribed(shop, "basic")
    shop.sandbox.stripe.v1.subscriptions.update(basic.id, {"cancel_at_period_end": True})
    page = shop.order(someone, "pro")
    assert page.status_code == 409
    assert "If you subscribe now, you pay for both until then." in page.text
    assert open_pages(shop) == 0
    acknowledged = next(form.fields["acknowledged"] for form in forms(page) if "acknowledged" in form.fields)
    again = post(
        shop,
        someone,
        "/purchase/checkout-session",
        product="pro",
        price=shop.prices["pro"],
        acknowledged=acknowledged + "x",
    )
    assert again.status_code == 409
    confirm_and_pay(shop, someone, page)
    assert holds(shop, someone) == ["basic", "pro"]


def test_k73_what_overlaps_is_reported_and_goes_on_when_that_is_confirmed(shop: Shop, tmp_path: Path) -> None:
    someone, _ = subscribed(shop, "pro")
    page = shop.order(someone, "news")
    assert page.status_code == 409
    assert "Your subscription to Pro already gives you a part of this (dashboard)." in page.text
    confirm_and_pay(shop, someone, page)
    assert holds(shop, someone) == ["news", "pro"]
    assert listed(shop, tmp_path) == []
    assert shop.order(someone, "apart").headers["Location"].startswith(shop.sandbox.url)


def test_k73_what_is_found_at_the_provider_decides_and_not_what_was_so_before(shop: Shop) -> None:
    """No event reported that the subscription is over."""
    someone, basic = subscribed(shop, "basic")
    shop.sandbox.forget(shop.url)
    shop.sandbox.stripe.v1.subscriptions.cancel(basic.id)
    assert shop.order(someone, "pro").headers["Location"].startswith(shop.sandbox.url)


@pytest.mark.parametrize("price", ["once", "price_unknown", ""])
def test_k73_a_change_to_what_is_not_on_sale_is_refused(shop: Shop, price: str) -> None:
    someone, _ = subscribed(shop, "basic")
    asked = {"product": "pro", "price": shop.prices.get(price, price)}
    assert someone.get("/purchase/change", **asked).status_code == 400
    assert post(shop, someone, "/purchase/change", **asked).status_code == 400


def test_k73_a_change_needs_a_subscription_that_can_be_changed(shop: Shop) -> None:
    someone = shop.newcomer()
    asked = {"product": "pro", "price": shop.prices["pro"]}
    for answer in (someone.get("/purchase/change", **asked), post(shop, someone, "/purchase/change", **asked)):
        assert (answer.status_code, answer.headers["Location"]) == (303, "/pricing#pro")


def test_k73_no_other_site_can_begin_a_change(shop: Shop) -> None:
    someone, _ = subscribed(shop, "basic")
    asked = {"product": "pro", "price": shop.prices["pro"]}
    where = f"{shop.url}/purchase/change"
    token = forms(someone.get("/account"))[0].fields["csrf_token"]
    elsewhere = {"Origin": "https://evil.example"}
    assert someone.client.post(where, data=asked | {"csrf_token": token}, headers=elsewhere).status_code == 403
    assert someone.client.post(where, data=asked, headers={"Origin": shop.url}).status_code == 403
    stranger = Browser(shop.url)
    assert stranger.get("/purchase/change", **asked).headers["Location"].startswith("/login")


def test_k73_anybody_who_came_for_a_page_gets_there_after_the_change(shop: Shop) -> None:
    someone, _ = subscribed(shop, "basic")
    pricing = someone.get("/pricing", feature="reports", return_to="/dashboard")
    form = next(one for one in forms(pricing) if one.fields.get("price") == shop.prices["pro"])
    led = someone.client.post(f"{shop.url}{form.action}", data=form.fields, headers={"Origin": shop.url})
    portal = someone.follow(someone.submit(someone.follow(led), "Change to Pro"))
    assert someone.follow(someone.submit(portal, "Confirm")).url.path == "/dashboard"
    evil = someone.get("/account/billing", return_to="https://evil.example/")
    assert evil.headers["Location"] == "/account"


def test_k73_two_that_contain_each_other_are_listed_and_reported(shop: Shop, tmp_path: Path) -> None:
    """As in two tabs, of which each began before the other was paid."""
    someone = shop.newcomer()
    pages = [someone.follow(shop.order(someone, price)) for price in ("basic", "pro")]
    with capture_logs() as logs:
        for page in pages:
            someone.follow(someone.pay(page))
        assert holds(shop, someone) == ["basic", "pro"]
        (line,) = eventually(lambda: [one for one in logs if one["event"] == "bought twice"])[:1]
    assert (line["product"], line["beside"]) == ("basic", "pro")
    (case,) = listed(shop, tmp_path)
    basic = next(row.source for row in shop.site.rows_of(someone, grants) if row.product == "basic")
    assert (case["what"], case["payment"]) == ("bought twice", basic)
    assert case["reason"].startswith("pro gives all of it, and is paid for as well (sub_")
    assert case["what_to_do"] == f"To stop charging for it: tollkeeper end {basic} --at-period-end --note WHY"
    reported = someone.get("/account").text
    assert reported.count("You pay twice: Pro gives you all of this as well.") == 1
    ended = run_here(
        "end", basic, "--at-period-end", "--note", "Twice", folder=tmp_path, environment=shop.site.settings
    )
    assert ended.returncode == 0, ended.stderr
    assert listed(shop, tmp_path) == []
    assert "You pay twice" not in someone.get("/account").text


# 74


def rows_of_ending(shop: Shop, someone: Browser, source: str) -> list[Any]:
    rows = [row for row in shop.site.rows_of(someone, audit) if row.source == source]
    return [row for row in rows if row.reason["ended_for"]]


@pytest.mark.parametrize("price", ["once", "all"])
def test_k74_it_is_announced_before_and_the_subscription_ends_by_itself(shop: Shop, tmp_path: Path, price: str) -> None:
    someone, basic = subscribed(shop, "basic")
    page = shop.order(someone, price)
    assert (page.status_code, open_pages(shop)) == (409, 0)
    assert (
        "gives for good everything that your subscription to Basic does. Once it is paid, that subscription ends"
        in page.text
    )
    with capture_logs() as logs:
        confirm_and_pay(shop, someone, page)
    found = shop.sandbox.stripe.v1.subscriptions.retrieve(basic.id)
    assert found.cancel_at_period_end
    (row,) = rows_of_ending(shop, someone, basic.id)
    assert row.change == "shortened"
    # The provider's event about it may have been handled first.
    assert row.evidence.startswith(("bought for good: cs_", "evt_"))
    assert not [one for one in logs if one["event"] == "bought twice"]
    shop.pass_time(MONTH + 2 * HOUR)
    shop.sign_in_again(someone)
    amount = {"once": 1900, "all": 199_000}[price]
    eventually(lambda: len(holds(shop, someone)) == 1)
    assert charges(shop) == [500, amount]
    assert len(rows_of_ending(shop, someone, basic.id)) == 1
    assert listed(shop, tmp_path) == []


def test_k74_why_and_the_account_say_so(shop: Shop, tmp_path: Path) -> None:
    someone, _ = subscribed(shop, "basic")
    confirm_and_pay(shop, someone, shop.order(someone, "once"))
    account = someone.get("/account").text
    assert (
        "when it ends automatically, because you bought for good what it gives. Nothing more will be charged."
        in account
    )
    assert "You pay twice" not in account
    assert "because everything it gives was bought for good (cs_" in why(shop, someone, tmp_path)


def test_k74_the_same_product_can_be_bought_for_good(shop: Shop) -> None:
    someone, pro = subscribed(shop, "pro")
    assert "Buy for good" in someone.get("/pricing").text
    page = someone.submit(someone.get("/pricing"), "Buy for good", product="pro", price=shop.prices["ever"])
    assert (
        "You subscribe to Pro. Once you have paid for it for good, the subscription ends automatically on" in page.text
    )
    confirm_and_pay(shop, someone, page)
    assert shop.sandbox.stripe.v1.subscriptions.retrieve(pro.id).cancel_at_period_end
    assert holds(shop, someone) == ["pro", "pro"]
    assert "Buy for good" not in someone.get("/pricing").text


def test_k74_one_that_gives_more_goes_on_and_that_is_reported(shop: Shop, tmp_path: Path) -> None:
    someone, pro = subscribed(shop, "pro")
    page = shop.order(someone, "once")
    assert "Your subscription to Pro already gives you all of this, and more." in page.text
    confirm_and_pay(shop, someone, page)
    assert not shop.sandbox.stripe.v1.subscriptions.retrieve(pro.id).cancel_at_period_end
    assert listed(shop, tmp_path) == []


def test_k74_with_the_setting_off_it_goes_on_and_is_listed_and_reported(reaching: Any, tmp_path: Path) -> None:
    with reaching(once_terms="ends_subscription = false") as shop:
        someone, basic = subscribed(shop, "basic")
        page = shop.order(someone, "once")
        assert "That subscription continues anyway: end it under Manage billing" in page.text
        confirm_and_pay(shop, someone, page)
        assert not shop.sandbox.stripe.v1.subscriptions.retrieve(basic.id).cancel_at_period_end
        (case,) = listed(shop, tmp_path)
        assert (case["what"], case["payment"]) == ("bought twice", basic.id)
        assert (
            "You pay twice: you have Flying lessons for good, which gives you all of this. End this one"
            in someone.get("/account").text
        )


def test_k74_it_is_tried_again_until_the_provider_answers(shop: Shop) -> None:
    someone, basic = subscribed(shop, "basic")
    page = shop.order(someone, "once")
    hosted = someone.follow(someone.submit(page, "Continue to payment"))
    failing = {
        "effect": "error",
        "path": f"/v1/subscriptions/{basic.id}",
        "method": "POST",
        "status": 500,
        "times": None,
    }
    made = httpx2.post(f"{shop.sandbox.url}/control/faults", json=failing)
    assert made.status_code == 201, made.text
    someone.follow(someone.pay(hosted))
    assert holds(shop, someone) == ["basic", "flying"]  # what was paid is had all the same
    reported = {one.id for one in shop.sandbox.stripe.v1.events.list({"type": "checkout.session.completed"}).data}
    eventually(lambda: reported <= {row.event_id for row in shop.site.rows(events)})
    eventually(lambda: all(row.error or row.handled_at for row in shop.site.rows(events)))
    assert not shop.sandbox.stripe.v1.subscriptions.retrieve(basic.id).cancel_at_period_end
    httpx2.delete(f"{shop.sandbox.url}/control/faults")
    shop.site.clock.ahead += 120
    eventually(lambda: shop.sandbox.stripe.v1.subscriptions.retrieve(basic.id).cancel_at_period_end, seconds=60)
    eventually(lambda: len(rows_of_ending(shop, someone, basic.id)) == 1)


def test_k74_what_the_person_decides_afterwards_is_left_alone(shop: Shop, tmp_path: Path) -> None:
    someone, basic = subscribed(shop, "basic")
    confirm_and_pay(shop, someone, shop.order(someone, "once"))
    v1 = shop.sandbox.stripe.v1
    v1.subscriptions.update(basic.id, {"cancel_at_period_end": False})
    someone.follow(someone.get("/account/billing"))
    assert not v1.subscriptions.retrieve(basic.id).cancel_at_period_end
    (case,) = listed(shop, tmp_path)
    assert (case["what"], case["payment"]) == ("bought twice", basic.id)
    assert "You pay twice: you have Flying lessons for good" in someone.get("/account").text


def test_k74_a_refund_before_the_end_leaves_the_end_set_and_reported(shop: Shop, tmp_path: Path) -> None:
    someone, basic = subscribed(shop, "basic")
    confirm_and_pay(shop, someone, shop.order(someone, "once"))
    reference = next(row.reference for row in shop.site.rows_of(someone, grants) if row.until is None)
    shop.sandbox.stripe.v1.refunds.create({"payment_intent": reference})
    eventually(lambda: holds(shop, someone) == ["basic"])
    assert shop.sandbox.stripe.v1.subscriptions.retrieve(basic.id).cancel_at_period_end
    reported = why(shop, someone, tmp_path)
    assert "because everything it gives was bought for good (cs_" in reported
    assert "Refunded in full" in reported
    assert "when it ends automatically" in someone.get("/account").text


def test_k74_there_is_nothing_to_buy_where_all_is_held_for_good(shop: Shop) -> None:
    someone = shop.newcomer()
    shop.buy(someone, "all")
    assert "You have all of this for good with Everything." in someone.get("/pricing").text
    for key, price in (("basic", "basic"), ("flying", "once")):
        page = post(shop, someone, "/purchase/checkout-session", product=key, price=shop.prices[price])
        assert (page.status_code, "There is nothing to buy" in page.text) == (409, True)
        assert not [form for form in forms(page) if "price" in form.fields]
    assert open_pages(shop) == 0


def test_k74_a_subscription_begun_all_the_same_is_listed_to_be_given_back(shop: Shop, tmp_path: Path) -> None:
    """As from a page of the provider that was open before."""
    someone = shop.newcomer()
    hosted = someone.follow(shop.order(someone, "basic"))
    shop.buy(someone, "once")
    someone.follow(someone.pay(hosted))
    eventually(lambda: shop.subscription().cancel_at_period_end)
    eventually(lambda: holds(shop, someone) == ["basic", "flying"])
    (case,) = listed(shop, tmp_path)
    assert (case["what"], case["what_to_do"]) == ("bought twice", "End and refund it at the provider; access stays.")
    assert "Please write to us about what you have paid for it." in someone.get("/account").text
