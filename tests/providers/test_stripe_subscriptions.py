"""How Stripe's subscriptions, invoices and charges become our own words, where the sandbox does not go."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.providers.worlds import StripeWorld, opened
from tests.support.issuers import serving
from tests.support.running import Sandbox

from tollkeeper.errors import ProviderRefused, ProviderUnavailable
from tollkeeper.model import Customer, Dispute, Line, Order, OrderState, Payment, Realm, Standing, Subscription
from tollkeeper.provider import ReturnAddresses

pytestmark = pytest.mark.anyio

START = 1_800_000_000
MONTH = 30 * 86_400
END = START + MONTH
CUSTOMER = Customer(1, Realm("stripe", "acct_1", live=False), "cus_1", "per_1")


@pytest.fixture
def world(sandbox: Sandbox) -> StripeWorld:
    return StripeWorld(sandbox)


def item(price: str = "price_1", start: int = START, end: int = END, **facts: Any) -> dict[str, Any]:
    return {"price": {"id": price}, "quantity": 1, "current_period_start": start, "current_period_end": end, **facts}


def subscription(**facts: Any) -> dict[str, Any]:
    return {
        "id": "sub_1",
        "status": "active",
        "metadata": {"order": "ord_1", "person": "per_1"},
        "livemode": False,
        "currency": "eur",
        "created": START,
        "items": {"data": [item()]},
        "trial_end": None,
        "ended_at": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "pause_collection": None,
        **facts,
    }


def invoice(id: str = "in_1", status: str = "paid", start: int = START, **facts: Any) -> dict[str, Any]:
    return {
        "id": id,
        "status": status,
        "total": 900,
        "amount_paid": 900 if status == "paid" else 0,
        "created": start,
        "due_date": None,
        "status_transitions": {"finalized_at": start + 3600},
        "customer_email": "a@example.com",
        "lines": {"data": [{"period": {"start": start, "end": start + MONTH}}]},
        **facts,
    }


def payment(status: str = "paid", intent: str = "succeeded", id: str = "pi_1", **charge: Any) -> dict[str, Any]:
    receipt = {"amount_refunded": 0, "disputed": False, "receipt_url": "https://pay.example/1", **charge}
    found = {"id": id, "status": intent, "latest_charge": receipt}
    return {"id": f"inpay_{id}", "status": status, "payment": {"type": "payment_intent", "payment_intent": found}}


Listing = list[dict[str, Any]]
Listed = Listing | Callable[[], Listing]


@contextmanager
def stripe(asked: list[str], /, **lists: Listed) -> Iterator[str]:
    """A server with these lists, by the last part of their path; payments by their invoice's id."""

    async def answer(request: Request) -> Response:
        name, query = request.url.path.rsplit("/", 1)[-1], request.query_params
        asked.append(name)
        listed = lists.get(query["invoice"], []) if name == "invoice_payments" else lists.get(name, [])
        found = listed() if callable(listed) else listed
        if "created[gte]" in query:
            found = [one for one in found if one["created"] >= int(query["created[gte]"])]
        return JSONResponse({"object": "list", "url": request.url.path, "has_more": False, "data": found})

    with serving(Starlette(routes=[Route("/{any:path}", answer)])) as address:
        yield address


async def told(world: StripeWorld, **lists: Listed) -> Subscription:
    return await told_and_counted(world, [], **lists)


async def told_and_counted(world: StripeWorld, asked: list[str], /, **lists: Listed) -> Subscription:
    with stripe(asked, **lists) as address:
        async with opened(world.provider(at=address)) as provider:
            (one,) = (await provider.snapshot(CUSTOMER)).subscriptions
    return one


@pytest.mark.parametrize(
    ("status", "standing"), [(one.value, one) for one in Standing] + [("hibernating", Standing.UNKNOWN)]
)
async def test_a_status_that_we_have_no_word_for_is_unknown(
    world: StripeWorld, status: str, standing: Standing
) -> None:
    assert (await told(world, subscriptions=[subscription(status=status)])).standing is standing


async def test_few_questions_are_asked_of_what_is_in_order_and_none_of_what_is_over(world: StripeWorld) -> None:
    asked: list[str] = []
    old = [invoice("in_0", start=START - MONTH)]
    await told_and_counted(world, asked, subscriptions=[subscription()], invoices=[invoice(), *old], in_1=[payment()])
    assert asked == ["sessions", "subscriptions", "invoices", "invoice_payments", "subscriptions"]
    asked.clear()
    await told_and_counted(world, asked, subscriptions=[subscription(status="canceled", ended_at=END)])
    assert asked == ["sessions", "subscriptions"]


async def test_what_changes_while_its_money_is_asked_for_is_told_as_it_is_then(world: StripeWorld) -> None:
    """Found by the simulator: what the month cost paid for the year that it had been until then."""
    yearly, monthly = subscription(items={"data": [item(end=START + 12 * MONTH)]}), subscription()
    versions = iter([yearly, monthly, monthly])
    assert (await told(world, subscriptions=lambda: [next(versions)], invoices=[invoice()])).period_end == END


async def test_what_we_do_not_go_by_may_change_at_any_time(world: StripeWorld) -> None:
    fresh = count()
    await told(world, subscriptions=lambda: [subscription(told_anew=next(fresh))], invoices=[invoice()])


async def test_what_never_rests_is_not_told(world: StripeWorld) -> None:
    ends = count(END)
    with pytest.raises(ProviderUnavailable, match="kept changing"):
        await told(world, subscriptions=lambda: [subscription(cancel_at=next(ends))], invoices=[invoice()])


# what the invoices of the period say -> how it stands, and whether anything was ever paid
UNDER_WAY = {"in_1": [payment("open", "processing")]}
REFUSED = {"in_1": [payment("open", "requires_payment_method")]}
OUTSIDE = {"in_1": [{"status": "open", "payment": {"type": "payment_record", "payment_record": "prec_1"}}]}
STATES: dict[str, tuple[Listing, dict[str, Listing], Payment, bool]] = {
    "paid": ([invoice()], {"in_1": [payment()]}, Payment.PAID, True),
    "free": ([invoice(total=0, amount_paid=0)], {}, Payment.FREE, False),
    "a credit": ([invoice(total=-300, amount_paid=0)], {}, Payment.FREE, False),
    "a draft": ([invoice(status="draft")], {}, Payment.PENDING, False),
    "being charged": ([invoice(status="open")], UNDER_WAY, Payment.PENDING, False),
    "declined": ([invoice(status="open")], REFUSED, Payment.UNPAID, False),
    "to be paid elsewhere": ([invoice(status="open")], OUTSIDE, Payment.UNPAID, False),
    "written off": ([invoice(status="uncollectible")], {}, Payment.UNPAID, False),
    "void": ([invoice(status="void")], {}, Payment.UNPAID, False),
    "void, and made anew": ([invoice(), invoice("in_0", "void")], {"in_1": [payment()]}, Payment.PAID, True),
    "an upgrade is owed": ([invoice("in_2", "open"), invoice()], {"in_1": [payment()]}, Payment.UNPAID, True),
    "none yet": ([], {}, Payment.PENDING, False),
    "none yet, after one of before": ([invoice(start=START - MONTH)], {}, Payment.PENDING, True),
    "something new": ([invoice(status="pondered")], {}, Payment.UNPAID, False),
}


@pytest.mark.parametrize(("invoices", "payments", "expected", "ever"), STATES.values(), ids=STATES)
async def test_a_period_stands_as_the_worst_of_its_invoices(
    world: StripeWorld, invoices: Listing, payments: dict[str, Listing], expected: Payment, ever: bool
) -> None:
    one = await told(world, subscriptions=[subscription()], invoices=invoices, **payments)
    assert (one.payment, one.ever_paid) == (expected, ever)


async def test_the_money_of_a_period_is_that_of_all_its_payments(world: StripeWorld) -> None:
    upgrade = invoice("in_2", start=START + 86_400, total=500, amount_paid=500)
    paid = {
        "in_2": [payment(id="pi_2", amount_refunded=100), payment("open", "canceled", id="pi_3")],
        "in_1": [payment(disputed=True), payment(disputed=True)],
    }
    before = invoice("in_0", start=START - 3600)
    disputes: Listing = [{"id": "dp_1", "status": "warning_closed"}]
    invoices = [upgrade, invoice(), before]
    one = await told(world, subscriptions=[subscription()], invoices=invoices, disputes=disputes, **paid)
    assert (one.amount_total, one.amount_refunded, one.dispute) == (1400, 100, Dispute.WARNING)
    assert (one.reference, one.email) == ("pi_2", "a@example.com")


@pytest.mark.parametrize(
    ("facts", "due"),
    [
        ({}, START + 3600),
        ({"due_date": START + 9}, START + 9),
        ({"status_transitions": {"finalized_at": None}}, START),
    ],
)
async def test_what_is_owed_fell_due_with_the_oldest_invoice(
    world: StripeWorld, facts: dict[str, Any], due: int
) -> None:
    later = invoice("in_2", "open", start=START + MONTH)
    oldest = invoice("in_1", "open", **facts)
    settled = invoice("in_0", start=START - MONTH)
    found = subscription(status="past_due", items={"data": [item(start=START + MONTH, end=END + MONTH)]})
    one = await told(world, subscriptions=[found], invoices=[later, oldest, settled])
    assert (one.owed_since, one.ever_paid, one.payment) == (due, True, Payment.UNPAID)


@pytest.mark.parametrize(
    ("facts", "ends_at"),
    [
        ({}, None),
        ({"cancel_at": START + 5}, START + 5),
        ({"cancel_at_period_end": True}, END),
        ({"cancel_at_period_end": True, "cancel_at": END}, END),
        ({"status": "canceled", "ended_at": START + 7, "cancel_at": END}, START + 7),
    ],
)
async def test_when_it_ends(world: StripeWorld, facts: dict[str, Any], ends_at: int | None) -> None:
    assert (await told(world, subscriptions=[subscription(**facts)])).ends_at == ends_at


async def test_of_several_items_the_period_is_that_which_ends_first(world: StripeWorld) -> None:
    items = [item("price_year", end=START + 365 * 86_400), item("price_used", end=END, quantity=None)]
    one = await told(world, subscriptions=[subscription(items={"data": items}, metadata=None)])
    assert (one.period_start, one.period_end) == (START, END)
    assert one.items == (Line("price_year", 1), Line("price_used", 0))
    assert (one.order_id, one.person_id) == (None, None)
    assert (await told(world, subscriptions=[subscription(items={"data": []})])).period_end == 0


async def asked_of_checkout(world: StripeWorld, **changes: Any) -> dict[str, Any]:
    """The form that is posted to make the page of an order."""
    posted: dict[str, Any] = {}

    async def answer(request: Request) -> Response:
        posted.update(await request.form())
        return JSONResponse({"id": "cs_1", "url": "https://pay.example/cs_1", "status": "open"})

    order = Order(
        "ord_1", "per_1", "pro", CUSTOMER.realm, "price_1", 1, 900, "eur", OrderState.OPEN, secrets.token_hex(8), 1,
        recurring=True, **changes,
    )  # fmt: skip
    with serving(Starlette(routes=[Route("/{any:path}", answer, methods=["POST"])])) as address:
        async with opened(world.provider(at=address)) as provider:
            await provider.create_checkout(
                order, CUSTOMER, ReturnAddresses("https://a.example/s", "https://a.example/c")
            )
    return {name: value for name, value in posted.items() if name.startswith(("mode", "subscription", "payment_"))}


async def test_a_subscription_carries_our_names_and_the_trial_that_was_offered(world: StripeWorld) -> None:
    names = {
        "mode": "subscription",
        "subscription_data[metadata][order]": "ord_1",
        "subscription_data[metadata][person]": "per_1",
        "subscription_data[metadata][product]": "pro",
    }
    assert await asked_of_checkout(world) == names
    trial = names | {"subscription_data[trial_period_days]": "14"}
    assert await asked_of_checkout(world, trial_days=14) == trial
    assert await asked_of_checkout(world, trial_days=14, trial_without_card=True) == trial | {
        "subscription_data[trial_settings][end_behavior][missing_payment_method]": "cancel",
        "payment_method_collection": "if_required",
    }


REFUSAL = {"type": "invalid_request_error", "message": "No configuration provided."}
Ask = Callable[[Any], Any]


@pytest.mark.parametrize(("code", "status"), [(None, 400), ("resource_missing", 404)])
async def test_a_portal_that_was_never_set_up_tells_the_operator_what_to_do(
    world: StripeWorld, code: str | None, status: int
) -> None:
    async def answer(request: Request) -> Response:
        if request.method == "GET":  # which configurations there are: none
            return JSONResponse({"data": [], "has_more": False})
        return JSONResponse({"error": REFUSAL | ({"code": code} if code else {})}, status)

    with serving(Starlette(routes=[Route("/{any:path}", answer, methods=["GET", "POST"])])) as address:
        async with opened(world.provider(at=address)) as provider:
            with pytest.raises(ProviderRefused) as refused:
                await provider.billing_portal(CUSTOMER, "https://pay.example/account")
    assert ("portal" in refused.value.advice) == (code is None)


async def test_a_page_that_stays_open_is_not_said_to_be_closed(world: StripeWorld) -> None:
    async def answer(request: Request) -> Response:
        if request.method == "POST":
            return JSONResponse({"error": REFUSAL}, 400)
        return JSONResponse({"id": "cs_1", "url": "https://pay.example/cs_1", "status": "open"})

    with serving(Starlette(routes=[Route("/{any:path}", answer, methods=["GET", "POST"])])) as address:
        async with opened(world.provider(at=address)) as provider:
            with pytest.raises(ProviderRefused):
                await provider.expire_checkout("cs_1")
