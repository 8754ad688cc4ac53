"""Commands that back the database up, and restore it."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollkeeper.cli.app import Folder, Json, app, clear_errors, with_services
from tollkeeper.errors import ProviderRefused, ProviderUnavailable, StorageBusy
from tollkeeper.words import iso, printable

if TYPE_CHECKING:
    from tollkeeper.operating.catch_up import CaughtUp, Progress
    from tollkeeper.storage.backup import Backup
    from tollkeeper.storage.restore import Restored


@app.command(epilog="Example: tollkeeper backup /var/backups/tollkeeper/today.backup")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.", dir_okay=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Back the database up while the server runs, and prove that the copy is complete.

    The file contains people's names and e-mail addresses: keep it where only you can read it. For PostgreSQL this needs
    pg_dump, of the server's version or a newer one.
    """
    from tollkeeper.config import load as config
    from tollkeeper.storage.backup import back_up

    with clear_errors(as_json):
        url = config.load(os.environ, folder).database_url
        with progress_shown() as progress:
            made = back_up(url, file, force=force, progress=progress)
    if as_json:
        typer.echo(json.dumps(backup_json(made), indent=2))
        return
    rows = sum(made.tables.values())
    typer.echo(f"Backed up to {file}: {made.size} bytes, {rows} rows in {len(made.tables)} tables, read and counted.")


def backup_json(made: "Backup") -> dict[str, Any]:
    """A backup for machines."""
    return {**asdict(made), "file": str(made.file)}


@app.command(
    epilog="Example: tollkeeper restore /var/backups/tollkeeper/today.backup\n\n"
    "Example: tollkeeper restore --catch-up --since 2026-11-23"
)
def restore(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A backup.", dir_okay=False, show_default=False)
    ] = None,
    catch_up: Annotated[
        bool, typer.Option("--catch-up", help="Only catch up: continue, or after restoring in another way.")
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"],
            metavar="TIME",
            help="When the backup was taken, UTC; by default the time of the last thing that it knows.",
        ),
    ] = None,
    folder: Folder = Path(),
    as_json: Json = False,
) -> None:
    """Restore a backup into a new database, then catch up with what the provider knows since.

    DATABASE_URL must name a SQLite file that does not exist, or an empty PostgreSQL database. Everybody has to sign in
    again.
    """
    if (file is None) != catch_up:
        raise typer.BadParameter("Name a backup, or use --catch-up.")
    begin = int(since.replace(tzinfo=UTC).timestamp()) if since else None
    told: dict[str, Any] = {}
    if file is not None:
        told["restored"] = _restore(file, begin, folder, as_json)
    with clear_errors(as_json), continuing():
        done = _catch_up(begin, folder)
    told["caught_up"] = {**asdict(done), "since": iso(done.since), "until": iso(done.until)}
    if as_json:
        typer.echo(json.dumps({"ok": not done.trouble, **told}, indent=2))
    else:
        typer.echo(caught_up_words(done))
    if done.trouble:
        typer.secho(AGAIN, fg="red", err=True)
        raise typer.Exit(1)


@contextmanager
def continuing() -> Iterator[None]:
    """Says how to continue, if an error ends the work."""
    try:
        yield
    except (ProviderUnavailable, ProviderRefused, StorageBusy):
        typer.secho(AGAIN, fg="red", err=True)
        raise


AGAIN = "Not everything is caught up with yet. Run `tollkeeper restore --catch-up` to continue."


def _restore(file: Path, since: int | None, folder: Path, as_json: bool) -> dict[str, Any]:
    from tollkeeper.app import now
    from tollkeeper.config import load as config
    from tollkeeper.storage.restore import restore as restore_file

    with clear_errors(as_json):
        url = config.load(os.environ, folder).database_url
        with progress_shown() as progress:
            made = restore_file(url, file, now(), since=since, progress=progress)
    if not as_json:
        typer.echo(restored_words(file, made))
    return {**asdict(made), "file": str(file), "gap": {"since": iso(made.gap.since), "until": iso(made.gap.until)}}


def restored_words(file: Path, made: "Restored") -> str:
    """What was restored."""
    rows = sum(made.tables.values())
    upgraded = "" if made.before == made.after else f" The schema was upgraded from {made.before} to {made.after}."
    since = f"The last thing it knows is of {iso(made.gap.since)}." if made.gap.since else "It knows of nothing yet."
    return f"Restored {file}: {rows} rows in {len(made.tables)} tables.{upgraded} {since}"


def _catch_up(since: int | None, folder: Path) -> "CaughtUp":
    from tollkeeper.operating.catch_up import catch_up as caught_up

    with progress_shown() as progress:
        return with_services(folder, lambda services: caught_up(services, progress, since))


def caught_up_words(done: "CaughtUp") -> str:
    """What catching up did."""
    lines = [
        f"Caught up from {iso(done.since)} to {iso(done.until)}:",
        f"  {done.customers} customer(s) were not known, of {done.people} new people",
        f"  {done.deleted} account(s) that were deleted in that time are deleted again",
        f"  {done.events} event(s) read",
        f"  {done.reconciled} customer(s) reconciled, {done.changes} change(s) of what people hold",
        *(f"  Trouble: {printable(one)}" for one in done.trouble),
    ]
    return "\n".join(lines)


@contextmanager
def progress_shown() -> "Iterator[Progress]":
    """Show on a terminal how far long work has come."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as shown:
        task = shown.add_task("", total=None)

        def report(stage: str, done: int, total: int | None) -> None:
            words = stage if total is not None or not done else f"{stage}: {done}"
            shown.update(task, description=words, completed=done, total=total)

        yield report
