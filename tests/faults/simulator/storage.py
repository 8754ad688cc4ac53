"""The app's storage, one operation at a time: real files, real SQL and real transactions, without threads.

Runs the same functions on the same engines as the app's own databases, in the event loop itself, so that a history is
the same each time. Threads, pools and group commits are tested in ``tests/storage``.
"""

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import psycopg
from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from tests.support.databases import Cluster, fresh_postgresql

from tollkeeper.errors import StorageBusy
from tollkeeper.model.access import Visitor
from tollkeeper.storage import postgresql, sqlite, visitors
from tollkeeper.storage.address import parse
from tollkeeper.storage.migrate import migrate
from tollkeeper.storage.writer import Job, commit_together

P = ParamSpec("P")
T = TypeVar("T")

Rows = Sequence[tuple[Any, ...]]

# How often an operation waits so that others come first, and for how long at most (seconds).
YIELDS = 0.4
SLOWEST = 0.02


class Store(Protocol):
    """An open database. ``look`` runs a query of the checker, with ``?`` for its values."""

    dialect: str

    def read(self, function: Callable[[Connection], T]) -> T: ...

    def write(self, function: Callable[[Connection], T]) -> T: ...

    def find_visitor(self, parameters: dict[str, Any]) -> Visitor | None: ...

    def look(self, question: str, *values: object) -> Rows: ...

    def close(self) -> None: ...


class SqliteStore:
    """One file."""

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        self._writing = sqlite.engine(path, begin="BEGIN IMMEDIATE")
        self._connection = self._writing.connect()
        self._reading = sqlite.engine(path, begin="BEGIN", read_only=True)
        self._reader = self._reading.connect()
        self._gate = sqlite.connect(path, read_only=True)
        self._find_visitor = visitors.driver_sql(sqlite_dialect(paramstyle="named"))

    def read(self, function: Callable[[Connection], T]) -> T:
        with self._reader.begin():
            return function(self._reader)

    def write(self, function: Callable[[Connection], T]) -> T:
        job = Job(function)
        commit_together(self._connection, [job], committed=lambda: None)
        answer: T = job.answer.result()
        return answer

    def find_visitor(self, parameters: dict[str, Any]) -> Visitor | None:
        return visitors.visitor_in(self._gate.execute(self._find_visitor, parameters).fetchall())

    def look(self, question: str, *values: object) -> Rows:
        return self._gate.execute(question, values).fetchall()

    def close(self) -> None:
        self._gate.close()
        self._connection.close()
        self._reader.close()
        self._writing.dispose()
        self._reading.dispose()


class PostgresqlStore:
    """One database of a server."""

    dialect = "postgresql"

    def __init__(self, url: str) -> None:
        address = parse(url)
        assert not isinstance(address, Path)
        self._engine = postgresql.engine(address)
        self._writer = self._engine.connect()
        read_only = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader = self._engine.connect().execution_options(**read_only)
        self._gate = psycopg.connect(url, autocommit=True)
        self._find_visitor = visitors.driver_sql(self._engine.dialect).encode()

    def read(self, function: Callable[[Connection], T]) -> T:
        with self._reader.begin():
            return function(self._reader)

    def write(self, function: Callable[[Connection], T]) -> T:
        with self._writer.begin():
            return function(self._writer)

    def find_visitor(self, parameters: dict[str, Any]) -> Visitor | None:
        return visitors.visitor_in(self._gate.execute(self._find_visitor, parameters, prepare=True).fetchall())

    def look(self, question: str, *values: object) -> Rows:
        return self._gate.execute(question.replace("?", "%s").encode(), values, prepare=True).fetchall()

    def close(self) -> None:
        self._gate.close()
        self._writer.close()
        self._reader.close()
        self._engine.dispose()


def _new_folder() -> Path:
    shared_memory = Path("/dev/shm")  # noqa: S108
    return Path(tempfile.mkdtemp(prefix="tollkeeper-", dir=shared_memory if shared_memory.is_dir() else None))


@cache
def _template() -> Path:
    """Return an empty database with the current schema, created once in a process."""
    folder = _new_folder()
    atexit.register(shutil.rmtree, folder)
    path = folder / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@contextmanager
def sqlite_store() -> Iterator[SqliteStore]:
    """Create a file, in memory if possible, because power cuts are not simulated."""
    folder = _new_folder()
    try:
        path = folder / "tollkeeper.db"
        shutil.copy(_template(), path)
        store = SqliteStore(path)
        try:
            yield store
        finally:
            store.close()
    finally:
        shutil.rmtree(folder)


@contextmanager
def postgresql_store(cluster: Cluster) -> Iterator[PostgresqlStore]:
    """A new database of a server that tests started."""
    with fresh_postgresql(cluster) as url:
        store = PostgresqlStore(url)
        try:
            yield store
        finally:
            store.close()


class Process:
    """One simulated process, until it is killed.

    ``dies_in`` counts down with every operation. An even number ends before an operation, an odd one right after it,
    when the result is on disk but was not returned. ``busy`` is how many more operations find the database busy.
    """

    def __init__(self, luck: Random) -> None:
        self.luck = luck
        self.died: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.dies_in: int | None = None
        self.busy = 0

    @property
    def dead(self) -> bool:
        return self.died.done()

    def kill(self) -> None:
        """Stop as after SIGKILL: nothing is flushed, and nobody is informed."""
        if not self.dead:
            self.died.set_result(None)

    async def step(self) -> None:
        """A point at which the process may be killed. If so, it stops here for good."""
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in < 0:
                self.kill()
        if self.dead:
            await asyncio.get_running_loop().create_future()


class ProcessDatabase:
    """A ``Database`` as one simulated process sees it. ``written`` is called after every function that wrote."""

    def __init__(self, store: Store, process: Process, written: Callable[[Callable[..., Any]], None]) -> None:
        self._store = store
        self._process = process
        self._written = written

    find_at_once = None

    @property
    def dialect(self) -> str:
        return self._store.dialect

    async def read(self, f: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self._begin()
        return self._store.read(lambda conn: f(conn, *args, **kwargs))

    async def write(self, f: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self._begin()
        answer = self._store.write(lambda conn: f(conn, *args, **kwargs))
        self._written(f)
        await self._process.step()
        return answer

    async def find_visitor(self, token_hash: str, *, live: bool, now: int, host: str = "") -> Visitor | None:
        await self._begin()
        return self._store.find_visitor({"token_hash": token_hash, "host": host, "live": live, "now": now})

    async def close(self) -> None:
        """Do nothing: the simulator closes the store."""

    async def _begin(self) -> None:
        """Let others come first, so that what was read before may have changed."""
        if self._process.luck.random() < YIELDS:
            await asyncio.sleep(self._process.luck.random() * SLOWEST)
        await self._process.step()
        if self._process.busy > 0:
            self._process.busy -= 1
            raise StorageBusy("the database did not answer in time")
