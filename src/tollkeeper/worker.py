"""The background loop: drain the inbox, poll for events, forget expired login sessions."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from tollkeeper.errors import TollkeeperError
from tollkeeper.inbox import drain, poll
from tollkeeper.model import Realm
from tollkeeper.provider import PaymentProvider
from tollkeeper.storage import login_sessions
from tollkeeper.storage.database import Database

log = structlog.get_logger()

# How long to sleep with nothing to do: another process may keep an event, or one may fall due again. Seconds.
IDLE = 2
HOUSEKEEPING = 3600

# How long work under way may take to finish when told to stop. Seconds.
GRACE = 4


class Worker:
    """Runs beside the web pages in every process. Any number of them share the work."""

    def __init__(self, database: Database, provider: PaymentProvider, clock: Callable[[], int]) -> None:
        self._database = database
        self._provider = provider
        self._clock = clock
        self._awake = asyncio.Event()
        self._stopping = False
        self._cleaned_at = 0

    def wake(self) -> None:
        """There is something in the inbox: do not sleep on."""
        self._awake.set()

    async def stop(self, task: asyncio.Task[None]) -> None:
        """Take no new work, and let the work under way finish."""
        self._stopping = True
        self.wake()
        await asyncio.wait({task}, timeout=GRACE)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def run(self) -> None:
        """Work until stopped. Nothing that goes wrong in one round ends the loop."""
        while not self._stopping:
            self._awake.clear()
            try:
                busy = await self._round()
            except TollkeeperError as error:
                log.warning("background work postponed", error=str(error))
                busy = False
            except Exception:
                log.exception("background work failed")
                busy = False
            if not busy and not self._stopping:
                await self._sleep()

    async def _round(self) -> bool:
        realm = Realm(self._provider.name, await self._provider.account(), self._provider.live)
        await self._clean(self._clock())
        await self._poll(realm)
        return bool(await drain(self._database, self._provider, realm, self._clock))

    async def _poll(self, realm: Realm) -> None:
        """Trouble with the list of events must not hold up those that webhooks brought."""
        try:
            await poll(self._database, self._provider, realm, self._clock)
        except TollkeeperError as error:
            log.warning("events not polled", error=str(error))

    async def _clean(self, now: int) -> None:
        if now - self._cleaned_at >= HOUSEKEEPING:
            await self._database.write(login_sessions.forget_expired, now)
            self._cleaned_at = now

    async def _sleep(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE):
                await self._awake.wait()
