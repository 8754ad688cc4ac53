"""Grants: one product, for one person, from one source, until a time."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, insert, or_, select, tuple_, update

from tollkeeper.model.access import Grant
from tollkeeper.model.orders import Order, Realm
from tollkeeper.storage.dismissals import dismissed_surplus
from tollkeeper.storage.realms import columns_of, in_realm, origin_of, within
from tollkeeper.storage.rows import from_row, to_row
from tollkeeper.storage.tables import findings, grants


def in_force(live: bool | ColumnElement[bool], now: int | ColumnElement[int]) -> ColumnElement[bool]:
    """The condition under which a grant gives access: right mode, and ``Grant.in_force``."""
    return and_(
        grants.c.live == live,
        grants.c.revoked_at.is_(None),
        or_(grants.c.until.is_(None), grants.c.until > now),
    )


def of_person(conn: Connection, person_id: str, realm: Realm) -> tuple[Grant, ...]:
    """Every grant a person ever got in a realm, including revoked ones, newest first."""
    return _read(conn.execute(_OF_PERSON, {**columns_of(realm), "person": person_id}))


def in_mode(conn: Connection, person_id: str, live: bool) -> tuple[Grant, ...]:
    """Every grant a person ever got in a mode, from every account, including revoked ones, newest first."""
    return _all(conn, grants.c.person_id == person_id, grants.c.live == live)


def held(conn: Connection, person_id: str, live: bool, now: int) -> tuple[Grant, ...]:
    """The grants that give a person access now, from every provider, newest first."""
    return _all(conn, grants.c.person_id == person_id, in_force(live, now))


def of_order(conn: Connection, order: Order) -> tuple[Grant, ...]:
    """What an order led to: the grant of its checkout session, or of its subscriptions, newest first."""
    sources = select(findings.c.source).where(findings.c.order_id == order.id, within(findings, order.realm))
    source = grants.c.source.in_(sources) if order.recurring else grants.c.source == order.checkout_id
    return _all(conn, grants.c.person_id == order.person_id, within(grants, order.realm), source)


def paid_pairs(
    conn: Connection,
    containing: Collection[tuple[str, str]],
    live: bool,
    now: int,
    person_id: str | None = None,
    *,
    dismissed: bool = False,
) -> tuple[tuple[Grant, Grant], ...]:
    """Pairs of grants in force of one person, of which the second gives all that the first does: of everybody, newest
    first, or of one person. ``containing`` are the pairs of products of which the first unlocks what the second does.

    Both were paid for; the second may be an operator's, for a payment. A subscription counts, even on trial, because it
    will take money. A permanent grant can make a subscription superfluous, never the reverse. With ``dismissed``
    only those whose first an operator has dismissed, otherwise all others.
    """
    asked: dict[str, Any] = {"live": live, "now": now, "person": person_id, "dismissed": dismissed}
    asked |= {"containing": sorted(containing) or [("", "")]}
    pairs = conn.execute(_PAID_PAIRS if person_id is None else _PAID_PAIRS_OF_PERSON, asked).all()
    known = {one.id: one for one in _read(conn.execute(_BY_ID, {"ids": sorted({id for pair in pairs for id in pair})}))}
    return tuple((known[pair.id], known[pair.other_id]) for pair in pairs)


def for_payment(conn: Connection, live: bool, payment: str) -> Grant | None:
    """The grant in force that an operator gave for this payment."""
    found = _all(conn, grants.c.live == live, grants.c.reference == payment, grants.c.amount.is_(None))
    return next((grant for grant in found if grant.revoked_at is None), None)


def products_held(conn: Connection, person_ids: Collection[str], live: bool, now: int) -> dict[str, tuple[str, ...]]:
    """The products that each of these people holds now, in alphabetical order."""
    rows = conn.execute(
        select(grants.c.person_id, grants.c.product)
        .where(grants.c.person_id.in_(person_ids), in_force(live, now))
        .distinct()
        .order_by(grants.c.product)
    ).all()
    return {id: tuple(row.product for row in rows if row.person_id == id) for id in person_ids}


def add(conn: Connection, grant: Grant) -> Grant:
    """Store a new grant; the result has the id that the database assigned (the one passed in is not read).

    Raises ``sqlalchemy.exc.IntegrityError`` if the source has given a grant before: one grant per source, ever.
    """
    written = to_row(grant, "id", "origin", **columns_of(grant.origin))
    return replace(grant, id=conn.execute(_ADD, written).scalar_one())


def change(conn: Connection, grant: Grant) -> None:
    """Store what a grant gives now and how long, whether it is revoked or withheld, why, and what was paid for it."""
    conn.execute(_CHANGE, to_row(grant, "id", "person_id", "origin", "source", "since", grant=grant.id))


# Built once, like all queries of a reconcile.
_ADD = insert(grants).returning(grants.c.id)
_CHANGE = update(grants).where(grants.c.id == bindparam("grant"))
_NEWEST_FIRST = (grants.c.since.desc(), grants.c.id.desc())
_OF_PERSON = select(grants).where(grants.c.person_id == bindparam("person"), in_realm(grants)).order_by(*_NEWEST_FIRST)
_BY_ID = select(grants).where(grants.c.id.in_(bindparam("ids", expanding=True)))
_OTHER = grants.alias()
_PAID = or_(grants.c.amount > 0, and_(grants.c.until.is_not(None), grants.c.amount.is_not(None)))
_PAID_PAIRS = (
    select(grants.c.id, _OTHER.c.id.label("other_id"))
    .join_from(grants, _OTHER, _OTHER.c.person_id == grants.c.person_id)
    .where(
        in_force(bindparam("live"), bindparam("now")),
        _PAID,
        dismissed_surplus() == bindparam("dismissed"),
        _OTHER.c.id != grants.c.id,
        _OTHER.c.live == grants.c.live,
        _OTHER.c.revoked_at.is_(None),
        or_(
            # Where nothing was paid there is no payment.
            and_(_OTHER.c.until.is_(None), _OTHER.c.reference.is_not(None)),
            # What an operator grants until a time has no amount.
            and_(_OTHER.c.until > bindparam("now"), _OTHER.c.amount.is_not(None), grants.c.until.is_not(None)),
        ),
        or_(
            _OTHER.c.product == grants.c.product,
            tuple_(_OTHER.c.product, grants.c.product).in_(bindparam("containing", expanding=True)),
        ),
    )
    .order_by(*_NEWEST_FIRST, _OTHER.c.id)
)
_PAID_PAIRS_OF_PERSON = _PAID_PAIRS.where(grants.c.person_id == bindparam("person"))


def _all(conn: Connection, *conditions: ColumnElement[bool]) -> tuple[Grant, ...]:
    return _read(conn.execute(select(grants).where(*conditions).order_by(*_NEWEST_FIRST)))


def _read(rows: Iterable[Row[Any]]) -> tuple[Grant, ...]:
    return tuple(_grant(row) for row in rows)


def _grant(row: Row[Any]) -> Grant:
    return from_row(Grant, row, origin=origin_of(row))
