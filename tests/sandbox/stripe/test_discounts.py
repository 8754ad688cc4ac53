"""Coupons, promotion codes, and checkouts that cost less or nothing."""

from typing import Any, cast

import httpx2
import pytest
import stripe
from tests.sandbox.stripe.support import Receiver, Running, running, wait_for
from tests.sandbox.stripe.test_checkout_page import words

HALF = {"percent_off": 50}
ALL = {"percent_off": 100}
DAY = 24 * 3600


def coupon(sandbox: Running, **params: Any) -> stripe.Coupon:
    return sandbox.sdk.v1.coupons.create(cast(Any, params))


def code(sandbox: Running, off: dict[str, Any], **params: Any) -> stripe.PromotionCode:
    promotion = {"type": "coupon", "coupon": coupon(sandbox, **off).id}
    return sandbox.sdk.v1.promotion_codes.create(cast(Any, {"promotion": promotion, **params}))


def enter(sandbox: Running, session: stripe.checkout.Session, entered: str) -> httpx2.Response:
    return sandbox.browser.post(f"{sandbox.page(session)}/promotion_code", data={"promotion_code": entered})


def complete_free(sandbox: Running, session: stripe.checkout.Session, email: str = "b@example.com") -> httpx2.Response:
    return sandbox.browser.post(f"{sandbox.page(session)}/free", data={"email": email})


def page(sandbox: Running, session: stripe.checkout.Session) -> httpx2.Response:
    """Where the session's address leads."""
    answer = sandbox.browser.get(sandbox.page(session))
    return sandbox.browser.get(sandbox.url + answer.headers["Location"]) if answer.is_redirect else answer


def sums(session: stripe.checkout.Session) -> tuple[Any, ...]:
    details = session.total_details
    assert details
    return session.amount_subtotal, details.amount_discount, details.amount_tax, session.amount_total


def check_no_payment(sandbox: Running, session: stripe.checkout.Session) -> stripe.checkout.Session:
    read = sandbox.read(session)
    assert (read.status, read.payment_status, read.payment_intent) == ("complete", "no_payment_required", None)
    assert read.amount_total == 0
    return read


def test_what_costs_nothing_needs_no_card(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout(stripe_sandbox.price(unit_amount=0))
    assert (session.status, session.payment_status, session.amount_total) == ("open", "unpaid", 0)
    shown = page(stripe_sandbox, session)
    assert "Card number" not in shown.text
    assert "Complete order" in shown.text
    answer = complete_free(stripe_sandbox, session)
    assert (answer.status_code, answer.headers["Location"].endswith(session.id)) == (303, True)
    done = check_no_payment(stripe_sandbox, session)
    assert done.customer_details
    assert done.customer_details.email == "b@example.com"
    assert "Nothing was charged" in words(stripe_sandbox.browser.get(stripe_sandbox.page(session)))
    assert stripe_sandbox.events_about(session.id) == ["checkout.session.completed"]


def test_a_free_order_has_no_guests(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout(stripe_sandbox.price(unit_amount=0))
    complete_free(stripe_sandbox, session)
    made = stripe_sandbox.sdk.v1.customers.retrieve(str(stripe_sandbox.read(session).customer))
    assert made.email == "b@example.com"
    customers = stripe_sandbox.sdk.v1.customers
    known = customers.create({"email": "known@example.com", "name": "A", "address": {"country": "DE"}})
    asked = {"customer": known.id, "customer_update": {"address": "auto", "name": "auto"}}
    session = stripe_sandbox.checkout(stripe_sandbox.price(unit_amount=0), **asked)
    complete_free(stripe_sandbox, session, email="")
    assert stripe_sandbox.read(session).customer == known.id
    assert stripe_sandbox.events_about(known.id) == ["customer.created"]


def test_a_free_order_needs_an_e_mail_address_and_no_card(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout(stripe_sandbox.price(unit_amount=0))
    refused = complete_free(stripe_sandbox, session, email="nobody")
    assert refused.status_code == 422
    assert "Your email is invalid." in words(refused)
    assert stripe_sandbox.pay(session).headers["Location"] == f"/c/pay/{session.id}/free"
    assert stripe_sandbox.read(session).status == "open"


def test_what_costs_something_is_not_completed_for_nothing(stripe_sandbox: Running) -> None:
    session = stripe_sandbox.checkout()
    answer = complete_free(stripe_sandbox, session)
    assert answer.headers["Location"] == f"/c/pay/{session.id}"
    assert stripe_sandbox.read(session).status == "open"


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        (HALF, (2000, 1000, 0, 1000)),
        ({"percent_off": 33.33}, (2000, 667, 0, 1333)),
        ({"amount_off": 250, "currency": "usd"}, (2000, 250, 0, 1750)),
        ({"amount_off": 9999, "currency": "usd"}, (2000, 2000, 0, 0)),
        (ALL, (2000, 2000, 0, 0)),
    ],
)
def test_a_coupon_given_by_the_merchant(stripe_sandbox: Running, off: Any, expected: Any) -> None:
    made = coupon(stripe_sandbox, **off)
    session = stripe_sandbox.checkout(discounts=[{"coupon": made.id}])
    assert sums(session) == expected
    assert session.discounts
    assert session.discounts[0].to_dict() == {"coupon": made.id, "promotion_code": None}
    (item,) = stripe_sandbox.read(session, "line_items")["line_items"]["data"]
    assert (item["amount_subtotal"], item["amount_discount"], item["amount_total"]) == (2000, expected[1], expected[3])


def test_the_discount_is_shared_among_the_lines_to_the_unit(stripe_sandbox: Running) -> None:
    amounts = (1001, 334, 666)
    items = [{"price": stripe_sandbox.price(unit_amount=amount).id, "quantity": 1} for amount in amounts]
    made = coupon(stripe_sandbox, percent_off=33.3)
    session = stripe_sandbox.checkout(line_items=items, discounts=[{"coupon": made.id}])
    shared = [item["amount_discount"] for item in stripe_sandbox.read(session, "line_items")["line_items"]["data"]]
    assert sum(shared) == session.total_details.amount_discount == 666  # type: ignore[union-attr]
    assert all(0 <= off <= amount for off, amount in zip(shared, amounts, strict=True))


def test_what_is_left_is_charged_and_taxed(stripe_sandbox: Running) -> None:
    made = coupon(stripe_sandbox, **HALF)
    taxed = {"automatic_tax": {"enabled": True}, "discounts": [{"coupon": made.id}]}
    for behavior, tax, total in (("exclusive", 190, 1190), ("inclusive", 160, 1000)):
        session = stripe_sandbox.checkout(stripe_sandbox.price(tax_behavior=behavior), **taxed)
        shown = words(page(stripe_sandbox, session))
        assert "Discount (50% off)" in shown
        assert "−$10.00" in shown
        assert ("included" in shown) == (behavior == "inclusive")
        stripe_sandbox.pay(session)
        paid = stripe_sandbox.read(session, "payment_intent")
        assert sums(paid) == (2000, 1000, tax, total)
        assert paid["payment_intent"]["amount_received"] == total


def test_a_buyer_redeems_a_code_in_any_case(stripe_sandbox: Running) -> None:
    made = code(stripe_sandbox, HALF, code="Halved-1")
    session = stripe_sandbox.checkout(allow_promotion_codes=True)
    assert (session.allow_promotion_codes, session.discounts) == (True, [])
    assert '<label for="promotion_code">' in page(stripe_sandbox, session).text
    answer = enter(stripe_sandbox, session, " hALVED-1 ")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/c/pay/{session.id}")
    read = stripe_sandbox.read(session)
    assert read.discounts
    assert read.discounts[0].to_dict() == {"coupon": None, "promotion_code": made.id}
    assert sums(read) == (2000, 1000, 0, 1000)
    assert "Halved-1" in words(page(stripe_sandbox, session))
    stripe_sandbox.pay(session)
    assert stripe_sandbox.read(session, "payment_intent")["payment_intent"]["amount_received"] == 1000
    assert stripe_sandbox.sdk.v1.promotion_codes.retrieve(made.id).times_redeemed == 1
    assert stripe_sandbox.sdk.v1.coupons.retrieve(str(made.promotion.coupon)).times_redeemed == 1


def test_a_code_for_everything_leaves_nothing_to_pay(stripe_sandbox: Running) -> None:
    code(stripe_sandbox, ALL, code="GRATIS")
    session = stripe_sandbox.checkout(allow_promotion_codes=True)
    enter(stripe_sandbox, session, "GRATIS")
    assert "Complete order" in words(page(stripe_sandbox, session))
    complete_free(stripe_sandbox, session)
    assert sums(check_no_payment(stripe_sandbox, session)) == (2000, 2000, 0, 0)


def test_a_code_can_be_taken_back(stripe_sandbox: Running) -> None:
    made = code(stripe_sandbox, ALL, code="TAKEN-BACK")
    session = stripe_sandbox.checkout(allow_promotion_codes=True)
    enter(stripe_sandbox, session, "TAKEN-BACK")
    stripe_sandbox.browser.post(f"{stripe_sandbox.page(session)}/promotion_code", data={"remove": "yes"})
    read = stripe_sandbox.read(session)
    assert (read.discounts, read.amount_total) == ([], 2000)
    assert complete_free(stripe_sandbox, session).headers["Location"] == f"/c/pay/{session.id}"
    assert stripe_sandbox.pay(session).status_code == 303
    assert stripe_sandbox.sdk.v1.promotion_codes.retrieve(made.id).times_redeemed == 0


def test_codes_that_cannot_be_used_say_why_and_change_nothing(stripe_sandbox: Running) -> None:
    somebody = stripe_sandbox.sdk.v1.customers.create({}).id
    code(stripe_sandbox, HALF, code="ENDED", active=False)
    code(stripe_sandbox, HALF, code="HERS", customer=somebody)
    code(stripe_sandbox, {"amount_off": 500, "currency": "eur"}, code="EUROS")
    code(stripe_sandbox, {"amount_off": 1999, "currency": "usd"}, code="TOO-MUCH")
    session = stripe_sandbox.checkout(allow_promotion_codes=True)
    for entered, reported in {
        "": "Enter a promotion code.",
        "NOBODY-S": "This code is invalid.",
        "HERS": "This code is invalid.",
        "ENDED": "This code is no longer active.",
        "EUROS": "This discount is for payments in EUR only.",
        "TOO-MUCH": "must add up to at least $0.50",
        '"><script>': "This code is invalid.",
        "' OR 1=1": "This code is invalid.",
    }.items():
        answer = enter(stripe_sandbox, session, entered)
        assert answer.status_code == 422
        assert reported in words(answer)
        assert 'aria-describedby="promotion_code-error"' in answer.text
        assert "<title>Error: " in answer.text
        assert "<script" not in answer.text
    assert sums(stripe_sandbox.read(session)) == (2000, 0, 0, 2000)
    hers = stripe_sandbox.checkout(allow_promotion_codes=True, customer=somebody)
    assert enter(stripe_sandbox, hers, "HERS").status_code == 303


def test_without_leave_no_code_is_taken(stripe_sandbox: Running) -> None:
    code(stripe_sandbox, ALL, code="UNASKED")
    session = stripe_sandbox.checkout()
    assert "promotion" not in page(stripe_sandbox, session).text.lower()
    assert enter(stripe_sandbox, session, "UNASKED").status_code == 422
    given = stripe_sandbox.checkout(discounts=[{"coupon": coupon(stripe_sandbox, **HALF).id}])
    stripe_sandbox.browser.post(f"{stripe_sandbox.page(given)}/promotion_code", data={"remove": "yes"})
    assert [stripe_sandbox.read(one).amount_total for one in (session, given)] == [2000, 1000]


def test_a_code_after_a_decline_changes_what_the_next_card_pays(stripe_sandbox: Running) -> None:
    code(stripe_sandbox, HALF, code="SECOND-TRY")
    session = stripe_sandbox.checkout(allow_promotion_codes=True)
    stripe_sandbox.pay(session, "4000 0000 0000 9995")
    enter(stripe_sandbox, session, "SECOND-TRY")
    stripe_sandbox.pay(session)
    paid = stripe_sandbox.read(session, "payment_intent.latest_charge")["payment_intent"]
    assert (paid["amount"], paid["amount_received"], paid["latest_charge"]["amount"]) == (1000, 1000, 1000)


def test_a_code_while_the_bank_asks_ends_the_question(stripe_sandbox: Running) -> None:
    code(stripe_sandbox, HALF, code="MEANWHILE")
    session = stripe_sandbox.checkout(allow_promotion_codes=True)
    stripe_sandbox.pay(session, "4000 0025 0000 3155")
    enter(stripe_sandbox, session, "MEANWHILE")
    stripe_sandbox.browser.post(f"{stripe_sandbox.page(session)}/authenticate", data={"answer": "complete"})
    waiting = stripe_sandbox.read(session, "payment_intent")
    assert (waiting.status, waiting["payment_intent"]["status"]) == ("open", "requires_payment_method")
    assert waiting["payment_intent"]["payment_method"] is None


def test_a_code_for_everything_after_a_decline_cancels_the_payment(stripe_sandbox: Running) -> None:
    code(stripe_sandbox, ALL, code="NO-MATTER")
    session = stripe_sandbox.checkout(allow_promotion_codes=True)
    stripe_sandbox.pay(session, "4000 0000 0000 9995")
    payment = str(stripe_sandbox.read(session).payment_intent)
    enter(stripe_sandbox, session, "NO-MATTER")
    complete_free(stripe_sandbox, session)
    check_no_payment(stripe_sandbox, session)
    canceled = stripe_sandbox.sdk.v1.payment_intents.retrieve(payment)
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")


def test_codes_and_coupons_end_by_the_clock() -> None:
    with running() as sandbox:
        now = int(sandbox.clock())
        dated = code(sandbox, HALF, code="DATED", expires_at=now + DAY // 2)
        of_dated = code(sandbox, {**HALF, "redeem_by": now + DAY // 2}, code="OF-DATED")
        session = sandbox.checkout(allow_promotion_codes=True)
        sandbox.clock.ahead = DAY // 2
        assert "This code has expired." in words(enter(sandbox, session, "DATED"))
        assert "This code is no longer active." in words(enter(sandbox, session, "OF-DATED"))
        codes = sandbox.sdk.v1.promotion_codes
        assert [codes.retrieve(one.id).active for one in (dated, of_dated)] == [False, False]
        ended = sandbox.sdk.v1.coupons.retrieve(str(of_dated.promotion.coupon))
        assert ended.valid is False
        with pytest.raises(stripe.InvalidRequestError) as refused:
            sandbox.checkout(discounts=[{"coupon": ended.id}])
        assert refused.value.code == "coupon_expired"


def test_the_last_redemption_ends_a_code_and_a_coupon(stripe_sandbox: Running) -> None:
    once = code(stripe_sandbox, HALF, code="ONCE", max_redemptions=1)
    of_once = code(stripe_sandbox, {**HALF, "max_redemptions": 1}, code="OF-ONCE")
    for made in (once, of_once):
        session = stripe_sandbox.checkout(allow_promotion_codes=True)
        enter(stripe_sandbox, session, made.code)
        stripe_sandbox.pay(session)
        assert not stripe_sandbox.sdk.v1.promotion_codes.retrieve(made.id).active
        another = stripe_sandbox.checkout(allow_promotion_codes=True)
        assert "no longer active" in words(enter(stripe_sandbox, another, made.code))
    assert not stripe_sandbox.sdk.v1.coupons.retrieve(str(of_once.promotion.coupon)).valid


def test_a_deleted_coupon_is_redeemed_no_more_and_stays_where_it_was_applied(stripe_sandbox: Running) -> None:
    made = code(stripe_sandbox, HALF, code="DELETED")
    applied = stripe_sandbox.checkout(allow_promotion_codes=True)
    enter(stripe_sandbox, applied, "DELETED")
    gone = str(made.promotion.coupon)
    assert stripe_sandbox.sdk.v1.coupons.delete(gone).deleted
    assert "no longer active" in words(
        enter(stripe_sandbox, stripe_sandbox.checkout(allow_promotion_codes=True), "DELETED")
    )
    with pytest.raises(stripe.InvalidRequestError, match="No such coupon"):
        stripe_sandbox.checkout(discounts=[{"coupon": gone}])
    stripe_sandbox.pay(applied)
    assert stripe_sandbox.read(applied).amount_total == 1000
    assert stripe_sandbox.events_about(gone) == ["coupon.created", "coupon.deleted"]


def test_codes_are_listed_by_what_they_are_and_whose(stripe_sandbox: Running) -> None:
    first = code(stripe_sandbox, HALF, code="Listed")
    second = code(stripe_sandbox, HALF)
    codes = stripe_sandbox.sdk.v1.promotion_codes
    assert [one.id for one in codes.list({"code": "LISTED"}).data] == [first.id]
    assert [one.id for one in codes.list({"coupon": str(second.promotion.coupon)}).data] == [second.id]
    assert first.id in [one.id for one in codes.list({"active": True, "limit": 100}).data]


def test_a_free_code_named_by_the_merchant_and_its_coupon_are_expanded(stripe_sandbox: Running) -> None:
    made = code(stripe_sandbox, ALL)
    session = stripe_sandbox.checkout(discounts=[{"promotion_code": made.id}])
    paths = ("discounts.promotion_code.promotion.coupon",)
    (shown,) = stripe_sandbox.read(session, *paths)["discounts"]
    assert shown["promotion_code"]["promotion"]["coupon"]["percent_off"] == 100


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({}, "percent_off"),
        ({"percent_off": 50, "amount_off": 1, "currency": "usd"}, "percent_off"),
        ({"percent_off": 0}, "percent_off"),
        ({"percent_off": 100.5}, "percent_off"),
        ({"amount_off": 1}, "currency"),
        ({"amount_off": 0, "currency": "usd"}, "amount_off"),
        ({"amount_off": 1, "currency": "xxx"}, "currency"),
        ({"percent_off": 1, "duration": "repeating"}, "duration_in_months"),
        ({"percent_off": 1, "duration": "sometimes"}, "duration"),
        ({"percent_off": 1, "max_redemptions": 0}, "max_redemptions"),
        ({"percent_off": 1, "redeem_by": 1}, "redeem_by"),
        ({"percent_off": 1, "applies_to": {"products": ["prod_1"]}}, "applies_to"),
    ],
)
def test_coupons_that_cannot_be(stripe_sandbox: Running, params: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        coupon(stripe_sandbox, **params)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"promotion": {"type": "coupon"}}, "promotion[coupon]"),
        ({"promotion": {"type": "coupon", "coupon": "nothing"}}, "promotion[coupon]"),
        ({"code": "with blank"}, "code"),
        ({"expires_at": 1}, "expires_at"),
        ({"max_redemptions": 0}, "max_redemptions"),
        ({"customer": "cus_nobody"}, "customer"),
        ({"restrictions": {"first_time_transaction": True}}, "restrictions"),
    ],
)
def test_promotion_codes_that_cannot_be(stripe_sandbox: Running, params: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        code(stripe_sandbox, HALF, **params)
    assert refused.value.param == param


def test_an_active_code_is_unique_in_any_case(stripe_sandbox: Running) -> None:
    code(stripe_sandbox, HALF, code="UNIQUE")
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        code(stripe_sandbox, HALF, code="unique")
    code(stripe_sandbox, HALF, code="AGAIN", active=False)
    again = code(stripe_sandbox, ALL, code="AGAIN")
    session = stripe_sandbox.checkout(allow_promotion_codes=True)
    enter(stripe_sandbox, session, "AGAIN")
    assert stripe_sandbox.read(session).discounts[0].promotion_code == again.id  # type: ignore[index]


def test_a_coupon_s_id_is_unique(stripe_sandbox: Running) -> None:
    coupon(stripe_sandbox, id="spring", **HALF)
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        coupon(stripe_sandbox, id="spring", **HALF)


def test_discounts_that_cannot_be_given(stripe_sandbox: Running) -> None:
    half, euros = coupon(stripe_sandbox, **HALF).id, coupon(stripe_sandbox, amount_off=5, currency="eur").id
    ended = code(stripe_sandbox, HALF, active=False).id
    for params, param in (
        ({"discounts": [{"coupon": half}], "allow_promotion_codes": True}, "discounts"),
        ({"discounts": [{"coupon": half}, {"coupon": euros}]}, "discounts"),
        ({"discounts": [{"coupon": half, "promotion_code": ended}]}, "discounts"),
        ({"discounts": [{"coupon": "nothing"}]}, "discounts[0][coupon]"),
        ({"discounts": [{"promotion_code": "promo_nothing"}]}, "discounts[0][promotion_code]"),
        ({"discounts": [{"promotion_code": ended}]}, "discounts[0][promotion_code]"),
        ({"discounts": [{"coupon": euros}]}, "discounts[0][coupon]"),
    ):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            stripe_sandbox.checkout(**params)
        assert refused.value.param == param
    rest = coupon(stripe_sandbox, amount_off=1999, currency="usd")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_sandbox.checkout(discounts=[{"coupon": rest.id}])
    assert refused.value.code == "amount_too_small"


def test_a_free_order_is_reported_by_webhook(receiver: Receiver) -> None:
    with running() as sandbox:
        sandbox.sdk.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["checkout.session.completed"]})
        complete_free(sandbox, sandbox.checkout(sandbox.price(unit_amount=0)))
        wait_for(lambda: receiver.received)
        event = stripe.Webhook.construct_event_without_verification(receiver.received[0][0])
        assert event.data.object["payment_status"] == "no_payment_required"
