"""What an operator is shown: tables for people, JSON for machines."""

import json
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from tollkeeper.model import Finding, Grant
from tollkeeper.operators import Answer, Explanation, Happening, Listed, Reconciliation, event_words
from tollkeeper.storage.audit import Entry
from tollkeeper.storage.events import Kept
from tollkeeper.words import day, iso, money, printable

# Wide enough that no line is broken where no terminal says how wide it is: a file, or another program.
WIDTH = 300


def people_in_words(listed: Sequence[Listed], more: bool) -> None:
    """One line for each person."""
    rows = [
        (one.person.id, one.person.name, one.person.email, ", ".join(one.issuers), ", ".join(one.holds))
        for one in listed
    ]
    _table(("id", "name", "e-mail", "signs in with", "holds"), rows)
    _tell_more(more)


def people_in_json(listed: Sequence[Listed], more: bool) -> None:
    """The same for machines."""
    _json({"people": [_listed(one) for one in listed], "more": more})


def _listed(one: Listed) -> dict[str, Any]:
    return {
        "id": one.person.id,
        "name": one.person.name,
        "email": one.person.email,
        "created_at": iso(one.person.created_at),
        "issuers": one.issuers,
        "holds": one.holds,
    }


def explanation_in_words(explained: Explanation, answers: Sequence[Answer], history: Sequence[Happening]) -> None:
    """The answers first, then what they rest on."""
    person = explained.person
    _say(f"{person.name}  {person.email or 'no e-mail address'}  {person.id}")
    _say(f"First here on {day(person.created_at)}; signs in with {', '.join(explained.issuers) or 'nothing'}.\n")
    for answer in answers:
        _say(answer.sentence, style="green" if answer.allowed else "yellow")
    _say("")
    if explained.trouble is not None:
        _say(f"The provider could not be asked ({explained.trouble}), so this is what is kept here.\n", style="red")
    if explained.outdated:
        _say(f"The provider says otherwise by now: run `tollkeeper reconcile {person.id}`.\n", style="red")
    _section(
        "Payments, as the provider tells them", PAYMENT_COLUMNS, [_payment_row(one) for one in explained.findings or ()]
    )
    _section("Grants", GRANT_COLUMNS, [_grant_row(one) for one in explained.grants])
    _section("History", HISTORY_COLUMNS, [(iso(one.at), one.kind, one.id, one.words) for one in history])


PAYMENT_COLUMNS = ("when", "payment", "amount", "refunded", "verdict", "reason")
GRANT_COLUMNS = ("product", "source", "payment", "amount", "since", "until", "ended", "reason")
HISTORY_COLUMNS = ("when", "what", "id", "words")


def _payment_row(found: Finding) -> tuple[str, ...]:
    purchase = found.purchase
    refunded = money(purchase.amount_refunded, purchase.currency) if purchase.amount_refunded else ""
    amount = money(purchase.amount_total, purchase.currency)
    at = iso(purchase.paid_at or purchase.created_at)
    return (at, purchase.reference or purchase.source, amount, refunded, found.verdict.value, found.reason)


def _grant_row(grant: Grant) -> tuple[str, ...]:
    until = "for good" if grant.until is None else iso(grant.until)
    ended = "" if grant.revoked_at is None else iso(grant.revoked_at)
    amount = money(grant.amount, grant.currency)
    return (grant.product, grant.source, grant.reference or "", amount, iso(grant.since), until, ended, grant.reason)


def explanation_in_json(explained: Explanation, answers: Sequence[Answer], history: Sequence[Happening]) -> None:
    """The same for machines. ``payments`` is null when the provider could not be asked."""
    person = explained.person
    findings = explained.findings
    _json(
        {
            "person": {
                "id": person.id,
                "name": person.name,
                "email": person.email,
                "created_at": iso(person.created_at),
                "issuers": explained.issuers,
            },
            "mode": "live" if explained.live else "test",
            "at": iso(explained.now),
            "features": [{"feature": a.feature, "allowed": a.allowed, "why": a.sentence} for a in answers],
            "outdated": explained.outdated,
            "trouble": explained.trouble,
            "payments": None if findings is None else [_finding(one) for one in findings],
            "grants": [_grant(one) for one in explained.grants],
            "history": [{"at": iso(one.at), "kind": one.kind, "id": one.id, "words": one.words} for one in history],
        }
    )


def _finding(found: Finding) -> dict[str, Any]:
    purchase = found.purchase
    return {
        "source": purchase.source,
        "payment": purchase.reference,
        "at": iso(purchase.paid_at or purchase.created_at),
        "amount": purchase.amount_total,
        "refunded": purchase.amount_refunded,
        "currency": purchase.currency,
        "dispute": purchase.dispute.value,
        "product": found.product,
        "verdict": found.verdict.value,
        "reason": found.reason,
    }


def _grant(grant: Grant) -> dict[str, Any]:
    return {
        "product": grant.product,
        "source": grant.source,
        "payment": grant.reference,
        "amount": grant.amount,
        "currency": grant.currency,
        "since": iso(grant.since),
        "until": _iso(grant.until),
        "revoked_at": _iso(grant.revoked_at),
        "reason": grant.reason,
    }


def events_in_words(kept: Sequence[Kept], more: bool) -> None:
    """One line for each event."""
    rows = [
        (iso(one.received_at), one.id, one.type, one.customer_id, str(one.attempts), event_words(one)) for one in kept
    ]
    _table(("kept", "id", "type", "customer", "tries", "state"), rows)
    _tell_more(more)


def events_in_json(kept: Sequence[Kept], more: bool) -> None:
    """The same for machines."""
    _json({"events": [_event(one) for one in kept], "more": more})


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
        "due_at": _iso(one.due_at),
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
    """What changed, and of whom the provider could not be asked."""
    for done in everything:
        name = f"{done.person.name} ({done.person.id})"
        for entry in done.changes:
            _say(f"{name}: {entry.product} {entry.change}. {entry.reason}")
        if done.trouble is not None:
            _say(f"{name}: the provider could not be asked: {done.trouble}", style="red")
    if not any(done.changes or done.trouble for done in everything):
        _say("Nothing had to change.")


def reconciled_in_json(everything: Sequence[Reconciliation]) -> None:
    """The same for machines."""
    told = [_reconciled(done) for done in everything]
    _json({"ok": all(one["trouble"] is None for one in told), "people": told})


def _reconciled(done: Reconciliation) -> dict[str, Any]:
    return {"id": done.person.id, "trouble": done.trouble, "changes": [_change(entry) for entry in done.changes]}


def _change(entry: Entry) -> dict[str, Any]:
    return {"product": entry.product, "change": entry.change, "source": entry.source, "reason": entry.reason}


def _tell_more(more: bool) -> None:
    if more:
        _say("There are more: raise --limit, or ask for less.")


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    if rows:
        _say(title, style="bold")
        _table(columns, rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell or "")) for cell in row))
    _console().print(table)


def _say(words: str, style: str = "") -> None:
    _console().print(Text(printable(words), style=style), soft_wrap=True)


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


def _json(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


def _iso(at: int | None) -> str | None:
    return None if at is None else iso(at)
