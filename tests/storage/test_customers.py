import asyncio
from threading import Event

import pytest
from sqlalchemy import Connection
from tests.storage.makers import DAY, LIVE_MODE, NOW, OTHER_REALMS, TEST_MODE, a_finding, an_order, keep_person

from tollkeeper.model.orders import Customer, OrderState, Realm
from tollkeeper.storage import customers, findings, orders
from tollkeeper.storage.database import Database


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
    renewed = customers.replace(conn, gone, "cus_2", NOW)
    assert renewed == Customer(renewed.id, TEST_MODE, "cus_2", "ada")
    assert customers.replace(conn, gone, "cus_3", NOW) == renewed
    assert customers.of_person(conn, "ada", TEST_MODE) == renewed


def test_a12_who_somebody_was_is_still_known_after_a_replacement(conn: Connection) -> None:
    keep_person(conn, "ada")
    gone = customers.add(conn, "ada", TEST_MODE, "cus_1", NOW)
    renewed = customers.replace(conn, gone, "cus_2", NOW)
    assert customers.find(conn, TEST_MODE, "cus_1") == gone
    assert customers.all_of_person(conn, "ada", TEST_MODE) == (renewed, gone)


def test_a_customer_never_changes_hands(conn: Connection) -> None:
    keep_person(conn, "ada")
    keep_person(conn, "bob")
    adas = customers.add(conn, "ada", TEST_MODE, "cus_1", NOW)
    assert customers.add(conn, "bob", TEST_MODE, "cus_1", NOW) == adas
    assert customers.of_person(conn, "bob", TEST_MODE) is None


def test_who_paid_is_known_by_the_payment_of_a_purchase(conn: Connection) -> None:
    keep_person(conn, "ada")
    adas = customers.add(conn, "ada", TEST_MODE, "cus_1", NOW)
    findings.note(conn, adas, [a_finding("cs_1", reference="pi_1")], NOW)
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
    assert customers.pass_fence(conn, customer.id, 2, NOW)
    assert not customers.pass_fence(conn, customer.id, 1, NOW)
    assert not customers.pass_fence(conn, customer.id, 2, NOW)
    assert customers.pass_fence(conn, customer.id, 3, NOW)


def test_c24_anybody_who_is_under_way_when_something_is_written_must_ask_again(conn: Connection) -> None:
    """Found by the simulator: who began later may have read earlier than who wrote before them."""
    keep_person(conn, "ada")
    customer = customers.add(conn, "ada", TEST_MODE, "cus_1", NOW)
    first, second = (customers.take_ticket(conn, customer.id) for _ in range(2))
    assert customers.pass_fence(conn, customer.id, first, NOW)
    assert not customers.pass_fence(conn, customer.id, second, NOW)
    assert customers.pass_fence(conn, customer.id, customers.take_ticket(conn, customer.id), NOW)


def test_customers_are_gone_through_batch_by_batch(conn: Connection) -> None:
    for person in ("ada", "bob", "cleo"):
        keep_person(conn, person)
    ada, bob, cleo = (customers.add(conn, one, TEST_MODE, f"cus_{one}", NOW) for one in ("ada", "bob", "cleo"))
    customers.add(conn, "ada", LIVE_MODE, "cus_ada", NOW)
    assert customers.after(conn, TEST_MODE, 0, 2) == (ada, bob)
    assert customers.after(conn, TEST_MODE, bob.id, 2) == (cleo,)
    assert customers.after(conn, TEST_MODE, cleo.id, 2) == ()
    assert customers.count(conn, TEST_MODE) == 3


def keep_customer(conn: Connection, name: str, realm: Realm = TEST_MODE) -> Customer:
    keep_person(conn, name)
    return customers.add(conn, name, realm, f"cus_{name}", NOW)


def claim(conn: Connection, at: int, realm: Realm = TEST_MODE) -> Customer | None:
    return customers.claim_unchecked(conn, realm, at, DAY, LEASE)


LEASE = 600


def test_anybody_who_bought_or_ordered_is_due_once_in_a_period(conn: Connection) -> None:
    ada, bob, cleo = (keep_customer(conn, name) for name in ("ada", "bob", "cleo"))
    findings.note(conn, ada, [a_finding("cs_1")], NOW)
    orders.start(conn, an_order("ord_1", "bob"))
    orders.start(conn, an_order("ord_2", "cleo"))
    orders.close(conn, "ord_2", OrderState.COMPLETE, NOW)
    for customer in (bob, cleo, ada):
        customers.set_checked(conn, customer.id, NOW + customer.id)
    assert claim(conn, NOW + DAY) is None
    later = NOW + DAY + cleo.id
    assert [claim(conn, later) for _ in range(4)] == [ada, bob, cleo, None]


@pytest.mark.parametrize("realm", OTHER_REALMS)
def test_nobody_is_due_in_another_realm(conn: Connection, realm: Realm) -> None:
    ada = keep_customer(conn, "ada")
    findings.note(conn, ada, [a_finding("cs_1")], NOW)
    stranger = keep_customer(conn, "bob", realm)
    orders.start(conn, an_order("ord_1", "bob"))
    assert stranger.realm != TEST_MODE
    assert claim(conn, NOW + DAY, realm) is None
    assert claim(conn, NOW + DAY) == ada


def test_anybody_who_has_nothing_to_check_is_put_off_for_a_period(conn: Connection) -> None:
    idle, again = keep_customer(conn, "ada"), keep_customer(conn, "bob")
    orders.start(conn, an_order("ord_1", "bob"))
    orders.close(conn, "ord_1", OrderState.EXPIRED, NOW)
    assert claim(conn, NOW + DAY) is None
    for customer in (idle, again):
        findings.note(conn, customer, [a_finding(f"cs_{customer.id}")], NOW)
    assert claim(conn, NOW + 2 * DAY - 1) is None
    assert {claim(conn, NOW + 2 * DAY), claim(conn, NOW + 2 * DAY)} == {idle, again}


def test_however_many_have_nothing_to_check_the_others_get_their_turn(conn: Connection) -> None:
    for number in range(customers.LOOKED_AT + 5):
        keep_customer(conn, f"idle{number}")
    ada = keep_customer(conn, "ada")
    findings.note(conn, ada, [a_finding("cs_1")], NOW)
    customers.set_checked(conn, ada.id, NOW + 1)
    assert [claim(conn, NOW + DAY + 1) for _ in range(3)] == [None, ada, None]


def test_anybody_who_was_claimed_but_not_reconciled_is_due_again(conn: Connection) -> None:
    ada = keep_customer(conn, "ada")
    findings.note(conn, ada, [a_finding("cs_1")], NOW)
    assert claim(conn, NOW + DAY) == ada
    assert claim(conn, NOW + DAY + LEASE - 1) is None
    assert claim(conn, NOW + DAY + LEASE) == ada


def test_anybody_who_was_reconciled_is_not_due(conn: Connection) -> None:
    ada = keep_customer(conn, "ada")
    findings.note(conn, ada, [a_finding("cs_1")], NOW)
    assert customers.pass_fence(conn, ada.id, customers.take_ticket(conn, ada.id), NOW + DAY)
    assert claim(conn, NOW + 2 * DAY - 1) is None
    assert claim(conn, NOW + 2 * DAY) == ada


def test_a12_who_somebody_was_is_checked_too(conn: Connection) -> None:
    gone = keep_customer(conn, "ada")
    findings.note(conn, gone, [a_finding("cs_1")], NOW)
    customers.replace(conn, gone, "cus_new", NOW)
    assert [claim(conn, NOW + DAY), claim(conn, NOW + DAY)] == [gone, None]


@pytest.mark.anyio
async def test_c24_an_operator_and_a_reconcile_take_turns(database: Database) -> None:
    await database.write(keep_person, "ada")
    ada = await database.write(customers.add, "ada", TEST_MODE, "cus_1", NOW)
    ticket = await database.write(customers.take_ticket, ada.id)
    held, released, order = Event(), Event(), list[str]()

    def revoke(conn: Connection) -> None:
        customers.lock(conn, "ada")
        held.set()
        released.wait(10)
        order.append("operator")

    def write_snapshot(conn: Connection) -> None:
        customers.pass_fence(conn, ada.id, ticket, NOW)
        order.append("reconcile")

    operator = asyncio.create_task(database.write(revoke))
    await asyncio.to_thread(held.wait, 10)
    reconcile = asyncio.create_task(database.write(write_snapshot))
    assert not (await asyncio.wait({reconcile}, timeout=0.5))[0]
    released.set()
    await asyncio.gather(operator, reconcile)
    assert order == ["operator", "reconcile"]
