"""The sandbox's clock: the real one, moved ahead by hand. Like Stripe's test clocks it never goes back."""

from typing import Any

from tollkeeper_sandbox.stripe.engine.errors import invalid
from tollkeeper_sandbox.stripe.engine.ledger import Ledger

SETTING = "clock_ahead"
MAX_AHEAD = 10 * 366 * 24 * 3600


def ahead(ledger: Ledger) -> int:
    """Return how many seconds the clock is ahead of the real time."""
    return int(ledger.setting(SETTING, "0"))


def move(ledger: Ledger, given: Any) -> None:
    """Move the clock to ``{"ahead": seconds}`` after the real time.

    Raises a 400 for anything else, and to move back.
    """
    if not isinstance(given, dict) or given.keys() != {"ahead"}:
        raise invalid('Say how far: {"ahead": seconds}.', "ahead")
    seconds = given["ahead"]
    if type(seconds) is not int or not 0 <= seconds <= MAX_AHEAD:
        raise invalid(f"ahead must be a whole number of seconds, from 0 to {MAX_AHEAD}.", "ahead")
    if seconds < ahead(ledger):
        raise invalid(f"The clock is {ahead(ledger)} seconds ahead already, and does not go back.", "ahead")
    ledger.set(SETTING, str(seconds))
