"""Login sessions: browsers that are signed in. Tokens are never stored, only their hashes."""

from sqlalchemy import Connection, delete, insert, select

from tollkeeper.model.people import LoginSession
from tollkeeper.storage.tables import login_sessions

COLUMNS = (
    login_sessions.c.id,
    login_sessions.c.person_id,
    login_sessions.c.issuer,
    login_sessions.c.browser,
    login_sessions.c.created_at,
    login_sessions.c.expires_at,
)


def add(conn: Connection, session: LoginSession, token_hash: str) -> None:
    """Store a new login session under the SHA-256 (hexadecimal) of its token."""
    conn.execute(
        insert(login_sessions).values(
            id=session.id,
            token_hash=token_hash,
            person_id=session.person_id,
            issuer=session.issuer,
            browser=session.browser,
            created_at=session.created_at,
            expires_at=session.expires_at,
            host=session.host,
            parent_id=session.parent_id,
        )
    )


def held(conn: Connection, session_id: str) -> LoginSession | None:
    """A login session, locked so that nobody can end it before this transaction is over; expired or not."""
    rows = conn.execute(
        select(*COLUMNS, login_sessions.c.host, login_sessions.c.parent_id)
        .where(login_sessions.c.id == session_id)
        .with_for_update(read=True, key_share=True)  # SQLite does not need this: it has one writer
    )
    row = rows.one_or_none()
    return LoginSession(*row) if row else None


def of_person(conn: Connection, person_id: str, now: int) -> tuple[LoginSession, ...]:
    """A person's login sessions that have not expired, newest first; without those that end with one of these."""
    columns = login_sessions.c
    rows = conn.execute(
        select(*COLUMNS)
        .where(columns.person_id == person_id, columns.expires_at > now, columns.parent_id.is_(None))
        .order_by(columns.created_at.desc(), columns.id.desc())
    )
    return tuple(LoginSession(*row) for row in rows)


def end(conn: Connection, session_id: str, person_id: str) -> bool:
    """End one login session of this person, on all hosts. False when they have none with this id."""
    ended = conn.execute(
        delete(login_sessions).where(login_sessions.c.id == session_id, login_sessions.c.person_id == person_id)
    )
    return ended.rowcount == 1


def end_all(conn: Connection, person_id: str) -> None:
    """Sign a person out everywhere."""
    conn.execute(delete(login_sessions).where(login_sessions.c.person_id == person_id))


def forget_expired(conn: Connection, now: int) -> None:
    """Delete login sessions that have expired."""
    conn.execute(delete(login_sessions).where(login_sessions.c.expires_at <= now))
