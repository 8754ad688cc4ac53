"""Looks at a database as an operator would: is it there, whole, current, writable, and is there space?"""

import shutil
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from tollkeeper.errors import StorageBusy, StorageError
from tollkeeper.model.checks import CheckResult, Examination, clock_reading, kind_table
from tollkeeper.storage import sqlite
from tollkeeper.storage.address import parse
from tollkeeper.storage.schema import VERSION_TABLE, SchemaState, revision, revisions, state_of, transaction

WHAT = "database"
MIB = 2**20
# SQLite's log may grow by some tens of megabytes while a long reader holds it, and then a write fails.
LEAST_SPACE = 50 * MIB
LITTLE_SPACE = 500 * MIB

KINDS = kind_table(
    ok={
        "database_ok": "{kind} answers, can be written to, and has this version's schema ({revision}).",
        "disk_ok": "{free} MiB are free where the database is.",
    },
    warnings={
        "disk_nearly_full": (
            "Only {free} MiB are free at {folder}, where the database is.",
            "Free some space, or move the database to a larger disk.",
        ),
    },
    faults={
        "database_folder_missing": (
            "The folder {folder} does not exist, in which DATABASE_URL has the database.",
            "Correct DATABASE_URL (a relative path starts in the folder of --folder), or make a new database there:"
            " `tollkeeper migrate`.",
        ),
        "database_missing": (
            "There is no database at {where}.",
            "Make one with `tollkeeper migrate`. If there was one, correct DATABASE_URL or find the file first: a new"
            " database knows nobody.",
        ),
        "database_unusable": ("{trouble}", "Restore a backup, or correct DATABASE_URL."),
        "database_unreachable": (
            "{trouble}",
            "Start the database server, and correct DATABASE_URL: host, port, user, password and name.",
        ),
        "database_not_writable": (
            "The database can be read but not written: {trouble}",
            "SQLite: let the user that runs Tollkeeper write the file and its folder (chown, chmod u+w), on a disk that"
            " is not mounted read-only. PostgreSQL: name the primary server in DATABASE_URL, and see that"
            " default_transaction_read_only is off and that the role may update the tables.",
        ),
        "schema_older": (
            "The database has the schema of an earlier version: {found}, and this version needs {needed}.",
            "Stop the server, take a backup, and run `tollkeeper migrate`.",
        ),
        "schema_newer": (
            "A newer version of Tollkeeper has written the database: its schema is {found}, this version's {needed}.",
            "Run that version again, or restore the backup from before the upgrade.",
        ),
        "disk_full": (
            "Only {free} MiB are free at {folder}, where the database is: writing will fail soon.",
            "Free some space, or move the database to a larger disk.",
        ),
    },
)


def examine(url: str, clock: Callable[[], int], *, thorough: bool = True) -> Examination:
    """Look at the database at this address. It blocks; nothing in it is changed.

    ``thorough`` reads all of a SQLite file to find damage, which takes about a second for each million people.
    """
    try:
        address = parse(url)
    except StorageError as error:
        return Examination((KINDS["database_unusable"].of(WHAT, trouble=error),))
    return _of_file(address, thorough) if isinstance(address, Path) else _of_server(address, clock)


def _of_file(path: Path, thorough: bool) -> Examination:
    if not path.parent.is_dir():
        return Examination((KINDS["database_folder_missing"].of(WHAT, folder=path.parent),))
    disk = space(shutil.disk_usage(path.parent).free, path.parent)
    if not path.exists():
        return Examination((KINDS["database_missing"].of(WHAT, where=path), disk))
    found = _damage(path) if thorough else None
    return Examination((found or _schema_and_writing(path, "SQLite", str(path)), disk))


def _damage(path: Path) -> CheckResult | None:
    try:
        sqlite.examine(path)
    except (StorageError, StorageBusy) as error:
        return KINDS["database_unusable"].of(WHAT, trouble=error)
    return None


def space(free: int, folder: Path) -> CheckResult:
    """What so many free bytes mean."""
    code = "disk_full" if free < LEAST_SPACE else "disk_nearly_full" if free < LITTLE_SPACE else "disk_ok"
    return KINDS[code].of("disk", free=free // MIB, folder=folder)


def _of_server(address: URL, clock: Callable[[], int]) -> Examination:
    from tollkeeper.storage import postgresql

    try:
        with transaction(address, postgresql.engine(address)) as conn:
            clocks = clock_reading("PostgreSQL", conn.scalar(_SERVER_TIME), clock())
    except StorageBusy as error:
        return Examination((KINDS["database_unreachable"].of(WHAT, trouble=error),))
    where = f"{address.host or 'the local socket'}/{address.database}"
    return Examination((_schema_and_writing(address, "PostgreSQL", where),), clocks)


_SERVER_TIME = text("SELECT extract(epoch FROM clock_timestamp())::float8")


def _schema_and_writing(address: Path | URL, kind: str, where: str) -> CheckResult:
    try:
        with transaction(address, _engine(address, writing=False)) as conn:
            found = revision(conn)
    except (StorageBusy, StorageError) as error:
        return KINDS["database_unusable"].of(WHAT, trouble=error)
    state = state_of(found)
    if state is SchemaState.MISSING:
        return KINDS["database_missing"].of(WHAT, where=where)
    if state is not SchemaState.CURRENT:
        return KINDS[f"schema_{state}"].of(WHAT, found=found, needed=revisions()[-1])
    try:
        with transaction(address, _engine(address, writing=True)) as conn:
            _write_the_same(conn)
    except (StorageBusy, StorageError) as error:
        return KINDS["database_not_writable"].of(WHAT, trouble=error)
    except SQLAlchemyError as error:  # such as a role that may only read; its first line holds no values
        trouble = str(getattr(error, "orig", error)).partition("\n")[0]
        return KINDS["database_not_writable"].of(WHAT, trouble=trouble)
    return KINDS["database_ok"].of(WHAT, kind=kind, revision=found)


def _engine(address: Path | URL, *, writing: bool) -> Engine:
    if isinstance(address, Path):
        return sqlite.engine(address, begin="BEGIN IMMEDIATE" if writing else "BEGIN", read_only=not writing)
    from tollkeeper.storage import postgresql

    return postgresql.engine(address)


def _write_the_same(conn: Connection) -> None:
    """A write that reaches the disk and changes nothing."""
    conn.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = version_num"))  # noqa: S608 - our own constant
