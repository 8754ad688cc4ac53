"""The one mapper between rows and our own types: fields and columns of the same name hold the same."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import Row

T = TypeVar("T")


def from_row(kind: type[T], row: Row[Any], **given: Any) -> T:
    """A dataclass from the columns with the names of its fields. ``given`` are those that have no such column."""
    return kind(**{name: getattr(row, name) for name in _names(kind) if name not in given}, **given)


def to_row(one: object, *left_out: str, **given: Any) -> Mapping[str, Any]:
    """The values to write for a dataclass: its fields, but those left out, and what is ``given`` in their place."""
    return {name: getattr(one, name) for name in _names(type(one)) if name not in left_out} | given


def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
