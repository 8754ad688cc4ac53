"""C25 to C27: webhooks that never come. The provider's own list of events is read instead."""

import time
from pathlib import Path

from tests.support.running import Browser, Sandbox, Site, eventually, running_site

from tollkeeper.billing.inbox import OVERLAP, POLL_INTERVAL
from tollkeeper.storage.tables import audit, events, polls

DAY = 24 * 3600


def pay_and_leave(site: Site, name: str) -> None:
    """Pay, and never come back from the hosted page."""
    browser = Browser(site.url)
    browser.sign_in(name)
    assert browser.pay().status_code == 303


def test_c25_every_webhook_lost(sandbox: Sandbox, database_url: str, tmp_path: Path) -> None:
    with running_site(sandbox, database_url, tmp_path, STRIPE_WEBHOOK_SECRET="") as site:
        eventually(lambda: site.rows(polls))
        pay_and_leave(site, "Lou Lost")
        site.clock.ahead += POLL_INTERVAL
        eventually(lambda: site.rows(audit))
    assert POLL_INTERVAL < 120 - 10
    assert [row.change for row in site.rows(audit)] == ["granted"]


def test_c25_every_webhook_lost_and_our_clock_an_hour_ahead(
    sandbox: Sandbox, database_url: str, tmp_path: Path
) -> None:
    """The time asked for follows the provider's clock, as far as any event has shown it."""
    with running_site(sandbox, database_url, tmp_path, STRIPE_WEBHOOK_SECRET="") as site:
        eventually(lambda: site.rows(polls))
        pay_and_leave(site, "Lou Lost")
        site.clock.ahead += POLL_INTERVAL
        eventually(lambda: site.rows(audit))
        site.clock.ahead += 3600
        eventually(lambda: site.rows(polls)[0].read_until > time.time() + 3000)
        site.clock.ahead -= 3600  # or the issuer, whose clock has not moved, is not believed
        pay_and_leave(site, "Ann Ahead")
        site.clock.ahead += 3600 + POLL_INTERVAL
        eventually(lambda: len(site.rows(audit)) == 2)


def test_c26_deliveries_fail_and_the_browser_never_returns(site: Site) -> None:
    endpoints = site.sandbox.stripe.v1.webhook_endpoints
    for endpoint in endpoints.list().data:
        if endpoint.url.startswith(site.url):
            endpoints.delete(endpoint.id)
    eventually(lambda: site.rows(polls))
    pay_and_leave(site, "Flo Failed")
    site.clock.ahead += POLL_INTERVAL
    eventually(lambda: site.rows(audit))


def test_c27_down_for_four_days(sandbox: Sandbox, database_url: str, tmp_path: Path) -> None:
    with running_site(sandbox, database_url, tmp_path, STRIPE_WEBHOOK_SECRET="") as site:
        browser = Browser(site.url)
        browser.sign_in("Dora Down")
        page = browser.checkout()
        settings = site.settings
    assert browser.pay(page).status_code == 303

    settings = {name: value for name, value in settings.items() if name not in {"PUBLIC_URL", "DATABASE_URL"}}
    with running_site(sandbox, database_url, tmp_path, **settings) as site:
        site.clock.ahead += 4 * DAY
        eventually(lambda: site.rows(audit))
        site.clock.ahead = 0  # the issuer's clock has not moved
        again = Browser(site.url)
        again.sign_in("Dora Down")
        assert again.enters()


def test_events_are_kept_once_however_they_arrive(site: Site) -> None:
    pay_and_leave(site, "Tim Twice")
    eventually(lambda: site.rows(audit))
    polled_at = site.rows(polls)[0].polled_at
    site.clock.ahead += POLL_INTERVAL + OVERLAP // 4
    eventually(lambda: site.rows(polls)[0].polled_at > polled_at)
    eventually(lambda: site.rows(polls)[0].read_until > polled_at)
    ids = [row.event_id for row in site.rows(events)]
    assert len(ids) == len(set(ids))
    assert len(site.rows(audit)) == 1
