"""How a text is chosen by its facts, and filled with them."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tollkeeper.model.bought import Bill, Dispute, Invoice
from tollkeeper.reasons import Fact, Reason
from tollkeeper.words import day, money

Variants = Mapping[str, tuple[str, str]]


BILLS = {
    Bill.DRAFT: "a draft, payment not requested",
    Bill.OPEN: "not paid yet",
    Bill.PROCESSING: "being processed",
    Bill.FAILED: "payment failed",
    Bill.PAID: "paid",
    Bill.VOID: "voided",
    Bill.UNCOLLECTIBLE: "written off",
}


DISPUTES = {
    Dispute.WARNING: "under inquiry by the bank",
    Dispute.OPEN: "disputed",
    Dispute.WON: "disputed, won",
    Dispute.LOST: "lost in a dispute",
}


DISPUTED_SINCE = {
    Dispute.WARNING: "is the subject of an inquiry by the buyer's bank; so far that changes nothing",
    Dispute.OPEN: "is disputed by the buyer's bank",
    Dispute.WON: "was disputed by the buyer's bank, and the dispute was won",
    Dispute.LOST: "was taken back in a dispute",
}


def invoice_state(invoice: Invoice) -> str:
    """The state of an invoice, what the bank says, and why a draft stays a draft."""
    parts = [BILLS[invoice.bill], DISPUTES.get(invoice.dispute), invoice.trouble]
    return "; ".join(part for part in parts if part)


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
    # What people or the provider wrote, without the final full stop: the sentence has its own.
    "note": lambda fact, facts: str(fact).rstrip("."),
    # The same at the end of a sentence.
    "stopped": lambda fact, facts: stopped(str(fact).rstrip(".")),
}


def filled(text: str, facts: Mapping[str, Any]) -> str:
    """A text with its facts in their places."""
    written = {name: _Written(fact, facts) for name, fact in facts.items()}
    return text.format_map(defaultdict(lambda: _Written(None, facts), written))


def fitting(variants: Variants, facts: Mapping[str, Any]) -> tuple[str, str]:
    return next(words for needs, words in variants.items() if all(facts.get(need) for need in needs.split()))


def facts_of(reason: Reason) -> dict[str, Any]:
    """The share that was refunded is rounded down."""
    facts: dict[str, Any] = dict(reason.facts)
    if facts.get("amount") and facts.get("refunded") is not None:
        facts["share"] = facts["refunded"] * 100 // facts["amount"] or "less than 1"
    return facts


def stopped(words: str) -> str:
    """A sentence with its full stop, unless what people wrote at its end already has a mark."""
    return words if words.endswith(("?", "!")) else f"{words}."
