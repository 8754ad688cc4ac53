"""A short run of ``scripts/crash``, so that it keeps working."""

import pytest
from rich.console import Console
from tests.endurance.crash import Plan, endure

from tollkeeper.billing.inbox import LEASE


def test_nothing_is_wrong_after_a_few_crashes(engine: str, request: pytest.FixtureRequest) -> None:
    if engine == "postgresql":
        request.getfixturevalue("postgresql")  # skips where there is none
    outcome = endure(Plan(engine, cycles=5, seed=4, last={"ahead": LEASE + 1}), Console(quiet=True))
    assert outcome.wrong == []
    assert outcome.figures["cycles"] == 5
    assert outcome.figures["purchases"] != 0
    assert outcome.figures["events_acknowledged"] != 0
