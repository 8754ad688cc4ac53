"""Databases that are locked, full, read-only or out of reach, by real means of the system."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.support.processes import Installation, Process, running

from tollkeeper.storage.address import parse
from tollkeeper.storage.tables import metadata

TABLES = [sql.Identifier(table.name) for table in metadata.sorted_tables]

# What PostgreSQL says when its disk is full: https://www.postgresql.org/docs/current/errcodes-appendix.html
FULL_DISK = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$
"""
FULL_DISK_FOR = "CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {} FOR EACH STATEMENT EXECUTE FUNCTION full_disk()"

# Root may write despite the permissions, unless it gives up that right.
OBEDIENT = """
import os, sys
command = [sys.executable, "-m", "tollkeeper", *sys.argv[1:]]
if os.geteuid() == 0:
    command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-all", *command]
os.execvp(command[0], command)
"""


def file_of(database_url: str) -> Path | None:
    """The file of a SQLite database; None for PostgreSQL."""
    address = parse(database_url)
    return address if isinstance(address, Path) else None


def tell(database_url: str, *statements: LiteralString | sql.Composed) -> None:
    """Run a statement about a database of PostgreSQL, connected to another one."""
    with psycopg.connect(make_conninfo(database_url, dbname="postgres"), autocommit=True) as conn:
        for statement in statements:
            conn.execute(sql.SQL(statement) if isinstance(statement, str) else statement)


def name_of(database_url: str) -> sql.Identifier:
    return sql.Identifier(str(conninfo_to_dict(database_url)["dbname"]))


@contextmanager
def locked(database_url: str, mode: LiteralString = "SHARE") -> Iterator[None]:
    """Lock the database, as during another long write. In mode ACCESS EXCLUSIVE, PostgreSQL blocks readers, too."""
    if file := file_of(database_url):
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
    else:
        with psycopg.connect(database_url) as other:
            _lock(other, sql.SQL("LOCK TABLE {} IN {} MODE").format(sql.SQL(", ").join(TABLES), sql.SQL(mode)))
            yield


def _lock(conn: "psycopg.Connection[Any]", locking: sql.Composed) -> None:
    """Lock, again if the app was using the tables in another order."""
    try:
        conn.execute(locking)
    except psycopg.errors.DeadlockDetected:
        conn.rollback()
        _lock(conn, locking)


@contextmanager
def full(database_url: str, process: Process) -> Iterator[None]:
    """Fill the disk: a process with a SQLite database can write to no file, not even to its log."""
    if file_of(database_url):
        _, most = resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        yield
        resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE, (most, most))
    else:
        with psycopg.connect(database_url) as conn:
            conn.execute(FULL_DISK)
            for table in TABLES:
                conn.execute(sql.SQL(FULL_DISK_FOR).format(table))
        yield
        with psycopg.connect(database_url) as conn:
            conn.execute("DROP FUNCTION full_disk CASCADE")


@contextmanager
def serving_read_only(app: Installation) -> Iterator[Process]:
    """Serve the app from a database that it may not write."""
    url = app.settings["DATABASE_URL"]
    if file := file_of(url):
        file.chmod(0o400)
        with running("-c", OBEDIENT, "serve", f"--port={app.port}", folder=app.folder, port=app.port) as process:
            yield process
        file.chmod(0o600)
    else:
        tell(url, sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name_of(url)))
        with app.serving() as process:
            yield process
        tell(url, sql.SQL("ALTER DATABASE {} RESET ALL").format(name_of(url)))


@contextmanager
def out_of_reach(database_url: str) -> Iterator[None]:
    """Take the database away: move the SQLite file, or let PostgreSQL refuse and end all connections."""
    if file := file_of(database_url):
        away = file.rename(file.with_name("elsewhere"))
        yield
        away.rename(file)
    else:
        name = name_of(database_url)
        tell(
            database_url,
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name),
            sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}").format(
                sql.Literal(name.as_string().strip('"'))
            ),
        )
        yield
        tell(database_url, sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
