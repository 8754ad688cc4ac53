"""All errors of the app, with their facts. Only ``web.errors`` maps them to HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class TollkeeperError(Exception):
    """The base class of all our errors."""


@dataclass(frozen=True)
class Fault:
    """One error in the configuration: which variable, what is wrong, how to fix it."""

    variable: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.problem}. {self.remedy}"


class ConfigurationError(TollkeeperError):
    """The settings cannot be used. Contains every fault, not only the first."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class Misplaced(TollkeeperError):
    """The app mounts our pages at another path than ``PUBLIC_URL`` has, so that all their links would be wrong."""

    def __init__(self, path: str) -> None:
        super().__init__(f"Tollkeeper is mounted at {path}: end PUBLIC_URL with that path.")


class NotRunning(TollkeeperError):
    """A ``Tollkeeper`` was used before its lifespan was entered."""

    def __init__(self) -> None:
        super().__init__(
            "Tollkeeper is not running: give the app its lifespan, as in FastAPI(lifespan=tollkeeper.lifespan)."
        )


class StorageError(TollkeeperError):
    """The database cannot be used as it is: missing schema, newer schema, unreadable file."""


class StorageBusy(TollkeeperError):
    """The database did not answer in time. Trying again may work."""


class ProviderUnavailable(TollkeeperError):
    """The provider gave no definite answer: an outage, a time-out, a rate limit. Trying again may work."""


class ProviderFailed(ProviderUnavailable):
    """The provider reported an error of its own. It may repeat that response for the same idempotency key."""


class Scope(StrEnum):
    """Whose purchases an obstacle prevents."""

    PRICE = "price"
    """Everybody's purchases at one price."""
    ACCOUNT = "account"
    """All purchases by everybody."""
    PERSON = "person"
    """One person's purchases at one price."""


class Obstacle(StrEnum):
    """Why the provider refuses a sale, until somebody changes something."""

    PRICE_ARCHIVED = "price_archived"
    """The price or its product is archived."""
    PRICE_MISSING = "price_missing"
    """The account has no such price in this mode."""
    OTHER_CURRENCY = "other_currency"
    """The customer already pays in another currency, and the provider accepts only one for each customer."""
    CUSTOMER_REFUSED = "customer_refused"
    """Something else about the customer."""
    ACCOUNT_INACTIVE = "account_inactive"
    """The account is not allowed to take payments, or not yet."""
    TAX_INACTIVE = "tax_inactive"
    """Tax should be calculated, but is not set up in the account."""
    KEY_REFUSED = "key_refused"
    """The key is wrong, expired or revoked."""
    KEY_LIMITED = "key_limited"
    """The key lacks a permission for this request."""
    OTHER = "other"
    """Anything else. The provider's message says more."""

    @property
    def scope(self) -> Scope:
        """Whose purchases it prevents."""
        return _SCOPES.get(self, Scope.ACCOUNT)


_SCOPES = {
    Obstacle.PRICE_ARCHIVED: Scope.PRICE,
    Obstacle.PRICE_MISSING: Scope.PRICE,
    Obstacle.OTHER: Scope.PRICE,
    Obstacle.OTHER_CURRENCY: Scope.PERSON,
    Obstacle.CUSTOMER_REFUSED: Scope.PERSON,
}


class ProviderRefused(TollkeeperError):
    """The provider refused, and will keep refusing until somebody changes something.

    ``advice`` tells the operator what to do. ``facts`` are those that the provider named: ``currency``, ``permission``.
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
    """The provider does not know this object, or no longer does."""


class EmailRefused(ProviderRefused):
    """The provider does not accept this e-mail address."""


class CustomerMissing(ProviderMissing):
    """The provider does not know the customer, or no longer does."""


class IdempotencyConflict(ProviderRefused):
    """An idempotency key was already used with other parameters."""


class NotForSale(TollkeeperError):
    """The provider refuses to sell this, and trying again does not help. It was reported to the operators.

    ``product`` is the key of the product; ``facts`` are those of the obstacle.
    """

    def __init__(self, product: str, obstacle: Obstacle, facts: Mapping[str, str]) -> None:
        super().__init__(f"{product}: {obstacle}")
        self.product = product
        self.obstacle = obstacle
        self.facts = facts


class AlreadyHeld(TollkeeperError):
    """The person already has the product, so there is nothing to buy."""


class SubscriptionNeedsAction(TollkeeperError):
    """The person has a subscription to the product that is not over, but gives no access.

    They must fix or end it before they can buy the product again. ``product`` is the key of the product.
    """

    def __init__(self, product: str) -> None:
        super().__init__(product)
        self.product = product


class BadWebhook(TollkeeperError):
    """A webhook that must not be trusted: 400, and nothing is written."""


class SignInFailed(TollkeeperError):
    """Signing in at the issuer did not result in an identity. ``reason`` is safe to log, but not for visitors."""

    def __init__(self, reason: str, *, denied: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.denied = denied


class HandoverFailed(TollkeeperError):
    """A handover is not valid. ``reason`` is safe to log, but not for visitors."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class IssuerUnavailable(TollkeeperError):
    """The issuer could not be reached. Trying again may work."""


class Refused(TollkeeperError):
    """A request that is refused, with a status and a message for its sender.

    ``title`` replaces the usual title of that status.
    """

    def __init__(self, status: int, detail: str, *, title: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title


class PersonUnclear(TollkeeperError):
    """Nobody or several people match, instead of exactly one. The message says which."""


class NoSuchEvent(TollkeeperError):
    """An event that was never stored, or that is ignored and so never handled."""


class NotDone(TollkeeperError):
    """An operator's command cannot be carried out, and nothing has changed. The message says why."""
