"""The time that answers were sent at, by the sandbox's clock and not by that of the server it runs in."""

from collections.abc import Callable
from email.utils import formatdate

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Dated:
    """Adds ``Date`` to every answer (RFC 9110, section 6.6.1)."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float]) -> None:
        self.app = app
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dating(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"date", formatdate(self.clock(), usegmt=True).encode())]
            await send(message)

        await self.app(scope, receive, dating if scope["type"] == "http" else send)
