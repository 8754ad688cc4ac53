"""What became of a person's money, in plain words: from the last findings, so that no page waits for the provider."""

from collections.abc import Iterable
from dataclasses import dataclass

from tollkeeper.model.access import Verdict, Visitor
from tollkeeper.model.orders import Order
from tollkeeper.reasons import Code
from tollkeeper.relations import Health, HeldSubscription
from tollkeeper.storage import findings, orders
from tollkeeper.storage.findings import Noted
from tollkeeper.web.site import Site
from tollkeeper.wording.visitors import for_visitor

# The most purchases and subscriptions of one person that pages look at, newest first.
LOOKED_AT = 100

# Not this site's: operators look at those, and the page does not show them.
NOT_SHOWN = frozenset({Verdict.UNCLAIMED, Verdict.UNPAID, Verdict.UNRELATED})

# What the buyer of a subscription can fix, with a card or a payment.
NEEDS_ACTION = frozenset(
    {
        Code.RENEWAL_FAILED,
        Code.PLAN_NOT_PAID,
        Code.ON_HOLD,
        Code.NO_CARD,
        Code.FIRST_PAYMENT_MISSING,
        Code.FIRST_PAYMENT_FAILED,
    }
)

# One-time payments that no longer give access.
TAKEN_BACK = frozenset({Verdict.REVOKED, Verdict.SUSPENDED})


@dataclass(frozen=True, slots=True)
class PlanState:
    """The state of a subscription: in a word or two, and in a sentence. ``needs_action``: its buyer must act."""

    label: str
    words: str
    needs_action: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One subscription and its state."""

    found: Noted
    state: PlanState
    gives_access: bool
    over: bool


async def plans_of(site: Site, visitor: Visitor) -> tuple[Plan, ...]:
    """The visitor's subscriptions, newest first; those that are over only if no newer one is for the same product."""
    services = site.services
    found = await services.database.read(findings.of_person, visitor.person.id, services.provider.live, LOOKED_AT)
    recurring = [one for one in found if one.recurring and one.verdict not in NOT_SHOWN]
    if not recurring:
        return ()
    ordered = await services.database.read(orders.in_mode, visitor.person.id, services.provider.live)
    cardless = {order.id for order in ordered if order.trial_without_card}
    now = services.clock()
    plans = [
        Plan(
            one,
            state_of(one, now, cardless=one.order_id in cardless),
            one.gives_access(now),
            one.verdict is Verdict.ENDED,
        )
        for one in recurring
    ]
    return tuple(one for at, one in enumerate(plans) if not (one.over and _again(one, plans[:at])))


def _again(over: Plan, others: Iterable[Plan]) -> bool:
    return any(one.found.product == over.found.product for one in others)


async def taken_back(site: Site, visitor: Visitor) -> tuple[Noted, ...]:
    """What the visitor paid for once, and what gives no access any more: refunded, say. Newest first."""
    services = site.services
    found = await services.database.read(findings.of_person, visitor.person.id, services.provider.live, LOOKED_AT)
    return tuple(one for one in found if not one.recurring and one.verdict in TAKEN_BACK)


@dataclass(frozen=True, slots=True)
class Lost:
    """A product that gives its buyer no access any more, and why. ``product`` is its key."""

    product: str
    words: str


async def lost(site: Site, visitor: Visitor, plans: Iterable[Plan]) -> tuple[Lost, ...]:
    """What the visitor no longer has, each product once; without what a page asks them to fix anyway."""
    once = [(one.product, state_of(one, site.services.clock()).words) for one in await taken_back(site, visitor)]
    gone = [plan for plan in plans if not plan.gives_access and not plan.state.needs_action]
    ended = once + [(plan.found.product, plan.state.words) for plan in gone]
    held = {holding.product for holding in visitor.holdings}
    newest = {product: words for product, words in reversed(ended) if product is not None and product not in held}
    return tuple(Lost(product, words) for product, words in newest.items())


def needing_action(plans: Iterable[Plan]) -> Plan | None:
    """The most urgent subscription to tell a visitor about, on any page."""
    return next((plan for plan in plans if plan.state.needs_action), None)


def running(plans: Iterable[Plan]) -> list[HeldSubscription]:
    """Return a visitor's subscriptions that are not over."""
    return [
        HeldSubscription(one.found.source, one.found.product or "", _health(one), one.found.ends_at)
        for one in plans
        if not one.over
    ]


def _health(plan: Plan) -> Health:
    if plan.found.verdict is Verdict.PENDING:
        return Health.AWAITING_PAYMENT
    return Health.WELL if plan.gives_access and not plan.state.needs_action else Health.NEEDS_ACTION


def state_of(one: Noted, now: int, *, cardless: bool = False) -> PlanState:
    """The state of a subscription at ``now``. ``cardless``: its trial was started without a card."""
    lapsed = one.verdict is Verdict.GRANTED and not one.gives_access(now)
    label, words = for_visitor(one.reason, until=one.until, lapsed=lapsed, cardless=cardless)
    return PlanState(label, words, one.reason.code in NEEDS_ACTION or bool(one.reason["credited"]))


def trial_left(ordered: Iterable[Order], product: str) -> bool:
    """Whether a product has a trial for this person: one per person, though the checkout that offers it may be open."""
    taken = [order for order in ordered if order.trial_days is not None and order.state != "expired"]
    return all(order.state == "open" and order.product == product for order in taken)
