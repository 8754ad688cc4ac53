"""PURE. What a customer's snapshot entitles to: a verdict on each purchase and subscription, with its reason in words.

Each rule looks for one thing that stands in the way, and what no rule objects to is granted. Being paid is one of the
rules: it names what counts as paid, and nothing else does. Rules take no time: the same snapshot always gives the same,
and of a subscription also tells until when.
"""

from collections.abc import Callable, Mapping

from tollkeeper.catalog import Catalog
from tollkeeper.model import (
    Bought,
    Customer,
    Dispute,
    Finding,
    Line,
    Order,
    Payment,
    Policy,
    Purchase,
    Snapshot,
    Standing,
    Subscription,
    Verdict,
)
from tollkeeper.words import day

Objection = tuple[Verdict, str]
Rule = Callable[[Purchase, Order, Customer, Policy], Objection | None]
SubscriptionRule = Callable[[Subscription, Order, Customer, Policy], Objection | None]

# Seconds.
DAY = 24 * 3600

# How long a subscription that is renewed gives access beyond the end of its period: the news of the renewal may be
# late, or the provider down.
LATE = DAY


def derive(
    snapshot: Snapshot, orders: Mapping[str, Order], catalog: Catalog, held: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """Judge every purchase and subscription in the snapshot. ``orders`` are the person's own orders, by id.

    ``held`` are the products that subscriptions gave so far, by source: one whose price the catalog does not know (any
    more) goes on giving the same.
    """
    buyer, before = snapshot.customer, held or {}
    purchases = tuple(judge(one, orders, buyer, catalog) for one in snapshot.purchases)
    return purchases + tuple(
        judge_subscription(one, orders, buyer, catalog, before.get(one.source)) for one in snapshot.subscriptions
    )


def judge(purchase: Purchase, orders: Mapping[str, Order], customer: Customer, catalog: Catalog) -> Finding:
    """The verdict on one purchase of one customer."""
    order = orders.get(purchase.order_id or "")
    if order is None:
        return unclaimed(purchase)
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
) -> Finding:
    """The verdict on one subscription of one customer, and until when it gives access.

    It sells one product: that of its first price which the catalog knows, else what it gave so far, or was ordered.
    """
    order = orders.get(subscription.order_id or "")
    if order is None:
        return unclaimed(subscription)
    known = next((line for line in subscription.items if _product(line, customer, catalog)), None)
    product = _product(known, customer, catalog) or held or order.product
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
        remark=None if verdict is Verdict.ENDED else _remark(subscription, known),
    )


def unclaimed(bought: Purchase | Subscription) -> Finding:
    """The verdict on what nobody ordered here. It opens no door, whoever holds its id."""
    if isinstance(bought, Subscription):
        return _unclaimed_subscription(bought)
    if bought.payment is Payment.PAID:
        return Finding(bought, Verdict.UNCLAIMED, "Paid on our account, but never ordered here by this person.")
    return Finding(bought, Verdict.UNPAID, "Never ordered here by this person, and not paid.")


def _unclaimed_subscription(subscription: Subscription) -> Finding:
    line = next(iter(subscription.items), None)
    if (end := _end(subscription)) is not None:
        return Finding(subscription, *end, line=line)
    if subscription.standing is Standing.INCOMPLETE:
        return Finding(subscription, Verdict.UNPAID, "Never ordered here by this person, and not paid.", line=line)
    reason = "A subscription on our account, but never ordered here by this person."
    return Finding(subscription, Verdict.UNCLAIMED, reason, line=line)


def _product(line: Line | None, customer: Customer, catalog: Catalog) -> str | None:
    """The key of the product that a line sells."""
    product = catalog.product_of_price(customer.realm.provider, line.price_id) if line else None
    return product.key if product else None


def _remark(subscription: Subscription, known: Line | None) -> str | None:
    """What of a subscription the catalog does not explain."""
    others = ", ".join(line.price_id for line in subscription.items if line is not known)
    if known is None:
        return f"No product in the catalog has its price ({others or 'it has none'}): access stays as it was."
    return f"It has other prices beside, which give nothing here: {others}." if others else None


def other_mode(bought: Bought, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """Test money never opens a live door, nor one account's money another's."""
    if bought.live != customer.realm.live or order.realm != customer.realm:
        return Verdict.QUARANTINED, "The payment and the order are of different accounts or modes."
    return None


def somebody_elses(bought: Bought, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """Order, payment and customer must all name the same person."""
    if {bought.person_id, order.person_id} != {customer.person_id}:
        return Verdict.QUARANTINED, "The payment and the order name different people."
    return None


def other_than_ordered(purchase: Purchase, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """Price, quantity, amount and currency must be what the order says. Tax may come on top."""
    ordered = ((Line(order.price_id, order.quantity),), order.amount, order.currency)
    if (purchase.lines, purchase.amount_subtotal, purchase.currency) != ordered:
        return Verdict.QUARANTINED, "The price, quantity, amount or currency is not what was ordered."
    return None


def not_adding_up(purchase: Purchase, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """The total is what a discount leaves of the amount, or more: tax is either in the amount or on top of the rest.

    https://docs.stripe.com/api/checkout/sessions/object (amount_subtotal, amount_total)
    """
    due = order.amount - purchase.amount_discount
    if not 0 <= due <= order.amount or purchase.amount_total < due or purchase.amount_refunded < 0:
        return Verdict.QUARANTINED, "The amounts of the payment do not add up to what was ordered."
    return None


def discounted(purchase: Purchase, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """A discount that the order did not offer was not given by us. What the policy says by now does not matter."""
    if purchase.amount_discount and not order.promotion_codes:
        return Verdict.QUARANTINED, "Less was paid than the order says: it offered no discount."
    return None


def not_paid(purchase: Purchase, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """``paid`` is paid, and so is ``free`` where there was nothing to pay.

    A checkout may also ask for no payment because it comes later:
    https://docs.stripe.com/api/checkout/sessions/object#checkout_session_object-payment_status
    """
    if purchase.payment is Payment.PAID or (purchase.payment is Payment.FREE and purchase.amount_total == 0):
        return None
    if purchase.payment is Payment.FREE:
        return Verdict.QUARANTINED, "No payment was asked for, though there was something to pay."
    if purchase.payment is Payment.PENDING:
        return Verdict.PENDING, "The payment is still being processed."
    return Verdict.UNPAID, "The payment did not succeed."


def refunded(bought: Bought, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """A full refund takes access away, and a partial one from the share on that the seller set."""
    back, paid = bought.amount_refunded, bought.amount_total
    if back and back >= paid:
        return Verdict.REVOKED, "Refunded in full."
    if back and back * 100 >= paid * policy.refund_revokes_from:
        return Verdict.REVOKED, f"Refunded by {_share(bought)}, and {_limit(policy)}."
    return None


def disputed(bought: Bought, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """A payment that the buyer's bank challenges gives no access until that is won, unless the seller is lenient.

    A dispute that is lost takes access away whatever the seller says, and an inquiry changes nothing.
    """
    if bought.dispute is Dispute.OPEN and policy.dispute_suspends:
        return Verdict.REVOKED, "The payment is disputed."
    return (Verdict.REVOKED, "The dispute was lost.") if bought.dispute is Dispute.LOST else None


# First whether there is any money, for a payment that never came to pass needs nobody's attention.
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


def over(subscription: Subscription, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """What is over gives nothing, and needs nobody's attention."""
    return _end(subscription)


def _end(subscription: Subscription) -> Objection | None:
    if subscription.standing is Standing.CANCELED:
        return Verdict.ENDED, f"Ended on {day(subscription.ends_at or subscription.period_end)}."
    if subscription.standing is Standing.INCOMPLETE_EXPIRED:
        return Verdict.ENDED, "Its first payment was never made, and the time for it is over."
    return None


def ordered_once(subscription: Subscription, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """What was ordered to be paid once is no subscription."""
    if not order.recurring:
        return Verdict.QUARANTINED, "What was ordered is paid once, and this is a subscription."
    return None


# https://docs.stripe.com/api/subscriptions/object#subscription_object-status
GIVING = frozenset({Standing.TRIALING, Standing.ACTIVE, Standing.PAST_DUE})
ON_HOLD = {
    Standing.INCOMPLETE: "Its first payment has not been made.",
    Standing.UNPAID: "Its payments failed, and it is on hold until what is owed is paid.",
    Standing.PAUSED: "Its trial ended without a card, and it is on hold until there is one.",
}


def not_giving(subscription: Subscription, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """Three standings may give access, and no others, such as those that are invented later."""
    if subscription.standing in GIVING:
        return None
    if subscription.standing is Standing.INCOMPLETE and subscription.payment is Payment.PENDING:
        return Verdict.PENDING, "The payment is still being processed."
    if subscription.standing in ON_HOLD:
        return Verdict.SUSPENDED, ON_HOLD[subscription.standing]
    return Verdict.QUARANTINED, "How it stands with the provider is not known here."


def never_paid(subscription: Subscription, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """Trials apart, nothing is given on trust. Where nothing was to pay, as with a coupon, nothing is owed."""
    if subscription.standing is Standing.TRIALING or subscription.ever_paid or _settled(subscription):
        return None
    if subscription.payment is Payment.PENDING:
        return Verdict.PENDING, "The payment is still being processed."
    return Verdict.SUSPENDED, "Its first payment has failed."


def not_asked_for(subscription: Subscription, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """While the seller asks for no payments, what is paid already still counts, and nothing beyond."""
    if subscription.collection_paused and not _settled(subscription):
        return Verdict.SUSPENDED, "Its payments are paused, and this period is not paid."
    return None


SUBSCRIPTION_RULES: tuple[SubscriptionRule, ...] = (
    over,
    other_mode,
    somebody_elses,
    ordered_once,
    not_giving,
    never_paid,
    not_asked_for,
    refunded,
    disputed,
)


def _settled(subscription: Subscription) -> bool:
    """Whether nothing is to pay (any more) for the present period."""
    free = subscription.payment is Payment.FREE and subscription.amount_total == 0
    return free or subscription.payment is Payment.PAID


def _until(subscription: Subscription, policy: Policy) -> int:
    """When the access ends that a subscription gives. One whose end is set gives it to that end, and no longer."""
    if subscription.standing is Standing.PAST_DUE:
        last = _owed_since(subscription) + policy.grace_days * DAY
    else:
        last = subscription.period_end + (0 if subscription.collection_paused else LATE)
    return last if subscription.ends_at is None else min(last, subscription.ends_at)


def _owed_since(subscription: Subscription) -> int:
    return subscription.period_start if subscription.owed_since is None else subscription.owed_since


def _standing(subscription: Subscription, policy: Policy) -> str:
    """Why a subscription that nothing stands in the way of is granted, what comes next, and what was overlooked."""
    end = "" if subscription.ends_at is None else f"; it ends on {day(subscription.ends_at)}"
    pause = "; its payments are paused from then on" if subscription.collection_paused else ""
    return f"{_period(subscription, policy)}{end or pause}{_overlooked(subscription, policy)}."


def _period(subscription: Subscription, policy: Policy) -> str:
    if subscription.standing is Standing.PAST_DUE:
        due = day(_owed_since(subscription))
        return f"The payment that was due on {due} failed, and access lasts until {day(_until(subscription, policy))}"
    if subscription.standing is Standing.TRIALING:
        return f"On trial until {day(subscription.trial_end or subscription.period_end)}"
    if not _settled(subscription):
        return f"Renewed on {day(subscription.period_start)}, and the payment for that is under way"
    free = "Nothing to pay" if subscription.payment is Payment.FREE else "Paid"
    return f"{free} until {day(subscription.period_end)}"


def _grounds(purchase: Purchase, policy: Policy) -> str:
    """Why a purchase that nothing stands in the way of is granted, and what of it was overlooked."""
    return f"{_paid(purchase)}{_overlooked(purchase, policy)}."


def _overlooked(bought: Bought, policy: Policy) -> str:
    words = ""
    if bought.amount_refunded:
        words += f"; {_share(bought)} refunded since, and {_limit(policy)}"
    if bought.dispute is Dispute.OPEN:
        words += "; disputed by the buyer's bank, and access kept unless that is lost"
    return words


def _paid(purchase: Purchase) -> str:
    if purchase.amount_total == 0:
        return f"Nothing to pay: {'a promotion code covered it' if purchase.amount_discount else 'the price is zero'}"
    return "Paid, less the discount of a promotion code" if purchase.amount_discount else "Paid in full"


def _share(bought: Bought) -> str:
    """How much of what was paid went back, rounded down."""
    return f"{bought.amount_refunded * 100 // bought.amount_total or 'less than 1'} %"


def _limit(policy: Policy) -> str:
    return f"access ends from {policy.refund_revokes_from} % on"
