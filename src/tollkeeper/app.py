"""The composition root: puts the parts together."""

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
    webhooks,
)
from tollkeeper.web.metrics import metrics as show_metrics
from tollkeeper.web.pages import Pages
from tollkeeper.web.rates import Rates
from tollkeeper.web.site import Site

OpenServices = Callable[[Config, Callable[[], int]], AbstractAsyncContextManager[Services]]


def now() -> int:
    """The time, in whole Unix seconds (UTC)."""
    return int(time.time())


@asynccontextmanager
async def open_services(config: Config, clock: Callable[[], int] = now) -> AsyncIterator[Services]:
    """The database and the provider of a configuration, which commands use beside a running server.

    Raises ``StorageError`` or ``StorageBusy`` when the database cannot be used.
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
    config: Config, *, clock: Callable[[], int] = now, open_services: OpenServices = open_services
) -> ASGIApp:
    """The whole application. Opening the services and the background work belong to its lifespan."""
    return guarded(create_pages(config, clock=clock, open_services=open_services), config)


def create_pages(
    config: Config, *, clock: Callable[[], int] = now, open_services: OpenServices = open_services
) -> Starlette:
    """All pages, and the lifespan that they need, without what guards them."""
    pages = Starlette(
        routes=routes(
            webhooks_for=tuple(one.kind.name for one in config.providers if one.settings.receives_webhooks),
            metrics=bool(config.metrics_tokens),
        ),
        middleware=limits_on_requests(config),
        exception_handlers=errors.HANDLERS,
        lifespan=partial(lifespan, config=config, open_services=partial(open_services, config, clock)),
    )
    pages.router.redirect_slashes = False  # such a redirect would name whatever host the request names
    return pages


def guarded(pages: Starlette, config: Config) -> ASGIApp:
    """The pages with everything around them that a request meets first."""
    # Outside of Starlette's own error handling, so that even its last resort is logged and carries the headers.
    app: ASGIApp = guards.RequestLog(guards.SecurityHeaders(pages, config))
    app = guards.AtOurPath(app, config.path)
    if config.trusted_proxies:
        app = cast(
            ASGIApp, ProxyHeadersMiddleware(cast(Any, app), [str(network) for network in config.trusted_proxies])
        )
    trusted_headers = guards.TrustedHeaders(config.trusted_proxies)
    app = guards.OnlyOurProxies(app, trusted_headers)
    # First of all, for what stands around a page takes longer than the gate itself.
    return gate.AheadOfPages(app, config, trusted_headers, lambda: pages.state.site)


@asynccontextmanager
async def lifespan(
    app: Starlette, *, config: Config, open_services: Callable[[], AbstractAsyncContextManager[Services]]
) -> AsyncIterator[None]:
    """Open the services, run the worker beside the pages, and close everything in order."""
    async with open_services() as services:
        checkout_service = CheckoutService(services, config.base_url)
        worker = Worker(services, config.sweep_hours * 3600, checkout_service)
        site = assemble(config, services, checkout_service, worker)
        app.state.site = site
        work = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            await worker.stop(work)
            await site.signin.close()


def assemble(config: Config, services: Services, checkout_service: CheckoutService, worker: Worker) -> Site:
    """One site from its parts."""
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
    )


def routes(*, webhooks_for: Iterable[str], metrics: bool) -> list[Route | Mount]:
    """Every address but the gate's. Those for webhooks and metrics exist only where a secret is set for them."""
    doors = [Route(f"/webhooks/{name}", webhooks.receive, methods=["POST"]) for name in webhooks_for]
    return [
        Route("/dashboard", home.dashboard),  # first, for it is asked for most: each route before it takes its time
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
