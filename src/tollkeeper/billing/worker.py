"""The background work: drain the inbox; in parallel poll for events, retry what is off sale, sweep, delete old data."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from tollkeeper.billing.checkout import CheckoutService
from tollkeeper.billing.inbox import drain, poll
from tollkeeper.billing.off_sale import A_PERSON_IS_LISTED, AGAIN
from tollkeeper.billing.reconcile import Services
from tollkeeper.billing.sweep import sweep
from tollkeeper.errors import TollkeeperError
from tollkeeper.model.orders import Realm
from tollkeeper.providers.budget import background
from tollkeeper.storage import handovers, login_sessions, off_sale

log = structlog.get_logger()

# How long to sleep with nothing to do: another process may store an event, or one may be due again. Seconds.
IDLE = 2
AFTER_TROUBLE = 5
HOUSEKEEPING = 3600

# How often to see whether the next poll is due: another process may have begun the last one, and died. Seconds.
LOOK = 10

# How long the sweep rests when nobody is due, or the provider gives no answer. Seconds.
REST = 30

# How long work in progress may take to finish at shutdown. Seconds.
GRACE = 4


class Worker:
    """Runs next to the web pages in every process. Any number of processes share the work."""

    def __init__(self, services: Services, sweep_period: int, checkout_service: CheckoutService) -> None:
        """``sweep_period``: everybody who bought something is reconciled at least once in this many seconds."""
        self._services = services
        self._checkout_service = checkout_service
        self._sweep_period = sweep_period
        self._stopping = False
        self._something_came = asyncio.Event()
        self._stop_requested = asyncio.Event()
        self._cleaned_at = 0
        self._looked_at = 0
        self._tried_at = 0
        self._rested_at = 0

    def wake(self) -> None:
        """There is something in the inbox: wake up."""
        self._something_came.set()

    async def stop(self, task: asyncio.Task[None]) -> None:
        """Take no new work, and let the work in progress finish."""
        self._stopping = True
        self._stop_requested.set()
        self._something_came.set()
        await asyncio.wait({task}, timeout=GRACE)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def run(self) -> None:
        """Work until stopped. A long list of events, or a slow sweep, does not delay what a webhook brought."""
        with background():
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._loop(self._drain, self._something_came))
                loops.create_task(self._loop(self._look_around, self._stop_requested))

    async def _loop(self, work: Callable[[Realm], Awaitable[bool]], awake: asyncio.Event) -> None:
        """Repeat some work, immediately if there was any. No error ends the loop."""
        while not self._stopping:
            awake.clear()
            try:
                rest = 0 if await work(await self._services.realm()) else IDLE
            except TollkeeperError as error:
                log.warning("background work postponed", error=str(error))
                rest = AFTER_TROUBLE
            except Exception:
                log.exception("background work failed")
                rest = AFTER_TROUBLE
            if rest and not self._stopping:
                await _sleep(awake, rest)

    async def _drain(self, realm: Realm) -> bool:
        return bool(await drain(self._services, realm))

    async def _look_around(self, realm: Realm) -> bool:
        await self._clean()
        await self._poll(realm)
        await self._try_sales()
        return await self._sweep(realm)

    async def _poll(self, realm: Realm) -> None:
        """New events in the list are handled at once. Trouble with the list must not block the sweep."""
        now = self._services.clock()
        if 0 <= now - self._looked_at < LOOK:  # unless the clock was set back
            return
        self._looked_at = now
        try:
            if await poll(self._services, realm):
                self.wake()
        except TollkeeperError as error:
            log.warning("events not polled", error=str(error))

    async def _try_sales(self) -> None:
        """At the start, retry all that is off sale: settings may have changed. Trouble must not block the sweep."""
        now, first = self._services.clock(), not self._tried_at
        if 0 <= now - self._tried_at < LOOK:
            return
        self._tried_at = now
        try:
            await self._checkout_service.try_sales_again(0 if first else AGAIN)
        except TollkeeperError as error:
            log.warning("nothing tried that is off sale", error=str(error))

    async def _sweep(self, realm: Realm) -> bool:
        now = self._services.clock()
        if 0 <= now - self._rested_at < REST:
            return False
        if await sweep(self._services, realm, self._sweep_period):
            return True
        self._rested_at = now
        return False

    async def _clean(self) -> None:
        """Trouble with deleting old data must not block the rest."""
        now = self._services.clock()
        if 0 <= now - self._cleaned_at < HOUSEKEEPING:
            return
        self._cleaned_at = now
        try:
            await self._services.database.write(login_sessions.forget_expired, now)
            await self._services.database.write(handovers.forget_expired, now)
            await self._services.database.write(off_sale.forget, now - A_PERSON_IS_LISTED)
        except TollkeeperError as error:
            log.warning("nothing forgotten", error=str(error))


async def _sleep(awake: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await awake.wait()
