"""A host of another domain, with and without a cookie shared by the others: the same way in, and no other."""

import itertools
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from tests.proxies.conftest import SETTINGS
from tests.proxies.proxies import APART, APP, PAY, PROXIES, Proxy, running_proxy
from tests.proxies.test_whole_way import header
from tests.proxies.third_party import ThirdParty
from tests.support.databases import fresh_sqlite
from tests.support.running import Browser, Sandbox, Site, eventually, running_site

from tollkeeper.gate.handovers import SECONDS
from tollkeeper.redirects import LONGEST
from tollkeeper.storage.tables import grants, login_sessions
from tollkeeper.web.handovers import PATH

PAGE = f"https://{APART}/reports/q3?year=2026&sort=-amount"
LOGIN, SECRET = "__Host-tollkeeper", "__Host-tollkeeper_handover"


@dataclass(frozen=True)
class Place:
    """A proxy, the Tollkeeper behind it, and the app."""

    proxy: Proxy
    site: Site
    app: ThirdParty

    def payer(self) -> Browser:
        """Somebody who paid on our own host, and has been nowhere else yet."""
        browser = self.proxy.browser()
        browser.sign_in("Penny Payer", f"{secrets.token_hex(8)}@example.com")
        browser.follow(browser.pay())
        return browser


@pytest.fixture(scope="module", params=itertools.product(sorted(PROXIES), ["example.com", ""]), ids="-".join)
def place(
    request: pytest.FixtureRequest,
    sandbox: Sandbox,
    third_party: ThirdParty,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    name, domain = request.param
    folder = tmp_path_factory.mktemp("place")
    settings = SETTINGS | {"COOKIE_DOMAIN": domain}
    with (
        running_site(sandbox, fresh_sqlite(sqlite_template, folder), folder, **settings) as site,
        running_proxy(
            name, folder / "proxy", site.url.removeprefix("http://"), f"127.0.0.1:{third_party.port}"
        ) as proxy,
    ):
        third_party.seen.clear()
        yield Place(proxy, site, third_party)


def cookie(browser: Browser, name: str, host: str = APART) -> str:
    return next((one.value or "" for one in browser.client.cookies.jar if (one.domain, one.name) == (host, name)), "")


def handover(browser: Browser, page: str = PAGE) -> str:
    """The address that signs a browser in on the host apart; not gone to yet."""
    sent = browser.client.get(browser.client.get(page).headers["Location"])
    address = str(sent.headers["Location"])
    assert address.startswith(f"https://{APART}{PATH}?token=")
    return address


def enters(place: Place, browser: Browser, page: str = PAGE) -> bool:
    """Whether the app sees the request for its page, without any redirect before."""
    place.app.seen.clear()
    answer = browser.client.get(page)
    assert (answer.status_code == 200) == bool(place.app.seen)
    return answer.status_code == 200


def test_sign_in_pay_and_see_the_page_first_asked_for(place: Place) -> None:
    browser, email = place.proxy.browser(), f"{secrets.token_hex(8)}@example.com"
    place.app.seen.clear()
    issuer = browser.follow(browser.client.get(PAGE))
    assert str(issuer.url).startswith(place.site.sandbox.url)
    offer = browser.follow(browser.submit(issuer, "Continue", name="Zoë", email=email, email_verified="yes"))
    assert (offer.url.host, place.app.seen) == (PAY, [])
    page = browser.follow(browser.pay(browser.follow(browser.submit(offer, "Purchase"))))
    assert (page.status_code, str(page.url), place.app.seen) == (200, PAGE, [PAGE.removeprefix(f"https://{APART}")])
    assert header(page.json(), "Remote-Email") == [email]
    login = cookie(browser, LOGIN)
    assert login
    assert login not in json.dumps(page.json())
    assert not cookie(browser, SECRET)


def test_anybody_who_paid_enters_at_once(place: Place) -> None:
    browser = place.payer()
    page = browser.follow(browser.client.get(PAGE))
    assert (page.status_code, str(page.url)) == (200, PAGE)


def test_the_longest_page_that_is_considered_arrives(place: Place) -> None:
    browser = place.payer()
    start = f"https://{APART}/?a="
    wanted = start + "," * (LONGEST - len(start))  # of which an address inside an address makes three characters each
    page = browser.follow(browser.client.get(wanted))
    assert (page.status_code, str(page.url)) == (200, wanted)


def test_a_form_that_is_posted_signed_out_leads_to_the_front_page(place: Place) -> None:
    browser = place.payer()
    page = browser.follow(browser.client.post(PAGE))
    assert (page.status_code, str(page.url)) == (200, f"https://{APART}/")


def test_a_handover_is_for_one_use(place: Place) -> None:
    browser = place.payer()
    address, secret = handover(browser), cookie(browser, SECRET)
    assert browser.client.get(address).headers["Location"] == PAGE
    again = place.proxy.browser()
    again.client.cookies.set(SECRET, secret, domain=APART, path="/")
    assert fails(again.client.get(address))
    assert not enters(place, again)


def test_a_handover_is_for_half_a_minute(place: Place) -> None:
    browser, clock = place.payer(), place.site.clock
    try:
        clock.stopped_at = clock()
        address = handover(browser)
        clock.stopped_at += SECONDS
        assert fails(browser.client.get(address))
        assert not enters(place, browser)
    finally:
        clock.stopped_at = None


def test_a_handover_is_for_one_browser(place: Place) -> None:
    victim = place.proxy.browser()
    victim.client.get(PAGE)
    address = handover(place.payer())
    assert fails(victim.client.get(address))
    assert not enters(place, victim)


@pytest.mark.parametrize("host", [PAY, APP])
def test_a_handover_is_for_one_host(place: Place, host: str) -> None:
    browser = place.payer()
    address, secret = handover(browser), cookie(browser, SECRET)
    before = len(place.site.rows(login_sessions))
    headers = {"Cookie": f"{SECRET}={secret}", "X-Forwarded-Host": APART, "X-Forwarded-Proto": "https"}
    answer = place.proxy.browser().client.get(address.replace(APART, host), headers=headers)
    assert (LOGIN in str(answer.headers), len(place.site.rows(login_sessions))) == (False, before)


def fails(answer: httpx2.Response) -> bool:
    """Whether a handover was refused, and said nothing."""
    quiet = (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    return answer.status_code == 400 and quiet and "Set-Cookie" not in answer.headers


def test_a_login_session_counts_on_its_own_host_alone(place: Place) -> None:
    browser = place.payer()
    browser.follow(browser.client.get(PAGE))
    assert enters(place, browser)
    here = cookie(browser, LOGIN)
    names = {LOGIN, "__Secure-tollkeeper"}
    forged = {"X-Forwarded-Host": APART, "X-Forwarded-Proto": "https"}
    for name in names:
        thief = place.proxy.browser()
        thief.client.headers |= {"Cookie": f"{name}={here}"} | forged
        assert not enters(place, thief, f"https://{APP}/")
        assert "/login" in thief.client.get(f"https://{PAY}/account").headers["Location"]
        assert "/login" in thief.client.get(f"https://{PAY}/gate?feature=dashboard").headers["Location"]
    shared = next(one.value for one in browser.client.cookies.jar if one.name in names and one.value != here)
    for name in names:
        stranger = place.proxy.browser()
        stranger.client.headers["Cookie"] = f"{name}={shared}"
        assert not enters(place, stranger)


def test_the_host_is_the_one_that_the_request_line_names(place: Place) -> None:
    """Where that is a whole address, ``Host`` does not count (RFC 9112, section 3.2.2)."""
    browser = place.payer()
    browser.follow(browser.client.get(PAGE))
    head = [f"Cookie: {LOGIN}={cookie(browser, LOGIN)}", f"Host: {APART}", "Accept: text/html"]
    place.app.seen.clear()
    assert b" 302 " in place.proxy.ask(f"GET https://{APP}/ HTTP/1.1", *head).split(b"\r\n")[0]
    assert place.app.seen == []
    head[1] = f"Host: {APP}"
    assert b" 200 " in place.proxy.ask(f"GET https://{APART}/ HTTP/1.1", *head).split(b"\r\n")[0]


def test_signing_out_ends_it(place: Place) -> None:
    browser = place.payer()
    browser.follow(browser.client.get(PAGE))
    assert enters(place, browser)
    browser.submit(browser.get("/"), "Logout")
    assert cookie(browser, LOGIN)
    assert not enters(place, browser)


def test_a_refund_closes_the_next_request(place: Place) -> None:
    browser = place.payer()
    page = browser.follow(browser.client.get(PAGE))
    person = header(page.json(), "Remote-User")[0]
    (grant,) = [row for row in place.site.rows(grants) if row.person_id == person]
    place.site.sandbox.stripe.v1.refunds.create({"payment_intent": grant.reference})
    eventually(lambda: next(row for row in place.site.rows(grants) if row.person_id == person).revoked_at)
    assert not enters(place, browser)
    sent = browser.client.get(PAGE).headers["Location"]
    assert sent.startswith(f"https://{PAY}/pricing?feature=dashboard&return_to=https%3A%2F%2F{APART}%2F")


def test_where_no_cookie_is_kept_nobody_goes_in_circles(place: Place) -> None:
    browser = place.payer()
    refused = browser.client.get(PAGE)
    browser.client.cookies.delete(SECRET, APART, "/")
    assert fails(browser.follow(refused))


def test_programs_are_told_and_left_nothing(place: Place) -> None:
    program = place.proxy.browser()
    program.client.headers |= {"Accept": "application/json", "Sec-Fetch-Mode": "cors"}
    answer = program.client.get(PAGE)
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (401, False)
