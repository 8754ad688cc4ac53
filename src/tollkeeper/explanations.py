"""Why one person may or may not use each feature: sentences that can be forwarded as they stand. No input or output."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tollkeeper.catalog import Catalog
from tollkeeper.model import Grant, Order, OrderState, Person, Verdict
from tollkeeper.storage.audit import Entry
from tollkeeper.storage.events import Kept, State
from tollkeeper.storage.findings import UNEXPLAINED, Noted
from tollkeeper.words import day, money, price

# The provider in the realm of what operators grant, and how the reasons of what they do begin; their note follows.
OPERATOR = "operator"
GRANTED = "Granted by an operator: "
REVOKED = "Revoked by an operator: "


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that bears on what one person may use, in one mode, at one time. The newest comes first.

    ``payments`` is what the provider says now; where it could not be asked, what it said last, and then ``trouble``
    says why. ``unexplained`` are payments that opened no door, also those that somebody unknown made with the person's
    e-mail address; ``remarked`` are subscriptions that the catalog does not explain. ``surplus`` is what they paid for
    once more than needed.
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
    surplus: tuple[Grant, ...] = ()
    trouble: str | None = None

    @property
    def name(self) -> str:
        """What to call the person."""
        return self.person.name or self.person.id

    def in_force(self, grant: Grant) -> bool:
        """Whether a grant gives access now."""
        return grant.revoked_at is None and (grant.until is None or grant.until > self.now)

    @property
    def outdated(self) -> bool:
        """Whether the provider says something else by now than what the grants say, and no operator withholds them."""
        told = [one for one in self.payments if one.source not in self._withheld] if self.trouble is None else []
        given = {grant.source: grant for grant in self.grants if self.in_force(grant)}
        giving = {one.source: one for one in told if one.gives_access(self.now)}
        changed = (
            one for one in giving.keys() & given if (given[one].product, given[one].until) != _given(giving[one])
        )
        return giving.keys() != given.keys() & {one.source for one in told} or any(changed)

    @property
    def _withheld(self) -> set[str]:
        return {grant.source for grant in self.grants if grant.withheld is not None}


@dataclass(frozen=True, slots=True)
class Answer:
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


@dataclass(frozen=True, slots=True)
class Oddity:
    """A payment that an operator should look at, and what to do about it.

    ``kind`` is its verdict, bought twice or unknown price.
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


def _given(payment: Noted) -> tuple[str | None, int | None]:
    return payment.product, payment.until


def answers(explained: Explanation, catalog: Catalog) -> tuple[Answer, ...]:
    """One sentence for each feature there is."""
    features = sorted({feature for product in catalog.products for feature in product.unlocks})
    return tuple(_answer(explained, feature, catalog) for feature in features)


def _answer(explained: Explanation, feature: str, catalog: Catalog) -> Answer:
    products = {product.key for product in catalog.unlocking(feature)}
    held = [grant for grant in explained.grants if grant.product in products]
    giving = [grant for grant in held if explained.in_force(grant)]
    if giving:
        longest = max(giving, key=lambda grant: (grant.until is None, grant.until))
        until = "" if longest.until is None else f" until {day(longest.until)}"
        return Answer(feature, True, f"{explained.name} may use {feature}{until}, because {_grounds(longest)}.")
    obstacle = _obstacle(explained, held, products).rstrip(".")
    return Answer(feature, False, f"{explained.name} may not use {feature}, because {obstacle}.")


def _grounds(grant: Grant) -> str:
    if grant.realm.provider != OPERATOR:
        return f"{_origin(grant)} {told(grant.reason)}"
    what_for = f" for payment {grant.reference}" if grant.reference else ""
    note = grant.reason.removeprefix(GRANTED).rstrip(".")
    return f"an operator granted it on {day(grant.since)}{what_for}: {note}"


def _obstacle(explained: Explanation, held: list[Grant], products: set[str]) -> str:
    """What stands in the way, the weightiest first."""
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
        or _never(explained, [order for order in explained.orders if order.product in products])
    )


# What to add to the reason of each verdict, the weightiest first.
WAITING = {
    Verdict.PENDING: "; access begins when it succeeds",
    Verdict.GRANTED: ", but has not been taken into account yet",
    Verdict.QUARANTINED: ", and gives no access until somebody has looked at it",
    Verdict.SUSPENDED: "; access begins when that is mended",
}
CLOSED = {Verdict.REVOKED: "", Verdict.UNCLAIMED: "", Verdict.UNPAID: "", Verdict.ENDED: ""}
GONE = dict.fromkeys(UNEXPLAINED, "; none of that money is here any more")


def _first(payments: Iterable[Noted], endings: Mapping[Verdict, str]) -> str | None:
    """The newest payment with the first of these verdicts that there is."""
    newest = {one.verdict: one for one in reversed(list(payments))}
    found = next(((newest[verdict], ending) for verdict, ending in endings.items() if verdict in newest), None)
    return f"{_payment(found[0])} {told(found[0].reason)}{found[1]}" if found else None


def _ended(explained: Explanation, held: list[Grant]) -> str:
    """How the access that lasted longest came to its end."""
    grant = max(held, key=lambda one: one.revoked_at or one.until or 0)
    if grant.withheld is not None:
        note, ended = grant.withheld.rstrip("."), day(grant.revoked_at or explained.now)
        return f"an operator revoked the access that {_origin(grant)} gave: {note}; it ended on {ended}"
    if grant.revoked_at is None:
        why = "" if grant.realm.provider == OPERATOR else f": it {told(grant.reason)}"
        return f"the access that {_origin(grant)} gave ended on {day(grant.until or explained.now)}{why}"
    reasons = {one.source: one.reason for one in explained.payments if one.verdict is not Verdict.GRANTED}
    reason = told(reasons.get(grant.source, grant.reason))
    return f"{_origin(grant)} {reason}; access ended on {day(grant.revoked_at)}"


def _elsewhere(explained: Explanation) -> str | None:
    """The e-mail address on a payment is what somebody typed there."""
    unknown = next((one for one in explained.unexplained if one.person_id is None), None)
    if unknown is None:
        return None
    return (
        f"nothing was paid for here: {_payment(unknown)} was made with the same e-mail address, but through a payment"
        " link or the like; it is unclaimed, since an address is no proof of who paid"
    )


def _never(explained: Explanation, ordered: list[Order]) -> str:
    if explained.trouble is not None and ordered:
        return "no payment is known here, and the provider could not be asked"
    if any(order.state is OrderState.OPEN for order in ordered):
        return f"nothing was ever paid: a purchase was begun on {day(ordered[0].created_at)} and not finished"
    return "nothing was ever paid" if ordered else "nothing was ever bought"


def told(reason: str) -> str:
    """A verdict's reason as the rest of a sentence that begins with the payment."""
    words = reason.rstrip(".")
    start = next(start for start in TOLD if words.startswith(start))
    return TOLD[start] + words.removeprefix(start)


# How reasons begin, and how the same begins after the payment. Whatever else a reason says follows as it stands.
TOLD = {
    "Paid in full": "was paid in full",
    "Paid until": "is paid until",
    "Paid, less": "was paid, less",
    "Nothing to pay": "took no money",
    "Refunded": "was refunded",
    "The payment is disputed": "is disputed by the buyer's bank, and gives no access unless that is won",
    "The dispute was lost": "was taken back in a dispute",
    "The payment is still": "is still",
    "The payment did not": "did not",
    "The price, quantity, amount or currency is not": "differs in price, quantity, amount or currency from",
    "The amounts of the payment do not add up": "does not add up",
    "The payment and the order": "and its order",
    "Less was paid than the order says": "was for less than the order says",
    "No payment was asked for": "was not asked for",
    "Paid on our account": "was made on our account",
    "Never ordered here": "was never ordered here",
    "On trial": "is on trial",
    "Renewed on": "was renewed on",
    "The payment that was due": "was not renewed: the payment that was due",
    "Its payments": "is on hold: its payments",
    "Its trial ended": "is on hold: its trial ended",
    "Its first payment": "was never paid: its first payment",
    "Ended on": "ended on",
    "How it stands with the provider is": "stands in a way that is",
    "A subscription on our account": "was made on our account",
    "What was ordered is paid once": "is no payment for what was ordered: that is paid once",
    "": "stands so: ",
}


def _origin(grant: Grant) -> str:
    """Where a grant comes from. Of those that a provider's word gave, only subscriptions last until a time."""
    if grant.realm.provider == OPERATOR:
        return f"an operator's grant of {day(grant.since)}"
    if grant.until is not None:
        return f"subscription {grant.source} of {day(grant.since)}"
    return f"payment {grant.reference or grant.source} of {price(grant.amount, grant.currency)} on {day(grant.since)}"


def _payment(one: Noted) -> str:
    if one.recurring:
        return f"subscription {one.source} of {day(one.bought_at)}"
    return f"payment {one.payment} of {money(one.amount, one.currency)} on {day(one.bought_at)}"


def remarks(explained: Explanation, catalog: Catalog) -> tuple[str, ...]:
    """What the answers do not tell: products that are held, but not in the catalog."""
    held = sorted({grant.product for grant in explained.grants if explained.in_force(grant)})
    return tuple(
        f"{explained.name} also holds {product}, which is not in the catalog (any more), and so unlocks nothing."
        for product in held
        if catalog.find(product) is None
    )


def oddities(
    unexplained: Iterable[Noted],
    surplus: Iterable[Grant],
    catalog: Catalog,
    person_id: str = "PERSON",
    remarked: Iterable[Noted] = (),
) -> tuple[Oddity, ...]:
    """Payments to look at, newest first. ``person_id`` is whose they may be where nobody is known to have paid."""
    odd = [_opened_no_door(one, catalog, person_id) for one in unexplained] + [_bought_twice(one) for one in surplus]
    odd += [_remarked(one) for one in remarked]
    return tuple(sorted(odd, key=lambda one: one.at, reverse=True))


def _opened_no_door(one: Noted, catalog: Catalog, person_id: str) -> Oddity:
    only = catalog.products[0].key if len(catalog.products) == 1 else "PRODUCT"
    whose, what = one.person_id or person_id, one.product or only
    return Oddity(
        kind=one.verdict.value,
        at=one.bought_at,
        payment=one.payment,
        amount=one.amount,
        currency=one.currency,
        product=one.product,
        person_id=one.person_id,
        email=one.email,
        reason=one.reason,
        remedy=f"{_undo(one)} at the provider, or: tollkeeper grant {whose} {what} --payment {one.payment} --note WHY",
    )


def _undo(one: Noted) -> str:
    return "End and refund it" if one.recurring else "Refund it"


def _remarked(one: Noted) -> Oddity:
    return Oddity(
        kind="unknown price",
        at=one.bought_at,
        payment=one.payment,
        amount=one.amount,
        currency=one.currency,
        product=one.product,
        person_id=one.person_id,
        email=one.email,
        reason=one.remark or "",
        remedy="Add the price to a product of the catalog, or change the subscription at the provider.",
    )


def _bought_twice(grant: Grant) -> Oddity:
    return Oddity(
        kind="bought twice",
        at=grant.since,
        payment=grant.source if grant.until is not None else grant.reference or grant.source,
        amount=grant.amount,
        currency=grant.currency,
        product=grant.product,
        person_id=grant.person_id,
        email=None,
        reason="An earlier payment for the same product holds good.",
        remedy=f"{'Refund it' if grant.until is None else 'End and refund it'} at the provider: access stays.",
    )


def history(explained: Explanation) -> tuple[Happening, ...]:
    """Everything that happened, oldest first; at the same second in the order of cause and effect."""
    happened = [*_orders(explained), *_events(explained), *_changes(explained)]
    return tuple(sorted(happened, key=lambda one: one.at))


def _orders(explained: Explanation) -> Iterator[Happening]:
    for order in reversed(explained.orders):
        amount = money(order.amount, order.currency)
        words = f"{order.product} for {amount}; {order.state.value} now; checkout session {order.checkout_id or 'none'}"
        yield Happening(order.created_at, "order", order.id, words)


def _events(explained: Explanation) -> Iterator[Happening]:
    for event in reversed(explained.events):
        yield Happening(event.created_at, "event", event.id, f"{event.type}; {event_words(event)}")


def event_words(event: Kept) -> str:
    """How far an event has come, in words."""
    outcome = event.error if event.state in {State.FAILED, State.PARKED} else event.outcome
    return event.state.value if outcome in {None, event.state.value} else f"{event.state.value}: {outcome}"


def _changes(explained: Explanation) -> Iterator[Happening]:
    for entry in reversed(explained.changes):
        words = f"{entry.product} {entry.change}. {entry.reason.rstrip('.')}. Evidence: {entry.evidence}"
        yield Happening(entry.at, "access", entry.source, words)
