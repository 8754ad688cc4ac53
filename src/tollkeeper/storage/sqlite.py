"""SQLite: one file, one writer thread that commits in groups, a few readers, and one held connection for the gate."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.exc import DBAPIError

from tollkeeper.errors import StorageBusy, StorageError
from tollkeeper.model.access import Visitor
from tollkeeper.storage import visitors
from tollkeeper.storage.patience import answer_of
from tollkeeper.storage.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")

HEADER = b"SQLite format 3\x00"
BUSY_TIMEOUT_MS = 5_000
# The gate's connection is used in the event loop, so it must not wait long. In WAL mode a reader hardly ever waits.
GATE_BUSY_TIMEOUT_MS = 100
# Enough that with a million people only leaves of the indexes and rows are read, about six pages for each query. Not
# mapped into memory: a truncated file, or a failing disk, would then end the process.
GATE_CACHE_KB = 16_000
# Few, because reads share the interpreter; more than one, so that a long listing does not delay a page.
READERS = 4

TEMPORARY = {
    sqlite3.SQLITE_BUSY: "locked by another process",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_INTERRUPT: "interrupted",
    sqlite3.SQLITE_IOERR: "failing to read or write its disk",
    sqlite3.SQLITE_FULL: "out of disk space",
    sqlite3.SQLITE_CANTOPEN: "impossible to open",
    sqlite3.SQLITE_PROTOCOL: "locked by other processes",
}
CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class SqliteDatabase:
    """A database in one SQLite file, which must exist with the current schema."""

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        with clear_errors(path):
            self._path = path
            self._writing = engine(path, begin="BEGIN IMMEDIATE")
            self._writer = Writer(self._writing.connect(), committed=self._require_in_its_place)
            self._reading = engine(path, begin="BEGIN", read_only=True)
            self._readers = ThreadPoolExecutor(READERS, "tollkeeper-reader")
            self._gate = connect(path, read_only=True, busy_timeout_ms=GATE_BUSY_TIMEOUT_MS)
            self._gate.execute(f"PRAGMA cache_size = -{GATE_CACHE_KB}")
            self._find_visitor = visitors.driver_sql(sqlite_dialect(paramstyle="named"))
            self._in_a_turn = False
            self._files = str(path), f"{path}-wal"
            self._opened = _identities(self._files)

    async def read(self, f: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query in a thread, in one transaction that cannot write."""
        with clear_errors(self._path):
            return await answer_of(self._readers.submit(self._transact, lambda conn: f(conn, *args, **kwargs)))

    async def write(self, f: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query in the writer's thread; the answer comes once it is committed to disk."""
        with clear_errors(self._path):
            answer: T = await answer_of(self._writer.submit(lambda conn: f(conn, *args, **kwargs)))
            return answer

    async def find_visitor(self, token_hash: str, *, live: bool, now: int, host: str = "") -> Visitor | None:
        """The visitor with this login session; queried in the event loop itself, where it takes microseconds."""
        return self.find_at_once(token_hash, live=live, now=now, host=host)

    def find_at_once(self, token_hash: str, *, live: bool, now: int, host: str = "") -> Visitor | None:
        """The same without waiting. Only from within the event loop."""
        parameters = {"token_hash": token_hash, "host": host, "live": live, "now": now}
        try:
            if not self._in_a_turn:
                self._begin_turn()
            return visitors.visitor_in(self._gate.execute(self._find_visitor, parameters).fetchall())
        except sqlite3.Error:
            with clear_errors(self._path):
                raise

    def _begin_turn(self) -> None:
        """All queries in one turn of the event loop share one transaction and one check of the file, which
        together take longer than a query.

        Still no answer is older than its question: what comes before the turn's end in the loop's queue was due when
        the transaction began.
        """
        self._require_in_its_place()
        asyncio.get_running_loop().call_soon(self._end_turn)
        self._gate.execute("BEGIN")
        self._in_a_turn = True

    def _end_turn(self) -> None:
        self._in_a_turn = False
        with suppress(sqlite3.ProgrammingError):  # closed meanwhile
            self._gate.rollback()

    def _transact(self, function: Callable[[Connection], T]) -> T:
        with self._reading.begin() as conn:
            answer = function(conn)
        self._require_in_its_place()
        return answer

    def _require_in_its_place(self) -> None:
        """Give no answer from a file that was moved, deleted or replaced: SQLite itself would never notice.

        Checked after the work is done, so that a write is acknowledged only if the next start will find it; and in
        the thread that did it, which closing waits for: the log next to the file is deleted with the last connection.
        """
        try:
            same = _identities(self._files) == self._opened
        except OSError:
            same = False
        if not same:
            raise StorageError(f"The database {self._path} was taken away or replaced. Put it back, then restart.")

    async def close(self) -> None:
        """Finish the queued writes, then close the file."""
        self._gate.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._readers.shutdown()
        self._reading.dispose()
        self._writer.close()
        self._writing.dispose()


def _identities(files: tuple[str, ...]) -> list[tuple[int, int]]:
    """Which files these names refer to at the moment. Raises ``OSError`` if one refers to none."""
    return [(found.st_dev, found.st_ino) for found in map(os.stat, files)]


def engine(path: Path, *, begin: str, read_only: bool = False) -> Engine:
    """SQLAlchemy on an existing file, with explicit transactions."""
    made = create_engine(
        "sqlite://",
        creator=partial(connect, path, read_only=read_only),
        poolclass=QueuePool,
        pool_size=READERS,
        max_overflow=0,
        hide_parameters=True,
    )
    event.listen(made, "begin", lambda conn: conn.exec_driver_sql(begin))
    return made


def connect(path: Path, *, read_only: bool, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> sqlite3.Connection:
    """Open an existing file, never create one; transactions are begun only in SQL. May be used from any thread."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA query_only = ON" if read_only else "PRAGMA journal_mode = WAL")
    return connection


def examine(path: Path) -> None:
    """Raise ``StorageError`` unless the path is an undamaged SQLite database. Reads all of it, to find damage now."""
    try:
        with path.open("rb") as file:
            header = file.read(len(HEADER))
    except OSError as error:
        raise StorageError(f"The database {path} cannot be read: {error.strerror}.") from error
    if header != HEADER:
        raise StorageError(f"{path} {'is not a' if header else 'is empty, not a'} database. {REMEDY}")
    with clear_errors(path):
        connection = connect(path, read_only=True)
        try:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    if found != ("ok",):
        raise StorageError(f"The database {path} is damaged. {REMEDY}")


REMEDY = "Restore it from a backup, or move it away and run `tollkeeper migrate` to begin with a new one."


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn errors of the file into our own; leave errors about the query alone."""
    try:
        yield
    except (sqlite3.Error, DBAPIError) as error:
        for code in _result_codes(error):
            if code in TEMPORARY:
                raise StorageBusy(f"The database {path} is {TEMPORARY[code]}.") from error
            if code in CORRUPT:
                raise StorageError(f"The database {path} is damaged. {REMEDY}") from error
        raise


def _result_codes(error: BaseException | None) -> Iterator[int]:
    """SQLite's result codes of an error and of its causes, without the details in their higher bits.

    A full disk, for example, rolls back the whole transaction; then the savepoint fails too, and hides the cause.
    See https://www.sqlite.org/rescode.html.
    """
    while error is not None:
        if isinstance(error, sqlite3.Error):
            yield getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        error = error.__context__
