"""A realm as the three columns that hold it."""

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, bindparam

from tollkeeper.model.orders import Realm


def columns_of(realm: Realm) -> dict[str, str | bool]:
    """The values to insert for a realm."""
    return {"provider": realm.provider, "account": realm.account, "live": realm.live}


@lru_cache
def within(table: Table, realm: Realm) -> ColumnElement[bool]:
    """The condition that keeps a query inside one realm; made once, for nearly every query has it."""
    return and_(table.c.provider == realm.provider, table.c.account == realm.account, table.c.live == realm.live)


def in_realm(table: Table) -> ColumnElement[bool]:
    """The same for a query that is made once: its parameters are the ``columns_of`` a realm."""
    return and_(*(table.c[name] == bindparam(name) for name in ("provider", "account", "live")))


def same_realm(one: Table, other: Table) -> ColumnElement[bool]:
    """The condition that joins rows of one realm."""
    return and_(*(one.c[name] == other.c[name] for name in ("provider", "account", "live")))


def realm_of(row: Row[Any]) -> Realm:
    """The realm of a row."""
    return Realm(row.provider, row.account, row.live)
