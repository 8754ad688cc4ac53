"""The customer portal and the invoice's page: what a customer can do there, and what the merchant lets them."""

import re
from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.subscribing import DAY, Subscriber, monthly, subscriber
from tests.sandbox.stripe.support import VISA, Running, card_form

RETURN = "http://merchant.test/account"


def link(buyer: Subscriber, **params: Any) -> Any:
    values: Any = {"customer": buyer.customer, "return_url": RETURN, **params}
    return buyer.sandbox.sdk.v1.billing_portal.sessions.create(values)


def offering(sandbox: Running, **features: Any) -> Any:
    values: Any = {"features": features}
    return sandbox.sdk.v1.billing_portal.configurations.create(values)


def plans(*prices: Any, **more: Any) -> Any:
    products = [{"product": str(price.product), "prices": [price.id]} for price in prices]
    return {"enabled": True, "default_allowed_updates": ["price"], "products": products, **more}


def look(sandbox: Running, url: str) -> str:
    answer = sandbox.browser.get(url)
    assert answer.status_code == 200, answer.text
    return answer.text


def send(sandbox: Running, url: str, **form: str) -> Any:
    return sandbox.browser.post(url, data=form)


def test_a_customer_sees_what_they_pay_for(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    session = link(buyer)
    page = look(stripe_sandbox, session.url)
    invoice = buyer.invoices(made)[0]
    for words in ("Dashboard", "$20.00 per month", "Renews on 2027-02-28", "Visa ending in 4242", str(invoice.number)):
        assert words in page
    assert f'href="{RETURN}"' in page
    assert "Change plan" not in page
    assert stripe_sandbox.browser.get(f"{stripe_sandbox.url}/i/{invoice.id}").status_code == 200


def test_a_customer_cancels_and_thinks_better_of_it(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    url = link(buyer).url
    assert "until 2027-02-28" in look(stripe_sandbox, f"{url}/cancel?subscription={made.id}")
    assert send(stripe_sandbox, f"{url}/cancel", subscription=made.id).status_code == 303
    assert (buyer.read(made).cancel_at_period_end, buyer.read(made).status) == (True, "active")
    assert "Ends on 2027-02-28" in look(stripe_sandbox, url)
    assert send(stripe_sandbox, f"{url}/renew", subscription=made.id).status_code == 303
    assert buyer.read(made).cancel_at is None


def test_a_customer_cancels_at_once_and_says_why(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    reason = {"enabled": True, "options": ["too_expensive", "unused"]}
    cancel = {"enabled": True, "mode": "immediately", "cancellation_reason": reason}
    url = link(buyer, configuration=offering(stripe_sandbox, subscription_cancel=cancel).id).url
    page = look(stripe_sandbox, f"{url}/cancel?subscription={made.id}")
    assert "It ends at once." in page
    assert "It is too expensive" in page
    send(stripe_sandbox, f"{url}/cancel", subscription=made.id, feedback="too_expensive")
    ended = buyer.read(made)
    assert (ended.status, ended.cancellation_details.feedback) == ("canceled", "too_expensive")
    assert "canceled" in look(stripe_sandbox, url)


def test_a_customer_changes_the_plan(stripe_sandbox: Running) -> None:
    buyer, basic = subscriber(stripe_sandbox), monthly(stripe_sandbox)
    pro = monthly(stripe_sandbox, unit_amount=5000, product_data={"name": "Pro"})
    made = buyer.subscribe(basic)
    update = plans(basic, pro, proration_behavior="always_invoice")
    url = link(buyer, configuration=offering(stripe_sandbox, subscription_update=update).id).url
    assert "Pro, $50.00 per month" in look(stripe_sandbox, f"{url}/change?subscription={made.id}")
    assert send(stripe_sandbox, f"{url}/change", subscription=made.id, price="price_other").status_code == 422
    buyer.use_card("chargeCustomerFail")
    refused = send(stripe_sandbox, f"{url}/change", subscription=made.id, price=pro.id)
    assert (refused.status_code, "Your card was declined." in refused.text) == (402, True)
    assert buyer.read(made)["items"].data[0].price.id == basic.id
    buyer.use_card("visa")
    assert send(stripe_sandbox, f"{url}/change", subscription=made.id, price=pro.id).status_code == 303
    assert buyer.read(made)["items"].data[0].price.id == pro.id
    assert buyer.invoices(made)[-1].amount_paid == 3000


def test_a_customer_enters_another_card(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe(default_payment_method="pm_card_mastercard")
    url = link(buyer).url
    assert "Update your card" in look(stripe_sandbox, f"{url}/card")
    assert send(stripe_sandbox, f"{url}/card").status_code == 402
    declined = send(stripe_sandbox, f"{url}/card", **card_form("4000 0000 0000 0002"))
    assert (declined.status_code, "Your card was declined." in declined.text) == (402, True)
    assert send(stripe_sandbox, f"{url}/card", **card_form("378282246310005")).status_code == 303
    changed = buyer.read(made, "default_payment_method")
    assert changed.default_payment_method.card.brand == "amex"
    customer: Any = stripe_sandbox.sdk.v1.customers.retrieve(buyer.customer)
    assert customer.invoice_settings.default_payment_method == changed.default_payment_method.id
    setups = stripe_sandbox.sdk.v1.setup_intents.list({"customer": buyer.customer}).data
    assert [one.status for one in setups] == ["succeeded", "requires_payment_method"]


def test_a_bank_asks_about_the_card(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    buyer.subscribe()
    url = link(buyer).url
    asked = send(stripe_sandbox, f"{url}/card", **card_form("4000 0025 0000 3155")).headers["Location"]
    assert "let your card be charged later" in look(stripe_sandbox, f"{stripe_sandbox.url}{asked}")
    assert send(stripe_sandbox, f"{stripe_sandbox.url}{asked}", answer="fail").headers["Location"].endswith("/card")
    send(stripe_sandbox, f"{url}/card", **card_form("4000 0025 0000 3155"))
    assert send(stripe_sandbox, f"{stripe_sandbox.url}{asked}", answer="complete").status_code == 303
    assert "ending in 3155" in look(stripe_sandbox, url)
    for method in (stripe_sandbox.browser.get, stripe_sandbox.browser.post):
        assert method(f"{stripe_sandbox.url}{asked}").headers["Location"].endswith("/card")


def test_a_link_leads_to_one_thing_and_back(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    after = {"type": "redirect", "redirect": {"return_url": RETURN}}
    flow = {"type": "subscription_cancel", "subscription_cancel": {"subscription": made.id}, "after_completion": after}
    session = link(buyer, flow_data=flow)
    assert session.flow.subscription_cancel.subscription == made.id
    page = stripe_sandbox.browser.get(session.url).headers["Location"]
    assert page == f"/p/session/{session.id}/cancel?subscription={made.id}"
    done = send(stripe_sandbox, f"{session.url}/cancel", subscription=made.id)
    assert done.headers["Location"] == RETURN
    card = link(buyer, flow_data={"type": "payment_method_update"})
    assert stripe_sandbox.browser.get(card.url).headers["Location"].endswith("/card")
    assert send(stripe_sandbox, f"{card.url}/card", **card_form(VISA)).headers["Location"].endswith("?overview=yes")


def test_a_configuration_is_what_it_was_given_and_changes(stripe_sandbox: Running) -> None:
    price = monthly(stripe_sandbox)
    values: Any = {
        "business_profile": {"headline": "Words"},
        "default_return_url": RETURN,
        "features": {"invoice_history": {"enabled": True}, "subscription_update": plans(price)},
        "metadata": {"a": "b"},
        "name": "Mine",
    }
    api = stripe_sandbox.sdk.v1.billing_portal.configurations
    made = api.create(values)
    products: Any = made.features.subscription_update.products
    assert (made.name, made.default_return_url, made.business_profile.headline) == ("Mine", RETURN, "Words")
    assert (products[0].product, products[0].prices) == (price.product, [price.id])
    change: Any = {"name": "", "features": {"invoice_history": {"enabled": False}}, "active": False}
    changed = api.update(made.id, change)
    assert (changed.name, changed.active, changed.features.invoice_history.enabled) == (None, False, False)
    assert changed.features.subscription_update.enabled
    assert api.retrieve(made.id).metadata == made.metadata
    listed = [one.id for one in api.list({"active": False}).data]
    assert listed == [made.id]
    buyer = subscriber(stripe_sandbox)
    with pytest.raises(stripe.InvalidRequestError, match="not active"):
        link(buyer, configuration=made.id)
    without: Any = {"customer": buyer.customer}
    default = stripe_sandbox.sdk.v1.billing_portal.sessions.create(without)
    (usual,) = api.list({"is_default": True}).data
    assert (default.configuration, default.return_url) == (usual.id, None)
    with pytest.raises(stripe.InvalidRequestError):
        api.update(usual.id, {"active": False})


@pytest.mark.parametrize(
    ("features", "param"),
    [
        ({"subscription_update": {"enabled": True}}, "features[subscription_update][products]"),
        ({"subscription_pause": {"enabled": True}}, "features[subscription_pause][enabled]"),
        ({"customer_update": {"enabled": True}}, "features[customer_update][enabled]"),
        ({"foo": {"enabled": True}}, "features[foo]"),
    ],
)
def test_what_cannot_be_offered_is_refused(stripe_sandbox: Running, features: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        offering(stripe_sandbox, **features)
    assert refused.value.param == param


def test_plans_are_recurring_prices_of_their_product(stripe_sandbox: Running) -> None:
    once, other = stripe_sandbox.price(), monthly(stripe_sandbox)
    for product, price in ((once.product, once.id), (once.product, other.id), (once.product, "price_x")):
        products = [{"product": str(product), "prices": [price]}]
        with pytest.raises(stripe.InvalidRequestError) as refused:
            offering(stripe_sandbox, subscription_update={**plans(), "products": products})
        assert refused.value.param == "features[subscription_update][products][0][prices][0]"


def test_only_what_is_offered_can_be_done(stripe_sandbox: Running) -> None:
    buyer, stranger = subscriber(stripe_sandbox), subscriber(stripe_sandbox)
    made, other = buyer.subscribe(), stranger.subscribe()
    session = link(buyer, configuration=offering(stripe_sandbox, invoice_history={"enabled": True}).id)
    for path in ("cancel", "renew", "change", "card"):
        assert send(stripe_sandbox, f"{session.url}/{path}", subscription=made.id).status_code == 403
    assert send(stripe_sandbox, f"{link(buyer).url}/cancel", subscription=other.id).status_code == 404
    assert stranger.read(other).cancel_at is None
    with pytest.raises(stripe.InvalidRequestError, match="disabled"):
        link(buyer, configuration=session.configuration, flow_data={"type": "payment_method_update"})
    for named in ({}, {"subscription_cancel": {"subscription": other.id}}):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            link(buyer, flow_data={"type": "subscription_cancel", **named})
        assert refused.value.param == "flow_data[subscription_cancel][subscription]"
    for params in ({"customer": "cus_nobody"}, {"return_url": "nowhere"}, {"configuration": "bpc_x"}):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            link(buyer, **params)
        assert refused.value.param == next(iter(params))


def test_a_link_is_good_for_an_hour(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    url = link(buyer).url
    stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/clock/forward", data={"hours": "2"})
    assert stripe_sandbox.browser.get(url).status_code == 410
    assert stripe_sandbox.browser.get(f"{url}x").status_code == 404


def test_what_is_owed_is_paid_on_the_invoice_s_page(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    buyer.use_card("chargeCustomerFail")
    buyer.go(28 * DAY + 3600)
    invoice = buyer.invoices(made)[-1]
    page = look(stripe_sandbox, invoice.hosted_invoice_url)
    for words in ("Pay this invoice", "$20.00", str(invoice.number), "1 × Dashboard (at $20.00 per month)"):
        assert words in page
    pay = f"{invoice.hosted_invoice_url}/pay"
    assert "Your card was declined." in look(stripe_sandbox, pay)  # what the last try failed for
    failed = send(stripe_sandbox, pay, **card_form("4000 0000 0000 0341"))
    assert failed.headers["Location"].endswith("/pay")
    assert send(stripe_sandbox, pay, **card_form(VISA)).headers["Location"] == f"/i/{invoice.id}"
    assert buyer.read(made).status == "active"
    assert "Pay this invoice" not in look(stripe_sandbox, invoice.invoice_pdf)
    for method in (stripe_sandbox.browser.get, stripe_sandbox.browser.post):
        assert method(pay).headers["Location"] == f"/i/{invoice.id}"


def test_a_bank_that_always_asks_is_answered_on_the_invoice_s_page(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox, "authenticationRequired")
    made = buyer.subscribe()
    assert made.status == "incomplete"
    invoice = buyer.invoices(made)[0]
    pay = f"{invoice.hosted_invoice_url}/pay"
    asked = send(stripe_sandbox, pay, **card_form("4000 0027 6000 3184")).headers["Location"]
    assert "pay $20.00 to" in look(stripe_sandbox, f"{stripe_sandbox.url}{asked}")
    send(stripe_sandbox, f"{stripe_sandbox.url}{asked}", answer="complete")
    assert buyer.read(made).status == "active"


def test_a_draft_has_no_page(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    buyer.go(28 * DAY)
    draft = buyer.invoices(made)[-1]
    assert stripe_sandbox.browser.get(f"{stripe_sandbox.url}/i/{draft.id}").status_code == 404
    finalized = stripe_sandbox.sdk.v1.invoices.finalize_invoice(draft.id)
    assert re.fullmatch(r"[0-9A-F]{8}-0002", str(finalized.number))
    with pytest.raises(stripe.InvalidRequestError):
        stripe_sandbox.sdk.v1.invoices.finalize_invoice(draft.id)
