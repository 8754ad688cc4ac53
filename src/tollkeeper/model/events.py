"""What a provider sends unasked: hints, stored in the inbox."""

from dataclasses import dataclass

from tollkeeper.model.orders import Realm


@dataclass(frozen=True, slots=True)
class Event:
    """A provider's message, reduced to a hint: what changed, never how. Payloads are not applied, so not stored."""

    realm: Realm
    id: str
    type: str
    created_at: int
    object_id: str
    customer_id: str | None
    relevant: bool
    reference: str | None = None
    """The payment it concerns. Disputes name no customer, but this leads to the grant that the payment gave."""


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event in the inbox."""

    id: int
    event: Event
    attempts: int
