"""Bring a database to the schema of this version, whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from tollkeeper.errors import StorageError
from tollkeeper.storage import sqlite
from tollkeeper.storage.address import parse
from tollkeeper.storage.backup import back_up
from tollkeeper.storage.files import give_name, unfinished
from tollkeeper.storage.schema import (
    VERSION_TABLE,
    SchemaState,
    found_revision,
    revision,
    revisions,
    state_of,
    transaction,
)

# Any number that is always the same: who holds this lock on a PostgreSQL database is the one that migrates it.
LOCK = 0x746F6C6C


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``migrate`` would do."""

    before: str | None
    """The revision of the database. None: there is none."""
    after: str
    steps: tuple[tuple[str, str], ...]
    """Each revision that it would bring the database to, with what it adds."""
    backup: Path | None
    """Where it would keep a copy of the SQLite file first. None: there is nothing to keep, or it is not SQLite."""


def plan(url: str, now: datetime) -> Plan:
    """What ``migrate`` would do; changes nothing. Raises ``StorageError`` when the schema is newer, or the file is
    damaged.
    """
    address = parse(url)
    before = found_revision(url)
    if state_of(before) is SchemaState.NEWER:
        raise StorageError(NEWER.format(before))
    steps = _steps(before)
    keep = None
    if isinstance(address, Path) and before is not None and steps:
        keep = address.with_name(f"{address.name}.{before}.{now:%Y%m%dT%H%M%SZ}.backup")
    return Plan(before, revisions()[-1], steps, keep)


NEWER = "The database's schema ({}) is newer than this program. Nothing was changed."


def _steps(before: str | None) -> tuple[tuple[str, str], ...]:
    """What each migration that is due says of itself, the first one first."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    steps = sorted((one.revision, " ".join((one.doc or "").split())) for one in scripts)
    return tuple(step for step in steps if before is None or step[0] > before)


def migrate(url: str, *, keep: Path | None = None) -> tuple[str | None, str]:
    """Bring the database to the current schema, making a SQLite file (mode 0600) if there is none.

    ``keep``: where to put a backup of the SQLite file, taken before anything is changed and while nobody can write.
    Returns the revisions before (None: nothing was there) and after. Raises ``StorageError`` when the schema is newer
    than this program, the file is damaged, or a migration fails; in each case nothing has been changed.
    """
    address = parse(url)
    if isinstance(address, Path):
        if not address.exists():
            return _make(address)
        sqlite.examine(address)
    return _upgrade(address, keep)


def _make(path: Path) -> tuple[str | None, str]:
    """Make the file under another name, and give it its own only when it is whole."""
    if (rest := path.with_name(f"{path.name}-wal")).exists():  # SQLite would write what it holds into a new file
        raise StorageError(f"The database {path} is gone, but not {rest.name}. Restore it, or move that away too.")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with unfinished(path) as file:
            made = _upgrade(file)
            was_first = give_name(file, path)
    except OSError as error:
        raise StorageError(f"The database {path} cannot be made: {error.strerror}.") from error
    return made if was_first else _upgrade(path)


def _upgrade(address: Path | URL, keep: Path | None = None) -> tuple[str | None, str]:
    try:
        with _alone(address) as conn:
            before = revision(conn)
            if state_of(before) is SchemaState.NEWER:
                raise StorageError(NEWER.format(before))
            if before is None and isinstance(address, Path) and inspect(conn).get_table_names():
                raise StorageError(f"{address} belongs to another application. Nothing was changed.")
            if keep is not None and isinstance(address, Path) and state_of(before) is SchemaState.OLDER:
                back_up(f"sqlite:///{address}", keep)
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


def _config(conn: Connection | None = None) -> Config:
    config = Config(attributes={"connection": conn, "version_table": VERSION_TABLE})
    config.set_main_option("script_location", "tollkeeper.storage:migrations")
    return config
