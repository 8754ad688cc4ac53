"""What one setting is, how its text becomes a value, and where texts are read from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. ``parse`` takes stripped text that is not empty, and raises ``InvalidValue``."""

    name: str
    parse: Callable[[str], Any]
    help: str
    example: str
    default: str = ""
    required: bool = False
    many: bool = False
    """A list: separated by commas, or a list in TOML. Its value is a tuple."""
    secret: bool = False
