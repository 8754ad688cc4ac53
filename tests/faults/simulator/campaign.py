"""Play many histories on one engine, in one process or in several, and keep what failed."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from tempfile import gettempdir

from tests.faults.simulator.history import History, generate
from tests.faults.simulator.play import Outcome, play, quiet
from tests.faults.simulator.shrink import shrink
from tests.faults.simulator.storage import Store, postgresql_store, sqlite_store
from tests.support.databases import FOLDER_VARIABLE, announce_shared_cluster, remove_shared_cluster, shared_cluster

ENGINES = ("sqlite", "postgresql")

# The number of histories on one database; then a new one is used, because the old one grows.
HISTORIES_PER_DATABASE = 250

# The number of histories in one batch for another process.
PER_BATCH = 100


@dataclass
class Found:
    """A history that failed, and the shortest one that fails in the same way."""

    engine: str
    number: int
    invariant: str
    words: str
    history: History

    def report(self, folder: Path | None = None) -> str:
        """Save the short one to a file, and return what is wrong and how to reproduce it."""
        seed = self.history.seed.replace("/", "-")
        path = (folder or Path(gettempdir())) / f"history-{self.engine}-{seed}.json"
        self.history.save(path)
        replay = f"scripts/simulate --engine {self.engine} --replay {path}"
        return f"{self.words}\nin {len(self.history.steps)} steps of history {self.history.seed}: {replay}"


@dataclass
class Figures:
    """The figures of a campaign."""

    histories: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    found: list[Found] = field(default_factory=list)

    def add(self, other: "Figures") -> None:
        self.histories += other.histories
        self.steps += other.steps
        self.seconds += other.seconds
        self.found += other.found


@contextmanager
def a_cluster(engine: str) -> Iterator[None]:
    """A PostgreSQL server for as long as this runs, if it is needed and nobody has one for us."""
    if engine != "postgresql" or FOLDER_VARIABLE in os.environ:
        yield
        return
    announce_shared_cluster()
    try:
        yield
    finally:
        remove_shared_cluster()


def new_store(engine: str) -> AbstractContextManager[Store]:
    """An empty database of this engine."""
    return sqlite_store() if engine == "sqlite" else postgresql_store(shared_cluster())


def run(engine: str, seed: int, numbers: Iterable[int], *, shrinking: bool = True) -> Iterator[Figures]:
    """Play these histories, one after the other. Yields the figures of each."""
    left = list(numbers)
    while left:
        batch, left = left[:HISTORIES_PER_DATABASE], left[HISTORIES_PER_DATABASE:]
        with quiet(), new_store(engine) as store:
            for number in batch:
                yield _one(engine, seed, number, store, shrinking)


def run_batch(engine: str, seed: int, numbers: Sequence[int], shrinking: bool) -> Figures:
    """Play these histories and return the total figures. Called in other processes."""
    figures = Figures()
    for one in run(engine, seed, numbers, shrinking=shrinking):
        figures.add(one)
    return figures


def run_in_parallel(engine: str, seed: int, numbers: Sequence[int], jobs: int, shrinking: bool) -> Iterator[Figures]:
    """Play these histories in several processes. Yields the figures of each batch when it is done."""
    batches = [numbers[at : at + PER_BATCH] for at in range(0, len(numbers), PER_BATCH)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        playing = [pool.submit(run_batch, engine, seed, batch, shrinking) for batch in batches]
        for done in as_completed(playing):
            yield done.result()


def _one(engine: str, seed: int, number: int, store: Store, shrinking: bool) -> Figures:
    history = generate(seed, number)
    began = time.perf_counter()
    outcome = play(history, store)
    figures = Figures(1, Counter(step.do for step in history.steps[: outcome.steps]), time.perf_counter() - began)
    if outcome.violation is not None:
        short = shorter(history, outcome, store) if shrinking else history
        figures.found.append(Found(engine, number, outcome.violation.invariant, str(outcome.violation), short))
    return figures


def shorter(history: History, outcome: Outcome, store: Store) -> History:
    """A short history that violates the same invariant."""
    assert outcome.violation is not None
    invariant = outcome.violation.invariant

    def fails(tried: History) -> bool:
        found = play(tried, store).violation
        return found is not None and found.invariant == invariant

    return shrink(history.with_steps(history.steps[: outcome.steps]), fails)
