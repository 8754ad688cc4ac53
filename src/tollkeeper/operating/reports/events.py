"""Events, and what they changed."""

import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import Progress

from tollkeeper.operating.explanations import (
    event_words,
)
from tollkeeper.operating.operators import Reconciliation
from tollkeeper.operating.reports.people import reason_json
from tollkeeper.operating.reports.tables import iso_or_none, mention_more, print_json, print_table, say
from tollkeeper.storage.audit import Entry
from tollkeeper.storage.events import Kept
from tollkeeper.wording.operators import sentence
from tollkeeper.words import iso


def events_in_words(kept: Sequence[Kept], more: bool) -> None:
    """One line for each event."""
    rows = [
        (iso(one.received_at), one.id, one.type, one.customer_id, str(one.attempts), event_words(one)) for one in kept
    ]
    print_table(("kept", "id", "type", "customer", "tries", "state"), rows)
    mention_more(more)


def events_in_json(kept: Sequence[Kept], more: bool) -> None:
    """The same for machines."""
    print_json({"events": [_event(one) for one in kept], "more": more})


def _event(one: Kept) -> dict[str, Any]:
    return {
        "id": one.id,
        "type": one.type,
        "state": one.state.value,
        "created_at": iso(one.created_at),
        "received_at": iso(one.received_at),
        "object": one.object_id,
        "customer": one.customer_id,
        "tries": one.attempts,
        "due_at": iso_or_none(one.due_at),
        "outcome": one.outcome,
        "error": one.error,
    }


async def with_progress(asking: AsyncIterator[tuple[int, Reconciliation]]) -> AsyncIterator[Reconciliation]:
    """Show on a terminal how far a long run has come."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("Asking the provider", total=None)
        async for total, done in asking:
            progress.update(task, total=total, advance=1)
            yield done


def reconciled_in_words(everything: Sequence[Reconciliation]) -> None:
    """What changed, and about whom the provider could not be asked."""
    for done in everything:
        name = f"{done.person.name} ({done.person.id})"
        for entry in done.changes:
            say(f"{name}: {entry.product} {entry.change}. {sentence(entry.reason)}")
        if done.trouble is not None:
            say(f"{name}: the provider could not be asked: {done.trouble}", style="red")
    if not any(done.changes or done.trouble for done in everything):
        say("Nothing had to change.")


def reconciled_in_json(everything: Sequence[Reconciliation]) -> None:
    """The same for machines."""
    reconciled = [_reconciled(done) for done in everything]
    print_json({"ok": all(one["trouble"] is None for one in reconciled), "people": reconciled})


def _reconciled(done: Reconciliation) -> dict[str, Any]:
    return {"id": done.person.id, "trouble": done.trouble, "changes": [_change(entry) for entry in done.changes]}


def _change(entry: Entry) -> dict[str, Any]:
    return {"product": entry.product, "change": entry.change, "source": entry.source, **reason_json(entry.reason)}
