"""What a checkout session or a subscription gives, derived from the sandbox's ledger and from the
documentation: docs/decisions/0015-subscriptions.md, docs/decisions/0023-money-of-a-subscription.md and
docs/subscriptions.md, and of Stripe's. Imports nothing from the app.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from typing import NamedTuple

from tests.faults.simulator.ledger import Facts, InvoiceFact, SessionFact, SubscriptionFact

DAY = 24 * 3600
# How long a renewal may be late; how long a draft may take to become final, in time or announced late; how long a
# payment may be in progress.
LATE = DAY
ASKED_WITHIN = 3 * DAY + LATE
PAID_WITHIN = 14 * DAY

REFUNDED = ("pending", "succeeded")
OPEN_DISPUTES = ("needs_response", "under_review")

# A product, and until when (Unix seconds; None: for good). Or nothing.
Worth = tuple[str, int | None] | None


class Judged(NamedTuple):
    """What something gives, and the possible words for an end of its access: docs/glossary.md, *verdict*."""

    worth: Worth
    ends: frozenset[str] = frozenset({"ended"})


NOTHING = Judged(None)


@dataclass(frozen=True, slots=True)
class Offer:
    """A product, its price, and the seller's policy on refunds, disputes and failed payments."""

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
    unlocks: frozenset[str] = frozenset()
    ends_subscription: bool = True

    def gives_all_of(self, other: "Offer") -> bool:
        """Return whether it unlocks as much as another, or more."""
        return self.unlocks >= other.unlocks


def in_force(worth: Worth, now: float) -> Worth:
    """Return what it gives at this time: nothing if it has run out."""
    return None if worth is None or (worth[1] is not None and worth[1] <= now) else worth


def at_most(one: Worth, other: Worth) -> bool:
    """Return whether one gives no more than the other: nothing, or the same product for no longer."""
    if one is None or other is None:
        return one is None
    return one[0] == other[0] and (other[1] is None or (one[1] is not None and one[1] <= other[1]))


def of_session(facts: Facts, session: SessionFact, offer: Offer) -> Judged:
    """Return what a one-time purchase gives: the product for good, if it is paid as ordered and not revoked by the
    policy.
    """
    if session.status != "complete" or not _as_ordered(session, offer):
        return NOTHING
    if session.total == 0:
        return Judged((offer.product, None)) if session.payment_status == "no_payment_required" else NOTHING
    _, charge = facts.intents.get(session.payment_intent or "", ("", None))
    status, amount = facts.charges.get(charge or "", ("", 0))
    if session.payment_status != "paid" or status != "succeeded" or amount < session.total:
        return NOTHING
    ends = _taken_back(facts, {charge}, offer)
    return Judged(None, ends) if ends else Judged((offer.product, None))


def _as_ordered(session: SessionFact, offer: Offer) -> bool:
    """Return whether price, quantity, amount and currency match the offer, without a discount unless codes are
    accepted.
    """
    ordered = (((offer.price, 1),), offer.amount, offer.currency)
    if (session.lines, session.subtotal, session.currency) != ordered:
        return False
    return session.total >= offer.amount - (session.discount if offer.promotion_codes else 0)


def _taken_back(facts: Facts, charges: set[str | None], offer: Offer) -> frozenset[str]:
    """Return how these payments were revoked: refunded so much that they no longer count, or disputed."""
    paid = sum(facts.charges[charge][1] for charge in charges if charge)
    back = sum(sum_ for of, sum_, status in facts.refunds.values() if of in charges and status in REFUNDED)
    refunded = back and back * 100 >= offer.refund_revokes_from * paid
    return _disputed(facts, charges, offer) | ({"revoked"} if refunded else set())


def _disputed(facts: Facts, charges: set[str | None], offer: Offer) -> frozenset[str]:
    disputes = {status for of, status in facts.disputes.values() if of in charges}
    is_open = offer.dispute_suspends and not disputes.isdisjoint(OPEN_DISPUTES)
    return frozenset({"revoked"} if "lost" in disputes else {"suspended"} if is_open else ())


def sold_by(reported: SubscriptionFact, offers: Mapping[str, Offer]) -> str | None:
    """Return the product that a subscription sells: that of its first known price.

    ``offers`` are those of each price.
    """
    return next((offers[price].product for price in reported.prices if price in offers), None)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A period, and the invoices whose time begins in it. ``trial``: it was free."""

    trial: bool
    bills: tuple[InvoiceFact, ...]

    @property
    def unpaid(self) -> list[InvoiceFact]:
        return [bill for bill in self.bills if bill.status != "paid"]

    @property
    def owed(self) -> list[InvoiceFact]:
        """Return the unpaid invoices. A seller who voids one may issue another
        (https://docs.stripe.com/api/invoices/void), which covers all of its time, asks for money or took some. A credit
        for a change of plan does none of that, nor does what is paid out of it.
        """
        others = [bill for bill in self.bills if bill.status != "void"]
        first = min((bill.begins for bill in others), default=inf)
        asked = any(bill.paid or (bill.total > 0 and bill.status != "paid") for bill in others)
        return [bill for bill in self.unpaid if bill.status != "void" or (not asked and first > bill.begins)]

    @property
    def settled(self) -> bool:
        """Return whether the period is paid, free, or a trial."""
        return self.trial or (bool(self.bills) and not self.owed)

    @property
    def settled_first(self) -> "Stretch | None":
        """Return the period as it was when it was last settled, before an upgrade; None if it never was."""
        so_far = (Stretch(False, self.bills[:number]) for number in range(len(self.bills), 0, -1))
        return self if self.trial else next((one for one in so_far if one.settled), None)


def of_subscription(facts: Facts, id_: str, offer: Offer) -> Judged:
    """Return what a subscription to this offer gives."""
    reported = facts.subscriptions[id_]
    if reported.over:
        return NOTHING
    *before, now = _stretches(facts, id_)
    ends = set(_taken_back(facts, _charges(facts, now.bills), offer))
    if offer.earlier_dispute_counts:
        ends |= _disputed(facts, _charges(facts, (bill for one in before for bill in one.bills)), offer)
    lasts = _lasts(facts, reported, before, now, offer)
    if lasts is None or reported.status not in {"trialing", "active", "past_due"}:
        ends.add("suspended")
    if lasts is None or ends:
        return Judged(None, frozenset(ends))
    return Judged((offer.product, lasts if reported.ends is None else min(lasts, reported.ends)))


def _stretches(facts: Facts, id_: str) -> list[Stretch]:
    """Return its periods, oldest first, each with its invoices. Invoices from before the first belong to the first."""
    periods = facts.periods[id_]
    bills = sorted(facts.bills(id_).values(), key=lambda bill: bill.begins)
    begin = [0, *(period.start for period in periods[1:]), max([*(bill.begins for bill in bills), 0]) + 1]
    found = [tuple(bill for bill in bills if first <= bill.begins < then) for first, then in pairwise(begin)]
    return [Stretch(period.trial, its) for period, its in zip(periods, found, strict=True)]


def _charges(facts: Facts, bills: Iterable[InvoiceFact]) -> set[str | None]:
    """Return the charges that paid these invoices."""
    wanted = {bill.id for bill in bills}
    paid = {payment for invoice, payment, status in facts.links.values() if invoice in wanted and status == "paid"}
    return {facts.intents[payment][1] for payment in paid}


def _lasts(facts: Facts, reported: SubscriptionFact, before: list[Stretch], now: Stretch, offer: Offer) -> int | None:
    """Return until when its invoices give access, without regard to refunds; None if they give none."""
    credited = _only_credited(now, before)
    if now.settled and not credited:
        return reported.end if reported.paused else reported.end + LATE
    every = [bill for one in (*before, now) for bill in one.bills]
    begun = any(one.trial for one in before) or any(bill.status == "paid" for bill in every)
    waited_for = [_waited_for(facts, bill) for bill in now.owed] if now.bills else [reported.start + ASKED_WITHIN]
    with_the_bank = bool(now.owed) and all(_on_its_way(facts, bill) for bill in now.owed)
    if not begun or (reported.paused and not with_the_bank):
        return None
    missed = _missed([*before, now])
    since = min((_due(bill) for bill in missed), default=reported.start)
    first = not any(bill.status == "paid" and bill.total > 0 for bill in every)
    grace = since + (offer.trial_grace_days if first else offer.grace_days) * DAY
    return max(grace, min(waited_for)) if not credited and all(bill in now.bills for bill in missed) else grace


def _only_credited(one: Stretch, before: Iterable[Stretch]) -> bool:
    """Return whether it took no money while a longer period around it was not paid. A change of plan credits what is
    left of a period even so: https://docs.stripe.com/billing/subscriptions/prorations
    """
    if one.trial or not one.settled or any(bill.paid for bill in one.bills):
        return False
    return any(bill.ends > one.bills[0].begins for other in before for bill in other.owed)


def _missed(stretches: list[Stretch]) -> list[InvoiceFact]:
    """Return what was not paid since a period was last settled: one gap, however long."""
    found: list[InvoiceFact] = []
    for number, one in reversed(list(enumerate(stretches))):
        settled = one.settled_first
        if settled is not None and _only_credited(settled, stretches[:number]):
            found += one.bills
            continue
        found += [bill for bill in one.unpaid if settled is None or bill not in settled.bills]
        if settled is not None:
            break
    return found


def _waited_for(facts: Facts, bill: InvoiceFact) -> int:
    """Return until when it does not count as missed. A bank debit may take days; a draft is finalized
    automatically, and then attempted; everything else has failed.
    """
    if _on_its_way(facts, bill):
        return _due(bill) + PAID_WITHIN
    is_asked = (bill.status == "draft" and not bill.stays) or (bill.status == "open" and not bill.attempted)
    return _due(bill) + ASKED_WITHIN if is_asked else 0


def _on_its_way(facts: Facts, bill: InvoiceFact) -> bool:
    """Return whether a payment of it is in progress at a bank: https://docs.stripe.com/api/charges/object#charge_object-status"""
    paying = {payment for of, payment, _ in facts.links.values() if of == bill.id}
    charges = [facts.charges.get(facts.intents[payment][1] or "", ("", 0)) for payment in paying]
    return bill.status == "open" and any(status in ("pending", "succeeded") for status, _ in charges)


def _due(bill: InvoiceFact) -> int:
    return bill.begins if bill.due is None else bill.due


def to_see_to(facts: Facts, id_: str, offer: Offer) -> frozenset[str]:
    """What an operator sees about a subscription, by the kinds in docs/commands.md: money that came after its end, a
    renewal that is not finalized automatically, a dispute that was lost or is only reported while it is open.
    """
    reported, bills = facts.subscriptions[id_], list(facts.bills(id_).values())
    if reported.over:
        late = any(_stays_here(facts, bill) for bill in bills if (bill.paid_at or 0) > (reported.ended or 0))
        return frozenset({"paid after the end"} if late else ())
    *before, _ = _stretches(facts, id_)
    of_before = _charges(facts, (bill for one in before for bill in one.bills))
    told_only = replace(offer, dispute_suspends=not offer.earlier_dispute_counts)
    lost = "revoked" in _disputed(facts, _charges(facts, bills), offer)
    disputed = lost or (not offer.earlier_dispute_counts and "suspended" in _disputed(facts, of_before, told_only))
    stuck = not reported.paused and any(bill.stays for bill in bills)
    return frozenset({*(["disputed"] if disputed else ()), *(["not finalized"] if stuck else ())})


def _stays_here(facts: Facts, bill: InvoiceFact) -> bool:
    """Return whether any of its money was neither refunded nor lost to a dispute."""
    charges = _charges(facts, [bill])
    paid = sum(facts.charges[charge][1] for charge in charges if charge)
    back = sum(sum_ for of, sum_, status in facts.refunds.values() if of in charges and status in REFUNDED)
    lost = any(of in charges and status == "lost" for of, status in facts.disputes.values())
    return paid > back and not lost
