"""Reads what browsers and clients post, strictly and within limits."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from authlib.oauth2.rfc6749 import InvalidRequestError  # type: ignore[import-untyped]
from starlette.exceptions import HTTPException
from starlette.requests import Request

from tollkeeper_sandbox.people import Person

READ_SECONDS = 5
MAX_NAME = 100
MAX_EMAIL = 254

# The rule that browsers apply to <input type="email"> (HTML Standard, "valid e-mail address").
LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
EMAIL = re.compile(rf"[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{LABEL}(?:\.{LABEL})*")


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody entered about a person, and the errors in it, by field."""

    name: str = ""
    email: str = ""
    email_verified: bool = True
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def person(self) -> Person:
        return Person(self.name, self.email, self.email_verified)


def read_entry(form: dict[str, str]) -> Entry:
    """Check the fields ``name``, ``email`` and ``email_verified`` (a checkbox)."""
    name = form.get("name", "").strip()
    email = form.get("email", "").strip()
    faults = {"name": _fault_in_name(name), "email": _fault_in_email(email)}
    errors = {key: fault for key, fault in faults.items() if fault}
    return Entry(name, email, "email_verified" in form, errors)


def _fault_in_name(name: str) -> str:
    if not name:
        return "Enter a name."
    if len(name) > MAX_NAME:
        return f"Use at most {MAX_NAME} characters."
    return "" if name.isprintable() else "Use letters, figures, spaces and signs only."


def _fault_in_email(email: str) -> str:
    if not email:
        return "Enter an e-mail address."
    if len(email) > MAX_EMAIL or not EMAIL.fullmatch(email):
        return "Enter an e-mail address such as name@example.com."
    return ""


async def read_form(request: Request, within: float = READ_SECONDS) -> dict[str, str]:
    """Return the fields of a form post, each at most once; empty ones count as missing.

    Raises ``HTTPException`` 408 if it takes longer than ``within`` seconds, 415 for anything but a URL-encoded form,
    and Authlib's ``InvalidRequestError`` for a repeated field.
    """
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    try:
        async with asyncio.timeout(within):
            form = await request.form(max_fields=50)
    except TimeoutError:
        raise HTTPException(408) from None
    return single_values((name, str(value)) for name, value in form.multi_items())


def single_values(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return parameters by name. RFC 6749, 3.1: empty ones count as missing, and none may be repeated."""
    values: dict[str, str] = {}
    for name, value in items:
        if name in values:
            raise InvalidRequestError("A parameter is given more than once.")
        if value:
            values[name] = value
    return values
