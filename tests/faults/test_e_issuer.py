"""E38 and E39: the issuer is away, hangs, or changes its keys, while people use the app."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import Response
from tests.faults.conftest import OpenSite
from tests.support.issuers import CLIENT_ID, CLIENT_SECRET, LyingIssuer, Stage, answers, new_key, public, serving
from tests.support.running import Browser, Site

DISCOVERY, KEYS, TOKEN = "/.well-known/openid-configuration", "/keys", "/token"
HOUR = 3600  # how long discovery is kept
REFETCH = 60  # how often keys are fetched at most


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Stage, str]]:
    stage = Stage()
    with serving(stage) as url:
        yield stage, url


@pytest.fixture
def stage(served: tuple[Stage, str]) -> Stage:
    return served[0]


@pytest.fixture
def issuer(served: tuple[Stage, str], first_key: RSAKey) -> LyingIssuer:
    stage, url = served
    issuer = LyingIssuer(url, first_key)
    stage.show(issuer.app())
    return issuer


@pytest.fixture(scope="module")
def first_key() -> RSAKey:
    return new_key("first")


@pytest.fixture(scope="module")
def second_key() -> RSAKey:
    return new_key("second")


@pytest.fixture
def site(open_site: OpenSite, issuer: LyingIssuer) -> Iterator[Site]:
    """The app, with an issuer apart from the sandbox, which asks no questions."""
    theirs = {"OIDC_ISSUER": issuer.url, "OIDC_CLIENT_ID": CLIENT_ID, "OIDC_CLIENT_SECRET": CLIENT_SECRET}
    with open_site(**theirs) as site:
        yield site


@pytest.fixture
def member(site: Site) -> Browser:
    """Somebody who has paid, and is signed in."""
    browser = Browser(site.url)
    assert "Hello, Ada" in arrive(browser).text
    assert "Payment done" in browser.follow(browser.pay()).text
    return browser


def arrive(browser: Browser) -> httpx2.Response:
    """Sign in. Answers the page it ends on."""
    return browser.follow(browser.get("/login"))


def assert_told_to_come_back(page: httpx2.Response) -> None:
    assert page.status_code == 503
    assert page.headers["Retry-After"] == "60"
    assert page.headers["Cache-Control"] == "no-store"
    assert "The sign-in service is not responding at the moment. Please try again in a minute." in page.text


@pytest.mark.parametrize(
    ("path", "later", "key_id"),
    [(DISCOVERY, HOUR, None), (TOKEN, 0, None), (KEYS, REFETCH, "unheard of")],
    ids=["discovery", "token", "keys"],
)
def test_e38_members_go_on_and_login_says_so(
    site: Site, member: Browser, stage: Stage, issuer: LyingIssuer, path: str, later: int, key_id: str | None
) -> None:
    site.clock.ahead = later  # what is kept of the issuer is too old by now
    issuer.header = {"kid": key_id} if key_id else {}
    stage.detours[path] = answers(503, b"down for maintenance")
    newcomer = Browser(site.url)
    assert_told_to_come_back(arrive(newcomer))
    assert "tollkeeper" not in newcomer.client.cookies
    assert member.enters()
    assert "Hello, Ada" in member.get("/").text
    assert member.get("/account").status_code == 200
    assert "Login" in newcomer.get("/").text

    site.clock.ahead, issuer.header = 0, {}
    del stage.detours[path]
    assert "Hello, Ada" in arrive(newcomer).text
    assert newcomer.enters()


def test_e38_a_program_is_told_as_a_program(site: Site, stage: Stage) -> None:
    stage.detours[DISCOVERY] = answers(500)
    answer = httpx2.get(f"{site.url}/login", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")


def test_e38_anybody_who_waits_for_a_hanging_issuer_waits_alone(site: Site, member: Browser, stage: Stage) -> None:
    asked, over = threading.Event(), threading.Event()

    async def hanging(_: Request) -> Response:
        asked.set()
        await asyncio.to_thread(over.wait, 9)
        return Response(status_code=503)

    site.clock.ahead = HOUR
    stage.detours[DISCOVERY] = hanging
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(arrive, Browser(site.url)) for _ in range(3)]
        assert asked.wait(5)
        assert all(member.enters() for _ in range(20))
        assert not any(one.done() for one in waiting)
        over.set()
        for one in waiting:
            assert_told_to_come_back(one.result())
    assert stage.asked[DISCOVERY] == 2  # the first was the member's own


def test_e39_new_keys_are_fetched_once_and_anybody_who_signs_with_others_is_refused(
    site: Site, stage: Stage, issuer: LyingIssuer, second_key: RSAKey
) -> None:
    assert "Hello, Ada" in arrive(Browser(site.url)).text
    issuer.key, issuer.published = second_key, [public(second_key)]
    site.clock.ahead = REFETCH
    assert "Hello, Ada" in arrive(Browser(site.url)).text
    assert stage.asked[KEYS] == 2

    issuer.published = []
    issuer.header = {"kid": "third"}
    for _ in range(5):
        assert_refused(Browser(site.url))
    assert stage.asked[KEYS] == 2, "the keys had been fetched a moment ago"
    site.clock.ahead += REFETCH
    for _ in range(5):
        assert_refused(Browser(site.url))
    assert stage.asked[KEYS] == 3, "five forgeries cost one look"


def assert_refused(browser: Browser) -> None:
    page = arrive(browser)
    assert page.status_code == 400
    assert "Signing in failed" in page.text
    assert "tollkeeper" not in browser.client.cookies
