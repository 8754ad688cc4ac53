"""The connections between browsers, app and sandbox: calls in process that can be slow, fail, or get no response."""

import asyncio
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx2
import stripe
from starlette.types import ASGIApp
from tests.faults.simulator.storage import Process

Headers = Iterable[tuple[bytes, bytes]]

# Longer than every time limit of the app. Seconds.
FOR_EVER = 1000.0


class Gone(Exception):
    """The process is not running, or died before it responded."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of an ASGI app."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def location(self) -> str:
        """The address that it redirects to; empty if it does not."""
        return self.headers.get("location", "")


async def ask(app: ASGIApp, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Answer:
    """Send one HTTP request directly to an ASGI app."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"content-length", str(len(body)).encode()), *headers],
        "client": ("192.0.2.1", 40000),
        "server": ("shop.example", 443),
    }
    started: MutableMapping[str, Any] = {}
    chunks: list[bytes] = []
    requested = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal requested
        if requested:
            return {"type": "http.disconnect"}
        requested = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            started.update(message)
        else:
            chunks.append(message.get("body", b""))

    await app(scope, receive, send)
    answered = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in started["headers"]}
    return Answer(started["status"], answered, b"".join(chunks))


async def ask_process(
    process: Process, app: ASGIApp, method: str, target: str, headers: Headers, body: bytes
) -> Answer:
    """Send one to a process that may die in the meantime. Raises ``Gone``."""
    if process.dead:
        raise Gone
    asking = asyncio.ensure_future(ask(app, method, target, headers, body))
    await asyncio.wait((asking, process.died), return_when=asyncio.FIRST_COMPLETED)
    if process.dead:
        raise Gone
    return asking.result()


@dataclass
class Outage:
    """A fault of Stripe, and until when (virtual seconds) it lasts."""

    until: float = 0.0
    kind: str = "refuse"


class Weather:
    """What happens to calls to Stripe: most succeed, some are slow, a few fail. ``calm`` ends all faults.

    ``stalls`` is how long each of the next snapshots is delayed, before and after it is read. Seconds.
    """

    def __init__(self, luck: Random, calls: str) -> None:
        self.luck = luck
        self.calls = calls
        self.outage = Outage()
        self.stalls: list[tuple[float, float]] = []
        self.calm = False

    def delay(self) -> float:
        """Return how many seconds one direction takes."""
        drawn = self.luck.random()
        if drawn < SLOW[self.calls] and not self.calm:
            return self.luck.choice((0.8, 2.0, 4.0, 7.0, 12.0))
        return 0.0 if drawn > 0.6 else drawn / 2

    def ways(self, url: str) -> tuple[float, float]:
        """Return how many seconds a request and its response take."""
        stalled = self.stalls.pop() if self.stalls and "/checkout/sessions?" in url and not self.calm else (0.0, 0.0)
        return stalled[0] or self.delay(), stalled[1] or self.delay()

    def trouble(self, now: float) -> str:
        """Return the fault of one call; empty if there is none."""
        if self.calm:
            return ""
        if now < self.outage.until:
            return self.outage.kind
        return self.luck.choice(TROUBLES) if self.luck.random() < TROUBLED[self.calls] else ""


TROUBLES = ("refuse", "error", "error after", "drop", "drop after", "limit", "hang", "hang after")
TROUBLED = {"calm": 0.0, "rough": 0.06, "wild": 0.2}
SLOW = {"calm": 0.0, "rough": 0.06, "wild": 0.2}


class StripeWire(stripe.HTTPClient):
    """Carries the SDK's requests from one process into the sandbox."""

    name = "simulator"

    def __init__(self, sandbox: ASGIApp, process: Process, weather: Weather) -> None:
        super().__init__()
        self._sandbox = sandbox
        self._process = process
        self._weather = weather

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send a request. Raises ``stripe.APIConnectionError`` like the SDK's own clients."""
        await self._process.step()
        trouble = self._weather.trouble(asyncio.get_running_loop().time())
        there, back = self._weather.ways(url)
        await asyncio.sleep(there)
        await self._process.step()
        if trouble in BEFORE:
            return await self._met(BEFORE[trouble])
        answer = await self._call(method, url, headers, post_data)
        if trouble:
            return await self._met(trouble.removesuffix(" after"))
        await asyncio.sleep(back)
        await self._process.step()
        return answer.body, answer.status, _AnyCase(answer.headers)

    async def _call(self, method: str, url: str, headers: Mapping[str, str], post_data: Any) -> Answer:
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        raw = [(name.lower().encode("latin-1"), str(value).encode("latin-1")) for name, value in headers.items()]
        return await ask(self._sandbox, method.upper(), target, raw, (post_data or "").encode())

    async def _met(self, trouble: str) -> tuple[bytes, int, Mapping[str, str]]:
        if trouble == "hang":
            await asyncio.sleep(FOR_EVER)
        if trouble == "error":
            return ERROR, 500, _AnyCase()
        if trouble == "limit":
            return LIMITED, 429, _AnyCase({"retry-after": str(self._weather.luck.randint(1, 3))})
        raise stripe.APIConnectionError("the connection was lost", should_retry=True)  # type: ignore[no-untyped-call]

    async def sleep_async(self, secs: float) -> None:
        await asyncio.sleep(secs)

    async def close_async(self) -> None:
        """Do nothing: no connection is open."""


BEFORE = {"refuse": "drop", "drop": "drop", "error": "error", "limit": "limit", "hang": "hang"}
ERROR = b'{"error": {"type": "api_error", "message": "An error occurred."}}'
LIMITED = b'{"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many requests."}}'


class _AnyCase(dict[str, str]):
    """Headers that can be read with any spelling of their names."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


class WebhookWire(httpx2.AsyncBaseTransport):
    """Carries the sandbox's webhooks to a running process. ``post`` raises ``Gone`` if there is none."""

    def __init__(self, post: Any) -> None:
        self._post = post

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        try:
            answer = await self._post(headers, body)
        except Gone:
            raise httpx2.ConnectError("nobody listens", request=request) from None
        return httpx2.Response(answer.status, content=answer.body)
