"""Where a subscription stands: its status, what its invoices do to that, and what its clock brings next.

https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses. Knows nothing of how invoices are made.
"""

from tollkeeper.sandbox.stripe.errors import invalid
from tollkeeper.sandbox.stripe.ledger import JSON, Ledger
from tollkeeper.sandbox.stripe.periods import DAY
from tollkeeper.sandbox.stripe.work import Work

KIND = "subscription"
HOURS_TO_PAY_FIRST = 23
WARNED_BEFORE = 3 * DAY
ENDED = ("canceled", "incomplete_expired")
RENEWING = ("trialing", "active", "past_due", "unpaid")
OWING = ("incomplete", "past_due", "unpaid")
UNPAID_SETTING, UNPAID_OUTCOMES = "unpaid", ("canceled", "unpaid", "past_due")
OF_SUBSCRIPTION = ("json_extract(body, '$.parent.subscription_details.subscription') = :subscription",)


def changed(work: Work, subscription: JSON, changes: JSON) -> JSON:
    """Keep it, tell of it, and await what comes next."""
    subscription = work.change(subscription, changes)
    schedule(work, subscription)
    return subscription


def schedule(work: Work, subscription: JSON) -> None:
    """One thing is awaited at a time: the first. What comes after it is worked out then."""
    work.not_later(subscription["id"])
    times = [(at, outcome) for outcome, at in _times(work, subscription).items() if at is not None]
    if times:
        at, outcome = min(times, key=lambda one: one[0])
        work.later(subscription["id"], outcome, at - work.now)


def _times(work: Work, subscription: JSON) -> dict[str, int | None]:
    """When what happens, if nothing comes between; of two at the same moment the first one."""
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
    """All items of a subscription have the same."""
    item = subscription["items"]["data"][0]
    return item["current_period_start"], item["current_period_end"]


def with_period(subscription: JSON, start: int, end: int) -> JSON:
    """The items of the subscription, in their next period."""
    items = subscription["items"]
    period = {"current_period_start": start, "current_period_end": end}
    return {**items, "data": [{**item, **period} for item in items["data"]]}


def of_invoice(work: Work, invoice: JSON) -> JSON | None:
    """The subscription that an invoice is for, unless it is over."""
    parent = invoice["parent"]
    found = work.ledger.find(parent["subscription_details"]["subscription"]) if parent else None
    return found if found and found["status"] not in ENDED else None


def settled(work: Work, invoice: JSON) -> None:
    """The invoice is paid. The newest one decides."""
    subscription = of_invoice(work, invoice)
    if subscription is None or subscription["latest_invoice"] != invoice["id"]:
        return
    if subscription["status"] in OWING:
        changed(work, subscription, {"status": "active"})
    elif subscription["status"] == "paused":
        resumed = changed(work, subscription, {"status": "active", "status_details": None})
        work.emit("customer.subscription.resumed", resumed)


def dropped(work: Work, invoice: JSON) -> None:
    """Nobody asks for the invoice any more. Without its first payment a subscription never begins."""
    subscription = of_invoice(work, invoice)
    if subscription is None or subscription["latest_invoice"] != invoice["id"]:
        return
    if subscription["status"] == "incomplete":
        changed(work, subscription, {"status": "incomplete_expired", "ended_at": work.now})
    elif subscription["status"] in OWING:
        changed(work, subscription, {"status": "active"})


def failed(work: Work, invoice: JSON) -> None:
    """A try to collect it has failed; there will be others."""
    subscription = of_invoice(work, invoice)
    if subscription and subscription["status"] in ("active", "trialing"):
        changed(work, subscription, {"status": "past_due"})


def given_up(work: Work, invoice: JSON) -> None:
    """The last try has failed. What comes of that is a setting, as it is in Stripe's dashboard."""
    subscription, outcome = of_invoice(work, invoice), unpaid_outcome(work.ledger)
    if subscription is None or subscription["status"] not in ("past_due", "unpaid"):
        return
    if outcome == "canceled":
        end(work, subscription, {"reason": "payment_failed"})
    else:
        changed(work, subscription, {"status": outcome})


def unpaid_outcome(ledger: Ledger) -> str:
    return ledger.setting(UNPAID_SETTING, "canceled")


def set_unpaid_outcome(ledger: Ledger, outcome: str) -> None:
    if outcome not in UNPAID_OUTCOMES:
        raise invalid(f"Invalid outcome: must be one of {', '.join(UNPAID_OUTCOMES)}", "outcome")
    ledger.set(UNPAID_SETTING, outcome)


def end(work: Work, subscription: JSON, details: JSON) -> JSON:
    """It is canceled, now and for good. Its invoices are not collected any more."""
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
    for invoice in work.ledger.page("invoice", OF_SUBSCRIPTION, {"subscription": ended["id"]}, -1):
        if invoice["status"] in ("draft", "open"):
            work.not_later(invoice["id"])
            work.ledger.save({**invoice, "auto_advance": False, "next_payment_attempt": None})
    work.emit("customer.subscription.deleted", ended)
    return ended
