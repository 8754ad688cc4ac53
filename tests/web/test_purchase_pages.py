"""The pages for success, confirming and cancel: shown only to the buyer, whatever a browser claims."""

from pathlib import Path

import pytest
from tests.support.running import DECLINED, Browser, Sandbox, Site, forms, running_site

from tollkeeper.storage.tables import orders


def checkout_id(site: Site) -> str:
    return str(site.rows(orders)[-1].checkout_id)


def test_success_shows_what_was_paid(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    browser.sign_in("Alice Example")
    paid = browser.pay()
    for _ in range(2):  # reloading is harmless
        page = browser.follow(paid)
        assert page.status_code == 200
        for words in ("Payment done", "€19.00", "Flying lessons", "pi_", "Alice Example"):
            assert words in page.text
        assert "Refresh" not in page.headers


def test_success_without_paying_leads_home(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    browser.sign_in("Alice Example")
    hosted = browser.checkout()
    browser.pay(hosted, DECLINED)
    answer = browser.get("/purchase/success", session_id=checkout_id(plain_site))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert not browser.enters()


@pytest.mark.parametrize("page", ["success", "cancel"])
def test_somebody_elses_checkout_session_leads_home(plain_site: Site, page: str) -> None:
    payer, other = Browser(plain_site.url), Browser(plain_site.url)
    payer.sign_in("Alice Example")
    hosted = payer.checkout()
    if page == "success":
        payer.pay(hosted)
    other.sign_in("Bob Example")
    answer = other.get(f"/purchase/{page}", session_id=checkout_id(plain_site))
    assert (answer.status_code, answer.headers["Location"], answer.text) == (303, "/", "")
    assert not other.enters()


@pytest.mark.parametrize(
    "query", ["", "session_id=", "session_id=cs_test_nothing", "session_id=%00", "session_id=a&session_id=b", "x=1"]
)
@pytest.mark.parametrize("page", ["success", "cancel"])
def test_an_id_of_nothing_leads_home(standing_site: Site, page: str, query: str) -> None:
    browser = Browser(standing_site.url)
    browser.sign_in("Alice Example")
    answer = browser.get(f"/purchase/{page}?{query}")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_cancel_says_that_nothing_was_charged(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    browser.sign_in("Alice Example")
    hosted = browser.checkout()
    page = browser.get("/purchase/cancel", session_id=checkout_id(plain_site))
    assert "Nothing was charged" in page.text
    assert browser.submit(page, "Purchase").headers["Location"] == str(hosted.url)


def test_cancel_after_paying_leads_home(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    browser.sign_in("Alice Example")
    browser.follow(browser.pay())
    answer = browser.get("/purchase/cancel", session_id=checkout_id(plain_site))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_buying_what_one_has_leads_to_it(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    landing = browser.sign_in("Alice Example")
    browser.follow(browser.pay())
    answer = browser.submit(landing, "Purchase")  # the page of before, in another tab
    assert (answer.status_code, answer.headers["Location"]) == (303, "/dashboard")
    assert len(plain_site.rows(orders)) == 1


@pytest.mark.parametrize("product", ["nothing", "", "DASHBOARD", "dashboard' --", "../dashboard"])
def test_only_products_of_the_catalog_are_sold(standing_site: Site, product: str) -> None:
    browser = Browser(standing_site.url)
    answer = browser.submit(browser.sign_in("Alice Example"), "Purchase", product=product)
    assert answer.status_code == 400
    assert standing_site.rows(orders) == []


def test_prices_in_the_form_are_ignored(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    cheap = {"amount": "1", "quantity": "0", "currency": "jpy", "success_url": "//evil.example"}
    answer = browser.submit(browser.sign_in("Alice Example"), "Purchase", **cheap)
    assert answer.status_code == 303
    made = plain_site.sandbox.stripe.v1.checkout.sessions.retrieve(checkout_id(plain_site))
    assert (made.amount_total, made.currency) == (1900, "eur")
    assert made.success_url == f"{plain_site.url}/purchase/success?session_id={{CHECKOUT_SESSION_ID}}"
    assert made.cancel_url == f"{plain_site.url}/purchase/cancel?session_id={{CHECKOUT_SESSION_ID}}"


def test_the_only_product_need_not_be_named(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    token = forms(browser.sign_in("Alice Example"))[0].fields["csrf_token"]
    where = f"{plain_site.url}/purchase/checkout-session"
    answer = browser.client.post(where, data={"csrf_token": token}, headers={"Origin": plain_site.url})
    assert answer.status_code == 303
    assert "/c/pay/" in answer.headers["Location"]


def test_confirming_while_the_provider_is_away(own_sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> None:
    with running_site(own_sandbox, sqlite_url, tmp_path) as site:
        browser = Browser(site.url)
        browser.sign_in("Alice Example")
        browser.checkout()
        own_sandbox.thread.stop()
        page = browser.get("/purchase/success", session_id=checkout_id(site))
        assert page.status_code == 200
        assert "Confirming your payment" in page.text
        assert page.headers["Refresh"] == "3"
        assert f"/purchase/success?session_id={checkout_id(site)}" in page.text
        assert not browser.enters()
