"""A subscription's status: how its invoices change it, and what is scheduled next.

https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses. Independent of how invoices are created.
"""

from tollkeeper_sandbox.stripe.engine import settings
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.periods import DAY
from tollkeeper_sandbox.stripe.engine.work import Work

KIND = "subscription"
HOURS_TO_PAY_FIRST = 23
WARNED_BEFORE = 3 * DAY
ENDED = ("canceled", "incomplete_expired")
RENEWING = ("trialing", "active", "past_due", "unpaid")
OWING = ("incomplete", "past_due", "unpaid")
TRIED_BY_CLOCK = ("finalized", "retried")
STOPPED: JSON = {"auto_advance": False, "automatically_finalizes_at": None, "next_payment_attempt": None}
OF_SUBSCRIPTION = ("json_extract(body, '$.parent.subscription_details.subscription') = :subscription",)


def changed(work: Work, subscription: JSON, changes: JSON) -> JSON:
    """Store the changed subscription, emit its event, and schedule the next change."""
    subscription = work.change(subscription, changes)
    schedule(work, subscription)
    return subscription


def schedule(work: Work, subscription: JSON) -> None:
    """Schedule the next change. Only one is scheduled at a time; the one after it follows then."""
    work.not_later(subscription["id"])
    times = [(at, outcome) for outcome, at in _times(work, subscription).items() if at is not None]
    if times:
        at, outcome = min(times, key=lambda one: one[0])
        work.later(subscription["id"], outcome, at - work.now)


def _times(work: Work, subscription: JSON) -> dict[str, int | None]:
    """Return when each change would happen; of two at the same time, the first one comes first."""
    status, collection = subscription["status"], subscription["pause_collection"] or {}
    if status in ENDED:
        return {}
    if status == "incomplete":
        return {"expired": subscription["created"] + HOURS_TO_PAY_FIRST * 3600}
    times = {"canceled": subscription["cancel_at"], "collection_resumed": collection.get("resumes_at")}
    if status == "trialing" and work.ledger.hidden(subscription["id"]).get("warned") != subscription["trial_end"]:
        times["trial_will_end"] = max(subscription["trial_end"] - WARNED_BEFORE, work.now)
    if status in RENEWING:
        times["renewed"] = period_of(subscription)[1]
    return times


def period_of(subscription: JSON) -> tuple[int, int]:
    """Return the period, which all items of a subscription share."""
    item = subscription["items"]["data"][0]
    return item["current_period_start"], item["current_period_end"]


def with_period(subscription: JSON, start: int, end: int) -> JSON:
    """Return the items of the subscription with another period."""
    items = subscription["items"]
    period = {"current_period_start": start, "current_period_end": end}
    return {**items, "data": [{**item, **period} for item in items["data"]]}


def of_invoice(work: Work, invoice: JSON) -> JSON | None:
    """Return the subscription that an invoice is for, unless it is over."""
    parent = invoice["parent"]
    found = work.ledger.find(parent["subscription_details"]["subscription"]) if parent else None
    return found if found and found["status"] not in ENDED else None


def decided_by(work: Work, invoice: JSON) -> JSON | None:
    """Return the invoice's subscription if this invoice decides its status: the last finalized one does.

    An unpaid subscription has only drafts. Paying the latest of them makes it active again.
    """
    subscription = of_invoice(work, invoice)
    if subscription is None:
        return None
    latest = subscription["latest_invoice"]
    if subscription["status"] != "unpaid":
        finalized = [one["id"] for one in invoices_of(work, subscription) if one["status"] != "draft"]
        latest = finalized[0] if finalized else latest
    return subscription if latest == invoice["id"] else None


def invoices_of(work: Work, subscription: JSON) -> list[JSON]:
    """Return the subscription's invoices, newest first."""
    return work.ledger.page("invoice", OF_SUBSCRIPTION, {"subscription": subscription["id"]}, -1)


def settled(work: Work, invoice: JSON) -> None:
    """Update the status after an invoice was paid."""
    subscription = decided_by(work, invoice)
    if subscription is None:
        return
    if subscription["status"] in OWING:
        changed(work, subscription, {"status": "active"})
    elif subscription["status"] == "paused":
        resumed = changed(work, subscription, {"status": "active", "status_details": None})
        work.emit("customer.subscription.resumed", resumed)


def dropped(work: Work, invoice: JSON) -> None:
    """Update the status after an invoice was given up. Without its first payment a subscription never begins."""
    subscription = decided_by(work, invoice)
    if subscription is None:
        return
    if subscription["status"] == "incomplete":
        changed(work, subscription, {"status": "incomplete_expired", "ended_at": work.now})
    elif subscription["status"] in OWING:
        changed(work, subscription, {"status": "active"})


def begun(work: Work, invoice: JSON) -> None:
    """Start a subscription whose bank was asked and has not answered yet."""
    subscription = of_invoice(work, invoice)
    if subscription and subscription["status"] == "incomplete":
        changed(work, subscription, {"status": "active"})


def failed(work: Work, invoice: JSON) -> None:
    """Update the status after a failed attempt to collect an invoice; there may be others."""
    subscription = decided_by(work, invoice)
    if subscription and subscription["status"] in ("active", "trialing"):
        changed(work, subscription, {"status": "past_due"})


def given_up(work: Work, invoice: JSON) -> None:
    """Update the status after the last attempt failed. A setting decides how, as in Stripe's dashboard."""
    subscription, outcome = of_invoice(work, invoice), settings.of(work.ledger, "unpaid")
    if subscription is None or subscription["status"] not in ("past_due", "unpaid"):
        return
    if outcome == "canceled":
        end(work, subscription, {"reason": "payment_failed"})
    else:
        changed(work, subscription, {"status": outcome})


def end(work: Work, subscription: JSON, details: JSON) -> JSON:
    """Cancel a subscription now and for good. Its invoices are no longer collected."""
    known = subscription["cancellation_details"]
    ended = {
        **subscription,
        "status": "canceled",
        "canceled_at": subscription["canceled_at"] or work.now,
        "ended_at": work.now,
        "cancellation_details": {**known, **details},
        "pause_collection": None,
    }
    work.ledger.save(ended)
    work.not_later(ended["id"])
    for invoice in invoices_of(work, ended):
        if invoice["status"] in ("draft", "open"):
            work.not_later(invoice["id"], *TRIED_BY_CLOCK)
            work.change(invoice, STOPPED)
    work.emit("customer.subscription.deleted", ended)
    return ended
