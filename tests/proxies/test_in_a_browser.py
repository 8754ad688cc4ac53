"""The same way in a real browser, which keeps cookies, follows policies and asks about other origins as browsers do."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from tests.journeys.visitor import PATIENCE_MS, Visitor, new_email
from tests.proxies.proxies import APART, APP, PAY, Proxy
from tests.support.chromium import running_chromium

PAGE = f"https://{APP}/reports/q3?year=2026"
PAGE_APART = f"https://{APART}/reports/q3?year=2026"
WHO = """async () => (await (await fetch("https://pay.example.com/api/me", {credentials: "include"})).json()).visitor"""


@pytest.fixture(scope="module")
def somebody(proxy: Proxy) -> Iterator[Visitor]:
    """A visitor whose browser finds all hosts at the proxy."""
    rules = (f"MAP *.example.{top}:443 127.0.0.1:{proxy.port}" for top in ("com", "net"))
    names = f"--host-resolver-rules={','.join(rules)}"
    expect.set_options(timeout=PATIENCE_MS)
    with running_chromium(names) as browser:
        yield Visitor(f"https://{PAY}", browser.new_context(ignore_https_errors=True), new_email())


def test_a_visitor_signs_in_pays_and_sees_the_page_first_asked_for(somebody: Visitor) -> None:
    somebody.open(PAGE)
    somebody.introduce()
    somebody.sees("Pricing")
    somebody.is_at("/pricing")
    somebody.purchase("Flying lessons")
    somebody.pay()
    expect(somebody.page).to_have_url(PAGE)
    somebody.reads("Remote-User")
    assert somebody.page.evaluate(WHO)["email"] == somebody.email
    somebody.open(PAGE_APART)  # another domain, which shares no cookie with the rest
    expect(somebody.page).to_have_url(PAGE_APART)
    somebody.reads("Remote-User")
    somebody.open("/")
    somebody.press("Logout")
    for page in (PAGE, PAGE_APART):
        somebody.open(page)
        somebody.sees("Choose a person")
    assert somebody.unforgiven() == []
