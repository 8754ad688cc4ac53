"""What a checkout session or a subscription gives, worked out from the sandbox's ledger and from the words of the
documentation: docs/decisions/0015-subscriptions.md and docs/subscriptions.md. Imports nothing of the app.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.faults.simulator.ledger import Facts, InvoiceFact, SessionFact, SubscriptionFact

DAY = 24 * 3600
# How long a renewal may be late.
LATE = DAY

REFUNDED = ("pending", "succeeded")
OPEN_DISPUTES = ("needs_response", "under_review")

# A product, and until when (Unix seconds; None: for good). Or nothing.
Worth = tuple[str, int | None] | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What is sold, for how much, and what its seller decided about money that goes back or does not come."""

    product: str
    price: str
    amount: int
    currency: str
    refund_revokes_from: int
    dispute_suspends: bool
    promotion_codes: bool
    others: tuple[str, ...] = ()
    """Other prices at which it is on sale."""
    grace_days: int = 7
    recurring: bool = False


def in_force(worth: Worth, now: float) -> Worth:
    """What it gives at this time: what has run out gives nothing."""
    return None if worth is None or (worth[1] is not None and worth[1] <= now) else worth


def at_most(one: Worth, other: Worth) -> bool:
    """Whether one gives no more than the other: nothing, or the same product for no longer."""
    if one is None or other is None:
        return one is None
    return one[0] == other[0] and (other[1] is None or (one[1] is not None and one[1] <= other[1]))


def of_session(facts: Facts, session: SessionFact, offer: Offer) -> Worth:
    """What was bought once: for good, if it is paid as ordered, and not taken back under the policy."""
    if session.status != "complete" or not _as_ordered(session, offer):
        return None
    if session.total == 0:
        return (offer.product, None) if session.payment_status == "no_payment_required" else None
    _, charge = facts.intents.get(session.payment_intent or "", ("", None))
    paid, amount = facts.charges.get(charge or "", (False, 0))
    if session.payment_status != "paid" or not paid or amount < session.total or _taken_back(facts, {charge}, offer):
        return None
    return offer.product, None


def _as_ordered(session: SessionFact, offer: Offer) -> bool:
    """Price, quantity, amount and currency as on offer; nothing off, unless promotion codes are taken."""
    ordered = (((offer.price, 1),), offer.amount, offer.currency)
    if (session.lines, session.subtotal, session.currency) != ordered:
        return False
    return session.total >= offer.amount - (session.discount if offer.promotion_codes else 0)


def _taken_back(facts: Facts, charges: set[str | None], offer: Offer) -> bool:
    """Whether so much of what was paid with these went back that it no longer counts, or it is disputed."""
    paid = sum(facts.charges[charge][1] for charge in charges if charge)
    back = sum(sum_ for of, sum_, status in facts.refunds.values() if of in charges and status in REFUNDED)
    if back and back * 100 >= offer.refund_revokes_from * paid:
        return True
    disputes = {status for of, status in facts.disputes.values() if of in charges}
    return "lost" in disputes or (offer.dispute_suspends and not disputes.isdisjoint(OPEN_DISPUTES))


def sold_by(told: SubscriptionFact, offers: Mapping[str, Offer]) -> str | None:
    """The product that a subscription sells: of the first price that is known. ``offers`` are those of each price."""
    return next((offers[price].product for price in told.prices if price in offers), None)


def of_subscription(facts: Facts, id_: str, offer: Offer) -> Worth:
    """What a subscription gives that sells this."""
    told, bills = facts.subscriptions[id_], facts.bills(id_)
    period = {id_: bill for id_, bill in bills.items() if any(told.start <= at < told.end for at in bill.begins)}
    settled = _settled(period)
    if told.status not in {"trialing", "active", "past_due"} or (told.paused and not settled):
        return None
    if told.status != "trialing" and not settled and not any(_is_money(bill) for bill in bills.values()):
        return None
    if _taken_back(facts, _charges(facts, period), offer):
        return None
    return offer.product, _lasts(facts, told, bills, offer)


def _settled(period: Mapping[str, InvoiceFact]) -> bool:
    """Whether what the period costs is paid. What is void is not asked for, and pays for nothing."""
    asked_for = [bill.status for bill in period.values() if bill.status != "void"]
    return bool(asked_for) and set(asked_for) == {"paid"}


def _is_money(bill: InvoiceFact) -> bool:
    return bill.status == "paid" and bill.total > 0


def _charges(facts: Facts, period: Mapping[str, InvoiceFact]) -> set[str | None]:
    """The charges that paid the period's invoices."""
    paid = {payment for invoice, payment, status in facts.links.values() if invoice in period and status == "paid"}
    return {facts.intents[payment][1] for payment in paid}


def _lasts(facts: Facts, told: SubscriptionFact, bills: Mapping[str, InvoiceFact], offer: Offer) -> int:
    last = told.end if told.paused else told.end + LATE
    if told.status == "past_due":
        owed = [facts.failed[id_] for id_, bill in bills.items() if bill.status == "open" and id_ in facts.failed]
        last = min(owed, default=told.start) + offer.grace_days * DAY
    return last if told.ends is None else min(last, told.ends)
