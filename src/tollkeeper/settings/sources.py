"""Reads the settings from the environment, ``.env`` and ``tollkeeper.toml``, and detects misspelled names.

Each secret may be in a file of its own instead, which the setting ``NAME_FILE`` names.
"""

import difflib
import io
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream

from tollkeeper.errors import ConfigurationError, Fault
from tollkeeper.settings import Setting

Texts = dict[str, tuple[str, ...]]
"""The texts of settings by name: one text, or several for a list; stripped, never blank.

The tuple is empty for a secret whose file has a fault, which is already reported.
"""

FILE = "_FILE"
LARGEST_SECRET = 16 * 1024
"""Bytes of the longest file that is read as a secret."""

ENV_FILE, TOML_FILE = ".env", "tollkeeper.toml"


@dataclass(frozen=True, slots=True)
class Sources:
    """What is set anywhere."""

    texts: Texts
    tables: dict[str, Any]
    """The tables of products, by their keys."""
    whole: bool
    """Whether all of every file could be read. If not, what is not here may still be set there."""


def read_sources(settings: Iterable[Setting], environ: Mapping[str, str], folder: Path, faults: list[Fault]) -> Sources:
    """Return what is set of these settings. Raises ``ConfigurationError`` if there is no such folder."""
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        remedy = f"Name the folder that holds {ENV_FILE} and {TOML_FILE} with --folder"
        raise ConfigurationError((Fault(str(folder.absolute()), problem, remedy),))
    known = _with_files(settings)
    unread: list[Fault] = []
    env_file = _read_env_file(known, folder / ENV_FILE, faults, unread)
    toml_file, tables = _read_toml(known, folder / TOML_FILE, faults, unread)
    faults += unread
    faults += _near_misses(known, environ)
    texts = toml_file | env_file | _texts(known, environ)
    for setting in known.values():
        if setting.secret and f"{setting.name}{FILE}" in texts:
            texts[setting.name] = _from_file(setting, texts, folder, faults)
    return Sources(texts, tables, whole=not unread)


def _with_files(settings: Iterable[Setting]) -> dict[str, Setting]:
    """Return the settings by name, and for each secret a setting that names its file."""
    known: dict[str, Setting] = {}
    for setting in settings:
        known[setting.name] = setting
        if setting.secret:
            name = f"{setting.name}{FILE}"
            known[name] = Setting(name, Path, f"The file that holds {setting.name}.", f"/run/secrets/{name.lower()}")
    return known


def _from_file(setting: Setting, texts: Texts, folder: Path, faults: list[Fault]) -> tuple[str, ...]:
    """Return the secret in the file that is set for it; nothing if there is a fault. No fault shows the file's content.

    A value that is not clearly a path is not repeated either: it may be the secret itself, in the wrong line.
    """
    variable = f"{setting.name}{FILE}"
    named = ",".join(texts[variable])
    if setting.name in texts:
        faults.append(Fault(variable, f"is set, and so is {setting.name}", "Keep one of them"))
    elif not Path(named).is_absolute() and not named.startswith(("./", "../")):
        faults.append(Fault(variable, "is not the path of a file", "Begin the path with / or ./"))
    else:
        try:
            return _split(setting, _secret_text(folder / named))
        except _UnfitFile as error:
            faults.append(Fault(variable, f"names {named}, which {error.problem}", error.remedy))
    return ()


class _UnfitFile(Exception):
    """A file that holds no secret: what is wrong, in words that follow its name, and the remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


def _secret_text(path: Path) -> str:
    """Return the one line of a small file. Raises ``_UnfitFile``."""
    one_line = "Write the secret into it, on one line"
    try:
        if not path.is_file():  # opening a pipe could block forever
            kind = "is not a file" if path.exists() else "does not exist"
            raise _UnfitFile(kind, "Create the file, or correct the path")
        with path.open("rb") as file:
            content = file.read(LARGEST_SECRET + 1)
        if len(content) > LARGEST_SECRET:
            raise _UnfitFile(f"is larger than {LARGEST_SECRET // 1024} KiB", one_line)
        text = content.decode("utf-8-sig").strip()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _UnfitFile(f"cannot be read: {reason}", "Let the user that runs Tollkeeper read it") from error
    except UnicodeDecodeError as error:
        raise _UnfitFile("is not text in UTF-8", one_line) from error
    if not text.strip(" ,"):
        raise _UnfitFile("is empty", one_line)
    if len(text.splitlines()) > 1:
        raise _UnfitFile("has more than one line", one_line)
    return text


def without_files(folder: Path, settings: Iterable[Setting], texts: Texts) -> Iterator[Fault]:
    """Report a folder without either file, if no required setting is set: the files may be in another folder."""
    nothing = not any(setting.required and setting.name in texts for setting in settings)
    if nothing and not any((folder / name).exists() for name in (ENV_FILE, TOML_FILE)):
        remedy = "If they are elsewhere, name their folder with --folder"
        yield Fault(str(folder.absolute()), f"holds neither {ENV_FILE} nor {TOML_FILE}", remedy)


def _read(path: Path, unread: list[Fault]) -> str:
    """Return a file's text; an empty text if there is no such file."""
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        unread.append(Fault(str(path), f"cannot be read ({type(error).__name__})", "Make it a readable text in UTF-8"))
    return ""


def _read_env_file(known: Mapping[str, Setting], path: Path, faults: list[Fault], unread: list[Fault]) -> Texts:
    """Read ``.env``. Values are used literally: ``$`` is not expanded, because secrets may contain it."""
    found: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(_read(path, unread))):
        if binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
        elif binding.key is not None or binding.error:
            faults.append(Fault(f"{path.name}, line {binding.original.line}", "is not NAME=value", "Fix or remove it"))
    faults += [_unknown(name, name, known, path.name) for name in found if name not in known]
    return _texts(known, found)


def _texts(known: Mapping[str, Setting], source: Mapping[str, str]) -> Texts:
    """Return our settings from a source that contains only text."""
    split = {name: _split(setting, source.get(name, "")) for name, setting in known.items()}
    return {name: items for name, items in split.items() if items}


def _split(setting: Setting, text: str) -> tuple[str, ...]:
    items = text.split(",") if setting.many else [text]
    return tuple(item.strip() for item in items if item.strip())


def _read_toml(
    known: Mapping[str, Setting], path: Path, faults: list[Fault], unread: list[Fault]
) -> tuple[Texts, dict[str, Any]]:
    """Return the settings, and the tables of products by their keys."""
    try:
        content = tomllib.loads(_read(path, unread))
    except tomllib.TOMLDecodeError as error:
        unread.append(Fault(path.name, f"is not TOML: {error}", "Fix that line"))
        return {}, {}
    tables = content.pop("products", {})
    if not isinstance(tables, dict):
        unread.append(Fault("products", "is not a table", "Write [products.KEY] with name, unlocks and prices"))
        tables = {}
    return from_toml(content, known.values(), "", path.name, faults), tables


def from_toml(
    content: Mapping[str, Any], settings: Collection[Setting], prefix: str, place: str, faults: list[Fault]
) -> Texts:
    """Return the settings in one TOML table, whose keys may be in lower or upper case."""
    by_key = {setting.name.lower(): setting for setting in settings}
    names = [setting.name for setting in settings] + ([] if prefix else ["products"])
    texts: Texts = {}
    for key, value in content.items():
        setting = by_key.get(key.lower())
        if setting is None:
            faults.append(_unknown(f"{prefix}{key}", key, names, place))
        elif setting.name in texts:
            faults.append(Fault(f"{prefix}{setting.name}", f"is in {place} twice", "Keep one of them"))
        elif (items := _toml_items(setting, value)) is None:
            faults.append(Fault(f"{prefix}{setting.name}", "is neither text nor a list of texts", "Put it in quotes"))
        elif items:
            texts[setting.name] = items
    return texts


def _toml_items(setting: Setting, value: object) -> tuple[str, ...] | None:
    """Return a TOML value as texts; None for a type that no setting has."""
    match value:
        case str():
            return _split(setting, value)
        case bool() | int():
            return (str(value).lower(),)
        case list() if all(isinstance(item, str) for item in value):
            return tuple(item.strip() for item in value if item.strip())
    return None


def _unknown(variable: str, name: str, names: Iterable[str], place: str) -> Fault:
    by_lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    remedy = did_you_mean(by_lower[close[0]]) if close else "Remove it; docs/settings.md lists what there is"
    return Fault(variable, f"is set in {place}, but there is no such setting", remedy)


def did_you_mean(name: str) -> str:
    """How to fix what is nearly the name of a setting."""
    return f"Did you mean {name}?"


def _near_misses(known: Mapping[str, Setting], environ: Mapping[str, str]) -> Iterator[Fault]:
    """Yield misspelled names in the environment. Other programs use it, too, so only names close to ours count.

    A number at the end is not a misspelling: that is how another program may name its second database or key.
    """
    for name, value in environ.items():
        if name in known or name.rstrip("0123456789").rstrip("_") in known or not value.strip():
            continue
        for close in difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.9):
            yield Fault(name, "is not a setting, but nearly one, in the environment", did_you_mean(close))
