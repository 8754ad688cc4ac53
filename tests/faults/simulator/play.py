"""Play a history: take its steps, then stop all faults, and check that everything ends up correct."""

import asyncio
import gc
import logging
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import structlog
from limits.storage import memory
from stripe import _util
from tests.faults.simulator.history import History
from tests.faults.simulator.known import Violation
from tests.faults.simulator.premises import BEGIN, premises
from tests.faults.simulator.steps import take
from tests.faults.simulator.storage import Store
from tests.faults.simulator.virtual import run
from tests.faults.simulator.world import World

from tollkeeper.billing.inbox import POLL_INTERVAL
from tollkeeper.billing.sweep import LEASE

# How often the inbox is checked after all faults have stopped (seconds), and how many times at most.
PATIENCE = 2.0
LOOKS = 300

# The time within which everybody is reconciled even without events, and how far the clock moves on at the end. Seconds.
SWEPT_WITHIN = 24 * 3600
MOVES_ON = {"once": POLL_INTERVAL, "subscriptions": SWEPT_WITHIN, "related": SWEPT_WITHIN}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a history ended: ``violation`` is None if there was none."""

    violation: Violation | None
    steps: int
    held: int
    """How much is held at the end."""
    seconds: float
    """How long it took, in its own time."""


def play(history: History, store: Store) -> Outcome:
    """Play a history on a database. The same history has the same outcome."""
    premises(history.sells, history.webhooks)  # which needs an event loop of its own
    state = random.getstate()
    random.seed(history.seed)
    try:
        return run(_play(history, store))
    finally:
        random.setstate(state)


async def _play(history: History, store: Store) -> Outcome:
    world = World(store, history)
    await world.start()
    taken = 0
    try:
        for step in history.steps:
            await take(world, step)
            taken += 1
            if world.violation is not None:
                break
        else:
            await _settle(world)
    finally:
        await world.close()
    held = sum(held.worth(world.clock()) is not None for held in world.checker.grants.values())
    return Outcome(world.violation, taken, held, world.clock() - BEGIN)


async def _settle(world: World) -> None:
    """Stop all faults and restart the app. The clock moves on to its next poll, then waits for it.

    There may be no event about the fate of a subscription's invoice, so the clock moves on to the next sweep.
    """
    world.weather.calm = True
    world.sandbox.ledger.run("DELETE FROM faults")
    world.kill_all()
    moves_on = MOVES_ON[world.history.sells]
    world.jumped += moves_on + 1
    # A customer that a sweep has only claimed is not reconciled yet: its process may have died.
    swept_since = world.clock() - SWEPT_WITHIN + max(moves_on, LEASE)
    await world.start_process(0)
    for _ in range(LOOKS):
        await asyncio.sleep(PATIENCE)
        if world.violation is not None or not world.checker.waiting(swept_since):
            break
        world.jumped += POLL_INTERVAL
    if world.violation is None:
        world.check(world.checker.settled)
        world.check(world.checker.bought_twice, world.flagged())
        world.check(world.checker.listed, world.listed())
        world.ask_gate()


@contextmanager
def quiet() -> Iterator[None]:
    """Prepare for thousands of histories: no log, which would not be read, fewer garbage collections, and none of the
    threads in which rate limits expire after real seconds.
    """
    before, thresholds, line = structlog.get_config(), gc.get_threshold(), vars(_util)["logfmt"]
    vars(_util)["logfmt"] = lambda said: ""  # the SDK formats every line of its log, even if it is not written
    vars(memory)["threading"] = SimpleNamespace(RLock=threading.RLock, Timer=_NoTimer)
    gc.set_threshold(50_000, 20, 100)  # most objects of a history are gone when it ends
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        structlog.configure(**before)
        gc.set_threshold(*thresholds)
        vars(memory)["threading"] = threading
        vars(_util)["logfmt"] = line


class _NoTimer:
    def __init__(self, *args: object) -> None:
        """Takes what a timer takes."""

    def start(self) -> None:
        """It never runs out."""

    def is_alive(self) -> bool:
        return True
