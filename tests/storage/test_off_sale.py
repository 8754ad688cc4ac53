import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.storage.makers import LIVE_MODE, NOW, TEST_MODE

from tollkeeper.errors import Obstacle, Scope
from tollkeeper.model.orders import Mode
from tollkeeper.model.selling import OffSale
from tollkeeper.storage import off_sale
from tollkeeper.storage.database import Database

HERE = TEST_MODE.mode
EVERY = 300


def an_entry(**changes: Any) -> OffSale:
    entry = OffSale("pro", "price_1", None, Obstacle.PRICE_ARCHIVED, {}, "It is inactive.", NOW, NOW)
    return replace(entry, **changes)


def test_k79_a_cause_is_news_once(conn: Connection) -> None:
    assert off_sale.note(conn, HERE, an_entry())
    assert not off_sale.note(conn, HERE, an_entry(since=NOW + 60, tried_at=NOW + 60))
    assert off_sale.known(conn, HERE, None) == (an_entry(tried_at=NOW + 60),)
    later = an_entry(obstacle=Obstacle.KEY_LIMITED, facts={"permission": "rak_x"}, since=NOW + 90, tried_at=NOW + 90)
    assert off_sale.note(conn, HERE, later)
    assert off_sale.known(conn, HERE, None) == (later,)


def test_k79_what_concerns_one_person_is_no_business_of_others(conn: Connection) -> None:
    mine = an_entry(person_id="ann", obstacle=Obstacle.OTHER_CURRENCY, facts={"currency": "eur"})
    off_sale.note(conn, HERE, mine)
    off_sale.note(conn, HERE, an_entry())
    assert {one.person_id for one in off_sale.known(conn, HERE, "ann")} == {"ann", None}
    assert off_sale.known(conn, HERE, "bob") == off_sale.known(conn, HERE, None) == (an_entry(),)
    assert off_sale.newest(conn, HERE, 10) == (an_entry(), mine)
    assert off_sale.newest(conn, HERE, 1) == (an_entry(),)
    assert off_sale.count(conn, HERE) == {Scope.PRICE: 1, Scope.ACCOUNT: 0, Scope.PERSON: 1}


def test_k79_modes_and_providers_are_apart(conn: Connection) -> None:
    for mode in (LIVE_MODE.mode, Mode("paddle", False)):
        off_sale.note(conn, mode, an_entry())
    assert off_sale.known(conn, HERE, None) == off_sale.newest(conn, HERE, 9) == ()
    assert off_sale.claim(conn, HERE, NOW + EVERY, EVERY) == ()
    assert not off_sale.lift(conn, HERE, an_entry())
    assert sum(off_sale.count(conn, HERE).values()) == 0


def test_k79_it_is_tried_again_in_its_turn(conn: Connection) -> None:
    off_sale.note(conn, HERE, an_entry())
    off_sale.note(conn, HERE, an_entry(person_id="ann", obstacle=Obstacle.OTHER_CURRENCY))
    assert not off_sale.due(conn, HERE, NOW + EVERY - 1, EVERY)
    assert off_sale.due(conn, HERE, NOW + EVERY, EVERY)
    assert off_sale.claim(conn, HERE, NOW + EVERY - 1, EVERY) == ()
    assert off_sale.claim(conn, HERE, NOW + EVERY, EVERY) == (an_entry(tried_at=NOW + EVERY),)
    assert off_sale.claim(conn, HERE, NOW + EVERY, EVERY) == ()
    assert len(off_sale.claim(conn, HERE, NOW + EVERY, 0)) == 1
    assert len(off_sale.claim(conn, HERE, NOW, EVERY)) == 1, "the clock was put back"


def test_k79_what_is_lifted_is_gone_once(conn: Connection) -> None:
    off_sale.note(conn, HERE, an_entry())
    off_sale.note(conn, HERE, an_entry(person_id="ann"))
    assert off_sale.lift(conn, HERE, an_entry())
    assert not off_sale.lift(conn, HERE, an_entry())
    assert [one.person_id for one in off_sale.known(conn, HERE, "ann")] == ["ann"]


def test_k79_only_what_concerned_one_person_is_forgotten_with_time(conn: Connection) -> None:
    off_sale.note(conn, HERE, an_entry())
    off_sale.note(conn, HERE, an_entry(person_id="ann"))
    off_sale.note(conn, HERE, an_entry(person_id="bob", tried_at=NOW + 1))
    off_sale.forget(conn, NOW + 1)
    assert {one.person_id for one in off_sale.newest(conn, HERE, 9)} == {None, "bob"}


@pytest.mark.anyio
async def test_k79_of_many_who_meet_it_at_once_one_tells(database: Database) -> None:
    reported = await asyncio.gather(*(database.write(off_sale.note, HERE, an_entry()) for _ in range(20)))
    assert sorted(reported) == [False] * 19 + [True]
    tried = await asyncio.gather(*(database.write(off_sale.claim, HERE, NOW + EVERY, EVERY) for _ in range(20)))
    assert sorted(map(len, tried)) == [0] * 19 + [1]
