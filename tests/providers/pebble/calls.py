"""One call to Pebble's API within the budget and the time limit, and what its refusals mean."""

import asyncio
import time
from typing import Any

import httpx2
from tests.providers.pebble.settings import FACTS, RATE, PebbleSettings

from tollkeeper.errors import (
    CustomerMissing,
    EmailRefused,
    IdempotencyConflict,
    Obstacle,
    ProviderMissing,
    ProviderRefused,
    ProviderUnavailable,
)
from tollkeeper.providers.budget import Budget, in_background
from tollkeeper.providers.protocol import Asked

# The time limit of one request, and the longest that a visitor waits for a definite answer. Seconds.
PATIENCE = 10

# How many times longer background work waits for an answer, because it lets all visitors go first.
BACKGROUND_PATIENCE = 6

REFUSALS: dict[str, tuple[type[ProviderRefused], Obstacle]] = {
    "bad_key": (ProviderRefused, Obstacle.KEY_REFUSED),
    "no_plan": (ProviderMissing, Obstacle.PRICE_MISSING),
    "no_buyer": (CustomerMissing, Obstacle.OTHER),
    "no_page": (ProviderMissing, Obstacle.OTHER),
    "no_payment": (ProviderMissing, Obstacle.OTHER),
    "no_membership": (ProviderMissing, Obstacle.OTHER),
    "bad_mail": (EmailRefused, Obstacle.CUSTOMER_REFUSED),
    "other_once": (IdempotencyConflict, Obstacle.OTHER),
    "no_tax": (ProviderRefused, Obstacle.TAX_INACTIVE),
    "unfit": (ProviderRefused, Obstacle.OTHER),
}

LOOK = "Look for it in the shop that PEBBLE_KEY belongs to."


class Calls:
    """Calls to one shop."""

    def __init__(
        self,
        settings: PebbleSettings,
        *,
        patience: float = PATIENCE,
        budget: Budget | None = None,
        asked: Asked = lambda status, seconds: None,
    ) -> None:
        """Create a client. ``patience`` is in seconds. ``asked`` is called after every request."""
        self._patience = patience
        self._budget = budget or Budget(RATE)
        self._asked = asked
        self._http = httpx2.AsyncClient(
            base_url=settings.url, headers={"Pebble-Key": settings.key}, timeout=self._patience
        )

    async def __call__(self, call: str, **reported: Any) -> dict[str, Any]:
        """Raises ``ProviderUnavailable`` and ``ProviderRefused``."""
        limit = self._patience * (BACKGROUND_PATIENCE if in_background() else 1)
        try:
            async with asyncio.timeout(limit):
                answer = await self._paced(call, reported)
        except (TimeoutError, httpx2.RequestError) as error:
            raise ProviderUnavailable("Pebble did not answer in time.") from error
        return _read(answer)

    async def _paced(self, call: str, reported: dict[str, Any]) -> httpx2.Response:
        """Repeat the call until the rate allows it."""
        while True:
            await self._budget.turn()
            answer = await self._timed(call, reported)
            if answer.status_code != 429:
                self._budget.answered()
                return answer
            self._budget.refused(answer.headers.get("Retry-After", ""))

    async def _timed(self, call: str, reported: dict[str, Any]) -> httpx2.Response:
        began, status = time.perf_counter(), None
        try:
            answer = await self._http.post(f"/api/{call}", json=reported)
            status = answer.status_code
        finally:
            self._asked(status, time.perf_counter() - began)
        return answer

    async def close(self) -> None:
        await self._http.aclose()


def _read(answer: httpx2.Response) -> dict[str, Any]:
    """Read a response. A definite one is JSON: the result, or a refusal with a known code."""
    try:
        reported = answer.json()
    except ValueError:
        reported = None
    if answer.status_code == 200 and isinstance(reported, dict):
        return reported
    if answer.status_code in {401, 422} and isinstance(reported, dict) and reported.get("wrong") in REFUSALS:
        raise _refusal(reported)
    raise ProviderUnavailable("Pebble had trouble answering.")


def _refusal(reported: dict[str, Any]) -> ProviderRefused:
    kind, obstacle = REFUSALS[reported["wrong"]]
    # Its message about a key contains the key.
    words = "Pebble did not accept the key." if obstacle is Obstacle.KEY_REFUSED else str(reported["words"])
    advice = FACTS.remedies.get(obstacle, LOOK if issubclass(kind, ProviderMissing) else "")
    return kind(words, advice, obstacle=obstacle)
