"""Stand-ins, over HTTP, for the services that an app with sign-in and payments uses.

They speak the real protocols, so an app in any language can use them without being changed.
The sandbox imports nothing from the rest of this package.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tollkeeper_sandbox.people import CLIENT_ID, CLIENT_SECRET, PEOPLE, Person

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "PEOPLE", "Person", "create_sandbox"]


def create_sandbox(
    *,
    base_url: str,
    folder: Path | None = None,
    clock: Callable[[], float] = time.time,
    one_clock: bool = False,
    emptied: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    gated_app: str = "",
) -> Starlette:
    """Create one ASGI app with the stand-ins for Stripe and for an OpenID Connect issuer.

    ``base_url`` is the address where browsers and the app reach it, without a path.
    ``folder`` keeps payments and the signing key over a restart (created if missing, with mode 0700);
    without it everything is kept in memory only. ``clock`` returns Unix seconds (UTC).
    ``state.now`` of the app returns the sandbox's time, which the control page can move ahead of ``clock``. An app that
    uses that time needs ``one_clock``: then ID tokens and webhook signatures have that time, too, not ``clock``'s.
    The ``Date`` of every answer has that time, too, so the server must not add one.
    Webhooks are delivered while the app's lifespan runs.
    ``emptied`` surrounds a reset from the control page: an app that depends on the sandbox stops, forgets what it has,
    and when it is left, begins afresh. ``gated_app`` is the address of the demo's app behind the gate.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    from tollkeeper_sandbox.dates import Dated
    from tollkeeper_sandbox.identity import IdentitySandbox
    from tollkeeper_sandbox.pages import HERE
    from tollkeeper_sandbox.stripe import StripeSandbox

    if folder:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ledger = folder / "ledger.sqlite3" if folder else ":memory:"

    @asynccontextmanager
    async def all_emptied() -> AsyncIterator[None]:
        async with emptied():
            yield
            identity.forget()

    stripe = StripeSandbox(
        ledger=ledger, base_url=base_url, clock=clock, one_clock=one_clock, emptied=all_emptied, gated_app=gated_app
    )
    told = stripe.now if one_clock else clock
    identity = IdentitySandbox(base_url=base_url, folder=folder, clock=told, state=stripe.issuer_state)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        deliveries = asyncio.create_task(stripe.run())
        try:
            yield
        finally:
            deliveries.cancel()
            with suppress(asyncio.CancelledError):
                await deliveries
            await stripe.close()

    static = Mount("/static", StaticFiles(directory=HERE / "static"))
    dated = Middleware(Dated, clock=told)
    app = Starlette(routes=[static, *identity.routes, *stripe.routes], middleware=[dated], lifespan=lifespan)
    app.state.now = stripe.now
    return app
