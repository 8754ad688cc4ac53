"""What the buyer's confirmation does: payment intents, charges, and the completed checkout session.

One payment intent per checkout session, made when the buyer first confirms, and tried again after a decline
(https://docs.stripe.com/payments/paymentintents/lifecycle). Every function runs inside one transaction, and
reads the state it decides on there: a second confirmation finds the first one's result.
"""

import hashlib
from typing import Any

from tollkeeper.sandbox.stripe import coupons, disputes
from tollkeeper.sandbox.stripe.card_form import CardForm
from tollkeeper.sandbox.stripe.cards import AUTHENTICATION_FAILED, NOT_A_TEST_CARD, Card, Decline, card_of
from tollkeeper.sandbox.stripe.checkout_sessions import amounts, cancel_payment, details_of, method_options
from tollkeeper.sandbox.stripe.customers import customer_of
from tollkeeper.sandbox.stripe.ledger import JSON
from tollkeeper.sandbox.stripe.shapes import make, part
from tollkeeper.sandbox.stripe.work import Work

PAID, DECLINED, AUTHENTICATE = "succeeded", "requires_payment_method", "requires_action"


def confirm(work: Work, session: JSON, form: CardForm) -> JSON:
    """Charge the card, or ask for authentication. The payment intent's status tells which it was."""
    card = card_of(form.number)
    session, payment = begun(work, session, {"name": form.name, "email": form.email, "country": form.country})
    method = _payment_method(work, card, form)
    if card.authenticate:
        return _ask(work, session, payment, method, card)
    return _settle(work, session, payment, method, card)


def authenticated(work: Work, session: JSON, payment: JSON) -> JSON:
    """The buyer said yes to their bank, which may still decline."""
    method, card = _waiting(work, payment)
    return _settle(work, session, payment, method, card)


def authentication_failed(work: Work, payment: JSON) -> None:
    method, _ = _waiting(work, payment)
    error = {
        "code": "payment_intent_authentication_failure",
        "doc_url": "https://stripe.com/docs/error-codes/payment-intent-authentication-failure",
        "message": AUTHENTICATION_FAILED,
        "payment_method": method,
        "type": "invalid_request_error",
    }
    failed(work, payment, error)


def of_session(work: Work, session: JSON) -> JSON | None:
    return work.ledger.find(session["payment_intent"]) if session["payment_intent"] else None


def errors_of(payment: JSON | None) -> dict[str, str]:
    """The field of the buyer's form that the last try failed for, and why."""
    error = (payment or {}).get("last_payment_error")
    if not error:
        return {}
    field = {"expired_card": "expiration", "incorrect_cvc": "cvc"}.get(error["code"], "card_number")
    return {field: error["message"]}


def _waiting(work: Work, payment: JSON) -> tuple[JSON, Card]:
    hidden = work.ledger.hidden(payment["id"])
    return work.get("payment_method", hidden["payment_method"]), card_of(hidden["card"])


def begun(work: Work, session: JSON, buyer: dict[str, str]) -> tuple[JSON, JSON]:
    """The session with its amounts for the buyer's place, and its payment intent."""
    hidden = work.ledger.hidden(session["id"])
    session = {**session, **amounts(hidden, session, session["automatic_tax"]["enabled"])}
    work.ledger.hide(session["id"], {**hidden, "buyer": buyer})
    payment = of_session(work, session)
    if payment is None:
        payment = _payment_intent(work, session, hidden["payment_intent_data"])
        session["payment_intent"] = payment["id"]
        work.add(payment)
    work.ledger.save(session)
    return session, payment


def _payment_intent(work: Work, session: JSON, data: dict[str, Any]) -> JSON:
    id_ = work.new_id("pi")
    return make(
        "payment_intent",
        id=id_,
        amount=session["amount_total"],
        amount_capturable=0,
        amount_details={"tip": {}},
        amount_received=0,
        capture_method="automatic_async",
        client_secret=f"{id_}_secret_{work.token(12)}",
        confirmation_method="automatic",
        created=work.now,
        currency=session["currency"],
        customer=session["customer"],
        description=data.get("description"),
        livemode=False,
        metadata=data.get("metadata", {}),
        payment_method_options=method_options(session["payment_method_types"]),
        payment_method_types=session["payment_method_types"],
        receipt_email=data.get("receipt_email"),
        status="requires_payment_method",
    )


def _payment_method(work: Work, card: Card, form: CardForm) -> JSON:
    method = make(
        "payment_method",
        id=work.new_id("pm"),
        allow_redisplay="limited",
        billing_details=billing_details(form.name, form.email, form.country),
        card={
            "brand": card.brand,
            "checks": {"cvc_check": "pass"},
            "country": card.country,
            "display_brand": card.brand,
            "exp_month": form.month,
            "exp_year": form.year,
            "fingerprint": _fingerprint(card),
            "funding": card.funding,
            "last4": card.last4,
            "networks": {"available": [card.brand]},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
        },
        created=work.now,
        customer=None,
        customer_account=None,
        livemode=False,
        metadata={},
        radar_options={},
        type="card",
    )
    work.ledger.add(method)
    return method


def _fingerprint(card: Card) -> str | None:
    """Equal for equal test cards. A real number, entered by mistake, leaves no trace but its last digits."""
    if card.decline is NOT_A_TEST_CARD:
        return None
    return hashlib.sha256(card.number.encode()).hexdigest()[:16]


def billing_details(name: str, email: str, country: str) -> JSON:
    return {"address": _address(country), "email": email, "name": name}


def _address(country: str) -> JSON:
    parts = ("city", "country", "line1", "line2", "postal_code", "state")
    return {part: country if part == "country" else None for part in parts}


def _ask(work: Work, session: JSON, payment: JSON, method: JSON, card: Card) -> JSON:
    there = {"return_url": session["success_url"], "url": f"{session['url']}/authenticate"}
    action = {"type": "redirect_to_url", "redirect_to_url": there}
    payment = {
        **payment,
        "status": AUTHENTICATE,
        "payment_method": method["id"],
        "last_payment_error": None,
        "next_action": part("payment_intent", "next_action", action),
    }
    work.ledger.save(payment)
    work.ledger.hide(payment["id"], {"payment_method": method["id"], "card": card.number})
    work.emit("payment_intent.requires_action", payment)
    return payment


def _settle(work: Work, session: JSON, payment: JSON, method: JSON, card: Card) -> JSON:
    charge = _charge(work, payment, method, card)
    work.ledger.add(charge, {"refund": card.refund})
    payment = {**payment, "latest_charge": charge["id"]}
    if card.decline:
        work.emit("charge.failed", charge)
        return failed(work, payment, _card_error(card.decline, charge, method))
    customer = customer_for(work, session, method["billing_details"])
    charge["customer"] = payment["customer"] = customer
    work.ledger.save(charge)
    work.emit("charge.succeeded", charge)
    payment = succeeded(work, payment, method)
    complete(work, {**session, "customer": customer, "payment_status": "paid"}, method["billing_details"])
    if card.dispute:
        disputes.dispute(work, charge, card.dispute)
    return payment


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


def _card_error(decline: Decline, charge: JSON, method: JSON) -> JSON:
    return {
        "charge": charge["id"],
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


def customer_for(work: Work, session: JSON, buyer: JSON) -> str | None:
    """The session's customer, brought up to date or made as the session asks; free orders have no guests."""
    if session["customer"]:
        _update_customer(work, session, buyer)
    elif session["customer_creation"] == "always" or not session["amount_total"]:
        known = {name: buyer[name] for name in ("email", "name", "address")}
        session["customer"] = work.add(customer_of(work, **known))["id"]
    customer: str | None = session["customer"]
    return customer


def _update_customer(work: Work, session: JSON, buyer: JSON) -> None:
    wanted = work.ledger.hidden(session["id"])["customer_update"]
    customer = work.get("customer", session["customer"])
    changes = {name: buyer[name] for name in ("address", "name") if buyer[name] and wanted.get(name) == "auto"}
    if not customer.get("deleted"):
        work.change(customer, changes)


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


def complete_free(work: Work, session: JSON, email: str) -> None:
    """Without a payment: https://docs.stripe.com/payments/checkout/no-cost-orders."""
    buyer = {"address": None, "email": email, "name": None}
    customer = customer_for(work, session, buyer)
    complete(work, {**session, "customer": customer, "payment_status": "no_payment_required"}, buyer)


def reprice(work: Work, session: JSON) -> JSON:
    """The session with a payment that follows its total, if one was begun. The buyer is asked again for a card."""
    payment = of_session(work, session)
    if payment is None:
        return session
    if not session["amount_total"]:
        cancel_payment(work, session, "abandoned")
        return {**session, "payment_intent": None}
    changes = {"status": DECLINED, "payment_method": None, "next_action": None}
    work.ledger.save({**payment, **changes, "amount": session["amount_total"]})
    return session


def complete(work: Work, session: JSON, buyer: JSON) -> None:
    known = {name: buyer[name] for name in ("address", "email", "name")}
    session = {
        **session,
        "status": "complete",
        "url": None,
        "customer_details": details_of(None, **known),
    }
    work.ledger.save(session)
    coupons.redeem(work, session, work.ledger.hidden(session["id"])["coupon"])
    work.emit("checkout.session.completed", session)
