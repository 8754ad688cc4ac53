"""PURE. Why something gives access or not: a code with its facts. Only ``wording`` turns them into sentences."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Fact = str | int | bool | None


class Code(StrEnum):
    """The code of a reason. It is stored, so a code must never change its meaning."""

    # One-time payments.
    PAID = "paid"
    PROCESSING = "processing"
    NOT_PAID = "not_paid"
    NOT_ASKED_FOR = "not_asked_for"
    OTHER_REALM = "other_realm"
    OTHER_PERSON = "other_person"
    OTHER_THAN_ORDERED = "other_than_ordered"
    NOT_ADDING_UP = "not_adding_up"
    UNEXPECTED_DISCOUNT = "unexpected_discount"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    DISPUTE_LOST = "dispute_lost"
    NEVER_ORDERED = "never_ordered"
    NEVER_ORDERED_UNPAID = "never_ordered_unpaid"
    PAID_AFTER_DELETION = "paid_after_deletion"
    OTHER_SALE = "other_sale"

    # Subscriptions.
    SUBSCRIBED = "subscribed"
    TRIAL = "trial"
    RENEWING = "renewing"
    RENEWAL_FAILED = "renewal_failed"
    PERIOD_NOT_PAID = "period_not_paid"
    PLAN_NOT_PAID = "plan_not_paid"
    COLLECTION_PAUSED = "collection_paused"
    FIRST_PAYMENT_MISSING = "first_payment_missing"
    FIRST_PAYMENT_FAILED = "first_payment_failed"
    ON_HOLD = "on_hold"
    NO_CARD = "no_card"
    ENDED = "ended"
    NEVER_BEGUN = "never_begun"
    ORDERED_ONCE = "ordered_once"
    UNKNOWN_STANDING = "unknown_standing"
    SUBSCRIBED_ELSEWHERE = "subscribed_elsewhere"

    # Remarks: what an operator should deal with, although access does not depend on it.
    UNKNOWN_PRICE = "unknown_price"
    OTHER_PRICES = "other_prices"
    NOT_FINALIZED = "not_finalized"
    PAID_AFTER_END = "paid_after_end"
    SUBSCRIPTION_DISPUTED = "subscription_disputed"

    # Decisions by people.
    OPERATOR_GRANTED = "operator_granted"
    OPERATOR_REVOKED = "operator_revoked"
    OPERATOR_ADOPTED = "operator_adopted"
    OPERATOR_DISMISSED = "operator_dismissed"
    ACCOUNT_DELETED = "account_deleted"

    # A sentence that was stored before there were codes.
    WRITTEN = "written"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. The wording uses the names of its facts. Amounts are in minor units, times in Unix seconds (UTC)."""

    code: Code
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)

    def __getitem__(self, name: str) -> Fact:
        return self.facts.get(name)


def because(code: Code, **facts: Fact) -> Reason:
    """Create a reason, without the facts that are None."""
    return Reason(code, {name: fact for name, fact in facts.items() if fact is not None})
