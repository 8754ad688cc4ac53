"""A11: a refund or a lost dispute ends access, and a failed refund or a won dispute restores it."""

import pytest
from tests.support.running import AMOUNT, Browser, Site, eventually

from tollkeeper.storage.tables import audit, events, grants, orders
from tollkeeper.wording.operators import sentence

REFUND_FAILS = "4000 0000 0000 5126"
INQUIRED = "4000 0000 0000 1976"
SLOW_ACCOUNT = "DE08 3704 0044 0532 0130 03"


def a_payer(site: Site) -> Browser:
    browser = Browser(site.url)
    browser.sign_in("Rita Refund")
    browser.follow(browser.pay())
    assert browser.enters()
    return browser


def refund(site: Site, amount: int) -> None:
    (grant,) = site.rows(grants)
    site.sandbox.stripe.v1.refunds.create({"payment_intent": grant.reference, "amount": amount})


def act(site: Site, what: str) -> None:
    """Press a button of the sandbox's control page."""
    answer = Browser(site.sandbox.url).client.post(f"{site.sandbox.url}/control/{what}")
    assert answer.status_code in {200, 303}, answer.text


def dispute_of(site: Site) -> str:
    (grant,) = site.rows(grants)
    (dispute,) = site.sandbox.stripe.v1.disputes.list({"payment_intent": grant.reference}).data
    return dispute.id


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


def test_a11_a_refund_that_fails_opens_the_door_again(site: Site) -> None:
    payer = Browser(site.url)
    payer.sign_in("Rita Refund")
    payer.follow(payer.pay(card=REFUND_FAILS))
    refund(site, AMOUNT)
    eventually(lambda: not payer.enters(), seconds=5)
    (grant,) = site.rows(grants)
    (made,) = site.sandbox.stripe.v1.refunds.list({"payment_intent": grant.reference}).data
    act(site, f"refunds/{made.id}/fail")
    eventually(payer.enters, seconds=5)
    assert changes(site) == ["granted", "revoked", "restored"]


@pytest.mark.parametrize(
    ("end", "after", "reason"),
    [
        ("win", ["granted", "suspended", "restored"], "Paid in full."),
        ("lose", ["granted", "suspended"], "The dispute was lost."),
    ],
)
def test_a11_a_dispute_suspends_and_winning_it_restores(site: Site, end: str, after: list[str], reason: str) -> None:
    payer = a_payer(site)
    act(site, f"payments/{site.rows(grants)[0].reference}/dispute")
    eventually(lambda: not payer.enters(), seconds=5)
    act(site, f"disputes/{dispute_of(site)}/{end}")
    eventually(lambda: all(row.handled_at for row in site.rows(events) if "dispute" in row.type), seconds=5)
    eventually(lambda: changes(site) == after, seconds=5)
    eventually(lambda: sentence(site.rows(grants)[0].reason) == reason, seconds=5)
    assert payer.enters() is (end == "win")


def test_a11_an_inquiry_changes_nothing_until_it_becomes_a_dispute(site: Site) -> None:
    payer = Browser(site.url)
    payer.sign_in("Rita Refund")
    payer.follow(payer.pay(card=INQUIRED))
    eventually(lambda: any("dispute" in row.type for row in site.rows(events)))
    assert payer.enters()
    act(site, f"disputes/{dispute_of(site)}/escalate")
    eventually(lambda: not payer.enters(), seconds=5)


def test_a03_a_bank_debit_opens_the_door_when_it_succeeds(site: Site) -> None:
    browser = debited(site)
    assert not browser.enters()
    assert (
        "Confirming your payment" in browser.get("/purchase/success", session_id=site.rows(orders)[0].checkout_id).text
    )
    assert browser.press_purchase().headers["Location"].startswith("/purchase/success")
    act(site, f"payments/{payment_of(site)}/succeed")
    eventually(browser.enters, seconds=5)
    assert changes(site) == ["granted"]


def test_a03_a_bank_debit_that_fails_opens_nothing_and_lets_one_try_again(site: Site) -> None:
    browser = debited(site)
    act(site, f"payments/{payment_of(site)}/fail")
    eventually(lambda: site.rows(orders)[0].state == "expired", seconds=5)
    assert not browser.enters()
    browser.follow(browser.pay())
    assert browser.enters()
    assert changes(site) == ["granted"]


def debited(site: Site) -> Browser:
    """Somebody who has paid by bank debit, which the bank takes its time for."""
    browser = Browser(site.url)
    browser.sign_in("Della Debit")
    page = browser.client.get(f"{browser.checkout().url}/debit")
    fields = {"iban": SLOW_ACCOUNT, "account_holder": "Della Debit"}
    answer = browser.submit(page, "Pay", **fields)
    assert answer.status_code == 303, answer.text
    return browser


def payment_of(site: Site) -> str:
    checkout = site.sandbox.stripe.v1.checkout.sessions.retrieve(site.rows(orders)[0].checkout_id)
    assert isinstance(checkout.payment_intent, str)
    return checkout.payment_intent
