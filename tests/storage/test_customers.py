import pytest
from sqlalchemy import Connection
from tests.storage.makers import LIVE_MODE, NOW, OTHER_REALMS, TEST_MODE, a_grant, keep_person

from tollkeeper.model import Customer, Realm
from tollkeeper.storage import customers, grants


def test_a_customer_is_found_by_person_and_by_the_providers_id(conn: Connection) -> None:
    keep_person(conn, "ada")
    added = customers.add(conn, "ada", TEST_MODE, "cus_1", NOW)
    assert added == Customer(added.id, TEST_MODE, "cus_1", "ada")
    assert customers.of_person(conn, "ada", TEST_MODE) == added
    assert customers.find(conn, TEST_MODE, "cus_1") == added


@pytest.mark.parametrize("realm", OTHER_REALMS)
def test_b19_nothing_is_matched_across_realms(conn: Connection, realm: Realm) -> None:
    keep_person(conn, "ada")
    keep_person(conn, "bob")
    adas = customers.add(conn, "ada", TEST_MODE, "cus_1", NOW)
    assert customers.of_person(conn, "ada", realm) is None
    assert customers.find(conn, realm, "cus_1") is None
    bobs = customers.add(conn, "bob", realm, "cus_1", NOW)
    assert bobs.id != adas.id
    assert bobs.person_id == "bob"


def test_a_person_keeps_the_customer_they_have(conn: Connection) -> None:
    keep_person(conn, "ada")
    first = customers.add(conn, "ada", TEST_MODE, "cus_1", NOW)
    assert customers.add(conn, "ada", TEST_MODE, "cus_2", NOW) == first
    assert customers.find(conn, TEST_MODE, "cus_2") is None


def test_a_customer_that_is_gone_is_replaced_once(conn: Connection) -> None:
    keep_person(conn, "ada")
    gone = customers.add(conn, "ada", TEST_MODE, "cus_1", NOW)
    renewed = customers.replace(conn, gone, "cus_2")
    assert renewed == Customer(gone.id, TEST_MODE, "cus_2", "ada")
    assert customers.replace(conn, gone, "cus_3") == renewed
    assert customers.find(conn, TEST_MODE, "cus_1") is None


def test_a_customer_never_changes_hands(conn: Connection) -> None:
    keep_person(conn, "ada")
    keep_person(conn, "bob")
    adas = customers.add(conn, "ada", TEST_MODE, "cus_1", NOW)
    assert customers.add(conn, "bob", TEST_MODE, "cus_1", NOW) == adas
    assert customers.of_person(conn, "bob", TEST_MODE) is None


def test_who_paid_is_known_by_the_payment_that_a_grant_came_from(conn: Connection) -> None:
    keep_person(conn, "ada")
    adas = customers.add(conn, "ada", TEST_MODE, "cus_1", NOW)
    grants.add(conn, a_grant("ada", "cs_1", reference="pi_1"))
    assert customers.who_paid(conn, TEST_MODE, "pi_1") == adas
    assert customers.who_paid(conn, TEST_MODE, "pi_2") is None
    assert customers.who_paid(conn, LIVE_MODE, "pi_1") is None


def test_tickets_count_up_for_each_customer(conn: Connection) -> None:
    keep_person(conn, "ada")
    one = customers.add(conn, "ada", TEST_MODE, "cus_1", NOW)
    other = customers.add(conn, "ada", LIVE_MODE, "cus_1", NOW)
    assert [customers.take_ticket(conn, one.id) for _ in range(3)] == [1, 2, 3]
    assert customers.take_ticket(conn, other.id) == 1


def test_c24_the_fence_lets_only_later_tickets_pass(conn: Connection) -> None:
    keep_person(conn, "ada")
    customer = customers.add(conn, "ada", TEST_MODE, "cus_1", NOW)
    assert customers.pass_fence(conn, customer.id, 2)
    assert not customers.pass_fence(conn, customer.id, 1)
    assert not customers.pass_fence(conn, customer.id, 2)
    assert customers.pass_fence(conn, customer.id, 3)


def test_customers_are_gone_through_batch_by_batch(conn: Connection) -> None:
    for person in ("ada", "bob", "cleo"):
        keep_person(conn, person)
    ada, bob, cleo = (customers.add(conn, one, TEST_MODE, f"cus_{one}", NOW) for one in ("ada", "bob", "cleo"))
    customers.add(conn, "ada", LIVE_MODE, "cus_ada", NOW)
    assert customers.after(conn, TEST_MODE, 0, 2) == (ada, bob)
    assert customers.after(conn, TEST_MODE, bob.id, 2) == (cleo,)
    assert customers.after(conn, TEST_MODE, cleo.id, 2) == ()
    assert customers.count(conn, TEST_MODE) == 3
