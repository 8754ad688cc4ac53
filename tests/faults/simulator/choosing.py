"""Which of the existing objects a step refers to: the newest is 0."""

from collections.abc import Sequence
from typing import TypeVar

from tests.faults.simulator.known import Handed
from tests.faults.simulator.world import Guest, World

T = TypeVar("T")


def nth(things: Sequence[T], which: int) -> T | None:
    """Return the thing with this number; the newest is 0."""
    return things[-1 - which % len(things)] if things else None


def handed(world: World, status: str = "") -> list[Handed]:
    """Return the checkout pages that people were sent to, in order."""
    sessions = world.facts.sessions
    return [one for one in world.checker.handed.values() if status in ("", sessions[one.session].status)]


def guest_of(world: World, one: Handed) -> Guest:
    return next(guest for guest in world.guests if guest.id == one.person)


def intents(world: World, *statuses: str) -> list[str]:
    """Return the payments in one of these states, oldest first."""
    return [id_ for id_, (status, _) in world.facts.intents.items() if status in statuses]
