"""Short-lived secrets, in memory."""

from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Expiring(Generic[Value]):
    """Values by unguessable key, each for ``lifetime`` seconds. Beyond ``limit``, the oldest are dropped."""

    def __init__(self, *, lifetime: int, limit: int, clock: Callable[[], float]) -> None:
        self._lifetime = lifetime
        self._limit = limit
        self._clock = clock
        self._kept: dict[str, tuple[float, Value]] = {}

    def keep(self, key: str, value: Value) -> None:
        while len(self._kept) >= self._limit:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (self._clock() + self._lifetime, value)

    def get(self, key: str) -> Value | None:
        until, value = self._kept.get(key, (0.0, None))
        return value if self._clock() < until else None

    def drop(self, key: str) -> None:
        self._kept.pop(key, None)

    def clear(self) -> None:
        self._kept.clear()
