"""The address of a Payment Link."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tollkeeper_sandbox.pages import render
from tollkeeper_sandbox.stripe.engine.errors import ApiError
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import payment_links
from tollkeeper_sandbox.stripe.objects.happenings import happen


class LinkPage:
    def __init__(self, begin: Callable[[], Work]) -> None:
        self._begin = begin
        self.routes = [Route("/buy/{id}", self.visit, methods=["GET"])]

    async def visit(self, request: Request) -> Response:
        work = self._begin()
        try:
            with work.ledger.transaction():
                happen(work)
                session = payment_links.visit(work, request.path_params["id"], request.query_params)
        except ApiError as error:
            words = {"heading": "This link cannot be used", "words": error.message}
            return render(request, "message.html", error.status, **words)
        return RedirectResponse(f"/c/pay/{session['id']}", 303)
