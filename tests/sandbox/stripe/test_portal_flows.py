"""Links into the customer portal for one action: its cost is shown, then it is confirmed."""

from typing import Any

import httpx2
import pytest
import stripe
from tests.sandbox.stripe.subscribing import DAY, monthly, subscriber
from tests.sandbox.stripe.support import Running

FLOW = "subscription_update_confirm"
BACK = "http://merchant.test/account"


class Sold:
    """A subscriber to Basic, for whom a portal offers Pro."""

    def __init__(
        self, sandbox: Running, proration: str = "always_invoice", card: str = "visa", trials: str = "", **params: Any
    ) -> None:
        self.sandbox, self.buyer = sandbox, subscriber(sandbox, card)
        self.basic, self.pro = monthly(sandbox), monthly(sandbox, unit_amount=5000, product_data={"name": "Pro"})
        self.made = self.buyer.subscribe(self.basic, **params)
        products = [{"product": str(one.product), "prices": [one.id]} for one in (self.basic, self.pro)]
        change = {
            "enabled": True,
            "default_allowed_updates": ["price"],
            "products": products,
            "proration_behavior": proration,
            **({"trial_update_behavior": trials} if trials else {}),
        }
        features: Any = {
            "subscription_update": change,
            "payment_method_update": {"enabled": True},
            "subscription_cancel": {"enabled": True},
        }
        self.configuration = sandbox.sdk.v1.billing_portal.configurations.create({"features": features}).id
        self.item = self.made["items"].data[0].id

    def link(self, flow: Any, **params: Any) -> Any:
        values: Any = {
            "customer": self.buyer.customer,
            "configuration": self.configuration,
            "flow_data": flow,
            **params,
        }
        return self.sandbox.sdk.v1.billing_portal.sessions.create(values)

    def upgrade(self, after: Any = None, **params: Any) -> Any:
        confirm = {"subscription": self.made.id, "items": [{"id": self.item, "price": self.pro.id}], **params}
        flow: Any = {"type": FLOW, FLOW: confirm}
        return self.link({**flow, "after_completion": after} if after else flow, return_url=BACK)

    def visit(self, link: Any) -> httpx2.Response:
        answer = self.sandbox.browser.get(link.url)
        while answer.status_code == 303:
            answer = self.sandbox.browser.get(f"{self.sandbox.url}{answer.headers['Location']}")
        return answer

    def confirm(self, link: Any) -> httpx2.Response:
        return self.sandbox.browser.post(f"{link.url}/confirm")


def test_the_cost_of_a_change_is_reported_then_charged(stripe_sandbox: Running) -> None:
    sold = Sold(stripe_sandbox)
    sold.buyer.go(14 * DAY)
    details: Any = {"items": [{"id": sold.item, "price": sold.pro.id}], "proration_behavior": "always_invoice"}
    preview = stripe_sandbox.sdk.v1.invoices.create_preview(
        {"subscription": sold.made.id, "subscription_details": details}
    )
    link = sold.upgrade()
    assert link.flow[FLOW]["items"][0].to_dict() == {"id": sold.item, "price": sold.pro.id, "quantity": 1}
    page = sold.visit(link).text
    for words in (
        "Confirm your new plan",
        "Pro, $50.00 per month",
        "$20.00 per month",
        "Unused time",
        "−$10.00",
        "Due today",
    ):
        assert words in page
    assert f"${preview.amount_due / 100:.2f}" in page
    answer = sold.confirm(link)
    assert (answer.status_code, answer.headers["Location"].endswith("?overview=yes")) == (303, True)
    assert sold.buyer.read(sold.made)["items"].data[0].price.id == sold.pro.id
    assert sold.buyer.invoices(sold.made)[-1].amount_paid == preview.amount_due
    count = len(sold.buyer.invoices(sold.made))
    assert sold.confirm(link).status_code == 303  # pressed twice, charged once
    assert len(sold.buyer.invoices(sold.made)) == count


def test_a_change_that_costs_nothing_today_says_when_it_will(stripe_sandbox: Running) -> None:
    sold = Sold(stripe_sandbox, "create_prorations")
    sold.buyer.go(14 * DAY)
    page = sold.visit(sold.upgrade()).text
    for words in ("On your next invoice", "Nothing is due today", "Due on 2027-02-28"):
        assert words in page


@pytest.mark.parametrize(
    ("trials", "status", "words"),
    [("", "active", "Due today"), ("end_trial", "active", "Due today"), ("continue_trial", "trialing", "Due on")],
)
def test_a_change_ends_a_trial_or_lets_it_go_on(stripe_sandbox: Running, trials: str, status: str, words: str) -> None:
    sold = Sold(stripe_sandbox, trials=trials, trial_period_days=10)
    link = sold.upgrade()
    assert words in sold.visit(link).text
    assert sold.confirm(link).status_code == 303
    changed = sold.buyer.read(sold.made)
    assert (changed.status, changed["items"].data[0].price.id) == (status, sold.pro.id)
    paid = [one.amount_paid for one in sold.buyer.invoices(sold.made)]
    assert sum(paid) == (5000 if status == "active" else 0)


def test_a_declined_card_changes_nothing(stripe_sandbox: Running) -> None:
    sold = Sold(stripe_sandbox)
    sold.buyer.use_card("chargeCustomerFail")
    link = sold.upgrade()
    answer = sold.confirm(link)
    assert (answer.status_code, "Nothing was changed" in answer.text) == (402, True)
    assert sold.buyer.read(sold.made)["items"].data[0].price.id == sold.basic.id


@pytest.mark.parametrize(
    ("after", "there"),
    [
        ({"type": "redirect", "redirect": {"return_url": f"{BACK}?changed=1"}}, f"{BACK}?changed=1"),
        ({"type": "hosted_confirmation", "hosted_confirmation": {"custom_message": "Enjoy Pro"}}, "/done"),
        ({"type": "portal_homepage"}, "?overview=yes"),
    ],
)
def test_it_ends_where_the_merchant_wants(stripe_sandbox: Running, after: Any, there: str) -> None:
    sold = Sold(stripe_sandbox)
    link = sold.upgrade(after)
    answer = sold.confirm(link)
    assert answer.headers["Location"].endswith(there)
    if there == "/done":
        page = stripe_sandbox.browser.get(f"{stripe_sandbox.url}{answer.headers['Location']}").text
        assert "Enjoy Pro" in page
        assert BACK in page


def test_a_discount_comes_with_it(stripe_sandbox: Running) -> None:
    sold = Sold(stripe_sandbox)
    coupon = stripe_sandbox.sdk.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    sold.buyer.go(14 * DAY)
    link = sold.upgrade(discounts=[{"coupon": coupon.id}])
    assert "Discount" in sold.visit(link).text
    sold.confirm(link)
    (given,) = sold.buyer.read(sold.made).discounts
    sold.confirm(link)  # pressed twice, given once
    assert sold.buyer.read(sold.made).discounts == [given]
    assert sold.buyer.invoices(sold.made)[-1].total == 750


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([], "One item"),
        ([{"id": "si_none"}], "No such subscription item"),
        ([{"id": "ITEM"}], "nothing to confirm"),
        ([{"id": "ITEM", "price": "OTHER"}], "must be among"),
        ([{"id": "ITEM", "price": "PRO", "quantity": 2}], "does not allow updates of the quantity"),
    ],
)
def test_what_cannot_be_confirmed_is_refused(stripe_sandbox: Running, items: Any, words: str) -> None:
    sold = Sold(stripe_sandbox)
    names = {"ITEM": sold.item, "OTHER": monthly(stripe_sandbox).id, "PRO": sold.pro.id}
    given = [{name: names.get(value, value) for name, value in one.items()} for one in items]
    flow = {"type": FLOW, FLOW: {"subscription": sold.made.id, "items": given or ""}}
    with pytest.raises(stripe.InvalidRequestError, match=words if items else "items"):
        sold.link(flow)


def test_nobody_confirms_a_change_of_somebody_else_s(stripe_sandbox: Running) -> None:
    sold, other = Sold(stripe_sandbox), Sold(stripe_sandbox)
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription"):
        sold.upgrade(subscription=other.made.id)
    with pytest.raises(stripe.InvalidRequestError, match="redirect"):
        sold.upgrade({"type": "redirect"})
    plain = sold.link({"type": "payment_method_update"})
    assert stripe_sandbox.browser.get(f"{plain.url}/confirm").status_code == 404


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        ("payment_method_update", "Update your card"),
        ("subscription_cancel", "Cancel your subscription"),
        ("subscription_update", "Change your plan"),
    ],
)
def test_the_other_flows_lead_to_their_page(stripe_sandbox: Running, flow: str, words: str) -> None:
    sold = Sold(stripe_sandbox)
    given: Any = {"type": flow}
    if flow != "payment_method_update":
        given[flow] = {"subscription": sold.made.id}
    assert words in sold.visit(sold.link(given)).text
