"""What a check of the running parts finds: each thing that was looked at, whether it is right, and how to fix it."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum


class Level(StrEnum):
    """How bad a result is."""

    OK = "ok"
    WARNING = "warning"
    """Everything works, or may work, but somebody should look."""
    FAULT = "fault"
    """Something does not work, and stays so until somebody fixes it."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of a check."""

    code: str
    """For machines, and to look it up in the documentation."""
    level: Level
    what: str
    """What was looked at: a setting, a price, an issuer."""
    said: str
    fix: str = ""
    """The command or the page that fixes it; empty where nothing is wrong."""


@dataclass(frozen=True, slots=True)
class CheckKind:
    """One of the things that a check can find. ``said`` and ``fix`` are templates for ``str.format``."""

    code: str
    level: Level
    said: str
    fix: str = ""

    def of(self, what: str, **facts: object) -> CheckResult:
        """The result about one thing. ``facts`` fill in the templates."""
        return CheckResult(self.code, self.level, what, self.said.format(**facts), self.fix.format(**facts))


@dataclass(frozen=True, slots=True)
class ClockReading:
    """How far another machine's clock is ahead of ours, in seconds; negative if it is behind."""

    source: str
    ahead: float
    well_kept: bool = False
    """Whether it is the clock of somebody who keeps it well, on another machine than ours for sure."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What came of looking at one part, and which clocks were seen on the way."""

    results: tuple[CheckResult, ...] = ()
    clocks: tuple[ClockReading, ...] = ()


def kinds(level: Level, texts: Mapping[str, tuple[str, str]]) -> dict[str, CheckKind]:
    """Kinds of one level, by their codes, from what they say and how to fix them."""
    return {code: CheckKind(code, level, said, fix) for code, (said, fix) in texts.items()}


def kind_table(
    ok: Mapping[str, str], warnings: Mapping[str, tuple[str, str]], faults: Mapping[str, tuple[str, str]]
) -> dict[str, CheckKind]:
    """All kinds of one room, by their codes."""
    fine = kinds(Level.OK, {code: (said, "") for code, said in ok.items()})
    return fine | kinds(Level.WARNING, warnings) | kinds(Level.FAULT, faults)


def clock_reading(source: str, date: float | None, now: float, *, well_kept: bool = False) -> tuple[ClockReading, ...]:
    """A reading, if the other side told its time (Unix seconds)."""
    return () if date is None else (ClockReading(source, date - now, well_kept),)


def date_of(headers: Mapping[str, str]) -> float | None:
    """When an answer was sent, by the other side's clock (RFC 9110 section 6.6.1). Unix seconds; None if it says not.

    One that a cache has kept is as much older as the cache says (RFC 9111 section 5.1).
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        sent = parsedate_to_datetime(given.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return None
    age = given.get("age", "0")
    return sent + (int(age) if age.isascii() and age.isdigit() and len(age) < 9 else 0)
