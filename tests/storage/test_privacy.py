"""What remains of a person whose account was deleted: orders, payments and decisions, but no access."""

import pytest
from sqlalchemy import Connection
from tests.storage.makers import (
    DAY,
    NOW,
    PAID,
    TEST_MODE,
    a_finding,
    a_subscription_finding,
    an_invoice,
    keep_grant,
    keep_person,
)

from tollkeeper.billing.reconcile import after_deletion
from tollkeeper.model.access import Verdict
from tollkeeper.model.bought import Subscription
from tollkeeper.reasons import Code, because
from tollkeeper.storage import audit, customers, findings, grants, privacy

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


def test_receipts_which_show_a_name_are_forgotten_those_of_each_period_too(conn: Connection) -> None:
    keep_grant(conn, "ada", "sub_1", until=NOW + DAY)
    for person in ("ada", "bob"):
        known = keep_person(conn, person)
        customer = customers.add(conn, known.id, TEST_MODE, f"cus_{person}", NOW)
        invoices = (an_invoice("in_2"), an_invoice("in_1", refunded=9))
        one = a_subscription_finding(f"sub_{person}", invoices=invoices, email="a@example.com")
        findings.note(conn, customer, [one], NOW)
    privacy.erase(conn, "ada", NOW)
    (grant,) = grants.of_person(conn, "ada", TEST_MODE)
    (found,) = findings.of_person(conn, "ada", False, 10)
    assert (grant.receipt_url, found.email, [one.receipt_url for one in found.invoices]) == (None, None, [None, None])
    assert [(one.id, one.paid, one.refunded, one.reference) for one in found.invoices] == [
        ("in_2", 990, 0, "pi_1"),
        ("in_1", 990, 9, "pi_1"),
    ]
    (others,) = findings.of_person(conn, "bob", False, 10)
    assert (others.email, others.invoices) == ("a@example.com", invoices)


def test_what_had_ended_before_keeps_its_reason_and_is_no_change_of_access(conn: Connection) -> None:
    refunded = because(Code.REFUNDED, refunded=990, amount=990, currency="eur", limit=100)
    keep_grant(conn, "ada", "cs_1", reason=refunded, revoked_at=NOW - DAY)
    keep_grant(conn, "ada", "cs_2", until=NOW)
    privacy.erase(conn, "ada", NOW)
    assert audit.of_person(conn, "ada") == ()
    reported = {one.source: (one.reason, one.withheld) for one in grants.of_person(conn, "ada", TEST_MODE)}
    assert reported == {"cs_1": (refunded, DELETED), "cs_2": (DELETED, DELETED)}


def test_what_is_found_after_the_deletion_names_nobody_and_pays_for_nothing() -> None:
    found = a_subscription_finding("sub_1", email="a@example.com", invoices=(an_invoice("in_2"), an_invoice("in_1")))
    for known, verdict in ((True, Verdict.GRANTED), (False, Verdict.QUARANTINED)):
        after = after_deletion(found, known)
        assert isinstance(after.bought, Subscription)
        assert (after.bought.email, {one.receipt_url for one in after.bought.invoices}) == (None, {None})
        assert (after.verdict, after.bought.amount_total) == (verdict, found.bought.amount_total)
    assert after_deletion(a_finding("cs_1", email="a@example.com"), known=False).bought.email is None
