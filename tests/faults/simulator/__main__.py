"""Play many histories, or one again: `scripts/simulate`."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import gettempdir

from tests.faults.simulator.campaign import ENGINES, Figures, a_cluster, new_store, run, run_in_parallel
from tests.faults.simulator.history import History, generate, load
from tests.faults.simulator.play import play, quiet


def main() -> int:
    """Run the command. Returns 0 if no invariant was violated, otherwise 1."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--histories", type=int, default=200, metavar="N", help="how many to play (200)")
    parser.add_argument("--first", type=int, default=0, metavar="I", help="which of the series to begin with (0)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the series of histories (0)")
    parser.add_argument("--only", type=int, metavar="I", help="play this one of the series alone, and print it")
    parser.add_argument("--engine", choices=ENGINES, default="sqlite", help="the database (sqlite)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many processes play (1)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="play a history from its file")
    parser.add_argument("--folder", type=Path, default=Path(gettempdir()), help="where failing histories are kept")
    parser.add_argument("--no-shrinking", action="store_true", help="keep failing histories as long as they are")
    given = parser.parse_args()
    with a_cluster(given.engine):
        if given.replay is not None:
            return replay(load(given.replay), given.engine)
        if given.only is not None:
            return replay(generate(given.seed, given.only), given.engine)
        return campaign(given)


def replay(history: History, engine: str) -> int:
    """Play one history, and say how it ends."""
    reported = ", ".join(f"{name} {getattr(history, name)}" for name in ("sells", "webhooks", "calls", "workers"))
    say(f"{history.seed}: {reported}")
    for number, step in enumerate(history.steps):
        say(f"{number:4} {step.do} {step.given or ''} then {step.wait} s")
    with quiet(), new_store(engine) as store:
        outcome = play(history, store)
    say(f"after {outcome.steps} steps: {outcome.violation or 'all is well'}")
    return 1 if outcome.violation else 0


def campaign(given: argparse.Namespace) -> int:
    """Play a series, and print the figures."""
    total, began = Figures(), time.monotonic()
    numbers = range(given.first, given.first + given.histories)
    for figures in playing(given.engine, given.seed, numbers, given.jobs, not given.no_shrinking):
        total.add(figures)
        for found in figures.found:
            say("\n" + found.report(given.folder))
        progress(total, given.histories, began)
    tell(total, given, time.monotonic() - began)
    return 1 if total.found else 0


def playing(engine: str, seed: int, numbers: Sequence[int], jobs: int, shrinking: bool) -> Iterator[Figures]:
    """Play histories in this process or in several."""
    if jobs > 1:
        return run_in_parallel(engine, seed, numbers, jobs, shrinking)
    return run(engine, seed, numbers, shrinking=shrinking)


def progress(total: Figures, histories: int, began: float) -> None:
    """Show the progress, if on a terminal, from time to time."""
    step = 1 if sys.stderr.isatty() else max(1, histories // 20)
    if total.histories % step == 0:
        rate = total.histories / max(time.monotonic() - began, 0.001)
        end = "\r" if sys.stderr.isatty() else "\n"
        words = f"{total.histories} of {histories} histories, {rate:.1f} a second, {len(total.found)} failed"
        sys.stderr.write(words + end)
        sys.stderr.flush()


def tell(total: Figures, given: argparse.Namespace, seconds: float) -> None:
    """Print the final figures."""
    place = f"seed {given.seed} from {given.first} on"
    say(f"\n{total.histories} histories of {place}, on {given.engine}, {given.jobs} processes")
    say(f"{total.steps.total()} steps in {seconds:.1f} s; {total.seconds / total.histories * 1000:.0f} ms a history")
    say(", ".join(f"{name} {count}" for name, count in sorted(total.steps.items())))
    kinds = Counter(found.invariant for found in total.found)
    say("violations: " + (", ".join(f"{kind} {count}" for kind, count in kinds.items()) or "none"))


def say(words: str) -> None:
    """A line on standard output, at once."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
