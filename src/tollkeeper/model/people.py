"""People, and how they are known."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """Who signs in. Known by identities, never by an e-mail address."""

    id: str
    name: str
    email: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Identity:
    """What an issuer said about somebody: (issuer, subject) is who they are, the rest is for display.

    ``email`` is only ever an address that the issuer calls verified.
    """

    issuer: str
    subject: str
    name: str
    email: str | None
    dropped: str | None = None
    """Why the address that the issuer told does not count, for the log; without the address."""


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A browser that is signed in. Its token is not here: only a hash of it is kept."""

    id: str
    person_id: str
    issuer: str
    browser: str
    created_at: int
    expires_at: int
    host: str = ""
    """The one host where it counts; empty: wherever the login cookie goes."""
    parent_id: str | None = None
    """The login session that was handed over to that host, with which this one ends."""


@dataclass(frozen=True, slots=True)
class Handover:
    """A login session on its way to a host that the login cookie does not reach. Its token is not here either."""

    login_session_id: str
    host: str
    browser: str
    """The SHA-256 (hexadecimal) of what the browser was left there to show that it is the same one."""
    expires_at: int
