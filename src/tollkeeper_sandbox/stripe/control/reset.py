"""Begin afresh: forget everything that happened, while the sandbox runs."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tollkeeper_sandbox.stripe.control.fault_api import refusing
from tollkeeper_sandbox.stripe.engine.errors import ApiError
from tollkeeper_sandbox.stripe.engine.ledger import Ledger
from tollkeeper_sandbox.stripe.engine.posts import is_browser


class Reset:
    """The one address for it. ``emptied`` surrounds the moment in which the ledger is emptied."""

    def __init__(self, ledger: Ledger, emptied: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._ledger = ledger
        self._emptied = emptied
        self._under_way = asyncio.Lock()
        self.routes = [Route("/control/reset", refusing(self.reset), methods=["POST"])]

    async def reset(self, request: Request) -> Response:
        if self._under_way.locked():
            raise ApiError(409, "It is being reset already. Wait a moment.")
        async with self._under_way, self._emptied():
            with self._ledger.transaction():
                self._ledger.clear()
        return RedirectResponse("/", 303) if is_browser(request) else Response(status_code=204)
