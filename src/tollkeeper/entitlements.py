"""PURE. What a customer's snapshot entitles to: a verdict on each purchase, with its reason in words.

Each rule looks for one thing that stands in the way, and a purchase that no rule objects to is granted. Being paid is
one of the rules, and it knows a single state that counts as paid.
"""

from collections.abc import Callable, Mapping

from tollkeeper.model import Customer, Dispute, Finding, Line, Order, Payment, Purchase, Snapshot, Verdict

Objection = tuple[Verdict, str]
Rule = Callable[[Purchase, Order, Customer], Objection | None]


def derive(snapshot: Snapshot, orders: Mapping[str, Order]) -> tuple[Finding, ...]:
    """Judge every purchase in the snapshot. ``orders`` are the person's own orders, by id."""
    return tuple(judge(purchase, orders, snapshot.customer) for purchase in snapshot.purchases)


def judge(purchase: Purchase, orders: Mapping[str, Order], customer: Customer) -> Finding:
    """The verdict on one purchase of one customer."""
    order = orders.get(purchase.order_id or "")
    if order is None:
        return Finding(purchase, Verdict.UNCLAIMED, "Paid on our account, but never ordered here by this person.")
    objections = (rule(purchase, order, customer) for rule in RULES)
    verdict, reason = next(filter(None, objections), (Verdict.GRANTED, "Paid in full."))
    return Finding(purchase, verdict, reason, product=order.product)


def other_mode(purchase: Purchase, order: Order, customer: Customer) -> Objection | None:
    """Test money never opens a live door, nor one account's money another's."""
    if purchase.live != customer.realm.live or order.realm != customer.realm:
        return Verdict.QUARANTINED, "The payment and the order are of different accounts or modes."
    return None


def somebody_elses(purchase: Purchase, order: Order, customer: Customer) -> Objection | None:
    """Order, payment and customer must all name the same person."""
    if {purchase.person_id, order.person_id} != {customer.person_id}:
        return Verdict.QUARANTINED, "The payment and the order name different people."
    return None


def other_than_ordered(purchase: Purchase, order: Order, customer: Customer) -> Objection | None:
    """Price, quantity, amount and currency must be what the order says. Tax may come on top."""
    ordered = ((Line(order.price_id, order.quantity),), order.amount, order.currency)
    if (purchase.lines, purchase.amount_subtotal, purchase.currency) != ordered:
        return Verdict.QUARANTINED, "The price, quantity, amount or currency is not what was ordered."
    return None


def discounted(purchase: Purchase, order: Order, customer: Customer) -> Objection | None:
    """We offer no discounts, so one that appears was not given by us."""
    if purchase.amount_discount or purchase.amount_total < order.amount or purchase.payment is Payment.FREE:
        return Verdict.QUARANTINED, "Less was paid than the order says."
    return None


def not_paid(purchase: Purchase, order: Order, customer: Customer) -> Objection | None:
    """Only ``paid`` is paid."""
    if purchase.payment is Payment.PAID:
        return None
    if purchase.payment is Payment.PENDING:
        return Verdict.PENDING, "The payment is still being processed."
    return Verdict.UNPAID, "The payment did not succeed."


def refunded(purchase: Purchase, order: Order, customer: Customer) -> Objection | None:
    """A full refund takes access away; a partial one keeps it."""
    if purchase.amount_refunded >= purchase.amount_total:
        return Verdict.REVOKED, "Refunded in full."
    return None


def disputed(purchase: Purchase, order: Order, customer: Customer) -> Objection | None:
    """A payment that the buyer's bank challenges gives no access until that is won. An inquiry changes nothing."""
    if purchase.dispute is Dispute.OPEN:
        return Verdict.REVOKED, "The payment is disputed."
    return (Verdict.REVOKED, "The dispute was lost.") if purchase.dispute is Dispute.LOST else None


RULES: tuple[Rule, ...] = (
    other_mode,
    somebody_elses,
    other_than_ordered,
    discounted,
    not_paid,
    refunded,
    disputed,
)
