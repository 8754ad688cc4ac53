"""A line in the log for each request, and its count."""

import secrets
import time

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tollkeeper.metrics import Metrics
from tollkeeper.web.site import site_of

log = structlog.get_logger()


class RequestLog:
    """Gives each request an id, writes one line about it, and lets no error out.

    Only the path is logged: query strings carry authorization codes and checkout session ids.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["request_id"] = secrets.token_hex(8)
        status = 500
        began = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", scope["request_id"].encode()))
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=scope["request_id"]):
            try:
                await self.app(scope, receive, noting)
            except Exception:  # answered already, by the handler for what nobody thought of
                log.exception("unexpected error")
            finally:
                metrics_of(scope).answered(status)
                took = round((time.perf_counter() - began) * 1000, 1)
                log.info("request", method=scope["method"], path=scope["path"], status=status, ms=took)


def metrics_of(scope: Scope) -> Metrics:
    """Where the site that answered a request counts."""
    return site_of(Request(scope)).services.metrics
