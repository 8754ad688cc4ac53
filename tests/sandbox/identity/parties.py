"""A real server with the issuer, and its two callers: a browser and a client."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import uvicorn
from authlib.integrations.httpx_client import OAuth2Client  # type: ignore[import-untyped]
from starlette.applications import Starlette

from tollkeeper_sandbox.identity import IdentitySandbox
from tollkeeper_sandbox.people import CLIENT_ID, CLIENT_SECRET

REDIRECT = "http://localhost:4000/login/sandbox/callback"
VERIFIER = "v" * 43
NOW = 1_900_000_000


@dataclass
class Clock:
    """Unix seconds that stand still until a test moves them."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@contextmanager
def serving(make: Callable[[str], Starlette]) -> Iterator[str]:
    """Serve the app that ``make(base_url)`` returns on a free port; yields the base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(make(base_url), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.005)
    assert server.started
    try:
        yield base_url
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@dataclass
class Forms(HTMLParser):
    """The labels, inputs and buttons of a page, as far as a test asks about them."""

    inputs: dict[str, dict[str, str | None]] = field(default_factory=dict)
    described: dict[str, str] = field(default_factory=dict)
    _open: str | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "input":
            self.inputs[found["name"] or ""] = found
        self._open = found.get("id") if tag == "p" else None

    def handle_data(self, data: str) -> None:
        if self._open:
            self.described[self._open] = data.strip()
            self._open = None

    def error_at(self, name: str) -> str | None:
        """What the page says is wrong with a field, as a screen reader finds it."""
        target = self.inputs[name].get("aria-describedby")
        return self.described[target] if target else None


def forms_in(page: httpx2.Response) -> Forms:
    forms = Forms()
    forms.feed(page.text)
    return forms


@dataclass
class Parties:
    """The issuer's address, with shorthand for what a browser and a client do there."""

    base_url: str
    clock: Clock
    http: httpx2.Client

    @property
    def issuer(self) -> str:
        return f"{self.base_url}/identity"

    def client(self, **changes: Any) -> OAuth2Client:
        settings = {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uri": REDIRECT,
            "scope": "openid profile email",
            "code_challenge_method": "S256",
        }
        return OAuth2Client(**settings | changes)

    def authorization_url(self, client: OAuth2Client | None = None, **extra: str) -> str:
        parameters = {"state": "s-1", "nonce": "n-1", "code_verifier": VERIFIER} | extra
        url, _ = (client or self.client()).create_authorization_url(f"{self.issuer}/authorize", **parameters)
        return str(url)

    def answer(self, url: str, **form: str) -> dict[str, str]:
        """Post the chooser's form; the parameters that the browser brings back to the client."""
        response = self.http.post(url, data=form)
        assert response.status_code == 303, response.text
        assert response.headers["location"].startswith(REDIRECT + "?")
        return query_of(response)

    def code(self, **extra: str) -> str:
        return self.answer(self.authorization_url(**extra), person="alice@example.com")["code"]

    def redeem(
        self, code: str, *, auth: tuple[str, str] | None = (CLIENT_ID, CLIENT_SECRET), **changes: str
    ) -> httpx2.Response:
        """Post to the token endpoint; ``auth`` None sends no credentials, an empty change leaves its field out."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
        }
        credentials = auth or httpx2.USE_CLIENT_DEFAULT
        return self.http.post(f"{self.issuer}/token", data=form | changes, auth=credentials)


def query_of(response: httpx2.Response) -> dict[str, str]:
    parsed = parse_qs(urlsplit(response.headers["location"]).query, strict_parsing=True)
    return {name: value for name, (value,) in parsed.items()}


def app_with(identity: IdentitySandbox) -> Starlette:
    return Starlette(routes=identity.routes)
