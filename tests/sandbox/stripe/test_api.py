"""Keys, errors, pages of lists and expansion, seen through the official SDK."""

import base64
from typing import Any, cast

import pytest
import stripe
from tests.sandbox.stripe.support import SUCCESS, Running


def call(sandbox: Running, authorization: str | None, **headers: str) -> Any:
    sent = headers | ({"Authorization": authorization} if authorization is not None else {})
    return sandbox.browser.get(f"{sandbox.url}/v1/account", headers=sent)


@pytest.mark.parametrize("key", ["sk_test_abc", "rk_test_abc"])
def test_test_keys_are_taken_in_both_ways(stripe_sandbox: Running, key: str) -> None:
    basic = base64.b64encode(f"{key}:".encode()).decode()
    for authorization in (f"Bearer {key}", f"Basic {basic}"):
        answer = call(stripe_sandbox, authorization)
        assert answer.status_code == 200
        assert answer.headers["Request-Id"].startswith("req_")
        assert answer.headers["Stripe-Version"] == stripe.api_version


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        (None, "You did not provide an API key"),
        ("Bearer", "You did not provide an API key"),
        ("Digest x", "You did not provide an API key"),
        ("Basic !!!", "You did not provide an API key"),
        ("Bearer sk_live_" + "x" * 24, "Invalid API Key provided: sk_live_" + "*" * 24),
        ("Bearer sk_test_", "Invalid API Key provided: sk_test_"),
        ("Bearer sk_test_a b", "Invalid API Key provided: sk_test_***"),
        ("Bearer secret", "Invalid API Key provided: ******"),
        ("Bearer pk_test_abc", "publishable API key"),
    ],
)
def test_other_keys_are_refused(stripe_sandbox: Running, authorization: str | None, message: str) -> None:
    answer = call(stripe_sandbox, authorization)
    assert answer.status_code == 401
    assert message in answer.json()["error"]["message"]
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_the_sdk_raises_its_own_errors(stripe_sandbox: Running) -> None:
    live = stripe.StripeClient("sk_live_abc", base_addresses={"api": stripe_sandbox.url}, max_network_retries=0)
    with pytest.raises(stripe.AuthenticationError, match="Invalid API Key"):
        live.v1.customers.list()
    with pytest.raises(stripe.PermissionError):
        stripe_sandbox.sdk.v1.customers.list({}, {"stripe_account": "acct_other"})


def test_the_account_may_be_named(stripe_sandbox: Running) -> None:
    account = stripe_sandbox.get("/v1/account").json()["id"]
    assert call(stripe_sandbox, "Bearer sk_test_a", **{"Stripe-Account": account}).status_code == 200


def test_a_version_must_look_like_one(stripe_sandbox: Running) -> None:
    assert call(stripe_sandbox, "Bearer sk_test_a", **{"Stripe-Version": stripe.api_version}).status_code == 200
    assert call(stripe_sandbox, "Bearer sk_test_a", **{"Stripe-Version": "newest"}).status_code == 400


def refusal(sandbox: Running, path: str, **data: Any) -> tuple[Any, Any, str]:
    answer = sandbox.post(path, data=data)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    return error.get("code"), error.get("param"), error["message"]


@pytest.mark.parametrize(
    ("path", "data", "expected"),
    [
        ("customers", {"foo": "1"}, ("parameter_unknown", "foo", "Received unknown parameter: foo")),
        ("customers", {"foo": "1", "bar": "1"}, ("parameter_unknown", "foo", "Received unknown parameters: foo, bar")),
        (
            "customers",
            {"address[foo]": "1"},
            ("parameter_unknown", "address[foo]", "Received unknown parameter: address[foo]"),
        ),
        ("products", {}, ("parameter_missing", "name", "Missing required param: name.")),
        ("products", {"name": "a", "active": "yes"}, (None, "active", "Invalid boolean: yes")),
        ("products", {"name": "a", "images": "b"}, (None, "images", "Invalid array")),
        ("products", {"name": "a", "images[x]": "b"}, (None, "images", "Invalid array")),
        ("products", {"name[a]": "b"}, ("parameter_invalid_string", "name", "Invalid string")),
        ("customers", {"metadata": "a"}, (None, "metadata", "Invalid object")),
        ("customers", {"email": "nobody"}, ("email_invalid", "email", "Invalid email address: nobody")),
        (
            "prices",
            {"currency": "usd", "unit_amount": "1.5"},
            ("parameter_invalid_integer", "unit_amount", "Invalid integer: 1.5"),
        ),
        ("products", {"name": "a", "url": "javascript:x"}, ("url_invalid", "url", "Not a valid URL")),
        (
            "checkout/sessions",
            {"mode": "gift"},
            (None, "mode", "Invalid mode: must be one of payment, setup, or subscription"),
        ),
        (
            "checkout/sessions",
            {"mode": "payment", "success_url": SUCCESS},
            ("parameter_missing", "line_items", "Missing required param: line_items."),
        ),
    ],
)
def test_faulty_parameters_are_named(stripe_sandbox: Running, path: str, data: Any, expected: Any) -> None:
    assert refusal(stripe_sandbox, f"/v1/{path}", **data) == expected


def test_what_the_sandbox_does_not_serve_is_refused_by_name(stripe_sandbox: Running) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_sandbox.checkout(billing_address_collection="required")
    assert (refused.value.code, refused.value.param) == ("sandbox_unsupported_value", "billing_address_collection")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_sandbox.checkout(mode="setup")
    assert (refused.value.code, refused.value.param) == ("sandbox_unsupported_value", "mode")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_sandbox.checkout(shipping_options=[{"shipping_rate": "shr_1"}])
    assert (refused.value.code, refused.value.param) == ("sandbox_unsupported_parameter", "shipping_options")
    assert stripe_sandbox.post("/v1/payouts", data={"amount": "1"}).status_code == 404


def test_missing_objects(stripe_sandbox: Running) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=r"No such checkout\.session: 'cs_x'") as refused:
        stripe_sandbox.sdk.v1.checkout.sessions.retrieve("cs_x")
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError, match="No such price: 'price_x'") as refused:
        stripe_sandbox.checkout(line_items=[{"price": "price_x", "quantity": 1}])
    assert (refused.value.http_status, refused.value.param) == (400, "line_items[0][price]")
    for path in ("/v1/refunds/re_1", "/v1/disputes/dp_1", "/v1/charges/ch_1", "/v1/events/evt_1"):
        assert stripe_sandbox.get(path).json()["error"]["code"] == "resource_missing"
    customer = stripe_sandbox.sdk.v1.customers.create({})
    assert stripe_sandbox.get(f"/v1/products/{customer.id}").status_code == 404


def test_a_deleted_customer_is_a_stub(stripe_sandbox: Running) -> None:
    customers = stripe_sandbox.sdk.v1.customers
    customer = customers.create({"email": "gone@example.com"})
    assert customers.delete(customer.id).deleted
    assert stripe_sandbox.get(f"/v1/customers/{customer.id}").json() == {
        "id": customer.id,
        "object": "customer",
        "deleted": True,
    }
    assert customers.list({"email": "gone@example.com"}).data == []
    for refused in (
        lambda: customers.update(customer.id, {"name": "a"}),
        lambda: customers.delete(customer.id),
        lambda: stripe_sandbox.checkout(customer=customer.id),
    ):
        with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
            refused()
    assert stripe_sandbox.events_about(customer.id) == ["customer.created", "customer.deleted"]


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"customer": "{customer}", "customer_email": "a@example.com"}, "customer_email"),
        ({"customer": "{customer}", "customer_creation": "always"}, "customer_creation"),
        ({"customer_update": {"name": "auto"}}, "customer_update"),
        ({"customer_email": "nobody"}, "customer_email"),
        ({"success_url": "/success"}, "success_url"),
        ({"cancel_url": "http://"}, "cancel_url"),
        ({"client_reference_id": "x" * 201}, "client_reference_id"),
        ({"currency": "eur"}, "currency"),
        ({"line_items": []}, "line_items"),
        ({"line_items": [{"price": "{price}"}]}, "line_items[0][quantity]"),
        ({"line_items": [{"price": "{price}", "quantity": 0}]}, "line_items[0][quantity]"),
        ({"line_items": [{"quantity": 1}]}, "line_items[0]"),
        ({"line_items": [{"price": "{price}", "quantity": 1}, {"price": "{euro}", "quantity": 1}]}, "line_items"),
        ({"line_items": [{"price": "{inactive}", "quantity": 1}]}, "line_items[0][price]"),
        ({"line_items": [{"price": "{unsold}", "quantity": 1}]}, "line_items[0][price]"),
        ({"metadata": {f"k{number}": "v" for number in range(51)}}, "metadata"),
        ({"metadata": {"k" * 41: "v"}}, f"metadata[{'k' * 41}]"),
        ({"metadata": {"k": "v" * 501}}, "metadata[k]"),
        ({"line_items": [{"price": "{price}", "quantity": 999_999}]}, None),
        ({"line_items": [{"price": "{tiny}", "quantity": 1}]}, None),
    ],
)
def test_sessions_that_cannot_be(stripe_sandbox: Running, params: Any, param: str | None) -> None:
    made = {
        "{customer}": stripe_sandbox.sdk.v1.customers.create({}).id,
        "{price}": stripe_sandbox.price().id,
        "{euro}": stripe_sandbox.price(currency="eur").id,
        "{inactive}": stripe_sandbox.price(active=False).id,
        "{unsold}": stripe_sandbox.price(product_data={"name": "a", "active": False}).id,
        "{tiny}": stripe_sandbox.price(unit_amount=1).id,
    }

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(one) for key, one in value.items()}
        return [filled(one) for one in value] if isinstance(value, list) else made.get(value, value)

    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_sandbox.checkout(**filled(params))
    assert refused.value.param == param


def test_lists_are_read_page_by_page(stripe_sandbox: Running) -> None:
    customers = stripe_sandbox.sdk.v1.customers
    made = [customers.create({"email": "many@example.com"}).id for _ in range(105)]
    first = customers.list({"email": "many@example.com", "limit": 100})
    assert (len(first.data), first.has_more, first.url) == (100, True, "/v1/customers")
    assert [one.id for one in first.auto_paging_iter()] == made[::-1]
    newest = customers.list({"email": "many@example.com", "limit": 3})
    older = customers.list({"email": "many@example.com", "limit": 3, "starting_after": newest.data[-1].id})
    back = customers.list({"email": "many@example.com", "limit": 3, "ending_before": older.data[0].id})
    assert [one.id for one in newest.data + older.data] == made[:-7:-1]
    assert [one.id for one in back.data] == [one.id for one in newest.data]
    assert (older.has_more, back.has_more) == (True, False)


@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("starting_after=cus_x", "starting_after")],
)
def test_pages_that_cannot_be(stripe_sandbox: Running, query: str, param: str) -> None:
    answer = stripe_sandbox.get(f"/v1/customers?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_one_cursor_at_a_time(stripe_sandbox: Running) -> None:
    id_ = stripe_sandbox.sdk.v1.customers.create({}).id
    answer = stripe_sandbox.get(f"/v1/customers?starting_after={id_}&ending_before={id_}")
    assert "Please pass in only one" in answer.json()["error"]["message"]


def test_line_items_are_listed_in_the_order_given(stripe_sandbox: Running) -> None:
    items = [{"price": stripe_sandbox.price(unit_amount=100 + number).id, "quantity": 1} for number in range(5)]
    session = stripe_sandbox.checkout(line_items=items)

    def amounts(**params: Any) -> tuple[list[int], bool]:
        page = stripe_sandbox.get(f"/v1/checkout/sessions/{session.id}/line_items", params=params).json()
        return [item["amount_total"] for item in page["data"]], page["has_more"]

    ids = [item.id for item in stripe_sandbox.sdk.v1.checkout.sessions.line_items.list(session.id).data]
    assert amounts() == ([100, 101, 102, 103, 104], False)
    assert amounts(limit=2) == ([100, 101], True)
    assert amounts(limit=2, starting_after=ids[1]) == ([102, 103], True)
    assert amounts(limit=2, starting_after=ids[2]) == ([103, 104], False)
    assert amounts(limit=2, ending_before=ids[3]) == ([101, 102], True)


def test_expansion_goes_four_levels_deep(stripe_sandbox: Running) -> None:
    customer = stripe_sandbox.sdk.v1.customers.create({"name": "Test Buyer"})
    session = stripe_sandbox.checkout(customer=customer.id)
    stripe_sandbox.pay(session)
    read = stripe_sandbox.read(session, "payment_intent.latest_charge.customer", "line_items.data.price.product")
    assert read["payment_intent"]["latest_charge"]["customer"]["name"] == "Test Buyer"
    assert read["line_items"]["data"][0]["price"]["product"]["name"] == "Dashboard"
    assert read.customer == customer.id
    listed = stripe_sandbox.sdk.v1.charges.list({"customer": customer.id, "expand": ["data.payment_intent.customer"]})
    assert cast(Any, listed.data[0].payment_intent)["customer"]["id"] == customer.id


def test_expanding_what_is_not_there_yet_leaves_null(stripe_sandbox: Running) -> None:
    assert (
        stripe_sandbox.read(stripe_sandbox.checkout(), "payment_intent.latest_charge", "customer").payment_intent
        is None
    )


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("amount_total", "This property cannot be expanded (amount_total)."),
        ("nothing", "This property cannot be expanded (nothing)."),
        ("metadata", "This property cannot be expanded (metadata)."),
        ("line_items.data", "This property cannot be expanded (data)."),
        ("line_items.price", "This property cannot be expanded (price). You may want to try expanding 'data.price'"),
        ("a.b.c.d.e", "You cannot expand more than 4 levels"),
        ("total_details.breakdown", "Stripe expands breakdown of a TotalDetails, but this sandbox does not serve it."),
        ("automatic_tax.enabled", "This property cannot be expanded (enabled)."),
    ],
)
def test_what_cannot_be_expanded(stripe_sandbox: Running, path: str, message: str) -> None:
    session = stripe_sandbox.checkout()
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_sandbox.read(session, path)
    assert message in str(refused.value)
    assert refused.value.param == "expand[0]"


def test_expanding_what_the_sandbox_does_not_serve_is_refused_by_name(stripe_sandbox: Running) -> None:
    price = stripe_sandbox.price()
    answer = stripe_sandbox.get(f"/v1/prices/{price.id}?expand[]=currency_options")
    assert answer.json()["error"]["code"] == "sandbox_unsupported_parameter"


def test_a_session_is_expired_once(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout()
    sessions = stripe_sandbox.sdk.v1.checkout.sessions
    assert (sessions.expire(session.id).status, sessions.retrieve(session.id).url) == ("expired", None)
    with pytest.raises(stripe.InvalidRequestError, match="status of `expired`"):
        sessions.expire(session.id)
    assert stripe_sandbox.events_about(session.id) == ["checkout.session.expired"]


def test_only_the_calls_of_the_table_are_recognised(stripe_sandbox: Running) -> None:
    for path in ("/v1/nothing", "/v1/customers/a/b", "/v1/customers/"):
        answer = stripe_sandbox.get(path)
        assert answer.status_code == 404, path
    assert "Unrecognized request URL" in stripe_sandbox.get("/v1/nothing").json()["error"]["message"]
