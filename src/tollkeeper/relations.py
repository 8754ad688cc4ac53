"""PURE. How products stand to each other by what they unlock, and what follows for whoever has one and buys another.

Everything here goes by pairs: one product that contains another. What several give together contains nothing.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Finding, Grant, Verdict
from tollkeeper.model.bought import Subscription, SubscriptionStatus
from tollkeeper.model.selling import Product


class Relation(StrEnum):
    """How one product stands to another."""

    CONTAINS = "contains"
    """It unlocks all that the other does: as much, or more."""
    CONTAINED = "contained"
    """The other unlocks all that it does, and more."""
    OVERLAPS = "overlaps"
    APART = "apart"


def relation(one: Product, other: Product) -> Relation:
    """How the first stands to the second."""
    if not one.unlocks & other.unlocks:
        return Relation.APART
    if one.unlocks >= other.unlocks:
        return Relation.CONTAINS
    return Relation.CONTAINED if one.unlocks < other.unlocks else Relation.OVERLAPS


# Before something is bought


class Running(StrEnum):
    """How a subscription that is not over stands, as far as it matters for what is bought beside it."""

    WELL = "well"
    WAITING = "waiting"
    """Its first payment is on its way."""
    TO_MEND = "to_mend"
    """It gives no access, or a payment of it has failed."""


@dataclass(frozen=True, slots=True)
class Has:
    """A subscription that somebody has. ``ends_at`` (Unix seconds) is set where it will not be renewed."""

    source: str
    product: str
    running: Running
    ends_at: int | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """A subscription that has to do with what is to be bought, which stands to its product in this relation."""

    has: Has
    relation: Relation


class Course(StrEnum):
    """What becomes of somebody's wish to buy."""

    GO_ON = "go_on"
    HELD = "held"
    """There is nothing to buy: something that is held for good gives all of it."""
    CHANGE = "change"
    """The plan of a subscription is changed, instead of a second one."""
    MEND = "mend"
    """First the subscription is to be mended."""
    WAIT = "wait"
    """First the payment of the subscription is to arrive."""
    TELL = "tell"
    """The buyer is told what they have, and goes on if they confirm that."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What becomes of it, and the subscriptions because of which: the one to change or to mend first.

    ``held`` is the key of the product that gives all of it for good. ``once``: it would be paid once. ``ends_itself``:
    the subscriptions whose products it contains then end by themselves.
    """

    course: Course
    beside: tuple[Beside, ...] = ()
    held: str | None = None
    once: bool = False
    ends_itself: bool = False

    @property
    def told(self) -> str:
        """What a buyer confirms who was told this: the same only where the same would be told."""
        return ":".join([self.course, *sorted(f"{one.relation}-{one.has.source}" for one in self.beside)])


GO_ON = Advice(Course.GO_ON)
FIRST_TO = {Running.WELL: Course.CHANGE, Running.TO_MEND: Course.MEND, Running.WAITING: Course.WAIT}


def advise(wanted: Product, recurring: bool, for_good: Collection[str], has: Iterable[Has], catalog: Catalog) -> Advice:
    """What becomes of the wish to buy a product, by subscription or once.

    ``for_good`` are the products that the buyer holds for good, ``has`` their subscriptions that are not over. One to
    the product itself counts where it is bought once: that nobody subscribes to it twice is seen to elsewhere.
    """
    held = next((key for key in for_good if catalog.contains(key, wanted.key)), None)
    if held is not None:
        return Advice(Course.HELD, held=held)
    others = [one for one in has if not recurring or one.product != wanted.key]
    beside = tuple(_beside(wanted, others, catalog))
    if not beside:
        return GO_ON
    if not recurring:
        return Advice(Course.TELL, beside, once=True, ends_itself=wanted.policy.ends_subscription)
    first = beside[0]
    if first.relation is Relation.OVERLAPS:
        return Advice(Course.TELL, beside)
    course = FIRST_TO[first.has.running]
    return Advice(Course.TELL if course is Course.CHANGE and first.has.ends_at is not None else course, beside)


WEIGHTIEST_FIRST = (Relation.CONTAINED, Relation.CONTAINS, Relation.OVERLAPS)


def _beside(wanted: Product, has: Iterable[Has], catalog: Catalog) -> list[Beside]:
    products = ((one, catalog.find(one.product)) for one in has)
    found = [Beside(one, relation(wanted, product)) for one, product in products if product is not None]
    related = [one for one in found if one.relation is not Relation.APART]
    return sorted(related, key=lambda one: WEIGHTIEST_FIRST.index(one.relation))


# After it was bought for good

# Those of which a provider takes an end. One whose first payment is still to be made goes on only if it is made.
CAN_BE_ENDED = frozenset(
    {
        SubscriptionStatus.TRIALING,
        SubscriptionStatus.ACTIVE,
        SubscriptionStatus.PAST_DUE,
        SubscriptionStatus.UNPAID,
        SubscriptionStatus.PAUSED,
    }
)
OURS = frozenset({Verdict.GRANTED, Verdict.SUSPENDED, Verdict.REVOKED})


@dataclass(frozen=True, slots=True)
class Ending:
    """A subscription that is to end with its period, since what it gives was bought for good."""

    subscription: str
    purchase: str


def endings(findings: Iterable[Finding], bought: Iterable[Grant], catalog: Catalog, now: int) -> tuple[Ending, ...]:
    """The subscriptions of a person that are to end. ``bought`` are their grants from the same account.

    What a person or the provider did about the end after it was set for a purchase is theirs to decide: for each
    purchase it is set once.
    """
    lasting = [one for one in bought if one.until is None and one.in_force(now)]
    for_good = sorted(lasting, key=lambda one: (one.since, one.id), reverse=True)
    return tuple(_endings(findings, for_good, catalog))


def _endings(findings: Iterable[Finding], for_good: Iterable[Grant], catalog: Catalog) -> Iterator[Ending]:
    for found in findings:
        one = found.bought
        if not isinstance(one, Subscription) or one.standing not in CAN_BE_ENDED or found.verdict not in OURS:
            continue
        newest = next((grant for grant in for_good if catalog.contains(grant.product, found.product or "")), None)
        if newest is None or one.ends_at is not None or one.ended_for == newest.source:
            continue
        if catalog.policy(newest.product).ends_subscription:
            yield Ending(one.source, newest.source)


# What is paid for twice


@dataclass(frozen=True, slots=True)
class Surplus:
    """A grant that somebody pays for, or paid for, although another gives all of it."""

    grant: Grant
    beside: Grant

    @property
    def later(self) -> bool:
        """Whether it was bought when the other was there."""
        return (self.grant.since, self.grant.id) > (self.beside.since, self.beside.id)


def surplus(pairs: Iterable[tuple[Grant, Grant]], catalog: Catalog) -> tuple[Surplus, ...]:
    """Which grants are paid for twice, each once, in the order given: of pairs of grants of one person, both in force
    and paid for.
    """
    found: dict[int, Surplus] = {}
    for one in (Surplus(*pair) for pair in pairs):
        if is_surplus(one, catalog):
            found.setdefault(one.grant.id, one)
    return tuple(found.values())


def is_surplus(one: Surplus, catalog: Catalog) -> bool:
    """Whether the first is superfluous beside the second.

    What is bought for good is so only where it was held for good before. A subscription is so where it was begun
    later, or goes on taking money. Of two subscriptions to as much it is the later one; one to more counts while it is
    renewed.
    """
    grant, beside = one.grant, one.beside
    if not catalog.contains(beside.product, grant.product):
        return False
    if grant.until is None:
        return beside.until is None and one.later
    if beside.until is None:
        return one.later or _renewed(grant)
    if catalog.contains(grant.product, beside.product):
        return one.later
    return _renewed(beside) and (one.later or _renewed(grant))


def _renewed(grant: Grant) -> bool:
    return grant.reason["ends"] is None
