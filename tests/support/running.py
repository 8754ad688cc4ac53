"""The real app and the real sandbox on free ports, each in a thread of its own, and a browser without a screen."""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urljoin, urlsplit

import httpx2
from sqlalchemy import Connection, Engine
from starlette.types import ASGIApp
from stripe import StripeClient, StripeError
from stripe.params import PriceCreateParams

from tollkeeper.app import OpenServices, create_app, open_services
from tollkeeper.config import load as config
from tollkeeper.gate.login_sessions import digest
from tollkeeper.serving import server
from tollkeeper.storage import postgresql, sqlite
from tollkeeper.storage.address import parse
from tollkeeper.storage.tables import login_sessions
from tollkeeper_sandbox import CLIENT_ID, CLIENT_SECRET, create_sandbox

T = TypeVar("T")

API_KEY = "sk_test_sandbox"
SECRET_KEY = "f0Y9dV3kQm7Zr2Xw8Lb5Ns1Tc6Hj4Gp0Ua9Ee3Ri7"
AMOUNT = 1900

# A folder without settings files.
NO_FILES = Path(__file__).parent

PAYS = "4242 4242 4242 4242"
ASKS = "4000 0025 0000 3155"
DECLINED = "4000 0000 0000 0002"
POOR = "4000 0000 0000 9995"


@dataclass
class Clock:
    """The real time, moved or stopped by hand. It is passed as an argument, never patched in."""

    ahead: int = 0
    stopped_at: int | None = None

    def __call__(self) -> int:
        return int(time.time()) + self.ahead if self.stopped_at is None else self.stopped_at


class Thread:
    """One ASGI app, served by our own server in a thread, until stopped."""

    def __init__(self, make: Callable[[], ASGIApp], port: int = 0, *, dated: bool = True) -> None:
        self.socket = server.listen("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self._make = make
        self._dated = dated
        self._up = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._up.wait(20)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop, unless it has been stopped before."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)
        self.socket.close()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        servers = server.Servers()
        try:
            await servers.start(server.Listener(self._make(), self.socket, self._dated))
        except BaseException as failure:
            self._failure = failure
            return
        finally:
            self._up.set()
        await self._end.wait()
        await servers.stop()


@dataclass
class Account:
    """The account at a sandbox, wherever that runs, and the SDK to read it."""

    url: str
    stripe: StripeClient = field(init=False)
    _endpoints: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stripe = StripeClient(API_KEY, base_addresses={"api": self.url}, max_network_retries=2)

    def price(
        self,
        amount: int = AMOUNT,
        currency: str = "eur",
        name: str = "Flying lessons",
        interval: Literal["day", "week", "month", "year"] | None = None,
    ) -> str:
        product = self.stripe.v1.products.create({"name": name})
        params: PriceCreateParams = {"product": product.id, "unit_amount": amount, "currency": currency}
        if interval:
            params["recurring"] = {"interval": interval}
        return self.stripe.v1.prices.create(params).id

    def webhook_secret(self, app_url: str) -> str:
        made = self.stripe.v1.webhook_endpoints.create({"url": f"{app_url}/webhooks/stripe", "enabled_events": ["*"]})
        assert made.secret
        self._endpoints[app_url] = made.id
        return made.secret

    def forget(self, app_url: str) -> None:
        """Stop deliveries to a site that has ended, because every event would be retried there."""
        if app_url in self._endpoints:
            with suppress(StripeError):  # a test has deleted it, or stopped the sandbox
                self.stripe.v1.webhook_endpoints.delete(self._endpoints.pop(app_url))


@dataclass
class Sandbox(Account):
    """A sandbox that runs in a thread, and its clock."""

    thread: Thread = field(kw_only=True)
    clock: Clock = field(kw_only=True)


@contextmanager
def running_sandbox(folder: Path | None = None, port: int = 0) -> Iterator[Sandbox]:
    clock = Clock()
    thread = Thread(lambda: create_sandbox(base_url=thread.url, folder=folder, clock=clock), port, dated=False)
    thread.start()
    try:
        yield Sandbox(thread.url, thread=thread, clock=clock)
    finally:
        thread.stop()


@dataclass
class Site:
    """A running app with access to its database."""

    thread: Thread
    sandbox: Sandbox
    settings: dict[str, str]
    clock: Clock

    @property
    def url(self) -> str:
        return self.thread.url

    def look(self, query: Callable[..., T], *args: Any) -> T:
        """Run one of the storage's own queries while the app runs."""
        return look(self.settings["DATABASE_URL"], query, *args)

    def rows(self, table: Any) -> list[Any]:
        """Every row of a table."""

        def all_rows(conn: Connection) -> list[Any]:
            return list(conn.execute(table.select()))

        return self.look(all_rows)

    def rows_of(self, browser: "Browser", table: Any) -> list[Any]:
        """The rows of a table that are about the person who is signed in there."""
        token_hash = digest(browser.client.cookies["tollkeeper"])
        person_id = next(row.person_id for row in self.rows(login_sessions) if row.token_hash == token_hash)
        return [row for row in self.rows(table) if row.person_id == person_id]


def look(database_url: str, query: Callable[..., T], *args: Any) -> T:
    """Run one of the storage's own queries on a database that somebody else may be using."""
    opened = _engine(database_url)
    try:
        with opened.begin() as conn:
            return query(conn, *args)
    finally:
        opened.dispose()


@lru_cache(maxsize=16)
def _engine(database_url: str) -> Engine:
    """Return an engine, which is cached with its compiled SQL, but without connections."""
    address = parse(database_url)
    return sqlite.engine(address, begin="BEGIN IMMEDIATE") if isinstance(address, Path) else postgresql.engine(address)


def settings_without_provider(app_url: str, sandbox: Account, database_url: str) -> dict[str, str]:
    """Return an operator's settings without those of a provider. People sign in at the sandbox's issuer."""
    return {
        "PUBLIC_URL": app_url,
        "SECRET_KEY": SECRET_KEY,
        "DATABASE_URL": database_url,
        "OIDC_ISSUER": f"{sandbox.url}/identity",
        "OIDC_CLIENT_ID": CLIENT_ID,
        "OIDC_CLIENT_SECRET": CLIENT_SECRET,
        "SIGN_IN_RATE": "1000/minute",
        "PURCHASE_RATE": "1000/minute",
    }


def settings_for(app_url: str, sandbox: Account, database_url: str, **more: str) -> dict[str, str]:
    """Return an operator's settings. A blank value leaves a setting out."""
    theirs = {
        "STRIPE_API_KEY": API_KEY,
        "STRIPE_API_BASE": sandbox.url,
        "STRIPE_REQUESTS_PER_SECOND": "10000",  # a test that is about the limit sets it
        "STRIPE_WEBHOOK_SECRET": "" if "STRIPE_WEBHOOK_SECRET" in more else sandbox.webhook_secret(app_url),
        "PRODUCT_PRICE_ID": "" if "PRODUCT_PRICE_ID" in more else sandbox.price(),
    }
    return settings_without_provider(app_url, sandbox, database_url) | theirs | more


@contextmanager
def running_site(
    sandbox: Sandbox, database_url: str, folder: Path, open_services: OpenServices = open_services, /, **more: str
) -> Iterator[Site]:
    """The app on a free port, with the sandbox behind it. ``more`` are settings."""
    clock = Clock()
    made: dict[str, str] = {}
    thread = Thread(lambda: create_app(config.load(made, folder), clock=clock, open_services=open_services))
    made |= settings_for(thread.url, sandbox, database_url, **more)
    thread.start()
    try:
        yield Site(thread, sandbox, made, clock)
    finally:
        thread.stop()
        sandbox.forget(thread.url)


@dataclass
class Form:
    """A form as a browser would send it."""

    action: str
    method: str
    fields: dict[str, str]
    buttons: list[str] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._button = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get"), {}))
        elif tag == "input" and self.forms and "name" in given:
            self.forms[-1].fields[given["name"]] = given.get("value", "")
        elif tag == "button" and self.forms:
            self._button = True
            self.forms[-1].buttons.append("")

    def handle_data(self, data: str) -> None:
        if self._button:
            self.forms[-1].buttons[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "button":
            self._button = False


def forms(page: httpx2.Response) -> list[Form]:
    """The forms of a page."""
    parser = _Forms()
    parser.feed(page.text)
    return parser.forms


class Browser:
    """Clicks through pages as a person would, but follows redirects only on request."""

    def __init__(self, site_url: str) -> None:
        self.site = site_url
        self.client = httpx2.Client(
            headers={"Accept": "text/html", "User-Agent": "Firefox/120.0 (X11; Linux)"}, timeout=20
        )

    def get(self, path: str, **params: str) -> httpx2.Response:
        return self.client.get(urljoin(self.site, path), params=params or None)

    def follow(self, answer: httpx2.Response) -> httpx2.Response:
        """Follow redirects until there is none."""
        for _ in range(10):
            if not answer.is_redirect:
                return answer
            answer = self.client.get(urljoin(str(answer.url), answer.headers["Location"]))
        raise AssertionError("too many redirects")

    def submit(self, page: httpx2.Response, button: str, **fields: str) -> httpx2.Response:
        """Press a button of a page, that of a product if several have one; the browser names the page's origin, as it
        does on every post.
        """
        pressed = [form for form in forms(page) if any(button in words for words in form.buttons)]
        assert pressed, f"{page.url} has no button {button!r}"
        form = next((form for form in pressed if form.fields.get("product") == fields.get("product")), pressed[0])
        where = urljoin(str(page.url), form.action)
        parts = urlsplit(str(page.url))
        origin = {"Origin": f"{parts.scheme}://{parts.netloc}"}
        return self.client.post(where, data=form.fields | fields, headers=origin)

    def sign_in(self, name: str = "Alice Example", email: str = "", path: str = "/login") -> httpx2.Response:
        """Sign in at the issuer. Returns the page after that."""
        chooser = self.follow(self.get(path))
        email = email or f"{name.split()[0].lower()}@example.com"
        answer = self.submit(chooser, "Continue", name=name, email=email, email_verified="yes")
        return self.follow(answer)

    def press_purchase(self) -> httpx2.Response:
        """Press the Purchase button of the landing page. Returns the redirect."""
        return self.submit(self.get("/"), "Purchase")

    def checkout(self) -> httpx2.Response:
        """The hosted page."""
        return self.follow(self.press_purchase())

    def pay(self, page: httpx2.Response | None = None, card: str = PAYS) -> httpx2.Response:
        """Enter a card on the hosted page and press Pay. Returns its response: a redirect if it worked."""
        page = page or self.checkout()
        card_fields = {"card_number": card, "expiration": "12 / 40", "cvc": "123", "cardholder_name": "A. Example"}
        button = "Subscribe" if any("Subscribe" in form.buttons for form in forms(page)) else "Pay"
        return self.submit(page, button, **card_fields, country="DE", **self._email(page))

    def _email(self, page: httpx2.Response) -> dict[str, str]:
        typed = next(form.fields.get("email") for form in forms(page) if "card_number" in form.fields)
        return {} if typed else {"email": "buyer@example.com"}

    def enters(self) -> bool:
        """Return whether the dashboard opens."""
        return self.get("/dashboard").status_code == 200


def newcomer(site: Site, name: str = "Nova Example") -> Browser:
    """Return a browser in which a new person has signed in."""
    browser = Browser(site.url)
    browser.sign_in(name, f"{secrets.token_hex(8)}@example.com")
    return browser


def eventually(condition: Callable[[], T], seconds: float = 30) -> T:
    """Wait until a condition is true, and return its value."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.02)
    return found
