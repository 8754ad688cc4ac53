"""One unit of work: what a call or a page may read and change, inside one transaction."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tollkeeper_sandbox.stripe.engine import faults
from tollkeeper_sandbox.stripe.engine.errors import no_such
from tollkeeper_sandbox.stripe.engine.events import event_of
from tollkeeper_sandbox.stripe.engine.ledger import JSON, Ledger

NOUNS = {
    "promotion_code": "promotion code",
    "test_helpers.test_clock": "test clock",
    "webhook_endpoint": "webhook endpoint",
}
IN_LIVE_MODE = " in live mode"
EVENT_PREFIX = {"subscription": "customer.subscription"}


@dataclass(frozen=True, slots=True)
class Work:
    """One unit of work. ``now`` is in Unix seconds (UTC). Events name the request's id and idempotency key."""

    ledger: Ledger
    now: int
    base_url: str
    token: Callable[[int], str]
    request: str | None = None
    idempotency_key: str | None = None

    def new_id(self, prefix: str, size: int = 12) -> str:
        return f"{prefix}_{self.token(size)}"

    def at(self, moment: int) -> "Work":
        """Return work at this moment that no request caused."""
        return replace(self, now=moment, request=None, idempotency_key=None)

    def on_clock_of(self, body: JSON) -> "Work":
        """Return the same work at the time of the object's test clock, if it has one."""
        clock = self.ledger.find(body["test_clock"]) if body.get("test_clock") else None
        return replace(self, now=clock["frozen_time"]) if clock and not clock.get("deleted") else self

    def get(self, kind: str, id_: str) -> JSON:
        """Return the object that a path names. Raises Stripe's 404."""
        found = self.ledger.find(id_, kind)
        if found is None:
            other = self.ledger.find(id_, kind + IN_LIVE_MODE) is not None
            raise no_such(NOUNS.get(kind, kind), id_, param=kind.rpartition(".")[2], in_other_mode=other)
        return found

    def to_other_mode(self, body: JSON) -> None:
        """Let an object be one of live mode, which no test key sees."""
        self.ledger.run("UPDATE objects SET kind = kind || ? WHERE id = ?", IN_LIVE_MODE, body["id"])

    def from_other_mode(self, kind: str, id_: str) -> JSON | None:
        """Bring such an object back, if it is one."""
        self.ledger.run("UPDATE objects SET kind = ? WHERE id = ? AND kind = ?", kind, id_, kind + IN_LIVE_MODE)
        return self.ledger.find(id_, kind)

    def get_live(self, kind: str, id_: str) -> JSON:
        """Return the object, like `get`, for calls that a deleted object does not allow."""
        found = self.get(kind, id_)
        if found.get("deleted"):
            raise no_such(NOUNS.get(kind, kind), id_)
        return found

    def refer(self, kind: str, id_: str, param: str) -> JSON:
        """Return the object that a parameter names. Raises Stripe's 400."""
        found = self.ledger.find(id_, kind)
        if found is None or found.get("deleted"):
            raise no_such(NOUNS.get(kind, kind), id_, param=param, status=400)
        return found

    def add(self, body: JSON, hidden: JSON | None = None) -> JSON:
        """Store a new object and emit its event."""
        self.ledger.add(body, hidden)
        self.emit(f"{_event_prefix(body)}.created", body)
        return body

    def change(self, body: JSON, changes: JSON) -> JSON:
        """Store the changed object, and emit an event if anything has changed."""
        previous = {name: body[name] for name, value in changes.items() if body[name] != value}
        if previous:
            body = {**body, **changes}
            self.ledger.save(body)
            self.emit(f"{_event_prefix(body)}.updated", body, previous)
        return body

    def later(self, id_: str, outcome: str, seconds: int) -> None:
        """Schedule this outcome for the object, ``seconds`` from now."""
        values = (id_, outcome, self.now + seconds)
        self.ledger.run("INSERT OR REPLACE INTO later (object, outcome, at) VALUES (?, ?, ?)", *values)

    def not_later(self, id_: str, *outcomes: str) -> None:
        """Cancel everything scheduled for the object; with ``outcomes``, only these."""
        which = f" AND outcome IN ({', '.join('?' * len(outcomes))})" if outcomes else ""
        self.ledger.run(f"DELETE FROM later WHERE object = ?{which}", id_, *outcomes)  # noqa: S608

    def emit(self, type_: str, body: JSON, previous: JSON | None = None) -> None:
        """Store an event, and a delivery of it to each endpoint that listens."""
        endpoints = self.ledger.page("webhook_endpoint", (), {}, limit=-1)
        listening = [one for one in endpoints if listens(one, type_)]
        event = event_of(
            type_,
            body,
            previous,
            id=self.new_id("evt"),
            created=self.now,
            pending_webhooks=len(listening),
            request={"id": self.request, "idempotency_key": self.idempotency_key},
        )
        self.ledger.add(event)
        met = faults.for_event(self.ledger, type_) if listening else []
        due = faults.due(self.ledger, met, float(self.now))
        for endpoint in listening:
            for at in due:
                self._deliver(event["id"], endpoint["id"], at, met)

    def _deliver(self, event: str, endpoint: str, at: float | None, met: list[faults.Fault]) -> None:
        id_ = self.new_id("dlv")
        self.ledger.run(
            "INSERT INTO deliveries (id, event, endpoint, created, next_at) VALUES (?, ?, ?, ?, ?)",
            *(id_, event, endpoint, self.now, at),
        )
        for fault in met:
            self.ledger.run("INSERT INTO faulted (delivery, effect) VALUES (?, ?)", id_, fault.effect)


def _event_prefix(body: JSON) -> str:
    kind: str = body["object"]
    return EVENT_PREFIX.get(kind, kind)


def listens(endpoint: JSON, type_: str) -> bool:
    wanted = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and ("*" in wanted or type_ in wanted)
