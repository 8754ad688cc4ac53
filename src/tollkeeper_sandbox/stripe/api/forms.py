"""Form encoding with Stripe's brackets: ``line_items[0][price]=p`` is ``{"line_items": {"0": {"price": "p"}}}``.

Lists stay mappings from index to item here: only the parameter's type tells the two apart.
"""

import re
from itertools import pairwise
from typing import TypeAlias
from urllib.parse import unquote_plus

from tollkeeper_sandbox.stripe.engine.errors import invalid

Form: TypeAlias = dict[str, "str | Form"]

MAX_PAIRS = 1000
MAX_DEPTH = 10
KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def decode(encoded: bytes) -> Form:
    """Return the form as nested mappings. Raises a 400 for invalid UTF-8, too many pairs or too deep nesting."""
    pairs = [pair for pair in encoded.split(b"&") if pair]
    if len(pairs) > MAX_PAIRS:
        raise invalid(f"Too many parameters: at most {MAX_PAIRS} are accepted.")
    form: Form = {}
    for pair in pairs:
        key, _, value = pair.partition(b"=")
        _insert(form, _steps(_text(key)), _text(value))
    return form


def _text(raw: bytes) -> str:
    try:
        return unquote_plus(raw.decode("ascii"), encoding="utf-8", errors="strict")
    except UnicodeDecodeError:
        raise invalid("Invalid request: the parameters are not URL-encoded UTF-8.") from None


def _steps(key: str) -> list[str]:
    """Split a key at its brackets. If they are unbalanced, it is one step, and so an unknown parameter."""
    match = KEY.fullmatch(key)
    if match is None:
        return [key]
    steps = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
    if len(steps) > MAX_DEPTH:
        raise invalid(f"Parameters are nested too deeply: {MAX_DEPTH} levels are accepted.", match[1])
    return steps


def _insert(form: Form, steps: list[str], value: str) -> None:
    for step, following in pairwise(steps):
        inner = form.setdefault(step or _index(form, following), {})
        if isinstance(inner, str):
            raise invalid("Invalid object", steps[0])
        form = inner
    last = steps[-1] or str(len(form))
    if isinstance(form.get(last), dict):
        raise invalid("Invalid object", steps[0])
    form[last] = value


def _index(items: Form, following: str) -> str:
    """Return the index for ``[]``: ``a[][x]=1&a[][y]=2`` is one item with x and y; a repeated x starts another one."""
    last = items.get(str(len(items) - 1))
    continues = isinstance(last, dict) and following and following not in last
    return str(len(items) - 1 if continues else len(items))
