"""Translates Stripe's subscriptions into our own types: each as it is now, with all its invoices.

Three lists of a customer are enough, however many subscriptions there are: the subscriptions, the invoices, and the
charges, which show what became of the money. https://docs.stripe.com/billing/subscriptions/overview
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tollkeeper.errors import ProviderUnavailable
from tollkeeper.model.bought import Bill, Invoice, Line, Subscription, SubscriptionStatus
from tollkeeper.providers.stripe.calls import ask, each, path, together, whole
from tollkeeper.providers.stripe.purchases import dispute_of, mark_of

if TYPE_CHECKING:
    import stripe

SUBSCRIPTIONS = "/v1/subscriptions"

# The key in a subscription's metadata for the purchase because of which we set its end.
ENDED_FOR = "ended_for"

# The final states.
OVER = frozenset({"canceled", "incomplete_expired"})

# How often to read a customer's subscriptions again if they change in the meantime.
TRIES = 3

# https://docs.stripe.com/api/invoices/object#invoice_object-status. An open one depends on its payments.
BILLS = {"draft": Bill.DRAFT, "paid": Bill.PAID, "void": Bill.VOID, "uncollectible": Bill.UNCOLLECTIBLE}

NOT_BY_ITSELF = "auto_advance is off"

Charges = Mapping[str, Sequence[Mapping[str, Any]]]


async def subscriptions_of(
    client: "stripe.StripeClient", customer: str, checkouts: Mapping[str, str]
) -> tuple[Subscription, ...]:
    """Return every subscription of a customer. ``checkouts`` are the completed checkout sessions, by subscription.

    Reading the money takes further calls. If a subscription changes in between, its old plan and its new payments could
    be mixed, and give too much access. Then everything is read again. Raises ``ProviderUnavailable`` if the changes do
    not stop.
    """
    found = await _listed(client, customer)
    for _ in range(TRIES if found else 0):
        invoices = await _invoices(client, customer=customer)
        charges = await _charges(client, customer)
        result = await together(_read(client, one, invoices, charges, checkouts.get(one["id"])) for one in found)
        if all(one["status"] in OVER for one in found):
            return tuple(result)
        before, found = found, await _listed(client, customer)
        if [_facts(one) for one in found] == [_facts(one) for one in before]:
            return tuple(result)
    if found:
        raise ProviderUnavailable("The subscriptions kept changing while they were asked for.")
    return ()


async def _listed(client: "stripe.StripeClient", customer: str) -> list[dict[str, Any]]:
    """https://docs.stripe.com/api/subscriptions/list"""
    found = [one async for one in each(client, SUBSCRIPTIONS, customer=customer, status="all")]
    for one in found:
        one["items"]["data"] = await whole(client, one["items"])
    return found


async def subscription_of(client: "stripe.StripeClient", found: dict[str, Any]) -> Subscription:
    """Return one subscription, no matter whose it is. https://docs.stripe.com/api/subscriptions/object"""
    found["items"]["data"] = await whole(client, found["items"])
    invoices = await _invoices(client, subscription=found["id"])
    return await _read(client, found, invoices, await _charges(client, found["customer"]))


async def _read(
    client: "stripe.StripeClient",
    found: Mapping[str, Any],
    invoices: Iterable[Mapping[str, Any]],
    charges: Charges,
    checkout_id: str | None = None,
) -> Subscription:
    its = [one for one in invoices if _subscription(one) == found["id"]]
    read = await together(_invoice(client, one, charges) for one in its)
    return Subscription(
        **_facts(found),
        invoices=tuple(read),
        email=next((one["customer_email"] for one in its), None),
        checkout_id=checkout_id,
    )


def _facts(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that we use, apart from the money. Other fields may change at any time."""
    (start, end), names = period_of(found), found["metadata"] or {}
    over = found["status"] in OVER
    return {
        "source": found["id"],
        "order_id": mark_of(names.get("order")),
        "person_id": mark_of(names.get("person")),
        "customer_id": found["customer"],
        "live": found["livemode"],
        "currency": found["currency"],
        "created_at": found["created"],
        "standing": STATUSES.get(found["status"], SubscriptionStatus.UNKNOWN),
        "items": tuple(Line(item["price"]["id"], item.get("quantity") or 0) for item in found["items"]["data"]),
        "period_start": start,
        "period_end": end,
        "trial_end": found["trial_end"],
        "ends_at": found["ended_at"]
        if over
        else found["cancel_at"] or (end if found["cancel_at_period_end"] else None),
        "collection_paused": found["pause_collection"] is not None,
        "ended_for": names.get(ENDED_FOR),
    }


async def end_subscription(
    client: "stripe.StripeClient", id: str, *, at_period_end: bool, purchase: str | None = None
) -> None:
    """End one. https://docs.stripe.com/api/subscriptions/cancel, https://docs.stripe.com/api/subscriptions/update

    The same call stores what was bought instead, so that no end is without its cause.
    """
    if at_period_end:
        noted = {"metadata": {ENDED_FOR: purchase}} if purchase else {}
        await ask(client, "post", path(SUBSCRIPTIONS, id), cancel_at_period_end=True, **noted)
    else:
        await ask(client, "delete", path(SUBSCRIPTIONS, id))


# https://docs.stripe.com/api/subscriptions/object#subscription_object-status
STATUSES = {
    "trialing": SubscriptionStatus.TRIALING,
    "active": SubscriptionStatus.ACTIVE,
    "past_due": SubscriptionStatus.PAST_DUE,
    "unpaid": SubscriptionStatus.UNPAID,
    "paused": SubscriptionStatus.PAUSED,
    "canceled": SubscriptionStatus.CANCELED,
    "incomplete": SubscriptionStatus.INCOMPLETE,
    "incomplete_expired": SubscriptionStatus.INCOMPLETE_EXPIRED,
}


def period_of(found: Mapping[str, Any]) -> tuple[int, int]:
    """Return when the current period began and ends. Items have periods; of several, the one that ends first counts."""
    periods = [(one["current_period_start"], one["current_period_end"]) for one in found["items"]["data"]]
    return min(periods, key=lambda period: period[1], default=(0, 0))


# Invoices


async def _invoices(client: "stripe.StripeClient", **whose: str) -> list[dict[str, Any]]:
    """Return all invoices with their payments and lines, newest first. https://docs.stripe.com/api/invoices/list"""
    found = [one async for one in each(client, "/v1/invoices", expand=["data.payments"], **whose)]
    for one in found:
        for part in ("lines", "payments"):
            one[part]["data"] = await whole(client, one[part])
    return found


def _subscription(invoice: Mapping[str, Any]) -> str | None:
    """https://docs.stripe.com/api/invoices/object#invoice_object-parent-subscription_details-subscription"""
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    subscription: str | None = details.get("subscription")
    return subscription


async def _charges(client: "stripe.StripeClient", customer: str) -> Charges:
    """Return a customer's charges by payment intent, newest first. https://docs.stripe.com/api/charges/list"""
    charges: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    async for one in each(client, "/v1/charges", customer=customer):
        charges[one["payment_intent"] or ""].append(one)
    return charges


async def _invoice(client: "stripe.StripeClient", invoice: Mapping[str, Any], charges: Charges) -> Invoice:
    paying = [one["payment"]["payment_intent"] for one in invoice["payments"]["data"] if _is_by_intent(one)]
    tried = [charge for intent in paying for charge in charges.get(intent, ())]
    tried.sort(key=lambda charge: charge["created"], reverse=True)  # over several payments, too
    paid = [charge for charge in tried if charge["status"] == "succeeded"]
    starts, ends = _time(invoice)
    return Invoice(
        id=invoice["id"],
        bill=_bill(invoice, tried),
        starts=starts,
        ends=ends,
        created_at=invoice["created"],
        total=invoice["total"],
        paid=invoice["amount_paid"],
        refunded=sum(charge["amount_refunded"] for charge in paid),
        dispute=await dispute_of(client, paid),
        due_at=_fell_due(invoice),
        paid_at=invoice["status_transitions"]["paid_at"],
        trouble=_trouble(invoice),
        reference=next((charge["payment_intent"] for charge in paid), None),
        receipt_url=next((charge["receipt_url"] for charge in paid), None),
    )


def _is_by_intent(payment: Mapping[str, Any]) -> bool:
    """https://docs.stripe.com/api/invoice-payment/object#invoice_payment_object-payment-type"""
    return bool(payment["payment"]["type"] == "payment_intent")


def _bill(invoice: Mapping[str, Any], tried: Sequence[Mapping[str, Any]]) -> Bill:
    """Return the state of an invoice: only what is known to be paid counts as paid, and a partial payment does not."""
    if invoice["status"] != "open":
        return BILLS.get(invoice["status"], Bill.FAILED)
    # The states of a charge in which the buyer has nothing left to do. The invoice becomes paid a moment later.
    # https://docs.stripe.com/api/charges/object#charge_object-status
    newest = tried[0]["status"] if tried else None
    if newest == "pending" or (newest == "succeeded" and not invoice["amount_paid"]):
        return Bill.PROCESSING
    return Bill.FAILED if invoice["attempted"] or tried else Bill.OPEN


def _time(invoice: Mapping[str, Any]) -> tuple[int, int]:
    """Return the period that an invoice is for, from its lines: its own period is when it collected its items.

    A line that is left over from a change in the period before begins earlier, and a credit for the rest of a longer
    period may end later. Such lines do not count.

    https://docs.stripe.com/api/invoices/line_item#invoice_line_item_object-period
    """
    lines = invoice["lines"]["data"]
    if not lines:
        return invoice["created"], invoice["created"]
    asked = [line for line in lines if line["amount"] >= 0] or lines
    return max(line["period"]["start"] for line in lines), max(line["period"]["end"] for line in asked)


def _fell_due(invoice: Mapping[str, Any]) -> int | None:
    """Return when an invoice was due. One that is charged automatically is due as soon as it is final."""
    due: int | None = invoice["due_date"] or invoice["status_transitions"]["finalized_at"]
    return due


def _trouble(invoice: Mapping[str, Any]) -> str | None:
    """Return why a draft does not become final automatically: https://docs.stripe.com/tax/customer-locations#finalizing-invoices,
    https://docs.stripe.com/api/invoices/object#invoice_object-auto_advance
    """
    if invoice["status"] != "draft":
        return None
    error, tax = invoice["last_finalization_error"] or {}, invoice["automatic_tax"]["status"]
    if error.get("message") or error.get("code"):
        return str(error.get("message") or error["code"])
    if tax not in (None, "complete"):
        return f"automatic tax: {tax}"
    return None if invoice["auto_advance"] else NOT_BY_ITSELF
