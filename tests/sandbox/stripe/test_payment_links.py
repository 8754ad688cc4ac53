"""Payment Links: each visit makes a checkout session that no app has made."""

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
