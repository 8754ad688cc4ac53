"""Why one person may or may not use a feature, in one sentence that can be forwarded; and what happened to them."""

from collections import Counter
from collections.abc import Sequence

from tollkeeper.model.access import Grant
from tollkeeper.model.bought import Invoice
from tollkeeper.model.orders import Order, OrderState
from tollkeeper.reasons import Code, Reason
from tollkeeper.storage.dismissals import Dismissal
from tollkeeper.storage.findings import Noted
from tollkeeper.storage.people import Namesake
from tollkeeper.wording.forms import DISPUTED_SINCE, stopped
from tollkeeper.wording.operators import clause, sentence
from tollkeeper.words import day, money, price


def allowed(name: str, feature: str, grant: Grant, *, by_operator: bool) -> str:
    """Who may use a feature, and by which grant."""
    until = "" if grant.until is None else f" until {day(grant.until)}"
    return stopped(f"{name} may use {feature}{until}, because {_grounds(grant, by_operator)}")


def denied(name: str, feature: str, obstacle: str) -> str:
    """Who may not, and why."""
    return stopped(f"{name} may not use {feature}, because {obstacle}")


def _grounds(grant: Grant, by_operator: bool) -> str:
    if not by_operator:
        return f"{origin(grant, by_operator)} {clause(grant.reason)}"
    what_for = f" for payment {grant.reference}" if grant.reference else ""
    return f"an operator granted it on {day(grant.since)}{what_for}: {_note(grant.reason)}"


def _note(reason: Reason) -> str:
    """What the operator wrote."""
    return str(reason["note"] or reason["words"] or "").rstrip(".")


def origin(grant: Grant, by_operator: bool) -> str:
    """Where a grant comes from. Of the grants based on a payment, only those of subscriptions have an end."""
    if by_operator:
        return f"an operator's grant of {day(grant.since)}"
    if grant.until is not None:
        return f"subscription {grant.source} of {day(grant.since)}"
    return f"payment {grant.reference or grant.source} of {price(grant.amount, grant.currency)} on {day(grant.since)}"


def payment_of(one: Noted) -> str:
    """What was bought, as a sentence begins with it."""
    if one.recurring:
        return f"subscription {one.source} of {day(one.bought_at)}"
    return f"payment {one.payment} of {money(one.amount, one.currency)} on {day(one.bought_at)}"


def withheld(grant: Grant, by_operator: bool, ended_at: int) -> str:
    """Access that somebody decided to end."""
    decided = grant.withheld
    if decided is not None and decided.code is Code.ACCOUNT_DELETED:
        return f"the account was deleted on {day(ended_at)}, and with it ended what {origin(grant, by_operator)} gave"
    note = _note(decided) if decided else ""
    ended = f"it ended on {day(ended_at)}"
    return f"an operator revoked the access that {origin(grant, by_operator)} gave: {note}; {ended}"


def ran_out(grant: Grant, by_operator: bool, ended_at: int, reason: Reason) -> str:
    """Access whose time is over."""
    ended = f"the access that {origin(grant, by_operator)} gave ended on {day(ended_at)}"
    return ended if by_operator else f"{ended}: it {clause(reason)}"


def taken_away(grant: Grant, ended_at: int, reason: Reason) -> str:
    """Access that ended before its time."""
    return f"{origin(grant, by_operator=False)} {clause(reason)}; access ended on {day(ended_at)}"


# What to add to a payment that gives no access yet, or none any more.
NO_ACCESS_YET = {
    "pending": "; access begins when it succeeds",
    "granted": ", but access has not been updated yet",
    "quarantined": ", and gives no access until somebody has looked at it",
    "suspended": "; access begins when that is fixed",
}


MONEY_GONE = "; all of that money has gone back"


def obstacle(one: Noted, ending: str = "") -> str:
    """A payment that gives no access, and why. The text about a dispute already says when access begins."""
    ending = "" if one.reason.code is Code.DISPUTED else ending
    return f"{payment_of(one)} {clause(one.reason)}{ending}"


def paid_elsewhere(one: Noted) -> str:
    """The e-mail address on a payment is what somebody typed there."""
    return (
        f"nothing was paid for here: {payment_of(one)} was made with the same e-mail address, but through a payment"
        " link or something similar; it is unclaimed, because an address is no proof of who paid"
    )


def paid_to_others(one: Noted) -> str:
    """What was bought on the same account, from somebody else."""
    return f"nothing was paid for here: {obstacle(one)}"


def adopted(order: Order, name: str) -> str:
    """What was bought elsewhere and assigned to a person."""
    what = f"{'Subscription' if order.recurring else 'Purchase'} {order.adopts}"
    note = _note(order.adoption) if order.adoption else ""
    return stopped(f"{what} was not ordered here: an operator assigned it to {name} on {day(order.created_at)}: {note}")


NOTHING_KNOWN = "no payment is known here, and the provider could not be asked"


NEVER_PAID = "nothing was ever paid"


NEVER_BOUGHT = "nothing was ever bought"


def not_finished(begun_at: int) -> str:
    """A purchase that was begun."""
    return f"{NEVER_PAID}: a purchase was begun on {day(begun_at)} and not finished"


def not_in_catalog(name: str, product: str) -> str:
    """Something held that unlocks nothing."""
    return f"{name} also holds {product}, which is not in the catalog (any more), and so unlocks nothing."


def namesake(one: Namesake) -> str:
    """Another account with the same verified address, which the person may have meant."""
    has = f"holds {', '.join(one.holds)}" if one.holds else "holds nothing"
    signs_in = f"signs in with {', '.join(one.issuers)}"
    return f"{one.person.name} ({one.person.id}) {signs_in} with the same verified address, and {has}."


def of_an_earlier_period(invoice: Invoice, currency: str) -> str:
    """What became of the money for a period that is over; it does not change what the current one gives."""
    what = f"The payment of {money(invoice.paid, currency)} for the period from {day(invoice.starts)}"
    if invoice.refunded:
        how = "in full" if invoice.refunded >= invoice.paid else f"by {money(invoice.refunded, currency)}"
        return f"{what} was refunded {how}; that period is over, and the current one is not affected."
    return f"{what} {DISPUTED_SINCE[invoice.dispute]}."


def dismissed(payment: str, why: Dismissal) -> str:
    """What an operator dismissed, and how to undo that."""
    text = stopped(f"Dismissed on {day(why.dismissed_at)}: {_note(why.reason)}")
    return f"{text} To undo: tollkeeper payments restore {payment}"


def nothing_to_grant_for(payment: str) -> str:
    """An id that an operator wants to grant something for."""
    return f"{payment} is not a payment that needs a look: `tollkeeper payments` lists those."


def ordered(product: str, amount: int, currency: str, state: OrderState, checkout_id: str | None) -> str:
    """An order, in a person's history."""
    return f"{product} for {money(amount, currency)}; {state.value} now; checkout session {checkout_id or 'none'}"


def changed(product: str, change: str, reason: Reason, evidence: str) -> str:
    """A change of access, in a person's history."""
    return f"{product} {change}. {sentence(reason)} Evidence: {evidence}"


def without_effect(types: Sequence[str]) -> str:
    """Events that changed nothing, in a person's history."""
    times = Counter(types)
    text = ", ".join(f"{type_} ({count} times)" if count > 1 else type_ for type_, count in times.items())
    return f"{len(types)} events without effect: {text}"


def ended(source: str, found: Noted | None) -> str:
    """A subscription that an operator has had ended."""
    if found is None:
        return f"Subscription {source} was ended at the provider. Nothing was refunded."
    return f"Subscription {source}: {sentence(found.reason)} Nothing was refunded."


def no_such_subscription(source: str) -> str:
    """An id that an operator gave."""
    known = "`tollkeeper why` lists a person's subscriptions."
    return f"No running subscription with the id {source} is known here. {known}"


def nothing_paid_back(grant: Grant) -> str:
    """Money that was not refunded when an operator ended the access that it paid for."""
    paid = f"{grant.reference or grant.source} ({price(grant.amount, grant.currency)})"
    return f"Nothing was refunded: refund {paid} at the provider, if it should be."


NO_CASES = "No payment needs a look."


PAYMENTS_NOW = "Payments, as the provider reports them"


PAYMENTS_LAST_SEEN = "Payments, as the provider last reported them"
