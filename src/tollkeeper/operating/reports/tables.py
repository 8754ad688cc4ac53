"""Tables that fit the terminal, and JSON."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tollkeeper.words import iso, printable

# Wide enough that no line is broken where no terminal says how wide it is: a file, or another program.
WIDTH = 300


def mention_more(more: bool) -> None:
    if more:
        say("There are more: raise --limit, or narrow the search.")


def section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    if rows:
        say(title, style="bold")
        print_table(columns, rows)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    """A table where the terminal is wide enough for it; else each row by itself, a line for each cell."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell or "")) for cell in row))
    console = _console()
    if Measurement.get(console, console.options.update(max_width=WIDTH), table).maximum <= console.width:
        console.print(table)
        return
    for row in rows:
        console.print(_as_list(columns, row))


def _as_list(columns: Sequence[str], row: Sequence[str | None]) -> Table:
    lines = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    lines.add_column(no_wrap=True, style="dim", width=max(map(len, columns)))
    lines.add_column(overflow="fold")
    for name, cell in zip(columns, row, strict=True):
        if cell:
            lines.add_row(name, Text(printable(cell)))
    lines.add_row("", "")
    return lines


def say(words: str, style: str = "") -> None:
    _console().print(Text(printable(words), style=style), soft_wrap=True)


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


def print_json(data: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


def iso_or_none(at: int | None) -> str | None:
    return None if at is None else iso(at)
