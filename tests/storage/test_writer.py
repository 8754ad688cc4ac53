"""Writes that arrive during a commit share the next one, and succeed or fail independently."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from tests.storage.makers import keep_grant, keep_person

from tollkeeper.model.people import Person
from tollkeeper.storage import sqlite, tables
from tollkeeper.storage.address import parse
from tollkeeper.storage.writer import GROUP_LIMIT, Writer

SECONDS = 10


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[Engine]:
    path = parse(sqlite_url)
    assert isinstance(path, Path)
    made = sqlite.engine(path, begin="BEGIN IMMEDIATE")
    yield made
    made.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[Writer]:
    made = Writer(engine.connect(), committed=lambda: None)
    yield made
    made.close()


@pytest.fixture
def commits(engine: Engine) -> list[Connection]:
    """Grows by one with every commit."""
    seen: list[Connection] = []
    event.listen(engine, "commit", seen.append)
    return seen


class Pause:
    """A job that holds the writer up, so that others arrive in the meantime."""

    def __init__(self, writer: Writer) -> None:
        self._begun, self._go_on = threading.Event(), threading.Event()
        self.answer = writer.submit(self._wait)
        assert self._begun.wait(SECONDS)

    def _wait(self, conn: Connection) -> None:
        self._begun.set()
        assert self._go_on.wait(SECONDS)

    def end(self) -> None:
        self._go_on.set()
        self.answer.result(SECONDS)


def person(id: str) -> Callable[[Connection], Person]:
    return lambda conn: keep_person(conn, id)


def people_kept(engine: Engine) -> int:
    with engine.begin() as conn:
        return conn.execute(select(func.count()).select_from(tables.people)).scalar_one()


def test_those_that_wait_share_a_commit(writer: Writer, engine: Engine, commits: list[Connection]) -> None:
    pause = Pause(writer)
    answers = [writer.submit(person(f"p{number}")) for number in range(50)]
    pause.end()
    assert [answer.result(SECONDS).id for answer in answers] == [f"p{number}" for number in range(50)]
    assert len(commits) == 2
    assert people_kept(engine) == 50


def test_a_group_is_bounded(writer: Writer, commits: list[Connection]) -> None:
    pause = Pause(writer)
    answers = [writer.submit(person(f"p{number}")) for number in range(2 * GROUP_LIMIT + 1)]
    pause.end()
    for answer in answers:
        answer.result(SECONDS)
    assert len(commits) == 1 + 3


def test_an_error_undoes_one_job_and_is_raised_there_alone(
    writer: Writer, engine: Engine, commits: list[Connection]
) -> None:
    def half_done(conn: Connection) -> None:
        keep_person(conn, "half")
        raise ZeroDivisionError

    pause = Pause(writer)
    before, broken = writer.submit(person("before")), writer.submit(half_done)
    orphan = writer.submit(lambda conn: keep_grant(conn, "nobody", "cs_1"))
    after = writer.submit(person("after"))
    pause.end()
    assert (before.result(SECONDS).id, after.result(SECONDS).id) == ("before", "after")
    assert isinstance(broken.exception(SECONDS), ZeroDivisionError)
    assert isinstance(orphan.exception(SECONDS), IntegrityError)
    assert len(commits) == 2
    assert people_kept(engine) == 2


def test_nobody_is_answered_before_the_commit(writer: Writer, engine: Engine) -> None:
    answers: list[Future[object]] = []
    answered_before_commit: list[bool] = []
    event.listen(engine, "commit", lambda _: answered_before_commit.append(any(answer.done() for answer in answers)))
    pause = Pause(writer)
    answers.extend(writer.submit(person(f"p{number}")) for number in range(3))
    pause.end()
    for answer in answers:
        answer.result(SECONDS)
    assert answered_before_commit == [False, False]


def test_a_commit_that_fails_fails_for_the_whole_group(writer: Writer, engine: Engine) -> None:
    def break_the_commit(conn: Connection) -> None:
        conn.execute(text("PRAGMA defer_foreign_keys = ON"))
        keep_grant(conn, "nobody", "cs_1")

    pause = Pause(writer)
    group = [writer.submit(person("ada")), writer.submit(break_the_commit), writer.submit(person("bob"))]
    pause.end()
    assert [type(answer.exception(SECONDS)) for answer in group] == [IntegrityError] * 3
    assert people_kept(engine) == 0
    assert writer.submit(person("ada")).result(SECONDS).id == "ada"


def test_a_transaction_that_sqlite_gives_up_fails_for_the_whole_group(writer: Writer, engine: Engine) -> None:
    def lose_the_transaction(conn: Connection) -> None:
        conn.execute(text("INSERT OR ROLLBACK INTO people SELECT * FROM people"))

    pause = Pause(writer)
    group = [writer.submit(person("ada")), writer.submit(lose_the_transaction), writer.submit(person("bob"))]
    pause.end()
    assert [type(answer.exception(SECONDS)) for answer in group] == [IntegrityError] * 3
    assert people_kept(engine) == 0
    assert writer.submit(person("ada")).result(SECONDS).id == "ada"


def test_a_job_cancelled_while_it_waits_is_never_run(writer: Writer, engine: Engine) -> None:
    pause = Pause(writer)
    cancelled, other = writer.submit(person("ada")), writer.submit(person("bob"))
    assert cancelled.cancel()
    pause.end()
    assert other.result(SECONDS).id == "bob"
    with pytest.raises(CancelledError):
        cancelled.result(SECONDS)
    assert people_kept(engine) == 1


def test_a_job_that_has_begun_cannot_be_cancelled(writer: Writer) -> None:
    pause = Pause(writer)
    assert not pause.answer.cancel()
    pause.end()


def test_f41_a_group_that_cannot_begin_is_told_so(writer: Writer, engine: Engine) -> None:
    writer.submit(lambda conn: conn.exec_driver_sql("PRAGMA busy_timeout = 20")).result(SECONDS)
    with engine.begin():
        assert isinstance(writer.submit(person("ada")).exception(SECONDS), OperationalError)
    assert writer.submit(person("ada")).result(SECONDS).id == "ada"


def test_closing_finishes_what_waits(engine: Engine) -> None:
    writer = Writer(engine.connect(), committed=lambda: None)
    answers = [writer.submit(person(f"p{number}")) for number in range(GROUP_LIMIT + 1)]
    writer.close()
    assert all(answer.done() for answer in answers)
    with pytest.raises(RuntimeError, match="closed"):
        writer.submit(person("late"))
    assert people_kept(engine) == GROUP_LIMIT + 1
