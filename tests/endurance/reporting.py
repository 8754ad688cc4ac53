"""The results that the scripts print: figures and errors."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Figure: TypeAlias = str | int | float
Figures: TypeAlias = Mapping[str, Figure | Mapping[str, Figure]]

SHOWN: Final = 50


@dataclass(frozen=True)
class Outcome:
    """The results. The run passed if nothing was wrong."""

    figures: Figures
    wrong: Sequence[str]


def report(outcome: Outcome, *, as_json: bool) -> None:
    """Write it to standard output, and end the script: with status 1 if anything was wrong."""
    sys.stdout.write(_in_json(outcome) if as_json else _in_words(outcome))
    sys.exit(1 if outcome.wrong else 0)


def _in_json(outcome: Outcome) -> str:
    return json.dumps({"ok": not outcome.wrong, "figures": outcome.figures, "wrong": outcome.wrong}, indent=2) + "\n"


def _in_words(outcome: Outcome) -> str:
    width = max(map(len, outcome.figures))
    lines = [f"{name.replace('_', ' '):<{width}}  {_shown(figure)}" for name, figure in outcome.figures.items()]
    wrong = [f"WRONG: {what}" for what in outcome.wrong[:SHOWN]]
    more = [f"and {len(outcome.wrong) - SHOWN} more"] if len(outcome.wrong) > SHOWN else []
    return "\n".join([*lines, "", *(wrong or ["nothing was wrong"]), *more, ""])


def _shown(figure: Figure | Mapping[str, Figure]) -> str:
    if isinstance(figure, Mapping):
        return "  ".join(f"{name} {value}" for name, value in figure.items())
    return str(figure)
