"""Customers: the provider's records of people, and the fence that stops older snapshots from replacing newer ones."""

from itertools import takewhile
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, case, exists, func, or_, select, update

from tollkeeper.model.orders import Customer, OrderState, Realm
from tollkeeper.model.people import Person
from tollkeeper.storage.inserts import insert_into
from tollkeeper.storage.realms import columns_of, in_realm, realm_of, same_realm, within
from tollkeeper.storage.tables import customers, findings, orders, people


def of_person(conn: Connection, person_id: str, realm: Realm) -> Customer | None:
    """A person's current customer in a realm."""
    row = conn.execute(_CURRENT, {**columns_of(realm), "person": person_id}).one_or_none()
    return _customer(row) if row else None


def all_of_person(conn: Connection, person_id: str, realm: Realm) -> tuple[Customer, ...]:
    """Every customer that a person has or had in a realm, the current one first."""
    rows = conn.execute(_ALL, {**columns_of(realm), "person": person_id})
    return tuple(_customer(row) for row in rows)


def find(conn: Connection, realm: Realm, external_id: str) -> Customer | None:
    """The customer with the provider's id."""
    row = conn.execute(_CALLED, {**columns_of(realm), "external_id": external_id}).one_or_none()
    return _customer(row) if row else None


def who_paid(conn: Connection, realm: Realm, reference: str) -> Customer | None:
    """The customer whose purchase was paid with this payment."""
    payers = select(findings.c.customer_id).where(findings.c.reference == reference, within(findings, realm))
    return _one(conn, customers.c.id.in_(payers))


def of_finding(conn: Connection, realm: Realm, source: str) -> Customer | None:
    """The customer of a purchase or subscription that was found."""
    owner = select(findings.c.customer_id).where(findings.c.source == source, within(findings, realm))
    return _one(conn, customers.c.id.in_(owner))


def claim_unchecked(conn: Connection, realm: Realm, now: int, period: int, lease: int) -> Customer | None:
    """The customer who has waited longest to be reconciled, if ``period`` seconds or more, and who bought or ordered.

    No other process gets them for ``lease`` seconds; if not reconciled by then, they are due again. Customers who
    come first but have nothing to check are postponed by a whole period, some at each call.
    """
    rows = conn.execute(_OVERDUE, {**columns_of(realm), "since": now - period}).all()
    if not rows:
        return None
    # A separate query: joined to the first, PostgreSQL would read all findings to look at these few customers.
    matter = set(conn.scalars(_MATTER, {"ids": [row.id for row in rows]}))
    passed = [row.id for row in takewhile(lambda row: row.id not in matter, rows)]
    if passed:
        conn.execute(update(customers).where(customers.c.id.in_(passed)).values(checked_at=now))
    if len(passed) == len(rows):
        return None
    found = rows[len(passed)]
    set_checked(conn, found.id, now - period + lease)
    return _customer(found)


# How many customers are looked at to find one to check.
LOOKED_AT = 100

# Orders alone count too: findings were not always stored. An expired one was never paid.
_BOUGHT_OR_ORDERED = or_(
    exists().where(findings.c.customer_id == customers.c.id),
    exists().where(
        orders.c.person_id == customers.c.person_id,
        orders.c.state != OrderState.EXPIRED,
        same_realm(orders, customers),
    ),
)

# Built once: the sweep asks continuously.
_OVERDUE = (
    select(customers)
    .where(in_realm(customers), customers.c.checked_at <= bindparam("since"))
    .order_by(customers.c.checked_at)
    .limit(LOOKED_AT)
    .with_for_update(skip_locked=True)
)
_MATTER = select(customers.c.id).where(customers.c.id.in_(bindparam("ids", expanding=True)), _BOUGHT_OR_ORDERED)
_SET_CHECKED = update(customers).where(customers.c.id == bindparam("customer")).values(checked_at=bindparam("at"))


def set_checked(conn: Connection, customer_id: int, at: int) -> None:
    """Store when a customer was last checked, which determines when they are due again. Unix seconds."""
    conn.execute(_SET_CHECKED, {"customer": customer_id, "at": at})


def after(conn: Connection, realm: Realm, id: int, limit: int) -> tuple[Customer, ...]:
    """The next customers of a realm, by their ids here; 0 begins with the first."""
    wanted = select(customers).where(within(customers, realm), customers.c.id > id)
    return tuple(_customer(row) for row in conn.execute(wanted.order_by(customers.c.id).limit(limit)))


def count(conn: Connection, realm: Realm, id: int = 0) -> int:
    """How many customers a realm has, after the one with this id here."""
    wanted = (within(customers, realm), customers.c.id > id)
    return conn.execute(select(func.count()).select_from(customers).where(*wanted)).scalar_one()


def add(
    conn: Connection, person_id: str, realm: Realm, external_id: str, now: int, *, known_email: str | None = None
) -> Customer:
    """Store a new customer; ``known_email`` is the e-mail address that the provider was given.

    If the person or the provider's id already has one, that one is returned.

    So the result may have another ``external_id`` (the person's earlier customer) or, if the provider's id is
    already somebody else's, another ``person_id``.
    """
    conn.execute(
        insert_into(conn.dialect.name, customers)
        .values(person_id=person_id, external_id=external_id, created_at=now, checked_at=now, told_email=known_email)
        .values(**columns_of(realm))
        .on_conflict_do_nothing()
    )
    kept = of_person(conn, person_id, realm) or find(conn, realm, external_id)
    if kept is None:
        raise LookupError("the customer was neither added nor there before")
    return kept


def tie(conn: Connection, person: Person, realm: Realm, external_id: str, now: int, *, guest: bool) -> Customer:
    """The customer with the provider's id, which becomes the person's unless it already belongs to somebody.

    The person buys with it from now on if they had no customer yet. Nobody can buy with a ``guest``. The
    provider has an e-mail address for it, so the person's is not sent until it changes.
    """
    for replaced_at in (now,) if guest else (None, now):
        conn.execute(
            insert_into(conn.dialect.name, customers)
            .values(person_id=person.id, external_id=external_id, created_at=now, replaced_at=replaced_at)
            .values(told_email=person.email, **columns_of(realm))
            .on_conflict_do_nothing()
        )
        if (kept := find(conn, realm, external_id)) is not None:
            return kept
    raise LookupError("the customer was neither added nor there before")


def replace(
    conn: Connection, customer: Customer, external_id: str, now: int, *, known_email: str | None = None
) -> Customer:
    """Give a person a new record at the provider, to replace one that is gone; or return the one given in the meantime.

    ``known_email`` is the e-mail address that it was created with.
    """
    conn.execute(
        update(customers)
        .where(customers.c.id == customer.id, customers.c.replaced_at.is_(None))
        .values(replaced_at=now)
    )
    return add(conn, customer.person_id, customer.realm, external_id, now, known_email=known_email)


def whose_address(conn: Connection, customer_id: int) -> tuple[Person, str | None] | None:
    """Whose record a customer is, and the e-mail address that the provider was last sent, accepted or not.

    None if it has been replaced.
    """
    row = conn.execute(_WHOSE_ADDRESS, {"customer": customer_id}).one_or_none()
    return (Person(row.id, row.name, row.email, row.created_at), row.told_email) if row else None


def set_known_email(conn: Connection, customer_id: int, before: str | None, known_email: str | None) -> bool:
    """Store which address the provider was sent, unless an address other than ``before`` was stored in the meantime."""
    known = (customers.c.id == customer_id, customers.c.told_email.is_not_distinct_from(before))
    return conn.execute(update(customers).where(*known).values(told_email=known_email)).rowcount == 1


def take_ticket(conn: Connection, customer_id: int) -> int:
    """The next ticket of this customer, to be taken before its snapshot is fetched."""
    ticket: int = conn.execute(_NEXT_TICKET, {"customer": customer_id}).scalar_one()
    return ticket


def pass_fence(conn: Connection, customer_id: int, ticket: int, now: int) -> bool:
    """Whether what was fetched with this ticket may be written: nothing was written since the ticket was taken.

    Tickets show who began first, not who read first. So when something is written, all open tickets become invalid;
    their holders ask again, because what they read may be newer. If it may be written, the customer's row stays
    locked until the transaction ends, so writers of one customer take turns.
    """
    return conn.execute(_PASS, {"customer": customer_id, "ticket": ticket, "now": now}).rowcount == 1


# Built once: every purchase and every event needs them.
_EVER = select(customers).where(customers.c.person_id == bindparam("person"), in_realm(customers))
_ALL = _EVER.order_by(customers.c.replaced_at.is_not(None), customers.c.id.desc())
_CURRENT = _EVER.where(customers.c.replaced_at.is_(None))
_CALLED = select(customers).where(customers.c.external_id == bindparam("external_id"), in_realm(customers))
_WHOSE_ADDRESS = (
    select(people.c.id, people.c.name, people.c.email, people.c.created_at, customers.c.told_email)
    .select_from(customers.join(people))
    .where(customers.c.id == bindparam("customer"), customers.c.replaced_at.is_(None))
)
_NEXT_TICKET = (
    update(customers)
    .where(customers.c.id == bindparam("customer"))
    .values(last_ticket=customers.c.last_ticket + 1)
    .returning(customers.c.last_ticket)
)
_PASS = (
    update(customers)
    .where(customers.c.id == bindparam("customer"), customers.c.written_ticket < bindparam("ticket"))
    .values(
        written_ticket=case(
            (customers.c.last_ticket > bindparam("ticket"), customers.c.last_ticket), else_=bindparam("ticket")
        ),
        checked_at=bindparam("now"),
    )
)


def lock(conn: Connection, person_id: str) -> None:
    """Make reconciles of a person's customers wait to write until the transaction ends, or wait for them.

    Code that changes grants in any other way than a reconcile needs this: otherwise each would undo the other's work.
    """
    conn.execute(
        select(customers.c.id).where(customers.c.person_id == person_id).order_by(customers.c.id).with_for_update()
    )


def _one(conn: Connection, *conditions: ColumnElement[bool]) -> Customer | None:
    row = conn.execute(select(customers).where(*conditions)).one_or_none()
    return _customer(row) if row else None


def _customer(row: Row[Any]) -> Customer:
    return Customer(row.id, realm_of(row), row.external_id, row.person_id)
