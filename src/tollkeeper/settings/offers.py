"""PURE. Offers as sellers write them, such as ``9.99 EUR per month`` or ``9.99 EUR/month``, and as buyers read them."""

import hashlib
import re
from decimal import Decimal

from tollkeeper.model.selling import Offer
from tollkeeper.words import DECIMALS, money

FORM = re.compile(
    r"(?P<whole>[0-9]{1,10})(?:\.(?P<part>[0-9]+))? (?P<currency>[A-Za-z]{3})"
    r"(?:(?: per | ?/ ?)"
    r"(?:(?P<one>day|week|month|year)|(?P<count>[1-9][0-9]{0,3}) (?P<interval>day|week|month|year)s?))?"
)


class NoOffer(ValueError):
    """A text that is not an offer: what is wrong with it, to follow the name of the setting, and the remedy."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def parse(text: str) -> Offer:
    """Parse an offer as a seller writes it. Raises ``NoOffer`` for anything ambiguous."""
    if "," in text:
        raise NoOffer("has a comma", "Write a point before the decimals, as in 9.99 EUR, and nothing between thousands")
    found = FORM.fullmatch(" ".join(text.split()))
    if found is None:
        raise NoOffer(
            "is not an offer", "Write 9.99 EUR, 9.99 EUR per month (or 9.99 EUR/month), or 25 EUR per 3 months"
        )
    currency = found["currency"].lower()
    amount = _amount(found["whole"], found["part"], currency)
    return Offer(amount, currency, found["one"] or found["interval"], int(found["count"] or 1))


def _amount(whole: str, part: str | None, currency: str) -> int:
    """Return the amount in minor units, as in ``words``."""
    places, code = DECIMALS.get(currency, 2), currency.upper()
    if part is not None and len(part) != places:
        example = f"1.{'0' * places}" if places else "1"
        kind = f"not the {places} decimals of {code}" if places else f"decimals, and {code} has none"
        raise NoOffer(f"has {kind}", f"Write it as in {example} {code}")
    return int(whole + (part or "0" * places))


def written(offer: Offer) -> str:
    """An offer as ``parse`` reads it, such as ``9.99 EUR per month``."""
    amount = Decimal(offer.amount).scaleb(-DECIMALS.get(offer.currency, 2))
    whole = amount == amount.to_integral_value()
    text = f"{int(amount) if whole else amount} {offer.currency.upper()}"
    return text if offer.interval is None else f"{text} {_per(offer)}"


def fingerprint(offer: Offer) -> str:
    """A short hash that tells offers apart. It shows no amount: who replaces one in a whole file leaves this alone."""
    told = f"{offer.amount} {offer.currency} {offer.interval} {offer.interval_count}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def words(offer: Offer) -> str:
    """Write an offer for buyers: ``€9.99 per month``, ``€25.00 per 3 months``, or ``€9.99, once``."""
    amount = money(offer.amount, offer.currency)
    if offer.interval is None:
        return f"{amount}, once"
    return f"{amount} {_per(offer)}"


def _per(offer: Offer) -> str:
    return f"per {offer.interval if offer.interval_count == 1 else several(offer, ' ') + 's'}"


def several(offer: Offer, between: str) -> str:
    """Write how many intervals are between two payments, and which: ``3 month``."""
    return f"{offer.interval_count}{between}{offer.interval}"
