"""Webhook delivery: signed posts, retried with growing delays, with a log of each attempt.

https://docs.stripe.com/webhooks: any 2xx counts as delivered, redirects are not followed.
"""

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import httpx2
from stripe import WebhookSignature

from tollkeeper_sandbox.stripe.engine.ledger import Ledger

DEFAULT_DELAYS = (0.5, 2.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)  # seconds after the first, second... failure
TRY_SECONDS = 10.0
AT_ONCE = 16
IDLE_SECONDS = 1.0

DELIVERED = """
UPDATE objects SET body = json_set(body, '$.pending_webhooks', json_extract(body, '$.pending_webhooks') - 1)
WHERE id = (SELECT event FROM deliveries WHERE id = ? AND delivered = 0)
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """Either the response's status or the reason why there was none."""

    status: int | None
    error: str | None

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Deliveries:
    """The loop that sends the deliveries that are due according to the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], float],
        delays: Sequence[float],
        signing_clock: Callable[[], float],
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Create the loop.

        ``clock`` decides what is due, and may be moved. Signatures use ``signing_clock``, which is not moved.
        ``transport`` carries the posts; by default the network.
        """
        self._ledger = ledger
        self._clock = clock
        self._signing_clock = signing_clock
        self._delays = delays
        self._transport = transport
        self._woken = asyncio.Event()
        self._under_way: set[str] = set()

    def wake(self) -> None:
        self._woken.set()

    async def run(self, tick: Callable[[], None]) -> None:
        """Run until cancelled. ``tick`` is called in every turn, at least once a second."""
        client = httpx2.AsyncClient(
            transport=self._transport, timeout=TRY_SECONDS, follow_redirects=False, trust_env=False
        )
        async with client, asyncio.TaskGroup() as tries:
            while True:
                self._woken.clear()
                pause = self._turn(tick, lambda row: tries.create_task(self._try(client, row)))
                with suppress(TimeoutError):
                    # Not wait_for, which loses a cancellation that arrives while it is being woken (Python 3.11).
                    async with asyncio.timeout(pause):
                        await self._woken.wait()

    def _turn(self, tick: Callable[[], None], begin: Callable[[sqlite3.Row], object]) -> float:
        """Return the seconds until the next turn. After a database error the loop continues and tries again."""
        try:
            tick()
            for row in self._due():
                self._under_way.add(row["id"])
                begin(row)
            return self._pause()
        except sqlite3.Error:
            log.exception("the ledger could not be used")
            return IDLE_SECONDS

    def _due(self) -> list[sqlite3.Row]:
        found = self._ledger.rows(
            "SELECT * FROM deliveries WHERE next_at <= ? ORDER BY next_at, rowid LIMIT ?",
            *(self._clock(), 2 * AT_ONCE),
        )
        free = [row for row in found if row["id"] not in self._under_way]
        return free[: AT_ONCE - len(self._under_way)]

    def _pause(self) -> float:
        """Return the seconds until the next delivery is due. One that is in progress wakes the loop when it is done."""
        found = self._ledger.rows(
            "SELECT id, next_at FROM deliveries WHERE next_at IS NOT NULL ORDER BY next_at LIMIT ?", 2 * AT_ONCE
        )
        waiting: list[float] = [row["next_at"] for row in found if row["id"] not in self._under_way]
        if not waiting or len(self._under_way) >= AT_ONCE:
            return IDLE_SECONDS
        return min(max(waiting[0] - self._clock(), 0.01), IDLE_SECONDS)

    async def _try(self, client: httpx2.AsyncClient, row: sqlite3.Row) -> None:
        began, at = time.monotonic(), self._clock()
        try:
            outcome = await self._post(client, row)
            self._log(row["id"], at, time.monotonic() - began, outcome)
        except Exception:
            log.exception("delivery %s could not be tried", row["id"])
            await asyncio.sleep(IDLE_SECONDS)
        finally:
            self._under_way.discard(row["id"])
            self.wake()

    async def _post(self, client: httpx2.AsyncClient, row: sqlite3.Row) -> Outcome:
        event, endpoint = self._ledger.find(row["event"]), self._ledger.find(row["endpoint"])
        if event is None or endpoint is None or endpoint.get("deleted"):
            return Outcome(None, "the endpoint was deleted")
        if self._ledger.rows("SELECT 1 FROM faulted WHERE delivery = ? AND effect = 'wrong_mode'", row["id"]):
            event["livemode"] = True
        body = json.dumps(event)
        secret = self._ledger.hidden(endpoint["id"])["secret"]
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": WebhookSignature.generate_signature_header(body, secret, int(self._signing_clock())),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            async with (
                asyncio.timeout(TRY_SECONDS),
                client.stream("POST", endpoint["url"], content=body.encode(), headers=headers) as answer,
            ):
                return Outcome(answer.status_code, None)
        except TimeoutError:
            return Outcome(None, f"no answer within {TRY_SECONDS:g} seconds")
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError, OSError) as error:
            return Outcome(None, f"{type(error).__name__}: {error}"[:500])

    def _log(self, id_: str, at: float, seconds: float, outcome: Outcome) -> None:
        with self._ledger.transaction():
            failures = self._ledger.rows("SELECT count(*) AS n FROM tries WHERE delivery = ?", id_)[0]["n"]
            again = not outcome.delivered and failures < len(self._delays)
            next_at = self._clock() + self._delays[failures] if again else None
            self._ledger.run(
                "INSERT INTO tries (delivery, at, seconds, status, error) VALUES (?, ?, ?, ?, ?)",
                *(id_, at, seconds, outcome.status, outcome.error),
            )
            if outcome.delivered:
                self._ledger.run(DELIVERED, id_)
            # If the endpoint was deleted in the meantime, its deliveries were cancelled, and stay so.
            self._ledger.run(
                "UPDATE deliveries SET delivered = ?, next_at = ? WHERE id = ? AND next_at IS NOT NULL",
                *(outcome.delivered, next_at, id_),
            )
