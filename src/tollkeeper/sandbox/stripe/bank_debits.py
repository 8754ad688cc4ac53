"""Payment by SEPA Direct Debit: the checkout is complete at once, the money comes or fails to come later.

https://docs.stripe.com/payments/sepa-debit, https://docs.stripe.com/payments/checkout/fulfillment#delayed-notification
"""

import hashlib

from tollkeeper.sandbox.stripe import charges, disputes, payment_methods, payments
from tollkeeper.sandbox.stripe.debit_form import DebitForm
from tollkeeper.sandbox.stripe.ibans import IBANS
from tollkeeper.sandbox.stripe.ledger import JSON
from tollkeeper.sandbox.stripe.shapes import make
from tollkeeper.sandbox.stripe.work import Work

PROCESSING = "processing"
FAILED = "The customer's bank account could not be debited: insufficient funds."


def debit(work: Work, session: JSON, form: DebitForm) -> JSON:
    """Take the mandate. The session is complete, and not paid yet."""
    buyer = {"name": form.name, "email": form.email, "country": form.iban[:2]}
    session, payment = payments.begun(work, session, buyer)
    method = _payment_method(work, form)
    customer = payments.customer_for(work, session, method["billing_details"])
    payment = {**payment, "customer": customer, "payment_method": method["id"]}
    charge = _charge(work, payment, method, form.iban)
    changes = {"status": PROCESSING, "latest_charge": charge["id"], "last_payment_error": None, "next_action": None}
    payment |= changes
    work.ledger.save(payment)
    work.ledger.hide(payment["id"], {"session": session["id"]})
    work.emit("charge.pending", charge)
    work.emit("payment_intent.processing", payment)
    payments.complete(work, {**session, "customer": customer}, method["billing_details"])
    fate = IBANS[form.iban]
    work.later(payment["id"], fate.outcome, fate.seconds)
    return payment


def _payment_method(work: Work, form: DebitForm) -> JSON:
    method = make(
        "payment_method",
        id=work.new_id("pm"),
        allow_redisplay="limited",
        billing_details=payment_methods.billing_details(form.name, form.email, form.iban[:2]),
        created=work.now,
        customer=None,
        customer_account=None,
        livemode=False,
        metadata={},
        radar_options={},
        sepa_debit={**_account(form.iban), "generated_from": {}},
        type="sepa_debit",
    )
    work.ledger.add(method)
    return method


def _account(iban: str) -> JSON:
    return {
        "bank_code": iban[4:12],
        "branch_code": "",
        "country": iban[:2],
        "fingerprint": hashlib.sha256(iban.encode()).hexdigest()[:16],
        "last4": iban[-4:],
    }


def _charge(work: Work, payment: JSON, method: JSON, iban: str) -> JSON:
    charge = charges.charge_of(
        work,
        payment,
        method,
        amount_captured=payment["amount"],
        captured=True,
        outcome=None,
        paid=False,
        payment_method_details={
            "type": "sepa_debit",
            "sepa_debit": {**_account(iban), "mandate": work.new_id("mandate")},
        },
        status="pending",
    )
    work.ledger.add(charge)
    return charge


def settle(work: Work, payment: JSON, outcome: str) -> JSON:
    """The bank's word: succeeded, failed or disputed. A payment that does not wait for it stays as it is."""
    work.not_later(payment["id"])
    if payment["status"] != PROCESSING:
        return payment
    charge = work.get("charge", payment["latest_charge"])
    session = work.get("checkout.session", work.ledger.hidden(payment["id"])["session"])
    if outcome == "failed":
        return _failed(work, payment, charge, session)
    payment, charge = _succeeded(work, payment, charge, session)
    if outcome == "disputed":
        # Its disputes are final: https://docs.stripe.com/payments/sepa-debit#disputed-payments
        disputes.settle(work, disputes.dispute(work, charge, disputes.UNAUTHORIZED), "lost")
    return payment


def _succeeded(work: Work, payment: JSON, charge: JSON, session: JSON) -> tuple[JSON, JSON]:
    charge = {**charge, "status": "succeeded", "paid": True, "receipt_url": charges.receipt_url(work, charge)}
    work.ledger.save(charge)
    work.emit("charge.succeeded", charge)
    payment = charges.succeeded(work, payment, work.get("payment_method", payment["payment_method"]))
    session = {**session, "payment_status": "paid"}
    work.ledger.save(session)
    work.emit("checkout.session.async_payment_succeeded", session)
    return payment, charge


def _failed(work: Work, payment: JSON, charge: JSON, session: JSON) -> JSON:
    code = "insufficient_funds"
    failure = {"status": "failed", "failure_code": code, "failure_message": FAILED}
    charge = {**charge, **failure, "captured": False, "amount_captured": 0}
    work.ledger.save(charge)
    work.emit("charge.failed", charge)
    method = work.get("payment_method", payment["payment_method"])
    error = {"charge": charge["id"], "code": code, "message": FAILED, "payment_method": method, "type": "card_error"}
    payment = charges.failed(work, payment, error)
    work.emit("checkout.session.async_payment_failed", session)
    return payment
