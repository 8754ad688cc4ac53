"""Columns that hold more than a plain value: words of our enumerations; reasons with their facts, and invoices, as JSON
(RFC 8259).
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from sqlalchemy import String, Text, TypeDecorator
from sqlalchemy.engine import Dialect

from tollkeeper.model.bought import Bill, Dispute, Invoice
from tollkeeper.reasons import Code, Reason


class WordColumn(TypeDecorator[Any]):
    """One word of an enumeration of ours, as its value."""

    impl = String
    cache_ok = True

    def __init__(self, kind: type[StrEnum], length: int) -> None:
        super().__init__(length)
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """See ``TypeDecorator``."""
        return None if value is None else str(self.kind(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """See ``TypeDecorator``."""
        return None if value is None else self.kind(value)


class AsJson(TypeDecorator[Any]):
    """Text in the database, something of ours in Python; none is NULL."""

    impl = Text
    cache_ok = True
    put: Callable[[Any], Any]
    got: Callable[[Any], Any]

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """See ``TypeDecorator``. Keys are sorted, so that equal values are always the same text."""
        return None if value is None else json.dumps(type(self).put(value), sort_keys=True, ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """See ``TypeDecorator``."""
        return None if value is None else type(self).got(json.loads(value))


def reason_to_json(reason: Reason) -> dict[str, Any]:
    """A reason as it is stored, and shown to programs."""
    return {"code": reason.code.value, **reason.facts}


def _reason(kept: dict[str, Any]) -> Reason:
    return Reason(Code(kept.pop("code")), kept)


class FactsColumn(AsJson):
    """A few words by their names."""

    cache_ok = True
    put = staticmethod(lambda facts: dict(facts))
    got = staticmethod(lambda kept: dict(kept))


class ReasonColumn(AsJson):
    """One ``Reason``."""

    cache_ok = True
    put = staticmethod(reason_to_json)
    got = staticmethod(_reason)


class Several(AsJson):
    """Several of them; an empty list is NULL, so that an index can hold only rows that have some."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """See ``AsJson``."""
        return super().process_bind_param(value or None, dialect)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """See ``AsJson``."""
        return super().process_result_value(value, dialect) or ()


class ReasonsColumn(Several):
    """Reasons."""

    cache_ok = True
    put = staticmethod(lambda reasons: [reason_to_json(one) for one in reasons])
    got = staticmethod(lambda kept: tuple(_reason(one) for one in kept))


def _invoice(kept: dict[str, Any]) -> Invoice:
    return Invoice(**{**kept, "bill": Bill(kept["bill"]), "dispute": Dispute(kept["dispute"])})


class InvoicesColumn(Several):
    """The invoices of a subscription, newest first."""

    cache_ok = True
    put = staticmethod(lambda invoices: [asdict(one) for one in invoices])
    got = staticmethod(lambda kept: tuple(_invoice(one) for one in kept))
