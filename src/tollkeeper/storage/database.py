"""The interface to the database: it runs functions, each in one transaction, and returns their results."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

from tollkeeper.errors import StorageError
from tollkeeper.model.access import Visitor
from tollkeeper.storage.address import parse
from tollkeeper.storage.schema import SchemaState, state
from tollkeeper.storage.sqlite import SqliteDatabase

P = ParamSpec("P")
T = TypeVar("T")


class Database(Protocol):
    """SQLite or PostgreSQL.

    Every method raises ``StorageBusy`` if the database does not answer in time, or cannot write now, and
    ``StorageError`` if it was damaged or removed. An exception in a function rolls back its transaction and reaches
    its caller, including ``sqlalchemy.exc.IntegrityError``.
    """

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        ...

    async def read(self, f: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query in a thread, in one transaction that sees one state of the database and cannot change it."""
        ...

    async def write(self, f: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query in a thread, in one transaction. The answer comes only once it is committed to disk."""
        ...

    async def find_visitor(self, token_hash: str, *, live: bool, now: int, host: str = "") -> Visitor | None:
        """The visitor whose login session has this token hash and has not expired, with what they hold at ``now``.

        A login session is valid only at its own host; without a ``host``, only an original login session is valid.
        """
        ...

    @property
    def find_at_once(self) -> "FindAtOnce | None":
        """``find_visitor`` without waiting, in the event loop; None if the answer must come over a network."""
        ...

    async def close(self) -> None:
        """Finish the writes that have begun, then close the database."""
        ...


class FindAtOnce(Protocol):
    """As ``Database.find_visitor``, but not a coroutine."""

    def __call__(self, token_hash: str, *, live: bool, now: int, host: str = "") -> Visitor | None: ...


async def open_database(url: str) -> Database:
    """Open the database at ``sqlite:///path`` or ``postgresql://user:password@host/name``.

    Raises ``StorageError``, which says what to do, unless it exists, is undamaged, and has the current schema;
    ``StorageBusy`` if it does not answer.
    """
    address = parse(url)
    await asyncio.to_thread(_require_current, url)
    if isinstance(address, Path):
        return await asyncio.to_thread(SqliteDatabase, address)
    from tollkeeper.storage.postgresql import PostgresqlDatabase  # with the driver, which SQLite does not need

    return await PostgresqlDatabase.open(address)


def _require_current(url: str) -> None:
    found = state(url)
    if found is not SchemaState.CURRENT:
        raise StorageError(ADVICE[found])


ADVICE = {
    SchemaState.MISSING: "There is no database at DATABASE_URL. Run `tollkeeper migrate` to make one; but if there"
    " was one, find out first where it is: a new one knows nobody who paid.",
    SchemaState.OLDER: "The database has the schema of an earlier version. Run `tollkeeper migrate` to bring it up.",
    SchemaState.NEWER: "The database was written by a newer version of Tollkeeper. Run that version, or restore"
    " the backup from before the upgrade.",
}
