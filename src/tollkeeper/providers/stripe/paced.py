"""A transport for the SDK that keeps to a budget: each request waits for its turn, and is repeated after a 429."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import stripe

from tollkeeper.providers.budget import Budget

Answer = tuple[bytes, int, Mapping[str, str]]
Asked = Callable[[int | None, float], None]


class Paced(stripe.HTTPClient):
    """Carries the SDK's requests over another transport, including the SDK's own retries."""

    name = "paced"

    def __init__(self, transport: stripe.HTTPClient, budget: Budget, patience: float, asked: Asked) -> None:
        """Wrap a transport.

        ``patience`` is the time limit of one request once it is its turn, in seconds. ``asked`` is called after each
        request with the response's status (None without one) and the seconds it took.
        """
        super().__init__(async_fallback_client=transport)
        self._asked = asked
        self._budget = budget
        self._patience = patience

    async def request_async(self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None) -> Answer:
        """Repeat the request until the response is not a 429. The caller limits the total time.

        Raises ``TimeoutError`` if one request takes too long.
        """
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
