"""Carry a login session to a host that the login cookie does not reach.

It works once, within seconds, on one host, in the browser that was there before: the token alone is worth nothing.
"""

import hmac
import re
import secrets

from tollkeeper.errors import HandoverFailed
from tollkeeper.gate.login_sessions import digest
from tollkeeper.model.people import Handover
from tollkeeper.storage import handovers
from tollkeeper.storage.database import Database

SECONDS = 30
"""How long a handover is valid: as long as a redirect takes on a slow connection."""

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_MARK = re.compile(r"[0-9a-f]{64}")


def new_secret() -> str:
    """256 random bits, as a token or as a browser's secret."""
    return secrets.token_urlsafe(32)


def is_secret(text: str) -> bool:
    """Whether this could be one of our secrets; nothing else is worth a look-up."""
    return _SECRET.fullmatch(text) is not None


def is_mark(text: str) -> bool:
    """Whether this could be the hash of a browser's secret."""
    return _MARK.fullmatch(text) is not None


async def begin(database: Database, login_session_id: str, *, host: str, browser: str, now: int) -> str | None:
    """Start a handover to ``host``, for the browser whose secret has the hash ``browser``.

    Returns the token for the redirect; None when the login session has ended.
    """
    token = new_secret()
    handover = Handover(login_session_id, host, browser, now + SECONDS)
    return token if await database.write(handovers.add, handover, digest(token)) else None


async def redeem(database: Database, token: str, *, host: str, secret: str, now: int) -> tuple[str, int]:
    """Turn a handover into a login session of ``host``: its own token, and when it expires.

    ``secret`` is what the browser received at that host. Raises ``HandoverFailed``, and then has written nothing.
    """
    if not is_secret(token) or not is_secret(secret):
        raise HandoverFailed("it has no token, or the browser kept no cookie")
    found = await database.read(handovers.find, digest(token))
    if found is None:
        raise HandoverFailed("it never was, or was redeemed, or its login session has ended")
    if why := objection(found, host=host, secret=secret, now=now):
        raise HandoverFailed(why)
    mine = new_secret()
    session = await database.write(
        handovers.redeem,
        found,
        digest(token),
        new_id=f"log_{secrets.token_hex(12)}",
        new_token_hash=digest(mine),
        now=now,
    )
    if session is None:
        raise HandoverFailed("it was redeemed, or its login session ended, just now")
    return mine, session.expires_at


def objection(handover: Handover, *, host: str, secret: str, now: int) -> str | None:
    """Why a handover is not valid here, now and for this browser; None if it is."""
    if now >= handover.expires_at:
        return "it came too late"
    if host != handover.host:
        return "it is for another host"
    if not hmac.compare_digest(digest(secret), handover.browser):
        return "it is for another browser"
    return None
