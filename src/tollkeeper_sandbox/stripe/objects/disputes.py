"""Disputes: chargebacks and inquiries, from start to end.

A chargeback needs a response, is under review, and is won or lost; an inquiry takes no money, and is closed
or escalated to a chargeback (https://docs.stripe.com/disputes/how-disputes-work).
"""

from tollkeeper_sandbox.stripe.engine.errors import invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params
from tollkeeper_sandbox.stripe.engine.shapes import make, part
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects.common import merged_metadata

KIND = "dispute"
DAY = 24 * 3600
DAYS_TO_RESPOND = 7
OF_CHARGE = ("json_extract(body, '$.charge') = :charge",)
INQUIRY = "inquiry"
UNAUTHORIZED = "debit_not_authorized"
REASONS = {"fraudulent": "10.4", "product_not_received": "13.1", UNAUTHORIZED: None, INQUIRY: None}
UNANSWERED = {"needs_response": "under_review", "warning_needs_response": "warning_under_review"}
OPEN = (*UNANSWERED, *UNANSWERED.values())
# https://docs.stripe.com/testing#disputes: what the evidence's uncategorized text decides.
DECIDING = {"winning_evidence": "won", "losing_evidence": "lost", "escalate_inquiry_evidence": "escalated"}


def dispute(work: Work, charge: JSON, reason: str) -> JSON:
    """Open a dispute about the amount that was not refunded. ``reason`` is one of REASONS."""
    charge = {**charge, "disputed": True}
    work.ledger.save(charge)
    opened = _dispute(work, charge, reason)
    work.ledger.add(opened)
    work.emit("charge.dispute.created", opened)
    if not is_inquiry(opened):
        _withdraw(work, opened)
    return opened


def _dispute(work: Work, charge: JSON, reason: str) -> JSON:
    buyer = charge["billing_details"]
    asked = reason == INQUIRY
    return make(
        KIND,
        id=work.new_id("du"),
        amount=charge["amount"] - charge["amount_refunded"],
        balance_transactions=[],
        charge=charge["id"],
        created=work.now,
        currency=charge["currency"],
        enhanced_eligibility_types=[],
        evidence={"customer_email_address": buyer["email"], "customer_name": buyer["name"], "enhanced_evidence": {}},
        evidence_details=_details(work.now + DAYS_TO_RESPOND * DAY),
        is_charge_refundable=asked,
        livemode=False,
        metadata={},
        network_reason_code=REASONS[reason],
        payment_intent=charge["payment_intent"],
        payment_method_details=_method(charge, reason),
        reason="general" if asked else reason,
        status="warning_needs_response" if asked else "needs_response",
    )


def _details(due_by: int) -> JSON:
    return {
        "due_by": due_by,
        "enhanced_eligibility": {},
        "has_evidence": False,
        "past_due": False,
        "submission_count": 0,
        "submission_method": "not_submitted",
    }


def _method(charge: JSON, reason: str) -> JSON | None:
    card = charge["payment_method_details"].get("card")
    if card is None:
        return None
    shown = {
        "brand": card["brand"],
        "case_type": INQUIRY if reason == INQUIRY else "chargeback",
        "network": card["network"],
        "network_reason_code": REASONS[reason],
    }
    return {"type": "card", "card": shown}


def is_inquiry(opened: JSON) -> bool:
    return str(opened["status"]).startswith("warning_")


def _withdraw(work: Work, opened: JSON) -> None:
    """Let the bank take the money. A merchant who does not respond in time loses."""
    work.emit("charge.dispute.funds_withdrawn", opened)
    work.later(opened["id"], "lost", DAYS_TO_RESPOND * DAY)


def update(work: Work, params: Params, id_: str) -> JSON:
    """Update a dispute. Evidence is submitted at once, unless ``submit`` is false."""
    opened = work.get(KIND, id_)
    changes: JSON = {}
    if "metadata" in params:
        changes["metadata"] = merged_metadata(opened["metadata"], params["metadata"])
    evidence = {**opened["evidence"], **params.get("evidence", {})}
    if "evidence" in params or params.get("submit"):
        _check_unanswered(opened)
        changes["evidence"] = evidence
        changes["evidence_details"] = {**opened["evidence_details"], "has_evidence": True}
    submitting = bool(params.get("submit", "evidence" in params))
    return _submitted(work, opened, changes) if submitting else _changed(work, opened, changes)


def _check_unanswered(opened: JSON) -> None:
    if opened["status"] not in UNANSWERED:
        raise invalid(f"Evidence can no longer be changed: this dispute has a status of `{opened['status']}`.")


def _submitted(work: Work, opened: JSON, changes: JSON) -> JSON:
    details = {**opened["evidence_details"], "has_evidence": True, "submission_method": "manual"}
    details["submission_count"] += 1
    changes = {**changes, "evidence_details": details, "status": UNANSWERED[opened["status"]]}
    opened = _changed(work, opened, changes)
    work.not_later(opened["id"])
    outcome = DECIDING.get(opened["evidence"]["uncategorized_text"])
    if outcome:
        work.later(opened["id"], outcome, 0)
    return opened


def review(work: Work, opened: JSON) -> JSON:
    """Put a dispute under review, as if evidence had been submitted."""
    _check_unanswered(opened)
    return _submitted(work, opened, {})


def _changed(work: Work, opened: JSON, changes: JSON) -> JSON:
    previous = {name: opened[name] for name, value in changes.items() if opened[name] != value}
    if previous:
        opened = {**opened, **changes}
        work.ledger.save(opened)
        work.emit("charge.dispute.updated", opened, previous)
    return opened


def close(work: Work, _params: Params, id_: str) -> JSON:
    """Close a dispute: the merchant accepts it."""
    opened = work.get(KIND, id_)
    if opened["status"] not in OPEN:
        raise invalid("This dispute is already closed.")
    return settle(work, opened, "lost")


def settle(work: Work, opened: JSON, outcome: str) -> JSON:
    """End a dispute. ``outcome`` is won, lost or escalated; an inquiry that is not escalated is closed."""
    work.not_later(opened["id"])
    if opened["status"] not in OPEN:
        return opened
    if outcome == "escalated":
        return _escalated(work, opened) if is_inquiry(opened) else opened
    status = "warning_closed" if is_inquiry(opened) else outcome
    ended = {**opened, "status": status, "is_charge_refundable": status != "lost"}
    work.ledger.save(ended)
    if status == "won":
        work.emit("charge.dispute.funds_reinstated", ended)
    work.emit("charge.dispute.closed", ended)
    return ended


def _escalated(work: Work, opened: JSON) -> JSON:
    method = opened["payment_method_details"]
    if method:
        method = part(KIND, "payment_method_details", {**method, "card": {**method["card"], "case_type": "chargeback"}})
    details = part(KIND, "evidence_details", _details(work.now + DAYS_TO_RESPOND * DAY))
    changes = {"status": "needs_response", "is_charge_refundable": False, "payment_method_details": method}
    opened = _changed(work, opened, {**changes, "evidence_details": details})
    _withdraw(work, opened)
    return opened


def open_inquiries(work: Work, charge: JSON) -> list[JSON]:
    found = work.ledger.page(KIND, OF_CHARGE, {"charge": charge["id"]}, 100)
    return [one for one in found if is_inquiry(one) and one["status"] in OPEN]
