"""Payment Links: each visit creates a checkout session that no app has created."""

from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.support import VISA, Running, card_form


def link(sandbox: Running, **params: Any) -> stripe.PaymentLink:
    items = [{"price": sandbox.price().id, "quantity": 2}]
    values: Any = {"line_items": items, **params}
    return sandbox.sdk.v1.payment_links.create(values)


def visit(sandbox: Running, made: stripe.PaymentLink, **query: str) -> Any:
    """The checkout session that a visit makes."""
    answer = sandbox.browser.get(made.url, params=query)
    assert answer.status_code == 303
    return sandbox.sdk.v1.checkout.sessions.retrieve(answer.headers["Location"].removeprefix("/c/pay/"))


def test_each_visit_makes_a_session(stripe_sandbox: Running) -> None:
    made = link(stripe_sandbox, metadata={"campaign": "spring"}, customer_creation="always")
    first, second = (visit(stripe_sandbox, made) for _ in range(2))
    assert first.id != second.id
    assert (first.payment_link, first.amount_total, first.client_reference_id) == (made.id, 4000, None)
    assert (first.metadata.to_dict(), first.customer_creation) == ({"campaign": "spring"}, "always")


def test_paying_ends_on_the_page_itself(stripe_sandbox: Running) -> None:
    session = visit(stripe_sandbox, link(stripe_sandbox))
    assert session.success_url is None
    answer = stripe_sandbox.pay(session)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/c/pay/{session.id}")
    assert "all done here" in stripe_sandbox.browser.get(stripe_sandbox.page(session)).text
    assert stripe_sandbox.read(session).payment_status == "paid"
    assert stripe_sandbox.pay(session).headers["Location"] == f"/c/pay/{session.id}"


def test_paying_ends_where_the_link_says(stripe_sandbox: Running) -> None:
    redirect = {"type": "redirect", "redirect": {"url": "http://merchant.test/?id={CHECKOUT_SESSION_ID}"}}
    session = visit(stripe_sandbox, link(stripe_sandbox, after_completion=redirect))
    form = card_form(VISA)
    answer = stripe_sandbox.browser.post(stripe_sandbox.page(session), data=form)
    assert answer.headers["Location"] == f"http://merchant.test/?id={session.id}"


def test_the_address_may_tell_who_comes(stripe_sandbox: Running) -> None:
    made = link(stripe_sandbox)
    known = visit(stripe_sandbox, made, client_reference_id="order_1-a", prefilled_email="known@example.com")
    assert (known.client_reference_id, known.customer_email) == ("order_1-a", "known@example.com")
    for reference in ("x" * 201, "<script>", "a b", "ä", ""):
        strange = visit(stripe_sandbox, made, client_reference_id=reference, prefilled_email="nobody")
        assert (strange.client_reference_id, strange.customer_email) == (None, None)


def test_a_link_that_is_not_active_sells_nothing(stripe_sandbox: Running) -> None:
    made = link(stripe_sandbox)
    stripe_sandbox.sdk.v1.payment_links.update(made.id, {"active": False})
    assert stripe_sandbox.browser.get(made.url).status_code == 410
    assert stripe_sandbox.browser.get(f"{stripe_sandbox.url}/buy/plink_x").status_code == 404
    assert stripe_sandbox.events_about(made.id) == ["payment_link.created", "payment_link.updated"]


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"line_items": []}, "line_items"),
        ({"line_items": [{"price": "price_x", "quantity": 1}]}, "line_items[0][price]"),
        ({"after_completion": {"type": "redirect"}}, "after_completion[redirect]"),
        (
            {"after_completion": {"type": "redirect", "redirect": {"url": "javascript:x"}}},
            "after_completion[redirect][url]",
        ),
        ({"allow_promotion_codes": True}, "allow_promotion_codes"),
    ],
)
def test_links_that_cannot_be(stripe_sandbox: Running, params: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        link(stripe_sandbox, **params)
    assert refused.value.param == param


def test_a_price_that_was_withdrawn_is_not_sold(stripe_sandbox: Running) -> None:
    price = stripe_sandbox.price()
    made = link(stripe_sandbox, line_items=[{"price": price.id, "quantity": 1}])
    stripe_sandbox.sdk.v1.prices.update(price.id, {"active": False})
    assert stripe_sandbox.browser.get(made.url).status_code == 400


def bought_by_a_guest(sandbox: Running) -> Any:
    """The completed checkout session of somebody who came by a link's address, with its payment."""
    session = visit(sandbox, link(sandbox))
    assert sandbox.pay(session, email="guest@example.com").status_code == 303
    return sandbox.read(session, "payment_intent.latest_charge")


def test_a_guest_has_an_e_mail_address_and_no_customer(stripe_sandbox: Running) -> None:
    before = len(stripe_sandbox.sdk.v1.customers.list({"limit": 100}).data)
    session = bought_by_a_guest(stripe_sandbox)
    assert (session.customer_creation, session.customer) == ("if_required", None)
    assert session.customer_details.email == "guest@example.com"
    payment = session.payment_intent
    assert (payment.customer, payment.latest_charge.customer) == (None, None)
    assert len(stripe_sandbox.sdk.v1.customers.list({"limit": 100}).data) == before
    reported = {session.id, payment.id, payment.latest_charge.id}
    events = [one for one in stripe_sandbox.sdk.v1.events.list({"limit": 100}) if one.data.object["id"] in reported]
    assert {event.type for event in events} >= {"checkout.session.completed", "charge.succeeded"}
    assert {event.data.object["customer"] for event in events} == {None}


def test_a_guest_s_payment_is_refunded_and_disputed_on_the_control_page(stripe_sandbox: Running) -> None:
    session = bought_by_a_guest(stripe_sandbox)
    payment = f"{stripe_sandbox.url}/control/payments/{session.payment_intent.id}"
    page = {"Accept": "text/html"}
    for action, form in (("refund", {"amount": "5.00"}), ("dispute", {"reason": "fraudulent"})):
        answer = stripe_sandbox.browser.post(f"{payment}/{action}", data=form, headers=page)
        assert answer.headers["Location"] == f"/control/objects/{session.payment_intent.id}"
    (refund,) = stripe_sandbox.sdk.v1.refunds.list({"payment_intent": session.payment_intent.id}).data
    assert (refund.amount, refund.status, refund["customer"]) == (500, "succeeded", None)
    (dispute,) = stripe_sandbox.sdk.v1.disputes.list({"payment_intent": session.payment_intent.id}).data
    stripe_sandbox.browser.post(f"{stripe_sandbox.url}/control/disputes/{dispute.id}/lose", headers=page)
    assert stripe_sandbox.sdk.v1.disputes.retrieve(dispute.id).status == "lost"
    charge = stripe_sandbox.sdk.v1.charges.retrieve(session.payment_intent.latest_charge.id)
    assert (charge.customer, charge.disputed, charge.amount_refunded) == (None, True, 500)


def test_a_link_to_what_costs_nothing_makes_a_customer(stripe_sandbox: Running) -> None:
    price = stripe_sandbox.price(unit_amount=0)
    session = visit(stripe_sandbox, link(stripe_sandbox, line_items=[{"price": price.id, "quantity": 1}]))
    stripe_sandbox.browser.post(f"{stripe_sandbox.page(session)}/free", data={"email": "guest@example.com"})
    done = stripe_sandbox.read(session, "customer")
    assert (done.payment_status, done["customer"]["email"]) == ("no_payment_required", "guest@example.com")
