"""From the first request for a page through sign-in and payment back to that page, through real proxies."""

import json
import secrets
from typing import Any
from urllib.parse import urljoin

import pytest
from tests.proxies.proxies import APP, PAY, PROXIES, Proxy, guide_settings
from tests.proxies.third_party import ThirdParty
from tests.support.running import Browser, Site, eventually

from tollkeeper.redirects import LONGEST
from tollkeeper.storage.tables import grants

PAGE = f"https://{APP}/reports/q3?year=2026&sort=-amount"
PROGRAM = {"Accept": "application/json", "Sec-Fetch-Mode": "cors"}


def seen_by_app(browser: Browser, path: str = "/", **headers: str) -> dict[str, Any]:
    """What the app saw of a request."""
    answer = browser.client.get(f"https://{APP}{path}", headers=headers)
    assert answer.status_code == 200, answer.text
    seen: dict[str, Any] = answer.json()
    return seen


def header(seen: dict[str, Any], name: str) -> list[str]:
    return [value for key, value in seen["headers"] if key.lower() == name.lower()]


def test_all_guides_tell_the_same_settings(gated_site: Site) -> None:
    seen_by_app = [guide_settings(name) for name in PROXIES]
    assert seen_by_app == [{name: gated_site.settings[name] for name in seen_by_app[0]}] * len(PROXIES)


def test_sign_in_pay_and_see_the_page_first_asked_for(proxy: Proxy, gated_site: Site, third_party: ThirdParty) -> None:
    browser, email = proxy.browser(), f"{secrets.token_hex(8)}@example.com"
    third_party.seen.clear()
    issuer = browser.follow(browser.client.get(PAGE))
    assert str(issuer.url).startswith(gated_site.sandbox.url)
    back = browser.submit(issuer, "Continue", name="Zoë Example", email=email, email_verified="yes")
    offer = browser.follow(back)
    assert (offer.url.host, third_party.seen) == (PAY, [])
    paid = browser.pay(browser.follow(browser.submit(offer, "Purchase")))
    page = browser.follow(paid)
    assert (page.status_code, str(page.url)) == (200, PAGE)
    seen = page.json()
    assert header(seen, "Remote-User")[0].startswith("per_")
    assert header(seen, "Remote-Name") == ["Zo%C3%AB Example"]
    assert header(seen, "Remote-Email") == [email]
    assert header(seen, "Remote-Groups") == ["dashboard"]


def test_h55_after_a_refund_the_next_request_is_refused(
    proxy: Proxy, gated_site: Site, third_party: ThirdParty
) -> None:
    browser = proxy.browser()
    browser.sign_in("Rita Refund", f"{secrets.token_hex(4)}@example.com")
    browser.follow(browser.pay())
    person = header(seen_by_app(browser), "Remote-User")[0]
    (grant,) = [row for row in gated_site.rows(grants) if row.person_id == person]
    gated_site.sandbox.stripe.v1.refunds.create({"payment_intent": grant.reference})
    eventually(lambda: next(row for row in gated_site.rows(grants) if row.person_id == person).revoked_at)
    third_party.seen.clear()
    refused = browser.client.get(PAGE)
    assert (refused.status_code, third_party.seen) == (302, [])
    assert refused.headers["Location"].startswith(f"https://{PAY}/pricing?feature=dashboard")


def test_h55_after_signing_out_the_next_request_is_refused(proxy: Proxy, third_party: ThirdParty) -> None:
    browser = proxy.browser()
    browser.sign_in("Lea Leaver", f"{secrets.token_hex(4)}@example.com")
    browser.follow(browser.pay())
    assert seen_by_app(browser)["path"] == "/"
    cookies = dict(browser.client.cookies)
    browser.submit(browser.get("/"), "Logout")
    browser.client.cookies.update(cookies)
    third_party.seen.clear()
    refused = browser.client.get(PAGE)
    assert (refused.status_code, third_party.seen) == (302, [])
    assert refused.headers["Location"].startswith(f"https://{PAY}/login?")


def test_h55_no_refusal_may_be_kept(proxy: Proxy) -> None:
    if proxy.name == "caddy":  # which hands the gate's own answer on
        assert proxy.browser().client.get(PAGE).headers["Cache-Control"] == "no-store"


def test_the_login_cookie_is_for_all_hosts_of_the_domain_and_not_for_the_app(proxy: Proxy, payer: Browser) -> None:
    (cookie,) = [cookie for cookie in payer.client.cookies.jar if cookie.name == "__Secure-tollkeeper"]
    assert (cookie.domain, cookie.secure, cookie.path) == (".example.com", True, "/")
    mine = {"domain": APP, "path": "/"}
    for name in ("before", "after"):
        payer.client.cookies.set(name, name, **mine)
    seen = seen_by_app(payer)
    assert "before=before" in header(seen, "Cookie")[0]
    assert "after=after" in header(seen, "Cookie")[0]
    assert cookie.value
    assert cookie.value not in json.dumps(seen)
    twice = {"Cookie": f"a=1; __Secure-tollkeeper={cookie.value}; b=2; __Secure-tollkeeper={cookie.value}"}
    assert cookie.value not in json.dumps(seen_by_app(payer, **twice))


def test_programs_are_told_instead_of_sent_on(proxy: Proxy, third_party: ThirdParty) -> None:
    browser = proxy.browser()
    out = browser.client.get(PAGE, headers=PROGRAM)
    assert out.status_code == 401
    browser.sign_in("Paula Poor", f"{secrets.token_hex(4)}@example.com")
    third_party.seen.clear()
    poor = browser.client.get(PAGE, headers=PROGRAM)
    assert (poor.status_code, third_party.seen) == (402 if proxy.name == "caddy" else 403, [])
    if proxy.name == "caddy":
        assert poor.json()["buy"] == f"https://{PAY}/pricing?feature=dashboard"


def test_what_the_app_itself_refuses_is_its_own_affair(proxy: Proxy, payer: Browser) -> None:
    answer = payer.client.get(f"https://{APP}/refuses")
    assert (answer.status_code, answer.text) == (401, "the app's own refusal")


def test_bodies_and_methods_pass_untouched(proxy: Proxy, payer: Browser) -> None:
    for method, size in (("POST", 10), ("PUT", 900_000)):
        seen = payer.client.request(method, f"https://{APP}/upload", content=b"x" * size).json()
        assert (seen["method"], seen["body"]) == (method, size)


def test_a_form_is_not_sent_again_by_a_redirect(proxy: Proxy) -> None:
    refused = proxy.browser().client.post(f"https://{APP}/form", data={"a": "1"})
    assert refused.status_code == 302
    assert refused.headers["Location"].endswith("return_to=https%3A%2F%2Fapp.example.com%2F")


def test_a_stream_arrives_while_it_is_being_said(proxy: Proxy, payer: Browser, third_party: ThirdParty) -> None:
    third_party.go_on.clear()
    with payer.client.stream("GET", f"https://{APP}/stream") as answer:
        words = answer.iter_raw()
        assert next(words) == b"first"
        third_party.go_on.set()
        assert b"".join(words) == b"second"


def test_a_websocket_passes(proxy: Proxy, payer: Browser) -> None:
    token = payer.client.cookies["__Secure-tollkeeper"]
    hello = [
        "GET /socket HTTP/1.1",
        f"Host: {APP}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    assert b" 401 " in proxy.ask(*hello).split(b"\r\n")[0]
    with proxy.connect() as wire:
        wire.sendall("\r\n".join([*hello, f"Cookie: __Secure-tollkeeper={token}", "", ""]).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += wire.recv(1000)
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer  # the example of RFC 6455, section 1.3
        wire.sendall(b"hello ")
        echo = b""
        while len(echo) < 12:
            echo += wire.recv(1000)
        assert echo == b"hello hello "


@pytest.mark.parametrize("uri", ["/search?filter={a|b}^2&q=`ls`&path=C:\\x&tags[]=1;2", "/?|{}^`[]\\"])
def test_l89_what_browsers_send_raw_comes_back_raw(proxy: Proxy, third_party: ThirdParty, uri: str) -> None:
    browser = proxy.browser()
    head = proxy.ask(f"GET {uri} HTTP/1.1", f"Host: {APP}", "Accept: text/html").split(b"\r\n\r\n")[0].decode()
    (sent,) = [line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("location:")]
    page = f"https://{APP}{uri}"
    assert lands_on(browser, sent) == page
    offer = browser.get("/pricing", feature="dashboard", return_to=page)
    back = str(browser.pay(browser.follow(browser.submit(offer, "Purchase"))).headers["Location"])
    assert browser.client.get(back).headers["Location"] == page


@pytest.mark.parametrize("filling", ["a", "|&", "%C3%A9"])
def test_l89_the_longest_page_comes_back(proxy: Proxy, third_party: ThirdParty, filling: str) -> None:
    start = f"https://{APP}/?a="
    page = (start + filling * ((LONGEST - len(start)) // len(filling))).ljust(LONGEST, "z")
    uri = page.removeprefix(f"https://{APP}")
    browser = proxy.browser()
    third_party.seen.clear()
    head = proxy.ask(f"GET {uri} HTTP/1.1", f"Host: {APP}", "Accept: text/html").split(b"\r\n\r\n")[0].decode()
    (sent,) = [line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("location:")]
    assert lands_on(browser, sent) == page
    offer = browser.get("/pricing", feature="dashboard", return_to=page)
    back = str(browser.pay(browser.follow(browser.submit(offer, "Purchase"))).headers["Location"])
    assert browser.client.get(back).headers["Location"] == page
    assert third_party.seen == []
    seen = proxy.ask(f"GET {uri} HTTP/1.1", f"Host: {APP}", f"Cookie: {login_of(browser)}")
    assert seen.startswith(b"HTTP/1.1 200 ")
    assert third_party.seen == [uri]


def lands_on(browser: Browser, address: str) -> str:
    """Sign in, from there. Where the browser is sent on to, beyond our own host."""
    chooser = browser.follow(browser.client.get(address))
    email = f"{secrets.token_hex(4)}@example.com"
    answer = browser.submit(chooser, "Continue", name="Lola Long", email=email, email_verified="yes")
    for _ in range(3):
        answer = browser.client.get(urljoin(f"https://{PAY}", answer.headers["Location"]))
        if answer.is_redirect and not answer.headers["Location"].startswith("/"):
            break
    return str(answer.headers["Location"])


def login_of(browser: Browser) -> str:
    return f"__Secure-tollkeeper={browser.client.cookies['__Secure-tollkeeper']}"
