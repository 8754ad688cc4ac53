"""Find the visitor: the hot query, run for every request that a gate sees. One indexed statement."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Connection, Dialect, Select, Text, any_, bindparam, select

from tollkeeper.model.access import Holding, Visitor
from tollkeeper.model.people import Person
from tollkeeper.storage.grants import in_force
from tollkeeper.storage.tables import grants, login_sessions, people


def _visitors(which: ColumnElement[bool]) -> Select[Any]:
    return (
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
            which,
            login_sessions.c.host == bindparam("host", type_=login_sessions.c.host.type),
            login_sessions.c.expires_at > bindparam("now", type_=grants.c.until.type),
        )
    )


VISITOR = _visitors(login_sessions.c.token_hash == bindparam("token_hash"))

# The same for many at once, with the token hash that each row belongs to as its last column.
VISITORS = _visitors(login_sessions.c.token_hash == any_(bindparam("token_hashes", type_=ARRAY(Text)))).add_columns(
    login_sessions.c.token_hash
)


def find(conn: Connection, token_hash: str, *, live: bool, now: int, host: str = "") -> Visitor | None:
    """The visitor whose login session has this token hash, counts at this host, and has not expired at ``now``."""
    parameters = {"token_hash": token_hash, "host": host, "live": live, "now": now}
    return visitor_in([tuple(row) for row in conn.execute(VISITOR, parameters)])


def driver_sql(dialect: Dialect, statement: Select[Any] = VISITOR) -> str:
    """A statement as the driver takes it, with named parameters ``token_hash(es)``, ``host``, ``live``, ``now``."""
    return str(statement.compile(dialect=dialect))


def visitor_in(rows: Sequence[tuple[Any, ...]]) -> Visitor | None:
    """The visitor in the statement's rows: one row for each grant in force, or one row without any."""
    if not rows:
        return None
    id, name, email, created_at, login_session_id, _, _ = rows[0]
    return Visitor(Person(id, name, email, created_at), login_session_id, _holdings(rows))


def visitors_in(rows: Iterable[tuple[Any, ...]]) -> dict[str, Visitor | None]:
    """The visitors in the rows for many, by token hash."""
    of_one: dict[str, list[tuple[Any, ...]]] = {}
    for *row, token_hash in rows:
        of_one.setdefault(token_hash, []).append(tuple(row))
    return {token_hash: visitor_in(rows) for token_hash, rows in of_one.items()}


def _holdings(rows: Sequence[tuple[Any, ...]]) -> tuple[Holding, ...]:
    """One holding for each product, lasting as long as the longest of its grants (None: for good)."""
    longest: dict[str, int | None] = {}
    for *_, product, until in rows:
        if product is not None:
            known = longest.get(product, 0)
            longest[product] = None if until is None or known is None else max(known, until)
    return tuple([Holding(product, longest[product]) for product in sorted(longest)])
