"""PURE. How products relate by the features they unlock, and what follows when the owner of one buys another.

Products are compared in pairs. What several products unlock together is never compared with another product.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Finding, Grant, Verdict
from tollkeeper.model.bought import Subscription, SubscriptionStatus
from tollkeeper.model.selling import Product


class Relation(StrEnum):
    """How the features of one product compare with those of another."""

    CONTAINS = "contains"
    """It unlocks every feature that the other does, and possibly more."""
    CONTAINED = "contained"
    """The other unlocks every feature that it does, and more."""
    OVERLAPS = "overlaps"
    APART = "apart"


def relation(one: Product, other: Product) -> Relation:
    """Compare the first product with the second."""
    if not one.unlocks & other.unlocks:
        return Relation.APART
    if one.unlocks >= other.unlocks:
        return Relation.CONTAINS
    return Relation.CONTAINED if one.unlocks < other.unlocks else Relation.OVERLAPS


# Before something is bought


class Health(StrEnum):
    """The state of a subscription that is not over, as far as it matters for buying something else."""

    WELL = "well"
    AWAITING_PAYMENT = "awaiting_payment"
    """Its first payment is still being processed."""
    NEEDS_ACTION = "needs_action"
    """It gives no access, or a payment of it has failed."""


@dataclass(frozen=True, slots=True)
class HeldSubscription:
    """A subscription that somebody has. ``ends_at`` (Unix seconds, UTC) is set if it will not be renewed."""

    source: str
    product: str
    health: Health
    ends_at: int | None = None


@dataclass(frozen=True, slots=True)
class RelatedSubscription:
    """A subscription whose product has features in common with the wanted one.

    ``relation`` is that of the wanted product to the subscription's product.
    """

    subscription: HeldSubscription
    relation: Relation


class Course(StrEnum):
    """What to do when somebody wants to buy something."""

    GO_ON = "go_on"
    HELD = "held"
    """Sell nothing: the buyer already owns something for good that gives all of it."""
    CHANGE = "change"
    """Change the plan of a subscription, instead of starting a second one."""
    FIX_FIRST = "fix_first"
    """The buyer must fix the payment of a subscription first."""
    WAIT = "wait"
    """The first payment of a subscription must arrive first."""
    WARN = "warn"
    """Show the buyer what they already have, and continue if they confirm."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do, and the subscriptions that are the reason. The one to change or to fix comes first.

    ``held`` is the key of the product that gives all of it for good. ``once``: it would be paid for once.
    ``ends_itself``: the subscriptions whose products it contains end by themselves after that.
    """

    course: Course
    related: tuple[RelatedSubscription, ...] = ()
    held: str | None = None
    once: bool = False
    ends_itself: bool = False

    @property
    def confirmation(self) -> str:
        """A text that identifies this advice. A buyer's confirmation counts only while the text is the same."""
        return ":".join([self.course, *sorted(f"{one.relation}-{one.subscription.source}" for one in self.related)])


GO_ON = Advice(Course.GO_ON)
COURSES = {Health.WELL: Course.CHANGE, Health.NEEDS_ACTION: Course.FIX_FIRST, Health.AWAITING_PAYMENT: Course.WAIT}


def advise(
    wanted: Product,
    recurring: bool,
    for_good: Collection[str],
    subscriptions: Iterable[HeldSubscription],
    catalog: Catalog,
) -> Advice:
    """Return what to do when somebody wants to buy a product, by subscription (``recurring``) or once.

    ``for_good`` are the keys of the products that the buyer owns for good, ``subscriptions`` those that are not over.
    A subscription to the wanted product itself counts only if it is bought once: the checkout already prevents a
    second subscription to the same product.
    """
    held = next((key for key in for_good if catalog.contains(key, wanted.key)), None)
    if held is not None:
        return Advice(Course.HELD, held=held)
    others = [one for one in subscriptions if not recurring or one.product != wanted.key]
    related = tuple(_related(wanted, others, catalog))
    if not related:
        return GO_ON
    if not recurring:
        return Advice(Course.WARN, related, once=True, ends_itself=wanted.policy.ends_subscription)
    first = related[0]
    if first.relation is Relation.OVERLAPS:
        return Advice(Course.WARN, related)
    course = COURSES[first.subscription.health]
    ends = first.subscription.ends_at is not None
    return Advice(Course.WARN if course is Course.CHANGE and ends else course, related)


MOST_IMPORTANT_FIRST = (Relation.CONTAINED, Relation.CONTAINS, Relation.OVERLAPS)


def _related(wanted: Product, subscriptions: Iterable[HeldSubscription], catalog: Catalog) -> list[RelatedSubscription]:
    products = ((one, catalog.find(one.product)) for one in subscriptions)
    found = [RelatedSubscription(one, relation(wanted, product)) for one, product in products if product is not None]
    related = [one for one in found if one.relation is not Relation.APART]
    return sorted(related, key=lambda one: MOST_IMPORTANT_FIRST.index(one.relation))


# After it was bought for good

# The states in which a provider accepts that an end is set. A subscription whose first payment is missing ends by
# itself unless the payment is made.
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
    """A subscription that must end with its period, because everything it gives was bought for good."""

    subscription: str
    purchase: str


def endings(findings: Iterable[Finding], bought: Iterable[Grant], catalog: Catalog, now: int) -> tuple[Ending, ...]:
    """Return the subscriptions of a person that must end. ``bought`` are their grants from the same account.

    For each purchase the end is set only once. If the person or the provider changes it afterwards, that stays.
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
    """A grant that somebody pays or paid for, although another grant (``covered_by``) may give all of it."""

    grant: Grant
    covered_by: Grant

    @property
    def later(self) -> bool:
        """Whether it was bought after the other."""
        return (self.grant.since, self.grant.id) > (self.covered_by.since, self.covered_by.id)


def surplus(pairs: Iterable[tuple[Grant, Grant]], catalog: Catalog) -> tuple[Surplus, ...]:
    """Return the grants that are paid for twice, each only once, in the given order.

    ``pairs`` are pairs of grants of one person, both in force and paid for.
    """
    found: dict[int, Surplus] = {}
    for one in (Surplus(*pair) for pair in pairs):
        if is_surplus(one, catalog):
            found.setdefault(one.grant.id, one)
    return tuple(found.values())


def is_surplus(one: Surplus, catalog: Catalog) -> bool:
    """Return whether the grant is superfluous because of the other one.

    Something bought for good is superfluous only if the other was owned for good before. A subscription is superfluous
    next to something owned for good if it was started later or is still renewed. Of two subscriptions to the same
    features it is the later one. Next to a subscription to more, it is superfluous only while that one is renewed.
    """
    grant, other = one.grant, one.covered_by
    if not catalog.contains(other.product, grant.product):
        return False
    if grant.until is None:
        return other.until is None and one.later
    if other.until is None:
        return one.later or _renewed(grant)
    if catalog.contains(grant.product, other.product):
        return one.later
    return _renewed(other) and (one.later or _renewed(grant))


def _renewed(grant: Grant) -> bool:
    return grant.reason["ends"] is None
