"""The buyer's confirmation: payment intents, charges, and the completed checkout session.

Each checkout session has one payment intent, created when the buyer first confirms, and used again after a decline
(https://docs.stripe.com/payments/paymentintents/lifecycle). Every function runs inside one transaction, and
reads its state there, so a second confirmation finds the first one's result.
"""

from typing import Any

from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.cards import Card, card_of
from tollkeeper_sandbox.stripe.objects import charges, coupons, intents, payment_methods, setups, subscription_checkout
from tollkeeper_sandbox.stripe.objects.card_form import CardForm
from tollkeeper_sandbox.stripe.objects.charges import DECLINED, PAID
from tollkeeper_sandbox.stripe.objects.checkout_sessions import (
    amounts,
    cancel_payment,
    details_of,
    intent_of,
    method_options,
)
from tollkeeper_sandbox.stripe.objects.customers import customer_of
from tollkeeper_sandbox.stripe.objects.subscription_checkout import MODE


def confirm(work: Work, session: JSON, form: CardForm) -> JSON:
    """Charge the card, or ask for authentication. The payment intent's status shows which."""
    card = card_of(form.number)
    session, payment = begun(work, session, {"name": form.name, "email": form.email, "country": form.country})
    billing = payment_methods.billing_details(form.name, form.email, form.country)
    method = payment_methods.of_card(work, card, form.month, form.year, billing)
    if card.authenticate:
        there = {"return_url": session["success_url"], "url": f"{session['url']}/authenticate"}
        work.ledger.hide(payment["id"], {"payment_method": method["id"], "card": card.number})
        return intents.of(payment).ask(work, payment, method, there)
    return _settle(work, session, payment, method, card)


def authenticated(work: Work, session: JSON, payment: JSON) -> JSON:
    """Continue after the buyer has confirmed to their bank, which may still decline."""
    method, card = _waiting(work, payment)
    return _settle(work, session, payment, method, card)


def authentication_failed(work: Work, payment: JSON) -> None:
    method, _ = _waiting(work, payment)
    intents.of(payment).failed(work, payment, charges.unauthenticated(method))


def _waiting(work: Work, payment: JSON) -> tuple[JSON, Card]:
    hidden = work.ledger.hidden(payment["id"])
    return work.get("payment_method", hidden["payment_method"]), card_of(hidden["card"])


def begun(work: Work, session: JSON, buyer: dict[str, str]) -> tuple[JSON, JSON]:
    """Return the session with its amounts for the buyer's location, and its payment intent."""
    hidden = work.ledger.hidden(session["id"])
    session = {**session, **amounts(hidden, session, session["automatic_tax"]["enabled"])}
    work.ledger.hide(session["id"], {**hidden, "buyer": buyer})
    payment = intent_of(work, session)
    if payment is None or payment["status"] == "canceled":
        session, payment = _begin(work, session)
    work.ledger.save(session)
    return session, payment


def _begin(work: Work, session: JSON) -> tuple[JSON, JSON]:
    """Create an intent: to pay, or to save a card for later payments."""
    hidden = work.ledger.hidden(session["id"])
    if session["mode"] != MODE:
        payment = work.add(_payment_intent(work, session, hidden["payment_intent_data"]))
        return {**session, "payment_intent": payment["id"]}, payment
    if session["amount_total"]:
        words = {"description": "Subscription creation", "setup_future_usage": "off_session"}
        intent = work.add({**_payment_intent(work, session, {}), **words})
    else:
        intent = setups.begun(work, session["customer"])
    work.ledger.hide(session["id"], {**hidden, "intent": intent["id"]})
    return session, intent


def _payment_intent(work: Work, session: JSON, data: dict[str, Any]) -> JSON:
    return charges.intent_of(
        work,
        amount=session["amount_total"],
        currency=session["currency"],
        customer=session["customer"],
        description=data.get("description"),
        metadata=data.get("metadata", {}),
        payment_method_options=method_options(session["payment_method_types"]),
        payment_method_types=session["payment_method_types"],
        receipt_email=data.get("receipt_email"),
    )


def _settle(work: Work, session: JSON, payment: JSON, method: JSON, card: Card) -> JSON:
    paying = payment["object"] == "payment_intent"
    if card.decline is None or (card.attaches and not paying):
        session = {**session, "customer": customer_for(work, session, method["billing_details"])}
    payment = intents.of(payment).charge(work, payment, method, card, session["customer"])
    if payment["status"] == PAID:
        status = "paid" if paying else "no_payment_required"
        complete(work, {**session, "payment_status": status}, method["billing_details"], method)
    if paying:
        charges.contest(work, payment, card)
    return payment


def customer_for(work: Work, session: JSON, buyer: JSON) -> str | None:
    """Return the session's customer, updated or created as the session requires. Free orders have no guests."""
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


def complete_free(work: Work, session: JSON, email: str) -> None:
    """Complete a session without a payment: https://docs.stripe.com/payments/checkout/no-cost-orders."""
    buyer = {"address": None, "email": email, "name": None}
    customer = customer_for(work, session, buyer)
    complete(work, {**session, "customer": customer, "payment_status": "no_payment_required"}, buyer)


def reprice(work: Work, session: JSON) -> JSON:
    """Return the session after updating its payment to the new total. The buyer must enter a card again."""
    payment = intent_of(work, session)
    if payment is None or payment["status"] == "canceled":
        return session
    if payment["object"] != "payment_intent" or not session["amount_total"]:
        cancel_payment(work, session, "abandoned")
        return {**session, "payment_intent": None}
    changes = {"status": DECLINED, "payment_method": None, "next_action": None}
    work.ledger.save({**payment, **changes, "amount": session["amount_total"]})
    return session


def complete(work: Work, session: JSON, buyer: JSON, method: JSON | None = None) -> None:
    """Complete a session. ``method`` is the payment method, also if the payment is still to come."""
    if session["mode"] == MODE:
        intent = intent_of(work, session)
        paid_by = intent if intent and session["payment_status"] == "paid" else None
        session = subscription_checkout.begin(work, session, paid_by, method)
    known = {name: buyer[name] for name in ("address", "email", "name")}
    session = {
        **session,
        "status": "complete",
        "url": None,
        "customer_details": details_of(None, **known),
    }
    work.ledger.save(session)
    work.not_later(session["id"])
    coupons.redeem(work, session, work.ledger.hidden(session["id"])["coupon"])
    work.emit("checkout.session.completed", session)
