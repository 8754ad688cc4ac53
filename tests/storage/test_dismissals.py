"""Dismissals with the finding of that time, adoptions, and which ids are ours."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, func, select
from tests.storage.makers import (
    LIVE_MODE,
    NOW,
    OTHER_ACCOUNT,
    TEST_MODE,
    a_finding,
    a_subscription_finding,
    an_identity,
    an_order,
    keep_grant,
    keep_person,
)

from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Finding, Grant, Verdict
from tollkeeper.model.orders import Customer, OrderState
from tollkeeper.model.people import Person
from tollkeeper.reasons import Code, because
from tollkeeper.relations import surplus
from tollkeeper.storage import customers, dismissals, findings, grants, marks, orders, people

WHY = because(Code.OPERATOR_DISMISSED, note="Known")
ODD, ODDER = because(Code.UNKNOWN_PRICE, prices="price_9"), because(Code.OTHER_PRICES, prices="price_8")


@pytest.fixture
def ada(conn: Connection) -> Customer:
    keep_person(conn, "ada")
    return customers.add(conn, "ada", TEST_MODE, "cus_ada", NOW)


def note(conn: Connection, customer: Customer | None, *found: Finding, now: int = NOW) -> None:
    if customer is not None:
        findings.note(conn, customer, found, now)
        return
    for one in found:
        findings.note_of_stranger(conn, TEST_MODE, one, now)


def dismiss(conn: Connection, source: str, **what: Any) -> None:
    seen = {"verdict": None, "remarks": (), "product": None} | what
    dismissals.dismiss(conn, TEST_MODE.mode, source, WHY, NOW, **seen)


def listed(conn: Connection, *, dismissed: bool) -> list[str]:
    return [one.source for one in findings.unexplained(conn, TEST_MODE.mode, 10, dismissed=dismissed)]


def remarked(conn: Connection, *, dismissed: bool) -> list[str]:
    return [one.source for one in findings.remarked(conn, TEST_MODE.mode, 10, dismissed=dismissed)]


def test_a_verdict_is_dismissed_as_long_as_it_stays(conn: Connection) -> None:
    note(conn, None, a_finding("cs_1", verdict=Verdict.UNCLAIMED), a_finding("cs_2", verdict=Verdict.UNCLAIMED))
    dismiss(conn, "cs_1", verdict=Verdict.UNCLAIMED)
    assert (listed(conn, dismissed=False), listed(conn, dismissed=True)) == (["cs_2"], ["cs_1"])
    assert findings.count_unexplained(conn, TEST_MODE.mode)[Verdict.UNCLAIMED] == 1
    known = dismissals.of_sources(conn, TEST_MODE.mode, ["cs_1", "cs_2"])
    assert known == {"cs_1": dismissals.Dismissal("cs_1", WHY, NOW)}
    note(conn, None, a_finding("cs_1", verdict=Verdict.QUARANTINED), now=NOW + 1)
    assert (sorted(listed(conn, dismissed=False)), listed(conn, dismissed=True)) == (["cs_1", "cs_2"], [])


def test_remarks_are_dismissed_as_long_as_they_are_the_same(conn: Connection, ada: Customer) -> None:
    note(conn, ada, a_subscription_finding("sub_1", remarks=(ODD,)))
    dismiss(conn, "sub_1", verdict=Verdict.GRANTED)
    assert (remarked(conn, dismissed=False), remarked(conn, dismissed=True)) == (["sub_1"], [])
    dismiss(conn, "sub_1", remarks=(ODD,))
    assert (remarked(conn, dismissed=False), remarked(conn, dismissed=True)) == ([], ["sub_1"])
    note(conn, ada, a_subscription_finding("sub_1", remarks=(ODD, ODDER)), now=NOW + 1)
    assert (remarked(conn, dismissed=False), remarked(conn, dismissed=True)) == (["sub_1"], [])


def test_what_was_bought_twice_is_dismissed_for_that_product(conn: Connection, ada: Customer) -> None:
    keep_grant(conn, "ada", "cs_1", since=NOW - 1)
    second = keep_grant(conn, "ada", "cs_2")
    keep_grant(conn, "ada", "cs_2", origin=OTHER_ACCOUNT, product="other")
    note(conn, ada, a_finding("cs_1"), a_finding("cs_2"))

    def twice(person_id: str | None = None, *, dismissed: bool = False) -> list[Grant]:
        pairs = grants.paid_pairs(conn, (), False, NOW, person_id, dismissed=dismissed)
        return [one.grant for one in surplus(pairs, Catalog((), "stripe"))]

    assert twice() == [second]
    dismiss(conn, "cs_2", product="reports")
    assert twice() == [second]
    dismiss(conn, "cs_2", product="dashboard")
    assert twice() == twice("ada") == []
    assert twice(dismissed=True) == [second]


def test_what_is_restored_is_as_before(conn: Connection) -> None:
    note(conn, None, a_finding("cs_1", verdict=Verdict.UNCLAIMED, reference="pi_1"))
    for name in ("cs_1", "pi_1"):
        assert not dismissals.restore(conn, TEST_MODE.mode, name)
        dismiss(conn, "cs_1", verdict=Verdict.UNCLAIMED)
        assert not dismissals.restore(conn, LIVE_MODE.mode, name)
        assert not dismissals.restore(conn, TEST_MODE.mode, "cs_2")
        assert dismissals.restore(conn, TEST_MODE.mode, name)
        assert listed(conn, dismissed=False) == ["cs_1"]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_other_sales_are_counted_by_an_index_of_their_own(conn: Connection) -> None:
    note(conn, None, a_finding("cs_1", verdict=Verdict.UNRELATED), a_finding("cs_2"))
    assert findings.count_unrelated(conn, TEST_MODE.mode) == 1
    assert findings.count_unrelated(conn, LIVE_MODE.mode) == 0
    assert [one.source for one in findings.unrelated(conn, TEST_MODE.mode, 9)] == ["cs_1"]
    query = select(func.count()).where(*findings._unrelated(TEST_MODE.mode))
    words = query.compile(conn, compile_kwargs={"render_postcompile": True})
    plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", ("stripe",)).all()
    assert any("ix_findings_unrelated" in row.detail for row in plan)


def test_what_nobody_known_bought_is_gone_through_in_order(conn: Connection, ada: Customer) -> None:
    strangers = [a_finding(f"cs_{number}", verdict=Verdict.UNRELATED) for number in range(3)]
    note(conn, None, *strangers, a_finding("cs_8", verdict=Verdict.UNPAID))
    note(conn, ada, a_finding("cs_9", verdict=Verdict.UNCLAIMED))
    first = findings.of_nobody(conn, TEST_MODE, "", 2)
    rest = findings.of_nobody(conn, TEST_MODE, first[-1].source, 2)
    assert [one.source for one in (*first, *rest)] == ["cs_0", "cs_1", "cs_2"]
    assert findings.of_nobody(conn, OTHER_ACCOUNT, "", 9) == ()


def test_what_was_found_of_a_customer_is_not_replaced_by_what_was_heard_of_a_stranger(
    conn: Connection, ada: Customer
) -> None:
    note(conn, ada, a_finding("cs_1"))
    note(conn, None, a_finding("cs_1", verdict=Verdict.UNCLAIMED), now=NOW + 9)
    kept = findings.called(conn, TEST_MODE, "cs_1")
    assert kept is not None
    assert (kept.verdict, kept.person_id) == (Verdict.GRANTED, "ada")


def test_one_order_adopts_something(conn: Connection, ada: Customer) -> None:
    adoption = {"adopts": "sub_1", "adoption": because(Code.OPERATOR_ADOPTED, note="!"), "checkout_id": "cs_1"}
    order = an_order("ord_1", "ada", state=OrderState.COMPLETE, recurring=True, **adoption)
    assert orders.adopt(conn, order)
    assert orders.adopting(conn, TEST_MODE, "sub_1") == orders.find(conn, "ord_1") == order
    again = replace(order, id="ord_2", idempotency_key="key", checkout_id=None)
    assert not orders.adopt(conn, again)
    assert orders.find(conn, "ord_2") is None
    assert orders.adopt(conn, replace(again, realm=LIVE_MODE))
    assert orders.adopting(conn, OTHER_ACCOUNT, "sub_1") is None


def test_a_customer_is_tied_once_and_is_the_current_one_if_there_was_none(conn: Connection) -> None:
    bob, eve = (_person(conn, name) for name in ("bob", "eve"))
    guest = customers.tie(conn, bob, TEST_MODE, "cs_1", NOW, guest=True)
    assert customers.of_person(conn, "bob", TEST_MODE) is None
    first = customers.tie(conn, bob, TEST_MODE, "cus_1", NOW, guest=False)
    second = customers.tie(conn, bob, TEST_MODE, "cus_2", NOW, guest=False)
    assert customers.of_person(conn, "bob", TEST_MODE) == first
    assert customers.all_of_person(conn, "bob", TEST_MODE) == (first, second, guest)
    assert customers.tie(conn, eve, TEST_MODE, "cus_2", NOW, guest=False) == second
    assert customers.whose_address(conn, first.id) == (bob, "bob@example.com")


def _person(conn: Connection, name: str) -> Person:
    identity = an_identity(name, email=f"{name}@example.com")
    return people.person_of(conn, identity, new_id=name, now=NOW)


def test_an_operators_grant_for_a_payment_is_found_until_it_is_revoked(conn: Connection, ada: Customer) -> None:
    given = keep_grant(conn, "ada", "grt_1", amount=None, currency=None, reference="pi_1")
    keep_grant(conn, "ada", "cs_2", reference="pi_2")
    assert grants.for_payment(conn, False, "pi_1") == given
    assert grants.for_payment(conn, True, "pi_1") is grants.for_payment(conn, False, "pi_2") is None
    grants.change(conn, replace(given, revoked_at=NOW))
    assert grants.for_payment(conn, False, "pi_1") is None


def test_orders_and_people_of_ours_are_known_by_their_ids(conn: Connection, ada: Customer) -> None:
    orders.start(conn, an_order("ord_1", "ada"))
    named = [("ord_1", None), ("ord_2", "ada"), (None, "eve"), ("ada", "ord_1")]
    bought = [a_finding("cs", order_id=order, person_id=person).bought for order, person in named]
    assert marks.known(conn, bought) == {"ord_1", "ada"}
    assert marks.known(conn, [bought[2]]) == marks.known(conn, []) == frozenset()
