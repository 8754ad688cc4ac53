"""Checkout sessions, hosted, in payment and in subscription mode (https://docs.stripe.com/api/checkout/sessions)."""

from typing import Any

from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params, page_within
from tollkeeper_sandbox.stripe.engine.shapes import make, part
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.money import LEAST, LEAST_ELSEWHERE, MOST, formatted, tax_on
from tollkeeper_sandbox.stripe.objects import catalog, discounts, intents, subscription_checkout, subscriptions
from tollkeeper_sandbox.stripe.objects.accounts import NAME, check_charges, tax_is_active
from tollkeeper_sandbox.stripe.objects.common import check_email, check_url, merged_metadata

KIND = "checkout.session"
MINUTE, HOUR = 60, 3600
DEBIT = "sepa_debit"
HIDDEN = ("customer_update", "payment_intent_data", "subscription_data")


def create(work: Work, params: Params, _id: str) -> JSON:
    """Create a session. Raises Stripe's errors for parameters that do not fit together."""
    _check(work, params)
    check_charges(work)
    customer = work.refer("customer", params["customer"], "customer") if "customer" in params else None
    taxed = bool(params.get("automatic_tax", {}).get("enabled"))
    if taxed:
        _check_tax(work, params, customer)
    items = items_of(work, params)
    currency = currency_of(params, items)
    subscription_checkout.check(work, params, items)
    if customer and params["mode"] == subscription_checkout.MODE:
        subscriptions.check_one_currency(work, customer, currency)
    if subscription_checkout.has_trial(params.get("subscription_data", {})):
        subscription_checkout.free_of_charge(items)
    applied, coupon = discounts.given(work, params, customer, currency)
    hidden = {"line_items": items, "coupon": coupon, **{name: params.get(name, {}) for name in HIDDEN}}
    session = {**_session(work, params, customer, currency, taxed), "discounts": applied}
    located = bool(customer and (customer["address"] or {}).get("country"))
    session |= amounts(hidden, session, taxed and located)
    check_total(session)
    work.ledger.add(session, hidden)
    work.later(session["id"], "expired", session["expires_at"] - work.now)
    return session


def _session(work: Work, params: Params, customer: JSON | None, currency: str, taxed: bool) -> JSON:
    id_ = work.new_id("cs_test", 29)
    email = (customer or {}).get("email") or params.get("customer_email")
    subscribing = params["mode"] == subscription_checkout.MODE
    types = _method_types(currency, params.get("allowed_payment_method_types"), debits=not subscribing)
    creation = "always" if subscribing else params.get("customer_creation", "if_required")
    return make(
        KIND,
        id=id_,
        adaptive_pricing={"enabled": False},
        allow_promotion_codes=params.get("allow_promotion_codes"),
        allowed_payment_method_types=params.get("allowed_payment_method_types"),
        automatic_tax=_automatic_tax(taxed),
        billing_address_collection=params.get("billing_address_collection"),
        branding_settings={
            "background_color": "#ffffff",
            "border_style": "rounded",
            "button_color": "#0f766e",
            "display_name": NAME,
            "font_family": "default",
        },
        cancel_url=params.get("cancel_url"),
        client_reference_id=params.get("client_reference_id"),
        collected_information={},
        created=work.now,
        currency=currency,
        custom_fields=[],
        custom_text={},
        customer=customer["id"] if customer else None,
        customer_creation=None if customer else creation,
        customer_details=details_of(customer, email=email) if email else None,
        customer_email=params.get("customer_email"),
        expires_at=params.get("expires_at", work.now + 24 * HOUR),
        invoice_creation=None if subscribing else {"enabled": False, "invoice_data": {"metadata": {}}},
        livemode=False,
        locale=params.get("locale"),
        managed_payments={"enabled": False},
        metadata=merged_metadata({}, params.get("metadata", {})),
        mode=params["mode"],
        payment_method_collection=params.get("payment_method_collection", "always" if subscribing else "if_required"),
        payment_method_options=method_options(types),
        payment_method_types=types,
        payment_status="unpaid",
        phone_number_collection={"enabled": False},
        shipping_options=[],
        status="open",
        submit_type=params.get("submit_type"),
        success_url=params["success_url"],
        ui_mode="hosted_page",
        url=f"{work.base_url}/c/pay/{id_}",
    )


def _method_types(currency: str, allowed: list[str] | None, *, debits: bool) -> list[str]:
    """Return the payment methods for a currency: SEPA Direct Debit is only for euros (https://docs.stripe.com/payments/sepa-debit)."""
    types = ["card", DEBIT] if currency == "eur" and debits else ["card"]
    possible = [one for one in types if allowed is None or one in allowed]
    if not possible:
        message = f"None of the allowed payment method types can be paid with in {currency}."
        raise invalid(message, "allowed_payment_method_types")
    return possible


def method_options(types: list[str]) -> JSON:
    options: JSON = {"card": {"request_three_d_secure": "automatic"}, DEBIT: {"mandate_options": {}}}
    return {name: options[name] for name in types}


def _automatic_tax(enabled: bool) -> JSON:
    if not enabled:
        return {"enabled": False}
    return {"enabled": True, "liability": {"type": "self"}, "provider": "stripe"}


def details_of(customer: JSON | None, **values: Any) -> JSON:
    """Return what is known about the buyer; before the payment that may be only the e-mail address."""
    names = ("address", "business_name", "individual_name", "name", "phone")
    known = {name: (customer or {}).get(name) for name in names}
    tax = {"tax_exempt": (customer or {}).get("tax_exempt", "none"), "tax_ids": None}
    return part(KIND, "customer_details", {**known, **tax, **values})


def _check(work: Work, params: Params) -> None:
    for name in ("line_items", "success_url"):
        if not params.get(name):
            raise invalid(f"Missing required param: {name}.", name, "parameter_missing")
    for name in ("success_url", "cancel_url"):
        if name in params:
            check_url(params[name], name)
    if "mode" not in params:
        raise invalid("You must provide the mode of this Checkout Session.", "mode", "parameter_missing")
    _check_customer(params)
    _check_expiry(params.get("expires_at"), work.now)


def _check_customer(params: Params) -> None:
    for other in ("customer_email", "customer_creation"):
        if "customer" in params and other in params:
            raise invalid(f"You may only specify one of these parameters: customer, {other}.", other)
    if "customer_update" in params and "customer" not in params:
        raise invalid("`customer_update` can only be used with `customer`.", "customer_update")
    if "customer_email" in params:
        check_email(params["customer_email"], "customer_email")


def _check_expiry(expires_at: int | None, now: int) -> None:
    if expires_at is None:
        return
    if expires_at < now + 30 * MINUTE:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise invalid(message, "expires_at")
    if expires_at > now + 24 * HOUR:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise invalid(message, "expires_at")


def _check_tax(work: Work, params: Params, customer: JSON | None) -> None:
    """https://docs.stripe.com/tax/checkout: the account must be set up, and an existing customer's location known."""
    if not tax_is_active(work):
        message = (
            "Stripe Tax has not been activated on your account. Please visit https://stripe.com/docs/tax/set-up to get "
            "started."
        )
        raise invalid(message, "automatic_tax")
    saves = params.get("customer_update", {}).get("address") == "auto"
    if customer is not None and not (customer["address"] or {}).get("country") and not saves:
        raise invalid(
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid "
            "address to the Customer or set either `customer_update[address]` to 'auto' or "
            "`customer_update[shipping]` to 'auto' to save the address entered in Checkout to the Customer.",
            code="customer_tax_location_invalid",
        )


def items_of(work: Work, params: Params) -> list[JSON]:
    return [_line_item(work, item, number) for number, item in enumerate(params["line_items"])]


def _line_item(work: Work, item: Params, number: int) -> JSON:
    param = f"line_items[{number}]"
    if ("price" in item) == ("price_data" in item):
        raise invalid("You must specify exactly one of `price` and `price_data`.", param)
    if "quantity" not in item:
        raise invalid(f"Quantity is required. Add `quantity` to `{param}`", f"{param}[quantity]")
    if not 1 <= item["quantity"] <= catalog.MOST_QUANTITY:
        raise invalid("This value must be greater than or equal to 1.", f"{param}[quantity]")
    price = _price(work, item, param)
    product = work.get("product", price["product"])
    return make(
        "item",
        id=work.new_id("li"),
        amount_discount=0,
        amount_subtotal=price["unit_amount"] * item["quantity"],
        amount_tax=0,
        amount_total=price["unit_amount"] * item["quantity"],
        currency=price["currency"],
        description=product["name"],
        metadata=merged_metadata({}, item.get("metadata", {})),
        price=price,
        quantity=item["quantity"],
    )


def _price(work: Work, item: Params, param: str) -> JSON:
    if "price_data" in item:
        return _price_from_data(work, item["price_data"], f"{param}[price_data]")
    price = work.refer("price", item["price"], f"{param}[price]")
    if not price["active"]:
        raise invalid(catalog.INACTIVE, f"{param}[price]")
    _check_sold(work.get("product", price["product"]), f"{param}[price]")
    return price


def _price_from_data(work: Work, data: Params, param: str) -> JSON:
    """Create a price for this session alone: it is stored, but inactive."""
    if ("product" in data) == ("product_data" in data):
        raise invalid("You must specify exactly one of `product` and `product_data`.", param)
    if "product" in data:
        product = work.refer("product", data["product"], f"{param}[product]")
        _check_sold(product, f"{param}[product]")
    else:
        product = catalog.create_product(work, {**data["product_data"], "active": False}, "")
    price = catalog.price_of(work, product["id"], data, active=False)
    work.ledger.add(price)
    return price


def _check_sold(product: JSON, param: str) -> None:
    if not product["active"]:
        raise invalid(f"The product of this price is not active: '{product['id']}'.", param)


def currency_of(params: Params, items: list[JSON]) -> str:
    currency: str = items[0]["currency"]
    if any(item["currency"] != currency for item in items):
        raise invalid("All line items must have the same currency.", "line_items")
    if params.get("currency", currency).lower() != currency:
        raise invalid(f"The prices are in {currency}, not in {params['currency']}.", "currency")
    return currency


def amounts(hidden: JSON, session: JSON, located: bool) -> JSON:
    """Return the session's amounts, and update the items in ``hidden``. Tax needs the buyer's location."""
    items = hidden["line_items"]
    off = discounts.shares(hidden["coupon"], [item["amount_subtotal"] for item in items])
    for item, discount in zip(items, off, strict=True):
        left = item["amount_subtotal"] - discount
        inclusive = item["price"]["tax_behavior"] == "inclusive"
        tax = tax_on(left, inclusive=inclusive) if located else 0
        item |= {"amount_discount": discount, "amount_tax": tax, "amount_total": left + (0 if inclusive else tax)}
    taxed = session["automatic_tax"]["enabled"]
    status = ("complete" if located else "requires_location_inputs") if taxed else None
    return {
        "amount_subtotal": sum(item["amount_subtotal"] for item in items),
        "amount_total": sum(item["amount_total"] for item in items),
        "automatic_tax": {**session["automatic_tax"], "status": status},
        "total_details": {
            "amount_discount": sum(off),
            "amount_shipping": 0,
            "amount_tax": sum(item["amount_tax"] for item in items),
        },
    }


def check_total(session: JSON) -> None:
    """Check the total. Zero is allowed, too: https://docs.stripe.com/payments/checkout/no-cost-orders."""
    total, currency = session["amount_total"], session["currency"]
    least = LEAST.get(currency, LEAST_ELSEWHERE)
    if 0 < total < least:
        message = f"The Checkout Session's total amount due must add up to at least {formatted(least, currency)}"
        raise invalid(message, code="amount_too_small")
    if total > MOST:
        message = f"The Checkout Session's total amount must be no more than {formatted(MOST, currency)}"
        raise invalid(message, code="amount_too_large")


def line_items(work: Work, params: Params, id_: str) -> JSON:
    session = work.get(KIND, id_)
    items = work.ledger.hidden(id_)["line_items"]
    return page_within(items, params, f"/v1/checkout/sessions/{session['id']}/line_items")


def all_line_items(work: Work, session: JSON) -> JSON:
    """Return what `expand` puts into a session: the first page of its line items."""
    return line_items(work, {}, session["id"])


def expire(work: Work, _params: Params, id_: str) -> JSON:
    session = work.get(KIND, id_)
    if session["status"] != "open":
        raise _not_open(session)
    return close_expired(work, session)


def _not_open(session: JSON) -> ApiError:
    return invalid(
        'Only Checkout Sessions with a status in ["open"] can be expired. '
        f"This Checkout Session has a status of `{session['status']}`."
    )


def close_expired(work: Work, session: JSON) -> JSON:
    """Close an expired session, and cancel its payment if there is one."""
    session = {**session, "status": "expired", "url": None}
    work.ledger.save(session)
    work.not_later(session["id"])
    cancel_payment(work, session, "expired")
    work.emit("checkout.session.expired", session)
    return session


def intent_of(work: Work, session: JSON) -> JSON | None:
    """Return the intent that the buyer's confirmation created.

    For a subscription, Stripe shows it only in the invoice.
    """
    id_ = session["payment_intent"] or work.ledger.hidden(session["id"]).get("intent")
    return work.ledger.find(id_) if id_ else None


def cancel_payment(work: Work, session: JSON, reason: str) -> None:
    intent = intent_of(work, session)
    if intent and intent["status"] != "canceled":
        intents.of(intent).cancel(work, intent, reason)


def time_out(work: Work, session: JSON, _outcome: str) -> JSON:
    """Expire a session when its time has come, whether or not anybody reads it."""
    return close_expired(work, session) if session["status"] == "open" else session
