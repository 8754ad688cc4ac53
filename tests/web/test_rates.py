"""Rates: per address for signing in, per person for paying. Only a trusted proxy may name the address.

Rates of a day, for one more try is let in once a new minute has begun, and a test may begin at the end of one.
"""

from itertools import takewhile

import httpx2
import pytest
from tests.support.running import Browser, Site
from tests.web.conftest import OpenSite

from tollkeeper.serving import server
from tollkeeper.storage.tables import orders


def begin_from(site: Site, *forwarded: str) -> int:
    """Begin to sign in, with these X-Forwarded-For headers."""
    headers = [("X-Forwarded-For", value) for value in forwarded]
    return httpx2.get(f"{site.url}/login/oidc", headers=headers).status_code


def test_signing_in_has_a_rate(open_site: OpenSite) -> None:
    site = open_site(SIGN_IN_RATE="2/day")
    assert [begin_from(site) for _ in range(4)] == [302, 302, 429, 429]
    assert httpx2.get(site.url).status_code == 200


def test_coming_back_has_a_rate_of_its_own(open_site: OpenSite) -> None:
    site = open_site(SIGN_IN_RATE="2/day")
    callback = f"{site.url}/login/oidc/callback?code=a&state=b"
    assert [httpx2.get(callback).status_code for _ in range(3)] == [400, 400, 429]
    assert begin_from(site) == 302


def test_paying_has_a_rate_per_person(open_site: OpenSite) -> None:
    site = open_site(PURCHASE_RATE="2/day")
    alice, alice_elsewhere, bob = Browser(site.url), Browser(site.url), Browser(site.url)
    for browser, name in ((alice, "Alice Example"), (alice_elsewhere, "Alice Example"), (bob, "Bob Example")):
        browser.sign_in(name)
    assert [alice.press_purchase().status_code for _ in range(2)] == [303, 303]
    refused = alice_elsewhere.press_purchase()
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert bob.press_purchase().status_code == 303


def test_looking_how_far_a_checkout_is_has_a_rate_per_person(open_site: OpenSite) -> None:
    """Each look asks the provider, and whoever pays nothing could use up all that everybody shares."""
    site = open_site()
    browser = Browser(site.url)
    browser.sign_in("Alice Example")
    browser.checkout()
    (order,) = site.rows(orders)
    looks = (browser.get("/purchase/cancel", session_id=order.checkout_id).status_code for _ in range(121))
    allowed = list(takewhile(lambda status: status == 200, looks))
    assert 60 <= len(allowed) <= 119  # a new minute may begin meanwhile


def test_strangers_may_not_say_where_they_come_from(open_site: OpenSite) -> None:
    site = open_site(SIGN_IN_RATE="1/day")
    assert [begin_from(site, f"198.51.100.{n}") for n in range(3)] == [302, 429, 429]


def test_a_proxy_that_is_not_ours_is_a_stranger(open_site: OpenSite) -> None:
    site = open_site(SIGN_IN_RATE="1/day", TRUSTED_PROXIES="192.0.2.1,10.0.0.0/24")
    assert [begin_from(site, f"198.51.100.{n}") for n in range(3)] == [302, 429, 429]


@pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.0/8", "10.0.0.0/24,127.0.0.1/32"])
def test_our_own_proxy_is_believed(open_site: OpenSite, trusted: str) -> None:
    site = open_site(SIGN_IN_RATE="1/day", TRUSTED_PROXIES=trusted)
    assert [begin_from(site, "198.51.100.1"), begin_from(site, "198.51.100.2")] == [302, 302]
    assert [begin_from(site, "198.51.100.1"), begin_from(site, "198.51.100.2")] == [429, 429]


def test_our_own_proxy_is_believed_on_a_socket_for_both_families(
    open_site: OpenSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which shows 127.0.0.1 as ::ffff:127.0.0.1."""
    listen = server.listen
    monkeypatch.setattr(server, "listen", lambda _host, port: listen("::", port))
    try:
        site = open_site(SIGN_IN_RATE="1/day", TRUSTED_PROXIES="127.0.0.1", GATED_HOSTS="127.0.0.1:9")
    except server.CannotListen:
        pytest.skip("this machine has no IPv6")
    assert [begin_from(site, "198.51.100.1"), begin_from(site, "198.51.100.2")] == [302, 302]
    page = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "127.0.0.1:9", "X-Forwarded-Uri": "/page"}
    asked = httpx2.get(f"{site.url}/gate?feature=dashboard", headers=page | {"Accept": "text/html"})
    assert asked.headers["Location"].endswith("%2Fpage")


def test_only_what_our_own_proxy_added_is_believed(open_site: OpenSite) -> None:
    site = open_site(SIGN_IN_RATE="1/day", TRUSTED_PROXIES="127.0.0.1")
    made_up = [f"203.0.113.{n}, 198.51.100.1" for n in range(3)]
    assert [begin_from(site, value) for value in made_up] == [302, 429, 429]
    assert begin_from(site, "203.0.113.9", "198.51.100.1") == 429


@pytest.mark.parametrize(
    ("addresses", "answers"),
    [
        (["2001:db8::1", "2001:db8::ffff:1:2:3", "2001:db8:0:1::1"], [302, 429, 302]),
        (["198.51.100.1", "::ffff:198.51.100.1", "::ffff:c633:6402"], [302, 429, 302]),
    ],
)
def test_a_subscriber_counts_once_whatever_their_address(
    open_site: OpenSite, addresses: list[str], answers: list[int]
) -> None:
    site = open_site(SIGN_IN_RATE="1/day", TRUSTED_PROXIES="127.0.0.1")
    assert [begin_from(site, address) for address in addresses] == answers


@pytest.mark.parametrize(
    "junk", ["", ",", "not an address", "é".encode().decode("latin-1"), "1" * 5000, "[::1", "unix:"]
)
def test_junk_from_our_own_proxy_does_no_harm(open_site: OpenSite, junk: str) -> None:
    site = open_site(TRUSTED_PROXIES="127.0.0.1")
    headers = {b"X-Forwarded-For": junk.encode("latin-1"), b"X-Forwarded-Proto": junk.encode("latin-1")}
    assert httpx2.get(f"{site.url}/login/oidc", headers=headers).status_code == 302


def test_a_proxy_cannot_change_where_we_live(open_site: OpenSite) -> None:
    site = open_site(TRUSTED_PROXIES="127.0.0.1")
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil"}
    answer = httpx2.get(f"{site.url}/login/oidc", headers=headers)
    assert "evil" not in answer.headers["Location"]
    assert f"redirect_uri={httpx2.QueryParams({'u': site.url})}".partition("=u=")[2] in answer.headers["Location"]
