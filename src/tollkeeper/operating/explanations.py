"""Why one person may or may not use each feature: sentences that can be forwarded as they are. No I/O."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Grant, Operator, Verdict
from tollkeeper.model.bought import Dispute
from tollkeeper.model.orders import Order, OrderState
from tollkeeper.model.people import Person
from tollkeeper.reasons import Reason
from tollkeeper.relations import Surplus
from tollkeeper.storage.audit import Entry
from tollkeeper.storage.dismissals import Dismissal
from tollkeeper.storage.events import EventState, Kept
from tollkeeper.storage.findings import UNEXPLAINED, Noted
from tollkeeper.storage.people import Namesake
from tollkeeper.wording import explanations as wording
from tollkeeper.wording import products as wording_products
from tollkeeper.wording import remedies
from tollkeeper.wording.operators import sentence


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that affects what one person may use, in one mode, at one time. The newest comes first.

    ``payments`` is what the provider says now; where it could not be asked, what it said last, and then ``trouble``
    says why. ``unexplained`` are payments that gave no access, also those that somebody unknown made with the person's
    e-mail address; ``remarked`` are subscriptions that the catalog does not explain. ``surplus`` is what they paid for
    once more than needed; ``namesakes`` are other people with the same verified address.
    """

    person: Person
    issuers: tuple[str, ...]
    live: bool
    now: int
    grants: tuple[Grant, ...] = ()
    changes: tuple[Entry, ...] = ()
    orders: tuple[Order, ...] = ()
    events: tuple[Kept, ...] = ()
    payments: tuple[Noted, ...] = ()
    unexplained: tuple[Noted, ...] = ()
    remarked: tuple[Noted, ...] = ()
    surplus: tuple[Surplus, ...] = ()
    namesakes: tuple[Namesake, ...] = ()
    trouble: str | None = None

    @property
    def name(self) -> str:
        """What to call the person."""
        return self.person.name or self.person.id

    @property
    def outdated(self) -> bool:
        """Whether the provider now says something different from the grants, and no operator withholds them."""
        reported = [one for one in self.payments if one.source not in self._withheld] if self.trouble is None else []
        given = {grant.source: grant for grant in self.grants if grant.in_force(self.now)}
        giving = {one.source: one for one in reported if one.gives_access(self.now)}
        changed = (
            one for one in giving.keys() & given if (given[one].product, given[one].until) != _given(giving[one])
        )
        return giving.keys() != given.keys() & {one.source for one in reported} or any(changed)

    @property
    def _withheld(self) -> set[str]:
        return {grant.source for grant in self.grants if grant.withheld is not None}


@dataclass(frozen=True, slots=True)
class FeatureAccess:
    """Whether a person may use a feature, and why, in one sentence."""

    feature: str
    allowed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of a person's history: an order, an event or a change of access."""

    at: int
    kind: str
    id: str
    words: str
    without_effect: str | None = None
    """The type of an event that is no evidence of anything."""


@dataclass(frozen=True, slots=True)
class PaymentIssue:
    """A payment that an operator should look at, and what to do about it.

    ``kind`` is its verdict, or one of ``remedies.KINDS``. ``dismissed`` is why an operator wants to see it no more.
    """

    kind: str
    at: int
    payment: str
    amount: int | None
    currency: str | None
    product: str | None
    person_id: str | None
    email: str | None
    reason: str
    remedy: str
    source: str
    dismissed: Reason | None = None


def _given(payment: Noted) -> tuple[str | None, int | None]:
    return payment.product, payment.until


def answers(explained: Explanation, catalog: Catalog) -> tuple[FeatureAccess, ...]:
    """One sentence for each feature there is."""
    features = sorted({feature for product in catalog.products for feature in product.unlocks})
    return tuple(_answer(explained, feature, catalog) for feature in features)


def _answer(explained: Explanation, feature: str, catalog: Catalog) -> FeatureAccess:
    products = {product.key for product in catalog.unlocking(feature)}
    held = [grant for grant in explained.grants if grant.product in products]
    giving = [grant for grant in held if grant.in_force(explained.now)]
    if giving:
        longest = max(giving, key=lambda grant: (grant.until is None, grant.until))
        words = wording.allowed(explained.name, feature, longest, by_operator=by_operator(longest))
        return FeatureAccess(feature, True, words)
    obstacle = _obstacle(explained, held, products)
    return FeatureAccess(feature, False, wording.denied(explained.name, feature, obstacle))


def by_operator(grant: Grant) -> bool:
    """Whether an operator granted it, so that nothing was paid."""
    return isinstance(grant.origin, Operator)


def _obstacle(explained: Explanation, held: list[Grant], products: set[str]) -> str:
    """What prevents access, the most important first."""
    answered = {name for grant in explained.grants for name in (grant.source, grant.reference)}
    loose = [
        one
        for one in explained.payments
        if (one.product is None or one.product in products) and not {one.source, one.reference} & (answered - {None})
    ]
    kept = [one for one in loose if one.unexplained or one.verdict not in UNEXPLAINED]
    gone = [one for one in loose if one not in kept]
    return (
        _first(kept, WAITING)
        or (_ended(explained, held) if held else None)
        or _first(kept, CLOSED)
        or _first(gone, GONE)
        or _elsewhere(explained)
        or _neighbours(loose)
        or _never(explained, [order for order in explained.orders if order.product in products])
    )


# What to add to the reason of each verdict, the most important first.
WAITING = {
    verdict: wording.NO_ACCESS_YET[verdict.value]
    for verdict in (Verdict.PENDING, Verdict.GRANTED, Verdict.QUARANTINED, Verdict.SUSPENDED)
}
CLOSED = dict.fromkeys((Verdict.REVOKED, Verdict.UNCLAIMED, Verdict.UNPAID, Verdict.ENDED), "")
GONE = dict.fromkeys(UNEXPLAINED, wording.MONEY_GONE)


def _first(payments: Iterable[Noted], endings: Mapping[Verdict, str]) -> str | None:
    """The newest payment with the first of these verdicts that there is."""
    newest = {one.verdict: one for one in reversed(list(payments))}
    found = next(((newest[verdict], ending) for verdict, ending in endings.items() if verdict in newest), None)
    return wording.obstacle(*found) if found else None


def _ended(explained: Explanation, held: list[Grant]) -> str:
    """How the access that lasted longest ended."""
    grant = max(held, key=lambda one: one.revoked_at or one.until or 0)
    given, ended_at = by_operator(grant), grant.revoked_at or grant.until or explained.now
    if grant.withheld is not None:
        return wording.withheld(grant, given, ended_at)
    if grant.revoked_at is None:
        return wording.ran_out(grant, given, ended_at, grant.reason)
    reasons = {one.source: one.reason for one in explained.payments if one.verdict is not Verdict.GRANTED}
    return wording.taken_away(grant, ended_at, reasons.get(grant.source, grant.reason))


def _elsewhere(explained: Explanation) -> str | None:
    unknown = next((one for one in explained.unexplained if one.person_id is None), None)
    return wording.paid_elsewhere(unknown) if unknown else None


def _neighbours(payments: Iterable[Noted]) -> str | None:
    """What the person bought from somebody else on the same account, and may be asking about."""
    other = next((one for one in payments if one.verdict is Verdict.UNRELATED), None)
    return wording.paid_to_others(other) if other else None


def _never(explained: Explanation, ordered: list[Order]) -> str:
    if explained.trouble is not None and ordered:
        return wording.NOTHING_KNOWN
    if any(order.state is OrderState.OPEN for order in ordered):
        return wording.not_finished(ordered[0].created_at)
    return wording.NEVER_PAID if ordered else wording.NEVER_BOUGHT


def remarks(explained: Explanation, catalog: Catalog) -> tuple[str, ...]:
    """What the answers do not tell: products that are held, but not in the catalog; what was bought elsewhere and tied
    to the person; what became of the money for earlier periods of a subscription; other accounts of the same address.
    """
    held = sorted({grant.product for grant in explained.grants if grant.in_force(explained.now)})
    unknown = [wording.not_in_catalog(explained.name, product) for product in held if catalog.find(product) is None]
    back = [
        wording.of_an_earlier_period(invoice, one.currency)
        for one in explained.payments
        for invoice in one.earlier_invoices
        if invoice.refunded or invoice.dispute is not Dispute.NONE
    ]
    adopted = [wording.adopted(order, explained.name) for order in explained.orders if order.adopts]
    namesakes = [wording.namesake(one) for one in explained.namesakes]
    return (*unknown, *adopted, *back, *namesakes)


def cases(
    unexplained: Iterable[Noted],
    surplus: Iterable[Surplus],
    catalog: Catalog,
    person_id: str = "PERSON",
    remarked: Iterable[Noted] = (),
) -> tuple[PaymentIssue, ...]:
    """Payments to look at, newest first. ``person_id`` is whose they may be where nobody is known to have paid."""
    found = [_without_access(one, catalog, person_id) for one in unexplained]
    found += [_bought_twice(one) for one in surplus]
    found += [_remarked(one, reason) for one in remarked for reason in one.remarks]
    return tuple(sorted(found, key=lambda one: one.at, reverse=True))


def _without_access(one: Noted, catalog: Catalog, person_id: str) -> PaymentIssue:
    only = catalog.products[0].key if len(catalog.products) == 1 else "PRODUCT"
    remedy = remedies.undo_or_give(one, one.person_id or person_id, one.product, only)
    return _case(one, one.verdict.value, sentence(one.reason), remedy)


def other_sale(one: Noted) -> PaymentIssue:
    """A sale on the account that does not concern this site, so there is nothing to do."""
    return _case(one, one.verdict.value, sentence(one.reason), "")


def as_dismissed(one: PaymentIssue, why: Dismissal) -> PaymentIssue:
    """The same, including what was dismissed."""
    return replace(one, dismissed=why.reason, remedy=wording.dismissed(one.payment, why))


def _remarked(one: Noted, reason: Reason) -> PaymentIssue:
    remedy = remedies.remedy(
        reason, person=one.person_id or "PERSON", product=one.product or "PRODUCT", source=one.source
    )  # fmt: skip
    return _case(one, remedies.KINDS[reason.code], sentence(reason), remedy)


def _case(one: Noted, kind: str, reason: str, remedy: str) -> PaymentIssue:
    return PaymentIssue(
        kind=kind,
        at=one.bought_at,
        payment=one.payment,
        amount=one.amount,
        currency=one.currency,
        product=one.product,
        person_id=one.person_id,
        email=one.email,
        reason=reason,
        remedy=remedy,
        source=one.source,
    )


def _bought_twice(one: Surplus) -> PaymentIssue:
    grant = one.grant
    return PaymentIssue(
        kind=wording_products.BOUGHT_TWICE,
        at=grant.since,
        payment=grant.source if grant.until is not None else grant.reference or grant.source,
        amount=grant.amount,
        currency=grant.currency,
        product=grant.product,
        person_id=grant.person_id,
        email=None,
        reason=wording_products.why_surplus(one),
        remedy=wording_products.undo_surplus(one),
        source=grant.source,
    )


def history(explained: Explanation) -> tuple[Happening, ...]:
    """Everything that happened, oldest first; at the same second in the order of cause and effect."""
    happened = [*_orders(explained), *_events(explained), *_changes(explained)]
    return tuple(sorted(happened, key=lambda one: one.at))


def _orders(explained: Explanation) -> Iterator[Happening]:
    for order in reversed(explained.orders):
        if order.adoption is not None:
            words = f"{order.product}. {sentence(order.adoption)}"
            yield Happening(order.created_at, "adopted", order.adopts or "", words)
        else:
            words = wording.ordered(order.product, order.amount, order.currency, order.state, order.checkout_id)
            yield Happening(order.created_at, "order", order.id, words)


def _events(explained: Explanation) -> Iterator[Happening]:
    evidence = {name for entry in explained.changes for name in entry.evidence.split(", ")}
    for event in reversed(explained.events):
        quiet = event.state in {EventState.IGNORED, EventState.HANDLED} and event.id not in evidence
        words = f"{event.type}; {event_words(event)}"
        yield Happening(event.created_at, "event", event.id, words, event.type if quiet else None)


def in_short(happened: Iterable[Happening]) -> Iterator[Happening]:
    """The same, with one line for events without effect that came one after the other."""
    for quiet, group in groupby(happened, key=lambda one: one.without_effect is not None):
        events = list(group)
        if not quiet or len(events) == 1:
            yield from events
        else:
            words = wording.without_effect([one.without_effect or "" for one in events])
            yield Happening(events[0].at, "event", "", words)


def event_words(event: Kept) -> str:
    """How far an event has come, in words."""
    outcome = event.error if event.state in {EventState.FAILED, EventState.PARKED} else event.outcome
    return event.state.value if outcome in {None, event.state.value} else f"{event.state.value}: {outcome}"


def _changes(explained: Explanation) -> Iterator[Happening]:
    for entry in reversed(explained.changes):
        words = wording.changed(entry.product, entry.change, entry.reason, entry.evidence)
        yield Happening(entry.at, "access", entry.source, words)
