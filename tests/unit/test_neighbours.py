"""Unrelated sales on the account, and what an operator adopted: as tables, without I/O."""

from dataclasses import replace
from typing import TypeVar

import pytest
from tests.unit.test_entitlements import CUSTOMER, ORDER, PURCHASE
from tests.unit.test_subscriptions import CATALOG, RUNNING

from tollkeeper.billing.entitlements import derive, judge, judge_subscription, unclaimed
from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Finding, Verdict
from tollkeeper.model.bought import Bought, Dispute, Line, Payment, Purchase, Snapshot, Subscription, SubscriptionStatus
from tollkeeper.reasons import Code, because

B = TypeVar("B", bound=Purchase | Subscription)

SOLD, UNSOLD = Line("price_month", 1), Line("price_other", 1)


def made(bought: B, *lines: Line) -> B:
    """The same, of these lines, by somebody who names nobody."""
    nameless = replace(bought, order_id=None, person_id=None, email="neighbour@example.com")
    return replace(nameless, **{"items" if isinstance(nameless, Subscription) else "lines": lines})  # type: ignore[arg-type]


@pytest.mark.parametrize("bought", [PURCHASE, RUNNING], ids=["purchase", "subscription"])
@pytest.mark.parametrize(
    ("lines", "marked", "verdict", "product"),
    [
        ((SOLD,), False, Verdict.UNCLAIMED, "pro"),
        ((UNSOLD, SOLD), False, Verdict.UNCLAIMED, "pro"),
        ((UNSOLD,), False, Verdict.UNRELATED, None),
        ((), False, Verdict.UNRELATED, None),
        ((UNSOLD,), True, Verdict.UNCLAIMED, None),
        ((), True, Verdict.UNCLAIMED, None),
        ((SOLD,), True, Verdict.UNCLAIMED, "pro"),
    ],
)
def test_k75_only_what_is_sold_here_or_bears_our_mark_is_ours(
    bought: Bought, lines: tuple[Line, ...], marked: bool, verdict: Verdict, product: str | None
) -> None:
    found = unclaimed(made(bought, *lines), marked, CATALOG)
    assert (found.verdict, found.product, found.until) == (verdict, product, None)
    assert found.bought.email == (None if verdict is Verdict.UNRELATED else "neighbour@example.com")
    assert unclaimed(made(bought, *lines), False, Catalog(CATALOG.products, "paddle")).verdict is Verdict.UNRELATED


def test_k75_the_prices_of_another_sale_are_kept() -> None:
    found = unclaimed(made(PURCHASE, UNSOLD, Line("", 0), Line("price_more", 2)), False, CATALOG)
    assert found.reason == because(Code.OTHER_SALE, prices="price_other, price_more")
    assert unclaimed(made(PURCHASE), False, CATALOG).reason == because(Code.OTHER_SALE)


@pytest.mark.parametrize("standing", SubscriptionStatus)
def test_k75_anothers_subscription_is_none_of_ours_however_it_stands(standing: SubscriptionStatus) -> None:
    one = replace(made(RUNNING, UNSOLD), standing=standing)
    assert unclaimed(one, False, CATALOG).verdict is Verdict.UNRELATED


@pytest.mark.parametrize("payment", Payment)
def test_k75_nor_anothers_purchase_however_it_was_paid(payment: Payment) -> None:
    one = replace(made(PURCHASE, UNSOLD), payment=payment)
    assert unclaimed(one, False, CATALOG).verdict is Verdict.UNRELATED


@pytest.mark.parametrize(
    ("order_id", "person_id", "ours", "verdict"),
    [
        (None, None, frozenset(), Verdict.UNRELATED),
        (None, CUSTOMER.person_id, frozenset(), Verdict.UNCLAIMED),
        ("ord_2", None, frozenset(), Verdict.UNRELATED),
        ("ord_2", None, frozenset({"ord_2"}), Verdict.UNCLAIMED),
        (None, "per_2", frozenset(), Verdict.UNRELATED),
        (None, "per_2", frozenset({"per_2"}), Verdict.UNCLAIMED),
    ],
)
def test_k75_a_mark_names_an_order_or_a_person_that_is_known_here(
    order_id: str | None, person_id: str | None, ours: frozenset[str], verdict: Verdict
) -> None:
    purchase = replace(PURCHASE, order_id=order_id, person_id=person_id, lines=(UNSOLD,))
    subscription = replace(RUNNING, order_id=order_id, person_id=person_id, items=(UNSOLD,))
    snapshot = Snapshot(CUSTOMER, (purchase,), subscriptions=(subscription,))
    found = derive(snapshot, {"ord_1": ORDER}, CATALOG, ours=ours)
    assert [one.verdict for one in found] == [verdict, verdict]
    assert judge(purchase, {}, CUSTOMER, CATALOG, ours).verdict is verdict
    assert judge_subscription(subscription, {}, CUSTOMER, CATALOG, ours=ours).verdict is verdict


# What an operator adopted


ADOPTING = replace(ORDER, id="ord_9", adopts="cs_1", adoption=because(Code.OPERATOR_ADOPTED, note="By telephone"))


def adopted(bought: Bought, **changes: object) -> Finding:
    """The verdict on what an operator adopted, and what was bought beside it."""
    order = replace(ADOPTING, adopts=bought.source, recurring=isinstance(bought, Subscription), **changes)  # type: ignore[arg-type]
    snapshot = (
        Snapshot(CUSTOMER, (), subscriptions=(bought,))
        if isinstance(bought, Subscription)
        else Snapshot(CUSTOMER, (bought,))
    )
    (found,) = derive(snapshot, {order.id: order}, CATALOG)
    return found


def test_k76_what_is_adopted_is_judged_by_its_order() -> None:
    nameless = replace(PURCHASE, order_id=None, person_id="somebody else's")
    found = adopted(nameless)
    assert (found.verdict, found.product) == (Verdict.GRANTED, "pro")
    assert (found.bought.order_id, found.bought.person_id) == ("ord_9", CUSTOMER.person_id)
    assert adopted(replace(nameless, amount_refunded=1900)).verdict is Verdict.REVOKED
    assert adopted(replace(nameless, dispute=Dispute.OPEN)).verdict is Verdict.SUSPENDED
    assert adopted(replace(nameless, amount_subtotal=1)).verdict is Verdict.QUARANTINED
    assert adopted(replace(nameless, source="cs_2"), id="ord_3").verdict is Verdict.GRANTED


def test_k76_it_is_that_one_alone() -> None:
    other = replace(PURCHASE, source="cs_2", order_id=None, person_id=None, lines=(UNSOLD,))
    found = derive(Snapshot(CUSTOMER, (PURCHASE, other)), {"ord_9": ADOPTING}, CATALOG)
    assert [one.verdict for one in found] == [Verdict.GRANTED, Verdict.UNRELATED]


@pytest.mark.parametrize(
    ("items", "product", "remarks"),
    [
        ((SOLD,), "pro", []),
        ((UNSOLD,), "basic", []),  # as the operator said
        ((Line("price_third", 1),), "basic", [Code.UNKNOWN_PRICE]),  # changed since
        ((UNSOLD, Line("price_third", 1)), "basic", [Code.OTHER_PRICES]),
    ],
)
def test_k76_of_a_price_that_the_catalog_does_not_know_it_is_what_the_operator_said(
    items: tuple[Line, ...], product: str, remarks: list[Code]
) -> None:
    subscription = replace(RUNNING, order_id=None, person_id=None, items=items)
    found = adopted(subscription, product="basic", price_id="price_other")
    assert (found.verdict, found.product) == (Verdict.GRANTED, product)
    assert [one.code for one in found.remarks] == remarks
