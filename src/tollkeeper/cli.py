"""The commands."""

import json
import logging
import os
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from tollkeeper.errors import ConfigurationError, TollkeeperError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65534, help="The port to listen on.")]
Folder = Annotated[Path, typer.Option(help="The folder with .env and tollkeeper.toml.", file_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]


def show_version(wanted: bool) -> None:
    """Answer ``--version`` and leave."""
    if wanted:
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
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(1) from error


def report_faults(error: ConfigurationError, as_json: bool) -> None:
    """Every fault: its variable, what is wrong, how to mend it."""
    if as_json:
        faults = [{"variable": f.variable, "problem": f.problem, "remedy": f.remedy} for f in error.faults]
        typer.echo(json.dumps({"ok": False, "faults": faults}, indent=2))
        return
    typer.secho(f"The configuration has {len(error.faults)} fault(s):\n", fg="red", err=True)
    for fault in error.faults:
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
    from platformdirs import user_data_path

    from tollkeeper import demo, logs, server

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
    return f"""
  {typer.style("Tollkeeper demo", bold=True)}: no real money, no real accounts

  Open this        {typer.style(app_url, bold=True, fg="green")}
  Behind it        {sandbox_url}  (payments, customers, events, deliveries)
  Its files        {folder}

{sandbox_words()}
  Ctrl-C stops it.
"""


def sandbox_words() -> str:
    """Who can sign in, and with what to pay."""
    from tollkeeper.sandbox import PEOPLE
    from tollkeeper.sandbox.stripe.cards import SUGGESTED, card_of

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
    from tollkeeper import demo, logs, server
    from tollkeeper.sandbox import CLIENT_ID, CLIENT_SECRET, create_sandbox

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
    from tollkeeper import config, logs, server
    from tollkeeper.app import create_app
    from tollkeeper.storage.database import require_current

    logs.configure(logging.INFO)
    with clear_errors():
        settings = config.load(os.environ, folder)
        require_current(settings.database_url, make=True)

        async def serve_app() -> None:
            servers = server.Servers()
            try:
                await servers.start(server.Listener(create_app(settings), server.listen(host, port)))
                typer.echo(f"Tollkeeper answers on {host}:{port} as {settings.public_url}", err=True)
                await servers.until_told()
            finally:
                await servers.stop()

        server.run(serve_app)


@app.command(epilog="Example: tollkeeper check --json")
def check(folder: Folder = Path(), as_json: Json = False) -> None:
    """Check the settings, and say of every fault how to mend it."""
    from tollkeeper import config

    with clear_errors(as_json):
        settings = config.load(os.environ, folder)
    summary = {
        "ok": True,
        "public_url": settings.public_url,
        "mode": "live" if settings.live else "test",
        "database": "PostgreSQL" if settings.database_url.startswith("postgresql") else "SQLite",
        "sign_in": [issuer.name for issuer in settings.issuers],
        "products": [product.key for product in settings.products],
        "webhooks": bool(settings.stripe.webhook_secrets),
    }
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
        return
    typer.secho("The settings are in order.\n", fg="green")
    for name, value in summary.items():
        if name != "ok":
            typer.echo(f"  {name:<12}{', '.join(value) if isinstance(value, list) else value}")


@app.command(epilog="Example: tollkeeper migrate")
def migrate(folder: Folder = Path(), as_json: Json = False) -> None:
    """Make the database, or bring it to this version's schema."""
    from tollkeeper import config
    from tollkeeper.storage import migrate as migrations

    with clear_errors(as_json):
        before, after = migrations.migrate(config.load(os.environ, folder).database_url)
    if as_json:
        typer.echo(json.dumps({"from": before, "to": after}))
    elif before == after:
        typer.echo(f"The database is at {after} already.")
    else:
        typer.echo(f"The database is now at {after}.")
