"""Customers (https://docs.stripe.com/api/customers)."""

from typing import Any

from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params
from tollkeeper_sandbox.stripe.engine.shapes import make
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import payment_methods, subscriptions
from tollkeeper_sandbox.stripe.objects.common import address_of, check_email, merged_metadata, null_if_empty

CLOCK = "test_helpers.test_clock"
PLAIN = ("business_name", "description", "email", "individual_name", "name", "phone", "preferred_locales", "tax_exempt")


def create(work: Work, params: Params, _id: str) -> JSON:
    if "email" in params:
        check_email(params["email"], "email")
    if "test_clock" in params:
        work = work.on_clock_of({"test_clock": work.refer(CLOCK, params["test_clock"], "test_clock")["id"]})
    customer = work.add(customer_of(work, **params))
    wanted = params.get("invoice_settings", {}).get("default_payment_method")
    if "payment_method" in params:
        attached = payment_methods.attach(work, {"customer": customer["id"]}, params["payment_method"])
        wanted = attached["id"] if wanted == params["payment_method"] else wanted
    return _with_default(work, customer, wanted) if wanted else customer


def _with_default(work: Work, customer: JSON, wanted: str) -> JSON:
    """Set the default payment method. For names such as ``pm_card_visa``, one is created for this customer."""
    param = "invoice_settings[default_payment_method]"
    return payment_methods.make_default(work, customer, payment_methods.given(work, wanted, customer, param))


def customer_of(work: Work, **params: Any) -> JSON:
    token = work.token(4).upper()
    return make(
        "customer",
        id=work.new_id("cus", 7),
        address=address_of(params.get("address")),
        balance=0,
        business_name=null_if_empty(params.get("business_name")),
        created=work.now,
        delinquent=False,
        description=params.get("description"),
        email=params.get("email"),
        individual_name=null_if_empty(params.get("individual_name")),
        invoice_prefix=token,
        invoice_settings={},
        livemode=False,
        metadata=merged_metadata({}, params.get("metadata", {})),
        name=params.get("name"),
        next_invoice_sequence=1,
        phone=params.get("phone"),
        preferred_locales=params.get("preferred_locales", []),
        shipping=_shipping(params.get("shipping")),
        tax_exempt=params.get("tax_exempt") or "none",
        test_clock=params.get("test_clock"),
    )


def update(work: Work, params: Params, id_: str) -> JSON:
    customer = work.get_live("customer", id_)
    if params.get("email"):  # an empty value removes it
        check_email(params["email"], "email")
    changes: JSON = {name: null_if_empty(params[name]) for name in PLAIN if name in params}
    if changes.get("tax_exempt", "none") is None:
        changes["tax_exempt"] = "none"
    if "metadata" in params:
        changes["metadata"] = merged_metadata(customer["metadata"], params["metadata"])
    if "address" in params:
        changes["address"] = address_of(params["address"])
    if "shipping" in params:
        changes["shipping"] = _shipping(params["shipping"])
    customer = work.change(customer, changes)
    wanted = params.get("invoice_settings", {}).get("default_payment_method")
    if wanted is not None:
        none = {**customer["invoice_settings"], "default_payment_method": None}
        return _with_default(work, customer, wanted) if wanted else work.change(customer, {"invoice_settings": none})
    return customer


def delete(work: Work, _params: Params, id_: str) -> JSON:
    customer = work.get_live("customer", id_)
    subscriptions.cancel_all(work, id_)
    work.ledger.delete(id_)
    work.emit("customer.deleted", customer)
    return {"id": id_, "object": "customer", "deleted": True}


def _shipping(given: dict[str, Any] | str | None) -> JSON | None:
    if not given or isinstance(given, str):
        return None
    plain = {name: null_if_empty(given.get(name)) for name in ("name", "phone", "carrier", "tracking_number")}
    return {**plain, "address": address_of(given["address"])}
