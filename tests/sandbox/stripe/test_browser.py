"""The pages in Chromium: names that assistive technology reads, both colour schemes, phone and desktop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from tests.sandbox.stripe.support import Running, running
from tests.support.chromium import running_chromium

import tollkeeper_sandbox

STATIC = Path(tollkeeper_sandbox.__file__).parent / "static"


@pytest.fixture(scope="module")
def shop() -> Iterator[Running]:
    with running(more=[Mount("/static", StaticFiles(directory=STATIC))]) as made:
        made.sdk.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["*"]})
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(params=[(390, "dark"), (1280, "light")], ids=["phone-dark", "desktop-light"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    yield context.new_page()
    context.close()


def check(page: Page) -> None:
    """WCAG A and AA as far as axe can tell, and nothing wider than the window."""
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    assert not found.response["violations"], found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def fill(page: Page, card: str) -> None:
    page.get_by_label("Email", exact=True).fill("buyer@example.com")
    page.get_by_label("Card number", exact=True).fill(card)
    page.get_by_label("Expiration", exact=True).fill("12 / 34")
    page.get_by_label("CVC", exact=True).fill("123")
    page.get_by_label("Cardholder name", exact=True).fill("Test Buyer")
    page.get_by_label("Country", exact=True).select_option("Germany")


def test_the_way_of_a_buyer(shop: Running, page: Page) -> None:
    success = f"{shop.url}/control/objects/{{CHECKOUT_SESSION_ID}}"
    session = shop.checkout(automatic_tax={"enabled": True}, success_url=success)
    page.goto(str(session.url))
    check(page)
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was charged.")
    check(page)
    fill(page, "4000 0000 0000 9995")
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Your card has insufficient funds.")
    check(page)
    fill(page, "4000 0025 0000 3155")
    page.get_by_role("button", name="Pay", exact=True).click()
    check(page)
    page.get_by_role("button", name="Fail", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("We are unable to authenticate your payment method.")
    fill(page, "4000 0025 0000 3155")
    page.get_by_role("button", name="Pay", exact=True).click()
    page.get_by_role("button", name="Complete", exact=True).click()
    expect(page).to_have_url(f"{shop.url}/control/objects/{session.id}")
    check(page)
    page.goto(shop.page(session))
    expect(page.get_by_role("heading")).to_contain_text("all done")
    check(page)


def test_the_way_of_a_buyer_with_a_bank_account(shop: Running, page: Page) -> None:
    session = shop.checkout(
        shop.price(currency="eur"), success_url=f"{shop.url}/control/objects/{{CHECKOUT_SESSION_ID}}"
    )
    page.goto(str(session.url))
    page.get_by_role("link", name="Pay by bank debit instead").click()
    check(page)
    page.get_by_role("button", name="Pay by debit").click()
    check(page)
    page.get_by_label("Email", exact=True).fill("buyer@example.com")
    page.get_by_label("IBAN", exact=True).fill("DE08 3704 0044 0532 0130 03")
    page.get_by_label("Name on the account", exact=True).fill("Test Buyer")
    page.get_by_role("button", name="Pay by debit").click()
    expect(page).to_have_url(f"{shop.url}/control/objects/{session.id}")
    page.goto(f"{shop.url}/control/objects/{shop.read(session).payment_intent}")
    check(page)
    page.get_by_role("button", name="Let it succeed").click()
    expect(page.get_by_role("button", name="Refund", exact=True)).to_be_visible()


def test_the_way_of_a_buyer_with_a_promotion_code(shop: Running, page: Page) -> None:
    coupon = shop.sdk.v1.coupons.create({"percent_off": 100, "duration": "once"})
    code = shop.sdk.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}}).code
    session = shop.checkout(
        allow_promotion_codes=True, success_url=f"{shop.url}/control/objects/{{CHECKOUT_SESSION_ID}}"
    )
    page.goto(str(session.url))
    check(page)
    field = page.get_by_label("Promotion code", exact=True)
    field.fill("nobody-s")
    field.press("Enter")
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description("This code is invalid.")
    check(page)
    field.fill(code.lower())
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.get_by_role("heading", name="Complete your order")).to_be_visible()
    check(page)
    page.get_by_role("button", name="Remove code").click()
    expect(page.get_by_label("Card number", exact=True)).to_be_visible()
    field.fill(code)
    page.get_by_role("button", name="Apply", exact=True).click()
    page.get_by_label("Email", exact=True).fill("buyer@example.com")
    page.get_by_role("button", name="Complete order").click()
    expect(page).to_have_url(f"{shop.url}/control/objects/{session.id}")
    assert shop.read(session).payment_status == "no_payment_required"


def test_a_double_click_on_pay_charges_once(shop: Running, page: Page) -> None:
    session = shop.checkout(success_url=shop.url)
    page.goto(str(session.url))
    fill(page, "4242 4242 4242 4242")
    page.get_by_role("button", name="Pay", exact=True).dblclick()
    expect(page).to_have_url(f"{shop.url}/")
    payment = str(shop.read(session).payment_intent)
    assert len(shop.sdk.v1.charges.list({"payment_intent": payment}).data) == 1


def test_the_control_page_and_its_details(shop: Running, page: Page) -> None:
    shop.pay(shop.checkout())
    page.goto(shop.url)
    fault = shop.browser.post(f"{shop.url}/control/faults", json={"effect": "drop", "path": "/v1/nothing"}).json()
    page.reload()
    expect(page.get_by_text("drop the connection")).to_be_visible()
    page.get_by_text("test cards", exact=False).last.click()
    check(page)
    page.get_by_role("button", name="Clear all faults").click()
    expect(page.get_by_text("everything works")).to_be_visible()
    assert shop.browser.delete(f"{shop.url}/control/faults/{fault['id']}").status_code == 404
    page.locator('a[href^="/control/deliveries/"]').first.click()
    check(page)
    page.goto(shop.url)
    page.locator('a[href^="/control/objects/pi_"]').first.click()
    page.get_by_label("Amount to refund").fill("5")
    page.get_by_role("button", name="Refund", exact=True).click()
    expect(page.get_by_role("list", name="Refunds")).to_contain_text("$5.00")
    page.get_by_role("button", name="Dispute as fraudulent", exact=True).click()
    page.get_by_role("button", name="Send evidence", exact=True).click()
    expect(page.get_by_role("list", name="Disputes")).to_contain_text("under review")
    check(page)
    page.goto(shop.url)
    page.locator('a[href^="/control/objects/evt"]').first.click()
    check(page)


def test_the_way_of_a_subscriber(shop: Running, page: Page) -> None:
    basic = shop.price(recurring={"interval": "month"})
    pro = shop.price(recurring={"interval": "month"}, unit_amount=5000, product_data={"name": "Pro"})
    after = f"{shop.url}/control/objects/{{CHECKOUT_SESSION_ID}}"
    trial = {"trial_period_days": 7}
    session = shop.checkout(basic, mode="subscription", success_url=after, subscription_data=trial)
    page.goto(str(session.url))
    expect(page.get_by_text("7 days free.")).to_be_visible()
    check(page)
    fill(page, "4000 0025 0000 3155")
    page.get_by_role("button", name="Subscribe", exact=True).click()
    check(page)
    page.get_by_role("button", name="Complete", exact=True).click()
    expect(page).to_have_url(f"{shop.url}/control/objects/{session.id}")
    subscription = str(shop.read(session).subscription)
    page.goto(f"{shop.url}/control/objects/{subscription}")
    page.get_by_role("button", name="Let the next renewal fail").click()
    check(page)
    page.get_by_role("button", name="Go to just after the next renewal").click()
    expect(page.get_by_text("past due")).to_be_visible()
    _at_the_portal(shop, page, shop.sdk.v1.subscriptions.retrieve(subscription), [basic, pro])


def _at_the_portal(shop: Running, page: Page, subscription: Any, prices: list[Any]) -> None:
    """What is owed is paid, the card and the plan are changed, and the subscription is canceled."""
    products = [{"product": str(price.product), "prices": [price.id]} for price in prices]
    features: Any = {
        "invoice_history": {"enabled": True},
        "payment_method_update": {"enabled": True},
        "subscription_cancel": {"enabled": True, "cancellation_reason": {"enabled": True, "options": ["unused"]}},
        "subscription_update": {"enabled": True, "default_allowed_updates": ["price"], "products": products},
    }
    configuration = shop.sdk.v1.billing_portal.configurations.create({"features": features})
    link = shop.sdk.v1.billing_portal.sessions.create(
        {"customer": str(subscription.customer), "configuration": configuration.id, "return_url": shop.url}
    )
    page.goto(link.url)
    check(page)
    page.get_by_role("link", name="-0002").click()
    check(page)
    page.get_by_role("link", name="Pay this invoice").click()
    check(page)
    fill(page, "4242 4242 4242 4242")
    page.get_by_role("button", name="Pay $20.00").click()
    expect(page.get_by_text("paid", exact=True)).to_be_visible()
    page.goto(link.url)
    page.get_by_role("link", name="Update your card").click()
    page.get_by_role("button", name="Save card").click()
    expect(page.get_by_role("alert")).to_contain_text("Please check")
    check(page)
    fill(page, "5555 5555 5555 4444")
    page.get_by_role("button", name="Save card").click()
    expect(page.get_by_text("Mastercard ending in 4444")).to_be_visible()
    page.get_by_role("button", name="Change plan").click()
    check(page)
    page.get_by_label("Plan").select_option("Pro, $50.00 per month")
    page.get_by_role("button", name="Change plan").click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    check(page)
    page.get_by_label("Why?").select_option("I do not use it enough")
    page.get_by_role("button", name="Cancel subscription").click()
    page.get_by_role("button", name="Do not cancel").click()
    expect(page.get_by_text("Renews on")).to_be_visible()
    check(page)
    page.goto(shop.url)
    page.get_by_label("Days to move forward").fill("1")
    page.get_by_role("button", name="Move time").click()
    expect(page.get_by_text("ahead of the real time")).to_be_visible()
    check(page)
