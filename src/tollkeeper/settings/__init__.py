"""The definition of a setting, how its text is parsed, and where texts are read from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. ``parse`` gets stripped text that is not empty, and raises ``InvalidValue``."""

    name: str
    parse: Callable[[str], Any]
    help: str
    example: str
    default: str = ""
    required: bool = False
    many: bool = False
    """Whether it is a list: separated by commas, or a list in TOML. Its value is a tuple."""
    secret: bool = False
