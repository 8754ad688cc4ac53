"""Inserts that give way to a row that is there already, in the words of each database."""

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(conn: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT. Both databases spell it alike; SQLAlchemy has one class for each."""
    return sqlite.insert(table) if conn.dialect.name == "sqlite" else postgresql.insert(table)
