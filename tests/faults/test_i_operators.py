"""I56 to I58: other sites' forms, secrets in logs, and settings with which the app must not start."""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from stripe import WebhookSignature
from tests.support.processes import Installation, Process, free_port, installed, listens, run
from tests.support.running import DECLINED, PAYS, Browser, Sandbox, Site, forms

from tollkeeper.storage.tables import login_sessions, orders
from tollkeeper.storage.tables import people as people_table

CHECKOUT = "/purchase/checkout-session"
LOGOUT = "/logout"
EVERYWHERE = "/account/sign-out-everywhere"
END_ONE = "/account/login-sessions/{other}/end"
DATABASE_PASSWORD = "canaryPasswordOfTheDatabase"
CHANGING = [CHECKOUT, LOGOUT, EVERYWHERE, END_ONE]


@pytest.fixture
def engine() -> str:
    """What refuses here never asks the database, so one engine is enough."""
    return "sqlite"


@pytest.fixture
def alice(site: Site) -> Browser:
    """Signed in, in this browser and in another."""
    Browser(site.url).sign_in("Alice Example")
    browser = Browser(site.url)
    browser.sign_in("Alice Example")
    return browser


def csrf_token(browser: Browser) -> str:
    return next(form.fields["csrf_token"] for form in forms(browser.get("/account")) if "csrf_token" in form.fields)


def address(browser: Browser, template: str) -> str:
    """The address of a form; for ending a login session, that of Alice's other browser."""
    ends = [form.action for form in forms(browser.get("/account")) if form.action.endswith("/end")]
    return ends[0] if "{other}" in template else template


Forgery = Callable[[Site, Browser, str], httpx2.Response]


def from_origin(origin: str) -> Forgery:
    """A page of another site posts, and even knows the token."""

    def post(site: Site, browser: Browser, where: str) -> httpx2.Response:
        return browser.client.post(site.url + where, data=good_fields(browser), headers={"Origin": origin})

    return post


def with_fields(fields: Callable[[Site, Browser], dict[str, str]]) -> Forgery:
    """Our own page posts, without the right token."""

    def post(site: Site, browser: Browser, where: str) -> httpx2.Response:
        return browser.client.post(site.url + where, data=fields(site, browser), headers={"Origin": site.url})

    return post


def good_fields(browser: Browser) -> dict[str, str]:
    return {"csrf_token": csrf_token(browser), "product": "dashboard"}


def without_origin(site: Site, browser: Browser, where: str) -> httpx2.Response:
    return browser.client.post(site.url + where, data=good_fields(browser))


def two_origins(site: Site, browser: Browser, where: str) -> httpx2.Response:
    headers = [("Origin", site.url), ("Origin", "https://evil.example")]
    return browser.client.post(site.url + where, data=good_fields(browser), headers=headers)


def token_in_the_query(site: Site, browser: Browser, where: str) -> httpx2.Response:
    query = {"csrf_token": csrf_token(browser)}
    return browser.client.post(site.url + where, params=query, headers={"Origin": site.url})


def token_of_the_other_browser(site: Site, browser: Browser) -> dict[str, str]:
    other = Browser(site.url)
    other.sign_in("Alice Example")
    fields = good_fields(other)
    other.submit(other.get("/"), "Logout")
    return fields


def token_of_somebody_else(site: Site, browser: Browser) -> dict[str, str]:
    other = Browser(site.url)
    other.sign_in("Mallory Example")
    fields = good_fields(other)
    other.submit(other.get("/"), "Logout")
    return fields


def token_with_another_signature(site: Site, browser: Browser) -> dict[str, str]:
    named, _, signature = csrf_token(browser).rpartition(".")
    return {"csrf_token": f"{named}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"}


FORGERIES: dict[str, Forgery] = {
    "foreign origin": from_origin("https://evil.example"),
    "origin null": from_origin("null"),
    "origin that begins like ours": from_origin("http://127.0.0.1.evil.example"),
    "other port": from_origin("http://127.0.0.1:1"),
    "other loopback name": from_origin("http://localhost"),
    "no origin": without_origin,
    "two origins": two_origins,
    "no token": with_fields(lambda site, browser: {}),
    "blank token": with_fields(lambda site, browser: {"csrf_token": ""}),
    "made-up token": with_fields(lambda site, browser: {"csrf_token": secrets.token_urlsafe(32)}),
    "token that is not text": with_fields(lambda site, browser: {"csrf_token": "é\x00.ü"}),
    "unsigned token": with_fields(lambda site, browser: {"csrf_token": csrf_token(browser).rpartition(".")[0]}),
    "token with another signature": with_fields(token_with_another_signature),
    "token of the other browser": with_fields(token_of_the_other_browser),
    "somebody else's token": with_fields(token_of_somebody_else),
    "token in the query": token_in_the_query,
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_i56_a_forged_form_changes_nothing(site: Site, alice: Browser, forgery: Forgery) -> None:
    for template in CHANGING:
        answer = forgery(site, alice, address(alice, template))
        assert answer.status_code == 403, template
        assert "Set-Cookie" not in answer.headers
    assert "Hello, Alice Example" in alice.get("/").text
    assert len(sessions_of(site, "Alice Example")) == 2
    assert site.rows(orders) == []


def sessions_of(site: Site, name: str) -> list[str]:
    ids = {row.id for row in site.rows(people_table) if row.name == name}
    return [row.id for row in site.rows(login_sessions) if row.person_id in ids]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_i56_only_a_post_changes_anything(site: Site, alice: Browser, method: str) -> None:
    for template in CHANGING:
        where = address(alice, template)
        headers = {"Origin": site.url}
        answer = alice.client.request(method, site.url + where, params=good_fields(alice), headers=headers)
        shows_the_button = (template, method) == (LOGOUT, "GET")
        assert answer.status_code == (200 if shows_the_button else 405), template
    assert len(sessions_of(site, "Alice Example")) == 2
    assert site.rows(orders) == []


def test_i56_the_same_forms_work_when_they_are_ours(site: Site, alice: Browser) -> None:
    headers = {"Origin": site.url}
    for template in (CHECKOUT, END_ONE, EVERYWHERE):
        where = address(alice, template)
        assert alice.client.post(site.url + where, data=good_fields(alice), headers=headers).status_code == 303
    assert len(site.rows(orders)) == 1
    assert sessions_of(site, "Alice Example") == []


def test_i56_nobody_ends_somebody_elses_login_session(site: Site, alice: Browser) -> None:
    mallory = Browser(site.url)
    mallory.sign_in("Mallory Example")
    where = address(alice, END_ONE)
    mallory.client.post(site.url + where, data=good_fields(mallory), headers={"Origin": site.url})
    assert len(sessions_of(site, "Alice Example")) == 2


class Canaries:
    """What must never be written down, each with what it is."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.site = settings["PUBLIC_URL"]
        names = ("SECRET_KEY", "STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET", "OIDC_CLIENT_SECRET")
        self.words = {settings[name]: name for name in names} | {DATABASE_PASSWORD: "database password"}
        self.words |= dict.fromkeys([PAYS, PAYS.replace(" ", ""), DECLINED, DECLINED.replace(" ", "")], "card number")
        self.pages: list[str] = []

    def watch(self, browser: Browser) -> None:
        """Look at all that goes to and fro from now on."""
        browser.client.event_hooks = {"request": [self._asked], "response": [self._answered]}

    def _asked(self, request: httpx2.Request) -> None:
        for name in ("code", "state", "nonce", "code_challenge"):
            self._note(name, *parse_qs(urlsplit(str(request.url)).query).get(name, ()))

    def _answered(self, response: httpx2.Response) -> None:
        response.read()
        for name, value in response.cookies.items():
            self._note(f"cookie {name.partition('-')[0]}", value)  # what follows tells attempts apart
        for form in forms(response):
            self._note("form token", *(value for name, value in form.fields.items() if name == "csrf_token"))
        if "/c/pay/" in response.headers.get("Location", ""):
            self._note("hosted page", response.headers["Location"])
        if response.status_code >= 400 and str(response.url).startswith(self.site):
            self.pages.append(response.text)

    def _note(self, name: str, *values: str) -> None:
        self.words |= {value: name for value in values if len(value) > 15}

    def found_in(self, text: str) -> list[str]:
        """The names of those that a text gives away."""
        return [name for word, name in self.words.items() if word in text]


@contextmanager
def talkative(app: Installation) -> Iterator[tuple[Process, Canaries, Browser]]:
    with app.serving() as process:
        canaries, browser = Canaries(app.settings), Browser(app.url)
        canaries.watch(browser)
        yield process, canaries, browser


@pytest.fixture
def app(sandbox: Sandbox, postgresql_url: str, tmp_path: Path) -> Installation:
    """Every setting that is a secret holds a distinctive one, and one page is broken."""
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "cancel.html").write_text("{{ visitor.name.nothing.at.all }}{{ csrf_token.nothing.at.all }}")
    return installed(
        sandbox,
        postgresql_url.replace("postgres@", f"postgres:{DATABASE_PASSWORD}@"),
        tmp_path,
        SECRET_KEY=f"canary-{secrets.token_urlsafe(32)}",
        STRIPE_API_KEY=f"sk_test_canary{secrets.token_hex(16)}",
        TEMPLATES_DIR=str(templates),
        SIGN_IN_RATE="12/day",
    )


def webhook(app: Installation, body: str, secret: str) -> int:
    header = {"Stripe-Signature": WebhookSignature.generate_signature_header(body, secret)}
    return httpx2.post(f"{app.url}/webhooks/stripe", content=body.encode(), headers=header).status_code


def fail_to_sign_in(browser: Browser, issuer: str) -> None:
    """Refuse at the issuer; then come back with a made-up code, and far too often."""
    chooser = browser.follow(browser.get("/login"))
    assert browser.follow(browser.submit(chooser, "Deny", deny="yes")).status_code == 403
    going = browser.get("/login")
    state = parse_qs(urlsplit(going.headers["Location"]).query)["state"][0]
    answer = {"code": secrets.token_urlsafe(24), "state": state, "iss": issuer}
    statuses = [browser.get("/login/oidc/callback", **answer).status_code for _ in range(20)]
    assert set(statuses) == {400, 429}


def test_i57_no_secret_in_logs_and_error_pages(app: Installation) -> None:
    with talkative(app) as (process, canaries, browser):
        assert "Hello, Alice" in browser.sign_in("Alice Example").text
        hosted = browser.checkout()
        assert browser.pay(hosted, DECLINED).status_code == 402
        cancelled = browser.get("/purchase/cancel", session_id=urlsplit(str(hosted.url)).path.split("/")[-1])
        assert cancelled.status_code == 500
        assert "Payment done" in browser.follow(browser.pay(hosted)).text
        assert browser.enters()
        assert browser.get("/account").status_code == 200
        wrong = browser.client.post(app.url + CHECKOUT, data={"csrf_token": "x"}, headers={"Origin": app.url})
        assert wrong.status_code == 403
        assert browser.get("/nowhere", code="canary-in-a-query-string").status_code == 404
        secret = app.settings["STRIPE_WEBHOOK_SECRET"]
        assert webhook(app, "{}", secret) == 400
        assert webhook(app, "{}", "whsec_wrong") == 400
        stranger = Browser(app.url)
        canaries.watch(stranger)
        fail_to_sign_in(stranger, app.settings["OIDC_ISSUER"])
        browser.submit(browser.get("/"), "Logout")
    written = process.output()
    assert "unexpected error" in written
    assert "UndefinedError" in written
    assert "sign-in failed" in written
    assert "invalid_grant" in written
    assert "canary-in-a-query-string" not in written
    assert len(canaries.pages) > 20
    watched = {"code", "state", "nonce", "form token", "hosted page", "cookie tollkeeper", "cookie tollkeeper_login"}
    assert watched <= set(canaries.words.values())
    assert canaries.found_in(written) == []
    assert not re.search(r"eyJ[\w-]+\.eyJ", written)  # an ID token
    assert [name for page in canaries.pages for name in canaries.found_in(page)] == []
    assert not any("Traceback" in page or "templates" in page for page in canaries.pages)


def test_i57_a_canary_is_seen(app: Installation) -> None:
    canaries = Canaries(app.settings)
    assert canaries.found_in(f"so it says {app.settings['STRIPE_API_KEY']}") == ["STRIPE_API_KEY"]


def test_i57_a_fault_in_the_settings_is_reported_without_the_value(tmp_path: Path) -> None:
    canary = "canary" * 3
    names = ("SECRET_KEY", "STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET", "DATABASE_URL", "PUBLIC_URL", "OIDC_ISSUER")
    (tmp_path / ".env").write_text("".join(f"{name}={canary}://{canary}\n" for name in names))
    ended = run("serve", folder=tmp_path)
    assert ended.returncode == 1
    assert all(name in ended.stderr for name in names)
    assert canary not in ended.stdout + ended.stderr


WRONG = {
    "live key on this machine": ({"STRIPE_API_KEY": "sk_live_1"}, {"PUBLIC_URL", "STRIPE_API_BASE"}),
    "test key on a public address": ({"PUBLIC_URL": "https://pay.example.com"}, {"STRIPE_API_KEY"}),
    "mixed modes": ({"STRIPE_PUBLIC": "pk_live_1"}, {"STRIPE_PUBLIC"}),
    "weak secret key": ({"SECRET_KEY": "a" * 40}, {"SECRET_KEY"}),
    "plain http elsewhere": ({"PUBLIC_URL": "http://pay.example.com"}, {"PUBLIC_URL"}),
    "unknown setting": ({"PUBLIC_ADDRESS": "https://pay.example.com"}, {"PUBLIC_ADDRESS"}),
    "everybody a trusted proxy": ({"TRUSTED_PROXIES": "*"}, {"TRUSTED_PROXIES"}),
    "several at once": (
        {"SECRET_KEY": "weak", "PUBLIC_URL": "", "PRODUCT_PRICE_ID": "prod_1", "OIDC_CLIENT_SECRET": ""},
        {"SECRET_KEY", "PUBLIC_URL", "PRODUCT_PRICE_ID", "OIDC_CLIENT_SECRET"},
    ),
}


@pytest.mark.parametrize(("change", "named"), WRONG.values(), ids=WRONG.keys())
def test_i58_wrong_settings_are_never_served(
    sandbox: Sandbox, tmp_path: Path, change: dict[str, str], named: set[str]
) -> None:
    port = free_port()
    app = installed(sandbox, "sqlite:///never.sqlite3", tmp_path)
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in (app.settings | change).items()))
    ended = run("serve", f"--port={port}", folder=tmp_path)
    assert ended.returncode == 1
    assert {name for name in named if re.search(rf"^ +{name}$", ended.stderr, re.M)} == named
    assert f"{len(named)} fault" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not listens(port)
    assert not (tmp_path / "never.sqlite3").exists()
