"""Whether the app gives everybody what the sandbox's ledger says, and who was sent to which checkout page.

Knows nothing of how the app decides: it imports none of its rooms, reads its tables with SQL of its own, and has the
policy from the words of the documentation. The invariants I1 to I9 are those of the design.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.faults.simulator.ledger import EventFact, Facts
from tests.faults.simulator.storage import Store
from tests.faults.simulator.worth import (
    DAY,
    NOTHING,
    Judged,
    Offer,
    Worth,
    at_most,
    in_force,
    of_session,
    of_subscription,
    sold_by,
    to_see_to,
)

GRANTS = "SELECT source, person_id, product, revoked_at, until FROM grants WHERE provider = 'stripe' AND account = ?"
AUDIT = (
    "SELECT id, source, person_id, product, change, at, evidence FROM audit "
    "WHERE provider = 'stripe' AND account = ? AND id > ? ORDER BY id"
)
EVENT = "SELECT count(*) FROM events WHERE provider = 'stripe' AND account = ? AND event_id = ?"
HANDLED = "SELECT event_id FROM events WHERE provider = 'stripe' AND account = ? AND handled_at IS NOT NULL"
EVENTS = "SELECT event_id, handled_at, due_at, error FROM events WHERE provider = 'stripe' AND account = ?"
CUSTOMER = "SELECT count(*) FROM customers WHERE provider = 'stripe' AND account = ? AND external_id = ?"
UNSWEPT = "SELECT count(*) FROM customers WHERE provider = 'stripe' AND account = ? AND checked_at < ?"
# Customers who have bought nothing, and have ordered nothing that could still be paid, are not asked for.
UNASKED = """SELECT count(*) FROM customers AS known WHERE provider = 'stripe' AND account = ? AND external_id = ?
AND NOT EXISTS (SELECT 1 FROM findings WHERE customer_id = known.id)
AND NOT EXISTS (SELECT 1 FROM orders WHERE person_id = known.person_id AND state <> 'expired')"""

MATTERS = (
    "checkout.session.",
    "charge.refunded",
    "charge.dispute.",
    "refund.",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.finalized",
    "invoice.finalization_failed",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "payment_intent.processing",
)
# For how long Stripe lists an event.
LISTED = 30 * DAY


# What operators are told of subscriptions, apart from prices that the catalog does not know.
TOLD_OF_SUBSCRIPTIONS = ("paid after the end", "not finalized", "disputed")

# What became of somebody's access that ended, whichever word it is called by.
ENDS = "suspended, revoked or ended"


class Violation(Exception):
    """An invariant that does not hold."""

    def __init__(self, invariant: str, words: str) -> None:
        super().__init__(f"{invariant}: {words}")
        self.invariant = invariant


@dataclass(frozen=True, slots=True)
class Handed:
    """A checkout page that somebody was sent to by pressing the button, and the order that it is for."""

    session: str
    person: str
    offer: Offer
    order: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """What a source was worth since a version of the ledger, by the product that it gave before: where the price is
    not known, that is left as it was. ``""`` stands for all others.

    ``sells`` is the product of a subscription that is not over.
    """

    since: int
    worths: Mapping[str, Judged]
    sells: str | None = None

    def judged(self, before: str) -> Judged:
        return self.worths[before] if before in self.worths else self.worths.get("", NOTHING)

    def worth(self, before: str) -> Worth:
        return self.judged(before).worth


@dataclass
class Source:
    """What may give somebody access, a checkout session or a subscription, and what it was worth at each moment."""

    id: str
    person: str
    ordered: str
    """The product that its order names."""
    entries: list[Entry] = field(default_factory=lambda: [Entry(0, {})])
    known: int = 0
    """A version that the app's knowledge of it must have reached."""
    born: int = 0
    """The version that the app must ask for before it opens another page."""

    def ever_interrupted(self) -> bool:
        """Whether it was good once, and then was not."""
        return len(self.entries) > 2

    def note(self, entry: Entry) -> None:
        last = self.entries[-1]
        if (entry.worths, entry.sells) != (last.worths, last.sells):
            self.entries.append(entry)

    def alive(self, first: int, last: int | None = None) -> Iterator[Entry]:
        """What held at any moment from one version to another, or to now."""
        for number, entry in enumerate(self.entries):
            ended = self.entries[number + 1].since if number + 1 < len(self.entries) else None
            if (ended is None or ended > first) and (last is None or entry.since <= last):
                yield entry

    def worth(self, before: str, now: float) -> Worth:
        """What it gives now."""
        return in_force(self.entries[-1].worth(before), now)

    def learn(self, held: Worth, before: str, now: float, *, exactly: bool = False) -> bool:
        """The app now acts as if it were worth this. False if that is more than it was at any moment since what the
        app knew; or, ``exactly``, if it is anything else, though it was always worth the same since then.

        A snapshot takes several calls, and may be made of two moments. It must not give more than either.
        """
        held = in_force(held, now)
        alive = [(entry.since, in_force(entry.worth(before), now)) for entry in self.alive(self.known)]
        seen = next((since for since, worth in alive if worth == held), None)
        if seen is not None:
            self.known = max(self.known, seen)
            return True
        if exactly and len({worth for _, worth in alive}) == 1:
            return False
        return any(at_most(held, worth) for _, worth in alive)

    def ends(self, before: str) -> frozenset[str]:
        """What the end of its access may be called now, by all that the app can go by. What runs out has ended."""
        return frozenset().union(*(entry.judged(before).ends for entry in self.alive(self.known)))


class Held(NamedTuple):
    """A grant, as the app's table has it."""

    person: str
    product: str
    off: int | None
    until: int | None

    def worth(self, now: float) -> Worth:
        return in_force((self.product, self.until), now) if self.off is None else None


def change(had: Held | None, held: Held, now: float) -> str | None:
    """What became of somebody's access at this time, in the audit's word; None: it is the same."""
    before, after = had.worth(now) if had else None, held.worth(now)
    if before == after:
        return None
    if before is None or after is None:
        return ENDS if before else "restored" if had else "granted"
    if before[0] != after[0]:
        return "changed"
    return "extended" if (after[1] or 0) > (before[1] or 0) else "shortened"


class Audited(NamedTuple):
    """A row of the audit."""

    person: str
    product: str
    change: str | None
    at: int
    evidence: str


class Checker:
    """Watches one shop. Every method raises ``Violation``."""

    def __init__(
        self, facts: Facts, store: Store, account: str, time: Callable[[], float], offers: Sequence[Offer]
    ) -> None:
        """``time`` tells Unix seconds, and never goes back."""
        self._facts = facts
        self._store = store
        self._account = account
        self._time = time
        self._by_price = {price: offer for offer in offers for price in (offer.price, *offer.others)}
        self._recurring = {offer.product: offer for offer in offers if offer.recurring}
        self._let_go: dict[tuple[str, str], float] = {}
        self.handed: dict[str, Handed] = {}
        self.sources: dict[str, Source] = {}
        self.grants: dict[str, Held] = {}
        self._looked_at: Sequence[Any] = ()
        self._handled: set[str] = set()
        self._audited = 0
        facts.changed = self._ledger_changed

    # What happens in the ledger

    def knowledge(self) -> dict[str, int]:
        """Of each source, the version that the app's knowledge of it must have reached by now."""
        return {source.id: source.known for source in self.sources.values()}

    def hand(self, session: str, person: str, offer: Offer, knew: Mapping[str, int]) -> None:
        """Somebody pressed the button when the app ``knew`` so much, and was sent to this page."""
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
        for source in self.sources.values():
            if source.person == person and self._goes_on(source, offer.product, session, knew.get(source.id, 0)):
                raise Violation("I4", f"{person} was sent to {session} although {source.id} is not over")
        self.handed[session] = Handed(session, person, offer, self._facts.sessions[session].order)
        if not offer.recurring:
            self.sources[session] = Source(session, person, offer.product)
        self._ledger_changed()

    def _both(self, one: str, another: str) -> bool:
        """Whether the later of two pages was made while the earlier one could be paid or had been paid for good."""
        earlier, later = sorted((one, another), key=self._facts.made.__getitem__)
        return self._facts.over.get(earlier, self._facts.version + 1) > self._facts.made[later]

    def _goes_on(self, source: Source, product: str, session: str, known: int) -> bool:
        """Whether a subscription of another order sold this product, and was not over, at every moment that the app can
        have gone by.
        """
        told = self._facts.subscriptions.get(source.id)
        if told is None or told.order == self._facts.sessions[session].order:
            return False
        first = max(known, source.born)
        return {entry.sells for entry in source.alive(first, max(first, self._facts.made[session]))} == {product}

    def _ledger_changed(self) -> None:
        self._find_subscriptions()
        for source in self.sources.values():
            source.note(self._entry(source))

    def _find_subscriptions(self) -> None:
        for id_ in self._facts.subscriptions.keys() - self.sources.keys():
            self._find_order(id_)

    def _find_order(self, id_: str) -> None:
        """A subscription counts that names an order of ours and its person, and is that person's own.

        One made by hand counts as soon as the app knows the customer, whom Stripe may have made without an answer.
        """
        told = self._facts.subscriptions[id_]
        page = next((page for page in self.handed.values() if page.order == told.order), None)
        if page is None or {told.person, self._facts.customers.get(told.customer)} != {page.person}:
            return
        of_page = self._came_of_a_page(id_)
        if not of_page and not self._store.look(CUSTOMER, self._account, told.customer)[0][0]:
            return
        source = Source(id_, page.person, page.offer.product, born=self._facts.made[id_] if of_page else 0)
        self.sources[id_] = source
        source.note(self._entry(source))

    def _came_of_a_page(self, id_: str) -> bool:
        return any(self._facts.sessions[session].subscription == id_ for session in self.handed)

    def _entry(self, source: Source) -> Entry:
        version = self._facts.version
        told = self._facts.subscriptions.get(source.id)
        if told is None:
            page = self.handed[source.id]
            return Entry(version, {"": of_session(self._facts, self._facts.sessions[page.session], page.offer)})
        if told.over:
            return Entry(version, {"": NOTHING})
        sells = sold_by(told, self._by_price)
        if sells is not None:
            return Entry(version, {"": of_subscription(self._facts, source.id, self._recurring[sells])}, sells)
        kept = {key: of_subscription(self._facts, source.id, offer) for key, offer in self._recurring.items()}
        return Entry(version, kept, "as before")

    def sources_of(self, session: str) -> list[str]:
        """What may come of a page: itself, or the subscriptions that name its order."""
        page, told = self.handed.get(session), self._facts.subscriptions
        return [session, *(id_ for id_ in self.sources if id_ in told and page and told[id_].order == page.order)]

    # What the app makes of it

    def look(self) -> bool:
        """I2, I3, I7: whoever holds something has paid for it, as far as the app can know. I8: each change is audited.

        Answers whether anything changed.
        """
        self._find_subscriptions()
        rows = self._store.look(GRANTS, self._account)
        if rows == self._looked_at:
            return False
        self._looked_at = rows
        before, now, audited = self.grants, self._time(), self._new_in_audit()
        self.grants = {source: Held(*told) for source, *told in rows}
        for id_, held in self.grants.items():
            had = before.get(id_)
            self._check_audit(id_, had, held, audited.get(id_, ()), now)
            if had != held:
                self._remember(id_, had, now)
                self._check(id_, held, had, now)
        return True

    def _new_in_audit(self) -> dict[str, list[Audited]]:
        """What was written into it since the last look, by source."""
        found: dict[str, list[Audited]] = {}
        for id_, source, *told in self._store.look(AUDIT, self._account, self._audited):
            self._audited = id_
            found.setdefault(source, []).append(Audited(*told))
        return found

    def _check_audit(self, id_: str, had: Held | None, held: Held, audited: Sequence[Audited], now: float) -> None:
        """One row says what changed, by the app's own time; no row says what did not."""
        right = [
            Audited(held.person, held.product, self._called(id_, had, held, row), row.at, row.evidence)
            for row in audited
        ]
        if len(audited) > 1 or right != list(audited) or not all(row.evidence for row in audited):
            raise Violation("I8", f"{id_} was {had}, and is {held}: the audit says {audited}")
        if not audited and change(had, held, now) is not None:
            raise Violation("I8", f"{id_} was {had}, and is {held}: the audit says nothing")

    def _called(self, id_: str, had: Held | None, held: Held, row: Audited) -> str | None:
        """Why access ends is a word of its own; which, the ledger may say by now otherwise than when it was read."""
        became = change(had, held, row.at)
        source = self.sources.get(id_)
        words = source.ends(had.product if had else source.ordered) if source else frozenset[str]()
        return row.change if became == ENDS and row.change in words else became

    def _remember(self, id_: str, had: Held | None, now: float) -> None:
        """Until when somebody had what changes now."""
        if had is not None and had.off is None:
            ended = now if had.until is None else min(now, had.until)
            self._let_go |= {(had.person, had.product): ended, (had.person, id_): ended}

    def _check(self, id_: str, held: Held, had: Held | None, now: float) -> None:
        source, worth = self.sources.get(id_), held.worth(now)
        if source is None or held.person != source.person:
            if worth is not None:
                raise Violation("I3", f"{held.person} holds {worth} from {id_}, which they never ordered")
        elif not source.learn(worth, had.product if had else source.ordered, now):
            what = "was taken back for good" if source.ever_interrupted() or source.known else "was never paid"
            raise Violation("I7" if source.known else "I2", f"{held.person} holds {worth} from {id_}, which {what}")

    def held_since(self, began: float, person: str, *names: str) -> bool:
        """Whether a person has held one of these, products or sources, at any moment since then."""
        return any(self._let_go.get((person, name), -1.0) >= began for name in names) or any(
            held.person == person and held.worth(began) is not None and not {id_, held.product}.isdisjoint(names)
            for id_, held in self.grants.items()
        )

    def gate(self, person: str, holds: Mapping[str, int | None]) -> None:
        """The gate says what the grants say at this time."""
        now, granted = self._time(), dict[str, int | None]()
        for held in self.grants.values():
            if held.person == person and (worth := held.worth(now)) is not None:
                product, until = worth
                longest = granted.get(product, 0)
                granted[product] = None if until is None or longest is None else max(longest, until)
        if holds != granted:
            raise Violation("I2", f"the gate lets {person} use {holds}, but the grants are {granted}")

    def acknowledged(self, event: str) -> None:
        """I5: what was answered with 2xx is on disk."""
        if self._store.look(EVENT, self._account, event)[0][0] != 1:
            raise Violation("I5", f"{event} was answered with 2xx and is not in the inbox")

    def handled(self) -> None:
        """I5: what is marked as handled was acted on, and the app goes by nothing any more that it read before."""
        self._find_subscriptions()
        for (id_,) in self._store.look(HANDLED, self._account):
            if id_ in self._handled:
                continue
            self._handled.add(id_)
            event = self._facts.events.get(id_)
            if event is not None and event.type.startswith(MATTERS):
                for source in self.sources.values():
                    if self._is_about(event, source):
                        self._acted_on(id_, source)

    def _is_about(self, event: EventFact, source: Source) -> bool:
        if source.id in event.about:
            return True
        if source.id in self._facts.sessions:
            return self._facts.sessions[source.id].payment_intent in event.about
        pages = (id_ for id_, page in self._facts.sessions.items() if page.subscription == source.id)
        return not event.about.isdisjoint((*pages, *self._facts.payments(source.id)))

    def _acted_on(self, id_: str, source: Source) -> None:
        source.known = max(source.known, self._facts.told[id_])
        now, held = self._time(), self.grants.get(source.id)
        worth = held.worth(now) if held else None
        if not source.learn(worth, held.product if held else source.ordered, now, exactly=True):
            words = f"holds {worth} from {source.id}, worth {source.entries[-1].worths}"
            raise Violation("I5", f"{source.person} {words}, and {id_} counts as handled")

    # Once faults have stopped

    def waiting(self, began: float) -> bool:
        """Whether there are events that the app has not come to yet, or customers it has not asked for since then."""
        kept = {row[0]: row for row in self._store.look(EVENTS, self._account)}
        if any(id_ not in kept or kept[id_][2] is not None for id_ in self._events_that_matter(kept)):
            return True
        return bool(self._store.look(UNSWEPT, self._account, int(began))[0][0])

    def settled(self) -> None:
        """I5, I1, I4, I8: everything was handled, and access is what the ledger says."""
        self._inbox()
        self._access()
        self._trials()
        if audited := self._new_in_audit():
            raise Violation("I8", f"the audit says of changes that were none: {audited}")

    def bought_twice(self, flagged: frozenset[str]) -> None:
        """I4: where somebody paid twice all the same, all but one are flagged for refund."""
        paid: dict[tuple[str, str], set[str]] = {}
        for source in self.sources.values():
            worth = self._grant_worth(source)
            if worth is not None and (worth[1] is not None or self._facts.sessions[source.id].total):
                paid.setdefault((source.person, worth[0]), set()).add(source.id)
        for (person, product), sources in paid.items():
            if len(flagged & sources) != len(sources) - 1:
                raise Violation("I4", f"{person} paid for {product} {len(sources)} times, flagged: {sorted(flagged)}")

    def listed(self, cases: frozenset[tuple[str, str]]) -> None:
        """I5: of each subscription that was ordered here, operators are told what they should see to, and nothing else.

        ``cases`` are what is listed, each by the subscription and its kind.
        """
        for source in self.sources.values():
            if source.id in self._facts.subscriptions and not self._is_unheard_of(source):
                told = {kind for id_, kind in cases if id_ == source.id and kind in TOLD_OF_SUBSCRIPTIONS}
                if told != (right := self._to_see_to(source)):
                    raise Violation("I5", f"of {source.id} operators are told {told}, and should be told {set(right)}")

    def _to_see_to(self, source: Source) -> frozenset[str]:
        told, held = self._facts.subscriptions[source.id], self.grants.get(source.id)
        sells = sold_by(told, self._by_price) or (held.product if held else source.ordered)
        return to_see_to(self._facts, source.id, self._recurring[sells])

    def _grant_worth(self, source: Source) -> Worth:
        held = self.grants.get(source.id)
        return source.worth(held.product if held else source.ordered, self._time())

    def _events_that_matter(self, kept: Mapping[str, Any]) -> list[str]:
        """Without those that nobody could hear of any more, as after a month in which the app was down."""
        oldest = self._time() - LISTED
        return [
            id_
            for id_, event in self._facts.events.items()
            if event.type.startswith(MATTERS) and (id_ in kept or event.created > oldest)
        ]

    def _inbox(self) -> None:
        kept = {row[0]: row for row in self._store.look(EVENTS, self._account)}
        for id_ in self._events_that_matter(kept):
            if id_ not in kept:
                raise Violation("I5", f"{id_} ({self._facts.events[id_].type}) was never heard of")
            _, handled_at, due_at, error = kept[id_]
            if handled_at is None and (due_at is not None or error is None):
                raise Violation("I5", f"{id_} ({self._facts.events[id_].type}) is neither handled nor parked: {error}")

    def _access(self) -> None:
        self.look()
        for source in self.sources.values():
            held, worth = self.grants.get(source.id), self._grant_worth(source)
            holds = held.worth(self._time()) if held else None
            if holds != worth and not (held is None and self._is_unheard_of(source)):
                raise Violation("I1", f"{source.person} holds {holds}, and {source.id} gives {worth}")

    def _is_unheard_of(self, source: Source) -> bool:
        """Whether it was made by hand for somebody whom the sweep does not ask for, and all that tells of it was lost.

        What its next renewal tells will be heard.
        """
        told = self._facts.subscriptions.get(source.id)
        if told is None or self._came_of_a_page(source.id):
            return False
        kept = {row[0] for row in self._store.look(EVENTS, self._account)}
        heard = any(source.id in self._facts.events[id_].about for id_ in kept & self._facts.events.keys())
        return not heard and bool(self._store.look(UNASKED, self._account, told.customer)[0][0])

    def _trials(self) -> None:
        """I4: one for each person, whatever the product."""
        on_trial = [id_ for id_, told in self._facts.subscriptions.items() if told.trial and id_ in self.sources]
        for person, times in Counter(self.sources[id_].person for id_ in on_trial if self._came_of_a_page(id_)).items():
            if times > 1:
                raise Violation("I4", f"{person} was given {times} trials")
