"""Scheduled changes of subscriptions: the end of a trial, renewals, ends, and the end of a pause.

https://docs.stripe.com/billing/subscriptions/trials, https://docs.stripe.com/billing/subscriptions/pause-payment
"""

from collections.abc import Callable
from functools import partial

from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.periods import end_of_period
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import invoice_lines, invoices, payment_methods, standing


def settle(work: Work, subscription: JSON, outcome: str) -> JSON:
    return OUTCOMES[outcome](work, subscription)


def _warn(work: Work, subscription: JSON) -> JSON:
    """Announce that the trial ends in three days, or sooner if it is shorter."""
    hidden = work.ledger.hidden(subscription["id"])
    work.ledger.hide(subscription["id"], {**hidden, "warned": subscription["trial_end"]})
    work.emit("customer.subscription.trial_will_end", subscription)
    standing.schedule(work, subscription)
    return subscription


def _renew(work: Work, subscription: JSON) -> JSON:
    """Renew a subscription whose period or trial is over."""
    if subscription["status"] == "trialing" and not _has_method(work, subscription):
        behavior = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
        if behavior in WITHOUT_METHOD:
            return WITHOUT_METHOD[behavior](work, subscription)
    return _next_period(work, subscription)


def _has_method(work: Work, subscription: JSON) -> bool:
    customer = work.get("customer", subscription["customer"])
    return bool(subscription["default_payment_method"] or payment_methods.default_of(customer))


def _next_period(work: Work, subscription: JSON) -> JSON:
    items = next_items(work, subscription)
    lines = next_lines(work, {**subscription, "items": items})
    work.ledger.hide(subscription["id"], {**work.ledger.hidden(subscription["id"]), "pending": []})
    collection = (subscription["pause_collection"] or {}).get("behavior")
    advance = subscription["status"] != "unpaid" and collection is None
    invoice = invoices.draft(work, {**subscription, "items": items}, lines, "subscription_cycle", advance=advance)
    status = "active" if subscription["status"] == "trialing" else subscription["status"]
    changes = {"items": items, "latest_invoice": invoice["id"], "status": status}
    subscription = standing.changed(work, work.get(standing.KIND, subscription["id"]), changes)
    if collection in NOT_COLLECTED:
        _not_collected(work, invoices.finalize(work, invoice), collection)
    return subscription


def _not_collected(work: Work, invoice: JSON, collection: str) -> None:
    """Apply a pause to an invoice. One that costs nothing is paid. The subscription's status does not change."""
    if invoice["status"] == "open":
        NOT_COLLECTED[collection](work, invoice)


def next_items(work: Work, subscription: JSON) -> JSON:
    """Return the items in the period after this one."""
    start = standing.period_of(subscription)[1]
    recurring = subscription["items"]["data"][0]["price"]["recurring"]
    return standing.with_period(
        subscription, start, end_of_period(subscription["billing_cycle_anchor"], recurring, start)
    )


def next_lines(work: Work, subscription: JSON) -> list[JSON]:
    """Return the lines for the subscription's current period, and those left over from changes in the last one."""
    period = standing.period_of(subscription)
    lines = [invoice_lines.of_item(work, subscription, one, period) for one in subscription["items"]["data"]]
    pending: list[JSON] = work.ledger.hidden(subscription["id"]).get("pending", [])
    return pending + lines


def _pause(work: Work, subscription: JSON) -> JSON:
    reason = {"subscription": {"type": "trial_end_without_payment_method"}, "transitioned_at": work.now}
    changes = {"status": "paused", "status_details": {"paused": {**reason, "type": "subscription"}}}
    subscription = standing.changed(work, subscription, changes)
    work.emit("customer.subscription.paused", subscription)
    return subscription


def _cancel(work: Work, subscription: JSON) -> JSON:
    return standing.end(work, subscription, {"reason": "cancellation_requested"})


def _expire(work: Work, subscription: JSON) -> JSON:
    """Expire a subscription whose first invoice was not paid."""
    changes = {"status": "incomplete_expired", "ended_at": work.now}
    subscription = standing.changed(work, subscription, changes)
    invoice = work.get(invoices.KIND, subscription["latest_invoice"])
    if invoice["status"] == "open":
        invoices.voided(work, invoice)
    return subscription


def _collect_again(work: Work, subscription: JSON) -> JSON:
    return standing.changed(work, subscription, {"pause_collection": None})


OUTCOMES: dict[str, Callable[[Work, JSON], JSON]] = {
    "canceled": _cancel,
    "collection_resumed": _collect_again,
    "expired": _expire,
    "renewed": _renew,
    "trial_will_end": _warn,
}
WITHOUT_METHOD: dict[str, Callable[[Work, JSON], JSON]] = {"cancel": _cancel, "pause": _pause}
NOT_COLLECTED: dict[str, Callable[[Work, JSON], JSON]] = {
    "mark_uncollectible": partial(invoices.uncollectible, reason="subscription_paused"),
    "void": invoices.voided,
}
