"""Login sessions: browsers that are signed in. Tokens are never stored, only their hashes."""

from sqlalchemy import Connection, delete, insert, select

from tollkeeper.model import LoginSession
from tollkeeper.storage.tables import login_sessions


def add(conn: Connection, session: LoginSession, token_hash: str) -> None:
    """Keep a new login session under the SHA-256 (hexadecimal) of its token."""
    conn.execute(
        insert(login_sessions).values(
            id=session.id,
            token_hash=token_hash,
            person_id=session.person_id,
            issuer=session.issuer,
            browser=session.browser,
            created_at=session.created_at,
            expires_at=session.expires_at,
        )
    )


def of_person(conn: Connection, person_id: str, now: int) -> tuple[LoginSession, ...]:
    """A person's login sessions that have not expired, newest first."""
    columns = login_sessions.c
    rows = conn.execute(
        select(columns.id, columns.person_id, columns.issuer, columns.browser, columns.created_at, columns.expires_at)
        .where(columns.person_id == person_id, columns.expires_at > now)
        .order_by(columns.created_at.desc(), columns.id.desc())
    )
    return tuple(LoginSession(*row) for row in rows)


def end(conn: Connection, session_id: str, person_id: str) -> bool:
    """End one login session of this person. False when they have none with this id."""
    ended = conn.execute(
        delete(login_sessions).where(login_sessions.c.id == session_id, login_sessions.c.person_id == person_id)
    )
    return ended.rowcount == 1


def end_all(conn: Connection, person_id: str) -> int:
    """Sign a person out everywhere. The number of login sessions ended."""
    return conn.execute(delete(login_sessions).where(login_sessions.c.person_id == person_id)).rowcount


def forget_expired(conn: Connection, now: int) -> int:
    """Delete login sessions that have expired. Their number."""
    return conn.execute(delete(login_sessions).where(login_sessions.c.expires_at <= now)).rowcount
