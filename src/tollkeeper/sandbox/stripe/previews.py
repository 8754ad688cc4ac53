"""What an invoice would be: the next one of a subscription, or that of a change to it.

https://docs.stripe.com/api/invoices/create_preview
"""

from tollkeeper.sandbox.stripe import invoices, renewals, subscription_changes, subscriptions
from tollkeeper.sandbox.stripe.errors import invalid
from tollkeeper.sandbox.stripe.ledger import JSON
from tollkeeper.sandbox.stripe.listing import Params
from tollkeeper.sandbox.stripe.work import Work


def create_preview(work: Work, params: Params, _id: str) -> JSON:
    """Nothing of it is kept."""
    if "subscription" not in params:
        raise invalid("Missing required param: subscription.", "subscription", "parameter_missing")
    named = work.refer(subscriptions.KIND, params["subscription"], "subscription")
    if "customer" in params and params["customer"] != named["customer"]:
        raise invalid(f"This subscription belongs to another customer than {params['customer']}.", "customer")
    subscription = subscriptions.live(work, named["id"])
    return _next(work.on_clock_of(subscription), subscription, params.get("subscription_details", {}))


def _next(work: Work, subscription: JSON, details: Params) -> JSON:
    change = subscription_changes.planned(work, subscription, details)
    subscription = {**subscription, **change.fields}
    if change.at_once:
        return _shown(invoices.composed(work, subscription, change.lines, "subscription_update"))
    if subscription["cancel_at_period_end"]:
        message = "No upcoming invoices for a subscription that ends with its period."
        raise invalid(message, code="invoice_upcoming_none")
    subscription = {**subscription, "items": renewals.next_items(work, subscription)}
    lines = change.lines + renewals.next_lines(work, subscription)
    return _shown(invoices.composed(work, subscription, lines, "upcoming"))


def _shown(invoice: JSON) -> JSON:
    id_ = f"upcoming_{invoice['id']}"
    lines = invoice["lines"]
    held = [{**line, "invoice": id_} for line in lines["data"]]
    return {**invoice, "id": id_, "lines": {**lines, "data": held, "url": f"/v1/invoices/{id_}/lines"}}
