"""Runs the checks beside a server: once at its start, then from time to time; tells the log, the metrics and readyz."""

import asyncio
from collections.abc import Callable

import structlog

from tollkeeper.config.config import Config
from tollkeeper.metrics import Metrics
from tollkeeper.model.checks import CheckResult, Level
from tollkeeper.readiness.checks import Checked, Checks

log = structlog.get_logger()

# How long from one time to the next. Seconds.
EVERY = 3600
# After trouble sooner: somebody may be fixing it.
AFTER_TROUBLE = 300


class Watch:
    """What the last check of this process found."""

    def __init__(self, config: Config, clock: Callable[[], int], metrics: Metrics) -> None:
        self._checks = Checks(config, clock, serving=True)
        self._clock = clock
        self._metrics = metrics
        self._known: frozenset[tuple[str, str]] = frozenset()
        self.checked: Checked | None = None
        self.checked_at: int | None = None

    async def run(self) -> None:
        """Check until cancelled. It never delays or ends the server: trouble is only told."""
        while True:
            checked = await self.once()
            await asyncio.sleep(AFTER_TROUBLE if checked.of(Level.FAULT) else EVERY)

    async def once(self) -> Checked:
        """Check now."""
        self.checked = checked = await self._checks.run()
        self.checked_at = self._clock()
        for level in Level:
            self._metrics.checks.labels(level.value).set(len(checked.of(level)))
        self._tell([*checked.of(Level.FAULT), *checked.of(Level.WARNING)])
        return checked

    def _tell(self, wrong: list[CheckResult]) -> None:
        """What is new, once; and when all is well again."""
        for one in wrong:
            if (one.code, one.what) not in self._known:
                tell = log.error if one.level is Level.FAULT else log.warning
                tell("check", code=one.code, what=one.what, found=one.said, fix=one.fix)
        if self._known and not wrong:
            log.info("check", found="All is well again.")
        self._known = frozenset((one.code, one.what) for one in wrong)
