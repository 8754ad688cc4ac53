"""Commands about people: who they are, why they have access, and giving or taking it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tollkeeper.billing.reconcile import Services
    from tollkeeper.catalog import Catalog
    from tollkeeper.model.access import Grant
    from tollkeeper.operating.explanations import Explanation
    from tollkeeper.operating.lookup import Found

from tollkeeper.cli.app import (
    DAY,
    About,
    Folder,
    Json,
    Limit,
    What,
    Who,
    WhyEnded,
    WhyHeld,
    app,
    beside_the_server,
    seconds,
)


@app.command(epilog="Example: tollkeeper people example.com --limit 10")
def people(
    query: Annotated[str, typer.Argument(help="A part of the id, name or e-mail address.")] = "",
    limit: Limit = 50,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """List people and what they hold, newest first."""
    from tollkeeper.operating import operators, reports

    found = beside_the_server(
        folder,
        lambda services: services.database.read(
            operators.list_people, query, live=services.provider.live, now=services.clock(), limit=limit + 1
        ),
        as_json,
    )
    show = reports.people_in_json if as_json else reports.people_in_words
    show(found[:limit], more=len(found) > limit)


@app.command(epilog="Example: tollkeeper why alice@example.com")
def why(person: Annotated[str, About], folder: Folder = Path(), as_json: Json = False) -> None:
    """Say why a person may or may not use each feature, and show the evidence."""
    from tollkeeper.operating import operators, reports

    async def explain(services: "Services") -> "tuple[Explanation, Catalog]":
        return await operators.why(services, person), services.catalog

    explained, catalog = beside_the_server(folder, explain, as_json)
    show = reports.explanation_in_json if as_json else reports.explanation_in_words
    show(explained, catalog)


@app.command(epilog='Example: tollkeeper grant alice@example.com dashboard --for 30d --note "Won it in the raffle"')
def grant(
    person: Annotated[str, Who],
    product: Annotated[str, What],
    note: Annotated[str, WhyHeld],
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="Until the end of that day, UTC.")
    ] = None,
    lasting: Annotated[
        int | None, typer.Option("--for", parser=seconds, metavar="TIME", help="Such as 12h, 30d or 8w.")
    ] = None,
    payment: Annotated[
        str | None, typer.Option(help="The payment that this is for, as listed by `tollkeeper payments`.")
    ] = None,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Let a person use a product, permanently or for a time, without a purchase here."""
    from tollkeeper.operating import operators, reports

    if until and lasting:
        raise typer.BadParameter("Use --until or --for, not both.")
    last_second = int(until.replace(tzinfo=UTC).timestamp()) + DAY - 1 if until else None

    async def give(services: "Services") -> "tuple[Found, Grant]":
        end = services.clock() + lasting if lasting else last_second
        return await operators.grant(services, person, product, note=note, until=end, payment=payment)

    show = reports.granted_in_json if as_json else reports.granted_in_words
    show(*beside_the_server(folder, give, as_json))


@app.command(epilog='Example: tollkeeper revoke alice@example.com dashboard --note "Shared the account"')
def revoke(
    person: Annotated[str, Who],
    product: Annotated[str, What],
    note: Annotated[str, WhyEnded],
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """End what a person holds of a product, paid or granted, whatever the provider says about the payment."""
    from tollkeeper.operating import operators, reports

    show = reports.revoked_in_json if as_json else reports.revoked_in_words
    show(*beside_the_server(folder, lambda services: operators.revoke(services, person, product, note=note), as_json))
