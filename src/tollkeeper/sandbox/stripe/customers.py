"""Customers (https://docs.stripe.com/api/customers)."""

from typing import Any

from tollkeeper.sandbox.stripe.common import address_of, check_email, merged_metadata, null_if_empty
from tollkeeper.sandbox.stripe.ledger import JSON
from tollkeeper.sandbox.stripe.listing import Params
from tollkeeper.sandbox.stripe.shapes import make
from tollkeeper.sandbox.stripe.work import Work

PLAIN = ("business_name", "description", "email", "individual_name", "name", "phone", "preferred_locales", "tax_exempt")


def create(work: Work, params: Params, _id: str) -> JSON:
    if "email" in params:
        check_email(params["email"], "email")
    return work.add(customer_of(work, **params))


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
    )


def update(work: Work, params: Params, id_: str) -> JSON:
    customer = work.get_live("customer", id_)
    if "email" in params:
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
    return work.change(customer, changes)


def delete(work: Work, _params: Params, id_: str) -> JSON:
    customer = work.get_live("customer", id_)
    work.ledger.delete(id_)
    work.emit("customer.deleted", customer)
    return {"id": id_, "object": "customer", "deleted": True}


def _shipping(given: dict[str, Any] | str | None) -> JSON | None:
    if not given or isinstance(given, str):
        return None
    plain = {name: null_if_empty(given.get(name)) for name in ("name", "phone", "carrier", "tracking_number")}
    return {**plain, "address": address_of(given["address"])}
