"""The commands."""

import asyncio
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tollkeeper.errors import ConfigurationError, Fault, NotDone, TollkeeperError
from tollkeeper.words import printable

if TYPE_CHECKING:
    from tollkeeper.billing.reconcile import Services
    from tollkeeper.catalog import Catalog
    from tollkeeper.config.config import Config
    from tollkeeper.model import Grant, OffSale
    from tollkeeper.operating.explanations import Case, Explanation
    from tollkeeper.operating.lookup import Found
    from tollkeeper.operating.operators import Reconciliation
    from tollkeeper.storage.findings import Noted

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

setup = typer.Typer(no_args_is_help=True, help="Set up an account at a payment provider.")
app.add_typer(setup, name="setup")

payments = typer.Typer(help="List the payments that need a look, and dismiss them.")
app.add_typer(payments, name="payments")

DAY = 24 * 3600
OFF_SALE_SHOWN = 50

SETUP_EXAMPLES = "\n\n".join(
    [
        "Example: tollkeeper setup stripe --dry-run",
        "where tollkeeper.toml says",
        r"  \[products.pro]",
        '  name = "Pro"',
        '  unlocks = ["dashboard"]',
        '  offers = ["9.99 EUR per month", "99 EUR per year"]',
    ]
)
LIVE_NOT_SAID = (
    "STRIPE_API_KEY is a live key: this would set up the account that takes real money. Say --live if you mean that,"
    " with --dry-run to look first, or use a test key. Nothing was asked or changed."
)
NOT_LIVE = "You said --live, but STRIPE_API_KEY is a test key. Nothing was asked or changed."


def seconds(duration: str) -> int:
    """A time such as ``30d`` in seconds. Raises ``ValueError``."""
    found = re.fullmatch(r"([1-9][0-9]{0,3})([hdw])", duration)
    if found is None:
        raise ValueError("not a number of hours, days or weeks, such as 12h, 30d or 8w")
    return int(found[1]) * {"h": 3600, "d": DAY, "w": 7 * DAY}[found[2]]


def words(note: str) -> str:
    """A note in one line. Raises ``ValueError`` if it says nothing."""
    if not note.strip():
        raise ValueError("empty")
    return " ".join(note.split())


Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65534, help="The port to listen on.")]
Folder = Annotated[Path, typer.Option(help="The folder with .env and tollkeeper.toml.", file_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")]
Who = typer.Argument(metavar="PERSON", help="An id, or an e-mail address that an issuer verified.", show_default=False)
About = typer.Argument(metavar="PERSON", help="An id, a verified e-mail address, or a whole name.", show_default=False)
What = typer.Argument(metavar="PRODUCT", help="A product's key in the catalog.", show_default=False)
WhichPayment = typer.Argument(
    metavar="PAYMENT", help="The id of a payment, subscription or checkout session.", show_default=False
)
WhyEnded = typer.Option(parser=words, metavar="WHY", help="Why, for those who ask later.")
WhyHeld = typer.Option(parser=words, metavar="WHY", help="Why. They read it on their account page.")


def show_version(wanted: bool) -> None:
    """Answer ``--version`` and leave."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tollkeeper {version('tollkeeper')}")
        raise typer.Exit


@app.callback()
def tollkeeper(
    version_: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A visitor signs in, pays on a hosted checkout page, and only paid people get in."""


def main() -> None:
    """The entry point of the ``tollkeeper`` command."""
    app()


@contextmanager
def clear_errors(as_json: bool = False) -> Iterator[None]:
    """End with words instead of a traceback, and with exit status 1."""
    try:
        yield
    except ConfigurationError as error:
        report_faults(error, as_json)
        raise typer.Exit(1) from error
    except TollkeeperError as error:
        typer.secho(printable(str(error)), fg="red", err=True)
        raise typer.Exit(1) from error


def report_faults(error: ConfigurationError, as_json: bool) -> None:
    """Every fault: its variable, what is wrong, how to mend it."""
    if as_json:
        typer.echo(json.dumps({"ok": False, "faults": [asdict(fault) for fault in error.faults]}, indent=2))
        return
    typer.secho(f"The configuration has {len(error.faults)} fault(s):\n", fg="red", err=True)
    list_faults(error.faults)


def list_faults(faults: Iterable[Fault]) -> None:
    """Each fault for people, on standard error."""
    for fault in faults:
        typer.secho(f"  {fault.variable}", bold=True, err=True)
        typer.echo(f"    {fault.problem}\n    {fault.remedy}\n", err=True)


@app.command(epilog="Example: tollkeeper demo --port 4000 --open")
def demo(
    port: Annotated[int, typer.Option(min=1, max=65534, help="The app's port; the sandbox takes the next one.")] = 4000,
    host: Host = "127.0.0.1",
    data: Annotated[
        Path | None, typer.Option(help="Where its files live; a folder of its own if left out.", file_okay=False)
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Forget earlier people and payments first.")] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open a browser.")] = False,
) -> None:
    """Try the whole thing on this machine: no accounts, no internet, no real money."""
    import webbrowser

    from platformdirs import user_data_path

    from tollkeeper import demo
    from tollkeeper.serving import logs, server

    logs.configure(logging.WARNING)
    folder = data or user_data_path("tollkeeper") / "demo"

    def ready(where: demo.Addresses) -> None:
        typer.echo(demo_words(where.app, where.sandbox, folder))
        if open_:
            webbrowser.open(where.app)

    with clear_errors():
        server.run(lambda: demo.run(host, port, folder, ready, forget=reset))
    typer.echo("Stopped. What was paid is kept; start again to go on.")


def demo_words(app_url: str, sandbox_url: str, folder: Path) -> str:
    """What a newcomer needs to know."""
    from tollkeeper import demo as goods

    return f"""
  {typer.style("Tollkeeper demo", bold=True)}: no real money, no real accounts

  Open this        {typer.style(app_url, bold=True, fg="green")}
  Behind it        {sandbox_url}  (payments, customers, events, deliveries)
  Its files        {folder}

  For sale         {goods.ONCE}, paid once; {goods.GOES_ON}, by the month or the year, 14 days free

{sandbox_words()}
  Ctrl-C stops it.
"""


def sandbox_words() -> str:
    """Who can sign in, and with what to pay."""
    from tollkeeper_sandbox import PEOPLE
    from tollkeeper_sandbox.stripe.known.cards import SUGGESTED, card_of

    people = ", ".join(person.name for person in PEOPLE)
    cards = "\n".join(f"    {card_of(number).spaced}   {effect}" for number, effect in SUGGESTED)
    return f"""  Sign in as       {people}, or anybody you make up

  Pay with         any future date, any CVC, any name, and
{cards}
"""


@app.command(epilog="Example: tollkeeper sandbox --port 4001")
def sandbox(
    port: Port = 4001,
    host: Host = "127.0.0.1",
    data: Annotated[
        Path | None, typer.Option(help="Where to keep payments; in memory if left out.", file_okay=False)
    ] = None,
) -> None:
    """Serve the stand-ins for Stripe and for an OpenID Connect issuer alone, for an app in any language."""
    from tollkeeper import demo
    from tollkeeper.serving import logs, server
    from tollkeeper_sandbox import CLIENT_ID, CLIENT_SECRET, create_sandbox

    logs.configure(logging.WARNING)

    async def serve_sandbox() -> None:
        url = demo.addresses(host, port).app
        servers = server.Servers()
        try:
            listening = server.listen(host, port)
            await servers.start(server.Listener(create_sandbox(base_url=url, folder=data), listening))
            typer.echo(f"""
  {typer.style("Sandbox", bold=True)}: stand-ins for Stripe and an OpenID Connect issuer

  Control page     {typer.style(url, bold=True, fg="green")}
  Stripe API       {url}  with any key that begins with sk_test_
  Issuer           {url}/identity  client {CLIENT_ID}, secret {CLIENT_SECRET}

{sandbox_words()}
  Ctrl-C stops it.
""")
            await servers.until_told()
        finally:
            await servers.stop()

    with clear_errors():
        server.run(serve_sandbox)


@app.command(epilog="Example: tollkeeper serve --host 127.0.0.1 --port 8000")
def serve(host: Host = "127.0.0.1", port: Port = 8000, folder: Folder = Path()) -> None:
    """Serve the app with the settings of the environment, .env and tollkeeper.toml."""
    from tollkeeper.app import create_app, open_services
    from tollkeeper.config import load as config
    from tollkeeper.serving import logs, server

    logs.configure(logging.INFO)
    with clear_errors():
        settings = config.load(os.environ, folder)

        async def serve_app() -> None:
            listening = server.listen(host, port)
            servers = server.Servers()
            # Opened here, so that whatever is wrong with the database is told in words.
            async with open_services(settings) as services:
                try:
                    app = create_app(settings, open_services=lambda *_: nullcontext(services))
                    await servers.start(server.Listener(app, listening))
                    typer.echo(f"Tollkeeper answers on {host}:{port} as {settings.base_url}", err=True)
                    await servers.until_told()
                finally:
                    await servers.stop()

        server.run(serve_app)


@app.command(epilog="Example: tollkeeper check --json")
def check(folder: Folder = Path(), as_json: Json = False) -> None:
    """Check the settings, and say of every fault how to mend it; and what cannot be sold at the moment, and why."""
    from tollkeeper.config import load as config
    from tollkeeper.operating import reports
    from tollkeeper.wording import off_sale as wording_off_sale

    with clear_errors(as_json):
        settings = config.load(os.environ, folder)
    unsold, trouble = off_sale_now(settings)
    summary = {
        "ok": True,
        "public_url": settings.base_url,
        "mode": "live" if settings.live else "test",
        "database": "PostgreSQL" if settings.database_url.startswith("postgresql") else "SQLite",
        "sign_in": [issuer.name for issuer in settings.issuers],
        "products": [product.key for product in settings.products],
        "webhooks": bool(settings.stripe.webhook_secrets),
    }
    if as_json:
        listed = None if unsold is None else [wording_off_sale.in_json(one) for one in unsold]
        warnings = [asdict(one) for one in settings.warnings]
        typer.echo(json.dumps({**summary, "warnings": warnings, "off_sale": listed}, indent=2))
        return
    typer.secho("The settings are in order.\n", fg="green")
    for name, value in summary.items():
        if name != "ok":
            typer.echo(f"  {name:<12}{', '.join(value) if isinstance(value, list) else value}")
    if settings.warnings:
        typer.secho("\nBut look at this:\n", fg="yellow", err=True)
        list_faults(settings.warnings)
    if unsold is None:
        typer.secho(f"\n{wording_off_sale.not_known(printable(trouble))}", fg="yellow")
    elif unsold:
        typer.echo("")
        reports.off_sale_in_words(unsold)


def off_sale_now(settings: "Config") -> "tuple[tuple[OffSale, ...] | None, str]":
    """What cannot be sold, as the server keeps it; or None, and why that cannot be read. Asks no provider."""
    from tollkeeper.app import open_services
    from tollkeeper.serving import logs
    from tollkeeper.storage import off_sale

    logs.configure(logging.WARNING)

    async def look() -> "tuple[OffSale, ...]":
        async with open_services(settings) as services:
            return await services.database.read(
                off_sale.newest, services.provider.name, services.provider.live, OFF_SALE_SHOWN
            )

    try:
        return asyncio.run(look()), ""
    except TollkeeperError as error:
        return None, str(error)


@app.command(epilog="Example: tollkeeper migrate")
def migrate(folder: Folder = Path(), as_json: Json = False) -> None:
    """Make the database, or bring it to this version's schema."""
    from tollkeeper.config import load as config
    from tollkeeper.storage import migrate as migrations

    with clear_errors(as_json):
        before, after = migrations.migrate(config.load(os.environ, folder).database_url)
    if as_json:
        typer.echo(json.dumps({"from": before, "to": after}))
    elif before == after:
        typer.echo(f"The database is at {after} already.")
    else:
        typer.echo(f"The database is now at {after}.")


@setup.command("stripe", epilog=SETUP_EXAMPLES)
def setup_stripe(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, and say what would be done.")] = False,
    live: Annotated[
        bool, typer.Option("--live", help="The key is a live one, and meant: real money is taken.")
    ] = False,
    new_endpoint: Annotated[
        bool, typer.Option("--new-endpoint", help="Make another webhook endpoint, for a secret that was lost.")
    ] = False,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Make at Stripe what tollkeeper.toml sells, and say which settings to use.

    Products, prices, the webhook endpoint, the billing portal's configuration.

    What is there already is used: running it again changes nothing.

    Nothing is ever deleted or archived at Stripe, nor written to disk here.
    """
    from tollkeeper.app import set_up_stripe
    from tollkeeper.config import load as config
    from tollkeeper.operating import reports

    with clear_errors(as_json):
        wishes = config.load_wishes(os.environ, folder)
        if wishes.stripe.live != live:
            raise NotDone(LIVE_NOT_SAID if wishes.stripe.live else NOT_LIVE)
        done = asyncio.run(set_up_stripe(wishes, dry_run=dry_run, new_endpoint=new_endpoint))
    show = reports.set_up_in_json if as_json else reports.set_up_in_words
    show(done, dry_run=dry_run)
    if done.trouble is not None:
        raise typer.Exit(1)


def beside_the_server(folder: Path, work: "Callable[[Services], Awaitable[T]]", as_json: bool = False) -> T:
    """Do one thing with the services that the settings lead to, whether or not a server runs."""
    from tollkeeper.app import open_services
    from tollkeeper.config import load as config
    from tollkeeper.serving import logs

    logs.configure(logging.WARNING)
    with clear_errors(as_json):
        settings = config.load(os.environ, folder)

        async def do() -> T:
            async with open_services(settings) as services:
                return await work(services)

        return asyncio.run(do())


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
    """Say why somebody may or may not use each feature, and everything that this rests on."""
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
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="To the end of that day, UTC.")
    ] = None,
    lasting: Annotated[
        int | None, typer.Option("--for", parser=seconds, metavar="TIME", help="Such as 12h, 30d or 8w.")
    ] = None,
    payment: Annotated[
        str | None, typer.Option(help="The payment that this is for, of those that `tollkeeper payments` lists.")
    ] = None,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Let somebody use a product, for good or for a time, without a purchase here."""
    from tollkeeper.operating import operators, reports

    if until and lasting:
        raise typer.BadParameter("Say --until or --for, not both.")
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
    """End what somebody holds of a product, paid or granted, whatever the provider says of the payment."""
    from tollkeeper.operating import operators, reports

    show = reports.revoked_in_json if as_json else reports.revoked_in_words
    show(*beside_the_server(folder, lambda services: operators.revoke(services, person, product, note=note), as_json))


@app.command(epilog='Example: tollkeeper end sub_1Abc --note "The dispute was lost"')
def end(
    subscription: Annotated[str, typer.Argument(help="The provider's id of the subscription.", show_default=False)],
    note: Annotated[str, WhyEnded],
    at_period_end: Annotated[
        bool, typer.Option("--at-period-end", help="When what is paid runs out, not at once.")
    ] = False,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """End a subscription at the provider, so that it takes no more money. Nothing is paid back."""
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
        str | None, typer.Option(metavar="PRODUCT", help="What it is for, where the catalog does not know its price.")
    ] = None,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Tie what somebody bought elsewhere on the account to a person. From then on it follows the provider."""
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
        bool, typer.Option("--all", help="Those that were dismissed too, and other sales on the account.")
    ] = False,
    limit: Limit = 50,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """List the payments that gave no access, or paid for the same thing again, and what to do about each."""
    if context.invoked_subcommand is not None:
        return
    from tollkeeper.operating import operators, reports
    from tollkeeper.storage import findings, off_sale

    async def look(services: "Services") -> "tuple[tuple[Case, ...], int, tuple[OffSale, ...]]":
        mode = (services.provider.name, services.provider.live)
        wanted = operators.all_payments if everything else operators.payments_to_check
        found = await services.database.read(wanted, services.catalog, *mode, services.clock(), limit + 1)
        others = 0 if everything else await services.database.read(findings.count_unrelated, *mode)
        return found, others, await services.database.read(off_sale.newest, *mode, OFF_SALE_SHOWN)

    found, others, unsold = beside_the_server(folder, look, as_json)
    show = reports.payments_in_json if as_json else reports.payments_in_words
    show(found[:limit], len(found) > limit, others, unsold)


@payments.command(epilog='Example: tollkeeper payments dismiss pi_1Abc --note "Paid back in cash"')
def dismiss(
    payment: Annotated[str, WhichPayment],
    note: Annotated[str, WhyEnded],
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Take a payment off the list, until something new is found of it. Nobody's access changes."""
    from tollkeeper.operating import operators, reports

    async def take_off(services: "Services") -> "tuple[Noted, ...]":
        mode = (services.provider.name, services.provider.live)
        return await services.database.write(
            operators.dismiss, services.catalog, *mode, payment, note, services.clock()
        )

    show = reports.dismissed_in_json if as_json else reports.dismissed_in_words
    show(beside_the_server(folder, take_off, as_json), note)


@payments.command(epilog="Example: tollkeeper payments restore pi_1Abc")
def restore(payment: Annotated[str, WhichPayment], folder: Folder = Path(), as_json: Json = False) -> None:
    """Put a payment that was dismissed back on the list."""
    from tollkeeper.operating import operators

    async def put_back(services: "Services") -> None:
        mode = (services.provider.name, services.provider.live)
        await services.database.write(operators.restore, *mode, payment)

    beside_the_server(folder, put_back, as_json)
    typer.echo(json.dumps({"restored": payment}) if as_json else f"{payment} is on the list again.")


@app.command(epilog="Example: tollkeeper events --failed")
def events(
    failed: Annotated[bool, typer.Option("--failed", help="Only those that could not be handled so far.")] = False,
    limit: Limit = 50,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """List the events in the inbox, the last one first."""
    from tollkeeper.operating import reports
    from tollkeeper.storage import events

    found = beside_the_server(
        folder,
        lambda services: services.database.read(
            events.newest, services.provider.name, services.provider.live, limit + 1, failed=failed
        ),
        as_json,
    )
    show = reports.events_in_json if as_json else reports.events_in_words
    show(found[:limit], more=len(found) > limit)


@app.command(epilog="Example: tollkeeper replay --failed")
def replay(
    event_ids: Annotated[
        list[str] | None, typer.Argument(metavar="EVENT_ID...", help="The provider's ids.", show_default=False)
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that could not be handled so far.")] = False,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Have the server handle events once more, as if they had just come."""
    from tollkeeper.operating import operators
    from tollkeeper.storage import events

    if bool(event_ids) == failed:
        raise typer.BadParameter("Name events, or say --failed.")

    async def make_due(services: "Services") -> tuple[str, ...]:
        where, at = (services.provider.name, services.provider.live), services.clock()
        if event_ids:
            return await services.database.write(operators.replay, *where, event_ids, at)
        return await services.database.write(events.replay_failed, *where, at)

    due = beside_the_server(folder, make_due, as_json)
    if as_json:
        typer.echo(json.dumps({"replayed": due}))
    else:
        typer.echo("\n".join([f"{len(due)} event(s) due again", *due]))


@app.command(epilog="Example: tollkeeper reconcile alice@example.com")
def reconcile(
    person: Annotated[str | None, Who] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody who ever began to buy.")] = False,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Ask the provider now what was bought, and say what that changed."""
    from tollkeeper.operating import operators, reports

    if bool(person) == everybody:
        raise typer.BadParameter("Name a person, or say --all.")

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
