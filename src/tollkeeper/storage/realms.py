"""A realm as the three columns that hold it."""

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, bindparam

from tollkeeper.model.access import Operator
from tollkeeper.model.orders import Mode, Realm

# What the column of the provider says of what an operator granted.
OPERATOR = "operator"


def columns_of(origin: Realm | Operator) -> dict[str, str | bool]:
    """The values to insert for a realm, or for an operator in its place."""
    if isinstance(origin, Operator):
        return {"provider": OPERATOR, "account": "", "live": origin.live}
    return {"provider": origin.provider, "account": origin.account, "live": origin.live}


@lru_cache
def within(table: Table, realm: Realm) -> ColumnElement[bool]:
    """The condition that keeps a query inside one realm; made once, for nearly every query has it."""
    return and_(table.c.provider == realm.provider, table.c.account == realm.account, table.c.live == realm.live)


def in_realm(table: Table) -> ColumnElement[bool]:
    """The same for a query that is made once: its parameters are the ``columns_of`` a realm."""
    return and_(*(table.c[name] == bindparam(name) for name in ("provider", "account", "live")))


def in_mode(table: Table, mode: Mode) -> ColumnElement[bool]:
    """The condition that keeps a query inside one mode, whatever the account."""
    return and_(table.c.provider == mode.provider, table.c.live == mode.live)


def same_realm(one: Table, other: Table) -> ColumnElement[bool]:
    """The condition that joins rows of one realm."""
    return and_(*(one.c[name] == other.c[name] for name in ("provider", "account", "live")))


def realm_of(row: Row[Any]) -> Realm:
    """The realm of a row."""
    return Realm(row.provider, row.account, row.live)


def origin_of(row: Row[Any]) -> Realm | Operator:
    """The same where an operator may be in its place."""
    return Operator(row.live) if row.provider == OPERATOR else realm_of(row)
