"""Files that appear under their name only when they are whole, and are on disk then."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def unfinished(name: Path) -> Iterator[Path]:
    """An empty file (mode 0600) beside ``name``, to be filled and then given that name; deleted at the end."""
    handle, made = tempfile.mkstemp(dir=name.parent, prefix=f".{name.name}-")
    os.close(handle)
    try:
        yield Path(made)
    finally:
        Path(made).unlink(missing_ok=True)


def give_name(file: Path, name: Path) -> bool:
    """Give a file its final name for good. Never overwrites: False if the name is taken."""
    try:
        os.link(file, name)
    except FileExistsError:
        return False
    sync(name.parent)
    return True


def take_name(file: Path, name: Path) -> None:
    """Give a file its final name for good, and replace what had it."""
    file.replace(name)
    sync(name.parent)


def sync(path: Path) -> None:
    """Make a file, or a new name in a folder, survive a power cut; where the system lets it be opened (not Windows)."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
