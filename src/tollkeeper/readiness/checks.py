"""The list of all checks, and running them: side by side, each within a time, in a fixed order."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import structlog

from tollkeeper.config.config import Config
from tollkeeper.model.checks import CheckResult, Examination, Level, kind_table
from tollkeeper.providers.protocol import ConfiguredProvider
from tollkeeper.readiness import address, clocks
from tollkeeper.signin.settings import IssuerSettings
from tollkeeper.storage import examination as database

log = structlog.get_logger()

# The longest that one part may take. Seconds.
PATIENCE = 40

KINDS = kind_table(
    ok={},
    warnings={},
    faults={
        "check_too_slow": (
            "It was not known within {seconds} s.",
            "Run the check again. If it stays so, see this machine's network.",
        ),
        "check_failed": (
            "The check itself failed ({error}).",
            "This is a bug in Tollkeeper: report it, with the log.",
        ),
    },
)

Done = Callable[[str], None]
"""Is told of each part that is done, by its name."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Everything that was found, in order."""

    results: tuple[CheckResult, ...]

    def of(self, level: Level) -> tuple[CheckResult, ...]:
        """Those of one level."""
        return tuple(one for one in self.results if one.level is level)


Part = tuple[str, Callable[[], Awaitable[Examination]]]


class Checks:
    """The checks of one site.

    ``serving``: this process serves it, and runs them beside its work. They then send no test event, and do not read
    all of the database.
    """

    def __init__(self, config: Config, clock: Callable[[], int], *, serving: bool = False) -> None:
        self._config = config
        self._clock = clock
        self._serving = serving
        self._address: asyncio.Task[address.Reached] | None = None

    def parts(self) -> Iterator[Part]:
        """Who is asked, by name, and how. A new check is a line here."""
        yield "database", self._database
        yield "PUBLIC_URL", self._public_url
        for provider in self._config.providers:
            yield provider.kind.facts.title, self._of_provider(provider)
        for issuer in self._config.issuers:
            yield issuer.name, self._of_issuer(issuer)

    async def run(self, done: Done = lambda name: None) -> Checked:
        """Ask everybody. Nothing is raised: trouble is among the results."""
        self._address = None
        found = await asyncio.gather(*(_bounded(name, part, done) for name, part in self.parts()))
        results = [one for each in found for one in each.results]
        results += clocks.judge([one for each in found for one in each.clocks])
        return Checked(tuple(results))

    async def _reached(self) -> address.Reached:
        """Asked once for all who want to know."""
        if self._address is None:
            self._address = asyncio.create_task(address.examine(self._config, serving=self._serving))
        return await asyncio.shield(self._address)

    async def _public_url(self) -> Examination:
        return (await self._reached()).examination

    async def _is_reached(self) -> bool:
        return (await self._reached()).by_us

    async def _database(self) -> Examination:
        url = self._config.database_url
        return await asyncio.to_thread(database.examine, url, self._clock, thorough=not self._serving)

    def _of_provider(self, provider: ConfiguredProvider) -> Callable[[], Awaitable[Examination]]:
        reached = None if self._serving else self._is_reached
        config = self._config
        return lambda: provider.examine(config.base_url, config.products, self._clock, reached=reached)

    def _of_issuer(self, issuer: IssuerSettings) -> Callable[[], Awaitable[Examination]]:
        async def ask() -> Examination:
            # Importing what asks takes a while, and would hold up the event loop.
            await asyncio.to_thread(importlib.import_module, "tollkeeper.signin.examination")
            from tollkeeper.signin.examination import examine

            return await examine(issuer, self._config.base_url, self._clock)

        return ask


async def _bounded(name: str, part: Callable[[], Awaitable[Examination]], done: Done) -> Examination:
    try:
        async with asyncio.timeout(PATIENCE):
            return await part()
    except TimeoutError:
        return Examination((KINDS["check_too_slow"].of(name, seconds=PATIENCE),))
    except Exception as error:
        log.exception("a check failed", part=name)
        return Examination((KINDS["check_failed"].of(name, error=type(error).__name__),))
    finally:
        done(name)
