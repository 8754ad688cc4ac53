"""The SDK's transport within a budget: every request takes its turn, and one that came too soon is made again."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import stripe

from tollkeeper.providers.budget import Budget

Answer = tuple[bytes, int, Mapping[str, str]]
Asked = Callable[[int | None, float], None]


class Paced(stripe.HTTPClient):
    """Carries the SDK's requests over another transport. The SDK's own retries come through here too."""

    name = "paced"

    def __init__(self, transport: stripe.HTTPClient, budget: Budget, patience: float, asked: Asked) -> None:
        """``patience`` is what one request may take once it is its turn. Seconds.

        ``asked`` is told of each: its status, None for no answer, and how many seconds it took.
        """
        super().__init__(async_fallback_client=transport)
        self._asked = asked
        self._budget = budget
        self._patience = patience

    async def request_async(self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None) -> Answer:
        """Ask until the answer is no 429; how long that may take is up to whoever asks. Raises ``TimeoutError``."""
        while True:
            await self._budget.turn()
            answer = await self._timed(super().request_async(method, url, headers, post_data))
            if answer[1] != 429:
                self._budget.answered()
                return answer
            self._budget.refused(answer[2].get("Retry-After", ""))

    async def _timed(self, request: Awaitable[Answer]) -> Answer:
        began, status = time.perf_counter(), None
        try:
            async with asyncio.timeout(self._patience):
                answer = await request
            status = answer[1]
        finally:
            self._asked(status, time.perf_counter() - began)
        return answer
