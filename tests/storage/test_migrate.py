"""The schema: created completely or not at all, by one process at a time, and never by an older program."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import IntegrityError
from tests.storage.conftest import Begin
from tests.storage.makers import NOW, TEST_MODE, a_grant
from tests.support.databases import Cluster
from tests.support.running import look

from tollkeeper.catalog import Catalog
from tollkeeper.errors import StorageError
from tollkeeper.operating.explanations import cases
from tollkeeper.reasons import Code, because
from tollkeeper.storage import audit, findings, grants, tables
from tollkeeper.storage.address import parse
from tollkeeper.storage.database import open_database
from tollkeeper.storage.migrate import Plan, migrate, plan
from tollkeeper.storage.schema import VERSION_TABLE, SchemaState, revisions, state
from tollkeeper.storage.tables import metadata
from tollkeeper.wording.operators import sentence

HEAD = "0011"

AT = datetime(2027, 1, 15, 8, tzinfo=UTC)

MIGRATE = "import sys; from tollkeeper.storage.migrate import migrate; migrate(sys.argv[1])"
IN_THE_MIDDLE = """
import os, signal, sys, time
from pathlib import Path
from sqlalchemy import Engine, event
from tollkeeper.storage.migrate import migrate

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def pause():
    Path(sys.argv[2], "paused").touch()
    for _ in range(3000):
        if Path(sys.argv[2], "go on").exists():
            return
        time.sleep(0.01)

@event.listens_for(Engine, "before_cursor_execute")
def in_the_middle(conn, cursor, statement, parameters, context, executemany):
    if "CREATE TABLE {table}" in statement:
        {what}()

migrate(sys.argv[1])
"""


@pytest.fixture
def nothing_url(engine: str, request: pytest.FixtureRequest) -> str:
    """The address of a database that has nothing in it, not even the schema; on SQLite there is no file."""
    url: str = request.getfixturevalue(f"{engine}_nothing_url")
    return url


@pytest.fixture
def sqlite_nothing_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'new folder' / 'new.db'}"


@pytest.fixture
def sqlite_existing_nothing_url(tmp_path: Path) -> str:
    path = tmp_path / "existing.db"
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("VACUUM")
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_nothing_url(postgresql: Cluster) -> Iterator[str]:
    name = f"nothing_{uuid4().hex}"
    postgresql.create(name)
    yield postgresql.url(name)
    postgresql.drop(name)


def start(program: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen((sys.executable, "-c", program, *arguments))


def start_and_pause(url: str, folder: Path) -> subprocess.Popen[bytes]:
    """Another process in the middle of a migration; it goes on when the folder has a file that says so."""
    process = start(IN_THE_MIDDLE.format(what="pause", table="grants"), url, folder)
    for _ in range(3000):
        if (folder / "paused").exists():
            return process
        time.sleep(0.01)
    raise TimeoutError


def test_from_nothing_and_then_nothing_more_to_do(nothing_url: str) -> None:
    assert state(nothing_url) is SchemaState.MISSING
    assert migrate(nothing_url) == (None, HEAD)
    assert state(nothing_url) is SchemaState.CURRENT
    assert migrate(nothing_url) == (HEAD, HEAD)
    assert state(nothing_url) is SchemaState.CURRENT


def test_migrations_lead_to_the_tables_that_the_queries_use(conn: Connection) -> None:
    numbers_rows_without_default = conn.dialect.name == "sqlite"  # which Alembic takes for a difference
    context = MigrationContext.configure(
        conn,
        opts={
            "version_table": VERSION_TABLE,
            "compare_type": True,
            "compare_server_default": not numbers_rows_without_default,
        },
    )
    assert compare_metadata(context, metadata) == []


def test_indexes_are_about_the_rows_that_the_tables_say(sqlite_url: str) -> None:
    """Asked of SQLite, for PostgreSQL keeps the same conditions in other words."""

    def conditions(conn: Connection) -> dict[str | None, str]:
        made = [index for table in metadata.tables for index in inspect(conn).get_indexes(table)]
        return {index["name"]: str(index["dialect_options"].get("sqlite_where", "")) for index in made}

    indexes = [index for table in metadata.sorted_tables for index in table.indexes]
    # SQLAlchemy passes over those of expressions.
    said = {index.name: index.info.get("where", "") for index in indexes if index.name != "ix_people_email"}
    made = look(sqlite_url, conditions)
    assert {name: made[name] for name in said} == said
    assert any(said.values())


def test_revisions_are_the_numbers_in_the_names_of_the_files() -> None:
    config = Config()
    config.set_main_option("script_location", "tollkeeper.storage:migrations")
    scripts = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert revisions() == tuple(reversed(scripts))


def test_to_open_a_file_takes_neither_alembic_nor_a_driver_for_postgresql(sqlite_url: str) -> None:
    asked = (
        "import asyncio, sys; from tollkeeper.storage.database import open_database;"
        f"asyncio.run(asyncio.wait_for(open_database({sqlite_url!r}), 20));"
        "print(*{'alembic', 'psycopg'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=30, check=False)
    assert (ran.stdout.strip(), ran.returncode) == ("", 0), ran.stderr


def test_constraints_have_the_names_that_the_tables_give_them(conn: Connection) -> None:
    found = inspect(conn)
    for table in metadata.sorted_tables:
        named = {found.get_pk_constraint(table.name)["name"]}
        for listed in (found.get_unique_constraints, found.get_foreign_keys, found.get_check_constraints):
            named |= {constraint["name"] for constraint in listed(table.name)}
        assert named == {str(constraint.name) for constraint in table.constraints}


@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "sqlite_existing"])
def test_i60_of_two_that_migrate_at_once_one_does(nothing_url: str, tmp_path: Path) -> None:
    first = start_and_pause(nothing_url, tmp_path)
    second = start(MIGRATE, nothing_url)
    time.sleep(0.5)
    (tmp_path / "go on").touch()
    assert (first.wait(60), second.wait(60)) == (0, 0)
    assert migrate(nothing_url) == (HEAD, HEAD)


def test_i60_a_file_that_was_made_meanwhile_is_not_overwritten(sqlite_nothing_url: str, tmp_path: Path) -> None:
    slow = start_and_pause(sqlite_nothing_url, tmp_path)
    migrate(sqlite_nothing_url)
    (path,) = (tmp_path / "new folder").glob("*.db")
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("INSERT INTO people (id, name, created_at) VALUES ('p1', 'Ada', 0)")
        conn.commit()
    (tmp_path / "go on").touch()
    assert slow.wait(60) == 0
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT name FROM people").fetchall() == [("Ada",)]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_i61_killed_in_the_middle_nothing_has_changed(nothing_url: str) -> None:
    assert start(IN_THE_MIDDLE.format(what="die", table="grants"), nothing_url).wait(60) == -signal.SIGKILL
    assert state(nothing_url) is SchemaState.MISSING
    assert migrate(nothing_url) == (None, HEAD)


def test_i61_killed_in_the_middle_of_an_upgrade_everything_is_as_before(nothing_url: str) -> None:
    make_as_of(nothing_url, "0010")
    look(nothing_url, lambda conn: conn.execute(text(KEPT_BY_THE_FIRST[0])))
    assert start(IN_THE_MIDDLE.format(what="die", table="gaps"), nothing_url).wait(60) == -signal.SIGKILL
    assert state(nothing_url) is SchemaState.OLDER
    assert not look(nothing_url, lambda conn: inspect(conn).has_table("id_keys"))
    assert migrate(nothing_url) == ("0010", HEAD)
    assert look(nothing_url, lambda conn: conn.scalar(text("SELECT name FROM people"))) == "Ada"


def test_i61_it_is_said_what_a_migration_will_do(nothing_url: str) -> None:
    first = plan(nothing_url, AT)
    assert (first.before, first.after, first.backup) == (None, HEAD, None)
    assert [revision for revision, _ in first.steps] == list(revisions())
    make_as_of(nothing_url, "0009")
    due = plan(nothing_url, AT)
    assert (due.before, due.after) == ("0009", HEAD)
    assert [revision for revision, _ in due.steps] == ["0010", "0011"]
    assert all(adds.endswith(".") for _, adds in due.steps)
    path = parse(nothing_url)
    assert due.backup == (path.with_name("new.db.0009.20270115T080000Z.backup") if isinstance(path, Path) else None)
    migrate(nothing_url)
    assert plan(nothing_url, AT) == Plan(HEAD, HEAD, (), None)


def test_i61_a_backup_is_kept_of_a_file_before_it_is_upgraded(sqlite_nothing_url: str) -> None:
    make_as_of(sqlite_nothing_url, "0010")
    look(sqlite_nothing_url, lambda conn: conn.execute(text(KEPT_BY_THE_FIRST[0])))
    keep = plan(sqlite_nothing_url, AT).backup
    assert keep is not None
    assert migrate(sqlite_nothing_url, keep=keep) == ("0010", HEAD)
    assert state(f"sqlite:///{keep}") is SchemaState.OLDER
    assert look(f"sqlite:///{keep}", lambda conn: conn.scalar(text("SELECT name FROM people"))) == "Ada"
    assert stat.S_IMODE(keep.stat().st_mode) == 0o600


def test_i61_without_its_backup_a_file_is_not_upgraded(sqlite_nothing_url: str) -> None:
    make_as_of(sqlite_nothing_url, "0010")
    keep = plan(sqlite_nothing_url, AT).backup
    assert keep is not None
    keep.write_text("somebody's")
    with pytest.raises(StorageError, match="exists"):
        migrate(sqlite_nothing_url, keep=keep)
    assert state(sqlite_nothing_url) is SchemaState.OLDER
    assert keep.read_text() == "somebody's"


@pytest.mark.anyio
async def test_i61_a_newer_schema_is_refused(database_url: str, begin: Begin) -> None:
    with begin() as conn:
        conn.execute(text("UPDATE tollkeeper_revision SET version_num = '9999'"))
    assert state(database_url) is SchemaState.NEWER
    with pytest.raises(StorageError, match="newer"):
        migrate(database_url)
    with pytest.raises(StorageError, match="newer"):
        plan(database_url, AT)
    with pytest.raises(StorageError, match="newer"):
        await open_database(database_url)
    with begin() as conn:
        assert conn.scalar(text("SELECT version_num FROM tollkeeper_revision")) == "9999"


@pytest.mark.anyio
async def test_an_empty_database_says_what_to_do(nothing_url: str) -> None:
    with pytest.raises(StorageError, match="tollkeeper migrate"):
        await open_database(nothing_url)


def test_a_migration_that_fails_is_rolled_back(postgresql_nothing_url: str) -> None:
    with psycopg.connect(postgresql_nothing_url) as conn:
        conn.execute("CREATE TABLE grants (somebody_elses text)")
    with pytest.raises(StorageError, match="grants"):
        migrate(postgresql_nothing_url)
    with psycopg.connect(postgresql_nothing_url) as conn:
        tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert tables == [("grants",)]


def test_a_new_file_is_for_its_owner_alone_under_any_umask(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    before = os.umask(0)
    try:
        migrate(f"sqlite:///{path}")
    finally:
        os.umask(before)
    assert [file.name for file in tmp_path.iterdir()] == ["new.db"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"dear diary", b"SQLite format 3\x00" + b"\xff" * 4080])
def test_f43_what_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keeper.db"
    path.write_bytes(content)
    with pytest.raises(StorageError):
        migrate(f"sqlite:///{path}")
    assert path.read_bytes() == content


def test_a_file_of_another_application_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keeper.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipes (name)")
    with pytest.raises(StorageError, match="another application"):
        migrate(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("recipes",)]


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be made"):
        migrate(f"sqlite:///{tmp_path / 'file' / 'keeper.db'}")


def test_what_an_earlier_version_kept_is_there_after_the_migration(nothing_url: str) -> None:
    make_as_of(nothing_url, "0001")
    assert state(nothing_url) is SchemaState.OLDER
    look(nothing_url, lambda conn: [conn.execute(text(statement)) for statement in KEPT_BY_THE_FIRST])
    assert migrate(nothing_url) == ("0001", HEAD)
    (customer,) = look(nothing_url, lambda conn: conn.execute(tables.customers.select()).all())
    assert (customer.external_id, customer.last_ticket, customer.replaced_at) == ("cus_1", 7, None)
    assert customer.told_email == "ada@example.org"
    (grant,) = look(nothing_url, lambda conn: conn.execute(tables.grants.select()).all())
    assert (grant.source, grant.amount, grant.currency, grant.withheld) == ("cs_1", 990, "eur", None)
    assert grant.reason == because(Code.WRITTEN, words="paid")
    (session,) = look(nothing_url, lambda conn: conn.execute(tables.login_sessions.select()).all())
    assert (session.id, session.host, session.parent_id) == ("log_1", "", None)


def test_what_was_written_before_reasons_had_codes_stays_readable(nothing_url: str) -> None:
    make_as_of(nothing_url, "0006")
    look(nothing_url, lambda conn: [conn.execute(text(statement)) for statement in KEPT_BY_THE_SIXTH])
    assert migrate(nothing_url) == ("0006", HEAD)
    shared = because(Code.OPERATOR_REVOKED, note="Shared: 100 % sure.")
    given = {one.source: one for one in look(nothing_url, lambda conn: grants.in_mode(conn, "ada", live=False))}
    assert {source: (sentence(one.reason), one.withheld) for source, one in given.items()} == {
        "cs_1": ('Paid in full; "disputed" by the buyer\'s bank.', None),
        "cs_2": (
            "Revoked by an operator: Shared: 100 % sure.",
            because(Code.OPERATOR_REVOKED, note="Shared: 100 % sure."),
        ),
        "cs_3": ("The account was deleted.", because(Code.ACCOUNT_DELETED)),
        "grt_1": ("Granted by an operator: Refunded in full.", None),
    }
    assert given["grt_1"].reason == because(Code.OPERATOR_GRANTED, note="Refunded in full.")
    assert given["cs_2"].reason == shared
    found = {one.source: one for one in look(nothing_url, lambda conn: findings.of_person(conn, "ada", False, 10))}
    assert {source: (sentence(one.reason), one.remarks, one.invoices) for source, one in found.items()} == {
        "cs_1": ("Paid in full.", (), ()),
        "sub_1": ("Paid until 1 January 1970.", (because(Code.WRITTEN, words="No product has its price."),), ()),
    }
    remarked = look(nothing_url, lambda conn: findings.remarked(conn, TEST_MODE.mode, 10))
    (case,) = cases((), (), Catalog((), "stripe"), remarked=remarked)
    assert (case.kind, case.payment, case.reason) == ("unknown price", "sub_1", "No product has its price.")
    reported = [
        (one.change, sentence(one.reason)) for one in look(nothing_url, lambda conn: audit.of_person(conn, "ada"))
    ]
    assert reported == [
        ("granted", "Paid in full."),
        ("granted", "Granted by an operator: Why not?"),
        ("revoked", "Revoked by an operator: Shared: 100 % sure."),
        ("revoked", "The account was deleted."),
    ]


# SQLite has no TRUNCATE.
REWRITING = ["UPDATE audit SET reason = 'other'", "UPDATE audit SET at = 9", "DELETE FROM audit"]


def test_i08_the_audit_is_guarded_as_before_once_its_reasons_were_rewritten(nothing_url: str) -> None:
    make_as_of(nothing_url, "0006")
    look(nothing_url, lambda conn: [conn.execute(text(statement)) for statement in KEPT_BY_THE_SIXTH])
    migrate(nothing_url)
    before = look(nothing_url, lambda conn: audit.of_person(conn, "ada"))
    for rewriting in REWRITING if "sqlite" in nothing_url else [*REWRITING, "TRUNCATE audit"]:
        with pytest.raises(IntegrityError, match="append-only"):
            look(nothing_url, lambda conn, rewriting=rewriting: conn.execute(text(rewriting)))
    assert look(nothing_url, lambda conn: audit.of_person(conn, "ada")) == before != ()
    look(nothing_url, lambda conn: audit.record(conn, a_grant("ada", "cs_1"), "ended", evidence="evt_1", now=NOW))
    assert len(look(nothing_url, lambda conn: audit.of_person(conn, "ada"))) == len(before) + 1


def make_as_of(url: str, revision: str) -> None:
    """Make a database as an earlier version made it."""
    if isinstance(path := parse(url), Path):
        path.parent.mkdir(parents=True)
        sqlite3.connect(path).close()

    def upgrade(conn: Connection) -> None:
        config = Config(attributes={"connection": conn, "version_table": VERSION_TABLE})
        config.set_main_option("script_location", "tollkeeper.storage:migrations")
        command.upgrade(config, revision)

    look(url, upgrade)


KEPT_BY_THE_FIRST = (
    "INSERT INTO people (id, name, email, created_at) VALUES ('ada', 'Ada', 'ada@example.org', 0)",
    "INSERT INTO login_sessions (id, token_hash, person_id, issuer, browser, created_at, expires_at)"
    " VALUES ('log_1', 'a', 'ada', 'https://id.example', 'Firefox', 0, 9)",
    "INSERT INTO customers (provider, account, live, external_id, person_id, created_at, last_ticket)"
    " VALUES ('stripe', 'acct_1', false, 'cus_1', 'ada', 0, 7)",
    "INSERT INTO grants (person_id, product, provider, account, live, source, since, reason, amount, currency)"
    " VALUES ('ada', 'pro', 'stripe', 'acct_1', false, 'cs_1', 0, 'paid', 990, 'eur')",
)

GRANT_AS_OF_THE_SIXTH = (
    "INSERT INTO grants (person_id, product, provider, account, live, source, since, reason, revoked_at, withheld)"
    " VALUES ('ada', 'pro', '{}', '', false, '{}', 0, '{}', {}, {})"
)
FINDING_AS_OF_THE_SIXTH = (
    "INSERT INTO findings (provider, account, live, source, customer_id, verdict, reason, amount, refunded, currency,"
    " bought_at, found_at, standing, remark)"
    " VALUES ('stripe', '', false, '{}', 1, 'granted', '{}', 990, 0, 'eur', 0, 0, {}, {})"
)
AUDIT_AS_OF_THE_SIXTH = (
    "INSERT INTO audit (at, person_id, change, product, provider, account, live, source, reason, evidence)"
    " VALUES ({}, 'ada', '{}', 'pro', 'stripe', '', false, 'cs_1', '{}', 'evt_1')"
)
KEPT_BY_THE_SIXTH = (
    "INSERT INTO people (id, name, created_at) VALUES ('ada', 'Ada', 0)",
    "INSERT INTO customers (provider, account, live, external_id, person_id, created_at, last_ticket, written_ticket)"
    " VALUES ('stripe', '', false, 'cus_1', 'ada', 0, 0, 0)",
    GRANT_AS_OF_THE_SIXTH.format("stripe", "cs_1", "Paid in full; \"disputed\" by the buyer''s bank.", "NULL", "NULL"),
    GRANT_AS_OF_THE_SIXTH.format(
        "stripe", "cs_2", "Revoked by an operator\\: Shared\\: 100 % sure.", 9, "'Shared\\: 100 % sure.'"
    ),
    GRANT_AS_OF_THE_SIXTH.format("stripe", "cs_3", "The account was deleted.", 9, "'The account was deleted.'"),
    GRANT_AS_OF_THE_SIXTH.format("operator", "grt_1", "Granted by an operator\\: Refunded in full.", "NULL", "NULL"),
    FINDING_AS_OF_THE_SIXTH.format("cs_1", "Paid in full.", "NULL", "NULL"),
    FINDING_AS_OF_THE_SIXTH.format("sub_1", "Paid until 1 January 1970.", "'active'", "'No product has its price.'"),
    AUDIT_AS_OF_THE_SIXTH.format(0, "granted", "Paid in full."),
    AUDIT_AS_OF_THE_SIXTH.format(1, "granted", "Granted by an operator\\: Why not?"),
    AUDIT_AS_OF_THE_SIXTH.format(2, "revoked", "Revoked by an operator\\: Shared\\: 100 % sure."),
    AUDIT_AS_OF_THE_SIXTH.format(3, "revoked", "The account was deleted."),
)
