"""Checks a call's parameters against the SDK's typed parameters, with Stripe's errors.

The types are read when a call is first made: reading all of them would take longer than starting the sandbox.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from importlib import import_module
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

from stripe._request_options import RequestOptions
from typing_extensions import is_typeddict  # the SDK's types need this one; typing's does not know them

from tollkeeper_sandbox.stripe.api.forms import Form
from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid, unsupported_parameter, unsupported_value

MAX_TEXT = 5000
MAX_METADATA = 50, 40, 500  # keys, characters of a key, characters of a value
WHOLE = re.compile(r"-?[0-9]{1,18}")
DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,12})?")
# Names in the types of the SDK's own options, which it imports only for type checkers.
FOR_CHECKERS = {"Mapping": Mapping, "StripeContext": str}


@dataclass(frozen=True)
class Parameters:
    """The parameters of one call.

    ``typed`` names the SDK's TypedDict as "module:class" below stripe.params; ``handled`` lists the
    dotted paths that the sandbox supports (a path covers everything below it); ``served`` limits the values
    of some of them. ``most`` is the documented maximum length in characters, or the maximum number of entries for a
    path that ends with ``[]``. ``emptied`` are those that an empty value unsets according to the documentation,
    although the type does not say so. Everything else that Stripe declares is refused by name.
    """

    typed: str
    handled: frozenset[str]
    served: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)
    emptied: frozenset[str] = frozenset()

    def check(self, form: Form) -> dict[str, Any]:
        """Return the parameters converted to their types. Raises Stripe's 400 for the first error."""
        return _Check(self).record(typed_dict(self.typed), form, "", "")

    def handles(self, path: str) -> bool:
        above = path.split(".")
        return any(".".join(above[: end + 1]) in self.handled for end in range(len(above)))

    def contains(self, path: str) -> bool:
        """Return whether the path or something below it is supported."""
        return self.handles(path) or any(one.startswith(f"{path}.") for one in self.handled)


@cache
def typed_dict(name: str) -> type:
    module, _, class_ = name.partition(":")
    found: type = getattr(import_module(f"stripe.params.{module}"), class_)
    return found


@cache
def fields_of(typed: type) -> dict[str, Any]:
    """Return the declared parameters and their types, without the SDK's own options."""
    hints = get_type_hints(typed, localns=FOR_CHECKERS, include_extras=True)
    return {name: _bare(hint) for name, hint in hints.items() if name not in RequestOptions.__annotations__}


def _bare(hint: Any) -> Any:
    while get_origin(hint) in (NotRequired, Required):
        hint = get_args(hint)[0]
    return hint


def members(hint: Any) -> tuple[Any, ...]:
    """Return the alternatives of a type, flattened and without None."""
    if get_origin(hint) not in (Union, UnionType):
        return () if hint is NoneType else (hint,)
    return tuple(one for part in get_args(hint) for one in members(part))


def choices(alternatives: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(value for one in alternatives if get_origin(one) is Literal for value in get_args(one))


@dataclass(frozen=True)
class _Check:
    parameters: Parameters

    def record(self, typed: type, form: Form, path: str, name: str) -> dict[str, Any]:
        """Check one mapping. ``path`` is the position in the type (a.b), ``name`` the one in the form (a[0][b])."""
        fields = fields_of(typed)
        self._refuse_unknown(fields, form, name)
        checked = {}
        for key, value in form.items():
            below = f"{path}.{key}" if path else key
            if not self.parameters.contains(below):
                raise unsupported_parameter(_inside(name, key))
            checked[key] = self.value(fields[key], value, below, _inside(name, key))
        missing = sorted(typed.__required_keys__ - form.keys())  # type: ignore[attr-defined]
        if missing:
            param = _inside(name, missing[0])
            raise invalid(f"Missing required param: {param}.", param, "parameter_missing")
        return checked

    def _refuse_unknown(self, fields: dict[str, Any], form: Form, name: str) -> None:
        unknown = [_inside(name, key)[:200] for key in form if key not in fields]
        if unknown:
            plural = "s" if len(unknown) > 1 else ""
            message = f"Received unknown parameter{plural}: {', '.join(unknown[:10])}"
            raise invalid(message, unknown[0], "parameter_unknown")

    def value(self, hint: Any, value: "str | Form", path: str, name: str) -> Any:
        alternatives = members(hint)
        if isinstance(value, dict):
            return self._compound(alternatives, value, path, name)
        if value == "" and path in self.parameters.emptied:
            return value
        converted = _scalar(alternatives, value, name, self.parameters.most.get(path, MAX_TEXT))
        served = self.parameters.served.get(path)
        if served is not None and converted not in served:
            raise unsupported_value(name, value, served)
        return converted

    def _compound(self, alternatives: tuple[Any, ...], form: Form, path: str, name: str) -> Any:
        for one in alternatives:
            if is_typeddict(one):
                return self.record(one, form, path, name)
            if get_origin(one) is list:
                _check_count(form, self.parameters.most.get(f"{path}[]"), name)
                return self._items(get_args(one)[0], form, path, name)
        if any(get_origin(one) is dict for one in alternatives):
            return _metadata(form, name)
        raise _not_a(alternatives, name)

    def _items(self, hint: Any, form: Form, path: str, name: str) -> list[Any]:
        if not all(re.fullmatch("[0-9]{1,4}", key) for key in form):
            raise invalid("Invalid array", name)
        in_order = sorted(form, key=int)
        return [self.value(hint, form[key], path, _inside(name, key)) for key in in_order]


def _check_count(form: Form, most: int | None, name: str) -> None:
    if most is not None and len(form) > most:
        raise invalid(f"Array {name} exceeded maximum {most} allowed elements.", name)


def _inside(name: str, key: str) -> str:
    return f"{name}[{key}]" if name else key


def _scalar(alternatives: tuple[Any, ...], text: str, name: str, most: int) -> Any:
    if text == "":
        return _emptied(alternatives, name)
    words = tuple(one for one in choices(alternatives) if one)
    if text in words:
        return text
    for type_, convert in CONVERSIONS.items():
        if type_ in alternatives:
            return convert(text, name)
    if words:
        listed = ", ".join(words[:-1]) + (f", or {words[-1]}" if len(words) > 1 else words[-1])
        raise invalid(f"Invalid {name}: must be one of {listed}", name)
    if str in alternatives:
        return _text(text, name, most)
    raise _not_a(alternatives, name)


def _emptied(alternatives: tuple[Any, ...], name: str) -> str:
    """Return the result of an empty value, which unsets a parameter that may be unset. Metadata always may."""
    if "" in choices(alternatives) or any(get_origin(one) is dict for one in alternatives):
        return ""
    message = (
        f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a "
        f"parameter; however '{name}' cannot be unset. You should remove '{name}' from your request or "
        "supply a non-empty value."
    )
    raise invalid(message, name, "parameter_invalid_empty")


def _not_a(alternatives: tuple[Any, ...], name: str) -> ApiError:
    if any(get_origin(one) is list for one in alternatives):
        return invalid("Invalid array", name)
    if any(is_typeddict(one) or get_origin(one) is dict for one in alternatives):
        return invalid("Invalid object", name)
    return invalid("Invalid string", name, "parameter_invalid_string")


def _whole(text: str, name: str) -> int:
    if not WHOLE.fullmatch(text):
        raise invalid(f"Invalid integer: {text[:100]}", name, "parameter_invalid_integer")
    return int(text)


def _decimal(text: str, name: str) -> Decimal:
    if not DECIMAL.fullmatch(text):
        raise invalid(f"Invalid decimal: {text[:100]}", name, "parameter_invalid_decimal")
    return Decimal(text)


def _number(text: str, name: str) -> float:
    return float(_decimal(text, name))


def _flag(text: str, name: str) -> bool:
    """Parse a boolean. Older SDKs send it with a capital letter, which Stripe accepts."""
    if text not in ("true", "True", "false", "False"):
        raise invalid(f"Invalid boolean: {text[:100]}", name)
    return text in ("true", "True")


def _text(text: str, name: str, most: int) -> str:
    if len(text) > most:
        raise invalid(f"Invalid string: {text[:20]}...; must be at most {most} characters", name)
    return text


CONVERSIONS: dict[type, Callable[[str, str], Any]] = {int: _whole, bool: _flag, float: _number, Decimal: _decimal}


def _metadata(form: Form, name: str) -> dict[str, str]:
    keys, of_key, of_value = MAX_METADATA
    if len(form) > keys:
        raise invalid(f"You can only set up to {keys} metadata keys, but you passed in {len(form)}.", name)
    for key, value in form.items():
        if len(key) > of_key:
            message = (
                f"Metadata keys can have up to {of_key} characters, but you passed in a key that is "
                f"{len(key)} characters."
            )
            raise invalid(message, f"{name}[{key[:200]}]")
        if not isinstance(value, str):
            raise invalid("Metadata values must be strings.", f"{name}[{key}]")
        if len(value) > of_value:
            message = (
                f"Metadata values can have up to {of_value} characters, but you passed in a value that is "
                f"{len(value)} characters."
            )
            raise invalid(message, f"{name}[{key}]")
    return {key: str(value) for key, value in form.items()}
