"""The fast query returns the same as the plain ones, and never reads a whole table."""

import asyncio
import re
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from sqlalchemy.engine import default
from tests.storage.makers import (
    DAY,
    LIVE_MODE,
    NOW,
    OTHER_PROVIDER,
    TEST_MODE,
    keep_grant,
    keep_login_session,
    keep_person,
)

from tollkeeper.model.access import Grant, Holding, Visitor
from tollkeeper.model.people import Person
from tollkeeper.reasons import Code, because
from tollkeeper.storage import grants, login_sessions, visitors
from tollkeeper.storage.database import Database

pytestmark = pytest.mark.anyio

TOKEN = "a" * 64


def sign_in(conn: Connection) -> Person:
    person = keep_person(conn, "ada")
    keep_login_session(conn, "ada", TOKEN, expires_at=NOW + 10)
    return person


async def test_a_visitor_without_grants_holds_nothing(database: Database) -> None:
    ada = await database.write(sign_in)
    assert await database.find_visitor(TOKEN, live=False, now=NOW) == Visitor(ada, "ls_aaaaaaaa", ())


async def test_an_unknown_token_is_nobody(database: Database) -> None:
    await database.write(sign_in)
    assert await database.find_visitor("b" * 64, live=False, now=NOW) is None


async def test_a_login_session_ends_on_the_second(database: Database) -> None:
    await database.write(sign_in)
    assert await database.find_visitor(TOKEN, live=False, now=NOW + 9) is not None
    assert await database.find_visitor(TOKEN, live=False, now=NOW + 10) is None


async def test_a_login_session_counts_at_its_own_host_alone(database: Database) -> None:
    def apart(conn: Connection) -> None:
        sign_in(conn)
        keep_login_session(conn, "ada", "b" * 64, host="app.example.net", parent_id="ls_aaaaaaaa")

    await database.write(apart)
    counts = {
        (token, host)
        for token in (TOKEN, "b" * 64)
        for host in ("", "app.example.net", "app.example.org")
        if await database.find_visitor(token, host=host, live=False, now=NOW)
    }
    assert counts == {(TOKEN, ""), ("b" * 64, "app.example.net")}


async def test_i05_logging_out_and_revoking_count_for_the_next_question(database: Database) -> None:
    await database.write(sign_in)
    grant = await database.write(keep_grant, "ada", "cs_1")
    assert await holdings(database) == (Holding("dashboard", None),)
    await database.write(grants.change, replace(grant, revoked_at=NOW, reason=because(Code.REFUNDED)))
    assert await holdings(database) == ()
    await database.write(login_sessions.end_all, "ada")
    assert await database.find_visitor(TOKEN, live=False, now=NOW) is None


async def test_i05_even_questions_asked_together_hear_of_what_came_before_them(database: Database) -> None:
    await database.write(sign_in)
    for _ in range(20):
        grant = await database.write(keep_grant, "ada", f"cs_{uuid4().hex}")
        assert set(await asyncio.gather(*(holdings(database) for _ in range(5)))) == {(Holding("dashboard", None),)}
        withdrawing = database.write(grants.change, replace(grant, revoked_at=NOW, reason=because(Code.REFUNDED)))
        _, *_meanwhile = await asyncio.gather(withdrawing, *(holdings(database) for _ in range(5)))
        assert set(await asyncio.gather(*(holdings(database) for _ in range(5)))) == {()}


async def test_anybody_who_asks_together_hears_of_themselves_alone(database: Database) -> None:
    tokens = [f"{number:064d}" for number in range(12)]

    def several(conn: Connection) -> None:
        for number, token in enumerate(tokens[:10]):  # of the last two nobody knows
            keep_person(conn, f"p{number}")
            at_host = "app.example.net" if number % 3 == 0 else ""
            keep_login_session(conn, f"p{number}", token, id=f"ls_{number}", host=at_host)
            for grant in range(number % 4):
                keep_grant(conn, f"p{number}", f"cs_{number}_{grant}", product=f"product-{grant}")

    await database.write(several)
    asked = [(token, host) for token in tokens for host in ("", "app.example.net")]
    found = await asyncio.gather(*(database.find_visitor(t, host=h, live=False, now=NOW) for t, h in asked))
    alone = [await database.find_visitor(token, host=host, live=False, now=NOW) for token, host in asked]
    assert found == alone
    assert [visitor.person.id for visitor in found if visitor] == [f"p{number}" for number in range(10)]
    assert [len(visitor.holdings) for visitor in found if visitor] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


async def test_who_does_not_wait_for_the_answer_costs_nobody_else_theirs(database: Database) -> None:
    await database.write(sign_in)
    gone = asyncio.create_task(database.find_visitor(TOKEN, live=False, now=NOW))
    here = asyncio.create_task(database.find_visitor(TOKEN, live=False, now=NOW))
    await asyncio.sleep(0)
    gone.cancel()
    assert await here is not None


async def test_a_grant_ends_on_the_second(database: Database) -> None:
    await database.write(sign_in)
    await database.write(keep_grant, "ada", "cs_1", until=NOW)
    assert await holdings(database) == ()


@pytest.mark.parametrize(
    ("untils", "longest"),
    [((NOW + 1, NOW + 2), NOW + 2), ((NOW + 1, None), None), ((None, NOW + 1), None), ((NOW, NOW + 1), NOW + 1)],
)
async def test_the_longest_grant_of_a_product_counts(
    database: Database, untils: tuple[int | None, ...], longest: int | None
) -> None:
    await database.write(sign_in)
    for number, until in enumerate(untils):
        await database.write(keep_grant, "ada", f"cs_{number}", until=until)
    assert await holdings(database) == (Holding("dashboard", longest),)


async def test_i02_test_mode_grants_open_nothing_in_live_mode(database: Database) -> None:
    await database.write(sign_in)
    await database.write(keep_grant, "ada", "cs_1", origin=TEST_MODE)
    visitor = await database.find_visitor(TOKEN, live=True, now=NOW)
    assert visitor is not None
    assert visitor.holdings == ()


A_GRANT = st.fixed_dictionaries(
    {
        "product": st.sampled_from(["dashboard", "reports"]),
        "origin": st.sampled_from([TEST_MODE, LIVE_MODE, OTHER_PROVIDER]),
        "until": st.sampled_from([None, NOW - 1, NOW, NOW + 1, NOW + DAY]),
        "revoked_at": st.sampled_from([None, NOW - 1, NOW + 1]),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(A_GRANT, max_size=6), st.booleans(), st.sampled_from([NOW - 1, NOW, NOW + 1]))
async def test_the_hot_query_agrees_with_the_plain_ones(
    database: Database, of_ada: list[dict[str, Any]], live: bool, expires_at: int
) -> None:
    run = uuid4().hex[:20]
    adas, bobs = f"{run}-ada", f"{run}-bob"

    def prepare(conn: Connection) -> None:
        for person_id in (adas, bobs):
            keep_person(conn, person_id)
            keep_login_session(conn, person_id, f"token of {person_id}", id=person_id, expires_at=expires_at)
            for number, fields in enumerate(of_ada):
                keep_grant(conn, person_id, f"{person_id}-{number}", **(fields if person_id == adas else {}))

    await database.write(prepare)
    found = await database.find_visitor(f"token of {adas}", live=live, now=NOW)
    held = await database.read(grants.held, adas, live, NOW)
    if await database.read(login_sessions.of_person, adas, NOW):
        assert found is not None
        assert (found.person.id, found.login_session_id) == (adas, adas)
        assert found.holdings == by_product(held)
    else:
        assert found is None
    assert await database.read(visitors.find, f"token of {adas}", live=live, now=NOW) == found


async def test_no_table_is_read_as_a_whole(database: Database) -> None:
    plan = await database.read(explain)
    assert "ix_grants_gate" in plan
    if database.dialect == "sqlite":  # PostgreSQL goes by how much is in a table
        assert {"COVERING INDEX ix_login_sessions_gate", "COVERING INDEX ix_grants_gate"} <= set(
            re.findall(r"COVERING INDEX \w+", plan)
        )
    assert not re.search(r"\bSCAN|Seq Scan", plan)


def explain(conn: Connection) -> str:
    if conn.dialect.name == "postgresql":
        conn.execute(text("SET LOCAL enable_seqscan = off"))  # PostgreSQL reads an empty table as a whole otherwise
        asked = conn.execute(
            text(f"EXPLAIN {visitors.VISITORS.compile(dialect=default.DefaultDialect(paramstyle='named'))}"),
            {"token_hashes": [TOKEN], "host": "", "live": False, "now": NOW},
        )
    else:
        statement = visitors.VISITOR.params(token_hash=TOKEN, host="", live=False, now=NOW)
        written_out = statement.compile(conn, compile_kwargs={"literal_binds": True})
        asked = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {written_out}")
    return "\n".join(str(tuple(row)) for row in asked)


async def holdings(database: Database) -> tuple[Holding, ...]:
    visitor = await database.find_visitor(TOKEN, live=False, now=NOW)
    assert visitor is not None
    return visitor.holdings


def by_product(held: tuple[Grant, ...]) -> tuple[Holding, ...]:
    longest = {}
    for product in sorted({grant.product for grant in held}):
        untils = [grant.until for grant in held if grant.product == product]
        longest[product] = None if None in untils else max(until for until in untils if until is not None)
    return tuple(Holding(product, until) for product, until in longest.items())
