"""G47 to G50 on the running app: whose sign-in it is, who a person is, what ends a login session, the redirect."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2
import pytest
from oidc_provider_mock import User, run_server_in_thread  # type: ignore[import-untyped]
from tests.support.running import Browser, Sandbox, Site, forms, running_site

from tollkeeper.signin.attempt import ATTEMPT_SECONDS
from tollkeeper.storage.tables import audit, grants, identities, login_sessions, people
from tollkeeper.web.cookies import ATTEMPT_COOKIE
from tollkeeper_sandbox import Person

COOKIE = "tollkeeper"
SUBJECT = Person("Alice Example", "alice@example.com").subject
BOTH = pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
OTHER_ISSUERS = {
    "GOOGLE_CLIENT_ID": "google-client",
    "GOOGLE_CLIENT_SECRET": "google-secret",
    "GITHUB_CLIENT_ID": "github-client",
    "GITHUB_CLIENT_SECRET": "github-secret",
}


@pytest.fixture
def engine() -> str:
    """One engine is enough, but where people and login sessions are kept."""
    return "sqlite"


@pytest.fixture(scope="module")
def independent() -> Iterator[str]:
    """An OpenID Connect issuer that others wrote. Its Alice has the subject and the address of the sandbox's."""
    alice = {"name": "Alice Elsewhere", "email": "alice@example.com", "email_verified": True}
    with run_server_in_thread(user_claims=[User(sub=SUBJECT, claims=alice)], require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


def accepted(browser: Browser, path: str = "/login", name: str = "Alice Example") -> str:
    """Begin to sign in, agree at the issuer, and stop there. The address that the issuer sends the browser to."""
    chooser = browser.follow(browser.get(path))
    email = f"{name.split()[0].lower()}@example.com"
    return str(browser.submit(chooser, "Continue", name=name, email=email, email_verified="yes").headers["Location"])


def attempt_of(browser: Browser) -> tuple[str, str]:
    """Name and value of the cookie of the one attempt that the browser has under way."""
    ((name, value),) = attempts_of(browser).items()
    return name, value


def attempts_of(browser: Browser) -> dict[str, str]:
    return {name: value for name, value in browser.client.cookies.items() if name.startswith(ATTEMPT_COOKIE)}


def refused(browser: Browser, callback: str, status: int = 400) -> bool:
    """Whether the callback is refused, and signs nobody in."""
    answer = browser.client.get(callback)
    return answer.status_code == status and COOKIE not in browser.client.cookies and signed_out(browser)


def signed_out(browser: Browser) -> bool:
    return "Hello" not in browser.get("/").text


def with_query(address: str, **changes: str | None) -> str:
    """An address with other parameters; None leaves one out."""
    parts = urlsplit(address)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | changes
    return parts._replace(query=urlencode({name: value for name, value in query.items() if value is not None})).geturl()


def test_g47_a_callback_begun_nowhere(site: Site) -> None:
    mallory, victim = Browser(site.url), Browser(site.url)
    callback = accepted(mallory, name="Mallory Example")
    assert refused(victim, callback)
    assert site.rows(people) == []


def test_g47_a_callback_begun_in_another_browser(site: Site) -> None:
    mallory, victim = Browser(site.url), Browser(site.url)
    callback = accepted(mallory, name="Mallory Example")
    victim.get("/login")
    assert attempts_of(victim)
    assert refused(victim, callback)
    assert site.rows(people) == []


def test_g47_a_callback_forced_on_somebody_signed_in(site: Site) -> None:
    mallory, victim = Browser(site.url), Browser(site.url)
    victim.sign_in("Alice Example")
    victim.client.get(accepted(mallory, name="Mallory Example"))
    assert "Hello, Alice Example" in victim.get("/").text


def test_g47_a_callback_replayed(site: Site) -> None:
    browser = Browser(site.url)
    chooser = browser.follow(browser.get("/login"))
    name, cookie = attempt_of(browser)
    answer = browser.submit(chooser, "Continue", name="Alice", email="alice@example.com", email_verified="yes")
    callback = str(answer.headers["Location"])
    assert browser.client.get(callback).status_code == 303
    assert attempts_of(browser) == {}

    assert refused(Browser(site.url), callback)
    with_everything = Browser(site.url)
    with_everything.client.cookies.set(name, cookie, "127.0.0.1", "/login")
    assert refused(with_everything, callback)
    assert len(site.rows(login_sessions)) == 1


def test_g47_an_answer_at_another_issuers_address(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> None:
    with running_site(sandbox, sqlite_url, tmp_path, **OTHER_ISSUERS) as site:
        browser = Browser(site.url)
        callback = accepted(browser, "/login/oidc")
        for other in ("google", "github"):
            assert refused(browser, callback.replace("/login/oidc/", f"/login/{other}/"))
        assert refused(browser, callback.replace("/login/oidc/", "/login/nobody/"), 404)

        browser = Browser(site.url)
        going = browser.get("/login/github").headers["Location"]
        assert going.startswith("https://github.com/login/oauth/authorize?")
        state = parse_qs(urlsplit(going).query)["state"][0]
        callback = accepted(Browser(site.url), "/login/oidc")
        assert refused(browser, with_query(callback, state=state))
        assert site.rows(people) == []


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"iss": ""},
        {"state": "made-up"},
        {"state": None},
        {"state": "é\u0000"},
        {"code": None},
        {"code": "made-up"},
        {"error": "access_denied_or_so"},
    ],
    ids=str,
)
def test_g47_an_answer_that_is_not_the_issuers(site: Site, change: dict[str, str | None]) -> None:
    browser = Browser(site.url)
    assert refused(browser, with_query(accepted(browser), **change))
    assert site.rows(people) == []


def test_g47_a_doubled_parameter_is_never_a_way_in(site: Site) -> None:
    browser = Browser(site.url)
    callback = accepted(browser)
    assert refused(browser, f"{callback}&state=made-up")


def test_g47_a_tampered_attempt(site: Site) -> None:
    browser = Browser(site.url)
    callback = accepted(browser)
    name, cookie = attempt_of(browser)
    payload, timestamp, signature = cookie.rsplit(".", 2)
    forgeries = [
        "",
        "é".encode().decode("latin-1"),
        payload,
        f"{payload}.{timestamp}.",
        f"{payload}.{timestamp}.{signature[::-1]}",
        f"{payload}.AAAAAA.{signature}",
        f"{payload[:-2]}AA.{timestamp}.{signature}",
        f".{cookie}",
        "A" * 5000,
        signed_for_something_else(site),
    ]
    for forgery in forgeries:
        bare = Browser(site.url)
        answer = bare.client.get(callback, headers=cookie_header(name, forgery))
        assert answer.status_code == 400, forgery
        assert "Set-Cookie" not in answer.headers
    assert browser.client.get(callback).status_code == 303


def cookie_header(name: str, value: str) -> dict[bytes, bytes]:
    return {b"Cookie": f"{name}={value}".encode("latin-1")}


def signed_for_something_else(site: Site) -> str:
    """A form's token, which the same keys have signed."""
    browser = Browser(site.url)
    browser.sign_in("Alice Example")
    return next(form.fields["csrf_token"] for form in forms(browser.get("/")))


def test_g47_an_attempt_that_took_too_long(site: Site) -> None:
    browser = Browser(site.url)
    callback = accepted(browser)
    site.clock.ahead = ATTEMPT_SECONDS + 1
    assert refused(browser, callback)


def test_g47_an_attempt_just_in_time(site: Site) -> None:
    browser = Browser(site.url)
    callback = accepted(browser)
    site.clock.ahead = 60
    assert browser.client.get(callback).status_code == 303
    assert not signed_out(browser)


@BOTH
def test_g48_the_same_address_at_another_issuer_is_somebody_else(
    sandbox: Sandbox, database_url: str, tmp_path: Path, independent: str
) -> None:
    with running_site(sandbox, database_url, tmp_path) as site:
        payer = Browser(site.url)
        payer.sign_in("Alice Example", "alice@example.com")
        payer.follow(payer.pay())
        assert payer.enters()
    theirs = {"OIDC_ISSUER": independent, "OIDC_CLIENT_ID": "any", "OIDC_CLIENT_SECRET": "any"}
    with running_site(sandbox, database_url, tmp_path, **theirs) as site:
        other = Browser(site.url)
        landing = sign_in_elsewhere(other)
        assert "Hello, Alice Elsewhere" in landing.text
        assert "alice@example.com" in other.get("/account").text
        assert not other.enters()
        assert len(site.rows(people)) == 2
        assert len({row.person_id for row in site.rows(identities)}) == 2
        assert {row.subject for row in site.rows(identities)} == {SUBJECT}


def sign_in_elsewhere(browser: Browser, path: str = "/login") -> httpx2.Response:
    form = browser.follow(browser.get(path))
    return browser.follow(browser.submit(form, "Authorize", sub=SUBJECT))


@BOTH
def test_the_whole_path_with_an_independent_issuer(
    sandbox: Sandbox, database_url: str, tmp_path: Path, independent: str
) -> None:
    theirs = {"OIDC_ISSUER": independent, "OIDC_CLIENT_ID": "any", "OIDC_CLIENT_SECRET": "any"}
    with running_site(sandbox, database_url, tmp_path, **theirs) as site:
        browser = Browser(site.url)
        assert "Dashboard" not in sign_in_elsewhere(browser, "/dashboard").text
        assert "Payment done" in browser.follow(browser.pay()).text
        assert browser.enters()
        assert [row.change for row in site.rows(audit)] == ["granted"]
        browser.submit(browser.get("/"), "Logout")
        assert "Dashboard" in sign_in_elsewhere(browser, "/dashboard").text


def test_g48_an_unverified_address_is_not_kept(site: Site) -> None:
    browser = Browser(site.url)
    chooser = browser.follow(browser.get("/login"))
    fields = {"name": "Alice Example", "email": "alice@example.com", "email_verified": ""}
    assert "Hello, Alice Example" in browser.follow(browser.submit(chooser, "Continue", **fields)).text
    assert [row.email for row in site.rows(people)] == [None]
    assert "alice@example.com" not in browser.get("/account").text
    browser.follow(browser.pay())
    assert browser.enters()


def test_g48_a_name_cannot_be_markup(site: Site) -> None:
    browser = Browser(site.url)
    page = browser.sign_in("<script>alert(1)</script>", "script@example.com")
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


@BOTH
def test_g49_a_planted_cookie_is_not_adopted(site: Site) -> None:
    planted = "A" * 43
    victim, mallory = Browser(site.url), Browser(site.url)
    for browser in (victim, mallory):
        browser.client.cookies.set(COOKIE, planted, "127.0.0.1", "/")
    victim.sign_in("Alice Example")
    assert victim.client.cookies[COOKIE] != planted
    assert signed_out(mallory)


@BOTH
def test_g49_a_planted_login_session_is_ended(site: Site) -> None:
    mallory, victim = Browser(site.url), Browser(site.url)
    mallory.sign_in("Mallory Example")
    token = mallory.client.cookies[COOKIE]
    victim.client.cookies.set(COOKIE, token, "127.0.0.1", "/")
    victim.client.get(accepted(victim, "/login/oidc"))
    assert "Hello, Alice Example" in victim.get("/").text
    assert victim.client.cookies[COOKIE] != token
    assert signed_out(mallory)


@BOTH
def test_g49_each_login_is_a_new_token(site: Site) -> None:
    browser = Browser(site.url)
    browser.sign_in("Alice Example")
    first = browser.client.cookies[COOKIE]
    browser.client.get(accepted(browser, "/login/oidc"))
    assert browser.client.cookies[COOKIE] != first
    assert len(site.rows(login_sessions)) == 1
    old = Browser(site.url)
    old.client.cookies.set(COOKIE, first, "127.0.0.1", "/")
    assert signed_out(old)


@BOTH
def test_g49_logout_ends_it_on_the_server(site: Site) -> None:
    browser, thief = Browser(site.url), Browser(site.url)
    browser.sign_in("Alice Example")
    browser.follow(browser.pay())
    thief.client.cookies.set(COOKIE, browser.client.cookies[COOKIE], "127.0.0.1", "/")
    assert thief.enters()
    left = browser.submit(browser.get("/"), "Logout")
    assert (left.status_code, left.headers["Location"]) == (303, "/")
    assert COOKIE not in browser.client.cookies
    assert signed_out(thief)
    assert not thief.enters()
    assert site.rows(login_sessions) == []
    assert len(site.rows(grants)) == 1


def test_g49_a_login_session_runs_out(site: Site) -> None:
    browser = Browser(site.url)
    browser.sign_in("Alice Example")
    site.clock.ahead = 30 * 24 * 3600 - 60
    assert not signed_out(browser)
    site.clock.ahead = 30 * 24 * 3600
    assert signed_out(browser)


@pytest.mark.parametrize("token", ["", "A" * 42, "A" * 44, "A" * 43, "A" * 4000, "é" * 43, "' OR 1=1 --" + "A" * 32])
def test_g49_a_made_up_token_is_nobody(site: Site, token: str) -> None:
    answer = httpx2.get(site.url, headers=cookie_header(COOKIE, token))
    assert answer.status_code == 200
    assert "Login" in answer.text


GOOD = ["/", "/dashboard", "/account?tab=own", "/a/b-c_d~e?x=1&y=%20#part"]
EVIL = [
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/%5cevil.example",
    "/%2f%2fevil.example",
    "/%09/evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/\r\nLocation: https://evil.example",
    "/%0d%0aLocation:%20https://evil.example",
    "/\x00/evil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/a/../..//evil.example",
    "/;@evil.example",
    "https://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "http://evil.example",
    "HTTPS://EVIL.EXAMPLE",
    "javascript:alert(1)",
    "data:text/html,hello",
    "evil.example",
    "@evil.example",
    ".evil.example",
    "//evil。example",
    "/／evil.example",
    "https://127.0.0.1@evil.example",
    "https://127.0.0.1:80@evil.example",
    "https://127.0.0.1.evil.example",
    "https://127.0.0.1\\@evil.example",
    "https://evil.example#127.0.0.1",
    "?//evil.example",
    "",
    "/" + "a" * 9000,
]


def lands_on(site: Site, path: str, return_to: str) -> str:
    """Where the browser is sent after the whole sign-in. The parameter is sent with every byte escaped."""
    escaped = "".join(f"%{byte:02x}" for byte in return_to.encode())
    browser = Browser(site.url)
    return str(browser.client.get(accepted(browser, f"{path}?return_to={escaped}")).headers["Location"])


@pytest.mark.parametrize("path", ["/login", "/login/oidc"])
def test_g50_a_good_return_address_is_kept(site: Site, path: str) -> None:
    wanted = [*GOOD, f"{site.url}/dashboard"]
    assert {address: lands_on(site, path, address) for address in wanted} == {address: address for address in wanted}


@pytest.mark.parametrize("path", ["/login", "/login/oidc"])
def test_g50_no_evil_return_address_passes(site: Site, path: str) -> None:
    evil = [*EVIL, site.url.replace("//", "//evil@"), f"{site.url}.evil.example", f"{site.url}@evil.example"]
    assert {address: lands_on(site, path, address) for address in evil} == dict.fromkeys(evil, "/")


def test_g50_nor_when_signed_in_already(site: Site) -> None:
    browser = Browser(site.url)
    browser.sign_in("Alice Example")
    for wanted, lands in [("/dashboard", "/dashboard"), *dict.fromkeys(EVIL, "/").items()]:
        assert browser.get("/login", return_to=wanted).headers["Location"] == lands, wanted


def test_g50_two_return_addresses_are_judged_like_one(site: Site) -> None:
    browser = Browser(site.url)
    callback = accepted(browser, "/login?return_to=/dashboard&return_to=//evil.example")
    assert browser.client.get(callback).headers["Location"] in {"/", "/dashboard"}


def test_g50_the_chooser_hands_the_address_on(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> None:
    with running_site(sandbox, sqlite_url, tmp_path, **OTHER_ISSUERS, OIDC_NAME="Sandbox ID") as site:
        browser = Browser(site.url)
        good = browser.get("/login", return_to="/account?tab=own&x=1").text
        assert "evil" not in browser.get("/login", return_to="//evil.example").text
        link = next(line.split('"')[3] for line in good.splitlines() if "/login/oidc" in line)
        callback = accepted(browser, urljoin(site.url, link.replace("&amp;", "&")))
        assert browser.client.get(callback).headers["Location"] == "/account?tab=own&x=1"


def test_g50_other_hosts_only_when_they_are_gated(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> None:
    with running_site(sandbox, sqlite_url, tmp_path, GATED_HOSTS="app.example.com") as site:
        assert lands_on(site, "/login", "https://app.example.com/reports") == "https://app.example.com/reports"
        for evil in (
            "http://app.example.com:81/",
            "https://app.example.com.evil.example/",
            "https://x.app.example.com/",
        ):
            assert lands_on(site, "/login", evil) == "/"
