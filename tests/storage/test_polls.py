import asyncio

import pytest
from sqlalchemy import Connection
from tests.storage.makers import NOW, OTHER_REALMS, TEST_MODE, an_order, keep_person

from tollkeeper.model.orders import Realm
from tollkeeper.storage import orders, polls
from tollkeeper.storage.database import Database

EVERY = 60


def test_the_first_poll_is_due_at_once_and_reads_from_now_on(conn: Connection) -> None:
    assert polls.claim(conn, TEST_MODE, NOW, EVERY) == NOW


def test_c27_the_first_poll_reads_back_to_the_first_order(conn: Connection) -> None:
    """Found by the simulator: somebody bought before the first poll came to pass, which then began after that."""
    keep_person(conn, "ann")
    for id, at in (("ord_2", NOW - 10), ("ord_1", NOW - 7200)):
        orders.start(conn, an_order(id, "ann", product=id, created_at=at))
    assert polls.claim(conn, TEST_MODE, NOW, EVERY) == NOW - 7200


def test_anybody_who_claims_a_poll_has_it_for_the_interval(conn: Connection) -> None:
    polls.claim(conn, TEST_MODE, NOW, EVERY)
    assert polls.claim(conn, TEST_MODE, NOW + EVERY - 1, EVERY) is None
    assert polls.claim(conn, TEST_MODE, NOW + EVERY, EVERY) == NOW


def test_a_clock_that_was_put_back_makes_a_poll_due(conn: Connection) -> None:
    polls.claim(conn, TEST_MODE, NOW, EVERY)
    assert polls.claim(conn, TEST_MODE, NOW - EVERY + 1, EVERY) is None
    assert polls.claim(conn, TEST_MODE, NOW - EVERY, EVERY) == NOW


def test_the_next_poll_goes_on_where_the_last_one_ended(conn: Connection) -> None:
    polls.claim(conn, TEST_MODE, NOW, EVERY)
    polls.done(conn, TEST_MODE, NOW + 1)
    assert polls.claim(conn, TEST_MODE, NOW + EVERY, EVERY) == NOW + 1


@pytest.mark.parametrize("realm", OTHER_REALMS)
def test_b19_each_realm_is_polled_by_itself(conn: Connection, realm: Realm) -> None:
    polls.claim(conn, TEST_MODE, NOW, EVERY)
    polls.claim(conn, realm, NOW, EVERY)
    polls.done(conn, TEST_MODE, NOW + 1)
    assert polls.claim(conn, realm, NOW + EVERY, EVERY) == NOW


@pytest.mark.anyio
async def test_f60_of_many_that_poll_at_once_one_does(database: Database) -> None:
    claims = await asyncio.gather(*(database.write(polls.claim, TEST_MODE, NOW, EVERY) for _ in range(20)))
    assert sorted(claims, key=str) == [NOW] + [None] * 19
