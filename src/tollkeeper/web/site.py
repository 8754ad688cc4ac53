"""What every page works with: the parts that ``app`` put together, found again from a request."""

from collections.abc import Callable
from dataclasses import dataclass

from limits.strategies import RateLimiter
from starlette.requests import Request

from tollkeeper.catalog import Catalog
from tollkeeper.checkout import Till
from tollkeeper.config import Config
from tollkeeper.gate import Gate
from tollkeeper.provider import PaymentProvider
from tollkeeper.signin import AttemptSeal, SignIn
from tollkeeper.storage.database import Database
from tollkeeper.web.pages import Pages


@dataclass(frozen=True, slots=True)
class Site:
    """One running Tollkeeper. Two in one process share nothing."""

    config: Config
    catalog: Catalog
    database: Database
    provider: PaymentProvider
    gate: Gate
    till: Till
    signin: SignIn
    attempts: AttemptSeal
    pages: Pages
    limiter: RateLimiter
    clock: Callable[[], int]
    wake_worker: Callable[[], None]


def site_of(request: Request) -> Site:
    """The site that serves this request."""
    site: Site = request.scope["app"].state.site
    return site
