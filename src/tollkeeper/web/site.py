"""What every page works with: the parts that ``app`` put together, reachable from a request."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from tollkeeper.billing.checkout import CheckoutService
from tollkeeper.billing.reconcile import Services
from tollkeeper.config.config import Config
from tollkeeper.gate.door import Gate
from tollkeeper.readiness.watch import Watch
from tollkeeper.signin import AttemptSeal, SignInService
from tollkeeper.web.pages import Pages
from tollkeeper.web.rates import Rates


@dataclass(frozen=True, slots=True)
class Site:
    """One running Tollkeeper. Two in one process share nothing."""

    config: Config
    services: Services
    gate: Gate
    checkout_service: CheckoutService
    signin: SignInService
    attempts: AttemptSeal
    pages: Pages
    rates: Rates
    wake_worker: Callable[[], None]
    watch: Watch | None = None
    """The checks that run beside the server, if they do."""


def site_of(request: Request) -> Site:
    """The site that serves this request."""
    site: Site = request.scope["app"].state.site
    return site
