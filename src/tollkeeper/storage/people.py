"""People and the identities they sign in with."""

from collections.abc import Collection
from contextlib import suppress

from sqlalchemy import Connection, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from tollkeeper.model import Identity, Person
from tollkeeper.storage.tables import identities as identities_table
from tollkeeper.storage.tables import people


def person_of(conn: Connection, identity: Identity, *, new_id: str, now: int) -> Person:
    """The person with this identity, with name and e-mail address as the issuer last said them; made if new.

    Their account cannot be deleted before this transaction ends.
    """
    known = _person_with(conn, identity)
    if known is None:
        # Another browser of the same person may sign in for the first time at this moment: the first one wins.
        with suppress(IntegrityError), conn.begin_nested():
            return _add(conn, identity, new_id, now)
        known = _person_with(conn, identity)
        if known is None:
            raise ValueError("the new person's id belongs to somebody else")
    return _refreshed(conn, known, identity)


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
    """People whose id, name or e-mail address contains the query, in any case; newest first."""
    matches = (column.icontains(query, autoescape=True) for column in (people.c.id, people.c.name, people.c.email))
    newest = _PERSON.where(or_(*matches)).order_by(people.c.created_at.desc(), people.c.id).limit(limit)
    return tuple(Person(*row) for row in conn.execute(newest))


def called(conn: Connection, who: str, limit: int) -> tuple[Person, ...]:
    """The person with this id; else those with this e-mail address, in any case; else those with this name."""
    for column in (people.c.id, people.c.email, people.c.name):
        same = column == who if column is people.c.id else func.lower(column) == func.lower(who)
        found = conn.execute(_PERSON.where(same).order_by(people.c.created_at, people.c.id).limit(limit)).all()
        if found:
            return tuple(Person(*row) for row in found)
    return ()


def issuers_of(conn: Connection, person_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The issuers that each of these people signs in with, in the order of the alphabet."""
    rows = conn.execute(
        select(identities_table.c.person_id, identities_table.c.issuer)
        .where(identities_table.c.person_id.in_(person_ids))
        .distinct()
        .order_by(identities_table.c.issuer)
    ).all()
    return {id: tuple(row.issuer for row in rows if row.person_id == id) for id in person_ids}


_PERSON = select(people.c.id, people.c.name, people.c.email, people.c.created_at)


def _person_with(conn: Connection, identity: Identity) -> Person | None:
    row = conn.execute(
        _PERSON.join(identities_table)
        .where(
            identities_table.c.issuer == identity.issuer,
            identities_table.c.subject == identity.subject,
            people.c.erased_at.is_(None),
        )
        .with_for_update(of=people, key_share=True)  # of which SQLite has no need: it has one writer
    ).one_or_none()
    return Person(*row) if row else None


def _add(conn: Connection, identity: Identity, new_id: str, now: int) -> Person:
    person = Person(new_id, identity.name, identity.email, now)
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
