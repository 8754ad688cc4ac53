"""Subscriptions: created, listed, canceled and resumed (https://docs.stripe.com/api/subscriptions).

All items of one have the same interval, and so the same period. Cards are charged automatically.
"""

from dataclasses import dataclass, field

from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid, no_such
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Handler, Params, lister, page_within
from tollkeeper_sandbox.stripe.engine.nesting import list_of
from tollkeeper_sandbox.stripe.engine.periods import DAY, end_of_period
from tollkeeper_sandbox.stripe.engine.shapes import make
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import (
    accounts,
    catalog,
    discounts,
    invoice_lines,
    invoices,
    payment_methods,
    standing,
)
from tollkeeper_sandbox.stripe.objects.catalog import MOST_TRIAL_DAYS
from tollkeeper_sandbox.stripe.objects.common import merged_metadata

KIND = standing.KIND
ITEMS_MOST = 20
MISSING_METHOD = "create_invoice"
LISTED = {
    None: "json_extract(body, '$.status') != 'canceled'",
    "all": "1",
    "ended": "json_extract(body, '$.status') IN ('canceled', 'incomplete_expired')",
}
RECURRING = ("json_extract(body, '$.type') = 'recurring'",)
WITH_ITEM = ("EXISTS (SELECT 1 FROM json_each(body, '$.items.data') WHERE json_extract(value, '$.id') = :item)",)
WITH_PRICE = "EXISTS (SELECT 1 FROM json_each(body, '$.items.data') WHERE json_extract(value, '$.price.id') = :price)"


@dataclass(frozen=True)
class Sold:
    """What a subscription is for: a recurring price and a quantity."""

    price: JSON
    quantity: int
    metadata: JSON = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """How a subscription begins. ``once`` are one-time purchases, paid with its first invoice."""

    trial_end: int | None = None
    missing_method: str = MISSING_METHOD
    cancel_at: int | None = None
    cancel_at_period_end: bool = False
    method: str | None = None
    description: str | None = None
    metadata: JSON = field(default_factory=dict)
    taxed: bool = False
    coupon: JSON | None = None
    code: str | None = None
    once: tuple[Sold, ...] = ()


def create(work: Work, params: Params, _id: str) -> JSON:
    """Create a subscription.

    Without a trial its first invoice is collected at once; if that fails, it can be paid within 23 hours.
    """
    if "customer" not in params:
        raise invalid("Missing required param: customer.", "customer", "parameter_missing")
    customer = work.refer("customer", params["customer"], "customer")
    work = work.on_clock_of(customer)
    accounts.check_charges(work)
    sold = [_sold(work, item, f"items[{number}]") for number, item in enumerate(params.get("items", []))]
    check_items(sold)
    check_one_currency(work, customer, sold[0].price["currency"])
    terms = _terms(work, params, customer, sold)
    behavior = params.get("payment_behavior", "allow_incomplete")
    method = terms.method or payment_methods.default_of(customer)
    subscription = opened(work, customer, sold, terms, "trialing" if terms.trial_end else "incomplete")
    invoice = first_invoice(work, subscription, terms)
    if invoice["amount_due"] and method is None and behavior != "default_incomplete":
        raise invoices.nothing_to_pay_with()
    invoice = invoices.finalize(work, invoice)
    if invoice["status"] == "open" and behavior != "default_incomplete":
        invoice = invoices.collect(work, invoice, invoices.method_for(work, invoice))
    if invoice["status"] == "open" and behavior == "error_if_incomplete":
        raise undone(invoices.declined(work, invoice))
    return work.get(KIND, subscription["id"])


def undone(error: ApiError) -> ApiError:
    """Return the same refusal, but one that undoes everything."""
    return ApiError(
        error.status, error.message, type_=error.type, code=error.code, decline_code=error.decline_code, param="items"
    )


def _sold(work: Work, item: Params, param: str) -> Sold:
    if "price" not in item:
        raise invalid(f"Missing required param: {param}[price].", f"{param}[price]", "parameter_missing")
    price = recurring_price(work, item["price"], f"{param}[price]")
    return Sold(price, item.get("quantity", 1), merged_metadata({}, item.get("metadata", {})))


def recurring_price(work: Work, id_: str, param: str) -> JSON:
    price = work.refer("price", id_, param)
    if price["type"] != "recurring":
        message = (
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`."
        )
        raise invalid(message, param)
    if not price["active"]:
        raise invalid(catalog.INACTIVE, param)
    return price


def check_items(sold: list[Sold]) -> None:
    if not sold:
        raise invalid("Missing required param: items.", "items", "parameter_missing")
    if len(sold) > ITEMS_MOST:
        raise invalid(f"A subscription may have a maximum of {ITEMS_MOST} items.", "items")
    if any(not 1 <= one.quantity <= catalog.MOST_QUANTITY for one in sold):
        raise invalid("This value must be greater than or equal to 1.", "items[0][quantity]")
    if len({one.price["id"] for one in sold}) < len(sold):
        raise invalid("Cannot add multiple subscription items with the same plan.", "items")
    for words, of in (("currency", _currency), ("interval", _interval)):
        if len({of(one.price) for one in sold}) > 1:
            message = (
                "Currency and interval fields must match across all prices on this subscription. "
                f"Found mismatch in {words} field."
            )
            raise invalid(message, "items")


def check_one_currency(work: Work, customer: JSON, currency: str) -> None:
    """https://docs.stripe.com/invoicing/multi-currency-customers: each customer's subscriptions have one currency."""
    for subscription in work.ledger.page(KIND, payment_methods.OF_CUSTOMER, {"customer": customer["id"]}, -1):
        if subscription["status"] not in standing.ENDED and subscription["currency"] != currency:
            message = (
                "You cannot combine currencies on a single customer. This customer has an active subscription, "
                "subscription schedule, discount, quote, or invoice item with currency "
                f"{subscription['currency']}"
            )
            raise invalid(message)


def _currency(price: JSON) -> object:
    return price["currency"]


def _interval(price: JSON) -> object:
    return price["recurring"]["interval"], price["recurring"]["interval_count"]


def _terms(work: Work, params: Params, customer: JSON, sold: list[Sold]) -> Terms:
    coupon, code = _coupon(work, params, customer, sold[0].price["currency"])
    method = params.get("default_payment_method")
    behavior = params.get("trial_settings", {}).get("end_behavior", {})
    return Terms(
        trial_end=trial_end_of(work, params, [one.price for one in sold]),
        missing_method=behavior.get("missing_payment_method", MISSING_METHOD),
        cancel_at=params.get("cancel_at"),
        cancel_at_period_end=params.get("cancel_at_period_end", False),
        method=payment_methods.given(work, method, customer, "default_payment_method")["id"] if method else None,
        description=params.get("description"),
        metadata=merged_metadata({}, params.get("metadata", {})),
        taxed=bool(params.get("automatic_tax", {}).get("enabled")),
        coupon=coupon,
        code=code,
    )


def _coupon(work: Work, params: Params, customer: JSON, currency: str) -> tuple[JSON | None, str | None]:
    applied, coupon = discounts.given(work, params, customer, currency)
    return coupon, applied[0]["promotion_code"] if applied else None


def trial_end_of(work: Work, params: Params, prices: list[JSON]) -> int | None:
    """Return the end of the trial: from ``trial_end``, from days, or on request from the price."""
    if "trial_end" in params and "trial_period_days" in params:
        raise invalid("You may only specify one of these parameters: trial_end, trial_period_days.", "trial_end")
    days = params.get("trial_period_days")
    if days is None and params.get("trial_from_plan"):
        days = max(price["recurring"]["trial_period_days"] or 0 for price in prices)
    end = params.get("trial_end", work.now + days * DAY if days else "now")
    if end == "now":
        return None
    if not work.now < end <= work.now + MOST_TRIAL_DAYS * DAY:
        raise invalid("The trial's end must be in the future, and within two years.", "trial_end")
    return int(end)


def opened(work: Work, customer: JSON, sold: list[Sold], terms: Terms, status: str) -> JSON:
    """Create a subscription and emit its events, without its first invoice."""
    id_, recurring = work.new_id("sub"), sold[0].price["recurring"]
    anchor = terms.trial_end or work.now
    end = end_of_period(anchor, recurring, work.now)
    items = [item_of(work, id_, one, (work.now, end)) for one in sold]
    subscription = make(
        KIND,
        id=id_,
        automatic_tax={"enabled": terms.taxed, "liability": {"type": "self"} if terms.taxed else None},
        billing_cycle_anchor=anchor,
        billing_mode={"type": "flexible"},
        billing_schedules=[],
        cancel_at=end if terms.cancel_at_period_end else terms.cancel_at,
        cancel_at_period_end=terms.cancel_at_period_end,
        cancellation_details={},
        collection_method="charge_automatically",
        created=work.now,
        currency=sold[0].price["currency"],
        customer=customer["id"],
        default_payment_method=terms.method,
        default_tax_rates=[],
        description=terms.description,
        discounts=[],
        invoice_settings={"issuer": {"type": "self"}},
        items=list_of(f"/v1/subscription_items?subscription={id_}", items),
        livemode=False,
        metadata=terms.metadata,
        payment_settings={"save_default_payment_method": "off"},
        start_date=work.now,
        status=status,
        test_clock=customer["test_clock"],
        trial_end=terms.trial_end,
        trial_settings={"end_behavior": {"missing_payment_method": terms.missing_method}},
        trial_start=work.now if terms.trial_end else None,
    )
    if terms.coupon:
        given = invoices.discount_of(work, id_, customer["id"], terms.coupon, terms.code)
        subscription["discounts"] = [given["id"]]
    work.add(subscription)
    standing.schedule(work, subscription)
    return subscription


def item_of(work: Work, subscription: str, sold: Sold, period: tuple[int, int], id_: str | None = None) -> JSON:
    price = sold.price
    return make(
        "subscription_item",
        id=id_ or work.new_id("si", 7),
        created=work.now,
        current_period_end=period[1],
        current_period_start=period[0],
        discounts=[],
        metadata=sold.metadata,
        plan=_plan(price),
        price=price,
        quantity=sold.quantity,
        subscription=subscription,
        tax_rates=[],
    )


def _plan(price: JSON) -> JSON:
    """Return the price as a plan, its former shape, which Stripe still includes."""
    same = ("active", "billing_scheme", "created", "currency", "id", "livemode", "metadata", "nickname", "product")
    return make(
        "plan",
        **{name: price[name] for name in same},
        amount=price["unit_amount"],
        amount_decimal=price["unit_amount_decimal"],
        **{
            name: price["recurring"][name] for name in ("interval", "interval_count", "trial_period_days", "usage_type")
        },
    )


def list_plans(work: Work, params: Params, id_: str) -> JSON:
    """List the recurring prices as plans."""
    listed = lister("price", "/v1/plans", where=RECURRING)(work, params, id_)
    return {**listed, "data": [_plan(price) for price in listed["data"]]}


def retrieve_plan(work: Work, _params: Params, id_: str) -> JSON:
    price = work.ledger.find(id_, "price")
    if price is None or price["type"] != "recurring":
        raise no_such("plan", id_, param="plan")
    return _plan(price)


def first_invoice(work: Work, subscription: JSON, terms: Terms) -> JSON:
    """Create the first invoice as a draft; during a trial it has only the one-time purchases."""
    trial, period = bool(terms.trial_end), standing.period_of(subscription)
    lines = [
        invoice_lines.of_item(work, subscription, one, period, trial=trial) for one in subscription["items"]["data"]
    ]
    lines += [invoice_lines.of_price(work, subscription, one.price, one.quantity) for one in terms.once]
    invoice = invoices.draft(work, subscription, lines, invoices.FIRST)
    work.ledger.save({**work.get(KIND, subscription["id"]), "latest_invoice": invoice["id"]})
    return invoice


def listing() -> Handler:
    """Return the call that lists subscriptions; canceled ones only on request."""

    def call(work: Work, params: Params, id_: str) -> JSON:
        params = dict(params)
        status = params.pop("status", None)
        where, values = [LISTED[status]] if status in LISTED else [], {}
        if status not in LISTED:
            params["status"] = status
        if "price" in params:
            where.append(WITH_PRICE)
            values["price"] = params.pop("price")
        return lister(KIND, "/v1/subscriptions", where=where, values=values)(work, params, id_)

    return call


def list_of_customer(work: Work, params: Params, id_: str) -> JSON:
    customer = work.get_live("customer", id_)
    url = f"/v1/customers/{customer['id']}/subscriptions"
    return {**listing()(work, {**params, "customer": customer["id"]}, ""), "url": url}


def list_items(work: Work, params: Params, _id: str) -> JSON:
    items = work.refer(KIND, params["subscription"], "subscription")["items"]
    return page_within(items["data"], params, "/v1/subscription_items")


def retrieve_item(work: Work, _params: Params, id_: str) -> JSON:
    found = work.ledger.page(KIND, WITH_ITEM, {"item": id_}, 1)
    for item in found[0]["items"]["data"] if found else []:
        if item["id"] == id_:
            return dict(item)
    raise no_such("subscription_item", id_)


def of_customer(work: Work, customer: JSON) -> JSON:
    """Return what `expand` puts into a customer."""
    return list_of_customer(work, {}, customer["id"])


def cancel(work: Work, params: Params, id_: str) -> JSON:
    """Cancel at once. The rest of the period is lost, and not refunded."""
    subscription = live(work, id_)
    words = {name: params.get("cancellation_details", {}).get(name) or None for name in ("comment", "feedback")}
    details = {"reason": "cancellation_requested", **{name: word for name, word in words.items() if word}}
    return standing.end(work.on_clock_of(subscription), subscription, details)


def live(work: Work, id_: str) -> JSON:
    """Return a subscription that is not over. Raises Stripe's 404."""
    subscription = work.get(KIND, id_)
    if subscription["status"] in standing.ENDED:
        raise ApiError(404, f"No such subscription: '{id_}'", code="resource_missing", param="id")
    return subscription


def cancel_all(work: Work, customer: str) -> None:
    """Cancel all subscriptions of a deleted customer."""
    for subscription in work.ledger.page(KIND, payment_methods.OF_CUSTOMER, {"customer": customer}, -1):
        if subscription["status"] not in standing.ENDED:
            standing.end(work.on_clock_of(subscription), subscription, {"reason": "cancellation_requested"})


def resume(work: Work, _params: Params, id_: str) -> JSON:
    """Resume a paused subscription in a new period from now. It stays paused until that is paid."""
    subscription = live(work, id_)
    if subscription["status"] != "paused":
        message = f"This subscription has a status of `{subscription['status']}`; only paused ones can be resumed."
        raise invalid(message)
    work = work.on_clock_of(subscription)
    end = end_of_period(work.now, subscription["items"]["data"][0]["price"]["recurring"], work.now)
    items = standing.with_period(subscription, work.now, end)
    subscription = {**subscription, "items": items}
    lines = [invoice_lines.of_item(work, subscription, one, (work.now, end)) for one in items["data"]]
    invoice = invoices.draft(work, subscription, lines, "subscription_update")
    changes = {"items": items, "billing_cycle_anchor": work.now, "latest_invoice": invoice["id"]}
    standing.changed(work, work.get(KIND, id_), changes)
    invoice = invoices.finalize(work, invoice)
    if invoice["status"] == "open":
        invoices.collect(work, invoice, invoices.method_for(work, invoice))
    return work.get(KIND, id_)
