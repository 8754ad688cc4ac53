"""Products and prices (https://docs.stripe.com/api/products, https://docs.stripe.com/api/prices)."""

from decimal import Decimal
from typing import Any

from tollkeeper_sandbox.stripe.engine.errors import invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params
from tollkeeper_sandbox.stripe.engine.shapes import make
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.money import MOST
from tollkeeper_sandbox.stripe.objects.common import check_currency, check_url, merged_metadata, null_if_empty

INACTIVE = "The price specified is inactive. This field only accepts active prices."
MOST_QUANTITY = 999_999
MOST_TRIAL_DAYS = 730
MOST_INTERVALS = {"day": 1095, "week": 156, "month": 36, "year": 3}  # three years
PLAIN = ("active", "description", "images", "name", "statement_descriptor", "tax_code", "unit_label", "url")


def create_product(work: Work, params: Params, _id: str) -> JSON:
    """Create a product; with ``default_price_data``, also its default price."""
    id_ = params.get("id") or work.new_id("prod", 7)
    if work.ledger.find(id_):
        raise invalid("Product already exists.", "id", "resource_already_exists")
    product = _product(work, {**params, "id": id_})
    if "default_price_data" not in params:
        return work.add(product)
    price = price_of(work, id_, params["default_price_data"])
    work.add({**product, "default_price": price["id"]})
    work.add(price)
    return work.get("product", id_)


def _product(work: Work, params: Params) -> JSON:
    _check_product(params)
    return make(
        "product",
        id=params["id"],
        active=params.get("active", True),
        created=work.now,
        description=params.get("description"),
        images=params.get("images", []),
        livemode=False,
        marketing_features=[],
        metadata=merged_metadata({}, params.get("metadata", {})),
        name=params["name"],
        shippable=params.get("shippable"),
        statement_descriptor=params.get("statement_descriptor"),
        tax_code=params.get("tax_code"),
        type="service",
        unit_label=params.get("unit_label"),
        updated=work.now,
        url=params.get("url"),
    )


def update_product(work: Work, params: Params, id_: str) -> JSON:
    product = work.get_live("product", id_)
    _check_product(params)
    changes: JSON = {name: null_if_empty(params[name]) for name in PLAIN if name in params}
    if "shippable" in params:
        changes["shippable"] = params["shippable"]
    if changes.get("images", []) is None:
        changes["images"] = []
    if "metadata" in params:
        changes["metadata"] = merged_metadata(product["metadata"], params["metadata"])
    if "default_price" in params:
        changes["default_price"] = _default_price(work, id_, params["default_price"])
    if changes:
        changes["updated"] = work.now
    return work.change(product, changes)


def _default_price(work: Work, product: str, price: str) -> str:
    if work.refer("price", price, "default_price")["product"] != product:
        raise invalid(f"The price {price} belongs to another product.", "default_price")
    return price


def _check_product(params: Params) -> None:
    for number, url in enumerate(params.get("images") or ()):
        check_url(url, f"images[{number}]")
    if params.get("url"):
        check_url(params["url"], "url")


def create_price(work: Work, params: Params, _id: str) -> JSON:
    """Create a price for an existing product (``product``) or a new one (``product_data``)."""
    if ("product" in params) == ("product_data" in params):
        message = "You must specify exactly one of these parameters: product, product_data."
        raise invalid(message, "product", "parameter_missing" if "product" not in params else None)
    if "product" in params:
        product = work.refer("product", params["product"], "product")["id"]
    else:
        product = create_product(work, params["product_data"], "")["id"]
    return work.add(price_of(work, product, params))


def price_of(work: Work, product: str, params: Params, **others: Any) -> JSON:
    amount = unit_amount(params)
    return make(
        "price",
        **{"id": work.new_id("price"), "active": params.get("active", True), **others},
        billing_scheme="per_unit",
        created=work.now,
        currency=check_currency(params["currency"], "currency"),
        livemode=False,
        lookup_key=_lookup_key(work, params),
        metadata=merged_metadata({}, params.get("metadata", {})),
        nickname=params.get("nickname"),
        product=product,
        recurring=_recurring(params["recurring"]) if "recurring" in params else None,
        tax_behavior=params.get("tax_behavior", "unspecified"),
        type="recurring" if "recurring" in params else "one_time",
        unit_amount=amount,
        unit_amount_decimal=str(amount),
    )


def _recurring(given: Params) -> JSON:
    count, days = given.get("interval_count", 1), given.get("trial_period_days")
    if not 1 <= count <= MOST_INTERVALS[given["interval"]]:
        message = "Prices are billed every three years at least: every 3 years, 36 months, 156 weeks or 1095 days."
        raise invalid(message, "recurring[interval_count]")
    if days is not None and not 1 <= days <= MOST_TRIAL_DAYS:
        raise invalid(f"The trial period must be from 1 to {MOST_TRIAL_DAYS} days.", "recurring[trial_period_days]")
    usage = given.get("usage_type", "licensed")
    return {"interval": given["interval"], "interval_count": count, "trial_period_days": days, "usage_type": usage}


def unit_amount(params: Params) -> int:
    """Return the amount in whole minor units, from either of its two parameters."""
    given = [params[name] for name in ("unit_amount", "unit_amount_decimal") if name in params]
    if len(given) != 1:
        raise invalid(
            "Prices require exactly one of these parameters: unit_amount, unit_amount_decimal.",
            "unit_amount",
            None if given else "parameter_missing",
        )
    amount = given[0]
    if isinstance(amount, Decimal) and amount != amount.to_integral_value():
        message = "This sandbox serves no prices in fractions of the currency's smallest unit."
        raise invalid(message, "unit_amount_decimal", "sandbox_unsupported_value")
    if not 0 <= amount <= MOST:
        raise invalid(f"Invalid integer: {amount}", "unit_amount", "parameter_invalid_integer")
    return int(amount)


def _lookup_key(work: Work, params: Params) -> str | None:
    """Check that a lookup key is unique among active prices, or transfer it from the one that has it."""
    key: str | None = null_if_empty(params.get("lookup_key"))
    if key is None:
        return None
    where = "json_extract(body, '$.lookup_key') = :key"
    for holder in work.ledger.page("price", (where,), {"key": key}, 1):
        if not params.get("transfer_lookup_key"):
            message = f"A price (`{holder['id']}`) already uses that lookup key."
            raise invalid(message, "lookup_key")
        work.change(holder, {"lookup_key": None})
    return key


def update_price(work: Work, params: Params, id_: str) -> JSON:
    price = work.get_live("price", id_)
    changes: JSON = {name: null_if_empty(params[name]) for name in ("active", "nickname") if name in params}
    if "metadata" in params:
        changes["metadata"] = merged_metadata(price["metadata"], params["metadata"])
    if "lookup_key" in params and params["lookup_key"] != price["lookup_key"]:
        changes["lookup_key"] = _lookup_key(work, params)
    if "tax_behavior" in params:
        changes["tax_behavior"] = _tax_behavior(price, params["tax_behavior"])
    return work.change(price, changes)


def _tax_behavior(price: JSON, wanted: str) -> str:
    if price["tax_behavior"] not in ("unspecified", wanted):
        message = "You cannot update the tax_behavior of a price once it has been set."
        raise invalid(message, "tax_behavior")
    return wanted
