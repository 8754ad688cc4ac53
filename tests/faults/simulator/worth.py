"""What a checkout session or a subscription gives, worked out from the sandbox's ledger and from the words of the
documentation: docs/decisions/0015-subscriptions.md, docs/decisions/0023-money-of-a-subscription.md and
docs/subscriptions.md, and of Stripe's. Imports nothing of the app.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.faults.simulator.ledger import Facts, InvoiceFact, SessionFact, SubscriptionFact

DAY = 24 * 3600
# How long a renewal may be late; a draft become final, in time and told late; a payment be on its way.
LATE = DAY
ASKED_WITHIN = 3 * DAY + LATE
PAID_WITHIN = 14 * DAY

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
    trial_grace_days: int = 0
    earlier_dispute_counts: bool = True
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
    status, amount = facts.charges.get(charge or "", ("", 0))
    if (
        session.payment_status != "paid"
        or status != "succeeded"
        or amount < session.total
        or _taken_back(facts, {charge}, offer)
    ):
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
    return _disputed(facts, charges, offer)


def _disputed(facts: Facts, charges: set[str | None], offer: Offer) -> bool:
    disputes = {status for of, status in facts.disputes.values() if of in charges}
    return "lost" in disputes or (offer.dispute_suspends and not disputes.isdisjoint(OPEN_DISPUTES))


def sold_by(told: SubscriptionFact, offers: Mapping[str, Offer]) -> str | None:
    """The product that a subscription sells: of the first price that is known. ``offers`` are those of each price."""
    return next((offers[price].product for price in told.prices if price in offers), None)


def of_subscription(facts: Facts, id_: str, offer: Offer) -> Worth:
    """What a subscription gives that sells this."""
    told, bills = facts.subscriptions[id_], facts.bills(id_)
    if told.status not in {"trialing", "active", "past_due"}:
        return None
    now = {id_: bill for id_, bill in bills.items() if told.start <= bill.begins < told.end}
    before = {id_: bill for id_, bill in bills.items() if bill.begins < told.start}
    if _taken_back(facts, _charges(facts, now), offer):
        return None
    if offer.earlier_dispute_counts and _disputed(facts, _charges(facts, before), offer):
        return None
    lasts = _lasts(facts, told, now, before, offer)
    if lasts is None:
        return None
    return offer.product, lasts if told.ends is None else min(lasts, told.ends)


def _charges(facts: Facts, bills: Mapping[str, InvoiceFact]) -> set[str | None]:
    """The charges that paid these invoices."""
    paid = {payment for invoice, payment, status in facts.links.values() if invoice in bills and status == "paid"}
    return {facts.intents[payment][1] for payment in paid}


def _lasts(
    facts: Facts,
    told: SubscriptionFact,
    now: Mapping[str, InvoiceFact],
    before: Mapping[str, InvoiceFact],
    offer: Offer,
) -> int | None:
    """Until when its invoices say, whatever becomes of the money; None: it gives nothing."""
    if any(bill.status != "void" for bill in now.values()):
        now = {id_: bill for id_, bill in now.items() if bill.status != "void"}
    settled = told.status == "trialing" or (bool(now) and all(bill.status == "paid" for bill in now.values()))
    if settled:
        return told.end if told.paused else told.end + LATE
    on_its_way = {id_ for id_, bill in now.items() if bill.status == "open" and _on_its_way(facts, id_)}
    waiting = {id_ for id_ in now if id_ in on_its_way or _is_asked_in_time(now[id_])}
    unpaid = {id_ for id_, bill in now.items() if bill.status != "paid"}
    only_on_its_way = bool(unpaid) and unpaid <= on_its_way
    if told.paused and not only_on_its_way:
        return None
    every = [*now.values(), *before.values()]
    trial_over = told.trial_end is not None and told.trial_end <= told.start
    if not trial_over and not any(bill.status == "paid" for bill in every):
        return None
    paid_to = max((bill.ends for bill in before.values() if bill.status == "paid"), default=0)
    missed_before = [bill for bill in before.values() if bill.status != "paid" and bill.begins >= paid_to]
    missed = [*missed_before, *(now[id_] for id_ in unpaid)]
    since = min((_due(bill) for bill in missed), default=told.start)
    first = not any(bill.status == "paid" and bill.total > 0 for bill in every)
    grace = since + (offer.trial_grace_days if first else offer.grace_days) * DAY
    if missed_before or not unpaid <= waiting or any(now[id_].stays for id_ in unpaid):
        return grace
    if only_on_its_way:
        return max(grace, max(_due(now[id_]) for id_ in unpaid) + PAID_WITHIN)
    asked = [_due(now[id_]) for id_ in _worst(now, unpaid - on_its_way)]
    return max(grace, max(asked, default=told.start) + ASKED_WITHIN)


def _worst(now: Mapping[str, InvoiceFact], waiting: set[str]) -> set[str]:
    """Drafts, if there are any; a final one is further."""
    return {id_ for id_ in waiting if now[id_].status == "draft"} or waiting


def _on_its_way(facts: Facts, invoice: str) -> bool:
    """Whether a payment of it is with a bank: https://docs.stripe.com/api/charges/object#charge_object-status"""
    paying = {payment for of, payment, _ in facts.links.values() if of == invoice}
    charges = [facts.charges.get(facts.intents[payment][1] or "", ("", 0)) for payment in paying]
    return any(status in ("pending", "succeeded") for status, _ in charges)


def _is_asked_in_time(bill: InvoiceFact) -> bool:
    """A draft that will be final, or a final one that nobody tried to collect yet."""
    return (bill.status == "draft" and not bill.stays) or (bill.status == "open" and not bill.attempted)


def _due(bill: InvoiceFact) -> int:
    return bill.begins if bill.due is None else bill.due
