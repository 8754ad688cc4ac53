"""Nothing is ignored silently: versions, limits, empty lists, addresses that only look like an object's."""

from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.subscribing import DAY, monthly, subscriber
from tests.sandbox.stripe.support import Running

from tollkeeper_sandbox.stripe.api.calls import NO_IDS
from tollkeeper_sandbox.stripe.api.empty_lists import EMPTY
from tollkeeper_sandbox.stripe.known.cards import ABROAD, BY_NUMBER, NAMED, UNSERVED, passes_luhn


def error_of(answer: Any) -> Any:
    return answer.json()["error"]


@pytest.mark.parametrize(("version", "status"), [("2026-10-28.endive", 200), ("2026-09-30.endive", 200)])
def test_a_version_that_is_served(stripe_sandbox: Running, version: str, status: int) -> None:
    answer = stripe_sandbox.post("/v1/customers", headers={"Stripe-Version": version})
    assert (answer.status_code, answer.headers["Stripe-Version"]) == (status, "2026-10-28.endive")


@pytest.mark.parametrize("version", ["2020-08-27", "2026-08-26.dahlia", "2026-11-25.endive", "2027-01-01.future"])
def test_another_version_is_refused_by_name(stripe_sandbox: Running, version: str) -> None:
    answer = stripe_sandbox.post("/v1/customers", headers={"Stripe-Version": version})
    assert (answer.status_code, error_of(answer)["code"]) == (400, "sandbox_unsupported_value")
    assert f"Stripe-Version={version}" in error_of(answer)["message"]
    assert "2026-10-28.endive" in error_of(answer)["message"]


@pytest.mark.parametrize("version", ["2024-06-20", "2026-09-30.endive"])
def test_an_endpoint_gets_one_version_alone(stripe_sandbox: Running, version: str) -> None:
    form = {"url": "http://127.0.0.1:9/", "enabled_events[]": "*", "api_version": version}
    answer = stripe_sandbox.post("/v1/webhook_endpoints", data=form)
    assert (answer.status_code, error_of(answer)["param"]) == (400, "api_version")
    assert error_of(answer)["code"] == "sandbox_unsupported_value"


@pytest.mark.parametrize(("written", "active"), [("True", True), ("False", False), ("true", True), ("false", False)])
def test_older_sdks_write_flags_with_a_capital(stripe_sandbox: Running, written: str, active: bool) -> None:
    answer = stripe_sandbox.post("/v1/products", data={"name": "Tea", "active": written})
    assert answer.json()["active"] is active
    assert error_of(stripe_sandbox.post("/v1/products", data={"name": "Tea", "active": "1"}))["param"] == "active"


@pytest.mark.parametrize("path", sorted(NO_IDS))
def test_what_only_looks_like_an_object_is_unknown(stripe_sandbox: Running, path: str) -> None:
    answer = stripe_sandbox.get(path)
    assert answer.status_code == 404
    assert "Unrecognized request URL" in error_of(answer)["message"]


def test_expanding_nothing_gives_nothing(stripe_sandbox: Running) -> None:
    customer = stripe_sandbox.sdk.v1.customers.create()
    session = stripe_sandbox.checkout(customer=customer.id)
    stripe_sandbox.sdk.v1.customers.delete(customer.id)
    expand = ["customer.subscriptions", "customer.default_source", "payment_intent.latest_charge.refunds"]
    found = stripe_sandbox.read(session, *expand)
    assert (found.customer.deleted, found.payment_intent) == (True, None)  # type: ignore[union-attr]
    bought = stripe_sandbox.checkout()
    stripe_sandbox.pay(bought)
    intent = str(stripe_sandbox.read(bought).payment_intent)
    read = stripe_sandbox.sdk.v1.payment_intents.retrieve(intent, {"expand": ["last_payment_error.payment_method"]})
    assert read.last_payment_error is None
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        stripe_sandbox.sdk.v1.payment_intents.retrieve(intent, {"expand": ["nothing.at.all"]})


def test_lines_show_the_subscription_s_metadata_as_it_is_now(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe(metadata={"order": "ord_1"})
    assert buyer.invoices(made)[0].lines.data[0].metadata.to_dict() == {"order": "ord_1"}
    buyer.update(made, metadata={"order": "ord_2"})
    buyer.go(28 * DAY)
    assert [one.lines.data[0].metadata.to_dict() for one in buyer.invoices(made)] == [{"order": "ord_2"}] * 2


@pytest.mark.parametrize("path", [path for path, _, _ in EMPTY])
def test_what_there_is_none_of_is_an_empty_list(stripe_sandbox: Running, path: str) -> None:
    owners = {"customers": stripe_sandbox.sdk.v1.customers.create().id, "products": str(stripe_sandbox.price().product)}
    filled = path.format(id=owners.get(path.partition("/")[0], ""))
    needed = {"setup_attempts": {"setup_intent": "seti_1"}}
    answer = stripe_sandbox.get(f"/v1/{filled}", params={"limit": "3", **needed.get(path, {})})
    assert answer.json() == {"object": "list", "data": [], "has_more": False, "url": f"/v1/{filled}"}
    assert stripe_sandbox.get(f"/v1/{filled}", params={"limit": "101", **needed.get(path, {})}).status_code == 400


def test_an_empty_list_of_nobody_is_not_found(stripe_sandbox: Running) -> None:
    assert stripe_sandbox.get("/v1/customers/cus_none/tax_ids").status_code == 404


def test_the_lists_that_were_missing(stripe_sandbox: Running) -> None:
    stripe_ = stripe_sandbox.sdk.v1
    coupon = stripe_.coupons.create({"percent_off": 10, "duration": "once"})
    assert coupon.id in [one.id for one in stripe_.coupons.list().data]
    price = monthly(stripe_sandbox)
    plan = stripe_.plans.list({"limit": 1}).data[0]
    assert (plan.id, plan.amount, plan.interval, plan.object) == (price.id, 2000, "month", "plan")
    assert stripe_.plans.retrieve(price.id).product == price.product
    with pytest.raises(stripe.InvalidRequestError):
        stripe_.plans.retrieve(stripe_sandbox.price().id)
    assert {(one.id, one.percentage, one.inclusive) for one in stripe_.tax_rates.list().data} == {
        ("txr_sandbox", 19, False),
        ("txr_sandbox_inclusive", 19, True),
    }
    account = stripe_.accounts.retrieve_current().id
    assert stripe_sandbox.get(f"/v1/accounts/{account}").json()["id"] == account
    assert stripe_sandbox.get("/v1/accounts/acct_other").status_code == 403
    link = stripe_.payment_links.create({"line_items": [{"price": price.id, "quantity": 3}]})
    assert [one.quantity for one in stripe_.payment_links.line_items.list(link.id).data] == [3]


def test_tax_names_a_rate_that_there_is(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox, address={"country": "DE"})
    made = buyer.subscribe(automatic_tax={"enabled": True})
    (tax,) = buyer.invoices(made)[0].total_taxes
    assert stripe_sandbox.sdk.v1.tax_rates.retrieve(tax.tax_rate_details.tax_rate).percentage == 19


@pytest.mark.parametrize("name", sorted(NAMED))
def test_cards_have_the_names_that_stripe_gives_them(stripe_sandbox: Running, name: str) -> None:
    card = BY_NUMBER[NAMED[name]]
    assert passes_luhn(card.number)
    customer = stripe_sandbox.sdk.v1.customers.create().id
    answer = stripe_sandbox.post(f"/v1/payment_methods/pm_card_{name}/attach", data={"customer": customer})
    kept = card.decline is None or card.attaches or card.authenticate
    if answer.status_code == 200:
        assert answer.json()["card"]["last4"] == card.last4
    else:
        assert answer.status_code == 402
    assert (answer.status_code == 200) == (kept and (card.decline is None or card.attaches))
    if name in ABROAD:
        assert answer.json()["card"]["country"] == name[:2].upper()


@pytest.mark.parametrize("name", [*sorted(UNSERVED), "tigerExpress"])
def test_a_name_that_is_not_served_is_refused(stripe_sandbox: Running, name: str) -> None:
    customer = stripe_sandbox.sdk.v1.customers.create().id
    answer = stripe_sandbox.post(f"/v1/payment_methods/pm_card_{name}/attach", data={"customer": customer})
    assert answer.status_code == 400
    code = "sandbox_unsupported_value" if name in UNSERVED else "resource_missing"
    assert error_of(answer)["code"] == code


def test_a_list_of_events_takes_twenty_types(stripe_sandbox: Running) -> None:
    types = [f"invoice.type_{n}" for n in range(21)]
    assert stripe_sandbox.sdk.v1.events.list({"types": types[:20]}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="Array types exceeded maximum 20 allowed elements"):
        stripe_sandbox.sdk.v1.events.list({"types": types})
    with pytest.raises(stripe.InvalidRequestError, match="but not both"):
        stripe_sandbox.sdk.v1.events.list({"types": types[:1], "type": "invoice.paid"})


@pytest.mark.parametrize(
    ("path", "form", "param"),
    [
        ("/v1/customers", {"name": "n" * 257}, "name"),
        ("/v1/customers", {"phone": "1" * 21}, "phone"),
        ("/v1/customers", {"business_name": "n" * 151}, "business_name"),
        ("/v1/customers", {"email": "a@" + "b" * 507 + ".com"}, "email"),
        ("/v1/customers", {f"metadata[k{n}]": "v" for n in range(51)}, "metadata"),
        ("/v1/customers", {f"metadata[{'k' * 41}]": "v"}, f"metadata[{'k' * 41}]"),
        ("/v1/customers", {"metadata[k]": "v" * 501}, "metadata[k]"),
        ("/v1/products", {"name": "Tea", "statement_descriptor": "s" * 23}, "statement_descriptor"),
        ("/v1/products", {"name": "Tea", **{f"images[{n}]": "http://a.test/" for n in range(9)}}, "images"),
        ("/v1/coupons", {"percent_off": "10", "name": "n" * 41}, "name"),
        ("/v1/prices", {"currency": "eur", "unit_amount": "1", "lookup_key": "l" * 201}, "lookup_key"),
        (
            "/v1/payment_links",
            {f"line_items[{n}][{key}]": "1" for n in range(21) for key in ("price", "quantity")},
            "line_items",
        ),
    ],
)
def test_documented_limits_hold(stripe_sandbox: Running, path: str, form: Any, param: str) -> None:
    answer = stripe_sandbox.post(path, data=form)
    assert (answer.status_code, error_of(answer)["param"]) == (400, param)


def test_limits_are_met_but_not_passed(stripe_sandbox: Running) -> None:
    form = {f"metadata[{n:040}]": "v" * 500 for n in range(50)}
    form |= {"name": "n" * 256, "phone": "1" * 20, "email": "a@" + "b" * 506 + ".com"}
    assert stripe_sandbox.post("/v1/customers", data=form).status_code == 200
    assert stripe_sandbox.get("/v1/prices", params=[("lookup_keys[]", "k")] * 10).status_code == 200
    assert stripe_sandbox.get("/v1/prices", params=[("lookup_keys[]", "k")] * 11).status_code == 400


def test_a_subscription_begins_with_twenty_things_bought_once(stripe_sandbox: Running) -> None:
    recurring, once = monthly(stripe_sandbox).id, stripe_sandbox.price().id
    items = [{"price": recurring, "quantity": 1}, *[{"price": once, "quantity": 1} for _ in range(20)]]
    assert stripe_sandbox.checkout(mode="subscription", line_items=items).status == "open"
    with pytest.raises(stripe.InvalidRequestError, match="20 line items"):
        stripe_sandbox.checkout(mode="subscription", line_items=[*items, items[-1]])


def test_events_are_kept_for_thirty_days(stripe_sandbox: Running) -> None:
    events = stripe_sandbox.sdk.v1.events
    customer = stripe_sandbox.sdk.v1.customers.create()
    event = events.list({"type": "customer.created", "limit": 1}).data[0]
    assert event.data.object["id"] == customer.id
    try:
        stripe_sandbox.clock.ahead += 30 * DAY - 60
        assert events.retrieve(event.id).id == event.id
        stripe_sandbox.clock.ahead += 120
        assert event.id not in [one.id for one in events.list({"limit": 100}).auto_paging_iter()]
        with pytest.raises(stripe.InvalidRequestError, match="No such event"):
            events.retrieve(event.id)
    finally:
        stripe_sandbox.clock.ahead = 0


def test_a_customer_is_delinquent_while_an_invoice_is_owed(stripe_sandbox: Running) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    customers = stripe_sandbox.sdk.v1.customers
    assert not customers.retrieve(buyer.customer).delinquent
    buyer.use_card("chargeCustomerFail")
    buyer.go(28 * DAY + 3600)
    assert customers.retrieve(buyer.customer).delinquent
    stripe_sandbox.sdk.v1.invoices.mark_uncollectible(buyer.invoices(made)[-1].id)
    assert not customers.retrieve(buyer.customer).delinquent


def test_a_customer_is_found_and_changed(stripe_sandbox: Running) -> None:
    customers = stripe_sandbox.sdk.v1.customers
    made = customers.create({"email": "old@example.com", "metadata": {"person": "per_1"}})
    customers.update(made.id, {"email": "new@example.com", "name": "New", "metadata": {"seen": "yes"}})
    assert customers.list({"email": "old@example.com"}).data == []
    (found,) = customers.list({"email": "new@example.com"}).data
    assert (found.id, found.name) == (made.id, "New")
    assert found.metadata
    assert found.metadata.to_dict() == {"person": "per_1", "seen": "yes"}
    assert stripe_sandbox.events_about(made.id) == ["customer.created", "customer.updated"]
