"""A5, A7 and A10: money that gives no access, or pays for the same again, is refused, stored and shown to operators."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs
from tests.support.processes import run_here
from tests.support.running import AMOUNT, Browser, Site, eventually, newcomer

from tollkeeper.storage.tables import audit, customers, findings, grants, orders

REFUND_FAILS = "4000 0000 0000 5126"


@pytest.fixture
def buyer(shop: Site) -> Browser:
    return newcomer(shop)


def to_look_at(site: Site, folder: Path) -> dict[str, dict[str, Any]]:
    """What ``tollkeeper payments`` says, by payment."""
    reported = run_here("payments", "--json", "--limit=1000", folder=folder, environment=site.settings)
    assert reported.returncode == 0, reported.stderr
    return {one["payment"]: one for one in json.loads(reported.stdout)["payments"]}


def paid_at(page: httpx2.Response, browser: Browser) -> str:
    """Pay on a hosted page. Answers the checkout session."""
    assert browser.pay(page).status_code in {200, 303}
    return str(page.url).rsplit("/", 1)[1]


def found(site: Site, checkout_id: str) -> Any:
    """What was found of a checkout session, once it is found."""
    return eventually(lambda: [row for row in site.rows(findings) if row.source == checkout_id])[0]


def said(logs: Sequence[Any], event: str, **facts: str) -> Any:
    """A log line with this event and these facts, once it is there. Another site of the same account may say it too."""
    wanted = {"event": event, "log_level": "warning"} | facts
    return eventually(lambda: [one for one in logs if wanted.items() <= one.items()])[0]


def refund(site: Site, payment: str) -> None:
    """Refund a payment, and wait until that is known."""
    site.sandbox.stripe.v1.refunds.create({"payment_intent": payment})
    eventually(lambda: all(row.refunded == row.amount for row in site.rows(findings) if row.reference == payment))


def has_nothing(site: Site, browser: Browser, checkout_id: str) -> bool:
    """Nor gets anything on the success page."""
    answer = browser.get("/purchase/success", session_id=checkout_id)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    return not browser.enters() and not site.rows_of(browser, grants) and not site.rows_of(browser, audit)


def made_elsewhere(site: Site, browser: Browser, **params: Any) -> str:
    """Pay in a checkout session of the buyer's own customer that our code never asked for. Returns its id."""
    (customer,) = site.rows_of(browser, customers)
    usual: dict[str, Any] = {
        "mode": "payment",
        "customer": customer.external_id,
        "success_url": f"{site.url}/purchase/success?session_id={{CHECKOUT_SESSION_ID}}",
        "line_items": [{"price": site.settings["PRODUCT_PRICE_ID"], "quantity": 1}],
    }
    made: Any = site.sandbox.stripe.v1.checkout.sessions.create(usual | params)  # type: ignore[arg-type]
    return paid_at(browser.client.get(made.url), browser)


def as_ordered(site: Site, browser: Browser) -> dict[str, Any]:
    """What a checkout session says of the order that the buyer has open."""
    (order,) = site.rows_of(browser, orders)
    names = {"order": order.id, "person": order.person_id, "product": order.product}
    return {"client_reference_id": order.id, "metadata": names}


def lines(site: Site, tampered: str) -> list[dict[str, Any]]:
    """Line items that differ in one thing from what is sold."""
    ordered, price = site.settings["PRODUCT_PRICE_ID"], site.sandbox.price
    return {
        "amount": [{"price": price(AMOUNT - 1), "quantity": 1}],
        "currency": [{"price": price(AMOUNT, "usd"), "quantity": 1}],
        "price": [{"price": price(AMOUNT), "quantity": 1}],
        "quantity": [{"price": ordered, "quantity": 2}],
        "more": [{"price": ordered, "quantity": 1}, {"price": price(100), "quantity": 1}],
    }[tampered]


@pytest.mark.parametrize("tampered", ["amount", "currency", "price", "quantity", "more"])
def test_a05_what_is_not_as_ordered_is_quarantined_and_reported(
    shop: Site, buyer: Browser, tmp_path: Path, tampered: str
) -> None:
    buyer.checkout()
    with capture_logs() as logs:
        checkout_id = made_elsewhere(shop, buyer, **as_ordered(shop, buyer), line_items=lines(shop, tampered))
        kept = found(shop, checkout_id)
        said(logs, "payment not granted", verdict="quarantined", source=checkout_id, payment=kept.reference)
    assert (kept.verdict, kept.product) == ("quarantined", "dashboard")
    assert has_nothing(shop, buyer, checkout_id)
    listed = to_look_at(shop, tmp_path)[kept.reference]
    (person,) = {row.person_id for row in shop.rows_of(buyer, orders)}
    assert (listed["what"], listed["person"], listed["amount"]) == ("quarantined", person, kept.amount)
    assert f"tollkeeper grant {person} dashboard --payment {kept.reference}" in listed["what_to_do"]
    refund(shop, kept.reference)
    assert kept.reference not in to_look_at(shop, tmp_path)
    assert has_nothing(shop, buyer, checkout_id)


def test_a05_an_operator_can_give_what_a_quarantined_payment_was_for(
    shop: Site, buyer: Browser, tmp_path: Path
) -> None:
    buyer.checkout()
    checkout_id = made_elsewhere(shop, buyer, **as_ordered(shop, buyer), line_items=lines(shop, "amount"))
    payment = found(shop, checkout_id).reference
    (person,) = {row.person_id for row in shop.rows_of(buyer, orders)}
    give = ("grant", person, "dashboard", "--payment", payment, "--note", "The price had just changed")
    assert run_here(*give, folder=tmp_path, environment=shop.settings).returncode == 0
    assert buyer.enters()
    assert payment not in to_look_at(shop, tmp_path)
    assert run_here("reconcile", person, folder=tmp_path, environment=shop.settings).returncode == 0
    assert buyer.enters()
    assert [row.state for row in shop.rows_of(buyer, orders)] == ["complete"]


def link(site: Site) -> str:
    """The address of a payment link for what is sold."""
    items: Any = [{"price": site.settings["PRODUCT_PRICE_ID"], "quantity": 1}]
    return site.sandbox.stripe.v1.payment_links.create({"line_items": items}).url


@pytest.mark.parametrize("naming_the_order", [False, True])
def test_a07_who_holds_the_id_of_a_payment_by_link_gets_nothing(
    shop: Site, buyer: Browser, tmp_path: Path, naming_the_order: bool
) -> None:
    buyer.checkout()
    order = as_ordered(shop, buyer)["client_reference_id"]
    hint = f"?client_reference_id={order}" if naming_the_order else ""
    stranger = Browser(shop.url)
    with capture_logs() as logs:
        checkout_id = paid_at(stranger.follow(stranger.client.get(f"{link(shop)}{hint}")), stranger)
        kept = found(shop, checkout_id)
        said(logs, "payment not granted", verdict="unclaimed", source=checkout_id, payment=kept.reference)
    assert (kept.verdict, kept.customer_id) == ("unclaimed", None)
    assert has_nothing(shop, buyer, checkout_id)
    assert stranger.get("/purchase/success", session_id=checkout_id).headers["Location"].startswith("/login")
    listed = to_look_at(shop, tmp_path)[kept.reference]
    assert (listed["what"], listed["person"], listed["email"]) == ("unclaimed", None, "buyer@example.com")
    refund(shop, kept.reference)
    assert kept.reference not in to_look_at(shop, tmp_path)


def test_a07_a_payment_of_ones_own_that_was_never_ordered_here_gives_nothing(
    shop: Site, buyer: Browser, tmp_path: Path
) -> None:
    buyer.checkout()
    checkout_id = made_elsewhere(shop, buyer)
    kept = found(shop, checkout_id)
    assert kept.verdict == "unclaimed"
    assert has_nothing(shop, buyer, checkout_id)
    assert to_look_at(shop, tmp_path)[kept.reference]["person"] == shop.rows_of(buyer, orders)[0].person_id


def test_a07_a_payment_for_somebody_elses_order_gives_neither_of_them_anything(shop: Site, buyer: Browser) -> None:
    other = newcomer(shop)
    for browser in (buyer, other):
        browser.checkout()
    checkout_id = made_elsewhere(shop, buyer, **as_ordered(shop, other))
    assert found(shop, checkout_id).verdict == "unclaimed"
    for browser in (buyer, other):
        assert has_nothing(shop, browser, checkout_id)


def test_a10_what_was_bought_twice_in_spite_of_all_is_flagged_with_the_payment_to_refund(
    shop: Site, buyer: Browser, tmp_path: Path
) -> None:
    buyer.pay(card=REFUND_FAILS)
    eventually(buyer.enters)
    first = shop.rows_of(buyer, grants)[0].reference
    made = shop.sandbox.stripe.v1.refunds.create({"payment_intent": first})
    eventually(lambda: not buyer.enters())
    buyer.pay()
    eventually(buyer.enters)
    with capture_logs() as logs:
        httpx2.post(f"{shop.sandbox.url}/control/refunds/{made.id}/fail").raise_for_status()
        eventually(lambda: all(row.revoked_at is None for row in shop.rows_of(buyer, grants)))
        (second,) = {row.reference for row in shop.rows_of(buyer, grants)} - {first}
        said(logs, "bought twice", refund=second, product="dashboard")
    listed = to_look_at(shop, tmp_path)
    assert first not in listed
    assert (listed[second]["what"], listed[second]["amount"], listed[second]["product"]) == (
        "bought twice",
        AMOUNT,
        "dashboard",
    )
    refund(shop, second)
    eventually(lambda: any(row.revoked_at for row in shop.rows_of(buyer, grants)))
    assert second not in to_look_at(shop, tmp_path)
    assert buyer.enters()
