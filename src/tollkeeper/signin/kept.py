"""A value from elsewhere that is kept for a while."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Fetched once for all who wait for it, and again once it is too old for who asks. A failure is not kept."""

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
        # Whoever gives up waiting must not take the value from the others.
        return await asyncio.shield(self._fetching)

    async def _refresh(self) -> T:
        try:
            value = await self._fetch()
            self._kept = value, self._clock()
            return value
        finally:
            self._fetching = None
