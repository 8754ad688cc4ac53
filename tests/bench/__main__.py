"""Measure how fast the gate is, and what it needs: ``scripts/bench gate``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from tests.bench.gate import PARTS, Options, measure
from tests.bench.load import require_wrk
from tests.bench.showing import in_json, show
from tests.endurance.shop import clean_up_when_stopped


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command. A missed target is marked, but is not a failure, because machines differ."""
    given = options_of(arguments)
    require_wrk()
    clean_up_when_stopped()
    progress = Console(stderr=True)
    options = Options(
        people=[int(count) for count in given.people.split(",")],
        rounds=given.rounds,
        seconds=given.seconds,
        requests=given.requests,
        only=given.only or PARTS,
    )
    with TemporaryDirectory(prefix="tollkeeper-") as folder:
        found = measure(options, Path(folder), lambda words: progress.print(words, highlight=False))
    if given.json:
        sys.stdout.write(in_json(found))
    else:
        show(found, Console(width=120))


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    benches = parser.add_subparsers(required=True, metavar="gate")
    gate = benches.add_parser("gate", help="answers per second, delays, memory and start, to a bare app's")
    usual = Options()
    gate.add_argument("--people", default="1000,1000000", help="how many are signed in, with commas (1000,1000000)")
    gate.add_argument("--rounds", type=int, default=usual.rounds, help="how often everything is measured (3)")
    gate.add_argument("--seconds", type=float, default=usual.seconds, help="how long each time, whole seconds (5)")
    gate.add_argument("--requests", type=int, default=usual.requests, help="over which memory may grow (300000)")
    gate.add_argument("--only", action="append", choices=PARTS, help="one part; may be given several times")
    gate.add_argument("--json", action="store_true", help="answer in JSON, for machines")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
