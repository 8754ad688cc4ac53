"""What was set up at a provider, and what was written because of it."""

import json
from collections.abc import Iterable

from tollkeeper.config.files import Change, Lines, Written, difference
from tollkeeper.operating.reports.tables import print_json, say
from tollkeeper.providers.protocol import ProviderKind, SetUp

DONE = {"make": "made", "change": "changed"}
COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def set_up_in_words(done: SetUp, provider: ProviderKind, *, dry_run: bool) -> None:
    """What was created, and what else to know."""
    say(f"{provider.facts.title} account {done.account}, {'live' if done.live else 'test'} mode\n", style="bold")
    for step in done.steps:
        verb = f"would {step.action}" if dry_run else DONE[step.action]
        say(f"  {verb} {step.what}  {step.words}{'' if step.id is None else f'  {step.id}'}")
    if done.trouble is None:
        say("" if done.steps else "Everything is already there: nothing was changed.\n", style="green")
    else:
        say(f"{done.trouble}\n", style="red")
        say("Fix that, then run the command again: it finds what was created, and creates nothing twice.\n")
    if dry_run and done.steps:
        say("Nothing was changed: this is what would be done without --dry-run.\n")
    for notice in done.notices:
        say(f"* {notice}\n")


def lines_in_words(lines: Lines, provider: ProviderKind) -> None:
    """Lines to copy, with nothing before or after them. They contain no table's head, which may stand only once."""
    for key, lists in lines.products.items():
        names = " and ".join(", ".join(lists).rsplit(", ", 1))
        where = (
            f"In tollkeeper.toml, directly below the line [products.{key}], in place of any earlier lines for {names}:"
        )
        say(f"{where}\n", style="bold")
        say("".join(f"{name} = {json.dumps(items)}\n" for name, items in lists.items()))
    for name, value in lines.variables.items():
        say(f"In .env, or where you keep secrets, in place of any earlier line for {name}.", style="bold")
        say(f"{provider.facts.title} shows this only once:\n", style="bold")
        say(f"{name}={value}\n")


def differences_in_words(changes: Iterable[Change]) -> None:
    """The difference that each change makes, with secrets masked."""
    for change in changes:
        for line in difference(change):
            say(line, style=COLOURS.get(line[:1], ""))
        say("")


def written_in_words(written: Written, provider: ProviderKind) -> None:
    """Which files were written, and the lines that were not."""
    if written.files:
        say(f"Written: {', '.join(map(str, written.files))}\n", style="green")
        say("Restart the server if it runs.")
    elif written.left == Lines({}, {}):
        say("The files are up to date: nothing was written.", style="green")
    if written.trouble is not None:
        say(f"{written.trouble}\n", style="red")
    lines_in_words(written.left, provider)


def set_up_in_json(done: SetUp, lines: Lines, written: Written | None, *, dry_run: bool) -> None:
    """The same for machines. Secrets that were written are not shown."""
    secrets = lines.variables if written is None else written.left.variables
    trouble = done.trouble or (written.trouble if written else None)
    steps = [{"action": one.action, "what": one.what, "words": one.words, "id": one.id} for one in done.steps]
    print_json(
        {
            "ok": trouble is None,
            "dry_run": dry_run,
            "account": done.account,
            "mode": "live" if done.live else "test",
            "steps": steps,
            "trouble": trouble,
            "notices": done.notices,
            "settings": {"products": lines.products, **secrets},
            **({} if written is None else {"written": [path.name for path in written.files]}),
        }
    )
