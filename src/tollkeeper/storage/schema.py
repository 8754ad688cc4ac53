"""Compares a database's schema with this version of the program. Runs at each start, so without Alembic."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, column, inspect, select, table

from tollkeeper.errors import StorageError
from tollkeeper.storage import sqlite
from tollkeeper.storage.address import parse

# Our own name: a PostgreSQL database may be shared with an application that uses Alembic's.
VERSION_TABLE = "tollkeeper_revision"


class SchemaState(StrEnum):
    """How a database's schema relates to this version of the program."""

    MISSING = "missing"
    CURRENT = "current"
    OLDER = "older"
    NEWER = "newer"


def state(url: str) -> SchemaState:
    """The state of the schema. Raises ``StorageError`` for a damaged or foreign file, ``StorageBusy`` on a time-out."""
    return state_of(found_revision(url))


def found_revision(url: str) -> str | None:
    """The revision of the database at an address. None: it has none of our tables, or is not there. Raises as
    ``state`` does.
    """
    address = parse(url)
    if isinstance(address, Path):
        if not address.exists():
            return None
        sqlite.examine(address)
        engine = sqlite.engine(address, begin="BEGIN", read_only=True)
    else:
        from tollkeeper.storage import postgresql

        engine = postgresql.engine(address)
    with transaction(address, engine) as conn:
        return revision(conn)


@contextmanager
def transaction(address: Path | URL, engine: Engine) -> Iterator[Connection]:
    """One transaction on an engine that is closed afterwards. Failures become our own errors."""
    if isinstance(address, Path):
        clear_errors = sqlite.clear_errors(address)
    else:
        from tollkeeper.storage import postgresql

        clear_errors = postgresql.clear_errors()
    try:
        with clear_errors, engine.begin() as conn:
            yield conn
    finally:
        engine.dispose()


def revision(conn: Connection) -> str | None:
    """The revision stored in a database. None: it has none of our tables."""
    if not inspect(conn).has_table(VERSION_TABLE):
        return None
    return conn.execute(select(column("version_num")).select_from(table(VERSION_TABLE))).scalar_one_or_none()


def state_of(revision: str | None) -> SchemaState:
    """How a revision relates to those of this version."""
    if revision is None:
        return SchemaState.MISSING
    if revision == revisions()[-1]:
        return SchemaState.CURRENT
    return SchemaState.OLDER if revision in revisions() else SchemaState.NEWER


@cache
def revisions() -> tuple[str, ...]:
    """All revisions of this version, oldest first: the numbers that the names of the migrations begin with."""
    folder = files("tollkeeper.storage") / "migrations" / "versions"
    numbers = sorted(file.name[:4] for file in folder.iterdir() if file.name[:4].isdigit())
    if not numbers:
        raise StorageError("The installation is incomplete: it has no migrations. Install Tollkeeper again.")
    return tuple(numbers)
