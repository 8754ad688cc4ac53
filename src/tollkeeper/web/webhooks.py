"""The webhook endpoint: signature, then inbox, then 2xx. Nothing is written before the signature is verified."""

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tollkeeper.errors import BadWebhook
from tollkeeper.storage import events
from tollkeeper.web.site import site_of

log = structlog.get_logger()


async def receive(request: Request) -> Response:
    """``POST /webhooks/{provider}``: store an event. Answered only once it is on disk, and handled after that."""
    site = site_of(request)
    body = await request.body()
    now = site.services.clock()
    try:
        event = await site.services.provider.read_webhook(request.headers.items(), body, now)
    except BadWebhook:
        site.services.metrics.webhooks_refused.inc()
        raise
    new = await site.services.database.write(events.keep, event, now)
    site.services.metrics.events_kept.labels("webhook").inc(new)
    log.info("event kept", event_id=event.id, type=event.type, new=new, relevant=event.relevant)
    site.wake_worker()
    return JSONResponse({"received": True})
