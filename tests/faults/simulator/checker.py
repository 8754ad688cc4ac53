"""Checks that the app gives everybody what the sandbox's ledger says, and who was sent to which checkout page.

Independent of how the app decides: it imports none of its modules, reads its tables with SQL of its own, and has the
policy from the documentation. The invariants I1 to I9 are those of docs/simulator.md.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.faults.simulator.known import (
    ENDS,
    Audited,
    Entry,
    Handed,
    Held,
    Paid,
    Source,
    Violation,
    change,
)
from tests.faults.simulator.ledger import EventFact, Facts, SessionFact, SubscriptionFact
from tests.faults.simulator.storage import Store
from tests.faults.simulator.worth import (
    DAY,
    NOTHING,
    Offer,
    Worth,
    of_session,
    of_subscription,
    sold_by,
    to_see_to,
)

# The reason is read, too: a new reason alone may cause a row in the audit.
GRANTS = (
    "SELECT source, person_id, product, revoked_at, until, reason FROM grants WHERE provider = 'stripe' AND account = ?"
)
AUDIT = (
    "SELECT id, source, person_id, product, change, at, evidence FROM audit "
    "WHERE provider = 'stripe' AND account = ? AND id > ? ORDER BY id"
)
EVENT = "SELECT count(*) FROM events WHERE provider = 'stripe' AND account = ? AND event_id = ?"
HANDLED = "SELECT event_id FROM events WHERE provider = 'stripe' AND account = ? AND handled_at IS NOT NULL"
EVENTS = "SELECT event_id, handled_at, due_at, error FROM events WHERE provider = 'stripe' AND account = ?"
ADOPTED = """SELECT adopts, person_id, product, price_id FROM orders WHERE provider = 'stripe' AND account = ?
AND adopts IS NOT NULL"""
WHOSE = "SELECT person_id FROM customers WHERE provider = 'stripe' AND account = ? AND external_id = ?"
KNOWN = "SELECT id FROM people UNION ALL SELECT id FROM orders WHERE provider = 'stripe' AND account = ?"
FIRST_ORDER = "SELECT min(created_at) FROM orders WHERE provider = 'stripe' AND account = ?"
CUSTOMER = "SELECT count(*) FROM customers WHERE provider = 'stripe' AND account = ? AND external_id = ?"
UNSWEPT = "SELECT count(*) FROM customers WHERE provider = 'stripe' AND account = ? AND checked_at < ?"
# Customers who have bought nothing, and have no order that could still be paid, are not reconciled.
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

# What operators see listed about subscriptions, apart from prices that the catalog does not know.
LISTED_OF_SUBSCRIPTIONS = ("paid after the end", "not finalized", "disputed")


class Checker:
    """Watches one shop. Every method raises ``Violation``."""

    def __init__(
        self, facts: Facts, store: Store, account: str, time: Callable[[], float], offers: Sequence[Offer]
    ) -> None:
        """Create a checker. ``time`` returns Unix seconds and never goes back."""
        self._facts = facts
        self._store = store
        self._account = account
        self._time = time
        self._by_price = {price: offer for offer in offers for price in (offer.price, *offer.others)}
        self._recurring = {offer.product: offer for offer in offers if offer.recurring}
        self._by_product = {offer.product: offer for offer in offers}
        self._let_go: dict[tuple[str, str], float] = {}
        self._reads_since: float | None = None
        self.handed: dict[str, Handed] = {}
        self.asked_to_adopt: set[tuple[str, str]] = set()
        """What operators asked to be tied, and to whom."""
        self._tied: dict[str, str] = {}
        """Whose each customer became by that."""
        self.sources: dict[str, Source] = {}
        self.grants: dict[str, Held] = {}
        self._looked_at: Sequence[Any] = ()
        self._handled: set[str] = set()
        self._audited = 0

    # What happens in the ledger

    def knowledge(self) -> dict[str, int]:
        """Return, for each source, the version that the app must know by now."""
        return {source.id: source.known for source in self.sources.values()}

    def hand(self, session: str, person: str, offer: Offer, knew: Mapping[str, int], fact: bool = False) -> None:
        """Somebody pressed the button when the app ``knew`` this version, and was sent to this page. They may have been
        warned first of what they have (``fact``), and continued.
        """
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
            if source.person == person and self._should_have_been_stopped(
                source, offer, session, knew.get(source.id, 0), fact
            ):
                raise Violation("I4", f"{person} was sent to {session}, {offer.product}, beside {source.id}")
        self.handed[session] = Handed(session, person, offer, self._facts.sessions[session].order)
        if not offer.recurring:
            self.sources[session] = Source(session, person, offer.product)
        self.ledger_changed()

    def _both(self, one: str, another: str) -> bool:
        """Return whether the later page was created while the earlier one could be paid, or was paid for good."""
        earlier, later = sorted((one, another), key=self._facts.made.__getitem__)
        return self._facts.over.get(earlier, self._facts.version + 1) > self._facts.made[later]

    def _should_have_been_stopped(self, source: Source, offer: Offer, session: str, known: int, fact: bool) -> bool:
        """Return whether somebody should have been warned first, or kept from buying, at every version
        that the app may have used: docs/decisions/0021-products-that-contain-each-other.md.

        What the app never knew is not required.
        """
        if known <= max(source.born, 0) or self._facts.made[session] <= known:
            return False
        alive = list(source.alive(known, self._facts.made[session]))
        if source.id in self._facts.sessions:
            products = {worth[0] if worth else "" for worth in (entry.worth("") for entry in alive)}
            return all(key and self._by_product[key].gives_all_of(offer) for key in products)
        others = [self._by_product.get(entry.sells or "") for entry in alive]
        return all(
            other and self._needs_warning(other, offer, entry, fact) for other, entry in zip(others, alive, strict=True)
        )

    def _needs_warning(self, other: Offer, offer: Offer, entry: Entry, fact: bool) -> bool:
        """Return whether somebody should have been warned: they have a subscription to another product that continues.

        One that ends or overlaps only causes a warning.
        """
        if other.unlocks.isdisjoint(offer.unlocks) or (offer.recurring and other.product == offer.product):
            return False
        by_change = offer.recurring and (offer.gives_all_of(other) or other.gives_all_of(offer))
        return not fact or (by_change and not entry.ends)

    def _goes_on(self, source: Source, product: str, session: str, known: int) -> bool:
        """Return whether a subscription of another order sold this product, and was not over, at every version that the
        app may have used.
        """
        fact = self._facts.subscriptions.get(source.id)
        if fact is None or fact.order == self._facts.sessions[session].order:
            return False
        first = max(known, source.born)
        return {entry.sells for entry in source.alive(first, max(first, self._facts.made[session]))} == {product}

    def ledger_changed(self) -> None:
        """Update what each source is worth after Stripe has committed something."""
        self._find_subscriptions()
        for source in self.sources.values():
            source.note(self._entry(source))

    def _find_subscriptions(self) -> None:
        self._find_adopted()
        for id_ in self._facts.subscriptions.keys() - self.sources.keys():
            self._find_order(id_)

    def _find_order(self, id_: str) -> None:
        """Find the order of a subscription: it must name an order of ours and its person, and belong to that person.

        One created by hand counts as soon as the app knows the customer, whom Stripe may have created without a
        response.
        """
        fact = self._facts.subscriptions[id_]
        page = next((page for page in self.handed.values() if page.offer.recurring and page.order == fact.order), None)
        whose = self._tied.get(fact.customer) or self._facts.customers.get(fact.customer)
        if page is None or {fact.person, whose} != {page.person}:
            return
        of_page = self._came_of_a_page(id_)
        if not of_page and not self._store.look(CUSTOMER, self._account, fact.customer)[0][0]:
            return
        source = Source(id_, page.person, page.offer.product, born=self._facts.made[id_] if of_page else 0)
        self.sources[id_] = source
        source.note(self._entry(source))

    def _came_of_a_page(self, id_: str) -> bool:
        return any(self._facts.sessions[session].subscription == id_ for session in self.handed)

    def _entry(self, source: Source) -> Entry:
        version = self._facts.version
        fact = self._facts.subscriptions.get(source.id)
        if fact is None:
            session = self._facts.sessions[source.id]
            return Entry(version, {"": of_session(self._facts, session, self._offer_of(source, session))})
        if fact.over:
            return Entry(version, {"": NOTHING})
        sells = self._sells(source, fact)
        if sells is not None:
            worths = {"": of_subscription(self._facts, source.id, self._recurring[sells])}
        else:
            worths = {key: of_subscription(self._facts, source.id, offer) for key, offer in self._recurring.items()}
        return Entry(version, worths, sells or "as before", fact.ends is not None)

    def _sells(self, source: Source, fact: SubscriptionFact) -> str | None:
        """Return the product of its first known price, or of the price whose product an operator named."""
        sold = sold_by(fact, self._by_price)
        return source.ordered if sold is None and source.agreed in fact.prices else sold

    def _offer_of(self, source: Source, session: SessionFact) -> Offer:
        """Return what was ordered. An adopted purchase is taken as it was found."""
        if source.id in self.handed:
            return self.handed[source.id].offer
        return replace(
            self._by_product[source.ordered],
            price=session.lines[0][0],
            amount=session.subtotal,
            currency=session.currency,
            promotion_codes=session.discount > 0,
        )

    # What an operator does

    def sold(self, id_: str) -> str | None:
        """Return the product that a checkout session or a subscription sells, if the catalog knows its price."""
        session, subscription = self._facts.sessions.get(id_), self._facts.subscriptions.get(id_)
        prices = [price for price, _ in session.lines] if session else subscription.prices if subscription else ()
        return next((self._by_price[price].product for price in prices if price in self._by_price), None)

    def _find_adopted(self) -> None:
        """I3: only what an operator adopted is assigned, to the person they named, and never what somebody else's
        customer bought. From then on it counts like anything that was ordered.
        """
        for id_, person, product, price in self._store.look(ADOPTED, self._account) if self.asked_to_adopt else ():
            if id_ in self.sources and self.sources[id_].person == person:
                continue
            buyer = (self._facts.sessions.get(id_) or self._facts.subscriptions[id_]).customer or id_
            whose = {row[0] for row in self._store.look(WHOSE, self._account, buyer)}
            if (id_, person) not in self.asked_to_adopt or id_ in self.sources or whose != {person}:
                raise Violation("I3", f"{id_}, which {whose} bought, was tied to {person}")
            self._tied[buyer] = person
            self.sources[id_] = Source(id_, person, product, tied=self._facts.version, agreed=price)
            self.sources[id_].note(self._entry(self.sources[id_]))

    def sources_of(self, session: str) -> list[str]:
        """Return what a page may lead to: its own payment, or the subscriptions that name its order."""
        page, fact = self.handed.get(session), self._facts.subscriptions
        return [
            session,
            *(id_ for id_ in self.sources if id_ in fact and page and fact[id_].order == page.order),
        ]

    # What the app makes of it

    def look(self) -> bool:
        """I2, I3, I7: everybody who holds something has paid for it, as far as the app can know. I8: each change is
        audited.

        Returns whether anything changed.
        """
        self._find_subscriptions()
        rows = self._store.look(GRANTS, self._account)
        if rows == self._looked_at:
            return False
        self._looked_at = rows
        before, now, audited = self.grants, self._time(), self._new_in_audit()
        self.grants = {source: Held(*fact) for source, *fact, _reason in rows}
        for id_, held in self.grants.items():
            had = before.get(id_)
            self._check_audit(id_, had, held, audited.get(id_, ()), now)
            if had != held:
                self._remember(id_, had, now)
                self._check(id_, held, had, now)
        return True

    def _new_in_audit(self) -> dict[str, list[Audited]]:
        """Return the rows written to the audit since the last look, by source."""
        found: dict[str, list[Audited]] = {}
        for id_, source, *fact in self._store.look(AUDIT, self._account, self._audited):
            self._audited = id_
            found.setdefault(source, []).append(Audited(*fact))
        return found

    def _check_audit(self, id_: str, had: Held | None, held: Held, audited: Sequence[Audited], now: float) -> None:
        """Check that there is one row for each change, at the app's own time, and no other row."""
        right = [
            Audited(held.person, held.product, self._called(id_, had, held, row), row.at, row.evidence)
            for row in audited
        ]
        if len(audited) > 1 or right != list(audited) or not all(row.evidence for row in audited):
            raise Violation("I8", f"{id_} was {had}, and is {held}: the audit says {audited}")
        if not audited and change(had, held, now) is not None:
            raise Violation("I8", f"{id_} was {had}, and is {held}: the audit says nothing")

    def _called(self, id_: str, had: Held | None, held: Held, row: Audited) -> str | None:
        """Check the word for an end of access. The ledger may have changed since the app read it."""
        became = change(had, held, row.at)
        source = self.sources.get(id_)
        words = source.ends(had.product if had else source.ordered, row.at) if source else frozenset[str]()
        if became is None and row.change == "ending" and any(id_ == one for one, _ in self._facts.ended_for):
            return row.change  # what it gives was bought for good, and nothing changes before its end
        return row.change if became == ENDS and row.change in words else became

    def _remember(self, id_: str, had: Held | None, now: float) -> None:
        """Remember until when somebody had what changes now."""
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
        """Return whether a person has held one of these products or sources at any time since then."""
        return any(self._let_go.get((person, name), -1.0) >= began for name in names) or any(
            held.person == person and held.worth(began) is not None and not {id_, held.product}.isdisjoint(names)
            for id_, held in self.grants.items()
        )

    def gate(self, person: str, holds: Mapping[str, int | None]) -> None:
        """Check that the gate agrees with the grants at this time."""
        now, granted = self._time(), dict[str, int | None]()
        for held in self.grants.values():
            if held.person == person and (worth := held.worth(now)) is not None:
                product, until = worth
                longest = granted.get(product, 0)
                granted[product] = None if until is None or longest is None else max(longest, until)
        if holds != granted:
            raise Violation("I2", f"the gate lets {person} use {holds}, but the grants are {granted}")

    def acknowledged(self, event: str) -> None:
        """I5: an event that was acknowledged with 2xx is on disk."""
        if self._store.look(EVENT, self._account, event)[0][0] != 1:
            raise Violation("I5", f"{event} was answered with 2xx and is not in the inbox")

    def handled(self) -> None:
        """I5: an event that is marked as handled has had its effect, and the app no longer uses anything that it read
        before.
        """
        self._find_subscriptions()
        for (id_,) in self._store.look(HANDLED, self._account):
            if id_ in self._handled:
                continue
            self._handled.add(id_)
            event = self._facts.events.get(id_)
            if event is not None and event.type.startswith(MATTERS):
                for source in self.sources.values():
                    if self._is_about(event, source) and self._facts.announced[id_] > source.tied:
                        self._acted_on(id_, source)

    def _is_about(self, event: EventFact, source: Source) -> bool:
        if source.id in event.about:
            return True
        if source.id in self._facts.sessions:
            return self._facts.sessions[source.id].payment_intent in event.about
        pages = (id_ for id_, page in self._facts.sessions.items() if page.subscription == source.id)
        return not event.about.isdisjoint((*pages, *self._facts.payments(source.id)))

    def _acted_on(self, id_: str, source: Source) -> None:
        source.known = max(source.known, self._facts.announced[id_])
        now, held = self._time(), self.grants.get(source.id)
        worth = held.worth(now) if held else None
        if not source.learn(worth, held.product if held else source.ordered, now, exactly=True):
            words = f"holds {worth} from {source.id}, worth {source.entries[-1].worths}"
            raise Violation("I5", f"{source.person} {words}, and {id_} counts as handled")

    # Once faults have stopped

    def waiting(self, began: float) -> bool:
        """Return whether events are still unhandled, or customers have not been reconciled since then."""
        kept = {row[0]: row for row in self._store.look(EVENTS, self._account)}
        if any(id_ not in kept or kept[id_][2] is not None for id_ in self._events_that_matter(kept)):
            return True
        return bool(self._store.look(UNSWEPT, self._account, int(began))[0][0])

    def settled(self) -> None:
        """I5, I1, I4, I8: everything is handled, and access is as the ledger says."""
        self._inbox()
        self._access()
        self._trials()
        self._ended_for_good()
        if audited := self._new_in_audit():
            raise Violation("I8", f"the audit says of changes that were none: {audited}")

    def _ended_for_good(self) -> None:
        """I4: a subscription ends with its period if everything it gives was bought for good, and only then. What
        happens to the end afterwards is for its owner to decide.
        """
        for id_, purchase in self._facts.ended_for:
            ended, bought = self.sources.get(id_), self.sources.get(purchase)
            if ended is None or bought is None or ended.person != bought.person or not self._gave_all_of(bought, ended):
                raise Violation("I4", f"{id_} was ended for {purchase}, which must not end it")
        for source in self.sources.values():
            fact = self._facts.subscriptions.get(source.id)
            if fact is None or fact.over or fact.ends is not None or not self._has_begun(source.id):
                continue
            for_good = [bought for bought in self.sources.values() if self._is_for_good(bought, source)]
            if for_good and all(self._is_to_end(source, bought) for bought in for_good):
                raise Violation("I4", f"{source.id} goes on beside {[bought.id for bought in for_good]}")

    def _gave_all_of(self, bought: Source, ended: Source) -> bool:
        given = {worth[0] for entry in bought.entries if (worth := entry.worth(""))}
        sold = {entry.sells or "" for entry in ended.entries} & self._by_product.keys() or {ended.ordered}
        willing = [offer for one in given if (offer := self._by_product[one]).ends_subscription]
        return any(offer.gives_all_of(self._by_product[other]) for offer in willing for other in sold)

    def _has_begun(self, id_: str) -> bool:
        bills = self._facts.bills(id_).values()
        return self._facts.periods[id_][0].trial or any(bill.status == "paid" for bill in bills)

    def _is_for_good(self, bought: Source, source: Source) -> bool:
        """Return whether it is held for good, and gives everything that the subscription does."""
        if bought.person != source.person or bought.id not in self._facts.sessions:
            return False
        worth, held = self._grant_worth(bought), self.grants.get(source.id)
        fact = self._facts.subscriptions[source.id]
        sold = self._sells(source, fact) or (held.product if held else source.ordered)
        return worth is not None and self._by_product[worth[0]].gives_all_of(self._by_product[sold])

    def _is_to_end(self, source: Source, bought: Source) -> bool:
        return (
            self._by_product[bought.ordered].ends_subscription and (source.id, bought.id) not in self._facts.ended_for
        )

    def bought_twice(self, flagged: frozenset[str]) -> None:
        """I4: if somebody still pays for the same twice, what is superfluous is flagged, and nothing else."""
        paid = [one for source in self.sources.values() if (one := self._paid(source))]
        for one in paid:
            beside = [other for other in paid if other != one and other.overlaps_in_time(one)]
            others = {other.id for other in beside}
            alike = {other.id for other in beside if other.is_like(one)}
            must = any(one.is_superfluous_with(other) for other in beside) or bool(alike - flagged)
            may = any(one.may_be_superfluous_with(other) for other in beside)
            # Of several that are alike, one is not superfluous, unless something else makes it so.
            one_too_many = one.id in flagged and others == alike and alike <= flagged
            if one_too_many or (one.id in flagged and not may) or (one.id not in flagged and must):
                raise Violation("I4", f"{one.id} stands beside {sorted(others)}, flagged: {sorted(flagged)}")

    def _paid(self, source: Source) -> Paid | None:
        worth, fact = self._grant_worth(source), self._facts.subscriptions.get(source.id)
        if worth is None or (fact is None and not self._facts.sessions[source.id].total):
            return None
        return Paid(
            source.id,
            source.person,
            self._by_product[worth[0]],
            fact is None,
            fact is None or fact.ends is None,
        )

    def _strangers(self, cases: frozenset[tuple[str, str]]) -> None:
        """I5: money that gave no access is listed if it concerns us, until it is refunded; a neighbour's never is.

        It concerns us if it names an order or a person that is known here, or is for a price of the catalog. If an
        event was too old to be listed, the last reading may be too old, as well.
        """
        listed = {id_ for id_, kind in cases if kind in {"unclaimed", "quarantined"}}
        known = {row[0] for row in self._store.look(KNOWN, self._account)}
        kept = {row[0] for row in self._store.look(EVENTS, self._account)}
        unheard = [
            event.about
            for id_, event in self._facts.events.items()
            if event.type.startswith(MATTERS) and id_ not in kept
        ]
        for id_, right, names in self._elsewhere(known):
            is_listed = not listed.isdisjoint(names)
            if is_listed != right and not any(about & names for about in unheard):
                raise Violation("I5", f"{id_} should {'' if right else 'not '}be listed for operators")

    def _elsewhere(self, known: set[str]) -> Iterator[tuple[str, bool, set[str]]]:
        """Yield what was bought but not ordered here: whether it should be listed, and its ids."""
        for id_, session in self._facts.sessions.items():
            if session.status == "complete" and not session.subscription and id_ not in self.sources:
                prices = [price for price, _ in session.lines]
                yield (
                    id_,
                    self._is_ours(known, prices, session) and self._is_here(session),
                    {id_, session.payment_intent or id_},
                )
        for id_, fact in self._facts.subscriptions.items():
            if id_ in self.sources:
                continue
            runs = not fact.over and fact.status != "incomplete"
            yield id_, runs and self._is_ours(known, fact.prices, fact), {id_}

    def _is_ours(self, known: set[str], prices: Sequence[str], fact: SessionFact | SubscriptionFact) -> bool:
        return not {fact.order, fact.person}.isdisjoint(known) or not self._by_price.keys().isdisjoint(prices)

    def _is_here(self, session: SessionFact) -> bool:
        """Return whether it was paid, and not refunded in full."""
        _, charge = self._facts.intents.get(session.payment_intent or "", ("", None))
        _, paid = self._facts.charges.get(charge or "", ("", 0))
        back = sum(amount for of, amount, how in self._facts.refunds.values() if of == charge and how != "failed")
        lost = any(of == charge and how == "lost" for of, how in self._facts.disputes.values())
        return session.payment_status == "paid" and back < paid and not lost

    def listed(self, cases: frozenset[tuple[str, str]]) -> None:
        """I5: for each subscription that was ordered here, operators see exactly what they should deal with.

        ``cases`` are what is listed, each by the subscription and its kind.
        """
        for source in self.sources.values():
            if source.id in self._facts.subscriptions and not self._is_unheard_of(source):
                fact = {kind for id_, kind in cases if id_ == source.id and kind in LISTED_OF_SUBSCRIPTIONS}
                if fact != (right := self._to_see_to(source)):
                    raise Violation("I5", f"of {source.id} operators are told {fact}, and should be told {set(right)}")
        self._strangers(cases)

    def _to_see_to(self, source: Source) -> frozenset[str]:
        fact, held = self._facts.subscriptions[source.id], self.grants.get(source.id)
        sells = self._sells(source, fact) or (held.product if held else source.ordered)
        return to_see_to(self._facts, source.id, self._recurring[sells])

    def _grant_worth(self, source: Source) -> Worth:
        held = self.grants.get(source.id)
        return source.worth(held.product if held else source.ordered, self._time())

    def polls(self) -> None:
        """Return when the app began to read the list of events: now, or at its first order if that is older. A
        neighbour's sales before that do not matter.
        """
        if self._reads_since is None:
            ordered = self._store.look(FIRST_ORDER, self._account)[0][0]
            self._reads_since = self._time() if ordered is None else min(ordered, self._time())

    def _events_that_matter(self, kept: Mapping[str, Any]) -> list[str]:
        """Return the relevant events, without those that are no longer listed because the app was down for a month."""
        oldest = max(self._time() - LISTED, self._reads_since or 0)
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
        """Return whether it was created by hand for somebody whom the sweep does not reconcile, and all its events were
        lost.

        The events of its next renewal will arrive.
        """
        fact = self._facts.subscriptions.get(source.id)
        if fact is None or self._came_of_a_page(source.id):
            return False
        kept = {row[0] for row in self._store.look(EVENTS, self._account)}
        heard = any(source.id in self._facts.events[id_].about for id_ in kept & self._facts.events.keys())
        return not heard and bool(self._store.look(UNASKED, self._account, fact.customer)[0][0])

    def _trials(self) -> None:
        """I4: one trial for each person, whatever the product."""
        on_trial = [id_ for id_, fact in self._facts.subscriptions.items() if fact.trial and id_ in self.sources]
        for person, times in Counter(self.sources[id_].person for id_ in on_trial if self._came_of_a_page(id_)).items():
            if times > 1:
                raise Violation("I4", f"{person} was given {times} trials")
