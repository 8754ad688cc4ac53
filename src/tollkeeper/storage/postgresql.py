"""PostgreSQL: a pool of connections for threads, and a small one of its own for the gate in the event loop."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as CheckoutTimeout

from tollkeeper.errors import StorageBusy
from tollkeeper.model.access import Visitor
from tollkeeper.storage import patience, visitors

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8
GATE_CONNECTIONS = 4
TRIES = 3
CONNECT_SECONDS = 5
GATE_SECONDS = 3
# What is acknowledged is on disk, and nothing waits forever: not a statement, not a lock, not a transaction whose
# process hangs, not a dead network.
SERVER_SETTINGS = (
    "-c synchronous_commit=on -c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s"
)
CLIENT_LIMITS = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": 10_000, "keepalives_idle": 30}

RETRIED = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
TEMPORARY = (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)


class Question(NamedTuple):
    """A look-up of a login session, and its answer."""

    token_hash: str
    answer: "asyncio.Future[Visitor | None]"


class PostgresqlDatabase:
    """A PostgreSQL database, which must have the current schema. Any number of processes may share it."""

    dialect = "postgresql"
    find_at_once = None

    def __init__(self, address: URL) -> None:
        self._writing = engine(address)
        self._reading = self._writing.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._threads = ThreadPoolExecutor(THREADS, "tollkeeper-database")
        self._find_visitors = visitors.driver_sql(self._writing.dialect, visitors.VISITORS).encode()
        self._asked: dict[tuple[str, bool, int], list[Question]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._gate = _gate_pool(self._writing)

    @classmethod
    async def open(cls, address: URL) -> "PostgresqlDatabase":
        """Connect. Raises ``StorageBusy`` when the server does not answer."""
        database = cls(address)
        try:
            with clear_errors():
                await database._gate.open(wait=True, timeout=CONNECT_SECONDS)
        except BaseException:
            await database.close()
            raise
        return database

    async def read(self, f: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query in a thread, in one transaction that sees one state of the database and cannot change it."""
        return await self._run(self._reading, lambda conn: f(conn, *args, **kwargs))

    async def write(self, f: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query in a thread, in one transaction; the answer comes once it is committed."""
        return await self._run(self._writing, lambda conn: f(conn, *args, **kwargs))

    async def find_visitor(self, token_hash: str, *, live: bool, now: int, host: str = "") -> Visitor | None:
        """The visitor with this login session. All look-ups in one turn of the event loop are one statement."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._ask)
        question = Question(token_hash, loop.create_future())
        self._asked.setdefault((host, live, now), []).append(question)
        return await question.answer

    async def close(self) -> None:
        """Finish the work that has begun, then close every connection."""
        await self._gate.close()
        await asyncio.to_thread(self._threads.shutdown)
        self._writing.dispose()

    def _ask(self) -> None:
        asked, self._asked = self._asked, {}
        for (host, live, now), questions in asked.items():
            hashes = [question.token_hash for question in questions]
            parameters = {"token_hashes": hashes, "host": host, "live": live, "now": now}
            task = asyncio.create_task(self._answer(questions, parameters))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _answer(self, questions: "list[Question]", parameters: dict[str, Any]) -> None:
        """Answer everybody who asked, whatever the result; except those who have gone in the meantime."""
        waiting = (question for question in questions if not question.answer.done())
        try:
            found = await self._find_all(parameters)
        except Exception as error:
            for question in waiting:
                question.answer.set_exception(error)
        else:
            for question in waiting:
                question.answer.set_result(found.get(question.token_hash))
        finally:
            for question in waiting:  # stopping
                question.answer.cancel()

    async def _find_all(self, parameters: dict[str, Any]) -> dict[str, Visitor | None]:
        """By a prepared statement, on the event loop's own connections."""
        with clear_errors():
            async with asyncio.timeout(CONNECT_SECONDS):
                try:
                    return await self._look_up(parameters)
                except psycopg.OperationalError:
                    # After a restart of the server every connection is dead: replace them all, and ask again.
                    await self._gate.check()
                    return await self._look_up(parameters)

    async def _look_up(self, parameters: dict[str, Any]) -> dict[str, Visitor | None]:
        async with self._gate.connection() as conn:
            cursor = await conn.execute(self._find_visitors, parameters, prepare=True)
            return visitors.visitors_in(await cursor.fetchall())

    async def _run(self, using: Engine, function: Callable[[Connection], T]) -> T:
        with clear_errors():
            return await patience.answer_of(self._threads.submit(_transact, using, function))


def engine(address: URL) -> Engine:
    """SQLAlchemy on a PostgreSQL server, with every wait bounded. Dead connections are noticed before they are used."""
    made = create_engine(
        address,
        connect_args=_settings(address),
        pool_size=THREADS,
        max_overflow=0,
        pool_timeout=CONNECT_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    event.listen(made, "checkin", _reset_read_only)
    return made


def _reset_read_only(connection: "psycopg.Connection[Any] | None", record: object) -> None:
    """Undo the read-only mode of a connection that was used for reading, and leave the rest to the server.

    Otherwise its next transaction would explicitly ask to write. A standby reports another error for that than for a
    write, and ``default_transaction_read_only`` would be overruled.
    """
    if connection is not None:
        connection.read_only = None


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn errors of the server into our own; leave errors about the query alone."""
    try:
        yield
    except (PoolTimeout, CheckoutTimeout, TimeoutError) as error:
        raise StorageBusy("PostgreSQL did not answer in time.") from error
    except TEMPORARY as error:
        raise StorageBusy(_in_words(error)) from error
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig, TEMPORARY):
            raise StorageBusy(_in_words(error.orig)) from error
        raise


def _settings(address: URL) -> dict[str, Any]:
    """Our limits; those in the address itself take precedence."""
    given = address.normalized_query
    limits = {name: value for name, value in CLIENT_LIMITS.items() if name not in given}
    return {**limits, "options": " ".join((SERVER_SETTINGS, *given.get("options", ())))}


def _gate_pool(using: Engine) -> "AsyncConnectionPool[psycopg.AsyncConnection[Any]]":
    """Connections without transactions and without a reset between uses: one round trip for each question."""
    _, parameters = using.dialect.create_connect_args(using.url)
    return AsyncConnectionPool(
        kwargs={**parameters, **_settings(using.url), "autocommit": True},
        min_size=1,
        max_size=GATE_CONNECTIONS,
        open=False,
        timeout=GATE_SECONDS,
        # Giving up soon means that the next query connects again, instead of waiting for a long backoff.
        reconnect_timeout=GATE_SECONDS,
    )


def _in_words(error: BaseException | None) -> str:
    """The server's message, which never contains the password; only the first line, as the rest may contain values."""
    said = str(error).strip().partition("\n")[0]
    return f"PostgreSQL cannot be used now: {said or type(error).__name__}"


def _transact(using: Engine, function: Callable[[Connection], T]) -> T:
    """Run a function in a transaction; repeat all of it when PostgreSQL asks for that (40001, 40P01)."""
    for _ in range(TRIES - 1):
        try:
            with using.begin() as conn:
                return function(conn)
        except DBAPIError as error:
            if not isinstance(error.orig, RETRIED):
                raise
        # Long enough for the others to finish; with no delay, we would take their locks again before they wake.
        time.sleep(random.uniform(0.02, 0.1))  # noqa: S311
    with using.begin() as conn:
        return function(conn)
