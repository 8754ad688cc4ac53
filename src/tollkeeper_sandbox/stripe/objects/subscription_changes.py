"""Changes to a subscription: other prices, its end, its trial, a pause of its collection.

https://docs.stripe.com/api/subscriptions/update, https://docs.stripe.com/billing/subscriptions/change
"""

from collections.abc import Callable
from dataclasses import dataclass

from tollkeeper_sandbox.stripe.engine.errors import invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params
from tollkeeper_sandbox.stripe.engine.periods import end_of_period
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import (
    discounts,
    invoice_lines,
    invoices,
    payment_methods,
    standing,
    subscriptions,
)
from tollkeeper_sandbox.stripe.objects.common import merged_metadata, null_if_empty
from tollkeeper_sandbox.stripe.objects.subscriptions import Sold

WHILE_INCOMPLETE = {"default_payment_method", "description", "expand", "metadata"}
PERIOD_END = ("min_period_end", "max_period_end")


@dataclass(frozen=True)
class Change:
    """The result of changing the items, the cycle or the trial: the changed fields, and the cost."""

    fields: JSON
    lines: list[JSON]
    at_once: bool


def update(work: Work, params: Params, id_: str) -> JSON:
    subscription = subscriptions.live(work, id_)
    work = work.on_clock_of(subscription)
    if subscription["status"] == "incomplete" and not params.keys() <= WHILE_INCOMPLETE:
        message = "A subscription that is `incomplete` can only have its metadata and default payment method updated."
        raise invalid(message)
    if "cancel_at" in params and "cancel_at_period_end" in params:
        raise invalid("You may only specify one of these parameters: cancel_at, cancel_at_period_end.", "cancel_at")
    change = planned(work, subscription, params)
    after = {**subscription, **change.fields}
    for name, field in FIELDS.items():
        if name in params:
            after |= field(work, after, params[name])
    changes = {name: value for name, value in after.items() if value != subscription[name]}
    subscription = standing.changed(work, subscription, changes)
    if "metadata" in changes:
        invoices.label_lines(work, subscription)
    return _billed(work, subscription, change, params)


def planned(work: Work, subscription: JSON, params: Params) -> Change:
    """Plan a change. The rest of the period is prorated, except during a trial or on request."""
    items = _new_items(work, subscription, params["items"]) if "items" in params else subscription["items"]
    if "trial_end" in params:
        return _new_trial(work, {**subscription, "items": items}, params["trial_end"])
    if items == subscription["items"] and params.get("billing_cycle_anchor") != {"type": "now"}:
        return Change({}, [], at_once=False)
    behavior = params.get("proration_behavior", "create_prorations")
    old, trial = subscription["items"]["data"], subscription["status"] == "trialing"
    restarts = not trial and (
        params.get("billing_cycle_anchor") == {"type": "now"} or _interval(items["data"][0]) != _interval(old[0])
    )
    if restarts:
        return _new_cycle(work, subscription, items, credit=behavior != "none")
    if trial or behavior == "none":
        return Change({"items": items}, [], at_once=False)
    gone = [one for one in old if one not in items["data"]]
    come = [one for one in items["data"] if one not in old]
    lines = [invoice_lines.unused(work, subscription, one) for one in gone]
    lines += [invoice_lines.remaining(work, subscription, one) for one in come]
    return Change({"items": items}, lines, at_once=behavior == "always_invoice")


def _interval(item: JSON) -> tuple[str, int]:
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def _new_cycle(work: Work, subscription: JSON, items: JSON, *, credit: bool) -> Change:
    """Return the lines for a whole period from now, minus the rest of the last one."""
    end = end_of_period(work.now, items["data"][0]["price"]["recurring"], work.now)
    items = standing.with_period({"items": items}, work.now, end)
    left = [invoice_lines.unused(work, subscription, one) for one in subscription["items"]["data"]] if credit else []
    whole = [invoice_lines.of_item(work, subscription, one, (work.now, end)) for one in items["data"]]
    return Change({"items": items, "billing_cycle_anchor": work.now}, left + whole, at_once=True)


def _new_trial(work: Work, subscription: JSON, trial_end: int | str) -> Change:
    if trial_end == "now":
        change = _new_cycle(work, subscription, subscription["items"], credit=False)
        return Change({**change.fields, "status": "active", "trial_end": work.now}, change.lines, at_once=True)
    end = subscriptions.trial_end_of(work, {"trial_end": trial_end}, [])
    items = standing.with_period(subscription, work.now, int(end or work.now))
    began = subscription["trial_start"] if subscription["status"] == "trialing" else work.now
    fields = {"items": items, "billing_cycle_anchor": end, "status": "trialing", "trial_end": end, "trial_start": began}
    return Change(fields, [], at_once=False)


def _new_items(work: Work, subscription: JSON, wanted: list[Params]) -> JSON:
    """Return the new items: those that are named are changed or deleted, others added, the rest kept."""
    items, period = subscription["items"], standing.period_of(subscription)
    found = {item["id"]: item for item in items["data"]}
    for number, given in enumerate(wanted):
        param = f"items[{number}]"
        if "id" in given and given["id"] not in found:
            raise invalid(f"No such subscription item: '{given['id']}'", f"{param}[id]", "resource_missing")
        old = found.get(given.get("id", ""))
        if given.get("deleted"):
            if old is None:
                raise invalid(f"Missing required param: {param}[id].", f"{param}[id]", "parameter_missing")
            del found[old["id"]]
            continue
        item = subscriptions.item_of(
            work, subscription["id"], _sold(work, given, old, param), period, (old or {}).get("id")
        )
        found[item["id"]] = {**item, "created": old["created"]} if old else item
    data = list(found.values())
    subscriptions.check_items([Sold(one["price"], one["quantity"]) for one in data])
    if data[0]["price"]["currency"] != subscription["currency"]:
        raise invalid("A subscription's currency cannot be changed.", "items")
    return {**items, "data": data}


def _sold(work: Work, given: Params, old: JSON | None, param: str) -> Sold:
    if "price" not in given and old is None:
        raise invalid(f"Missing required param: {param}[price].", f"{param}[price]", "parameter_missing")
    known: JSON = {"metadata": {}, "quantity": 1} if old is None else old
    price = (
        subscriptions.recurring_price(work, given["price"], f"{param}[price]") if "price" in given else known["price"]
    )
    metadata = merged_metadata(known["metadata"], given.get("metadata", {}))
    quantity: int = given["quantity"] if "quantity" in given else known["quantity"]
    return Sold(price, quantity, metadata)


def _billed(work: Work, subscription: JSON, change: Change, params: Params) -> JSON:
    """Bill a change: now, or with the next invoice."""
    id_ = subscription["id"]
    if change.lines and not change.at_once:
        hidden = work.ledger.hidden(id_)
        work.ledger.hide(id_, {**hidden, "pending": hidden.get("pending", []) + change.lines})
    if not change.at_once:
        return subscription
    invoice = invoices.draft(work, subscription, change.lines, "subscription_update")
    standing.changed(work, work.get(standing.KIND, id_), {"latest_invoice": invoice["id"]})
    invoice = invoices.finalize(work, invoice)
    if invoice["status"] == "open":
        invoice = invoices.collect(work, invoice, invoices.method_for(work, invoice))
    if invoice["status"] == "open" and params.get("payment_behavior") == "error_if_incomplete":
        raise subscriptions.undone(invoices.declined(work, invoice))
    return work.get(standing.KIND, id_)


def _cancel_at_period_end(work: Work, subscription: JSON, wanted: bool) -> JSON:
    end = standing.period_of(subscription)[1]
    return {**_cancel_at(work, subscription, end if wanted else ""), "cancel_at_period_end": wanted}


def _cancel_at(work: Work, subscription: JSON, wanted: int | str) -> JSON:
    """Return the time of the end. An empty value removes it."""
    at = standing.period_of(subscription)[1] if wanted in PERIOD_END else null_if_empty(wanted)
    if at is not None and at <= work.now:
        raise invalid("The cancel_at timestamp must be in the future.", "cancel_at")
    reason = "cancellation_requested" if at else None
    known = subscription["canceled_at"] or work.now
    return {
        "cancel_at": at,
        "cancel_at_period_end": False,
        "canceled_at": known if at else None,
        "cancellation_details": {**subscription["cancellation_details"], "reason": reason},
    }


def _cancellation_details(_work: Work, subscription: JSON, given: Params) -> JSON:
    words = {name: null_if_empty(word) for name, word in given.items()}
    return {"cancellation_details": {**subscription["cancellation_details"], **words}}


def _pause_collection(work: Work, _subscription: JSON, given: Params | str) -> JSON:
    if isinstance(given, str):
        return {"pause_collection": None}
    resumes_at = given.get("resumes_at")
    if resumes_at is not None and resumes_at <= work.now:
        raise invalid("The timestamp resumes_at must be in the future.", "pause_collection[resumes_at]")
    return {"pause_collection": {"behavior": given["behavior"], "resumes_at": resumes_at}}


def _method(work: Work, subscription: JSON, given: str) -> JSON:
    customer = work.get("customer", subscription["customer"])
    return {"default_payment_method": payment_methods.given(work, given, customer, "default_payment_method")["id"]}


def _discounts(work: Work, subscription: JSON, given: list[Params] | str) -> JSON:
    customer = work.get("customer", subscription["customer"])
    applied, coupon = discounts.given(work, {"discounts": given or []}, customer, subscription["currency"])
    if coupon is None:
        return {"discounts": []}
    code = applied[0]["promotion_code"]
    return {"discounts": [invoices.discount_of(work, subscription["id"], customer["id"], coupon, code)["id"]]}


def _metadata(_work: Work, subscription: JSON, given: Params | str) -> JSON:
    return {"metadata": merged_metadata(subscription["metadata"], given)}


def _description(_work: Work, _subscription: JSON, given: str) -> JSON:
    return {"description": null_if_empty(given)}


def _trial_settings(_work: Work, subscription: JSON, given: Params) -> JSON:
    behavior = {**subscription["trial_settings"]["end_behavior"], **given["end_behavior"]}
    return {"trial_settings": {"end_behavior": behavior}}


FIELDS: dict[str, Callable[..., JSON]] = {
    "cancel_at": _cancel_at,
    "cancel_at_period_end": _cancel_at_period_end,
    "cancellation_details": _cancellation_details,
    "default_payment_method": _method,
    "description": _description,
    "discounts": _discounts,
    "metadata": _metadata,
    "pause_collection": _pause_collection,
    "trial_settings": _trial_settings,
}
