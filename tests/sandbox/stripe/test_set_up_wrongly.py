"""What Stripe answers to whoever has set something up wrongly: keys, the other mode, tax, the portal."""

from typing import Any, cast

import httpx2
import pytest
import stripe
from tests.sandbox.stripe.support import Running


def with_key(own: Running, key: str) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": own.url})


@pytest.mark.parametrize(("key", "code"), [("sk_test_unknown_1", None), ("rk_test_expired_1", "api_key_expired")])
def test_keys_that_are_refused(stripe_sandbox: Running, key: str, code: str | None) -> None:
    with pytest.raises(stripe.AuthenticationError) as error:
        with_key(stripe_sandbox, key).v1.accounts.retrieve_current()
    assert (error.value.http_status, cast(Any, error.value.json_body)["error"].get("code")) == (401, code)


def test_a_restricted_key_without_a_permission(stripe_sandbox: Running) -> None:
    sdk = with_key(stripe_sandbox, "rk_test_without_checkout_sessions_write")
    assert len(sdk.v1.checkout.sessions.list({"limit": 1}).data) <= 1
    account = stripe_sandbox.sdk.v1.accounts.retrieve_current().id
    with pytest.raises(stripe.PermissionError) as error:
        sdk.v1.checkout.sessions.expire("cs_test_nobody")
    assert error.value.http_status == 403
    assert f"on account '{account}'" in str(error.value.user_message)
    assert "'rak_checkout_sessions_write' permission" in str(error.value.user_message)
    with pytest.raises(stripe.PermissionError):
        with_key(stripe_sandbox, "rk_test_without_prices_read").v1.prices.list()


def test_a_price_of_the_other_mode(stripe_sandbox: Running) -> None:
    price, prices = stripe_sandbox.price().id, stripe_sandbox.sdk.v1.prices
    move = f"{stripe_sandbox.url}/control/prices/{price}/other_mode"
    httpx2.post(move).raise_for_status()
    with pytest.raises(stripe.InvalidRequestError) as error:
        prices.retrieve(price)
    assert error.value.code == "resource_missing"
    assert "a similar object exists in live mode" in str(error.value.user_message)
    httpx2.post(move).raise_for_status()
    assert prices.retrieve(price).id == price
    assert httpx2.post(move.replace(price, "price_nowhere")).status_code == 404


def setting(own: Running, name: str, **value: str) -> None:
    own.browser.post(f"{own.url}/control/{name}", data=value).raise_for_status()


def test_tax_settings(stripe_sandbox: Running) -> None:
    settings = stripe_sandbox.sdk.v1.tax.settings
    assert settings.retrieve().status == "active"
    setting(stripe_sandbox, "tax", active="no")
    try:
        pending: Any = settings.retrieve()
    finally:
        setting(stripe_sandbox, "tax", active="yes")
    assert (pending.status, pending.head_office) == ("pending", None)
    assert pending.status_details.pending.missing_fields == ["head_office"]


def test_a_portal_that_was_never_saved(stripe_sandbox: Running) -> None:
    v1 = stripe_sandbox.sdk.v1
    customer = v1.customers.create({}).id
    assert v1.billing_portal.sessions.create({"customer": customer}).url
    setting(stripe_sandbox, "portal", saved="no")
    try:
        assert not [one for one in v1.billing_portal.configurations.list().data if one.is_default]
        with pytest.raises(stripe.InvalidRequestError, match="No configuration provided"):
            v1.billing_portal.sessions.create({"customer": customer})
    finally:
        setting(stripe_sandbox, "portal", saved="yes")
