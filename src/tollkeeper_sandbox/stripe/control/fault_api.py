"""The control API for faults, for the clock and for the settings."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tollkeeper_sandbox.stripe.control import subscription_actions
from tollkeeper_sandbox.stripe.engine import clock, faults, settings
from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid
from tollkeeper_sandbox.stripe.engine.posts import MAX_FORM, check_origin, is_browser, read_body, read_form
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import accounts
from tollkeeper_sandbox.stripe.objects.happenings import happen

Endpoint = Callable[[Request], Awaitable[Response]]


class FaultApi:
    """The control API. ``begin`` opens a unit of work; ``done`` is called after one that may have caused events."""

    def __init__(self, begin: Callable[[], Work], done: Callable[[], None]) -> None:
        self._begin = begin
        self._done = done
        self.routes = [
            Route("/control/faults", refusing(self.list), methods=["GET"]),
            Route("/control/faults", refusing(self.add), methods=["POST"]),
            Route("/control/faults", refusing(self.clear), methods=["DELETE"]),
            Route("/control/faults/clear", refusing(self.clear), methods=["POST"]),
            Route("/control/faults/{id}", refusing(self.remove), methods=["DELETE"]),
            Route("/control/clock", refusing(self.tell_time), methods=["GET"]),
            Route("/control/clock", refusing(self.move_clock), methods=["POST"]),
            Route("/control/clock/forward", refusing(self.forward), methods=["POST"]),
            Route("/control/settings", refusing(self.tell_settings), methods=["GET"]),
            *(Route(f"/control/{name}", refusing(self.setter(name)), methods=["POST"]) for name in settings.SETTINGS),
        ]

    async def list(self, _request: Request) -> Response:
        active = faults.active(self._begin().ledger)
        return JSONResponse({"faults": [fault.shown() for fault in active]})

    async def add(self, request: Request) -> Response:
        given = await _json(request)
        work = self._begin()
        fault = faults.read(given, work.new_id("fault", 6))
        with work.ledger.transaction():
            faults.add(work.ledger, fault)
        return JSONResponse(fault.shown(), 201)

    async def remove(self, request: Request) -> Response:
        ledger = self._begin().ledger
        with ledger.transaction():
            if not faults.remove(ledger, request.path_params["id"]):
                raise ApiError(404, "There is no such fault; it may have been used up.")
        return Response(status_code=204)

    async def clear(self, request: Request) -> Response:
        ledger = self._begin().ledger
        with ledger.transaction():
            faults.clear(ledger)
        return Response(status_code=204) if request.method == "DELETE" else RedirectResponse("/#faults", 303)

    async def tell_time(self, _request: Request) -> Response:
        work = self._begin()
        return JSONResponse({"now": work.now, "ahead": clock.ahead(work.ledger)})

    async def move_clock(self, request: Request) -> Response:
        given = await _json(request)
        work = self._begin()
        with work.ledger.transaction():
            clock.move(work.ledger, given)
            happen(self._begin())
        self._done()
        return await self.tell_time(request)

    async def forward(self, request: Request) -> Response:
        """Move time forward by the form's ``days`` and ``hours``."""
        form = await read_form(request)
        seconds = sum(_whole(form, name) * length for name, length in (("days", 86400), ("hours", 3600)))
        work = self._begin()
        with work.ledger.transaction():
            subscription_actions.forward(work, seconds)
        self._done()
        return RedirectResponse("/#time", 303) if is_browser(request) else await self.tell_time(request)

    async def tell_settings(self, _request: Request) -> Response:
        return JSONResponse(settings.shown(self._begin().ledger))

    def setter(self, name: str) -> Endpoint:
        """Return an endpoint that changes one setting to the value in the form."""

        async def answer(request: Request) -> Response:
            field = settings.SETTINGS[name].field
            value = (await read_form(request)).get(field, "")
            work = self._begin()
            with work.ledger.transaction():
                settings.change(work.ledger, name, value)
                if name == "account":
                    accounts.update_charges(work)
            self._done()
            return RedirectResponse("/#settings", 303) if is_browser(request) else JSONResponse({field: value})

        return answer


def _whole(form: dict[str, str], name: str) -> int:
    text = form.get(name, "").strip() or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise invalid(f"{name} must be a whole number.", name)
    return int(text)


def refusing(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with refusals as JSON, and without posts from other sites' pages."""

    async def answer(request: Request) -> Response:
        try:
            check_origin(request)
            return await endpoint(request)
        except ApiError as error:
            return JSONResponse(error.body(), error.status)

    return answer


async def _json(request: Request) -> Any:
    body = await read_body(request, MAX_FORM)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "Send JSON, with the header Content-Type: application/json.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise invalid("The body is not JSON.") from None
