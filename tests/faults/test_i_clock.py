"""I59: a clock that is off by more than a minute is found, on both engines, and nobody else is blamed for it."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from tests.support.processes import run_here
from tests.support.running import Sandbox, settings_for

from tollkeeper.config import load as config
from tollkeeper.model.checks import CheckResult, ClockReading, Level
from tollkeeper.readiness.checks import Checks
from tollkeeper.readiness.clocks import judge

HERE = "http://127.0.0.1:9"


@pytest.fixture
def settings(sandbox: Sandbox, database_url: str) -> dict[str, str]:
    return settings_for(HERE, sandbox, database_url, STRIPE_WEBHOOK_SECRET="")


def of_clocks(results: tuple[CheckResult, ...]) -> list[tuple[str, Level]]:
    return [(one.code, one.level) for one in results if one.what == "clock"]


@pytest.mark.parametrize(
    ("ahead", "code"),
    [(0, "clock_ok"), (45, "clock_ok"), (-45, "clock_ok"), (75, "clock_wrong"), (-300, "clock_wrong")],
)
def test_i59_a_clock_that_is_off(
    sandbox: Sandbox, settings: dict[str, str], tmp_path: Path, ahead: int, code: str
) -> None:
    loaded = config.load(settings, tmp_path)
    checked = asyncio.run(Checks(loaded, lambda: sandbox.clock() + ahead).run())
    assert of_clocks(checked.results) == [(code, Level.OK if code == "clock_ok" else Level.FAULT)]


def test_i59_the_command_says_so(sandbox: Sandbox, settings: dict[str, str], tmp_path: Path) -> None:
    """As if this machine were five minutes behind everybody else's."""
    sandbox.clock.ahead = 300
    try:
        ended = run_here("check", "--online", "--json", folder=tmp_path, environment=settings)
    finally:
        sandbox.clock.ahead = 0
    told = {one["code"]: one for one in json.loads(ended.stdout)["online"]["checks"]}
    assert re.search(r"\b(29\d|30\d) s behind", told["clock_wrong"]["said"])  # asking takes its time
    assert "timedatectl set-ntp true" in told["clock_wrong"]["fix"]
    assert ended.returncode == 1


def readings(**ahead: float) -> list[ClockReading]:
    return [ClockReading(name, seconds, well_kept=name == "provider") for name, seconds in ahead.items()]


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        ({"provider": 0.4, "issuer": -1.0}, ["clock_ok"]),
        ({"provider": 300, "issuer": 300}, ["clock_wrong"]),
        # On this machine: it is wrong as ours is.
        ({"provider": 300, "issuer": 0.0}, ["clock_wrong"]),
        ({"provider": 0.0, "issuer": -300}, ["clock_ok", "clock_of_other"]),
        ({"issuer": 60, "database": 0}, ["clock_ok"]),
        ({"issuer": 61, "database": 0}, ["clock_ok", "clock_of_other"]),
        ({"issuer": 61}, ["clock_wrong"]),
        ({}, ["clock_unknown"]),
    ],
)
def test_i59_whose_clock_is_wrong(ahead: dict[str, float], expected: list[str]) -> None:
    assert [one.code for one in judge(readings(**ahead))] == expected
