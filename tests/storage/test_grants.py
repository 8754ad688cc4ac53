from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from tests.storage.makers import (
    DAY,
    LIVE_MODE,
    NOW,
    OTHER_ACCOUNT,
    OTHER_PROVIDER,
    OTHER_REALMS,
    TEST_MODE,
    a_finding,
    an_order,
    keep_grant,
    keep_person,
)

from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Grant
from tollkeeper.model.orders import Realm
from tollkeeper.model.selling import Product
from tollkeeper.reasons import Code, because
from tollkeeper.relations import surplus
from tollkeeper.storage import customers, findings, grants

REFUNDED = because(Code.REFUNDED, refunded=990, amount=990, currency="eur", limit=100)
CATALOG = Catalog(
    (
        Product("dashboard", "Dashboard", frozenset({"dashboard"})),
        Product("reports", "Reports", frozenset({"reports"})),
        Product("both", "Both", frozenset({"dashboard", "reports"})),
    ),
    "stripe",
)


def bought_twice(conn: Connection, now: int, person_id: str | None = None) -> tuple[Grant, ...]:
    pairs = grants.paid_pairs(conn, CATALOG.containing, False, now, person_id)
    return tuple(one.grant for one in surplus(pairs, CATALOG))


@pytest.fixture
def grant(conn: Connection) -> Grant:
    keep_person(conn, "ada")
    keep_person(conn, "bob")
    return keep_grant(conn, "ada", "cs_1")


def test_a_grant_is_kept_as_given(conn: Connection, grant: Grant) -> None:
    assert grant.id > 0
    assert grants.of_person(conn, "ada", TEST_MODE) == (grant,)
    assert grants.of_person(conn, "bob", TEST_MODE) == ()


def test_a06_one_grant_per_source_ever(conn: Connection, grant: Grant) -> None:
    for person_id in ("ada", "bob"):
        with pytest.raises(IntegrityError), conn.begin_nested():
            keep_grant(conn, person_id, "cs_1", product="reports")
    assert grants.of_person(conn, "bob", TEST_MODE) == ()


@pytest.mark.parametrize("realm", OTHER_REALMS)
def test_b19_the_same_source_in_another_realm_is_another(conn: Connection, grant: Grant, realm: Realm) -> None:
    assert grants.of_person(conn, "ada", realm) == ()
    other = keep_grant(conn, "bob", "cs_1", origin=realm)
    assert grants.of_person(conn, "bob", realm) == (other,)
    assert grants.of_person(conn, "ada", TEST_MODE) == (grant,)


def test_revoke_and_restore(conn: Connection, grant: Grant) -> None:
    grants.change(conn, replace(grant, revoked_at=NOW + 1, reason=REFUNDED))
    (revoked,) = grants.of_person(conn, "ada", TEST_MODE)
    assert (revoked.revoked_at, revoked.reason) == (NOW + 1, REFUNDED)
    assert grants.held(conn, "ada", live=False, now=NOW + 1) == ()
    grants.change(conn, grant)
    assert grants.held(conn, "ada", live=False, now=NOW + 1) == (grant,)


@pytest.mark.parametrize("until", [None, NOW - 1, NOW, NOW + 1])
@pytest.mark.parametrize("revoked_at", [None, NOW - 1, NOW])
def test_what_the_database_calls_in_force_is_what_a_grant_does(
    conn: Connection, until: int | None, revoked_at: int | None
) -> None:
    keep_person(conn, "ada")
    kept = keep_grant(conn, "ada", "cs_1", until=until, revoked_at=revoked_at)
    assert kept.in_force(NOW) == (revoked_at is None and until in {None, NOW + 1})
    assert bool(grants.held(conn, "ada", live=False, now=NOW)) == kept.in_force(NOW)


def test_who_decided_that_it_gives_no_access_is_kept_with_what_they_said(conn: Connection, grant: Grant) -> None:
    decided = because(Code.OPERATOR_REVOKED, note='Said "it\'s shared". Über {amount:money} %s')
    grants.change(conn, replace(grant, withheld=decided, reason=decided, revoked_at=NOW))
    (kept,) = grants.of_person(conn, "ada", TEST_MODE)
    assert (kept.withheld, kept.reason) == (decided, decided)


def test_a_change_touches_one_grant_only(conn: Connection, grant: Grant) -> None:
    other = keep_grant(conn, "ada", "cs_2")
    grants.change(conn, replace(grant, until=NOW, reason=REFUNDED))
    assert other in grants.of_person(conn, "ada", TEST_MODE)


def test_held_now_are_those_in_force_from_every_provider(conn: Connection, grant: Grant) -> None:
    keep_grant(conn, "ada", "ran-out", until=NOW)
    keep_grant(conn, "ada", "revoked", revoked_at=NOW - 1)
    keep_grant(conn, "ada", "live", origin=LIVE_MODE)
    keep_grant(conn, "bob", "somebody-else")
    lasting = keep_grant(conn, "ada", "lasting", until=NOW + 1, since=NOW - DAY)
    elsewhere = keep_grant(conn, "ada", "elsewhere", origin=OTHER_PROVIDER, since=NOW - 2 * DAY)
    assert grants.held(conn, "ada", live=False, now=NOW) == (grant, lasting, elsewhere)


def test_a_grant_needs_a_person(conn: Connection) -> None:
    with pytest.raises(IntegrityError), conn.begin_nested():
        keep_grant(conn, "nobody", "cs_1")


def test_products_held_by_several_people(conn: Connection) -> None:
    for person in ("ada", "bob"):
        keep_person(conn, person)
    keep_grant(conn, "ada", "cs_1", product="reports")
    keep_grant(conn, "ada", "cs_2")
    keep_grant(conn, "ada", "cs_3")
    keep_grant(conn, "bob", "cs_4", revoked_at=NOW)
    keep_grant(conn, "bob", "cs_5", until=NOW)
    keep_grant(conn, "bob", "cs_6", origin=LIVE_MODE)
    assert grants.products_held(conn, ["ada", "bob"], False, NOW) == {"ada": ("dashboard", "reports"), "bob": ()}


def test_every_grant_of_a_mode_from_every_account(conn: Connection) -> None:
    keep_person(conn, "ada")
    old = keep_grant(conn, "ada", "cs_1", revoked_at=NOW)
    new = keep_grant(conn, "ada", "cs_2", origin=OTHER_ACCOUNT, since=NOW + 1)
    keep_grant(conn, "ada", "cs_3", origin=LIVE_MODE)
    assert grants.in_mode(conn, "ada", live=False) == (new, old)


def test_bought_twice_is_every_payment_after_the_first_that_holds_good(conn: Connection, grant: Grant) -> None:
    refunded = keep_grant(conn, "bob", "cs_2", revoked_at=NOW, since=NOW - 9)
    again = keep_grant(conn, "ada", "cs_3", since=NOW + 1, reference="pi_3")
    keep_grant(conn, "ada", "cs_4", product="reports")
    keep_grant(conn, "bob", "cs_5")
    operators: dict[str, Any] = {"origin": OTHER_PROVIDER, "amount": None, "currency": None, "since": NOW - 9}
    keep_grant(conn, "bob", "given", reference=None, **operators)
    assert bought_twice(conn, now=NOW + 1) == (again,)
    assert bought_twice(conn, now=NOW + 1, person_id="bob") == ()
    grants.change(conn, replace(refunded, revoked_at=None))
    assert [one.source for one in bought_twice(conn, now=NOW + 1, person_id="bob")] == ["cs_5"]
    grants.change(conn, replace(refunded, revoked_at=NOW))
    keep_grant(conn, "bob", "given-for-a-payment", reference="pi_9", **operators)
    assert [one.source for one in bought_twice(conn, now=NOW + 1, person_id="bob")] == ["cs_5"]


def test_a_change_of_plan_and_a_renewal_are_kept(conn: Connection, grant: Grant) -> None:
    facts: dict[str, Any] = {"amount": 1, "currency": "usd", "reference": "pi_2", "receipt_url": None}
    reason = because(Code.SUBSCRIBED, until=NOW + DAY, ends=NOW + DAY)
    renewed = replace(grant, product="reports", until=NOW + DAY, reason=reason, **facts)
    grants.change(conn, renewed)
    assert grants.of_person(conn, "ada", TEST_MODE) == (renewed,)


def test_a_subscription_next_to_what_holds_good_is_surplus_on_trial_too(conn: Connection) -> None:
    keep_person(conn, "ada")
    bought = keep_grant(conn, "ada", "cs_1")
    trial = keep_grant(conn, "ada", "sub_1", since=NOW + 1, until=NOW + DAY, amount=0, reference=None)
    assert bought_twice(conn, now=NOW + 2) == (trial,)
    assert bought_twice(conn, now=NOW + DAY) == ()
    grants.change(conn, replace(bought, revoked_at=NOW))
    assert bought_twice(conn, now=NOW + 2) == ()
    second = keep_grant(conn, "ada", "sub_2", since=NOW + 2, until=NOW + DAY)
    assert bought_twice(conn, now=NOW + 3) == (second,)


def test_what_another_product_gives_as_well_stands_next_to_it(conn: Connection) -> None:
    keep_person(conn, "ada")
    keep_person(conn, "bob")
    part = keep_grant(conn, "ada", "sub_1", until=NOW + DAY)
    whole = keep_grant(conn, "ada", "sub_2", product="both", since=NOW + 1, until=NOW + DAY)
    keep_grant(conn, "ada", "cs_1", product="gone", since=NOW + 1)
    keep_grant(conn, "bob", "sub_3", product="both", until=NOW + DAY)
    pairs = grants.paid_pairs(conn, CATALOG.containing, False, NOW + 1)
    assert pairs == ((part, whole),)
    assert grants.paid_pairs(conn, (), False, NOW + 1) == ()
    assert grants.paid_pairs(conn, CATALOG.containing, False, NOW + 1, "bob") == ()
    assert grants.paid_pairs(conn, CATALOG.containing, True, NOW + 1) == ()
    assert grants.paid_pairs(conn, CATALOG.containing, False, NOW + DAY) == ()


def test_what_an_order_led_to(conn: Connection) -> None:
    keep_person(conn, "ada")
    customer = customers.add(conn, "ada", TEST_MODE, "cus_1", NOW)
    bought, subscribed = keep_grant(conn, "ada", "cs_1"), keep_grant(conn, "ada", "sub_1", until=NOW + DAY)
    findings.note(conn, customer, [a_finding("sub_1", order_id="o2")], NOW)
    once, again = an_order("o1", "ada", checkout_id="cs_1"), an_order("o2", "ada", recurring=True, checkout_id="cs_2")
    assert grants.of_order(conn, once) == (bought,)
    assert grants.of_order(conn, again) == (subscribed,)
    assert grants.of_order(conn, replace(again, id="o3")) == grants.of_order(conn, replace(again, person_id="b")) == ()
