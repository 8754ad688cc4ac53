"""A sandbox behind a real server, the official SDK and an HTTP client that behaves like a browser."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx2
import stripe
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tollkeeper_sandbox.stripe import StripeSandbox

KEY = "sk_test_sandbox"
SUCCESS = "http://merchant.test/success?session_id={CHECKOUT_SESSION_ID}"
CANCEL = "http://merchant.test/cancel?session_id={CHECKOUT_SESSION_ID}"
QUICK = (0.02, 0.05, 0.05, 0.05)
VISA = "4242 4242 4242 4242"


class Clock:
    """The real time, moved by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Running:
    """A running sandbox and the ways to talk to it."""

    url: str
    clock: Clock
    sdk: stripe.StripeClient
    browser: httpx2.Client

    def price(self, **params: Any) -> stripe.Price:
        values = {"unit_amount": 2000, "currency": "usd", "product_data": {"name": "Dashboard"}, **params}
        return self.sdk.v1.prices.create(cast(Any, values))

    def checkout(self, price: stripe.Price | None = None, **params: Any) -> stripe.checkout.Session:
        items = [{"price": (price or self.price()).id, "quantity": 1}]
        values = {"mode": "payment", "success_url": SUCCESS, "cancel_url": CANCEL, "line_items": items, **params}
        return self.sdk.v1.checkout.sessions.create(cast(Any, values))

    def page(self, session: stripe.checkout.Session) -> str:
        return f"{self.url}/c/pay/{session.id}"

    def pay(self, session: stripe.checkout.Session, card: str = VISA, **fields: str) -> httpx2.Response:
        return self.browser.post(self.page(session), data={**card_form(card), **fields})

    def debit(self, session: stripe.checkout.Session, iban: str, /, **fields: str) -> httpx2.Response:
        form = {"email": "buyer@example.com", "iban": iban, "account_holder": "Test Buyer", **fields}
        return self.browser.post(f"{self.page(session)}/debit", data=form)

    def read(self, session: stripe.checkout.Session, *expand: str) -> stripe.checkout.Session:
        return self.sdk.v1.checkout.sessions.retrieve(session.id, {"expand": list(expand)})

    def events_about(self, *ids: str) -> list[str]:
        """The types of the events about these objects, oldest first."""
        events = self.sdk.v1.events.list({"limit": 100}).data
        return [event.type for event in reversed(events) if event.data.object["id"] in ids]

    def post(self, path: str, **options: Any) -> httpx2.Response:
        """Call the API without the SDK."""
        headers = {"Authorization": f"Bearer {KEY}", **options.pop("headers", {})}
        return self.browser.post(f"{self.url}{path}", headers=headers, **options)

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.browser.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {KEY}"}, **options)


def card_form(card: str) -> dict[str, str]:
    is_amex = len(card.replace(" ", "")) == 15
    return {
        "email": "buyer@example.com",
        "card_number": card,
        "expiration": "12 / 34",
        "cvc": "1234" if is_amex else "123",
        "cardholder_name": "Test Buyer",
        "country": "DE",
    }


def paid(sandbox: Running, card: str = VISA, **price: Any) -> Any:
    """The payment intent of a checkout that was paid, with its charge."""
    session = sandbox.checkout(sandbox.price(**price))
    assert sandbox.pay(session, card).status_code == 303
    return sandbox.read(session, "payment_intent.latest_charge").payment_intent


@contextmanager
def running(
    ledger: str | Path = ":memory:", delays: tuple[float, ...] = QUICK, more: Sequence[BaseRoute] = ()
) -> Iterator[Running]:
    listener, clock = listening(), Clock()
    url = url_of(listener)
    sandbox = StripeSandbox(ledger=ledger, base_url=url, clock=clock, delivery_delays=delays)
    client = stripe.StripeClient(KEY, base_addresses={"api": url}, max_network_retries=0)
    browser = httpx2.Client(follow_redirects=False, trust_env=False, timeout=20)
    with serving([*sandbox.routes, *more], listener, sandbox), browser:
        yield Running(url, clock, client, browser)
    asyncio.run(sandbox.close())


@contextmanager
def serving(routes: list[BaseRoute], listener: socket.socket, sandbox: StripeSandbox | None = None) -> Iterator[None]:
    """Serve the routes with uvicorn in a thread, together with the sandbox's own loop."""
    # The SDK keeps its connection during a slow browser test; if it were closed, the next call would fail.
    config = uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off", timeout_keep_alive=60)
    server = uvicorn.Server(config)

    async def serve() -> None:
        background = asyncio.create_task(sandbox.run()) if sandbox else None
        await server.serve([listener])
        if background:
            background.cancel()
            await asyncio.gather(background, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    wait_for(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


def wait_for(condition: Callable[[], Any], seconds: float = 5.0) -> Any:
    """The condition's first true value; fails after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.005)
    raise AssertionError("waited in vain")


def listening() -> socket.socket:
    # asyncio turns Nagle's delay off only for sockets that are TCP by name.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    return listener


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@dataclass
class Receiver:
    """A merchant's webhook address. ``answers`` are the statuses of the first requests; then 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[tuple[bytes, str]] = field(default_factory=list)

    async def receive(self, request: Request) -> Response:
        self.received.append((await request.body(), request.headers["stripe-signature"]))
        status = self.answers.pop(0) if self.answers else 200
        return Response(status_code=status, headers={"Location": f"{self.url}/elsewhere"})

    def wait_for_types(self, *types: str) -> None:
        wait_for(lambda: set(types) <= set(self.types()))

    def types(self) -> list[str]:
        return [stripe.Webhook.construct_event_without_verification(body).type for body, _ in self.received]


@contextmanager
def receiving() -> Iterator[Receiver]:
    listener, receiver = listening(), Receiver()
    receiver.url = url_of(listener)
    with serving([Route("/{any:path}", receiver.receive, methods=["POST"])], listener):
        yield receiver
