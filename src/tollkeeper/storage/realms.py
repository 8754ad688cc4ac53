"""A realm as the three columns that hold it."""

from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_

from tollkeeper.model import Realm


def columns_of(realm: Realm) -> dict[str, str | bool]:
    """The values to insert for a realm."""
    return {"provider": realm.provider, "account": realm.account, "live": realm.live}


def within(table: Table, realm: Realm) -> ColumnElement[bool]:
    """The condition that keeps a query inside one realm."""
    return and_(table.c.provider == realm.provider, table.c.account == realm.account, table.c.live == realm.live)


def realm_of(row: Row[Any]) -> Realm:
    """The realm of a row."""
    return Realm(row.provider, row.account, row.live)
