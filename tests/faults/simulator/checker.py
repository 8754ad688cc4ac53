"""Who should have access, worked out from the sandbox's ledger and from who was sent to which checkout page.

Knows nothing of how the app decides: it imports none of its rooms, reads its tables with SQL of its own, and has the
policy from the words of the documentation. The invariants I1 to I9 are those of the design.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.simulator.ledger import Facts, SessionFact
from tests.faults.simulator.storage import Store

GRANTS = "SELECT source, person_id, product, revoked_at, until FROM grants WHERE provider = 'stripe' AND account = ?"
AUDIT = "SELECT source, person_id, change, evidence FROM audit WHERE provider = 'stripe' AND account = ? ORDER BY id"
EVENT = "SELECT count(*) FROM events WHERE provider = 'stripe' AND account = ? AND event_id = ?"
HANDLED = "SELECT event_id FROM events WHERE provider = 'stripe' AND account = ? AND handled_at IS NOT NULL"
EVENTS = "SELECT event_id, handled_at, due_at, error FROM events WHERE provider = 'stripe' AND account = ?"

MATTERS = ("checkout.session.", "charge.refunded", "charge.dispute.", "refund.")
OPEN_DISPUTES = ("needs_response", "under_review")
NEXT = {None: "granted", "granted": "revoked", "revoked": "restored", "restored": "revoked"}


class Violation(Exception):
    """An invariant that does not hold."""

    def __init__(self, invariant: str, words: str) -> None:
        super().__init__(f"{invariant}: {words}")
        self.invariant = invariant


@dataclass(frozen=True, slots=True)
class Offer:
    """What is sold, for how much, and what its seller decided about money that goes back."""

    product: str
    price: str
    amount: int
    currency: str
    refund_revokes_from: int
    dispute_suspends: bool
    promotion_codes: bool


@dataclass
class Handed:
    """A checkout page that somebody was sent to by pressing Purchase, and what it was worth at each moment."""

    session: str
    person: str
    offer: Offer
    valid: list[tuple[int, bool]] = field(default_factory=lambda: [(0, False)])
    """Since which version of the ledger it has been a payment that gives access, or has not."""
    known: int = 0
    """A version that the app's knowledge of it must have reached."""
    held: bool = False
    """What the app last made of it."""

    def ever_interrupted(self) -> bool:
        """Whether the payment was good once, and then was not."""
        return len(self.valid) > 2

    @property
    def is_valid(self) -> bool:
        return self.valid[-1][1]

    def learn(self, held: bool) -> bool:
        """The app now acts as if this payment were good, or not. False if that was never so since what it knew."""
        for number, (since, valid) in enumerate(self.valid):
            until = self.valid[number + 1][0] if number + 1 < len(self.valid) else None
            if valid == held and (until is None or until > self.known):
                self.known = max(self.known, since)
                self.held = held
                return True
        return False


class Checker:
    """Watches one shop. Every method raises ``Violation``."""

    def __init__(self, facts: Facts, store: Store, account: str, time: Callable[[], float]) -> None:
        """``time`` never goes back."""
        self._facts = facts
        self._store = store
        self._account = account
        self._time = time
        self._let_go: dict[str, float] = {}
        self.handed: dict[str, Handed] = {}
        self.grants: dict[str, tuple[str, str, bool]] = {}
        self._looked_at: Sequence[Any] = ()
        self._handled: set[str] = set()
        facts.changed = self._ledger_changed

    # What happens in the ledger

    def hand(self, session: str, person: str, offer: Offer) -> None:
        """Somebody pressed Purchase and was sent to this page."""
        known = self.handed.get(session)
        if known is not None:
            if (known.person, known.offer.product) != (person, offer.product):
                raise Violation("I3", f"{person} was sent to a page made for {known.person}, {known.offer.product}")
            return
        if session not in self._facts.sessions:
            raise Violation("I4", f"{person} was sent to a page that does not exist, {session}")
        for other in self.handed.values():
            if (other.person, other.offer.product) == (person, offer.product) and self._both(session, other.session):
                raise Violation("I4", f"{person} was sent to {session} although {other.session} can be paid or counts")
        self.handed[session] = Handed(session, person, offer)
        self._ledger_changed()

    def _both(self, one: str, another: str) -> bool:
        """Whether the later of two pages was made while the earlier one could be paid or had been paid for good."""
        earlier, later = sorted((one, another), key=self._facts.made.__getitem__)
        return self._facts.over.get(earlier, self._facts.version + 1) > self._facts.made[later]

    def _ledger_changed(self) -> None:
        for handed in self.handed.values():
            valid = self._worth(self._facts.sessions[handed.session], handed.offer)
            if valid != handed.valid[-1][1]:
                handed.valid.append((self._facts.version, valid))

    def _worth(self, session: SessionFact, offer: Offer) -> bool:
        """Whether a session is paid as ordered, and not taken back under the policy."""
        if session.status != "complete" or not self._as_ordered(session, offer):
            return False
        if session.total == 0:
            return session.payment_status == "no_payment_required"
        _, charge = self._facts.intents.get(session.payment_intent or "", ("", None))
        paid, amount = self._facts.charges.get(charge or "", (False, 0))
        if session.payment_status != "paid" or not paid or amount < session.total:
            return False
        back = sum(sum_ for of, sum_, status in self._facts.refunds.values() if of == charge and status in REFUNDED)
        if back * 100 >= offer.refund_revokes_from * amount:
            return False
        disputes = {status for of, status in self._facts.disputes.values() if of == charge}
        return "lost" not in disputes and not (offer.dispute_suspends and disputes.intersection(OPEN_DISPUTES))

    def _as_ordered(self, session: SessionFact, offer: Offer) -> bool:
        """Price, quantity, amount and currency as on offer; nothing off, unless promotion codes are taken."""
        ordered = (((offer.price, 1),), offer.amount, offer.currency)
        if (session.lines, session.subtotal, session.currency) != ordered:
            return False
        return session.total >= offer.amount - (session.discount if offer.promotion_codes else 0)

    # What the app makes of it

    def look(self) -> bool:
        """I2, I3, I7: whoever holds something has paid for it, as far as the app can know. Whether anything changed."""
        rows = self._store.look(GRANTS, self._account)
        if rows == self._looked_at:
            return False
        self._looked_at = rows
        before = self.grants
        self.grants = {source: (person, product, off is None) for source, person, product, off, _ in rows}
        self._let_go |= {source: self._time() for source, grant in before.items() if grant != self.grants.get(source)}
        for source, (person, product, held) in self.grants.items():
            handed = self.handed.get(source)
            if handed is None or (person, product) != (handed.person, handed.offer.product):
                if held:
                    raise Violation("I3", f"{person} holds {product} from {source}, which they were never sent to")
            elif not handed.learn(held) and held:
                what = "was taken back for good" if handed.ever_interrupted() or handed.known else "was never paid"
                raise Violation("I7" if handed.known else "I2", f"{person} holds {product} from {source}, which {what}")
        return True

    def held_since(self, began: float, person: str, *, product: str = "", source: str = "") -> bool:
        """Whether a person has held a product, or what a source gave, at any moment since then."""
        return any(
            who == person and (held or self._let_go.get(id_, -1.0) >= began)
            for id_, (who, what, held) in self.grants.items()
            if product == what or source == id_
        )

    def gate(self, person: str, holds: frozenset[str]) -> None:
        """The gate says what the grants say."""
        granted = {product for who, product, held in self.grants.values() if who == person and held}
        if holds != granted:
            raise Violation("I2", f"the gate lets {person} use {sorted(holds)}, but the grants are {sorted(granted)}")

    def acknowledged(self, event: str) -> None:
        """I5: what was answered with 2xx is on disk."""
        if self._store.look(EVENT, self._account, event)[0][0] != 1:
            raise Violation("I5", f"{event} was answered with 2xx and is not in the inbox")

    def handled(self) -> None:
        """I5: what is marked as handled was acted on, and the app goes by nothing any more that it read before."""
        for (id_,) in self._store.look(HANDLED, self._account):
            if id_ in self._handled:
                continue
            self._handled.add(id_)
            type_, about = self._facts.events.get(id_, ("", frozenset()))
            if type_.startswith(MATTERS):
                for handed in self.handed.values():
                    if handed.session in about or self._facts.sessions[handed.session].payment_intent in about:
                        self._acted_on(id_, handed)

    def _acted_on(self, id_: str, handed: Handed) -> None:
        handed.known = max(handed.known, self._facts.told[id_])
        _, _, held = self.grants.get(handed.session, ("", "", False))
        if not handed.learn(held):
            words = "still holds" if held else "does not hold"
            raise Violation("I5", f"{handed.person} {words} what {handed.session} gives, and {id_} counts as handled")

    # Once faults have stopped

    def waiting(self) -> bool:
        """Whether there are events that the app has not come to yet."""
        kept = {row[0]: row for row in self._store.look(EVENTS, self._account)}
        return any(id_ not in kept or kept[id_][2] is not None for id_ in self._events_that_matter())

    def settled(self) -> None:
        """I5, I1, I6, I8: everything was handled, and access is what the ledger says."""
        self._inbox()
        self._access()
        self._audit()

    def bought_twice(self, flagged: frozenset[str]) -> None:
        """I4: where a payment came back to life after the next one was made, all but one are flagged for refund."""
        paid: dict[tuple[str, str], set[str]] = {}
        for handed in self.handed.values():
            if handed.is_valid and self._facts.sessions[handed.session].total:
                paid.setdefault((handed.person, handed.offer.product), set()).add(handed.session)
        for (person, product), sessions in paid.items():
            if len(flagged & sessions) != len(sessions) - 1:
                raise Violation("I4", f"{person} paid for {product} {len(sessions)} times, flagged: {sorted(flagged)}")

    def _events_that_matter(self) -> list[str]:
        return [id_ for id_, (type_, _) in self._facts.events.items() if type_.startswith(MATTERS)]

    def _inbox(self) -> None:
        kept = {row[0]: row for row in self._store.look(EVENTS, self._account)}
        for id_ in self._events_that_matter():
            if id_ not in kept:
                raise Violation("I5", f"{id_} ({self._facts.events[id_][0]}) was never heard of")
            _, handled_at, due_at, error = kept[id_]
            if handled_at is None and (due_at is not None or error is None):
                raise Violation("I5", f"{id_} ({self._facts.events[id_][0]}) is neither handled nor parked: {error}")

    def _access(self) -> None:
        self.look()
        for handed in self.handed.values():
            _, _, held = self.grants.get(handed.session, ("", "", False))
            if held != handed.is_valid:
                words = "paid for, and may not use it" if handed.is_valid else "did not pay for, and may use it"
                raise Violation("I1", f"{handed.offer.product} is what {handed.person} {words} ({handed.session})")

    def _audit(self) -> None:
        trails: dict[str, list[str]] = {}
        for source, person, change, evidence in self._store.look(AUDIT, self._account):
            trail = trails.setdefault(source, [])
            if change != NEXT[trail[-1] if trail else None] or not evidence:
                raise Violation("I8", f"{source} of {person} has the trail {[*trail, change]}, evidence {evidence!r}")
            trail.append(change)
        for source, (person, _, held) in self.grants.items():
            last = trails.get(source, ["nothing"])[-1]
            if held != (last in {"granted", "restored"}):
                raise Violation("I8", f"{source} of {person} is {'held' if held else 'not held'} after {last!r}")


REFUNDED = ("pending", "succeeded")
