"""Each reason in words for the visitor that it is about."""

from collections.abc import Mapping

from tollkeeper.reasons import Code, Reason
from tollkeeper.wording.forms import Variants, facts_of, filled, fitting
from tollkeeper.wording.operators import sentence

# For visitors: a word or two, and a sentence. ``lapsed``: it gives no access (any more), though it was granted.
LOOK = ("No access", "We need to check this payment ourselves. Please write to us.")


LAPSED = ("No access", "It should have been renewed, but we had no news of a renewal by {granted_until:day}.")


BOUGHT_FOR_GOOD = (
    "Ending",
    "{kind} until {ends:day}, when it ends automatically, because you bought for good what it gives. Nothing more"
    " will be charged.",
)


CANCELED = ("Canceled", "{kind} until {ends:day}, when it ends. Nothing more will be charged.")


OVER = ("Ended", "Ended on {ends:day}.")


VISITORS: Mapping[Code, Variants] = {
    Code.PAID: {"": ("Yours", "{sentence}")},
    Code.PROCESSING: {
        "": ("Processing", "The payment is still being processed. You get access as soon as it succeeds.")
    },
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
        "lapsed paused": ("Paused", "It was paid until {until:day}. No payments have been collected since."),
        "lapsed": LAPSED,
        "ended_for": BOUGHT_FOR_GOOD,
        "ends": CANCELED,
        "paused": ("Paused", "Paid until {until:day}. No payments are collected after that."),
        "": ("Active", "Next payment on {until:day}."),
    },
    Code.TRIAL: {
        "lapsed ends": OVER,
        "lapsed": LAPSED,
        "ended_for": BOUGHT_FOR_GOOD,
        "ends": CANCELED,
        "cardless": (
            "Free trial",
            "Free until {until:day}. It continues after that if you have added a card, and ends if not.",
        ),
        "": ("Free trial", "Free until {until:day}. First payment on {until:day}."),
    },
    Code.RENEWING: {
        "lapsed": LAPSED,
        "": ("Active", "Your payment for the period from {since:day} is on its way to us."),
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
        "lapsed": ("Not paid", "The current period is not paid, and access ended on {granted_until:day}."),
        "": ("Not paid", "The current period is not paid yet. Access until {until:day}."),
    },
    Code.COLLECTION_PAUSED: {"": ("Paused", "Its payments are paused, and this period is not paid.")},
    Code.FIRST_PAYMENT_MISSING: {"": ("On hold", "Its first payment has not been made.")},
    Code.FIRST_PAYMENT_FAILED: {"": ("On hold", "Its first payment has failed.")},
    Code.ON_HOLD: {"": ("On hold", "Its payments failed, and it is on hold until the amount due is paid.")},
    Code.NO_CARD: {"": ("On hold", "Its trial ended without a card, and it is on hold until a card is added.")},
    Code.ENDED: {"": ("Ended", "Ended on {at:day}.")},
    Code.NEVER_BEGUN: {"": ("Ended", "Its first payment was not made in time.")},
    Code.OPERATOR_GRANTED: {"": ("Yours", "Given to you by the people who run this site: {note:stopped}")},
    Code.OPERATOR_REVOKED: {"": ("No access", "Ended by the people who run this site. Please write to them.")},
    Code.ACCOUNT_DELETED: {"": ("Ended", "The account was deleted.")},
    Code.WRITTEN: {
        "lapsed": ("No access", "{sentence}"),
        "granted_until": ("Active", "{sentence}"),
        "": ("No access", "{sentence}"),
    },
}


def for_visitor(
    reason: Reason, *, until: int | None = None, lapsed: bool = False, cardless: bool = False
) -> tuple[str, str]:
    """A reason for the visitor it is about: in a word or two, and in a sentence.

    ``until`` (Unix seconds) is when the access ends, or ended. ``lapsed``: it gives none, though it was granted.
    ``cardless``: a trial was begun without a card.
    """
    facts = facts_of(reason) | {
        "granted_until": until,
        "lapsed": lapsed,
        "cardless": cardless,
        "kind": "Free" if reason.code is Code.TRIAL else "Paid",
        "sentence": sentence(reason),
    }
    label, words = fitting(VISITORS.get(reason.code, {"": LOOK}), facts)
    return label, filled(words, facts)
