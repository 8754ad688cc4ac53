"""The buyer's form on the hosted page: the input and its errors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tollkeeper_sandbox.stripe.known.cards import brand_of, passes_luhn
from tollkeeper_sandbox.stripe.known.countries import COUNTRIES
from tollkeeper_sandbox.stripe.objects.common import EMAIL

FIELDS = ("email", "card_number", "expiration", "cvc", "cardholder_name", "country")
KEPT = ("email", "expiration", "cardholder_name", "country")
MAX_FIELD = 200
MAX_YEARS_AHEAD = 50


@dataclass(frozen=True)
class CardForm:
    """The form. ``errors`` maps a field to Stripe's error message; if it is empty, the card may be charged."""

    email: str
    number: str
    month: int
    year: int
    name: str
    country: str
    errors: Mapping[str, str] = field(default_factory=dict)


def read(values: Mapping[str, str], email: str | None, now: int) -> CardForm:
    """Read the form. ``email`` is the customer's, if known; it is used unless the buyer enters another."""
    entered = {name: values.get(name, "").strip()[:MAX_FIELD] for name in FIELDS}
    number = re.sub(r"[\s-]", "", entered["card_number"])
    month, year = _month_and_year(entered["expiration"])
    address = entered["email"] or email or ""
    errors = {
        "email": email_error(address),
        "card_number": _number_error(number),
        "expiration": _expiration_error(month, year, now),
        "cvc": _cvc_error(entered["cvc"], number),
        "cardholder_name": "" if entered["cardholder_name"] else "Your name is incomplete.",
        "country": "" if entered["country"] in COUNTRIES else "Choose a country.",
    }
    return CardForm(
        address,
        number,
        month,
        year,
        entered["cardholder_name"],
        entered["country"],
        {name: message for name, message in errors.items() if message},
    )


def kept(values: Mapping[str, str]) -> dict[str, str]:
    """Return the input that a page may show again: never the card number or its security code."""
    return {name: values.get(name, "").strip()[:MAX_FIELD] for name in KEPT}


def email_error(email: str) -> str:
    if not email:
        return "Your email is incomplete."
    return "" if EMAIL.fullmatch(email) else "Your email is invalid."


def _number_error(number: str) -> str:
    if not number:
        return "Your card number is incomplete."
    if not re.fullmatch("[0-9]{12,19}", number) or not passes_luhn(number):
        return "Your card number is invalid."
    return ""


def _month_and_year(text: str) -> tuple[int, int]:
    """Read ``MM / YY``, ``MM/YYYY`` or ``MMYY``; return (0, 0) for anything else."""
    match = re.fullmatch(r"([0-9]{1,2})\s*[/-]\s*((?:20)?[0-9]{2})|([0-9]{2})([0-9]{2})", text)
    if match is None:
        return 0, 0
    month, year = match[1] or match[3], match[2] or match[4]
    return int(month), 2000 + int(year) % 100


def _expiration_error(month: int, year: int, now: int) -> str:
    today = datetime.fromtimestamp(now, UTC)
    if not year:
        return "Your card's expiration date is incomplete."
    if not 1 <= month <= 12:
        return "Your card's expiration date is invalid."
    if year < today.year:
        return "Your card's expiration year is in the past."
    if year > today.year + MAX_YEARS_AHEAD:
        return "Your card's expiration year is invalid."
    return "Your card's expiration date is in the past." if (year, month) < (today.year, today.month) else ""


def _cvc_error(cvc: str, number: str) -> str:
    digits = 4 if brand_of(number) == "amex" else 3
    if re.fullmatch(f"[0-9]{{{digits}}}", cvc):
        return ""
    too_short = re.fullmatch(f"[0-9]{{0,{digits - 1}}}", cvc)
    return "Your card's security code is incomplete." if too_short else "Your card's security code is invalid."
