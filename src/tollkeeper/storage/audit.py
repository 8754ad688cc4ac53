"""The audit: one row for every change of access, with its evidence. The database refuses to change or delete one."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from tollkeeper.model.access import Grant, Operator
from tollkeeper.model.orders import Realm
from tollkeeper.reasons import Reason
from tollkeeper.storage.realms import columns_of, origin_of
from tollkeeper.storage.rows import from_row
from tollkeeper.storage.tables import audit


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened to one person's access to one product, and on what evidence."""

    id: int
    at: int
    person_id: str
    change: str
    product: str
    origin: Realm | Operator
    source: str
    reason: Reason
    evidence: str


def record(conn: Connection, grant: Grant, change: str, *, evidence: str, now: int) -> None:
    """Add a row: what happened to this grant, and why. Call it in the transaction that changes the access."""
    entry = {
        "at": now,
        "person_id": grant.person_id,
        "change": change,
        "product": grant.product,
        **columns_of(grant.origin),
        "source": grant.source,
        "reason": grant.reason,
        "evidence": evidence,
    }
    conn.execute(insert(audit), entry)


def of_person(conn: Connection, person_id: str) -> tuple[Entry, ...]:
    """Everything that happened to a person's access, oldest first."""
    rows = conn.execute(select(audit).where(audit.c.person_id == person_id).order_by(audit.c.id))
    return tuple(from_row(Entry, row, origin=origin_of(row)) for row in rows)


def count(conn: Connection) -> int:
    """How many changes of access there ever were."""
    return conn.execute(select(func.count()).select_from(audit)).scalar_one()
