"""What both databases guarantee: complete transactions that survive once acknowledged, no matter who else writes."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Table, func, select
from sqlalchemy.exc import IntegrityError
from tests.storage.conftest import Begin
from tests.storage.makers import NOW, TEST_MODE, an_event, an_identity, an_order, keep_grant, keep_person

from tollkeeper.errors import StorageBusy
from tollkeeper.gate.login_sessions import issue
from tollkeeper.storage import customers, events, login_sessions, orders, people, tables
from tollkeeper.storage.database import Database, open_database
from tollkeeper.storage.privacy import erase

pytestmark = pytest.mark.anyio

SECONDS = 10


def count(conn: Connection, table: Table) -> int:
    return conn.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Holds a function up inside its transaction until set; set at the end in any case."""
    event = threading.Event()
    yield event
    event.set()


async def test_what_was_acknowledged_is_seen_by_everybody(database: Database, begin: Begin) -> None:
    ada = await database.write(keep_person, "ada")
    with begin() as conn:
        assert people.find(conn, "ada") == ada
    assert await database.read(people.find, "ada") == ada


async def test_d30_an_error_in_the_middle_leaves_nothing(database: Database) -> None:
    def break_off(conn: Connection) -> None:
        keep_person(conn, "ada")
        keep_grant(conn, "ada", "cs_1")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(break_off)
    assert await database.read(count, tables.people) == 0
    assert await database.read(count, tables.grants) == 0


async def test_an_integrity_error_reaches_the_caller(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await database.write(keep_grant, "nobody", "cs_1")


async def test_reading_cannot_write(database: Database) -> None:
    with pytest.raises(StorageBusy):
        await database.read(keep_person, "ada")
    await database.write(keep_person, "ada")


async def test_reading_sees_one_state_of_the_database(database: Database, gate: threading.Event) -> None:
    begun = threading.Event()

    def count_twice(conn: Connection) -> tuple[int, int]:
        first = count(conn, tables.people)
        begun.set()
        assert gate.wait(SECONDS)
        return first, count(conn, tables.people)

    counted = asyncio.create_task(database.read(count_twice))
    await asyncio.to_thread(begun.wait, SECONDS)
    await database.write(keep_person, "ada")
    gate.set()
    assert await counted == (0, 0)


async def test_a_waiter_that_is_cancelled_harms_nobody(database: Database, begin: Begin, gate: threading.Event) -> None:
    begun = threading.Event()

    def slow(conn: Connection) -> None:
        begun.set()
        assert gate.wait(SECONDS)
        keep_person(conn, "ada")

    cancelled = asyncio.create_task(database.write(slow))
    await asyncio.to_thread(begun.wait, SECONDS)
    others = [asyncio.create_task(database.write(keep_person, f"p{number}")) for number in range(5)]
    await asyncio.sleep(0)
    cancelled.cancel()
    gate.set()
    assert [person.id for person in await asyncio.gather(*others)] == [f"p{number}" for number in range(5)]
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await database.close()
    with begin() as conn:
        assert count(conn, tables.people) == 6, "what had begun when its waiter left is committed all the same"


async def test_a09_two_tabs_open_one_order(database: Database) -> None:
    await database.write(keep_person, "ada")
    tabs = [database.write(orders.start, an_order(f"o{number}", "ada")) for number in range(20)]
    started = await asyncio.gather(*tabs)
    assert len(set(started)) == 1
    assert await database.read(count, tables.orders) == 1


async def test_c21_the_same_event_a_hundred_times_at_once_is_kept_once(database: Database) -> None:
    kept = await asyncio.gather(*(database.write(events.keep, an_event("evt_1"), NOW) for _ in range(100)))
    assert sum(kept) == 1
    assert await database.read(count, tables.events) == 1


async def test_one_identity_in_many_browsers_becomes_one_person(database: Database) -> None:
    signing_in = (database.write(people.person_of, an_identity("ada"), new_id=f"p{n}", now=NOW) for n in range(20))
    assert len(set(await asyncio.gather(*signing_in))) == 1
    assert await database.read(count, tables.people) == 1
    assert await database.read(count, tables.identities) == 1


async def test_nobody_is_signed_in_as_somebody_whose_account_is_deleted(database: Database, database_url: str) -> None:
    other = await open_database(database_url)
    for round_ in range(10):
        person, _ = await issue(database, an_identity("ada"), browser="Firefox", now=NOW)
        signing_in = [issue(database, an_identity("ada"), browser="Firefox", now=NOW) for _ in range(8)]
        await asyncio.gather(*signing_in[:round_], other.write(erase, person.id, NOW), *signing_in[round_:])
        assert await database.read(login_sessions.of_person, person.id, NOW) == ()
    await other.close()


async def test_a_person_becomes_one_customer(database: Database) -> None:
    await database.write(keep_person, "ada")
    adding = (database.write(customers.add, "ada", TEST_MODE, f"cus_{n}", NOW) for n in range(20))
    assert len(set(await asyncio.gather(*adding))) == 1


async def test_c24_no_ticket_twice_and_of_those_under_way_one_is_written(database: Database) -> None:
    await database.write(keep_person, "ada")
    customer = await database.write(customers.add, "ada", TEST_MODE, "cus_1", NOW)
    tickets = await asyncio.gather(*(database.write(customers.take_ticket, customer.id) for _ in range(20)))
    assert sorted(tickets) == list(range(1, 21))
    passed = await asyncio.gather(
        *(database.write(customers.pass_fence, customer.id, ticket, NOW) for ticket in tickets)
    )
    assert sum(passed) == 1
    assert await database.write(customers.pass_fence, customer.id, 21, NOW)


async def test_no_event_is_claimed_by_two_workers(database: Database) -> None:
    await asyncio.gather(*(database.write(events.keep, an_event(f"evt_{n}"), NOW) for n in range(40)))
    claims = await asyncio.gather(*(database.write(events.claim, TEST_MODE, NOW, 7, 60) for _ in range(12)))
    claimed = [kept.event.id for claim in claims for kept in claim]
    assert sorted(claimed) == sorted(f"evt_{n}" for n in range(40))


async def test_closing_finishes_what_was_begun(database: Database, begin: Begin) -> None:
    writing = [asyncio.create_task(database.write(keep_person, f"p{n}")) for n in range(20)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*writing)
    with begin() as conn:
        assert count(conn, tables.people) == 20
