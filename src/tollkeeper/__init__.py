"""Sign in, pay, get in: Tollkeeper as a library. ``docs/library.md`` tells how to use it.

The names are loaded when they are first used, so that ``import tollkeeper`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tollkeeper.config.config import Config as Config
    from tollkeeper.config.load import load as load
    from tollkeeper.errors import ConfigurationError as ConfigurationError
    from tollkeeper.library import Tollkeeper as Tollkeeper
    from tollkeeper.model.access import Visitor as Visitor
    from tollkeeper.model.people import Person as Person

_ROOMS = {
    "Config": "config.config",
    "ConfigurationError": "errors",
    "Person": "model.people",
    "Tollkeeper": "library",
    "Visitor": "model.access",
    "load": "config.load",
}

__all__ = ["Config", "ConfigurationError", "Person", "Tollkeeper", "Visitor", "load"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'tollkeeper' has no attribute {name!r}")
    return getattr(import_module(f"tollkeeper.{_ROOMS[name]}"), name)
