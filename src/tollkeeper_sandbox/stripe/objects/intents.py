"""Payment intents and setup intents: a buyer confirms a payment, or a card that is charged later.

Both wait for the buyer's bank, succeed and fail in the same way.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.cards import Card
from tollkeeper_sandbox.stripe.objects import charges, setups


@dataclass(frozen=True)
class Intent:
    ask: Callable[[Work, JSON, JSON, JSON], JSON]
    charge: Callable[[Work, JSON, JSON, Card, str | None], JSON]
    failed: Callable[[Work, JSON, JSON], JSON]
    cancel: Callable[[Work, JSON, str], None]


INTENTS = {
    "payment_intent": Intent(charges.ask, charges.charge, charges.failed, charges.cancel),
    setups.KIND: Intent(setups.ask, setups.charge, setups.failed, setups.cancel),
}


def of(intent: JSON) -> Intent:
    return INTENTS[intent["object"]]


def errors_of(intent: JSON | None) -> dict[str, str]:
    """Return the field of the buyer's form because of which the last attempt failed, and why."""
    error = (intent or {}).get("last_payment_error") or (intent or {}).get("last_setup_error")
    if not error:
        return {}
    field = {"expired_card": "expiration", "incorrect_cvc": "cvc"}.get(error["code"], "card_number")
    return {field: error["message"]}
