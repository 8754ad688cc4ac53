"""What an operator is shown: tables for people, JSON for machines."""

import json
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from tollkeeper.catalog import Catalog
from tollkeeper.model import Grant, Invoice, OffSale
from tollkeeper.operating.adoption import Adopted
from tollkeeper.operating.explanations import (
    OPERATOR,
    Case,
    Explanation,
    answers,
    cases,
    event_words,
    history,
    in_short,
    remarks,
)
from tollkeeper.operating.lookup import Found
from tollkeeper.operating.operators import Listed, Reconciliation
from tollkeeper.providers.protocol import SetUp
from tollkeeper.reasons import Reason
from tollkeeper.storage.audit import Entry
from tollkeeper.storage.columns import reason_to_json
from tollkeeper.storage.events import Kept
from tollkeeper.storage.findings import Noted
from tollkeeper.wording import off_sale as wording_off_sale
from tollkeeper.wording.adoption import other_sales
from tollkeeper.wording.sentences import (
    NO_CASES,
    TOLD_LAST,
    TOLD_NOW,
    ended,
    how_it_stands,
    nothing_paid_back,
    sentence,
)
from tollkeeper.words import day, iso, moment, money, price, printable

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


def explanation_in_words(explained: Explanation, catalog: Catalog) -> None:
    """The answers first, then what they rest on."""
    person = explained.person
    _say(f"{person.name}  {person.email or 'no e-mail address'}  {person.id}")
    _say(f"First here on {day(person.created_at)}; signs in with {', '.join(explained.issuers) or 'nothing'}.\n")
    for answer in answers(explained, catalog):
        _say(answer.sentence, style="green" if answer.allowed else "yellow")
    for remark in remarks(explained, catalog):
        _say(remark)
    _say("")
    if explained.trouble is not None:
        _say(f"The provider could not be asked ({explained.trouble}), so this is what is kept here.\n", style="red")
    if explained.outdated:
        _say(f"The provider says otherwise by now: run `tollkeeper reconcile {person.id}`.\n", style="red")
    _section("To look at", CASE_COLUMNS, [_case_row(one) for one in cases_of(explained, catalog)])
    told = TOLD_NOW if explained.trouble is None else TOLD_LAST
    _section(told, PAYMENT_COLUMNS, [_payment_row(one) for one in explained.payments])
    for one in explained.payments:
        rows = [_invoice_row(invoice, one.currency) for invoice in one.invoices]
        _section(f"Invoices of subscription {one.source}", INVOICE_COLUMNS, rows)
    _section("Grants", GRANT_COLUMNS, [_grant_row(one) for one in explained.grants])
    told_in_words = in_short(history(explained))
    _section("History", HISTORY_COLUMNS, [(iso(one.at), one.kind, one.id, one.words) for one in told_in_words])


CASE_COLUMNS = ("when", "payment", "amount", "what", "who", "reason", "what to do")
PAYMENT_COLUMNS = ("when", "payment", "amount", "refunded", "verdict", "reason")
INVOICE_COLUMNS = ("from", "to", "invoice", "payment", "amount", "refunded", "how it stands")
GRANT_COLUMNS = ("product", "from", "source", "payment", "amount", "since", "until", "ended", "reason")
HISTORY_COLUMNS = ("when", "what", "id", "words")


def cases_of(explained: Explanation, catalog: Catalog) -> tuple[Case, ...]:
    return cases(explained.unexplained, explained.surplus, catalog, explained.person.id, remarked=explained.remarked)


def _case_row(one: Case) -> tuple[str, ...]:
    who = one.person_id or one.email or "nobody known"
    kind = one.kind if one.dismissed is None else f"{one.kind}, dismissed"
    return (iso(one.at), one.payment, price(one.amount, one.currency), kind, who, one.reason, one.remedy)


def _payment_row(one: Noted) -> tuple[str, ...]:
    refunded = money(one.refunded, one.currency) if one.refunded else ""
    amount = money(one.amount, one.currency)
    return (iso(one.bought_at), one.payment, amount, refunded, one.verdict.value, sentence(one.reason))


def _invoice_row(one: Invoice, currency: str) -> tuple[str, ...]:
    refunded = money(one.refunded, currency) if one.refunded else ""
    when = (iso(one.starts), iso(one.ends))
    return (*when, one.id, one.reference or "", money(one.total, currency), refunded, how_it_stands(one))


def _grant_row(grant: Grant) -> tuple[str, ...]:
    until = "for good" if grant.until is None else iso(grant.until)
    ended = "" if grant.revoked_at is None else iso(grant.revoked_at)
    amount = price(grant.amount, grant.currency)
    where = (grant.product, grant.realm.provider, grant.source, grant.reference or "")
    return (*where, amount, iso(grant.since), until, ended, sentence(grant.reason))


def explanation_in_json(explained: Explanation, catalog: Catalog) -> None:
    """The same for machines. Where the provider could not be asked, ``trouble`` says why."""
    person, told = explained.person, answers(explained, catalog)
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
            "features": [{"feature": a.feature, "allowed": a.allowed, "why": a.sentence} for a in told],
            "remarks": remarks(explained, catalog),
            "outdated": explained.outdated,
            "trouble": explained.trouble,
            "to_look_at": [_case(one) for one in cases_of(explained, catalog)],
            "payments": [_payment(one) for one in explained.payments],
            "grants": [_grant(one) for one in explained.grants],
            "history": [
                {"at": iso(one.at), "kind": one.kind, "id": one.id, "words": one.words} for one in history(explained)
            ],
        }
    )


def _case(one: Case) -> dict[str, Any]:
    return {
        "what": one.kind,
        "at": iso(one.at),
        "payment": one.payment,
        "amount": one.amount,
        "currency": one.currency,
        "product": one.product,
        "person": one.person_id,
        "email": one.email,
        "reason": one.reason,
        "what_to_do": one.remedy,
        "dismissed": None if one.dismissed is None else sentence(one.dismissed),
    }


def _payment(one: Noted) -> dict[str, Any]:
    return {
        "source": one.source,
        "payment": one.reference,
        "at": iso(one.bought_at),
        "amount": one.amount,
        "refunded": one.refunded,
        "currency": one.currency,
        "product": one.product,
        "verdict": one.verdict.value,
        **_reason(one.reason),
        "invoices": [_invoice(invoice) for invoice in one.invoices],
        "told_at": iso(one.found_at),
    }


def _invoice(one: Invoice) -> dict[str, Any]:
    return {
        "id": one.id,
        "state": one.bill.value,
        "from": iso(one.starts),
        "to": iso(one.ends),
        "amount": one.total,
        "paid": one.paid,
        "refunded": one.refunded,
        "dispute": one.dispute.value,
        "due_at": _iso(one.due_at),
        "paid_at": _iso(one.paid_at),
        "payment": one.reference,
        "trouble": one.trouble,
    }


def _grant(grant: Grant) -> dict[str, Any]:
    return {
        "product": grant.product,
        "from": grant.realm.provider,
        "source": grant.source,
        "payment": grant.reference,
        "amount": grant.amount,
        "currency": grant.currency,
        "since": iso(grant.since),
        "until": _iso(grant.until),
        "revoked_at": _iso(grant.revoked_at),
        "withheld": None if grant.withheld is None else sentence(grant.withheld),
        **_reason(grant.reason),
    }


def _reason(reason: Reason) -> dict[str, Any]:
    """A reason in words, and as the code and the facts that the words are made of."""
    return {"reason": sentence(reason), "because": reason_to_json(reason)}


def granted_in_words(found: Found, grant: Grant) -> None:
    """Whom the command found, and what they may use from now on."""
    person = found.person
    _say(found.sentence)
    until = "for good" if grant.until is None else f"until {moment(grant.until)}"
    _say(f"{person.name} ({person.id}) holds {grant.product} now, {until}.")


def granted_in_json(found: Found, grant: Grant) -> None:
    """The same for machines."""
    _json({**_found(found), "granted": _grant(grant)})


def _found(found: Found) -> dict[str, Any]:
    person = found.person
    told = {"id": person.id, "name": person.name, "email": person.email, "issuers": found.issuers}
    return {"person": person.id, "found": told}


def revoked_in_words(found: Found, ended: Sequence[Grant]) -> None:
    """Whom the command found, what they may use no longer, and which money is still here."""
    person = found.person
    _say(found.sentence)
    _say(f"{person.name} ({person.id}) does not hold {ended[0].product} any more.")
    for grant in ended:
        if grant.realm.provider != OPERATOR:
            _say(nothing_paid_back(grant))


def revoked_in_json(found: Found, ended: Sequence[Grant]) -> None:
    """The same for machines."""
    _json({**_found(found), "revoked": [_grant(one) for one in ended]})


def payments_in_words(found: Sequence[Case], more: bool, other_sales_: int = 0, unsold: Sequence[OffSale] = ()) -> None:
    """One line for each payment to look at, and what cannot be sold at the moment.

    ``other_sales_`` is how many others on the account are not listed.
    """
    if found:
        _table(CASE_COLUMNS, [_case_row(one) for one in found])
        _tell_more(more)
    else:
        _say(NO_CASES)
    if other_sales_:
        _say(other_sales(other_sales_))
    if unsold:
        _say("")
        off_sale_in_words(unsold)


def payments_in_json(found: Sequence[Case], more: bool, other_sales_: int = 0, unsold: Sequence[OffSale] = ()) -> None:
    """The same for machines."""
    told = {"payments": [_case(one) for one in found], "more": more, "other_sales": other_sales_}
    _json(told | {"off_sale": [wording_off_sale.in_json(one) for one in unsold]})


def off_sale_in_words(unsold: Sequence[OffSale]) -> None:
    """What the provider refuses to sell, and what to do about it."""
    _say("The provider refuses to sell:\n", style="red")
    for one in unsold:
        _say(wording_off_sale.listed(one))
    _say(f"\n{wording_off_sale.BY_ITSELF}")


def dismissed_in_words(done: Sequence[Noted], note: str) -> None:
    """What will not be listed any more."""
    for one in done:
        _say(f"{one.payment} is off the list, until something new is found of it: {note}")


def dismissed_in_json(done: Sequence[Noted], note: str) -> None:
    """The same for machines."""
    _json({"dismissed": [_payment(one) for one in done], "note": note})


def adopted_in_words(done: Adopted) -> None:
    """What was tied to whom, and what comes of it."""
    person, found = done.whom.person, done.found
    _say(done.whom.sentence)
    _say(f"{found.payment} is tied to {person.name} ({person.id}), and follows the provider from now on.")
    if done.trouble is None:
        _say(f"{found.product or ''}: {found.verdict.value}. {sentence(found.reason)}")
    else:
        _say(
            f"The provider could not be asked ({done.trouble}). It will be again, or: tollkeeper reconcile {person.id}"
        )


def adopted_in_json(done: Adopted) -> None:
    """The same for machines."""
    _json({**_found(done.whom), "adopted": _payment(done.found), "trouble": done.trouble})


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


def ended_in_words(source: str, found: Noted | None) -> None:
    """What became of a subscription that was to end."""
    _say(ended(source, found))


def ended_in_json(source: str, found: Noted | None) -> None:
    """The same for machines."""
    _json({"subscription": source, "found": None if found is None else _payment(found)})


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
            _say(f"{name}: {entry.product} {entry.change}. {sentence(entry.reason)}")
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
    return {"product": entry.product, "change": entry.change, "source": entry.source, **_reason(entry.reason)}


DONE = {"make": "made", "change": "changed"}


def set_up_in_words(done: SetUp, *, dry_run: bool) -> None:
    """What was made, what to set, and what else to know."""
    _say(f"Stripe account {done.account}, {'live' if done.live else 'test'} mode\n", style="bold")
    for step in done.steps:
        verb = f"would {step.action}" if dry_run else DONE[step.action]
        _say(f"  {verb} {step.what}  {step.words}{'' if step.id is None else f'  {step.id}'}")
    if done.trouble is None:
        _say("" if done.steps else "Everything is there already: nothing was changed.\n", style="green")
    else:
        _say(f"{done.trouble}\n", style="red")
        _say("Mend that, then say it again: what is made is found, and nothing is made twice.\n")
    if dry_run and done.steps:
        _say("Nothing was changed: this is what would be done without --dry-run.\n")
    for notice in done.notices:
        _say(f"* {notice}\n")
    _settings_in_words(done)


def _settings_in_words(done: SetUp) -> None:
    """Lines to copy, with nothing before or after them."""
    changed = {key: prices.settings for key, prices in done.prices.items() if not prices.as_set}
    if changed:
        _say("In tollkeeper.toml, in place of the lines with these names:\n", style="bold")
    for key, settings in changed.items():
        _say("\n".join([f"[products.{key}]", *(f"{name} = {json.dumps(ids)}" for name, ids in settings.items()), ""]))
    if done.webhook_secret is not None:
        _say("In .env, or where you keep secrets. Stripe tells this once:\n", style="bold")
        _say(f"STRIPE_WEBHOOK_SECRET={done.webhook_secret}\n")
    if done.trouble is None and (changed or done.webhook_secret):
        _say("Then: tollkeeper check")


def set_up_in_json(done: SetUp, *, dry_run: bool) -> None:
    """The same for machines."""
    secret = {} if done.webhook_secret is None else {"STRIPE_WEBHOOK_SECRET": done.webhook_secret}
    steps = [{"action": one.action, "what": one.what, "words": one.words, "id": one.id} for one in done.steps]
    _json(
        {
            "ok": done.trouble is None,
            "dry_run": dry_run,
            "account": done.account,
            "mode": "live" if done.live else "test",
            "steps": steps,
            "trouble": done.trouble,
            "notices": done.notices,
            "settings": {"products": {key: prices.settings for key, prices in done.prices.items()}, **secret},
        }
    )


def _tell_more(more: bool) -> None:
    if more:
        _say("There are more: raise --limit, or ask for less.")


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    if rows:
        _say(title, style="bold")
        _table(columns, rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    """A table where the terminal is wide enough for it; else each row by itself, a line for each cell."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell or "")) for cell in row))
    console = _console()
    if Measurement.get(console, console.options.update(max_width=WIDTH), table).maximum <= console.width:
        console.print(table)
        return
    for row in rows:
        console.print(_one_below_the_other(columns, row))


def _one_below_the_other(columns: Sequence[str], row: Sequence[str | None]) -> Table:
    lines = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    lines.add_column(no_wrap=True, style="dim", width=max(map(len, columns)))
    lines.add_column(overflow="fold")
    for name, cell in zip(columns, row, strict=True):
        if cell:
            lines.add_row(name, Text(printable(cell)))
    lines.add_row("", "")
    return lines


def _say(words: str, style: str = "") -> None:
    _console().print(Text(printable(words), style=style), soft_wrap=True)


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


def _json(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


def _iso(at: int | None) -> str | None:
    return None if at is None else iso(at)
