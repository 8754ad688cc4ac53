"""What the checker knows: who was sent where, what may give whom access, and what it was worth at each moment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.faults.simulator.worth import NOTHING, Judged, Offer, Worth, at_most, in_force

# The words in the audit for access that has ended.
ENDS = "suspended, revoked or ended"


class Violation(Exception):
    """An invariant that does not hold."""

    def __init__(self, invariant: str, words: str) -> None:
        super().__init__(f"{invariant}: {words}")
        self.invariant = invariant


@dataclass(frozen=True, slots=True)
class Handed:
    """A checkout page that the button led somebody to, and its order."""

    session: str
    person: str
    offer: Offer
    order: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """What a source was worth since a version of the ledger, by the product that it gave before: if the price is
    not known, the product stays the same. ``""`` means all other products.

    ``sells`` is the product of a subscription that is not over, ``ends`` whether an end of it is set.
    """

    since: int
    worths: Mapping[str, Judged]
    sells: str | None = None
    ends: bool = False

    def judged(self, before: str) -> Judged:
        return self.worths[before] if before in self.worths else self.worths.get("", NOTHING)

    def worth(self, before: str) -> Worth:
        return self.judged(before).worth


@dataclass
class Source:
    """A checkout session or a subscription, and what it was worth at each version."""

    id: str
    person: str
    ordered: str
    """The product that its order names."""
    entries: list[Entry] = field(default_factory=lambda: [Entry(0, {})])
    known: int = 0
    """A version that the app's knowledge of it must have reached."""
    born: int = 0
    """The version that the app must have read before it opens another page."""
    tied: int = 0
    """The version in which an operator adopted it: events before that were not about a customer of ours."""
    agreed: str | None = None
    """The price that it had then, whose product the operator named."""

    def ever_interrupted(self) -> bool:
        """Return whether it was once valid and then was not."""
        return len(self.entries) > 2

    def note(self, entry: Entry) -> None:
        last = self.entries[-1]
        if (entry.worths, entry.sells, entry.ends) != (last.worths, last.sells, last.ends):
            self.entries.append(entry)

    def alive(self, first: int, last: int | None = None) -> Iterator[Entry]:
        """Return what was true at any time from one version to another, or until now."""
        for number, entry in enumerate(self.entries):
            ended = self.entries[number + 1].since if number + 1 < len(self.entries) else None
            if (ended is None or ended > first) and (last is None or entry.since <= last):
                yield entry

    def worth(self, before: str, now: float) -> Worth:
        """Return what it gives now."""
        return in_force(self.entries[-1].worth(before), now)

    def learn(self, held: Worth, before: str, now: float, *, exactly: bool = False) -> bool:
        """Note that the app now acts as if it were worth this. Returns False if that is more than at any time since
        what the app knew; or, with ``exactly``, if it is different although it was always worth the same since then.

        A snapshot takes several calls, and may mix two moments. It must not give more than either.
        """
        held = in_force(held, now)
        alive = [(entry.since, in_force(entry.worth(before), now)) for entry in self.alive(self.known)]
        seen = next((since for since, worth in alive if worth == held), None)
        if seen is not None:
            self.known = max(self.known, seen)
            return True
        if exactly and len({worth for _, worth in alive}) == 1:
            return False
        return any(at_most(held, worth) for _, worth in alive)

    def ends(self, before: str, now: float) -> frozenset[str]:
        """Return the words for the end of its access that are possible now. Access that runs out has ended."""
        judged = [entry.judged(before) for entry in self.alive(self.known)]
        return frozenset().union(*(one.ends for one in judged if in_force(one.worth, now) is None))


class Held(NamedTuple):
    """A grant, as the app's table has it."""

    person: str
    product: str
    off: int | None
    until: int | None

    def worth(self, now: float) -> Worth:
        return in_force((self.product, self.until), now) if self.off is None else None


def change(had: Held | None, held: Held, now: float) -> str | None:
    """Return the audit's word for a change of somebody's access at this time; None if nothing changed."""
    before, after = had.worth(now) if had else None, held.worth(now)
    if before == after:
        return None
    if before is None or after is None:
        return ENDS if before else "restored" if had else "granted"
    if before[0] != after[0]:
        return "changed"
    return "extended" if (after[1] or 0) > (before[1] or 0) else "shortened"


@dataclass(frozen=True, slots=True)
class Paid:
    """Something that somebody holds and pays or paid for: until when, or for good."""

    id: str
    person: str
    offer: Offer
    for_good: bool
    renewed: bool

    def overlaps_in_time(self, other: "Paid") -> bool:
        """Return whether the same person has it, and it gives everything that the other does."""
        return self.person == other.person and self.offer.gives_all_of(other.offer)

    def is_like(self, other: "Paid") -> bool:
        """Return whether only the time decides which of the two is superfluous: the later one."""
        return self.for_good == other.for_good and self.offer.unlocks == other.offer.unlocks

    def is_superfluous_with(self, other: "Paid") -> bool:
        """Return whether it is a subscription that takes money although the other gives as much for good, or more and
        is renewed.
        """
        return not self.for_good and self.renewed and not self.is_like(other) and other.renewed

    def may_be_superfluous_with(self, other: "Paid") -> bool:
        """Also if it was bought later: something that ends, and something for good next to more that is for good."""
        return other.for_good or (not self.for_good and (other.renewed or self.is_like(other)))


class Audited(NamedTuple):
    """A row of the audit."""

    person: str
    product: str
    change: str | None
    at: int
    evidence: str
