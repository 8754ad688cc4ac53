"""Checkout sessions in subscription mode: their parameters, and the subscription that one creates.

https://docs.stripe.com/payments/checkout/build-subscriptions, https://docs.stripe.com/payments/checkout/free-trials
"""

from datetime import UTC, datetime

from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params
from tollkeeper_sandbox.stripe.engine.periods import DAY, spoken
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.money import formatted
from tollkeeper_sandbox.stripe.objects import discounts, invoices, payment_methods, subscriptions
from tollkeeper_sandbox.stripe.objects.catalog import MOST_TRIAL_DAYS
from tollkeeper_sandbox.stripe.objects.subscriptions import Sold, Terms

MODE = "subscription"
MOST_ONCE = 20
LEAST_TRIAL = 2 * DAY
REFUSED = {
    MODE: {
        "payment_intent_data": "You can not pass `payment_intent_data` in `subscription` mode.",
        "customer_creation": "`customer_creation` can only be used in `payment` mode.",
        "invoice_creation": "`invoice_creation` can only be used in `payment` mode.",
    },
    "payment": {
        "subscription_data": "You can not pass `subscription_data` in `payment` mode.",
        "payment_method_collection": "You can only set `payment_method_collection` if there are recurring prices.",
    },
}


def check(work: Work, params: Params, items: list[JSON]) -> None:
    """Check the parameters. Raises Stripe's errors for those that do not fit the session's mode."""
    mode = params["mode"]
    for name, words in REFUSED[mode].items():
        if name in params:
            raise invalid(words, name)
    recurring = recurring_of(items)
    if mode != MODE and recurring:
        raise _only_once()
    if mode == MODE and not recurring:
        message = "You must provide at least one recurring price in `subscription` mode when using prices."
        raise invalid(message, "line_items")
    if mode == MODE:
        if len(items) - len(recurring) > MOST_ONCE:
            message = f"At most {MOST_ONCE} line items with one-time prices are accepted in `subscription` mode."
            raise invalid(message, "line_items")
        subscriptions.check_items(recurring)
        _check_trial(work, params.get("subscription_data", {}))


def _only_once() -> ApiError:
    message = (
        "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only "
        "one-time prices."
    )
    return invalid(message, "mode")


def _check_trial(work: Work, data: Params) -> None:
    if "trial_end" in data and "trial_period_days" in data:
        message = "You may only specify one of these parameters: trial_end, trial_period_days."
        raise invalid(message, "subscription_data[trial_end]")
    if not 1 <= data.get("trial_period_days", 1) <= MOST_TRIAL_DAYS:
        message = f"The trial period must be from 1 to {MOST_TRIAL_DAYS} days."
        raise invalid(message, "subscription_data[trial_period_days]")
    end = data.get("trial_end", work.now + LEAST_TRIAL)
    if not work.now + LEAST_TRIAL <= end <= work.now + MOST_TRIAL_DAYS * DAY:
        message = "The `subscription_data[trial_end]` must be at least 48 hours in the future, and within two years."
        raise invalid(message, "subscription_data[trial_end]")


def recurring_of(items: list[JSON]) -> list[Sold]:
    return [_sold(item) for item in items if item["price"]["type"] == "recurring"]


def _sold(item: JSON) -> Sold:
    return Sold(item["price"], item["quantity"], item["metadata"])


def free_of_charge(items: list[JSON]) -> None:
    """Make recurring items free for the trial. Changes the items."""
    for item in items:
        if item["price"]["type"] == "recurring":
            item |= {"amount_subtotal": 0, "amount_total": 0}


def has_trial(data: Params) -> bool:
    return "trial_end" in data or "trial_period_days" in data


def trial_end_of(work: Work, data: Params) -> int | None:
    """Return the end of the trial. Days are counted from the buyer's confirmation."""
    end: int | None = data.get("trial_end")
    return work.now + data["trial_period_days"] * DAY if "trial_period_days" in data else end


def lost_its_customer(work: Work, session: JSON) -> bool:
    """Return whether the session is for a subscription of a deleted customer, who can have none."""
    customer = work.ledger.find(session["customer"]) if session["customer"] else None
    return session["mode"] == MODE and bool(customer and customer.get("deleted"))


def begin(work: Work, session: JSON, payment: JSON | None, method: JSON | None) -> JSON:
    """Return the session with its new subscription. The buyer's payment, if any, pays the first invoice."""
    hidden, customer = work.ledger.hidden(session["id"]), work.get("customer", session["customer"])
    work = work.on_clock_of(customer)
    if method:
        payment_methods.kept(work, work.get(payment_methods.KIND, method["id"]), customer["id"])
    items = hidden["line_items"]
    terms = _terms(work, session, hidden, method)
    status = "trialing" if terms.trial_end else "active"
    subscription = subscriptions.opened(work, customer, recurring_of(items), terms, status)
    invoice = subscriptions.first_invoice(work, subscription, terms)
    invoice = invoices.finalize(work, invoice, payment)
    if invoice["status"] == "open":
        invoice = invoices.paid(work, {**invoice, "attempted": True, "attempt_count": 1})
    return {**session, "subscription": subscription["id"], "invoice": invoice["id"]}


def _terms(work: Work, session: JSON, hidden: JSON, method: JSON | None) -> Terms:
    data = hidden["subscription_data"]
    behavior = data.get("trial_settings", {}).get("end_behavior", {})
    codes = [one["promotion_code"] for one in session["discounts"]]
    return Terms(
        trial_end=trial_end_of(work, data),
        missing_method=behavior.get("missing_payment_method", subscriptions.MISSING_METHOD),
        method=method["id"] if method else None,
        description=data.get("description"),
        metadata=data.get("metadata", {}),
        taxed=session["automatic_tax"]["enabled"],
        coupon=hidden["coupon"],
        code=codes[0] if codes else None,
        once=tuple(_sold(item) for item in hidden["line_items"] if item["price"]["type"] != "recurring"),
    )


def spoken_terms(work: Work, session: JSON) -> str:
    """Write for the buyer what will be charged and when; empty for a one-time purchase."""
    hidden = work.ledger.hidden(session["id"])
    sold = recurring_of(hidden["line_items"])
    if not sold:
        return ""
    each = f"{formatted(_price_after(hidden, sold), session['currency'])} {spoken(sold[0].price['recurring'])}"
    trial_end = trial_end_of(work, hidden["subscription_data"])
    if trial_end is None:
        return f"Then {each}, until canceled."
    days, first = -(-(trial_end - work.now) // DAY), datetime.fromtimestamp(trial_end, UTC)
    return f"{days} day{'s' if days != 1 else ''} free. Then {each}, from {first.day} {first:%B %Y} until canceled."


def _price_after(hidden: JSON, sold: list[Sold]) -> int:
    """Return what a period costs after the trial, the first invoice and temporary discounts."""
    sums: list[int] = [one.price["unit_amount"] * one.quantity for one in sold]
    lasting = hidden["coupon"] if hidden["coupon"] and hidden["coupon"]["duration"] == "forever" else None
    return sum(sums) - sum(discounts.shares(lasting, sums))
