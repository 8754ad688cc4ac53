import pytest
from sqlalchemy import Connection, delete, text, update
from sqlalchemy.exc import IntegrityError
from tests.storage.makers import NOW, PAID, TEST_MODE, a_grant

from tollkeeper.reasons import Code, because
from tollkeeper.storage import audit, tables


def record(conn: Connection, person_id: str, change: str) -> None:
    audit.record(conn, a_grant(person_id, "cs_1"), change, evidence='{"amount": 990}', now=NOW)


def test_entries_of_a_person_oldest_first(conn: Connection) -> None:
    record(conn, "ada", "granted")
    record(conn, "bob", "granted")
    record(conn, "ada", "revoked")
    first, second = audit.of_person(conn, "ada")
    assert (first.change, second.change) == ("granted", "revoked")
    assert first == audit.Entry(
        first.id, NOW, "ada", "granted", "dashboard", TEST_MODE, "cs_1", PAID, '{"amount": 990}'
    )


@pytest.mark.parametrize("rewriting", [update(tables.audit).values(reason=because(Code.PAID)), delete(tables.audit)])
def test_i08_the_database_refuses_to_rewrite_the_audit(conn: Connection, rewriting: object) -> None:
    record(conn, "ada", "granted")
    with pytest.raises(IntegrityError, match="append-only"), conn.begin_nested():
        conn.execute(rewriting)  # type: ignore[call-overload]
    (entry,) = audit.of_person(conn, "ada")
    assert entry.reason == PAID


@pytest.mark.parametrize("engine", ["postgresql"])  # SQLite has no TRUNCATE
def test_i08_nor_can_the_audit_be_emptied(conn: Connection) -> None:
    with pytest.raises(IntegrityError, match="append-only"), conn.begin_nested():
        conn.execute(text("TRUNCATE audit"))
