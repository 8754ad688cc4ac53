"""The setup of an account, as a table: what exists and what is wanted -> the calls and the notices."""

from dataclasses import replace
from typing import Any

import pytest

from tollkeeper.model.selling import Product
from tollkeeper.providers.stripe.settings import StripeSettings
from tollkeeper.providers.stripe.setup import can_reach
from tollkeeper.providers.stripe.setup_notices import notices
from tollkeeper.providers.stripe.setup_plan import (
    Account,
    Call,
    Wanted,
    catalog_calls,
    endpoint_calls,
    lookup_key,
    plans,
    portal_calls,
    shelves,
)
from tollkeeper.settings.offers import parse

URL = "https://pay.example.com/webhooks/stripe"
EVENTS = frozenset({"charge.refunded", "checkout.session.completed"})
MONTHLY, YEARLY, ONCE = "9.99 EUR per month", "99 EUR per year", "19 EUR"


def wanted(*products: Product, **more: Any) -> Wanted:
    given: dict[str, Any] = {"webhook_url": URL, "secret_known": True, "events": EVENTS, "api_version": "now", **more}
    return Wanted(products, **given)


def product(key: str, *offers: str, stripe: tuple[str, ...] = (), also: tuple[str, ...] = ()) -> Product:
    on_sale = {"stripe": stripe[:1] + also} if also else {}
    prices = {"stripe": stripe + also}
    read = tuple(parse(offer) for offer in offers)
    return Product(key, key.title(), frozenset({"dashboard"}), prices, on_sale=on_sale, offers=read)


def stripe_product(key: str = "pro", **more: Any) -> dict[str, Any]:
    usual = {"id": f"prod_{key}", "name": key.title(), "active": True, "created": 1, "metadata": {"tollkeeper": key}}
    return usual | more


def price(offer: str, key: str = "pro", **more: Any) -> dict[str, Any]:
    read = parse(offer)
    recurring = {"interval": read.interval, "interval_count": read.interval_count, "usage_type": "licensed"}
    return {
        "id": f"price_{key}_{read.amount}",
        "product": f"prod_{key}",
        "active": True,
        "created": 1,
        "billing_scheme": "per_unit",
        "unit_amount": read.amount,
        "currency": read.currency,
        "recurring": recurring if read.interval else None,
        "lookup_key": lookup_key(key, read),
        "metadata": {"tollkeeper": key},
        "transform_quantity": None,
    } | more


def endpoint(**more: Any) -> dict[str, Any]:
    usual = {"id": "we_1", "url": URL, "status": "enabled", "api_version": "now", "created": 1}
    return usual | {"enabled_events": sorted(EVENTS)} | more


def calls(wants: Wanted, found: Account) -> list[Call]:
    placed = shelves(wants, found)
    return [*catalog_calls(placed, found), *portal_calls(placed, found), *endpoint_calls(wants, found)]


def notices_of(wants: Wanted, found: Account) -> str:
    return "\n".join(notices(wants, found, shelves(wants, found)))


def steps(wants: Wanted, found: Account) -> list[tuple[str, str]]:
    return [(call.action, call.path) for call in calls(wants, found)]


def settled(wants: Wanted, found: Account) -> Account:
    """The account with the portal that it would be given."""
    (call,) = portal_calls(shelves(wants, found), found)
    made = {"id": "bpc_1", "active": True, "created": 1, "metadata": call.params["metadata"]}
    return replace(found, portals=[made])


def test_an_empty_account_gets_everything_and_the_endpoint_last() -> None:
    assert steps(wanted(product("pro", MONTHLY, YEARLY)), Account()) == [
        ("make", "/v1/products"),
        ("make", "/v1/prices"),
        ("make", "/v1/prices"),
        ("make", "/v1/billing_portal/configurations"),
        ("make", "/v1/webhook_endpoints"),
    ]


def test_a_complete_account_gets_nothing() -> None:
    wants = wanted(product("pro", MONTHLY, YEARLY))
    there = Account([stripe_product()], [price(MONTHLY), price(YEARLY)], [endpoint()])
    assert calls(wants, settled(wants, there)) == []


def test_a_price_is_made_with_all_that_finds_it_again() -> None:
    found = Account([stripe_product()], endpoints=[endpoint()])
    (call, *_) = calls(wanted(product("pro", "25 USD per 3 months")), found)
    assert call.params == {
        "product": "prod_pro",
        "unit_amount": 2500,
        "currency": "usd",
        "lookup_key": "tollkeeper/pro/2500-usd-3-month",
        "metadata": {"tollkeeper": "pro"},
        "recurring": {"interval": "month", "interval_count": 3},
    }


# What of a product is other than it should be, and the change it gets.
MENDED = [
    (stripe_product(name="Amateur"), {"name": "Pro"}),
    (stripe_product(active=False), {"active": True}),
    (stripe_product(metadata={}), {"metadata": {"tollkeeper": "pro"}}),
    (stripe_product(metadata={}, name="Other"), {"name": "Pro", "metadata": {"tollkeeper": "pro"}}),
]


@pytest.mark.parametrize(("there", "change"), MENDED)
def test_a_product_is_fixed(there: dict[str, Any], change: dict[str, Any]) -> None:
    found = Account([there], [price(ONCE)], [endpoint()])
    (call,) = calls(wanted(product("pro", ONCE)), found)
    assert (call.path, call.params) == ("/v1/products/prod_pro", change)


def test_a_price_made_by_hand_is_used_where_it_is_what_is_offered() -> None:
    made_by_hand = price(ONCE, id="price_hand", lookup_key=None, metadata={})
    found = Account([stripe_product(metadata={})], [made_by_hand], [endpoint()])
    wants = wanted(product("pro", ONCE, stripe=("price_hand",)))
    assert [call.params for call in calls(wants, found)] == [{"metadata": {"tollkeeper": "pro"}}]


def test_an_archived_price_is_sold_again_rather_than_made_twice() -> None:
    found = Account([stripe_product()], [price(ONCE, active=False)], [endpoint()])
    (call,) = calls(wanted(product("pro", ONCE)), found)
    assert (call.path, call.params) == ("/v1/prices/price_pro_1900", {"active": True})


OTHERWISE = [
    price(ONCE, unit_amount=None),
    price(ONCE, billing_scheme="tiered"),
    price(ONCE, transform_quantity={"divide_by": 2}),
    price(ONCE, currency="usd"),
    price(ONCE, recurring={"interval": "month", "interval_count": 1, "usage_type": "licensed"}),
    price(ONCE, product="prod_other"),
]


@pytest.mark.parametrize("there", OTHERWISE)
def test_a_price_that_is_otherwise_is_not_what_is_offered(there: dict[str, Any]) -> None:
    found = Account([stripe_product()], [{**there, "lookup_key": None}], [endpoint()])
    assert ("make", "/v1/prices") in steps(wanted(product("pro", ONCE)), found)


def test_a_metered_price_is_not_what_is_offered() -> None:
    metered = {"interval": "month", "interval_count": 1, "usage_type": "metered"}
    found = Account([stripe_product()], [price(MONTHLY, recurring=metered)], [endpoint()])
    assert ("make", "/v1/prices") in steps(wanted(product("pro", MONTHLY)), found)


def test_a_changed_offer_makes_a_price_and_keeps_the_old_ones_in_order() -> None:
    wants = wanted(product("pro", "29 EUR", ONCE, stripe=("price_pro_500", "price_lost")))
    found = Account([stripe_product()], [price("5 EUR"), price("7 EUR", active=False), price(ONCE)], [endpoint()])
    (shelf,) = shelves(wants, found)
    assert [id for _, id in shelf.on_sale] == ["tollkeeper/pro/2900-eur-once", "price_pro_1900"]
    assert shelf.kept == ("price_pro_500", "price_lost", "price_pro_700")
    assert shelf.settled({"tollkeeper/pro/2900-eur-once": "price_new"}).on_sale[0][1] == "price_new"
    words = notices_of(wants, found)
    assert "price_pro_500 (€5.00, once) of pro is no longer on sale" in words
    assert "price_lost of pro is not in this account" in words
    assert "price_pro_700" not in words


def test_what_others_made_of_the_same_product_unlocks_nothing() -> None:
    others = price("5 EUR", metadata={}, lookup_key=None)
    (shelf,) = shelves(wanted(product("pro", ONCE)), Account([stripe_product()], [price(ONCE), others]))
    assert shelf.kept == ()


def test_of_several_products_with_our_mark_the_oldest_on_sale_is_ours() -> None:
    young, archived = stripe_product(id="prod_2", created=2), stripe_product(id="prod_0", created=0, active=False)
    (shelf,) = shelves(wanted(product("pro", ONCE)), Account([young, archived, stripe_product()]))
    assert shelf.home == "prod_pro"


def test_a_product_that_is_sold_no_longer_is_reported() -> None:
    assert "was created for basic" in notices_of(wanted(product("pro", ONCE)), Account([stripe_product("basic")]))


def test_a_product_without_offers_is_left_alone_but_its_plans_can_be_changed_to() -> None:
    wants = wanted(product("basic", stripe=("price_basic_500",)), product("pro", MONTHLY))
    found = Account(
        [stripe_product("basic", metadata={}), stripe_product()],
        [price("5 EUR per month", "basic", metadata={}, lookup_key=None), price(MONTHLY)],
        [endpoint()],
    )
    assert steps(wants, found) == [("make", "/v1/billing_portal/configurations")]
    assert plans(shelves(wants, found), found) == [
        {"product": "prod_basic", "prices": ["price_basic_500"]},
        {"product": "prod_pro", "prices": ["price_pro_999"]},
    ]


def features(*products: Product) -> dict[str, Any]:
    (call,) = portal_calls(shelves(wanted(*products), Account()), Account())
    found: dict[str, Any] = call.params["features"]
    return found


def test_the_portal_cancels_at_the_end_of_the_period_and_charges_a_change_at_once() -> None:
    found = features(product("pro", MONTHLY, YEARLY))
    assert found["subscription_cancel"] == {"enabled": True, "mode": "at_period_end"}
    assert found["payment_method_update"] == found["invoice_history"] == {"enabled": True}
    assert found["subscription_update"]["proration_behavior"] == "always_invoice"


def test_with_one_plan_there_is_nothing_to_change_to() -> None:
    assert features(product("pro", MONTHLY, ONCE))["subscription_update"] == {"enabled": False}


def test_of_each_product_one_price_for_a_period_can_be_changed_to() -> None:
    wants = wanted(product("pro", MONTHLY, "12 EUR per month", "12 USD per month"))
    (plan,) = plans(shelves(wants, Account()), Account())
    assert plan["prices"] == ["tollkeeper/pro/999-eur-month", "tollkeeper/pro/1200-usd-month"]
    assert "nobody can change to €12.00 per month of pro" in notices_of(wants, Account())


def test_ten_products_can_be_changed_to() -> None:
    products = [product(f"p{number}", MONTHLY) for number in range(11)]
    assert len(features(*products)["subscription_update"]["products"]) == 10
    assert "the first 10 products" in notices_of(wanted(*products), Account())


def test_without_subscriptions_there_is_no_portal() -> None:
    assert list(portal_calls(shelves(wanted(product("pro", ONCE)), Account()), Account())) == []


def test_anybody_who_sold_subscriptions_once_keeps_the_portal() -> None:
    wants = wanted(product("pro", ONCE))
    found = Account([stripe_product()], [price(MONTHLY), price(ONCE)], [endpoint()])
    assert steps(wants, found) == [("make", "/v1/billing_portal/configurations")]


def test_the_portal_follows_the_plans() -> None:
    found = Account([stripe_product()], [price(MONTHLY), price(YEARLY)], [endpoint()])
    before = settled(wanted(product("pro", MONTHLY)), found)
    assert steps(wanted(product("pro", MONTHLY, YEARLY)), before) == [
        ("change", "/v1/billing_portal/configurations/bpc_1")
    ]


OTHER_PORTALS = [{"metadata": {}}, {"metadata": None}, {"active": False}]


@pytest.mark.parametrize("other", OTHER_PORTALS)
def test_a_portal_of_somebody_else_is_left_alone(other: dict[str, Any]) -> None:
    wants, found = wanted(product("pro", MONTHLY)), Account([stripe_product()], [price(MONTHLY)], [endpoint()])
    made = settled(wants, found).portals[0]
    assert steps(wants, replace(found, portals=[{**made, **other}])) == [("make", "/v1/billing_portal/configurations")]


# How the endpoint differs, and the change it gets.
ENDPOINTS = [
    ({}, None),
    ({"url": f"{URL}/"}, None),
    ({"api_version": "then"}, None),
    ({"enabled_events": ["*"]}, {"enabled_events": sorted(EVENTS)}),
    ({"enabled_events": ["charge.refunded"]}, {"enabled_events": sorted(EVENTS)}),
    ({"status": "disabled"}, {"disabled": False}),
    ({"status": "disabled", "enabled_events": ["*"]}, {"enabled_events": sorted(EVENTS), "disabled": False}),
]


@pytest.mark.parametrize(("other", "change"), ENDPOINTS)
def test_an_endpoint_is_fixed(other: dict[str, Any], change: dict[str, Any] | None) -> None:
    made = list(endpoint_calls(wanted(), Account(endpoints=[endpoint(**other)])))
    assert [(call.path, call.params) for call in made] == ([("/v1/webhook_endpoints/we_1", change)] if change else [])


def test_an_endpoint_with_another_address_is_somebody_elses() -> None:
    elsewhere = Account(endpoints=[endpoint(url="https://other.example.com/webhooks/stripe")])
    (call,) = endpoint_calls(wanted(), elsewhere)
    assert call.params["url"] == URL
    assert call.params["api_version"] == "now"
    assert notices_of(wanted(), elsewhere) == ""


def test_the_version_of_an_endpoint_cannot_be_changed_so_it_is_reported() -> None:
    assert "--new-endpoint" in notices_of(wanted(), Account(endpoints=[endpoint(api_version=None)]))
    assert notices_of(wanted(), Account(endpoints=[endpoint()])) == ""


def test_a_lost_secret_can_be_looked_up_or_replaced() -> None:
    words = notices_of(wanted(secret_known=False), Account(endpoints=[endpoint()]))
    assert "dashboard.stripe.com/test/webhooks/we_1" in words
    assert "--new-endpoint" in words
    assert "/test/" not in notices_of(wanted(secret_known=False, live=True), Account(endpoints=[endpoint()]))


def test_a_new_endpoint_is_made_next_to_the_old_one_which_is_reported() -> None:
    wants, found = wanted(new_endpoint=True), Account(endpoints=[endpoint()])
    assert steps(wants, found) == [("make", "/v1/webhook_endpoints")]
    assert "delete the older endpoint" in notices_of(wants, found)


def test_of_several_endpoints_the_best_is_used_and_the_others_are_reported() -> None:
    old, off = endpoint(id="we_old", api_version="then", created=9), endpoint(id="we_off", status="disabled", created=9)
    found = Account(endpoints=[old, off, endpoint()])
    assert list(endpoint_calls(wanted(), found)) == []
    assert "we_old, we_off" in notices_of(wanted(), found)


def test_where_stripe_cannot_reach_us_there_is_no_endpoint_and_polling_does_the_work() -> None:
    wants = wanted(webhook_url=None)
    assert list(endpoint_calls(wants, Account())) == []
    assert "every 30 seconds" in notices_of(wants, Account())


REACHED = [
    ("https://pay.example.com", None, True),
    ("https://pay.example.com/shop", None, True),
    ("http://localhost:8000", None, False),
    ("http://127.0.0.1:8000/shop", None, False),
    ("http://[::1]:8000", None, False),
    ("http://localhost:8000", "https://stripe.example.com", False),
    ("http://localhost:8000", "http://127.0.0.1:4001", True),
]


@pytest.mark.parametrize(("ours", "stripe", "reached"), REACHED)
def test_only_what_is_on_this_machine_too_reaches_this_machine(ours: str, stripe: str | None, reached: bool) -> None:
    assert can_reach(StripeSettings("sk_test_1", api_base=stripe), ours) is reached
