"""People and the identities they sign in with."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from tollkeeper.model.access import Verdict
from tollkeeper.model.people import Identity, Person
from tollkeeper.storage import ids
from tollkeeper.storage.grants import products_held
from tollkeeper.storage.inserts import insert_into
from tollkeeper.storage.tables import customers, findings, people
from tollkeeper.storage.tables import identities as identities_table

# The variants in Unicode. A name that contains one may pass for an address, and no issuer has verified a name.
AT_SIGNS = "@\N{SMALL COMMERCIAL AT}\N{FULLWIDTH COMMERCIAL AT}"

# The name of a person who was found at the provider after a restore, until they sign in.
AWAITED_NAME = "Not signed in since the restore"

# How many people with one address are looked at: there are as many as issuers that verified it.
SHARING = 20


@dataclass(frozen=True, slots=True)
class Namesake:
    """Somebody else with the same verified address, the issuers they sign in with, and what they have in one mode.

    ``holds`` are the products they hold now, ``pays_for`` those of their running subscriptions, whether
    they give access or not.
    """

    person: Person
    issuers: tuple[str, ...]
    holds: tuple[str, ...]
    pays_for: tuple[str, ...]


def person_of(conn: Connection, identity: Identity, *, now: int, new_id: str | None = None) -> Person:
    """The person with this identity, with the latest name and e-mail address from the issuer; created if new.

    ``new_id`` is the id of a new person; by default it is derived from the identity. Their account cannot be deleted
    before this transaction ends.
    """
    # Another browser of the same person may be signing in for the first time right now: the first one wins. Or they
    # are being found again after a restore.
    for _ in range(3):
        known = _person_with(conn, identity)
        if known is not None:
            return _refreshed(conn, known, identity)
        with suppress(IntegrityError), conn.begin_nested():
            return _add(conn, identity, new_id or ids.free_id(conn, identity), now)
    raise ValueError("the new person's id belongs to somebody else")


def find(conn: Connection, person_id: str) -> Person | None:
    """The person with this id."""
    row = conn.execute(_PERSON.where(people.c.id == person_id)).one_or_none()
    return Person(*row) if row else None


def has_identity(conn: Connection, person_id: str, identity: Identity) -> bool:
    """Whether this is how the person signs in."""
    known = identities_table.c
    whose = select(known.person_id).where(known.issuer == identity.issuer, known.subject == identity.subject)
    return conn.execute(whose).scalar_one_or_none() == person_id


def identities(conn: Connection, person_id: str) -> tuple[tuple[str, int], ...]:
    """The issuers a person signs in with, each with the time (Unix seconds) it was first used; oldest first."""
    rows = conn.execute(
        select(identities_table.c.issuer, identities_table.c.created_at)
        .where(identities_table.c.person_id == person_id)
        .order_by(identities_table.c.created_at, identities_table.c.issuer)
    )
    return tuple((row.issuer, row.created_at) for row in rows)


def search(conn: Connection, query: str, limit: int) -> tuple[Person, ...]:
    """People whose id, name or e-mail address contains the query, in any case; newest first.

    A name that might pass for an address is ignored: its owner is not the person who is wanted.
    """
    id, name, email = (
        column.icontains(query, autoescape=True) for column in (people.c.id, people.c.name, people.c.email)
    )
    plain = and_(*(people.c.name.not_like(f"%{sign}%") for sign in AT_SIGNS))
    newest = _PERSON.where(or_(id, and_(name, plain), email)).order_by(people.c.created_at.desc(), people.c.id)
    return tuple(Person(*row) for row in conn.execute(newest.limit(limit)))


def with_address(conn: Connection, address: str, limit: int) -> tuple[Person, ...]:
    """Everybody for whom an issuer verified this e-mail address, in any case; the oldest first."""
    rows = conn.execute(_WITH_ADDRESS.limit(limit), {"address": address})
    # An address with a character that databases treat as the same letter, such as the Kelvin sign for K, is different.
    return tuple(person for person in (Person(*row) for row in rows) if _plain(person.email) == _plain(address))


def called(conn: Connection, name: str, limit: int) -> tuple[Person, ...]:
    """Everybody with this full name, in any case; the oldest first. Names that may be addresses do not count."""
    if any(sign in name for sign in AT_SIGNS):
        return ()
    rows = conn.execute(_ELDEST.where(func.lower(people.c.name) == func.lower(name)).limit(limit))
    return tuple(Person(*row) for row in rows)


def sharing_address(conn: Connection, person: Person, live: bool, now: int) -> tuple[Namesake, ...]:
    """The other people for whom another issuer verified the same address, the oldest first.

    A person without a verified address has no namesakes.
    """
    if person.email is None:
        return ()
    others = [one for one in with_address(conn, person.email, SHARING) if one.id != person.id]
    if not others:
        return ()
    ids = [one.id for one in others]
    issuers, holds, pays_for = issuers_of(conn, ids), products_held(conn, ids, live, now), _paid_for(conn, ids, live)
    return tuple(Namesake(one, issuers[one.id], holds[one.id], pays_for[one.id]) for one in others)


def _paid_for(conn: Connection, person_ids: Collection[str], live: bool) -> dict[str, tuple[str, ...]]:
    """The products of subscriptions that are not over, by person."""
    rows = conn.execute(
        select(customers.c.person_id, findings.c.product)
        .select_from(findings.join(customers))
        .where(
            customers.c.person_id.in_(person_ids),
            findings.c.live == live,
            findings.c.product.is_not(None),
            findings.c.standing.is_not(None),
            findings.c.verdict.in_([Verdict.GRANTED, Verdict.PENDING, Verdict.SUSPENDED]),
        )
        .distinct()
        .order_by(findings.c.product)
    ).all()
    return {id: tuple(row.product for row in rows if row.person_id == id) for id in person_ids}


def issuers_of(conn: Connection, person_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The issuers that each of these people signs in with, in alphabetical order."""
    rows = conn.execute(
        select(identities_table.c.person_id, identities_table.c.issuer)
        .where(identities_table.c.person_id.in_(person_ids))
        .distinct()
        .order_by(identities_table.c.issuer)
    ).all()
    return {id: tuple(row.issuer for row in rows if row.person_id == id) for id in person_ids}


_PERSON = select(people.c.id, people.c.name, people.c.email, people.c.created_at)
_ELDEST = _PERSON.order_by(people.c.created_at, people.c.id)
# Built once: every page with offers asks.
_WITH_ADDRESS = _ELDEST.where(func.lower(people.c.email) == func.lower(bindparam("address", type_=people.c.email.type)))


def _plain(address: str | None) -> bytes:
    """An address in a form for comparison: ignoring the case of Latin letters."""
    return (address or "").encode().lower()


def _person_with(conn: Connection, identity: Identity) -> Person | None:
    row = conn.execute(
        _PERSON.join(identities_table)
        .where(
            identities_table.c.issuer == identity.issuer,
            identities_table.c.subject == identity.subject,
            people.c.erased_at.is_(None),
        )
        .with_for_update(of=people, key_share=True)  # SQLite does not need this: it has one writer
    ).one_or_none()
    return Person(*row) if row else None


def take_up(conn: Connection, person_id: str, created_at: int) -> bool:
    """Keep a person whom the provider knows and this database does not, until they sign in; False if it does."""
    fresh = insert_into(conn.dialect.name, people).on_conflict_do_nothing().returning(people.c.id)
    values = {"id": person_id, "name": AWAITED_NAME, "created_at": created_at}
    return conn.execute(fresh, values).one_or_none() is not None


def _add(conn: Connection, identity: Identity, new_id: str, now: int) -> Person:
    person = Person(new_id, identity.name, identity.email, now)
    if ids.is_awaited(conn, new_id):
        conn.execute(update(people).where(people.c.id == new_id).values(name=person.name, email=person.email))
    else:
        conn.execute(insert(people).values(id=new_id, name=person.name, email=person.email, created_at=now))
    conn.execute(
        insert(identities_table).values(
            issuer=identity.issuer, subject=identity.subject, person_id=new_id, created_at=now
        )
    )
    return person


def _refreshed(conn: Connection, known: Person, identity: Identity) -> Person:
    if (known.name, known.email) == (identity.name, identity.email):
        return known
    conn.execute(update(people).where(people.c.id == known.id).values(name=identity.name, email=identity.email))
    return Person(known.id, identity.name, identity.email, known.created_at)
