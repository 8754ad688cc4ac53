"""The whole path, page by page."""

from tests.support.running import Browser, Site, eventually

from tollkeeper.storage.tables import audit, grants, orders


def test_sign_in_pay_get_in(site: Site) -> None:
    browser = Browser(site.url)
    assert "Login" in browser.get("/").text

    landing = browser.sign_in("Alice Example")
    assert "Hello, Alice Example" in landing.text

    paid = browser.pay()
    assert paid.headers["Location"].startswith(f"{site.url}/purchase/success?session_id=cs_test_")
    done = browser.follow(paid)
    assert "Payment done" in done.text
    assert "€19.00" in done.text
    assert browser.enters()
    assert "Enter" in browser.get("/").text

    eventually(lambda: site.rows(orders)[0].state == "complete")
    assert len(site.rows(grants)) == 1
    assert [row.change for row in site.rows(audit)] == ["granted"]
