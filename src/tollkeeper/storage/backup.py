"""Back a database up while it is in use: one consistent copy, proved by reading it, under its name only when whole."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, func, inspect, select, text

from tollkeeper.errors import StorageError
from tollkeeper.storage import dump, sqlite
from tollkeeper.storage.address import parse
from tollkeeper.storage.files import give_name, sync, take_name, unfinished
from tollkeeper.storage.schema import VERSION_TABLE, SchemaState, revision, state_of, transaction
from tollkeeper.storage.tables import metadata

Progress = Callable[[str, int, int | None], None]
"""Is given what is being done, how much of it is done, and of how much; None if that is not known."""

# How many pages of SQLite's are copied between two reports.
PAGES = 2_000


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was proved: each table has as many rows as the database had at that moment."""

    file: Path
    engine: str
    """``sqlite`` or ``postgresql``."""
    schema: str
    """The revision of the schema."""
    size: int
    """In bytes."""
    tables: dict[str, int]
    """The number of rows, by table."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Reports no progress."""


def back_up(url: str, file: Path, *, force: bool = False, progress: Progress = silent) -> Backup:
    """Write a backup (mode 0600). ``force`` replaces a file that is there, once the new one is whole.

    Raises ``StorageError`` if there is no database, a newer program made it, the file exists, or the copy is not
    good; and ``StorageBusy``. Then nothing was written.
    """
    address = parse(url)
    if not force and file.exists():
        raise StorageError(f"{file} exists. Choose another name, or use --force to replace it.")
    if isinstance(address, Path):
        if not address.exists():
            raise StorageError(f"There is no database {address} to back up.")
        if file.exists() and file.samefile(address):
            raise StorageError(f"{file} is the database itself.")
    try:
        with unfinished(file) as copy:
            if isinstance(address, Path):
                schema, tables = copy_sqlite(address, copy, progress)
            else:
                schema, tables = _copy_postgresql(address, copy, progress)
            sync(copy)
            size = copy.stat().st_size
            if force:
                take_name(copy, file)
            elif not give_name(copy, file):
                raise StorageError(f"{file} was made in the meantime, and was not replaced.")
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror}.") from error
    return Backup(file, "sqlite" if isinstance(address, Path) else "postgresql", schema, size, tables)


def copy_sqlite(path: Path, copy: Path, progress: Progress = silent) -> tuple[str, dict[str, int]]:
    """Copy a SQLite file as one transaction sees it, and prove the copy. Returns its revision and its counts.

    https://www.sqlite.org/backup.html: since the transaction is open before it begins, writers do not make it start
    again, and it delays nobody.
    """
    with sqlite.clear_errors(path), closing(sqlite.connect(path, read_only=True)) as source:
        source.execute("BEGIN")
        schema, tables = contents_of_sqlite(source)
        with closing(sqlite3.connect(copy, isolation_level=None)) as target:
            source.backup(
                target, pages=PAGES, progress=lambda _, left, total: progress("Copying pages", total - left, total)
            )
            target.execute("PRAGMA journal_mode = DELETE")  # so that it is one file
    progress("Checking the copy", 0, None)
    found = contents_of_file(copy)
    _prove(found[1], tables)
    return _known(schema), tables


def contents_of_file(file: Path) -> tuple[str | None, dict[str, int]]:
    """The revision and the counts of a copy that nobody uses. Raises ``StorageError`` if anything in it is damaged."""
    with sqlite.clear_errors(file), closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as conn:
        if conn.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
            raise StorageError(f"{file} is damaged.")
        if conn.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise StorageError(f"{file} is damaged: some rows refer to rows that are not there.")
        return contents_of_sqlite(conn)


def contents_of_sqlite(conn: sqlite3.Connection) -> tuple[str | None, dict[str, int]]:
    """The revision and the number of rows of each table. The revision is None if it is not a database of ours."""
    names = [name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    tables = [name for name in names if not name.startswith("sqlite_")]
    counts = {name: conn.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608
    if VERSION_TABLE not in tables:
        return None, counts
    row = conn.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608
    return (row[0] if row else None), counts


def _copy_postgresql(address: URL, copy: Path, progress: Progress) -> tuple[str, dict[str, int]]:
    """The dump and the counts come from one snapshot."""
    from tollkeeper.storage import postgresql  # with its driver, which is an extra

    with transaction(address, postgresql.engine(address).execution_options(isolation_level="REPEATABLE READ")) as conn:
        dump.require(int(conn.execute(text("SHOW server_version_num")).scalar_one()) // 10_000)
        conn.execute(text("SET LOCAL statement_timeout = 0"))
        conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))  # while the dump takes its time
        schema, tables = contents_of_postgresql(conn)
        snapshot = conn.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        known = _known(schema)
        where = conn.execute(text("SELECT current_schema()")).scalar_one()
        others = [name for name in conn.scalars(_RELATIONS) if name not in tables]
        dump.dump(address, copy, where, others, snapshot, lambda size: progress("Dumping bytes", size, None))
    total = sum(tables.values())
    found = dump.read(copy, VERSION_TABLE, lambda rows: progress("Checking rows", rows, total))
    _prove(found.counts, tables)
    return known, tables


_RELATIONS = text(
    "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN"
    " ('r', 'p', 'v', 'm', 'f') ORDER BY relname"
)


def contents_of_postgresql(conn: Connection) -> tuple[str | None, dict[str, int]]:
    """The revision and the counts of our own tables; the database may be shared with another application."""
    there = set(inspect(conn).get_table_names())
    ours = [table for table in metadata.sorted_tables if table.name in there]
    counts = {table.name: conn.scalar(select(func.count()).select_from(table)) or 0 for table in ours}
    found = revision(conn)
    return found, counts if found is None else counts | {VERSION_TABLE: 1}


def _known(schema: str | None) -> str:
    """A newer program may have tables that this one would leave out."""
    state = state_of(schema)
    if schema is None or state is SchemaState.MISSING:
        raise StorageError("There is no database of Tollkeeper's at DATABASE_URL to back up.")
    if state is SchemaState.NEWER:
        raise StorageError("The database was written by a newer version of Tollkeeper. Back it up with that version.")
    return schema


def _prove(found: dict[str, int], wanted: dict[str, int]) -> None:
    different = sorted(table for table in {*found, *wanted} if found.get(table) != wanted.get(table))
    if different:
        raise StorageError(f"The copy differs from the database, in: {', '.join(different)}. It was not kept.")
