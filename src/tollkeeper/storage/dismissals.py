"""Dismissals: what an operator has looked at, and does not want to see any more.

Each stores what there was to look at then. It does not cover new findings on the same payment, such as another verdict
or other remarks, so the payment comes back automatically.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, or_, select

from tollkeeper.model.access import Verdict
from tollkeeper.model.orders import Mode
from tollkeeper.reasons import Reason
from tollkeeper.storage.inserts import insert_into
from tollkeeper.storage.realms import in_mode, same_realm
from tollkeeper.storage.tables import dismissals, findings, grants


@dataclass(frozen=True, slots=True)
class Dismissal:
    """An operator's dismissal: why, and when (Unix seconds)."""

    source: str
    reason: Reason
    dismissed_at: int


def dismissed_as_found() -> ColumnElement[bool]:
    """The condition that a finding was dismissed with the verdict that it has."""
    return _covered(dismissals.c.verdict == findings.c.verdict)


def dismissed_remarks() -> ColumnElement[bool]:
    """The condition that a finding was dismissed with the remarks that it has."""
    return _covered(dismissals.c.remarks == findings.c.remarks)


def dismissed_surplus() -> ColumnElement[bool]:
    """The condition that a grant was dismissed as one that pays twice for its product."""
    its = (findings.c.source == grants.c.source, same_realm(findings, grants), dismissals.c.product == grants.c.product)
    return exists().where(dismissals.c.finding_id == findings.c.id, *its)


def _covered(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(dismissals.c.finding_id == findings.c.id, condition)


def dismiss(
    conn: Connection,
    mode: Mode,
    source: str,
    reason: Reason,
    now: int,
    *,
    verdict: Verdict | None,
    remarks: tuple[Reason, ...],
    product: str | None,
) -> None:
    """Dismiss everything to look at on a purchase or subscription: its verdict, its remarks, what was bought twice."""
    dismissal = {"verdict": verdict, "remarks": remarks, "product": product, "reason": reason, "dismissed_at": now}
    fresh = insert_into(conn.dialect.name, dismissals)
    for finding in conn.scalars(select(findings.c.id).where(*_its(mode, [source]))):
        conn.execute(
            fresh.values(finding_id=finding, **dismissal).on_conflict_do_update(
                index_elements=["finding_id"], set_=dismissal
            )
        )


def restore(conn: Connection, mode: Mode, payment: str) -> bool:
    """Undo the dismissal of what has this payment id, or this source. False if there is none."""
    named = or_(findings.c.source == payment, findings.c.reference == payment)
    which = select(findings.c.id).where(in_mode(findings, mode), named)
    return conn.execute(delete(dismissals).where(dismissals.c.finding_id.in_(which))).rowcount > 0


def of_sources(conn: Connection, mode: Mode, sources: Collection[str]) -> dict[str, Dismissal]:
    """The dismissals of these purchases and subscriptions, by source."""
    wanted = select(findings.c.source, dismissals.c.reason, dismissals.c.dismissed_at).select_from(
        dismissals.join(findings)
    )
    rows = conn.execute(wanted.where(*_its(mode, sources)))
    return {row.source: Dismissal(row.source, row.reason, row.dismissed_at) for row in rows}


def _its(mode: Mode, sources: Iterable[str]) -> tuple[ColumnElement[Any], ...]:
    return (in_mode(findings, mode), findings.c.source.in_(list(sources)))
