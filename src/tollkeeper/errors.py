"""Errors that carry facts. One base; ``web.errors`` is the one place that maps them to HTTP."""

from dataclasses import dataclass


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


class ProviderRefused(TollkeeperError):
    """The provider understood and said no. ``advice`` tells the operator what to do."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class ProviderMissing(ProviderRefused):
    """The provider does not know this object (any more)."""


class EmailRefused(ProviderRefused):
    """The provider does not take this e-mail address."""


class CustomerMissing(ProviderMissing):
    """The provider does not know the customer (any more)."""


class IdempotencyConflict(ProviderRefused):
    """An idempotency key was used before with other parameters."""


class AlreadyHeld(TollkeeperError):
    """The person holds the product, so there is nothing to buy."""


class NeedsMending(TollkeeperError):
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
