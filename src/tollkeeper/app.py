"""The composition root: puts the parts together. The only place that chooses a provider."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from tollkeeper.catalog import Catalog
from tollkeeper.checkout import Till
from tollkeeper.config import Config
from tollkeeper.gate import Gate
from tollkeeper.provider import PaymentProvider
from tollkeeper.providers.stripe import StripeProvider
from tollkeeper.signin import AttemptSeal, SignIn
from tollkeeper.storage.database import Database, open_database
from tollkeeper.web import account, errors, guards, home, login, purchase, webhooks
from tollkeeper.web.pages import Pages
from tollkeeper.web.site import Site
from tollkeeper.worker import Worker


def now() -> int:
    """The time, in whole Unix seconds (UTC)."""
    return int(time.time())


def create_app(config: Config, *, clock: Callable[[], int] = now) -> ASGIApp:
    """The whole application. Opening the database and the background work belong to its lifespan."""
    provider = StripeProvider(config.stripe)
    pages = Starlette(
        routes=routes(webhooks_for=provider.name if provider.takes_webhooks else None),
        middleware=limits_on_requests(config),
        exception_handlers=errors.HANDLERS,
        lifespan=partial(lifespan, config=config, provider=provider, clock=clock),
    )
    pages.router.redirect_slashes = False  # such a redirect would name whatever host the request names
    # Outside of Starlette's own error handling, so that even its last resort is logged and carries the headers.
    app: ASGIApp = guards.RequestLog(guards.SecurityHeaders(pages, config))
    if config.trusted_proxies:
        app = cast(
            ASGIApp, ProxyHeadersMiddleware(cast(Any, app), [str(network) for network in config.trusted_proxies])
        )
    return app


@asynccontextmanager
async def lifespan(
    app: Starlette, *, config: Config, provider: StripeProvider, clock: Callable[[], int]
) -> AsyncIterator[None]:
    """Open the parts, run the worker beside the pages, and close everything in order."""
    database = await open_database(config.database_url)
    worker = Worker(database, provider, clock)
    site = assemble(config, database, provider, worker, clock)
    app.state.site = site
    work = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        await worker.stop(work)
        await site.signin.close()
        await provider.close()
        await database.close()


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[tuple[Database, PaymentProvider]]:
    """The database and the provider without the pages, for commands that work beside a running server.

    Raises ``StorageError`` or ``StorageBusy`` when the database cannot be used.
    """
    database = await open_database(config.database_url)
    provider = StripeProvider(config.stripe)
    try:
        yield database, provider
    finally:
        await provider.close()
        await database.close()


def assemble(
    config: Config, database: Database, provider: StripeProvider, worker: Worker, clock: Callable[[], int]
) -> Site:
    """One site from its parts."""
    catalog = Catalog(config.products)
    return Site(
        config=config,
        catalog=catalog,
        database=database,
        provider=provider,
        gate=Gate(database, catalog, provider.live, config.secure, clock),
        till=Till(database, provider, catalog, config.public_url, clock),
        signin=SignIn(config.issuers, clock=clock),
        attempts=AttemptSeal(config.secret_keys, clock=clock),
        pages=Pages(config),
        # Not the moving window, of which this storage never forgets a key.
        limiter=SlidingWindowCounterRateLimiter(MemoryStorage()),
        clock=clock,
        wake_worker=worker.wake,
    )


def routes(webhooks_for: str | None) -> list[Route | Mount]:
    """Every address. The webhook address exists only where a secret is set."""
    doors = [Route(f"/webhooks/{webhooks_for}", webhooks.receive, methods=["POST"])] if webhooks_for else []
    return [
        Route("/", home.landing),
        Route("/login", login.login),
        Route("/login/{issuer}", login.begin),
        Route("/login/{issuer}/callback", login.callback),
        Route("/logout", login.logout_page),
        Route("/logout", login.logout, methods=["POST"]),
        Route("/purchase/checkout-session", purchase.begin, methods=["POST"]),
        Route("/purchase/success", purchase.success),
        Route("/purchase/cancel", purchase.cancel),
        Route("/dashboard", home.dashboard),
        Route("/account", account.account),
        Route("/account/sign-out-everywhere", login.sign_out_everywhere, methods=["POST"]),
        Route("/account/login-sessions/{id}/end", login.end_login_session, methods=["POST"]),
        *doors,
        Route("/healthz", home.healthz),
        Route("/readyz", home.readyz),
        Route("/static/theme.css", home.theme),
        Route("/static/logo", home.logo),
        Mount("/static", StaticFiles(packages=[("tollkeeper.web", "static")])),
    ]


def limits_on_requests(config: Config) -> list[Middleware]:
    """What a request must pass before any page sees it, outermost first."""
    one_name = [] if config.secure else [Middleware(guards.OneLoopbackName, public_url=config.public_url)]
    return [*one_name, Middleware(guards.BoundedBody)]
