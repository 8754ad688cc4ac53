"""Events: the rows of the inbox. Every event is stored once, before it is acknowledged."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    update,
)

from tollkeeper.model.events import Event, KeptEvent
from tollkeeper.model.orders import Mode, Realm
from tollkeeper.storage.inserts import insert_into
from tollkeeper.storage.realms import columns_of, in_mode, in_realm, realm_of, same_realm
from tollkeeper.storage.rows import from_row, to_row
from tollkeeper.storage.tables import customers, events, findings, grants

IGNORED = "ignored"

# How many events of unknown customers are claimed at once. Each may need a request to the provider.
STRANGERS = 5

# The newest event is among this many that arrived last, although they arrive in any order.
LAST = 100


class EventState(StrEnum):
    """How far an event has come. *Failed* is tried again; *parked* waits for an operator."""

    IGNORED = "ignored"
    WAITING = "waiting"
    HANDLED = "handled"
    FAILED = "failed"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Kept:
    """An event as an operator sees it. ``id`` is the provider's."""

    id: str
    type: str
    state: EventState
    created_at: int
    received_at: int
    object_id: str
    customer_id: str | None
    attempts: int
    due_at: int | None
    outcome: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many events wait, since when the oldest has waited (Unix seconds), and how many are parked."""

    waiting: int
    waiting_since: int | None
    parked: int


def keep(conn: Connection, event: Event, now: int) -> bool:
    """Store an event: due at once if relevant, otherwise ignored. False if it was stored before."""
    return conn.scalar(_keeping(conn.dialect.name), _values(event, now)) is not None


def keep_all(conn: Connection, offered: Collection[Event], now: int) -> int:
    """Store events of one realm. Returns how many were new."""
    realm = next((event.realm for event in offered), None)
    if realm is None:
        return 0
    known = set(conn.scalars(_KNOWN, {**columns_of(realm), "ids": [event.id for event in offered]}))
    return sum(keep(conn, event, now) for event in offered if event.id not in known)


def claim(conn: Connection, realm: Realm, now: int, limit: int, lease: int) -> tuple[KeptEvent, ...]:
    """Up to ``limit`` due events, longest due first; no other process gets them for ``lease`` seconds.

    Those of known customers come first. Of the others, of which an account that also sells elsewhere may have any
    number, a few are claimed at a time. If a process claims an event and crashes, it is due again when the lease ends.
    ``attempts`` counts this claim.
    """
    asked = {**columns_of(realm), "now": now}
    some = tuple(conn.scalars(_DUE, {**asked, "most": min(limit, STRANGERS)}))
    if not some:
        return ()
    ids = tuple(conn.scalars(_OUR_DUE, {**asked, "most": limit})) or some
    claimed = conn.execute(_CLAIM, {"ids": ids, "again": now + lease})
    return tuple(sorted(map(_kept_event, claimed), key=lambda kept: ids.index(kept.id)))


def handled(conn: Connection, ids: Collection[int], outcome: str, now: int) -> None:
    """Mark events as handled, with the result."""
    conn.execute(_HANDLED, {"ids": ids, "now": now, "what": outcome})


def failed(conn: Connection, id: int, error: str, due_at: int | None) -> None:
    """Store why an event could not be handled, and when to retry; None parks it.

    An event that another worker has handled in the meantime stays handled.
    """
    conn.execute(
        update(events).where(events.c.id == id, events.c.handled_at.is_(None)).values(error=error, due_at=due_at)
    )


def backlog(conn: Connection, mode: Mode) -> Backlog:
    """What is not handled, in all accounts."""
    waits = events.c.due_at.is_not(None)
    wanted = select(
        func.count().filter(waits).label("waiting"),
        func.min(events.c.received_at).filter(waits).label("waiting_since"),
        func.count().filter(~waits).label("parked"),
    )
    row = conn.execute(wanted.where(in_mode(events, mode), events.c.handled_at.is_(None))).one()
    return Backlog(row.waiting, row.waiting_since, row.parked)


def newest(conn: Connection, mode: Mode, limit: int, *, failed: bool = False) -> tuple[Kept, ...]:
    """The events stored last, newest first. ``failed``: only those that could not be handled so far."""
    wanted = select(events).where(in_mode(events, mode))
    if failed:
        wanted = wanted.where(_UNHANDLED)
    return _listed(conn, wanted.order_by(events.c.id.desc()).limit(limit))


def of_person(conn: Connection, person_id: str, live: bool, limit: int) -> tuple[Kept, ...]:
    """The events stored last that name the person's customer or one of their payments, newest first."""
    customer = exists().where(
        customers.c.person_id == person_id,
        customers.c.external_id == events.c.customer_id,
        same_realm(customers, events),
    )
    payment = exists().where(
        grants.c.person_id == person_id, grants.c.reference == events.c.reference, same_realm(grants, events)
    )
    wanted = select(events).where(events.c.live == live, or_(customer, payment))
    return _listed(conn, wanted.order_by(events.c.id.desc()).limit(limit))


def newest_created(conn: Connection, realm: Realm) -> int | None:
    """When the newest of the last events was created, by the provider's clock (Unix seconds). None: there is none."""
    newest: int | None = conn.scalar(_NEWEST, columns_of(realm))
    return newest


def replay(conn: Connection, mode: Mode, ids: Collection[str], now: int) -> tuple[str, ...]:
    """Make these events due again, as if never tried. Returns which there were; ignored ones stay ignored."""
    relevant = or_(events.c.outcome.is_(None), events.c.outcome != IGNORED)
    return _again(conn, mode, events.c.event_id.in_(ids) & relevant, now)


def replay_failed(conn: Connection, mode: Mode, now: int) -> tuple[str, ...]:
    """Make every event due again that could not be handled so far. Returns which these were."""
    return _again(conn, mode, _UNHANDLED, now)


_UNHANDLED = and_(events.c.handled_at.is_(None), events.c.error.is_not(None))


@cache
def _keeping(dialect: str) -> Executable:
    return insert_into(dialect, events).on_conflict_do_nothing().returning(events.c.id)


# Built once: every process asks every few seconds, mostly without a result.
_LAST = select(events.c.created_at).where(in_realm(events)).order_by(events.c.id.desc()).limit(LAST).subquery()
_NEWEST = select(func.max(_LAST.c.created_at))
_KNOWN = select(events.c.event_id).where(events.c.event_id.in_(bindparam("ids", expanding=True)), in_realm(events))
_THESE = events.c.id.in_(bindparam("ids", expanding=True))
_CLAIM = (
    update(events).where(_THESE).values(due_at=bindparam("again"), attempts=events.c.attempts + 1).returning(events)
)
_HANDLED = (
    update(events).where(_THESE).values(handled_at=bindparam("now"), outcome=bindparam("what"), due_at=None, error=None)
)
_DUE = (
    select(events.c.id)
    .where(events.c.due_at <= bindparam("now"), in_realm(events))
    .order_by(events.c.due_at, events.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)

_OURS = or_(
    exists().where(customers.c.external_id == events.c.customer_id, same_realm(customers, events)),
    exists().where(
        findings.c.reference == events.c.reference, findings.c.customer_id.is_not(None), same_realm(findings, events)
    ),
)
_OUR_DUE = _DUE.where(_OURS)


def _again(conn: Connection, mode: Mode, condition: ColumnElement[bool], now: int) -> tuple[str, ...]:
    due = (
        update(events)
        .where(in_mode(events, mode), condition)
        .values(due_at=now, attempts=0, handled_at=None, outcome=None, error=None)
    )
    return tuple(sorted(conn.scalars(due.returning(events.c.event_id))))


def _listed(conn: Connection, wanted: Select[Any]) -> tuple[Kept, ...]:
    return tuple(_kept(row) for row in conn.execute(wanted))


def _kept(row: Row[Any]) -> Kept:
    return from_row(Kept, row, id=row.event_id, state=_state(row))


def _state(row: Row[Any]) -> EventState:
    if row.handled_at is not None:
        return EventState.IGNORED if row.outcome == IGNORED else EventState.HANDLED
    if row.error is None:
        return EventState.WAITING
    return EventState.PARKED if row.due_at is None else EventState.FAILED


def _values(event: Event, now: int) -> Mapping[str, Any]:
    fate = (
        {"due_at": now, "handled_at": None, "outcome": None}
        if event.relevant
        else {"due_at": None, "handled_at": now, "outcome": IGNORED}
    )
    known = {"event_id": event.id, "received_at": now, **columns_of(event.realm), **fate}
    return to_row(event, "id", "realm", "relevant", **known)


def _kept_event(row: Row[Any]) -> KeptEvent:
    # Irrelevant events are never due, so an event that is claimed is relevant.
    event = from_row(Event, row, realm=realm_of(row), id=row.event_id, relevant=True)
    return KeptEvent(row.id, event, row.attempts)
