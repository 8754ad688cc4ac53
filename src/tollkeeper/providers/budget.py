"""How fast this process may call one account of a provider. Requests that people wait for go first.

Background work uses at most half of the rate, so that visitors find room. A tenth of the rate is reserved for it, so
that busy visitors cannot delay the news of a refund forever.

We wrote this ourselves because the libraries that we know do less: ``limits`` counts and refuses, but cannot wait; the
leaky bucket of ``aiolimiter`` lets twice the rate through in its first second, and has only one queue.
"""

import asyncio
import random as chance
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

# The shortest sleep, because clocks are not exact. Seconds.
TICK = 0.01

# The longest pause after a refusal, in addition to what ``Retry-After`` asks for. Seconds.
LONGEST = 60.0

_in_background: ContextVar[bool] = ContextVar("in_background", default=False)


@contextmanager
def background() -> Iterator[None]:
    """Mark everything done in this context, and the tasks started in it, as background work."""
    before = _in_background.set(True)
    try:
        yield
    finally:
        _in_background.reset(before)


def in_background() -> bool:
    """Return whether the current task is background work."""
    return _in_background.get()


@dataclass(slots=True)
class _Line:
    """A queue of callers of one kind, first come, first served."""

    share: int
    """The next one may begin while fewer than this many have begun within the last second."""
    first_pause: float
    longest_pause: float
    pause: float = 0
    paused_until: float = 0
    waiting: int = 0
    front: asyncio.Lock = field(default_factory=asyncio.Lock)


class Budget:
    """Lets at most ``rate`` requests begin within any second. ``random`` returns numbers from 0 up to 1."""

    def __init__(self, rate: int, random: Callable[[], float] = chance.random) -> None:
        self._random = random
        self._begun: deque[float] = deque(maxlen=rate)
        self._own = max(1, rate // 10)
        self._begun_in_background: deque[float] = deque(maxlen=self._own)
        self._people = _Line(rate, first_pause=0.5, longest_pause=4)
        self._background = _Line(max(1, rate // 2), first_pause=2, longest_pause=20)
        self.answered()

    async def turn(self) -> None:
        """Wait until one more request may begin."""
        line = self._background if in_background() else self._people
        line.waiting += 1
        try:
            async with line.front:
                while (wait := self._wait(line)) > 0:  # noqa: ASYNC110 - what is waited for is time
                    await asyncio.sleep(max(wait, TICK))
                self._begun.append(_now())
                if line is self._background:
                    self._begun_in_background.append(_now())
        finally:
            line.waiting -= 1

    def _wait(self, line: _Line) -> float:
        """Return how many seconds the first caller in a queue must wait, as far as is known now."""
        free_at = _free_at(self._begun, line.share)
        if line is self._background:
            whole = _free_at(self._begun, self._people.share)
            if self._people.waiting:
                free_at = max(free_at, whole, _now() + TICK)
            own = _free_at(self._begun_in_background, self._own)
            free_at = min(free_at, max(own, whole))
        return max(free_at, line.paused_until) - _now()

    def refused(self, retry_after: str = "") -> None:
        """Pause after a response with status 429: for the seconds in its ``Retry-After`` header, and some more.

        A date in the header (RFC 9110, section 10.2.3) is ignored: only proxies send one. The additional pause is
        random, up to a limit that doubles each time and is longer for background work ("full jitter",
        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
        """
        now = _now()
        first = (
            now >= self._people.paused_until
        )  # but count only one of several requests that were sent at the same time
        jitter = self._random() if first else 0
        for line in (self._people, self._background):
            line.paused_until = max(line.paused_until, now + min(_seconds(retry_after), LONGEST) + jitter * line.pause)
            if first:
                line.pause = min(line.pause * 2, line.longest_pause)

    def answered(self) -> None:
        """Reset the pause after any other response."""
        for line in (self._people, self._background):
            line.pause = line.first_pause


def _free_at(begun: deque[float], share: int) -> float:
    """Return when fewer than ``share`` of these will have begun within the last second."""
    return begun[-share] + 1 if len(begun) >= share else 0


def _now() -> float:
    return asyncio.get_running_loop().time()


def _seconds(retry_after: str) -> float:
    return float(retry_after) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", retry_after) else 0
