"""Return addresses in a real browser, which shows where each address leads."""

import random

import pytest
from playwright.sync_api import Browser
from tests.unit.test_redirects import ALLOWED, PUBLIC_URL, addresses, allowed, browser_goes_to, may_arrive_at

# Where the browser would go from one of our pages; null if it does not accept the address.
LEADS_TO = """([addresses, base]) => addresses.map(address => {
    try {
        const url = new URL(address, base)
        return [url.protocol.slice(0, -1), url.hostname, url.port]
    } catch { return null }
})"""


@pytest.mark.parametrize("public_url", [PUBLIC_URL, "http://localhost:4000"])
def test_g50_what_passes_leads_only_to_our_hosts_in_chromium(browser: Browser, public_url: str) -> None:
    seed = random.randrange(2**32)
    passing = [one for one in [*ALLOWED, *addresses(random.Random(seed), 20_000)] if allowed(one, public_url)]
    page = browser.new_page()
    led = page.evaluate(LEADS_TO, [passing, f"{public_url}/login"])
    page.close()
    allowed_places = may_arrive_at(public_url)
    ports = {"https": 443, "http": 80}
    places = [(scheme, host, int(port or ports.get(scheme, 0))) for scheme, host, port in filter(None, led)]
    assert len(places) == len(passing), f"seed {seed}"
    strays = [one for one, place in zip(passing, places, strict=True) if place not in allowed_places]
    assert strays == [], f"seed {seed}"
    other = [one for one, place in zip(passing, places, strict=True) if place != browser_goes_to(one, public_url)]
    assert other == [], f"our own judge differs; seed {seed}"
