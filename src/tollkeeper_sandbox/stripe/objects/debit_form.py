"""The buyer's form for a bank debit: the input and its errors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tollkeeper_sandbox.stripe.known.ibans import IBANS
from tollkeeper_sandbox.stripe.objects.card_form import MAX_FIELD, email_error

FIELDS = ("email", "iban", "account_holder")
KEPT = ("email", "account_holder")


@dataclass(frozen=True)
class DebitForm:
    """The form. ``errors`` maps a field to its error message; if it is empty, the account may be debited."""

    email: str
    iban: str
    name: str
    errors: Mapping[str, str] = field(default_factory=dict)


def read(values: Mapping[str, str], email: str | None) -> DebitForm:
    """Read the form. ``email`` is the customer's, if known; it is used unless the buyer enters another."""
    entered = {name: values.get(name, "").strip()[:MAX_FIELD] for name in FIELDS}
    iban = re.sub(r"[\s-]", "", entered["iban"]).upper()
    address = entered["email"] or email or ""
    errors = {
        "email": email_error(address),
        "iban": _iban_error(iban),
        "account_holder": "" if entered["account_holder"] else "Your name is incomplete.",
    }
    found = {name: message for name, message in errors.items() if message}
    return DebitForm(address, iban, entered["account_holder"], found)


def kept(values: Mapping[str, str]) -> dict[str, str]:
    """Return the input that a page may show again: never the account number."""
    return {name: values.get(name, "").strip()[:MAX_FIELD] for name in KEPT}


def _iban_error(iban: str) -> str:
    if not iban:
        return "Your IBAN is incomplete."
    if not re.fullmatch("[A-Z]{2}[0-9]{2}[0-9A-Z]{10,30}", iban) or not passes_mod_97(iban):
        return "The IBAN you entered is invalid."
    return "" if iban in IBANS else "No real account works here. Use one of the test numbers."


def passes_mod_97(iban: str) -> bool:
    """Check the check digits of an IBAN (ISO 13616-1), with letters counted from 10."""
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1
