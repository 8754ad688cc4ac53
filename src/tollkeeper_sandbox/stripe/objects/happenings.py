"""Scheduled changes, which happen by the clock whether or not anybody reads the objects."""

from collections.abc import Callable

from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import (
    bank_debits,
    checkout_sessions,
    coupons,
    disputes,
    invoices,
    refunds,
    renewals,
)

SETTLES: dict[str, Callable[[Work, JSON, str], JSON]] = {
    "checkout.session": checkout_sessions.time_out,
    "coupon": coupons.expire,
    "dispute": disputes.settle,
    "invoice": invoices.settle,
    "payment_intent": bank_debits.settle,
    "promotion_code": coupons.expire,
    "refund": refunds.settle,
    "subscription": renewals.settle,
}
# Objects on a test clock have a time of their own.
NEXT = """
SELECT l.object, l.outcome, l.at FROM later l JOIN objects o ON o.id = l.object
WHERE l.at <= ? AND json_extract(o.body, '$.test_clock') IS ? ORDER BY l.at, l.rowid LIMIT 1
"""


def happen(work: Work, test_clock: str | None = None) -> None:
    """Apply everything that is due, each change at its own time, no matter how far time moved at once."""
    while due := work.ledger.rows(NEXT, work.now, test_clock):
        ((id_, outcome, moment),) = due
        work.not_later(id_)
        found = work.ledger.find(id_)
        if found:
            SETTLES[found["object"]](work.at(moment), found, outcome)
