"""Grants: one product, for one person, from one source, until a time."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, or_, select, update

from tollkeeper.model import Grant, Realm
from tollkeeper.storage.realms import columns_of, realm_of, within
from tollkeeper.storage.tables import grants


def in_force(live: bool | ColumnElement[bool], now: int | ColumnElement[int]) -> ColumnElement[bool]:
    """The condition under which a grant gives access: right mode, not revoked, not run out."""
    return and_(
        grants.c.live == live,
        grants.c.revoked_at.is_(None),
        or_(grants.c.until.is_(None), grants.c.until > now),
    )


def of_person(conn: Connection, person_id: str, realm: Realm) -> tuple[Grant, ...]:
    """Every grant a person ever got in a realm, revoked ones too, newest first."""
    return _all(conn, grants.c.person_id == person_id, within(grants, realm))


def in_mode(conn: Connection, person_id: str, live: bool) -> tuple[Grant, ...]:
    """Every grant a person ever got in a mode, from every account, revoked ones too, newest first."""
    return _all(conn, grants.c.person_id == person_id, grants.c.live == live)


def held(conn: Connection, person_id: str, live: bool, now: int) -> tuple[Grant, ...]:
    """The grants that give a person access now, from every provider, newest first."""
    return _all(conn, grants.c.person_id == person_id, in_force(live, now))


def products_held(conn: Connection, person_ids: Collection[str], live: bool, now: int) -> dict[str, tuple[str, ...]]:
    """The products that each of these people holds now, in the order of the alphabet."""
    rows = conn.execute(
        select(grants.c.person_id, grants.c.product)
        .where(grants.c.person_id.in_(person_ids), in_force(live, now))
        .distinct()
        .order_by(grants.c.product)
    ).all()
    return {id: tuple(row.product for row in rows if row.person_id == id) for id in person_ids}


def add(conn: Connection, grant: Grant) -> Grant:
    """Keep a new grant; the answer carries the id that the database gave (the one passed in is not read).

    Raises ``sqlalchemy.exc.IntegrityError`` when the source has given a grant before: one grant per source, ever.
    """
    new_id = conn.execute(
        insert(grants)
        .values(
            person_id=grant.person_id,
            product=grant.product,
            **columns_of(grant.realm),
            source=grant.source,
            since=grant.since,
            until=grant.until,
            revoked_at=grant.revoked_at,
            reason=grant.reason,
            amount=grant.amount,
            currency=grant.currency,
            reference=grant.reference,
            receipt_url=grant.receipt_url,
        )
        .returning(grants.c.id)
    ).scalar_one()
    return replace(grant, id=new_id)


def change(conn: Connection, grant_id: int, *, until: int | None, revoked_at: int | None, reason: str) -> None:
    """Change how long a grant lasts, or whether it is revoked, with the reason why."""
    conn.execute(
        update(grants).where(grants.c.id == grant_id).values(until=until, revoked_at=revoked_at, reason=reason)
    )


def _all(conn: Connection, *conditions: ColumnElement[bool]) -> tuple[Grant, ...]:
    wanted = select(grants).where(*conditions).order_by(grants.c.since.desc(), grants.c.id.desc())
    return tuple(_grant(row) for row in conn.execute(wanted))


def _grant(row: Row[Any]) -> Grant:
    return Grant(
        id=row.id,
        person_id=row.person_id,
        product=row.product,
        realm=realm_of(row),
        source=row.source,
        since=row.since,
        until=row.until,
        revoked_at=row.revoked_at,
        reason=row.reason,
        amount=row.amount,
        currency=row.currency,
        reference=row.reference,
        receipt_url=row.receipt_url,
    )
