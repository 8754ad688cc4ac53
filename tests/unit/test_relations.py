"""How products relate to each other, as tables."""

from dataclasses import replace
from itertools import product as each
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Finding, Grant, Verdict
from tollkeeper.model.bought import Bought, Payment, Purchase, Subscription, SubscriptionStatus
from tollkeeper.model.orders import Realm
from tollkeeper.model.selling import Policy, Product
from tollkeeper.reasons import Code, because
from tollkeeper.relations import (
    CAN_BE_ENDED,
    Course,
    Ending,
    Health,
    HeldSubscription,
    RelatedSubscription,
    Relation,
    Surplus,
    advise,
    endings,
    is_surplus,
    relation,
    surplus,
)

NOW = 1_000_000
LATER = NOW + 1000
REALM = Realm("stripe", "acct_1", live=False)


def sold(key: str, *unlocks: str, **policy: Any) -> Product:
    return Product(key, key.title(), frozenset(unlocks), policy=Policy(**policy))


BASIC, TWIN = sold("basic", "dashboard"), sold("twin", "dashboard")
PRO, NEWS = sold("pro", "dashboard", "reports"), sold("news", "dashboard", "news")
APART, NOTHING = sold("apart", "hangar"), sold("nothing")
STINGY = sold("stingy", "dashboard", "reports", ends_subscription=False)
CATALOG = Catalog((BASIC, TWIN, PRO, NEWS, APART, NOTHING, STINGY), "stripe")


@pytest.mark.parametrize(
    ("one", "other", "stands"),
    [
        (PRO, BASIC, Relation.CONTAINS),
        (BASIC, PRO, Relation.CONTAINED),
        (BASIC, TWIN, Relation.CONTAINS),
        (BASIC, BASIC, Relation.CONTAINS),
        (PRO, NEWS, Relation.OVERLAPS),
        (PRO, APART, Relation.APART),
        (PRO, NOTHING, Relation.APART),
        (NOTHING, PRO, Relation.APART),
    ],
)
def test_one_product_stands_to_another(one: Product, other: Product, stands: Relation) -> None:
    assert relation(one, other) is stands


features = st.frozensets(st.sampled_from("abcd"))


@given(features, features)
def test_the_other_way_round_it_is_the_other_way_round(one: frozenset[str], other: frozenset[str]) -> None:
    there, back = (relation(sold("x", *a), sold("y", *b)) for a, b in ((one, other), (other, one)))
    if one == other:
        assert there is back
    else:
        turned = {Relation.CONTAINS: Relation.CONTAINED, Relation.CONTAINED: Relation.CONTAINS}
        assert back is turned.get(there, there)
    catalog = Catalog((sold("x", *one), sold("y", *other)), "stripe")
    assert catalog.contains("x", "y") is (there is Relation.CONTAINS)


WELL, ENDS = Health.WELL, NOW + 5


def subscribed(product: Product, health: Health = WELL, ends_at: int | None = None) -> HeldSubscription:
    return HeldSubscription(f"sub_{product.key}", product.key, health, ends_at)


@pytest.mark.parametrize(
    ("wanted", "recurring", "for_good", "subscriptions", "course"),
    [
        (PRO, True, (), (), Course.GO_ON),
        (PRO, True, (), (subscribed(BASIC),), Course.CHANGE),
        (BASIC, True, (), (subscribed(PRO),), Course.CHANGE),
        (BASIC, True, (), (subscribed(TWIN),), Course.CHANGE),
        (PRO, True, (), (subscribed(BASIC, Health.NEEDS_ACTION),), Course.FIX_FIRST),
        (PRO, True, (), (subscribed(BASIC, Health.NEEDS_ACTION, ENDS),), Course.FIX_FIRST),
        (PRO, True, (), (subscribed(BASIC, Health.AWAITING_PAYMENT),), Course.WAIT),
        (PRO, True, (), (subscribed(BASIC, WELL, ENDS),), Course.WARN),
        (BASIC, True, (), (subscribed(PRO, WELL, ENDS),), Course.WARN),
        (PRO, True, (), (subscribed(NEWS),), Course.WARN),
        (PRO, True, (), (subscribed(NEWS, Health.NEEDS_ACTION),), Course.WARN),
        (PRO, True, (), (subscribed(APART),), Course.GO_ON),
        (PRO, True, (), (HeldSubscription("sub_1", "gone", WELL),), Course.GO_ON),
        (PRO, True, (), (subscribed(PRO, Health.NEEDS_ACTION),), Course.GO_ON),  # which the checkout prevents
        (PRO, False, (), (subscribed(PRO),), Course.WARN),
        (PRO, False, (), (subscribed(BASIC),), Course.WARN),
        (PRO, False, (), (subscribed(BASIC, Health.NEEDS_ACTION),), Course.WARN),
        (BASIC, False, (), (subscribed(PRO),), Course.WARN),
        (NEWS, False, (), (subscribed(PRO),), Course.WARN),
        (PRO, False, (), (subscribed(APART),), Course.GO_ON),
        (BASIC, False, ("pro",), (), Course.HELD),
        (BASIC, True, ("pro",), (subscribed(BASIC),), Course.HELD),
        (TWIN, True, ("basic",), (), Course.HELD),
        (PRO, True, ("basic",), (), Course.GO_ON),
        (NEWS, False, ("pro",), (), Course.GO_ON),
        (NOTHING, False, ("pro",), (), Course.GO_ON),
    ],
)
def test_what_becomes_of_the_wish_to_buy(
    wanted: Product,
    recurring: bool,
    for_good: tuple[str, ...],
    subscriptions: tuple[HeldSubscription, ...],
    course: Course,
) -> None:
    advice = advise(wanted, recurring, for_good, subscriptions, CATALOG)
    assert advice.course is course
    assert bool(advice.related) is (course not in {Course.GO_ON, Course.HELD})
    assert bool(advice.held) is (course is Course.HELD)


def test_what_has_most_to_do_with_it_comes_first() -> None:
    subscriptions = (subscribed(NEWS), subscribed(BASIC), subscribed(APART), subscribed(STINGY))
    advice = advise(PRO, True, (), subscriptions, CATALOG)
    assert [(one.subscription.product, one.relation) for one in advice.related] == [
        ("basic", Relation.CONTAINS),
        ("stingy", Relation.CONTAINS),
        ("news", Relation.OVERLAPS),
    ]
    assert advise(BASIC, True, (), (*subscriptions, subscribed(PRO)), CATALOG).related[0].relation is Relation.CONTAINED


def test_a_confirmation_counts_only_for_the_same_advice() -> None:
    ways = [
        advise(PRO, False, (), (one,), CATALOG).confirmation
        for one in (subscribed(BASIC), subscribed(NEWS), replace(subscribed(BASIC), source="sub_2"))
    ]
    ways.append(advise(PRO, True, (), (subscribed(BASIC),), CATALOG).confirmation)
    assert len(set(ways)) == 4
    two = (subscribed(BASIC), subscribed(NEWS))
    assert advise(PRO, False, (), two, CATALOG).confirmation == advise(PRO, False, (), two[::-1], CATALOG).confirmation


def test_it_ends_by_itself_as_the_seller_of_what_is_bought_decided() -> None:
    for wanted in (PRO, STINGY):
        advice = advise(wanted, False, (), (subscribed(BASIC),), CATALOG)
        assert advice.ends_itself is wanted.policy.ends_subscription
        assert advice.related == (RelatedSubscription(subscribed(BASIC), Relation.CONTAINS),)


def grant(product: str, source: str, since: int = NOW, until: int | None = None, **more: Any) -> Grant:
    given: dict[str, Any] = {
        "id": since,
        "person_id": "per_1",
        "origin": REALM,
        "revoked_at": None,
        "reason": because(Code.PAID if until is None else Code.SUBSCRIBED),
        "amount": 1,
        "currency": "eur",
        "reference": "pi_1",
        "receipt_url": None,
    }
    return Grant(product=product, source=source, since=since, until=until, **given | more)


def found(product: str | None = "basic", verdict: Verdict = Verdict.GRANTED, **more: Any) -> Finding:
    named: dict[str, Any] = {"order_id": "ord_1", "person_id": "per_1", "live": False, "currency": "eur"}
    period: dict[str, Any] = {"created_at": NOW, "period_start": NOW, "period_end": LATER}
    given: dict[str, Any] = {"standing": SubscriptionStatus.ACTIVE, "items": (), "source": "sub_1"}
    bought: Bought = Subscription(**named, **period, **given | more)
    return Finding(bought, verdict, because(Code.SUBSCRIBED), product=product)


def to_end(*findings: Finding, bought: tuple[Grant, ...]) -> list[Ending]:
    return list(endings(findings, bought, CATALOG, NOW))


FOR_GOOD = grant("pro", "cs_1")


def test_what_was_bought_for_good_ends_a_subscription_that_gives_no_more() -> None:
    assert to_end(found("basic"), bought=(FOR_GOOD,)) == [Ending("sub_1", "cs_1")]
    assert to_end(found("pro"), bought=(FOR_GOOD,)) == [Ending("sub_1", "cs_1")]
    both = (found("basic"), found("pro", source="sub_2"))
    assert [one.subscription for one in to_end(*both, bought=(FOR_GOOD,))] == ["sub_1", "sub_2"]


@pytest.mark.parametrize(
    ("one", "bought"),
    [
        (found("news"), FOR_GOOD),
        (found("apart"), FOR_GOOD),
        (found(None), FOR_GOOD),
        (found("gone"), FOR_GOOD),
        (found("pro"), grant("basic", "cs_1")),
        (found(ends_at=LATER), FOR_GOOD),
        (found(ended_for="cs_1"), FOR_GOOD),
        (found(), grant("stingy", "cs_1")),
        (found(), grant("pro", "cs_1", until=LATER)),
        (found(), grant("pro", "cs_1", revoked_at=NOW)),
        (found(verdict=Verdict.UNCLAIMED), FOR_GOOD),
        (found(verdict=Verdict.QUARANTINED), FOR_GOOD),
        (found(verdict=Verdict.PENDING), FOR_GOOD),
        (found(verdict=Verdict.ENDED, standing=SubscriptionStatus.CANCELED), FOR_GOOD),
    ],
)
def test_nothing_else_ends_one(one: Finding, bought: Grant) -> None:
    assert to_end(one, bought=(bought,)) == []


@pytest.mark.parametrize("standing", SubscriptionStatus)
def test_it_ends_where_a_provider_takes_an_end(standing: SubscriptionStatus) -> None:
    ended = to_end(found(verdict=Verdict.SUSPENDED, standing=standing), bought=(FOR_GOOD,))
    assert bool(ended) is (standing in CAN_BE_ENDED)


def test_a_purchase_is_none() -> None:
    paid = Purchase(
        source="cs_2",
        order_id="ord_1",
        person_id="per_1",
        live=False,
        currency="eur",
        created_at=NOW,
        payment=Payment.PAID,
        lines=(),
        amount_subtotal=1,
        amount_discount=0,
        amount_total=1,
    )
    assert to_end(Finding(paid, Verdict.GRANTED, because(Code.PAID), product="basic"), bought=(FOR_GOOD,)) == []


def test_each_purchase_ends_it_once_and_a_later_one_may_do_so_again() -> None:
    again = grant("pro", "cs_2", since=NOW + 1)
    assert to_end(found(ended_for="cs_1"), bought=(FOR_GOOD, again)) == [Ending("sub_1", "cs_2")]
    assert to_end(found(ended_for="cs_2"), bought=(FOR_GOOD, again)) == []


def test_the_newest_purchase_decides_whether_it_ends() -> None:
    assert to_end(found(), bought=(FOR_GOOD, grant("stingy", "cs_2", since=NOW + 1))) == []
    assert to_end(found(), bought=(grant("stingy", "cs_2", since=NOW - 1), FOR_GOOD)) == [Ending("sub_1", "cs_1")]


ENDING = because(Code.SUBSCRIBED, ends=LATER)


@pytest.mark.parametrize(
    ("one", "beside", "twice"),
    [
        # Two that are held for good.
        (grant("pro", "cs_2", LATER), FOR_GOOD, True),
        (grant("basic", "cs_2", LATER), FOR_GOOD, True),
        (FOR_GOOD, grant("pro", "cs_2", LATER), False),
        (grant("basic", "cs_2"), grant("pro", "cs_3", LATER), False),
        (grant("pro", "cs_2", LATER), grant("basic", "cs_3"), False),
        (grant("news", "cs_2", LATER), FOR_GOOD, False),
        # One for a time, beside one that is held for good.
        (grant("basic", "sub_1", LATER, LATER), FOR_GOOD, True),
        (grant("basic", "sub_1", LATER, LATER, reason=ENDING), FOR_GOOD, True),
        (grant("basic", "sub_1", NOW - 1, LATER), FOR_GOOD, True),
        (grant("basic", "sub_1", NOW - 1, LATER, reason=ENDING), FOR_GOOD, False),
        (grant("pro", "sub_1", LATER, LATER), grant("basic", "cs_1"), False),
        # What is held for good beside one for a time.
        (grant("basic", "cs_1", LATER), grant("pro", "sub_1", NOW, LATER), False),
        (grant("pro", "cs_1", LATER), grant("pro", "sub_1", NOW, LATER), False),
        # Two for a time.
        (grant("pro", "sub_2", LATER, LATER), grant("pro", "sub_1", NOW, LATER), True),
        (grant("pro", "sub_1", NOW, LATER), grant("pro", "sub_2", LATER, LATER), False),
        (grant("basic", "sub_1", NOW, LATER), grant("twin", "sub_2", LATER, LATER), False),
        (grant("twin", "sub_2", LATER, LATER), grant("basic", "sub_1", NOW, LATER), True),
        (grant("basic", "sub_1", NOW, LATER), grant("pro", "sub_2", LATER, LATER), True),
        (grant("basic", "sub_1", NOW, LATER, reason=ENDING), grant("pro", "sub_2", LATER, LATER), False),
        (grant("basic", "sub_2", LATER, LATER), grant("pro", "sub_1", NOW, LATER), True),
        (grant("basic", "sub_2", LATER, LATER), grant("pro", "sub_1", NOW, LATER, reason=ENDING), False),
        (grant("pro", "sub_2", LATER, LATER), grant("basic", "sub_1", NOW, LATER), False),
        (grant("news", "sub_2", LATER, LATER), grant("pro", "sub_1", NOW, LATER), False),
    ],
)
def test_what_is_paid_for_twice(one: Grant, beside: Grant, twice: bool) -> None:
    assert is_surplus(Surplus(one, beside), CATALOG) is twice


def test_of_two_at_most_one_is_paid_for_twice() -> None:
    lasting: list[dict[str, Any]] = [{}, {"until": LATER}, {"until": LATER, "reason": ENDING}]
    some = [
        grant(key, f"{number}", since, id=number, **more)
        for number, (key, since, more) in enumerate(each(["basic", "twin", "pro", "news"], [NOW, LATER], lasting))
    ]
    for one, other in each(some, some):
        if one is not other:
            both = [is_surplus(pair, CATALOG) for pair in (Surplus(one, other), Surplus(other, one))]
            assert both.count(True) <= 1, (one, other)


def test_each_is_listed_once() -> None:
    small = grant("basic", "sub_1", NOW, LATER)
    others = (grant("pro", "cs_1", LATER), grant("stingy", "cs_2", LATER + 1))
    assert surplus([(small, one) for one in others], CATALOG) == (Surplus(small, others[0]),)
