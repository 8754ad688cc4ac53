"""What is left of a person whose account was deleted: what was ordered, paid and decided, and no access."""

import pytest
from sqlalchemy import Connection
from tests.storage.makers import (
    DAY,
    NOW,
    PAID,
    TEST_MODE,
    keep_grant,
    keep_person,
)

from tollkeeper.reasons import Code, because
from tollkeeper.storage import audit, grants, privacy

DELETED = because(Code.ACCOUNT_DELETED)


@pytest.fixture(autouse=True)
def ada(conn: Connection) -> None:
    keep_person(conn, "ada")


def test_what_ends_with_the_account_says_so_in_the_audit_and_can_never_come_back(conn: Connection) -> None:
    kept = keep_grant(conn, "ada", "cs_1", reason=PAID)
    privacy.erase(conn, "ada", NOW)
    (entry,) = audit.of_person(conn, "ada")
    assert (entry.change, entry.source, entry.reason) == ("revoked", "cs_1", DELETED)
    (ended,) = grants.of_person(conn, "ada", TEST_MODE)
    assert (ended.id, ended.revoked_at, ended.reason, ended.withheld) == (kept.id, NOW, DELETED, DELETED)


def test_what_had_ended_before_keeps_its_reason_and_is_no_change_of_access(conn: Connection) -> None:
    refunded = because(Code.REFUNDED, refunded=990, amount=990, currency="eur", limit=100)
    keep_grant(conn, "ada", "cs_1", reason=refunded, revoked_at=NOW - DAY)
    keep_grant(conn, "ada", "cs_2", until=NOW)
    privacy.erase(conn, "ada", NOW)
    assert audit.of_person(conn, "ada") == ()
    told = {one.source: (one.reason, one.withheld) for one in grants.of_person(conn, "ada", TEST_MODE)}
    assert told == {"cs_1": (refunded, DELETED), "cs_2": (DELETED, DELETED)}
