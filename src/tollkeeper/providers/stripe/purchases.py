"""Translates Stripe's purchases, prices and checkout sessions into our own types."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tollkeeper.errors import ProviderRefused
from tollkeeper.model.bought import Dispute, Line, Payment, Purchase, gravest
from tollkeeper.model.selling import Price
from tollkeeper.providers.protocol import Checkout, CheckoutState, CustomerRecord
from tollkeeper.providers.stripe.calls import each, whole

if TYPE_CHECKING:
    import stripe

# The fields of a checkout session that a purchase needs, and that Stripe sends only on request.
BOUGHT = ("line_items", "payment_intent.latest_charge")

# The maximum length of our ids. Metadata may be far longer (https://docs.stripe.com/metadata).
LONGEST_ID = 40

# Where a customer's metadata names the person who deleted their account here.
DELETED = "deleted_person"

# Pages say nothing about tax if the provider's value is not definite.
TAX_BEHAVIORS = frozenset({"inclusive", "exclusive"})

# The payment of a completed checkout may be waiting for a bank, or for a buyer who has a voucher to pay in a shop.
# Or it has just succeeded, and the checkout does not show it yet.
# https://docs.stripe.com/payments/paymentintents/lifecycle
UNDER_WAY = frozenset({"processing", "requires_action", "succeeded"})

# https://docs.stripe.com/api/disputes/object#dispute_object-status. A dispute counts as lost if the money has gone
# back: also during an appeal, and if it was returned to prevent a dispute.
DISPUTES = {
    "warning_needs_response": Dispute.WARNING,
    "warning_under_review": Dispute.WARNING,
    "warning_closed": Dispute.WARNING,
    "needs_response": Dispute.OPEN,
    "under_review": Dispute.OPEN,
    "won": Dispute.WON,
    "lost": Dispute.LOST,
    "prevented": Dispute.LOST,
    "appeal_needs_response": Dispute.LOST,
    "appeal_under_review": Dispute.LOST,
}


def price_of(found: Mapping[str, Any]) -> Price:
    """Translate a price. https://docs.stripe.com/api/prices/object"""
    recurring = found["recurring"] or {}
    if recurring.get("usage_type") == "metered":
        raise ProviderRefused(f"Price {found['id']} is metered: it is paid by use.", "Use a price that is licensed.")
    if found["unit_amount"] is None or found["billing_scheme"] != "per_unit":
        raise ProviderRefused(f"Price {found['id']} has no fixed amount.", "Use a price with one amount per unit.")
    return Price(
        id=found["id"],
        amount=found["unit_amount"],
        currency=found["currency"],
        product_name=found["product"]["name"],
        interval=recurring.get("interval"),
        interval_count=recurring.get("interval_count", 1),
        tax_behavior=found["tax_behavior"] if found["tax_behavior"] in TAX_BEHAVIORS else None,
    )


def checkout_of(found: Mapping[str, Any]) -> Checkout:
    return Checkout(id=found["id"], url=found["url"], state=CheckoutState(found["status"]))


def customer_of(found: Mapping[str, Any]) -> CustomerRecord:
    """A customer, and what we wrote there. https://docs.stripe.com/api/customers/object"""
    names = found["metadata"] or {}
    return CustomerRecord(found["id"], found["created"], mark_of(names.get("person")), mark_of(names.get(DELETED)))


def is_purchase(session: Mapping[str, Any]) -> bool:
    """Return whether a checkout session is complete and for a payment, not for a subscription."""
    return (session["mode"], session["status"]) == ("payment", "complete")


async def purchase_of(client: "stripe.StripeClient", session: Mapping[str, Any]) -> Purchase:
    """Translate a completed checkout session. https://docs.stripe.com/api/checkout/sessions/object"""
    intent = session["payment_intent"] or {}
    charge = intent.get("latest_charge") or {}
    names = session["metadata"] or {}
    return Purchase(
        source=session["id"],
        order_id=mark_of(session["client_reference_id"]),
        person_id=mark_of(names.get("person")),
        lines=tuple([_line(item) for item in await whole(client, session["line_items"])]),
        amount_subtotal=session["amount_subtotal"],
        amount_discount=session["total_details"]["amount_discount"],
        amount_total=session["amount_total"],
        currency=session["currency"],
        live=session["livemode"],
        payment=_payment(session["payment_status"], intent.get("status")),
        created_at=session["created"],
        paid_at=charge.get("created"),
        amount_refunded=charge.get("amount_refunded", 0),
        dispute=await dispute_of(client, [charge] if charge else []),
        reference=intent.get("id"),
        email=(session["customer_details"] or {}).get("email"),
        customer_id=session["customer"],
        receipt_url=charge.get("receipt_url"),
    )


def mark_of(value: str | None) -> str | None:
    """Return the id of ours in a field, or None. Others can write anything there, so the syntax is checked."""
    return value if value and len(value) <= LONGEST_ID and value.isprintable() else None


def _line(item: Mapping[str, Any]) -> Line:
    """Read one line. A checkout from elsewhere may have lines without a price or quantity; they are not sold here."""
    return Line((item["price"] or {}).get("id", ""), item["quantity"] or 0)


def _payment(status: str, intent_status: str | None) -> Payment:
    """Return the state of a payment: only what is known to be paid counts as paid.

    https://docs.stripe.com/payments/payment-intents/verifying-status
    """
    if status == "paid":
        return Payment.PAID
    if status == "no_payment_required":
        return Payment.FREE
    return Payment.PENDING if intent_status in UNDER_WAY else Payment.UNPAID


async def dispute_of(client: "stripe.StripeClient", charges: Iterable[Mapping[str, Any]]) -> Dispute:
    """Return the most serious dispute about these charges. https://docs.stripe.com/api/disputes/list

    A charge only shows that there was a dispute. One that is not listed, or has an unknown status, counts as open.
    """
    found = [Dispute.NONE]
    for charge in charges:
        if charge["disputed"]:
            listed = [one["status"] async for one in each(client, "/v1/disputes", charge=charge["id"])]
            found += [DISPUTES.get(status, Dispute.OPEN) for status in listed] or [Dispute.OPEN]
    return gravest(found)
