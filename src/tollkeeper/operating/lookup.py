"""Find the one person that an operator means.

Nobody gets or loses access by name, because people choose their names.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from tollkeeper.errors import PersonUnclear
from tollkeeper.model.people import Person
from tollkeeper.storage import people
from tollkeeper.words import printable

# How many people who share an address, or come near what was said, are shown; and among how many of the newest ones
# those that were mistyped are looked for.
NAMED = 10
LOOKED_AT = 2000

# What a part of a name or an address needs to be looked for by itself, and how near a mistyped one comes: 1 is equal.
SHORTEST_PART = 3
NEAR = 0.8


@dataclass(frozen=True, slots=True)
class Found:
    """The person who was meant, and the issuers they sign in with."""

    person: Person
    issuers: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The person that an operator named."""
        signs_in = f"who signs in with {' and '.join(self.issuers)}" if self.issuers else "who cannot sign in any more"
        return printable(f"Found {self.person.name}, {self.person.id}, {signs_in}.")


def the_person(conn: Connection, who: str) -> Found:
    """The one person with this id, or this e-mail address as an issuer verified it.

    Raises ``PersonUnclear`` for anything else, with suggestions.
    """
    found = _by_id_or_address(conn, who)
    if found is None:
        raise _nobody(conn, who, "has that id or verified e-mail address")
    return found


def somebody_called(conn: Connection, who: str) -> Found:
    """The same for commands that only read: a full name is enough too, if only one person has it."""
    found = _by_id_or_address(conn, who)
    if found is None:
        found = _only(conn, people.called(conn, who, NAMED + 1), "are called that")
    if found is None:
        raise _nobody(conn, who, "has that id, verified e-mail address or name")
    return found


def _by_id_or_address(conn: Connection, who: str) -> Found | None:
    if not who.isprintable():
        raise PersonUnclear("That is not an id or an e-mail address: it contains characters that cannot be printed.")
    known = people.find(conn, who)
    return _only(conn, (known,) if known else people.with_address(conn, who, NAMED + 1), "have that verified address")


def _only(conn: Connection, found: tuple[Person, ...], what: str) -> Found | None:
    if len(found) > 1:
        raise PersonUnclear(f"Several people {what}. Name one of them by id:\n{_listed(conn, found)}")
    return Found(found[0], people.issuers_of(conn, [found[0].id])[found[0].id]) if found else None


def _nobody(conn: Connection, who: str, what: str) -> PersonUnclear:
    near = _near(conn, who)
    if not near:
        return PersonUnclear(f"Nobody here {what}. `tollkeeper people` lists everybody.")
    meant = "Did you mean this person? Name them" if len(near) == 1 else "Did you mean one of these? Name them"
    return PersonUnclear(f"Nobody here {what}. {meant} by id:\n{_listed(conn, near)}")


def _listed(conn: Connection, found: tuple[Person, ...]) -> str:
    issuers = people.issuers_of(conn, [one.id for one in found[:NAMED]])
    rows = [
        (one.id, one.name, one.email or "no verified address", ", ".join(issuers[one.id]) or "cannot sign in any more")
        for one in found[:NAMED]
    ]
    rest = ["  and others"] if len(found) > NAMED else []
    return "\n".join([*(printable(f"  {'  '.join(row)}") for row in rows), *rest])


def _near(conn: Connection, who: str) -> tuple[Person, ...]:
    """People whose name or address contains the text, or else a part of it, or else is spelled almost like it.

    What may be an address is looked for only among addresses.
    """
    for part in _parts(who):
        if found := people.search(conn, part, NAMED + 1):
            return found
    spelled: dict[str, list[Person]] = {}
    for one in people.search(conn, "", LOOKED_AT):
        for spelling in _spellings(one, _may_be_address(who)):
            spelled.setdefault(spelling, []).append(one)
    close = difflib.get_close_matches(who.lower(), spelled, n=NAMED + 1, cutoff=NEAR)
    return tuple({one.id: one for spelling in close for one in spelled[spelling]}.values())


def _parts(who: str) -> Iterator[str]:
    """What was said; and then an address before its @, or a name word by word, the longest first."""
    words = [f"{who.rpartition('@')[0]}@"] if _may_be_address(who) else sorted(re.findall(r"\w+", who), key=len)[::-1]
    yield from (part for part in [who.strip(), *words] if len(part) >= SHORTEST_PART)


def _spellings(one: Person, address: bool) -> Iterable[str]:
    known = [one.email] if address or _may_be_address(one.name) else [one.name, one.email]
    return (text.lower() for text in known if text)


def _may_be_address(text: str) -> bool:
    return any(sign in text for sign in people.AT_SIGNS)
