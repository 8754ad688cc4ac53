"""``Tollkeeper`` in other people's apps: who gets in, what others receive, and that two of them share nothing."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from tests.support.databases import fresh_sqlite
from tests.support.running import NO_FILES, Browser, Sandbox, Thread, settings_for

from tollkeeper import Tollkeeper
from tollkeeper.config import load as config
from tollkeeper.errors import NotRunning
from tollkeeper.library import IDENTITY_NAMES, identified
from tollkeeper.web.guards.paths import placed

PROGRAM = {"Accept": "application/json"}
NAVIGATION = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
FETCH = {"Accept": "text/html", "Sec-Fetch-Mode": "cors"}


class Hut:
    """Somebody's app, which reports the headers that named the visitor."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            websocket = WebSocket(scope, receive, send)
            await websocket.accept()
            await websocket.send_text(websocket.headers["remote-groups"])
            await websocket.close()
            return
        reported = [[name.decode(), value.decode()] for name, value in scope["headers"]]
        await JSONResponse(reported)(scope, receive, send)


def app_around(tollkeeper: Tollkeeper) -> Starlette:
    """Every way to guard something."""

    @tollkeeper.require("dashboard")
    async def waiting(request: Request) -> Response:
        return PlainTextResponse(request.state.visitor.person.name)

    @tollkeeper.require("dashboard")
    def blocking(request: Request) -> Response:
        return PlainTextResponse(request.state.visitor.person.name)

    @tollkeeper.require("dashboard")
    async def talking(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.state.visitor.person.name)
        await websocket.close()

    @tollkeeper.require("nothing")
    async def unsold(request: Request) -> Response:
        raise AssertionError("nobody gets here")

    async def seen(request: Request) -> Response:
        visitor = await tollkeeper.visitor(request)
        name = visitor.person.name if visitor else None
        return JSONResponse([name, sorted(tollkeeper.features(visitor))])

    return Starlette(
        routes=[
            Route("/waiting", waiting, methods=["GET", "POST"]),
            Route("/blocking", blocking),
            WebSocketRoute("/talking", talking),
            Route("/unsold", unsold),
            Route("/seen", seen),
            Mount(tollkeeper.path, tollkeeper),
            Mount("/hut", tollkeeper.guard(Hut(), "dashboard")),
            Mount("/stack", Hut(), middleware=[Middleware(tollkeeper.guard, feature="dashboard")]),
        ],
        lifespan=tollkeeper.lifespan,
    )


@pytest.fixture(scope="module")
def shop(sandbox: Sandbox, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The app, served; and a browser in which nobody has signed in."""
    with serving(sandbox, fresh_sqlite(sqlite_template, tmp_path_factory.mktemp("shop"))) as url:
        yield Browser(url)


@contextmanager
def serving(
    sandbox: Sandbox, database_url: str, make: Callable[[Tollkeeper], ASGIApp] = app_around, path: str = "/pay"
) -> Iterator[str]:
    made: dict[str, str] = {}
    thread = Thread(lambda: make(Tollkeeper(config.load(made, NO_FILES))))
    made |= settings_for(thread.url + path, sandbox, database_url)
    thread.start()
    try:
        yield thread.url
    finally:
        thread.stop()
        sandbox.forget(thread.url + path)


@pytest.fixture(scope="module")
def payer(shop: Browser) -> Browser:
    browser = Browser(shop.site)
    buy(browser, "/pay")
    return browser


def buy(browser: Browser, path: str, name: str = "Pia Payer") -> None:
    browser.sign_in(name, path=f"{path}/login")
    hosted = browser.follow(browser.submit(browser.get(f"{path}/"), "Purchase"))
    assert "Payment done" in browser.follow(browser.pay(hosted)).text


def ask(browser: Browser, path: str, **headers: str) -> httpx2.Response:
    return browser.client.get(browser.site + path, headers=headers)


GUARDED = ["/waiting", "/blocking", "/hut/", "/hut/deep/down?x=1", "/stack/"]


@pytest.mark.parametrize("path", GUARDED)
def test_a_browser_signs_in_pays_and_lands_where_it_wanted(shop: Browser, path: str) -> None:
    browser = Browser(shop.site)
    out = ask(browser, path, **NAVIGATION)
    assert (out.status_code, out.headers["Cache-Control"]) == (302, "no-store")
    where = urlsplit(out.headers["Location"])
    assert (where.path, parse_qs(where.query)) == ("/pay/login", {"return_to": [path]})
    sold = browser.sign_in("Nina Newcomer", f"nina{hash(path)}@example.com", path)
    page = browser.follow(browser.pay(browser.follow(browser.submit(sold, "Purchase"))))
    assert (page.status_code, str(page.url)) == (200, shop.site + path)


@pytest.mark.parametrize("path", [*GUARDED, "/unsold"])
@pytest.mark.parametrize("headers", [PROGRAM, FETCH])
def test_a_program_is_told(shop: Browser, path: str, headers: dict[str, str]) -> None:
    answer = ask(shop, path, **headers)
    assert answer.status_code == (403 if path == "/unsold" else 401)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers.get("WWW-Authenticate") == (None if path == "/unsold" else "Cookie")


def test_the_guard_tells_a_program_where_to_buy(shop: Browser) -> None:
    poor = Browser(shop.site)
    poor.sign_in("Paula Poor", "paula@example.com", "/pay/login")
    answer = ask(poor, "/hut/", **PROGRAM)
    assert (answer.status_code, answer.headers["Content-Type"]) == (402, "application/problem+json")
    assert answer.json()["buy"] == f"{shop.site}/pay/pricing?feature=dashboard"
    assert ask(poor, "/waiting", **PROGRAM).status_code == 402


def test_a_posted_form_is_not_asked_for_again(shop: Browser) -> None:
    answer = Browser(shop.site).client.post(f"{shop.site}/waiting", headers=NAVIGATION)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{shop.site}/pay/login")


@pytest.mark.parametrize("path", ["/waiting", "/blocking"])
def test_the_endpoint_knows_the_visitor(payer: Browser, path: str) -> None:
    assert payer.get(path).text == "Pia Payer"


def test_anybody_may_be_seen(shop: Browser, payer: Browser) -> None:
    assert payer.get("/seen").json() == ["Pia Payer", ["dashboard"]]
    assert Browser(shop.site).get("/seen").json() == [None, []]


def test_who_it_is_comes_from_the_gate_alone(payer: Browser) -> None:
    forged = {"Remote-User": "per_mallory", "remote_user": "per_mallory", "Remote.Groups": "everything", "X-Own": "1"}
    reported = [tuple(pair) for pair in ask(payer, "/hut/", **forged).json()]
    assert ("x-own", "1") in reported
    about_us = {name: value for name, value in reported if name.startswith("remote")}
    assert about_us.keys() == IDENTITY_NAMES
    assert about_us["remote-user"] != "per_mallory"
    assert (about_us["remote-name"], about_us["remote-groups"]) == ("Pia Payer", "dashboard")


@given(st.text("Rr-_.eEmMoOtTuUsS", max_size=14), st.binary(max_size=5))
def test_h51_no_spelling_gets_through(name: str, value: bytes) -> None:
    headers = [(name.encode(), value), (b"REMOTE_USER", value), (b"remote.name", value)]
    left = dict(identified({"type": "http", "headers": headers}, [(b"remote-user", b"per_1")])["headers"])
    alike = [kept for kept in left if kept.decode().lower().replace("_", "-").replace(".", "-") == "remote-user"]
    assert alike == [b"remote-user"]
    assert left[b"remote-user"] == b"per_1"
    assert b"remote.name" not in left


def test_websockets_are_for_payers(sandbox: Sandbox, sqlite_url: str) -> None:
    with serving(sandbox, sqlite_url) as url:
        browser = Browser(url)
        buy(browser, "/pay")
    made = settings_for("http://127.0.0.1:9/pay", sandbox, sqlite_url, STRIPE_WEBHOOK_SECRET="")
    cookie = {"Cookie": f"tollkeeper.pay={browser.client.cookies['tollkeeper.pay']}"}
    with TestClient(app_around(Tollkeeper(config.load(made, NO_FILES)))) as client:
        for path, words in [("/talking", "Pia Payer"), ("/hut/", "dashboard"), ("/stack/", "dashboard")]:
            with client.websocket_connect(path, headers=cookie) as websocket:
                assert websocket.receive_text() == words
            with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect(path):
                pass
            assert closed.value.code == 1008


def test_when_the_database_is_gone_nobody_gets_in(sandbox: Sandbox, sqlite_url: str) -> None:
    with serving(sandbox, sqlite_url) as url:
        browser = Browser(url)
        buy(browser, "/pay")
        assert browser.get("/waiting").status_code == 200
        Path(sqlite_url.removeprefix("sqlite:///")).unlink()
        for path in GUARDED:
            answer = browser.get(path)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")


def test_two_in_one_process_stay_apart(sandbox: Sandbox, sqlite_template: Path, tmp_path: Path) -> None:
    """One host, one browser, two databases: what is bought at one opens nothing at the other, and neither signs the
    other's visitors out.
    """
    made: list[dict[str, str]] = [{}, {}]

    def make() -> ASGIApp:
        both = [Tollkeeper(config.load(settings, NO_FILES)) for settings in made]

        @asynccontextmanager
        async def lifespan(app: Starlette):  # type: ignore[no-untyped-def]
            async with AsyncExitStack() as stack:
                for one in both:
                    await stack.enter_async_context(one.lifespan(app))
                yield

        guards = [Mount(f"/only{one.path}", one.guard(Hut(), "dashboard")) for one in both]
        return Starlette(routes=[*guards, *(Mount(one.path, one) for one in both)], lifespan=lifespan)

    thread = Thread(make)
    for path, settings in zip(("/a", "/b"), made, strict=True):
        (tmp_path / path[1:]).mkdir()
        database = fresh_sqlite(sqlite_template, tmp_path / path[1:])
        settings |= settings_for(thread.url + path, sandbox, database, STRIPE_WEBHOOK_SECRET="")
    thread.start()
    try:
        browser = Browser(thread.url)
        buy(browser, "/a", "Ann Other")
        assert [ask(browser, f"/only/{one}/", **PROGRAM).status_code for one in "ab"] == [200, 401]
        browser.sign_in("Ben Other", path="/b/login")
        assert [ask(browser, f"/only/{one}/", **PROGRAM).status_code for one in "ab"] == [200, 402]
        names = [browser.get(f"/{one}/api/me").json()["visitor"]["name"] for one in "ab"]
        assert names == ["Ann Other", "Ben Other"]
    finally:
        thread.stop()


def test_it_says_what_is_missing_when_it_does_not_run(sandbox: Sandbox, sqlite_url: str) -> None:
    made = settings_for("http://127.0.0.1:9/pay", sandbox, sqlite_url, STRIPE_WEBHOOK_SECRET="")
    tollkeeper = Tollkeeper(config.load(made, NO_FILES))
    client = TestClient(Starlette(routes=[Mount(tollkeeper.path, tollkeeper)]))
    with pytest.raises(NotRunning, match="lifespan"):
        client.get("/pay/")
    with pytest.raises(NotRunning, match="lifespan"):
        tollkeeper.features(None)


def test_it_says_so_when_it_is_mounted_elsewhere(sandbox: Sandbox, sqlite_url: str) -> None:
    made = settings_for("http://127.0.0.1:9/pay", sandbox, sqlite_url, STRIPE_WEBHOOK_SECRET="")
    tollkeeper = Tollkeeper(config.load(made, NO_FILES))
    app = Starlette(routes=[Mount("/shop", tollkeeper)], lifespan=tollkeeper.lifespan)
    with TestClient(app) as client, pytest.raises(Exception, match="mounted at /shop: end PUBLIC_URL"):
        client.get("/shop/")


@pytest.mark.parametrize(
    ("root", "path", "answered"),
    [
        ("/pay", "/pay/login", "/pay/login"),  # mounted
        ("", "/pay/login", "/pay/login"),  # a proxy that hands the address on as it is
        ("", "/login", "/pay/login"),  # a proxy that takes the path off
        ("", "/pay", "/pay/"),
        ("", "/payment", "/pay/payment"),
        ("", "/", "/pay/"),
    ],
)
def test_our_path_is_known_no_matter_who_removes_it(root: str, path: str, answered: str) -> None:
    scope = {"type": "http", "root_path": root, "path": path, "raw_path": path.encode()}
    seen = placed(scope, "/pay")
    assert (seen["root_path"], seen["path"], seen["raw_path"]) == ("/pay", answered, answered.encode())


def test_a_decorator_needs_something_to_guard(sandbox: Sandbox, sqlite_url: str) -> None:
    made = settings_for("http://127.0.0.1:9/pay", sandbox, sqlite_url, STRIPE_WEBHOOK_SECRET="")
    with pytest.raises(TypeError, match="Depends"):
        Tollkeeper(config.load(made, NO_FILES)).require("dashboard")()


def test_importing_costs_nothing() -> None:
    code = (
        "import sys, tollkeeper; before = set(sys.modules); tollkeeper.Tollkeeper, tollkeeper.load;"
        "print([name for name in ('starlette', 'sqlalchemy') if name in before],"
        " [name for name in ('stripe', 'authlib') if name in sys.modules])"
    )
    reported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert reported.stdout == "[] []\n"


def test_there_is_nothing_else() -> None:
    import tollkeeper

    with pytest.raises(AttributeError, match="no attribute 'Toll'"):
        tollkeeper.Toll  # noqa: B018
