"""Whose turn it is to poll, and from where."""

import pytest
from sqlalchemy import Connection
from tests.storage.makers import NOW, OTHER_REALMS, TEST_MODE

from tollkeeper.model import Realm
from tollkeeper.storage import polls


def test_the_first_poll_begins_at_the_beginning(conn: Connection) -> None:
    assert polls.claim(conn, TEST_MODE, NOW, 30) == 0


def test_one_poll_in_an_interval(conn: Connection) -> None:
    polls.claim(conn, TEST_MODE, NOW, 30)
    assert polls.claim(conn, TEST_MODE, NOW + 29, 30) is None
    assert polls.claim(conn, TEST_MODE, NOW + 30, 30) == 0


def test_the_next_poll_goes_on_where_one_was_done(conn: Connection) -> None:
    polls.claim(conn, TEST_MODE, NOW, 30)
    polls.done(conn, TEST_MODE, NOW)
    assert polls.claim(conn, TEST_MODE, NOW + 60, 30) == NOW


@pytest.mark.parametrize("realm", OTHER_REALMS)
def test_each_realm_has_its_own(conn: Connection, realm: Realm) -> None:
    polls.claim(conn, TEST_MODE, NOW, 30)
    polls.done(conn, TEST_MODE, NOW)
    assert polls.claim(conn, realm, NOW, 30) == 0
