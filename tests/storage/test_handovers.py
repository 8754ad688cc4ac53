"""A handover is redeemed once, however many requests try, and ends with the login session that it hands over."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, func, select
from tests.storage.makers import DAY, NOW, keep_handover, keep_login_session, keep_person

from tollkeeper.errors import HandoverFailed
from tollkeeper.gate.handovers import SECONDS, begin, objection, redeem
from tollkeeper.gate.login_sessions import digest
from tollkeeper.model.people import Handover, LoginSession
from tollkeeper.storage import handovers, login_sessions, tables
from tollkeeper.storage.database import Database

pytestmark = pytest.mark.anyio

HOST = "app.example.net"
SECRET = "s" * 43
TOKEN = "t" * 43


def sign_in(conn: Connection) -> LoginSession:
    keep_person(conn, "ada")
    return keep_login_session(conn, "ada", "a" * 64)


def redeemed(conn: Connection, handover: Handover, number: int = 1) -> LoginSession | None:
    ids = {"new_id": f"log_{number}", "new_token_hash": f"{number}" * 64}
    return handovers.redeem(conn, handover, "h" * 64, **ids, now=NOW)


def count(conn: Connection, table: str) -> int:
    return conn.scalar(select(func.count()).select_from(tables.metadata.tables[table])) or 0


def test_a_handover_becomes_a_login_session_of_its_host(conn: Connection) -> None:
    parent = sign_in(conn)
    handover = keep_handover(conn, parent.id, "h" * 64)
    assert handovers.find(conn, "h" * 64) == handover
    child = redeemed(conn, handover)
    assert child == replace(parent, id="log_1", created_at=NOW, host=HOST, parent_id=parent.id)
    assert login_sessions.held(conn, "log_1") == child
    assert handovers.find(conn, "h" * 64) is None


def test_a_handover_is_redeemed_once(conn: Connection) -> None:
    handover = keep_handover(conn, sign_in(conn).id, "h" * 64)
    assert redeemed(conn, handover, 1)
    assert redeemed(conn, handover, 2) is None
    assert login_sessions.held(conn, "log_2") is None


def test_the_account_shows_a_browser_once(conn: Connection) -> None:
    parent = sign_in(conn)
    assert redeemed(conn, keep_handover(conn, parent.id, "h" * 64))
    assert login_sessions.of_person(conn, "ada", NOW) == (parent,)


@pytest.mark.parametrize("everywhere", [False, True])
def test_anybody_who_signs_out_is_signed_out_on_every_host(conn: Connection, everywhere: bool) -> None:
    parent = sign_in(conn)
    assert redeemed(conn, keep_handover(conn, parent.id, "h" * 64))
    pending = keep_handover(conn, parent.id, "p" * 64)
    if everywhere:
        login_sessions.end_all(conn, "ada")
    else:
        assert login_sessions.end(conn, parent.id, "ada")
    assert (count(conn, "login_sessions"), count(conn, "handovers")) == (0, 0)
    assert not handovers.add(conn, pending, "q" * 64)
    assert redeemed(conn, pending, 2) is None


def test_what_nobody_redeemed_is_forgotten(conn: Connection) -> None:
    parent = sign_in(conn)
    keep_handover(conn, parent.id, "h" * 64, expires_at=NOW)
    lasting = keep_handover(conn, parent.id, "i" * 64, expires_at=NOW + 1)
    handovers.forget_expired(conn, NOW)
    assert (handovers.find(conn, "h" * 64), handovers.find(conn, "i" * 64)) == (None, lasting)


async def test_of_many_at_once_one_redeems(database: Database) -> None:
    parent = await database.write(sign_in)
    token = await begin(database, parent.id, host=HOST, browser=digest(SECRET), now=NOW)
    assert token
    tries = [redeem(database, token, host=HOST, secret=SECRET, now=NOW) for _ in range(8)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    (mine,) = [answer for answer in answers if isinstance(answer, tuple)]
    assert all(isinstance(answer, HandoverFailed) for answer in answers if answer is not mine)
    assert await database.read(count, "login_sessions") == 2
    assert mine[1] == NOW + DAY
    visitor = await database.find_visitor(digest(mine[0]), host=HOST, live=False, now=NOW)
    assert visitor
    assert visitor.person.id == "ada"


async def test_signing_out_and_redeeming_at_once_leave_nobody_signed_in(database: Database) -> None:
    for number in range(10):
        parent = await database.write(keep_one, number)
        token = await begin(database, parent.id, host=HOST, browser=digest(SECRET), now=NOW)
        assert token
        await asyncio.gather(
            redeem(database, token, host=HOST, secret=SECRET, now=NOW),
            database.write(login_sessions.end, parent.id, "ada"),
            return_exceptions=True,
        )
        assert await database.read(count, "login_sessions") == 0


def keep_one(conn: Connection, number: int) -> LoginSession:
    keep_person(conn, "ada")
    return keep_login_session(conn, "ada", f"{number}" * 64)


async def test_an_ended_login_session_is_handed_over_to_nobody(database: Database) -> None:
    assert await begin(database, "log_1", host=HOST, browser=digest(SECRET), now=NOW) is None


@pytest.mark.parametrize(
    ("token", "changes"),
    [
        (None, {"now": NOW + SECONDS}),
        (None, {"host": "app.example.org"}),
        (None, {"secret": "o" * 43}),
        (None, {"secret": ""}),
        (None, {"secret": digest(SECRET)}),
        ("u" * 43, {}),
        ("", {}),
        ("t" * 44, {}),
    ],
)
async def test_what_does_not_hold_writes_nothing(
    database: Database, token: str | None, changes: dict[str, Any]
) -> None:
    parent = await database.write(sign_in)
    good = await begin(database, parent.id, host=HOST, browser=digest(SECRET), now=NOW)
    assert good
    said: dict[str, Any] = {"host": HOST, "secret": SECRET, "now": NOW + SECONDS - 1}
    with pytest.raises(HandoverFailed):
        await redeem(database, good if token is None else token, **(said | changes))
    assert await database.read(count, "login_sessions") == 1
    assert await database.read(count, "handovers") == 1
    assert await redeem(database, good, host=HOST, secret=SECRET, now=NOW + SECONDS - 1)


async def test_tokens_are_kept_as_hashes_alone(database: Database) -> None:
    parent = await database.write(sign_in)
    token = await begin(database, parent.id, host=HOST, browser=digest(SECRET), now=NOW)
    assert token
    rows = await database.read(lambda conn: str(conn.execute(tables.handovers.select()).all()))
    assert digest(token) in rows
    assert token not in rows


def test_each_objection_is_said_in_words() -> None:
    handover = Handover("log_1", HOST, digest(SECRET), NOW)
    assert objection(handover, host=HOST, secret=SECRET, now=NOW - 1) is None
    assert objection(handover, host=HOST, secret=SECRET, now=NOW) == "it came too late"
    assert objection(handover, host="x", secret=SECRET, now=NOW - 1) == "it is for another host"
    assert objection(handover, host=HOST, secret=TOKEN, now=NOW - 1) == "it is for another browser"
