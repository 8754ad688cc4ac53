"""Payment intents and charges, and how a card's bank responds to them.

https://docs.stripe.com/payments/paymentintents/lifecycle
"""

from typing import Any

from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.shapes import make, part
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.cards import AUTHENTICATION_FAILED, Card, Decline
from tollkeeper_sandbox.stripe.objects import disputes

PAID, DECLINED, AUTHENTICATE = "succeeded", "requires_payment_method", "requires_action"


def intent_of(work: Work, **values: Any) -> JSON:
    """Create a payment intent. ``values`` are at least the amount, its currency and the payment method types."""
    id_ = work.new_id("pi")
    return make(
        "payment_intent",
        **{
            "id": id_,
            "amount_capturable": 0,
            "amount_details": {"tip": {}},
            "amount_received": 0,
            "capture_method": "automatic_async",
            "client_secret": f"{id_}_secret_{work.token(12)}",
            "confirmation_method": "automatic",
            "created": work.now,
            "livemode": False,
            "metadata": {},
            "status": DECLINED,
            **values,
        },
    )


def charge(work: Work, payment: JSON, method: JSON, card: Card, customer: str | None) -> JSON:
    """Charge the card. The payment intent's status shows whether its bank agreed."""
    made = _charge(work, payment, method, card)
    payment = {**payment, "latest_charge": made["id"]}
    if card.decline:
        work.ledger.add(made, {"refund": card.refund})
        work.emit("charge.failed", made)
        return failed(work, payment, card_error(card.decline, method, charge=made["id"]))
    made["customer"] = payment["customer"] = customer
    work.ledger.add(made, {"refund": card.refund})
    work.emit("charge.succeeded", made)
    return succeeded(work, payment, method)


def contest(work: Work, payment: JSON, card: Card) -> None:
    """Open the dispute that this test card causes, once the purchase is complete."""
    if payment["status"] == PAID and card.dispute:
        disputes.dispute(work, work.get("charge", payment["latest_charge"]), card.dispute)


def ask(work: Work, payment: JSON, method: JSON, there: JSON) -> JSON:
    """Wait for the buyer, who must confirm the payment to their bank at the address ``there``."""
    payment = {
        **payment,
        "status": AUTHENTICATE,
        "payment_method": method["id"],
        "last_payment_error": None,
        "next_action": part("payment_intent", "next_action", {"type": "redirect_to_url", "redirect_to_url": there}),
    }
    work.ledger.save(payment)
    work.emit("payment_intent.requires_action", payment)
    return payment


def cancel(work: Work, payment: JSON, reason: str) -> None:
    changes = {"status": "canceled", "canceled_at": work.now, "cancellation_reason": reason, "next_action": None}
    work.ledger.save(payment | changes)
    work.emit("payment_intent.canceled", payment | changes)


def unauthenticated(method: JSON) -> JSON:
    """Return the error for a buyer who did not confirm to their bank."""
    return {
        "code": "payment_intent_authentication_failure",
        "doc_url": "https://stripe.com/docs/error-codes/payment-intent-authentication-failure",
        "message": AUTHENTICATION_FAILED,
        "payment_method": method,
        "type": "invalid_request_error",
    }


def _charge(work: Work, payment: JSON, method: JSON, card: Card) -> JSON:
    decline = card.decline
    charge = charge_of(
        work,
        payment,
        method,
        amount_captured=0 if decline else payment["amount"],
        captured=not decline,
        failure_code=decline.code if decline else None,
        failure_message=decline.message if decline else None,
        outcome=_outcome(decline),
        paid=not decline,
        payment_method_details={"type": "card", "card": _card_details(payment, method, card)},
        status="failed" if decline else "succeeded",
    )
    return charge if decline else {**charge, "receipt_url": receipt_url(work, charge)}


def charge_of(work: Work, payment: JSON, method: JSON, **outcome: Any) -> JSON:
    return make(
        "charge",
        id=work.new_id("ch"),
        amount=payment["amount"],
        amount_refunded=0,
        billing_details=method["billing_details"],
        calculated_statement_descriptor="SANDBOX",
        created=work.now,
        currency=payment["currency"],
        customer=payment["customer"],
        description=payment["description"],
        disputed=False,
        fraud_details={},
        livemode=False,
        metadata=payment["metadata"],
        payment_intent=payment["id"],
        payment_method=method["id"],
        radar_options={},
        receipt_email=payment["receipt_email"],
        refunded=False,
        **outcome,
    )


def receipt_url(work: Work, charge: JSON) -> str:
    return f"{work.base_url}/receipts/{charge['id']}"


def _outcome(decline: Decline | None) -> JSON:
    if decline is None:
        return {
            "network_status": "approved_by_network",
            "risk_level": "normal",
            "risk_score": 20,
            "seller_message": "Payment complete.",
            "type": "authorized",
        }
    return {
        "network_status": "declined_by_network",
        "reason": decline.decline_code,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    }


def _card_details(payment: JSON, method: JSON, card: Card) -> JSON:
    same = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    secure = {"authentication_flow": "challenge", "result": "authenticated", "version": "2.2.0"}
    return {
        **{name: method["card"][name] for name in (*same, "regulated_status")},
        "amount_authorized": None if card.decline else payment["amount"],
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": {"status": "unavailable"},
        "multicapture": {"status": "unavailable"},
        "network": card.brand,
        "network_token": {"used": False},
        "overcapture": {"maximum_amount_capturable": payment["amount"], "status": "unavailable"},
        "three_d_secure": secure if card.authenticate else None,
    }


def card_error(decline: Decline, method: JSON, **more: str) -> JSON:
    return {
        **more,
        "code": decline.code,
        "decline_code": decline.decline_code,
        "doc_url": f"https://stripe.com/docs/error-codes/{decline.code.replace('_', '-')}",
        "message": decline.message,
        "payment_method": method,
        "type": "card_error",
    }


def failed(work: Work, payment: JSON, error: JSON) -> JSON:
    changes = {"status": DECLINED, "payment_method": None, "next_action": None}
    payment = {**payment, **changes, "last_payment_error": part("payment_intent", "last_payment_error", error)}
    work.ledger.save(payment)
    work.emit("payment_intent.payment_failed", payment)
    return payment


def succeeded(work: Work, payment: JSON, method: JSON) -> JSON:
    payment = {
        **payment,
        "status": PAID,
        "amount_received": payment["amount"],
        "payment_method": method["id"],
        "last_payment_error": None,
        "next_action": None,
    }
    work.ledger.save(payment)
    work.emit("payment_intent.succeeded", payment)
    return payment
