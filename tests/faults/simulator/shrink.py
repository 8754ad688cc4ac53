"""Shorten a failing history: leave out everything that is not needed (delta debugging, Zeller and Hildebrandt 2002)."""

from collections.abc import Callable
from dataclasses import replace

from tests.faults.simulator.history import History, Step

# How many histories are played at most.
BUDGET = 400


def shrink(history: History, fails: Callable[[History], bool], budget: int = BUDGET) -> History:
    """Return the shortest history that still fails, with its remaining steps simplified. ``fails`` plays one."""
    tries = _Tries(fails, budget)
    history = _fewer_steps(history, tries)
    for simpler in (_calm, _one_worker, _without_waits):
        tried = simpler(history)
        if tried != history and tries.fails(tried):
            history = tried
    return _fewer_steps(history, tries)


class _Tries:
    def __init__(self, fails: Callable[[History], bool], budget: int) -> None:
        self._fails = fails
        self.left = budget

    def fails(self, history: History) -> bool:
        if self.left == 0:
            return False
        self.left -= 1
        return self._fails(history)


def _fewer_steps(history: History, tries: _Tries) -> History:
    """Leave out halves, then quarters, down to single steps, over and over until none can go."""
    size = max(1, len(history.steps) // 2)
    while True:
        shorter = _without_one_part(history, size, tries)
        if shorter is not None:
            history = shorter
        elif size == 1:
            return history
        else:
            size //= 2


def _without_one_part(history: History, size: int, tries: _Tries) -> History | None:
    for at in range(len(history.steps) - size, -size, -size):
        steps = history.steps[: max(at, 0)] + history.steps[at + size :]
        tried = history.with_steps(steps)
        if tries.fails(tried):
            return tried
    return None


def _calm(history: History) -> History:
    return replace(history, calls="calm")


def _one_worker(history: History) -> History:
    return replace(history, workers=1)


def _without_waits(history: History) -> History:
    return history.with_steps(tuple(_at_once(step) for step in history.steps))


def _at_once(step: Step) -> Step:
    return replace(step, wait=0.3)
