"""Polls: how far the provider's own list of events has been read, and which process reads it next."""

from sqlalchemy import Connection, func, or_, select, update

from tollkeeper.model.orders import Mode, Realm
from tollkeeper.storage.inserts import insert_into
from tollkeeper.storage.realms import columns_of, in_mode, in_realm, within
from tollkeeper.storage.tables import orders, polls


def claim(conn: Connection, realm: Realm, now: int, interval: int) -> int | None:
    """Until when (Unix seconds) the list has been read, if a poll is due; then no other process polls for ``interval``
    seconds. None: it is not due.

    The first poll begins with the first order, or with this moment if there is none: the list may contain any number of
    events about other sales. Pages may sell before the first poll if that poll has trouble.
    """
    polled_at = conn.scalar(_POLLED_AT, columns_of(realm))
    if polled_at is None:
        ordered_at = conn.scalar(select(func.min(orders.c.created_at)).where(within(orders, realm)))
        begin = now if ordered_at is None else ordered_at
        first = {**columns_of(realm), "polled_at": now - interval, "read_until": begin}
        conn.execute(insert_into(conn.dialect.name, polls).values(first).on_conflict_do_nothing())
    elif now - interval < polled_at < now + interval:
        return None
    # A time in the future is due too: the clock was set back.
    past = or_(polls.c.polled_at <= now - interval, polls.c.polled_at >= now + interval)
    due = update(polls).where(within(polls, realm), past)
    read_until: int | None = conn.scalar(due.values(polled_at=now).returning(polls.c.read_until))
    return read_until


# Built once: every process asks every few seconds.
_POLLED_AT = select(polls.c.polled_at).where(in_realm(polls))


def done(conn: Connection, realm: Realm, read_until: int) -> None:
    """Store that the list has been read as it was at this time (Unix seconds)."""
    conn.execute(update(polls).where(within(polls, realm)).values(read_until=read_until))


def read_until(conn: Connection, mode: Mode) -> int | None:
    """Until when (Unix seconds) the list has been read, for the account that was read last. None: never."""
    latest: int | None = conn.scalar(select(func.max(polls.c.read_until)).where(in_mode(polls, mode)))
    return latest
