import pytest
from sqlalchemy import Connection, select
from tests.storage.makers import (
    LIVE_MODE,
    NOW,
    OTHER_ACCOUNT,
    OTHER_REALMS,
    TEST_MODE,
    a_finding,
    an_event,
    keep_grant,
    keep_person,
)

from tollkeeper.model.events import KeptEvent
from tollkeeper.model.orders import Realm
from tollkeeper.storage import customers, events, findings, tables

LEASE = 60


def claim(conn: Connection, now: int = NOW, *, limit: int = 10, realm: Realm = TEST_MODE) -> list[str]:
    return [kept.event.id for kept in events.claim(conn, realm, now, limit, LEASE)]


def only_row(conn: Connection) -> tuple[int | None, int | None, str | None, str | None]:
    columns = tables.events.c
    row = conn.execute(select(columns.due_at, columns.handled_at, columns.outcome, columns.error)).one()
    return tuple(row)


def test_a_relevant_event_is_due_at_once(conn: Connection) -> None:
    assert events.keep(conn, an_event("evt_1"), NOW)
    (kept,) = events.claim(conn, TEST_MODE, NOW, 10, LEASE)
    assert kept == KeptEvent(kept.id, an_event("evt_1"), attempts=1)


def test_b18_an_irrelevant_event_is_kept_as_ignored(conn: Connection) -> None:
    assert events.keep(conn, an_event("evt_1", relevant=False), NOW)
    assert only_row(conn) == (None, NOW, "ignored", None)
    assert claim(conn) == []


def test_c21_an_event_is_kept_once(conn: Connection) -> None:
    assert events.keep(conn, an_event("evt_1"), NOW)
    assert not events.keep(conn, an_event("evt_1", type="something.else"), NOW + 1)
    assert claim(conn, NOW + 1) == ["evt_1"]


@pytest.mark.parametrize("realm", OTHER_REALMS)
def test_b19_the_same_id_in_another_realm_is_another_event(conn: Connection, realm: Realm) -> None:
    assert events.keep(conn, an_event("evt_1"), NOW)
    assert events.keep(conn, an_event("evt_1", realm=realm), NOW)
    assert claim(conn) == ["evt_1"]
    assert claim(conn, realm=realm) == ["evt_1"]


def test_those_due_longest_come_first_and_no_more_than_asked_for(conn: Connection) -> None:
    for number, due in enumerate((NOW - 1, NOW - 3, NOW - 2, NOW + 1)):
        events.keep(conn, an_event(f"evt_{number}"), due)
    assert claim(conn, limit=2) == ["evt_1", "evt_2"]
    assert claim(conn, limit=2) == ["evt_0"]
    assert claim(conn, limit=2) == []


def test_events_of_customers_we_know_go_before_any_number_of_others(conn: Connection) -> None:
    for number in range(events.STRANGERS + 2):
        events.keep(conn, an_event(f"evt_other_{number}", customer_id=f"cus_other_{number}"), NOW - 9)
    keep_person(conn, "ada")
    ada = customers.add(conn, "ada", TEST_MODE, "cus_ada", NOW)
    findings.note(conn, ada, [a_finding("cs_1", reference="pi_ada")], NOW)
    events.keep(conn, an_event("evt_ours", customer_id="cus_ada"), NOW)
    events.keep(conn, an_event("evt_disputed", customer_id=None, reference="pi_ada"), NOW)
    assert claim(conn) == ["evt_ours", "evt_disputed"]
    assert len(claim(conn)) == events.STRANGERS
    assert len(claim(conn)) == 2


def test_many_are_kept_at_once_and_each_once(conn: Connection) -> None:
    events.keep(conn, an_event("evt_1"), NOW)
    assert events.keep_all(conn, [an_event("evt_1"), an_event("evt_2"), an_event("evt_2")], NOW) == 1
    assert events.keep_all(conn, [], NOW) == 0
    assert claim(conn) == ["evt_1", "evt_2"]


def test_when_the_newest_event_was_made(conn: Connection) -> None:
    assert events.newest_created(conn, TEST_MODE) is None
    made = [an_event(f"evt_{number}", created_at=NOW + at) for number, at in enumerate((5, 9, 7))]
    events.keep_all(conn, [*made, an_event("evt_live", realm=LIVE_MODE, created_at=NOW + 90)], NOW)
    assert events.newest_created(conn, TEST_MODE) == NOW + 9


def test_d29_a_claim_that_was_never_finished_is_due_again_after_its_lease(conn: Connection) -> None:
    events.keep(conn, an_event("evt_1"), NOW)
    assert claim(conn) == ["evt_1"]
    assert claim(conn, NOW + LEASE - 1) == []
    (again,) = events.claim(conn, TEST_MODE, NOW + LEASE, 10, LEASE)
    assert again.attempts == 2


def test_a_handled_event_is_never_due_again(conn: Connection) -> None:
    events.keep(conn, an_event("evt_1"), NOW)
    (kept,) = events.claim(conn, TEST_MODE, NOW, 10, LEASE)
    events.handled(conn, [kept.id], "granted", NOW + 1)
    assert only_row(conn) == (None, NOW + 1, "granted", None)
    assert claim(conn, NOW + 10 * LEASE) == []


def test_a_failed_event_is_tried_again_when_told(conn: Connection) -> None:
    events.keep(conn, an_event("evt_1"), NOW)
    (kept,) = events.claim(conn, TEST_MODE, NOW, 10, LEASE)
    events.failed(conn, kept.id, "provider down", NOW + 7)
    assert only_row(conn) == (NOW + 7, None, None, "provider down")
    assert claim(conn, NOW + 6) == []
    assert claim(conn, NOW + 7) == ["evt_1"]
    events.handled(conn, [kept.id], "granted", NOW + 8)
    assert only_row(conn) == (None, NOW + 8, "granted", None)


def test_e40_a_parked_event_waits_for_nobody(conn: Connection) -> None:
    events.keep(conn, an_event("evt_1"), NOW)
    events.keep(conn, an_event("evt_2"), NOW)
    (kept,) = events.claim(conn, TEST_MODE, NOW, 1, LEASE)
    events.failed(conn, kept.id, "makes no sense", None)
    assert claim(conn, NOW + 10 * LEASE) == ["evt_2"]


def test_a_late_failure_does_not_undo_what_another_worker_did(conn: Connection) -> None:
    events.keep(conn, an_event("evt_1"), NOW)
    (kept,) = events.claim(conn, TEST_MODE, NOW, 10, LEASE)
    events.handled(conn, [kept.id], "granted", NOW + LEASE)
    events.failed(conn, kept.id, "took too long", NOW + LEASE + 1)
    assert only_row(conn) == (None, NOW + LEASE, "granted", None)


def states(conn: Connection, *, failed: bool = False) -> dict[str, str]:
    return {one.id: one.state.value for one in events.newest(conn, TEST_MODE.mode, 10, failed=failed)}


def one_in_each_state(conn: Connection) -> None:
    for name in ("waiting", "handled", "failed", "parked"):
        events.keep(conn, an_event(f"evt_{name}"), NOW)
    events.keep(conn, an_event("evt_ignored", relevant=False), NOW)
    events.keep(conn, an_event("evt_other", realm=LIVE_MODE), NOW)
    claimed = {kept.event.id: kept.id for kept in events.claim(conn, TEST_MODE, NOW, 10, LEASE)}
    events.handled(conn, [claimed["evt_handled"]], "1 changed", NOW)
    events.failed(conn, claimed["evt_failed"], "no answer", NOW + 5)
    events.failed(conn, claimed["evt_parked"], "no answer", None)


def test_events_are_listed_with_their_states_newest_first(conn: Connection) -> None:
    one_in_each_state(conn)
    listed = states(conn)
    assert list(listed) == ["evt_ignored", "evt_parked", "evt_failed", "evt_handled", "evt_waiting"]
    assert all(id == f"evt_{state}" for id, state in listed.items())
    assert set(states(conn, failed=True)) == {"evt_failed", "evt_parked"}
    assert len(events.newest(conn, TEST_MODE.mode, 2)) == 2


def test_what_failed_is_replayed_as_if_never_tried(conn: Connection) -> None:
    one_in_each_state(conn)
    assert events.replay_failed(conn, TEST_MODE.mode, NOW + 9) == ("evt_failed", "evt_parked")
    again = events.claim(conn, TEST_MODE, NOW + 9, 10, LEASE)
    assert {kept.event.id: kept.attempts for kept in again} == {"evt_failed": 1, "evt_parked": 1}
    assert states(conn, failed=True) == {}


def test_events_are_replayed_by_id_except_ignored_ones(conn: Connection) -> None:
    one_in_each_state(conn)
    wanted = ["evt_handled", "evt_ignored", "evt_other", "evt_unknown"]
    assert events.replay(conn, TEST_MODE.mode, wanted, NOW + 4) == ("evt_handled",)
    assert claim(conn, NOW + 4) == ["evt_handled"]


def test_events_of_a_person_name_their_customer_or_their_payment(conn: Connection) -> None:
    for person in ("ada", "bob"):
        keep_person(conn, person)
        customers.add(conn, person, TEST_MODE, f"cus_{person}", NOW)
    keep_grant(conn, "ada", "cs_1", reference="pi_ada")
    events.keep(conn, an_event("evt_1", customer_id="cus_ada"), NOW)
    events.keep(conn, an_event("evt_2", customer_id=None, reference="pi_ada"), NOW)
    events.keep(conn, an_event("evt_3", customer_id="cus_bob"), NOW)
    events.keep(conn, an_event("evt_4", customer_id="cus_ada", realm=LIVE_MODE), NOW)
    events.keep(conn, an_event("evt_5", customer_id="cus_ada", realm=OTHER_ACCOUNT), NOW)
    assert [one.id for one in events.of_person(conn, "ada", False, 10)] == ["evt_2", "evt_1"]
    assert [one.id for one in events.of_person(conn, "ada", False, 1)] == ["evt_2"]
