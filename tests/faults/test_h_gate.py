"""H51 to H55 at the gate itself, on both databases. Behind real proxies: ``tests/proxies``."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from tests.faults.conftest import OpenSite
from tests.support.running import Browser, Site, look, newcomer

from tollkeeper.storage import login_sessions as stored
from tollkeeper.storage.tables import grants, handovers, login_sessions, people

DOORS = ["/gate", "/gate/auth-request"]
HOST = "127.0.0.1:9"
FORWARDED = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": HOST, "X-Forwarded-Uri": "/page"}
FORGED = {"Remote-User": "per_forged", "Remote-Groups": "dashboard", "X-Forwarded-User": "per_forged"}
BROWSER = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def strangers_shop(open_site: OpenSite) -> Iterator[Site]:
    """A shop that trusts no proxy that the tests can be, though one elsewhere."""
    with open_site(GATED_HOSTS=HOST, TRUSTED_PROXIES="192.0.2.1") as site:
        yield site


@pytest.fixture(scope="module")
def proxied_shop(open_site: OpenSite) -> Iterator[Site]:
    """A shop that trusts a proxy on this machine."""
    with open_site(GATED_HOSTS=HOST, TRUSTED_PROXIES="127.0.0.1") as site:
        yield site


def ask(browser: Browser, door: str = "/gate", headers: Any = BROWSER) -> httpx2.Response:
    return browser.client.get(f"{browser.site}{door}?feature=dashboard", headers=headers)


def a_payer(site: Site) -> Browser:
    browser = newcomer(site)
    browser.follow(browser.pay())
    assert ask(browser).status_code == 200
    return browser


def tells_nobody(answer: httpx2.Response) -> bool:
    """Whether an answer neither lets anybody in nor says who it is, and may not be kept."""
    named = any(name.startswith("remote-") for name in answer.headers)
    return not answer.is_success and not named and answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("door", DOORS)
def test_h51_who_says_who_they_are_is_not_believed(shop: Site, door: str) -> None:
    assert tells_nobody(ask(Browser(shop.url), door, BROWSER | FORGED))
    allowed = ask(a_payer(shop), door, BROWSER | FORGED)
    assert allowed.status_code == 200
    assert "forged" not in str(allowed.headers)


@pytest.mark.parametrize("door", DOORS)
def test_h52_a_stranger_cannot_say_what_was_asked_for(strangers_shop: Site, shop: Site, door: str) -> None:
    for site in (strangers_shop, shop):
        for browser in (Browser(site.url), newcomer(site)):
            plain, forged = ask(browser, door), ask(browser, door, BROWSER | FORWARDED)
            assert forged.headers["Location"] == plain.headers["Location"]
            assert "page" not in forged.headers["Location"]


def test_h52_our_own_proxy_is_believed(proxied_shop: Site) -> None:
    answer = ask(Browser(proxied_shop.url), headers=BROWSER | FORWARDED)
    assert answer.headers["Location"].endswith("?return_to=http%3A%2F%2F127.0.0.1%3A9%2Fpage")


@pytest.mark.parametrize("host", ["evil.example", "", "evil.example@127.0.0.1", "\\evil", "127.0.0.1:9"])
def test_h53_no_host_but_our_own_is_in_an_address(proxied_shop: Site, host: str) -> None:
    for door in DOORS:
        answer = ask(Browser(proxied_shop.url), door, BROWSER | {"Host": host})
        assert answer.headers["Location"] == f"{proxied_shop.url}/login"
    program = ask(Browser(proxied_shop.url), headers={"Accept": "application/json", "Host": host})
    assert program.json()["sign_in"] == f"{proxied_shop.url}/login"


def test_h54_without_its_tables_the_gate_denies(open_site: OpenSite) -> None:
    with open_site() as site:
        payer = a_payer(site)
        for table in (handovers, login_sessions):
            look(site.settings["DATABASE_URL"], table.drop)
        for door in DOORS:
            answer = ask(payer, door)
            assert tells_nobody(answer)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")


def test_h54_whatever_a_name_holds_it_stays_in_its_header(open_site: OpenSite) -> None:
    with open_site() as site:
        payer = a_payer(site)
        site.look(lambda conn: conn.execute(people.update().values(name="Bobby\r\nRemote-Groups: everything")))
        answer = ask(payer)
        assert answer.headers["Remote-Name"] == "Bobby%0D%0ARemote-Groups: everything"
        assert answer.headers["Remote-Groups"] == "dashboard"


def test_h55_a_revocation_is_seen_at_the_next_request(deaf_shop: Site) -> None:
    shop, payer = deaf_shop, a_payer(deaf_shop)
    (grant,) = shop.rows_of(payer, grants)
    for door in DOORS:
        assert ask(payer, door).headers["Cache-Control"] == "no-store"
    shop.look(lambda conn: conn.execute(grants.update().where(grants.c.id == grant.id).values(revoked_at=1)))
    for door in DOORS:
        answer = ask(payer, door)
        assert tells_nobody(answer)
        assert answer.headers["Location"].startswith(f"{shop.url}/pricing?feature=dashboard")


def test_h55_signing_out_is_seen_at_the_next_request(shop: Site) -> None:
    payer = a_payer(shop)
    (session,) = shop.rows_of(payer, login_sessions)
    shop.look(stored.end, session.id, session.person_id)
    for door in DOORS:
        answer = ask(payer, door)
        assert tells_nobody(answer)
        assert answer.headers["Location"].startswith(f"{shop.url}/login")


def test_h55_access_that_runs_out_is_over_at_that_second(deaf_shop: Site) -> None:
    shop, payer = deaf_shop, a_payer(deaf_shop)
    (grant,) = shop.rows_of(payer, grants)
    until = shop.clock() + 3600
    shop.look(lambda conn: conn.execute(grants.update().where(grants.c.id == grant.id).values(until=until)))
    try:
        shop.clock.stopped_at = until - 1
        assert ask(payer).status_code == 200
        shop.clock.stopped_at = until
        assert tells_nobody(ask(payer))
    finally:
        shop.clock.stopped_at = None
