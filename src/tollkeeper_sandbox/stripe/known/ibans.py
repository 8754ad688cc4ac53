"""Test accounts for bank debits (https://docs.stripe.com/payments/sepa-debit/accept-a-payment#web-test-integration)."""

from dataclasses import dataclass

SOON, THREE_MINUTES = 2, 180


@dataclass(frozen=True, slots=True)
class Debit:
    """A test account. ``outcome`` is succeeded, failed or disputed, that many ``seconds`` after the payment."""

    outcome: str
    seconds: int
    words: str


IBANS = {
    "DE89370400440532013000": Debit("succeeded", SOON, "succeeds after two seconds"),
    "DE08370400440532013003": Debit("succeeded", THREE_MINUTES, "succeeds after three minutes"),
    "DE62370400440532013001": Debit("failed", SOON, "fails after two seconds"),
    "DE78370400440532013004": Debit("failed", THREE_MINUTES, "fails after three minutes"),
    "DE35370400440532013002": Debit("disputed", SOON, "succeeds after two seconds, and is disputed"),
}
# By the names that API calls may use for them.
NAMED = {
    "pm_success_de": "DE89370400440532013000",
    "pm_successDelayed_de": "DE08370400440532013003",
    "pm_failed_de": "DE62370400440532013001",
    "pm_failedDelayed_de": "DE78370400440532013004",
    "pm_disputed_de": "DE35370400440532013002",
}


def spaced(iban: str) -> str:
    return " ".join(iban[start : start + 4] for start in range(0, len(iban), 4))
