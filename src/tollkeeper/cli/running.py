"""Commands that run something: the demo, the sandbox, the server."""

import asyncio
import logging
import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.cli.app import Folder, Host, Port, app, clear_errors

if TYPE_CHECKING:
    from tollkeeper.demo import Addresses


@app.command(epilog="Example: tollkeeper demo --port 4000 --open")
def demo(
    port: Annotated[
        int, typer.Option(min=1, max=65533, help="The app's port; the next two are the sandbox's and the gated app's.")
    ] = 4000,
    host: Host = "127.0.0.1",
    data: Annotated[
        Path | None, typer.Option(help="Where its files are kept; by default a folder of its own.", file_okay=False)
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Delete earlier people and payments first.")] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open a browser.")] = False,
) -> None:
    """Try everything on this machine: no accounts, no internet, no real money."""
    import webbrowser

    from platformdirs import user_data_path

    from tollkeeper import demo
    from tollkeeper.serving import logs, server

    logs.configure(logging.WARNING)
    folder = data or user_data_path("tollkeeper") / "demo"

    def ready(where: demo.Addresses) -> None:
        typer.echo(demo_words(where, folder))
        if open_:
            webbrowser.open(where.app)

    with clear_errors():
        server.run(lambda: demo.run(host, port, folder, ready, forget=reset))
    typer.echo("Stopped. All payments are kept; start again to continue.")


def demo_words(where: "Addresses", folder: Path) -> str:
    """What a new user needs to know."""
    from tollkeeper import demo as goods

    return f"""
  {typer.style("Tollkeeper demo", bold=True)}: no real money, no real accounts

  Open this        {typer.style(where.app, bold=True, fg="green")}
  Behind the gate  {where.gated}  (another app, which opens only after payment)
  Control page     {where.sandbox}  (payments, refunds, events, time, reset)
  Its files        {folder}

  For sale         {goods.ONCE}, paid once; {goods.GOES_ON}, monthly or yearly, 14 days free

{sandbox_words()}
  Ctrl-C stops it.
"""


def sandbox_words() -> str:
    """Who can sign in, and which cards to pay with."""
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
        Path | None, typer.Option(help="Where to keep payments; by default in memory.", file_okay=False)
    ] = None,
) -> None:
    """Serve only the stand-ins for Stripe and for an OpenID Connect issuer, for an app in any language."""
    from tollkeeper import demo
    from tollkeeper.serving import logs, server
    from tollkeeper_sandbox import CLIENT_ID, CLIENT_SECRET, create_sandbox

    logs.configure(logging.WARNING)

    async def serve_sandbox() -> None:
        url = demo.addresses(host, port).app
        servers = server.Servers()
        try:
            listening = server.listen(host, port)
            app = create_sandbox(base_url=url, folder=data)
            await servers.start(server.Listener(app, listening, dated=False))
            typer.echo(f"""
  {typer.style("Sandbox", bold=True)}: stand-ins for Stripe and an OpenID Connect issuer

  Control page     {typer.style(url, bold=True, fg="green")}
  Stripe API       {url}  with any key that begins with sk_test_
  Issuer           {url}/identity  client {CLIENT_ID}, secret {CLIENT_SECRET}

{sandbox_words()}
  Ctrl-C stops it.
""")
            await servers.until_stopped()
        finally:
            await servers.stop()

    with clear_errors():
        server.run(serve_sandbox)


@app.command(epilog="Example: tollkeeper serve --host 127.0.0.1 --port 8000")
def serve(host: Host = "127.0.0.1", port: Port = 8000, folder: Folder = Path()) -> None:
    """Serve the app with the settings from the environment, .env and tollkeeper.toml."""
    import structlog

    from tollkeeper.app import create_app, open_services
    from tollkeeper.config import load as config
    from tollkeeper.operating.catch_up import warn_if_behind
    from tollkeeper.readiness.watch import Watch
    from tollkeeper.serving import logs, server

    logs.configure(logging.INFO)
    with clear_errors():
        settings = config.load(os.environ, folder)
        log = structlog.get_logger()
        for warning in settings.warnings:
            log.warning("look at this setting", setting=warning.variable, reason=warning.problem, advice=warning.remedy)

        async def serve_app() -> None:
            listening = server.listen(host, port)
            servers = server.Servers()
            # Opened here, so that any problem with the database is reported in words.
            async with open_services(settings) as services:
                await warn_if_behind(services)
                watch = Watch(settings, services.clock, services.metrics)
                watching = None
                try:
                    app = create_app(settings, open_services=lambda *_: nullcontext(services), watch=watch)
                    await servers.start(server.Listener(app, listening))
                    watching = asyncio.create_task(watch.run())
                    typer.echo(f"Tollkeeper listens on {host}:{port} as {settings.base_url}", err=True)
                    await servers.until_stopped()
                finally:
                    if watching is not None:
                        watching.cancel()
                        await asyncio.wait({watching})
                    await servers.stop()

        server.run(serve_app)
