"""``docs/check.md`` tells every line that a check can show, and how to fix it, in the very words of the check."""

import re

from tests.docs.documents import text_of

from tollkeeper.model.checks import CheckKind, Level
from tollkeeper.providers.stripe import examined
from tollkeeper.readiness import address, checks, clocks
from tollkeeper.signin import examination as issuers
from tollkeeper.storage import examination as database

TABLES = {
    "## The database": database.KINDS,
    "## `PUBLIC_URL` and proxies": address.KINDS,
    "## Stripe": examined.KINDS,
    "## Issuers": issuers.KINDS,
    "## The clock": clocks.KINDS,
    "## The check itself": checks.KINDS,
}
MARKS = {Level.OK: "ok", Level.WARNING: "warning", Level.FAULT: "**fault**"}


def row(kind: CheckKind) -> str:
    """A kind as the page has it; what is filled in stands in italics."""
    return f"| `{kind.code}` | {MARKS[kind.level]} | {_plain(kind.said)} | {_plain(kind.fix)} |"


def _plain(text: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: f"*{found[1].replace('_', ' ')}*", text).strip()


def test_every_line_of_a_check_is_told() -> None:
    page = text_of("docs/check.md")
    for title, kinds in TABLES.items():
        section = page.partition(f"{title}\n")[2].partition("\n## ")[0]
        told = [line for line in section.splitlines() if line.startswith("| `")]
        assert told == [row(kind) for kind in kinds.values()], title


def test_no_two_rooms_share_a_code() -> None:
    codes = [code for kinds in TABLES.values() for code in kinds]
    assert len(codes) == len(set(codes))


def test_whatever_is_wrong_has_a_fix() -> None:
    for kinds in TABLES.values():
        for kind in kinds.values():
            assert bool(kind.fix) == (kind.level is not Level.OK), kind.code
