"""Connections to try the queries on."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine

from tollkeeper.storage import postgresql, sqlite
from tollkeeper.storage.address import parse

Begin = Callable[[], AbstractContextManager[Connection]]


@pytest.fixture
def begin(database_url: str) -> Iterator[Begin]:
    """Begin a transaction on a connection of its own, as often as wanted; each commits at its end."""
    address = parse(database_url)
    engine: Engine
    if isinstance(address, Path):
        engine = sqlite.engine(address, begin="BEGIN IMMEDIATE")
    else:
        engine = postgresql.engine(address)
    yield engine.begin
    engine.dispose()


@pytest.fixture
def conn(begin: Begin) -> Iterator[Connection]:
    """One connection inside a transaction."""
    with begin() as connection:
        yield connection
