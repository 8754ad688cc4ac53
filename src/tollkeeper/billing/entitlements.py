"""PURE. What a customer's snapshot gives access to: a verdict on each purchase and subscription, with its reason.

Each rule looks for one reason to refuse access, and what no rule objects to is granted. Being paid is one of the
rules: it names what counts as paid, and nothing else does. Rules do not depend on the time: the same snapshot always
gives the same verdicts. For a subscription, the verdict also says until when.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Finding, Verdict
from tollkeeper.model.bought import (
    Bill,
    Bought,
    Dispute,
    Invoice,
    Line,
    Payment,
    Purchase,
    Snapshot,
    Subscription,
    SubscriptionStatus,
    gravest,
    without_replaced,
)
from tollkeeper.model.orders import Customer, Order
from tollkeeper.model.selling import Policy
from tollkeeper.reasons import Code, Fact, Reason, because

B = TypeVar("B", Purchase, Subscription)
Objection = tuple[Verdict, Reason]
Rule = Callable[[Purchase, Order, Customer, Policy], Objection | None]
SubscriptionRule = Callable[[Subscription, Order, Customer, Policy], Objection | None]

# Seconds.
DAY = 24 * 3600

# How long a subscription that is renewed gives access beyond the end of its period: the news of the renewal may be
# late, or the provider down.
LATE = DAY

# How long to wait for a renewal that nobody has been asked to pay yet: an invoice is a draft for an hour, and up to 72
# (https://docs.stripe.com/billing/invoices/subscription), and then the news may be late. And how long if the payment
# is being processed: no bank debit takes longer (https://docs.stripe.com/payments/bank-debits).
UNASKED = 3 * DAY + LATE
ON_ITS_WAY = 14 * DAY


def derive(
    snapshot: Snapshot,
    orders: Mapping[str, Order],
    catalog: Catalog,
    held: Mapping[str, str] | None = None,
    ours: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Judge every purchase and subscription in the snapshot. ``orders`` are the person's own orders, by id.

    ``held`` are the products that subscriptions gave so far, by source: one whose price is not in the catalog (any
    more) still gives the same. ``ours`` are ids of orders and people that are known here, besides the person's own.
    """
    buyer, before = snapshot.customer, held or {}
    adopted = {order.adopts: order for order in orders.values() if order.adopts is not None}
    purchases = tuple(judge(_as_adopted(one, adopted), orders, buyer, catalog, ours) for one in snapshot.purchases)
    return purchases + tuple(
        judge_subscription(_as_adopted(one, adopted), orders, buyer, catalog, before.get(one.source), ours)
        for one in snapshot.subscriptions
    )


def _as_adopted(bought: B, adopted: Mapping[str, Order]) -> B:
    """What an operator has assigned to a person counts as theirs and as ordered, whatever the provider's data says."""
    order = adopted.get(bought.source)
    return replace(bought, order_id=order.id, person_id=order.person_id) if order else bought


def judge(
    purchase: Purchase,
    orders: Mapping[str, Order],
    customer: Customer,
    catalog: Catalog,
    ours: Collection[str] = (),
) -> Finding:
    """The verdict on one purchase of one customer."""
    order = orders.get(purchase.order_id or "")
    if order is None:
        return unclaimed(purchase, _is_marked(purchase, customer, ours), catalog)
    policy = catalog.policy(order.product)
    objections = (rule(purchase, order, customer, policy) for rule in RULES)
    verdict, reason = next(filter(None, objections), None) or (Verdict.GRANTED, _grounds(purchase, policy))
    return Finding(purchase, verdict, reason, product=order.product)


def judge_subscription(
    subscription: Subscription,
    orders: Mapping[str, Order],
    customer: Customer,
    catalog: Catalog,
    held: str | None = None,
    ours: Collection[str] = (),
) -> Finding:
    """The verdict on one subscription of one customer, and until when it gives access.

    It sells one product: that of its first price in the catalog; else what it gave so far, or what was ordered.
    """
    order = orders.get(subscription.order_id or "")
    if order is None:
        return unclaimed(subscription, _is_marked(subscription, customer, ours), catalog)
    known, sold = selling(subscription, catalog)
    if known is None and (known := _agreed(subscription, order)) is not None:
        sold = order.product
    product = sold or held or order.product
    policy = catalog.policy(product)
    objections = (rule(subscription, order, customer, policy) for rule in SUBSCRIPTION_RULES)
    objection = next(filter(None, objections), None)
    until = None if objection else _until(subscription, policy)
    verdict, reason = objection or (Verdict.GRANTED, _standing(subscription, policy))
    return Finding(
        subscription,
        verdict,
        reason,
        product=product,
        until=until,
        line=known or next(iter(subscription.items), None),
        remarks=tuple(_remarks(subscription, known, policy)),
    )


def _agreed(subscription: Subscription, order: Order) -> Line | None:
    """The product that an operator named when adopting it, although its price is not in the catalog."""
    return next((one for one in subscription.items if order.adopts and one.price_id == order.price_id), None)


def _is_marked(bought: Bought, customer: Customer, ours: Collection[str]) -> bool:
    return bought.person_id == customer.person_id or is_marked(bought, ours)


def is_marked(bought: Bought, ours: Collection[str]) -> bool:
    """Whether it names an order or a person of ``ours``."""
    return bought.order_id in ours or bought.person_id in ours


def unclaimed(bought: Bought, marked: bool, catalog: Catalog) -> Finding:
    """Return the verdict on something that nobody ordered here. It gives nobody access, not even with its id.

    If it neither has our mark (``marked``: it names an order or a person that is known here) nor sells a price of the
    catalog, it does not concern this site, and the buyer's e-mail address is not stored.
    """
    known, product = selling(bought, catalog)
    line = known or next(iter(lines_of(bought)), None)
    subscribed = line if isinstance(bought, Subscription) else None
    if not marked and product is None:
        prices = ", ".join(one.price_id for one in lines_of(bought) if one.price_id)
        reason = because(Code.OTHER_SALE, prices=prices or None)
        return Finding(replace(bought, email=None), Verdict.UNRELATED, reason, line=subscribed)
    return Finding(bought, *_without_order(bought), product=product, line=subscribed)


def _without_order(bought: Bought) -> Objection:
    if isinstance(bought, Subscription):
        if (end := _end(bought)) is not None:
            return end
        paid, code = bought.standing is not SubscriptionStatus.INCOMPLETE, Code.SUBSCRIBED_ELSEWHERE
    else:
        paid, code = bought.payment is Payment.PAID, Code.NEVER_ORDERED
    return (Verdict.UNCLAIMED, because(code)) if paid else (Verdict.UNPAID, because(Code.NEVER_ORDERED_UNPAID))


def lines_of(bought: Bought) -> tuple[Line, ...]:
    """What it is made of."""
    return bought.items if isinstance(bought, Subscription) else bought.lines


def selling(bought: Bought, catalog: Catalog) -> tuple[Line | None, str | None]:
    """The first line whose price the catalog knows, and the key of the product that it sells."""
    for line in lines_of(bought):
        if (product := catalog.product_of_price(line.price_id)) is not None:
            return line, product.key
    return None, None


# Rules for purchases and subscriptions


def other_mode(bought: Bought, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """Test money never gives live access, nor one account's money another's."""
    if bought.live != customer.realm.live or order.realm != customer.realm:
        return Verdict.QUARANTINED, because(Code.OTHER_REALM)
    return None


def somebody_elses(bought: Bought, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """Order, payment and customer must all name the same person."""
    if {bought.person_id, order.person_id} != {customer.person_id}:
        return Verdict.QUARANTINED, because(Code.OTHER_PERSON)
    return None


def refunded(bought: Bought, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """A full refund takes access away, and a partial refund does so from the share that the seller set."""
    back, paid = bought.amount_refunded, bought.amount_total
    if back and (back >= paid or back * 100 >= paid * policy.refund_revokes_from):
        return Verdict.REVOKED, because(Code.REFUNDED, part=back < paid or None, **_refund(bought, policy))
    return None


def disputed(bought: Bought, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """A disputed payment gives no access until the dispute is won, unless the seller's policy keeps access.

    A dispute that is lost takes access away whatever the seller says, and an inquiry changes nothing.
    """
    return _challenged(bought.dispute, policy, reference=bought.reference)


def _challenged(dispute: Dispute, policy: Policy, **facts: Fact) -> Objection | None:
    if dispute is Dispute.OPEN and policy.dispute_suspends:
        return Verdict.SUSPENDED, because(Code.DISPUTED, **facts)
    return (Verdict.REVOKED, because(Code.DISPUTE_LOST, **facts)) if dispute is Dispute.LOST else None


def _refund(bought: Bought, policy: Policy) -> dict[str, Fact]:
    return {
        "refunded": bought.amount_refunded,
        "amount": bought.amount_total,
        "currency": bought.currency,
        "limit": policy.refund_revokes_from,
    }


def _overlooked(bought: Bought, policy: Policy) -> dict[str, Fact]:
    """What could have prevented access, but does not under the policy."""
    facts: dict[str, Fact] = _refund(bought, policy) if bought.amount_refunded else {}
    return facts | ({"disputed": True} if bought.dispute is Dispute.OPEN else {})


# Rules for purchases


def other_than_ordered(purchase: Purchase, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """Price, quantity, amount and currency must be what the order says. Tax may come on top."""
    asked, ordered = (purchase.amount_subtotal, purchase.currency), (order.amount, order.currency)
    if asked != ordered:
        facts: dict[str, Fact] = {"amount": asked[0], "currency": asked[1], "ordered": ordered[0]}
        return Verdict.QUARANTINED, because(Code.OTHER_THAN_ORDERED, ordered_currency=order.currency, **facts)
    if purchase.lines != (Line(order.price_id, order.quantity),):
        return Verdict.QUARANTINED, because(Code.OTHER_THAN_ORDERED)
    return None


def not_adding_up(purchase: Purchase, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """The total is what a discount leaves of the amount, or more: tax is either in the amount or on top of the rest.

    https://docs.stripe.com/api/checkout/sessions/object (amount_subtotal, amount_total)
    """
    due = order.amount - purchase.amount_discount
    if not 0 <= due <= order.amount or purchase.amount_total < due or purchase.amount_refunded < 0:
        return Verdict.QUARANTINED, because(Code.NOT_ADDING_UP)
    return None


def discounted(purchase: Purchase, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """A discount that the order did not offer was not given by us. What the policy says now does not matter."""
    if purchase.amount_discount and not order.promotion_codes:
        return Verdict.QUARANTINED, because(Code.UNEXPECTED_DISCOUNT)
    return None


def not_paid(purchase: Purchase, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """``paid`` is paid, and so is ``free`` where there was nothing to pay.

    A checkout may also ask for no payment because it comes later:
    https://docs.stripe.com/api/checkout/sessions/object#checkout_session_object-payment_status
    """
    if purchase.payment is Payment.PAID or (purchase.payment is Payment.FREE and purchase.amount_total == 0):
        return None
    if purchase.payment is Payment.FREE:
        return Verdict.QUARANTINED, because(Code.NOT_ASKED_FOR)
    if purchase.payment is Payment.PENDING:
        return Verdict.PENDING, because(Code.PROCESSING)
    return Verdict.UNPAID, because(Code.NOT_PAID)


# First check whether there is any money: a payment that never happened needs nobody's attention.
RULES: tuple[Rule, ...] = (
    not_paid,
    other_mode,
    somebody_elses,
    other_than_ordered,
    not_adding_up,
    discounted,
    refunded,
    disputed,
)


def _grounds(purchase: Purchase, policy: Policy) -> Reason:
    """Why a purchase without objections is granted, and what the policy tolerated."""
    return because(
        Code.PAID,
        free=purchase.amount_total == 0 or None,
        discount=bool(purchase.amount_discount) or None,
        **_overlooked(purchase, policy),
    )


# Rules for subscriptions


def over(subscription: Subscription, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """What is over gives nothing."""
    return _end(subscription)


def _end(subscription: Subscription) -> Objection | None:
    if subscription.standing is SubscriptionStatus.CANCELED:
        return Verdict.ENDED, because(Code.ENDED, at=subscription.ends_at or subscription.period_end)
    if subscription.standing is SubscriptionStatus.INCOMPLETE_EXPIRED:
        return Verdict.ENDED, because(Code.NEVER_BEGUN)
    return None


def ordered_once(subscription: Subscription, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """An order for a single payment does not match a subscription."""
    if not order.recurring:
        return Verdict.QUARANTINED, because(Code.ORDERED_ONCE)
    return None


# https://docs.stripe.com/api/subscriptions/object#subscription_object-status
GIVING = frozenset({SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE})
ON_HOLD = {
    SubscriptionStatus.INCOMPLETE: Code.FIRST_PAYMENT_MISSING,
    SubscriptionStatus.UNPAID: Code.ON_HOLD,
    SubscriptionStatus.PAUSED: Code.NO_CARD,
}


def not_giving(subscription: Subscription, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """Only three standings may give access; others, such as new ones that the provider adds later, do not."""
    if subscription.standing in GIVING:
        return None
    if subscription.standing is SubscriptionStatus.INCOMPLETE and subscription.bill is Bill.PROCESSING:
        return Verdict.PENDING, because(Code.PROCESSING)
    if subscription.standing in ON_HOLD:
        return Verdict.SUSPENDED, because(ON_HOLD[subscription.standing])
    return Verdict.QUARANTINED, because(Code.UNKNOWN_STANDING)


def not_begun(subscription: Subscription, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """Nothing is given in advance: a first payment, a trial or a free period must come first."""
    if _settled(subscription) or _has_begun(subscription):
        return None
    if subscription.bill in WAITS:
        return Verdict.PENDING, because(Code.PROCESSING)
    return Verdict.SUSPENDED, because(Code.FIRST_PAYMENT_FAILED)


def collection_paused(subscription: Subscription, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """While the seller has paused collection, what is already paid still counts, and nothing more."""
    if subscription.collection_paused and not _settled(subscription) and subscription.bill is not Bill.PROCESSING:
        return Verdict.SUSPENDED, because(Code.COLLECTION_PAUSED)
    return None


def disputed_earlier(subscription: Subscription, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """A dispute often comes after the period that it is about. It counts for the whole subscription, as one about the
    current period does, unless the seller only wants it listed.
    """
    if not policy.earlier_dispute_counts:
        return None
    worst = _disputed_earlier(subscription)
    return _challenged(worst.dispute, policy, reference=worst.reference, since=worst.starts) if worst else None


SUBSCRIPTION_RULES: tuple[SubscriptionRule, ...] = (
    over,
    other_mode,
    somebody_elses,
    ordered_once,
    not_giving,
    not_begun,
    collection_paused,
    refunded,
    disputed,
    disputed_earlier,
)


# What a subscription's invoices say

# How long to wait for each before it counts as a failed renewal.
WAITS = {Bill.DRAFT: UNASKED, Bill.OPEN: UNASKED, Bill.PROCESSING: ON_ITS_WAY}


def _settled(subscription: Subscription) -> bool:
    """Whether nothing is due (any more) for the current period."""
    if subscription.standing is SubscriptionStatus.TRIALING:
        return True
    if subscription.bill is not Bill.PAID:
        return False
    return subscription.amount_total > 0 or not any(_is_owed(one, subscription) for one in subscription.present)


def _unpaid_at(time: int, invoices: Iterable[Invoice]) -> list[Invoice]:
    """The unpaid invoices for the time that includes this moment.

    A change of plan credits what is left of a period whether it was paid or not, and that credit pays for nothing:
    https://docs.stripe.com/billing/subscriptions/prorations
    """
    reaching = [one for one in invoices if one.starts <= time < one.ends]
    return [one for one in without_replaced(reaching) if one.bill is not Bill.PAID]


def _has_begun(subscription: Subscription) -> bool:
    """Whether any period was settled: paid, free, or a trial."""
    return _had_trial(subscription) or any(one.bill is Bill.PAID for one in subscription.invoices)


def _had_trial(subscription: Subscription) -> bool:
    """Whether it reached the current period through a trial, at whatever time."""
    return subscription.trial_end is not None and subscription.trial_end <= subscription.period_start


# What an unsettled period is called, by its invoices; a paid one was paid from a credit, without money.
OWED = {Bill.FAILED: Code.RENEWAL_FAILED, Bill.PAID: Code.PLAN_NOT_PAID}


@dataclass(frozen=True, slots=True)
class _Owing:
    """A current period that is not settled.

    ``since`` is when the first of the payments was due that were missed since a period was last settled. So an invoice
    that is written off, voided or left a draft starts no second grace. ``first``: no money was ever paid before.
    """

    since: int
    waits_until: int
    first: bool


def _owing(subscription: Subscription) -> _Owing:
    missed = _missed(subscription)
    awaited = [_awaited_until(one) for one in subscription.present if one.bill is not Bill.PAID]
    to_come = 0 if subscription.present else subscription.period_start + UNASKED
    waits = all(one.starts >= subscription.period_start for one in missed)
    return _Owing(
        since=min(map(_fell_due, missed), default=subscription.period_start),
        waits_until=min(awaited, default=to_come) if waits else 0,
        first=not any(one.bill is Bill.PAID and one.total > 0 for one in subscription.invoices),
    )


def _awaited_until(invoice: Invoice) -> int:
    """Until when it does not count as a failed renewal; 0: it counts now."""
    waits = invoice.bill in WAITS and not invoice.trouble
    return _fell_due(invoice) + WAITS[invoice.bill] if waits else 0


def _missed(subscription: Subscription) -> list[Invoice]:
    """The invoices not paid since a period was last settled, including void ones."""
    asked = (*subscription.earlier, *subscription.asked)
    owed = [one for one in asked if _is_owed(one, subscription)]
    settled = [one.starts for one in asked if one not in owed and not _leaves_owing(one, asked)]
    return [one for one in owed if one.starts > max(settled, default=0)]


def _is_owed(invoice: Invoice, subscription: Subscription) -> bool:
    """Whether it is not paid; or was paid from a credit, while another invoice for the same time is not paid."""
    if invoice.bill is not Bill.PAID:
        return True
    took_none = not invoice.paid and invoice.ends != subscription.trial_end
    return took_none and bool(_unpaid_at(invoice.starts, subscription.invoices))


def _leaves_owing(paid: Invoice, asked: Iterable[Invoice]) -> bool:
    """Whether its period was not settled when it was paid, as where it was for another plan from then on. Invoices of
    one period end together.
    """
    so_far = [one for one in asked if one.ends == paid.ends and one.starts <= paid.starts]
    return any(one.bill is not Bill.PAID for one in without_replaced(so_far))


def _fell_due(invoice: Invoice) -> int:
    """An invoice that was never finalized counts from the start of its period."""
    return invoice.starts if invoice.due_at is None else invoice.due_at


def _until(subscription: Subscription, policy: Policy) -> int:
    """When the access that a subscription gives ends. If its end is set, access lasts until that end, and no longer."""
    if _settled(subscription):
        last = subscription.period_end + (0 if subscription.collection_paused else LATE)
    else:
        owing = _owing(subscription)
        days = policy.trial_grace_days if owing.first else policy.grace_days
        last = max(owing.since + days * DAY, owing.waits_until)
    return last if subscription.ends_at is None else min(last, subscription.ends_at)


def _standing(subscription: Subscription, policy: Policy) -> Reason:
    """Why a subscription without objections is granted, what comes next, and what the policy tolerated."""
    paused = subscription.collection_paused or None
    ended_for = None if subscription.ends_at is None else subscription.ended_for
    more: dict[str, Fact] = {"ends": subscription.ends_at, "ended_for": ended_for, "paused": paused}
    more |= _overlooked(subscription, policy)
    if subscription.standing is SubscriptionStatus.TRIALING:
        return because(Code.TRIAL, until=subscription.trial_end or subscription.period_end, **more)
    if _settled(subscription):
        free = not any(one.total > 0 for one in subscription.present) or None
        return because(Code.SUBSCRIBED, until=subscription.period_end, free=free, **more)
    owing, until = _owing(subscription), _until(subscription, policy)
    first = owing.first or None
    if owing.waits_until:
        trial = (owing.first and _had_trial(subscription)) or None
        return because(Code.RENEWING, since=subscription.period_start, until=until, first=first, trial=trial, **more)
    code = OWED.get(subscription.bill, Code.PERIOD_NOT_PAID)
    return because(code, due=owing.since, until=until, first=first, bill=subscription.bill.value, **more)


def _disputed_earlier(subscription: Subscription) -> Invoice | None:
    return _gravest(subscription.earlier, Dispute.OPEN, Dispute.LOST)


def _gravest(invoices: Iterable[Invoice], *which: Dispute) -> Invoice | None:
    """The invoice with the most serious of these disputes; the newest if there are several."""
    found = [one for one in invoices if one.dispute in which]
    worst = gravest(one.dispute for one in found)
    return next((one for one in found if one.dispute is worst), None)


def _remarks(subscription: Subscription, known: Line | None, policy: Policy) -> Iterator[Reason]:
    """What an operator should deal with."""
    if subscription.over:
        yield from _paid_after_end(subscription)
        return
    others = ", ".join(line.price_id for line in subscription.items if line is not known)
    if known is None:
        yield because(Code.UNKNOWN_PRICE, prices=others or None)
    elif others:
        yield because(Code.OTHER_PRICES, prices=others)
    for one in subscription.invoices:
        if one.bill is Bill.DRAFT and one.trouble and not subscription.collection_paused:
            yield because(Code.NOT_FINALIZED, invoice=one.id, since=one.starts, trouble=one.trouble)
    yield from _to_be_ended(subscription, policy)


def _to_be_ended(subscription: Subscription, policy: Policy) -> Iterator[Reason]:
    """A dispute that was lost while the subscription continues and takes money; or, if earlier ones do not count, one
    that is open.
    """
    lost = _gravest(subscription.invoices, Dispute.LOST)
    remarked = lost or (None if policy.earlier_dispute_counts else _disputed_earlier(subscription))
    if remarked:
        facts: dict[str, Fact] = {"invoice": remarked.id, "since": remarked.starts, "amount": remarked.paid}
        facts |= {"currency": subscription.currency, "lost": bool(lost) or None, "ends": subscription.ends_at}
        yield because(Code.SUBSCRIPTION_DISPUTED, **facts)


def _paid_after_end(subscription: Subscription) -> Iterator[Reason]:
    """Money that arrived after the subscription was over, and was not refunded."""
    ended = subscription.ends_at or subscription.period_end
    for one in subscription.invoices:
        if one.paid > one.back and one.paid_at is not None and one.paid_at > ended:
            facts: dict[str, Fact] = {"invoice": one.id, "at": one.paid_at, "amount": one.paid, "ended": ended}
            yield because(Code.PAID_AFTER_END, currency=subscription.currency, **facts)
