"""Every supported parameter has an effect: it shows in the response, or in a list."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.sandbox.stripe.support import CANCEL, SUCCESS, VISA, Running, card_form, paid, running

from tollkeeper_sandbox.stripe.api.calls import CALLS
from tollkeeper_sandbox.stripe.api.calls import EVIDENCE as SERVED_EVIDENCE

JSON = dict[str, Any]
ADDRESS = {
    "line1": "Street 1",
    "line2": "Floor 2",
    "city": "Berlin",
    "state": "BE",
    "postal_code": "1",
    "country": "DE",
}
SHIPPING = {"name": "Test Buyer", "phone": "+49 1", "address": ADDRESS}
CUSTOMER: JSON = {
    "address": ADDRESS,
    "business_name": "Shop",
    "description": "words",
    "email": "buyer@example.com",
    "individual_name": "Test Buyer",
    "metadata": {"a": "b"},
    "name": "Test Buyer",
    "phone": "+49 1",
    "preferred_locales": ["de"],
    "shipping": SHIPPING,
    "tax_exempt": "none",
}
PRODUCT: JSON = {
    "active": False,
    "description": "words",
    "images": ["https://shop.example/a.png"],
    "metadata": {"a": "b"},
    "name": "Dashboard",
    "shippable": True,
    "statement_descriptor": "DASHBOARD",
    "tax_code": "txcd_10000000",
    "unit_label": "seat",
    "url": "https://shop.example/",
}
PRICE: JSON = {
    "active": False,
    "lookup_key": "standard",
    "metadata": {"a": "b"},
    "nickname": "usual",
    "recurring": {"interval": "month", "interval_count": 3, "trial_period_days": 14, "usage_type": "licensed"},
    "tax_behavior": "inclusive",
    "transfer_lookup_key": True,
}
SESSION: JSON = {
    "adaptive_pricing": {"enabled": False},
    "allow_promotion_codes": True,
    "allowed_payment_method_types": ["card"],
    "automatic_tax": {"enabled": True},
    "billing_address_collection": "auto",
    "cancel_url": CANCEL,
    "client_reference_id": "order_1",
    "currency": "usd",
    "invoice_creation": {"enabled": False},
    "locale": "en",
    "metadata": {"a": "b"},
    "mode": "payment",
    "phone_number_collection": {"enabled": False},
    "submit_type": "pay",
    "success_url": SUCCESS,
    "tax_id_collection": {"enabled": False},
    "ui_mode": "hosted_page",
}
GUEST: JSON = {"customer_email": "buyer@example.com", "customer_creation": "always"}
IN_TEN_YEARS = 2_111_111_111
COUPON: JSON = {
    "duration": "repeating",
    "duration_in_months": 3,
    "id": "spring",
    "max_redemptions": 5,
    "metadata": {"a": "b"},
    "name": "Spring",
    "percent_off": 12.5,
    "redeem_by": IN_TEN_YEARS,
}
CODE: JSON = {
    "active": False,
    "code": "SPRING",
    "expires_at": IN_TEN_YEARS,
    "max_redemptions": 2,
    "metadata": {"a": "b"},
}
LINK: JSON = {"automatic_tax": {"enabled": True}, "customer_creation": "always", "metadata": {"a": "b"}}
REFUND: JSON = {"amount": 500, "reason": "fraudulent", "metadata": {"a": "b"}}
EVIDENCE = {name: f"about {name}" for name in SERVED_EVIDENCE.split()}
ENDPOINT: JSON = {
    "description": "words",
    "enabled_events": ["charge.succeeded"],
    "metadata": {"a": "b"},
    "url": "http://127.0.0.1:9/",
}
# Paths whose effect is elsewhere than in the field of the same name, each with a test of its own.
ELSEWHERE = {
    "/v1/customers": {"invoice_settings", "payment_method", "test_clock"},
    "/v1/customers/{id}": {"invoice_settings"},
    "/v1/products": {"default_price_data", "id", "type"},
    "/v1/products/{id}": {"default_price"},
    "/v1/prices": {"product", "product_data", "unit_amount_decimal", "billing_scheme", "currency", "unit_amount"},
    "/v1/coupons": {"amount_off", "currency"},
    "/v1/promotion_codes": {"customer", "promotion"},
    "/v1/checkout/sessions": {
        "customer",
        "customer_update",
        "discounts",
        "expires_at",
        "line_items",
        "payment_intent_data",
        "payment_method_collection",
        "subscription_data",
    },
    "/v1/payment_links": {"line_items", "after_completion"},
    "/v1/refunds": {"charge", "payment_intent"},
    "/v1/disputes/{id}": {"submit"},
    "/v1/webhook_endpoints": {"api_version", "connect"},
    "/v1/webhook_endpoints/{id}": {"disabled"},
}
EVERYWHERE = {"expand", "transfer_lookup_key"}
POSTS = {call.path: call for call in CALLS if call.method == "POST" and not call.path.endswith(("/expire", "/close"))}


def flat(value: Any, name: str) -> dict[str, str]:
    """Stripe's brackets."""
    if isinstance(value, dict):
        pairs = [flat(inner, f"{name}[{key}]" if name else key) for key, inner in value.items()]
    elif isinstance(value, list):
        pairs = [flat(inner, f"{name}[{number}]") for number, inner in enumerate(value)]
    else:
        return {name: str(value).lower() if isinstance(value, bool) else str(value)}
    return {key: text for one in pairs for key, text in one.items()}


def shows(answer: Any, given: Any, path: str = "") -> None:
    if isinstance(given, dict):
        for name, value in given.items():
            if name not in EVERYWHERE:
                shows(answer[name], value, f"{path}.{name}")
    elif not (given is False and answer is None):
        assert answer == given, path


@pytest.mark.parametrize(
    ("path", "fixed", "given"),
    [
        ("/v1/customers", {}, CUSTOMER),
        ("/v1/customers/{id}", {}, CUSTOMER),
        ("/v1/products", {}, PRODUCT),
        ("/v1/products/{id}", {}, PRODUCT),
        ("/v1/prices", {"product_data": {"name": "A"}, "currency": "eur", "unit_amount": 12}, PRICE),
        ("/v1/prices/{id}", {}, {name: value for name, value in PRICE.items() if name != "recurring"}),
        ("/v1/checkout/sessions", {}, {**SESSION, **GUEST}),
        ("/v1/coupons", {}, COUPON),
        ("/v1/promotion_codes", {}, CODE),
        ("/v1/payment_links", {}, LINK),
        ("/v1/payment_links/{id}", {}, {"active": False, "metadata": {"a": "b"}}),
        ("/v1/refunds", {}, REFUND),
        ("/v1/refunds/{id}", {}, {"metadata": {"a": "b"}}),
        ("/v1/disputes/{id}", {}, {"metadata": {"a": "b"}, "evidence": EVIDENCE}),
        ("/v1/webhook_endpoints", {}, ENDPOINT),
        ("/v1/webhook_endpoints/{id}", {}, ENDPOINT),
    ],
)
def test_what_is_given_shows_in_the_answer(stripe_sandbox: Running, path: str, fixed: JSON, given: JSON) -> None:
    if path in ("/v1/checkout/sessions", "/v1/payment_links"):
        fixed = {"line_items": [{"price": stripe_sandbox.price().id, "quantity": 1}]}
    if path == "/v1/promotion_codes":
        coupon = stripe_sandbox.sdk.v1.coupons.create({"percent_off": 1, "duration": "once"})
        fixed = {"promotion": {"type": "coupon", "coupon": coupon.id}}
    if path == "/v1/refunds":
        fixed = {"payment_intent": paid(stripe_sandbox).id}
    address = path.replace("{id}", _made(stripe_sandbox, path)) if "{id}" in path else path
    answer = stripe_sandbox.post(address, data=flat({**fixed, **given}, ""))
    assert answer.status_code == 200, answer.text
    shown = answer.json() | {"tax_id_collection": {"enabled": False}} if "tax_id_collection" in given else answer.json()
    shows(shown, given)
    served = {one.split(".")[0] for one in POSTS[path].parameters.handled}
    assert served == given.keys() | ELSEWHERE.get(path, set()) | {"expand"} - {"transfer_lookup_key"}


def _made(sandbox: Running, path: str) -> str:
    stripe = sandbox.sdk.v1
    if "links" in path:
        return stripe.payment_links.create({"line_items": [{"price": sandbox.price().id, "quantity": 1}]}).id
    if "refunds" in path:
        return stripe.refunds.create({"payment_intent": paid(sandbox).id}).id
    if "customers" in path:
        return stripe.customers.create({}).id
    if "disputes" in path:
        payment = paid(sandbox, "4000 0000 0000 0259")
        return stripe.disputes.list({"payment_intent": payment.id}).data[0].id
    if "webhook" in path:
        return stripe.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["*"]}).id
    price = sandbox.price()
    return price.id if "prices" in path else str(price.product)


def test_a_product_takes_the_id_it_is_given_once(stripe_sandbox: Running) -> None:
    values = {"id": "dashboard", "name": "Dashboard", "type": "service"}
    assert stripe_sandbox.post("/v1/products", data=values).json()["id"] == "dashboard"
    assert stripe_sandbox.post("/v1/products", data=values).json()["error"]["code"] == "resource_already_exists"


def test_a_product_s_default_price_is_one_of_its_own(stripe_sandbox: Running) -> None:
    mine, other = stripe_sandbox.price(), stripe_sandbox.price()
    path = f"/v1/products/{mine.product}"
    assert stripe_sandbox.post(path, data={"default_price": mine.id}).json()["default_price"] == mine.id
    assert stripe_sandbox.post(path, data={"default_price": other.id}).json()["error"]["param"] == "default_price"


def test_a_price_is_of_the_product_it_names(stripe_sandbox: Running) -> None:
    product = str(stripe_sandbox.price().product)
    values = {"product": product, "currency": "JPY", "unit_amount_decimal": "500", "billing_scheme": "per_unit"}
    price = stripe_sandbox.post("/v1/prices", data=values).json()
    assert (price["product"], price["currency"], price["unit_amount"]) == (product, "jpy", 500)


def test_a_lookup_key_moves_only_when_it_is_transferred(stripe_sandbox: Running) -> None:
    first = stripe_sandbox.price(lookup_key="moving")
    values = flat({"currency": "usd", "unit_amount": 1, "product": str(first.product), "lookup_key": "moving"}, "")
    assert "already uses" in stripe_sandbox.post("/v1/prices", data=values).json()["error"]["message"]
    second = stripe_sandbox.post("/v1/prices", data={**values, "transfer_lookup_key": "true"}).json()
    assert second["lookup_key"] == "moving"
    assert stripe_sandbox.get(f"/v1/prices/{first.id}").json()["lookup_key"] is None


def test_a_product_is_made_with_its_default_price(stripe_sandbox: Running) -> None:
    data: Any = {
        "currency": "EUR",
        "metadata": {"a": "b"},
        "recurring": {"interval": "year", "interval_count": 1},
        "tax_behavior": "exclusive",
        "unit_amount": 9900,
    }
    product = stripe_sandbox.sdk.v1.products.create(
        {"name": "Dashboard", "default_price_data": data, "expand": ["default_price"]}
    )
    price: Any = product.default_price
    shows(price.to_dict(), data | {"currency": "eur"})
    assert (price.product, price.type, price.active) == (product.id, "recurring", True)


@pytest.mark.parametrize(
    ("recurring", "param"),
    [
        ({"interval": "year", "interval_count": 4}, "recurring[interval_count]"),
        ({"interval": "month", "interval_count": 0}, "recurring[interval_count]"),
        ({"interval": "month", "trial_period_days": 731}, "recurring[trial_period_days]"),
        ({"interval": "month", "usage_type": "metered"}, "recurring[usage_type]"),
        ({"interval": "fortnight"}, "recurring[interval]"),
        ({}, "recurring"),
    ],
)
def test_a_price_recurs_within_bounds(stripe_sandbox: Running, recurring: JSON, param: str) -> None:
    values = {"product_data": {"name": "A"}, "currency": "eur", "unit_amount": 12, "recurring": recurring or ""}
    assert stripe_sandbox.post("/v1/prices", data=flat(values, "")).json()["error"]["param"] == param


def test_a_set_up_finds_what_it_has_made(stripe_sandbox: Running) -> None:
    recurring = {"interval": "month", "interval_count": 2}
    price = stripe_sandbox.price(recurring=recurring, lookup_key="pro_bimonthly", product_data={"name": "Pro"})

    def found(**params: Any) -> list[str]:
        listed = stripe_sandbox.get("/v1/prices", params=flat({"active": True, **params}, "")).json()["data"]
        return [one["id"] for one in listed]

    assert found(lookup_keys=["pro_monthly", "pro_bimonthly"]) == [price.id]
    assert found(product=str(price.product), type="recurring", recurring={"interval": "month"}) == [price.id]
    assert found(product=str(price.product), type="one_time") == []
    shown = stripe_sandbox.sdk.v1.prices.retrieve(price.id, {"expand": ["product"]})
    assert (shown["product"]["name"], shown.recurring and shown.recurring.interval_count) == ("Pro", 2)


def test_a_session_takes_its_price_from_data(stripe_sandbox: Running) -> None:
    data = {
        "currency": "eur",
        "unit_amount": 700,
        "tax_behavior": "exclusive",
        "product_data": {
            "name": "A Book",
            "description": "words",
            "images": ["https://shop.example/b.png"],
            "metadata": {"isbn": "1"},
        },
    }
    items = [{"price_data": data, "quantity": 3, "metadata": {"a": "b"}}]
    session = stripe_sandbox.checkout(line_items=items, expand=["line_items.data.price.product"])
    item = session["line_items"]["data"][0]
    assert (session.amount_total, session.currency, item["quantity"], item["metadata"]["a"]) == (2100, "eur", 3, "b")
    assert item["price"]["active"] is False
    shows(item["price"]["product"].to_dict(), data["product_data"])
    product = str(stripe_sandbox.price().product)
    again = {"price_data": {"currency": "eur", "unit_amount_decimal": "50", "product": product}, "quantity": 1}
    assert stripe_sandbox.checkout(line_items=[again]).amount_total == 50


def test_a_session_s_expiry_is_bounded(stripe_sandbox: Running) -> None:
    now = int(stripe_sandbox.clock())
    assert stripe_sandbox.checkout(expires_at=now + 3600).expires_at == now + 3600
    for wrong in (now + 60, now + 25 * 3600):
        values = {"expires_at": str(wrong), "mode": "payment", "success_url": SUCCESS}
        values |= {"line_items[0][price]": stripe_sandbox.price().id, "line_items[0][quantity]": "1"}
        assert stripe_sandbox.post("/v1/checkout/sessions", data=values).json()["error"]["param"] == "expires_at"


def test_the_payment_has_the_data_that_the_session_gave_for_it(stripe_sandbox: Running) -> None:
    data = {"description": "words", "metadata": {"order": "1"}, "receipt_email": "a@example.com"}
    session = stripe_sandbox.checkout(payment_intent_data=data)
    stripe_sandbox.pay(session)
    payment = stripe_sandbox.read(session, "payment_intent.latest_charge")["payment_intent"]
    shows(payment.to_dict(), data)
    shows(payment["latest_charge"].to_dict(), data)


def test_an_endpoint_is_disabled_and_enabled(stripe_sandbox: Running) -> None:
    values = flat({**ENDPOINT, "api_version": "2026-10-28.endive", "connect": False}, "")
    made = stripe_sandbox.post("/v1/webhook_endpoints", data=values).json()
    assert made["api_version"] == "2026-10-28.endive"
    path = f"/v1/webhook_endpoints/{made['id']}"
    assert stripe_sandbox.post(path, data={"disabled": "true"}).json()["status"] == "disabled"
    assert stripe_sandbox.post(path, data={"disabled": "false"}).json()["status"] == "enabled"


def test_an_empty_value_unsets(stripe_sandbox: Running) -> None:
    made = stripe_sandbox.sdk.v1.customers.create({"metadata": {"a": "1", "b": "2"}, "business_name": "Shop"})
    path = f"/v1/customers/{made.id}"
    answer = stripe_sandbox.post(path, data={"metadata[a]": "", "metadata[c]": "3", "business_name": ""}).json()
    assert (answer["metadata"], answer["business_name"]) == ({"b": "2", "c": "3"}, None)
    assert stripe_sandbox.post(path, data={"metadata": ""}).json()["metadata"] == {}
    assert stripe_sandbox.post(path, data={"name": ""}).json()["error"]["code"] == "parameter_invalid_empty"
    known = stripe_sandbox.post(path, data={"email": "a@example.com", "description": "A"}).json()
    assert (known["email"], known["description"]) == ("a@example.com", "A")
    answer = stripe_sandbox.post(path, data={"email": "", "description": ""}).json()
    assert (answer["email"], answer["description"]) == (None, None)


NOBODY = "a customer without anything"
NOWHERE: dict[str, JSON] = {
    "/v1/products": {"active": False, "ids": ["prod_x"], "shippable": True, "type": "good", "url": "https://x.example"},
    "/v1/prices": {
        "active": False,
        "currency": "zmw",
        "lookup_keys": ["x"],
        "product": "prod_x",
        "recurring": {"interval": "day", "usage_type": "metered"},
    },
    "/v1/customers": {"email": "nobody@example.com", "test_clock": "clock_x"},
    "/v1/checkout/sessions": {
        "customer": NOBODY,
        "customer_details": {"email": "nobody@example.com"},
        "payment_intent": "pi_x",
        "status": "expired",
        "subscription": "sub_x",
    },
    "/v1/promotion_codes": {"active": False, "code": "X", "coupon": "x", "customer": NOBODY},
    "/v1/payment_links": {"active": False},
    "/v1/payment_intents": {"customer": NOBODY},
    "/v1/charges": {"customer": NOBODY, "payment_intent": "pi_x"},
    "/v1/refunds": {"charge": "ch_x", "payment_intent": "pi_x"},
    "/v1/disputes": {"charge": "ch_x", "payment_intent": "pi_x"},
    "/v1/subscriptions": {
        "collection_method": "send_invoice",
        "customer": NOBODY,
        "price": "price_x",
        "status": "unpaid",
        "test_clock": "clock_x",
    },
    "/v1/invoices": {
        "collection_method": "send_invoice",
        "customer": NOBODY,
        "status": "void",
        "subscription": "sub_x",
    },
    "/v1/invoice_payments": {
        "invoice": "in_x",
        "payment": {"type": "payment_intent", "payment_intent": "pi_x"},
        "status": "open",
    },
    "/v1/payment_methods": {"customer": NOBODY, "type": "sepa_debit"},
    "/v1/setup_intents": {"customer": NOBODY, "payment_method": "pm_x"},
    "/v1/billing_portal/configurations": {"active": False, "is_default": False},
    "/v1/events": {"type": "payout.paid", "types": ["payout.paid"]},
}
LISTS = {call.path: call for call in CALLS if call.method == "GET" and "{id}" not in call.path}
PAGING = {"expand", "limit", "starting_after", "ending_before", "created"}


@pytest.fixture(scope="module")
def paid_once() -> Iterator[Running]:
    with running() as sandbox:
        customer = sandbox.sdk.v1.customers.create({"email": "buyer@example.com"})
        sandbox.pay(sandbox.checkout(customer=customer.id))
        charge = sandbox.sdk.v1.charges.list().data[0]
        paid(sandbox, "4000 0000 0000 0259")
        coupon = sandbox.sdk.v1.coupons.create({"percent_off": 1, "duration": "once"})
        sandbox.sdk.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}})
        sandbox.sdk.v1.payment_links.create({"line_items": [{"price": sandbox.price().id, "quantity": 1}]})
        sandbox.sdk.v1.refunds.create({"charge": charge.id, "amount": 1})
        values: Any = {"customer": customer.id, "items": [{"price": sandbox.price(recurring={"interval": "week"}).id}]}
        sandbox.sdk.v1.subscriptions.create(values | {"default_payment_method": "pm_card_visa"})
        link = sandbox.sdk.v1.billing_portal.sessions.create({"customer": customer.id})
        sandbox.browser.post(f"{link.url}/card", data=card_form(VISA))
        yield sandbox


@pytest.mark.parametrize("path", NOWHERE)
def test_every_filter_narrows_its_list(paid_once: Running, path: str) -> None:
    served = {name.split(".")[0] for name in LISTS[path].parameters.handled}
    assert served - PAGING == NOWHERE[path].keys() | ({"type"} if path == "/v1/prices" else set())
    assert paid_once.get(path).json()["data"]
    nowhere: list[JSON] = [{name: value} for name, value in NOWHERE[path].items()]
    if "created" in LISTS[path].parameters.handled:
        nowhere += [{"created": {"gt": int(paid_once.clock()) + 9}}, {"created": 1}]
    empty = paid_once.sdk.v1.customers.create({}).id
    for given in nowhere:
        params = {name: empty if value == NOBODY else value for name, value in flat(given, "").items()}
        assert paid_once.get(path, params=params).json()["data"] == [], given


@pytest.mark.parametrize("path", [path for path, filters in NOWHERE.items() if "customer" in filters])
def test_a_customer_who_never_was_is_no_filter(paid_once: Running, path: str) -> None:
    refused = paid_once.get(path, params={"customer": "cus_nobody"})
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, "resource_missing", "customer")
    assert error["message"] == "No such customer: 'cus_nobody'"


def test_what_a_deleted_customer_paid_is_still_listed_under_them(stripe_sandbox: Running) -> None:
    customer = stripe_sandbox.sdk.v1.customers.create({"email": "gone@example.com"})
    session = stripe_sandbox.checkout(customer=customer.id)
    stripe_sandbox.pay(session)
    stripe_sandbox.sdk.v1.customers.delete(customer.id)
    for path in ("/v1/checkout/sessions", "/v1/payment_intents", "/v1/charges"):
        (listed,) = stripe_sandbox.get(path, params={"customer": customer.id}).json()["data"]
        assert listed["customer"] == customer.id
    shown = stripe_sandbox.read(session, "customer")["customer"]
    assert shown.to_dict() == {"id": customer.id, "object": "customer", "deleted": True}
    assert stripe_sandbox.get("/v1/customers", params={"email": "gone@example.com"}).json()["data"] == []


def test_filters_find_what_they_name(stripe_sandbox: Running) -> None:
    customer = stripe_sandbox.sdk.v1.customers.create({"email": "found@example.com"})
    session = stripe_sandbox.checkout(customer=customer.id)
    stripe_sandbox.pay(session, email="found@example.com")
    payment = stripe_sandbox.read(session).payment_intent
    now = int(stripe_sandbox.clock())

    def found(path: str, **params: Any) -> list[str]:
        return [one["id"] for one in stripe_sandbox.get(path, params=flat(params, "")).json()["data"]]

    assert found("/v1/customers", email="found@example.com", created={"gte": now - 9, "lte": now}) == [customer.id]
    assert found("/v1/checkout/sessions", customer=customer.id, status="complete") == [session.id]
    assert found("/v1/checkout/sessions", payment_intent=payment) == [session.id]
    assert found("/v1/checkout/sessions", customer_details={"email": "found@example.com"}) == [session.id]
    assert found("/v1/payment_intents", customer=customer.id) == [payment]
    assert len(found("/v1/charges", payment_intent=payment)) == 1
    completed = found("/v1/events", type="checkout.session.completed")
    assert completed == found("/v1/events", type="checkout.*.completed")
    assert completed == found("/v1/events", types=["checkout.session.completed"])
