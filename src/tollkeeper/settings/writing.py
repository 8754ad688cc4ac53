"""PURE. New texts of ``.env`` and ``tollkeeper.toml``: some values change, every comment and every other line stays."""

import io
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit
from dotenv.parser import Binding, parse_stream
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Item, SingleKey, Table

Lists = Mapping[str, Sequence[str]]
"""Lists of texts, by the names of the settings in one table."""


class NotWritable(ValueError):
    """A file is written in a way that cannot be changed safely. The words say which, and follow the file's name."""


def with_env(text: str, values: Mapping[str, str]) -> str:
    """The text of a ``.env`` file with these values. Raises ``NotWritable``."""
    for name, value in values.items():
        text = _with_variable(text, name, value)
    return text


def _with_variable(text: str, name: str, value: str) -> str:
    bindings = list(parse_stream(io.StringIO(text)))
    ours = [number for number, one in enumerate(bindings) if one.key == name]
    parts = [one.original.string for one in bindings]
    if not ours:
        parts.append(("\n" if text and not text.endswith("\n") else "") + f"{name}={_quoted(value)}\n")
    elif bindings[ours[-1]].value != value:
        parts[ours[-1]] = _assigned(bindings[ours[-1]], value)  # of several, the last counts
    after = "".join(parts)
    if _variables(after) != _variables(text) | {name: value}:
        raise NotWritable(f"has a line for {name} that cannot be changed safely")
    return after


# What stands before a value; the value with its quotes; a comment and the end of the line.
_ASSIGNMENT = re.compile(
    r"""(?P<before>\s*(?:export[^\S\r\n]+)?'?[^=\#\s']+'?[^\S\r\n]*)(?:=(?P<space>[^\S\r\n]*?)"""
    r"""(?P<value>'(?:\\'|[^'])*'|"(?:\\"|[^"])*"|(?:\S[^\r\n]*?)?))?(?P<after>(?:[^\S\r\n]+\#[^\r\n]*)?[^\S\r\n]*(?:\r\n|\n|\r|$))"""
)


def _assigned(binding: Binding, value: str) -> str:
    """The same line with another value, in the quotes that it had."""
    found = _ASSIGNMENT.fullmatch(binding.original.string)
    if found is None:
        raise NotWritable(f"has a line for {binding.key} that cannot be changed safely")
    quote = (found["value"] or " ")[0]
    return f"{found['before']}={found['space'] or ''}{_quoted(value, quote)}{found['after']}"


def _quoted(value: str, quote: str = "") -> str:
    """As ``python-dotenv`` reads it back: in single quotes nothing but ``\\`` and ``'`` means anything."""
    if quote == '"' and not re.search(r'[\\"]', value):
        return f'"{value}"'
    if quote != "'" and re.fullmatch(r"[^\s'\"\\`#$]*", value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _variables(text: str) -> dict[str, str | None]:
    return {one.key: one.value for one in parse_stream(io.StringIO(text)) if one.key is not None}


def with_products(text: str, products: Mapping[str, Lists]) -> str:
    """The text of ``tollkeeper.toml`` with these lists in the tables of its products. Raises ``NotWritable``.

    A new list follows the offers, for the end of a table may hold comments about the next one.
    """
    try:
        wanted = tomllib.loads(text)
        for key, lists in products.items():
            for name, items in lists.items():
                table = _product(wanted, key)
                spelled = _as_spelled(table, name)
                if _as_list(table.get(spelled)) != list(items):
                    table[spelled] = list(items)
                    text = _with_list(text, key, spelled, items, after={"offers", *lists})
        if tomllib.loads(text) != wanted:  # pragma: no cover - no such file is known
            raise NotWritable("is written in a way that cannot be changed safely")
    except (tomllib.TOMLDecodeError, TOMLKitError) as error:
        raise NotWritable(f"cannot be read: {error}") from error
    return text


def _product(document: Any, key: str) -> Any:
    products = document.get("products")
    table = products.get(key) if isinstance(products, dict) else None
    if not isinstance(table, dict):
        raise NotWritable(f"has no table [products.{key}]")
    return table


def _as_spelled(table: Mapping[str, object], name: str) -> str:
    """Names of settings may be in upper case in the file."""
    return next((key for key in table if key.lower() == name), name)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _with_list(text: str, key: str, name: str, items: Sequence[str], *, after: set[str]) -> str:
    document = tomlkit.parse(text if text.endswith("\n") else f"{text}\n")
    table = _product(document, key)
    if name in table:
        table[name] = tomlkit.value(_list(table[name].as_string(), items))
    else:
        _insert(table, name, tomlkit.item(list(items)), after)
    return tomlkit.dumps(document)


def _insert(table: Any, name: str, item: Item, after: set[str]) -> None:
    """Behind the last of some settings, in a table of its own lines; else wherever tomlkit puts it."""
    body = table.value.body if isinstance(table, Table) and isinstance(table.value, Container) else []
    place = max((at for at, (key, _) in enumerate(body, start=1) if key and key.key.lower() in after), default=0)
    if place:
        body.insert(place, (SingleKey(name), item))
    else:
        table[name] = item


_PARTS = re.compile(r"""(?P<text>"(?:[^"\\]|\\.)*"|'[^']*')|(?P<comment>\#[^\r\n]*)|(?P<line>\n)""")


def _list(old: str, items: Sequence[str]) -> str:
    """A list in the place of another value, in its shape. Comments stay with their items; those of items that are gone
    come last.
    """
    if "\n" not in old:
        return tomlkit.item(list(items)).as_string()
    above, beside = _comments(old)
    lines: list[str] = []
    for item in items:
        lines += above.pop(item, [])
        lines.append(f"{tomlkit.item(item).as_string()},{''.join(f'  {one}' for one in beside.pop(item, []))}")
    last = above.pop("", [])
    left = [comment for comments in (*above.values(), *beside.values()) for comment in comments]
    return "\n".join(["[", *(f"    {line}" for line in (*lines, *left, *last)), "]"])


def _comments(old: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The comments of a list on the lines above each item, "" for its end, and beside each."""
    above: dict[str, list[str]] = {}
    beside: dict[str, list[str]] = {}
    waiting: list[str] = []
    item = ""
    for part in _PARTS.finditer(old):
        if part["text"]:
            item = str(tomlkit.value(part["text"]))
            above[item], waiting = waiting, []
        elif part["line"]:
            item = ""
        elif item:
            beside.setdefault(item, []).append(part["comment"])
        else:
            waiting.append(part["comment"])
    return above | {"": waiting}, beside
