"""A. Payment truth: what was paid, for what, by whom, and once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest
from stripe.checkout import Session
from tests.support.running import (
    AMOUNT,
    ASKS,
    DECLINED,
    POOR,
    Browser,
    Sandbox,
    Site,
    eventually,
    forms,
    newcomer,
    running_site,
)
from tests.support.webhooks import deliver

from tollkeeper.storage.tables import audit, customers, events, grants, orders

PURCHASE = "/purchase/checkout-session"


@pytest.fixture
def buyer(shop: Site) -> Browser:
    return newcomer(shop)


def checkouts(site: Site, browser: Browser) -> list[Session]:
    """Every checkout session at the provider of the person who is signed in there."""
    return [
        session
        for customer in site.rows_of(browser, customers)
        for session in site.sandbox.stripe.v1.checkout.sessions.list(
            {"customer": customer.external_id, "limit": 100, "expand": ["data.line_items"]}
        )
    ]


def checkout_id(hosted: httpx2.Response) -> str:
    """The checkout session behind a hosted page, or behind a redirect to one."""
    return hosted.headers.get("Location", str(hosted.url)).rsplit("/", 1)[1]


def post_purchase(browser: Browser, landing: httpx2.Response, **fields: Any) -> httpx2.Response:
    """Post the Purchase form of a page, with fields of one's own."""
    form = next(form for form in forms(landing) if form.action == PURCHASE)
    origin = {"Origin": browser.site}
    return browser.client.post(urljoin(browser.site, PURCHASE), data={**form.fields, **fields}, headers=origin)


def at_once(*clicks: Callable[[], httpx2.Response]) -> list[httpx2.Response]:
    """Everybody clicks at the same instant."""
    ready = Barrier(len(clicks))

    def click(one: Callable[[], httpx2.Response]) -> httpx2.Response:
        ready.wait(10)
        return one()

    with ThreadPoolExecutor(len(clicks)) as pool:
        return list(pool.map(click, clicks))


def has_nothing(site: Site, browser: Browser) -> bool:
    return not browser.enters() and not site.rows_of(browser, grants) and not site.rows_of(browser, audit)


def has_one_grant(site: Site, browser: Browser) -> bool:
    granted = [row.change for row in site.rows_of(browser, audit)]
    return browser.enters() and len(site.rows_of(browser, grants)) == 1 and granted == ["granted"]


def test_a01_the_success_page_before_paying_leads_back(shop: Site, buyer: Browser) -> None:
    hosted = buyer.checkout()
    answer = buyer.get("/purchase/success", session_id=checkout_id(hosted))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "Purchase" in buyer.follow(answer).text
    assert has_nothing(shop, buyer)


@pytest.mark.parametrize("card", [DECLINED, POOR])
def test_a01_the_success_page_after_a_refused_card_leads_back(shop: Site, buyer: Browser, card: str) -> None:
    hosted = buyer.checkout()
    assert buyer.pay(hosted, card).status_code == 402
    answer = buyer.get("/purchase/success", session_id=checkout_id(hosted))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert has_nothing(shop, buyer)


def test_a01_the_success_page_while_the_bank_asks_and_after_it_said_no_leads_back(shop: Site, buyer: Browser) -> None:
    hosted = buyer.checkout()
    bank = buyer.follow(buyer.pay(hosted, ASKS))
    for answer_to_the_bank in (None, "Fail"):
        if answer_to_the_bank:
            buyer.submit(bank, answer_to_the_bank)
        answer = buyer.get("/purchase/success", session_id=checkout_id(hosted))
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        assert has_nothing(shop, buyer)


def test_a01_the_success_page_of_an_expired_checkout_leads_back(shop: Site, buyer: Browser) -> None:
    hosted = buyer.checkout()
    shop.sandbox.stripe.v1.checkout.sessions.expire(checkout_id(hosted))
    answer = buyer.get("/purchase/success", session_id=checkout_id(hosted))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert has_nothing(shop, buyer)
    assert [row.state for row in shop.rows_of(buyer, orders)] == ["expired"]


def test_a02_another_persons_checkout_session_shows_no_details_and_grants_nothing(shop: Site, buyer: Browser) -> None:
    payer = newcomer(shop, "Pay Payer")
    paid = payer.pay()
    assert "Payment done" in payer.follow(paid).text
    mine = buyer.get(paid.headers["Location"])
    assert (mine.status_code, mine.headers["Location"], mine.text) == (303, "/", "")
    assert "Pay Payer" not in buyer.follow(mine).text
    assert has_nothing(shop, buyer)
    assert has_one_grant(shop, payer)


def test_a06_an_old_payment_reported_again_and_again_is_one_grant(shop: Site, buyer: Browser) -> None:
    paid = buyer.pay()
    for _ in range(10):
        assert "Payment done" in buyer.follow(buyer.get(paid.headers["Location"])).text
    answers = at_once(*[lambda: buyer.get(paid.headers["Location"])] * 8)
    assert {answer.status_code for answer in answers} == {200}
    assert has_one_grant(shop, buyer)


def test_a06_an_old_payment_reported_again_by_events_is_one_grant(shop: Site, buyer: Browser) -> None:
    buyer.pay()
    eventually(buyer.enters)
    secret = shop.settings["STRIPE_WEBHOOK_SECRET"]
    listing = shop.sandbox.stripe.v1.events.list({"type": "checkout.session.completed", "limit": 1})
    reported = listing.data[0].to_dict()
    assert reported["data"]["object"]["customer"] == shop.rows_of(buyer, customers)[0].external_id
    again = [f"evt_again_{number}" for number in range(10)]
    for id in [reported["id"], *again]:
        assert deliver(shop, {**reported, "id": id}, secret=secret).status_code == 200
    eventually(lambda: all(row.handled_at for row in shop.rows(events) if row.event_id in {reported["id"], *again}))
    assert has_one_grant(shop, buyer)
    assert len([row for row in shop.rows(events) if row.event_id == reported["id"]]) == 1


FORGED: dict[str, Any] = {
    "price_id": "price_of_my_own",
    "amount": "1",
    "unit_amount": "1",
    "currency": "huf",
    "quantity": "99",
    "line_items[0][price]": "price_of_my_own",
    "metadata[person]": "somebody",
    "client_reference_id": "ord_0",
    "success_url": "https://evil.example/",
    "person": "somebody",
    "order": "ord_0",
    "mode": "setup",
}


def test_a08_what_a_client_says_of_price_amount_or_metadata_is_ignored(shop: Site, buyer: Browser) -> None:
    landing = buyer.get("/")
    answer = post_purchase(buyer, landing, **FORGED)
    assert answer.status_code == 303
    (session,) = checkouts(shop, buyer)
    (order,) = shop.rows_of(buyer, orders)
    (line,) = session.line_items.data  # type: ignore[union-attr]
    assert (line.price.id, line.quantity) == (shop.settings["PRODUCT_PRICE_ID"], 1)  # type: ignore[union-attr]
    assert (session.amount_total, session.currency, session.mode) == (AMOUNT, "eur", "payment")
    assert session.client_reference_id == order.id
    assert session.to_dict()["metadata"] == {"order": order.id, "person": order.person_id, "product": "dashboard"}
    assert session.success_url == f"{shop.url}/purchase/success?session_id={{CHECKOUT_SESSION_ID}}"
    assert (order.price_id, order.quantity, order.amount, order.currency) == (line.price.id, 1, AMOUNT, "eur")  # type: ignore[union-attr]


def test_a08_what_a_client_says_in_the_address_is_ignored(shop: Site, buyer: Browser) -> None:
    form = next(form for form in forms(buyer.get("/")) if form.action == PURCHASE)
    url = urljoin(buyer.site, f"{PURCHASE}?product=other&price=price_of_my_own&amount=1&quantity=5")
    assert buyer.client.post(url, data=form.fields, headers={"Origin": buyer.site}).status_code == 303
    assert [session.amount_total for session in checkouts(shop, buyer)] == [AMOUNT]


UNKNOWN = ["", " ", "other", "Dashboard", " dashboard", "dashboard\0", "dashboard,dashboard", "*", "d" * 5000]


def test_a08_a_product_that_is_not_in_the_catalog_is_refused(shop: Site, buyer: Browser) -> None:
    landing = buyer.get("/")
    for product in [*UNKNOWN, shop.settings["PRODUCT_PRICE_ID"]]:
        assert post_purchase(buyer, landing, product=product).status_code == 400, product
    csrf = next(form for form in forms(landing) if form.action == PURCHASE).fields["csrf_token"]
    headers = {"Origin": buyer.site}
    file = buyer.client.post(
        urljoin(buyer.site, PURCHASE),
        data={"csrf_token": csrf},
        files={"product": ("dashboard", b"dashboard")},
        headers=headers,
    )
    assert file.status_code == 400
    assert shop.rows_of(buyer, orders) == []
    assert shop.rows_of(buyer, customers) == []


CATALOG = """
[products.cheap]
name = "Cheap seats"
unlocks = ["reports"]
stripe = ["{cheap}"]

[products.dear]
name = "Dear seats"
unlocks = ["dashboard", "reports"]
stripe = ["{dear}"]
"""


def test_a08_a_cheap_product_never_opens_a_dear_one(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> None:
    cheap, dear = sandbox.price(100), sandbox.price(90_000)
    (tmp_path / "tollkeeper.toml").write_text(CATALOG.format(cheap=cheap, dear=dear))
    with running_site(sandbox, sqlite_url, tmp_path, PRODUCT_PRICE_ID="") as site:
        buyer = newcomer(site)
        assert post_purchase(buyer, buyer.get("/"), product="cheap", price=dear).status_code == 400
        answer = post_purchase(buyer, buyer.get("/"), product="cheap", amount="90000")
        paid = buyer.pay(buyer.follow(answer))
        assert "Payment done" in buyer.follow(paid).text
        assert [(row.product, row.amount) for row in site.rows_of(buyer, grants)] == [("cheap", 100)]
        assert not buyer.enters()
        assert post_purchase(buyer, buyer.get("/"), product="cheap", price=cheap).headers["Location"] == "/dashboard"
        assert post_purchase(buyer, buyer.get("/"), product="dear").headers["Location"].startswith(sandbox.url)
        assert [session.amount_total for session in checkouts(site, buyer)] == [90_000, 100]


def test_a09_a_double_click_leads_to_one_checkout_session(shop: Site, buyer: Browser) -> None:
    landing = buyer.get("/")
    answers = at_once(*[lambda: buyer.submit(landing, "Purchase")] * 8)
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert [session.status for session in checkouts(shop, buyer)] == ["open"]
    assert len(shop.rows_of(buyer, orders)) == 1
    assert len(shop.rows_of(buyer, customers)) == 1


def test_a09_tabs_on_two_devices_lead_to_one_checkout_session(shop: Site) -> None:
    phone, desk = Browser(shop.url), Browser(shop.url)
    for device in (phone, desk):
        device.sign_in("Two Devices", f"{shop.thread.socket.getsockname()[1]}@example.com")
    pages = [(device, device.get("/")) for device in (phone, desk) * 3]
    answers = at_once(*[lambda device=device, page=page: device.submit(page, "Purchase") for device, page in pages])
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert [session.status for session in checkouts(shop, phone)] == ["open"]
    assert checkouts(shop, phone) == checkouts(shop, desk)


def test_a09_the_back_button_leads_to_the_same_checkout_session(shop: Site, buyer: Browser) -> None:
    landing = buyer.get("/")
    first = buyer.submit(landing, "Purchase")
    again = [buyer.submit(landing, "Purchase"), buyer.press_purchase(), buyer.press_purchase()]
    assert {answer.headers["Location"] for answer in again} == {first.headers["Location"]}
    assert [session.status for session in checkouts(shop, buyer)] == ["open"]


def test_a09_after_an_expired_checkout_there_is_one_new_one(shop: Site, buyer: Browser) -> None:
    landing = buyer.get("/")
    first = checkout_id(buyer.submit(landing, "Purchase"))
    shop.sandbox.stripe.v1.checkout.sessions.expire(first)
    answers = at_once(*[lambda: buyer.submit(landing, "Purchase")] * 8)
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert [session.status for session in checkouts(shop, buyer)] == ["open", "expired"]


def test_a10_who_owns_it_is_sent_to_it_before_any_checkout(shop: Site, buyer: Browser) -> None:
    stale = buyer.get("/")
    buyer.pay(buyer.follow(buyer.submit(stale, "Purchase")))
    eventually(buyer.enters)
    answers = [buyer.submit(stale, "Purchase"), *at_once(*[lambda: buyer.submit(stale, "Purchase")] * 4)]
    assert {(answer.status_code, answer.headers["Location"]) for answer in answers} == {(303, "/dashboard")}
    assert [session.status for session in checkouts(shop, buyer)] == ["complete"]
    assert len(shop.rows_of(buyer, orders)) == 1


def test_a10_purchase_on_a_stale_page_after_a_payment_nobody_reported_charges_nothing(deaf_shop: Site) -> None:
    buyer = newcomer(deaf_shop)
    stale = buyer.get("/")
    buyer.pay()
    assert has_nothing(deaf_shop, buyer)
    answers = at_once(*[lambda: buyer.submit(stale, "Purchase")] * 4)
    assert {answer.status_code for answer in answers} == {303}
    paid = [session.id for session in checkouts(deaf_shop, buyer)]
    assert len(paid) == 1
    places = {answer.headers["Location"] for answer in answers}
    assert places <= {f"/purchase/success?session_id={paid[0]}", "/dashboard"}
    assert f"/purchase/success?session_id={paid[0]}" in places
    assert "Payment done" in buyer.get("/purchase/success", session_id=paid[0]).text
    assert has_one_grant(deaf_shop, buyer)


def test_a10_after_cancel_purchase_resumes_the_same_checkout(shop: Site, buyer: Browser) -> None:
    hosted = buyer.checkout()
    cancelled = buyer.get("/purchase/cancel", session_id=checkout_id(hosted))
    assert "Nothing was charged" in cancelled.text
    assert buyer.submit(cancelled, "Purchase").headers["Location"] == str(hosted.url)
    assert "Your checkout is still open" in buyer.get("/").text
    assert [session.status for session in checkouts(shop, buyer)] == ["open"]
    assert "Payment done" in buyer.follow(buyer.pay(hosted)).text


def test_a10_cancel_never_says_that_nothing_was_charged_when_something_was(deaf_shop: Site) -> None:
    """Paid in one tab, and then the cancel link of another that still shows the hosted page."""
    buyer = newcomer(deaf_shop)
    hosted = buyer.checkout()
    buyer.pay(hosted)
    answer = buyer.get("/purchase/cancel", session_id=checkout_id(hosted))
    assert answer.status_code == 303
    assert "Payment done" in buyer.follow(answer).text
    assert has_one_grant(deaf_shop, buyer)


def test_a10_cancel_of_an_expired_checkout_does_not_promise_to_resume_it(shop: Site, buyer: Browser) -> None:
    hosted = buyer.checkout()
    shop.sandbox.stripe.v1.checkout.sessions.expire(checkout_id(hosted))
    answer = buyer.get("/purchase/cancel", session_id=checkout_id(hosted))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert has_nothing(shop, buyer)
