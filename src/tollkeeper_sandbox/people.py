"""Who can sign in at the sandbox without typing, and the client that every copy of it knows."""

from dataclasses import dataclass
from hashlib import sha256

CLIENT_ID = "tollkeeper-sandbox"
CLIENT_SECRET = "sandbox-secret-known-to-everybody"  # noqa: S105 - it guards nothing but test people


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signs in at the sandbox."""

    name: str
    email: str
    email_verified: bool = True

    @property
    def subject(self) -> str:
        """The ``sub`` claim: derived from the e-mail address, so that it outlives any restart."""
        return sha256(self.email.lower().encode()).hexdigest()[:32]

    def claims(self, scope: str) -> dict[str, str | bool]:
        """What the space-separated scopes let a client know (OpenID Connect Core 1.0, 5.4)."""
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
