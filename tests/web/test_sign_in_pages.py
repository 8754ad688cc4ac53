"""Login, logout, and what a page does if somebody is not signed in or has not paid."""

from urllib.parse import parse_qs, urlsplit

import pytest
from tests.support.running import Browser, Site
from tests.web.conftest import OpenSite

GITHUB = {"GITHUB_CLIENT_ID": "github-client", "GITHUB_CLIENT_SECRET": "github-secret"}
JSON = {"Accept": "application/json"}


def test_one_issuer_is_asked_straight_away(standing_site: Site) -> None:
    answer = Browser(standing_site.url).get("/login")
    assert answer.status_code == 302
    asked = urlsplit(answer.headers["Location"])
    assert f"{asked.scheme}://{asked.netloc}" == standing_site.sandbox.url
    query = parse_qs(asked.query)
    assert query["redirect_uri"] == [f"{standing_site.url}/login/oidc/callback"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["response_type"] == ["code"]


def test_several_issuers_are_a_choice(open_site: OpenSite) -> None:
    site = open_site(**GITHUB, OIDC_NAME="Example ID")
    page = Browser(site.url).get("/login")
    assert page.status_code == 200
    assert "<strong>GitHub</strong>" in page.text
    assert "<strong>Example ID</strong>" in page.text
    assert "Set-Cookie" not in page.headers
    assert "Hello" in Browser(site.url).sign_in("Alice Example", path="/login/oidc").text


def test_signed_in_already_goes_on_at_once(standing_site: Site) -> None:
    browser = Browser(standing_site.url)
    browser.sign_in("Alice Example")
    answer = browser.get("/login", return_to="/account")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account")


def test_unknown_issuers_are_not_found(standing_site: Site) -> None:
    browser = Browser(standing_site.url)
    for path in ("/login/nobody", "/login/nobody/callback", "/login/github", "/login/%2e%2e/callback"):
        assert browser.get(path).status_code == 404


def test_anybody_who_refuses_at_the_issuer_stays_signed_out(standing_site: Site) -> None:
    browser = Browser(standing_site.url)
    chooser = browser.follow(browser.get("/login"))
    page = browser.follow(browser.submit(chooser, "Deny", deny="yes"))
    assert page.status_code == 403
    assert "You did not sign in" in page.text
    assert "Login" in browser.get("/").text


def test_logout_is_a_button_not_a_link(standing_site: Site) -> None:
    browser = Browser(standing_site.url)
    browser.sign_in("Alice Example")
    page = browser.get("/logout")
    assert page.status_code == 200
    assert "signed in as Alice Example" in page.text
    assert "Hello, Alice Example" in browser.get("/").text
    answer = browser.submit(page, "Logout")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "You are signed out" in browser.get("/logout").text


def test_logging_out_twice_does_no_harm(standing_site: Site) -> None:
    browser, second_tab = Browser(standing_site.url), Browser(standing_site.url)
    browser.sign_in("Alice Example")
    second_tab.client.cookies = browser.client.cookies
    stale = second_tab.get("/logout")
    browser.submit(browser.get("/"), "Logout")
    answer = second_tab.submit(stale, "Logout")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


@pytest.mark.parametrize(
    "path", ["/dashboard", "/account", "/purchase/success?session_id=cs_test_1", "/purchase/cancel"]
)
def test_signed_out_one_is_sent_to_sign_in_and_back(standing_site: Site, path: str) -> None:
    answer = Browser(standing_site.url).get(path)
    assert answer.status_code == 302
    to = urlsplit(answer.headers["Location"])
    assert to.path == "/login"
    assert parse_qs(to.query) == {"return_to": [path]}


def test_one_comes_back_to_where_one_was_going(standing_site: Site) -> None:
    assert "<h1>Account</h1>" in Browser(standing_site.url).sign_in("Alice Example", path="/account").text


def test_not_paid_the_dashboard_sends_to_where_it_is_sold(standing_site: Site) -> None:
    browser = Browser(standing_site.url)
    browser.sign_in("Alice Example")
    answer = browser.get("/dashboard")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


@pytest.mark.parametrize("path", ["/dashboard", "/account"])
def test_programs_are_told_to_sign_in(standing_site: Site, path: str) -> None:
    answer = Browser(standing_site.url).client.get(f"{standing_site.url}{path}", headers=JSON)
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "WWW-Authenticate" in answer.headers
    assert answer.json()["status"] == 401


def test_programs_are_told_to_pay(standing_site: Site) -> None:
    browser = Browser(standing_site.url)
    browser.sign_in("Alice Example")
    answer = browser.client.get(f"{standing_site.url}/dashboard", headers=JSON)
    assert answer.status_code == 402
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail"}


def test_a_form_of_somebody_signed_out_meanwhile_leads_to_sign_in(standing_site: Site) -> None:
    browser = Browser(standing_site.url)
    page = browser.sign_in("Alice Example")
    browser.client.cookies.clear()
    answer = browser.submit(page, "Purchase")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
