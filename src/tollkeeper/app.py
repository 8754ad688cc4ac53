"""The composition root: creates the parts and connects them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, cast

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from tollkeeper.billing.checkout import CheckoutService
from tollkeeper.billing.reconcile import Services
from tollkeeper.billing.worker import Worker
from tollkeeper.catalog import Catalog
from tollkeeper.config.config import Config
from tollkeeper.gate.door import Gate
from tollkeeper.metrics import Metrics
from tollkeeper.readiness import presence
from tollkeeper.readiness.watch import Watch
from tollkeeper.signin import AttemptSeal, SignInService
from tollkeeper.storage.database import open_database
from tollkeeper.web import (
    account,
    errors,
    gate,
    guards,
    handovers,
    home,
    login,
    plan_change,
    privacy,
    purchase,
    readiness,
    webhooks,
)
from tollkeeper.web.metrics import metrics as show_metrics
from tollkeeper.web.pages import Pages
from tollkeeper.web.rates import Rates
from tollkeeper.web.site import Site

OpenServices = Callable[[Config, Callable[[], int]], AbstractAsyncContextManager[Services]]


def now() -> int:
    """Return the time in whole Unix seconds (UTC)."""
    return int(time.time())


@asynccontextmanager
async def open_services(config: Config, clock: Callable[[], int] = now) -> AsyncIterator[Services]:
    """Open the database and the provider of a configuration. Commands use this while a server may be running.

    Raises ``StorageError`` or ``StorageBusy`` if the database cannot be used.
    """
    database = await open_database(config.database_url)
    metrics = Metrics()
    (configured,) = config.providers
    provider = configured.open(metrics.asked)
    try:
        yield Services(database, provider, Catalog(config.products, provider.name), clock, metrics)
    finally:
        await provider.close()
        await database.close()


def create_app(
    config: Config,
    *,
    clock: Callable[[], int] = now,
    open_services: OpenServices = open_services,
    watch: Watch | None = None,
) -> ASGIApp:
    """Create the whole application. Its lifespan opens the services and runs the background work.

    ``watch`` runs beside the server, and ``/readyz`` shows what it found.
    """
    return guarded(create_pages(config, clock=clock, open_services=open_services, watch=watch), config)


def create_pages(
    config: Config,
    *,
    clock: Callable[[], int] = now,
    open_services: OpenServices = open_services,
    watch: Watch | None = None,
) -> Starlette:
    """Create all pages, with the lifespan that they need, but without the guards around them."""
    pages = Starlette(
        routes=routes(
            webhooks_for=tuple(one.kind.name for one in config.providers if one.settings.receives_webhooks),
            metrics=bool(config.metrics_tokens),
        ),
        middleware=limits_on_requests(config),
        exception_handlers=errors.HANDLERS,
        lifespan=partial(lifespan, config=config, open_services=partial(open_services, config, clock), watch=watch),
    )
    pages.router.redirect_slashes = False  # its redirects would go to the host that the request names
    return pages


def guarded(pages: Starlette, config: Config) -> ASGIApp:
    """Return the pages with the guards around them, and the gate in front."""
    # Outside Starlette's own error handling, so that even its last resort is logged and has the security headers.
    app: ASGIApp = guards.RequestLog(guards.SecurityHeaders(pages, config))
    app = guards.AtOurPath(app, config.path)
    if config.trusted_proxies:
        app = cast(
            ASGIApp, ProxyHeadersMiddleware(cast(Any, app), [str(network) for network in config.trusted_proxies])
        )
    trusted_headers = guards.TrustedHeaders(config.trusted_proxies)
    app = guards.OnlyOurProxies(app, trusted_headers)
    # The gate comes first, because the guards around a page would take longer than the gate itself.
    return gate.AheadOfPages(app, config, trusted_headers, lambda: pages.state.site)


@asynccontextmanager
async def lifespan(
    app: Starlette,
    *,
    config: Config,
    open_services: Callable[[], AbstractAsyncContextManager[Services]],
    watch: Watch | None = None,
) -> AsyncIterator[None]:
    """Open the services, run the worker while the pages are served, and close everything in order."""
    async with open_services() as services:
        checkout_service = CheckoutService(services, config.base_url)
        worker = Worker(services, config.sweep_hours * 3600, checkout_service)
        site = assemble(config, services, checkout_service, worker, watch)
        app.state.site = site
        work = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            await worker.stop(work)
            await site.signin.close()


def assemble(
    config: Config,
    services: Services,
    checkout_service: CheckoutService,
    worker: Worker,
    watch: Watch | None = None,
) -> Site:
    """Put a site together from its parts."""
    return Site(
        config=config,
        services=services,
        gate=Gate(
            services.database,
            services.catalog,
            config.live,
            services.clock,
            config.login_cookie,
            config.login_cookie_apart,
        ),
        checkout_service=checkout_service,
        signin=SignInService(config.issuers, clock=services.clock),
        attempts=AttemptSeal(config.secret_keys, clock=services.clock),
        pages=Pages(config),
        rates=Rates(),
        wake_worker=worker.wake,
        watch=watch,
    )


def routes(*, webhooks_for: Iterable[str], metrics: bool) -> list[Route | Mount]:
    """Return every route but the gate's. Webhooks and metrics have one only if a secret is set for them."""
    doors = [Route(f"/webhooks/{name}", webhooks.receive, methods=["POST"]) for name in webhooks_for]
    return [
        Route("/dashboard", home.dashboard),  # first, because it is requested most often and routes are tried in order
        Route("/", home.landing),
        Route("/pricing", home.pricing),
        Route("/login", login.login),
        Route("/login/{issuer}", login.begin),
        Route("/login/{issuer}/callback", login.callback),
        Route("/login/wanted/{mark}", login.to_wanted),
        Route("/logout", login.logout_page),
        Route("/logout", login.logout, methods=["POST"]),
        Route("/purchase/checkout-session", purchase.begin, methods=["POST"]),
        Route("/purchase/success", purchase.success),
        Route("/purchase/cancel", purchase.cancel),
        Route("/purchase/change", plan_change.offer),
        Route("/purchase/change", plan_change.begin, methods=["POST"]),
        Route(handovers.PATH, handovers.enter),
        Route("/api/me", account.me),
        Route("/account", account.account),
        Route("/account/billing", account.back_from_billing),
        Route("/account/billing", account.billing, methods=["POST"]),
        Route("/account/export", privacy.export),
        Route("/account/delete", privacy.before_deletion),
        Route("/account/delete", privacy.delete, methods=["POST"]),
        Route("/account/sign-out-everywhere", login.sign_out_everywhere, methods=["POST"]),
        Route("/account/login-sessions/{id}/end", login.end_login_session, methods=["POST"]),
        *doors,
        *([Route("/metrics", show_metrics)] if metrics else []),
        Route("/healthz", readiness.healthz),
        Route("/readyz", readiness.readyz),
        Route(presence.PATH, readiness.here),
        Route("/static/theme.css", home.theme),
        Route("/static/logo", home.logo),
        Mount("/static", StaticFiles(packages=[("tollkeeper.web", "static")])),
    ]


def limits_on_requests(config: Config) -> list[Middleware]:
    """Return the guards that a request passes before it reaches a page, outermost first."""
    one_name = [] if config.secure else [Middleware(guards.OneLoopbackName, public_url=config.public_url)]
    return [*one_name, Middleware(guards.BoundedBody)]
