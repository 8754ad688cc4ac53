"""The repository's own files, and what its documents say."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked() -> list[Path]:
    """Every file that is or would be in the repository."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True, timeout=30).stdout
    files = [ROOT / name for name in names.split("\0") if name]
    return [file for file in files if file.is_file()]


def markdown() -> list[Path]:
    """Every document."""
    return [file for file in tracked() if file.suffix == ".md"]


def text_of(name: str) -> str:
    """A document, by its path from the root."""
    return (ROOT / name).read_text("utf-8")


def first_cells(document: str) -> list[str]:
    """The words in code style in the first column of every table."""
    return [
        word for row in re.findall(r"^\| (`[^|]*) \|", document, re.MULTILINE) for word in re.findall("`(.+?)`", row)
    ]
