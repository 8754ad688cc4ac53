"""A cached value from elsewhere."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Fetched once for all callers that wait, and again once it is too old for a caller. Failures are not cached."""

    def __init__(self, fetch: Callable[[], Coroutine[Any, Any, T]], *, clock: Callable[[], int]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: tuple[T, int] | None = None
        self._fetching: asyncio.Task[T] | None = None

    async def get(self, max_age: int) -> T:
        """The value, fetched at most ``max_age`` seconds ago. Raises what fetching raises."""
        if self._kept is not None:
            value, fetched_at = self._kept
            if 0 <= self._clock() - fetched_at < max_age:
                return value
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._refresh())
        # A caller that gives up waiting must not cancel the fetch for the others.
        return await asyncio.shield(self._fetching)

    async def _refresh(self) -> T:
        try:
            value = await self._fetch()
            self._kept = value, self._clock()
            return value
        finally:
            self._fetching = None
