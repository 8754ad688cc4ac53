"""An app behind a gate: a page that knows nothing of payments, and the proxy that asks before each request.

It shows on one machine what nginx or Caddy do in front of a real app. ONLY FOR THIS MACHINE: plain http, no websockets,
no certificates, one app. The proxy and the app are one process, so nothing can reach the app but through the proxy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["create_gated_app"]


def create_gated_app(*, gate: str, address: str, shop: str, control: str) -> Starlette:
    """Create the app with the proxy in front of it.

    ``gate`` is what the proxy asks, with the feature: ``http://127.0.0.1:4000/gate?feature=dashboard``. ``address`` is
    where browsers open the app, without a path. The page links to ``shop``, which sells access, and to ``control``, the
    control page of the sandbox. Raises ``ValueError`` if ``gate`` or ``address`` is not http on this machine.
    """
    import httpx2
    from starlette.applications import Starlette
    from starlette.middleware import Middleware

    from tollkeeper_sandbox.proxy.gate import LONGEST_WAIT, GateProxy
    from tollkeeper_sandbox.proxy.logbook import logbook_routes

    client = httpx2.AsyncClient(timeout=LONGEST_WAIT, follow_redirects=False, trust_env=False)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    proxy = Middleware(GateProxy, client=client, gate=gate, address=address)
    return Starlette(routes=logbook_routes(shop, control), middleware=[proxy], lifespan=lifespan)
