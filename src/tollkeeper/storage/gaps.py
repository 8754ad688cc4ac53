"""Gaps: the times of which a restored database knows nothing, until it has caught up with the provider."""

from dataclasses import dataclass

from sqlalchemy import Connection, Table, bindparam, delete, exists, func, insert, select, update

from tollkeeper.storage.tables import audit, events, gaps, login_sessions, orders, polls

# The clocks of the site and of the provider may differ, and what was written while the backup was taken is missing.
BEFORE = 3600

# A checkout page stays open for a day, and what is bought there may only begin then.
AFTER = 24 * 3600


@dataclass(frozen=True, slots=True)
class Gap:
    """From the last thing that the database knows to its restore, in Unix seconds."""

    id: int
    since: int
    until: int
    reached: int = 0
    """The last customer, by their id here, who was caught up with."""


def opened(conn: Connection) -> Gap | None:
    """The newest gap that was not caught up with."""
    wanted = select(gaps.c.id, gaps.c.since, gaps.c.until, gaps.c.reached).where(gaps.c.closed_at.is_(None))
    row = conn.execute(wanted.order_by(gaps.c.id.desc()).limit(1)).one_or_none()
    return Gap(*row) if row else None


def open_one(conn: Connection, now: int, since: int | None = None) -> Gap:
    """Open a gap up to now, from ``since`` or the last thing that is known; or return the one that is open.

    Ends all login sessions: one that was ended since the backup would count again.
    """
    found = opened(conn)
    if found is not None:
        return found
    begin = last_known(conn) if since is None else since
    conn.execute(insert(gaps).values(since=min(begin, now), until=now))
    conn.execute(delete(login_sessions))  # handovers end with them
    made = opened(conn)
    if made is None:
        raise LookupError("the gap that was just opened is gone")
    return made


def reach(conn: Connection, gap: Gap, customer_id: int) -> None:
    """All customers up to this one are caught up with."""
    conn.execute(update(gaps).where(gaps.c.id == gap.id).values(reached=customer_id))


def close(conn: Connection, gap: Gap, now: int) -> None:
    """Everything that the provider knows of that time is known here too."""
    conn.execute(update(gaps).where(gaps.c.id == gap.id).values(closed_at=now))


def last_known(conn: Connection) -> int:
    """The time of the last thing that the database knows; 0 if it knows nothing."""
    return max(conn.scalar(select(func.max(table.c[column]))) or 0 for table, column in _TIMES)


def covers(conn: Connection, at: int) -> bool:
    """Whether what was ordered then may be missing here."""
    return bool(conn.scalar(_COVERS, {"at": at}))


_TIMES: tuple[tuple[Table, str], ...] = (
    (polls, "polled_at"),
    (events, "received_at"),
    (orders, "created_at"),
    (login_sessions, "created_at"),
    (audit, "at"),
)
_COVERS = select(exists().where(gaps.c.since - BEFORE <= bindparam("at"), gaps.c.until + AFTER >= bindparam("at")))
