"""What happens by the clock, whether or not anybody looks."""

from collections.abc import Callable

from tollkeeper.sandbox.stripe import bank_debits, coupons, disputes, refunds
from tollkeeper.sandbox.stripe.checkout_sessions import expire_due
from tollkeeper.sandbox.stripe.ledger import JSON
from tollkeeper.sandbox.stripe.work import Work

AT_ONCE = 100
SETTLES: dict[str, Callable[[Work, JSON, str], JSON]] = {
    "coupon": coupons.expire,
    "dispute": disputes.settle,
    "payment_intent": bank_debits.settle,
    "promotion_code": coupons.expire,
    "refund": refunds.settle,
}


def happen(work: Work) -> None:
    """End the checkout sessions and settle what is due by now."""
    expire_due(work)
    due = work.ledger.rows("SELECT * FROM later WHERE at <= ? ORDER BY at, rowid LIMIT ?", work.now, AT_ONCE)
    for row in due:
        found = work.ledger.find(row["object"])
        if found:
            SETTLES[found["object"]](work, found, row["outcome"])
