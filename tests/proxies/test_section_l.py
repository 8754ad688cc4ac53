"""Section L of the catalogue of faults, on every proxy with the configuration of its guide, and in a real browser."""

import itertools
import posixpath
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from tests.proxies.conftest import SETTINGS
from tests.proxies.proxies import APART, APP, PAY, PROXIES, Proxy, running_proxy
from tests.proxies.test_section_h import by_any_spelling, cookie_of, location, seen_by_app
from tests.proxies.third_party import ThirdParty
from tests.support.databases import fresh_sqlite
from tests.support.running import Browser, Sandbox, Site, running_site

FORGED = "forged-by-a-stranger"
IDENTITY = ["remote_user", "remote_name", "remote_email", "remote_groups"]

# --- L82


@pytest.mark.parametrize("name", sorted(PROXIES))
def test_l82_a_trailer_does_not_outwit_the_sign_in_rate(
    name: str, sandbox: Sandbox, third_party: ThirdParty, sqlite_url: str, tmp_path: Path
) -> None:
    with (
        running_site(sandbox, sqlite_url, tmp_path, **SETTINGS | {"SIGN_IN_RATE": "2/day"}) as site,
        running_proxy(name, tmp_path / "proxy", site.url.removeprefix("http://"), "127.0.0.1:9") as proxy,
    ):
        statuses = [
            sent(proxy, PAY, with_trailer("/login/oidc", PAY, "X-Forwarded-For", f"198.51.100.{n}")).split(b" ")[1]
            for n in range(4)
        ]
    assert statuses == [b"302", b"302", b"429", b"429"]


@pytest.mark.parametrize("trailer", ["Remote-User", "Remote_User", "Cookie", "X-Forwarded-For", "Authorization"])
def test_l82_nor_does_one_reach_the_app(proxy: Proxy, payer: Browser, third_party: ThirdParty, trailer: str) -> None:
    request = with_trailer("/", APP, trailer, FORGED, cookie_of(payer))
    headers = seen_by_app(sent(proxy, APP, request))
    assert FORGED not in str(headers)
    assert FORGED not in str(third_party.trailers)


def with_trailer(path: str, host: str, name: str, value: str, *more: str) -> bytes:
    head = [f"GET {path} HTTP/1.1", f"Host: {host}", "Transfer-Encoding: chunked", f"Trailer: {name}", *more]
    lines = [*head, "Connection: close", "", "1", "x", "0", f"{name}: {value}", "", ""]
    return "\r\n".join(lines).encode()


def sent(proxy: Proxy, host: str, request: bytes) -> bytes:
    """The whole answer to a request as it is given, after which the connection is closed."""
    with proxy.connect(host) as wire:
        wire.sendall(request)
        answer = b""
        while more := wire.recv(65536):
            answer += more
    return answer


# --- L83

HOPS = [
    "Remote-User",
    "remote-user, Remote-Name, Remote-Email, REMOTE-GROUPS",
    "close, Remote-User",
    "Remote-User, Upgrade",
    "X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Uri, X-Forwarded-Method",
    "Host, Content-Length, Accept",
]


@pytest.mark.parametrize("hop", HOPS)
def test_l83_a_name_in_connection_takes_none_of_our_headers_away(proxy: Proxy, payer: Browser, hop: str) -> None:
    plain = seen_by_app(proxy.ask("GET / HTTP/1.1", f"Host: {APP}", cookie_of(payer)))
    for lines in ([f"Connection: {hop}"], [f"Connection: {part}" for part in hop.split(",")]):
        headers = seen_by_app(proxy.ask("GET / HTTP/1.1", f"Host: {APP}", cookie_of(payer), *lines))
        for name in [*IDENTITY, "x_forwarded_for", "x_forwarded_proto"]:
            assert by_any_spelling(headers, name) == by_any_spelling(plain, name)
            assert len(by_any_spelling(headers, name)) == 1


@pytest.mark.parametrize("hop", HOPS)
def test_l83_nor_in_a_websocket(proxy: Proxy, payer: Browser, hop: str) -> None:
    """Whose connection has to be named, and is all that is."""
    head = [
        "GET /told HTTP/1.1",
        f"Host: {APP}",
        "Upgrade: websocket",
        f"Connection: Upgrade, {hop}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        cookie_of(payer),
    ]
    with proxy.connect() as wire:
        wire.sendall("\r\n".join([*head, "", ""]).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += wire.recv(1000)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer  # the example of RFC 6455, section 1.3
    seen = re.search(rb"(?im)^x-seen: (.*?)\r$", answer)
    assert seen
    assert [name for name in IDENTITY if name.replace("_", "-").encode() not in seen[1].lower()] == []


@pytest.mark.parametrize("hop", HOPS)
def test_l83_nor_from_what_the_gate_and_our_pages_are_told(proxy: Proxy, hop: str) -> None:
    plain = ["GET /page?a=1 HTTP/1.1", f"Host: {APP}", "Accept: text/html"]
    assert location(proxy.ask(*plain, f"Connection: {hop.replace(', Accept', '')}")) == location(proxy.ask(*plain))


@pytest.mark.parametrize("name", sorted(PROXIES))
def test_l83_nor_from_what_our_own_pages_are_told(name: str, third_party: ThirdParty, tmp_path: Path) -> None:
    """A client that could remove its address would count as the proxy, and use up the rate that all others share."""
    ours = f"127.0.0.1:{third_party.port}"  # which tells what Tollkeeper would see
    with running_proxy(name, tmp_path / "proxy", ours, ours) as proxy:
        for host, path in ((PAY, "/login/oidc"), (APART, "/.tollkeeper/handover?token=a")):
            reported = [
                forwarded(sent(proxy, host, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{line}\r\n\r\n".encode()))
                for line in ("Connection: close", f"Connection: close, {', '.join(FORWARDED)}")
            ]
            assert reported[0] == reported[1]
            assert reported[0]["x-forwarded-for"] == ["127.0.0.1"]
            assert reported[0]["x-forwarded-proto"] == ["https"]
            assert host == PAY or reported[0]["x-forwarded-host"] == [APART]


FORWARDED = [f"X-Forwarded-{part}" for part in ("For", "Host", "Proto", "Uri", "Method")]


def forwarded(answer: bytes) -> dict[str, list[str]]:
    seen = seen_by_app(answer)
    return {name.lower(): [value for key, value in seen if key.lower() == name.lower()] for name in FORWARDED}


# --- L85

Reading = Callable[[str], str]

# What apps, frameworks and file systems make of a path, each by itself; several of them in any order.
READINGS: list[Reading] = [
    unquote,
    str.lower,
    lambda path: path.replace("\\", "/"),
    lambda path: re.sub(r";[^/]*", "", path),
    lambda path: re.sub(r"/+", "/", path),
    posixpath.normpath,
    lambda path: re.sub(r"[\x00-\x20\x7f]", "", path),
    lambda path: path.split("\x00")[0],
    lambda path: re.split("[#?]", path)[0],
    lambda path: re.sub(r"\.[a-z]+$", "", path),
]

BEFORE = ["/", "//", "/./", "/x/../", "/x/%2e%2e/", "/%2e/", "/.%2e/", "/%2f", "/%2F", "/%252f", "/;a/", "/%3ba/"]
BEFORE += [
    "/.;/",
    "/x/..;/",
    "/\\",
    "/%5c",
    "/x\\..\\",
    "/x/..%5c",
    "/x/..%2f",
    "/x%2f..%2f",
    "/%09",
    "/%00",
    "/x/%2e./",
]
SPELT = [
    "reports",
    "Reports",
    "REPORTS",
    "rePORTs",
    "%72eports",
    "report%73",
    "%52EPORTS",
    "%2572eports",
    "r%65p%6Frts",
]
BEHIND = [
    "",
    "/",
    "/q3",
    "//",
    "/.",
    "/..",
    "/../x",
    "/..%2fx",
    "/x/..",
    "/./q3",
    ";v=1",
    ";v=1/q3",
    "%3bv=1",
    "%2f",
    "%2fq3",
]
BEHIND += [
    "%5cq3",
    "\\q3",
    "%00",
    "%00.css",
    "%20",
    "%09",
    "%7f",
    "#",
    "#x",
    "?x",
    "?/../x",
    "/%2e%2e/x",
    "%23",
    ".css",
    "%3f",
]
PATHS = [f"{before}{name}{behind}" for before, name, behind in itertools.product(BEFORE, SPELT, ["", "/q3"])] + [
    f"{before}{name}{behind}" for before, name, behind in itertools.product(["/", "//"], SPELT[:5], BEHIND)
]


def read_as_reports(target: str) -> bool:
    """Whether an app could take this for a page of the reports."""
    known, new = set[str](), {target.split("?")[0]}
    while new:
        known |= new
        new = {reading(path) for reading in READINGS for path in new} - known
    return any(path == "/reports" or path.startswith("/reports/") for path in known)


@pytest.fixture(scope="module")
def two_features(sandbox: Sandbox, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
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
    settings = SETTINGS | {"PRODUCT_PRICE_ID": ""}
    with running_site(sandbox, fresh_sqlite(sqlite_template, folder), folder, **settings) as site:
        yield site


@pytest.fixture(scope="module", params=sorted(PROXIES))
def extended(
    request: pytest.FixtureRequest,
    two_features: Site,
    third_party: ThirdParty,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    """Each proxy with all that its guide says may be put in."""
    folder = tmp_path_factory.mktemp("proxy") / request.param
    where, app = two_features.url.removeprefix("http://"), f"127.0.0.1:{third_party.port}"
    with running_proxy(f"{request.param}, extended", folder, where, app) as proxy:
        yield proxy


def buyer(proxy: Proxy, product: str) -> Browser:
    browser = proxy.browser()
    offer = browser.sign_in("Bea Buyer", f"{secrets.token_hex(8)}@example.com")
    browser.follow(browser.pay(browser.follow(browser.submit(offer, f"Purchase {product}"))))
    return browser


@pytest.fixture(scope="module")
def basic(extended: Proxy) -> Browser:
    return buyer(extended, "Basic")


@pytest.fixture(scope="module")
def pro(extended: Proxy) -> Browser:
    return buyer(extended, "Pro")


def statuses(proxy: Proxy, browser: Browser, targets: list[str], method: str = "GET") -> dict[str, str]:
    """How each is answered."""
    head = [f"Host: {APP}", cookie_of(browser), "Accept: text/html"]
    return {one: proxy.ask(f"{method} {one} HTTP/1.1", *head).split(b" ")[1].decode() for one in targets}


def test_l85_no_spelling_of_a_path_gets_past_its_feature(
    extended: Proxy, basic: Browser, third_party: ThirdParty
) -> None:
    assert [path for path in PATHS if not read_as_reports(path)] == []
    whole = [f"https://{APP}{path}" for path in ("/reports", "//reports", "/x/../reports", "/%72eports")]
    third_party.seen.clear()
    answers = statuses(extended, basic, [*PATHS, *whole])
    assert third_party.seen == []
    assert set(answers.values()) == {"302", "400"}
    assert answers["/reports"] == answers["/reports/q3"] == answers["/REPORTS"] == answers[whole[0]] == "302"
    assert answers["//reports"] == answers["/x/../reports"] == answers["/%72eports"] == "400"


def test_l85_by_no_method(extended: Proxy, basic: Browser, third_party: ThirdParty) -> None:
    third_party.seen.clear()
    for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        assert set(statuses(extended, basic, ["/reports", "/reports/q3"], method).values()) <= {"302", "403"}
    assert third_party.seen == []


def test_l85_anybody_who_has_it_reads_the_reports(extended: Proxy, pro: Browser, third_party: ThirdParty) -> None:
    third_party.seen.clear()
    targets = ["/reports", "/reports/", "/reports/q3?a=1", "/Reports", "/reports.csv"]
    assert set(statuses(extended, pro, targets).values()) == {"200"}
    assert third_party.seen == targets


def test_l85_what_is_no_trick_passes_unharmed(extended: Proxy, basic: Browser, third_party: ThirdParty) -> None:
    targets = [
        "/",
        "/page",
        "/a.b/c-d_e~f",
        "/my%20file.pdf",
        "/%E2%82%AC/%C3%BC",
        "/@me/!$&'()*+,:=",
        "/.well-known/x",
    ]
    targets += [
        "/x?reports",
        "/x?a=//b/../c;d%2f%72\\&url=https://a.example/./x",
        "/re%5B1%5D",
        "/x/reports",
        "/a%40b%3d",
    ]
    third_party.seen.clear()
    assert set(statuses(extended, basic, targets).values()) == {"200"}
    assert third_party.seen == targets


# --- L87

FRONT = "https://front.example.com"
LEAVE = {"Origin": FRONT, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}


def preflight(proxy: Proxy, path: str = "/api", **changed: str) -> tuple[int, dict[str, str]]:
    headers = {"Accept": "*/*", "Sec-Fetch-Mode": "cors"} | LEAVE | changed
    answer = proxy.browser().client.request("OPTIONS", f"https://{APP}{path}", headers=headers)
    said = {name.lower(): value for name, value in answer.headers.items()}
    return answer.status_code, {name: value for name, value in said.items() if name.startswith("access-control-")}


def test_l87_a_preflight_is_answered_without_the_app(extended: Proxy, third_party: ThirdParty) -> None:
    third_party.seen.clear()
    status, said = preflight(extended)
    assert (status, third_party.seen) == (204, [])
    assert said == {
        "access-control-allow-origin": FRONT,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers": "Content-Type",
    }


@pytest.mark.parametrize(
    "origin", ["https://evil.example", f"{FRONT}.evil.example", "null", "http://front.example.com"]
)
def test_l87_but_of_one_origin_alone(extended: Proxy, third_party: ThirdParty, origin: str) -> None:
    third_party.seen.clear()
    assert preflight(extended, Origin=origin) == (401, {})
    assert third_party.seen == []


def test_l87_what_follows_it_passes_the_gate_like_all_else(
    extended: Proxy, basic: Browser, third_party: ThirdParty
) -> None:
    third_party.seen.clear()
    call = {"Origin": FRONT, "Sec-Fetch-Mode": "cors", "Accept": "*/*"}
    refused = extended.browser().client.put(f"https://{APP}/api", headers=call)
    assert (refused.status_code, "Location" in refused.headers, third_party.seen) == (401, False, [])
    assert basic.client.put(f"https://{APP}/api", headers=call).status_code == 200
    assert third_party.seen == ["/api"]


def test_l87_without_that_a_preflight_is_refused_and_not_sent_on(proxy: Proxy, third_party: ThirdParty) -> None:
    third_party.seen.clear()
    assert preflight(proxy) == (401, {})
    assert third_party.seen == []


@pytest.mark.parametrize(
    "asked",
    [
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "manifest"},
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Accept": "image/avif,*/*;q=0.8"},
        {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "serviceworker", "Service-Worker": "script"},
        {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "worker"},
    ],
)
@pytest.mark.parametrize("host", [APP, APART])
def test_l87_what_browsers_fetch_by_themselves_goes_in_no_circles(
    proxy: Proxy, host: str, asked: dict[str, str]
) -> None:
    browser = proxy.browser()
    browser.client.headers.clear()
    answer = browser.client.get(f"https://{host}/x", headers={"Accept": "*/*"} | asked)
    assert answer.status_code == (403 if host == APART and "Service-Worker" in asked else 401)
    assert not {"location", "set-cookie"} & set(answer.headers)


# --- L84


def test_l84_no_service_worker_is_put_in_at_a_host_apart(proxy: Proxy, payer: Browser, third_party: ThirdParty) -> None:
    browser = proxy.browser()
    browser.client.cookies.update(payer.client.cookies)
    page = browser.follow(browser.client.get(f"https://{APART}/spy.js"))
    assert (page.status_code, "onfetch" in page.text or "fetch" in page.text) == (200, True)
    third_party.seen.clear()
    asked = {"Service-Worker": "script", "Sec-Fetch-Mode": "same-origin", "Accept": "*/*"}
    assert browser.client.get(f"https://{APART}/spy.js", headers=asked).status_code == 403
    assert third_party.seen == []
    assert browser.client.get(f"https://{APP}/spy.js", headers=asked).status_code == 200
