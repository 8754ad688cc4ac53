"""Fill a database with people who are signed in and have paid: a row in each table for each of them, in bulk."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import Connection, Table, insert

from tollkeeper.gate.login_sessions import LIFETIME, digest
from tollkeeper.storage import postgresql, sqlite
from tollkeeper.storage.address import parse
from tollkeeper.storage.tables import grants, identities, login_sessions, people

# Which columns are filled: the others are empty for a grant in force, or numbered by the database.
COLUMNS: Final[dict[Table, Sequence[str]]] = {
    people: ("id", "name", "email", "created_at"),
    identities: ("issuer", "subject", "person_id", "created_at"),
    login_sessions: ("id", "token_hash", "person_id", "issuer", "browser", "created_at", "expires_at"),
    grants: (
        "person_id",
        "product",
        "provider",
        "account",
        "live",
        "source",
        "since",
        "reason",
        "amount",
        "currency",
        "reference",
    ),
}
ISSUER: Final = "https://id.example.com"
ACCOUNT: Final = ("stripe", "acct_bench", False)
BATCH: Final = 20_000


def token(number: int) -> str:
    """The token in somebody's cookie, which a load generator can work out too."""
    return f"{number:043d}"


def fill(database_url: str, count: int, now: int) -> None:
    """Write so many people, who hold the product ``basic``, into an empty database."""
    address = parse(database_url)
    opened = (
        sqlite.engine(address, begin="BEGIN IMMEDIATE") if isinstance(address, Path) else postgresql.engine(address)
    )
    try:
        with opened.begin() as conn:
            if conn.dialect.name == "sqlite":
                conn.exec_driver_sql("PRAGMA cache_size = -1000000")  # or random keys are read and written many times
            for numbers in batches(range(count)):
                by_person = [rows_of(number, now) for number in numbers]
                for table, rows in zip(COLUMNS, zip(*by_person, strict=True), strict=True):
                    add(conn, table, rows)
            if conn.dialect.name == "postgresql":
                conn.exec_driver_sql("ANALYZE")  # which autovacuum would do a minute later
    finally:
        opened.dispose()


def batches(numbers: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(numbers)
    while batch := list(islice(rest, BATCH)):
        yield batch


def rows_of(number: int, now: int) -> tuple[tuple[Any, ...], ...]:
    """Somebody's row in each table. Ids are as scattered as real ones."""
    token_hash = digest(token(number))
    person, session = f"per_{token_hash[:24]}", f"log_{token_hash[24:48]}"
    return (
        (person, f"Visitor {number}", f"visitor-{number}@example.com", now),
        (ISSUER, f"subject-{number}", person, now),
        (session, token_hash, person, ISSUER, "Firefox on Linux", now, now + LIFETIME),
        (person, "basic", *ACCOUNT, f"cs_test_{token_hash[:40]}", now, "paid", 1900, "eur", f"pi_{token_hash[40:]}"),
    )


def add(conn: Connection, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """As fast as the driver can."""
    names = COLUMNS[table]
    driver = conn.connection.driver_connection
    if isinstance(driver, psycopg.Connection):
        command = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, names))
        )
        with driver.cursor() as cursor, cursor.copy(command) as copy:
            for row in rows:
                copy.write_row(row)
    else:
        columns = [table.c[name] for name in names]
        statement = str(insert(table).values(dict.fromkeys(columns)).compile(dialect=conn.dialect))
        conn.exec_driver_sql(statement, list(rows))
