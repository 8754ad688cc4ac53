"""A person's subscriptions in plain words: from what was last found of them, so that no page waits for the provider."""

from collections.abc import Iterable
from dataclasses import dataclass

from tollkeeper.model import Order, Standing, Verdict, Visitor
from tollkeeper.storage import findings, orders
from tollkeeper.storage.findings import Noted
from tollkeeper.web.site import Site
from tollkeeper.words import day

# The most purchases and subscriptions of one person that pages look at, newest first.
LOOKED_AT = 100

# Nothing of ours: those are for operators to look at, and no business of the page's.
UNTOLD = frozenset({Verdict.UNCLAIMED, Verdict.UNPAID})

# How a subscription stands that its buyer can mend, with a card or a payment.
TO_MEND = frozenset({Standing.PAST_DUE, Standing.UNPAID, Standing.PAUSED, Standing.INCOMPLETE})


@dataclass(frozen=True, slots=True)
class State:
    """How a subscription stands: in a word or two, and in a sentence. ``to_mend``: it waits for its buyer."""

    label: str
    words: str
    to_mend: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One subscription, and how it stands."""

    found: Noted
    state: State
    gives_access: bool
    over: bool


async def plans_of(site: Site, visitor: Visitor) -> tuple[Plan, ...]:
    """The visitor's subscriptions, newest first; those that are over only where no newer one is for the same."""
    books = site.books
    found = await books.database.read(findings.of_person, visitor.person.id, books.provider.live, LOOKED_AT)
    recurring = [one for one in found if one.recurring and one.verdict not in UNTOLD]
    if not recurring:
        return ()
    ordered = await books.database.read(orders.in_mode, visitor.person.id, books.provider.live)
    cardless = {order.id for order in ordered if order.trial_without_card}
    now = books.clock()
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


def to_mend(plans: Iterable[Plan]) -> Plan | None:
    """The subscription that a visitor has to be told of first, on whatever page."""
    return next((plan for plan in plans if plan.state.to_mend), None)


def state_of(one: Noted, now: int, *, cardless: bool = False) -> State:
    """How a subscription stands at ``now``. ``cardless``: its trial was begun without a card."""
    mend = one.standing in TO_MEND
    match one.verdict:
        case Verdict.GRANTED:
            return _granted(one, now, cardless)
        case Verdict.PENDING:
            return State("Under way", "The payment is still being processed. Access arrives by itself.")
        case Verdict.SUSPENDED:
            return State("On hold" if mend else "Paused", one.reason, mend)
        case Verdict.ENDED:
            return State("Ended", one.reason)
        case Verdict.REVOKED:
            return State("No access", one.reason)
        case _:
            return State("No access", "We have to look at this payment ourselves. Please write to us.")


def _granted(one: Noted, now: int, cardless: bool) -> State:
    if one.standing is Standing.PAST_DUE:
        return State("Payment failed", _failed(one, now), to_mend=True)
    if not one.gives_access(now):
        return State("No access", f"It should have been renewed, but nothing was heard of it by {_day(one.until)}.")
    if one.ends_at is not None:
        still = "Free" if one.standing is Standing.TRIALING else "Paid"
        return State("Canceled", f"{still} until {_day(one.ends_at)}, when it ends. Nothing more will be charged.")
    if one.standing is Standing.TRIALING:
        return State("Free trial", _trial(one, cardless))
    if one.until == one.period_end:  # as the rules have it where no payments are asked for
        return State("Paused", f"Paid until {_day(one.period_end)}. No payments are asked for from then on.")
    return State("Active", f"Next payment on {_day(one.period_end)}.")


def _failed(one: Noted, now: int) -> str:
    if one.gives_access(now):
        return f"Your last payment failed. Access until {_day(one.until)}."
    return f"Your last payment failed, and access ended on {_day(one.until)}."


def _trial(one: Noted, cardless: bool) -> str:
    end = _day(one.trial_end or one.period_end)
    if cardless:
        return f"Free until {end}. It goes on from then if you have added a card, and ends if not."
    return f"Free until {end}. First payment on {_day(one.period_end)}."


def _day(at: int | None) -> str:
    return "a day that is not known" if at is None else day(at)


def trial_left(ordered: Iterable[Order], product: str) -> bool:
    """Whether a trial can be had for a product: one for each person, but the checkout that offers it may be open."""
    taken = [order for order in ordered if order.trial_days is not None and order.state != "expired"]
    return all(order.state == "open" and order.product == product for order in taken)
