"""The gate and ``/api/me``, called as a proxy does: who gets which response, and where browsers are redirected."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous.encoding import base64_encode
from tests.support.databases import fresh_sqlite
from tests.support.running import Browser, Sandbox, Site, newcomer, running_site
from tests.web.conftest import OpenSite
from tests.web.test_headers import ALIKE, PUBLIC, BehindTls, cookies, flags

from tollkeeper.gate.door import cookie_in
from tollkeeper.web.gate import field_value, groups

BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
PROGRAM = {"Accept": "application/json"}
DOORS = ["/gate", "/gate/auth-request"]
HOST = "127.0.0.1:9"


@pytest.fixture(scope="module")
def mall(sandbox: Sandbox, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with two products, behind a proxy of our own."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "tollkeeper.toml").write_text(f"""
        [products.basic]
        name = "Basic"
        unlocks = ["dashboard"]
        stripe = ["{sandbox.price(name="Basic")}"]
        [products.pro]
        name = "Pro"
        unlocks = ["dashboard", "reports"]
        stripe = ["{sandbox.price(name="Pro")}"]
    """)
    settings = {"PRODUCT_PRICE_ID": "", "TRUSTED_PROXIES": "127.0.0.1", "GATED_HOSTS": f"{HOST},app.example.com"}
    with running_site(sandbox, fresh_sqlite(sqlite_template, folder), folder, **settings) as site:
        yield site


@pytest.fixture(scope="module")
def payer(mall: Site) -> Browser:
    """Somebody who bought the one that unlocks the dashboard alone."""
    browser = newcomer(mall, "Zoë Müller, 50% Ltd")
    browser.follow(browser.pay(browser.follow(browser.submit(browser.get("/"), "Purchase Basic"))))
    return browser


def ask(browser: Browser, door: str, feature: str = "dashboard", **headers: str) -> httpx2.Response:
    """Ask as a proxy does for this browser."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return browser.client.get(f"{browser.site}{door}", params={"feature": feature}, headers=named)


def asked_for(uri: str = "/", host: str = HOST, proto: str = "http", **more: str) -> dict[str, str]:
    """What a proxy says about the page that was asked for."""
    said = {"X-Forwarded-Proto": proto, "X-Forwarded-Host": host, "X-Forwarded-Uri": uri}
    return BROWSER | said | {f"X-Forwarded-{name}": value for name, value in more.items()}


def return_to(answer: httpx2.Response) -> str | None:
    return parse_qs(urlsplit(answer.headers["Location"]).query).get("return_to", [None])[0]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_anybody_who_paid_may_pass_and_is_named(payer: Browser, door: str, method: str) -> None:
    answer = payer.client.request(method, f"{payer.site}{door}?feature=dashboard", headers=PROGRAM)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Remote-User"].startswith("per_")
    assert answer.headers["Remote-Groups"] == "dashboard"
    assert answer.headers["Remote-Email"].endswith("@example.com")
    assert answer.headers["Remote-Name"] == "Zo%C3%AB M%C3%BCller, 50%25 Ltd"


def test_without_a_verified_address_the_header_is_empty(mall: Site) -> None:
    browser = Browser(mall.url)
    chooser = browser.follow(browser.get("/login"))
    browser.follow(browser.submit(chooser, "Continue", name="Shy Example", email="shy@example.com", email_verified=""))
    browser.follow(browser.pay(browser.follow(browser.submit(browser.get("/"), "Purchase Pro"))))
    answer = ask(browser, "/gate")
    assert (answer.status_code, answer.headers["Remote-Groups"]) == (200, "dashboard,reports")
    assert answer.headers["Remote-Email"] == ""


def test_groups_are_named_in_alphabetical_order() -> None:
    assert groups(frozenset({"reports", "archive", "dashboard"})) == b"archive,dashboard,reports"


@given(text=st.text(max_size=50))
def test_any_text_fits_a_header_and_can_be_read_again(text: str) -> None:
    value = field_value(text)
    assert value.isascii()
    assert value.isprintable()
    assert unquote(value) == text.encode(errors="replace").decode()


@pytest.mark.parametrize(
    ("headers", "is_browser"),
    [
        (BROWSER, True),
        ({"Accept": "text/html"}, True),
        ({"Accept": "text/html,application/json", "Sec-Fetch-Mode": "cors"}, False),
        ({"Accept": "*/*", "Sec-Fetch-Mode": "navigate"}, True),
        ({"Accept": "*/*"}, False),
        (PROGRAM, False),
        ({"Accept": "image/webp", "Sec-Fetch-Mode": "no-cors"}, False),
        ({"Accept": "*/*", "Sec-Fetch-Mode": "websocket"}, False),
    ],
)
def test_browsers_are_sent_on_and_programs_are_told(mall: Site, headers: dict[str, str], is_browser: bool) -> None:
    gate, nginx = (ask(Browser(mall.url), door, **headers) for door in DOORS)
    assert gate.status_code == (302 if is_browser else 401)
    assert nginx.status_code == 401
    assert ("Location" in nginx.headers) == is_browser
    for answer in (gate, nginx):
        assert answer.headers["Cache-Control"] == "no-store"
        assert not any(name.startswith("remote-") for name in answer.headers)


def test_a_program_is_told_where_to_sign_in_and_to_buy(mall: Site) -> None:
    out = ask(Browser(mall.url), "/gate", "reports", **PROGRAM)
    links = {"sign_in": f"{mall.url}/login", "buy": f"{mall.url}/pricing?feature=reports"}
    assert out.headers["Content-Type"] == "application/problem+json"
    assert out.headers["WWW-Authenticate"]
    assert out.json() == {
        "type": "about:blank",
        "title": "Please sign in",
        "status": 401,
        "detail": "Sign in first.",
        **links,
    }
    poor = ask(newcomer(mall), "/gate", "reports", **PROGRAM)
    assert (poor.status_code, poor.json()["status"], poor.headers["Cache-Control"]) == (402, 402, "no-store")
    assert {name: poor.json()[name] for name in links} == links


def test_nginx_understands_only_these_statuses(mall: Site, payer: Browser) -> None:
    statuses = {
        ask(browser, "/gate/auth-request", feature, **headers).status_code
        for browser in (Browser(mall.url), newcomer(mall), payer)
        for feature in ("dashboard", "reports", "nothing")
        for headers in (BROWSER, PROGRAM)
    }
    assert statuses == {200, 401, 403}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("query", ["?%66eature=dashboard", "?feature=dash%62oard", "?x=1&feature=dashboard&feature-=a"])
def test_a_feature_may_be_written_otherwise(payer: Browser, door: str, query: str) -> None:
    assert payer.client.get(f"{payer.site}{door}{query}").status_code == 200


@pytest.mark.parametrize("door", DOORS)
def test_a_refusal_has_the_headers_of_every_page_and_an_allow_only_its_own(
    mall: Site, payer: Browser, door: str
) -> None:
    page = Browser(mall.url).get("/").headers
    refused = ask(newcomer(mall), door, "reports").headers
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"):
        assert refused[name] == page[name]
    own = {"cache-control", "content-length", "date", "remote-user", "remote-name", "remote-email", "remote-groups"}
    assert set(ask(payer, door).headers) == own


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([], ""),
        ([b"tollkeeper=a"], "a"),
        ([b"theme=dark; tollkeeper=a"], "a"),
        ([b"x=tollkeeper=a; tollkeeper=b"], "b"),
        ([b" tollkeeper = a ;theme=dark"], "a"),
        ([b"tollkeeper=a; tollkeeper=b"], "b"),
        ([b"tollkeeper=a", b"tollkeeper=b"], "b"),
        ([b"nottollkeeper=a; tollkeeper_x=b"], ""),
        ([b"\ttollkeeper\t=\ta\t"], "a"),
        *(([mark + b"tollkeeper=a; tollkeeper" + mark + b"=b"], "") for mark in (b"\xa0", b"\x85", b"\x0b", b"\x1c")),
        ([b"tollkeeper"], ""),
        ([b"tollkeeper=\xff"], "\xff"),
    ],
)
def test_one_cookie_is_read_and_no_other(said: list[bytes], found: str) -> None:
    headers = [(b"accept", b"tollkeeper=z"), *((b"cookie", value) for value in said)]
    assert cookie_in(headers, "tollkeeper") == found


def test_a_websocket_to_the_app_is_asked_about_like_all_else(
    open_site: OpenSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvicorn.protocols.websockets.auto.AutoWebSocketsProtocol", Websockets)
    visitor = newcomer(open_site())
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    for headers in (BROWSER, PROGRAM):
        plain = visitor.client.get(f"{visitor.site}/gate?feature=dashboard", headers=headers)
        asked = visitor.client.get(f"{visitor.site}/gate?feature=dashboard", headers=headers | handshake)
        assert plain.status_code == (302 if headers is BROWSER else 402)
        assert (asked.status_code, asked.text) == (plain.status_code, plain.text)


class Websockets(asyncio.Protocol):
    """What uvicorn leaves websockets to where a library for them is installed; ours refuses all, as an app would."""

    def __init__(self, **given: object) -> None:
        pass

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        transport.close()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("query", ["", "?feature=", "?feature=nothing", "?feature=dashboard&feature=reports", "?x=1"])
def test_a_feature_that_nothing_unlocks_is_for_nobody(payer: Browser, door: str, query: str) -> None:
    for headers in (BROWSER, PROGRAM):
        answer = payer.client.get(f"{payer.site}{door}{query}", headers=headers)
        assert answer.status_code == 403
        assert "Location" not in answer.headers
        assert not any(name.startswith("remote-") for name in answer.headers)


@pytest.mark.parametrize(
    ("said", "page"),
    [
        (asked_for("/q3?year=2026&x=a%20b"), f"http://{HOST}/q3?year=2026&x=a%20b"),
        (asked_for("/q3", "APP.example.com", "https"), "https://APP.example.com/q3"),
        (asked_for("/form", Method="POST"), f"http://{HOST}/"),
        (asked_for("/page", Method="HEAD"), f"http://{HOST}/page"),
        (asked_for("//evil.example/"), f"http://{HOST}/"),
        (asked_for("@evil.example/"), f"http://{HOST}/"),
        (asked_for(".evil.example/"), f"http://{HOST}/"),
        (asked_for("/a%0d%0aSet-Cookie:x=1"), f"http://{HOST}/"),
        (asked_for("/a/%2e%2e/b"), f"http://{HOST}/"),
        (asked_for("/" + "a" * 9000), f"http://{HOST}/"),
        (asked_for(host="evil.example"), None),
        (asked_for(host=f"{HOST}@evil.example"), None),
        (asked_for(host=f"{HOST}, evil.example"), None),
        (asked_for(host="127.0.0.1:10"), None),
        (asked_for(proto="javascript"), None),
        (asked_for(proto="wss"), None),
        (BROWSER, None),
    ],
)
def test_g50_a_visitor_comes_back_to_the_page_asked_for_and_nowhere_else(
    mall: Site, said: dict[str, str], page: str | None
) -> None:
    for browser, path in ((Browser(mall.url), "/login"), (newcomer(mall), "/")):
        for door in DOORS:
            answer = ask(browser, door, "reports", **said)
            assert answer.headers["Location"].startswith(f"{mall.url}{path}")
            assert return_to(answer) == page


def test_a_header_said_twice_is_not_believed(mall: Site) -> None:
    said = [*asked_for().items(), ("X-Forwarded-Host", "127.0.0.1:9")]
    answer = httpx2.get(f"{mall.url}/gate?feature=reports", headers=said)
    assert return_to(answer) is None


def test_the_page_that_sells_the_feature_shows_only_what_unlocks_it(mall: Site) -> None:
    browser = newcomer(mall)
    page = browser.follow(ask(browser, "/gate", "reports", **asked_for("/q3")))
    assert "To use <strong>reports</strong> you need this" in page.text
    assert "Basic" not in page.text
    assert "Basic" in browser.get("/pricing?feature=dashboard").text
    assert "Basic" in browser.get("/pricing?feature=nothing").text


def test_after_paying_the_visitor_lands_on_the_page_asked_for(mall: Site) -> None:
    browser = newcomer(mall)
    page = browser.follow(ask(browser, "/gate", "reports", **asked_for("/q3?a=1")))
    checkout = browser.follow(browser.submit(page, "Purchase"))
    back = browser.client.get(browser.pay(checkout).headers["Location"])
    assert (back.status_code, back.headers["Location"]) == (303, f"http://{HOST}/q3?a=1")
    assert ask(browser, "/gate", "reports").status_code == 200
    again = browser.client.get(str(back.url))
    assert "Payment done" in again.text
    held = browser.submit(page, "Purchase")
    assert (held.status_code, held.headers["Location"]) == (303, f"http://{HOST}/q3?a=1")
    shown = browser.get("/pricing", feature="reports", return_to=f"http://{HOST}/q3?a=1")
    assert f'href="http://{HOST}/q3?a=1">Enter' in shown.text


@pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_g50_a_page_to_come_back_to_is_judged_wherever_it_comes_from(mall: Site, evil: str) -> None:
    browser = newcomer(mall)
    page = browser.get("/pricing", feature="reports", return_to=evil)
    assert "evil" not in page.text
    checkout = browser.follow(browser.submit(page, "Purchase", return_to=evil))
    planted = base64_encode(evil).decode() + "."
    browser.client.cookies.set("tollkeeper_wanted-0", planted, "127.0.0.1", "/purchase/success")
    assert "Payment done" in browser.follow(browser.pay(checkout)).text
    for door in ("/", "/pricing", "/login"):
        assert "evil" not in browser.get(door, return_to=evil).headers.get("Location", "")


@pytest.mark.parametrize("before", [b"", *ALIKE])
def test_g50_a_page_is_kept_under_no_name_that_is_only_alike(mall: Site, before: bytes) -> None:
    browser = newcomer(mall)
    page = browser.get("/pricing", feature="reports", return_to=f"http://{HOST}/q3")
    back = browser.pay(browser.follow(browser.submit(page, "Purchase"))).headers["Location"]
    token, kept = (browser.client.cookies[name].encode() for name in ("tollkeeper", "tollkeeper_wanted-0"))
    said = {
        b"Accept": b"text/html",
        b"Cookie": b"tollkeeper=" + token + b"; " + before + b"tollkeeper_wanted-0=" + kept,
    }
    assert httpx2.get(back, headers=said).status_code == (200 if before else 303)


def test_who_signs_in_from_the_page_that_sells_goes_on_to_the_page_asked_for(mall: Site) -> None:
    page = Browser(mall.url).get("/pricing", feature="reports", return_to=f"http://{HOST}/q3")
    assert f'href="/login?return_to=http%3A//{HOST.replace(":", "%3A")}/q3"' in page.text


def test_a_form_may_lead_to_gated_hosts(mall: Site) -> None:
    policy = Browser(mall.url).get("/").headers["Content-Security-Policy"]
    assert f"http://{HOST}" in policy
    assert "https://app.example.com" in policy


def test_api_me(mall: Site, payer: Browser) -> None:
    links = {"sign_in": f"{mall.url}/login", "buy": f"{mall.url}/pricing"}
    nobody = Browser(mall.url).get("/api/me")
    assert (nobody.status_code, nobody.headers["Cache-Control"]) == (200, "no-store")
    assert nobody.json() == {"visitor": None, "features": [], **links}
    assert newcomer(mall).get("/api/me").json()["features"] == []
    somebody = payer.get("/api/me")
    assert somebody.headers["Cache-Control"] == "no-store"
    visitor = somebody.json().pop("visitor")
    assert visitor["name"] == "Zoë Müller, 50% Ltd"
    assert visitor["id"] == ask(payer, "/gate").headers["Remote-User"]
    assert somebody.json()["features"] == [{"feature": "dashboard", "until": None}]


def test_a_shared_cookie_is_for_the_whole_domain(open_site: OpenSite) -> None:
    site = open_site(PUBLIC_URL=PUBLIC, COOKIE_DOMAIN="example.com", ALLOW_TEST_MODE="true")
    browser = Browser(PUBLIC)
    browser.client = httpx2.Client(mounts={PUBLIC: BehindTls(site.url)}, headers={"Accept": "text/html"}, timeout=20)
    chooser = browser.follow(browser.get("/login"))
    back = browser.submit(chooser, "Continue", name="Alice", email="alice@example.com", email_verified="yes")
    given = cookies(browser.client.get(back.headers["Location"]))["__Secure-tollkeeper"]
    shared = {"httponly": True, "secure": True, "samesite": "lax", "path": "/", "domain": "example.com"}
    assert flags(given) == shared
    taken = cookies(browser.submit(browser.get("/"), "Logout"))["__Secure-tollkeeper"]
    assert (flags(taken), taken.value) == (shared, "")


def test_pages_of_gated_hosts_may_read_who_it_is_and_no_others(payer: Browser) -> None:
    def allowed(origin: str) -> list[str | None]:
        headers = payer.client.get(f"{payer.site}/api/me", headers={"Origin": origin}).headers
        return [headers.get(f"Access-Control-Allow-{what}") for what in ("Origin", "Credentials")]

    for origin in (f"http://{HOST}", "https://app.example.com"):
        assert allowed(origin) == [origin, "true"]
    for origin in ("https://evil.example", "null", "", "https://app.example.com.evil.example", "*"):
        assert allowed(origin) == [None, None]
