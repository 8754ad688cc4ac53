"""The truth, as the sandbox's ledger has it: what each checkout session is worth, at each moment.

Knows nothing of the app. Watches what the sandbox commits, reduced to the few facts that decide who has paid.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tollkeeper.sandbox.stripe.ledger import JSON, Ledger

Fact = tuple[str, str, Any]


HARMLESS = ("won", "warning_needs_response", "warning_under_review", "warning_closed")


@dataclass(frozen=True, slots=True)
class SessionFact:
    """A checkout session: how far it has come, and what is sold in it."""

    status: str
    payment_status: str
    payment_intent: str | None
    subtotal: int
    discount: int
    total: int
    currency: str
    lines: tuple[tuple[str, int], ...]


@dataclass
class Facts:
    """Everything committed so far. ``version`` counts the commits that changed anything."""

    version: int = 0
    sessions: dict[str, SessionFact] = field(default_factory=dict)
    intents: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """Status and latest charge."""
    charges: dict[str, tuple[bool, int]] = field(default_factory=dict)
    """Whether it is paid, and its amount."""
    refunds: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    """Charge, amount and status."""
    disputes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Charge and status."""
    events: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)
    """Type, and ids of what it is about: a checkout session, a payment."""
    told: dict[str, int] = field(default_factory=dict)
    """The version in which each event was made."""
    made: dict[str, int] = field(default_factory=dict)
    """The version in which each checkout session was made."""
    over: dict[str, int] = field(default_factory=dict)
    """The version in which each one came to an end: it can no longer be paid, and is no payment that stands."""
    changed: Callable[[], None] = lambda: None

    def take(self, facts: list[Fact]) -> None:
        """What one transaction did."""
        for kind, id_, fact in facts:
            getattr(self, kind)[id_] = fact
        self.version += 1
        for kind, id_, _ in facts:
            if kind == "events":
                self.told.setdefault(id_, self.version)
        for id_ in self.sessions:
            self.made.setdefault(id_, self.version)
            if id_ not in self.over and not self._matters(id_):
                self.over[id_] = self.version
        self.changed()

    def _matters(self, session: str) -> bool:
        """Whether a checkout session can be paid, is being paid, or was paid and nothing has happened to that."""
        fact = self.sessions[session]
        status, charge = self.intents.get(fact.payment_intent or "", ("", None))
        if fact.status == "open" or status == "processing" or fact.payment_status == "no_payment_required":
            return True
        refunded = any(of == charge and how != "failed" for of, _, how in self.refunds.values())
        disputed = any(of == charge and how not in HARMLESS for of, how in self.disputes.values())
        return status == "succeeded" and not refunded and not disputed


class WatchedLedger(Ledger):
    """The sandbox's ledger, telling what it commits."""

    facts: Facts
    _staged: list[Fact]

    @classmethod
    def watch(cls, ledger: Ledger) -> Facts:
        """Begin to watch a ledger that is empty so far."""
        ledger.__class__ = cls
        assert isinstance(ledger, WatchedLedger)
        ledger.facts, ledger._staged = Facts(), []
        return ledger.facts

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._staged = []
        with super().transaction():
            yield
        if self._staged:
            self.facts.take(self._staged)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        before = len(self._staged)
        try:
            with super().savepoint():
                yield
        except BaseException:
            del self._staged[before:]
            raise

    def add(self, body: JSON, hidden: JSON | None = None) -> None:
        super().add(body, hidden)
        self._note(body, hidden or {})

    def save(self, body: JSON) -> None:
        super().save(body)
        self._note(body, {})

    def _note(self, body: JSON, hidden: JSON) -> None:
        read = READ.get(body["object"])
        if read is not None:
            self._staged.append((PLACE[body["object"]], body["id"], read(self, body, hidden)))


def _session(ledger: WatchedLedger, body: JSON, hidden: JSON) -> SessionFact:
    known = ledger.facts.sessions.get(body["id"])
    items = hidden.get("line_items")
    return SessionFact(
        status=body["status"],
        payment_status=body["payment_status"],
        payment_intent=body["payment_intent"],
        subtotal=body["amount_subtotal"],
        discount=body["total_details"]["amount_discount"],
        total=body["amount_total"],
        currency=body["currency"],
        lines=tuple((item["price"]["id"], item["quantity"]) for item in items)
        if items
        else known.lines
        if known
        else (),
    )


def _about(subject: JSON) -> frozenset[str]:
    return frozenset({subject["id"], subject.get("payment_intent") or subject["id"]})


READ: dict[str, Callable[[WatchedLedger, JSON, JSON], Any]] = {
    "checkout.session": _session,
    "payment_intent": lambda ledger, body, hidden: (body["status"], body["latest_charge"]),
    "charge": lambda ledger, body, hidden: (body["paid"], body["amount"]),
    "refund": lambda ledger, body, hidden: (body["charge"], body["amount"], body["status"]),
    "dispute": lambda ledger, body, hidden: (body["charge"], body["status"]),
    "event": lambda ledger, body, hidden: (body["type"], _about(body["data"]["object"])),
}
PLACE = {
    "checkout.session": "sessions",
    "payment_intent": "intents",
    "charge": "charges",
    "refund": "refunds",
    "dispute": "disputes",
    "event": "events",
}
