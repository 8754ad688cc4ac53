"""The people who can sign in without typing anything, and the client that every sandbox knows."""

from dataclasses import dataclass
from hashlib import sha256

CLIENT_ID = "tollkeeper-sandbox"
CLIENT_SECRET = "sandbox-secret-known-to-everybody"  # noqa: S105 - it protects only test people


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in at the sandbox."""

    name: str
    email: str
    email_verified: bool = True

    @property
    def subject(self) -> str:
        """The ``sub`` claim, derived from the e-mail address so that it stays the same after a restart."""
        return sha256(self.email.lower().encode()).hexdigest()[:32]

    def claims(self, scope: str) -> dict[str, str | bool]:
        """Return the claims for space-separated scopes (OpenID Connect Core 1.0, 5.4)."""
        scopes = scope.split()
        claims: dict[str, str | bool] = {"sub": self.subject}
        if "profile" in scopes:
            claims |= {"name": self.name}
        if "email" in scopes:
            claims |= {"email": self.email, "email_verified": self.email_verified}
        return claims


PEOPLE = (
    Person("Alice Example", "alice@example.com"),
    Person("Bob Example", "bob@example.com"),
    Person("Carol Example", "carol@example.com"),
)
