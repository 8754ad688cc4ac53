"""Commands before the first start: check the settings, create the database, set up an account at a provider."""

import asyncio
import json
import logging
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.config.providers import PROVIDERS
from tollkeeper.errors import NotDone, TollkeeperError
from tollkeeper.model.checks import Level
from tollkeeper.providers.protocol import ProviderKind
from tollkeeper.words import printable

if TYPE_CHECKING:
    from tollkeeper.config.config import Config
    from tollkeeper.config.files import Change, Lines, Written
    from tollkeeper.model.selling import OffSale
    from tollkeeper.storage.migrate import Plan

from tollkeeper.cli.app import Folder, Json, app, clear_errors, list_faults, setup

OFF_SALE_SHOWN = 50


SETUP_EXAMPLES = "\n\n".join(
    [
        "Example: tollkeeper setup {name} --dry-run",
        "where tollkeeper.toml says",
        r"  \[products.pro]",
        '  name = "Pro"',
        '  unlocks = ["dashboard"]',
        '  offers = ["9.99 EUR per month", "99 EUR per year"]',
    ]
)


LIVE_NOT_SAID = (
    "{key} is a live key: this would set up the account that takes real money. Add --live if you mean that,"
    " with --dry-run to look first, or use a test key. The provider was not called, and nothing was changed."
)


NOT_LIVE = "You used --live, but {key} is a test key. The provider was not called, and nothing was changed."


@app.command(epilog="Example: tollkeeper check --online")
def check(
    online: Annotated[
        bool, typer.Option("--online", help="Also ask the provider, the issuers, PUBLIC_URL and the database.")
    ] = False,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Check the settings, and say how to fix each error. Also list what cannot be sold at the moment, and why."""
    from tollkeeper.config import load as config
    from tollkeeper.operating import reports
    from tollkeeper.wording import off_sale as wording_off_sale

    with clear_errors(as_json):
        settings = config.load(os.environ, folder)
    checked = None
    if online:
        from tollkeeper.cli.online import ask_everybody

        checked = ask_everybody(settings, quiet=as_json)
    unsold, trouble = off_sale_now(settings)
    facts = settings.providers[0].kind.facts
    summary = {
        "ok": True,
        "public_url": settings.base_url,
        "mode": "live" if settings.live else "test",
        "database": "PostgreSQL" if settings.database_url.startswith("postgresql") else "SQLite",
        "sign_in": [issuer.name for issuer in settings.issuers],
        "products": [product.key for product in settings.products],
        "webhooks": any(one.settings.receives_webhooks for one in settings.providers),
    }
    if as_json:
        listed = None if unsold is None else [wording_off_sale.in_json(one, facts.remedies) for one in unsold]
        warnings = [asdict(one) for one in settings.warnings]
        told = None if checked is None else reports.checks_in_json(checked)
        summary["ok"] = told is None or told["ok"]
        typer.echo(json.dumps({**summary, "warnings": warnings, "off_sale": listed, "online": told}, indent=2))
        if not summary["ok"]:
            raise typer.Exit(1)
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
        reports.off_sale_in_words(unsold, facts)
    typer.echo("")
    if checked is None:
        typer.echo(f"Nobody was asked: not {facts.title}, not the issuers, not PUBLIC_URL. Add --online to ask them.")
        return
    reports.checks_in_words(checked)
    if checked.of(Level.FAULT):
        raise typer.Exit(1)


def off_sale_now(settings: "Config") -> "tuple[tuple[OffSale, ...] | None, str]":
    """What cannot be sold, as the server stored it; or None, and why that cannot be read. Calls no provider."""
    from tollkeeper.app import open_services
    from tollkeeper.serving import logs
    from tollkeeper.storage import off_sale

    logs.configure(logging.WARNING)

    async def look() -> "tuple[OffSale, ...]":
        async with open_services(settings) as services:
            return await services.database.read(off_sale.newest, services.mode, OFF_SALE_SHOWN)

    try:
        return asyncio.run(look()), ""
    except TollkeeperError as error:
        return None, str(error)


@app.command(epilog="Example: tollkeeper migrate --dry-run")
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; only say what would be done.")] = False,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Keep no copy of the SQLite file.")] = False,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Create the database, or upgrade it to this version's schema. First say what that means.

    An upgrade of a SQLite file first keeps a backup of it beside it.
    """
    from tollkeeper.config import load as config
    from tollkeeper.storage import migrate as migrations

    with clear_errors(as_json):
        url = config.load(os.environ, folder).database_url
        plan = migrations.plan(url, datetime.now(UTC))
        keep = None if no_backup else plan.backup
        if not as_json:
            typer.echo(planned(plan, keep))
        before, after = (plan.before, plan.after) if dry_run else migrations.migrate(url, keep=keep)
    kept = keep if keep is not None and keep.exists() else None
    if as_json:
        steps = [{"revision": revision, "adds": adds} for revision, adds in plan.steps]
        told = {"from": before, "to": after, "steps": steps, "backup": str(kept) if kept else None, "dry_run": dry_run}
        typer.echo(json.dumps(told))
    elif plan.steps and not dry_run:
        typer.echo(f"The database is now at {after}.{f' The backup is {kept}.' if kept else ''}")


def planned(plan: "Plan", keep: Path | None) -> str:
    """What ``migrate`` will do, in words."""
    if not plan.steps:
        return f"The database is already at {plan.before}."
    if plan.before is None:
        return f"There is no database yet. It will be created at {plan.after}."
    steps = [f"  {revision}  {adds}" for revision, adds in plan.steps]
    first = "No backup will be made: a way back needs one (tollkeeper backup FILE)."
    if keep is not None:
        first = f"First, a backup is written to {keep}."
    return "\n".join([f"The database is at {plan.before}, and will be brought to {plan.after}:", *steps, first])


def see_that_it_can_write(folder: Path, yes: bool, as_json: bool) -> None:
    """Before the provider is called: it tells secrets once, and they need somewhere to go. Raises ``NotDone``."""
    from tollkeeper.config import files

    if not yes and (as_json or not sys.stdin.isatty()):
        raise NotDone("--write asks before it writes, and there is no terminal to ask at. Add --yes.")
    files.see_writable(folder)


def write_lines(lines: "Lines", folder: Path, provider: ProviderKind, yes: bool, as_json: bool) -> "Written":
    """Show what would change, ask, write it. What is not written is printed to copy, so that no secret is lost."""
    from tollkeeper.config import files
    from tollkeeper.operating import reports

    def agree(changes: "tuple[Change, ...]") -> bool:
        if not as_json:
            reports.differences_in_words(changes)
        return yes or typer.confirm("Write this?")

    written = files.write_lines(lines, folder, os.environ, agree)
    if not as_json:
        reports.written_in_words(written, provider)
    return written


def set_up_command(provider: ProviderKind) -> None:
    """Add ``tollkeeper setup NAME`` for a provider."""

    def set_up(
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Change nothing; only say what would be done.")
        ] = False,
        live: Annotated[
            bool, typer.Option("--live", help="Confirm that you mean to use a live key, which takes real money.")
        ] = False,
        new_endpoint: Annotated[
            bool,
            typer.Option(
                "--new-endpoint", help="Create another webhook endpoint, if the secret of the first was lost."
            ),
        ] = False,
        write: Annotated[
            bool, typer.Option("--write", help="Write ids and secrets into .env and tollkeeper.toml, and ask first.")
        ] = False,
        yes: Annotated[bool, typer.Option("--yes", help="With --write: do not ask.")] = False,
        folder: Folder = Path(),
        as_json: Json = False,
    ) -> None:
        from tollkeeper.config import files
        from tollkeeper.config import load as config
        from tollkeeper.operating import reports

        if dry_run and write:
            raise typer.BadParameter("Use --dry-run or --write, not both.")
        with clear_errors(as_json):
            wishes = config.load_wishes(os.environ, folder, provider)
            if wishes.provider.settings.live != live:
                raise NotDone((LIVE_NOT_SAID if wishes.provider.settings.live else NOT_LIVE).format(key=provider.key))
            if write:
                see_that_it_can_write(folder, yes, as_json)
            done = asyncio.run(
                wishes.provider.set_up(wishes.base_url, wishes.products, dry_run=dry_run, new_endpoint=new_endpoint)
            )
            lines = files.lines_to_set(done, wishes)
        if not as_json:
            reports.set_up_in_words(done, provider, dry_run=dry_run)
        written = write_lines(lines, folder, provider, yes, as_json) if write else None
        if as_json:
            reports.set_up_in_json(done, lines, written, dry_run=dry_run)
        elif written is None:
            reports.lines_in_words(files.not_set(lines, folder), provider)
        if done.trouble is not None or (written and written.trouble is not None):
            raise typer.Exit(1)

    title = provider.facts.title
    about = [
        f"Create at {title} what tollkeeper.toml sells, and say which settings to use.",
        "Products, prices, the webhook endpoint, the billing portal's configuration.",
        "It uses what is there already: running it again changes nothing.",
        f"It never deletes or archives anything at {title}. It writes to disk here only with --write.",
    ]
    setup.command(provider.name, help="\n\n".join(about), epilog=SETUP_EXAMPLES.format(name=provider.name))(set_up)


for one in PROVIDERS:
    set_up_command(one)
