"""Test the checker: plant a mistake in a copy of the app, and play histories until it is found. `scripts/plant`."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.simulator.campaign import ENGINES, a_cluster, run

ROOT = Path(__file__).parents[3]
PLANTS = ROOT / "tests" / "faults" / "plants"
FOUND = re.compile(r"^Found in history (?P<seed>[0-9]+)/(?P<number>[0-9]+)\.\n", re.M)


@dataclass(frozen=True, slots=True)
class Plant:
    """A mistake that somebody could make, as a patch. Its first line describes it, and its second names the history in
    which it is found on SQLite: ``Found in history 0/412.`` names seed and number.
    """

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def words(self) -> str:
        return self.path.read_text().partition("\n")[0]

    def found_in(self, seed: int) -> int | None:
        """Return the number of the history of this seed in which it was last found; None if that is not known."""
        noted = FOUND.search(self.path.read_text())
        return int(noted["number"]) if noted and int(noted["seed"]) == seed else None

    def note(self, seed: int, number: int) -> None:
        """Store in which history it was found."""
        words, _, rest = self.path.read_text().partition("\n")
        self.path.write_text(f"{words}\nFound in history {seed}/{number}.\n{FOUND.sub('', rest, count=1)}")

    def apply(self, folder: Path, *options: str) -> None:
        """Apply the patch in a folder with the app. Raises ``CalledProcessError`` if it does not fit."""
        command = ["git", "apply", *options, str(self.path)]
        # Inside another repository, git would apply nothing.
        apart = {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
        subprocess.run(command, cwd=folder, env=os.environ | apart, capture_output=True, text=True, check=True)


@dataclass(frozen=True, slots=True)
class Hunt:
    """How a plant was found: by which invariant, in which history. ``invariant`` is empty if it was not."""

    plant: Plant
    histories: int
    invariant: str
    words: str
    seconds: float


def plants() -> tuple[Plant, ...]:
    """All of them, by name."""
    return tuple(Plant(path) for path in sorted(PLANTS.glob("*.patch")))


@contextmanager
def planted(plant: Plant) -> Iterator[Path]:
    """Create a copy of app and simulator with the mistake. Raises ``CalledProcessError`` if the patch does not fit."""
    with TemporaryDirectory(prefix="tollkeeper-plant-") as made:
        copy = Path(made)
        for part in ("src", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        plant.apply(copy)
        yield copy


def hunt(plant: Plant, engine: str, most: int, seed: int, *, anew: bool = False) -> Hunt:
    """Play histories, in a process that imports the copy, until the mistake is found: first the one in which it was
    found last, unless it is hunted ``anew``.
    """
    began = time.monotonic()
    known = None if anew else plant.found_in(seed)
    begin = [] if known is None else [str(known)]
    try:
        with planted(plant) as copy:
            reported = json.loads(_played(copy, "--look", engine, str(most), str(seed), *begin))
    except subprocess.CalledProcessError as error:  # the patch does not fit, or the app does not even start with it
        reported = {"histories": 0, "invariant": "", "words": error.stderr.strip().rpartition("\n")[2]}
    return Hunt(plant, reported["histories"], reported["invariant"], reported["words"], time.monotonic() - began)


def _played(copy: Path, *arguments: str) -> str:
    """Return the last line of this module's output when it runs in the copy."""
    command = [sys.executable, "-m", "tests.faults.simulator.planting", *arguments]
    paths = {"PYTHONPATH": os.pathsep.join((str(copy / "src"), str(copy)))}
    done = subprocess.run(command, cwd=copy, env=os.environ | paths, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def look(engine: str, most: int, seed: int, *known: int) -> str:
    """Play those that are ``known``, then all, until an invariant is violated. Returns what was found, as JSON."""
    numbers = (*known, *range(most))
    for number, figures in zip(numbers, run(engine, seed, numbers, shrinking=False), strict=True):
        for found in figures.found:
            return json.dumps({"histories": number + 1, "invariant": found.invariant, "words": found.words})
    return json.dumps({"histories": most, "invariant": "", "words": "not found"})


def main() -> int:
    """Run the command. Returns 0 if every plant was found."""
    parser = argparse.ArgumentParser(prog="scripts/plant", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PLANT", help="those to be planted (all)")
    parser.add_argument("--histories", type=int, default=2000, metavar="N", help="how many to play at most (2000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the histories (0)")
    parser.add_argument("--engine", choices=ENGINES, default="sqlite", help="the database (sqlite)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many to hunt at a time (1)")
    parser.add_argument("--anew", action="store_true", help="begin with the first history, and note where it was found")
    parser.add_argument("--look", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.look:
        sys.stdout.write(look(given.look[0], *map(int, given.look[1:])) + "\n")
        return 0
    chosen = [plant for plant in plants() if not given.names or plant.name in given.names]
    with a_cluster(given.engine), ThreadPoolExecutor(given.jobs) as pool:
        hunts = pool.map(lambda one: hunt(one, given.engine, given.histories, given.seed, anew=given.anew), chosen)
        return tell(hunts, given.engine, given.seed if given.anew else None)


def tell(hunts: Iterator[Hunt], engine: str, seed: int | None) -> int:
    """Print a line for each result; with a ``seed``, store in the plant where it was found."""
    missed = 0
    sys.stdout.write(f"{'plant':32} {'found':8} {'after':>6} {'in':>6}  on {engine}, and what was seen\n")
    for done in hunts:
        missed += not done.invariant
        if done.invariant and seed is not None:
            done.plant.note(seed, done.histories - 1)
        found = f"{done.plant.name:32} {done.invariant or 'MISSED':8} {done.histories:6} {done.seconds:5.0f}s"
        sys.stdout.write(f"{found}  {done.words.partition(': ')[2] or done.plant.words}\n")
        sys.stdout.flush()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
