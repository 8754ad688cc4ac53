"""The checks find every error, and nothing else."""

from types import SimpleNamespace

import pytest
from tests.endurance.buyers import Buyer
from tests.endurance.checks import (
    Charge,
    Delivery,
    lost_events,
    unhandled_events,
    wrong_access,
    wrong_audit,
    wrong_charges,
    wrong_orders,
)

ALICE = Buyer("alice@example.com", "pays and comes back", "token", meant_to_pay=1)
PAID = Charge("pi_1", ALICE.email, 1900)


@pytest.mark.parametrize(
    ("refunded", "dispute", "stands"),
    [
        (0, None, True),
        (500, None, True),
        (1900, None, False),
        (0, "needs_response", False),
        (0, "under_review", False),
        (0, "lost", False),
        (0, "won", True),
        (0, "warning_closed", True),
        (1900, "won", False),
    ],
)
def test_what_still_pays_for_something(refunded: int, dispute: str | None, stands: bool) -> None:
    charge = Charge("pi_1", ALICE.email, 1900, refunded, dispute)
    assert charge.stands == stands
    assert not list(wrong_access([ALICE], [charge], {ALICE.email} if stands else set()))
    (wrong,) = wrong_access([ALICE], [charge], set() if stands else {ALICE.email})
    assert ALICE.email in wrong


def test_one_of_two_payments_is_enough_to_be_in() -> None:
    refunded = Charge("pi_0", ALICE.email, 1900, refunded=1900)
    assert not list(wrong_access([ALICE], [refunded, PAID], {ALICE.email}))


def test_who_never_paid_is_out() -> None:
    assert not list(wrong_access([ALICE], [], set()))
    assert list(wrong_access([ALICE], [], {ALICE.email}))


def test_nobody_is_charged_more_often_than_they_meant() -> None:
    assert not list(wrong_charges([ALICE], [PAID]))
    (wrong,) = wrong_charges([ALICE], [PAID, Charge("pi_2", ALICE.email, 1900)])
    assert "pi_1, pi_2" in wrong
    assert list(wrong_charges([], [PAID]))


@pytest.mark.parametrize(
    ("changes", "revoked_at", "right"),
    [
        (["granted"], None, True),
        (["granted", "revoked"], 1, True),
        (["granted", "revoked", "restored"], None, True),
        (["granted", "revoked", "restored", "revoked"], 1, True),
        ([], None, False),
        (["granted", "granted"], None, False),
        (["granted", "revoked", "revoked"], 1, False),
        (["granted", "restored"], None, False),
        (["revoked"], 1, False),
        (["granted"], 1, False),
        (["granted", "revoked"], None, False),
    ],
)
def test_each_change_has_one_audit_row(changes: list[str], revoked_at: int | None, right: bool) -> None:
    audit = [SimpleNamespace(source="cs_1", change=change) for change in changes]
    assert (not list(wrong_audit([SimpleNamespace(source="cs_1", revoked_at=revoked_at)], audit))) == right


def test_an_audit_row_needs_its_grant() -> None:
    (wrong,) = wrong_audit([], [SimpleNamespace(source="cs_1", change="granted")])
    assert "cs_1 does not exist" in wrong


@pytest.mark.parametrize(("state", "right"), [("complete", True), ("open", False), ("expired", False)])
def test_what_was_granted_is_ordered_no_more(state: str, right: bool) -> None:
    order = SimpleNamespace(id="ord_1", state=state, checkout_id="cs_1")
    assert (not list(wrong_orders([order], [SimpleNamespace(source="cs_1")]))) == right
    assert not list(wrong_orders([order], []))


def test_what_was_acknowledged_is_kept() -> None:
    sent = [Delivery("evt_1", 1, acknowledged=True, waiting=False), Delivery("evt_2", 1, False, waiting=True)]
    assert not list(lost_events(sent, [SimpleNamespace(event_id="evt_1")]))
    (wrong,) = lost_events(sent, [])
    assert "evt_1" in wrong


def test_an_event_is_handled_or_not() -> None:
    kept = [SimpleNamespace(event_id="evt_1", handled_at=1), SimpleNamespace(event_id="evt_2", handled_at=None)]
    assert unhandled_events(kept) == ["evt_2"]
