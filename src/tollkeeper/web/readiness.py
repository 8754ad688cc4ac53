"""Whether the process lives, whether it can serve, and, to whoever proves to be this site, who it is."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tollkeeper.errors import Refused
from tollkeeper.readiness import presence
from tollkeeper.web.guards import arrival_of
from tollkeeper.web.metrics import is_allowed
from tollkeeper.web.responses import NO_STORE
from tollkeeper.web.site import Site, site_of
from tollkeeper.words import iso


async def healthz(request: Request) -> Response:
    """``GET /healthz``: the process responds."""
    return PlainTextResponse("ok")


async def readyz(request: Request) -> Response:
    """``GET /readyz``: the database responds too. With a token for the metrics: what the last check found, as JSON.

    Trouble elsewhere does not make it fail: a server that is taken out of service for it would help nobody.
    """
    site = site_of(request)
    await site.services.database.find_visitor("", live=site.services.provider.live, now=site.services.clock())
    if is_allowed(request.headers.get("authorization", ""), site.config.metrics_tokens):
        return JSONResponse(_details(site), headers=NO_STORE)
    return PlainTextResponse("ready")


def _details(site: Site) -> dict[str, object]:
    watch = site.watch
    if watch is None or watch.checked is None or watch.checked_at is None:
        return {"ready": True, "checked_at": None, "checks": None}
    checks = [asdict(one) for one in watch.checked.results]
    return {"ready": True, "checked_at": iso(watch.checked_at), "checks": checks}


async def here(request: Request) -> Response:
    """``GET /check``: who answers here, for ``tollkeeper check --online``. To anybody else there is no such page."""
    keys = site_of(request).config.secret_keys
    nonce = presence.nonce_of(keys, request.headers.get(presence.HEADER, ""))
    if nonce is None:
        raise Refused(404, "There is no such page.")
    sent_by, forwarded, trusted = arrival_of(request.scope)
    digest = presence.digest(site_of(request).config)
    found = presence.Presence(nonce, presence.PROCESS, digest, sent_by, forwarded, trusted)
    return PlainTextResponse(presence.answer(keys, found), headers=NO_STORE)
