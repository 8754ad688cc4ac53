"""What several objects share: metadata, postal addresses, URLs, currencies, e-mail addresses."""

import re
from typing import Any
from urllib.parse import urlsplit

from tollkeeper_sandbox.stripe.engine.errors import invalid
from tollkeeper_sandbox.stripe.known.money import CURRENCIES

EMAIL = re.compile(r"[^@\s<>,;\"()]+@[^@\s<>,;\"()]+\.[^@\s<>,;\"().]{2,}")
ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def merged_metadata(old: dict[str, str], new: dict[str, str] | str) -> dict[str, str]:
    """Merge metadata. An empty value unsets its key; an empty ``metadata`` unsets all keys."""
    if isinstance(new, str):
        return {}
    merged = {key: value for key, value in {**old, **new}.items() if value != ""}
    if len(merged) > 50:
        raise invalid(f"You can only set up to 50 metadata keys, but there would be {len(merged)}.", "metadata")
    return merged


def null_if_empty(value: Any) -> Any:
    return None if value == "" else value


def address_of(given: dict[str, Any] | str | None) -> dict[str, Any] | None:
    if not given or isinstance(given, str):
        return None
    return {name: null_if_empty(given.get(name)) for name in ADDRESS}


def check_email(email: str, param: str) -> None:
    if len(email) > 512 or not EMAIL.fullmatch(email):
        raise invalid(f"Invalid email address: {email[:200]}", param, "email_invalid")


def check_currency(given: str, param: str) -> str:
    currency = given.lower()
    if currency not in CURRENCIES:
        message = f"Invalid currency: {given[:20]}. Stripe currently supports these currencies: {', '.join(CURRENCIES)}"
        raise invalid(message, param)
    return currency


def check_url(url: str, param: str) -> None:
    """Check that an address is absolute http or https, without blanks or control characters."""
    try:
        parts = urlsplit(url)
        whole = bool(parts.scheme in ("http", "https") and parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or re.search(r"[\x00-\x20\x7f\\]", url):
        raise invalid("Not a valid URL", param, "url_invalid")
