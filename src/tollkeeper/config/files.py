"""Writes ``.env`` and ``tollkeeper.toml``: shows the difference first, and replaces each file in one step."""

import difflib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tollkeeper.config.config import Wishes
from tollkeeper.config.settings import SETTINGS
from tollkeeper.errors import NotDone
from tollkeeper.providers.protocol import SetUp
from tollkeeper.settings.offers import fingerprint
from tollkeeper.settings.writing import Lists, NotWritable, with_env, with_products

ENV, TOML = ".env", "tollkeeper.toml"

MARK = "\ufeff"
"""Some editors begin a file with it."""

PRIVATE, SHARED = 0o600, 0o644
"""The modes of new files: secrets are for their owner alone."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file as it is, empty if there is none, and as it is to be."""

    path: Path
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Lines:
    """What is to be set once an account is set up."""

    products: Mapping[str, Lists]
    """For ``tollkeeper.toml``, by product."""
    variables: Mapping[str, str]
    """For ``.env``: secrets, told only once."""


def lines_to_set(done: SetUp, wishes: Wishes) -> Lines:
    """What set-up found out, and what it was for. A new webhook secret stands before those that were set."""
    kind = wishes.provider.kind
    made_from = {one.key: tuple(map(fingerprint, one.offers)) for one in wishes.products}
    products = {key: {**lists, f"{kind.name}_made_from": made_from[key]} for key, lists in done.prices.items()}
    if done.webhook_secret is None:
        return Lines(products, {})
    return Lines(products, {kind.webhook_secret: ",".join([done.webhook_secret, *wishes.webhook_secrets])})


def not_set(lines: Lines, folder: Path) -> Lines:
    """Those that differ from what is in ``tollkeeper.toml``, and the new secrets."""
    text = read(folder / TOML)
    return Lines({key: lists for key, lists in lines.products.items() if not _holds(text, key, lists)}, lines.variables)


def _holds(text: str, key: str, lists: Lists) -> bool:
    try:
        return with_products(text, {key: lists}) == text
    except NotWritable:
        return False


def changes(lines: Lines, folder: Path) -> tuple[Change, ...]:
    """What writing these lines would change, secrets first. Raises ``NotDone`` if a file is written in unusual ways."""
    found = (
        _change(folder / ENV, lambda text: with_env(text, lines.variables)),
        _change(folder / TOML, lambda text: with_products(text, lines.products)),
    )
    return tuple(one for one in found if one.before != one.after)


def _change(path: Path, change: Callable[[str], str]) -> Change:
    """Lines are compared and added with one kind of end, and without a mark; a file with another kind keeps it."""
    before = read(path)
    text = before.removeprefix(MARK)
    ends = "\r\n" if "\r\n" in text else "\n"
    try:
        if text.count(ends) < text.count("\n"):
            raise NotWritable("has two kinds of line ends")
        after = change(text.replace("\r\n", "\n")).replace("\n", ends)
    except NotWritable as error:
        raise NotDone(f"{path.name} {error}. It was not changed.") from error
    return Change(path, before, before[: len(before) - len(text)] + after)


def read(path: Path) -> str:
    """A file's text, empty if there is no such file. Raises ``NotDone`` for one that cannot be read."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise NotDone(f"{path} cannot be read ({type(error).__name__}).") from error


def difference(change: Change) -> Iterator[str]:
    """The lines that change, with one more around them, and secrets masked."""
    mask = masking(change.before, change.after)
    before, after = change.before.splitlines(), change.after.splitlines()
    name = change.path.name
    return (mask(line) for line in difflib.unified_diff(before, after, name, name, n=1, lineterm=""))


@dataclass(frozen=True, slots=True)
class Written:
    """What came of writing."""

    files: tuple[Path, ...]
    left: Lines
    """What was not written, for whatever reason."""
    trouble: str | None = None
    """Why it was not, unless somebody decided so."""


def write_lines(
    lines: Lines, folder: Path, environ: Mapping[str, str], agree: Callable[[tuple[Change, ...]], bool]
) -> Written:
    """Write what is not set already, if ``agree`` says so once it has seen the changes."""
    elsewhere = {name: value for name, value in lines.variables.items() if environ.get(name, "").strip()}
    here = Lines(lines.products, {name: value for name, value in lines.variables.items() if name not in elsewhere})
    done: list[Path] = []
    try:
        found = changes(here, folder)
        if found and not agree(found):
            return Written((), not_set(lines, folder))
        for change in found:
            write(change)
            done.append(change.path)
    except NotDone as error:
        secrets = elsewhere if folder / ENV in done else lines.variables
        return Written(tuple(done), not_set(Lines(lines.products, secrets), folder), str(error))
    names = ", ".join(elsewhere)
    trouble = f"{names} is set in the environment, which outranks {ENV}: set it there." if elsewhere else None
    return Written(tuple(done), Lines({}, elsewhere), trouble)


MASK = "********"


def masking(*texts: str) -> Callable[[str], str]:
    """Hides the values of secret settings, in lines and in comments of these texts, in either kind of file."""
    names = "|".join(setting.name for setting in SETTINGS if setting.secret)
    named = re.compile(rf"^(.*?\b(?:{names})\b['\"]?\s*=\s*)\S.*$", re.IGNORECASE)
    # A list may go on for lines that name nothing.
    lists = re.compile(rf"\b(?:{names})\b\s*=\s*\[([^\]]*)\]", re.IGNORECASE)
    items = {item for text in texts for found in lists.findall(text) for item in re.findall(r"[^\s\"',#]{8,}", found)}

    def mask(line: str) -> str:
        for item in items:
            line = line.replace(item, MASK)
        return named.sub(rf"\1{MASK}", line)

    return mask


def see_writable(folder: Path) -> None:
    """See that files can be made in a folder, and those there replaced. Raises ``NotDone``."""
    for path in (folder / ENV, folder / TOML):
        home = path.resolve().parent
        if not os.access(home, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.R_OK | os.W_OK)):
            raise NotDone(f"{path} cannot be written. Nothing was changed.")


def make_folder(folder: Path) -> None:
    """Make a folder if there is none. Raises ``NotDone``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotDone(f"{folder} cannot be made: {error.strerror or error}.") from error


def keep_copy(path: Path) -> Path:
    """Keep what a file holds now beside it, under a name that was free. Raises ``NotDone``."""
    number = 1
    while True:
        copy = path.resolve().with_name(f"{path.name}.old{number}")
        try:
            os.link(path.resolve(), copy)  # it is replaced, not written to, so this stays as it is
        except FileExistsError:
            number += 1
        except OSError as error:
            raise NotDone(f"{copy} could not be made: {error.strerror or error}.") from error
        else:
            return copy


def write(change: Change) -> None:
    """Replace a file in one step, or make it. Raises ``NotDone`` if that fails, or if it was changed in the meantime.

    It keeps its mode and owner, and a symbolic link stays one.
    """
    path = change.path.resolve()
    if read(path) != change.before:
        raise NotDone(f"{path} was changed in the meantime. It was not written.")
    try:
        _replace(path, change.after)
    except OSError as error:
        raise NotDone(f"{path} could not be written: {error.strerror or error}.") from error


def _replace(path: Path, text: str) -> None:
    handle, made = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            _dress(handle, path)
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(handle)
        Path(made).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(made).unlink()
        raise


def _dress(handle: int, path: Path) -> None:
    """The mode and the owner of the file that is replaced, or the mode of a new one."""
    if not path.exists():
        os.fchmod(handle, PRIVATE if path.name == ENV else SHARED)
        return
    old = path.stat()
    os.fchown(handle, old.st_uid, old.st_gid)
    os.fchmod(handle, old.st_mode & 0o7777)
