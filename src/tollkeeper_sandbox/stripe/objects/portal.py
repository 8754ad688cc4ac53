"""The customer portal: its configurations, and the links to it.

https://docs.stripe.com/api/customer_portal/configurations, https://docs.stripe.com/api/customer_portal/sessions
"""

from tollkeeper_sandbox.stripe.engine import settings
from tollkeeper_sandbox.stripe.engine.errors import invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params, lister
from tollkeeper_sandbox.stripe.engine.shapes import make, part
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import discounts
from tollkeeper_sandbox.stripe.objects.common import check_url, merged_metadata, null_if_empty

CONFIGURATION, SESSION = "billing_portal.configuration", "billing_portal.session"
MOST_PRODUCTS = 10
IS_DEFAULT = ("json_extract(body, '$.is_default')",)
FEATURES: JSON = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "options": []},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {"duration": {"interval_options": [], "type": "indefinite"}, "enabled": False},
    "subscription_update": {
        "default_allowed_updates": [],
        "enabled": False,
        "products": [],
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}
# The initial configuration of Stripe's dashboard.
USUAL: JSON = {
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": True},
}
CONFIRM = "subscription_update_confirm"
FLOWS = {
    "payment_method_update": ("payment_method_update", "payment method update"),
    "subscription_cancel": ("subscription_cancel", "subscription cancellation"),
    "subscription_update": ("subscription_update", "subscription update"),
    "subscription_update_confirm": ("subscription_update", "subscription update"),
}


def create(work: Work, params: Params, _id: str) -> JSON:
    return work.add(_configuration(work, params, is_default=False))


def _configuration(work: Work, params: Params, *, is_default: bool) -> JSON:
    profile = params.get("business_profile", {})
    return make(
        CONFIGURATION,
        id=work.new_id("bpc"),
        active=True,
        business_profile={name: null_if_empty(profile.get(name)) for name in _PROFILE},
        created=work.now,
        default_return_url=_address(params),
        features=_features(work, FEATURES, params["features"]),
        is_default=is_default,
        livemode=False,
        login_page={"enabled": False},
        metadata=merged_metadata({}, params.get("metadata", {})),
        name=null_if_empty(params.get("name")),
        updated=work.now,
    )


_PROFILE = ("headline", "privacy_policy_url", "terms_of_service_url")


def _address(params: Params) -> str | None:
    url: str | None = null_if_empty(params.get("default_return_url"))
    if url:
        check_url(url, "default_return_url")
    return url


def _features(work: Work, known: JSON, given: Params) -> JSON:
    """Return the known features, with the given values in place of theirs."""
    cleaned = {feature: {name: _listed(value) for name, value in values.items()} for feature, values in given.items()}
    features = {feature: {**known[feature], **cleaned.get(feature, {})} for feature in known}
    change = features["subscription_update"]
    change["products"] = [_product(work, one, number) for number, one in enumerate(change["products"])]
    if len(change["products"]) > MOST_PRODUCTS:
        message = f"Customers can choose among {MOST_PRODUCTS} products at most."
        raise invalid(message, "features[subscription_update][products]")
    if change["enabled"] and not (change["products"] and change["default_allowed_updates"]):
        message = "Say which `products` and which `default_allowed_updates` customers may choose."
        raise invalid(message, "features[subscription_update][products]", "parameter_missing")
    return features


def _listed(value: object) -> object:
    return [] if value == "" else value


def _product(work: Work, given: Params, number: int) -> JSON:
    param = f"features[subscription_update][products][{number}]"
    product = work.refer("product", given["product"], f"{param}[product]")
    for place, id_ in enumerate(given["prices"]):
        price = work.refer("price", id_, f"{param}[prices][{place}]")
        if price["product"] != product["id"] or price["type"] != "recurring":
            message = f"The price {id_} is no recurring price of the product {product['id']}."
            raise invalid(message, f"{param}[prices][{place}]")
    return {
        "adjustable_quantity": {"enabled": False, "minimum": 1},
        "prices": given["prices"],
        "product": product["id"],
    }


def update(work: Work, params: Params, id_: str) -> JSON:
    known = work.get(CONFIGURATION, id_)
    changes: JSON = {name: null_if_empty(params[name]) for name in ("active", "name") if name in params}
    if known["is_default"] and changes.get("active") is False:
        raise invalid("You cannot deactivate the default configuration.", "active")
    if "default_return_url" in params:
        changes["default_return_url"] = _address(params)
    if "business_profile" in params:
        profile = {name: null_if_empty(value) for name, value in params["business_profile"].items()}
        changes["business_profile"] = {**known["business_profile"], **profile}
    if "features" in params:
        features = _features(work, known["features"], params["features"])
        changes["features"] = part(CONFIGURATION, "features", features)
    if "metadata" in params:
        changes["metadata"] = merged_metadata(known["metadata"], params["metadata"])
    return work.change(known, {**changes, "updated": work.now} if changes else {})


def default(work: Work) -> JSON:
    """Return the configuration of Stripe's dashboard, which is created when first needed."""
    found = work.ledger.page(CONFIGURATION, IS_DEFAULT, {}, 1)
    return found[0] if found else work.add(_configuration(work, {"features": USUAL}, is_default=True))


def list_configurations(work: Work, params: Params, id_: str) -> JSON:
    """List the configurations. The default one exists, unless the owner never saved one."""
    listed = "/v1/billing_portal/configurations"
    if not _default_is_saved(work):
        return lister(CONFIGURATION, listed, where=("NOT json_extract(body, '$.is_default')",))(work, params, id_)
    default(work)
    return lister(CONFIGURATION, listed)(work, params, id_)


def _default_is_saved(work: Work) -> bool:
    return settings.of(work.ledger, "portal") == "yes"


def _default_for_session(work: Work) -> JSON:
    """As Stripe words it: https://docs.stripe.com/customer-management/integrate-customer-portal#configure."""
    if not _default_is_saved(work):
        raise invalid(
            "No configuration provided and your test mode default configuration has not been created. Provide a"
            " configuration or create your default by saving your customer portal settings in test mode at"
            " https://dashboard.stripe.com/test/settings/billing/portal."
        )
    return default(work)


def create_session(work: Work, params: Params, _id: str) -> JSON:
    """Create a link that is valid for an hour."""
    if "customer" not in params:
        raise invalid("Missing required param: customer.", "customer", "parameter_missing")
    customer = work.refer("customer", params["customer"], "customer")
    if "configuration" in params:
        configuration = work.refer(CONFIGURATION, params["configuration"], "configuration")
    else:
        configuration = _default_for_session(work)
    if not configuration["active"]:
        raise invalid(f"The configuration {configuration['id']} is not active.", "configuration")
    if "return_url" in params:
        check_url(params["return_url"], "return_url")
    id_ = work.new_id("bps", 16)
    session = make(
        SESSION,
        id=id_,
        configuration=configuration["id"],
        created=work.now,
        customer=customer["id"],
        flow=_flow(work, params["flow_data"], customer, configuration) if "flow_data" in params else None,
        livemode=False,
        locale=params.get("locale"),
        return_url=params.get("return_url", configuration["default_return_url"]),
        url=f"{work.base_url}/p/session/{id_}",
    )
    return work.add(session)


def _flow(work: Work, given: Params, customer: JSON, configuration: JSON) -> JSON:
    """Return the page that the link leads to, instead of the overview."""
    name = given["type"]
    feature, words = FLOWS[name]
    if not configuration["features"][feature]["enabled"]:
        message = f"This flow cannot be used because the {words} feature in the portal configuration is disabled."
        raise invalid(message, "flow_data[type]")
    flow: JSON = {"type": name, "after_completion": _after(given.get("after_completion"))}
    if name == "payment_method_update":
        return flow
    param = f"flow_data[{name}][subscription]"
    if name not in given:
        raise invalid(f"Missing required param: {param}.", param, "parameter_missing")
    subscription = work.refer("subscription", given[name]["subscription"], param)
    if subscription["customer"] != customer["id"]:
        raise invalid(f"No such subscription: '{subscription['id']}'", param, "resource_missing")
    flow[name] = {"subscription": subscription["id"]}
    if name == CONFIRM:
        flow[name] |= _confirmed(work, given[name], subscription, configuration)
    return flow


def _after(given: Params | None) -> JSON:
    """Return what follows when the customer has finished."""
    given = given or {"type": "portal_homepage"}
    if given["type"] == "redirect":
        param = "flow_data[after_completion][redirect]"
        if "redirect" not in given:
            raise invalid(f"Missing required param: {param}.", param, "parameter_missing")
        check_url(given["redirect"]["return_url"], f"{param}[return_url]")
    return given


def _confirmed(work: Work, given: Params, subscription: JSON, configuration: JSON) -> JSON:
    """Return the change to confirm, of the subscription's only item, if the configuration allows it."""
    param, items = f"flow_data[{CONFIRM}]", given["items"]
    known = subscription["items"]["data"]
    if len(items) != 1 or len(known) != 1:
        message = "One item can be updated through this flow, of a subscription that has no other."
        raise invalid(message, f"{param}[items]")
    item = {"price": known[0]["price"]["id"], "quantity": known[0]["quantity"], **items[0]}
    if item["id"] != known[0]["id"]:
        raise invalid(f"No such subscription item: '{item['id']}'", f"{param}[items][0][id]", "resource_missing")
    feature = configuration["features"]["subscription_update"]
    for name, before in (("price", known[0]["price"]["id"]), ("quantity", known[0]["quantity"])):
        if item[name] != before and name not in feature["default_allowed_updates"]:
            message = f"The portal configuration does not allow updates of the {name}."
            raise invalid(message, f"{param}[items][0][{name}]")
    if item["price"] not in [id_ for product in feature["products"] for id_ in product["prices"]]:
        message = (
            f"The price {item['price']} must be among `features[subscription_update][products]` of the configuration."
        )
        raise invalid(message, f"{param}[items][0][price]")
    if (item["price"], item["quantity"]) == (known[0]["price"]["id"], known[0]["quantity"]):
        raise invalid("There is nothing to confirm: the subscription is as it would be.", f"{param}[items]")
    discounts.given(work, given, work.get("customer", subscription["customer"]), subscription["currency"])
    return {"items": [item], "discounts": given.get("discounts")}
