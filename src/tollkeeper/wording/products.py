"""PURE. Texts about related products, shown before paying and after."""

from collections.abc import Iterable, Mapping

from tollkeeper.relations import Advice, Health, RelatedSubscription, Relation, Surplus
from tollkeeper.wording.forms import filled
from tollkeeper.wording.remedies import undo

# What is paid for twice

BOUGHT_TWICE = "bought twice"


def why_surplus(one: Surplus) -> str:
    """Why something counts as paid for twice."""
    if one.grant.product == one.covered_by.product and one.later:
        return "An earlier payment for the same product still counts."
    how = "was bought for good" if one.covered_by.until is None else "is paid for as well"
    return f"{one.covered_by.product} gives all of it, and {how} ({one.covered_by.source})."


def undo_surplus(one: Surplus) -> str:
    """What an operator can do about it."""
    recurring = one.grant.until is not None
    if recurring and not one.later:
        return f"To stop charging for it: tollkeeper end {one.grant.source} --at-period-end --note WHY"
    return f"{undo(recurring)} at the provider; access stays."


def paid_twice(one: Surplus, other: str) -> str:
    """The same, for the person who pays. ``other`` is the name of the product that gives all of it."""
    if one.grant.until is None:
        return f"You already had all of this with {other}. Please write to us about this payment."
    end = "" if one.grant.reason["ends"] else " End this one under Manage billing: you keep your access."
    write = " Please write to us about what you have paid for it." if one.later else ""
    twice = f"{other} gives you all of this as well"
    if one.covered_by.until is None:
        twice = f"you have {other} for good, which gives you all of this"
    return f"You pay twice: {twice}.{end}{write}"


# Before paying

# For the log: why a plan cannot be changed.
OTHER_ACCOUNT = "No customer of this account has the subscription."


def instead(one: RelatedSubscription, other: str) -> str:
    """What a change of plan would do, next to its button. ``other`` is the current subscription."""
    if one.relation is Relation.CONTAINED:
        return f"You already have all of this with {other}. You can still change your plan to it."
    return f"You subscribe to {other}: this changes your plan, so that you do not pay for both."


# By the relation of what is bought to the product of a subscription, and by facts: the first entry that fits is used.
BEFORE_BUYING_ONCE: Mapping[Relation, Mapping[str, str]] = {
    Relation.CONTAINS: {
        "ends": "{wanted} gives for good everything that your subscription to {other} does. That subscription ends on"
        " {ends:day} anyway.",
        "needs_action ends_itself": "{wanted} gives for good everything that your subscription to {other} does. Once it"
        " is paid, that subscription ends automatically on {period_end:day}. The amount due for it may be collected"
        " until then.",
        "same ends_itself": "You subscribe to {other}. Once you have paid for it for good, the subscription ends"
        " automatically on {period_end:day}, and nothing more is charged for it.",
        "ends_itself": "{wanted} gives for good everything that your subscription to {other} does. Once it is paid,"
        " that subscription ends automatically on {period_end:day}, and nothing more is charged for it.",
        "": "{wanted} gives for good everything that your subscription to {other} does. That subscription continues"
        " anyway: end it under Manage billing on your account, or you pay for both.",
    },
    Relation.CONTAINED: {
        "ends": "Your subscription to {other} already gives you all of this, until it ends on {ends:day}.",
        "": "Your subscription to {other} already gives you all of this, and more. It continues in addition to what you"
        " buy now.",
    },
    Relation.OVERLAPS: {
        "": "Your subscription to {other} already gives you a part of this ({shared}). It continues in addition to what"
        " you buy now.",
    },
}
BEFORE_SUBSCRIBING: Mapping[Relation, Mapping[str, str]] = {
    Relation.CONTAINS: {
        "ends": "{wanted} gives everything that your subscription to {other} does, which ends on {ends:day}. If you"
        " subscribe now, you pay for both until then. To change your plan instead, first resume that subscription under"
        " Manage billing on your account.",
        "": "{wanted} gives everything that your subscription to {other} does. If you subscribe, you pay for both.",
    },
    Relation.CONTAINED: {
        "ends": "Your subscription to {other} already gives you all of this, until it ends on {ends:day}. If you"
        " subscribe now, you pay twice until then.",
        "": "Your subscription to {other} already gives you all of this. If you subscribe, you pay twice.",
    },
    Relation.OVERLAPS: {
        "": "Your subscription to {other} already gives you a part of this ({shared}). If you subscribe, you pay for"
        " both.",
    },
}


def before_paying(
    one: RelatedSubscription, advice: Advice, *, wanted: str, other: str, period_end: int | None, shared: Iterable[str]
) -> str:
    """Return what a subscription means for another purchase. ``wanted`` and ``other`` are the products' names.

    ``period_end`` is in Unix seconds; ``shared`` are the features that both unlock.
    """
    facts = {
        "wanted": wanted,
        "other": other,
        "ends": one.subscription.ends_at,
        "ends_itself": advice.ends_itself,
        "same": wanted == other,
        "needs_action": one.subscription.health is Health.NEEDS_ACTION,
        "period_end": period_end,
        "shared": ", ".join(shared),
    }
    table = BEFORE_BUYING_ONCE if advice.once else BEFORE_SUBSCRIBING
    text = next(text for needs, text in table[one.relation].items() if all(facts[need] for need in needs.split()))
    return filled(text, facts)
