"""Histories played on PostgreSQL: no invariant is violated in any of them. See docs/simulator.md."""

import pytest
from tests.faults.simulator.campaign import run

HISTORIES = 1000
AT_ONCE = 100

# Telling which lines run would take as long as the histories do.
pytestmark = pytest.mark.no_cover


@pytest.mark.usefixtures("postgresql")
@pytest.mark.parametrize("first", range(0, HISTORIES, AT_ONCE))
def test_no_history_violates_an_invariant(first: int) -> None:
    for figures in run("postgresql", 2, range(first, first + AT_ONCE)):
        assert not figures.found, figures.found[0].report()
