"""What a fault does to a call: an error, a rate limit, a long delay, or a closed connection."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tollkeeper_sandbox.stripe.engine.errors import ApiError
from tollkeeper_sandbox.stripe.engine.faults import Fault

FAILED = "An error occurred with our connection to Stripe. (The sandbox was asked to fail.)"
LIMITED = "Request rate limit exceeded. (The sandbox was asked to say so.)"


class Dropped(Response):
    """No response at all: the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # ASGI has no way to close a connection, but uvicorn's receive() belongs to the object that holds it.
        connection = getattr(receive, "__self__", None)
        if connection is None:
            raise ConnectionAbortedError("in process there is no connection to close")
        connection.transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


async def misbehave(fault: Fault, work: Callable[[], Response], refuse: Callable[[ApiError], Response]) -> Response:
    """Apply the fault before or after the call's work."""
    done = work() if fault.after else None
    instead = await EFFECTS[fault.effect](fault, refuse)
    return instead or done or work()


async def _error(fault: Fault, refuse: Callable[[ApiError], Response]) -> Response:
    return refuse(ApiError(fault.status, FAILED, type_="api_error"))


async def _limit(fault: Fault, refuse: Callable[[ApiError], Response]) -> Response:
    answer = refuse(ApiError(429, LIMITED, code="rate_limit"))
    answer.headers["Retry-After"] = f"{fault.seconds:g}"
    answer.headers["Stripe-Rate-Limited-Reason"] = "global-rate"
    return answer


async def _hang(fault: Fault, _refuse: Callable[[ApiError], Response]) -> None:
    await asyncio.sleep(fault.seconds)


async def _drop(_fault: Fault, _refuse: Callable[[ApiError], Response]) -> Response:
    return Dropped()


EFFECTS: dict[str, Callable[[Fault, Callable[[ApiError], Response]], Awaitable[Response | None]]] = {
    "error": _error,
    "rate_limit": _limit,
    "hang": _hang,
    "drop": _drop,
}
