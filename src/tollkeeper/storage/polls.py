"""Polls: how far the provider's own list of events has been read, and whose turn it is to read on."""

from sqlalchemy import Connection, update

from tollkeeper.model import Realm
from tollkeeper.storage.inserts import insert_into
from tollkeeper.storage.realms import columns_of, within
from tollkeeper.storage.tables import polls


def claim(conn: Connection, realm: Realm, now: int, interval: int) -> int | None:
    """Until when (Unix seconds) the list has been read, if a poll is due; then nobody else polls for ``interval``
    seconds. None: it is not due. 0: it has never been read.
    """
    first = {**columns_of(realm), "polled_at": now - interval, "read_until": 0}
    conn.execute(insert_into(conn, polls).values(first).on_conflict_do_nothing())
    due = update(polls).where(within(polls, realm), polls.c.polled_at <= now - interval)
    read_until: int | None = conn.scalar(due.values(polled_at=now).returning(polls.c.read_until))
    return read_until


def done(conn: Connection, realm: Realm, read_until: int) -> None:
    """The list has been read as it was at this time (Unix seconds)."""
    conn.execute(update(polls).where(within(polls, realm)).values(read_until=read_until))
