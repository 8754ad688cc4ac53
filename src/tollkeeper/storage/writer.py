"""The one writer of a SQLite file: a thread that commits in groups.

A commit waits for the disk, so writes that arrive during one share the next. Each runs under its own savepoint, and
is answered only after the commit it belongs to.
"""

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from sqlalchemy import Connection

GROUP_LIMIT = 200

# Directly on the driver: through SQLAlchemy a savepoint costs more than the insert inside it.
SAVEPOINT = "SAVEPOINT job"
UNDO = "ROLLBACK TO job"
RELEASE = "RELEASE job"


@dataclass(slots=True)
class Job:
    """A function to run on the connection, and the place for its answer."""

    function: Callable[[Connection], Any]
    answer: "Future[Any]" = field(default_factory=Future)
    result: Any = None
    error: BaseException | None = None

    def run(self, conn: Connection) -> None:
        """Run under a savepoint, so that an error rolls back only this job. Raises what rolls back the whole group."""
        driver = _driver(conn)
        driver.execute(SAVEPOINT)
        try:
            self.result = self.function(conn)
        except BaseException as error:
            if not driver.in_transaction:  # SQLite rolled back everything itself, as it does when the disk is full
                raise
            driver.execute(UNDO)
            self.error = error
        driver.execute(RELEASE)

    def settle(self) -> None:
        """Deliver the result, now that it is on disk."""
        if self.error is None:
            self.answer.set_result(self.result)
        else:
            self.answer.set_exception(self.error)


class Writer:
    """Takes functions from any thread and runs them, in order, on the one connection that writes.

    After each commit ``committed`` is called, in the writer's thread; what it raises is the result of the whole group.
    """

    def __init__(self, conn: Connection, committed: Callable[[], None]) -> None:
        self._conn = conn
        self._committed = committed
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._closed = False
        self._thread = Thread(target=self._work, name="tollkeeper-writer", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[[Connection], Any]) -> "Future[Any]":
        """Queue a function. Its result comes after the commit; if cancelled before it began, it never runs."""
        if self._closed:
            raise RuntimeError("the database is closed")
        job = Job(function)
        self._jobs.put(job)
        return job.answer

    def close(self) -> None:
        """Finish what is queued, then stop. Blocks until that is done."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join()
        self._conn.close()

    def _work(self) -> None:
        closing = False
        while not closing:
            arrived = self._arrived()
            closing = None in arrived
            group = [job for job in arrived if job and job.answer.set_running_or_notify_cancel()]
            if group:
                commit_together(self._conn, group, self._committed)

    def _arrived(self) -> list[Job | None]:
        """Wait for a job, then take what else is waiting, up to the limit."""
        arrived = [self._jobs.get()]
        while len(arrived) < GROUP_LIMIT and arrived[-1] is not None:
            try:
                arrived.append(self._jobs.get_nowait())
            except Empty:
                break
        return arrived


def commit_together(conn: Connection, group: list[Job], committed: Callable[[], None]) -> None:
    """Run and commit a group of jobs in one transaction, then deliver the results. If it fails, all of them fail."""
    try:
        with conn.begin():
            for job in group:
                job.run(conn)
        committed()
    except BaseException as error:
        _driver(conn).rollback()  # after a COMMIT that fails SQLite keeps the transaction, and SQLAlchemy forgets it
        for job in group:
            job.answer.set_exception(error)
    else:
        for job in group:
            job.settle()


def _driver(conn: Connection) -> sqlite3.Connection:
    driver = conn.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError("the writer needs a connection to SQLite")
    return driver
