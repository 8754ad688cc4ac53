"""Requested faults: how the sandbox misbehaves, for which calls or events, and how often."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON, Ledger

MOST = 100
MAX_SECONDS = 300
MAX_TIMES = 1_000_000
REORDER_STEP = 0.1  # seconds between the posts of events that are sent in reverse order

# What a fault does, and which of its settings matter, apart from `effect` and `times`.
CALLS = {
    "error": ("method", "path", "after", "status"),
    "rate_limit": ("method", "path", "seconds"),
    "hang": ("method", "path", "after", "seconds"),
    "drop": ("method", "path", "after"),
}
EVENTS = {
    "lose": ("event",),
    "duplicate": ("event",),
    "delay": ("event", "seconds"),
    "reorder": ("event", "seconds"),
    "wrong_mode": ("event",),
}
SETTINGS = {**CALLS, **EVENTS}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``method``, ``path`` and ``event`` are patterns with ``*``.

    ``times`` is how often the fault still happens; None means always.
    ``after`` lets the call do its work first, so that its caller cannot know the result. ``seconds`` is the length of a
    hang or a delay, the time to collect events whose order is reversed, or the value of ``Retry-After``.
    """

    id: str
    effect: str
    method: str = "*"
    path: str = "/v1/*"
    event: str = "*"
    after: bool = False
    seconds: float = 2
    status: int = 500
    times: int | None = 1

    def shown(self) -> JSON:
        """Return the settings that matter for this effect."""
        known = asdict(self)
        return {name: known[name] for name in ("id", "effect", *SETTINGS[self.effect], "times")}


def read(given: Any, id_: str) -> Fault:
    """Read a fault from the JSON of a request. Raises a 400 that says what is wrong."""
    if not isinstance(given, dict):
        raise invalid("The body is not a JSON object.")
    effect = given.get("effect")
    if not isinstance(effect, str) or effect not in SETTINGS:
        raise invalid(f"effect must be one of {', '.join(SETTINGS)}.", "effect")
    for name, value in given.items():
        if name not in ("effect", "times", *SETTINGS[effect]):
            raise invalid(f"The effect {effect} has no setting {name[:40]}.", name[:40])
        if name != "effect" and not CHECKS[name](value):
            raise invalid(f"This is no value for {name}: {json.dumps(value)[:80]}", name)
    return Fault(id_, **given)


def _is_pattern(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_*./-]{1,200}", value) is not None


def _is_number(value: Any, most: int) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


CHECKS: dict[str, Callable[[Any], bool]] = {
    "method": _is_pattern,
    "path": _is_pattern,
    "event": _is_pattern,
    "after": lambda value: isinstance(value, bool),
    "seconds": lambda value: _is_number(value, MAX_SECONDS),
    "status": lambda value: isinstance(value, int) and 500 <= value <= 599,
    "times": lambda value: value is None or (isinstance(value, int) and _is_number(value, MAX_TIMES) and value > 0),
}


def add(ledger: Ledger, fault: Fault) -> None:
    if len(active(ledger)) >= MOST:
        raise ApiError(409, f"At most {MOST} faults can be active at once.")
    ledger.run("INSERT INTO faults (id, body) VALUES (?, ?)", fault.id, json.dumps(asdict(fault)))


def active(ledger: Ledger) -> list[Fault]:
    """Return the active faults in the order in which they were added."""
    return [Fault(**json.loads(row["body"])) for row in ledger.rows("SELECT body FROM faults ORDER BY rowid")]


def remove(ledger: Ledger, id_: str) -> bool:
    return ledger.run("DELETE FROM faults WHERE id = ?", id_) > 0


def clear(ledger: Ledger) -> None:
    ledger.run("DELETE FROM faults")


def for_call(ledger: Ledger, method: str, path: str) -> Fault | None:
    """Return the first fault that matches this call, and count one use of it."""
    for fault in active(ledger):
        if fault.effect in CALLS and fnmatchcase(method, fault.method.upper()) and fnmatchcase(path, fault.path):
            _use(ledger, fault)
            return fault
    return None


def for_event(ledger: Ledger, type_: str) -> list[Fault]:
    """Return all faults that match the deliveries of this event, and count one use of each."""
    found = [one for one in active(ledger) if one.effect in EVENTS and fnmatchcase(type_, one.event)]
    for fault in found:
        _use(ledger, fault)
    return found


def _use(ledger: Ledger, fault: Fault) -> None:
    if fault.times is None:
        return
    left = replace(fault, times=fault.times - 1)
    if left.times:
        ledger.run("UPDATE faults SET body = ? WHERE id = ?", json.dumps(asdict(left)), fault.id)
    else:
        remove(ledger, fault.id)


def due(ledger: Ledger, found: list[Fault], now: float) -> list[float | None]:
    """Return when an event's deliveries to one endpoint are due; None for one that is lost."""
    effects = {fault.effect: fault for fault in found}
    if "lose" in effects:
        return [None]
    at = now
    if "delay" in effects:
        at += effects["delay"].seconds
    if "reorder" in effects:
        at = _before_the_last(ledger, effects["reorder"], now)
    return [at, at] if "duplicate" in effects else [at]


def _before_the_last(ledger: Ledger, fault: Fault, now: float) -> float:
    """Return a time that is later than now, and earlier than that of the event before."""
    name = f"reordered {fault.id}"
    last = float(ledger.setting(name, "0"))
    at = last - REORDER_STEP if last - REORDER_STEP > now else now + fault.seconds
    ledger.set(name, str(at))
    return at
