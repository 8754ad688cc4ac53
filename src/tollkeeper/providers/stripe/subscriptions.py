"""Subscriptions as Stripe tells them, in our own words: each as it is now, with the money of its present period.

The money is told by invoices, and what came back of it by the charges behind their payments:
https://docs.stripe.com/billing/subscriptions/overview, https://docs.stripe.com/api/invoice-payment
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tollkeeper.errors import ProviderUnavailable
from tollkeeper.model import Dispute, Line, Payment, Standing, Subscription
from tollkeeper.providers.stripe.calls import ask, each, path
from tollkeeper.providers.stripe.purchases import disputes_of, gravest

if TYPE_CHECKING:
    import stripe

SUBSCRIPTIONS = "/v1/subscriptions"

# Those of which nothing more can come.
OVER = frozenset({"canceled", "incomplete_expired"})

# How often a customer's subscriptions are asked for that change meanwhile.
TRIES = 3

# Those that owe nothing, so that the invoices of the present period tell enough.
IN_ORDER = frozenset({"trialing", "active"})

# How much earlier than its period an invoice may have been made. Seconds.
BEFOREHAND = 24 * 3600

# What a payment is doing while its invoice is not paid yet, though nothing is left for the buyer to do.
UNDER_WAY = frozenset({"processing", "succeeded"})

# Of several invoices, the one that stands worst tells how the period stands.
WORST_FIRST = (Payment.UNPAID, Payment.PENDING, Payment.PAID, Payment.FREE)


@dataclass(frozen=True, slots=True)
class Money:
    """What was paid for a subscription in its present period, and what is owed at all."""

    payment: Payment = Payment.UNPAID
    amount: int = 0
    refunded: int = 0
    dispute: Dispute = Dispute.NONE
    reference: str | None = None
    receipt_url: str | None = None
    email: str | None = None
    owed_since: int | None = None
    ever_paid: bool = False


async def subscriptions_of(
    client: "stripe.StripeClient", customer: str, checkouts: Mapping[str, str]
) -> tuple[Subscription, ...]:
    """Every subscription of a customer. ``checkouts`` are the completed checkout sessions, by subscription.

    Their money takes further calls. If a subscription has changed meanwhile, what it costs now may pay for what it was
    before, and give more than either: then all is asked for again. Raises ``ProviderUnavailable`` if it never rests.
    """
    found = await _listed(client, customer)
    for _ in range(TRIES):
        told = tuple([await subscription_of(client, one, checkouts.get(one["id"])) for one in found])
        if all(one["status"] in OVER for one in found):
            return told
        before, found = found, await _listed(client, customer)
        if [_facts(one) for one in found] == [_facts(one) for one in before]:
            return told
    raise ProviderUnavailable("The subscriptions kept changing while they were asked for.")


async def _listed(client: "stripe.StripeClient", customer: str) -> list[dict[str, Any]]:
    """https://docs.stripe.com/api/subscriptions/list"""
    return [one async for one in each(client, SUBSCRIPTIONS, customer=customer, status="all")]


async def subscription_of(
    client: "stripe.StripeClient", found: Mapping[str, Any], checkout_id: str | None = None
) -> Subscription:
    """A subscription in our own words. https://docs.stripe.com/api/subscriptions/object"""
    facts = _facts(found)
    over = found["status"] in OVER
    money = Money() if over else await _money(client, found, facts["period_start"], facts["period_end"])
    return Subscription(
        **facts,
        payment=money.payment,
        amount_total=money.amount,
        amount_refunded=money.refunded,
        dispute=money.dispute,
        reference=money.reference,
        email=money.email,
        receipt_url=money.receipt_url,
        owed_since=money.owed_since,
        ever_paid=money.ever_paid,
        checkout_id=checkout_id,
    )


def _facts(found: Mapping[str, Any]) -> dict[str, Any]:
    """All that we go by, but for its money. What else Stripe tells of it may change at any time."""
    (start, end), names = _period(found), found["metadata"] or {}
    over = found["status"] in OVER
    return {
        "source": found["id"],
        "order_id": names.get("order"),
        "person_id": names.get("person"),
        "live": found["livemode"],
        "currency": found["currency"],
        "created_at": found["created"],
        "standing": _standing(found["status"]),
        "items": tuple(Line(item["price"]["id"], item.get("quantity") or 0) for item in found["items"]["data"]),
        "period_start": start,
        "period_end": end,
        "trial_end": found["trial_end"],
        "ends_at": found["ended_at"]
        if over
        else found["cancel_at"] or (end if found["cancel_at_period_end"] else None),
        "collection_paused": found["pause_collection"] is not None,
    }


async def cancel_all(client: "stripe.StripeClient", customer: str) -> None:
    """End every subscription of a customer at once. https://docs.stripe.com/api/subscriptions/cancel"""
    for one in await _listed(client, customer):
        if one["status"] not in OVER:
            await ask(client, "delete", path(SUBSCRIPTIONS, one["id"]))


def _standing(status: str) -> Standing:
    return Standing(status) if status in set(Standing) else Standing.UNKNOWN


def _period(found: Mapping[str, Any]) -> tuple[int, int]:
    """When the present period began and ends, which items tell: of several, the one that ends first."""
    periods = [(one["current_period_start"], one["current_period_end"]) for one in found["items"]["data"]]
    return min(periods, key=lambda period: period[1], default=(0, 0))


async def _money(client: "stripe.StripeClient", found: Mapping[str, Any], start: int, end: int) -> Money:
    invoices = await _invoices(client, found, start, end)
    present = [one for one in invoices if _is_of(one, start, end)]
    counted = [one for one in present if one["status"] != "void"] or present
    payments = {one["id"]: await _payments(client, one) for one in counted}
    intents = _paid_intents(payments)
    charges = [intent.get("latest_charge") or {} for intent in intents]
    return Money(
        payment=min(
            (_payment(one, payments[one["id"]]) for one in counted), key=WORST_FIRST.index, default=Payment.PENDING
        ),
        amount=sum(one["amount_paid"] for one in counted),
        refunded=sum(charge.get("amount_refunded", 0) for charge in charges),
        dispute=gravest(
            [status for intent in intents for status in await disputes_of(client, intent)],
            any(charge.get("disputed") for charge in charges),
        ),
        reference=next((intent["id"] for intent in intents), None),
        receipt_url=next((charge.get("receipt_url") for charge in charges), None),
        email=next((one["customer_email"] for one in invoices), None),
        owed_since=min((_fell_due(one) for one in invoices if one["status"] == "open"), default=None),
        ever_paid=any(one["status"] == "paid" and one["total"] > 0 for one in invoices),
    )


async def _invoices(
    client: "stripe.StripeClient", found: Mapping[str, Any], start: int, end: int
) -> list[dict[str, Any]]:
    """The invoices of the present period, newest first; and all before them, where those leave open what is owed or
    was ever paid: a credit that is settled says nothing of that. https://docs.stripe.com/api/invoices/list
    """
    listing: dict[str, Any] = {"subscription": found["id"]}
    if found["status"] in IN_ORDER:
        since = {"gte": max(0, start - BEFOREHAND)}
        recent = [one async for one in each(client, "/v1/invoices", **listing, created=since)]
        present = [one for one in recent if _is_of(one, start, end)]
        if present and all(one["status"] == "paid" for one in present):
            return recent
    return [one async for one in each(client, "/v1/invoices", **listing)]


def _is_of(invoice: Mapping[str, Any], start: int, end: int) -> bool:
    """Whether an invoice is about a period. Only its lines tell: its own period is the time it collected items in.

    https://docs.stripe.com/api/invoices/line_item#invoice_line_item_object-period
    """
    return any(start <= line["period"]["start"] < end for line in invoice["lines"]["data"])


async def _payments(client: "stripe.StripeClient", invoice: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The payments of an invoice with their payment intents, where there may be any.

    https://docs.stripe.com/api/invoice-payment/list
    """
    if not invoice["amount_paid"] and invoice["status"] != "open":
        return []
    expand = ["data.payment.payment_intent.latest_charge"]
    return [one async for one in each(client, "/v1/invoice_payments", invoice=invoice["id"], expand=expand)]


def _paid_intents(payments: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The payment intents that paid invoices, newest first, each once: one may pay several."""
    paid = [one["payment"] for listed in payments.values() for one in listed if one["status"] == "paid"]
    found = [one["payment_intent"] for one in paid if one["type"] == "payment_intent"]
    return list({intent["id"]: intent for intent in found}.values())


def _payment(invoice: Mapping[str, Any], payments: Sequence[Mapping[str, Any]]) -> Payment:
    """An allow-list: what is not known to be paid is not. https://docs.stripe.com/api/invoices/object#invoice_object-status"""
    match invoice["status"]:
        case "paid":
            return Payment.PAID if invoice["total"] > 0 else Payment.FREE
        case "draft":
            return Payment.PENDING
        case "open" if any(_is_under_way(one["payment"]) for one in payments):
            return Payment.PENDING
    return Payment.UNPAID


def _is_under_way(payment: Mapping[str, Any]) -> bool:
    return payment["type"] == "payment_intent" and payment["payment_intent"]["status"] in UNDER_WAY


def _fell_due(invoice: Mapping[str, Any]) -> int:
    """When an invoice was to be paid: one that is charged by itself as soon as it was final."""
    due: int = invoice["due_date"] or invoice["status_transitions"]["finalized_at"] or invoice["created"]
    return due
