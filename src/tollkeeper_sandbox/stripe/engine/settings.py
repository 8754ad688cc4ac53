"""The account's settings: those of Stripe's dashboard, and some that exist only here because time can be moved.

Each has an address of the control API, ``/control/{name}``, and one field in its form.
"""

from dataclasses import dataclass

from tollkeeper_sandbox.stripe.engine.errors import invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON, Ledger

MOST_SECONDS = 400 * 24 * 3600
NEVER, AS_TESTED = "never", ""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    ``values`` are those of its ``field``, which may also be a whole number of seconds if it is one of ``seconds``.
    """

    field: str
    default: str
    values: tuple[str, ...]
    seconds: bool = False


SETTINGS = {
    "account": Setting("charges", "enabled", ("enabled", "disabled")),
    "debits": Setting("seconds", AS_TESTED, (AS_TESTED,), seconds=True),
    "drafts": Setting("seconds", "3600", (NEVER,), seconds=True),
    "issuer": Setting("state", "up", ("up", "down", "no_keys")),
    "portal": Setting("saved", "yes", ("yes", "no")),
    "tax": Setting("active", "yes", ("yes", "no", "")),
    "unpaid": Setting("outcome", "canceled", ("canceled", "unpaid", "past_due")),
}


def of(ledger: Ledger, name: str) -> str:
    return ledger.setting(name, SETTINGS[name].default)


def seconds_of(ledger: Ledger, name: str) -> int | None:
    """Return the seconds of a setting; None if its value is a word."""
    value = of(ledger, name)
    return int(value) if value.isdigit() else None


def shown(ledger: Ledger) -> JSON:
    """Return all settings, each with its field, in the form in which they are set."""
    return {name: {setting.field: of(ledger, name)} for name, setting in SETTINGS.items()}


def change(ledger: Ledger, name: str, value: str) -> None:
    """Change a setting. Raises a 400 for an invalid value."""
    setting = SETTINGS[name]
    number = setting.seconds and value.isascii() and value.isdigit() and int(value[:12]) <= MOST_SECONDS
    if value not in setting.values and not number:
        words = [f"a number of seconds, at most {MOST_SECONDS}"] if setting.seconds else []
        known = ", ".join([*words, *(one or "nothing" for one in setting.values)])
        raise invalid(f"Invalid {setting.field}: must be one of {known}", setting.field)
    ledger.set(name, value)
