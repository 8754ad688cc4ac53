"""Errors: a page for people, problem details for programs, and never more than either needs."""

import re
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from tests.support.running import Browser, Site
from tests.web.conftest import OpenSite

from tollkeeper.web.guards.bodies import BODY_BYTES, BODY_SECONDS


def assert_error_page(page: httpx2.Response, status: int, title: str) -> None:
    assert page.status_code == status
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Cache-Control"] == "no-store"
    assert f"<title>{title} · Tollkeeper</title>" in page.text
    assert f"<h1>{title}</h1>" in page.text
    assert re.fullmatch(r"[0-9a-f]{16}", page.headers["X-Request-Id"])
    assert f"<code>{page.headers['X-Request-Id']}</code>" in page.text


@pytest.mark.parametrize("path", ["/nowhere", "/static/nothing.css", "/static/../app.py", "/static/logo", "/Dashboard"])
def test_404(standing_site: Site, path: str) -> None:
    assert_error_page(Browser(standing_site.url).get(path), 404, "There is nothing here")


def test_405(standing_site: Site) -> None:
    page = Browser(standing_site.url).get("/purchase/checkout-session")
    assert_error_page(page, 405, "Method not allowed")
    assert page.headers["Allow"] == "POST"


def test_413(standing_site: Site) -> None:
    browser = Browser(standing_site.url)
    browser.sign_in("Alice Example")
    headers = {"Origin": standing_site.url, "Content-Type": "application/x-www-form-urlencoded"}
    page = browser.client.post(f"{standing_site.url}/logout", content=b"x=" + b"y" * BODY_BYTES, headers=headers)
    assert_error_page(page, 413, "That is too much")


def test_413_for_a_body_of_untold_length(standing_site: Site) -> None:
    page = httpx2.post(f"{standing_site.url}/webhooks/stripe", content=iter([b"y" * 65536] * 20))
    assert_error_page(page, 413, "That is too much")


def test_408_within_five_seconds(standing_site: Site) -> None:
    began = time.monotonic()
    answer = dawdle(standing_site, "POST /webhooks/stripe HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{")
    assert answer.startswith("HTTP/1.1 408 ")
    assert "That took too long" in answer
    assert "connection: close" in answer.lower()
    assert time.monotonic() - began < BODY_SECONDS + 3


def dawdle(site: Site, begun: str) -> str:
    """Begin a request, never finish it, and hear the answer."""
    parts = urlsplit(site.url)
    with socket.create_connection((parts.hostname, parts.port), 15) as connection:
        connection.sendall(begun.encode())
        heard = b""
        while part := connection.recv(10_000):
            heard += part
    return heard.decode()


def test_429(open_site: OpenSite) -> None:
    site = open_site(SIGN_IN_RATE="1/day")
    browser = Browser(site.url)
    browser.get("/login")
    page = browser.get("/login")
    assert_error_page(page, 429, "Slow down a little")
    assert page.headers["Retry-After"] == "60"


def test_500_tells_nothing(open_site: OpenSite, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "landing.html").write_text("{{ offers[99].secret_of_the_house }}")
    page = Browser(open_site(TEMPLATES_DIR="own").url).get("/")
    assert_error_page(page, 500, "Something went wrong")
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    for secret in ("secret_of_the_house", "Traceback", "jinja", "landing.html"):
        assert secret not in page.text


def test_even_a_broken_error_page_is_an_answer(open_site: OpenSite, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "error.html").write_text("{{ nothing.at.all }}")
    answer = Browser(open_site(TEMPLATES_DIR="own").url).get("/nowhere")
    assert answer.status_code == 500
    assert "nothing" not in answer.text


@pytest.mark.parametrize("accept", ["application/json", "application/problem+json", "application/json, */*;q=0.1"])
def test_programs_get_problem_details(standing_site: Site, accept: str) -> None:
    answer = httpx2.get(f"{standing_site.url}/nowhere", headers={"Accept": accept})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json() == {
        "type": "about:blank",
        "title": "There is nothing here",
        "status": 404,
        "detail": "The address may be old, or mistyped.",
    }


def test_every_answer_has_its_own_id(standing_site: Site) -> None:
    browser = Browser(standing_site.url)
    ids = {
        browser.get(path).headers["X-Request-Id"] for path in ("/", "/", "/nowhere", "/static/style.css", "/healthz")
    }
    assert len(ids) == 5


def test_a_request_cannot_choose_its_id(standing_site: Site) -> None:
    answer = httpx2.get(standing_site.url, headers={"X-Request-Id": "chosen"})
    assert answer.headers["X-Request-Id"] != "chosen"


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"csrf_token=%ff%fe",
        b"&".join(b"x=1" for _ in range(500)),
        b"csrf_token=" + b"a" * 100_000,
        b"=&=&&&",
        b"",
    ],
)
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"])
def test_junk_in_a_form_is_refused(standing_site: Site, body: bytes, kind: str) -> None:
    browser = Browser(standing_site.url)
    browser.sign_in("Alice Example")
    headers = {"Origin": standing_site.url, "Content-Type": kind}
    answer = browser.client.post(f"{standing_site.url}/logout", content=body, headers=headers)
    assert answer.status_code in {400, 403}
    assert "Hello" in browser.get("/").text


def test_health(standing_site: Site) -> None:
    browser = Browser(standing_site.url)
    assert (browser.get("/healthz").status_code, browser.get("/healthz").text) == (200, "ok")
    assert (browser.get("/readyz").status_code, browser.get("/readyz").text) == (200, "ready")
