"""PURE. What a customer's snapshot entitles to: a verdict on each purchase, with its reason in words.

Each rule looks for one thing that stands in the way, and a purchase that no rule objects to is granted. Being paid is
one of the rules: it names what counts as paid, and nothing else does.
"""

from collections.abc import Callable, Mapping

from tollkeeper.catalog import Catalog
from tollkeeper.model import Customer, Dispute, Finding, Line, Order, Payment, Policy, Purchase, Snapshot, Verdict

Objection = tuple[Verdict, str]
Rule = Callable[[Purchase, Order, Customer, Policy], Objection | None]


def derive(snapshot: Snapshot, orders: Mapping[str, Order], catalog: Catalog) -> tuple[Finding, ...]:
    """Judge every purchase in the snapshot. ``orders`` are the person's own orders, by id."""
    return tuple(judge(purchase, orders, snapshot.customer, catalog) for purchase in snapshot.purchases)


def judge(purchase: Purchase, orders: Mapping[str, Order], customer: Customer, catalog: Catalog) -> Finding:
    """The verdict on one purchase of one customer."""
    order = orders.get(purchase.order_id or "")
    if order is None:
        return unclaimed(purchase)
    policy = catalog.policy(order.product)
    objections = (rule(purchase, order, customer, policy) for rule in RULES)
    verdict, reason = next(filter(None, objections), None) or (Verdict.GRANTED, _grounds(purchase, policy))
    return Finding(purchase, verdict, reason, product=order.product)


def unclaimed(purchase: Purchase) -> Finding:
    """The verdict on a purchase that nobody ordered here. It opens no door, whoever holds its id."""
    if purchase.payment is Payment.PAID:
        return Finding(purchase, Verdict.UNCLAIMED, "Paid on our account, but never ordered here by this person.")
    return Finding(purchase, Verdict.UNPAID, "Never ordered here by this person, and not paid.")


def other_mode(purchase: Purchase, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """Test money never opens a live door, nor one account's money another's."""
    if purchase.live != customer.realm.live or order.realm != customer.realm:
        return Verdict.QUARANTINED, "The payment and the order are of different accounts or modes."
    return None


def somebody_elses(purchase: Purchase, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """Order, payment and customer must all name the same person."""
    if {purchase.person_id, order.person_id} != {customer.person_id}:
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


def refunded(purchase: Purchase, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """A full refund takes access away, and a partial one from the share on that the seller set."""
    back, paid = purchase.amount_refunded, purchase.amount_total
    if back and back >= paid:
        return Verdict.REVOKED, "Refunded in full."
    if back and back * 100 >= paid * policy.refund_revokes_from:
        return Verdict.REVOKED, f"Refunded by {_share(purchase)}, and {_limit(policy)}."
    return None


def disputed(purchase: Purchase, order: Order, customer: Customer, policy: Policy) -> Objection | None:
    """A payment that the buyer's bank challenges gives no access until that is won, unless the seller is lenient.

    A dispute that is lost takes access away whatever the seller says, and an inquiry changes nothing.
    """
    if purchase.dispute is Dispute.OPEN and policy.dispute_suspends:
        return Verdict.REVOKED, "The payment is disputed."
    return (Verdict.REVOKED, "The dispute was lost.") if purchase.dispute is Dispute.LOST else None


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


def _grounds(purchase: Purchase, policy: Policy) -> str:
    """Why a purchase that nothing stands in the way of is granted, and what of it was overlooked."""
    words = [_paid(purchase)]
    if purchase.amount_refunded:
        words.append(f"{_share(purchase)} refunded since, and {_limit(policy)}")
    if purchase.dispute is Dispute.OPEN:
        words.append("disputed by the buyer's bank, and access kept unless that is lost")
    return f"{'; '.join(words)}."


def _paid(purchase: Purchase) -> str:
    if purchase.amount_total == 0:
        return f"Nothing to pay: {'a promotion code covered it' if purchase.amount_discount else 'the price is zero'}"
    return "Paid, less the discount of a promotion code" if purchase.amount_discount else "Paid in full"


def _share(purchase: Purchase) -> str:
    """How much of what was paid went back, rounded down."""
    return f"{purchase.amount_refunded * 100 // purchase.amount_total or 'less than 1'} %"


def _limit(policy: Policy) -> str:
    return f"access ends from {policy.refund_revokes_from} % on"
