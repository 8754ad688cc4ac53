"""Every object that the sandbox answers with has the fields that the SDK's class declares, and no others."""

from types import NoneType
from typing import Any, get_args

import pytest
from tests.sandbox.stripe.support import Running
from tests.sandbox.stripe.support import paid as paid_with

from tollkeeper.sandbox.stripe.shapes import (
    CLASSES,
    ONLY_SOMETIMES,
    ONLY_WHAT_APPLIES,
    class_of,
    declared,
    inner_classes,
)

JSON = dict[str, Any]


def check(of: type, body: JSON, also: frozenset[str] = frozenset()) -> None:
    """``also`` names the fields of the top object that were asked for, or belong to this answer alone."""
    fields = set(declared(of))
    name = of.__qualname__
    if name in ONLY_WHAT_APPLIES:
        assert body.keys() <= fields, name
    else:
        assert body.keys() == fields - (ONLY_SOMETIMES.get(name, set()) - also), name
    for field, value in body.items():
        assert value is not None or NoneType in get_args(of.__annotations__[field]), f"{name}.{field} is null"
        inner = inner_classes(of).get(field)
        for one in value if isinstance(value, list) else [value]:
            if inner and one is not None:
                check(inner, one)


def check_object(body: JSON, *also: str) -> None:
    check(class_of(body["object"]), body, frozenset(also))


@pytest.fixture(scope="module")
def ids(stripe_sandbox: Running) -> dict[str, str]:
    """One object of each kind, with as many of its parts filled as can be."""
    customer = stripe_sandbox.sdk.v1.customers.create(
        {
            "email": "buyer@example.com",
            "address": {"country": "DE"},
            "shipping": {"name": "Test Buyer", "address": {"line1": "Street 1"}},
        }
    )
    price = stripe_sandbox.price()
    session = stripe_sandbox.checkout(price, customer=customer.id, automatic_tax={"enabled": True})
    stripe_sandbox.pay(session, "4000 0000 0000 9995")
    declined = stripe_sandbox.read(session, "payment_intent")
    stripe_sandbox.pay(session)
    paid = stripe_sandbox.read(session, "payment_intent.latest_charge")
    refund = stripe_sandbox.sdk.v1.refunds.create({"payment_intent": paid["payment_intent"]["id"], "amount": 1})
    charged_back, inquired = (paid_with(stripe_sandbox, card) for card in ("4000000000000259", "4000000000001976"))
    disputes = stripe_sandbox.sdk.v1.disputes
    stripe_sandbox.sdk.v1.disputes.close(disputes.list({"payment_intent": charged_back.id}).data[0].id)
    debited = [stripe_sandbox.checkout(stripe_sandbox.price(currency="eur")) for _ in range(2)]
    for session_ in debited:
        stripe_sandbox.debit(session_, "DE08370400440532013003")
    waiting, failed = (str(stripe_sandbox.read(one).payment_intent) for one in debited)
    stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/payments/{failed}/fail")
    coupon = stripe_sandbox.sdk.v1.coupons.create({"percent_off": 100, "duration": "once"})
    promotion: Any = {"type": "coupon", "coupon": coupon.id}
    code = stripe_sandbox.sdk.v1.promotion_codes.create({"promotion": promotion})
    free = stripe_sandbox.checkout(price, discounts=[{"promotion_code": code.id}])
    stripe_sandbox.browser.post(f"{stripe_sandbox.page(free)}/free", data={"email": "buyer@example.com"})
    asking = stripe_sandbox.checkout(price)
    stripe_sandbox.pay(asking, "4000 0025 0000 3155")
    asked = stripe_sandbox.read(asking, "payment_intent")
    endpoint = stripe_sandbox.sdk.v1.webhook_endpoints.create(
        {"url": "http://127.0.0.1:9/", "enabled_events": ["charge.refunded"]}
    )
    return {
        "customer": customer.id,
        "price": price.id,
        "product": str(price.product),
        "session": session.id,
        "open_session": stripe_sandbox.checkout(price).id,
        "declined_charge": declined["payment_intent"]["last_payment_error"]["charge"],
        "payment_intent": paid["payment_intent"]["id"],
        "asking_payment_intent": asked["payment_intent"]["id"],
        "charge": paid["payment_intent"]["latest_charge"]["id"],
        "refund": refund.id,
        "link": stripe_sandbox.sdk.v1.payment_links.create({"line_items": [{"price": price.id, "quantity": 1}]}).id,
        "debited_session": debited[0].id,
        "waiting": waiting,
        "failed": failed,
        "dispute": disputes.list({"payment_intent": charged_back.id}).data[0].id,
        "inquiry": disputes.list({"payment_intent": inquired.id}).data[0].id,
        "endpoint": endpoint.id,
        "coupon": coupon.id,
        "code": code.id,
        "free_session": free.id,
    }


@pytest.mark.parametrize(
    ("path", "of"),
    [
        ("/v1/products/{}", "product"),
        ("/v1/prices/{}", "price"),
        ("/v1/customers/{}", "customer"),
        ("/v1/checkout/sessions/{}", "session"),
        ("/v1/checkout/sessions/{}", "open_session"),
        ("/v1/payment_intents/{}", "payment_intent"),
        ("/v1/payment_intents/{}", "asking_payment_intent"),
        ("/v1/charges/{}", "charge"),
        ("/v1/charges/{}", "declined_charge"),
        ("/v1/checkout/sessions/{}", "debited_session"),
        ("/v1/payment_intents/{}", "waiting"),
        ("/v1/payment_intents/{}", "failed"),
        ("/v1/payment_links/{}", "link"),
        ("/v1/refunds/{}", "refund"),
        ("/v1/disputes/{}", "dispute"),
        ("/v1/disputes/{}", "inquiry"),
        ("/v1/webhook_endpoints/{}", "endpoint"),
        ("/v1/coupons/{}", "coupon"),
        ("/v1/promotion_codes/{}", "code"),
        ("/v1/checkout/sessions/{}", "free_session"),
    ],
)
def test_a_retrieved_object_has_the_declared_fields(
    stripe_sandbox: Running, ids: dict[str, str], path: str, of: str
) -> None:
    check_object(stripe_sandbox.get(path.format(ids[of])).json())


def test_the_account_has_the_declared_fields(stripe_sandbox: Running) -> None:
    check_object(stripe_sandbox.get("/v1/account").json())


def test_line_items_have_the_declared_fields(stripe_sandbox: Running, ids: dict[str, str]) -> None:
    for item in stripe_sandbox.get(f"/v1/checkout/sessions/{ids['session']}/line_items").json()["data"]:
        check_object(item)
        check_object(item["price"])


def test_expanded_objects_have_the_declared_fields(stripe_sandbox: Running, ids: dict[str, str]) -> None:
    paths = ["customer", "line_items", "payment_intent.payment_method", "payment_intent.latest_charge.refunds"]
    params = {f"expand[{number}]": path for number, path in enumerate(paths)}
    session = stripe_sandbox.get(f"/v1/checkout/sessions/{ids['session']}", params=params).json()
    check_object(session, "line_items")
    check_object(session["customer"])
    check_object(session["payment_intent"])
    check_object(session["payment_intent"]["payment_method"])
    check_object(session["payment_intent"]["latest_charge"], "refunds")


def test_a_debit_and_what_it_was_paid_with_have_the_declared_fields(
    stripe_sandbox: Running, ids: dict[str, str]
) -> None:
    params = {"expand[]": "latest_charge", "expand[1]": "payment_method"}
    payment = stripe_sandbox.get(f"/v1/payment_intents/{ids['waiting']}", params=params).json()
    check_object(payment["latest_charge"])
    check_object(payment["payment_method"])


def test_events_and_their_snapshots_have_the_declared_fields(stripe_sandbox: Running, ids: dict[str, str]) -> None:
    stripe_sandbox.sdk.v1.customers.update(ids["customer"], {"name": "Another Name"})
    events = stripe_sandbox.get("/v1/events", params={"limit": 100}).json()["data"]
    assert {event["data"]["object"]["object"] for event in events} >= {"charge", "checkout.session", "customer"}
    for event in events:
        if event["type"].endswith(".updated") or event["type"] == "charge.refunded":
            assert event["data"].pop("previous_attributes")
        check_object(event)
        check_object(event["data"]["object"])


def test_only_the_answer_to_its_creation_shows_an_endpoint_s_secret(stripe_sandbox: Running) -> None:
    values = {"url": "http://127.0.0.1:9/", "enabled_events[0]": "charge.refunded"}
    made = stripe_sandbox.post("/v1/webhook_endpoints", data=values).json()
    check_object(made, "secret")
    assert "secret" not in stripe_sandbox.get(f"/v1/webhook_endpoints/{made['id']}").json()


def test_the_lists_of_exceptions_name_declared_fields_only() -> None:
    known = {}

    def collect(of: type) -> None:
        known[of.__qualname__] = set(declared(of))
        for inner in inner_classes(of).values():
            collect(inner)

    for kind in CLASSES:
        collect(class_of(kind))
    assert known.keys() >= ONLY_WHAT_APPLIES
    for name, fields in ONLY_SOMETIMES.items():
        assert fields <= known[name], name
