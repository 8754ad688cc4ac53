"""What Prometheus reads, with a token. Counts come from this process, the rest from the database at that moment."""

import hmac
import math

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tollkeeper.billing.reconcile import Services
from tollkeeper.metrics import CONTENT_TYPE
from tollkeeper.storage import events, findings, off_sale, polls
from tollkeeper.web.responses import NO_STORE
from tollkeeper.web.site import site_of


async def metrics(request: Request) -> Response:
    """``GET /metrics``: for clients that send ``Authorization: Bearer`` and a token from the settings (RFC 6750)."""
    site = site_of(request)
    if not is_allowed(request.headers.get("authorization", ""), site.config.metrics_tokens):
        return PlainTextResponse("Send a token.", 401, NO_STORE | {"WWW-Authenticate": 'Bearer realm="metrics"'})
    await _measure(site.services)
    return Response(site.services.metrics.text(), headers=NO_STORE | {"Content-Type": CONTENT_TYPE})


def is_allowed(authorization: str, tokens: tuple[str, ...]) -> bool:
    """Whether one of the tokens was sent. Takes as long for a wrong one as for a right one."""
    scheme, _, token = authorization.partition(" ")
    matches = [hmac.compare_digest(token.strip().encode(), one.encode()) for one in tokens]
    return scheme.lower() == "bearer" and any(matches)


async def _measure(services: Services) -> None:
    """Update what is measured at each scrape. Does not call the provider."""
    mode, now = services.mode, services.clock()
    backlog = await services.database.read(events.backlog, mode)
    read_until = await services.database.read(polls.read_until, mode)
    unexplained = await services.database.read(findings.count_unexplained, mode)
    unsold = await services.database.read(off_sale.count, mode)
    metrics = services.metrics
    metrics.events_unhandled.labels("waiting").set(backlog.waiting)
    metrics.events_unhandled.labels("parked").set(backlog.parked)
    metrics.oldest_waiting.set(0 if backlog.waiting_since is None else now - backlog.waiting_since)
    metrics.list_read.set(math.inf if read_until is None else now - read_until)
    for verdict, count in unexplained.items():
        metrics.unexplained.labels(verdict.value).set(count)
    for scope, count in unsold.items():
        metrics.off_sale.labels(scope.value).set(count)
