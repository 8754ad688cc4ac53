"""``check --online``: run the checks, show who is still being asked, then what was found."""

import asyncio
from typing import TYPE_CHECKING

from rich.console import Console

from tollkeeper.readiness.checks import Checked, Checks

if TYPE_CHECKING:
    from tollkeeper.config.config import Config


def ask_everybody(settings: "Config", *, quiet: bool) -> Checked:
    """Run all checks. ``quiet`` shows no progress."""
    from tollkeeper.app import now

    checks = Checks(settings, now)
    waiting = dict.fromkeys(name for name, _ in checks.parts())
    console = Console(stderr=True, quiet=quiet)
    with console.status(_asking(waiting)) as status:
        if not console.is_terminal:
            console.print(_asking(waiting), highlight=False)

        def done(name: str) -> None:
            waiting.pop(name, None)
            status.update(_asking(waiting))

        return asyncio.run(checks.run(done))


def _asking(waiting: dict[str, None]) -> str:
    return f"Asking {', '.join(waiting)} ..."
