"""Backups: whole, proved, for their owner alone, and never over something else."""

import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Connection, insert, select, text
from tests.storage.conftest import Begin
from tests.storage.makers import NOW, a_grant, keep_login_session, keep_person
from tests.support.databases import Cluster
from tests.support.running import look

from tollkeeper.errors import StorageError
from tollkeeper.storage import audit as audits
from tollkeeper.storage import backup, dump, gaps
from tollkeeper.storage.address import parse
from tollkeeper.storage.backup import back_up
from tollkeeper.storage.restore import restore
from tollkeeper.storage.schema import SchemaState, revisions, state
from tollkeeper.storage.tables import id_keys, people

PEOPLE = 300


@pytest.fixture
def full_url(database_url: str, begin: Begin) -> str:
    """A database with people, and an entry in the audit that is the last thing it knows."""
    with begin() as conn:
        rows = [{"id": f"p{n}", "name": "Zoë\n\\.\tCOPY", "created_at": NOW} for n in range(PEOPLE)]
        conn.execute(insert(people), rows)
        keep_login_session(conn, "p1", "a" * 64, created_at=NOW)
        audits.record(conn, a_grant("p1", "cs_1"), "granted", evidence="evt_1", now=NOW + 5)
    return database_url


def names(url: str) -> list[str]:
    return look(url, lambda conn: list(conn.scalars(select(people.c.name).order_by(people.c.id))))


def test_a_backup_is_the_whole_database_and_for_its_owner_alone(full_url: str, empty_url: str, tmp_path: Path) -> None:
    file = tmp_path / "today.backup"
    before = os.umask(0)
    try:
        made = back_up(full_url, file)
    finally:
        os.umask(before)
    assert (made.file, made.schema, made.tables["people"], made.tables["audit"]) == (file, revisions()[-1], PEOPLE, 1)
    assert made.size == file.stat().st_size > 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir() if "backup" in one.name] == [file.name]
    restored = restore(empty_url, file, NOW + 100)
    assert (restored.before, restored.after, restored.tables) == (revisions()[-1], revisions()[-1], made.tables)
    assert (restored.gap.since, restored.gap.until) == (NOW + 5, NOW + 100)
    assert names(empty_url) == names(full_url)
    key = select(id_keys.c.key)
    assert look(empty_url, lambda conn: conn.scalar(key)) == look(full_url, lambda conn: conn.scalar(key))


def test_i62_a_restore_ends_every_login_session(full_url: str, empty_url: str, tmp_path: Path) -> None:
    back_up(full_url, tmp_path / "today.backup")
    restore(empty_url, tmp_path / "today.backup", NOW + 100)
    assert look(empty_url, lambda conn: conn.scalar(text("SELECT count(*) FROM login_sessions"))) == 0


def test_the_audit_is_guarded_in_a_restored_database(full_url: str, empty_url: str, tmp_path: Path) -> None:
    back_up(full_url, tmp_path / "today.backup")
    restore(empty_url, tmp_path / "today.backup", NOW + 100)
    with pytest.raises(Exception, match="audit"):
        look(empty_url, lambda conn: conn.execute(text("UPDATE audit SET product = 'other'")))


def test_a_backup_is_of_one_moment_while_others_write(full_url: str, empty_url: str, tmp_path: Path) -> None:
    """Each transaction adds two people, so that an odd number would be half a transaction."""
    stop, added = threading.Event(), []

    def two_more(conn: Connection, n: int) -> None:
        keep_person(conn, f"w{n}a")
        keep_person(conn, f"w{n}b")

    def write() -> None:
        n = 0
        while not stop.is_set():
            look(full_url, two_more, n)
            added.append(n)
            n += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(added) < 3:
            stop.wait(0.01)
        before = len(added)
        made = back_up(full_url, tmp_path / "busy.backup")
        after = len(added) + 1
    finally:
        stop.set()
        writer.join()
    assert made.tables["people"] % 2 == 0
    assert PEOPLE + 2 * before <= made.tables["people"] <= PEOPLE + 2 * after
    restore(empty_url, tmp_path / "busy.backup", NOW)
    assert len(names(empty_url)) == made.tables["people"]


def test_a_copy_of_a_file_stays_of_one_moment_when_somebody_writes_between_its_pages(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "PAGES", 1)
    added: list[int] = []

    def write(stage: str, done: int, total: int | None) -> None:
        if stage == "Copying pages" and len(added) < 20:
            added.append(done)
            look(sqlite_url, keep_person, f"p{len(added)}")

    made = back_up(sqlite_url, tmp_path / "busy.backup", progress=write)
    assert (made.tables["people"], len(added)) == (0, 20)
    assert added == sorted(added)  # it never began again


def test_nothing_is_overwritten_unless_that_is_asked_for(full_url: str, tmp_path: Path) -> None:
    file = tmp_path / "today.backup"
    file.write_text("somebody's")
    with pytest.raises(StorageError, match="--force"):
        back_up(full_url, file)
    assert file.read_text() == "somebody's"
    back_up(full_url, file, force=True)
    assert back_up(full_url, tmp_path / "again.backup").tables["people"] == PEOPLE
    assert file.stat().st_size > 1000


def test_a_copy_that_differs_is_not_kept(full_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thing that is made up here: counts of the database that the copy cannot have."""
    for name in ("contents_of_sqlite", "contents_of_postgresql"):
        real = getattr(backup, name)
        seen: list[int] = []

        def once(conn: object, real: object = real, seen: list[int] = seen) -> object:
            schema, counts = real(conn)  # type: ignore[operator]
            seen.append(1)
            return schema, counts | ({"people": PEOPLE + 1} if len(seen) == 1 else {})

        monkeypatch.setattr(backup, name, once)
    with pytest.raises(StorageError, match="differs from the database, in: people"):
        back_up(full_url, tmp_path / "today.backup")
    assert not (tmp_path / "today.backup").exists()


def test_only_a_new_database_is_restored_into(full_url: str, empty_url: str, tmp_path: Path) -> None:
    file = tmp_path / "today.backup"
    back_up(full_url, file)
    with pytest.raises(StorageError, match="overwrites nothing"):
        restore(full_url, file, NOW)
    restore(empty_url, file, NOW)
    with pytest.raises(StorageError, match="--catch-up"):
        restore(empty_url, file, NOW)
    assert len(names(full_url)) == PEOPLE


def test_a_damaged_backup_is_refused(full_url: str, empty_url: str, tmp_path: Path) -> None:
    file = tmp_path / "today.backup"
    back_up(full_url, file)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(StorageError):
        restore(empty_url, file, NOW)
    assert state(empty_url) is SchemaState.MISSING


def test_i61_a_backup_of_a_newer_version_is_refused_and_one_of_an_older_upgraded(
    full_url: str, empty_url: str, begin: Begin, tmp_path: Path
) -> None:
    with begin() as conn:
        conn.execute(text("UPDATE tollkeeper_revision SET version_num = '0010'"))
        conn.execute(text("DROP TABLE gaps"))
        conn.execute(text("DROP TABLE id_keys"))
    made = back_up(full_url, tmp_path / "old.backup")
    assert (made.schema, "gaps" in made.tables) == ("0010", False)
    with begin() as conn:
        conn.execute(text("UPDATE tollkeeper_revision SET version_num = '9999'"))
    with pytest.raises(StorageError, match="newer"):
        back_up(full_url, tmp_path / "new.backup")
    restored = restore(empty_url, tmp_path / "old.backup", NOW + 100)
    assert (restored.before, restored.after) == ("0010", revisions()[-1])
    assert state(empty_url) is SchemaState.CURRENT
    assert len(names(empty_url)) == PEOPLE


def test_i61_a_newer_backup_changes_nothing(
    full_url: str, empty_url: str, tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(full_url, tmp_path / "new.backup")
    monkeypatch.setattr("tollkeeper.storage.schema.revisions", lambda: ("0001", "0002"))
    with pytest.raises(StorageError, match="newer version"):
        restore(empty_url, tmp_path / "new.backup", NOW)
    monkeypatch.undo()
    assert state(empty_url) is SchemaState.MISSING


def test_what_is_no_backup_is_refused(empty_url: str, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as conn:
        conn.execute("CREATE TABLE notes (note TEXT)")
    (tmp_path / "text").write_text("Dear diary")
    for file in (other, tmp_path / "text", tmp_path / "missing", tmp_path):
        with pytest.raises(StorageError):
            restore(empty_url, file, NOW)
    assert state(empty_url) is SchemaState.MISSING


def test_where_there_is_no_database_there_is_no_backup(empty_url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no database"):
        back_up(empty_url, tmp_path / "today.backup")
    assert not (tmp_path / "today.backup").exists()


def test_the_engines_are_not_mixed_up(sqlite_url: str, postgresql_url: str, tmp_path: Path) -> None:
    back_up(sqlite_url, tmp_path / "lite.backup")
    back_up(postgresql_url, tmp_path / "post.backup")
    with pytest.raises(StorageError, match="is a backup of SQLite, but DATABASE_URL names a PostgreSQL"):
        restore(postgresql_url, tmp_path / "lite.backup", NOW)
    with pytest.raises(StorageError, match="is a backup of PostgreSQL, but DATABASE_URL names a SQLite"):
        restore(f"sqlite:///{tmp_path / 'new.db'}", tmp_path / "post.backup", NOW)


def test_beside_another_application_only_what_is_ours_is_backed_up(
    postgresql_url: str, postgresql: Cluster, tmp_path: Path
) -> None:
    with psycopg.connect(postgresql_url) as conn:
        conn.execute('CREATE TABLE "Their Notes" (note text)')
        conn.execute('CREATE VIEW theirs AS SELECT * FROM "Their Notes"')
        conn.execute("CREATE SCHEMA elsewhere CREATE TABLE people (name text)")
    made = back_up(postgresql_url, tmp_path / "ours.backup")
    assert "Their Notes" not in made.tables
    name = f"ours_{uuid4().hex}"
    postgresql.create(name)
    try:
        restore(postgresql.url(name), tmp_path / "ours.backup", NOW)
        with psycopg.connect(postgresql.url(name)) as conn:
            there = conn.execute("SELECT count(*) FROM pg_class WHERE relname IN ('Their Notes', 'theirs')").fetchone()
        assert there == (0,)
    finally:
        postgresql.drop(name)


def test_programs_that_are_missing_or_too_old_are_reported(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StorageError, match=r"version .*, and the server 99: it cannot dump it"):
        dump.require(99)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageError, match=r"There is no pg_dump in the PATH\. Install"):
        back_up(postgresql_url, tmp_path / "today.backup")
    assert list(tmp_path.iterdir()) == []


def test_no_password_is_among_the_options_of_a_program() -> None:
    address = parse("postgresql://ada:canary%40x@db.example:5433/shop?host=%2Ftmp")
    assert not isinstance(address, Path)
    options, environment = dump._how_to_connect(address)
    assert "canary" not in " ".join(options)
    assert environment == {"PGPASSWORD": "canary@x"}
    assert "ada@db.example:5433/shop" in options[0]


def test_a_gap_is_opened_once_until_it_is_closed(conn: Connection) -> None:
    keep_person(conn, "ada")
    assert gaps.last_known(conn) == 0
    gap = gaps.open_one(conn, NOW)
    assert (gap.since, gap.until) == (0, NOW)
    assert gaps.open_one(conn, NOW + 50) == gap
    gaps.reach(conn, gap, 7)
    assert gaps.opened(conn) == gaps.Gap(gap.id, 0, NOW, 7)
    gaps.close(conn, gap, NOW + 60)
    assert gaps.opened(conn) is None
    later = gaps.open_one(conn, NOW + 90_000_000, since=NOW + 80_000_000)
    for at, covered in [
        (NOW - 1, True),
        (NOW + gaps.AFTER, True),
        (NOW + gaps.AFTER + 1, False),
        (later.since - gaps.BEFORE - 1, False),
        (later.since - gaps.BEFORE, True),
    ]:
        assert gaps.covers(conn, at) is covered
