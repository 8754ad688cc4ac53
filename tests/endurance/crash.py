"""Kill the app again and again while people buy, and look for losses: ``scripts/crash``."""

import argparse
import random
import shutil
import sqlite3
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
from rich.console import Console
from rich.progress import track
from sqlalchemy import Connection, text
from tests.endurance import checks
from tests.endurance.buyers import Buyer, Load
from tests.endurance.reporting import Figures, Outcome, report
from tests.endurance.shop import ENGINES, SQLITE_FILE, Shop, clean_up_when_stopped, open_shop
from tests.support.processes import Process, started, wait_until_up
from tests.support.running import look

from tollkeeper.storage.tables import audit, events, grants, orders

# How often the app dies before its first response, and otherwise how long after it at most. The unit is the time that a
# start usually takes, so that a slow machine gets as much done in a life as a fast one.
DIES_EARLY: Final = 0.2
LONGEST_LIFE: Final = 2  # starts

BROWSERS: Final = 6

# Deliveries that the provider would retry an hour later are retried at once when the app stays up. Seconds.
AHEAD: Final = 3600
DRAINED_WITHIN: Final = 180

Tables = dict[str, list[Any]]


@dataclass(frozen=True)
class Plan:
    """The plan of a run. ``last`` are options of ``dying.py`` for the last start, such as a clock that is ahead."""

    engine: str
    cycles: int
    seed: int
    last: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Run:
    """One app that is killed and restarted, and the results."""

    plan: Plan
    shop: Shop
    load: Load
    first_answers: list[float] = field(default_factory=list)
    cycles: int = 0
    killed_early: int = 0
    wrong: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Measure how long a start takes. This process is killed like the others."""
        with self._started() as (process, at):
            self._await_answer(process, at)

    def crash(self, chance: random.Random) -> None:
        """Start and kill the app once, and check what it left."""
        early = chance.random() < DIES_EARLY
        life = chance.uniform(0, 1 if early else LONGEST_LIFE) * statistics.median(self.first_answers)
        with self._started() as (process, at):
            if not early:
                self._await_answer(process, at)
            time.sleep(life)
            if process.popen.poll() is not None:
                self.wrong.append(f"the app ended by itself:\n{process.output()}")
        self.cycles += 1
        self.killed_early += early
        self.wrong += examine(self.shop)

    def recover(self) -> None:
        """Start the app a last time, wait until everything is handled, and compare who has access with who paid."""
        with self.shop.app.serving(**self.plan.last):
            httpx2.post(f"{self.load.account.url}/control/clock", json={"ahead": AHEAD}).raise_for_status()
            self.wrong += self._undrained()
            made = checks.charges(self.load.account)
            if not made:
                self.wrong.append("nobody could pay")
            inside = set(let_in(self.shop, self.load.buyers))
            self.wrong += checks.wrong_access(self.load.buyers, made, inside)
            self.wrong += checks.wrong_charges(self.load.buyers, made)
        self.wrong += examine(self.shop)

    @contextmanager
    def _started(self) -> Iterator[tuple[Process, float]]:
        """The app, and the moment of its start. Killed in the end."""
        app, at = self.shop.app, time.monotonic()
        with started("-m", "tollkeeper", "serve", f"--port={app.port}", folder=app.folder) as process:
            yield process, at

    def _await_answer(self, process: Process, at: float) -> None:
        wait_until_up(process, self.shop.app.port)
        self.first_answers.append(time.monotonic() - at)

    def _undrained(self) -> list[str]:
        """Return what is still pending after the time limit: deliveries, and events in the inbox."""
        end = time.monotonic() + DRAINED_WITHIN
        while left := checks.on_the_way(self.shop):
            if time.monotonic() > end:
                return [f"not handled within {DRAINED_WITHIN} s: {', '.join(left)}"]
            time.sleep(0.5)
        return []


def endure(plan: Plan, console: Console) -> Outcome:
    """Carry out a plan, in processes and on a database of its own. Stops at the first crash that did harm."""
    began = time.monotonic()
    chance = random.Random(plan.seed)
    with open_shop(plan.engine) as shop:
        load = Load(shop.app.url, shop.account, plan.seed, BROWSERS)
        run = Run(plan, shop, load)
        run.begin()
        with load.going_on():
            for _ in track(range(plan.cycles), "Killing", console=console, disable=not console.is_terminal):
                run.crash(chance)
                if run.wrong:
                    break
        if not run.wrong:
            run.recover()
        run.wrong += load.broken
        return Outcome(figures(run, time.monotonic() - began), run.wrong)


def let_in(shop: Shop, buyers: Sequence[Buyer]) -> Iterator[str]:
    """Return the e-mail addresses of the people for whom the dashboard opens."""
    with httpx2.Client(timeout=20) as client:
        for buyer in buyers:
            answer = client.get(f"{shop.app.url}/dashboard", headers={"Cookie": f"tollkeeper={buyer.token}"})
            if answer.status_code == 200:
                yield buyer.email


def examine(shop: Shop) -> list[str]:
    """Return what is wrong in a database that is not in use."""
    sent = checks.deliveries(shop.ledger)
    kept, damage = LOOKS[shop.engine](shop)
    return [
        *damage,
        *checks.lost_events(sent, kept["events"]),
        *checks.wrong_audit(kept["grants"], kept["audit"]),
        *checks.wrong_orders(kept["orders"], kept["grants"]),
    ]


def _look_at_sqlite(shop: Shop) -> tuple[Tables, list[str]]:
    """Look at a copy of the two files that matter: opening the files would repair what the app has to repair."""
    copy = shop.folder / "copy.db"
    for suffix in ("", "-wal"):
        file = Path(f"{shop.folder / SQLITE_FILE}{suffix}")
        shutil.copy(file, f"{copy}{suffix}") if file.exists() else Path(f"{copy}{suffix}").unlink(missing_ok=True)
    with closing(sqlite3.connect(copy)) as connection:
        damage = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        damage += [f"dangling: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
    return look(f"sqlite:///{copy}", _tables), damage


def _look_at_postgresql(shop: Shop) -> tuple[Tables, list[str]]:
    """Read every table at one moment: a server may still finish what its client requested before it died."""

    def at_once(conn: Connection) -> Tables:
        conn.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        return _tables(conn)

    return look(shop.app.settings["DATABASE_URL"], at_once), []


LOOKS = {"sqlite": _look_at_sqlite, "postgresql": _look_at_postgresql}


def _tables(conn: Connection) -> Tables:
    return {
        table.name: list(conn.execute(table.select().order_by(*table.primary_key.columns)))
        for table in (events, grants, audit, orders)
    }


def figures(run: Run, seconds: float) -> Figures:
    """Return the figures of the run."""
    sent = checks.deliveries(run.shop.ledger)
    made = checks.charges(run.load.account)
    return {
        "engine": run.plan.engine,
        "seed": run.plan.seed,
        "cycles": run.cycles,
        "killed_while_starting": run.killed_early,
        "people": len(run.load.buyers),
        "purchases": len(made),
        "refunded_in_full": sum(one.refunded == one.amount for one in made),
        "refunded_in_part": sum(0 < one.refunded < one.amount for one in made),
        "disputes_lost": sum(one.dispute == "lost" for one in made),
        "disputes_won": sum(one.dispute == "won" for one in made),
        "events_acknowledged": sum(one.acknowledged for one in sent),
        "events_sent_more_than_once": sum(one.tries > 1 for one in sent),
        "first_answer_median_seconds": round(statistics.median(run.first_answers), 2),
        "first_answer_longest_seconds": round(max(run.first_answers), 2),
        "seconds": round(seconds),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command. Ends with status 1 if anything was lost, doubled, or left in a wrong state."""
    parser = argparse.ArgumentParser(prog="scripts/crash", description=__doc__)
    parser.add_argument("--cycles", type=int, default=200, help="how often the app is killed (200)")
    parser.add_argument("--engine", choices=ENGINES, default="sqlite", help="on which database (sqlite)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="for the same chances again")
    parser.add_argument("--json", action="store_true", help="answer in JSON, for machines")
    given = parser.parse_args(arguments)
    clean_up_when_stopped()
    outcome = endure(Plan(given.engine, given.cycles, given.seed), Console(stderr=True))
    report(outcome, as_json=given.json)


if __name__ == "__main__":
    main()
