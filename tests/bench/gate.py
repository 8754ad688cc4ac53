"""Measure how fast the gate is, compared with a minimal app, in one run and in turns."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2
from tests.bench.load import Load, WrongAnswer, ask, post
from tests.bench.people import token
from tests.bench.sites import (
    BARE,
    Site,
    first_answer,
    install,
    memory,
    open_sandbox,
    postgresql,
    resident,
    serving_bare,
    serving_nginx,
)
from tests.support.processes import Process, free_port, started
from tests.support.webhooks import an_event, body_of, signature

from tollkeeper.serving.server import SETTLED

PARTS: Final = ("sqlite", "postgresql", "nginx", "webhooks", "memory", "start", "imports")
BASE: Final = "Starlette: hello"
WEBHOOK_CLIENTS: Final = 8
WARM: Final = 20_000  # requests before memory is looked at

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What to measure, and for how long."""

    people: Sequence[int] = (1_000, 1_000_000)
    rounds: int = 3
    seconds: float = 5
    requests: int = 300_000
    only: Sequence[str] = PARTS


@dataclass(frozen=True)
class Case:
    """A request that is repeated, each time as one of a number of people."""

    name: str
    url: str
    people: int
    process: Process | None
    status: int = 200


@dataclass(frozen=True)
class Target:
    """A figure and its target."""

    name: str
    value: float
    bound: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound


@dataclass
class Findings:
    """The results: load by case and round, other figures by name, and their comparison with the targets."""

    loads: dict[str, list[Load]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)

    def ratio(self, name: str, base: str, of: Callable[[Load], float]) -> float:
        """The median over the rounds of what a case has, in parts of another's in the same round."""
        pairs = zip(self.loads[name], self.loads[base], strict=True)
        return statistics.median(of(load) / of(other) for load, other in pairs)

    def middle(self, name: str, of: Callable[[Load], float]) -> float:
        """The median over the rounds."""
        return statistics.median(of(load) for load in self.loads[name])


def rate(load: Load) -> float:
    return load.rate


def effort(load: Load) -> float:
    return load.effort


def p50(load: Load) -> float:
    return load.p50


def p99(load: Load) -> float:
    return load.p99


def measure(options: Options, folder: Path, say: Say) -> Findings:
    """Run all requested measurements."""
    found = Findings()
    with ExitStack() as stack:
        account = stack.enter_context(open_sandbox(folder))

        def filled(name: str, database_url: str, people: int) -> Site:
            say(f"{people} people in {name} ...")
            return install(account, folder / f"{name}-{people}", database_url, people)

        files = {people: folder / f"tollkeeper-{people}.db" for people in options.people}
        sites = {people: filled("SQLite", f"sqlite:///{file}", people) for people, file in files.items()}
        largest = sites[max(sites)]
        if "imports" in options.only:
            say("imports ...")
            require_lazy_imports(largest)
        if "start" in options.only:
            measure_starts(sites[min(sites)], folder, options.rounds, found, say)
            if len(sites) > 1:
                say(f"start with {largest.people} people ...")
                name = f"seconds until the first answer: Tollkeeper, {largest.people:,} people"
                found.figures[name] = seconds_to_start(serve_command(largest), largest.app.folder, largest.gate)
        if "memory" in options.only:
            measure_memory(largest, folder, options.requests, found, say)
        with ExitStack() as serving:
            cases = list(bare_cases(folder, serving))
            served = {people: serving.enter_context(site.app.serving()) for people, site in sites.items()}
            if "sqlite" in options.only:
                cases += [case for people in sites for case in gate_cases("SQLite", sites[people], served[people])]
                page = f"{largest.app.url}/dashboard"
                cases.append(Case("dashboard page", page, largest.people, served[largest.people]))
            if "nginx" in options.only:
                url = serving.enter_context(serving_nginx(folder, largest.app.port))
                cases += [Case("nginx: page", f"{url}/open", 0, None)]
                cases += [Case("nginx: page behind the gate", f"{url}/gated", largest.people, served[largest.people])]
            if "postgresql" in options.only:
                cluster = serving.enter_context(postgresql())
                for people in options.people:
                    cluster.create(f"people{people}")
                    site = filled("PostgreSQL", cluster.url(f"people{people}"), people)
                    cases += gate_cases("PostgreSQL", site, serving.enter_context(site.app.serving()))
            settle(say)
            take_turns(cases, folder, options, found, say)
        if "webhooks" in options.only:  # last, for the events that it leaves are handled for a while
            measure_webhooks(largest, folder, options, found, say)
    found.targets += list(targets(found, options))
    return found


def settle(say: Say) -> None:
    """What was started has imported by then what it will."""
    say("settling ...")
    time.sleep(SETTLED + 1)


def bare_cases(folder: Path, serving: ExitStack) -> Iterator[Case]:
    """Return the cases that everything is compared with."""
    for name, kind in ((BASE, "starlette"), ("raw ASGI: hello", "raw")):
        url, process = serving.enter_context(serving_bare(kind, folder))
        yield Case(name, url, 0, process)


def gate_cases(engine: str, site: Site, process: Process) -> list[Case]:
    """Return the cases for the gate's three answers."""
    named = f"{engine}, {site.people:,} people"
    return [
        Case(f"{named}: allow", site.gate, site.people, process),
        Case(f"{named}: sign in", site.gate, 0, process, 302),
        Case(f"{named}: pay", f"{site.app.url}/gate?feature=reports", site.people, process, 302),
    ]


def take_turns(cases: Sequence[Case], folder: Path, options: Options, found: Findings, say: Say) -> None:
    """Measure each case for some seconds, and repeat the round, so that disturbances affect all cases alike."""
    for case in cases:
        require_answer(case)
    for number in range(options.rounds):
        for case in cases:
            say(f"round {number + 1} of {options.rounds}: {case.name} ...")
            load = ask(folder, case.url, case.people, options.seconds, case.process)
            found.loads.setdefault(case.name, []).append(load)


def require_answer(case: Case) -> None:
    """Check that a case gives the right response. Raises ``WrongAnswer``."""
    headers = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
    cookies = {"tollkeeper": token(case.people // 2)} if case.people else {}
    answer = httpx2.get(case.url, headers=headers, cookies=cookies)
    if answer.status_code != case.status:
        raise WrongAnswer(f"{case.name}: {answer.status_code} instead of {case.status}")


def measure_starts(site: Site, folder: Path, rounds: int, found: Findings, say: Say) -> None:
    """Measure the time from the start of a process to its first response, in turns."""
    bare, ours = [], []
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}: start ...")
        port = free_port()
        bare.append(seconds_to_start([BARE, "starlette", str(port)], folder, f"http://127.0.0.1:{port}/"))
        ours.append(seconds_to_start(serve_command(site), site.app.folder, site.gate))
    found.figures["seconds until the first answer: bare"] = statistics.median(bare)
    found.figures["seconds until the first answer: Tollkeeper"] = statistics.median(ours)
    times = statistics.median(one / other for one, other in zip(ours, bare, strict=True))
    found.targets.append(Target("seconds until the first answer, to the bare app's", times, 3))


def serve_command(site: Site) -> list[str]:
    return ["-m", "tollkeeper", "serve", f"--port={site.app.port}"]


def seconds_to_start(command: Sequence[str], folder: Path, url: str) -> float:
    """Return the seconds from the start of a process to its first response to somebody who has paid."""
    began = time.monotonic()
    with started(*command, folder=folder):
        return first_answer(url, token(0), began)


def measure_memory(site: Site, folder: Path, requests: int, found: Findings, say: Say) -> None:
    """Measure the memory after some load, and its growth after much load."""
    sdk = imported_size("stripe")
    with serving_bare("starlette", folder) as (url, process):
        say("memory: bare ...")
        bare, _ = grown(process, folder, url, 0, 0)
    with site.app.serving() as process:
        say(f"memory: {requests} requests ...")
        before, after = grown(process, folder, site.gate, site.people, requests)
    found.figures |= {"MB: bare": bare, "MB: Tollkeeper": before, "MB: the payment SDK": sdk}
    found.figures[f"MB: after {requests} requests more"] = after
    found.targets.append(Target("MB, less the payment SDK's, to the bare app's", (before - sdk) / bare, 1.5))
    found.targets.append(Target(f"MB of growth over {requests} requests", after - before, 2))


def grown(process: Process, folder: Path, url: str, people: int, requests: int) -> tuple[float, float]:
    """Return the MB after warming up, and after at least that many more requests."""
    done = 0
    while done < WARM:
        done += ask(folder, url, people, 1).requests
    before = memory(process)
    done = 0
    while done < requests:
        done += ask(folder, url, people, 5).requests
    return before, memory(process)


def imported_size(module: str) -> float:
    """Return how many MB a module takes, in addition to what our own imports already load."""
    script = "import tollkeeper.app, {}; print(open('/proc/self/status').read())"
    sizes = [
        resident(subprocess.run([sys.executable, "-c", script.format(name)], capture_output=True, text=True).stdout)
        for name in (module, "sys")
    ]
    return sizes[0] - sizes[1]


def measure_webhooks(site: Site, folder: Path, options: Options, found: Findings, say: Say) -> None:
    """Measure the gate alone, and while clients post signed events as fast as they are acknowledged."""
    secret = site.app.settings["STRIPE_WEBHOOK_SECRET"]
    with site.app.serving():
        settle(say)
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}: webhooks ...")
            alone = ask(folder, site.gate, site.people, options.seconds)
            events = folder / "events"
            events.write_text("".join(signed_events(number, round(options.seconds * 4_000), secret)))
            # Longer than what is measured, and begun before it.
            posting = post(folder, f"{site.app.url}/webhooks/stripe", events, options.seconds + 2, WEBHOOK_CLIENTS)
            time.sleep(0.5)
            beside = ask(folder, site.gate, site.people, options.seconds)
            for name, load in zip(WEBHOOK_CASES, (alone, beside, posting.end()), strict=True):
                found.loads.setdefault(name, []).append(load)


WEBHOOK_CASES: Final = ("gate without webhooks", "gate while webhooks arrive", "webhooks meanwhile")


def signed_events(number: int, count: int, secret: str) -> Iterator[str]:
    """Return lines with a signature and its event."""
    for event in range(count):
        body = body_of(an_event(f"evt_{number}_{event}_{time.time_ns()}"))
        yield f"{signature(body, secret=secret)} {body.decode()}\n"


LAZY: Final = """
import json, sys
from pathlib import Path
from tollkeeper.config.load import load
from tollkeeper.app import create_app
create_app(load({}, Path()))
print(json.dumps(sorted({"stripe", "authlib", "joserfc"} & sys.modules.keys())))
"""


def require_lazy_imports(site: Site) -> None:
    """Raise ``WrongAnswer`` if creating the app imports modules that the first request does not need."""
    command = [sys.executable, "-c", LAZY]
    made = subprocess.run(command, cwd=site.app.folder, capture_output=True, text=True, check=True)
    if imported := json.loads(made.stdout):
        raise WrongAnswer(f"imported before it is needed: {imported}")


def targets(found: Findings, options: Options) -> Iterator[Target]:
    """Return the targets of the measured cases."""
    few, many = min(options.people), max(options.people)
    allow: Mapping[str, str] = {engine: f"{engine}, {many:,} people: allow" for engine in ("SQLite", "PostgreSQL")}
    if allow["SQLite"] in found.loads:
        yield Target(f"{allow['SQLite']}, rate", found.ratio(allow["SQLite"], BASE, rate), 0.7, True)
        yield Target(f"{allow['SQLite']}, p99", found.ratio(allow["SQLite"], BASE, p99), 3)
        yield Target("dashboard page, rate", found.ratio("dashboard page", BASE, rate), 0.25, True)
        if few != many:
            size = found.ratio(allow["SQLite"], f"SQLite, {few:,} people: allow", rate)
            yield Target(f"SQLite, {many:,} people to {few:,}, rate", size, 0.95, True)
    if allow["PostgreSQL"] in found.loads:
        yield Target(f"{allow['PostgreSQL']}, rate", found.ratio(allow["PostgreSQL"], BASE, rate), 0.2, True)
    alone, beside, _ = WEBHOOK_CASES
    if beside in found.loads:
        yield Target("p99 while webhooks arrive, to without", found.ratio(beside, alone, p99), 2)
