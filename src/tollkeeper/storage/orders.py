"""Orders: our own rows for intents to buy. At most one per person, product and mode is open, and one offers a trial.

One that adopts what was bought elsewhere is complete from the start, and the only one that does.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    Row,
    Select,
    Update,
    and_,
    bindparam,
    case,
    exists,
    null,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from tollkeeper.model.orders import Order, OrderState, Realm
from tollkeeper.storage.inserts import insert_into
from tollkeeper.storage.realms import columns_of, in_realm, realm_of, within
from tollkeeper.storage.rows import from_row, to_row
from tollkeeper.storage.tables import orders

# An order that we thought expired can turn out to be paid; a complete one stays complete.
CLOSES_FROM = {
    OrderState.COMPLETE: (OrderState.OPEN, OrderState.EXPIRED),
    OrderState.EXPIRED: (OrderState.OPEN,),
}


def start(conn: Connection, order: Order) -> Order:
    """Keep a new open order; or, when the person has one open for this product and mode already, that one.

    It offers no trial if the person was offered one before, unless nothing came of that.
    """
    if order.trial_days is None:
        return _start(conn, order)
    without = replace(order, trial_days=None, trial_without_card=False)
    if conn.scalar(_TRIED, {"person": order.person_id, "live": order.realm.live}):
        return _start(conn, without)
    try:
        with conn.begin_nested():
            return _start(conn, order)
    except IntegrityError:  # another order has begun one at this moment
        return _start(conn, without)


def adopt(conn: Connection, order: Order) -> bool:
    """Keep an order that adopts something. False when another does already."""
    fresh = insert_into(conn.dialect.name, orders).on_conflict_do_nothing(
        index_elements=["adopts", "provider", "account", "live"], index_where=text("adopts IS NOT NULL")
    )
    adoption = {"adopts": order.adopts, "adoption": order.adoption, "checkout_id": order.checkout_id}
    values = {**_values(order), **adoption, "state": order.state, "closed_at": order.created_at}
    return conn.execute(fresh.values(values).returning(orders.c.id)).one_or_none() is not None


def put_back(conn: Connection, order: Order) -> bool:
    """Keep an order that was lost with a database, as open or, if another one is open or a trial was tried, as expired:
    a reconcile then closes it. False if it was there already, or its checkout session belongs to another order.
    """
    for state in (OrderState.OPEN, OrderState.EXPIRED):
        values = {**_values(order), "checkout_id": order.checkout_id, "state": state}
        fresh = insert_into(conn.dialect.name, orders).on_conflict_do_nothing().returning(orders.c.id)
        if conn.execute(fresh.values(values)).one_or_none() is not None:
            return True
    return False


def adopting(conn: Connection, realm: Realm, source: str) -> Order | None:
    """The order that adopts what has this source."""
    return _one(conn, select(orders).where(orders.c.adopts == source, within(orders, realm)))


def _start(conn: Connection, order: Order) -> Order:
    return _order(conn.execute(_starting(conn.dialect.name), _values(order)).one())


def _values(order: Order) -> Mapping[str, Any]:
    """What begins open, with no page yet, and adopts nothing."""
    later = ("realm", "checkout_id", "adopts", "adoption")
    return to_row(order, *later, state=OrderState.OPEN, **columns_of(order.realm))


def open_order(conn: Connection, person_id: str, product: str, live: bool) -> Order | None:
    """The order that a person has open for a product."""
    return _one(conn, _OPEN, person=person_id, product=product, live=live)


def find(conn: Connection, order_id: str) -> Order | None:
    """The order with this id."""
    return _one(conn, _CALLED, id=order_id)


def own(conn: Connection, person_id: str, checkout_id: str, live: bool) -> Order | None:
    """The person's own order that a checkout session was made for, in this mode; nobody else's."""
    return _one(conn, _OWN, person=person_id, checkout=checkout_id, live=live)


def of_person(conn: Connection, person_id: str, realm: Realm) -> tuple[Order, ...]:
    """All orders of a person in a realm, newest first."""
    rows = conn.execute(_OF_PERSON, {**columns_of(realm), "person": person_id})
    return tuple(_order(row) for row in rows)


def in_mode(conn: Connection, person_id: str, live: bool) -> tuple[Order, ...]:
    """All orders of a person in a mode, at every account, newest first."""
    wanted = select(orders).where(orders.c.person_id == person_id, orders.c.live == live)
    return _all(conn, wanted.order_by(orders.c.created_at.desc(), orders.c.id.desc()))


def set_checkout(conn: Connection, order_id: str, checkout_id: str) -> bool:
    """Keep which checkout session was made for an order.

    False when the order has expired meanwhile: then nobody may be sent to that page.
    """
    return conn.execute(_SET_CHECKOUT, {"order": order_id, "checkout": checkout_id}).rowcount == 1


def close(conn: Connection, order_id: str, state: OrderState, now: int) -> bool:
    """Complete an open or expired order, or expire an open one. False when it was in no such state.

    One that was thought expired gives up its trial to an order that has been offered one since.
    """
    closed = conn.execute(_CLOSE[state], {"order": order_id, "now": now})
    return closed.rowcount == 1


def give_up(conn: Connection, order_id: str, checkout_id: str | None, now: int) -> bool:
    """Expire an open order of which no page can be used: neither this one, nor, with None, any.

    False when it is open no more, or another request has made a page for it meanwhile, which somebody may be on.
    """
    expired = conn.execute(
        update(orders)
        .where(
            orders.c.id == order_id,
            orders.c.state == OrderState.OPEN,
            orders.c.checkout_id.is_not_distinct_from(checkout_id),
        )
        .values(state=OrderState.EXPIRED, closed_at=now)
    )
    return expired.rowcount == 1


def _offers(orders: FromClause) -> ColumnElement[bool]:
    return and_(orders.c.trial_days.is_not(None), orders.c.state.in_([OrderState.OPEN, OrderState.COMPLETE]))


def _closing(state: OrderState) -> Update:
    since = orders.alias()
    same = (since.c.person_id == orders.c.person_id, since.c.live == orders.c.live, since.c.id != orders.c.id)
    tried = exists().where(*same, _offers(since))
    return (
        update(orders)
        .where(orders.c.id == bindparam("order"), orders.c.state.in_(CLOSES_FROM[state]))
        .values(state=state, closed_at=bindparam("now"), trial_days=case((tried, null()), else_=orders.c.trial_days))
    )


@cache
def _starting(dialect: str) -> Executable:
    # An update that changes nothing, because only an update returns (and locks) the row that was there.
    fresh = insert_into(dialect, orders).on_conflict_do_update(
        index_elements=["person_id", "product", "live"],
        index_where=text("state = 'open'"),
        set_={"state": orders.c.state},
    )
    return fresh.returning(orders)


# Made once: every reconcile closes what a customer has ordered, over and over, and every purchase asks these.
_CLOSE = {state: _closing(state) for state in CLOSES_FROM}
_MINE = (orders.c.person_id == bindparam("person"), orders.c.live == bindparam("live"))
_TRIED = select(exists().where(*_MINE, _offers(orders)))  # offered a trial, which they may take, or have
_CALLED = select(orders).where(orders.c.id == bindparam("id"))
_OWN = select(orders).where(*_MINE, orders.c.checkout_id == bindparam("checkout"))
_OPEN = select(orders).where(*_MINE, orders.c.product == bindparam("product"), orders.c.state == OrderState.OPEN)
_SET_CHECKOUT = (
    update(orders)
    .where(orders.c.id == bindparam("order"), orders.c.state != OrderState.EXPIRED)
    .values(checkout_id=bindparam("checkout"))
)
_OF_PERSON = (
    select(orders)
    .where(orders.c.person_id == bindparam("person"), in_realm(orders))
    .order_by(orders.c.created_at.desc(), orders.c.id.desc())
)


def _one(conn: Connection, wanted: Select[Any], **asked: str | bool) -> Order | None:
    row = conn.execute(wanted, asked).one_or_none()
    return _order(row) if row else None


def _all(conn: Connection, wanted: Select[Any]) -> tuple[Order, ...]:
    return tuple(_order(row) for row in conn.execute(wanted))


def _order(row: Row[Any]) -> Order:
    return from_row(Order, row, realm=realm_of(row))
