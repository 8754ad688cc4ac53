"""Customers: the provider's records of people, and the fence that keeps an older snapshot from overwriting a newer."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, update

from tollkeeper.model import Customer, Realm
from tollkeeper.storage.inserts import insert_into
from tollkeeper.storage.realms import columns_of, realm_of, within
from tollkeeper.storage.tables import customers, grants


def of_person(conn: Connection, person_id: str, realm: Realm) -> Customer | None:
    """The one customer that a person is in a realm."""
    return _one(conn, customers.c.person_id == person_id, within(customers, realm))


def find(conn: Connection, realm: Realm, external_id: str) -> Customer | None:
    """The customer with the provider's id."""
    return _one(conn, customers.c.external_id == external_id, within(customers, realm))


def who_paid(conn: Connection, realm: Realm, reference: str) -> Customer | None:
    """The customer whose grant came from this payment."""
    payers = select(grants.c.person_id).where(grants.c.reference == reference, within(grants, realm))
    return _one(conn, customers.c.person_id.in_(payers), within(customers, realm))


def after(conn: Connection, realm: Realm, id: int, limit: int) -> tuple[Customer, ...]:
    """The next customers of a realm, by their ids here; 0 begins with the first."""
    wanted = select(customers).where(within(customers, realm), customers.c.id > id)
    return tuple(_customer(row) for row in conn.execute(wanted.order_by(customers.c.id).limit(limit)))


def count(conn: Connection, realm: Realm) -> int:
    """How many customers a realm has."""
    return conn.execute(select(func.count()).select_from(customers).where(within(customers, realm))).scalar_one()


def add(conn: Connection, person_id: str, realm: Realm, external_id: str, now: int) -> Customer:
    """Keep a new customer. Where the person or the provider's id has one already, that one is the answer.

    So the answer may carry another ``external_id`` (the person's customer from before) or, if the provider's id is
    already somebody else's, another ``person_id``.
    """
    conn.execute(
        insert_into(conn, customers)
        .values(person_id=person_id, external_id=external_id, created_at=now, **columns_of(realm))
        .on_conflict_do_nothing()
    )
    kept = of_person(conn, person_id, realm) or find(conn, realm, external_id)
    if kept is None:
        raise LookupError("the customer was neither added nor there before")
    return kept


def replace(conn: Connection, customer: Customer, external_id: str) -> Customer:
    """Give a person another record at the provider, for one that is gone; or the one they were given meanwhile."""
    conn.execute(
        update(customers)
        .where(customers.c.id == customer.id, customers.c.external_id == customer.external_id)
        .values(external_id=external_id)
    )
    kept = _one(conn, customers.c.id == customer.id)
    if kept is None:
        raise LookupError("the customer is not there")
    return kept


def take_ticket(conn: Connection, customer_id: int) -> int:
    """The next ticket of this customer, to be taken before its snapshot is fetched."""
    ticket: int = conn.execute(
        update(customers)
        .where(customers.c.id == customer_id)
        .values(last_ticket=customers.c.last_ticket + 1)
        .returning(customers.c.last_ticket)
    ).scalar_one()
    return ticket


def pass_fence(conn: Connection, customer_id: int, ticket: int) -> bool:
    """Whether what was fetched under this ticket may be written: no later or equal ticket has been written yet.

    When it may, the customer's row stays locked until the transaction ends, so writers of one customer take turns.
    """
    passed = conn.execute(
        update(customers)
        .where(customers.c.id == customer_id, customers.c.written_ticket < ticket)
        .values(written_ticket=ticket)
    )
    return passed.rowcount == 1


def _one(conn: Connection, *conditions: ColumnElement[bool]) -> Customer | None:
    row = conn.execute(select(customers).where(*conditions)).one_or_none()
    return _customer(row) if row else None


def _customer(row: Row[Any]) -> Customer:
    return Customer(row.id, realm_of(row), row.external_id, row.person_id)
