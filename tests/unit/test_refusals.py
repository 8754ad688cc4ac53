"""What Stripe's refusals mean. The messages are Stripe's own, as people report them."""

import pytest

from tollkeeper.errors import Obstacle, Scope
from tollkeeper.providers.stripe.refusals import facts_of, obstacle_of

KEY = "The provided key 'rk_live_*********abc' does not have the required permissions for this endpoint on account"

MEANINGS: dict[str, tuple[int, str | None, str | None, str, Obstacle]] = {
    "archived": (
        400,
        None,
        "line_items[0][price]",
        "The price specified is inactive. This field only accepts active prices.",
        Obstacle.PRICE_ARCHIVED,
    ),
    "product archived": (
        400,
        None,
        "line_items[0][price]",
        "The product of this price is not active: 'prod_1'.",
        Obstacle.PRICE_ARCHIVED,
    ),
    "product inactive, by code": (400, "product_inactive", None, "No.", Obstacle.PRICE_ARCHIVED),
    "no such price": (
        400,
        "resource_missing",
        "line_items[0][price]",
        "No such price: 'price_1'; a similar object exists in live mode, but a test mode key was used to make this"
        " request.",
        Obstacle.PRICE_MISSING,
    ),
    "second currency": (
        400,
        None,
        None,
        "You cannot combine currencies on a single customer. This customer has an active subscription, subscription"
        " schedule, discount, quote, or invoice item with currency eur.",
        Obstacle.OTHER_CURRENCY,
    ),
    "second currency, in other words": (
        400,
        None,
        None,
        "The currency of the selected prices (usd) does not match the customer currency (eur).",
        Obstacle.OTHER_CURRENCY,
    ),
    "tax": (400, None, None, "Stripe Tax has not been activated on your account.", Obstacle.TAX_INACTIVE),
    "tax, by code": (400, "stripe_tax_inactive", None, "No.", Obstacle.TAX_INACTIVE),
    "tax without an address": (
        400,
        None,
        None,
        "You must have a valid origin address to enable automatic tax calculation in test mode.",
        Obstacle.TAX_INACTIVE,
    ),
    "where the customer is": (
        400,
        "customer_tax_location_invalid",
        "customer",
        "Set a valid customer address in order to automatically calculate tax.",
        Obstacle.CUSTOMER_REFUSED,
    ),
    "not activated": (
        403,
        None,
        None,
        "Your account cannot currently make live charges. The `requirements.disabled_reason` property will tell why.",
        Obstacle.ACCOUNT_INACTIVE,
    ),
    "not activated, by code": (400, "testmode_charges_only", None, "No.", Obstacle.ACCOUNT_INACTIVE),
    "no business name": (
        400,
        None,
        None,
        "In order to use Checkout, you must set an account or business name at https://dashboard.stripe.com/account.",
        Obstacle.ACCOUNT_INACTIVE,
    ),
    "wrong key": (401, None, None, "Invalid API Key provided: sk_test_****", Obstacle.KEY_REFUSED),
    "expired key": (401, "api_key_expired", None, "Expired API Key provided: sk_live_****", Obstacle.KEY_REFUSED),
    "publishable key": (403, "secret_key_required", None, "No.", Obstacle.KEY_REFUSED),
    "permission": (
        403,
        None,
        None,
        f"{KEY} 'acct_1'. Having the 'rak_checkout_session_write' permission would allow this request to continue.",
        Obstacle.KEY_LIMITED,
    ),
    "another 403": (403, None, None, "Not you.", Obstacle.KEY_LIMITED),
    "too many subscriptions": (400, "customer_max_subscriptions", None, "No.", Obstacle.CUSTOMER_REFUSED),
    "a customer": (400, None, "customer", "No.", Obstacle.CUSTOMER_REFUSED),
    "too little": (400, "amount_too_small", None, "Amount must be at least 50 cents.", Obstacle.OTHER),
    "no way to pay": (400, None, None, "No valid payment method types for this Checkout Session.", Obstacle.OTHER),
    "a parameter": (400, "parameter_unknown", "customer_update", "Received unknown parameter", Obstacle.OTHER),
}


@pytest.mark.parametrize("name", MEANINGS)
def test_k79_what_a_refusal_means(name: str) -> None:
    status, code, param, message, meant = MEANINGS[name]
    assert obstacle_of(status, code, param, message) is meant


def test_k79_what_it_names_can_be_reported_in_other_words() -> None:
    currencies = [MEANINGS[name][3] for name in ("second currency", "second currency, in other words")]
    assert [facts_of(Obstacle.OTHER_CURRENCY, one) for one in currencies] == [{"currency": "eur"}] * 2
    assert facts_of(Obstacle.KEY_LIMITED, MEANINGS["permission"][3]) == {"permission": "rak_checkout_session_write"}
    assert facts_of(Obstacle.KEY_LIMITED, "Not you.") == facts_of(Obstacle.OTHER, currencies[0]) == {}


def test_k79_nobody_takes_a_product_from_others_by_what_concerns_them_alone() -> None:
    alone = {one for one in Obstacle if one.scope is Scope.PERSON}
    assert alone == {Obstacle.OTHER_CURRENCY, Obstacle.CUSTOMER_REFUSED}
