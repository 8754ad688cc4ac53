"""Everything that is stored about a person, to show them; and the deletion of what need not be kept."""

from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, bindparam, delete, select, update

from tollkeeper.model.bought import without_receipts
from tollkeeper.model.orders import OrderState
from tollkeeper.reasons import Code, because
from tollkeeper.storage import audit as audits
from tollkeeper.storage import customers as people_at_providers
from tollkeeper.storage.grants import in_mode
from tollkeeper.storage.tables import (
    audit,
    customers,
    dismissals,
    events,
    findings,
    grants,
    identities,
    login_sessions,
    off_sale,
    orders,
    people,
)

# Never shown, not even to the person it is about: anyone who has it could impersonate somebody, or us.
SECRET = {"token_hash", "idempotency_key"}

# The counters of the fence and the sweep are about us, not about the person.
INNER = {"last_ticket", "written_ticket", "checked_at", "customer_id", "due_at", "attempts", "error"}

ERASED_NAME = "Deleted account"
WITHHELD = because(Code.ACCOUNT_DELETED)


def everything_about(conn: Connection, person_id: str) -> dict[str, list[dict[str, Any]]]:
    """All rows about a person, by table, oldest first, without secrets. Times are Unix seconds (UTC)."""
    mine = select(customers.c.id).where(customers.c.person_id == person_id)
    found = select(findings.c.id).where(findings.c.customer_id.in_(mine))
    named = select(customers.c.external_id).where(customers.c.person_id == person_id)
    return {
        "person": _rows(conn, people, people.c.id == person_id),
        "identities": _rows(conn, identities, identities.c.person_id == person_id),
        "login_sessions": _rows(conn, login_sessions, login_sessions.c.person_id == person_id),
        "customers": _rows(conn, customers, customers.c.person_id == person_id),
        "orders": _rows(conn, orders, orders.c.person_id == person_id),
        "off_sale": _rows(conn, off_sale, off_sale.c.person_id == person_id),
        "findings": _rows(conn, findings, findings.c.customer_id.in_(mine)),
        "dismissals": _rows(conn, dismissals, dismissals.c.finding_id.in_(found)),
        "grants": _rows(conn, grants, grants.c.person_id == person_id),
        "events": _rows(conn, events, events.c.customer_id.in_(named)),
        "audit": _rows(conn, audit, audit.c.person_id == person_id),
    }


def erase(conn: Connection, person_id: str, now: int) -> None:
    """Delete who a person is: identities, login sessions, name, e-mail addresses. What they hold ends.

    What was ordered, paid and decided stays, about a person without a name. Nobody can sign in as them any more.
    """
    people_at_providers.lock(conn, person_id)
    # First, and waiting for any sign-in in progress: that login session ends too.
    conn.execute(update(people).where(people.c.id == person_id).values(name=ERASED_NAME, email=None, erased_at=now))
    for table in (login_sessions, identities, off_sale):  # handovers end with their login session
        conn.execute(delete(table).where(table.c.person_id == person_id))
    mine = select(customers.c.id).where(customers.c.person_id == person_id)
    conn.execute(update(findings).where(findings.c.customer_id.in_(mine)).values(email=None))
    for row in conn.execute(select(findings.c.id, findings.c.invoices).where(findings.c.customer_id.in_(mine))).all():
        bare = without_receipts(row.invoices)
        conn.execute(update(findings).where(findings.c.id == row.id).values(invoices=bare))
    conn.execute(update(customers).where(customers.c.person_id == person_id).values(told_email=None))
    conn.execute(
        update(orders)
        .where(orders.c.person_id == person_id, orders.c.state == OrderState.OPEN)
        .values(state=OrderState.EXPIRED, closed_at=now)
    )
    _end_grants(conn, person_id, now)


def is_erased(conn: Connection, person_id: str) -> bool:
    """Whether a person's account was deleted."""
    return conn.scalar(_ERASED_AT, {"person": person_id}) is not None


# Built once: every reconcile asks.
_ERASED_AT = select(people.c.erased_at).where(people.c.id == bindparam("person"))


def _end_grants(conn: Connection, person_id: str, now: int) -> None:
    """End everything that gives access, and prevent it from ever giving access again, whatever a provider says."""
    for live in (True, False):
        for grant in in_mode(conn, person_id, live):
            if grant.in_force(now):
                audits.record(
                    conn, replace(grant, reason=WITHHELD), "revoked", evidence="account deleted by the person", now=now
                )
    mine = grants.c.person_id == person_id
    conn.execute(update(grants).where(mine, grants.c.revoked_at.is_(None)).values(revoked_at=now, reason=WITHHELD))
    conn.execute(update(grants).where(mine).values(withheld=WITHHELD, receipt_url=None))


def _rows(conn: Connection, table: Table, about: ColumnElement[bool]) -> list[dict[str, Any]]:
    shown = [column for column in table.columns if column.name not in SECRET | INNER]
    oldest = table.c.get("id", table.c.get("created_at", next(iter(table.primary_key.columns))))
    wanted: Select[Any] = select(*shown).where(about).order_by(oldest)
    return [dict(row) for row in conn.execute(wanted).mappings()]
