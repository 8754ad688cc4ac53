"""The truth according to the sandbox's ledger: who paid what, with every change numbered.

Independent of the app. Watches what the sandbox commits, reduced to the few facts that decide who has paid.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tollkeeper_sandbox.stripe.engine.ledger import JSON, Ledger

Fact = tuple[str, str, Any]


HARMLESS = ("won", "warning_needs_response", "warning_under_review", "warning_closed")


@dataclass(frozen=True, slots=True)
class SessionFact:
    """A checkout session: its state, what it sells, and its order and subscription."""

    status: str
    payment_status: str
    payment_intent: str | None
    subtotal: int
    discount: int
    total: int
    currency: str
    lines: tuple[tuple[str, int], ...]
    order: str | None = None
    subscription: str | None = None
    customer: str | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionFact:
    """A subscription: its status, whom and what it names, and its current period."""

    status: str
    customer: str
    order: str | None
    person: str | None
    prices: tuple[str, ...]
    start: int
    end: int
    ends: int | None = None
    paused: bool = False
    trial: bool = False
    trial_end: int | None = None
    ended: int | None = None
    ended_for: str | None = None
    """The purchase because of which its end was set."""

    @property
    def over(self) -> bool:
        return self.status in OVER


class Period(NamedTuple):
    """A period that a subscription was in. ``trial``: it was free."""

    start: int
    trial: bool


@dataclass(frozen=True, slots=True)
class InvoiceFact:
    """An invoice of a subscription, and the time that it is for. ``due`` is when it became final.

    ``stays``: it is a draft that is never finalized automatically.
    """

    id: str
    subscription: str
    status: str
    total: int
    paid: int
    begins: int
    ends: int
    due: int | None
    attempted: bool
    stays: bool
    paid_at: int | None


@dataclass(frozen=True, slots=True)
class EventFact:
    """An event, with the ids of what it is about: a checkout session, a payment, an invoice and its subscription."""

    type: str
    about: frozenset[str]
    created: int


OVER = ("canceled", "incomplete_expired")


@dataclass
class Facts:
    """Everything committed so far. ``version`` counts the commits that changed anything."""

    version: int = 0
    sessions: dict[str, SessionFact] = field(default_factory=dict)
    intents: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """Status and latest charge."""
    charges: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Its status, and its amount."""
    refunds: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    """Charge, amount and status."""
    disputes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Charge and status."""
    customers: dict[str, str | None] = field(default_factory=dict)
    """The person that each customer names."""
    subscriptions: dict[str, SubscriptionFact] = field(default_factory=dict)
    periods: dict[str, list[Period]] = field(default_factory=dict)
    """All periods of each subscription, oldest first."""
    ended_for: set[tuple[str, str]] = field(default_factory=set)
    """Each subscription with each purchase because of which its end was ever set."""
    invoices: dict[str, InvoiceFact] = field(default_factory=dict)
    links: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """The invoice that each payment is for, and whether it paid it."""
    events: dict[str, EventFact] = field(default_factory=dict)
    announced: dict[str, int] = field(default_factory=dict)
    """The version in which each event was made."""
    made: dict[str, int] = field(default_factory=dict)
    """The version in which each checkout session was made, and each subscription."""
    over: dict[str, int] = field(default_factory=dict)
    """The version in which each checkout session came to an end: it can no longer be paid, and is no payment that
    counts. If it led to a subscription, the subscription decides."""
    changed: Callable[[], None] = lambda: None

    def take(self, facts: list[Fact]) -> None:
        """Record what one transaction did."""
        for kind, id_, fact in facts:
            getattr(self, kind)[id_] = fact
            if kind == "subscriptions":
                self._note_period(id_, fact)
        self.version += 1
        for kind, id_, _fact in facts:
            if kind == "events":
                self.announced.setdefault(id_, self.version)
            elif kind in {"sessions", "subscriptions"}:
                self.made.setdefault(id_, self.version)
        for id_ in self.sessions:
            if id_ not in self.over and not self._matters(id_):
                self.over[id_] = self.version
        self.changed()

    def _note_period(self, id_: str, reported: SubscriptionFact) -> None:
        known, is_trial = self.periods.setdefault(id_, []), reported.status == "trialing"
        if not known or known[-1].start != reported.start:
            known.append(Period(reported.start, is_trial))
        elif is_trial:
            known[-1] = Period(reported.start, is_trial)
        if reported.ended_for is not None:
            self.ended_for.add((id_, reported.ended_for))

    def bills(self, subscription: str) -> dict[str, InvoiceFact]:
        """Return the invoices of a subscription, oldest first."""
        return {id_: invoice for id_, invoice in self.invoices.items() if invoice.subscription == subscription}

    def payments(self, subscription: str) -> set[str]:
        """Return the payments for its invoices, successful or not."""
        bills = self.bills(subscription)
        return {payment for invoice, payment, _ in self.links.values() if invoice in bills}

    def _matters(self, session: str) -> bool:
        """Return whether a checkout session can be paid, is being paid, or was paid and nothing has happened since."""
        fact = self.sessions[session]
        status, charge = self.intents.get(fact.payment_intent or "", ("", None))
        if fact.status == "open" or fact.subscription:
            return fact.status == "open"
        if status == "processing" or fact.payment_status == "no_payment_required":
            return True
        refunded = any(of == charge and how != "failed" for of, _, how in self.refunds.values())
        disputed = any(of == charge and how not in HARMLESS for of, how in self.disputes.values())
        return status == "succeeded" and not refunded and not disputed


def moments(facts: list[Fact]) -> Iterator[list[Fact]]:
    """Split what was committed at once but happened one after the other: if time has jumped, that may be a whole year.

    The last event of a moment ends it.
    """
    begun, at, latest = 0, None, 0
    for number, (kind, _, fact) in enumerate(facts):
        if kind == "events":
            if at is not None and fact.created > at:
                yield facts[begun:latest]
                begun = latest
            at, latest = fact.created, number + 1
    if facts[begun:]:
        yield facts[begun:]


class WatchedLedger(Ledger):
    """The sandbox's ledger, which reports what it commits."""

    facts: Facts
    _staged: list[Fact]

    @classmethod
    def watch(cls, ledger: Ledger) -> Facts:
        """Start to watch an empty ledger."""
        ledger.__class__ = cls
        assert isinstance(ledger, WatchedLedger)
        ledger.facts, ledger._staged = Facts(), []
        return ledger.facts

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._staged = []
        with super().transaction():
            yield
        for moment in moments(self._staged):
            self.facts.take(moment)

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
    items = hidden.get("line_items") or ledger.hidden(body["id"])["line_items"]
    return SessionFact(
        status=body["status"],
        payment_status=body["payment_status"],
        payment_intent=body["payment_intent"],
        subtotal=body["amount_subtotal"],
        discount=body["total_details"]["amount_discount"],
        total=body["amount_total"],
        currency=body["currency"],
        lines=tuple((item["price"]["id"], item["quantity"]) for item in items),
        order=body["client_reference_id"],
        subscription=body["subscription"],
        customer=body["customer"],
        person=body["metadata"].get("person"),
    )


def _subscription(ledger: WatchedLedger, body: JSON, hidden: JSON) -> SubscriptionFact:
    items, names = body["items"]["data"], body["metadata"]
    return SubscriptionFact(
        status=body["status"],
        customer=body["customer"],
        order=names.get("order"),
        person=names.get("person"),
        prices=tuple(item["price"]["id"] for item in items),
        start=items[0]["current_period_start"],
        end=items[0]["current_period_end"],
        ends=body["cancel_at"],
        paused=body["pause_collection"] is not None,
        trial=body["trial_start"] is not None,
        trial_end=body["trial_end"],
        ended=body["ended_at"],
        ended_for=names.get("ended_for"),
    )


def _invoice(ledger: WatchedLedger, body: JSON, hidden: JSON) -> InvoiceFact:
    """https://docs.stripe.com/api/invoices/object"""
    times = [line["period"] for line in body["lines"]["data"]]
    taxed = body["automatic_tax"]["status"] in (None, "complete")
    goes_on = body["auto_advance"] and taxed and not body["last_finalization_error"]
    return InvoiceFact(
        id=body["id"],
        subscription=body["parent"]["subscription_details"]["subscription"],
        status=body["status"],
        total=body["total"],
        paid=body["amount_paid"],
        begins=max(time["start"] for time in times),
        ends=max(time["end"] for time in times),
        due=body["due_date"] or body["status_transitions"]["finalized_at"],
        attempted=body["attempted"],
        stays=body["status"] == "draft" and not goes_on,
        paid_at=body["status_transitions"]["paid_at"],
    )


def _event(ledger: WatchedLedger, body: JSON, hidden: JSON) -> EventFact:
    subject = body["data"]["object"]
    of_invoice = (subject.get("parent") or {}).get("subscription_details") or {}
    about = {subject["id"], subject.get("payment_intent"), of_invoice.get("subscription")}
    return EventFact(body["type"], frozenset(one for one in about if one), body["created"])


READ: dict[str, Callable[[WatchedLedger, JSON, JSON], Any]] = {
    "checkout.session": _session,
    "payment_intent": lambda ledger, body, hidden: (body["status"], body["latest_charge"]),
    "charge": lambda ledger, body, hidden: (body["status"], body["amount"]),
    "refund": lambda ledger, body, hidden: (body["charge"], body["amount"], body["status"]),
    "dispute": lambda ledger, body, hidden: (body["charge"], body["status"]),
    "customer": lambda ledger, body, hidden: body["metadata"].get("person"),
    "subscription": _subscription,
    "invoice": _invoice,
    "invoice_payment": lambda ledger, body, hidden: (
        body["invoice"],
        body["payment"]["payment_intent"],
        body["status"],
    ),
    "event": _event,
}
PLACE = {
    "checkout.session": "sessions",
    "payment_intent": "intents",
    "charge": "charges",
    "refund": "refunds",
    "dispute": "disputes",
    "customer": "customers",
    "subscription": "subscriptions",
    "invoice": "invoices",
    "invoice_payment": "links",
    "event": "events",
}
