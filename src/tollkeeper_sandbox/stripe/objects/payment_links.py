"""Payment Links: an address that creates a checkout session for each visitor.

https://docs.stripe.com/api/payment-link, https://docs.stripe.com/payment-links/url-parameters
"""

from collections.abc import Mapping

from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params, page_within
from tollkeeper_sandbox.stripe.engine.shapes import make
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import checkout_sessions, subscription_checkout
from tollkeeper_sandbox.stripe.objects.common import EMAIL, check_url, merged_metadata
from tollkeeper_sandbox.stripe.objects.subscription_checkout import MODE

KIND = "payment_link"


def create(work: Work, params: Params, _id: str) -> JSON:
    after = _after_completion(params)
    items = checkout_sessions.items_of(work, params)
    recurs = bool(subscription_checkout.recurring_of(items))
    id_ = work.new_id("plink")
    link = make(
        KIND,
        id=id_,
        active=True,
        after_completion=after,
        allow_promotion_codes=False,
        automatic_tax={"enabled": bool(params.get("automatic_tax", {}).get("enabled"))},
        billing_address_collection="auto",
        currency=checkout_sessions.currency_of(params, items),
        custom_fields=[],
        custom_text={},
        customer_creation=params.get("customer_creation", "if_required"),
        livemode=False,
        metadata=merged_metadata({}, params.get("metadata", {})),
        payment_method_collection="always" if recurs else "if_required",
        phone_number_collection={"enabled": False},
        shipping_options=[],
        submit_type="auto",
        tax_id_collection={"enabled": False, "required": "never"},
        url=f"{work.base_url}/buy/{id_}",
    )
    return work.add(link, {"line_items": params["line_items"], "mode": MODE if recurs else "payment"})


def _after_completion(params: Params) -> JSON:
    after: JSON = params.get("after_completion", {"type": "hosted_confirmation"})
    if (after["type"] == "redirect") != ("redirect" in after):
        raise invalid("`redirect` goes with the type redirect, and only with it.", "after_completion[redirect]")
    if after["type"] == "redirect":
        check_url(after["redirect"]["url"], "after_completion[redirect][url]")
        return after
    return {"type": "hosted_confirmation", "hosted_confirmation": {}}


def line_items(work: Work, params: Params, id_: str) -> JSON:
    link = work.get(KIND, id_)
    sold = checkout_sessions.items_of(work, work.ledger.hidden(id_))
    items = [{**item, "id": f"li_{id_}_{number}"} for number, item in enumerate(sold)]
    return page_within(items, params, f"/v1/payment_links/{link['id']}/line_items")


def update(work: Work, params: Params, id_: str) -> JSON:
    link = work.get(KIND, id_)
    changes: JSON = {name: params[name] for name in ("active",) if name in params}
    if "metadata" in params:
        changes["metadata"] = merged_metadata(link["metadata"], params["metadata"])
    return work.change(link, changes)


def visit(work: Work, id_: str, query: Mapping[str, str]) -> JSON:
    """Create a checkout session. The address may have ``client_reference_id`` and ``prefilled_email``."""
    link = work.get(KIND, id_)
    if not link["active"]:
        raise ApiError(410, "This link is no longer active.")
    redirect = link["after_completion"]["redirect"]
    params: Params = {
        **work.ledger.hidden(id_),
        "automatic_tax": {"enabled": link["automatic_tax"]["enabled"]},
        "metadata": link["metadata"],
        "success_url": redirect["url"] if redirect else link["url"],
        **_given_by_address(query),
    }
    if params["mode"] != MODE:
        params["customer_creation"] = link["customer_creation"]
    made = checkout_sessions.create(work, params, "")
    session = {**made, "payment_link": id_, "success_url": redirect["url"] if redirect else None}
    work.ledger.save(session)
    return session


def _given_by_address(query: Mapping[str, str]) -> Params:
    """Return the values in the address. Invalid ones are ignored, as at Stripe, because the buyer cannot fix them."""
    email = query.get("prefilled_email", "")
    reference = query.get("client_reference_id", "")
    given = {}
    if len(email) <= 512 and EMAIL.fullmatch(email):
        given["customer_email"] = email
    if 0 < len(reference) <= 200 and reference.replace("-", "").replace("_", "").isalnum() and reference.isascii():
        given["client_reference_id"] = reference
    return given
