"""Marks: the ids of our orders and people, which show that a purchase is ours."""

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, select, union_all

from tollkeeper.model.bought import Bought
from tollkeeper.storage.tables import orders, people


def known(conn: Connection, bought: Iterable[Bought]) -> frozenset[str]:
    """The ids named by these purchases that are orders or people here, no matter whose."""
    named = {id for one in bought for id in (one.order_id, one.person_id) if id is not None}
    return frozenset(conn.scalars(_KNOWN, {"named": list(named)})) if named else frozenset()


_KNOWN = union_all(
    *(
        select(table.c.id).where(table.c.id.in_(bindparam("named", expanding=True, unique=False)))
        for table in (orders, people)
    )
)
