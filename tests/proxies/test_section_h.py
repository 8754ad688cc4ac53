"""Section H of the catalogue of faults, on every proxy with the configuration of its guide."""

import json
import re
import secrets
from pathlib import Path

import pytest
from tests.proxies.conftest import SETTINGS
from tests.proxies.proxies import APP, PAY, PROXIES, Proxy, running_proxy
from tests.proxies.third_party import ThirdParty
from tests.support.running import Browser, Sandbox, look, running_site

from tollkeeper.storage.tables import login_sessions

FORGED = "forged-by-a-stranger"
NAMES = ["User", "Name", "Email", "Groups"]
SPELLINGS = ["Remote-{}", "remote-{}", "REMOTE-{}", "rEmOtE-{}", "Remote_{}", "remote_{}", "REMOTE_{}"]
SPELLINGS += ["Remote.{}", "remote.{}", "Remote+{}", "Remote~{}", "Remote!{}"]


def cookie_of(payer: Browser) -> str:
    return f"Cookie: __Secure-tollkeeper={payer.client.cookies['__Secure-tollkeeper']}"


def seen_by_app(answer: bytes) -> list[tuple[str, str]]:
    """The headers that the app received, as it reports them."""
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    reported = json.loads(answer[answer.index(b'{"path') : answer.rindex(b"}") + 1])
    return [(name, value) for name, value in reported["headers"]]


def by_any_spelling(headers: list[tuple[str, str]], name: str) -> list[str]:
    """The values that the laxest server finds under a name: to some, all that is no letter is an underscore."""
    return [value for key, value in headers if re.sub("[^a-z]", "_", key.lower()) == name]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_h51_nobody_but_the_gate_says_who_it_is(proxy: Proxy, payer: Browser, spelling: str) -> None:
    forged = [f"{spelling.format(name)}: {FORGED}" for name in NAMES for _ in range(2)]
    for place in (forged, []):
        other = [] if place else forged
        lines = [*place, f"Host: {APP}", cookie_of(payer), "Accept: text/html", *other]
        answer = proxy.ask("GET /page HTTP/1.1", *lines)
        headers = seen_by_app(answer)
        assert FORGED not in str(headers)
        assert [value[:4] for value in by_any_spelling(headers, "remote_user")] == ["per_"]
        assert by_any_spelling(headers, "remote_groups") == ["dashboard"]


def test_h51_not_even_where_the_gate_has_nothing_to_say(proxy: Proxy) -> None:
    browser = proxy.browser()
    chooser = browser.follow(browser.get("/login"))
    shy = {"name": "Shy Example", "email": f"{secrets.token_hex(8)}@example.com", "email_verified": ""}
    browser.follow(browser.submit(chooser, "Continue", **shy))
    browser.follow(browser.pay())
    for spelling in SPELLINGS:
        forged = f"{spelling.format('Email')}: {FORGED}"
        answer = proxy.ask("GET / HTTP/1.1", f"Host: {APP}", cookie_of(browser), forged)
        assert "".join(by_any_spelling(seen_by_app(answer), "remote_email")) == "", spelling


@pytest.mark.parametrize("hop", ["Remote-User", "remote-user, Remote-Groups", "Cookie", "X-Forwarded-Uri"])
def test_h51_a_name_called_hop_by_hop_brings_in_nobody_else(proxy: Proxy, payer: Browser, hop: str) -> None:
    lines = [f"Host: {APP}", f"Connection: {hop}", cookie_of(payer), f"Remote-User: {FORGED}"]
    assert FORGED.encode() not in proxy.ask("GET / HTTP/1.1", *lines)


def test_h51_without_an_allow_nothing_forged_lets_anybody_in(proxy: Proxy, third_party: ThirdParty) -> None:
    third_party.seen.clear()
    forged = [f"{spelling.format(name)}: {FORGED}" for spelling in SPELLINGS for name in NAMES]
    answer = proxy.ask("GET / HTTP/1.1", f"Host: {APP}", "Accept: text/html", *forged)
    assert (answer.split(b" ")[1], third_party.seen) == (b"302", [])


@pytest.mark.parametrize("hop", ["Upgrade", "Upgrade, HTTP2-Settings", "keep-alive"])
@pytest.mark.parametrize("protocol", ["h2c", "h2c, websocket", "websocket, h2c", ""])
def test_h51_no_other_protocol_makes_a_tunnel_past_the_gate(
    proxy: Proxy, payer: Browser, protocol: str, hop: str
) -> None:
    """Through one, every further request would reach the app unasked (RFC 7540, section 3.2)."""
    lines = [f"Upgrade: {protocol}", f"Connection: {hop}", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"]
    headers = seen_by_app(proxy.ask("GET / HTTP/1.1", f"Host: {APP}", cookie_of(payer), *lines))
    assert by_any_spelling(headers, "upgrade") == []
    assert "upgrade" not in str(by_any_spelling(headers, "connection")).lower()


@pytest.mark.parametrize("protocols", [["h2c", "websocket"], ["websocket", "h2c"]])
def test_h51_nor_is_another_hidden_behind_websockets(proxy: Proxy, payer: Browser, protocols: list[str]) -> None:
    lines = [*(f"Upgrade: {protocol}" for protocol in protocols), "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    with proxy.connect() as wire:
        wire.sendall("\r\n".join(["GET / HTTP/1.1", f"Host: {APP}", cookie_of(payer), *lines, "", ""]).encode())
        assert b"h2c" not in wire.recv(65536)


FORWARDED = [
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: http",
    "X-Forwarded-Uri: /evil",
    "X-Forwarded-Method: DELETE",
    "X-Forwarded-For: 192.0.2.66",
    "X-Forwarded-Prefix: /evil",
    "X_Forwarded_Host: evil.example",
    "X-Original-URL: https://evil.example/evil",
    "X-Original-URI: /evil",
    "X-Rewrite-URL: /evil",
    "Forwarded: for=192.0.2.66;host=evil.example;proto=http",
]


def location(answer: bytes) -> str:
    found = re.search(rb"(?im)^location: (.*?)\r$", answer)
    return found[1].decode() if found else ""


def test_h52_what_a_stranger_says_was_asked_for_changes_nothing(proxy: Proxy, third_party: ThirdParty) -> None:
    third_party.seen.clear()
    plain = ["GET /page?a=1 HTTP/1.1", f"Host: {APP}", "Accept: text/html"]
    honest = location(proxy.ask(*plain))
    assert honest == f"https://{PAY}/login?return_to=https%3A%2F%2Fapp.example.com%2Fpage%3Fa%3D1"
    for line in FORWARDED:
        assert location(proxy.ask(*plain, line)) == honest, line
    assert location(proxy.ask(*plain, *FORWARDED)) == honest
    assert third_party.seen == []


PLANTED = ["X-Forwarded-Host: app.example.com", "X-Forwarded-Proto: https", "X-Forwarded-Uri: /planted"]


@pytest.mark.parametrize("forged", [FORWARDED, PLANTED])
def test_h52_nor_at_our_own_pages(proxy: Proxy, forged: list[str]) -> None:
    with proxy.connect(PAY) as wire:
        head = ["GET /gate?feature=dashboard HTTP/1.1", f"Host: {PAY}", "Accept: text/html", *forged]
        wire.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode())
        answer = b""
        while more := wire.recv(65536):
            answer += more
    assert b"302" in answer.split(b"\r\n")[0]
    assert b"evil" not in answer
    assert "return_to" not in location(answer)


def test_h52_the_feature_is_the_one_that_the_proxy_names(proxy: Proxy, third_party: ThirdParty) -> None:
    third_party.seen.clear()
    for path in ("/?feature=free", "/?feature=dashboard&feature=x", "/%3Ffeature=free", "/a?x=1%26feature=free"):
        assert b" 302 " in proxy.ask(f"GET {path} HTTP/1.1", f"Host: {APP}", "Accept: text/html").split(b"\r\n")[0]
    assert third_party.seen == []


def test_h52_where_nginx_asks_nobody_else_can(proxy: Proxy) -> None:
    answer = proxy.browser().client.get(f"https://{APP}/tollkeeper-gate?feature=free")
    assert answer.status_code == (404 if proxy.name == "nginx" else 302)


HOSTS = [
    "evil.example",
    "evil.example:443",
    f"{APP}.evil.example",
    f"{APP}@evil.example",
    f"{APP}:443@evil.example",
    f"{APP}/evil.example",
    f"{APP}\\evil.example",
    f"{APP}?evil.example",
    f"{APP}#evil.example",
    f"{APP} evil.example",
    f"{APP}\tevil.example",
    f"{APP}:evil",
    f"{APP}:99999999",
    f"{APP},evil.example",
    "",
    "[::1",
    "[evil]",
    "%65vil.example",
    "é".encode().decode("latin-1"),
    ".",
    "..",
    "a" * 3000,
]


@pytest.mark.parametrize("host", HOSTS)
def test_h53_a_malformed_host_reaches_no_redirect_and_no_app(proxy: Proxy, third_party: ThirdParty, host: str) -> None:
    third_party.seen.clear()
    for head in (
        [f"Host: {host}"],
        [f"Host: {host}", f"Host: {APP}"],
        [f"Host: {APP}", f"X-Forwarded-Host: {host}"],
    ):
        answer = proxy.ask("GET / HTTP/1.1", *head, "Accept: text/html")
        where = location(answer)
        assert where.startswith((f"https://{PAY}/", "/")) or not where
        assert "evil" not in where
    assert third_party.seen == []


def test_h53_a_whole_address_in_the_request_line_leads_nowhere_else(proxy: Proxy, third_party: ThirdParty) -> None:
    third_party.seen.clear()
    for target in ("https://evil.example/", f"https://{APP}@evil.example/", "//evil.example/", "/\\evil.example"):
        answer = proxy.ask(f"GET {target} HTTP/1.1", f"Host: {APP}", "Accept: text/html")
        assert "evil" not in location(answer)
    assert third_party.seen == []


@pytest.mark.parametrize("name", sorted(PROXIES))
def test_h54_when_the_gate_cannot_decide_nobody_gets_in(
    name: str, sandbox: Sandbox, third_party: ThirdParty, sqlite_url: str, tmp_path: Path
) -> None:
    with running_site(sandbox, sqlite_url, tmp_path, **SETTINGS) as site:
        app = f"127.0.0.1:{third_party.port}"
        with running_proxy(name, tmp_path / "proxy", site.url.removeprefix("http://"), app) as proxy:
            browser = proxy.browser()
            browser.sign_in("Olga Outage", f"{secrets.token_hex(8)}@example.com")
            browser.follow(browser.pay())
            assert browser.client.get(f"https://{APP}/").status_code == 200
            third_party.seen.clear()
            look(sqlite_url, login_sessions.drop)
            assert browser.client.get(f"https://{APP}/").status_code in {500, 503}
            site.thread.stop()
            assert browser.client.get(f"https://{APP}/").status_code in {500, 502}
            assert third_party.seen == []
