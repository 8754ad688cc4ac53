"""The effect of each step. A step that makes no sense at that point does nothing."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from tests.faults.simulator.choosing import guest_of, handed, intents, nth
from tests.faults.simulator.history import Step
from tests.faults.simulator.known import Handed, Violation
from tests.faults.simulator.premises import SANDBOX
from tests.faults.simulator.trouble import (
    busy,
    crash,
    crash_soon,
    days_later,
    days_pass,
    forge,
    hear_again,
    hours_later,
    let_pass,
    outage,
    restart,
    second_worker,
    stall,
    webhooks,
    wrong_mode,
)
from tests.faults.simulator.wire import Answer, Gone
from tests.faults.simulator.world import Guest, World

from tollkeeper.errors import TollkeeperError
from tollkeeper.model.orders import Mode
from tollkeeper.operating import adoption, operators
from tollkeeper.storage import events

DAY = 24 * 3600

Action = Callable[..., Awaitable[None]]

CARDS = {
    "pays": "4242424242424242",
    "declined": "4000000000000002",
    "refund fails": "4000000000005126",
    "refund pending": "4000000000007726",
    "disputed": "4000000000000259",
    "declined later": "4000000000000341",
}
IBANS = {
    "soon": "DE89370400440532013000",
    "late": "DE08370400440532013003",
    "fails soon": "DE62370400440532013001",
    "fails late": "DE78370400440532013004",
    "disputed": "DE35370400440532013002",
}
CARD_FORM = {
    "email": "buyer@example.com",
    "expiration": "12 / 70",
    "cvc": "123",
    "cardholder_name": "A",
    "country": "DE",
}
DEBIT_FORM = {"email": "buyer@example.com", "account_holder": "A"}
PAYMENT_DONE = (b"<h1>Payment done</h1>", b"<h1>Your trial has begun</h1>", b"<h1>You are subscribed</h1>")
ACKNOWLEDGED = re.compile(r'name="acknowledged" value="([^"]+)"')
HOSTED = re.compile(re.escape(SANDBOX) + r"/c/pay/(cs_test_[0-9a-f]+)")


async def take(world: World, step: Step) -> None:
    """Do one step, let its time pass, and check."""
    world.luck.seed(step.luck)
    await ACTIONS[step.do](world, **step.given)
    await asyncio.sleep(step.wait)
    world.check_step()


# People


async def press(world: World, who: int, product: int, tabs: int, price: str = "usual", goes_on: bool = False) -> None:
    for tab in range(tabs):
        world.spawn(_press(world, world.guests[who], product, price, tab, goes_on))


async def _press(
    world: World, guest: Guest, product: int, price: str = "usual", tab: int = 0, goes_on: bool = False
) -> str | None:
    """Press the button at one of its prices, or at another in each tab. Returns the page that it led to, if any.

    Somebody who is first shown what they already have may continue all the same.
    """
    offer = world.offers[product]
    prices = (offer.price, *offer.others)
    chosen = prices[{"usual": 0, "other": 1, "each": tab}[price] % len(prices)]
    form = {"csrf_token": guest.csrf_token, "product": offer.product, "price": chosen}
    knew = world.checker.knowledge()
    try:
        answer = await world.browse(guest, "POST", "/purchase/checkout-session", **form)
        fact = ACKNOWLEDGED.search(answer.body.decode())
        if fact and goes_on:
            answer = await world.browse(guest, "POST", "/purchase/checkout-session", **form, acknowledged=fact[1])
    except Gone:
        return None
    sent_to = HOSTED.fullmatch(answer.location)
    if sent_to is None:
        return None
    world.check(world.checker.hand, sent_to[1], guest.id, offer, knew, fact is not None)
    return sent_to[1]


async def buy(
    world: World,
    who: int,
    product: int,
    tabs: int,
    returns: bool,
    price: str = "usual",
    card: str = "pays",
    code: str | None = None,
    goes_on: bool = False,
) -> None:
    """Buy, from the button to the success page, as most people do."""
    for tab in range(tabs):
        pressed = _press(world, world.guests[who], product, price, tab, goes_on)
        world.spawn(_buy(world, world.guests[who], pressed, returns, card, code))


async def _buy(
    world: World,
    guest: Guest,
    pressed: Awaitable[str | None],
    returns: bool,
    card: str = "pays",
    code: str | None = None,
) -> None:
    session = await pressed
    if session is not None:
        await asyncio.sleep(world.luck.random() * 2)
        if code is not None:
            await _redeem(world, session, code)
        await _pay(world, session, card)
        if returns:
            await _success(world, guest, session)


async def pay(world: World, which: int, card: str) -> None:
    if one := nth(handed(world, "open"), which):
        await _pay(world, one.session, card)


async def redeem(world: World, which: int, code: str) -> None:
    """Enter a promotion code on the payment page, which may not accept any."""
    if one := nth(handed(world, "open"), which):
        await _redeem(world, one.session, code)


async def _redeem(world: World, session: str, code: str) -> None:
    await world.post_to_stripe("POST", f"/c/pay/{session}/promotion_code", {"promotion_code": code})


async def _pay(world: World, session: str, card: str) -> None:
    """Pay; if the total is zero, without a card, unless one is still required."""
    if session in world.facts.sessions and world.facts.sessions[session].total == 0:
        await world.post_to_stripe("POST", f"/c/pay/{session}/free", {"email": CARD_FORM["email"]})
    if session not in world.facts.sessions or world.facts.sessions[session].status == "open":
        await world.post_to_stripe("POST", f"/c/pay/{session}", CARD_FORM | {"card_number": CARDS[card]})


async def debit(world: World, which: int, fate: str) -> None:
    if one := nth(handed(world, "open"), which):
        await world.post_to_stripe("POST", f"/c/pay/{one.session}/debit", DEBIT_FORM | {"iban": IBANS[fate]})


async def come_back(world: World, who: int, which: int) -> None:
    """Open a success page: one's own, or with an id from somebody else's browser."""
    if one := nth(handed(world), which):
        world.spawn(_success(world, world.guests[who], one.session))


async def come_back_with_nothing(world: World, who: int) -> None:
    world.spawn(_success(world, world.guests[who], f"cs_test_{world.luck.getrandbits(64):x}"))


async def _success(world: World, guest: Guest, session: str) -> None:
    began = world.clock()
    try:
        answer = await world.browse(guest, "GET", f"/purchase/success?session_id={session}")
    except Gone:
        return
    held = world.checker.held_since(began, guest.id, *world.checker.sources_of(session))
    world.check(_check_success, world, guest, session, answer, held)


def _check_success(world: World, guest: Guest, session: str, answer: Answer, held: bool) -> None:
    """ "Payment done" is shown only for one's own payment; nothing is shown about any other."""
    if any(words in answer.body for words in PAYMENT_DONE) and not held:
        raise Violation("I9", f"{guest.id} was told that {session} is paid")
    known = world.checker.handed.get(session)
    if answer.status == 200 and (known is None or known.person != guest.id):
        raise Violation("I3", f"{guest.id} was told something about {session}")


async def cancel(world: World, which: int) -> None:
    if one := nth(handed(world), which):
        world.spawn(_visit(world, guest_of(world, one), f"/purchase/cancel?session_id={one.session}"))


async def look_in(world: World, who: int) -> None:
    world.spawn(_visit(world, world.guests[who], "/dashboard"))


async def _visit(world: World, guest: Guest, target: str) -> None:
    try:
        await world.browse(guest, "GET", target)
    except Gone:
        return


# Refunds and disputes


async def refund(world: World, which: int, percent: int) -> None:
    intent = nth(intents(world, "succeeded"), which)
    if intent is not None:
        _, amount = world.facts.charges[world.facts.intents[intent][1] or ""]
        form = {} if percent == 100 else {"amount": f"{amount * percent / 10000:.2f}"}
        await world.post_to_stripe("POST", f"/control/payments/{intent}/refund", form)


async def _move(world: World, session: str, how: str) -> None:
    """Refund, dispute or settle what was paid on one page. Stripe refuses what makes no sense."""
    if intent := world.facts.sessions[session].payment_intent:
        await world.post_to_stripe("POST", f"/control/payments/{intent}/{how}", {})


async def refund_ends(world: World, which: int, how: str) -> None:
    waiting = [id_ for id_, (_, _, status) in world.facts.refunds.items() if status != "failed"]
    if id_ := nth(waiting, which):
        await world.post_to_stripe("POST", f"/control/refunds/{id_}/{how}", {})


async def debit_ends(world: World, which: int, how: str) -> None:
    if intent := nth(intents(world, "processing"), which):
        await world.post_to_stripe("POST", f"/control/payments/{intent}/{how}", {})


async def dispute(world: World, which: int, reason: str) -> None:
    if intent := nth(intents(world, "succeeded"), which):
        await world.post_to_stripe("POST", f"/control/payments/{intent}/dispute", {"reason": reason})


async def dispute_ends(world: World, which: int, how: str) -> None:
    if id_ := nth(list(world.facts.disputes), which):
        await world.post_to_stripe("POST", f"/control/disputes/{id_}/{how}", {})


# What happens to a subscription


def subscription(world: World, which: int) -> str | None:
    """Return a subscription that is not over."""
    return nth([id_ for id_, fact in world.facts.subscriptions.items() if not fact.over], which)


async def period_ends(world: World, which: int, after: int) -> None:
    """Move to a time after or before the end of a subscription's period."""
    if id_ := subscription(world, which):
        await days_pass(world, max(1, world.facts.subscriptions[id_].end + after - world.whole_clock()))


async def fail(world: World, which: int) -> None:
    """Let the card be declined from now on."""
    await _control_subscription(world, which, "fail")


async def replace_card(world: World, which: int, pays: bool) -> None:
    """Replace the card; what is owed may be paid with it at once."""
    await _control_subscription(world, which, "replace-card")
    if pays:
        await owed(world, which, "pay")


async def _control_subscription(world: World, which: int, how: str) -> None:
    if id_ := subscription(world, which):
        await world.post_to_stripe("POST", f"/control/subscriptions/{id_}/{how}", {})


async def renewal_fails(world: World, which: int, in_the_end: str, days: int, fixed: bool) -> None:
    """The next payment is declined; days later the card may be replaced. After the last attempt to collect it, the
    subscription has the status that the seller has chosen.
    """
    await world.post_to_stripe("POST", "/control/unpaid", {"outcome": in_the_end})
    await fail(world, which)
    await period_ends(world, which, 3700)
    await asyncio.sleep(world.luck.random() * 3)
    if days:
        await days_pass(world, days * DAY)
    if fixed:
        await replace_card(world, which, pays=True)


async def end(world: World, which: int, how: str) -> None:
    if (id_ := subscription(world, which)) is None:
        return
    if how == "at once":
        await world.post_to_stripe("DELETE", f"/v1/subscriptions/{id_}", {})
        return
    form = {"cancel_at_period_end": "true" if how == "period end" else "false"}
    await world.post_to_stripe("POST", f"/v1/subscriptions/{id_}", form)


async def change_plan(
    world: World, which: int, price: int | str, proration: str, prices: Sequence[str] | None = None
) -> None:
    """Change to another price of the same product, to another product, or to one that the catalog does not know."""
    if (id_ := subscription(world, which)) is None:
        return
    item = (await world.call("GET", f"/v1/subscriptions/{id_}"))["items"]["data"][0]["id"]
    form = {"items[0][id]": item, "items[0][price]": _price(world, price, prices)}
    form |= {"proration_behavior": proration}
    await world.post_to_stripe("POST", f"/v1/subscriptions/{id_}", form)


async def change_often(world: World, which: int, times: int) -> None:
    """Change often between the monthly products, all on the next invoice, which then has more than ten lines."""
    for number in range(times):
        await change_plan(world, which, number, "create_prorations", world.premises.by_the_month)


def _price(world: World, price: int | str, prices: Sequence[str] | None = None) -> str:
    """Return a price from these, or from all on sale by subscription, or one that the catalog does not know."""
    on_sale = prices or [one for offer in world.offers if offer.recurring for one in (offer.price, *offer.others)]
    return on_sale[price % len(on_sale)] if isinstance(price, int) else world.premises.unknown_price


async def pause(world: World, which: int, how: str) -> None:
    """Pause or resume the collection of payments."""
    form = {"pause_collection": ""} if how == "resume" else {"pause_collection[behavior]": how}
    if id_ := subscription(world, which):
        await world.post_to_stripe("POST", f"/v1/subscriptions/{id_}", form)


async def owed(world: World, which: int, how: str) -> None:
    """Pay an open invoice, or void it or write it off."""
    if invoice := nth([id_ for id_, bill in world.facts.invoices.items() if bill.status == "open"], which):
        await world.post_to_stripe("POST", f"/v1/invoices/{invoice}/{how}", {})


async def let_off(world: World, which: int, how: str, then: str, price: int) -> None:
    """A renewal fails, and is voided or written off. Then the plan is changed, or the next period begins."""
    await fail(world, which)
    await period_ends(world, which, 3700)
    await asyncio.sleep(world.luck.random() * 3)
    await owed(world, 0, how)
    if then == "changes":
        await days_pass(world, 9 * DAY)
        await change_plan(world, which, price, "always_invoice")
    else:
        await period_ends(world, which, 3700)


async def drafts(world: World, seconds: str) -> None:
    """Set how long renewals stay drafts from now on, in seconds, or forever because they cannot be finalized."""
    await world.post_to_stripe("POST", "/control/drafts", {"seconds": seconds})


async def finalize(world: World, which: int) -> None:
    """Let the seller finalize a draft."""
    if invoice := nth([id_ for id_, bill in world.facts.invoices.items() if bill.status == "draft"], which):
        await world.post_to_stripe("POST", f"/v1/invoices/{invoice}/finalize", {})


async def by_debit(world: World, which: int, fate: str, days: int) -> None:
    """Pay by bank debit from now on, which takes days."""
    await world.post_to_stripe("POST", "/control/debits", {"seconds": str(days * DAY)})
    if (id_ := subscription(world, which)) is None:
        return
    account = await world.call(
        "POST", f"/v1/payment_methods/{fate}/attach", customer=world.facts.subscriptions[id_].customer
    )
    if "id" in account:
        await world.post_to_stripe("POST", f"/v1/subscriptions/{id_}", {"default_payment_method": account["id"]})


async def pay_late(world: World, which: int) -> None:
    """An open invoice is paid, of a subscription that is over if there is one."""
    owing = [id_ for id_, bill in world.facts.invoices.items() if bill.status in ("open", "uncollectible")]
    over = [id_ for id_ in owing if world.facts.subscriptions[world.facts.invoices[id_].subscription].over]
    if invoice := nth(over or owing, which):
        await world.post_to_stripe("POST", f"/v1/invoices/{invoice}/pay", {"payment_method": "pm_card_visa"})


async def dispute_earlier(world: World, which: int, how: str) -> None:
    """Dispute the payment for an earlier period; the dispute may end at once."""
    bills, subscriptions = world.facts.invoices, world.facts.subscriptions
    paid = [
        payment
        for invoice, payment, status in world.facts.links.values()
        if status == "paid" and bills[invoice].begins < subscriptions[bills[invoice].subscription].start
    ]
    if intent := nth(paid, which):
        await world.post_to_stripe("POST", f"/control/payments/{intent}/dispute", {"reason": "fraudulent"})
        if how != "open":
            await dispute_ends(world, 0, how)


async def by_hand(world: World, who: int, which: int, names: str, price: int, pays: str) -> None:
    """A subscription created by hand at Stripe for our customer. It names no order, one of theirs, or somebody else's.
    If a bank is asked for the first payment, it starts before it was ever paid.
    """
    guest = world.guests[who]
    customers = await _customers(world, guest)
    ordered = [page for page in handed(world) if (page.person == guest.id) == (names == "own")]
    page = nth(ordered, which) if names != "nothing" else None
    if not customers or (page is None) != (names == "nothing"):
        return
    named = {"metadata[order]": page.order or "", "metadata[person]": page.person} if page else {}
    await _subscribe(world, customers[0]["id"], _price(world, price), pays, **named)


async def _subscribe(world: World, customer: str, price: str, pays: str = "pm_card_visa", **named: str) -> None:
    form = {"customer": customer, "items[0][price]": price, "default_payment_method": pays}
    await world.post_to_stripe("POST", "/v1/subscriptions", form | named)


# What happens without the app


async def expire(world: World, which: int) -> None:
    if one := nth(handed(world, "open"), which):
        await world.post_to_stripe("POST", f"/v1/checkout/sessions/{one.session}/expire", {})


async def delete_customer(world: World, who: int, then_buys: int | None) -> None:
    """Delete a customer at Stripe.

    The next purchase creates another one, and what the first one paid for still counts.
    """
    for customer in await _customers(world, world.guests[who]):
        await world.post_to_stripe("DELETE", f"/v1/customers/{customer['id']}", {})
    if then_buys is not None:
        world.spawn(_buy(world, world.guests[who], _press(world, world.guests[who], then_buys), returns=False))


async def _customers(world: World, guest: Guest) -> list[dict[str, Any]]:
    found = (await world.call("GET", "/v1/customers?limit=100"))["data"]
    return [one for one in found if one["metadata"].get("person") == guest.id]


async def buy_by_link(world: World, who: int) -> None:
    """Pay on the seller's account, with a price of the catalog, but without an order here. The app has sold before."""
    price = next((offer.price for offer in world.offers if not offer.recurring), None)
    if handed(world) and price is not None:
        await _pay_by_link(world, price, f"?client_reference_id={world.guests[who].id}")


async def _pay_by_link(world: World, price: str, reference: str = "") -> None:
    items = {"line_items[0][price]": price, "line_items[0][quantity]": "1"}
    link = await world.call("POST", "/v1/payment_links", **items)
    answer = await world.post_to_stripe("GET", f"/buy/{link['id']}{reference}", {})
    await _pay(world, answer.location.rpartition("/")[2], "pays")


async def neighbour_sells(world: World, who: int, how: str) -> None:
    """Sell something unrelated on the same account, to a stranger or to one of our people."""
    if how == "by link":
        await _pay_by_link(world, world.premises.neighbours_price)
        return
    customers = await _customers(world, world.guests[who]) if how == "to ours" else []
    if not customers and how == "to ours":
        return
    customer = customers[0] if customers else await world.call("POST", "/v1/customers", email="else@example.com")
    await _subscribe(world, customer["id"], world.premises.unknown_price)


async def adopt(world: World, who: int, which: int) -> None:
    """Let an operator assign to a person what was bought elsewhere on the account. The app may refuse that."""
    sessions, subscriptions = world.facts.sessions, world.facts.subscriptions
    bought = [id_ for id_, fact in sessions.items() if fact.status == "complete" and id_ not in world.checker.handed]
    found = [id_ for id_ in bought if not (sessions[id_].order or "").startswith("ord_")]
    found += [id_ for id_, fact in subscriptions.items() if fact.order is None]
    if (id_ := nth(found, which)) is None:
        return
    recurring = id_ in subscriptions
    offer = next((offer for offer in world.offers if offer.recurring == recurring), None)
    if offer is not None:
        world.spawn(_adopt(world, world.guests[who].id, id_, offer.product))


async def _adopt(world: World, person: str, id_: str, product: str) -> None:
    """Adopt as the product of its price, or as the given one if the catalog does not know the price."""
    world.checker.asked_to_adopt.add((id_, person))
    async with world.services(world.command()) as services:
        with suppress(TollkeeperError):
            said = None if world.checker.sold(id_) else product
            await adoption.adopt(services, person, id_, note="theirs", product=said)


async def pay_other_session(world: World, which: int, lie: str, refunded: bool) -> None:
    """Somebody with the seller's key creates a session that names our order, but sells something else.

    The seller may notice and refund it. Then the buyer tries again.
    """
    one = nth(handed(world), which)
    if one is None:
        return
    fact = await world.call("GET", f"/v1/checkout/sessions/{one.session}")
    form = {"mode": "payment", "success_url": f"{SANDBOX}/", "client_reference_id": fact["client_reference_id"]}
    form |= {f"metadata[{name}]": value for name, value in fact["metadata"].items()}
    form |= {"customer": fact["customer"], "line_items[0][price]": one.offer.price, "line_items[0][quantity]": "1"}
    made = await world.call("POST", "/v1/checkout/sessions", **await _lying(world, one, form, lie))
    if "id" in made:
        await _pay(world, made["id"], "pays")
        if refunded:
            await _move(world, made["id"], "refund")
            world.spawn(_try_again(world, one))


async def _try_again(world: World, one: Handed) -> None:
    await asyncio.sleep(world.luck.random() * 40)
    await _press(world, guest_of(world, one), world.offers.index(one.offer))


async def _lying(world: World, one: Handed, form: dict[str, str], lie: str) -> dict[str, str]:
    other = next(offer for offer in world.offers if offer != one.offer)
    if lie == "product":
        return form | {"line_items[0][price]": other.price}
    if lie == "quantity" or (lie == "discount" and one.offer.promotion_codes):  # where a discount would be correct
        return form | {"line_items[0][quantity]": "2"}
    if lie == "person":
        someone = next(guest for guest in world.guests if guest.id != one.person)
        return form | {"metadata[person]": someone.id}
    if lie == "no customer":
        return {name: value for name, value in form.items() if name != "customer"}
    if lie == "discount":
        return form | {"discounts[0][coupon]": "half"}
    changed = {"currency": ("usd", one.offer.amount), "price": ("eur", 100)}
    currency, amount = changed[lie]
    product = (await world.call("GET", f"/v1/prices/{one.offer.price}"))["product"]
    price = await world.call("POST", "/v1/prices", product=product, unit_amount=str(amount), currency=currency)
    return form | {"line_items[0][price]": price["id"]}


# The operator


async def reconcile(world: World, who: int) -> None:
    world.spawn(_reconcile(world, world.guests[who].id))


async def _reconcile(world: World, person: str) -> None:
    async with world.services(world.command()) as services:
        await operators.reconcile_person(services, person)


async def ask_at_once(world: World, which: int, tabs: int, operator: bool, seconds: float, meanwhile: str) -> None:
    """A buyer, who may just have paid, and an operator cause reconciles of the same customer while Stripe is slow, and
    the money moves in between. Or only the app itself does, because it has an event about the payment.

    The first to ask may be answered last, with something that is no longer true.
    """
    if (one := nth(handed(world), which)) is None:
        return
    await stall(world, seconds, tabs + operator + 1, "either")  # those below, and the ones that receive the events
    await _pay(world, one.session, "pays")
    for _ in range(tabs):
        world.spawn(_success(world, guest_of(world, one), one.session))
    if operator:
        world.spawn(_reconcile(world, one.person))
    await asyncio.sleep(world.luck.random() * seconds / 2)
    await _move(world, one.session, meanwhile)


async def replay(world: World) -> None:
    now = world.whole_clock()
    world.store.write(lambda conn: events.replay_failed(conn, Mode("stripe", live=False), now))


ACTIONS: dict[str, Action] = {
    action.__name__: action
    for action in (
        *(press, buy, pay, debit, redeem, come_back, come_back_with_nothing, cancel, look_in),
        *(refund, refund_ends, debit_ends, dispute, dispute_ends),
        *(days_later, period_ends, fail, replace_card, renewal_fails, end, change_plan, pause, owed, by_hand),
        *(change_often, let_off, drafts, finalize, by_debit, pay_late, dispute_earlier),
        *(expire, delete_customer, buy_by_link, neighbour_sells, adopt, pay_other_session, forge, hear_again),
        *(webhooks, wrong_mode, outage, stall, busy, crash, crash_soon, restart, second_worker),
        *(let_pass, hours_later, reconcile, ask_at_once, replay),
    )
}
