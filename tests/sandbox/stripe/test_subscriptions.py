"""Subscriptions through the official SDK: how they begin, what can be changed, and how they end."""

from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.subscribing import DAY, START, Subscriber, monthly, subscriber
from tests.sandbox.stripe.support import Running


def refusal(call: Any) -> Any:
    with pytest.raises(stripe.StripeError) as caught:
        call()
    return caught.value.error


def sums(invoice: Any) -> tuple[str, int, int]:
    return invoice.billing_reason, invoice.total, invoice.amount_paid


def test_a_first_payment_makes_it_active(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe(metadata={"order": "1"}, expand=["latest_invoice"])
    item = made["items"].data[0]
    assert (made.status, made.metadata["order"], made.customer) == ("active", "1", buyer.customer)
    assert (item.current_period_start, item.current_period_end) == (START, START + 28 * DAY)
    invoice = made.latest_invoice
    assert (invoice.status, invoice.amount_paid, invoice.attempt_count) == ("paid", 2000, 1)
    assert invoice.parent.subscription_details.subscription == made.id
    line = invoice.lines.data[0]
    assert (line.amount, line.pricing.price_details.price, line.period.end) == (2000, item.price.id, START + 28 * DAY)
    expand = ["payments.data.payment.payment_intent"]
    shown: Any = stripe_sandbox.sdk.v1.invoices.retrieve(invoice.id, {"expand": expand})
    (payment,) = shown.payments.data
    assert (payment.status, payment.payment.payment_intent.status) == ("paid", "succeeded")
    assert buyer.events_about(made, "customer.subscription")[0] == ("customer.subscription.created", 0)


def test_without_a_card_nothing_begins(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox, card=None)
    error = refusal(buyer.subscribe)
    assert (error.code, "no attached payment source" in error.message) == ("resource_missing", True)
    assert stripe_sandbox.sdk.v1.subscriptions.list({"customer": buyer.customer, "status": "all"}).data == []


def test_a_first_payment_that_fails_can_be_made_up_for(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox, "chargeCustomerFail")
    made = buyer.subscribe()
    assert made.status == "incomplete"
    assert "incomplete" in refusal(lambda: buyer.update(made, cancel_at_period_end=True)).message
    buyer.use_card("visa")
    paid = stripe_sandbox.sdk.v1.invoices.pay(str(made.latest_invoice))
    assert (paid.status, buyer.read(made).status) == ("paid", "active")
    assert refusal(lambda: stripe_sandbox.sdk.v1.invoices.pay(paid.id)).message == "Invoice is already paid"


def test_a_first_payment_that_nobody_makes_expires(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox, "chargeCustomerFail")
    made = buyer.subscribe()
    buyer.go(23 * 3600 - 1)
    assert buyer.read(made).status == "incomplete"
    buyer.go(1)
    ended = buyer.read(made, "latest_invoice")
    assert (ended.status, ended.latest_invoice.status) == ("incomplete_expired", "void")
    listed = stripe_sandbox.sdk.v1.subscriptions.list({"customer": buyer.customer, "status": "ended"}).data
    assert [one.id for one in listed] == [made.id]


@pytest.mark.parametrize(("card", "code"), [("chargeCustomerFail", "card_declined"), ("authenticationRequired", None)])
def test_a_caller_may_want_all_or_nothing(stripe_sandbox: Running, card: str, code: str | None) -> None:
    buyer = subscriber(stripe_sandbox, card)
    error = refusal(lambda: buyer.subscribe(payment_behavior="error_if_incomplete"))
    assert error.code == (code or "subscription_payment_intent_requires_action")
    assert stripe_sandbox.sdk.v1.subscriptions.list({"customer": buyer.customer, "status": "all"}).data == []
    assert stripe_sandbox.sdk.v1.charges.list({"customer": buyer.customer}).data == []


def test_a_caller_may_leave_the_first_payment_to_the_buyer(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox, card=None)
    made = buyer.subscribe(payment_behavior="default_incomplete", expand=["latest_invoice.confirmation_secret"])
    assert (made.status, made.latest_invoice.status, made.latest_invoice.attempted) == ("incomplete", "open", False)
    assert made.latest_invoice.confirmation_secret.client_secret.startswith("pi_")


def test_a_trial_costs_nothing_until_it_ends(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe(trial_period_days=14)
    assert (made.status, made.trial_end, made["items"].data[0].current_period_end) == (
        "trialing",
        *[START + 14 * DAY] * 2,
    )
    buyer.go(14 * DAY)
    assert buyer.read(made).status == "active"
    buyer.go(3600)
    assert [sums(one) for one in buyer.invoices(made)] == [
        ("subscription_create", 0, 0),
        ("subscription_cycle", 2000, 2000),
    ]
    assert ("customer.subscription.trial_will_end", 11 * DAY) in buyer.events_about(made)
    assert buyer.read(made)["items"].data[0].current_period_end == START + (14 + 28) * DAY


def test_a_short_trial_s_end_is_reported_at_once(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe(trial_end=START + DAY)
    buyer.go(1)
    assert [at for type_, at in buyer.events_about(made) if type_.endswith("trial_will_end")] == [0]


@pytest.mark.parametrize(
    ("behavior", "status", "event"),
    [
        ("pause", "paused", "customer.subscription.paused"),
        ("cancel", "canceled", "customer.subscription.deleted"),
        ("create_invoice", "past_due", "invoice.payment_failed"),
    ],
)
def test_a_trial_ends_without_a_card(stripe_sandbox: Running, behavior: str, status: str, event: str) -> None:
    buyer = subscriber(stripe_sandbox, card=None)
    settings = {"end_behavior": {"missing_payment_method": behavior}}
    made = buyer.subscribe(trial_period_days=7, trial_settings=settings)
    buyer.go(7 * DAY + 3600)
    ended = buyer.read(made)
    assert ended.status == status
    assert ended.trial_settings.end_behavior.missing_payment_method == behavior
    assert next(at for type_, at in buyer.events_about(made) if type_ == event) >= 7 * DAY


def test_a_paused_one_is_resumed_by_a_payment(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox, card=None)
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    made = buyer.subscribe(trial_period_days=7, trial_settings=settings)
    assert "only paused ones" in refusal(lambda: stripe_sandbox.sdk.v1.subscriptions.resume(made.id)).message
    buyer.go(30 * DAY)
    buyer.use_card("visa")
    resumed = stripe_sandbox.sdk.v1.subscriptions.resume(made.id, {"billing_cycle_anchor": {"type": "now"}})
    assert (resumed.status, resumed.billing_cycle_anchor) == ("active", buyer.now)
    assert resumed["items"].data[0].current_period_start == buyer.now
    assert ("customer.subscription.resumed", 30 * DAY) in buyer.events_about(made)
    assert [one.amount_paid for one in buyer.invoices(made)] == [0, 2000]


def test_a_trial_is_ended_or_prolonged(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe(trial_period_days=7)
    assert buyer.update(made, trial_end=START + 10 * DAY).trial_end == START + 10 * DAY
    buyer.go(8 * DAY)
    assert buyer.read(made).status == "trialing"
    ended = buyer.update(made, trial_end="now")
    assert (ended.status, ended.trial_end, ended.billing_cycle_anchor) == ("active", buyer.now, buyer.now)
    assert sums(buyer.invoices(made)[-1]) == ("subscription_update", 2000, 2000)


def test_a_price_s_own_trial_counts_if_it_is_asked_for(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    price = monthly(stripe_sandbox, recurring={"interval": "month", "trial_period_days": 5})
    assert buyer.subscribe(price).status == "active"
    assert buyer.subscribe(price, trial_from_plan=True).trial_end == START + 5 * DAY


def test_an_end_is_set_and_taken_back(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    buyer.go(DAY)
    details = {"feedback": "unused", "comment": "words"}
    ending = buyer.update(made, cancel_at_period_end=True, cancellation_details=details)
    assert (ending.status, ending.cancel_at, ending.canceled_at) == ("active", START + 28 * DAY, buyer.now)
    assert (ending.cancellation_details.reason, ending.cancellation_details.feedback) == (
        "cancellation_requested",
        "unused",
    )
    kept = buyer.update(made, cancel_at_period_end=False)
    assert (kept.cancel_at, kept.canceled_at, kept.cancellation_details.reason) == (None, None, None)
    buyer.update(made, cancel_at_period_end=True)
    buyer.go(40 * DAY)
    ended = buyer.read(made)
    assert (ended.status, ended.ended_at, ended.canceled_at) == ("canceled", START + 28 * DAY, START + DAY)
    assert len(buyer.invoices(made)) == 1
    assert buyer.events_about(made, "customer.subscription.deleted") == [("customer.subscription.deleted", 28 * DAY)]


def test_it_ends_at_a_time_of_its_own(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe(cancel_at=START + 40 * DAY)
    buyer.go(45 * DAY)
    assert (buyer.read(made).status, buyer.read(made).ended_at) == ("canceled", START + 40 * DAY)
    assert len(buyer.invoices(made)) == 2
    again = buyer.subscribe(cancel_at_period_end=True)
    assert again.cancel_at == again["items"].data[0].current_period_end
    assert refusal(lambda: buyer.update(again, cancel_at=START)).param == "cancel_at"


def test_it_is_canceled_at_once(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    ended = stripe_sandbox.sdk.v1.subscriptions.cancel(made.id, {"cancellation_details": {"comment": "words"}})
    details: Any = ended.cancellation_details
    assert (ended.status, ended.ended_at, details.comment) == ("canceled", START, "words")
    assert refusal(lambda: stripe_sandbox.sdk.v1.subscriptions.cancel(made.id)).code == "resource_missing"
    listed = stripe_sandbox.sdk.v1.subscriptions
    assert listed.list({"customer": buyer.customer}).data == []
    for status in ("all", "ended", "canceled"):
        assert [one.id for one in listed.list({"customer": buyer.customer, "status": status}).data] == [made.id]


def test_a_deleted_customer_subscribes_to_nothing(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    stripe_sandbox.sdk.v1.customers.delete(buyer.customer)
    assert buyer.read(made).status == "canceled"


def test_lists_are_narrowed(stripe_sandbox: Running) -> None:
    buyer, price = subscriber(stripe_sandbox), monthly(stripe_sandbox)
    made, trial = buyer.subscribe(price), buyer.subscribe(trial_period_days=3)

    def found(**params: Any) -> list[str]:
        values: Any = {"customer": buyer.customer, **params}
        return [one.id for one in stripe_sandbox.sdk.v1.subscriptions.list(values).data]

    assert found() == [trial.id, made.id]
    assert found(price=price.id) == [made.id]
    assert found(status="trialing", test_clock=buyer.clock) == [trial.id]
    assert found(created={"gt": START}) == []
    customer: Any = stripe_sandbox.sdk.v1.customers.retrieve(buyer.customer, {"expand": ["subscriptions"]})
    assert [one.id for one in customer.subscriptions.data] == [trial.id, made.id]


def test_an_upgrade_is_paid_for_at_once(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    item, better = made["items"].data[0], monthly(stripe_sandbox, unit_amount=5000)
    buyer.go(14 * DAY)
    change = [{"id": item.id, "price": better.id}]
    preview = _preview(buyer, made, items=change, proration_behavior="always_invoice")
    changed = buyer.update(made, items=change, proration_behavior="always_invoice")
    invoice = buyer.invoices(made)[-1]
    assert [line.amount for line in invoice.lines.data] == [-1000, 2500]
    assert sums(invoice) == ("subscription_update", 1500, 1500) == (preview.billing_reason, preview.total, 1500)
    assert changed["items"].data[0].price.id == better.id
    assert changed["items"].data[0].current_period_end == START + 28 * DAY
    assert changed.latest_invoice == invoice.id
    assert all(line.parent.subscription_item_details.proration for line in invoice.lines.data)


def _preview(buyer: Subscriber, subscription: Any, **details: Any) -> Any:
    values: Any = {"subscription": subscription.id, "subscription_details": details}
    return buyer.sandbox.sdk.v1.invoices.create_preview(values)


def test_a_change_is_settled_with_the_next_invoice(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    buyer.go(14 * DAY)
    change = [{"id": made["items"].data[0].id, "quantity": 2}]
    preview = _preview(buyer, made, items=change)
    buyer.update(made, items=change)
    assert len(buyer.invoices(made)) == 1
    assert preview.total == _preview(buyer, made).total == -1000 + 2000 + 4000
    buyer.go(15 * DAY)
    assert sums(buyer.invoices(made)[-1]) == ("subscription_cycle", 5000, 5000)
    buyer.go(31 * DAY)
    assert sums(buyer.invoices(made)[-1]) == ("subscription_cycle", 4000, 4000)


def test_a_downgrade_leaves_a_credit(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe(monthly(stripe_sandbox, unit_amount=5000))
    buyer.go(14 * DAY)
    change = [{"id": made["items"].data[0].id, "price": monthly(stripe_sandbox).id}]
    buyer.update(made, items=change, proration_behavior="always_invoice")
    assert sums(buyer.invoices(made)[-1]) == ("subscription_update", -1500, 0)
    assert stripe_sandbox.sdk.v1.customers.retrieve(buyer.customer).balance == -1500
    buyer.go(15 * DAY)
    last = buyer.invoices(made)[-1]
    assert (last.total, last.starting_balance, last.amount_paid, last.ending_balance) == (2000, -1500, 500, 0)


def test_nobody_need_prorate(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    other = monthly(stripe_sandbox, unit_amount=3000)
    added = buyer.update(made, items=[{"price": other.id}], proration_behavior="none")
    assert [item.price.unit_amount for item in added["items"].data] == [2000, 3000]
    less = buyer.update(made, items=[{"id": made["items"].data[0].id, "deleted": True}], proration_behavior="none")
    assert [item.price.unit_amount for item in less["items"].data] == [3000]
    buyer.go(29 * DAY)
    assert [one.total for one in buyer.invoices(made)] == [2000, 3000]


def test_another_interval_begins_a_new_period(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    yearly = stripe_sandbox.price(unit_amount=20000, recurring={"interval": "year"})
    buyer.go(14 * DAY)
    changed = buyer.update(made, items=[{"id": made["items"].data[0].id, "price": yearly.id}])
    assert changed.billing_cycle_anchor == buyer.now
    assert changed["items"].data[0].current_period_end == buyer.now + 365 * DAY
    assert sums(buyer.invoices(made)[-1]) == ("subscription_update", 19000, 19000)


def test_collection_is_paused_and_goes_on(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    expected = {"void": "void", "mark_uncollectible": "uncollectible", "keep_as_draft": "draft"}
    for behavior, status in expected.items():
        made = buyer.subscribe(monthly(stripe_sandbox, recurring={"interval": "week"}))
        pause = {"behavior": behavior, "resumes_at": buyer.now + 10 * DAY}
        assert buyer.update(made, pause_collection=pause).pause_collection.behavior == behavior
        buyer.go(15 * DAY)
        assert [one.status for one in buyer.invoices(made)] == ["paid", status, "paid"]
        assert (buyer.read(made).status, buyer.read(made).pause_collection) == ("active", None)
        buyer.update(made, pause_collection={"behavior": behavior})
        assert buyer.update(made, pause_collection="").pause_collection is None


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"items": []}, "items"),
        ({"trial_period_days": 3, "trial_end": START + DAY}, "trial_end"),
        ({"trial_end": START}, "trial_end"),
        ({"default_payment_method": "pm_nobody"}, "default_payment_method"),
        ({"default_payment_method": "pm_card_nobody"}, "payment_method"),
        ({"collection_method": "send_invoice"}, "collection_method"),
        ({"foo": 1}, "foo"),
    ],
)
def test_faults_are_named(stripe_sandbox: Running, params: Any, param: str) -> None:
    buyer = subscriber(stripe_sandbox)
    assert refusal(lambda: buyer.subscribe(**params)).param == param


def test_items_must_go_together(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    month, week = monthly(stripe_sandbox), monthly(stripe_sandbox, recurring={"interval": "week"})
    euros, once = monthly(stripe_sandbox, currency="eur"), stripe_sandbox.price()
    for prices, words in (
        ([month, week], "Found mismatch in interval field."),
        ([month, euros], "Found mismatch in currency field."),
        ([month, month], "Cannot add multiple subscription items"),
        ([once], "`type=one_time`"),
    ):
        items = [{"price": price.id} for price in prices]
        assert words in refusal(lambda items=items: buyer.subscribe(items=items)).message
    made = buyer.subscribe(month)
    changed = [{"id": made["items"].data[0].id, "price": euros.id}]
    assert "currency" in refusal(lambda: buyer.update(made, items=changed)).message


def test_another_card_pays_for_this_one_alone(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe(default_payment_method="pm_card_mastercard", expand=["default_payment_method"])
    assert made.default_payment_method.card.brand == "mastercard"
    changed = buyer.update(made, default_payment_method="pm_card_amex", expand=["default_payment_method"])
    assert changed.default_payment_method.card.brand == "amex"
    stranger = subscriber(stripe_sandbox)
    error = refusal(lambda: stranger.subscribe(default_payment_method=changed.default_payment_method.id))
    assert error.param == "default_payment_method"


def test_words_about_it_change(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe(metadata={"a": "1", "b": "2"}, description="words")
    changed = buyer.update(made, metadata={"a": ""}, description="")
    assert (changed.metadata.to_dict(), changed.description) == ({"b": "2"}, None)
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    assert buyer.update(made, trial_settings=settings).trial_settings.to_dict()["end_behavior"][
        "missing_payment_method"
    ] == ("pause")


@pytest.mark.parametrize(
    ("coupon", "totals"),
    [
        ({"percent_off": 50, "duration": "once"}, [1000, 2000, 2000, 2000]),
        ({"percent_off": 50, "duration": "forever"}, [1000, 1000, 1000, 1000]),
        (
            {"amount_off": 500, "currency": "usd", "duration": "repeating", "duration_in_months": 2},
            [1500, 1500, 2000, 2000],
        ),
        ({"percent_off": 100, "duration": "once"}, [0, 2000, 2000, 2000]),
    ],
)
def test_a_coupon_lasts_as_long_as_it_says(stripe_sandbox: Running, coupon: Any, totals: list[int]) -> None:
    buyer = subscriber(stripe_sandbox)
    given = stripe_sandbox.sdk.v1.coupons.create(coupon)
    made = buyer.subscribe(discounts=[{"coupon": given.id}], expand=["latest_invoice.discounts.source.coupon"])
    assert made.latest_invoice.total_discount_amounts[0].amount == 2000 - totals[0]
    buyer.go_to(2027, 5, 2)
    assert [one.total for one in buyer.invoices(made)] == totals
    assert [one.amount_paid for one in buyer.invoices(made)] == totals


def test_a_promotion_code_is_given_and_taken_away(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    coupon = stripe_sandbox.sdk.v1.coupons.create({"percent_off": 25, "duration": "forever"})
    code = stripe_sandbox.sdk.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}})
    made = buyer.subscribe()
    changed = buyer.update(made, discounts=[{"promotion_code": code.id}], expand=["discounts"])
    assert (changed.discounts[0].promotion_code, changed.discounts[0].source.coupon) == (code.id, coupon.id)
    buyer.go(29 * DAY)
    assert buyer.invoices(made)[-1].total == 1500
    assert buyer.update(made, discounts="").discounts == []


def test_tax_is_put_on_if_it_is_asked_for(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    exclusive, inclusive = (monthly(stripe_sandbox, tax_behavior=one) for one in ("exclusive", "inclusive"))
    made = buyer.subscribe(exclusive, automatic_tax={"enabled": True}, expand=["latest_invoice"])
    assert (made.latest_invoice.total, made.latest_invoice.total_excluding_tax) == (2380, 2000)
    made = buyer.subscribe(inclusive, automatic_tax={"enabled": True}, expand=["latest_invoice"])
    assert (made.latest_invoice.total, made.latest_invoice.total_taxes[0].amount) == (2000, 319)
