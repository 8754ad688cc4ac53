"""Bring a database to the schema of this version, whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from tollkeeper.errors import StorageError
from tollkeeper.storage import sqlite
from tollkeeper.storage.address import parse
from tollkeeper.storage.schema import VERSION_TABLE, SchemaState, revision, revisions, state_of, transaction

# Any number that is always the same: who holds this lock on a PostgreSQL database is the one that migrates it.
LOCK = 0x746F6C6C


def migrate(url: str) -> tuple[str | None, str]:
    """Bring the database to the current schema, making a SQLite file (mode 0600) if there is none.

    Returns the revisions before (None: nothing was there) and after. Raises ``StorageError`` when the schema is newer
    than this program, the file is damaged, or a migration fails; in each case nothing has been changed.
    """
    address = parse(url)
    if isinstance(address, Path):
        if not address.exists():
            return _make(address)
        sqlite.examine(address)
    return _upgrade(address)


def _make(path: Path) -> tuple[str | None, str]:
    """Make the file under another name, and give it its own only when it is whole."""
    if (rest := path.with_name(f"{path.name}-wal")).exists():  # SQLite would write what it holds into a new file
        raise StorageError(f"The database {path} is gone, but not {rest.name}. Restore it, or move that away too.")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
        os.close(handle)
        unfinished = Path(name)
        try:
            made = _upgrade(unfinished)
            was_first = _give_name(unfinished, path)
        finally:
            unfinished.unlink()
    except OSError as error:
        raise StorageError(f"The database {path} cannot be made: {error.strerror}.") from error
    return made if was_first else _upgrade(path)


def _give_name(file: Path, name: Path) -> bool:
    """Give a file its final name for good, unless another process has taken it; never overwrites."""
    try:
        os.link(file, name)
    except FileExistsError:
        return False
    _sync(name.parent)
    return True


def _upgrade(address: Path | URL) -> tuple[str | None, str]:
    try:
        with _alone(address) as conn:
            before = revision(conn)
            if state_of(before) is SchemaState.NEWER:
                raise StorageError(f"The database's schema ({before}) is newer than this program. Nothing was changed.")
            if before is None and isinstance(address, Path) and inspect(conn).get_table_names():
                raise StorageError(f"{address} belongs to another application. Nothing was changed.")
            command.upgrade(_config(conn), "head")
            return before, revisions()[-1]
    except SQLAlchemyError as error:
        raise StorageError(f"The migration failed, nothing was changed: {getattr(error, 'orig', error)}") from error


@contextmanager
def _alone(address: Path | URL) -> Iterator[Connection]:
    """Open a transaction during which no other migration runs."""
    if isinstance(address, Path):
        with transaction(address, sqlite.engine(address, begin="BEGIN IMMEDIATE")) as conn:
            yield conn
    else:
        from tollkeeper.storage import postgresql  # with its driver, which is an extra

        with transaction(address, postgresql.engine(address)) as conn:
            conn.execute(text("SET LOCAL statement_timeout = 0"))
            conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            yield conn


def _config(conn: Connection) -> Config:
    config = Config(attributes={"connection": conn, "version_table": VERSION_TABLE})
    config.set_main_option("script_location", "tollkeeper.storage:migrations")
    return config


def _sync(folder: Path) -> None:
    """Make a new name in a folder survive a power cut, where the system lets a folder be opened (not on Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
