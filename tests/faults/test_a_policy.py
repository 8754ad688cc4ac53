"""A4 and A11 under each product's own policy: what refunds, disputes and promotion codes do to access."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.faults.conftest import OpenSite
from tests.support.processes import run_here
from tests.support.running import (
    AMOUNT,
    PAYS,
    Browser,
    Sandbox,
    Site,
    eventually,
    newcomer,
    running_sandbox,
    running_site,
)

from tollkeeper.storage.tables import audit, customers, events, findings, grants, orders
from tollkeeper.wording.operators import sentence

REFUND_FAILS = "4000 0000 0000 5126"
HALF = AMOUNT // 2
POLICIES = {
    "careful": "",
    "half": "refund_revokes_from = 50",
    "keeps": 'dispute = "keep"',
    "coded": "promotion_codes = true",
    "gift": "",
}
KEPT = "Paid in full; disputed by the buyer's bank, and access is kept unless the dispute is lost."


def catalog(sandbox: Sandbox, **policies: str) -> str:
    """A ``tollkeeper.toml`` with these products, each with lines of its own. A gift costs nothing."""
    return "\n".join(
        f'[products.{key}]\nname = "{key}"\nunlocks = ["dashboard"]\n'
        f'stripe = "{sandbox.price(0 if key == "gift" else AMOUNT)}"\n{lines}'
        for key, lines in policies.items()
    )


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One of their own: sites of other tests that poll would read through all that happens here."""
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def mall(open_site: OpenSite, sandbox: Sandbox) -> Iterator[Site]:
    """The app with a product for each policy."""
    with open_site(catalog(sandbox, **POLICIES), PRODUCT_PRICE_ID="") as site:
        yield site


def checkout(browser: Browser, product: str) -> httpx2.Response:
    """The hosted page of a product."""
    return browser.follow(browser.submit(browser.get("/"), "Purchase", product=product))


def payer(mall: Site, product: str, card: str = PAYS) -> Browser:
    browser = newcomer(mall)
    browser.follow(browser.pay(checkout(browser, product), card))
    assert browser.enters()
    return browser


def payment_of(site: Site, browser: Browser) -> str:
    (grant,) = site.rows_of(browser, grants)
    return str(grant.reference)


def reason(site: Site, browser: Browser) -> str:
    (grant,) = site.rows_of(browser, grants)
    return sentence(grant.reason)


def says(site: Site, browser: Browser, words: str) -> None:
    """Wait until the grant's reason is this."""
    try:
        eventually(lambda: reason(site, browser) == words)
    except AssertionError:
        assert reason(site, browser) == words


def changes(site: Site, browser: Browser) -> list[str]:
    return [row.change for row in site.rows_of(browser, audit)]


def refund(site: Site, browser: Browser, amount: int) -> str:
    made = site.sandbox.stripe.v1.refunds.create({"payment_intent": payment_of(site, browser), "amount": amount})
    return made.id


def act(site: Site, what: str) -> None:
    """Press a button of the sandbox's control page."""
    answer = Browser(site.sandbox.url).client.post(f"{site.sandbox.url}/control/{what}")
    assert answer.status_code in {200, 303}, answer.text


def dispute(site: Site, browser: Browser) -> str:
    payment = payment_of(site, browser)
    act(site, f"payments/{payment}/dispute")
    (opened,) = site.sandbox.stripe.v1.disputes.list({"payment_intent": payment}).data
    return opened.id


# What refunds do, A11


def test_a11_a_refund_below_the_share_keeps_access_and_one_that_reaches_it_ends_it(mall: Site) -> None:
    browser = payer(mall, "half")
    refund(mall, browser, HALF - 1)
    says(mall, browser, "Paid in full; 49 % has been refunded since, and access ends at 50 %.")
    assert browser.enters()
    refund(mall, browser, 1)
    says(mall, browser, "Refunded by 50 %, and access ends at 50 %.")
    assert not browser.enters()
    assert changes(mall, browser) == ["granted", "revoked"]


def test_a11_without_a_share_only_a_full_refund_ends_access(mall: Site) -> None:
    browser = payer(mall, "careful")
    refund(mall, browser, AMOUNT - 1)
    says(mall, browser, "Paid in full; 99 % has been refunded since, and access ends at 100 %.")
    assert browser.enters()
    refund(mall, browser, 1)
    says(mall, browser, "Refunded in full.")
    assert not browser.enters()


def test_a11_a_partial_refund_that_fails_restores(mall: Site) -> None:
    browser = payer(mall, "half", REFUND_FAILS)
    made = refund(mall, browser, HALF)
    says(mall, browser, "Refunded by 50 %, and access ends at 50 %.")
    assert not browser.enters()
    act(mall, f"refunds/{made}/fail")
    says(mall, browser, "Paid in full.")
    assert browser.enters()
    assert changes(mall, browser) == ["granted", "revoked", "restored"]


# What disputes do, A11


@pytest.mark.parametrize(
    ("end", "after", "words"),
    [("win", ["granted"], "Paid in full."), ("lose", ["granted", "revoked"], "The dispute was lost.")],
)
def test_a11_a_seller_who_keeps_loses_nobody_until_the_dispute_is_lost(
    mall: Site, end: str, after: list[str], words: str
) -> None:
    browser = payer(mall, "keeps")
    opened = dispute(mall, browser)
    says(mall, browser, KEPT)
    assert browser.enters()
    act(mall, f"disputes/{opened}/{end}")
    says(mall, browser, words)
    assert browser.enters() is (end == "win")
    assert changes(mall, browser) == after


@pytest.mark.parametrize(
    ("end", "after", "words"),
    [
        ("win", ["granted", "suspended", "restored"], "Paid in full."),
        ("lose", ["granted", "suspended"], "The dispute was lost."),
    ],
)
def test_a11_a_careful_seller_suspends_until_the_dispute_is_won(
    mall: Site, end: str, after: list[str], words: str
) -> None:
    browser = payer(mall, "careful")
    opened = dispute(mall, browser)
    says(mall, browser, "The payment is disputed.")
    assert not browser.enters()
    act(mall, f"disputes/{opened}/{end}")
    says(mall, browser, words)
    assert browser.enters() is (end == "win")
    assert changes(mall, browser) == after


def test_a11_a_full_refund_ends_access_under_every_policy(mall: Site) -> None:
    buyers = [payer(mall, product) for product in ("half", "keeps", "coded")]
    for browser in buyers:
        refund(mall, browser, AMOUNT)
    for browser in buyers:
        says(mall, browser, "Refunded in full.")
        assert not browser.enters()


# What promotion codes and free prices do, A4


def promotion_code(sandbox: Sandbox, percent: float) -> str:
    """Create a code for a discount of this percentage."""
    coupon = sandbox.stripe.v1.coupons.create({"percent_off": percent})
    return sandbox.stripe.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}}).code


def redeemed(browser: Browser, page: httpx2.Response, code: str) -> httpx2.Response:
    """The hosted page with a promotion code entered."""
    answer = browser.submit(page, "Apply", promotion_code=code)
    assert answer.is_redirect, answer.text
    return browser.follow(answer)


def complete_free(browser: Browser, page: httpx2.Response) -> None:
    answer = browser.submit(page, "Complete order", email="buyer@example.com")
    assert answer.is_redirect, answer.text
    browser.follow(answer)


def test_a04_a_code_for_all_of_it_opens_the_door_where_codes_are_allowed(mall: Site) -> None:
    browser = newcomer(mall)
    complete_free(browser, redeemed(browser, checkout(browser, "coded"), promotion_code(mall.sandbox, 100)))
    assert browser.enters()
    (grant,) = mall.rows_of(browser, grants)
    assert (grant.amount, sentence(grant.reason)) == (0, "Nothing to pay: a promotion code covered it.")
    assert mall.rows_of(browser, orders)[0].state == "complete"


def test_a04_a_code_for_a_part_leaves_the_rest_to_pay_and_to_refund(mall: Site) -> None:
    browser = newcomer(mall)
    browser.follow(browser.pay(redeemed(browser, checkout(browser, "coded"), promotion_code(mall.sandbox, 50))))
    assert browser.enters()
    (grant,) = mall.rows_of(browser, grants)
    assert (grant.amount, sentence(grant.reason)) == (AMOUNT - HALF, "Paid, less the discount of a promotion code.")
    refund(mall, browser, AMOUNT - HALF)
    says(mall, browser, "Refunded in full.")
    assert not browser.enters()


def test_a04_who_has_no_code_pays_in_full(mall: Site) -> None:
    assert reason(mall, payer(mall, "coded")) == "Paid in full."


def test_a04_the_checkout_takes_no_codes_unless_the_seller_does(mall: Site) -> None:
    browser = newcomer(mall)
    page = checkout(browser, "careful")
    assert "Promotion code" not in page.text
    refused = browser.client.post(
        f"{page.url}/promotion_code",
        data={"promotion_code": promotion_code(mall.sandbox, 100)},
        headers={"Origin": mall.sandbox.url},
    )
    assert refused.status_code == 422
    browser.follow(browser.pay(page))
    assert reason(mall, browser) == "Paid in full."


def test_a04_a_price_of_nothing_is_what_was_ordered(mall: Site) -> None:
    browser = newcomer(mall)
    complete_free(browser, checkout(browser, "gift"))
    assert browser.enters()
    assert reason(mall, browser) == "Nothing to pay: the price is zero."


@pytest.mark.parametrize("percent", [100, 50])
def test_a04_a_discount_that_the_order_did_not_offer_opens_nothing(mall: Site, percent: int) -> None:
    """As if somebody made a checkout for the order by hand: everything is right but what is paid."""
    browser = newcomer(mall)
    checkout(browser, "careful")
    (order,), (customer,) = mall.rows_of(browser, orders), mall.rows_of(browser, customers)
    made = mall.sandbox.stripe.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "customer": customer.external_id,
            "client_reference_id": order.id,
            "line_items": [{"price": order.price_id, "quantity": 1}],
            "metadata": {"order": order.id, "person": order.person_id, "product": order.product},
            "discounts": [{"coupon": mall.sandbox.stripe.v1.coupons.create({"percent_off": percent}).id}],
            "success_url": f"{mall.url}/",
        }
    )
    assert made.url
    page = browser.follow(browser.client.get(made.url))
    if percent == 100:
        complete_free(browser, page)
    else:
        browser.pay(page)
    found = eventually(lambda: [row for row in mall.rows(findings) if row.source == made.id])
    assert [row.verdict for row in found] == ["quarantined"]
    assert not browser.enters()
    assert not mall.rows_of(browser, grants)
    browser.follow(browser.pay(checkout(browser, "careful")))
    assert reason(mall, browser) == "Paid in full."


# A changed policy


def test_a11_a_changed_policy_acts_on_refunds_made_before_and_on_no_code_used_before(
    sandbox: Sandbox, database_url: str, tmp_path: Path
) -> None:
    toml = tmp_path / "tollkeeper.toml"
    toml.write_text(catalog(sandbox, pro="promotion_codes = true"))
    with running_site(sandbox, database_url, tmp_path, PRODUCT_PRICE_ID="") as site:
        refunded, free = payer(site, "pro"), newcomer(site)
        complete_free(free, redeemed(free, checkout(free, "pro"), promotion_code(sandbox, 100)))
        refund(site, refunded, HALF)
        says(site, refunded, "Paid in full; 50 % has been refunded since, and access ends at 100 %.")
        eventually(lambda: all(row.handled_at for row in site.rows(events)), seconds=30)
        assert refunded.enters()
        assert free.enters()
    toml.write_text(toml.read_text().replace("promotion_codes = true", "refund_revokes_from = 50"))
    with running_site(sandbox, database_url, tmp_path, PRODUCT_PRICE_ID="") as site:
        refunded.site = free.site = site.url
        done = run_here("reconcile", "--all", folder=tmp_path, environment=site.settings)
        assert done.returncode == 0, done.stderr
        assert not refunded.enters()
        assert reason(site, refunded) == "Refunded by 50 %, and access ends at 50 %."
        assert free.enters()
        assert changes(site, free) == ["granted"]
        assert "Promotion code" not in checkout(newcomer(site), "pro").text
