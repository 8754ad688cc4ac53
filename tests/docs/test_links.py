"""Every link inside the documentation leads somewhere, and every page can be found."""

import re
from pathlib import Path

import pytest
from tests.docs.documents import ROOT, markdown, tracked

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


def fault(document: Path, link: str) -> str | None:
    """What is wrong with a link, if anything is."""
    name, _, anchor = link.partition("#")
    target = (document.parent / name).resolve() if name else document
    if not target.exists() or not target.is_relative_to(ROOT):
        return "leads nowhere in the repository"
    return "leads to no heading" if anchor and anchor not in anchors(target) else None


@pytest.mark.parametrize("document", markdown(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    assert {link: problem for link in internal_links(document) if (problem := fault(document, link))} == {}


def linked(document: Path) -> set[Path]:
    """The files that a document links to."""
    return {(document.parent / link.partition("#")[0]).resolve() for link in internal_links(document)}


def test_the_index_lists_every_guide() -> None:
    index = ROOT / "docs/README.md"
    assert index in linked(ROOT / "README.md")
    guides = {document for document in markdown() if document.parent == index.parent}
    assert guides - linked(index) == {index}


def test_every_picture_is_shown_and_small() -> None:
    pictures = {file for file in tracked() if file.parent == ROOT / "docs/pictures"}
    assert pictures == {file for file in linked(ROOT / "README.md") if file.parent == ROOT / "docs/pictures"}
    assert len(pictures) >= 3
    assert sum(file.stat().st_size for file in pictures) < 150_000
