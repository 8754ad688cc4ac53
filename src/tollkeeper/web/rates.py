"""How often somebody may try something: counted in memory, for each process, over a sliding window."""

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limits.strategies import RateLimiter


class Rates:
    """What counts tries. Its library is imported with the first one, for few processes ever see one soon."""

    def hit(self, rate: str, *who: str) -> bool:
        """Count one try against a rate such as ``30/minute``; whether it was still within."""
        from limits import parse

        return self._limiter.hit(parse(rate), *who)

    @cached_property
    def _limiter(self) -> "RateLimiter":
        from limits.storage import MemoryStorage
        from limits.strategies import SlidingWindowCounterRateLimiter

        # Not the moving window, of which this storage never forgets a key.
        return SlidingWindowCounterRateLimiter(MemoryStorage())
