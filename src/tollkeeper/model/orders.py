"""Who buys: a person as a provider's customer, and what they intend to buy."""

from dataclasses import dataclass
from enum import StrEnum

from tollkeeper.reasons import Reason


@dataclass(frozen=True, slots=True)
class Mode:
    """A provider, and whether real money moves there: all of its accounts that an operator sees together."""

    provider: str
    live: bool


@dataclass(frozen=True, slots=True)
class Realm:
    """One account of one provider in one mode. Nothing is ever matched across realms."""

    provider: str
    account: str
    live: bool

    @property
    def mode(self) -> Mode:
        """The same without the account."""
        return Mode(self.provider, self.live)


@dataclass(frozen=True, slots=True)
class Customer:
    """A provider's record of a person. A guest has none, and is identified by the source of their one purchase."""

    id: int
    realm: Realm
    external_id: str
    person_id: str


class OrderState(StrEnum):
    """The state of an intent to buy. At most one order per person and product is open."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Order:
    """Our own row for one intent to buy, written before the provider is called."""

    id: str
    person_id: str
    product: str
    realm: Realm
    price_id: str
    quantity: int
    amount: int
    """Quantity times the price, before tax and discounts, in minor units."""
    currency: str
    state: OrderState
    idempotency_key: str
    created_at: int
    checkout_id: str | None = None
    promotion_codes: bool = False
    """Whether its checkout takes promotion codes, so that less than the amount, or nothing, counts as paid."""
    recurring: bool = False
    """Whether it is for a subscription; then the amount is that of one period."""
    trial_days: int | None = None
    """How many days are free at the start; None: no trial was offered."""
    trial_without_card: bool = False
    adopts: str | None = None
    """The source of what was bought elsewhere and an operator assigned to the person. None: it was ordered here."""
    adoption: Reason | None = None
    """The operator's note."""
