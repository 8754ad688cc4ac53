"""On the local machine, one server has several names, and no Host header leads anywhere else."""

import socket
from urllib.parse import urlsplit

import httpx2
import pytest
from tests.support.running import Browser, Site


def ask(site: Site, path: str, host: str, method: str = "GET") -> httpx2.Response:
    return httpx2.request(method, f"{site.url}{path}", headers={"Host": host})


def port(site: Site) -> int:
    found = urlsplit(site.url).port
    assert found
    return found


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "[::1]"])
def test_another_name_of_this_machine_leads_to_ours(standing_site: Site, name: str) -> None:
    answer = ask(standing_site, "/dashboard?a=1&b=%20", f"{name}:{port(standing_site)}")
    assert answer.status_code == 307
    assert answer.headers["Location"] == f"{standing_site.url}/dashboard?a=1&b=%20"


def test_our_own_name_stays(standing_site: Site) -> None:
    assert ask(standing_site, "/", f"127.0.0.1:{port(standing_site)}").status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "localhost:1", "127.0.0.1", "evil.example:80", "localhost@evil.example"],
)
def test_a_foreign_host_leads_nowhere(standing_site: Site, host: str) -> None:
    answer = ask(standing_site, "/", host)
    assert answer.status_code == 200
    assert "evil" not in answer.text
    going = ask(standing_site, "/login", host).headers["Location"]
    assert "evil" not in going
    assert urlsplit(going).netloc == urlsplit(standing_site.sandbox.url).netloc


def test_only_looking_is_redirected(standing_site: Site) -> None:
    assert ask(standing_site, "/logout", f"localhost:{port(standing_site)}", "POST").status_code == 403


@pytest.mark.parametrize(
    "path", ["//evil.example/", "/\\evil.example", "/%0d%0aLocation:%20https://evil.example", "/@evil"]
)
def test_a_strange_path_stays_here(standing_site: Site, path: str) -> None:
    answer = ask(standing_site, path, f"localhost:{port(standing_site)}")
    assert answer.headers["Location"].startswith(f"{standing_site.url}/")
    assert httpx2.URL(answer.headers["Location"]).netloc.decode() == urlsplit(standing_site.url).netloc


@pytest.mark.parametrize("target", ["@evil.example/", "http://evil.example/", "evil.example:80", "*", ":1/", ""])
def test_a_strange_target_leads_nowhere_else(standing_site: Site, target: str) -> None:
    head = f"GET {target} HTTP/1.1\r\nHost: localhost:{port(standing_site)}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port(standing_site)), 5) as connection:
        connection.sendall(head.encode())
        answer = b""
        while part := connection.recv(10_000):
            answer += part
    locations = [line.partition(": ")[2] for line in answer.decode().splitlines() if line.startswith("location: ")]
    assert {httpx2.URL(location).netloc.decode() for location in locations} <= {urlsplit(standing_site.url).netloc}


def test_checkout_returns_to_the_public_address_whatever_the_host(plain_site: Site) -> None:
    browser = Browser(plain_site.url)
    browser.sign_in("Alice Example")
    browser.client.headers["Host"] = "evil.example"
    page = browser.get("/")
    browser.submit(page, "Purchase")
    (made,) = plain_site.sandbox.stripe.v1.checkout.sessions.list({"limit": 1}).data
    assert (made.success_url or "").startswith(f"{plain_site.url}/purchase/success")
