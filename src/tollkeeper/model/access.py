"""What purchases give: verdicts, grants, and who holds what."""

from dataclasses import dataclass
from enum import StrEnum

from tollkeeper.model.bought import Bought, Line
from tollkeeper.model.orders import Realm
from tollkeeper.model.people import Person
from tollkeeper.reasons import Reason


def in_force(until: int | None, now: int) -> bool:
    """Whether what lasts until a time (Unix seconds; None: for good) is in force. At the time itself it is over."""
    return until is None or until > now


class Verdict(StrEnum):
    """What one purchase or subscription gives."""

    GRANTED = "granted"
    PENDING = "pending"
    """The first payment is being processed."""
    UNPAID = "unpaid"
    SUSPENDED = "suspended"
    """Access is withheld for now, and comes back automatically: when a dispute is won, or the amount due is paid."""
    REVOKED = "revoked"
    """Access was taken back, because the money went back."""
    ENDED = "ended"
    """A subscription that is over."""
    QUARANTINED = "quarantined"
    UNCLAIMED = "unclaimed"
    """Never ordered here, but it carries our mark or is for something that is sold here."""
    UNRELATED = "unrelated"
    """Another sale on the account, which does not concern this site."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one purchase or subscription, with its reason."""

    bought: Bought
    verdict: Verdict
    reason: Reason
    product: str | None = None
    until: int | None = None
    """When the access that it gives ends; None: never, or it gives none. The time may be past."""
    line: Line | None = None
    """The line of a subscription that sells the product."""
    remarks: tuple[Reason, ...] = ()
    """What an operator should deal with, although access does not depend on it."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Where a grant comes from that an operator made: no provider knows of it."""

    live: bool
    """Whether it counts where real money moves, or in test mode."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One product, for one person, from one source, until a time (None: for good)."""

    id: int
    person_id: str
    product: str
    origin: Realm | Operator
    """Where it was paid for, or the operator who made it."""
    source: str
    since: int
    until: int | None
    revoked_at: int | None
    """When it stopped giving access before its time, for whatever reason; None while it has not."""
    reason: Reason
    amount: int | None
    """What was paid, in minor units; None where an operator granted it."""
    currency: str | None
    reference: str | None
    receipt_url: str | None
    withheld: Reason | None = None
    """Who decided that it gives no access, whatever the provider says; None: nobody did."""

    def in_force(self, now: int) -> bool:
        """Whether it gives access at this time (Unix seconds)."""
        return self.revoked_at is None and in_force(self.until, now)


@dataclass(frozen=True, slots=True)
class Holding:
    """A product a visitor holds right now."""

    product: str
    until: int | None

    def in_force(self, now: int) -> bool:
        """Whether it still is at this time (Unix seconds)."""
        return in_force(self.until, now)


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person behind a request, with what they hold. A request from nobody has no visitor."""

    person: Person
    login_session_id: str
    holdings: tuple[Holding, ...] = ()
