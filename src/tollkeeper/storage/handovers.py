"""Handovers: login sessions on their way to another host. Tokens are never stored, only their hashes."""

from sqlalchemy import Connection, delete, insert, select

from tollkeeper.model.people import Handover, LoginSession
from tollkeeper.storage import login_sessions
from tollkeeper.storage.tables import handovers


def add(conn: Connection, handover: Handover, token_hash: str) -> bool:
    """Store a handover under the SHA-256 (hexadecimal) of its token. False if its login session has ended."""
    if login_sessions.held(conn, handover.login_session_id) is None:
        return False
    conn.execute(
        insert(handovers).values(
            token_hash=token_hash,
            login_session_id=handover.login_session_id,
            host=handover.host,
            browser=handover.browser,
            expires_at=handover.expires_at,
        )
    )
    return True


def find(conn: Connection, token_hash: str) -> Handover | None:
    """The handover with this token hash, if it still exists; expired or not."""
    columns = handovers.c
    row = conn.execute(
        select(columns.login_session_id, columns.host, columns.browser, columns.expires_at).where(
            columns.token_hash == token_hash
        )
    ).one_or_none()
    return Handover(*row) if row else None


def redeem(
    conn: Connection, handover: Handover, token_hash: str, *, new_id: str, new_token_hash: str, now: int
) -> LoginSession | None:
    """Turn a handover into a login session of its host, which ends with the one that was handed over.

    None when somebody was faster, or when that one has ended: of two at once, one deletes the row.
    """
    parent = login_sessions.held(conn, handover.login_session_id)
    if parent is None or not conn.execute(delete(handovers).where(handovers.c.token_hash == token_hash)).rowcount:
        return None
    session = LoginSession(
        id=new_id,
        person_id=parent.person_id,
        issuer=parent.issuer,
        browser=parent.browser,
        created_at=now,
        expires_at=parent.expires_at,
        host=handover.host,
        parent_id=parent.id,
    )
    login_sessions.add(conn, session, new_token_hash)
    return session


def forget_expired(conn: Connection, now: int) -> None:
    """Delete handovers that nobody redeemed in time."""
    conn.execute(delete(handovers).where(handovers.c.expires_at <= now))
