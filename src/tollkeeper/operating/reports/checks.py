"""What the checks found, for people and machines."""

from dataclasses import asdict
from typing import Any

from tollkeeper.model.checks import CheckResult, Level
from tollkeeper.operating.reports.tables import say
from tollkeeper.readiness.checks import Checked

MARKS = {Level.OK: "ok", Level.WARNING: "warning", Level.FAULT: "FAULT"}
STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAULT: "red"}


def checks_in_words(checked: Checked) -> None:
    """A line for each result, and below it how to fix it."""
    for one in checked.results:
        say(f"  {MARKS[one.level]:<8} {one.what}: {one.said}", style=STYLES[one.level])
        if one.fix:
            say(f"           Fix: {one.fix}")
    say(_summary(checked), style="bold")


def _summary(checked: Checked) -> str:
    faults, warnings = len(checked.of(Level.FAULT)), len(checked.of(Level.WARNING))
    if not faults + warnings:
        return "\nEverything that was asked is in order."
    return f"\n{faults} fault(s), {warnings} warning(s). docs/check.md explains each line."


def checks_in_json(checked: Checked) -> dict[str, Any]:
    """The same for machines."""
    return {"ok": not checked.of(Level.FAULT), "checks": [_told(one) for one in checked.results]}


def _told(one: CheckResult) -> dict[str, Any]:
    return asdict(one)
