"""Connections for testing the queries."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine
from tests.support.databases import Cluster, fresh_postgresql

from tollkeeper.storage import postgresql, sqlite
from tollkeeper.storage.address import parse

Begin = Callable[[], AbstractContextManager[Connection]]


@pytest.fixture
def begin(database_url: str) -> Iterator[Begin]:
    """Begin a transaction on a connection of its own, as often as wanted; each commits at its end."""
    engine = _engine(database_url)
    yield engine.begin
    engine.dispose()


@pytest.fixture
def conn(engine: str, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """One connection inside a transaction, on each engine; what is written is rolled back."""
    made = _engine(request.getfixturevalue("sqlite_url" if engine == "sqlite" else "postgresql_for_queries_url"))
    with made.connect() as connection:
        connection.begin()
        yield connection
        connection.rollback()
    made.dispose()


@pytest.fixture(scope="session")
def postgresql_for_queries_url(postgresql: Cluster) -> Iterator[str]:
    """One database for all tests that commit nothing: cheaper than one for each."""
    with fresh_postgresql(postgresql) as url:
        yield url


def _engine(url: str) -> Engine:
    address = parse(url)
    if isinstance(address, Path):
        return sqlite.engine(address, begin="BEGIN IMMEDIATE")
    return postgresql.engine(address)
