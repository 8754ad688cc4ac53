"""L89 to L91: visitors return to the exact page, an app's own handlers lose no redirect, and tabs sign in together."""

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import httpx2
import pytest
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp
from tests.library.test_library import NAVIGATION, PROGRAM, serving
from tests.support.databases import fresh_sqlite
from tests.support.running import NO_FILES, Browser, Sandbox, Site, newcomer, running_site

from tollkeeper import Tollkeeper, Visitor
from tollkeeper.config import load as config
from tollkeeper.redirects import LONGEST
from tollkeeper.signin.attempt import ATTEMPT_SECONDS
from tollkeeper.storage.tables import login_sessions, people
from tollkeeper.web.attempts import MOST, SHORT
from tollkeeper.web.cookies import ATTEMPT_COOKIE

HOST = "127.0.0.1:9"
COOKIE = "tollkeeper"
BOTH = pytest.mark.parametrize("engine", ["sqlite", "postgresql"])

# The longest head that common proxies take of one header: nginx, large_client_header_buffers.
COMMON_HEADER = 8 * 1024

# The most that a browser keeps of one cookie, name and value: RFC 6265bis, section 5.6.
COMMON_COOKIE = 4096


@pytest.fixture
def engine() -> str:
    """One engine is enough, but where people and login sessions are kept."""
    return "sqlite"


@pytest.fixture(scope="module")
def mall(sandbox: Sandbox, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The app, with a gated host whose pages nobody opens."""
    folder = tmp_path_factory.mktemp("mall")
    gated = {"GATED_HOSTS": HOST, "TRUSTED_PROXIES": "127.0.0.1"}
    with running_site(sandbox, fresh_sqlite(sqlite_template, folder), folder, **gated) as site:
        yield site


# 89: pages come back unharmed


def long(start: str, filling: str, length: int = LONGEST) -> str:
    """An address of exactly that length."""
    return (start + filling * ((length - len(start)) // len(filling))).ljust(length, "z")


WANTED = {
    "raw": "/search?filter={a|b}^2&q=`ls`&path=C:\\x\\y&tags[]=1;2,3",
    "nothing but raw": "/?|{}^`[]\\",
    "short enough for one cookie": long("/q?a=", "b", SHORT - len(f"http://{HOST}")),
    "a little too long for it": long("/q?a=", "b", SHORT - len(f"http://{HOST}") + 1),
    "longer than a cookie": long("/q?a=", "b", 5000),
    "longest": long("/q?a=", "b", LONGEST - len(f"http://{HOST}")),
    "longest, of what makes three characters each": long("/?", "|&", LONGEST - len(f"http://{HOST}")),
    "longest, and encoded": long("/?a=", "%C3%A9", LONGEST - len(f"http://{HOST}")),
    "longest, and all different": "/?" + secrets.token_urlsafe(LONGEST)[: LONGEST - len(f"http://{HOST}/?")],
}
ALL = pytest.mark.parametrize("uri", WANTED.values(), ids=WANTED.keys())


def ask_gate(browser: Browser, uri: str) -> httpx2.Response:
    """What the gate tells a proxy about a browser that requests this page."""
    said = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": HOST, "X-Forwarded-Uri": uri}
    headers = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"} | said
    return browser.client.get(f"{browser.site}/gate", params={"feature": "dashboard"}, headers=headers)


def at_issuer(browser: Browser, address: str) -> httpx2.Response:
    """Follow an address to the issuer's page."""
    return browser.follow(browser.client.get(urljoin(browser.site, address)))


def agree(browser: Browser, chooser: httpx2.Response, name: str = "Alice Example") -> str:
    """Say who one is at the issuer. Where it sends the browser."""
    email = f"{name.split()[0].lower()}@example.com"
    answer = browser.submit(chooser, "Continue", name=name, email=email, email_verified="yes")
    return str(answer.headers["Location"])


def lands_on(browser: Browser, address: str) -> str:
    """The first page beyond our own that the browser is sent to."""
    answer = browser.client.get(address)
    while answer.is_redirect and answer.headers["Location"].startswith("/login/wanted/"):
        answer = browser.client.get(urljoin(browser.site, answer.headers["Location"]))
    assert answer.is_redirect, answer.text
    return str(answer.headers["Location"])


@ALL
def test_l89_a_page_behind_the_gate_comes_back_after_signing_in_and_after_paying(mall: Site, uri: str) -> None:
    browser, page = Browser(mall.url), f"http://{HOST}{uri}"
    sent = ask_gate(browser, uri)
    assert sent.headers["Location"].startswith(f"{mall.url}/login?")
    name = f"{secrets.token_hex(6)} Example"
    assert lands_on(browser, agree(browser, at_issuer(browser, sent.headers["Location"]), name)) == page

    sent = ask_gate(browser, uri)
    assert sent.headers["Location"].startswith(f"{mall.url}/pricing?")
    hosted = browser.follow(browser.submit(browser.client.get(sent.headers["Location"]), "Purchase"))
    back = str(browser.pay(hosted).headers["Location"])
    assert lands_on(browser, back) == page
    assert "Payment done" in browser.client.get(back).text, "a page is kept for one return"
    assert lands_on(browser, f"{mall.url}/login?return_to={quote(page, safe='')}") == page


@ALL
def test_l89_a_page_of_our_own_comes_back_by_way_of_the_page_of_prices(mall: Site, uri: str) -> None:
    """Where a front end leads a visitor to buy who is not signed in."""
    browser = Browser(mall.url)
    shown = browser.get("/pricing", feature="dashboard", return_to=uri).text
    (link,) = [part.split('"')[0] for part in shown.split('href="') if part.startswith("/login?return_to=")]
    assert lands_on(browser, agree(browser, at_issuer(browser, link.replace("&amp;", "&")))) == uri


def test_l89_what_is_longer_still_leads_to_the_front_page(mall: Site) -> None:
    browser, uri = Browser(mall.url), long("/q?a=", "b", LONGEST + 1)
    assert parse_qs(urlsplit(ask_gate(browser, uri).headers["Location"]).query)["return_to"] == [f"http://{HOST}/"]
    chooser = at_issuer(browser, f"/login?return_to={quote(uri, safe='')}")
    assert lands_on(browser, agree(browser, chooser)) == "/"


@ALL
def test_l89_no_cookie_is_larger_than_browsers_keep(mall: Site, uri: str) -> None:
    browser = newcomer(mall)
    page = browser.get("/pricing", feature="dashboard", return_to=uri)
    begun = Browser(mall.url).get("/login", return_to=uri)
    sizes = {
        name: len(name) + len(morsel.value)
        for answer in (browser.submit(page, "Purchase"), begun)
        for name, morsel in set_by(answer).items()
    }
    assert sizes
    assert max(sizes.values()) <= COMMON_COOKIE


def set_by(answer: httpx2.Response) -> SimpleCookie:
    """The cookies that an answer sets or deletes."""
    cookies: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("Set-Cookie"):
        cookies.load(line)
    return cookies


def test_l89_a_long_page_is_a_burden_on_no_other_request(mall: Site) -> None:
    """An app that shares our host has to take our cookies, too, and some refuse heads of more than 8 KiB."""
    browser = newcomer(mall)
    uri = WANTED["longest, and all different"]
    browser.submit(browser.get("/pricing", feature="dashboard", return_to=uri), "Purchase")
    for other in ("/", "/account", "/purchase/cancel", "/login"):
        sent = browser.client.build_request("GET", f"{mall.url}{other}").headers.get("Cookie", "")
        assert len(sent) < 500


def test_l89_a_page_of_which_a_part_is_lost_is_not_the_page(mall: Site) -> None:
    uri = WANTED["longest, and all different"]
    for lost in range(3):
        browser = newcomer(mall)
        page = browser.get("/pricing", feature="dashboard", return_to=uri)
        hosted = browser.follow(browser.submit(page, "Purchase"))
        browser.client.cookies.delete(f"tollkeeper_wanted-{lost}", "127.0.0.1", "/purchase/success")
        assert "Payment done" in browser.follow(browser.pay(hosted)).text


def test_l89_a_short_page_takes_the_place_of_a_long_one(mall: Site) -> None:
    browser = newcomer(mall)
    for uri in (WANTED["longest, and all different"], "/q3?a={1}"):
        page = browser.get("/pricing", feature="dashboard", return_to=uri)
        hosted = browser.follow(browser.submit(page, "Purchase"))
    assert lands_on(browser, str(browser.pay(hosted).headers["Location"])) == "/q3?a={1}"


@pytest.mark.parametrize("kept", ["", ".", "é.", "!!!.", "aGk.", "Ly9ldmlsLmV4YW1wbGU.", "A" * 3800, "Lw", "Lw=="])
def test_l89_what_others_put_into_the_cookie_leads_nowhere(mall: Site, kept: str) -> None:
    """Among it ``//evil.example``, and what is no text."""
    headers = {b"Cookie": f"tollkeeper_wanted-0={kept}".encode("latin-1")}
    answer = httpx2.get(f"{mall.url}/login/wanted/{'0' * 16}", headers=headers)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


@pytest.mark.parametrize(
    "mark", ["0", "0" * 17, "g" * 16, "0" * 15 + "%0a", "0%3b%20Domain=example.com", "../callback"]
)
def test_l89_a_made_up_place_to_rest_is_none(mall: Site, mark: str) -> None:
    answer = httpx2.get(f"{mall.url}/login/wanted/{mark}")
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (404, False)


# 90: an app's own handlers


async def keeps_status_and_detail(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code)


async def has_an_envelope(request: Request, error: Exception) -> Response:
    return JSONResponse({"ok": False, "error": str(error)}, 200)


async def breaks(request: Request, error: Exception) -> Response:
    raise RuntimeError("the handler is broken")


async def has_a_place_of_its_own(request: Request, error: Exception) -> Response:
    return PlainTextResponse("off with you", 302, {"Location": "/elsewhere", "Cache-Control": "max-age=60"})


class Catching(APIRoute):
    """A route that turns whatever goes wrong into an answer, as FastAPI's documentation has it."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def catching(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:
                return PlainTextResponse(str(error), 500)

        return catching


HANDLERS: dict[str, dict[Any, Any]] = {
    "none": {},
    "drops headers": {HTTPException: keeps_status_and_detail},
    "by status": {302: keeps_status_and_detail, 401: keeps_status_and_detail},
    "for everything": {Exception: has_an_envelope},
    "an envelope": {HTTPException: has_an_envelope, Exception: has_an_envelope},
    "a place of its own": {HTTPException: has_a_place_of_its_own},
    "broken": {HTTPException: breaks},
}


async def passing_on(request: Request, call_next: Any) -> Response:
    answer: Response = await call_next(request)
    answer.headers["X-App"] = "was here"
    return answer


MIDDLEWARE = [
    Middleware(BaseHTTPMiddleware, dispatch=passing_on),
    Middleware(CORSMiddleware, allow_origins=["https://front.example"]),
]


def fastapi(tollkeeper: Tollkeeper, handlers: dict[Any, Any]) -> ASGIApp:
    app = FastAPI(lifespan=tollkeeper.lifespan, exception_handlers=handlers, middleware=MIDDLEWARE)
    inner = FastAPI(exception_handlers=handlers)
    app.router.route_class = Catching if handlers else APIRoute

    @app.get("/reports")
    async def reports(visitor: Annotated[Visitor, Depends(tollkeeper.require("dashboard"))]) -> str:
        return visitor.person.name

    @app.get("/files/{name}")
    async def file(name: str, visitor: Annotated[Visitor, Depends(tollkeeper.require("dashboard"))]) -> str:
        return name

    @inner.get("/reports")
    def blocking(visitor: Annotated[Visitor, Depends(tollkeeper.require("dashboard"))]) -> str:
        return visitor.person.name

    @app.get("/own")
    async def own() -> str:
        raise HTTPException(418, "a refusal of the app's own")

    @app.get("/teaser")
    async def teaser(request: Request) -> str:
        try:
            return (await tollkeeper.require("dashboard").visitor(request)).person.name
        except HTTPException:
            return "a first page for everybody"

    app.mount("/inner", inner)
    app.mount(tollkeeper.path, tollkeeper)
    return app


def starlette(tollkeeper: Tollkeeper, handlers: dict[Any, Any]) -> ASGIApp:
    @tollkeeper.require("dashboard")
    async def reports(request: Request) -> Response:
        return JSONResponse(request.state.visitor.person.name)

    @tollkeeper.require("dashboard")
    def blocking(request: Request) -> Response:
        return JSONResponse(request.state.visitor.person.name)

    async def own(request: Request) -> Response:
        raise HTTPException(418, "a refusal of the app's own")

    async def teaser(request: Request) -> Response:
        try:
            return JSONResponse((await tollkeeper.require("dashboard").visitor(request)).person.name)
        except HTTPException:
            return JSONResponse("a first page for everybody")

    inner = Starlette(routes=[Route("/reports", blocking)], exception_handlers=handlers)
    return Starlette(
        routes=[
            Route("/reports", reports),
            Route("/files/{name}", reports),
            Route("/own", own),
            Route("/teaser", teaser),
            Mount("/inner", inner),
            Mount(tollkeeper.path, tollkeeper),
        ],
        exception_handlers=handlers,
        middleware=MIDDLEWARE,
        lifespan=tollkeeper.lifespan,
    )


KINDS = {"fastapi": fastapi, "starlette": starlette}
Handled = tuple[str, str]


@pytest.fixture(scope="module", params=[(kind, how) for kind in KINDS for how in HANDLERS], ids="-".join)
def handled(
    request: pytest.FixtureRequest,
    sandbox: Sandbox,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Handled]:
    """The address of an app with handlers of its own, and what it does with refusals."""
    kind, how = request.param
    database = fresh_sqlite(sqlite_template, tmp_path_factory.mktemp("app"))
    with serving(sandbox, database, lambda tollkeeper: KINDS[kind](tollkeeper, HANDLERS[how])) as url:
        yield url, how


def test_l90_a_browser_is_sent_on_whatever_the_app_does(handled: Handled) -> None:
    url, how = handled
    browser = Browser(url)
    browser.client.headers.update(NAVIGATION | {"Origin": "https://front.example", "Connection": "close"})
    pages = ("/reports?a={b|c}", "/inner/reports", "/files/caf%C3%A9%20x%25?q=%20%C3%A9")
    for path in pages:
        out = browser.client.get(url + path)
        assert (out.status_code, out.headers.get_list("Cache-Control")) == (302, ["no-store"])
        (location,) = out.headers.get_list("Location")
        to = urlsplit(location)
        assert (to.path, parse_qs(to.query)) == ("/pay/login", {"return_to": [path]})
        if how != "broken":  # of which Starlette makes an answer outside of all middleware
            assert out.headers["X-App"] == "was here", "the rest of the answer is the app's own"
            assert out.headers["Access-Control-Allow-Origin"] == "https://front.example"

    sold = browser.sign_in("Nina Newcomer", "nina@example.com", pages[0])
    assert sold.url.path == "/pay/pricing"
    for path in pages:
        to = urlsplit(browser.client.get(url + path).headers["Location"])
        assert (to.path, parse_qs(to.query)["return_to"]) == ("/pay/pricing", [path])
    page = browser.follow(browser.pay(browser.follow(browser.submit(sold, "Purchase"))))
    assert (page.json(), str(page.url)) == ("Nina Newcomer", url + httpx2.URL(url + pages[0]).raw_path.decode())


def test_l90_what_a_program_is_told_stays_the_apps_affair(handled: Handled) -> None:
    url, how = handled
    answer = httpx2.get(f"{url}/reports", headers=PROGRAM)
    assert "return_to" not in answer.headers.get("Location", "")
    if how == "none":
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Cookie")
    assert "Nina" not in answer.text


def test_l90_what_the_app_itself_refuses_or_catches_is_its_own_affair(handled: Handled) -> None:
    url, _ = handled
    own = httpx2.get(f"{url}/own", headers=NAVIGATION)
    assert own.headers.get("Location") in {None, "/elsewhere"}
    teaser = httpx2.get(f"{url}/teaser", headers=NAVIGATION)
    assert (teaser.status_code, teaser.json()) == (200, "a first page for everybody")


def test_l90_after_the_end_the_app_is_as_it_was(sandbox: Sandbox, sqlite_url: str) -> None:
    """An app may be started again, as in its own tests."""
    from starlette.testclient import TestClient
    from tests.support.running import settings_for

    made = settings_for("http://testserver.example/pay", sandbox, sqlite_url, STRIPE_WEBHOOK_SECRET="")
    made["PUBLIC_URL"] = "http://localhost/pay"
    tollkeeper = Tollkeeper(config.load(made, NO_FILES))
    app = starlette(tollkeeper, HANDLERS["drops headers"])
    assert isinstance(app, Starlette)
    stacks = []
    for _ in range(3):
        with TestClient(app, "http://localhost") as client:
            answer = client.get("/reports", headers=NAVIGATION, follow_redirects=False)
            assert answer.headers["Location"] == "http://localhost/pay/login?return_to=%2Freports"
        stacks.append(app.middleware_stack)
    assert len({id(stack) for stack in stacks}) == 1


# 91: tabs that sign in at once


def attempts_of(browser: Browser) -> list[str]:
    return [cookie.name for cookie in browser.client.cookies.jar if cookie.name.startswith(ATTEMPT_COOKIE)]


PAGES = [f"/account?tab={number}" for number in range(5)]


@BOTH
def test_l91_five_tabs_sign_in_one_after_the_other(site: Site) -> None:
    browser = Browser(site.url)
    choosers = [at_issuer(browser, f"/login?return_to={page}") for page in PAGES]
    assert len(attempts_of(browser)) == 5
    order = [3, 0, 4, 1, 2]
    assert [lands_on(browser, agree(browser, choosers[tab])) for tab in order] == [PAGES[tab] for tab in order]
    assert attempts_of(browser) == []
    assert "Hello, Alice Example" in browser.get("/").text
    assert len(site.rows(people)) == len(site.rows(login_sessions)) == 1


@BOTH
def test_l91_five_tabs_sign_in_at_the_same_moment(site: Site) -> None:
    """Callbacks that arrive together, none of which knows of another."""
    browser = Browser(site.url)
    callbacks = [agree(browser, at_issuer(browser, f"/login?return_to={page}")) for page in PAGES]
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.client.cookies.jar)
    ask = httpx2.Client(headers={"Cookie": cookies}, timeout=20)
    with ThreadPoolExecutor(5) as tabs:
        answers = list(tabs.map(ask.get, callbacks))
    assert [answer.headers["Location"] for answer in answers] == PAGES
    assert len(site.rows(people)) == 1
    for answer in answers:  # whichever of them the browser hears last
        token = set_by(answer)[COOKIE].value
        assert "Hello" in httpx2.get(site.url, headers={"Cookie": f"{COOKIE}={token}"}).text


@BOTH
def test_l91_a_tab_that_comes_later_signs_none_out_that_was_faster(site: Site) -> None:
    """Else its page would be refused what it still has to load."""
    browser = Browser(site.url)
    callbacks = [agree(browser, at_issuer(browser, f"/login?return_to={page}")) for page in PAGES[:2]]
    browser.client.get(callbacks[0])
    first = browser.client.cookies[COOKIE]
    answer = browser.client.get(callbacks[1])
    assert (answer.headers["Location"], COOKIE in set_by(answer)) == (PAGES[1], False)
    assert browser.client.cookies[COOKIE] == first
    assert len(site.rows(login_sessions)) == 1


@BOTH
def test_l91_a_tab_of_somebody_else_is_a_new_sign_in(site: Site) -> None:
    browser = Browser(site.url)
    hers = agree(browser, at_issuer(browser, "/login?return_to=/account"))
    his = agree(browser, at_issuer(browser, "/login?return_to=/account"), "Bob Example")
    browser.client.get(hers)
    before = browser.client.cookies[COOKIE]
    assert lands_on(browser, his) == "/account"
    assert "Hello, Bob Example" in browser.get("/").text
    assert "Hello" not in httpx2.get(site.url, headers={"Cookie": f"{COOKIE}={before}"}).text


def test_l91_a_login_session_planted_in_between_is_ended(site: Site) -> None:
    mallory, victim = Browser(site.url), Browser(site.url)
    mallory.sign_in("Mallory Example")
    callback = agree(victim, at_issuer(victim, "/login"))
    victim.client.cookies.set(COOKIE, mallory.client.cookies[COOKIE], "127.0.0.1", "/")
    victim.client.get(callback)
    assert "Hello, Alice Example" in victim.get("/").text
    assert "Hello" not in mallory.get("/").text


def test_l91_an_attempt_is_good_for_its_own_callback_alone(site: Site) -> None:
    """Each tab's secrets stay its own: the code of one is worth nothing with the state of another, nor once used."""
    browser = Browser(site.url)
    first, second = (agree(browser, at_issuer(browser, f"/login?return_to={page}")) for page in PAGES[:2])
    states, codes = ([parse_qs(urlsplit(one).query)[name][0] for one in (first, second)] for name in ("state", "code"))
    assert browser.client.get(first.replace(states[0], states[1])).status_code == 400
    assert browser.client.get(second.replace(codes[1], codes[0])).status_code == 400
    assert COOKIE not in browser.client.cookies
    ours = [cookie for cookie in browser.client.cookies.jar if cookie.name.startswith(ATTEMPT_COOKIE)]
    for name, value in ((ours[0].name, ours[1].value), (ours[1].name, ours[0].value)):
        misled = Browser(site.url)
        misled.client.cookies.set(name, value or "", "127.0.0.1", "/login")
        assert [misled.client.get(callback).status_code for callback in (first, second)] == [400, 400]
    assert site.rows(people) == []


def test_l91_the_oldest_attempt_makes_room(site: Site) -> None:
    browser, pages = Browser(site.url), [f"/account?tab={number}" for number in range(MOST + 3)]
    choosers = [at_issuer(browser, f"/login?return_to={page}") for page in pages]
    assert len(attempts_of(browser)) == MOST
    callbacks = [agree(browser, chooser) for chooser in choosers]
    assert [browser.client.get(callback).status_code for callback in callbacks[:3]] == [400] * 3
    assert [lands_on(browser, callback) for callback in callbacks[3:]] == pages[3:]
    assert "Location" in browser.client.get(callbacks[0]).headers, "signed in by another tab: nothing to complain of"


@pytest.mark.parametrize(("length", "kept"), [(SHORT, 0), (LONGEST, MOST)])
def test_l91_what_a_browser_sends_is_bounded(site: Site, length: int, kept: int) -> None:
    """Whatever the pages are: within the header that common proxies take, at every address of ours."""
    browser = Browser(site.url)
    for _ in range(MOST + 3):
        browser.get("/login", return_to="/?" + secrets.token_urlsafe(LONGEST)[: length - 2])
    browser.client.cookies.set(COOKIE, "A" * 43, "127.0.0.1", "/")
    for path in ("/login", "/login/oidc/callback"):
        sent = browser.client.build_request("GET", site.url + path).headers["Cookie"]
        assert sent.count(ATTEMPT_COOKIE) == MOST
        assert len(sent) < COMMON_HEADER - 1024, "something is left for the cookies of others"
    places = {cookie.path for cookie in browser.client.cookies.jar if cookie.name.startswith("tollkeeper_wanted")}
    assert len(places) == kept, "a page goes with its attempt"


def test_l91_five_tabs_with_the_longest_pages(site: Site) -> None:
    browser = Browser(site.url)
    pages = ["/?" + secrets.token_urlsafe(LONGEST)[: LONGEST - 2] for _ in range(5)]
    callbacks = [agree(browser, at_issuer(browser, f"/login?return_to={page}")) for page in pages]
    assert [lands_on(browser, callback) for callback in callbacks] == pages
    left = [cookie.name for cookie in browser.client.cookies.jar if cookie.name != COOKIE]
    assert left == []


def test_l91_attempts_are_short_lived(site: Site) -> None:
    browser = Browser(site.url)
    begun = browser.get("/login", return_to=WANTED["longest"])
    ages = [int(morsel["max-age"]) for morsel in set_by(begun).values()]
    assert ages == [ATTEMPT_SECONDS] * len(ages)
    assert len(ages) > 1
    assert {
        cookie.expires is not None and cookie.expires <= time.time() + 601 for cookie in browser.client.cookies.jar
    } == {True}


def test_l91_another_apps_cookies_are_not_taken_for_attempts(site: Site) -> None:
    """Nor dropped, nor counted."""
    others = [f"{ATTEMPT_COOKIE}{number}=x" for number in range(20)] + ["tollkeeper_login-" + "0" * 17 + "=y"] * 20
    answer = httpx2.get(f"{site.url}/login", headers={"Cookie": "; ".join(others)})
    assert len(set_by(answer)) == 1
