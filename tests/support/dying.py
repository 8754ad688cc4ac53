"""Run a tollkeeper command that ends as in a power cut when one of its functions is reached.

    python dying.py [--before MODULE:NAME | --after MODULE:NAME] [--ahead SECONDS] COMMAND...

The fault comes from outside: the app that runs is the real one. ``--ahead`` gives it a clock that is that much
ahead, so that nobody needs to wait for a lease to end.
"""

import argparse
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from tollkeeper import app, cli


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--before")
    parser.add_argument("--after")
    parser.add_argument("--ahead", type=int, default=0)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    if given.before:
        replace(given.before, lambda _: die_instead)
    if given.after:
        replace(given.after, dying_after)
    app.open_services = partial(app.open_services, clock=lambda: int(time.time()) + given.ahead)
    sys.argv = ["tollkeeper", *given.command]
    cli.main()


def replace(place: str, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace a function, named as ``package.module:Class.name``."""
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    setattr(owner, name, change(getattr(owner, name)))


def dying_after(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function runs to its end, but its caller never gets the result."""

    @wraps(function)
    def dying(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)
        die_instead()

    return dying


def die_instead(*_args: Any, **_kwargs: Any) -> None:
    """No handler runs, nothing is flushed, nothing is rolled back."""
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
