"""What an operator asks: who people are, why somebody may or may not enter, and what the provider says now."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from tollkeeper.catalog import Catalog
from tollkeeper.entitlements import derive
from tollkeeper.errors import NoSuchEvent, PersonUnclear, ProviderRefused, ProviderUnavailable
from tollkeeper.model import Customer, Finding, Grant, Order, OrderState, Person, Purchase, Realm, Verdict
from tollkeeper.provider import PaymentProvider
from tollkeeper.reconcile import reconcile
from tollkeeper.storage import audit, customers, events, grants, orders, people
from tollkeeper.storage.audit import Entry
from tollkeeper.storage.database import Database
from tollkeeper.storage.events import Kept, State
from tollkeeper.words import day, money, printable

EVIDENCE = "tollkeeper reconcile"
BATCH = 100

# How many of somebody's events are shown, and how many people who share an e-mail address or a name.
EVENTS_SHOWN = 500
NAMESAKES = 20


@dataclass(frozen=True, slots=True)
class Listed:
    """A person in a list, with the issuers they sign in with and the products they hold now."""

    person: Person
    issuers: tuple[str, ...]
    holds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that bears on what one person may use, in one mode, at one time. The newest comes first.

    ``findings`` is what the provider says now; None when it could not be asked, and then ``trouble`` says why.
    """

    person: Person
    issuers: tuple[str, ...]
    live: bool
    now: int
    grants: tuple[Grant, ...] = ()
    changes: tuple[Entry, ...] = ()
    orders: tuple[Order, ...] = ()
    events: tuple[Kept, ...] = ()
    findings: tuple[Finding, ...] | None = ()
    trouble: str | None = None

    def in_force(self, grant: Grant) -> bool:
        """Whether a grant gives access now."""
        return grant.revoked_at is None and (grant.until is None or grant.until > self.now)

    @property
    def outdated(self) -> bool:
        """Whether the provider says something else by now than what the grants say."""
        said = {found.purchase.source for found in self.findings or () if found.verdict is Verdict.GRANTED}
        judged = {found.purchase.source for found in self.findings or ()}
        given = {grant.source for grant in self.grants if self.in_force(grant)}
        return said != given & judged


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
class Reconciliation:
    """What asking the provider about one person changed. ``trouble``: it could not be asked, and why."""

    person: Person
    changes: tuple[Entry, ...] = ()
    trouble: str | None = None


def list_people(conn: Connection, query: str, live: bool, now: int, limit: int) -> tuple[Listed, ...]:
    """People whose id, name or e-mail address contains the query, newest first."""
    found = people.search(conn, query, limit)
    ids = [person.id for person in found]
    issuers, holds = people.issuers_of(conn, ids), grants.products_held(conn, ids, live, now)
    return tuple(Listed(person, issuers[person.id], holds[person.id]) for person in found)


def the_person(conn: Connection, who: str) -> Person:
    """The one person with this id, e-mail address or name. Raises ``PersonUnclear`` unless there is exactly one."""
    found = people.called(conn, who, NAMESAKES)
    if not found:
        raise PersonUnclear("Nobody here has that id, e-mail address or name. `tollkeeper people` lists everybody.")
    if len(found) > 1:
        known = "\n".join(printable(f"  {one.id}  {one.name}  {one.email or ''}".rstrip()) for one in found)
        raise PersonUnclear(f"Several people are called that. Name one of them by id:\n{known}")
    return found[0]


async def why(database: Database, provider: PaymentProvider, who: str, now: int) -> Explanation:
    """Explain what a person may use. Changes nothing. Raises ``PersonUnclear``.

    A provider that cannot be asked leaves an explanation from what is kept here.
    """
    kept = await database.read(_kept, who, provider.live, now)
    try:
        realm = await _realm(provider)
        customer = await database.read(customers.of_person, kept.person.id, realm)
        return replace(kept, findings=await _findings(provider, customer, kept.orders))
    except (ProviderUnavailable, ProviderRefused) as error:
        return replace(kept, findings=None, trouble=str(error))


def _kept(conn: Connection, who: str, live: bool, now: int) -> Explanation:
    person = the_person(conn, who)
    return Explanation(
        person=person,
        issuers=people.issuers_of(conn, [person.id])[person.id],
        live=live,
        now=now,
        grants=grants.in_mode(conn, person.id, live),
        changes=tuple(entry for entry in reversed(audit.of_person(conn, person.id)) if entry.realm.live == live),
        orders=orders.in_mode(conn, person.id, live),
        events=events.of_person(conn, person.id, live, EVENTS_SHOWN),
    )


async def _findings(
    provider: PaymentProvider, customer: Customer | None, ordered: tuple[Order, ...]
) -> tuple[Finding, ...]:
    if customer is None:
        return ()
    return derive(await provider.snapshot(customer), {order.id: order for order in ordered})


async def _realm(provider: PaymentProvider) -> Realm:
    return Realm(provider.name, await provider.account(), provider.live)


def answers(explained: Explanation, catalog: Catalog) -> tuple[Answer, ...]:
    """One sentence for each feature there is, which can be forwarded as it stands."""
    features = sorted({feature for product in catalog.products for feature in product.unlocks})
    return tuple(_answer(explained, feature, catalog) for feature in features)


def _answer(explained: Explanation, feature: str, catalog: Catalog) -> Answer:
    products = {product.key for product in catalog.unlocking(feature)}
    name = explained.person.name or explained.person.id
    held = [grant for grant in explained.grants if grant.product in products]
    giving = [grant for grant in held if explained.in_force(grant)]
    if giving:
        longest = max(giving, key=lambda grant: (grant.until is None, grant.until))
        until = "" if longest.until is None else f" until {day(longest.until)}"
        because = f"{_payment(longest)} {told(longest.reason)}"
        return Answer(feature, True, f"{name} may use {feature}{until}, because {because}.")
    findings = [one for one in explained.findings or () if one.product is None or one.product in products]
    ordered = [order for order in explained.orders if order.product in products]
    return Answer(
        feature, False, f"{name} may not use {feature}, because {_obstacle(explained, held, findings, ordered)}."
    )


def _obstacle(explained: Explanation, held: list[Grant], findings: list[Finding], ordered: list[Order]) -> str:
    """What stands in the way, the weightiest first."""
    by_verdict = {found.verdict: found.purchase for found in reversed(findings)}
    if Verdict.PENDING in by_verdict:
        return f"a payment is still being processed: {_purchase(by_verdict[Verdict.PENDING])}"
    if held:
        return _ended(explained, held[0], findings)
    for verdict, words in OBSTACLES.items():
        if verdict in by_verdict:
            return f"{_purchase(by_verdict[verdict])} {words}"
    if explained.findings is None and ordered:
        return "no payment is known here, and the provider could not be asked"
    if any(order.state is OrderState.OPEN for order in ordered):
        return f"nothing was ever paid: a purchase was begun on {day(ordered[0].created_at)} and not finished"
    return "nothing was ever paid" if ordered else "nothing was ever bought"


OBSTACLES = {
    Verdict.GRANTED: "was paid in full, but has not been taken into account yet",
    Verdict.QUARANTINED: "does not match what was ordered, and gives no access until somebody has looked at it",
    Verdict.REVOKED: "was taken back",
    Verdict.UNPAID: "did not succeed",
    Verdict.UNCLAIMED: "was made on our account, but not for a purchase begun here",
}


def _ended(explained: Explanation, grant: Grant, findings: list[Finding]) -> str:
    if grant.revoked_at is None:
        return f"the access that {_payment(grant)} gave ended on {day(grant.until or explained.now)}"
    reasons = {found.purchase.source: found.reason for found in findings if found.verdict is not Verdict.GRANTED}
    reason = told(reasons.get(grant.source, grant.reason))
    return f"{_payment(grant)} {reason}; access ended on {day(grant.revoked_at)}"


def told(reason: str) -> str:
    """A verdict's reason as the rest of a sentence that begins with the payment."""
    return TOLD.get(reason) or f"stands so: {reason.rstrip('.')}"


TOLD = {
    "Paid in full.": "was paid in full",
    "Refunded in full.": "was refunded in full",
    "The payment is disputed.": "is disputed by the buyer's bank",
    "The dispute was lost.": "was taken back in a dispute",
}


def _payment(grant: Grant) -> str:
    return f"payment {grant.reference or grant.source} of {money(grant.amount, grant.currency)} on {day(grant.since)}"


def _purchase(purchase: Purchase) -> str:
    paid = money(purchase.amount_total, purchase.currency)
    at = day(purchase.paid_at or purchase.created_at)
    return f"payment {purchase.reference or purchase.source} of {paid} on {at}"


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
        words = f"{entry.product} {entry.change}. {entry.reason} Evidence: {entry.evidence}"
        yield Happening(entry.at, "access", entry.source, words)


def replay(conn: Connection, provider: str, live: bool, ids: Collection[str], now: int) -> tuple[str, ...]:
    """Make these events due again. Raises ``NoSuchEvent``, and then none of them is."""
    due = events.replay(conn, provider, live, ids, now)
    missing = ", ".join(sorted(set(ids) - set(due)))
    if missing:
        raise NoSuchEvent(f"Never kept, or ignored as of no concern: {missing}. Nothing is replayed.")
    return due


async def reconcile_person(
    database: Database, provider: PaymentProvider, who: str, clock: Callable[[], int]
) -> Reconciliation:
    """Ask the provider now what a person bought, and make their access agree.

    Raises ``PersonUnclear``. Somebody who never began to buy is not known to the provider: nothing changes.
    """
    person = await database.read(the_person, who)
    try:
        customer = await database.read(customers.of_person, person.id, await _realm(provider))
    except (ProviderUnavailable, ProviderRefused) as error:
        return Reconciliation(person, trouble=str(error))
    return await _reconcile(database, provider, person, customer, clock) if customer else Reconciliation(person)


async def reconcile_everybody(
    database: Database, provider: PaymentProvider, clock: Callable[[], int]
) -> AsyncIterator[tuple[int, Reconciliation]]:
    """The same for every customer, one after the other; each comes with the number of customers there are.

    One of whom the provider will not tell does not hold up the others. Raises ``ProviderUnavailable`` or
    ``ProviderRefused`` when it does not even tell which account this is.
    """
    realm = await _realm(provider)
    total = await database.read(customers.count, realm)
    last = 0
    while batch := await database.read(customers.after, realm, last, BATCH):
        for customer in batch:
            person = await database.read(the_person, customer.person_id)
            yield total, await _reconcile(database, provider, person, customer, clock)
        last = batch[-1].id


async def _reconcile(
    database: Database, provider: PaymentProvider, person: Person, customer: Customer, clock: Callable[[], int]
) -> Reconciliation:
    before = {entry.id for entry in await database.read(audit.of_person, person.id)}
    try:
        await reconcile(database, provider, customer, evidence=EVIDENCE, clock=clock)
    except (ProviderUnavailable, ProviderRefused) as error:
        return Reconciliation(person, trouble=str(error))
    after = await database.read(audit.of_person, person.id)
    return Reconciliation(person, tuple(one for one in after if one.id not in before and one.evidence == EVIDENCE))
