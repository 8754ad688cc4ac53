from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.storage.makers import (
    DAY,
    LIVE_MODE,
    NOW,
    OTHER_ACCOUNT,
    TEST_MODE,
    a_finding,
    a_subscription_finding,
    an_invoice,
    an_order,
    keep_grant,
    keep_person,
)

from tollkeeper.model.access import Operator, Verdict
from tollkeeper.model.bought import Bill, Dispute, Invoice, SubscriptionStatus
from tollkeeper.model.orders import Customer, Realm
from tollkeeper.model.people import Person
from tollkeeper.reasons import Code, Reason, because
from tollkeeper.storage import customers, findings, grants
from tollkeeper.storage.findings import Noted, noted

OPERATOR = Operator(live=False)
UNCLAIMED, QUARANTINED = Verdict.UNCLAIMED, Verdict.QUARANTINED
ODD = because(Code.UNKNOWN_PRICE, prices="price_9")
ODDER = because(Code.NOT_FINALIZED, invoice="in_1", since=NOW, trouble="No address.")


# What is found of strangers is found one second after the other.
SECONDS = count(NOW)


@pytest.fixture
def ada(conn: Connection) -> Customer:
    keep_person(conn, "ada")
    return customers.add(conn, "ada", TEST_MODE, "cus_ada", NOW)


def note(
    conn: Connection, customer: Customer | None, source: str, realm: Realm = TEST_MODE, **changes: Any
) -> tuple[Verdict, ...]:
    """Keep one finding. Returns what of it was news."""
    finding = a_finding(source, **{"reference": f"pi_{source}"} | changes)
    if customer is not None:
        news = findings.note(conn, replace(customer, realm=realm), [finding], NOW)
    else:
        news = findings.note_of_stranger(conn, realm, finding, next(SECONDS)) or ()
    return tuple(one.verdict for one in news)


def listed(conn: Connection, limit: int = 10) -> list[str]:
    return [one.source for one in findings.unexplained(conn, TEST_MODE.mode, limit)]


def test_a_finding_is_kept_as_it_was_made(conn: Connection, ada: Customer) -> None:
    finding = a_finding("cs_1", verdict=QUARANTINED, reference="pi_1", email="a@example.com", amount_refunded=1)
    findings.note(conn, ada, [finding], NOW)
    assert findings.of_person(conn, "ada", False, 10) == (noted(finding, "ada", NOW),)
    assert findings.of_person(conn, "ada", True, 10) == findings.of_person(conn, "bob", False, 10) == ()


def test_a_new_verdict_is_news_once_and_the_last_one_is_kept(conn: Connection, ada: Customer) -> None:
    assert note(conn, ada, "cs_1") == (Verdict.GRANTED,)
    assert note(conn, ada, "cs_1") == ()
    assert note(conn, ada, "cs_1", amount_refunded=1) == ()
    assert note(conn, ada, "cs_1", verdict=Verdict.REVOKED, amount_refunded=990) == (Verdict.REVOKED,)
    (kept,) = findings.of_person(conn, "ada", False, 10)
    assert (kept.verdict, kept.refunded) == (Verdict.REVOKED, 990)
    assert note(conn, ada, "cs_1", OTHER_ACCOUNT) == (Verdict.GRANTED,)


def test_what_was_asked_for_earlier_never_replaces_what_was_found_of_a_stranger_since(conn: Connection) -> None:
    paid, unpaid = (a_finding("cs_1", verdict=verdict) for verdict in (UNCLAIMED, Verdict.UNPAID))
    assert findings.note_of_stranger(conn, TEST_MODE, paid, NOW) == (paid,)
    assert findings.note_of_stranger(conn, TEST_MODE, unpaid, NOW - 1) == ()
    assert listed(conn) == ["cs_1"]
    assert findings.note_of_stranger(conn, TEST_MODE, unpaid, NOW + 1) == (unpaid,)
    assert listed(conn) == []


def test_of_two_answers_of_one_second_nobody_knows_which_is_newer(conn: Connection) -> None:
    paid, unpaid = (a_finding("cs_1", verdict=verdict) for verdict in (UNCLAIMED, Verdict.UNPAID))
    assert findings.note_of_stranger(conn, TEST_MODE, paid, NOW) == (paid,)
    assert findings.note_of_stranger(conn, TEST_MODE, paid, NOW) == ()
    assert findings.note_of_stranger(conn, TEST_MODE, unpaid, NOW) is None
    assert listed(conn) == ["cs_1"]


def test_money_that_a_bank_took_back_needs_no_look(conn: Connection) -> None:
    note(conn, None, "cs_1", verdict=UNCLAIMED, dispute=Dispute.OPEN)
    assert listed(conn) == ["cs_1"]
    note(conn, None, "cs_1", verdict=UNCLAIMED, dispute=Dispute.LOST)
    assert listed(conn) == []


def test_a_payment_leads_to_its_purchase_and_to_who_paid(conn: Connection, ada: Customer) -> None:
    note(conn, ada, "cs_1")
    note(conn, None, "cs_2", verdict=UNCLAIMED)
    assert findings.source_of(conn, TEST_MODE, "pi_cs_2") == "cs_2"
    assert findings.source_of(conn, OTHER_ACCOUNT, "pi_cs_2") is None
    assert customers.who_paid(conn, TEST_MODE, "pi_cs_1") == ada
    assert customers.who_paid(conn, TEST_MODE, "pi_cs_2") is None


def test_unexplained_is_money_that_opened_no_door_and_was_not_paid_back(conn: Connection, ada: Customer) -> None:
    for verdict in Verdict:
        note(conn, ada, f"cs_{verdict}", verdict=verdict)
    note(conn, None, "cs_link", verdict=UNCLAIMED, created_at=NOW + DAY)
    note(conn, None, "cs_partly", verdict=UNCLAIMED, amount_refunded=989, created_at=NOW - DAY)
    note(conn, None, "cs_back", verdict=UNCLAIMED, amount_refunded=990)
    note(conn, None, "cs_nothing", verdict=QUARANTINED, amount_total=0)
    note(conn, None, "cs_live", LIVE_MODE, verdict=UNCLAIMED)
    assert listed(conn) == ["cs_link", "cs_unclaimed", "cs_quarantined", "cs_partly"]
    assert listed(conn, limit=1) == ["cs_link"]
    assert {one.source: one.unexplained for one in findings.of_person(conn, "ada", False, 10)} == {
        f"cs_{verdict}": verdict in {UNCLAIMED, QUARANTINED} for verdict in Verdict
    }


@pytest.mark.parametrize("reference", ["pi_1", None])
def test_a_payment_that_an_operator_granted_something_for_is_explained_until_that_is_revoked(
    conn: Connection, ada: Customer, reference: str | None
) -> None:
    note(conn, None, "cs_1", verdict=UNCLAIMED, reference=reference)
    named = reference or "cs_1"
    found = findings.unexplained_payment(conn, TEST_MODE.mode, named)
    assert found
    assert (found.source, found.payment) == ("cs_1", named)
    given = keep_grant(conn, "ada", "grt_1", origin=OPERATOR, amount=None, currency=None, reference=named)
    assert listed(conn) == []
    assert findings.unexplained_payment(conn, TEST_MODE.mode, named) is None
    grants.change(conn, replace(given, revoked_at=NOW))
    assert listed(conn) == ["cs_1"]


def test_a_grant_of_the_provider_itself_or_of_another_mode_explains_nothing(conn: Connection, ada: Customer) -> None:
    note(conn, ada, "cs_1", verdict=QUARANTINED)
    keep_grant(conn, "ada", "cs_1", reference="pi_cs_1")
    keep_grant(conn, "ada", "grt_1", origin=replace(OPERATOR, live=True), reference="pi_cs_1")
    assert listed(conn) == ["cs_1"]


def about(conn: Connection, person: Person) -> list[Noted]:
    return list(findings.unexplained_about(conn, TEST_MODE.mode, person, 10))


def test_about_a_person_is_also_what_somebody_unknown_paid_with_the_same_address(
    conn: Connection, ada: Customer
) -> None:
    keep_person(conn, "bob")
    bob = customers.add(conn, "bob", TEST_MODE, "cus_bob", NOW)
    note(conn, ada, "cs_own", verdict=QUARANTINED)
    note(conn, ada, "cs_granted")
    note(conn, None, "cs_link", verdict=UNCLAIMED, email="Ada@Example.com")
    note(conn, None, "cs_other", verdict=UNCLAIMED, email="other@example.com")
    note(conn, None, "cs_no_address", verdict=UNCLAIMED)
    note(conn, bob, "cs_bobs", verdict=UNCLAIMED, email="ada@example.com")
    person = Person("ada", "Ada", "ada@example.com", NOW)
    assert [(one.source, one.person_id) for one in about(conn, person)] == [("cs_link", None), ("cs_own", "ada")]
    assert [one.source for one in about(conn, replace(person, email=None))] == ["cs_own"]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_unexplained_are_found_by_an_index_of_their_own(conn: Connection) -> None:
    query = findings._unexplained(TEST_MODE.mode).compile(conn, compile_kwargs={"render_postcompile": True})
    plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("stripe",)).all()
    assert any("ix_findings_unexplained" in row.detail for row in plan)


def test_what_is_found_of_a_subscription_is_kept_as_it_was_made(conn: Connection, ada: Customer) -> None:
    invoices = (
        an_invoice("in_2", bill=Bill.DRAFT, total=-1, paid=0, due_at=None, paid_at=None, trouble="No address."),
        an_invoice("in_1", refunded=9, dispute=Dispute.WON, ends=NOW),
    )
    terms: dict[str, Any] = {"ends_at": NOW + DAY, "trial_end": NOW, "invoices": invoices}
    made = a_subscription_finding("sub_1", remarks=(ODD, ODDER), **terms)
    findings.note(conn, ada, [made], NOW)
    (kept,) = findings.of_person(conn, "ada", False, 10)
    assert kept == noted(made, "ada", NOW)
    assert (kept.remarks, kept.invoices) == ((ODD, ODDER), invoices)
    assert (kept.amount, kept.refunded, kept.reference) == (990, 9, "pi_1")
    assert (kept.standing, kept.price_id, kept.quantity, kept.payment) == (
        SubscriptionStatus.ACTIVE,
        "price_1",
        1,
        "sub_1",
    )
    assert (kept.renews_at, kept.gives_access(NOW + 31 * DAY - 1), kept.gives_access(NOW + 31 * DAY)) == (
        None,
        True,
        False,
    )
    assert noted(a_subscription_finding("sub_1"), "ada", NOW).renews_at == NOW + 30 * DAY
    assert noted(a_subscription_finding("sub_1", standing=SubscriptionStatus.PAST_DUE), "ada", NOW).renews_at is None


def test_what_is_remarked_is_news_once_and_listed_while_it_lasts(conn: Connection, ada: Customer) -> None:
    def news(**changes: Any) -> int:
        return len(findings.note(conn, ada, [a_subscription_finding("sub_1", **changes)], NOW))

    assert (news(), news(remarks=(ODD,)), news(remarks=(ODD,)), news(remarks=(ODDER,))) == (1, 1, 0, 1)
    assert [one.remarks for one in findings.remarked(conn, TEST_MODE.mode, 10)] == [(ODDER,)]
    assert len(findings.remarked(conn, TEST_MODE.mode, 10, "ada")) == 1
    assert findings.remarked(conn, TEST_MODE.mode, 10, "bob") == findings.remarked(conn, LIVE_MODE.mode, 10) == ()
    assert (news(), findings.remarked(conn, TEST_MODE.mode, 10)) == (0, ())


def test_of_several_remarks_only_what_is_new_is_news(conn: Connection, ada: Customer) -> None:
    def news(*remarks: Reason) -> int:
        return len(findings.note(conn, ada, [a_subscription_finding("sub_1", remarks=remarks)], NOW))

    later = replace(ODDER, facts={**ODDER.facts, "since": NOW + DAY})
    assert (news(ODD, ODDER), news(ODDER, ODD), news(ODDER), news(ODD, ODDER), news(ODD, later)) == (1, 0, 0, 1, 1)


def test_earlier_invoices_are_those_of_periods_before_the_newest(conn: Connection) -> None:
    month = 30 * DAY
    first, second = (an_invoice(f"in_{at}", starts=NOW + at * month, ends=NOW + (at + 1) * month) for at in (0, 1))
    change = an_invoice("in_change", starts=second.starts + DAY, ends=second.ends)

    def earlier(*invoices: Invoice) -> tuple[Invoice, ...]:
        return noted(a_subscription_finding("sub_1", invoices=invoices), "ada", NOW).earlier_invoices

    assert earlier() == earlier(first) == ()
    assert earlier(second, first) == earlier(change, second, first) == (first,)


def test_a_subscription_that_opened_no_door_is_listed_until_it_is_over(conn: Connection, ada: Customer) -> None:
    for verdict, amount, unexplained in ((UNCLAIMED, 0, True), (QUARANTINED, 990, True), (Verdict.ENDED, 0, False)):
        paid = an_invoice(total=amount, paid=amount, refunded=amount)
        one = a_subscription_finding("sub_1", verdict=verdict, invoices=(paid,))
        findings.note(conn, ada, [one], NOW)
        assert listed(conn) == (["sub_1"] if unexplained else [])
        assert noted(one, "ada", NOW).unexplained is unexplained
    assert findings.unexplained_payment(conn, TEST_MODE.mode, "sub_1") is None


def test_what_runs_stands_in_the_way_of_another_order(conn: Connection, ada: Customer) -> None:
    order = an_order("ord_2", "ada")
    assert not findings.running(conn, order)
    for verdict, runs in ((Verdict.GRANTED, True), (Verdict.SUSPENDED, True), (Verdict.ENDED, False)):
        findings.note(conn, ada, [a_subscription_finding("sub_1", verdict=verdict)], NOW)
        assert findings.running(conn, order) is runs
    findings.note(conn, ada, [a_subscription_finding("sub_1"), a_finding("cs_1", order_id="ord_3")], NOW)
    others = (
        replace(order, id="ord_1"),
        replace(order, person_id="bob"),
        replace(order, product="pro"),
        replace(order, realm=LIVE_MODE),
    )
    assert not any(findings.running(conn, other) for other in others)
