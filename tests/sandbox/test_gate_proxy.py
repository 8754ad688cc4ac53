"""The proxy in front of the demo's gated app: what the app may see, and that any doubt keeps everybody out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from tests.support.running import Browser, Sandbox, Site, Thread, eventually, running_site

from tollkeeper_sandbox.proxy import create_gated_app
from tollkeeper_sandbox.proxy.gate import LARGEST_REFUSAL, GateProxy
from tollkeeper_sandbox.proxy.headers import identity_in, to_app, to_gate

GATE, ADDRESS = "http://127.0.0.1:4000/gate?feature=dashboard", "http://127.0.0.1:4002"
IDENTITY = {"Remote-User": "per_1", "Remote-Name": "Zo%C3%AB", "Remote-Email": "", "Remote-Groups": "dashboard"}
WHO = tuple(IDENTITY.items())
TOO_MUCH = b"x" * (LARGEST_REFUSAL + 1)

Headers = Sequence[tuple[str, str]]
Gate = Callable[[httpx2.Request], Coroutine[None, None, httpx2.Response]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that reports what it receives."""
    request = Request(scope, receive)
    report = {"path": request.url.path, "headers": request.headers.items(), "body": (await request.body()).decode()}
    await JSONResponse(report)(scope, receive, send)


def answer(status: int, headers: Headers = (), body: bytes = b"") -> httpx2.Response:
    """An answer in pieces, as from the network."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1024):
            yield body[start : start + 1024]

    return httpx2.Response(status, headers=list(headers), content=pieces())


def answers(status: int, headers: Headers = (), body: bytes = b"") -> Gate:
    async def gate(_request: httpx2.Request) -> httpx2.Response:
        return answer(status, headers, body)

    return gate


def visitor(gate: Gate, **options: float) -> httpx2.AsyncClient:
    """A browser in front of the proxy. ``gate`` answers it."""
    asks = httpx2.AsyncClient(transport=httpx2.MockTransport(gate))
    proxy = GateProxy(app, client=asks, gate=GATE, address=ADDRESS, **options)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=proxy), base_url=ADDRESS)


async def refuses_connections(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("Connection refused", request=request)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("gate", "why"),
    [
        (answers(200), "without saying whom"),
        (answers(200, WHO[:1]), "without saying whom"),
        (answers(200, [("Remote-User", ""), *WHO[1:]]), "without saying whom"),
        (answers(200, [*WHO, ("Remote-User", "per_2")]), "without saying whom"),
        (answers(204, WHO), "answered 204"),
        (answers(206, WHO), "answered 206"),
        (answers(301, [("Location", "http://127.0.0.1:4000/")]), "answered 301"),
        (answers(404, WHO), "answered 404"),
        (answers(500, WHO), "answered 500"),
        (answers(401, body=TOO_MUCH), "more than 65536 bytes"),
        (answers(200, WHO, TOO_MUCH), "more than 65536 bytes"),
        (refuses_connections, "Connection refused"),
    ],
)
async def test_any_doubt_keeps_everybody_out(gate: Gate, why: str) -> None:
    async with visitor(gate) as browser:
        refused = await browser.get("/")
    assert refused.status_code == 502
    assert why in refused.text
    assert "Check that Tollkeeper runs" in refused.text
    assert refused.headers["cache-control"] == "no-store"


@pytest.mark.anyio
async def test_a_gate_that_takes_too_long_keeps_everybody_out() -> None:
    async def slow(_request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(20)
        return answer(200, WHO)

    async with visitor(slow, wait=0.05) as browser:
        refused = await browser.get("/")
    assert refused.status_code == 502
    assert "longer than 0.05 seconds" in refused.text


@pytest.mark.anyio
@pytest.mark.parametrize("status", [302, 401, 402, 403, 503])
async def test_a_refusal_reaches_the_browser_as_it_is(status: int) -> None:
    said = [("Location", "http://127.0.0.1:4000/login"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    async with visitor(answers(status, [*said, ("Connection", "close")], b'{"detail": "no"}')) as browser:
        refused = await browser.get("/")
    assert (refused.status_code, refused.content) == (status, b'{"detail": "no"}')
    assert refused.headers["location"] == "http://127.0.0.1:4000/login"
    assert refused.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert "connection" not in refused.headers


@pytest.mark.anyio
async def test_the_gate_is_asked_what_the_visitor_asked_for_and_nothing_forged() -> None:
    asked: list[httpx2.Request] = []

    async def gate(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return answer(200, WHO)

    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Uri": "/x", "Host": "evil.example", "Upgrade": "h2c"}
    async with visitor(gate) as browser:
        await browser.post("/a%2Fb?c=%7C&d", content=b"body", headers={**forged, "Cookie": "tollkeeper=token"})
    (request,) = asked
    assert (request.method, str(request.url), request.content) == ("GET", GATE, b"")
    assert {name: value for name, value in request.headers.items() if name.startswith("x-forwarded")} == {
        "x-forwarded-proto": "http",
        "x-forwarded-host": "127.0.0.1:4002",
        "x-forwarded-uri": "/a%2Fb?c=%7C&d",
        "x-forwarded-method": "POST",
    }
    assert request.headers["cookie"] == "tollkeeper=token"
    assert request.headers["host"] == "127.0.0.1:4000"
    assert not {"upgrade", "content-length"} & set(request.headers)


@pytest.mark.anyio
async def test_the_app_gets_the_request_and_who_it_is_from() -> None:
    async with visitor(answers(200, WHO)) as browser:
        received = (await browser.post("/a", content=b"body", headers={"Cookie": "tollkeeper=t; theirs=1"})).json()
    assert (received["path"], received["body"]) == ("/a", "body")
    headers = dict(received["headers"])
    assert {name: headers[name.lower()] for name in IDENTITY} == IDENTITY
    assert headers["cookie"] == "theirs=1"


FORGED = (
    "remote-user",
    "remote_user",
    "remote.user",
    "remote-groups",
    "remote-admin",
    "x-forwarded-for",
    "x_forwarded_host",
)


@pytest.mark.parametrize("name", [*FORGED, "connection", "upgrade", "forwarded"])
def test_what_a_visitor_forges_reaches_nobody(name: str) -> None:
    sent = [(name.encode(), b"forged"), (b"accept", b"*/*")]
    identity = {name.lower().encode(): value.encode() for name, value in WHO}
    for reached in (to_app(sent, identity), to_gate(sent, host="127.0.0.1", method="GET", uri=b"/")):
        assert b"forged" not in [value for _, value in reached]
        assert (b"accept", b"*/*") in reached
    assert to_app([(b"connection", b"remote-user")], identity) == list(identity.items())


@pytest.mark.parametrize(
    ("cookies", "left"),
    [
        ([b"tollkeeper=t"], []),
        ([b"a=1; tollkeeper=t;b=2"], [b"a=1; b=2"]),
        ([b"__Host-tollkeeper=t; a=1"], [b"a=1"]),
        ([b"__Secure-tollkeeper.pay=t; a=1"], [b"a=1"]),
        ([b"a=1; \ttollkeeper =t; tollkeeper=u"], [b"a=1"]),
        ([b"tollkeeper_attempt=x; a=tollkeeper=1"], [b"a=tollkeeper=1"]),
        ([b"a=1", b"tollkeeper=t", b"b=2"], [b"a=1; b=2"]),
        ([b'a="; tollkeeper=t"'], [b'a="']),
    ],
)
def test_the_app_never_sees_the_login_cookie(cookies: list[bytes], left: list[bytes]) -> None:
    reached = to_app([(b"cookie", value) for value in cookies], {})
    assert reached == [(b"cookie", value) for value in left]


def test_an_identity_has_all_four_parts_once() -> None:
    said = [(name.encode(), value.encode()) for name, value in WHO]
    assert identity_in(said) == {name.lower(): value for name, value in said}
    for one in said:
        assert identity_in([each for each in said if each != one]) is None
        assert identity_in([*said, one]) is None


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:4000/gate", "http://pay.example.com/gate", "http://192.0.2.1/gate", "x"]
)
def test_only_for_http_on_this_machine(url: str) -> None:
    client = httpx2.AsyncClient()
    for gate, address in ((url, ADDRESS), (GATE, url)):
        with pytest.raises(ValueError, match="only for http on this machine"):
            GateProxy(app, client=client, gate=gate, address=address)


@pytest.fixture(scope="module")
def gated(
    sandbox: Sandbox, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, str]]:
    """A real site, and the app behind its gate."""
    folder = tmp_path_factory.mktemp("gated")
    database = folder / "site.sqlite3"
    database.write_bytes(sqlite_template.read_bytes())
    urls: list[str] = []
    thread = Thread(
        lambda: create_gated_app(
            gate=f"{urls[0]}/gate?feature=dashboard", address=thread.url, shop=urls[0], control=sandbox.url
        )
    )
    settings = {"GATED_HOSTS": thread.url.removeprefix("http://"), "TRUSTED_PROXIES": "127.0.0.1"}
    with running_site(sandbox, f"sqlite:///{database}", folder, **settings) as site:
        urls.append(site.url)
        thread.start()
        yield site, thread.url
        thread.stop()


def test_sign_in_pay_come_in_and_be_out_after_a_refund(gated: tuple[Site, str]) -> None:
    site, app_url = gated
    browser, page = Browser(site.url), f"{app_url}/flights?page=2"
    pricing = browser.sign_in("Alice Example", path=page)
    assert pricing.url.path == "/pricing"
    hosted = browser.follow(browser.submit(pricing, "Purchase"))
    entered = browser.follow(browser.pay(hosted))
    assert (str(entered.url), entered.status_code) == (page, 200)
    assert "Hello, Alice Example" in entered.text
    assert browser.client.cookies["tollkeeper"] not in entered.text

    forged = browser.client.get(
        app_url, headers={"Remote-User": "admin", "Remote_User": "admin", "Remote-Groups": "all"}
    )
    assert "Hello, Alice Example" in forged.text
    assert "admin" not in forged.text

    program = httpx2.get(app_url)
    assert (program.status_code, program.json()["buy"]) == (401, f"{site.url}/pricing?feature=dashboard")

    (payment,) = site.sandbox.stripe.v1.payment_intents.list({"limit": 1}).data
    site.sandbox.stripe.v1.refunds.create({"payment_intent": payment.id})
    eventually(lambda: not browser.enters())
    refused = browser.get(page)
    assert refused.status_code == 302
    assert "/pricing?feature=dashboard" in refused.headers["location"]


def test_when_the_site_is_down_nobody_gets_in(gated: tuple[Site, str]) -> None:
    site, app_url = gated
    browser = Browser(site.url)
    site.thread.stop()
    refused = browser.get(app_url)
    assert refused.status_code == 502
    assert "This app is closed" in refused.text
