"""A few histories that nobody has played before, on each engine. The long lane plays 2,000, always the same ones."""

import random

import pytest
from tests.faults.simulator.campaign import run

HISTORIES = {"sqlite": 30, "postgresql": 15}

# Telling which lines run would take as long as the histories do.
pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("engine", HISTORIES)
def test_no_new_history_violates_an_invariant(engine: str, request: pytest.FixtureRequest) -> None:
    if engine == "postgresql":
        request.getfixturevalue("postgresql")  # skips where there is none
    chosen = request.config.getoption("hypothesis_seed")  # which scripts/test draws anew each time, and prints
    seed = int(chosen) if chosen and chosen != "random" else random.SystemRandom().randrange(2**32)
    for figures in run(engine, seed, range(HISTORIES[engine])):
        assert not figures.found, f"scripts/simulate --seed {seed} --engine {engine}: {figures.found[0].report()}"
