"""PURE. The one place where reasons, with money and access in them, become sentences: for operators, the log, visitors.

A translation would touch this room and the templates. Each table is keyed by a reason's code; within, the first entry
counts whose facts are all there (``""`` fits always). In a text ``{until:day}`` is a fact, written as a day.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tollkeeper.model import Bill, Dispute, Grant, Invoice, Order, OrderState, Verdict
from tollkeeper.reasons import Code, Fact, Reason
from tollkeeper.storage.dismissals import Dismissal
from tollkeeper.storage.findings import Noted
from tollkeeper.storage.people import Namesake
from tollkeeper.words import day, money, price

Variants = Mapping[str, tuple[str, str]]

# For operators: a sentence by itself, and the rest of one that begins with the payment or the subscription.
OPERATORS: Mapping[Code, Variants] = {
    Code.PAID: {
        "free discount": (
            "Nothing to pay: a promotion code covered it",
            "took no money: a promotion code covered it",
        ),
        "free": ("Nothing to pay: the price is zero", "took no money: the price is zero"),
        "discount": (
            "Paid, less the discount of a promotion code",
            "was paid, less the discount of a promotion code",
        ),
        "": ("Paid in full", "was paid in full"),
    },
    Code.PROCESSING: {"": ("The payment is still being processed", "is still being processed")},
    Code.NOT_PAID: {"": ("The payment did not succeed", "did not succeed")},
    Code.NOT_ASKED_FOR: {
        "": (
            "No payment was asked for, though there was something to pay",
            "was not asked for, though there was something to pay",
        )
    },
    Code.OTHER_REALM: {
        "": (
            "The payment and the order are of different accounts or modes",
            "and its order are of different accounts or modes",
        )
    },
    Code.OTHER_PERSON: {"": ("The payment and the order name different people", "and its order name different people")},
    Code.OTHER_THAN_ORDERED: {
        "ordered_currency": (
            "The price, quantity, amount or currency is not what was ordered ({amount:money}, not {ordered:ordered})",
            "differs in price, quantity, amount or currency from what was ordered ({amount:money}, not"
            " {ordered:ordered})",
        ),
        "": (
            "The price, quantity, amount or currency is not what was ordered",
            "differs in price, quantity, amount or currency from what was ordered",
        ),
    },
    Code.NOT_ADDING_UP: {
        "": ("The amounts of the payment do not add up to what was ordered", "does not add up to what was ordered")
    },
    Code.UNEXPECTED_DISCOUNT: {
        "": (
            "Less was paid than the order says: it offered no discount",
            "was for less than the order says: it offered no discount",
        )
    },
    Code.REFUNDED: {
        "part": (
            "Refunded by {share} %, and access ends from {limit} % on",
            "was refunded by {share} %, and access ends from {limit} % on",
        ),
        "": ("Refunded in full", "was refunded in full"),
    },
    Code.DISPUTED: {
        "since": (
            "The payment for the period from {since:day} is disputed",
            "has an earlier payment, for the period from {since:day}, that is disputed by the buyer's bank, and gives"
            " no access unless that is won",
        ),
        "": ("The payment is disputed", "is disputed by the buyer's bank, and gives no access unless that is won"),
    },
    Code.DISPUTE_LOST: {
        "since": (
            "The dispute about the period from {since:day} was lost",
            "has an earlier payment, for the period from {since:day}, that was taken back in a dispute",
        ),
        "": ("The dispute was lost", "was taken back in a dispute"),
    },
    Code.NEVER_ORDERED: {
        "": (
            "Paid on our account, but never ordered here by this person",
            "was made on our account, but never ordered here by this person",
        )
    },
    Code.NEVER_ORDERED_UNPAID: {
        "": (
            "Never ordered here by this person, and not paid",
            "was never ordered here by this person, and not paid",
        )
    },
    Code.OTHER_SALE: {
        "prices": (
            "For something else on the account, which this site does not sell ({prices})",
            "was for something else on the account, which this site does not sell ({prices})",
        ),
        "": (
            "For something else on the account, which this site does not sell",
            "was for something else on the account, which this site does not sell",
        ),
    },
    Code.PAID_AFTER_DELETION: {
        "": (
            "Paid on our account after the person had deleted theirs",
            "was made on our account after the person had deleted theirs",
        )
    },
    Code.SUBSCRIBED: {
        "free": ("Nothing to pay until {until:day}", "takes no money until {until:day}"),
        "": ("Paid until {until:day}", "is paid until {until:day}"),
    },
    Code.TRIAL: {"": ("On trial until {until:day}", "is on trial until {until:day}")},
    Code.RENEWING: {
        "trial": (
            "The trial ended on {since:day}, and the first payment is on its way; access lasts until {until:day}"
            " without it",
            "had its trial until {since:day}, and its first payment is on its way",
        ),
        "first": (
            "It cost nothing until {since:day}, and the first payment is on its way; access lasts until {until:day}"
            " without it",
            "cost nothing until {since:day}, and its first payment is on its way",
        ),
        "": (
            "Renewed on {since:day}, and the payment for that is on its way; access lasts until {until:day} without it",
            "was renewed on {since:day}, and the payment for that is on its way",
        ),
    },
    Code.RENEWAL_FAILED: {
        "first": (
            "The first payment, due on {due:day}, failed, and access lasts until {until:day}",
            "was never paid: its first payment, due on {due:day}, failed",
        ),
        "": (
            "The payment that was due on {due:day} failed, and access lasts until {until:day}",
            "was not renewed: the payment that was due on {due:day} failed",
        ),
    },
    Code.PLAN_NOT_PAID: {
        "": (
            "Not paid since {due:day} (credited for a plan that was not paid), and access lasts until {until:day}",
            "has not been paid since {due:day} (credited for a plan that was not paid)",
        ),
    },
    Code.PERIOD_NOT_PAID: {
        "": (
            "Not paid since {due:day} ({bill:bill}), and access lasts until {until:day}",
            "has not been paid since {due:day} ({bill:bill})",
        ),
    },
    Code.COLLECTION_PAUSED: {
        "": (
            "Its payments are paused, and this period is not paid",
            "is on hold: its payments are paused, and this period is not paid",
        )
    },
    Code.FIRST_PAYMENT_MISSING: {
        "": ("Its first payment has not been made", "was never paid: its first payment has not been made")
    },
    Code.FIRST_PAYMENT_FAILED: {"": ("Its first payment has failed", "was never paid: its first payment has failed")},
    Code.ON_HOLD: {
        "": (
            "Its payments failed, and it is on hold until what is owed is paid",
            "is on hold: its payments failed, and it stays so until what is owed is paid",
        )
    },
    Code.NO_CARD: {
        "": (
            "Its trial ended without a card, and it is on hold until there is one",
            "is on hold: its trial ended without a card, and it stays so until there is one",
        )
    },
    Code.ENDED: {"": ("Ended on {at:day}", "ended on {at:day}")},
    Code.NEVER_BEGUN: {
        "": (
            "Its first payment was never made, and the time for it is over",
            "was never paid: its first payment was not made in time",
        )
    },
    Code.ORDERED_ONCE: {
        "": (
            "What was ordered is paid once, and this is a subscription",
            "is no payment for what was ordered: that is paid once, and this is a subscription",
        )
    },
    Code.UNKNOWN_STANDING: {
        "": ("Its status at the provider is not known here", "has a status at the provider that is not known here")
    },
    Code.SUBSCRIBED_ELSEWHERE: {
        "": (
            "A subscription on our account, but never ordered here by this person",
            "was made on our account, but never ordered here by this person",
        )
    },
    Code.UNKNOWN_PRICE: {
        "prices": (
            "No product in the catalog has its price ({prices}): access stays as it was",
            "has a price that no product in the catalog has ({prices}): access stays as it was",
        ),
        "": (
            "It has no price: access stays as it was",
            "has no price: access stays as it was",
        ),
    },
    Code.OTHER_PRICES: {
        "": (
            "It has other prices beside, which give nothing here: {prices}",
            "has other prices beside, which give nothing here: {prices}",
        )
    },
    Code.NOT_FINALIZED: {
        "": (
            "Invoice {invoice} for the period from {since:day} stays a draft, so nobody is asked to pay it:"
            " {trouble:note}",
            "has an invoice, {invoice} for the period from {since:day}, that stays a draft: {trouble:note}",
        )
    },
    Code.PAID_AFTER_END: {
        "": (
            "Invoice {invoice} ({amount:money}) was paid on {at:day}, after the subscription ended on {ended:day}: it"
            " gave no access",
            "had an invoice, {invoice} ({amount:money}), that was paid on {at:day}, after it ended on {ended:day}: it"
            " gave no access",
        )
    },
    Code.SUBSCRIPTION_DISPUTED: {
        "lost ends": (
            "The dispute about {amount:money} for the period from {since:day} was lost; the subscription ends on"
            " {ends:day}",
            "lost {amount:money} of the period from {since:day} to a dispute, and ends on {ends:day}",
        ),
        "lost": (
            "The dispute about {amount:money} for the period from {since:day} was lost, and the subscription goes on"
            " taking money",
            "lost {amount:money} of the period from {since:day} to a dispute, and goes on taking money",
        ),
        "": (
            "The payment of {amount:money} for the period from {since:day} is disputed; access is kept, as set",
            "has a disputed payment of {amount:money} for the period from {since:day}; access is kept, as set",
        ),
    },
    Code.OPERATOR_GRANTED: {"": ("Granted by an operator: {note:note}", "was granted by an operator: {note:note}")},
    Code.OPERATOR_REVOKED: {"": ("Revoked by an operator: {note:note}", "was revoked by an operator: {note:note}")},
    Code.OPERATOR_ADOPTED: {
        "": ("Bought elsewhere, and adopted by an operator: {note:note}", "was adopted by an operator: {note:note}")
    },
    Code.OPERATOR_DISMISSED: {
        "": ("Dismissed by an operator: {note:note}", "was dismissed by an operator: {note:note}")
    },
    Code.ACCOUNT_DELETED: {"": ("The account was deleted", "ended with the account, which was deleted")},
    Code.WRITTEN: {"": ("{words:note}", "stands so: {words:note}")},
}

# What is added to a reason for access where these facts are there: what comes next, and what was overlooked.
ADDED = {
    "ends": "; it ends on {ends:day}",
    "ended_for": ", since all that it gives was bought for good ({ended_for})",
    "paused": "; its payments are paused from then on",
    "limit": "; {share} % refunded since, and access ends from {limit} % on",
    "disputed": "; disputed by the buyer's bank, and access kept unless that is lost",
}
GIVES_ACCESS = frozenset(
    {
        Code.PAID,
        Code.SUBSCRIBED,
        Code.TRIAL,
        Code.RENEWING,
        Code.RENEWAL_FAILED,
        Code.PERIOD_NOT_PAID,
        Code.PLAN_NOT_PAID,
    }
)

BILLS = {
    Bill.DRAFT: "a draft, not asked for",
    Bill.OPEN: "not paid yet",
    Bill.PROCESSING: "being processed",
    Bill.FAILED: "payment failed",
    Bill.PAID: "paid",
    Bill.VOID: "voided",
    Bill.UNCOLLECTIBLE: "written off",
}

DISPUTES = {
    Dispute.WARNING: "inquired about by the bank",
    Dispute.OPEN: "disputed",
    Dispute.WON: "disputed, won",
    Dispute.LOST: "lost in a dispute",
}
DISPUTED_SINCE = {
    Dispute.WARNING: "is inquired about by the buyer's bank; that changes nothing so far",
    Dispute.OPEN: "is disputed by the buyer's bank",
    Dispute.WON: "was disputed by the buyer's bank, and that was won",
    Dispute.LOST: "was taken back in a dispute",
}


def how_it_stands(invoice: Invoice) -> str:
    """How far an invoice has come, what its bank says, and why a draft stays one."""
    parts = [BILLS[invoice.bill], DISPUTES.get(invoice.dispute), invoice.trouble]
    return "; ".join(part for part in parts if part)


# For visitors: a word or two, and a sentence. ``lapsed``: it gives no access (any more), though it was granted.
LOOK = ("No access", "We have to look at this payment ourselves. Please write to us.")
LAPSED = ("No access", "It should have been renewed, but we heard nothing of that by {granted_until:day}.")
BOUGHT_FOR_GOOD = (
    "Ending",
    "{kind} until {ends:day}, when it ends by itself, for you bought for good what it gives. Nothing more will be"
    " charged.",
)
CANCELED = ("Canceled", "{kind} until {ends:day}, when it ends. Nothing more will be charged.")
OVER = ("Ended", "Ended on {ends:day}.")
VISITORS: Mapping[Code, Variants] = {
    Code.PAID: {"": ("Yours", "{sentence}")},
    Code.PROCESSING: {"": ("Under way", "The payment is still being processed. Access arrives by itself.")},
    Code.NOT_PAID: {"": ("Not paid", "The payment did not succeed, and nothing was charged.")},
    Code.REFUNDED: {
        "part": ("Refunded in part", "{refunded:money} of {amount:money} was refunded, so access ended."),
        "amount": ("Refunded", "{refunded:money} was refunded in full, so access ended."),
        "": ("Refunded", "Refunded in full, so access ended."),
    },
    Code.DISPUTED: {
        "since": (
            "On hold",
            "Your bank disputes the payment for the period from {since:day}. Access comes back if that is settled in"
            " our favour.",
        ),
        "": ("On hold", "Your bank disputes the payment. Access comes back if that is settled in our favour."),
    },
    Code.DISPUTE_LOST: {
        "since": (
            "No access",
            "Your bank took back the payment for the period from {since:day}, so access ended. Please write to us.",
        ),
        "": ("No access", "Your bank took back the payment, so access ended. Please write to us."),
    },
    Code.SUBSCRIBED: {
        "lapsed ends": OVER,
        "lapsed paused": ("Paused", "It was paid until {until:day}. No payments are asked for since."),
        "lapsed": LAPSED,
        "ended_for": BOUGHT_FOR_GOOD,
        "ends": CANCELED,
        "paused": ("Paused", "Paid until {until:day}. No payments are asked for from then on."),
        "": ("Active", "Next payment on {until:day}."),
    },
    Code.TRIAL: {
        "lapsed ends": OVER,
        "lapsed": LAPSED,
        "ended_for": BOUGHT_FOR_GOOD,
        "ends": CANCELED,
        "cardless": (
            "Free trial",
            "Free until {until:day}. It goes on from then if you have added a card, and ends if not.",
        ),
        "": ("Free trial", "Free until {until:day}. First payment on {until:day}."),
    },
    Code.RENEWING: {
        "lapsed": LAPSED,
        "": ("Active", "Your payment for the time from {since:day} on is on its way to us."),
    },
    Code.RENEWAL_FAILED: {
        "lapsed first": ("Payment failed", "Your first payment failed, and access ended on {granted_until:day}."),
        "first": ("Payment failed", "Your first payment failed. Access until {until:day}."),
        "lapsed": ("Payment failed", "Your last payment failed, and access ended on {granted_until:day}."),
        "": ("Payment failed", "Your last payment failed. Access until {until:day}."),
    },
    Code.PLAN_NOT_PAID: {
        "lapsed": ("Payment failed", "Your change of plan was not paid. Access ended on {granted_until:day}."),
        "": ("Payment failed", "Your change of plan was not paid. Access until {until:day}."),
    },
    Code.PERIOD_NOT_PAID: {
        "lapsed": ("Not paid", "The present period is not paid, and access ended on {granted_until:day}."),
        "": ("Not paid", "The present period is not paid yet. Access until {until:day}."),
    },
    Code.COLLECTION_PAUSED: {"": ("Paused", "Its payments are paused, and this period is not paid.")},
    Code.FIRST_PAYMENT_MISSING: {"": ("On hold", "Its first payment has not been made.")},
    Code.FIRST_PAYMENT_FAILED: {"": ("On hold", "Its first payment has failed.")},
    Code.ON_HOLD: {"": ("On hold", "Its payments failed, and it is on hold until what is owed is paid.")},
    Code.NO_CARD: {"": ("On hold", "Its trial ended without a card, and it is on hold until there is one.")},
    Code.ENDED: {"": ("Ended", "Ended on {at:day}.")},
    Code.NEVER_BEGUN: {"": ("Ended", "Its first payment was never made, and the time for it is over.")},
    Code.OPERATOR_GRANTED: {"": ("Yours", "Given to you by the people who run this site: {note:stopped}")},
    Code.OPERATOR_REVOKED: {"": ("No access", "Ended by the people who run this site. Please write to them.")},
    Code.ACCOUNT_DELETED: {"": ("Ended", "The account was deleted.")},
    Code.WRITTEN: {
        "lapsed": ("No access", "{sentence}"),
        "granted_until": ("Active", "{sentence}"),
        "": ("No access", "{sentence}"),
    },
}


@dataclass(frozen=True, slots=True)
class _Written:
    """A fact, written as a text asks for it. ``facts`` are all of its reason."""

    fact: Fact
    facts: Mapping[str, Any]

    def __format__(self, how: str) -> str:
        return FORMS[how](self.fact, self.facts)


FORMS: Mapping[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "": lambda fact, facts: str(fact),
    "day": lambda fact, facts: "a day that is not known" if fact is None else day(fact),
    "money": lambda fact, facts: money(fact, facts["currency"]),
    "ordered": lambda fact, facts: money(fact, facts["ordered_currency"]),
    "bill": lambda fact, facts: BILLS[Bill(fact)],
    # What people or the provider wrote, without the full stop that the sentence has already.
    "note": lambda fact, facts: str(fact).rstrip("."),
    # And as the end of a sentence.
    "stopped": lambda fact, facts: _stopped(str(fact).rstrip(".")),
}


def filled(text: str, facts: Mapping[str, Any]) -> str:
    """A text with its facts in their places."""
    written = {name: _Written(fact, facts) for name, fact in facts.items()}
    return text.format_map(defaultdict(lambda: _Written(None, facts), written))


def _fitting(variants: Variants, facts: Mapping[str, Any]) -> tuple[str, str]:
    return next(words for needs, words in variants.items() if all(facts.get(need) for need in needs.split()))


def _facts(reason: Reason) -> dict[str, Any]:
    """How much of what was paid went back is rounded down."""
    facts: dict[str, Any] = dict(reason.facts)
    if facts.get("amount") and facts.get("refunded") is not None:
        facts["share"] = facts["refunded"] * 100 // facts["amount"] or "less than 1"
    return facts


def _for_operators(reason: Reason, which: int) -> str:
    facts = _facts(reason)
    words = _fitting(OPERATORS[reason.code], facts)[which]
    if reason.code in GIVES_ACCESS:
        words += "".join(text for need, text in ADDED.items() if facts.get(need))
    return filled(words, facts)


def sentence(reason: Reason) -> str:
    """A reason as a sentence by itself, for operators and the log."""
    return _stopped(_for_operators(reason, 0))


def _stopped(words: str) -> str:
    """A sentence with its full stop, unless what people wrote at its end has a mark already."""
    return words if words.endswith(("?", "!")) else f"{words}."


def clause(reason: Reason) -> str:
    """A reason as the rest of a sentence that begins with the payment or the subscription."""
    return _for_operators(reason, 1)


def for_visitor(
    reason: Reason, *, until: int | None = None, lapsed: bool = False, cardless: bool = False
) -> tuple[str, str]:
    """A reason for whom it is about: in a word or two, and in a sentence.

    ``until`` (Unix seconds) is when the access ends, or ended. ``lapsed``: it gives none, though it was granted.
    ``cardless``: a trial was begun without a card.
    """
    facts = _facts(reason) | {
        "granted_until": until,
        "lapsed": lapsed,
        "cardless": cardless,
        "kind": "Free" if reason.code is Code.TRIAL else "Paid",
        "sentence": sentence(reason),
    }
    label, words = _fitting(VISITORS.get(reason.code, {"": LOOK}), facts)
    return label, filled(words, facts)


# tollkeeper why: one sentence for each feature


def allowed(name: str, feature: str, grant: Grant, *, by_operator: bool) -> str:
    """Who may use a feature, and by which grant."""
    until = "" if grant.until is None else f" until {day(grant.until)}"
    return _stopped(f"{name} may use {feature}{until}, because {_grounds(grant, by_operator)}")


def denied(name: str, feature: str, obstacle: str) -> str:
    """Who may not, and what stands in the way."""
    return _stopped(f"{name} may not use {feature}, because {obstacle}")


def _grounds(grant: Grant, by_operator: bool) -> str:
    if not by_operator:
        return f"{origin(grant, by_operator)} {clause(grant.reason)}"
    what_for = f" for payment {grant.reference}" if grant.reference else ""
    return f"an operator granted it on {day(grant.since)}{what_for}: {_note(grant.reason)}"


def _note(reason: Reason) -> str:
    """What the operator wrote."""
    return str(reason["note"] or reason["words"] or "").rstrip(".")


def origin(grant: Grant, by_operator: bool) -> str:
    """Where a grant comes from. Of those that a provider's word gave, only subscriptions last until a time."""
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
    "granted": ", but has not been taken into account yet",
    "quarantined": ", and gives no access until somebody has looked at it",
    "suspended": "; access begins when that is mended",
}
MONEY_GONE = "; none of that money is here any more"


def obstacle(one: Noted, ending: str = "") -> str:
    """A payment that gives no access, and why. What is said of a dispute tells already when access begins."""
    ending = "" if one.reason.code is Code.DISPUTED else ending
    return f"{payment_of(one)} {clause(one.reason)}{ending}"


def paid_elsewhere(one: Noted) -> str:
    """The e-mail address on a payment is what somebody typed there."""
    return (
        f"nothing was paid for here: {payment_of(one)} was made with the same e-mail address, but through a payment"
        " link or the like; it is unclaimed, since an address is no proof of who paid"
    )


def paid_to_others(one: Noted) -> str:
    """What was bought on the same account, of somebody else."""
    return f"nothing was paid for here: {obstacle(one)}"


def adopted(order: Order, name: str) -> str:
    """What was bought elsewhere and tied to a person."""
    what = f"{'Subscription' if order.recurring else 'Purchase'} {order.adopts}"
    note = _note(order.adoption) if order.adoption else ""
    return _stopped(f"{what} was not ordered here: an operator tied it to {name} on {day(order.created_at)}: {note}")


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
    """What became of the money for a period that is over; it does not change what the present one gives."""
    what = f"The payment of {money(invoice.paid, currency)} for the period from {day(invoice.starts)}"
    if invoice.refunded:
        how = "in full" if invoice.refunded >= invoice.paid else f"by {money(invoice.refunded, currency)}"
        return f"{what} was refunded {how}; that period is over, and the present one is as before."
    return f"{what} {DISPUTED_SINCE[invoice.dispute]}."


# tollkeeper payments: what an operator should look at

UNKNOWN_PRICE_REMEDY = "Add the price to a product of the catalog, or change the subscription at the provider."
REMEDIES = {
    Code.UNKNOWN_PRICE: UNKNOWN_PRICE_REMEDY,
    Code.OTHER_PRICES: UNKNOWN_PRICE_REMEDY,
    Code.WRITTEN: UNKNOWN_PRICE_REMEDY,  # all that was remarked before there were codes
    Code.NOT_FINALIZED: "Mend at the provider what it says, then have the invoice finalized there.",
    Code.PAID_AFTER_END: "Refund it at the provider, or: tollkeeper grant {person} {product} --until DATE --note WHY",
    Code.SUBSCRIPTION_DISPUTED: "To end the subscription: tollkeeper end {source} --note WHY",
}
KINDS = {
    Code.UNKNOWN_PRICE: "unknown price",
    Code.OTHER_PRICES: "unknown price",
    Code.WRITTEN: "unknown price",
    Code.NOT_FINALIZED: "not finalized",
    Code.PAID_AFTER_END: "paid after the end",
    Code.SUBSCRIPTION_DISPUTED: "disputed",
}


def remedy(reason: Reason, *, person: str, product: str, source: str) -> str:
    """What an operator can do about a remark."""
    return REMEDIES[reason.code].format(person=person, product=product, source=source)


def undo_or_give(one: Noted, person: str, product: str | None, likely: str) -> str:
    """What an operator can do about money that gave no access: have it follow the provider; or, if it is not what was
    ordered, grant something for it. ``likely`` is the product where none is known.
    """
    if one.verdict is Verdict.UNCLAIMED:
        which = "" if product else f" --product {likely}"
        command = f"tollkeeper adopt {person} {one.payment}{which} --note WHY"
    else:
        command = f"tollkeeper grant {person} {product or likely} --payment {one.payment} --note WHY"
    return f"{undo(one.recurring)} at the provider, or: {command}"


def dismissed(payment: str, why: Dismissal) -> str:
    """What an operator wants to see no more, and how they get it back."""
    told = _stopped(f"Dismissed on {day(why.dismissed_at)}: {_note(why.reason)}")
    return f"{told} To undo: tollkeeper payments restore {payment}"


def nothing_to_grant_for(payment: str) -> str:
    """An id that an operator wants to grant something for."""
    return f"{payment} is no payment that waits for somebody to look at it: `tollkeeper payments` lists those."


def undo(recurring: bool) -> str:
    """What an operator can do about money that is to go back."""
    return "End and refund it" if recurring else "Refund it"


def ordered(product: str, amount: int, currency: str, state: OrderState, checkout_id: str | None) -> str:
    """An order, in a person's history."""
    return f"{product} for {money(amount, currency)}; {state.value} now; checkout session {checkout_id or 'none'}"


def changed(product: str, change: str, reason: Reason, evidence: str) -> str:
    """A change of access, in a person's history."""
    return f"{product} {change}. {sentence(reason)} Evidence: {evidence}"


def without_effect(types: Sequence[str]) -> str:
    """Events that changed nothing, in a person's history."""
    times = Counter(types)
    told = ", ".join(f"{type_} ({count} times)" if count > 1 else type_ for type_, count in times.items())
    return f"{len(types)} events without effect: {told}"


def ended(source: str, found: Noted | None) -> str:
    """A subscription that an operator has had ended."""
    if found is None:
        return f"Subscription {source} was ended at the provider. Nothing was paid back."
    return f"Subscription {source}: {sentence(found.reason)} Nothing was paid back."


def no_such_subscription(source: str) -> str:
    """An id that an operator gave."""
    known = "`tollkeeper why` lists a person's subscriptions."
    return f"No subscription that goes on is known here by the id {source}. {known}"


def nothing_paid_back(grant: Grant) -> str:
    """Money that is still here when an operator has ended the access that it paid for."""
    paid = f"{grant.reference or grant.source} ({price(grant.amount, grant.currency)})"
    return f"Nothing was paid back: refund {paid} at the provider, if it should be."


NO_CASES = "No payment needs a look."
TOLD_NOW = "Payments, as the provider tells them"
TOLD_LAST = "Payments, as they were told last"
