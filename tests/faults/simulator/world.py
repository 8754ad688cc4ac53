"""One shop and everything around it: people, their browsers, processes of the app, Stripe's stand-in, and time."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, insert
from starlette.applications import Starlette
from tests.faults.simulator.checker import Checker
from tests.faults.simulator.history import PEOPLE, History
from tests.faults.simulator.known import Violation
from tests.faults.simulator.ledger import WatchedLedger
from tests.faults.simulator.premises import (
    BEGIN,
    FORM,
    ISSUER,
    SANDBOX,
    SECRET_OF_THE_DASHBOARD,
    SHOP,
    call,
    post,
    premises,
)
from tests.faults.simulator.storage import Process, ProcessDatabase, Store
from tests.faults.simulator.wire import Answer, Gone, Headers, StripeWire, Weather, WebhookWire, ask_process
from tests.support.stripe_settings import stripe_of

from tollkeeper.app import create_app
from tollkeeper.billing.reconcile import Services
from tollkeeper.catalog import Catalog
from tollkeeper.metrics import Metrics
from tollkeeper.model.access import Visitor
from tollkeeper.model.orders import Mode
from tollkeeper.model.people import Person
from tollkeeper.operating import operators
from tollkeeper.providers.budget import Budget
from tollkeeper.providers.stripe.account import StripeProvider
from tollkeeper.providers.stripe.settings import RATE
from tollkeeper.relations import surplus
from tollkeeper.storage import customers, events, grants, polls, tables
from tollkeeper_sandbox.stripe import StripeSandbox

# Longer than any history lasts. Seconds.
SIGNED_IN_FOR = 20 * 366 * 24 * 3600
COOKIE = "__Host-tollkeeper"

# Functions that write, but never grants, which need no check after them.
WRITE_NO_GRANT = frozenset({polls.claim, polls.done, events.claim, events.handled, events.keep, customers.take_ticket})

# Metrics do not matter here.
METRICS = Metrics()

_tags = count(1)


@dataclass(frozen=True, slots=True)
class Guest:
    """A person with a signed-in browser."""

    id: str
    token: str
    csrf_token: str

    @property
    def token_hash(self) -> str:
        return hashlib.sha256(self.token.encode()).hexdigest()

    @property
    def cookie(self) -> tuple[bytes, bytes]:
        return (b"cookie", f"{COOKIE}={self.token}".encode())


@dataclass
class Running:
    """One process of the app."""

    process: Process
    app: Any
    messages: "asyncio.Queue[dict[str, str]]" = field(default_factory=asyncio.Queue)
    up: asyncio.Event = field(default_factory=asyncio.Event)

    async def live(self) -> None:
        """Run the lifespan as a server does."""

        async def send(message: Any) -> None:
            self.up.set()

        self.messages.put_nowait({"type": "lifespan.startup"})
        await self.app({"type": "lifespan", "state": {}}, self.messages.get, send)

    def stop(self) -> None:
        """Stop as after SIGTERM."""
        self.messages.put_nowait({"type": "lifespan.shutdown"})


class World:
    """Everything around one history. ``violation`` is the first one that was found."""

    def __init__(self, store: Store, history: History) -> None:
        self.history = history
        self.store = store
        self.luck = Random(history.seed)
        self.weather = Weather(self.luck, history.calls)
        self.violation: Violation | None = None
        self.jumped = 0
        self.till_is_free = asyncio.Event()
        self.till_is_free.set()
        self._at_the_till = 0
        self.running: list[Running | None] = [None, None]
        self._processes: list[Process] = []
        self._unseen = False
        self._asked_at = 0
        self.guests: list[Guest] = []
        self.heard: list[tuple[list[tuple[bytes, bytes]], bytes]] = []
        self.premises = premises(history.sells, history.webhooks)
        self.config, self.offers = self.premises.config, self.premises.offers
        self._opens_dashboard = tuple(one.key for one in self.config.products if "dashboard" in one.unlocks)
        self._loop = asyncio.get_running_loop()
        self._tag, self._ids = next(_tags), count(1)
        self._tasks: set[asyncio.Task[Any]] = set()

    # Time

    def clock(self) -> float:
        """Return the time for everybody, in Unix seconds."""
        return BEGIN + self._loop.time() + self.jumped

    def whole_clock(self) -> int:
        return int(self.clock())

    # Setting up

    async def start(self) -> None:
        """Start Stripe's stand-in with the seller's account, sign people in, and start the shop."""
        self.sandbox = StripeSandbox(
            base_url=SANDBOX, clock=self.clock, token=self._token, transport=WebhookWire(self.post_webhook)
        )
        account = f"acct_{self._token(8)}"
        self.premises.furnish(self.sandbox, account)
        self.facts = WatchedLedger.watch(self.sandbox.ledger)
        self.stripe = Starlette(routes=self.sandbox.routes)
        self.checker = Checker(self.facts, self.store, account, self.clock, self.offers)
        self.facts.changed = partial(self.check, self.checker.ledger_changed)
        self.guests = self.store.write(self._sign_in_people)
        self.spawn(self.sandbox.run())
        for number in range(self.history.workers):
            await self.start_process(number)

    def _token(self, half: int) -> str:
        """Return ids that are unique to this history, but the same each time it is played."""
        return f"{self._tag:06x}{next(self._ids):06x}".rjust(2 * half, "0")[-2 * half :]

    def _sign_in_people(self, conn: Connection) -> list[Guest]:
        """Sign people in directly in the database, which is fast, because every history begins with this."""
        now = self.whole_clock()
        names = [f"{self._tag:x}-{number}" for number in range(PEOPLE)]
        guests = [self._guest(name) for name in names]
        ids = [{"id": guest.id, "name": guest.id, "email": f"{guest.id}@example.com"} for guest in guests]
        conn.execute(insert(tables.people), [{**known, "created_at": now} for known in ids])
        sessions = [
            {"id": f"log_{name}", "token_hash": guest.token_hash, "person_id": guest.id, "issuer": ISSUER}
            for name, guest in zip(names, guests, strict=True)
        ]
        times = {"created_at": now, "expires_at": now + SIGNED_IN_FOR}
        conn.execute(insert(tables.login_sessions), [{**one, "browser": "Firefox", **times} for one in sessions])
        return guests

    def _guest(self, name: str) -> Guest:
        visitor = Visitor(Person(f"per_{name}", name, None, 0), f"log_{name}")
        token = hashlib.sha256(name.encode()).hexdigest()[:43]
        return Guest(visitor.person.id, token, self.premises.pages.csrf_token(visitor))

    # Processes

    async def start_process(self, number: int) -> None:
        """Start a process, unless it runs."""
        if (running := self.running[number]) is not None and not running.process.dead:
            return
        process = Process(self.luck)
        self._processes.append(process)
        app = create_app(
            self.config, clock=self.whole_clock, open_services=lambda config, clock: self.services(process)
        )
        started = Running(process, app)
        self.running[number] = started
        self.spawn(started.live())
        await asyncio.wait(
            (asyncio.ensure_future(started.up.wait()), process.died), return_when=asyncio.FIRST_COMPLETED
        )

    def command(self) -> Process:
        """Return the process of an operator's command, which ends with the history."""
        self._processes.append(process := Process(self.luck))
        return process

    @asynccontextmanager
    async def services(self, process: Process) -> AsyncIterator[Services]:
        """Return the services of a process."""
        database = ProcessDatabase(self.store, process, self._written)
        wire = StripeWire(self.stripe, process, self.weather)
        provider = StripeProvider(stripe_of(self.config), http=wire, budget=Budget(RATE, random=self.luck.random))
        yield Services(database, provider, Catalog(self.config.products, "stripe"), self.whole_clock, METRICS)

    def kill_all(self) -> None:
        """Kill every process, even those that are stopping."""
        for process in self._processes:
            process.kill()

    def alive(self) -> list[Running]:
        return [one for one in self.running if one is not None and not one.process.dead and one.up.is_set()]

    def _written(self, function: Callable[..., Any]) -> None:
        self._unseen = True
        if function is polls.claim:
            self.checker.polls()
        if function is events.handled:
            self.check(self.checker.handled)
        if function not in WRITE_NO_GRANT:
            self.look()

    # Checking

    def check(self, look: Callable[..., Any], *args: Any) -> Any:
        """Remember the first violation, wherever it is found, so that the app does not handle it."""
        try:
            return look(*args)
        except Violation as violation:
            self.violation = self.violation or violation

    def look(self) -> None:
        """Check the grants, and, if they have changed, the gate."""
        self._unseen = False
        if self.check(self.checker.look):
            self.ask_gate()

    def ask_gate(self) -> None:
        """Check that the gate agrees with the grants for everybody."""
        self._asked_at = self.jumped
        for guest in self.guests:
            self.check(self.checker.gate, guest.id, self.holds(guest))

    def check_step(self) -> None:
        """Check after every step: the grants if anything was written since the last check, and the gate if time has
        passed in which they may have run out.
        """
        if self._unseen:
            self.look()
        if self.jumped != self._asked_at:
            self.ask_gate()

    def holds(self, guest: Guest) -> dict[str, int | None]:
        """Return what somebody holds, and until when, according to the gate's own query."""
        parameters = {"token_hash": guest.token_hash, "host": "", "live": False, "now": self.whole_clock()}
        visitor = self.store.find_visitor(parameters)
        return {holding.product: holding.until for holding in visitor.holdings} if visitor else {}

    def flagged(self) -> frozenset[str]:
        """Return the payments that the app lists for a refund because somebody paid twice."""
        now, catalog = self.whole_clock(), Catalog(self.config.products, "stripe")
        pairs = self.store.read(
            lambda conn: [
                pair
                for guest in self.guests
                for pair in grants.paid_pairs(conn, catalog.containing, False, now, guest.id)
            ]
        )
        return frozenset(one.grant.source for one in surplus(pairs, catalog))

    def listed(self) -> frozenset[tuple[str, str]]:
        """Return what the app lists for operators: each payment or subscription, with its kind."""
        asked = (Catalog(self.config.products, "stripe"), Mode("stripe", live=False), self.whole_clock(), 10_000)
        cases = self.store.read(lambda conn: operators.payments_to_check(conn, *asked))
        return frozenset((case.payment, case.kind) for case in cases)

    # Calls

    def spawn(self, work: Any) -> None:
        """Let something run at the same time as the steps."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Gone):
            self.violation = self.violation or Violation("an unexpected error", repr(error))

    async def call(self, method: str, path: str, **form: str) -> Any:
        """Do something at Stripe that the app does not do. Returns the JSON."""
        return await call(self.stripe, method, path, **form)

    async def post_to_stripe(self, method: str, path: str, form: dict[str, str]) -> Answer:
        return await post(self.stripe, method, path, form)

    async def browse(self, guest: Guest, method: str, target: str, **form: str) -> Answer:
        """Send one request from somebody's browser. Raises ``Gone`` if no process runs."""
        alive = self.alive()
        if not alive:
            raise Gone
        running = self.luck.choice(alive)
        headers: Headers = (guest.cookie, (b"host", b"shop.example"), (b"accept", b"text/html"))
        if method == "POST":
            headers = (*headers, FORM, (b"origin", SHOP.encode()))
        began = self.clock()
        with self._at_till(method):
            answer = await ask_process(running.process, running.app, method, target, headers, urlencode(form).encode())
        if SECRET_OF_THE_DASHBOARD.encode() in answer.body:
            entitled = self.checker.held_since(began, guest.id, *self._opens_dashboard)
            if answer.status != 200 or target != "/dashboard" or not entitled:
                self.check(self._shown, guest, answer, target)
        return answer

    @contextmanager
    def _at_till(self, method: str) -> Iterator[None]:
        """Mark a checkout as running while somebody presses the button."""
        presses = method == "POST"
        self._at_the_till += presses
        if presses:
            self.till_is_free.clear()
        try:
            yield
        finally:
            self._at_the_till -= presses
            if not self._at_the_till:
                self.till_is_free.set()

    def _shown(self, guest: Guest, answer: Answer, target: str) -> None:
        raise Violation("I9", f"{guest.id} was shown the dashboard at {target} with status {answer.status}")

    async def post_webhook(self, headers: list[tuple[bytes, bytes]], body: bytes) -> Answer:
        """Deliver a webhook of the sandbox. Raises ``Gone`` if no process runs."""
        alive = self.alive()
        if not alive:
            raise Gone
        running = self.luck.choice(alive)
        answer = await ask_process(running.process, running.app, "POST", "/webhooks/stripe", headers, body)
        if 200 <= answer.status < 300:
            self.heard.append((headers, body))
            self.check(self.checker.acknowledged, json.loads(body)["id"])
        return answer

    async def close(self) -> None:
        """End all processes."""
        self.kill_all()
        await self.sandbox.close()
