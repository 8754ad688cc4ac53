"""Issue login sessions. The browser holds a 256-bit token; the database only its SHA-256."""

import hashlib
import secrets

from sqlalchemy import Connection

from tollkeeper.model.people import Identity, LoginSession, Person
from tollkeeper.storage import login_sessions, people
from tollkeeper.storage.database import Database

LIFETIME = 30 * 24 * 3600
"""How long a sign-in lasts, in seconds."""


def digest(token: str) -> str:
    """What is stored of a token. A fast hash is right for 256 random bits: there is nothing to guess."""
    return hashlib.sha256(token.encode()).hexdigest()


async def issue(database: Database, identity: Identity, *, browser: str, now: int) -> tuple[Person, str]:
    """Sign a browser in. Returns the person, created if new, and the token for its cookie.

    The token is always new, so none can be planted in advance.
    """
    token = secrets.token_urlsafe(32)
    person = await database.write(_begin, identity, digest(token), browser, now)
    return person, token


def _begin(conn: Connection, identity: Identity, token_hash: str, browser: str, now: int) -> Person:
    """In one transaction: nobody gets a login session as somebody whose account is deleted at this moment."""
    person = people.person_of(conn, identity, now=now)
    session = LoginSession(
        id=f"log_{secrets.token_hex(12)}",
        person_id=person.id,
        issuer=identity.issuer,
        browser=browser,
        created_at=now,
        expires_at=now + LIFETIME,
    )
    login_sessions.add(conn, session, token_hash)
    return person
