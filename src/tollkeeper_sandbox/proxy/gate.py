"""The proxy: asks the gate about each request as Caddy's ``forward_auth`` does, and lets nobody in on any doubt."""

import asyncio
import logging
from urllib.parse import urlsplit

import httpx2
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tollkeeper_sandbox.proxy.headers import identity_in, to_app, to_browser, to_gate

LONGEST_WAIT = 5.0
"""For the gate's whole answer, in seconds."""
LARGEST_REFUSAL = 64 * 1024
"""Bytes of a refusal's body."""

ALLOWED = 200
REFUSALS = frozenset({302, 401, 402, 403, 503})
"""What the gate refuses with (docs/gate.md). The browser gets it as it is."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
NO_STORE = {"Cache-Control": "no-store"}

log = logging.getLogger(__name__)


class NoAnswer(Exception):
    """The gate did not say in time, and in words that are understood, whether somebody may pass."""


class GateProxy:
    """Passes a request on to ``app`` if the gate allows it, and says there who the visitor is.

    ``wait`` is how long the gate may take, in seconds.

    Raises ``ValueError`` if ``gate`` or ``address`` is not http on this machine: nothing here is encrypted.
    """

    def __init__(
        self, app: ASGIApp, *, client: httpx2.AsyncClient, gate: str, address: str, wait: float = LONGEST_WAIT
    ) -> None:
        for url in (gate, address):
            if urlsplit(url).scheme != "http" or urlsplit(url).hostname not in LOOPBACK:
                raise ValueError(f"This proxy is only for http on this machine: {url}")
        self._app = app
        self._client = client
        self._gate = gate
        self._wait = wait
        self._host = urlsplit(address).netloc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._guard(scope, receive, send)
        else:
            raise NotImplementedError(f"This proxy passes on no {scope['type']}.")

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, headers, body = await self._ask(scope)
            if status == ALLOWED:
                identity = identity_in(headers)
                if identity is None:
                    raise NoAnswer("it allowed somebody without saying whom")
                await self._app({**scope, "headers": to_app(scope["headers"], identity)}, receive, send)
                return
            if status not in REFUSALS:
                raise NoAnswer(f"it answered {status}")
            refusal = Response(body, status)
            refusal.raw_headers += to_browser(headers)
        except NoAnswer as why:
            log.warning("the gate at %s gave no answer: %s", self._gate, why)
            refusal = self._closed(str(why))
        await refusal(scope, receive, send)

    async def _ask(self, scope: Scope) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Ask the gate. Raises ``NoAnswer`` if it cannot be reached, takes too long, or says too much."""
        query = scope["query_string"]
        uri = scope["raw_path"] + (b"?" + query if query else b"")
        headers = to_gate(scope["headers"], host=self._host, method=scope["method"], uri=uri)
        try:
            async with (
                asyncio.timeout(self._wait),
                self._client.stream("GET", self._gate, headers=headers) as answer,
            ):
                return answer.status_code, answer.headers.raw, await _bounded(answer)
        except TimeoutError:
            raise NoAnswer(f"it took longer than {self._wait:g} seconds") from None
        except httpx2.HTTPError as error:
            raise NoAnswer(f"{type(error).__name__} {error}"[:200].strip()) from None

    def _closed(self, why: str) -> Response:
        words = (
            "This app is closed: it could not be found out whether you may use it.\n\n"
            f"The proxy asked {self._gate}, but {why}.\n"
            "Check that Tollkeeper runs there, then load this page again.\n"
        )
        return PlainTextResponse(words, 502, NO_STORE)


async def _bounded(answer: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > LARGEST_REFUSAL:
            raise NoAnswer(f"it answered with more than {LARGEST_REFUSAL} bytes")
    return bytes(body)
