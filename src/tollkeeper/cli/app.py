"""What the commands share: their options, how they report errors, and the app that they belong to."""

import asyncio
import json
import logging
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tollkeeper.errors import ConfigurationError, Fault, TollkeeperError
from tollkeeper.words import printable

if TYPE_CHECKING:
    from tollkeeper.billing.reconcile import Services


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


def seconds(duration: str) -> int:
    """A duration such as ``30d``, in seconds. Raises ``ValueError``."""
    found = re.fullmatch(r"([1-9][0-9]{0,3})([hdw])", duration)
    if found is None:
        raise ValueError("not a number of hours, days or weeks, such as 12h, 30d or 8w")
    return int(found[1]) * {"h": 3600, "d": DAY, "w": 7 * DAY}[found[2]]


def words(note: str) -> str:
    """A note on one line. Raises ``ValueError`` if it is empty."""
    if not note.strip():
        raise ValueError("empty")
    return " ".join(note.split())


Host = Annotated[str, typer.Option(help="The address to listen on.")]


Port = Annotated[int, typer.Option(min=1, max=65534, help="The port to listen on.")]


Folder = Annotated[Path, typer.Option(help="The folder with .env and tollkeeper.toml.", file_okay=False)]


Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]


Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")]


Who = typer.Argument(metavar="PERSON", help="An id, or an e-mail address that an issuer verified.", show_default=False)


About = typer.Argument(metavar="PERSON", help="An id, a verified e-mail address, or a full name.", show_default=False)


What = typer.Argument(metavar="PRODUCT", help="The key of a product in the catalog.", show_default=False)


WhichPayment = typer.Argument(
    metavar="PAYMENT", help="The id of a payment, subscription or checkout session.", show_default=False
)


WhyEnded = typer.Option(parser=words, metavar="WHY", help="Why, for anyone who asks later.")


WhyHeld = typer.Option(parser=words, metavar="WHY", help="Why. The person reads it on their account page.")


def show_version(wanted: bool) -> None:
    """Print the version and exit."""
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
    if os.getpid() == 1:
        # Linux hides a signal from the first process of a container unless that handles it (pid_namespaces(7)).
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    app()


@contextmanager
def clear_errors(as_json: bool = False) -> Iterator[None]:
    """Report an error in words instead of a traceback, and exit with status 1."""
    try:
        yield
    except ConfigurationError as error:
        report_faults(error, as_json)
        raise typer.Exit(1) from error
    except TollkeeperError as error:
        typer.secho(printable(str(error)), fg="red", err=True)
        raise typer.Exit(1) from error


def report_faults(error: ConfigurationError, as_json: bool) -> None:
    """Every fault: its variable, what is wrong, how to fix it."""
    if as_json:
        typer.echo(json.dumps({"ok": False, "faults": [asdict(fault) for fault in error.faults]}, indent=2))
        return
    typer.secho(f"The configuration has {len(error.faults)} fault(s):\n", fg="red", err=True)
    list_faults(error.faults)


def list_faults(faults: Iterable[Fault]) -> None:
    """Print each fault for people, on standard error."""
    for fault in faults:
        typer.secho(f"  {fault.variable}", bold=True, err=True)
        typer.echo(f"    {fault.problem}\n    {fault.remedy}\n", err=True)


def beside_the_server(folder: Path, work: "Callable[[Services], Awaitable[T]]", as_json: bool = False) -> T:
    """Do one thing with the services that the settings describe, whether or not a server is running.

    Reports errors in words, and exits.
    """
    with clear_errors(as_json):
        return with_services(folder, work)


def with_services(folder: Path, work: "Callable[[Services], Awaitable[T]]") -> T:
    """The same, but raises ``TollkeeperError``."""
    from tollkeeper.app import open_services
    from tollkeeper.config import load as config
    from tollkeeper.serving import logs

    logs.configure(logging.WARNING)
    settings = config.load(os.environ, folder)

    async def do() -> T:
        async with open_services(settings) as services:
            return await work(services)

    return asyncio.run(do())
