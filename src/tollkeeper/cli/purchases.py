"""Commands about purchases: which payments need a look, and what to do about them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tollkeeper.billing.reconcile import Services
    from tollkeeper.model.selling import OffSale
    from tollkeeper.operating.explanations import PaymentIssue
    from tollkeeper.providers.protocol import ProviderFacts
    from tollkeeper.storage.findings import Noted

from tollkeeper.cli.app import Folder, Json, Limit, WhichPayment, Who, WhyEnded, app, beside_the_server, payments
from tollkeeper.cli.set_up import OFF_SALE_SHOWN


@app.command(epilog='Example: tollkeeper end sub_1Abc --note "The dispute was lost"')
def end(
    subscription: Annotated[str, typer.Argument(help="The provider's id of the subscription.", show_default=False)],
    note: Annotated[str, WhyEnded],
    at_period_end: Annotated[
        bool, typer.Option("--at-period-end", help="End it when the paid period ends, not at once.")
    ] = False,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """End a subscription at the provider, so that it takes no more money. Nothing is refunded."""
    from tollkeeper.operating import operators, reports

    found = beside_the_server(
        folder, lambda services: operators.end(services, subscription, note=note, at_period_end=at_period_end), as_json
    )
    show = reports.ended_in_json if as_json else reports.ended_in_words
    show(subscription, found)


@app.command(epilog='Example: tollkeeper adopt alice@example.com sub_1Abc --note "Sold by telephone"')
def adopt(
    person: Annotated[str, Who],
    payment: Annotated[str, WhichPayment],
    note: Annotated[str, WhyEnded],
    product: Annotated[
        str | None, typer.Option(metavar="PRODUCT", help="What it is for, if its price is not in the catalog.")
    ] = None,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Assign what was bought elsewhere on the account to a person. From then on it follows the provider."""
    from tollkeeper.operating import adoption, reports

    done = beside_the_server(
        folder, lambda services: adoption.adopt(services, person, payment, note=note, product=product), as_json
    )
    show = reports.adopted_in_json if as_json else reports.adopted_in_words
    show(done)


@payments.callback(invoke_without_command=True, epilog="Example: tollkeeper payments --json")
def list_payments(
    context: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="Also list dismissed payments, and other sales on the account.")
    ] = False,
    limit: Limit = 50,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """List the payments that need a look, and what to do about each."""
    if context.invoked_subcommand is not None:
        return
    from tollkeeper.operating import operators, reports
    from tollkeeper.storage import findings, off_sale

    async def look(services: "Services") -> "tuple[tuple[PaymentIssue, ...], ProviderFacts, int, tuple[OffSale, ...]]":
        mode = services.mode
        wanted = operators.all_payments if everything else operators.payments_to_check
        found = await services.database.read(wanted, services.catalog, mode, services.clock(), limit + 1)
        others = 0 if everything else await services.database.read(findings.count_unrelated, mode)
        unsold = await services.database.read(off_sale.newest, mode, OFF_SALE_SHOWN)
        return found, services.provider.facts, others, unsold

    found, facts, others, unsold = beside_the_server(folder, look, as_json)
    show = reports.payments_in_json if as_json else reports.payments_in_words
    show(found[:limit], len(found) > limit, facts, others, unsold)


@payments.command(epilog='Example: tollkeeper payments dismiss pi_1Abc --note "Paid back in cash"')
def dismiss(
    payment: Annotated[str, WhichPayment],
    note: Annotated[str, WhyEnded],
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Take a payment off the list until something new is found about it. Nobody's access changes."""
    from tollkeeper.operating import operators, reports

    async def take_off(services: "Services") -> "tuple[Noted, ...]":
        mode = services.mode
        return await services.database.write(operators.dismiss, services.catalog, mode, payment, note, services.clock())

    show = reports.dismissed_in_json if as_json else reports.dismissed_in_words
    show(beside_the_server(folder, take_off, as_json), note)


@payments.command(epilog="Example: tollkeeper payments restore pi_1Abc")
def restore(payment: Annotated[str, WhichPayment], folder: Folder = Path(), as_json: Json = False) -> None:
    """Put a dismissed payment back on the list."""
    from tollkeeper.operating import operators

    async def put_back(services: "Services") -> None:
        mode = services.mode
        await services.database.write(operators.restore, mode, payment)

    beside_the_server(folder, put_back, as_json)
    typer.echo(json.dumps({"restored": payment}) if as_json else f"{payment} is back on the list.")
