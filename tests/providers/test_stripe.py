"""How Stripe's objects become our own types, including states that the sandbox cannot reach."""

import copy
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.providers.worlds import StripeWorld, opened
from tests.support.issuers import serving
from tests.support.running import Sandbox

from tollkeeper.errors import ProviderRefused
from tollkeeper.model.bought import Dispute, Line, Payment, Purchase
from tollkeeper.model.orders import Customer, Order, OrderState, Realm
from tollkeeper.model.selling import Price
from tollkeeper.providers.protocol import PaymentProvider, ReturnAddresses

pytestmark = pytest.mark.anyio

EXPAND = ["data.line_items", "data.payment_intent.latest_charge"]
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def world(sandbox: Sandbox) -> StripeWorld:
    return StripeWorld(sandbox)


@pytest.fixture
async def provider(world: StripeWorld) -> AsyncIterator[PaymentProvider]:
    async with opened(world.provider()) as provider:
        yield provider


@pytest.fixture(scope="module")
def paid_session(sandbox: Sandbox) -> dict[str, Any]:
    """A paid checkout session with everything in it, as the API lists it."""
    world, stripe = StripeWorld(sandbox), sandbox.stripe
    customer = stripe.v1.customers.create({"email": "buyer@example.com"}).id
    made = stripe.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "customer": customer,
            "client_reference_id": "ord_1",
            "line_items": [{"price": world.price(), "quantity": 1}],
            "success_url": "https://pay.example/success",
            "metadata": {"person": "per_1"},
        }
    )
    assert made.url
    world.pay(made.url)
    listing = stripe.v1.checkout.sessions.list({"customer": customer, "expand": EXPAND})
    session: dict[str, Any] = json.loads(str(listing.data[0]))
    return session


def listing(found: Sequence[Any]) -> dict[str, Any]:
    return {"object": "list", "url": "/v1/things", "has_more": False, "data": list(found)}


@contextmanager
def answering(found: dict[str, Any], disputes: Sequence[str] = (), lines: Sequence[Any] = ()) -> Iterator[str]:
    """A server that gives one answer, whatever is asked; and knows no subscriptions. ``disputes`` are the statuses of
    those that it lists for the charge of ``found``, ``lines`` what comes after those that a session holds.
    """
    reported: dict[str, Sequence[Any]] = {"subscriptions": (), "line_items": lines}

    async def answer(request: Request) -> Response:
        name = request.url.path.rsplit("/", 1)[-1]
        if name == "disputes":
            assert request.query_params["charge"].startswith("ch_")
            return JSONResponse(listing([{"id": f"dp_{at}", "status": one} for at, one in enumerate(disputes)]))
        return JSONResponse(listing(reported[name]) if name in reported else found)

    with serving(Starlette(routes=[Route("/{any:path}", answer)])) as address:
        yield address


async def purchases_after(
    world: StripeWorld,
    session: dict[str, Any],
    change: Change,
    disputes: Sequence[str] = (),
    lines: Sequence[Any] = (),
) -> tuple[Purchase, ...]:
    """The snapshot's purchases, if Stripe said this of the session."""
    changed = copy.deepcopy(session)
    change(changed)
    customer = Customer(1, Realm("stripe", "acct_1", live=False), session["customer"], "per_1")
    with answering(listing([changed]), disputes, lines) as address:
        async with opened(world.provider(at=address)) as provider:
            return (await provider.snapshot(customer)).purchases


def states(payment_status: str, intent: str | None) -> Change:
    def change(session: dict[str, Any]) -> None:
        session["payment_status"] = payment_status
        if intent is None:
            session["payment_intent"] = None
        else:
            session["payment_intent"]["status"] = intent

    return change


@pytest.mark.parametrize(
    ("payment_status", "intent", "payment"),
    [
        ("paid", "succeeded", Payment.PAID),
        ("unpaid", "processing", Payment.PENDING),
        ("unpaid", "requires_action", Payment.PENDING),  # a voucher, to be paid in a shop
        ("unpaid", "requires_payment_method", Payment.UNPAID),
        ("unpaid", "canceled", Payment.UNPAID),
        ("unpaid", "succeeded", Payment.PENDING),
        ("unpaid", None, Payment.UNPAID),
        ("no_payment_required", None, Payment.FREE),
        ("something_new", "succeeded", Payment.PENDING),
        ("PAID", "succeeded", Payment.PENDING),
    ],
)
async def test_a03_only_what_stripe_calls_paid_is_paid(
    world: StripeWorld, paid_session: dict[str, Any], payment_status: str, intent: str | None, payment: Payment
) -> None:
    (purchase,) = await purchases_after(world, paid_session, states(payment_status, intent))
    assert purchase.payment is payment


def charge_says(**facts: Any) -> Change:
    return lambda session: session["payment_intent"]["latest_charge"].update(facts)


async def test_a11_refunds_and_disputes_are_read_from_the_charge(
    world: StripeWorld, paid_session: dict[str, Any]
) -> None:
    (refunded,) = await purchases_after(world, paid_session, charge_says(amount_refunded=700))
    assert (refunded.amount_refunded, refunded.dispute) == (700, Dispute.NONE)
    (disputed,) = await purchases_after(world, paid_session, charge_says(disputed=True))
    assert (disputed.amount_refunded, disputed.dispute) == (0, Dispute.OPEN)


@pytest.mark.parametrize(
    ("statuses", "dispute"),
    [
        ([], Dispute.OPEN),  # disputed, and yet none is listed
        (["needs_response"], Dispute.OPEN),
        (["under_review"], Dispute.OPEN),
        (["warning_needs_response"], Dispute.WARNING),
        (["warning_under_review"], Dispute.WARNING),
        (["warning_closed"], Dispute.WARNING),
        (["won"], Dispute.WON),
        (["lost"], Dispute.LOST),
        (["appeal_needs_response"], Dispute.LOST),
        (["appeal_under_review"], Dispute.LOST),
        (["prevented"], Dispute.LOST),
        (["something_new"], Dispute.OPEN),
        (["won", "needs_response", "warning_closed"], Dispute.OPEN),
        (["needs_response", "lost", "won"], Dispute.LOST),
    ],
)
async def test_a11_the_gravest_dispute_counts(
    world: StripeWorld, paid_session: dict[str, Any], statuses: list[str], dispute: Dispute
) -> None:
    (found,) = await purchases_after(world, paid_session, charge_says(disputed=True), statuses)
    assert found.dispute is dispute
    (undisputed,) = await purchases_after(world, paid_session, charge_says(disputed=False), statuses)
    assert undisputed.dispute is Dispute.NONE


async def test_k72_more_lines_than_a_session_holds_are_read_to_their_end(
    world: StripeWorld, paid_session: dict[str, Any]
) -> None:
    """A purchase with more than was ordered is another purchase, wherever the extra line is in the list."""

    def change(session: dict[str, Any]) -> None:
        session["line_items"] |= {"has_more": True}

    prices = [f"price_{at}" for at in range(11)]
    more = [{"id": f"li_{price}", "price": {"id": price}, "quantity": 1} for price in prices]
    (found,) = await purchases_after(world, paid_session, change, lines=more)
    assert [line.price_id for line in found.lines[1:]] == prices


async def test_a07_a_session_that_is_not_ours_names_nobody(world: StripeWorld, paid_session: dict[str, Any]) -> None:
    """A payment link of the same account: without our metadata, and perhaps without a reference."""
    (found,) = await purchases_after(
        world, paid_session, lambda session: session.update(metadata={}, client_reference_id=None)
    )
    assert (found.order_id, found.person_id) == (None, None)


async def test_a_buyer_whose_address_is_not_known_has_none(world: StripeWorld, paid_session: dict[str, Any]) -> None:
    assert paid_session["customer_details"]["email"] == "buyer@example.com"
    (found,) = await purchases_after(world, paid_session, lambda session: session.update(customer_details=None))
    assert found.email is None


@pytest.mark.parametrize(
    "facts", [{"mode": "subscription"}, {"mode": "setup"}, {"status": "open"}, {"status": "expired"}, {"status": None}]
)
async def test_other_modes_and_states_are_no_purchases(
    world: StripeWorld, paid_session: dict[str, Any], facts: dict[str, Any]
) -> None:
    assert await purchases_after(world, paid_session, lambda session: session.update(facts)) == ()


async def test_a_discount_is_reported(world: StripeWorld, paid_session: dict[str, Any]) -> None:
    (found,) = await purchases_after(
        world, paid_session, lambda session: session["total_details"].update(amount_discount=500)
    )
    assert found.amount_discount == 500


async def test_a_line_with_no_price_is_nothing_that_is_sold_here(
    world: StripeWorld, paid_session: dict[str, Any]
) -> None:
    def change(session: dict[str, Any]) -> None:
        session["line_items"]["data"][0] |= {"price": None, "quantity": None}

    (found,) = await purchases_after(world, paid_session, change)
    assert found.lines == (Line("", 0),)


@pytest.mark.parametrize("facts", [{"mode": "subscription"}, {"mode": "setup"}, {"status": "open"}])
async def test_a_subscription_or_an_open_checkout_is_no_purchase(
    world: StripeWorld, paid_session: dict[str, Any], facts: dict[str, Any]
) -> None:
    with answering(paid_session | facts) as address:
        async with opened(world.provider(at=address)) as provider:
            assert await provider.bought(paid_session["id"]) is None


PRICE = {
    "id": "price_1",
    "object": "price",
    "currency": "eur",
    "unit_amount": 1900,
    "billing_scheme": "per_unit",
    "recurring": None,
    "tax_behavior": "unspecified",
    "product": {"name": "Lessons"},
}
MONTHLY = {"interval": "month", "interval_count": 3, "usage_type": "licensed"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, Price("price_1", 1900, "eur", "Lessons")),
        ({"tax_behavior": "inclusive"}, Price("price_1", 1900, "eur", "Lessons", tax_behavior="inclusive")),
        ({"recurring": MONTHLY}, Price("price_1", 1900, "eur", "Lessons", "month", 3)),
    ],
)
async def test_a_price_says_how_often_it_is_paid(world: StripeWorld, facts: dict[str, Any], expected: Price) -> None:
    with answering({**PRICE, **facts}) as address:
        async with opened(world.provider(at=address)) as provider:
            found = await provider.price("price_1")
    assert found == expected
    assert found.recurring == ("recurring" in facts)


@pytest.mark.parametrize(
    "facts",
    [
        {"unit_amount": None, "billing_scheme": "tiered"},
        {"unit_amount": None},
        {"recurring": MONTHLY | {"usage_type": "metered"}},
        {"recurring": MONTHLY, "billing_scheme": "tiered"},
    ],
)
async def test_a_price_without_a_fixed_amount_is_refused_with_advice(world: StripeWorld, facts: dict[str, Any]) -> None:
    with answering({**PRICE, **facts}) as address:
        async with opened(world.provider(at=address)) as provider:
            with pytest.raises(ProviderRefused) as refused:
                await provider.price("price_1")
    assert refused.value.advice


def an_order(number: int, customer: Customer, price_id: str) -> Order:
    key = secrets.token_hex(16)
    return Order(
        f"ord_{number}", "per_1", "pro", customer.realm, price_id, 1, 1900, "eur", OrderState.OPEN, key, created_at=1
    )


async def test_a_customer_with_more_checkouts_than_one_page_is_read_to_the_end(
    world: StripeWorld, provider: PaymentProvider
) -> None:
    """Stripe lists a hundred at most at a time."""
    stripe, price_id = world.sandbox.stripe, world.price()
    external_id = stripe.v1.customers.create({}).id
    returns = ReturnAddresses("https://pay.example/s", "https://pay.example/c")
    customer = Customer(1, Realm("stripe", await provider.account(), live=False), external_id, "per_1")
    orders = [an_order(number, customer, price_id) for number in range(101)]
    made = [await provider.create_checkout(order, customer, returns) for order in orders]
    assert made[0].url is not None
    world.pay(made[0].url)
    assert await provider.checkout_of_order(orders[0], customer) == await provider.checkout(made[0].id)
    assert [purchase.source for purchase in (await provider.snapshot(customer)).purchases] == [made[0].id]


async def test_everything_in_a_checkout_session_is_decided_by_us(world: StripeWorld, provider: PaymentProvider) -> None:
    external_id = world.sandbox.stripe.v1.customers.create({}).id
    customer = Customer(1, Realm("stripe", "acct_1", live=False), external_id, "per_1")
    order = an_order(9, customer, world.price())
    returns = ReturnAddresses("https://pay.example/s?id={CHECKOUT_SESSION_ID}", "https://pay.example/c")
    made = await provider.create_checkout(order, customer, returns)
    session = json.loads(str(world.sandbox.stripe.v1.checkout.sessions.retrieve(made.id, {"expand": ["line_items"]})))
    names = {"order": "ord_9", "person": "per_1", "product": "pro"}
    assert (session["mode"], session["customer"]) == ("payment", external_id)
    assert session["client_reference_id"] == "ord_9"
    assert (session["success_url"], session["cancel_url"]) == (returns.success, returns.cancel)
    assert [(line["price"]["id"], line["quantity"]) for line in session["line_items"]["data"]] == [(order.price_id, 1)]
    assert session["metadata"] == names
    assert session["automatic_tax"]["enabled"] is False
    assert made.url is not None
    world.pay(made.url)
    paid = world.sandbox.stripe.v1.checkout.sessions.retrieve(made.id, {"expand": ["payment_intent"]})
    assert json.loads(str(paid))["payment_intent"]["metadata"] == names
