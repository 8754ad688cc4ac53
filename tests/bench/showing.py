"""The results: a table for people, JSON for machines."""

import json
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from tests.bench.gate import BASE, WEBHOOK_CASES, Findings, effort, p50, p99, rate


def in_json(found: Findings) -> str:
    """Everything, with the figures of each round."""
    cases = {
        name: _figures(found, name) | {"rounds": [asdict(load) for load in found.loads[name]]} for name in found.loads
    }
    targets = [asdict(target) | {"reached": target.reached} for target in found.targets]
    return json.dumps({"cases": cases, "figures": found.figures, "targets": targets}, indent=2) + "\n"


def show(found: Findings, console: Console) -> None:
    """The tables."""
    if found.loads:
        cases = _table("", "answers/s", "to bare", "CPU µs", "p50 ms", "p99 ms", "p99 to bare")
        for name in found.loads:
            figures = _figures(found, name)
            cases.add_row(name, *(_number(figures[column]) for column in figures))
        console.print(cases)
    if found.figures:
        others = _table("", "")
        for name, value in found.figures.items():
            others.add_row(name, _number(value))
        console.print(others)
    targets = _table("target", "measured", "wanted", "")
    for target in found.targets:
        sign = "≥" if target.at_least else "≤"
        targets.add_row(
            target.name, _number(target.value), f"{sign} {target.bound:g}", "reached" if target.reached else "MISSED"
        )
    console.print(targets)


def _figures(found: Findings, name: str) -> dict[str, Any]:
    """Medians over the rounds."""
    comparable = BASE in found.loads and name not in WEBHOOK_CASES  # those took no turns with it
    return {
        "rate": found.middle(name, rate),
        "rate_to_bare": found.ratio(name, BASE, rate) if comparable else None,
        "cpu_us": found.middle(name, effort) or None,
        "p50_ms": found.middle(name, p50),
        "p99_ms": found.middle(name, p99),
        "p99_to_bare": found.ratio(name, BASE, p99) if comparable else None,
    }


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _table(first: str, *others: str) -> Table:
    table = Table(first, box=None, pad_edge=False)
    for name in others:
        table.add_column(name, justify="right")
    return table
