"""Each reason in words for operators and the log."""

from collections.abc import Mapping

from tollkeeper.reasons import Code, Reason
from tollkeeper.wording.forms import Variants, facts_of, filled, fitting, stopped

# For operators: a complete sentence, and the rest of a sentence that begins with the payment or the subscription.
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
            "No payment was requested, although an amount was due",
            "was never requested, although an amount was due",
        )
    },
    Code.OTHER_REALM: {
        "": (
            "The payment and the order belong to different accounts or modes",
            "and its order belong to different accounts or modes",
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
            "Refunded by {share} %, and access ends at {limit} %",
            "was refunded by {share} %, and access ends at {limit} %",
        ),
        "": ("Refunded in full", "was refunded in full"),
    },
    Code.DISPUTED: {
        "since": (
            "The payment for the period from {since:day} is disputed",
            "has an earlier payment, for the period from {since:day}, that is disputed by the buyer's bank, and gives"
            " no access unless the dispute is won",
        ),
        "": (
            "The payment is disputed",
            "is disputed by the buyer's bank, and gives no access unless the dispute is won",
        ),
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
            "The trial ended on {since:day}, and the first payment is on its way; without it, access lasts"
            " until {until:day}",
            "had its trial until {since:day}, and its first payment is on its way",
        ),
        "first": (
            "It cost nothing until {since:day}, and the first payment is on its way; without it, access lasts"
            " until {until:day}",
            "cost nothing until {since:day}, and its first payment is on its way",
        ),
        "": (
            "Renewed on {since:day}, and its payment is on its way; without it, access lasts until {until:day}",
            "was renewed on {since:day}, and its payment is on its way",
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
            "Its payments failed, and it is on hold until the amount due is paid",
            "is on hold: its payments failed, and it stays on hold until the amount due is paid",
        )
    },
    Code.NO_CARD: {
        "": (
            "Its trial ended without a card, and it is on hold until a card is added",
            "is on hold: its trial ended without a card, and it stays on hold until a card is added",
        )
    },
    Code.ENDED: {"": ("Ended on {at:day}", "ended on {at:day}")},
    Code.NEVER_BEGUN: {
        "": (
            "Its first payment was not made in time",
            "was never paid: its first payment was not made in time",
        )
    },
    Code.ORDERED_ONCE: {
        "": (
            "The order was for a single payment, and this is a subscription",
            "does not match its order: the order was for a single payment, and this is a subscription",
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
            "It also has other prices, which give nothing here: {prices}",
            "also has other prices, which give nothing here: {prices}",
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
            "The dispute about {amount:money} for the period from {since:day} was lost, and the subscription continues"
            " to take money",
            "lost {amount:money} of the period from {since:day} to a dispute, and continues to take money",
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
    Code.WRITTEN: {"": ("{words:note}", "is recorded as follows: {words:note}")},
}


# What is added to a reason for access if these facts are present: what comes next, and what the policy tolerated.
ADDED = {
    "ends": "; it ends on {ends:day}",
    "ended_for": ", because everything it gives was bought for good ({ended_for})",
    "paused": "; its payments are paused after that",
    "limit": "; {share} % has been refunded since, and access ends at {limit} %",
    "disputed": "; disputed by the buyer's bank, and access is kept unless the dispute is lost",
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


def _for_operators(reason: Reason, which: int) -> str:
    facts = facts_of(reason)
    words = fitting(OPERATORS[reason.code], facts)[which]
    if reason.code in GIVES_ACCESS:
        words += "".join(text for need, text in ADDED.items() if facts.get(need))
    return filled(words, facts)


def sentence(reason: Reason) -> str:
    """A reason as a complete sentence, for operators and the log."""
    return stopped(_for_operators(reason, 0))


def clause(reason: Reason) -> str:
    """A reason as the rest of a sentence that begins with the payment or the subscription."""
    return _for_operators(reason, 1)
