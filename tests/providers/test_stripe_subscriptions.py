"""How Stripe's subscriptions, invoices and charges become our own types, in states that the sandbox cannot reach."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from tollkeeper.model.bought import Bill, Dispute, Line, Subscription, SubscriptionStatus
from tollkeeper.model.orders import Customer, Order, OrderState, Realm
from tollkeeper.providers.protocol import ReturnAddresses

pytestmark = pytest.mark.anyio

START = 1_800_000_000
HOUR, DAY = 3600, 86_400
MONTH = 30 * DAY
END = START + MONTH
CUSTOMER = Customer(1, Realm("stripe", "acct_1", live=False), "cus_1", "per_1")

Facts = dict[str, Any]
Listing = list[Facts]
Listed = Listing | Callable[[], Listing]


@pytest.fixture
def world(sandbox: Sandbox) -> StripeWorld:
    return StripeWorld(sandbox)


def listing(found: Listing, url: str, more: bool = False) -> Facts:
    return {"object": "list", "url": url, "has_more": more, "data": found}


def item(price: str = "price_1", start: int = START, end: int = END, **facts: Any) -> Facts:
    period = {"current_period_start": start, "current_period_end": end}
    return {"id": f"si_{price}", "price": {"id": price}, "quantity": 1, **period, **facts}


def subscription(id: str = "sub_1", items: Listing | None = None, more_items: bool = False, **facts: Any) -> Facts:
    return {
        "id": id,
        "status": "active",
        "customer": "cus_1",
        "metadata": {"order": "ord_1", "person": "per_1"},
        "livemode": False,
        "currency": "eur",
        "created": START,
        "items": listing([item()] if items is None else items, "/v1/subscription_items?subscription=sub_1", more_items),
        "trial_end": None,
        "ended_at": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "pause_collection": None,
        **facts,
    }


def line(start: int, end: int, id: str = "il_1", amount: int = 900) -> Facts:
    return {"id": id, "amount": amount, "period": {"start": start, "end": end}}


def invoice(
    id: str = "in_1",
    status: str = "paid",
    start: int = START,
    lines: Listing | None = None,
    intents: Iterable[str] = ("pi_1",),
    of: str | None = "sub_1",
    **facts: Any,
) -> Facts:
    """As the list has it. ``intents`` are the payment intents that pay it, ``of`` its subscription."""
    final, paid = status != "draft", status == "paid"
    return {
        "id": id,
        "status": status,
        "total": 900,
        "amount_paid": 900 if paid else 0,
        "created": start,
        "due_date": None,
        "attempted": paid,
        "auto_advance": status in {"draft", "open"},
        "last_finalization_error": None,
        "automatic_tax": {"enabled": False, "status": None},
        "status_transitions": {
            "finalized_at": start + HOUR if final else None,
            "paid_at": start + 2 * HOUR if paid else None,
        },
        "customer_email": "a@example.com",
        "parent": {"subscription_details": {"subscription": of}} if of else None,
        "lines": listing([line(start, start + MONTH)] if lines is None else lines, f"/v1/invoices/{id}/lines"),
        "payments": listing([by_intent(intent) for intent in intents], "/v1/invoice_payments"),
        **facts,
    }


def by_intent(intent: str) -> Facts:
    return {"id": f"inpay_{intent}", "payment": {"type": "payment_intent", "payment_intent": intent}}


def charge(intent: str = "pi_1", status: str = "succeeded", at: int = START + 2 * HOUR, **facts: Any) -> Facts:
    return {
        "id": f"ch_{intent}",
        "payment_intent": intent,
        "status": status,
        "created": at,
        "amount_refunded": 0,
        "disputed": False,
        "receipt_url": f"https://pay.example/{intent}",
        **facts,
    }


@contextmanager
def stripe(lists: Mapping[str, Listed], asked: list[str], at_once: int = 100) -> Iterator[str]:
    """A server with these lists, by the last part of their path, of which it gives so many at once.

    What is asked for by its own id is the first subscription.
    """

    async def answer(request: Request) -> Response:
        path, query = request.url.path, request.query_params
        name = path.rsplit("/", 1)[-1]
        asked.append(name)
        listed = lists.get(name, [])
        found = listed() if callable(listed) else listed
        if name.startswith("sub_"):
            listed = lists["subscriptions"]
            assert not callable(listed)
            return JSONResponse(listed[0])
        if name == "disputes":
            found = [one for one in found if one["charge"] == query["charge"]]
        ids = [one["id"] for one in found]
        first = ids.index(query["starting_after"]) + 1 if "starting_after" in query else 0
        return JSONResponse(listing(found[first : first + at_once], path, len(found) > first + at_once))

    with serving(Starlette(routes=[Route("/{any:path}", answer)])) as address:
        yield address


async def read_one(world: StripeWorld, **lists: Listed) -> Subscription:
    (one,) = await snapshot(world, lists)
    return one


async def snapshot(
    world: StripeWorld, lists: Mapping[str, Listed], asked: list[str] | None = None, at_once: int = 100
) -> tuple[Subscription, ...]:
    with stripe(lists, [] if asked is None else asked, at_once) as address:
        async with opened(world.provider(at=address)) as provider:
            return (await provider.snapshot(CUSTOMER)).subscriptions


async def read_by_id(world: StripeWorld, **lists: Listed) -> Subscription:
    """Read one subscription by its id, no matter whose it is."""
    with stripe(lists, []) as address:
        async with opened(world.provider(at=address)) as provider:
            found = await provider.bought("sub_1")
    assert isinstance(found, Subscription)
    return found


@pytest.mark.parametrize(
    ("status", "standing"),
    [(one.value, one) for one in SubscriptionStatus] + [("hibernating", SubscriptionStatus.UNKNOWN)],
)
async def test_a_status_that_we_have_no_word_for_is_unknown(
    world: StripeWorld, status: str, standing: SubscriptionStatus
) -> None:
    assert (await read_one(world, subscriptions=[subscription(status=status)])).standing is standing


async def test_few_questions_are_asked_however_many_there_are(world: StripeWorld) -> None:
    asked: list[str] = []
    old = [invoice("in_0", start=START - MONTH, intents=["pi_0"])]
    for number in (1, 3):
        several = [subscription(f"sub_{one}") for one in range(number)]
        lists: dict[str, Listed] = {"invoices": [invoice(), *old], "charges": [charge()], "subscriptions": several}
        await snapshot(world, lists, asked)
        assert asked == ["sessions", "subscriptions", "invoices", "charges", "subscriptions"]
        asked.clear()
    await snapshot(world, {}, asked)
    assert asked == ["sessions", "subscriptions"]


async def test_the_money_of_what_is_over_is_reported_and_it_is_asked_for_once(world: StripeWorld) -> None:
    asked: list[str] = []
    over = subscription(status="canceled", ended_at=START + DAY)
    late = invoice(status_transitions={"finalized_at": START, "paid_at": START + 9 * DAY})
    lists: dict[str, Listed] = {"subscriptions": [over], "invoices": [late], "charges": [charge()]}
    (one,) = await snapshot(world, lists, asked)
    assert asked == ["sessions", "subscriptions", "invoices", "charges"]
    assert (one.ends_at, [(found.paid, found.paid_at) for found in one.invoices]) == (
        START + DAY,
        [(900, START + 9 * DAY)],
    )


async def test_what_changes_while_its_money_is_asked_for_is_reported_as_it_is_then(world: StripeWorld) -> None:
    """Found by the simulator: what the month cost paid for the year that it had been until then."""
    yearly, monthly = subscription(items=[item(end=START + 12 * MONTH)]), subscription()
    versions = iter([yearly, monthly, monthly])
    assert (await read_one(world, subscriptions=lambda: [next(versions)], invoices=[invoice()])).period_end == END


async def test_what_we_do_not_go_by_may_change_at_any_time(world: StripeWorld) -> None:
    fresh = count()
    await read_one(world, subscriptions=lambda: [subscription(read_again=next(fresh))], invoices=[invoice()])


async def test_what_never_rests_is_not_told(world: StripeWorld) -> None:
    ends = count(END)
    with pytest.raises(ProviderUnavailable, match="kept changing"):
        await read_one(world, subscriptions=lambda: [subscription(cancel_at=next(ends))], invoices=[invoice()])


# What Stripe says of one invoice -> how far it has come. Charges are newest first, as Stripe lists them.
OUTSIDE = listing([{"id": "inpay_1", "payment": {"type": "payment_record", "payment_record": "prec_1"}}], "/")
LATER = START + DAY
BILLS: dict[str, tuple[Facts, Listing, Bill]] = {
    "paid": (invoice(), [charge()], Bill.PAID),
    "paid outside of Stripe": (invoice(payments=OUTSIDE), [], Bill.PAID),
    "free": (invoice(total=0, amount_paid=0, intents=()), [], Bill.PAID),
    "a credit": (invoice(total=-300, amount_paid=0, intents=()), [], Bill.PAID),
    "a draft": (invoice(status="draft", intents=()), [], Bill.DRAFT),
    "not tried yet": (invoice(status="open"), [], Bill.OPEN),
    "to be paid elsewhere": (invoice(status="open", payments=OUTSIDE), [], Bill.OPEN),
    "being charged": (invoice(status="open", attempted=True), [charge(status="pending")], Bill.PROCESSING),
    "charged this moment": (invoice(status="open", attempted=True), [charge()], Bill.PROCESSING),
    "paid in part": (invoice(status="open", attempted=True, amount_paid=300), [charge()], Bill.FAILED),
    "paid in part, and the rest is being charged": (
        invoice(status="open", attempted=True, amount_paid=300, intents=["pi_1", "pi_2"]),
        [charge("pi_2", "pending", at=LATER), charge()],
        Bill.PROCESSING,
    ),
    "declined": (invoice(status="open", attempted=True), [charge(status="failed")], Bill.FAILED),
    "declined, and not said to be tried": (invoice(status="open"), [charge(status="failed")], Bill.FAILED),
    "tried without a charge": (invoice(status="open", attempted=True), [], Bill.FAILED),
    "declined, then being charged": (
        invoice(status="open", attempted=True),
        [charge(status="pending", at=LATER), charge(status="failed")],
        Bill.PROCESSING,
    ),
    "being charged, then declined": (
        invoice(status="open", attempted=True),
        [charge(status="failed", at=LATER), charge(status="pending")],
        Bill.FAILED,
    ),
    "declined by one payment, being charged by a later one": (
        invoice(status="open", attempted=True, intents=["pi_1", "pi_2"]),
        [charge("pi_2", "pending", at=LATER), charge(status="failed")],
        Bill.PROCESSING,
    ),
    "declined by the last payment of two": (
        invoice(status="open", attempted=True, intents=["pi_1", "pi_2"]),
        [charge("pi_2", "failed", at=LATER), charge(status="pending")],
        Bill.FAILED,
    ),
    "with a charge that pays something else": (invoice(status="open"), [charge("pi_9")], Bill.OPEN),
    "written off": (invoice(status="uncollectible", attempted=True), [charge(status="failed")], Bill.UNCOLLECTIBLE),
    "void": (invoice(status="void"), [], Bill.VOID),
    "something new": (invoice(status="pondered"), [], Bill.FAILED),
}


@pytest.mark.parametrize(("found", "charges", "expected"), BILLS.values(), ids=BILLS)
async def test_an_invoice_stands_as_its_status_and_its_last_charge_say(
    world: StripeWorld, found: Facts, charges: Listing, expected: Bill
) -> None:
    one = await read_one(world, subscriptions=[subscription()], invoices=[found], charges=charges)
    assert ([invoice.bill for invoice in one.invoices], one.bill) == ([expected], expected)


# The invoices of a subscription -> the state of the current period
BEFORE = invoice("in_0", start=START - MONTH, intents=["pi_0"])
PERIODS: dict[str, tuple[Listing, Bill]] = {
    "void, and made anew": ([invoice(), invoice("in_0", "void", intents=())], Bill.PAID),
    "an upgrade is owed": ([invoice("in_2", "open", start=LATER, intents=()), invoice()], Bill.OPEN),
    "an upgrade was declined": (
        [invoice("in_2", "open", start=LATER, intents=(), attempted=True), invoice()],
        Bill.FAILED,
    ),
    "none yet": ([], Bill.DRAFT),
    "none yet, after one of before": ([BEFORE], Bill.DRAFT),
    "an earlier one is owed": (
        [invoice(), invoice("in_0", "open", start=START - MONTH, intents=(), attempted=True)],
        Bill.PAID,
    ),
    "another subscription's is paid": ([invoice(of="sub_2"), invoice("in_0", "draft")], Bill.DRAFT),
    "one of no subscription is paid": ([invoice(of=None), invoice("in_0", "draft")], Bill.DRAFT),
    "one is paid whose parent is something else": (
        [invoice(parent={"subscription_details": None}), invoice("in_0", "draft")],
        Bill.DRAFT,
    ),
}


@pytest.mark.parametrize(("invoices", "expected"), PERIODS.values(), ids=PERIODS)
async def test_a_period_stands_as_the_worst_of_its_own_invoices(
    world: StripeWorld, invoices: Listing, expected: Bill
) -> None:
    one = await read_one(world, subscriptions=[subscription()], invoices=invoices, charges=[charge()])
    assert one.bill is expected


async def test_the_money_of_a_period_is_that_of_all_its_payments_and_of_no_other_period(world: StripeWorld) -> None:
    upgrade = invoice("in_2", start=LATER, total=500, amount_paid=500, intents=["pi_3", "pi_2"])
    charges = [
        charge("pi_3", "failed", at=LATER),
        charge("pi_2", at=LATER, amount_refunded=100),
        charge(disputed=True),
        charge("pi_0", amount_refunded=900, disputed=True),
        charge("pi_elsewhere", amount_refunded=1, disputed=True),
    ]
    disputes = [
        {"id": "dp_1", "charge": "ch_pi_1", "status": "warning_closed"},
        {"id": "dp_2", "charge": "ch_pi_0", "status": "lost"},
        {"id": "dp_3", "charge": "ch_pi_elsewhere", "status": "lost"},
    ]
    invoices = [upgrade, invoice(), BEFORE]
    one = await read_one(world, subscriptions=[subscription()], invoices=invoices, disputes=disputes, charges=charges)
    assert (one.amount_total, one.amount_refunded, one.dispute) == (1400, 100, Dispute.WARNING)
    assert (one.reference, one.receipt_url, one.email) == ("pi_2", "https://pay.example/pi_2", "a@example.com")
    assert [(found.id, found.paid, found.refunded, found.dispute, found.reference) for found in one.invoices] == [
        ("in_2", 500, 100, Dispute.NONE, "pi_2"),
        ("in_1", 900, 0, Dispute.WARNING, "pi_1"),
        ("in_0", 900, 900, Dispute.LOST, "pi_0"),
    ]
    assert [found.id for found in one.earlier] == ["in_0"]


async def test_money_that_was_only_tried_for_is_neither_refunded_nor_a_reference(world: StripeWorld) -> None:
    charges = [charge(status="failed", amount_refunded=900, disputed=True)]
    one = await read_one(world, subscriptions=[subscription()], invoices=[invoice(status="open")], charges=charges)
    assert (one.amount_refunded, one.dispute, one.reference, one.receipt_url) == (0, Dispute.NONE, None, None)


@pytest.mark.parametrize(
    ("disputes", "expected"),
    [
        ([], Dispute.OPEN),  # disputed, and yet none is listed
        (["ch_pi_1 won", "ch_pi_1 needs_response"], Dispute.OPEN),
        (["ch_pi_1 won", "ch_pi_2 lost"], Dispute.LOST),
        (["ch_pi_1 won", "ch_pi_2 won"], Dispute.WON),
    ],
)
async def test_the_gravest_dispute_of_all_payments_of_an_invoice_counts(
    world: StripeWorld, disputes: list[str], expected: Dispute
) -> None:
    listed = [{"id": f"dp_{at}", "charge": one.split()[0], "status": one.split()[1]} for at, one in enumerate(disputes)]
    charges = [charge(disputed=True), charge("pi_2", disputed=True)]
    found = [invoice(intents=["pi_1", "pi_2"])]
    one = await read_one(world, subscriptions=[subscription()], invoices=found, charges=charges, disputes=listed)
    assert one.dispute is expected


FINAL = {"finalized_at": START + HOUR, "paid_at": None}


@pytest.mark.parametrize(
    ("found", "due", "paid"),
    [
        (invoice(), START + HOUR, START + 2 * HOUR),
        (invoice(due_date=START + 9), START + 9, START + 2 * HOUR),
        (invoice(status="open"), START + HOUR, None),
        (invoice(status="uncollectible", status_transitions=FINAL), START + HOUR, None),
        (invoice(status="draft"), None, None),
    ],
)
async def test_an_invoice_falls_due_when_it_says_or_else_as_soon_as_it_is_final(
    world: StripeWorld, found: Facts, due: int | None, paid: int | None
) -> None:
    one = await read_one(world, subscriptions=[subscription()], invoices=[found])
    assert [(invoice.due_at, invoice.paid_at) for invoice in one.invoices] == [(due, paid)]


NO_PLACE = {"code": "customer_tax_location_invalid", "message": "The customer's location isn't recognized."}


@pytest.mark.parametrize(
    ("found", "trouble"),
    [
        (invoice(status="draft"), None),
        (invoice(status="draft", automatic_tax={"enabled": True, "status": "complete"}), None),
        (
            invoice(status="draft", automatic_tax={"enabled": True, "status": "requires_location_inputs"}),
            "automatic tax: requires_location_inputs",
        ),
        (invoice(status="draft", automatic_tax={"enabled": True, "status": "failed"}), "automatic tax: failed"),
        (invoice(status="draft", last_finalization_error=NO_PLACE), NO_PLACE["message"]),
        (invoice(status="draft", last_finalization_error=NO_PLACE | {"message": None}), NO_PLACE["code"]),
        (invoice(status="draft", auto_advance=False), "auto_advance is off"),
        # What is final has no trouble any more, and what is not by itself any more did not fail.
        (invoice(status="open", auto_advance=False, last_finalization_error=NO_PLACE), None),
        (invoice(status="void", automatic_tax={"enabled": True, "status": "failed"}), None),
        (invoice(auto_advance=False), None),
    ],
)
async def test_a_draft_says_what_keeps_it_from_becoming_final(
    world: StripeWorld, found: Facts, trouble: str | None
) -> None:
    one = await read_one(world, subscriptions=[subscription()], invoices=[found])
    assert [invoice.trouble for invoice in one.invoices] == [trouble]


@pytest.mark.parametrize(
    ("lines", "starts", "ends"),
    [
        ([line(START, END)], START, END),
        # It also has what was left over from a change in the period before.
        ([line(START - DAY, START, "il_1"), line(START - DAY, START, "il_2"), line(START, END, "il_3")], START, END),
        ([line(START, END, "il_1"), line(START - DAY, START, "il_2")], START, END),
        ([line(LATER, END, "il_1"), line(LATER, END, "il_2")], LATER, END),  # a change in the middle of a period
        # What is credited for the rest of a year may end later than the month that is asked for, not begin earlier.
        ([line(START, START + 9 * MONTH, "il_1", -500), line(START, END, "il_2")], START, END),
        ([line(LATER, END, "il_1", -500), line(LATER, END, "il_2", 0)], LATER, END),
        ([line(LATER, END, "il_1", -500)], LATER, END),
        ([], START + 7, START + 7),
    ],
)
async def test_the_lines_say_what_time_an_invoice_is_for(
    world: StripeWorld, lines: Listing, starts: int, ends: int
) -> None:
    found = invoice(lines=lines, created=START + 7)
    one = await read_one(world, subscriptions=[subscription()], invoices=[found])
    assert [(invoice.starts, invoice.ends) for invoice in one.invoices] == [(starts, ends)]


async def test_k72_more_lines_than_an_invoice_holds_are_read_to_their_end(world: StripeWorld) -> None:
    old = [line(START - MONTH, START, f"il_{at}") for at in range(25)]
    lines = [*old, line(START, END, "il_last")]
    found = invoice(lines=lines[:10])
    found["lines"]["has_more"] = True
    one = await read_one(world, subscriptions=[subscription()], invoices=[found], lines=lines, charges=[charge()])
    assert [(invoice.starts, invoice.ends) for invoice in one.invoices] == [(START, END)]
    assert one.bill is Bill.PAID


async def test_k72_more_payments_than_an_invoice_holds_are_read_to_their_end(world: StripeWorld) -> None:
    payments = [by_intent(f"pi_{at}") for at in range(12)]
    found = invoice(status="open", attempted=True)
    found["payments"] = listing(payments[:10], "/v1/invoice_payments?invoice=in_1", more=True)
    charges = [charge("pi_11", "pending", at=LATER), charge("pi_0", "failed")]
    lists: dict[str, Listed] = {"invoice_payments": payments, "charges": charges}
    one = await read_one(world, subscriptions=[subscription()], invoices=[found], **lists)
    assert one.bill is Bill.PROCESSING


@pytest.mark.parametrize("at_once", [1, 2, 7])
async def test_k72_every_list_is_read_to_its_end(world: StripeWorld, at_once: int) -> None:
    months = range(7)
    invoices = [invoice(f"in_{at}", start=START - at * MONTH, intents=[f"pi_{at}"]) for at in months]
    several = [subscription(f"sub_{at}") for at in months]
    charges = [charge(f"pi_{at}", amount_refunded=at, disputed=at == 6) for at in months]
    disputes = [{"id": f"dp_{at}", "charge": "ch_pi_6", "status": "won"} for at in months[:-1]]
    disputes.append({"id": "dp_6", "charge": "ch_pi_6", "status": "lost"})
    lists = {"subscriptions": several, "invoices": invoices, "charges": charges, "disputes": disputes}
    found = await snapshot(world, lists, at_once=at_once)
    assert [one.source for one in found] == [one["id"] for one in several]
    assert [one.refunded for one in found[1].invoices] == list(months)
    assert [one.dispute for one in found[1].invoices] == [Dispute.NONE] * 6 + [Dispute.LOST]


async def test_k72_more_items_than_a_subscription_holds_are_read_to_their_end(world: StripeWorld) -> None:
    items = [item(f"price_{at}", id=f"si_{at}") for at in range(13)]
    found = subscription(items=items[:10], more_items=True)
    lists: dict[str, Listed] = {"subscription_items": items}
    assert len((await read_one(world, subscriptions=[found], **lists)).items) == 13


async def test_one_of_a_customer_that_is_not_ours_is_reported_with_its_money(world: StripeWorld) -> None:
    neighbours = subscription(customer="cus_9", metadata={}, items=[item(f"price_{at}") for at in range(2)])
    charges = [charge(amount_refunded=100), charge("pi_0", disputed=True)]
    one = await read_by_id(world, subscriptions=[neighbours], invoices=[invoice(), BEFORE], charges=charges)
    assert (one.source, one.order_id, one.person_id, one.checkout_id) == ("sub_1", None, None, None)
    assert [line.price_id for line in one.items] == ["price_0", "price_1"]
    assert (one.bill, one.amount_total, one.amount_refunded, one.dispute) == (Bill.PAID, 900, 100, Dispute.NONE)
    assert [invoice.dispute for invoice in one.earlier] == [Dispute.OPEN]
    assert one.email == "a@example.com"


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
    assert (await read_one(world, subscriptions=[subscription(**facts)])).ends_at == ends_at


async def test_of_several_items_the_period_is_that_which_ends_first(world: StripeWorld) -> None:
    items = [item("price_year", end=START + 365 * DAY), item("price_used", end=END, quantity=None)]
    one = await read_one(world, subscriptions=[subscription(items=items, metadata=None)])
    assert (one.period_start, one.period_end) == (START, END)
    assert one.items == (Line("price_year", 1), Line("price_used", 0))
    assert (one.order_id, one.person_id) == (None, None)
    assert (await read_one(world, subscriptions=[subscription(items=[])])).period_end == 0


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
