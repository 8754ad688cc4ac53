"""Special cases of PostgreSQL: a server that restarts, and transactions that must be repeated."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from psycopg import sql
from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.exc import ProgrammingError
from tests.storage.makers import NOW, TEST_MODE, an_event, keep_person
from tests.support.databases import TEMPLATE, Cluster, new_cluster
from tests.support.trouble import name_of, tell

from tollkeeper.errors import StorageBusy
from tollkeeper.storage import events, people, tables
from tollkeeper.storage.database import Database, open_database
from tollkeeper.storage.migrate import migrate

pytestmark = pytest.mark.anyio

SECONDS = 10


@pytest.fixture
async def database(postgresql_url: str) -> AsyncIterator[Database]:
    opened = await open_database(postgresql_url)
    yield opened
    await opened.close()


@pytest.fixture
def own_cluster(postgresql: Cluster) -> Iterator[Cluster]:
    """A server that a test may stop. (That of all tests is asked for first, for it knows if there can be one.)"""
    cluster = new_cluster()
    cluster.create(TEMPLATE)
    migrate(cluster.url(TEMPLATE))
    yield cluster
    cluster.remove()


def setting(conn: Connection, name: str) -> object:
    return conn.exec_driver_sql(f"SHOW {name}").scalar()


async def test_d32_commits_wait_for_the_disk(database: Database) -> None:
    assert await database.write(setting, "synchronous_commit") == "on"


@pytest.mark.parametrize("name", ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"])
async def test_nothing_waits_for_ever(database: Database, name: str) -> None:
    assert await database.write(setting, name) != "0"


async def test_the_address_has_the_last_word_on_settings(postgresql_url: str) -> None:
    opened = await open_database(f"{postgresql_url}&options=-c%20statement_timeout%3D7s&connect_timeout=3")
    assert await opened.write(setting, "statement_timeout") == "7s"
    assert await opened.write(setting, "lock_timeout") == "5s"
    await opened.close()


async def test_f44_after_a_restart_everything_works_again(own_cluster: Cluster) -> None:
    opened = await open_database(own_cluster.url(TEMPLATE))
    try:
        await opened.write(keep_person, "ada")
        await asyncio.gather(*(opened.find_visitor("x", live=False, now=NOW + n) for n in range(20)))
        await asyncio.to_thread(own_cluster.stop)
        for attempt in (
            opened.write(keep_person, "bob"),
            opened.read(people.find, "ada"),
            opened.find_visitor("x", live=False, now=NOW),
        ):
            with pytest.raises(StorageBusy):
                await attempt
        await asyncio.to_thread(own_cluster.start)
        async with asyncio.timeout(30):
            await until_it_answers(opened)
        assert await opened.read(people.find, "ada") is not None
        await opened.write(keep_person, "bob")
    finally:
        await opened.close()


async def test_f44_a_restart_that_nobody_saw_costs_nobody_an_answer(own_cluster: Cluster) -> None:
    opened = await open_database(own_cluster.url(TEMPLATE))
    try:
        await asyncio.gather(*(opened.find_visitor("x", live=False, now=NOW + n) for n in range(20)))
        await opened.write(keep_person, "ada")
        await asyncio.to_thread(own_cluster.stop)
        await asyncio.to_thread(own_cluster.start)
        assert [await opened.find_visitor("x", live=False, now=NOW) for _ in range(5)] == [None] * 5
        assert await opened.read(people.find, "ada") is not None
    finally:
        await opened.close()


async def test_f42_a_standby_is_read_and_takes_nothing_until_it_is_promoted(own_cluster: Cluster) -> None:
    opened = await open_database(own_cluster.url(TEMPLATE))
    try:
        await opened.write(keep_person, "ada")
        await asyncio.to_thread(own_cluster.demote)
        for _ in range(2):
            assert await opened.read(people.find, "ada") is not None
            with pytest.raises(StorageBusy, match="read-only"):
                await opened.write(keep_person, "bob")
        await asyncio.to_thread(own_cluster.promote)
        await opened.write(keep_person, "bob")
    finally:
        await opened.close()


async def test_f42_anybody_who_lets_nobody_write_is_obeyed(postgresql_url: str) -> None:
    """As hosts do when the disk is nearly full."""
    forbid = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on")
    tell(postgresql_url, forbid.format(name_of(postgresql_url)))
    opened = await open_database(postgresql_url)
    try:
        for _ in range(2):
            assert await opened.read(people.find, "ada") is None
            with pytest.raises(StorageBusy, match="read-only"):
                await opened.write(keep_person, "ada")
    finally:
        await opened.close()


async def until_it_answers(opened: Database) -> None:
    for _ in range(300):
        try:
            await opened.find_visitor("x", live=False, now=NOW)
        except StorageBusy:
            await asyncio.sleep(0.1)
        else:
            return


async def test_i57_a_server_that_is_not_there_is_reported_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StorageBusy) as refused:
        await open_database(f"postgresql://ada:canary@/toll?host={tmp_path}")
    assert "canary" not in str(refused.value)


async def test_f45_a_deadlock_runs_the_whole_transaction_again(database: Database) -> None:
    await database.write(keep_person, "ada")
    await database.write(keep_person, "bob")
    both_hold_one = threading.Barrier(2)
    runs: list[str] = []

    def rename(conn: Connection, first: str, second: str) -> None:
        runs.append(first)
        conn.execute(update(tables.people).where(tables.people.c.id == first).values(name=f"{first} first"))
        if len(runs) <= 2:
            both_hold_one.wait(SECONDS)
        conn.execute(update(tables.people).where(tables.people.c.id == second).values(name=f"{first} first"))

    await asyncio.gather(database.write(rename, "ada", "bob"), database.write(rename, "bob", "ada"))
    assert len(runs) == 3
    ada, bob = await database.read(people.find, "ada"), await database.read(people.find, "bob")
    assert ada is not None
    assert bob is not None
    assert ada.name == bob.name


async def test_f45_a_serialization_failure_runs_the_whole_transaction_again(database: Database) -> None:
    both_have_counted = threading.Barrier(2)
    runs: list[str] = []

    def add_one_more(conn: Connection, id: str) -> None:
        runs.append(id)
        conn.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
        counted = conn.execute(select(func.count()).select_from(tables.people)).scalar_one()
        if len(runs) <= 2:
            both_have_counted.wait(SECONDS)
        conn.execute(insert(tables.people).values(id=id, name=str(counted), created_at=NOW))

    await asyncio.gather(database.write(add_one_more, "p1"), database.write(add_one_more, "p2"))
    assert len(runs) == 3
    names = [await database.read(people.find, id) for id in ("p1", "p2")]
    assert {person.name for person in names if person} == {"0", "1"}


async def test_f45_a_transaction_that_never_gets_through_is_given_up(database: Database) -> None:
    runs: list[int] = []

    def fail(conn: Connection) -> None:
        runs.append(1)
        keep_person(conn, "ada")
        conn.execute(text("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$"))

    with pytest.raises(StorageBusy):
        await database.write(fail)
    assert len(runs) == 3
    assert await database.read(people.find, "ada") is None


async def test_a_mistake_in_a_query_is_not_called_a_busy_server(database: Database) -> None:
    with pytest.raises(ProgrammingError):
        await database.write(lambda conn: conn.execute(text("SELECT nonsense")))


async def test_a_lock_held_too_long_is_reported(database: Database) -> None:
    def wait_for_lock(conn: Connection) -> None:
        conn.execute(text("SET LOCAL lock_timeout = '50ms'"))
        conn.execute(text("LOCK TABLE people"))

    locked, done = threading.Event(), threading.Event()

    def hold_lock(conn: Connection) -> None:
        conn.execute(text("LOCK TABLE people"))
        locked.set()
        assert done.wait(SECONDS)

    holding = asyncio.create_task(database.write(hold_lock))
    await asyncio.to_thread(locked.wait, SECONDS)
    with pytest.raises(StorageBusy):
        await database.write(wait_for_lock)
    done.set()
    await holding


async def test_workers_do_not_wait_for_each_others_claims(database: Database) -> None:
    for number in range(2):
        await database.write(events.keep, an_event(f"evt_{number}"), NOW)
    claimed, done = threading.Event(), threading.Event()

    def claim_slowly(conn: Connection) -> list[str]:
        mine = events.claim(conn, TEST_MODE, NOW, 1, 60)
        claimed.set()
        assert done.wait(SECONDS)
        return [kept.event.id for kept in mine]

    slow = asyncio.create_task(database.write(claim_slowly))
    await asyncio.to_thread(claimed.wait, SECONDS)
    (other,) = await database.write(events.claim, TEST_MODE, NOW, 5, 60)
    done.set()
    assert (await slow, other.event.id) == (["evt_0"], "evt_1")
