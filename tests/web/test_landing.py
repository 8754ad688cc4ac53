"""The landing page shows each visitor the next step."""

from pathlib import Path

import httpx2
from tests.support.running import Browser, Sandbox, Site, forms
from tests.web.conftest import OpenSite


def buttons(page: httpx2.Response) -> list[str]:
    return [words.strip() for form in forms(page) for words in form.buttons]


def test_signed_out_it_offers_to_sign_in(plain_site: Site) -> None:
    page = Browser(plain_site.url).get("/")
    assert 'href="/login"' in page.text
    assert "Flying lessons" in page.text
    assert "€19.00" in page.text
    assert buttons(page) == []


def test_signed_in_it_offers_to_buy(plain_site: Site) -> None:
    page = Browser(plain_site.url).sign_in("Alice Example")
    assert "Hello, Alice Example" in page.text
    assert set(buttons(page)) == {"Purchase", "Logout"}
    assert "Your checkout is still open" not in page.text


def test_with_an_open_checkout_it_says_so(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    browser.sign_in("Alice Example")
    first = browser.press_purchase().headers["Location"]
    assert "Your checkout is still open" in browser.get("/").text
    assert browser.press_purchase().headers["Location"] == first


def test_paid_it_offers_to_enter(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    browser.sign_in("Alice Example")
    browser.follow(browser.pay())
    page = browser.get("/")
    assert 'href="/dashboard"' in page.text
    assert buttons(page) == ["Logout"]
    assert "Your checkout is still open" not in page.text


def test_several_products_are_sold_side_by_side(open_site: OpenSite, sandbox: Sandbox, tmp_path: Path) -> None:
    products = {"reports": sandbox.price(500, name="At Stripe: Reports"), "all": sandbox.price(2500)}
    (tmp_path / "tollkeeper.toml").write_text(
        f'[products.reports]\nname = "Reports"\nunlocks = ["reports"]\nstripe = ["{products["reports"]}"]\n'
        f'[products.all]\nname = "Everything"\nunlocks = ["dashboard", "reports"]\nstripe = ["{products["all"]}"]\n'
    )
    site = open_site(PRODUCT_PRICE_ID="")
    browser = Browser(site.url)
    assert "€5.00" in browser.get("/").text
    page = browser.sign_in("Alice Example")
    assert [form.fields["product"] for form in forms(page) if "product" in form.fields] == ["reports", "all"]

    where, token = f"{site.url}/purchase/checkout-session", forms(page)[0].fields["csrf_token"]
    unnamed = browser.client.post(where, data={"csrf_token": token}, headers={"Origin": site.url})
    assert unnamed.status_code == 400

    done = browser.follow(browser.pay(browser.follow(browser.submit(page, "Purchase Reports"))))
    assert "Payment done" in done.text
    page = browser.get("/")
    for opened in (done, page):  # reports do not open the dashboard
        assert 'href="/dashboard"' not in opened.text
    assert not browser.enters()

    done = browser.follow(browser.pay(browser.follow(browser.submit(page, "Purchase Everything"))))
    page = browser.get("/")
    for opened in (done, page):
        assert 'href="/dashboard"' in opened.text
    assert browser.enters()
    assert "Everything" in done.text
    assert [form.fields["product"] for form in forms(page) if "product" in form.fields] == []
    assert "You have this. Yours for good." in page.text
