"""Every link inside the documentation leads somewhere."""

import re
from pathlib import Path

import pytest
from tests.docs.documents import ROOT, markdown

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def internal_links(document: Path) -> list[str]:
    links = LINK.findall(CODE.sub("", document.read_text("utf-8")))
    return [link for link in links if not re.match(r"[a-z]+:", link)]


def anchors(document: Path) -> set[str]:
    """What the headings are called in addresses: lower-case, punctuation dropped, dashes for spaces."""
    headings = HEADING.findall(document.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", markdown(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for link in internal_links(document):
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        assert not anchor or anchor in anchors(target), f"{link}: there is no such heading"
