"""Find the visitor: the hot query, asked for every request that a gate sees. One indexed statement."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, bindparam, select

from tollkeeper.model import Holding, Person, Visitor
from tollkeeper.storage.grants import in_force
from tollkeeper.storage.tables import grants, login_sessions, people

VISITOR = (
    select(
        people.c.id,
        people.c.name,
        people.c.email,
        people.c.created_at,
        login_sessions.c.id.label("login_session_id"),
        grants.c.product,
        grants.c.until,
    )
    .select_from(
        login_sessions.join(people).outerjoin(
            grants,
            (grants.c.person_id == people.c.id)
            & in_force(bindparam("live", type_=grants.c.live.type), bindparam("now", type_=grants.c.until.type)),
        )
    )
    .where(
        login_sessions.c.token_hash == bindparam("token_hash"),
        login_sessions.c.host == bindparam("host", type_=login_sessions.c.host.type),
        login_sessions.c.expires_at > bindparam("now", type_=grants.c.until.type),
    )
)


def find(conn: Connection, token_hash: str, *, live: bool, now: int, host: str = "") -> Visitor | None:
    """The visitor whose login session has this token hash, counts at this host, and has not expired at ``now``."""
    parameters = {"token_hash": token_hash, "host": host, "live": live, "now": now}
    return visitor_in([tuple(row) for row in conn.execute(VISITOR, parameters)])


def driver_sql(dialect: Dialect) -> str:
    """The statement as the driver takes it, with named parameters ``token_hash``, ``host``, ``live``, ``now``."""
    return str(VISITOR.compile(dialect=dialect))


def visitor_in(rows: Sequence[tuple[Any, ...]]) -> Visitor | None:
    """The visitor that the statement's rows tell of: one row for each grant in force, or one without any."""
    if not rows:
        return None
    login_session_id = rows[0][4]
    holdings = _holdings((row[5], row[6]) for row in rows if row[5] is not None)
    return Visitor(Person(*rows[0][:4]), login_session_id, holdings)


def _holdings(held: Iterable[tuple[str, int | None]]) -> tuple[Holding, ...]:
    """One holding for each product, for as long as the longest of its grants (None: for good)."""
    longest: dict[str, int | None] = {}
    for product, until in held:
        known = longest.get(product, 0)
        longest[product] = None if until is None or known is None else max(known, until)
    return tuple(Holding(product, longest[product]) for product in sorted(longest))
