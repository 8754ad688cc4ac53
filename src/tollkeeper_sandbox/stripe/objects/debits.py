"""Bank accounts that are debited, once or repeatedly. The bank answers days later.

https://docs.stripe.com/payments/sepa-debit
"""

import hashlib
from functools import cache

from tollkeeper_sandbox.stripe.engine import settings
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.shapes import make
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.ibans import IBANS, Debit
from tollkeeper_sandbox.stripe.objects import charges, disputes

TYPE, PROCESSING = "sepa_debit", "processing"
FAILED_CODE = "insufficient_funds"
FAILED = "The customer's bank account could not be debited: insufficient funds."


def method_of(work: Work, iban: str, billing: JSON) -> JSON:
    """Create a payment method. The account number is not stored; the fingerprint identifies the test account."""
    method = make(
        "payment_method",
        id=work.new_id("pm"),
        allow_redisplay="limited",
        billing_details=billing,
        created=work.now,
        customer=None,
        customer_account=None,
        livemode=False,
        metadata={},
        radar_options={},
        sepa_debit={
            "bank_code": iban[4:12],
            "branch_code": "",
            "country": iban[:2],
            "fingerprint": _fingerprint(iban),
            "generated_from": {},
            "last4": iban[-4:],
        },
        type=TYPE,
    )
    work.ledger.add(method)
    return method


def _fingerprint(iban: str) -> str:
    return hashlib.sha256(iban.encode()).hexdigest()[:16]


@cache
def _by_fingerprint() -> dict[str, Debit]:
    return {_fingerprint(iban): debit for iban, debit in IBANS.items()}


def fate(work: Work, method: JSON) -> tuple[str, int]:
    """Return what the bank will answer, and after how many seconds."""
    known = _by_fingerprint()[method[TYPE]["fingerprint"]]
    set_to = settings.seconds_of(work.ledger, "debits")
    outcome = "failed" if work.ledger.hidden(method["id"]).get("fails") else known.outcome
    return outcome, known.seconds if set_to is None else set_to


def begin(work: Work, payment: JSON, method: JSON, customer: str | None) -> JSON:
    """Ask the bank for the money."""
    payment = {**payment, "customer": customer, "payment_method": method["id"]}
    charge = _charge(work, payment, method)
    changes = {"status": PROCESSING, "latest_charge": charge["id"], "last_payment_error": None, "next_action": None}
    payment |= changes
    work.ledger.save(payment)
    work.emit("charge.pending", charge)
    work.emit("payment_intent.processing", payment)
    return payment


def _charge(work: Work, payment: JSON, method: JSON) -> JSON:
    account = {name: value for name, value in method[TYPE].items() if name != "generated_from"}
    charge = charges.charge_of(
        work,
        payment,
        method,
        amount_captured=payment["amount"],
        captured=True,
        outcome=None,
        paid=False,
        payment_method_details={"type": TYPE, TYPE: {**account, "mandate": work.new_id("mandate")}},
        status="pending",
    )
    work.ledger.add(charge)
    return charge


def succeeded(work: Work, payment: JSON) -> JSON:
    charge = work.get("charge", payment["latest_charge"])
    charge |= {"status": "succeeded", "paid": True, "receipt_url": charges.receipt_url(work, charge)}
    work.ledger.save(charge)
    work.emit("charge.succeeded", charge)
    return charges.succeeded(work, payment, work.get("payment_method", payment["payment_method"]))


def failed(work: Work, payment: JSON) -> JSON:
    failure = {"status": "failed", "failure_code": FAILED_CODE, "failure_message": FAILED}
    charge = {**work.get("charge", payment["latest_charge"]), **failure, "captured": False, "amount_captured": 0}
    work.ledger.save(charge)
    work.emit("charge.failed", charge)
    method = work.get("payment_method", payment["payment_method"])
    error = {"charge": charge["id"], "code": FAILED_CODE, "message": FAILED, "payment_method": method}
    return charges.failed(work, payment, {**error, "type": "card_error"})


def dispute(work: Work, payment: JSON) -> None:
    """Dispute a debit. Such disputes are final: https://docs.stripe.com/payments/sepa-debit#disputed-payments."""
    charge = work.get("charge", payment["latest_charge"])
    disputes.settle(work, disputes.dispute(work, charge, disputes.UNAUTHORIZED), "lost")
