"""Issue login sessions. The browser holds a 256-bit token; the database only its SHA-256."""

import hashlib
import secrets

from tollkeeper.model import LoginSession, Person
from tollkeeper.storage import login_sessions
from tollkeeper.storage.database import Database

LIFETIME = 30 * 24 * 3600
"""How long a sign-in lasts, in seconds."""


def digest(token: str) -> str:
    """What is kept of a token. A fast hash is right for 256 random bits: there is nothing to guess."""
    return hashlib.sha256(token.encode()).hexdigest()


async def issue(database: Database, person: Person, *, issuer: str, browser: str, now: int) -> str:
    """Sign a browser in. Answers the token for its cookie; it is always a new one, so none can be planted before."""
    token = secrets.token_urlsafe(32)
    session = LoginSession(
        id=f"log_{secrets.token_hex(12)}",
        person_id=person.id,
        issuer=issuer,
        browser=browser,
        created_at=now,
        expires_at=now + LIFETIME,
    )
    await database.write(login_sessions.add, session, digest(token))
    return token
