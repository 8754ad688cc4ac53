"""A11: what is taken back closes the door, and what is given again opens it."""

from tests.support.running import AMOUNT, Browser, Site, eventually

from tollkeeper.storage.tables import audit, grants


def a_payer(site: Site) -> Browser:
    browser = Browser(site.url)
    browser.sign_in("Rita Refund")
    browser.follow(browser.pay())
    assert browser.enters()
    return browser


def refund(site: Site, amount: int) -> None:
    (grant,) = site.rows(grants)
    site.sandbox.stripe.v1.refunds.create({"payment_intent": grant.reference, "amount": amount})


def changes(site: Site) -> list[str]:
    return [row.change for row in site.rows(audit)]


def test_a11_a_full_refund_closes_the_door(site: Site) -> None:
    payer = a_payer(site)
    refund(site, AMOUNT)
    eventually(lambda: not payer.enters(), seconds=5)
    assert changes(site) == ["granted", "revoked"]
    assert "Purchase" in payer.get("/").text


def test_a11_a_partial_refund_keeps_it_open_until_all_is_refunded(site: Site) -> None:
    payer = a_payer(site)
    refund(site, AMOUNT - 1)
    refund(site, 1)
    eventually(lambda: not payer.enters(), seconds=5)
    assert changes(site) == ["granted", "revoked"]


def test_a11_who_was_refunded_can_buy_again(site: Site) -> None:
    payer = a_payer(site)
    refund(site, AMOUNT)
    eventually(lambda: not payer.enters(), seconds=5)
    payer.follow(payer.pay())
    assert payer.enters()
    assert changes(site) == ["granted", "revoked", "granted"]
