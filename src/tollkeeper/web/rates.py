"""Rate limits: attempts are counted in memory, per process, over a sliding window."""

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limits.strategies import RateLimiter


class Rates:
    """Counts attempts. Its library is imported at the first one, because few processes need it soon."""

    def hit(self, rate: str, *who: str) -> bool:
        """Count one attempt against a rate such as ``30/minute``; whether it was within the rate."""
        from limits import parse

        return self._limiter.hit(parse(rate), *who)

    @cached_property
    def _limiter(self) -> "RateLimiter":
        from limits.storage import MemoryStorage
        from limits.strategies import SlidingWindowCounterRateLimiter

        # Not the moving window: with it, this storage never deletes a key.
        return SlidingWindowCounterRateLimiter(MemoryStorage())
