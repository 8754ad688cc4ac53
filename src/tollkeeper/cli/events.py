"""Commands about the provider's events, and what they change."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tollkeeper.billing.reconcile import Services
    from tollkeeper.operating.operators import Reconciliation

from tollkeeper.cli.app import Folder, Json, Limit, Who, app, beside_the_server


@app.command(epilog="Example: tollkeeper events --failed")
def events(
    failed: Annotated[bool, typer.Option("--failed", help="Only failed and parked events.")] = False,
    limit: Limit = 50,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """List the events in the inbox, the latest first."""
    from tollkeeper.operating import reports
    from tollkeeper.storage import events

    found = beside_the_server(
        folder,
        lambda services: services.database.read(events.newest, services.mode, limit + 1, failed=failed),
        as_json,
    )
    show = reports.events_in_json if as_json else reports.events_in_words
    show(found[:limit], more=len(found) > limit)


@app.command(epilog="Example: tollkeeper replay --failed")
def replay(
    event_ids: Annotated[
        list[str] | None, typer.Argument(metavar="EVENT_ID...", help="The provider's ids.", show_default=False)
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All failed and parked events.")] = False,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Have the server handle events once more, as if they had just arrived."""
    from tollkeeper.operating import operators
    from tollkeeper.storage import events

    if bool(event_ids) == failed:
        raise typer.BadParameter("Name events, or use --failed.")

    async def make_due(services: "Services") -> tuple[str, ...]:
        mode, at = services.mode, services.clock()
        if event_ids:
            return await services.database.write(operators.replay, mode, event_ids, at)
        return await services.database.write(events.replay_failed, mode, at)

    due = beside_the_server(folder, make_due, as_json)
    if as_json:
        typer.echo(json.dumps({"replayed": due}))
    else:
        typer.echo("\n".join([f"{len(due)} event(s) due again", *due]))


@app.command(epilog="Example: tollkeeper reconcile alice@example.com")
def reconcile(
    person: Annotated[str | None, Who] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody who ever started to buy.")] = False,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Ask the provider now what was bought, make access match, and say what changed."""
    from tollkeeper.operating import operators, reports

    if bool(person) == everybody:
        raise typer.BadParameter("Name a person, or use --all.")

    async def ask(services: "Services") -> "list[Reconciliation]":
        if person:
            return [await operators.reconcile_person(services, person)]
        asking = operators.reconcile_everybody(services)
        return [done async for done in reports.with_progress(asking) if done.changes or done.trouble]

    outcome = beside_the_server(folder, ask, as_json)
    show = reports.reconciled_in_json if as_json else reports.reconciled_in_words
    show(outcome)
    if any(done.trouble for done in outcome):
        raise typer.Exit(1)
