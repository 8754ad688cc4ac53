"""Previews of an invoice: the next one of a subscription, or that of a change to it.

https://docs.stripe.com/api/invoices/create_preview
"""

from tollkeeper_sandbox.stripe.engine.errors import invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import (
    discounts,
    invoices,
    renewals,
    standing,
    subscription_changes,
    subscriptions,
)


def create_preview(work: Work, params: Params, _id: str) -> JSON:
    """Create a preview. Nothing of it is stored."""
    if "subscription" not in params:
        raise invalid("Missing required param: subscription.", "subscription", "parameter_missing")
    named = work.refer(subscriptions.KIND, params["subscription"], "subscription")
    if "customer" in params and params["customer"] != named["customer"]:
        raise invalid(f"This subscription belongs to another customer than {params['customer']}.", "customer")
    subscription = subscriptions.live(work, named["id"])
    details = params.get("subscription_details", {})
    if "discounts" in params:
        details = {**details, "discounts": params["discounts"]}
    return after(work.on_clock_of(subscription), subscription, details)


def after(work: Work, subscription: JSON, details: Params) -> JSON:
    """Return the next invoice after this change: its own if it is billed at once, or else the renewal's."""
    change = subscription_changes.planned(work, subscription, details)
    customer = work.get("customer", subscription["customer"])
    _, coupon = discounts.given(work, details, customer, subscription["currency"])
    subscription = {**subscription, **change.fields}
    if change.at_once:
        return _shown(invoices.composed(work, subscription, change.lines, "subscription_update", coupon))
    if subscription["cancel_at_period_end"]:
        message = "No upcoming invoices for a subscription that ends with its period."
        raise invalid(message, code="invoice_upcoming_none")
    moved = {**subscription, "items": renewals.next_items(work, subscription)}
    lines = change.lines + renewals.next_lines(work, moved)
    renewed = {**invoices.composed(work, moved, lines, "upcoming", coupon), "period_end": _renewal(subscription)}
    return _shown({**renewed, "next_payment_attempt": _renewal(subscription)})


def _renewal(subscription: JSON) -> int:
    return standing.period_of(subscription)[1]


def _shown(invoice: JSON) -> JSON:
    id_ = f"upcoming_{invoice['id']}"
    lines = invoice["lines"]
    held = [{**line, "invoice": id_} for line in lines["data"]]
    return {**invoice, "id": id_, "lines": {**lines, "data": held, "url": f"/v1/invoices/{id_}/lines"}}
