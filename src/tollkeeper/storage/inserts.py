"""Inserts that give way to a row that is there already, in the words of each database."""

from typing import TYPE_CHECKING

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def insert_into(dialect: str, table: Table) -> "postgresql.Insert | sqlite.Insert":
    """An INSERT that knows ON CONFLICT, in this dialect. Both spell it alike; SQLAlchemy has one class for each."""
    if dialect == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # already imported if it is used, and otherwise a heavy import

    return postgresql.insert(table)
