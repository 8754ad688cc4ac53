"""A stand-in for Stripe over HTTP: API, hosted checkout page, signed webhooks, control page."""

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import httpx2
from starlette.routing import BaseRoute

from tollkeeper_sandbox.stripe.api.http import Api
from tollkeeper_sandbox.stripe.control.actions import Actions
from tollkeeper_sandbox.stripe.control.fault_api import FaultApi
from tollkeeper_sandbox.stripe.control.page import Control
from tollkeeper_sandbox.stripe.control.reset import Reset
from tollkeeper_sandbox.stripe.engine import settings
from tollkeeper_sandbox.stripe.engine.clock import ahead
from tollkeeper_sandbox.stripe.engine.deliveries import DEFAULT_DELAYS, Deliveries
from tollkeeper_sandbox.stripe.engine.ledger import Ledger
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects.happenings import happen
from tollkeeper_sandbox.stripe.pages.hosted import Hosted
from tollkeeper_sandbox.stripe.pages.invoice_page import invoice_routes
from tollkeeper_sandbox.stripe.pages.link_page import LinkPage
from tollkeeper_sandbox.stripe.pages.portal_page import portal_routes

__all__ = ["DEFAULT_DELAYS", "StripeSandbox"]


class StripeSandbox:
    """The stand-in for Stripe as a whole.

    ``ledger`` is a SQLite file that keeps everything over a restart; ``base_url`` is where buyers' browsers find
    the sandbox; ``clock`` returns Unix seconds (UTC); ``token(n)`` returns 2 n unguessable characters;
    ``delivery_delays`` are the seconds between the attempts of a failing webhook delivery; and ``transport``
    carries webhooks instead of the network. Signatures have the time of ``clock``, or, with ``one_clock``, the time
    that is moved by hand, for an app that uses that time, too. If the caller passes a clock and a token, the same
    calls get the same responses. ``emptied`` surrounds a reset: it stops whatever depends on the sandbox, and
    starts it again. In the demo, ``gated_app`` is the address of the app behind the gate. ``routes`` are the routes
    that an ASGI app needs to serve it.
    """

    def __init__(
        self,
        *,
        ledger: str | Path = ":memory:",
        base_url: str,
        clock: Callable[[], float] = time.time,
        token: Callable[[int], str] = secrets.token_hex,
        delivery_delays: Sequence[float] = DEFAULT_DELAYS,
        transport: httpx2.AsyncBaseTransport | None = None,
        one_clock: bool = False,
        emptied: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
        gated_app: str = "",
    ) -> None:
        self._ledger = Ledger(ledger)
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._token = token
        self._deliveries = Deliveries(
            self._ledger, self.now, delivery_delays, self.now if one_clock else clock, transport
        )
        wake = self._deliveries.wake
        self.routes: list[BaseRoute] = [
            *Api(self._begin, wake).routes,
            *Hosted(self._begin, wake).routes,
            *LinkPage(self._begin).routes,
            *invoice_routes(self._begin, wake),
            *portal_routes(self._begin, wake),
            *Control(self._begin, gated_app).routes,
            *Reset(self._ledger, emptied).routes,
            *Actions(self._begin, wake).routes,
            *FaultApi(self._begin, wake).routes,
        ]

    @property
    def ledger(self) -> Ledger:
        """The record of everything that happened, to be read by tests. Only the sandbox writes to it."""
        return self._ledger

    def issuer_state(self) -> str:
        """How the issuer beside it is to be, by the settings of the control page."""
        return settings.of(self._ledger, "issuer")

    async def run(self) -> None:
        """Deliver webhooks and apply what is due by the clock, until cancelled."""
        await self._deliveries.run(self._tick)

    async def close(self) -> None:
        self._ledger.close()

    def now(self) -> float:
        """Return the sandbox's time: ``clock``, moved ahead by hand. Unix seconds (UTC)."""
        return self._clock() + ahead(self._ledger)

    def _begin(self, request: str | None = None, idempotency_key: str | None = None) -> Work:
        return Work(self._ledger, int(self.now()), self._base_url, self._token, request, idempotency_key)

    def _tick(self) -> None:
        with self._ledger.transaction():
            happen(self._begin())
