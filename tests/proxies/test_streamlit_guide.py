"""The guide for Streamlit and Gradio: Caddy passes what these frameworks need, but only for people who have paid."""

from collections.abc import Iterator

import pytest
from tests.proxies.proxies import APP, Proxy, running_proxy
from tests.proxies.third_party import ThirdParty
from tests.support.running import Browser, Site

HELLO = [
    "GET /_stcore/stream HTTP/1.1",
    f"Host: {APP}",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
]


@pytest.fixture(scope="module")
def caddy(gated_site: Site, third_party: ThirdParty, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("proxy") / "streamlit"
    where = gated_site.url.removeprefix("http://")
    with running_proxy("streamlit", folder, where, f"127.0.0.1:{third_party.port}") as proxy:
        yield proxy


@pytest.fixture(scope="module")
def buyer(caddy: Proxy) -> Browser:
    browser = caddy.browser()
    offer = browser.sign_in("Stina Stream", "stina@example.com", f"https://{APP}/chart?run=7")
    page = browser.follow(browser.pay(browser.follow(browser.submit(offer, "Purchase"))))
    assert str(page.url) == f"https://{APP}/chart?run=7"
    assert ["Remote-Name", "Stina Stream"] in page.json()["headers"]
    return browser


def test_words_arrive_one_by_one(buyer: Browser, third_party: ThirdParty) -> None:
    third_party.go_on.clear()
    with buyer.client.stream("GET", f"https://{APP}/stream") as answer:
        words = answer.iter_raw()
        assert next(words) == b"first"
        third_party.go_on.set()
        assert b"".join(words) == b"second"


def test_the_tabs_connection_is_for_payers(caddy: Proxy, buyer: Browser) -> None:
    assert b" 401 " in caddy.ask(*HELLO).split(b"\r\n")[0]
    cookie = f"Cookie: __Secure-tollkeeper={buyer.client.cookies['__Secure-tollkeeper']}"
    with caddy.connect() as wire:
        wire.sendall("\r\n".join([*HELLO, cookie, "", ""]).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += wire.recv(1000)
        assert answer.startswith(b"HTTP/1.1 101 ")


def test_no_other_protocol_makes_a_tunnel_past_the_gate(caddy: Proxy, buyer: Browser) -> None:
    cookie = f"Cookie: __Secure-tollkeeper={buyer.client.cookies['__Secure-tollkeeper']}"
    answer = caddy.ask("GET / HTTP/1.1", f"Host: {APP}", cookie, "Upgrade: h2c", "Connection: Upgrade")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"h2c" not in answer


def test_l83_a_name_in_connection_takes_none_of_our_headers_away(caddy: Proxy, buyer: Browser) -> None:
    cookie = f"Cookie: __Secure-tollkeeper={buyer.client.cookies['__Secure-tollkeeper']}"
    answer = caddy.ask("GET / HTTP/1.1", f"Host: {APP}", cookie, "Connection: close, Remote-User, Remote-Groups")
    assert b'["Remote-User", "per_' in answer
    assert b'["Remote-Groups", "dashboard"]' in answer


def test_the_app_sees_no_cookie_of_ours_whatever_path_it_is_named_after(buyer: Browser) -> None:
    ours = buyer.client.cookies["__Secure-tollkeeper"]
    cookies = f"mine=1; __Secure-tollkeeper={ours}; tollkeeper.pay=secret; last=2"
    reported = buyer.client.get(f"https://{APP}/", headers={"Cookie": cookies}).text
    assert "mine=1" in reported
    assert "last=2" in reported
    assert ours not in reported
    assert "secret" not in reported
