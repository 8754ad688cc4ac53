"""Stripe's lasting refusals: archived prices, a second currency, an account that is not set up."""

from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.subscribing import monthly, subscriber
from tests.sandbox.stripe.support import Running, running


@pytest.fixture
def own() -> Iterator[Running]:
    with running() as made:
        yield made


def refused(call: Any, *args: Any, **params: Any) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as error:
        call(*args, **params)
    return error.value


def test_an_archived_price_is_not_sold(stripe_sandbox: Running) -> None:
    price = stripe_sandbox.price()
    stripe_sandbox.sdk.v1.prices.update(price.id, {"active": False})
    error = refused(stripe_sandbox.checkout, price)
    assert error.user_message == "The price specified is inactive. This field only accepts active prices."
    assert (error.http_status, error.param) == (400, "line_items[0][price]")


@pytest.mark.parametrize("over", [False, True])
def test_one_customer_subscribes_in_one_currency(stripe_sandbox: Running, over: bool) -> None:
    buyer = subscriber(stripe_sandbox)
    made = buyer.subscribe()
    in_euros = monthly(stripe_sandbox, currency="eur")
    if over:
        stripe_sandbox.sdk.v1.subscriptions.cancel(made.id)
        assert buyer.subscribe(in_euros).status == "active"
        return
    params: Any = {"customer": buyer.customer, "mode": "subscription"}
    for error in (refused(buyer.subscribe, in_euros), refused(stripe_sandbox.checkout, in_euros, **params)):
        assert error.user_message == (
            "You cannot combine currencies on a single customer. This customer has an active subscription, "
            "subscription schedule, discount, quote, or invoice item with currency usd"
        )
    once = stripe_sandbox.price(currency="eur")
    assert stripe_sandbox.checkout(once, customer=buyer.customer).currency == "eur"


def test_an_account_that_is_not_activated_sells_nothing(own: Running) -> None:
    buyer, setting = subscriber(own), f"{own.url}/control/account"
    assert own.browser.post(setting, data={"charges": "disabled"}).json() == {"charges": "disabled"}
    account = own.sdk.v1.accounts.retrieve_current()
    assert (account.charges_enabled, account.details_submitted) == (False, False)
    for error in (refused(own.checkout), refused(buyer.subscribe)):
        assert (error.code, error.http_status) == ("testmode_charges_only", 400)
        assert error.user_message == "Your account cannot currently make live charges."
    assert own.browser.post(setting, data={"charges": "perhaps"}).status_code == 400
    own.browser.post(setting, data={"charges": "enabled"})
    assert own.sdk.v1.accounts.retrieve_current().charges_enabled
    assert own.checkout().status == "open"


def test_the_page_shows_what_is_set(own: Running) -> None:
    own.browser.post(f"{own.url}/control/account", data={"charges": "disabled"})
    own.browser.post(f"{own.url}/control/drafts", data={"seconds": "7200"})
    page = own.browser.get(own.url).text
    for words in ("Enable charges", "7200 seconds", "as its test number says"):
        assert words in page
    html = {"Accept": "text/html"}
    answer = own.browser.post(f"{own.url}/control/drafts", data={"seconds": "never"}, headers=html)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/#settings")
