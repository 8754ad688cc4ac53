"""Every object that the sandbox returns has the fields that the SDK's class declares, and no others."""

from types import NoneType
from typing import Any, get_args

import pytest
from tests.sandbox.stripe.subscribing import DAY, monthly, subscriber
from tests.sandbox.stripe.support import Running
from tests.sandbox.stripe.support import paid as paid_with

from tollkeeper_sandbox.stripe.engine.shapes import (
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
        **_billing_ids(stripe_sandbox),
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


def _billing_ids(sandbox: Running) -> dict[str, str]:
    """What recurs: with tax, a discount, prorations, a trial that was paused, and a renewal that failed."""
    stripe = sandbox.sdk.v1
    buyer = subscriber(sandbox, "authenticationRequired")
    coupon = stripe.coupons.create({"percent_off": 10, "duration": "repeating", "duration_in_months": 9})
    discounts = [{"coupon": coupon.id}]
    made = buyer.subscribe(discounts=discounts, automatic_tax={"enabled": True}, trial_period_days=3)
    buyer.go(3 * DAY + 3600)
    asked = buyer.invoices(made)[-1].id
    pause = {"end_behavior": {"missing_payment_method": "pause"}}
    penniless = subscriber(sandbox, card=None)
    paused = penniless.subscribe(trial_period_days=3, trial_settings=pause)
    penniless.go(3 * DAY)
    buyer.use_card("visa")
    other = buyer.subscribe()
    buyer.go(DAY)
    update = [{"id": other["items"].data[0].id, "quantity": 2}]
    buyer.update(other, items=update, proration_behavior="always_invoice", pause_collection={"behavior": "void"})
    session = sandbox.checkout(monthly(sandbox), mode="subscription", subscription_data={"trial_period_days": 3})
    sandbox.pay(session, "4000 0025 0000 3155")
    change: Any = {"enabled": True, "default_allowed_updates": ["price"]}
    price = monthly(sandbox)
    change["products"] = [{"product": str(price.product), "prices": [price.id]}]
    configuration = stripe.billing_portal.configurations.create({"features": {"subscription_update": change}})
    return {
        "subscription": made.id,
        "paused": paused.id,
        "changed": other.id,
        "invoice": asked,
        "prorated": buyer.invoices(other)[-1].id,
        "invoice_payment": stripe.invoice_payments.list({"invoice": asked}).data[0].id,
        "method": stripe.payment_methods.list({"customer": buyer.customer}).data[0].id,
        "setup": stripe.setup_intents.list({"limit": 1}).data[0].id,
        "clock": buyer.clock,
        "configuration": configuration.id,
        "subscribing": session.id,
        "recurring": price.id,
    }


@pytest.mark.parametrize(
    ("path", "of"),
    [
        ("/v1/subscriptions/{}", "subscription"),
        ("/v1/subscriptions/{}", "paused"),
        ("/v1/subscriptions/{}", "changed"),
        ("/v1/invoices/{}", "invoice"),
        ("/v1/invoices/{}", "prorated"),
        ("/v1/invoice_payments/{}", "invoice_payment"),
        ("/v1/payment_methods/{}", "method"),
        ("/v1/setup_intents/{}", "setup"),
        ("/v1/test_helpers/test_clocks/{}", "clock"),
        ("/v1/billing_portal/configurations/{}", "configuration"),
        ("/v1/checkout/sessions/{}", "subscribing"),
        ("/v1/prices/{}", "recurring"),
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


def test_what_is_inside_a_subscription_has_the_declared_fields(stripe_sandbox: Running, ids: dict[str, str]) -> None:
    params = {"expand[0]": "discounts", "expand[1]": "latest_invoice.payments"}
    subscription = stripe_sandbox.get(f"/v1/subscriptions/{ids['subscription']}", params=params).json()
    (item,) = subscription["items"]["data"]
    for body in (item, item["plan"], item["price"], *subscription["discounts"]):
        check_object(body)
    check_object(subscription["latest_invoice"], "payments")
    prorated = stripe_sandbox.get(f"/v1/invoices/{ids['prorated']}").json()
    for line in subscription["latest_invoice"]["lines"]["data"] + prorated["lines"]["data"]:
        check_object(line)


def test_a_preview_and_a_portal_link_have_the_declared_fields(stripe_sandbox: Running, ids: dict[str, str]) -> None:
    preview = {"subscription": ids["changed"]}
    check_object(stripe_sandbox.post("/v1/invoices/create_preview", data=preview).json())
    link = {"customer": ids["customer"], "flow_data[type]": "payment_method_update"}
    check_object(stripe_sandbox.post("/v1/billing_portal/sessions", data=link).json())


def test_invoices_that_nobody_pays_have_the_declared_fields(stripe_sandbox: Running) -> None:
    """One written off, one that cannot be finalized, and one whose bank has not answered."""
    setting = f"{stripe_sandbox.url}/control/drafts"
    buyer = subscriber(stripe_sandbox, "visa")
    made = buyer.subscribe(monthly(stripe_sandbox, currency="eur"))
    buyer.use_card("chargeCustomerFail")
    buyer.go(28 * DAY + 3600)
    stripe_sandbox.sdk.v1.invoices.mark_uncollectible(buyer.invoices(made)[-1].id)
    stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/subscriptions/{made.id}/debit")
    buyer.go(31 * DAY)
    stripe_sandbox.browser.post(setting, data={"seconds": "never"})
    buyer.go(31 * DAY)
    stripe_sandbox.browser.post(setting, data={"seconds": "3600"})
    invoices = stripe_sandbox.get("/v1/invoices", params={"subscription": made.id}).json()["data"]
    assert [one["status"] for one in invoices] == ["draft", "paid", "uncollectible", "paid"]
    assert invoices[0]["last_finalization_error"]
    assert invoices[2]["status_details"]
    for invoice in invoices:
        check_object(invoice)
    for payment in stripe_sandbox.get("/v1/payment_intents", params={"customer": buyer.customer}).json()["data"]:
        check_object(payment)


def test_tax_rates_and_plans_have_the_declared_fields(stripe_sandbox: Running, ids: dict[str, str]) -> None:
    check_object(stripe_sandbox.get("/v1/tax_rates/txr_sandbox").json())
    check_object(stripe_sandbox.get(f"/v1/plans/{ids['recurring']}").json())


def test_a_link_that_confirms_a_change_has_the_declared_fields(stripe_sandbox: Running) -> None:
    buyer, pro = subscriber(stripe_sandbox), monthly(stripe_sandbox, unit_amount=5000)
    made = buyer.subscribe()
    products = [{"product": str(pro.product), "prices": [pro.id]}]
    change: Any = {"enabled": True, "default_allowed_updates": ["price"], "products": products}
    configured = stripe_sandbox.sdk.v1.billing_portal.configurations.create(
        {"features": {"subscription_update": change}}
    )
    items = [{"id": made["items"].data[0].id, "price": pro.id}]
    flow: Any = {
        "type": "subscription_update_confirm",
        "subscription_update_confirm": {"subscription": made.id, "items": items},
        "after_completion": {"type": "hosted_confirmation", "hosted_confirmation": {"custom_message": "Thanks"}},
    }
    link = stripe_sandbox.sdk.v1.billing_portal.sessions.create(
        {"customer": buyer.customer, "configuration": configured.id, "flow_data": flow}
    )
    check_object(link.to_dict())


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
    bought = {"limit": 1, "type": "checkout.session.completed"}
    events += stripe_sandbox.get("/v1/events", params=bought).json()["data"]
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
