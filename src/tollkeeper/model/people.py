"""People, and how they are identified."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signs in. Identified by identities, never by an e-mail address."""

    id: str
    name: str
    email: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Identity:
    """What an issuer said about somebody: (issuer, subject) identifies them, the rest is for display.

    ``email`` is always an address that the issuer calls verified.
    """

    issuer: str
    subject: str
    name: str
    email: str | None
    dropped: str | None = None
    """Why the address that the issuer sent does not count, for the log; without the address."""


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
    """The one host where it is valid; empty: everywhere the login cookie reaches."""
    parent_id: str | None = None
    """The login session that was handed over to that host; this one ends with it."""


@dataclass(frozen=True, slots=True)
class Handover:
    """A login session on its way to a host that the login cookie does not reach. Its token is not here either."""

    login_session_id: str
    host: str
    browser: str
    """The SHA-256 (hexadecimal) of the secret that the browser received there, which proves that it is the same one."""
    expires_at: int
