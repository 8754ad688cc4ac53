"""The repository is about itself alone: it names no registry to install from, and no path on anybody's machine."""

import re
from pathlib import Path

from tests.docs.documents import ROOT, tracked

# In pieces, so that this file may stand in the repository too.
REGISTRIES = ["py" + "pi.org", "pythonhosted" + ".org", "--index" + "-url http", "--find" + "-links /"]
PLACES = [r"(?<![\w.])/" + "(?:work|root|Users)/", r"(?<![\w.])/" + r"home/\w", "pyenv" + "/versions"]
FORBIDDEN = re.compile("|".join([re.escape(name) for name in REGISTRIES] + PLACES))


def hits(file: Path) -> list[str]:
    text = file.read_bytes().decode("utf-8", "replace")
    return [f"{file.relative_to(ROOT)}: {found[0]}" for found in FORBIDDEN.finditer(text)]


def test_no_registry_and_no_machine_is_named() -> None:
    assert [hit for file in tracked() for hit in hits(file)] == []


def test_locks_hold_versions_and_hashes_only() -> None:
    line = re.compile(r"[a-z0-9.-]+==[^ :@]+( ; [^:@]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    for lock in (ROOT / "requirements").glob("*.txt"):
        assert [text for text in lock.read_text().splitlines() if not line.fullmatch(text)] == []
