"""Errors that carry facts. One base; ``web.errors`` is the one place that maps them to HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class TollkeeperError(Exception):
    """The base of every error that is ours."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with the configuration: which variable, what is wrong, how to mend it."""

    variable: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.problem}. {self.remedy}"


class ConfigurationError(TollkeeperError):
    """The settings cannot be served. Carries every fault, not only the first."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class Misplaced(TollkeeperError):
    """A program mounts our pages elsewhere than ``PUBLIC_URL`` says, so that no address of theirs would be right."""

    def __init__(self, path: str) -> None:
        super().__init__(f"Tollkeeper is mounted at {path}: end PUBLIC_URL with that path.")


class NotRunning(TollkeeperError):
    """Something was asked of a Tollkeeper whose lifespan was not entered."""

    def __init__(self) -> None:
        super().__init__(
            "Tollkeeper is not running: give the app its lifespan, as in FastAPI(lifespan=tollkeeper.lifespan)."
        )


class StorageError(TollkeeperError):
    """The database cannot be used as it is: missing schema, newer schema, unreadable file."""


class StorageBusy(TollkeeperError):
    """The database did not answer in time. Trying again may work."""


class ProviderUnavailable(TollkeeperError):
    """The provider did not give a definite answer: an outage, a time-out, a rate limit. Trying again may work."""


class ProviderFailed(ProviderUnavailable):
    """The provider answered that it failed. It may give the same answer to the same idempotency key from now on."""


class Scope(StrEnum):
    """Whose purchases something stands in the way of."""

    PRICE = "price"
    """Everybody's at one price."""
    ACCOUNT = "account"
    """Everybody's, whatever they buy."""
    PERSON = "person"
    """One person's at one price."""


class Obstacle(StrEnum):
    """What stands in the way of a sale at the provider, until somebody changes something."""

    PRICE_ARCHIVED = "price_archived"
    """The price, or what it is a price of, is archived."""
    PRICE_MISSING = "price_missing"
    """The account does not have the price, in this mode."""
    OTHER_CURRENCY = "other_currency"
    """The customer pays in another currency already, and the provider takes one from each."""
    CUSTOMER_REFUSED = "customer_refused"
    """Something else about the customer."""
    ACCOUNT_INACTIVE = "account_inactive"
    """The account may not take payments, or not yet."""
    TAX_INACTIVE = "tax_inactive"
    """Tax is to be reckoned, and is not set up in the account."""
    KEY_REFUSED = "key_refused"
    """The key is wrong, expired or revoked."""
    KEY_LIMITED = "key_limited"
    """The key is not allowed to ask this."""
    OTHER = "other"
    """Anything else. What the provider said tells more."""

    @property
    def scope(self) -> Scope:
        """Whose purchases it stands in the way of."""
        return _SCOPES.get(self, Scope.ACCOUNT)


_SCOPES = {
    Obstacle.PRICE_ARCHIVED: Scope.PRICE,
    Obstacle.PRICE_MISSING: Scope.PRICE,
    Obstacle.OTHER: Scope.PRICE,
    Obstacle.OTHER_CURRENCY: Scope.PERSON,
    Obstacle.CUSTOMER_REFUSED: Scope.PERSON,
}


class ProviderRefused(TollkeeperError):
    """The provider understood and said no, and will go on saying so until somebody changes something.

    ``advice`` tells the operator what to do. ``facts`` are what the provider named: ``currency``, ``permission``.
    """

    def __init__(
        self,
        message: str,
        advice: str = "",
        *,
        obstacle: Obstacle = Obstacle.OTHER,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.advice = advice
        self.obstacle = obstacle
        self.facts = dict(facts or {})


class ProviderMissing(ProviderRefused):
    """The provider does not know this object (any more)."""


class EmailRefused(ProviderRefused):
    """The provider does not take this e-mail address."""


class CustomerMissing(ProviderMissing):
    """The provider does not know the customer (any more)."""


class IdempotencyConflict(ProviderRefused):
    """An idempotency key was used before with other parameters."""


class NotForSale(TollkeeperError):
    """The provider will not sell this, and trying again does not help. Operators know of it.

    ``product`` is the key of the product; ``facts`` are those of the obstacle.
    """

    def __init__(self, product: str, obstacle: Obstacle, facts: Mapping[str, str]) -> None:
        super().__init__(f"{product}: {obstacle}")
        self.product = product
        self.obstacle = obstacle
        self.facts = facts


class AlreadyHeld(TollkeeperError):
    """The person holds the product, so there is nothing to buy."""


class SubscriptionNeedsAction(TollkeeperError):
    """The person has a subscription to the product that is not over, but gives no access.

    It is to be mended, or ended, before there is anything to buy. ``product`` is the key of the product.
    """

    def __init__(self, product: str) -> None:
        super().__init__(product)
        self.product = product


class BadWebhook(TollkeeperError):
    """A webhook that must not be believed: 400, and nothing is written."""


class SignInFailed(TollkeeperError):
    """The round trip to the issuer did not end in an identity. ``reason`` is safe to log, not meant for visitors."""

    def __init__(self, reason: str, *, denied: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.denied = denied


class HandoverFailed(TollkeeperError):
    """A handover does not hold. ``reason`` is safe to log, not meant for visitors."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class IssuerUnavailable(TollkeeperError):
    """The issuer could not be reached. Trying again may work."""


class Refused(TollkeeperError):
    """A request that is refused for what it is: a status, and words for whoever sent it.

    ``title`` is for where the usual one of that status would be wrong.
    """

    def __init__(self, status: int, detail: str, *, title: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title


class PersonUnclear(TollkeeperError):
    """Not exactly one person is meant: nobody, or several. The words say which."""


class NoSuchEvent(TollkeeperError):
    """An event that was never kept, or that is ignored and so never handled."""


class NotDone(TollkeeperError):
    """What an operator wants cannot be done as they say it, and nothing has changed. The words say why."""
