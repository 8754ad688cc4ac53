"""The buyer's form for a bank debit: what was entered, and what is wrong with it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tollkeeper_sandbox.stripe.known.ibans import IBANS
from tollkeeper_sandbox.stripe.objects.card_form import MAX_FIELD, email_error

FIELDS = ("email", "iban", "account_holder")
KEPT = ("email", "account_holder")


@dataclass(frozen=True)
class DebitForm:
    """``errors`` maps a field to what is wrong with it; empty means: may be debited."""

    email: str
    iban: str
    name: str
    errors: Mapping[str, str] = field(default_factory=dict)


def read(values: Mapping[str, str], email: str | None) -> DebitForm:
    """``email`` is the customer's, if it is known: it stands unless the buyer types another."""
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
    """What a page may show again: never the account's number."""
    return {name: values.get(name, "").strip()[:MAX_FIELD] for name in KEPT}


def _iban_error(iban: str) -> str:
    if not iban:
        return "Your IBAN is incomplete."
    if not re.fullmatch("[A-Z]{2}[0-9]{2}[0-9A-Z]{10,30}", iban) or not passes_mod_97(iban):
        return "The IBAN you entered is invalid."
    return "" if iban in IBANS else "No real account works here. Use one of the test numbers."


def passes_mod_97(iban: str) -> bool:
    """ISO 13616-1: the check digits, with letters counted from 10."""
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1
