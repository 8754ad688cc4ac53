"""Headers on every response, cookies, and what changes with https."""

import re
from collections.abc import Iterator
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from tests.support.databases import fresh_sqlite
from tests.support.running import Browser, Sandbox, Site, running_site
from tests.web.conftest import OpenSite

PUBLIC = "https://pay.example.com"
# What text may lose in front of a name, and what a name keeps in a browser, which protects no name but ours.
ALIKE = [b"\xa0", b"\x85"]
EVERYWHERE = ["/", "/login", "/logout", "/dashboard", "/nowhere", "/healthz", "/static/style.css", "/static/theme.css"]
PAGES = ["/", "/logout", "/nowhere", "/account", "/dashboard", "/purchase/cancel", "/login"]


class BehindTls(httpx2.BaseTransport):
    """What a proxy that ends TLS does: it hands requests on over plain http, with the Host as it came."""

    def __init__(self, app_url: str) -> None:
        self._app = urlsplit(app_url)
        self._inner = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url.copy_with(scheme="http", host=self._app.hostname, port=self._app.port)
        return self._inner.handle_request(
            httpx2.Request(request.method, url, headers=request.headers, stream=request.stream)
        )


@pytest.fixture(scope="module")
def secure_site(sandbox: Sandbox, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An app whose visitors come over https."""
    folder = tmp_path_factory.mktemp("site")
    settings = {"PUBLIC_URL": PUBLIC, "ALLOW_TEST_MODE": "true"}
    with running_site(sandbox, fresh_sqlite(sqlite_template, folder), folder, **settings) as site:
        yield site


@pytest.fixture
def secure_browser(secure_site: Site) -> Browser:
    """A browser that reaches it."""
    browser = Browser(PUBLIC)
    mounts = {PUBLIC: BehindTls(secure_site.url)}
    browser.client = httpx2.Client(mounts=mounts, headers={"Accept": "text/html"}, timeout=20)
    return browser


def cookies(answer: httpx2.Response) -> dict[str, Morsel[str]]:
    """The cookies that an answer sets."""
    return {
        name: morsel for line in answer.headers.get_list("Set-Cookie") for name, morsel in SimpleCookie(line).items()
    }


def flags(morsel: Morsel[str]) -> dict[str, object]:
    return {name: morsel[name] for name in ("httponly", "secure", "samesite", "path", "domain")}


@pytest.mark.parametrize("path", EVERYWHERE)
def test_every_answer_is_careful(standing_site: Site, path: str) -> None:
    headers = Browser(standing_site.url).get(path).headers
    assert headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        f"form-action 'self' {standing_site.sandbox.url}; base-uri 'none'; frame-ancestors 'none'"
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in headers
    assert "Server" not in headers


def test_forms_may_lead_to_every_issuer_and_the_checkout_page(open_site: OpenSite) -> None:
    site = open_site(
        GITHUB_CLIENT_ID="id",
        GITHUB_CLIENT_SECRET="secret",
        GOOGLE_CLIENT_ID="id",
        GOOGLE_CLIENT_SECRET="secret",
        STRIPE_CHECKOUT_URL="https://checkout.example.com",
    )
    policy = Browser(site.url).get("/").headers["Content-Security-Policy"]
    allowed = next(part.split()[1:] for part in policy.split("; ") if part.startswith("form-action"))
    assert set(allowed) == {
        "'self'",
        "https://accounts.google.com",
        "https://checkout.example.com",
        "https://github.com",
        site.sandbox.url,
    }


@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_kept(standing_site: Site, path: str) -> None:
    browser = Browser(standing_site.url)
    assert browser.get(path).headers["Cache-Control"] == "no-store"
    browser.sign_in("Alice Example")
    assert browser.get(path).headers["Cache-Control"] == "no-store"


def test_pages_load_nothing_from_elsewhere(standing_site: Site) -> None:
    browser = Browser(standing_site.url)
    browser.sign_in("Alice Example")
    browser.follow(browser.pay())
    for path in ("/", "/account", "/dashboard", "/logout", "/nowhere"):
        text = browser.get(path).text
        assert "<script" not in text
        assert "style=" not in text
        assert ' src="http' not in text


def test_cookies_on_this_machine(standing_site: Site) -> None:
    browser = Browser(standing_site.url)
    begun = browser.get("/login")
    ((name, attempt),) = cookies(begun).items()
    assert re.fullmatch("tollkeeper_login-[0-9a-f]{16}", name)
    plain = {"httponly": True, "secure": "", "samesite": "lax", "domain": ""}
    assert flags(attempt) == plain | {"path": "/login"}
    chooser = browser.follow(begun)
    back = browser.submit(chooser, "Continue", name="Alice", email="alice@example.com", email_verified="yes")
    signed_in = browser.client.get(back.headers["Location"])
    assert flags(cookies(signed_in)["tollkeeper"]) == plain | {"path": "/"}
    assert int(cookies(signed_in)["tollkeeper"]["max-age"]) == 30 * 24 * 3600
    assert cookies(signed_in)[name].value == ""


def test_over_https_cookies_insist_on_it(secure_browser: Browser) -> None:
    begun = secure_browser.get("/login")
    everywhere = {"httponly": True, "secure": True, "samesite": "lax", "path": "/", "domain": ""}
    ((name, attempt),) = cookies(begun).items()
    assert re.fullmatch("__Host-tollkeeper_login-[0-9a-f]{16}", name)
    assert flags(attempt) == everywhere
    chooser = secure_browser.follow(begun)
    back = secure_browser.submit(chooser, "Continue", name="Alice", email="alice@example.com", email_verified="yes")
    signed_in = secure_browser.client.get(back.headers["Location"])
    assert flags(cookies(signed_in)["__Host-tollkeeper"]) == everywhere
    assert flags(cookies(signed_in)[name]) == everywhere
    assert cookies(signed_in)[name].value == ""
    left = secure_browser.submit(secure_browser.get("/"), "Logout")
    assert flags(cookies(left)["__Host-tollkeeper"]) == everywhere
    assert cookies(left)["__Host-tollkeeper"].value == ""


def test_over_https_the_whole_path(secure_browser: Browser) -> None:
    assert "Hello, Alice Example" in secure_browser.sign_in("Alice Example").text
    paid = secure_browser.pay()
    assert paid.headers["Location"].startswith(f"{PUBLIC}/purchase/success?")
    assert "Payment done" in secure_browser.follow(paid).text
    assert secure_browser.enters()


@pytest.mark.parametrize("path", EVERYWHERE)
def test_over_https_it_stays_https(secure_browser: Browser, path: str) -> None:
    assert secure_browser.get(path).headers["Strict-Transport-Security"] == "max-age=31536000"


def test_over_https_a_plain_cookie_is_not_enough(secure_browser: Browser) -> None:
    secure_browser.sign_in("Alice Example")
    token = secure_browser.client.cookies["__Host-tollkeeper"]
    secure_browser.client.cookies.clear()
    for name in ("tollkeeper", "Host-tollkeeper", "__host-tollkeeper"):
        page = secure_browser.client.get(PUBLIC, headers={"Cookie": f"{name}={token}"})
        assert "Login" in page.text
    assert "Hello" in secure_browser.client.get(PUBLIC, headers={"Cookie": f"__Host-tollkeeper={token}"}).text


@pytest.mark.parametrize("before", [b"", *ALIKE])
def test_over_https_an_attempt_is_begun_here_and_under_no_name_that_is_only_alike(
    secure_browser: Browser, before: bytes
) -> None:
    chooser = secure_browser.follow(secure_browser.get("/login"))
    ((name, attempt),) = secure_browser.client.cookies.items()
    assert name.startswith("__Host-tollkeeper_login-")
    back = secure_browser.submit(chooser, "Continue", name="Mallory", email="m@example.com", email_verified="yes")
    secure_browser.client.cookies.clear()
    planted = {b"Cookie": before + f"{name}={attempt}".encode()}
    answer = secure_browser.client.get(back.headers["Location"], headers=planted)
    assert answer.status_code == (400 if before else 303)
    assert ("__Host-tollkeeper" in cookies(answer)) == (not before)
