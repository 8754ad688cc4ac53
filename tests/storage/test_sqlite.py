"""Special cases of SQLite: one file, and what can happen to it."""

import asyncio
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.storage.makers import NOW, an_event, keep_login_session, keep_person
from tests.support.running import eventually

from tollkeeper.errors import StorageBusy, StorageError
from tollkeeper.storage import events, people, sqlite
from tollkeeper.storage.address import parse
from tollkeeper.storage.database import Database, open_database

pytestmark = pytest.mark.anyio

TOKEN = "a" * 64


@pytest.fixture
def path(sqlite_url: str) -> Path:
    parsed = parse(sqlite_url)
    assert isinstance(parsed, Path)
    return parsed


@pytest.fixture
async def database(sqlite_url: str) -> AsyncIterator[Database]:
    opened = await open_database(sqlite_url)
    yield opened
    await opened.close()


def pragma(conn: Connection, name: str) -> object:
    return conn.exec_driver_sql(f"PRAGMA {name}").scalar()


def set_pragma(conn: Connection, name: str, value: int) -> None:
    conn.exec_driver_sql(f"PRAGMA {name} = {value}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process in the middle of a write."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def test_the_writer_is_safe_and_patient(database: Database) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000, "query_only": 0}
    assert {name: await database.write(pragma, name) for name in wanted} == wanted


async def test_readers_are_for_reading(database: Database) -> None:
    wanted = {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000, "query_only": 1}
    assert {name: await database.read(pragma, name) for name in wanted} == wanted


async def test_nobody_else_may_read_the_files(database: Database, path: Path) -> None:
    await database.write(keep_person, "ada")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {path.name: 0o600, f"{path.name}-wal": 0o600, f"{path.name}-shm": 0o600}


async def test_d32_what_was_acknowledged_is_in_the_files(database: Database, path: Path, tmp_path: Path) -> None:
    ada = await database.write(keep_person, "ada")
    copied = tmp_path / "copy"
    copied.mkdir()
    for file in (path, path.with_name(f"{path.name}-wal")):
        shutil.copy(file, copied)
    after_power_cut = await open_database(f"sqlite:///{copied / path.name}")
    assert await after_power_cut.read(people.find, "ada") == ada
    await after_power_cut.close()


async def test_f41_a_busy_file_is_waited_for_then_reported(database: Database, path: Path) -> None:
    await database.write(set_pragma, "busy_timeout", 50)
    with locked(path), pytest.raises(StorageBusy, match="locked"):
        await database.write(events.keep, an_event("evt_1"), NOW)
    assert await database.write(events.keep, an_event("evt_1"), NOW)


async def test_f42_on_a_full_disk_nothing_is_acknowledged_and_the_gate_goes_on(database: Database) -> None:
    await database.write(keep_person, "ada")
    await database.write(keep_login_session, "ada", TOKEN)
    pages = await database.write(pragma, "page_count")
    assert isinstance(pages, int)
    await database.write(set_pragma, "max_page_count", pages)
    with pytest.raises(StorageBusy, match="out of disk space"):
        await database.write(keep_person, "x" * 40_000)
    assert await database.find_visitor(TOKEN, live=False, now=NOW) is not None
    await database.write(set_pragma, "max_page_count", 10 * pages)
    await database.write(keep_person, "x" * 40_000)


async def test_f42_a_write_to_a_read_only_file_is_not_acknowledged(database: Database) -> None:
    await database.write(set_pragma, "query_only", 1)
    with pytest.raises(StorageBusy, match="read-only"):
        await database.write(events.keep, an_event("evt_1"), NOW)


def test_f43_connecting_never_makes_a_file(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        sqlite.connect(tmp_path / "new.db", read_only=False)
    assert files_in(tmp_path) == {}


def files_in(folder: Path) -> dict[str, bytes | None]:
    return {file.name: file.read_bytes() if file.is_file() else None for file in folder.iterdir()}


def damage(path: Path, kind: str) -> None:
    whole = path.read_bytes()
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("dear diary")
        case "truncated":
            path.write_bytes(whole[:9000])
        case "scribbled":
            path.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16384:])
        case "overwritten":
            with path.open("r+b") as file:
                file.write(b"\xff" * len(whole))
        case "folder":
            path.unlink()
            path.mkdir()


async def test_what_is_committed_while_closing_is_acknowledged(database: Database, path: Path) -> None:
    """Although the event loop notices only when the log next to the file is gone, with the last connection."""
    writing = asyncio.create_task(database.write(keep_person, "ada"))
    ending = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    eventually(lambda: not Path(f"{path}-wal").exists())
    await ending
    assert (await writing).id == "ada"


async def test_f43_a_missing_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="tollkeeper migrate"):
        await open_database(f"sqlite:///{tmp_path / 'new.db'}")
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "scribbled", "folder"])
async def test_f43_a_damaged_file_is_refused_and_left_as_it_is(path: Path, kind: str) -> None:
    damage(path, kind)
    before = files_in(path.parent)
    with pytest.raises(StorageError):
        await open_database(f"sqlite:///{path}")
    assert files_in(path.parent)[path.name] == before[path.name]


async def test_f43_damage_while_running_is_reported(database: Database, path: Path) -> None:
    await database.write(keep_person, "ada")
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(path, "overwritten")
    with pytest.raises(StorageError, match="backup"):
        await database.read(people.find, "ada")
