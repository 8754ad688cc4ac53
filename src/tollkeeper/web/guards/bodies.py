"""Bodies within bounds: so many bytes, so many seconds."""

import asyncio
import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The longest that a request body may take to arrive, in seconds, and the most it may hold, in bytes.
BODY_SECONDS = 5


BODY_BYTES = 1024 * 1024


class BoundedBody:
    """A request body is small and arrives within a few seconds, or the request is answered without it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        size, arrived = 0, False

        async def bounded() -> Message:
            nonlocal size, arrived
            if arrived:
                return await receive()
            if announced(scope) > BODY_BYTES:
                raise HTTPException(413, headers={"Connection": "close"})
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, headers={"Connection": "close"}) from None
            size += len(message.get("body", b""))
            if size > BODY_BYTES:
                raise HTTPException(413, headers={"Connection": "close"})
            arrived = not message.get("more_body", False)
            return message

        await self.app(scope, bounded, send)


def announced(scope: Scope) -> int:
    """The size in bytes that a request's body is said to have; 0 if nothing is said."""
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if re.fullmatch(r"[0-9]{1,20}", length) else 0
