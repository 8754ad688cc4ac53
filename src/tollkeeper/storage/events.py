"""Events: the rows of the inbox. Every event is kept once, before it is acknowledged."""

from typing import Any

from sqlalchemy import Connection, Row, select, update

from tollkeeper.model import Event, KeptEvent, Realm
from tollkeeper.storage.inserts import insert_into
from tollkeeper.storage.realms import columns_of, realm_of, within
from tollkeeper.storage.tables import events

IGNORED = "ignored"


def keep(conn: Connection, event: Event, now: int) -> bool:
    """Keep an event: due at once if relevant, else as ignored. False when it was kept before."""
    fresh = insert_into(conn, events).on_conflict_do_nothing().returning(events.c.id)
    return conn.scalar(fresh, _values(event, now)) is not None


def claim(conn: Connection, realm: Realm, now: int, limit: int, lease: int) -> tuple[KeptEvent, ...]:
    """Up to ``limit`` events that are due, longest due first; nobody else gets them for ``lease`` seconds.

    Whoever claims and then crashes leaves the event due again when the lease ends. ``attempts`` counts this claim.
    """
    due = (
        select(events.c.id)
        .where(events.c.due_at <= now, within(events, realm))
        .order_by(events.c.due_at, events.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = tuple(conn.scalars(due))
    if not ids:
        return ()
    claimed = conn.execute(
        update(events)
        .where(events.c.id.in_(ids))
        .values(due_at=now + lease, attempts=events.c.attempts + 1)
        .returning(events)
    )
    return tuple(sorted(map(_kept_event, claimed), key=lambda kept: ids.index(kept.id)))


def handled(conn: Connection, id: int, outcome: str, now: int) -> None:
    """Mark an event as dealt with, and what came of it."""
    conn.execute(
        update(events).where(events.c.id == id).values(handled_at=now, outcome=outcome, due_at=None, error=None)
    )


def failed(conn: Connection, id: int, error: str, due_at: int | None) -> None:
    """Keep why an event could not be dealt with, and when to try again; None parks it.

    An event that another worker has handled meanwhile stays handled.
    """
    conn.execute(
        update(events).where(events.c.id == id, events.c.handled_at.is_(None)).values(error=error, due_at=due_at)
    )


def next_due(conn: Connection, realm: Realm) -> int | None:
    """When the next event is due (Unix seconds), which may be past; None when nothing waits."""
    waiting = select(events.c.due_at).where(events.c.due_at.is_not(None), within(events, realm))
    return conn.scalar(waiting.order_by(events.c.due_at).limit(1))


def _values(event: Event, now: int) -> dict[str, Any]:
    return {
        **columns_of(event.realm),
        "event_id": event.id,
        "type": event.type,
        "object_id": event.object_id,
        "customer_id": event.customer_id,
        "reference": event.reference,
        "created_at": event.created_at,
        "received_at": now,
        "due_at": now if event.relevant else None,
        "handled_at": None if event.relevant else now,
        "outcome": None if event.relevant else IGNORED,
    }


def _kept_event(row: Row[Any]) -> KeptEvent:
    # Irrelevant events are never due, so an event that is claimed is relevant.
    event = Event(
        realm=realm_of(row),
        id=row.event_id,
        type=row.type,
        created_at=row.created_at,
        object_id=row.object_id,
        customer_id=row.customer_id,
        relevant=True,
        reference=row.reference,
    )
    return KeptEvent(row.id, event, row.attempts)
