"""Disputes and inquiries, through test cards, the API, the control page and the clock."""

from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.support import VISA, Receiver, Running, paid, running

FRAUDULENT, NOT_RECEIVED, INQUIRY = "4000 0000 0000 0259", "4000 0000 0000 2685", "4000 0000 0000 1976"
HTML = {"Accept": "text/html"}
OPENED = ["charge.dispute.created", "charge.dispute.funds_withdrawn"]


def disputed(sandbox: Running, card: str = FRAUDULENT) -> Any:
    """The dispute over a payment with this card."""
    return sandbox.sdk.v1.disputes.list({"payment_intent": paid(sandbox, card).id}).data[0]


def read(sandbox: Running, dispute: Any) -> Any:
    return sandbox.sdk.v1.disputes.retrieve(dispute.id)


def tell(sandbox: Running, dispute: Any, move: str) -> Any:
    return sandbox.browser.post(f"{sandbox.url}/control/disputes/{dispute.id}/{move}").json()


@pytest.mark.parametrize(("card", "reason"), [(FRAUDULENT, "fraudulent"), (NOT_RECEIVED, "product_not_received")])
def test_cards_that_are_disputed(stripe_sandbox: Running, card: str, reason: str) -> None:
    payment = paid(stripe_sandbox, card)
    assert (payment.status, payment.latest_charge.disputed) == ("succeeded", True)
    dispute = stripe_sandbox.sdk.v1.disputes.list({"charge": payment.latest_charge.id}).data[0]
    assert (dispute.status, dispute.reason, dispute.amount) == ("needs_response", reason, 2000)
    assert (dispute.payment_intent, dispute.is_charge_refundable) == (payment.id, False)
    assert dispute.balance_transactions == []
    assert stripe_sandbox.events_about(dispute.id) == OPENED


def test_an_inquiry_takes_no_money_and_leaves_the_charge_refundable(stripe_sandbox: Running) -> None:
    dispute = disputed(stripe_sandbox, INQUIRY)
    assert (dispute.status, dispute.is_charge_refundable) == ("warning_needs_response", True)
    assert dispute.payment_method_details.card.case_type == "inquiry"
    stripe_sandbox.sdk.v1.refunds.create({"charge": str(dispute.charge), "amount": 500})
    assert read(stripe_sandbox, dispute).status == "warning_needs_response"
    stripe_sandbox.sdk.v1.refunds.create({"charge": str(dispute.charge)})
    assert read(stripe_sandbox, dispute).status == "warning_closed"
    assert stripe_sandbox.events_about(dispute.id) == ["charge.dispute.created", "charge.dispute.closed"]


def test_a_charge_that_was_charged_back_cannot_be_refunded(stripe_sandbox: Running) -> None:
    dispute = disputed(stripe_sandbox)
    for move, code in (("review", "charge_disputed"), ("lose", "charge_disputed")):
        tell(stripe_sandbox, dispute, move)
        with pytest.raises(stripe.InvalidRequestError, match="has been charged back") as refused:
            stripe_sandbox.sdk.v1.refunds.create({"charge": str(dispute.charge)})
        assert refused.value.code == code
    won = disputed(stripe_sandbox)
    tell(stripe_sandbox, won, "win")
    assert stripe_sandbox.sdk.v1.refunds.create({"charge": str(won.charge)}).status == "succeeded"


@pytest.mark.parametrize(
    ("card", "evidence", "status", "events"),
    [
        (FRAUDULENT, "winning_evidence", "won", ["charge.dispute.funds_reinstated", "charge.dispute.closed"]),
        (NOT_RECEIVED, "losing_evidence", "lost", ["charge.dispute.closed"]),
        (FRAUDULENT, "a letter", "under_review", []),
        (INQUIRY, "losing_evidence", "warning_closed", ["charge.dispute.closed"]),
        (INQUIRY, "winning_evidence", "warning_closed", ["charge.dispute.closed"]),
        (
            INQUIRY,
            "escalate_inquiry_evidence",
            "needs_response",
            ["charge.dispute.updated", "charge.dispute.funds_withdrawn"],
        ),
        (INQUIRY, "a letter", "warning_under_review", []),
    ],
)
def test_evidence_decides(stripe_sandbox: Running, card: str, evidence: str, status: str, events: list[str]) -> None:
    dispute = disputed(stripe_sandbox, card)
    before = stripe_sandbox.events_about(dispute.id)
    answer = stripe_sandbox.sdk.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": evidence}})
    assert answer.status == ("warning_under_review" if card == INQUIRY else "under_review")
    assert (answer.evidence_details.submission_count, answer.evidence.uncategorized_text) == (1, evidence)
    assert read(stripe_sandbox, dispute).status == status
    assert stripe_sandbox.events_about(dispute.id) == [*before, "charge.dispute.updated", *events]


def test_evidence_may_be_collected_first(stripe_sandbox: Running) -> None:
    dispute = disputed(stripe_sandbox)
    disputes = stripe_sandbox.sdk.v1.disputes
    first = disputes.update(dispute.id, {"evidence": {"customer_name": "Test Buyer"}, "submit": False})
    assert (first.status, first.evidence_details.has_evidence) == ("needs_response", True)
    assert disputes.update(dispute.id, {"metadata": {"a": "b"}}).status == "needs_response"
    second = disputes.update(dispute.id, {"evidence": {"product_description": "words"}, "submit": False})
    assert (second.evidence.customer_name, second.evidence.product_description) == ("Test Buyer", "words")
    assert disputes.update(dispute.id, {"submit": True}).status == "under_review"
    with pytest.raises(stripe.InvalidRequestError, match="can no longer be changed"):
        disputes.update(dispute.id, {"evidence": {"customer_name": "Another"}})


def test_a_merchant_may_give_in_once(stripe_sandbox: Running) -> None:
    dispute = disputed(stripe_sandbox)
    closed = stripe_sandbox.sdk.v1.disputes.close(dispute.id)
    assert (closed.status, closed.is_charge_refundable) == ("lost", False)
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        stripe_sandbox.sdk.v1.disputes.close(dispute.id)
    assert stripe_sandbox.events_about(dispute.id) == [*OPENED, "charge.dispute.closed"]


def test_who_does_not_respond_in_time_has_lost(stripe_sandbox: Running) -> None:
    silent, answered = disputed(stripe_sandbox), disputed(stripe_sandbox)
    stripe_sandbox.sdk.v1.disputes.update(answered.id, {"evidence": {"customer_name": "A"}})
    stripe_sandbox.clock.ahead += 7 * 24 * 3600 + 1
    assert read(stripe_sandbox, silent).status == "lost"
    assert read(stripe_sandbox, answered).status == "under_review"


def test_the_life_of_a_dispute_on_the_control_page(stripe_sandbox: Running) -> None:
    payment = paid(stripe_sandbox)
    stripe_sandbox.sdk.v1.refunds.create({"payment_intent": payment.id, "amount": 500})
    where = f"{stripe_sandbox.url}/control/payments/{payment.id}/dispute"
    answer = stripe_sandbox.browser.post(where, data={"reason": "inquiry"}, headers=HTML)
    assert answer.headers["Location"] == f"/control/objects/{payment.id}"
    dispute = stripe_sandbox.sdk.v1.disputes.list({"payment_intent": payment.id}).data[0]
    assert dispute.amount == 1500
    page = f"{stripe_sandbox.url}/control/objects/{payment.id}"
    steps = {"review": "needs response", "escalate": "under review", "win": "needs response"}
    for move, before in steps.items():
        shown = stripe_sandbox.browser.get(page).text
        assert f">{before}<" in shown
        assert f'formaction="/control/disputes/{dispute.id}/{move}"' in shown
        tell(stripe_sandbox, dispute, move)
    shown = stripe_sandbox.browser.get(page).text
    assert ">won<" in shown
    assert "formaction" not in shown.split('aria-label="Disputes"')[1]
    assert tell(stripe_sandbox, dispute, "lose")["status"] == "won"


def test_disputes_that_cannot_be(stripe_sandbox: Running) -> None:
    payment = paid(stripe_sandbox, VISA)
    where = f"{stripe_sandbox.url}/control/payments/{payment.id}/dispute"
    assert stripe_sandbox.browser.post(where, data={"reason": "<mood>"}).status_code == 400
    stripe_sandbox.sdk.v1.refunds.create({"payment_intent": payment.id})
    assert stripe_sandbox.browser.post(where).status_code == 400
    assert stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/disputes/du_x/win").status_code == 404
    assert stripe_sandbox.sdk.v1.disputes.list({"payment_intent": payment.id}).data == []
    dispute = disputed(stripe_sandbox)
    tell(stripe_sandbox, dispute, "review")
    answer = stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/disputes/{dispute.id}/review")
    assert answer.status_code == 400
    with pytest.raises(stripe.InvalidRequestError, match="does not serve it"):
        stripe_sandbox.sdk.v1.disputes.update(dispute.id, {"evidence": {"receipt": "file_1"}})


def test_a_dispute_is_reported_by_webhook(receiver: Receiver) -> None:
    with running() as sandbox:
        sandbox.sdk.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
        dispute = disputed(sandbox)
        receiver.wait_for_types(*OPENED)
        sandbox.sdk.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}})
        receiver.wait_for_types("charge.dispute.updated", "charge.dispute.funds_reinstated", "charge.dispute.closed")
