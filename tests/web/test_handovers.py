"""Signing in on a host that shares no cookie with ours: through a handover, and in no other way."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest
from structlog.testing import capture_logs
from tests.support.databases import fresh_sqlite
from tests.support.running import Browser, Sandbox, Site, running_site
from tests.web.test_headers import ALIKE, PUBLIC, BehindTls, cookies, flags

from tollkeeper.gate.handovers import SECONDS
from tollkeeper.gate.login_sessions import digest
from tollkeeper.storage.tables import handovers, login_sessions
from tollkeeper.web.handovers import PATH

APP, OTHER = "app.example.net", "app.example.org"
PAGE = f"https://{APP}/q3?a=1"
BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
LOGIN, SECRET = "__Host-tollkeeper", "__Host-tollkeeper_handover"
DOORS = ["/gate", "/gate/auth-request"]


class InFrontOfApp(httpx2.BaseTransport):
    """What a proxy on another host does: it asks the gate, and hands one address on to Tollkeeper."""

    def __init__(self, app_url: str) -> None:
        self._tollkeeper = BehindTls(app_url)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        said = {"Host": request.url.host, "X-Forwarded-Host": request.url.host, "X-Forwarded-Proto": "https"}
        headers = {name: value for name, value in request.headers.items() if name != "host"} | said
        if request.url.path == PATH:
            return self._tollkeeper.handle_request(httpx2.Request("GET", request.url, headers=headers))
        headers["X-Forwarded-Uri"] = request.url.raw_path.decode()
        gate = httpx2.Request("GET", f"{PUBLIC}/gate?feature=dashboard", headers=headers)
        answer = self._tollkeeper.handle_request(gate)
        return httpx2.Response(200, text="the app") if answer.status_code == 200 else answer


@pytest.fixture(scope="module")
def shop(sandbox: Sandbox, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A shop whose gated hosts are under other domains than its own."""
    folder = tmp_path_factory.mktemp("site")
    settings = {"PUBLIC_URL": PUBLIC, "GATED_HOSTS": f"{APP},{OTHER}", "TRUSTED_PROXIES": "127.0.0.1"}
    database = fresh_sqlite(sqlite_template, folder)
    with running_site(sandbox, database, folder, **settings, ALLOW_TEST_MODE="true") as site:
        yield site


def new_browser(shop: Site) -> Browser:
    browser = Browser(PUBLIC)
    mounts: dict[str, httpx2.BaseTransport] = {f"https://{host}": InFrontOfApp(shop.url) for host in (APP, OTHER)}
    browser.client = httpx2.Client(mounts=mounts | {PUBLIC: BehindTls(shop.url)}, headers=BROWSER, timeout=20)
    return browser


def signed_in(shop: Site) -> Browser:
    browser = new_browser(shop)
    browser.sign_in("Nova Example", f"{secrets.token_hex(8)}@example.com")
    return browser


@pytest.fixture
def visitor(shop: Site) -> Browser:
    """Somebody who is signed in on our own host, and has not paid."""
    return signed_in(shop)


def handover(browser: Browser, page: str = PAGE) -> str:
    """The address with which a browser that is signed in is sent back to the app's host; not gone to yet."""
    refused = browser.client.get(page)
    assert refused.status_code == 302
    sent = browser.client.get(refused.headers["Location"])
    assert sent.status_code == 303
    return str(sent.headers["Location"])


def said(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def cookie(browser: Browser, host: str, name: str = LOGIN) -> str:
    found = [one.value for one in browser.client.cookies.jar if (one.domain, one.name) == (host, name)]
    return str(found[0]) if found else ""


def knows(shop: Site, host: str, token: str) -> bool:
    """Whether the gate takes a token at a host for somebody's: it sells, instead of having them sign in."""
    forwarded = {"X-Forwarded-Host": host, "X-Forwarded-Proto": "https", "X-Forwarded-Uri": "/"} if host else {}
    headers = BROWSER | forwarded | {"Cookie": f"{LOGIN}={token}"}
    statuses = [httpx2.get(f"{shop.url}{door}?feature=dashboard", headers=headers) for door in DOORS]
    sells = ["/login" not in answer.headers["Location"] for answer in statuses]
    assert sells[0] == sells[1]
    return sells[0]


def written(shop: Site) -> tuple[int, int]:
    return len(shop.rows(login_sessions)), len(shop.rows(handovers))


def test_sign_in_pay_and_see_the_page_first_asked_for(shop: Site) -> None:
    browser = new_browser(shop)
    issuer = browser.follow(browser.client.get(PAGE))
    email = f"{secrets.token_hex(8)}@example.com"
    offer = browser.follow(browser.submit(issuer, "Continue", name="Nova", email=email, email_verified="yes"))
    assert offer.url.host == "pay.example.com"
    page = browser.follow(browser.pay(browser.follow(browser.submit(offer, "Purchase"))))
    assert (str(page.url), page.text) == (PAGE, "the app")
    elsewhere = browser.follow(browser.client.get(f"https://{OTHER}/"))
    assert (str(elsewhere.url), elsewhere.text) == (f"https://{OTHER}/", "the app")


def test_anybody_who_is_signed_in_already_is_handed_over_at_once(shop: Site, visitor: Browser) -> None:
    address = handover(visitor)
    assert address.startswith(f"https://{APP}{PATH}?token=")
    assert said(address)["return_to"] == PAGE
    secret = cookie(visitor, APP, SECRET)
    answer = visitor.client.get(address)
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    given = cookies(answer)
    ours = {"httponly": True, "secure": True, "samesite": "lax", "path": "/", "domain": ""}
    assert (flags(given[LOGIN]), flags(given[SECRET]), given[SECRET].value) == (ours, ours, "")
    assert 0 < int(given[LOGIN]["max-age"]) <= 30 * 24 * 3600
    assert len({cookie(visitor, APP), cookie(visitor, "pay.example.com"), secret, said(address)["token"]}) == 4
    assert visitor.client.get(PAGE).headers["Location"].startswith(f"{PUBLIC}/pricing?feature=dashboard&return_to=")


def test_nothing_on_the_way_may_be_kept_or_tell_the_token(visitor: Browser) -> None:
    refused = visitor.client.get(PAGE)
    sent = visitor.client.get(refused.headers["Location"])
    answers = [sent, visitor.client.get(sent.headers["Location"])]
    visitor.client.cookies.clear()
    answers.append(visitor.client.get(sent.headers["Location"]))
    assert [answer.status_code for answer in answers] == [303, 303, 400]
    for answer in answers:
        assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert refused.headers["Cache-Control"] == "no-store"
    assert said(sent.headers["Location"])["token"] not in answers[-1].text


def test_no_log_tells_what_could_be_used(visitor: Browser) -> None:
    with capture_logs() as logs:
        address, secret = handover(visitor), cookie(visitor, APP, SECRET)
        visitor.client.get(address)
        login = cookie(visitor, APP)
        visitor.client.cookies.clear()
        visitor.client.get(address)
    assert {"it has no token, or the browser kept no cookie"} == {line["reason"] for line in logs if "reason" in line}
    assert PATH in str(logs)
    for hidden in (said(address)["token"], secret, login):
        assert hidden not in str(logs)


def test_a_handover_is_for_one_use(shop: Site, visitor: Browser) -> None:
    address, secret = handover(visitor), cookie(visitor, APP, SECRET)
    assert visitor.client.get(address).status_code == 303
    before = written(shop)
    again = new_browser(shop)
    again.client.cookies.set(SECRET, secret, domain=APP, path="/")
    assert again.client.get(address).status_code == 400
    assert (written(shop), cookie(again, APP)) == (before, "")


@pytest.mark.parametrize("before", [b"", *ALIKE])
def test_a_secret_is_kept_under_no_name_that_is_only_alike(shop: Site, visitor: Browser, before: bytes) -> None:
    address, secret = handover(visitor), cookie(visitor, APP, SECRET)
    said = {b"X-Forwarded-Host": APP.encode(), b"Cookie": before + f"{SECRET}={secret}".encode()}
    answer = httpx2.get(shop.url + address.removeprefix(f"https://{APP}"), headers=said)
    assert answer.status_code == (400 if before else 303)
    assert (LOGIN in cookies(answer)) == (not before)


def test_a_handover_is_for_half_a_minute(shop: Site, visitor: Browser) -> None:
    now = shop.clock()
    try:
        shop.clock.stopped_at = now
        late, in_time = handover(visitor), handover(visitor)
        before = written(shop)
        shop.clock.stopped_at = now + SECONDS
        assert visitor.client.get(late).status_code == 400
        assert written(shop) == before
        shop.clock.stopped_at = now + SECONDS - 1
        assert visitor.client.get(in_time).status_code == 303
    finally:
        shop.clock.stopped_at = None


def test_a_handover_is_for_one_host(shop: Site, visitor: Browser) -> None:
    address, secret = handover(visitor), cookie(visitor, APP, SECRET)
    visitor.client.cookies.set(SECRET, secret, domain=OTHER, path="/")
    before = written(shop)
    assert visitor.client.get(address.replace(f"https://{APP}", f"https://{OTHER}")).status_code == 400
    assert (written(shop), cookie(visitor, OTHER)) == (before, "")
    assert visitor.client.get(address).status_code == 303


@pytest.mark.parametrize("was_there_before", [False, True])
def test_a_stranger_can_sign_nobody_in_as_themselves(shop: Site, visitor: Browser, was_there_before: bool) -> None:
    victim = new_browser(shop)
    if was_there_before:
        victim.client.get(PAGE)
    before = written(shop)
    assert victim.client.get(handover(visitor)).status_code == 400
    assert (written(shop)[0], cookie(victim, APP)) == (before[0], "")


def test_nor_have_themselves_signed_in_as_somebody(shop: Site, visitor: Browser) -> None:
    stranger = new_browser(shop)
    link = stranger.client.get(PAGE).headers["Location"]
    taken = visitor.client.get(visitor.client.get(link).headers["Location"])
    assert (taken.status_code, cookie(visitor, APP)) == (400, "")
    assert not cookie(stranger, APP)


@pytest.mark.parametrize("browser", ["", "x", digest("x")[:-1], digest("x") + "0", digest("x").upper()])
def test_without_a_browser_to_be_bound_to_there_is_no_handover(shop: Site, visitor: Browser, browser: str) -> None:
    before = written(shop)
    sent = visitor.get("/login", return_to=PAGE, browser=browser)
    assert (sent.status_code, sent.headers["Location"], written(shop)) == (303, PAGE, before)


def test_nothing_is_handed_over_to_a_host_that_is_not_gated(shop: Site, visitor: Browser) -> None:
    before = written(shop)
    for page in ("https://evil.example/", "//evil.example/", f"https://{APP}.evil.example/", f"{PUBLIC}/account"):
        sent = visitor.get("/login", return_to=page, browser=digest("x"))
        assert sent.headers["Location"] in {"/", f"{PUBLIC}/account"}
    assert written(shop) == before


def test_a_login_session_counts_on_its_own_host_alone(shop: Site, visitor: Browser) -> None:
    visitor.client.get(handover(visitor))
    parent, child = cookie(visitor, "pay.example.com"), cookie(visitor, APP)
    assert [knows(shop, host, child) for host in (APP, OTHER, "", "pay.example.com", "evil.example")] == [
        True,
        False,
        False,
        False,
        False,
    ]
    assert [knows(shop, host, parent) for host in (APP, OTHER, "")] == [False, False, True]
    account = {"Cookie": f"{LOGIN}={child}", "Accept": "text/html"}
    for said_by_proxy in ({}, {"X-Forwarded-Host": APP, "X-Forwarded-Proto": "https"}):
        answer = httpx2.get(f"{shop.url}/account", headers=account | said_by_proxy)
        assert answer.headers["Location"].startswith("/login")


@pytest.mark.parametrize("way", ["Logout", "Sign out everywhere", "sign in anew"])
def test_signing_out_ends_it_on_every_host(shop: Site, visitor: Browser, way: str) -> None:
    pending = handover(visitor, f"https://{OTHER}/")
    visitor.client.get(handover(visitor))
    child = cookie(visitor, APP)
    assert knows(shop, APP, child)
    if way == "sign in anew":
        chooser = visitor.follow(visitor.get(f"/login/{shop_issuer(shop)}"))
        visitor.follow(visitor.submit(chooser, "Continue", name="Else", email="else@example.com", email_verified="yes"))
    else:
        visitor.submit(visitor.get("/account"), way)
    assert not knows(shop, APP, child)
    assert visitor.client.get(pending).status_code == 400


def shop_issuer(shop: Site) -> str:
    """The id of the only issuer, from where the login page leads."""
    answer = new_browser(shop).get("/login")
    callback = parse_qs(urlsplit(answer.headers["Location"]).query)["redirect_uri"][0]
    return callback.split("/")[-2]


def test_the_account_shows_the_browser_once(visitor: Browser) -> None:
    visitor.client.get(handover(visitor))
    account = visitor.get("/account").text
    assert (account.count("This browser"), account.count("/end")) == (1, 0)


def test_tabs_that_open_at_once_all_arrive(shop: Site, visitor: Browser) -> None:
    pages = [f"https://{APP}/{number}" for number in range(3)]
    addresses = [handover(visitor, page) for page in pages]
    for page, address in zip(pages, addresses, strict=True):
        answer = visitor.client.get(address)
        assert (answer.status_code, answer.headers["Location"]) == (303, page)
    assert visitor.client.get(addresses[0]).headers["Location"] == pages[0]  # by the Back button
    assert len([row for row in shop.rows(login_sessions) if row.token_hash == digest(cookie(visitor, APP))]) == 1


@pytest.mark.parametrize(
    "page", [f"https://{OTHER}/", "https://evil.example/", "//evil.example", f"{PUBLIC}/", "/a", ""]
)
def test_the_page_is_judged_anew_and_is_on_this_host(visitor: Browser, page: str) -> None:
    address = handover(visitor).partition("&return_to=")[0] + f"&return_to={quote(page, safe='')}"
    for _ in ("redeemed", "signed in already"):
        assert visitor.client.get(address).headers["Location"] == "/"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": APP},
        {"X-Forwarded-Host": "pay.example.com"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Host": f"{APP}, {APP}"},
        {"X-Forwarded-Host": f"{APP}/x"},
        {"X-Forwarded-Host": f"{APP}?x"},
        {"X-Forwarded-Host": f"evil.example@{APP}"},
    ],
)
def test_only_the_proxy_of_a_host_apart_says_which_one_it_is(
    shop: Site, visitor: Browser, headers: dict[str, str]
) -> None:
    address, secret = handover(visitor), cookie(visitor, APP, SECRET)
    before = written(shop)
    path = address.removeprefix(f"https://{APP}")
    answer = httpx2.get(shop.url + path, headers=BROWSER | headers | {"Cookie": f"{SECRET}={secret}"})
    assert (answer.status_code, written(shop)) == (404, before)


def test_a_host_said_twice_is_not_believed(shop: Site, visitor: Browser) -> None:
    visitor.client.get(handover(visitor))
    said_twice = [("X-Forwarded-Host", APP)] * 2
    headers = [*BROWSER.items(), *said_twice, ("Cookie", f"{LOGIN}={cookie(visitor, APP)}")]
    answer = httpx2.get(f"{shop.url}/gate?feature=dashboard", headers=headers)
    assert answer.headers["Location"] == f"{PUBLIC}/login"
    assert httpx2.get(shop.url + PATH, headers=headers).status_code == 404


@pytest.mark.parametrize("door", DOORS)
def test_a_browser_is_left_its_secret_and_a_program_nothing(shop: Site, door: str) -> None:
    forwarded = {"X-Forwarded-Host": APP, "X-Forwarded-Proto": "https", "X-Forwarded-Uri": "/"}
    address = f"{shop.url}{door}?feature=dashboard"
    answer = httpx2.get(address, headers=BROWSER | forwarded)
    secret = cookies(answer)[SECRET]
    assert flags(secret) == {"httponly": True, "secure": True, "samesite": "lax", "path": "/", "domain": ""}
    sent = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert sent == {"return_to": [f"https://{APP}/"], "browser": [digest(secret.value)]}
    again = httpx2.get(address, headers=BROWSER | forwarded | {"Cookie": f"{SECRET}={secret.value}"})
    assert cookies(again)[SECRET].value == secret.value
    forged = httpx2.get(address, headers=BROWSER | forwarded | {"Cookie": f"{SECRET}=short"})
    assert cookies(forged)[SECRET].value not in {"short", secret.value}
    program = httpx2.get(address, headers=forwarded | {"Accept": "application/json"})
    assert (program.status_code, "Set-Cookie" in program.headers) == (401, False)


@pytest.mark.parametrize("door", DOORS)
def test_a_proxy_that_hands_the_address_to_the_gate_is_told_off(shop: Site, door: str) -> None:
    forwarded = {"X-Forwarded-Host": APP, "X-Forwarded-Proto": "https", "X-Forwarded-Uri": f"{PATH}?token=x"}
    answer = httpx2.get(f"{shop.url}{door}?feature=dashboard", headers=BROWSER | forwarded)
    assert (answer.status_code, "Location" in answer.headers) == (403, False)


def test_anybody_who_is_not_signed_in_writes_nothing(shop: Site) -> None:
    before = written(shop)
    browser = new_browser(shop)
    for address in (PAGE, f"https://{APP}{PATH}?token={'t' * 43}&return_to={PAGE}", f"https://{APP}{PATH}"):
        browser.client.get(address)
    browser.get("/login", return_to=PAGE, browser=digest("x"))
    assert written(shop) == before


def test_one_person_is_handed_over_so_often_and_no_more(shop: Site, visitor: Browser) -> None:
    asked = [visitor.get("/login", return_to=PAGE, browser=digest("x")).status_code for _ in range(61)]
    assert asked == [303] * 60 + [429]
