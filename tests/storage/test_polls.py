import asyncio

import pytest
from sqlalchemy import Connection
from tests.storage.makers import NOW, OTHER_REALMS, TEST_MODE

from tollkeeper.model import Realm
from tollkeeper.storage import polls
from tollkeeper.storage.database import Database

EVERY = 60


def test_the_first_poll_is_due_at_once_and_reads_from_the_beginning(conn: Connection) -> None:
    assert polls.claim(conn, TEST_MODE, NOW, EVERY) == 0


def test_whoever_claims_a_poll_has_it_for_the_interval(conn: Connection) -> None:
    polls.claim(conn, TEST_MODE, NOW, EVERY)
    assert polls.claim(conn, TEST_MODE, NOW + EVERY - 1, EVERY) is None
    assert polls.claim(conn, TEST_MODE, NOW + EVERY, EVERY) == 0


def test_the_next_poll_goes_on_where_the_last_one_ended(conn: Connection) -> None:
    polls.claim(conn, TEST_MODE, NOW, EVERY)
    polls.done(conn, TEST_MODE, NOW)
    assert polls.claim(conn, TEST_MODE, NOW + EVERY, EVERY) == NOW


@pytest.mark.parametrize("realm", OTHER_REALMS)
def test_b19_each_realm_is_polled_by_itself(conn: Connection, realm: Realm) -> None:
    polls.claim(conn, TEST_MODE, NOW, EVERY)
    polls.claim(conn, realm, NOW, EVERY)
    polls.done(conn, TEST_MODE, NOW)
    assert polls.claim(conn, realm, NOW + EVERY, EVERY) == 0


@pytest.mark.anyio
async def test_f60_of_many_that_poll_at_once_one_does(database: Database) -> None:
    claims = await asyncio.gather(*(database.write(polls.claim, TEST_MODE, NOW, EVERY) for _ in range(20)))
    assert sorted(claims, key=str) == [0] + [None] * 19
