"""Checkout in subscription mode: its page, the test cards, and the subscription that it creates."""

from typing import Any

import pytest
from tests.sandbox.stripe.subscribing import DAY, START, monthly, subscriber
from tests.sandbox.stripe.support import SUCCESS, Running
from tests.sandbox.stripe.test_effects import flat


def checkout(sandbox: Running, price: Any = None, **params: Any) -> Any:
    return sandbox.checkout(price or monthly(sandbox), mode="subscription", **params)


def begun(sandbox: Running, session: Any) -> tuple[Any, Any]:
    """The completed session, and its subscription."""
    done = sandbox.read(session, "subscription.latest_invoice", "invoice", "customer")
    assert done.status == "complete"
    return done, done.subscription


def test_a_buyer_subscribes(stripe_sandbox: Running) -> None:
    data = {"metadata": {"order": "1"}, "description": "words"}
    session = checkout(stripe_sandbox, subscription_data=data)
    assert (session.mode, session.customer_creation, session.payment_method_collection) == (
        "subscription",
        "always",
        "always",
    )
    assert "Then $20.00 per month, until canceled." in stripe_sandbox.browser.get(session.url).text
    assert stripe_sandbox.pay(session).headers["Location"] == SUCCESS.replace("{CHECKOUT_SESSION_ID}", session.id)
    done, subscription = begun(stripe_sandbox, session)
    assert (done.payment_status, done.payment_intent, done.amount_total) == ("paid", None, 2000)
    assert (subscription.status, subscription.metadata["order"], subscription.description) == ("active", "1", "words")
    assert (subscription.customer, done.customer.email) == (done.customer.id, "buyer@example.com")
    assert done.invoice.id == subscription.latest_invoice.id
    assert (done.invoice.status, done.invoice.amount_paid, done.invoice.billing_reason) == (
        "paid",
        2000,
        "subscription_create",
    )
    methods = stripe_sandbox.sdk.v1.payment_methods.list({"customer": done.customer.id, "type": "card"}).data
    assert [one.id for one in methods] == [subscription.default_payment_method]
    found = stripe_sandbox.sdk.v1.checkout.sessions.list({"subscription": subscription.id}).data
    assert [one.id for one in found] == [session.id]


def test_its_payment_is_found_through_the_invoice_and_given_back(stripe_sandbox: Running) -> None:
    session = checkout(stripe_sandbox)
    stripe_sandbox.pay(session)
    _, subscription = begun(stripe_sandbox, session)
    (link,) = stripe_sandbox.sdk.v1.invoice_payments.list({"invoice": subscription.latest_invoice.id}).data
    payment = str(link.payment.payment_intent)
    by_payment: Any = {"payment": {"type": "payment_intent", "payment_intent": payment}}
    assert [one.invoice for one in stripe_sandbox.sdk.v1.invoice_payments.list(by_payment).data] == [
        subscription.latest_invoice.id
    ]
    assert stripe_sandbox.sdk.v1.refunds.create({"payment_intent": payment}).amount == 2000
    assert stripe_sandbox.sdk.v1.subscriptions.retrieve(subscription.id).status == "active"


def test_the_events_come_in_their_order(stripe_sandbox: Running) -> None:
    session = checkout(stripe_sandbox)
    stripe_sandbox.pay(session)
    done, subscription = begun(stripe_sandbox, session)
    reported = stripe_sandbox.events_about(session.id, subscription.id, done.invoice.id, done.customer.id)
    assert reported == [
        "customer.created",
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice.updated",
        "checkout.session.completed",
    ]


def test_a_declined_buyer_tries_again(stripe_sandbox: Running) -> None:
    session = checkout(stripe_sandbox)
    assert stripe_sandbox.pay(session, "4000 0000 0000 0341").status_code == 402
    assert stripe_sandbox.read(session).subscription is None
    assert stripe_sandbox.pay(session).status_code == 303
    done, _ = begun(stripe_sandbox, session)
    assert len(stripe_sandbox.sdk.v1.payment_intents.list({"customer": done.customer.id}).data) == 1


@pytest.mark.parametrize("trial", [{}, {"trial_period_days": 7}])
def test_a_bank_asks_the_buyer(stripe_sandbox: Running, trial: Any) -> None:
    session = checkout(stripe_sandbox, subscription_data=trial)
    page = stripe_sandbox.pay(session, "4000 0025 0000 3155").headers["Location"]
    assert page.endswith("/authenticate")
    stripe_sandbox.browser.post(f"{stripe_sandbox.url}{page}", data={"answer": "fail"})
    assert "unable to authenticate" in stripe_sandbox.browser.get(stripe_sandbox.page(session)).text
    stripe_sandbox.pay(session, "4000 0025 0000 3155")
    answer = stripe_sandbox.browser.post(f"{stripe_sandbox.url}{page}", data={"answer": "complete"})
    assert answer.headers["Location"].startswith("http://merchant.test/success")
    assert begun(stripe_sandbox, session)[1].status == ("trialing" if trial else "active")


def test_a_trial_takes_a_card_and_no_money(stripe_sandbox: Running) -> None:
    session = checkout(stripe_sandbox, subscription_data={"trial_period_days": 14})
    page = stripe_sandbox.browser.get(session.url).text
    assert "14 days free. Then $20.00 per month, from " in page
    assert "Total due today" in page
    assert stripe_sandbox.pay(session, "4000 0000 0000 0002").status_code == 402
    assert stripe_sandbox.pay(session).status_code == 303
    done, subscription = begun(stripe_sandbox, session)
    assert (done.payment_status, done.amount_total, subscription.status) == ("no_payment_required", 0, "trialing")
    assert subscription.trial_end - subscription.trial_start == 14 * DAY
    assert subscription.default_payment_method
    assert stripe_sandbox.sdk.v1.charges.list({"customer": done.customer.id}).data == []


def test_a_trial_may_do_without_a_card(stripe_sandbox: Running) -> None:
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    data = {"trial_period_days": 14, "trial_settings": settings}
    session = checkout(stripe_sandbox, subscription_data=data, payment_method_collection="if_required")
    assert stripe_sandbox.browser.get(session.url).headers["Location"].endswith("/free")
    form = {"email": "buyer@example.com"}
    assert stripe_sandbox.browser.post(f"{stripe_sandbox.page(session)}/free", data=form).status_code == 303
    done, subscription = begun(stripe_sandbox, session)
    assert (done.payment_status, subscription.default_payment_method) == ("no_payment_required", None)
    assert subscription.trial_settings.end_behavior.missing_payment_method == "pause"


def test_a_card_that_fails_later_ends_a_trial_badly(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox, card=None)
    session = checkout(stripe_sandbox, customer=buyer.customer, subscription_data={"trial_period_days": 7})
    assert stripe_sandbox.pay(session, "4000 0000 0000 0341").status_code == 303
    _, subscription = begun(stripe_sandbox, session)
    assert (subscription.created, subscription.test_clock) == (START, buyer.clock)
    buyer.go(7 * DAY + 3600)
    assert buyer.read(subscription).status == "past_due"


@pytest.mark.parametrize(("duration", "later"), [("once", "$20.00"), ("forever", "$10.00")])
def test_a_coupon_is_taken_off_as_long_as_it_lasts(stripe_sandbox: Running, duration: Any, later: str) -> None:
    coupon = stripe_sandbox.sdk.v1.coupons.create({"percent_off": 50, "duration": duration})
    session = checkout(stripe_sandbox, discounts=[{"coupon": coupon.id}])
    assert f"Then {later} per month" in stripe_sandbox.browser.get(session.url).text
    stripe_sandbox.pay(session)
    done, subscription = begun(stripe_sandbox, session)
    assert (done.amount_total, done.invoice.amount_paid, len(subscription.discounts)) == (
        1000,
        1000,
        int(duration == "forever"),
    )
    assert stripe_sandbox.sdk.v1.coupons.retrieve(coupon.id).times_redeemed == 1


def test_a_promotion_code_pays_for_everything(stripe_sandbox: Running) -> None:
    coupon = stripe_sandbox.sdk.v1.coupons.create({"percent_off": 100, "duration": "forever"})
    code = stripe_sandbox.sdk.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}})
    session = checkout(stripe_sandbox, allow_promotion_codes=True, payment_method_collection="if_required")
    stripe_sandbox.pay(session, "4000 0000 0000 9995")
    form = {"promotion_code": code.code}
    stripe_sandbox.browser.post(f"{stripe_sandbox.page(session)}/promotion_code", data=form)
    form = {"email": "buyer@example.com"}
    stripe_sandbox.browser.post(f"{stripe_sandbox.page(session)}/free", data=form)
    done, subscription = begun(stripe_sandbox, session)
    assert (done.payment_status, done.invoice.total, subscription.status) == ("no_payment_required", 0, "active")


def test_a_code_given_back_is_paid_for_after_all(stripe_sandbox: Running) -> None:
    coupon = stripe_sandbox.sdk.v1.coupons.create({"percent_off": 100, "duration": "forever"})
    code = stripe_sandbox.sdk.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}})
    session = checkout(stripe_sandbox, allow_promotion_codes=True)
    address = f"{stripe_sandbox.page(session)}/promotion_code"
    stripe_sandbox.browser.post(address, data={"promotion_code": code.code})
    stripe_sandbox.pay(session, "4000 0000 0000 9995")
    stripe_sandbox.browser.post(address, data={"remove": "yes"})
    stripe_sandbox.pay(session)
    done, _ = begun(stripe_sandbox, session)
    assert (done.payment_status, done.invoice.amount_paid) == ("paid", 2000)


def test_something_is_bought_once_next_to_it(stripe_sandbox: Running) -> None:
    items = [
        {"price": one.id, "quantity": 1} for one in (monthly(stripe_sandbox), stripe_sandbox.price(unit_amount=500))
    ]
    session = checkout(stripe_sandbox, line_items=items, subscription_data={"trial_period_days": 3})
    stripe_sandbox.pay(session)
    done, subscription = begun(stripe_sandbox, session)
    assert (done.amount_total, done.invoice.amount_paid, subscription.status) == (500, 500, "trialing")
    assert len(subscription["items"].data) == 1


def test_a_price_is_made_for_it(stripe_sandbox: Running) -> None:
    recurring = {"interval": "month", "interval_count": 3}
    data = {"currency": "eur", "unit_amount": 900, "recurring": recurring, "product_data": {"name": "Tea"}}
    session = checkout(stripe_sandbox, line_items=[{"price_data": data, "quantity": 2}])
    assert "€18.00 every 3 months" in stripe_sandbox.browser.get(session.url).text
    stripe_sandbox.pay(session)
    item = begun(stripe_sandbox, session)[1]["items"].data[0]
    assert (item.price.recurring.interval_count, item.quantity) == (3, 2)


def test_tax_is_on_every_invoice(stripe_sandbox: Running) -> None:
    session = checkout(stripe_sandbox, automatic_tax={"enabled": True})
    stripe_sandbox.pay(session)
    done, subscription = begun(stripe_sandbox, session)
    assert (done.amount_total, done.invoice.amount_paid, subscription.automatic_tax.enabled) == (2380, 2380, True)


def test_it_expires_like_any_other(stripe_sandbox: Running) -> None:
    for data in ({}, {"trial_period_days": 3}):
        session = checkout(stripe_sandbox, subscription_data=data)
        stripe_sandbox.pay(session, "4000 0025 0000 3155")
        assert stripe_sandbox.sdk.v1.checkout.sessions.expire(session.id).status == "expired"
        assert stripe_sandbox.browser.get(session.url or stripe_sandbox.page(session)).status_code == 410


def test_a_payment_link_sells_it(stripe_sandbox: Running) -> None:
    items: Any = [{"price": monthly(stripe_sandbox).id, "quantity": 1}]
    link = stripe_sandbox.sdk.v1.payment_links.create({"line_items": items})
    page = stripe_sandbox.browser.get(link.url).headers["Location"]
    made = stripe_sandbox.sdk.v1.checkout.sessions.retrieve(page.rpartition("/")[2])
    assert (made.mode, link.payment_method_collection) == ("subscription", "always")


@pytest.mark.parametrize(
    ("params", "param", "words"),
    [
        ({"mode": "payment"}, "mode", "You specified `payment` mode but passed a recurring price."),
        ({"payment_intent_data": {"description": "a"}}, "payment_intent_data", "You can not pass"),
        ({"customer_creation": "always"}, "customer_creation", "can only be used in `payment` mode."),
        ({"invoice_creation": {"enabled": False}}, "invoice_creation", "can only be used in `payment` mode."),
        ({"subscription_data": {"trial_period_days": 0}}, "subscription_data[trial_period_days]", "from 1 to 730"),
        ({"subscription_data": {"trial_end": 1}}, "subscription_data[trial_end]", "at least 48 hours"),
        (
            {"subscription_data": {"trial_end": 1, "trial_period_days": 3}},
            "subscription_data[trial_end]",
            "only specify one",
        ),
        ({"subscription_data": {"default_tax_rates": ["txr_x"]}}, "subscription_data[default_tax_rates]", "not serve"),
        ({"allowed_payment_method_types": ["sepa_debit"]}, "allowed_payment_method_types", "None of the allowed"),
    ],
)
def test_what_does_not_go_with_it_is_refused(stripe_sandbox: Running, params: Any, param: str, words: str) -> None:
    items = [{"price": monthly(stripe_sandbox, currency="eur").id, "quantity": 1}]
    form = flat({"mode": "subscription", "success_url": SUCCESS, "line_items": items, **params}, "")
    error = stripe_sandbox.post("/v1/checkout/sessions", data=form).json()["error"]
    assert error["param"] == param
    assert words in error["message"]


@pytest.mark.parametrize(
    ("params", "param", "words"),
    [
        ({"mode": "subscription"}, "line_items", "You must provide at least one recurring price"),
        ({"mode": "payment", "subscription_data": {"description": "a"}}, "subscription_data", "in `payment` mode."),
        ({"mode": "payment", "payment_method_collection": "always"}, "payment_method_collection", "recurring prices"),
    ],
)
def test_what_needs_it_is_refused_without(stripe_sandbox: Running, params: Any, param: str, words: str) -> None:
    items = [{"price": stripe_sandbox.price().id, "quantity": 1}]
    form = flat({"success_url": SUCCESS, "line_items": items, **params}, "")
    error = stripe_sandbox.post("/v1/checkout/sessions", data=form).json()["error"]
    assert error["param"] == param
    assert words in error["message"]


def test_nobody_subscribes_for_a_customer_who_was_deleted_meanwhile(stripe_sandbox: Running) -> None:
    customer = stripe_sandbox.sdk.v1.customers.create({}).id
    session = checkout(stripe_sandbox, customer=customer)
    stripe_sandbox.sdk.v1.customers.delete(customer)
    assert stripe_sandbox.browser.get(session.url).status_code == 410
    assert stripe_sandbox.browser.post(session.url, data={"email": "buyer@example.com"}).status_code == 410
    assert stripe_sandbox.read(session).status == "open"
