"""Optional and required sign-in, for any page that asks."""

from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from tollkeeper.errors import Refused
from tollkeeper.gate.access import Allow, NotAllowed, SignIn
from tollkeeper.model.access import Visitor
from tollkeeper.web.errors import wants_json
from tollkeeper.web.refusals import query, refusal
from tollkeeper.web.responses import redirect
from tollkeeper.web.site import site_of
from tollkeeper.wording.pages import PAGE_NOT_FOR_SALE

Page = Callable[[Request], Awaitable[Response]]
VisitorPage = Callable[[Request, Visitor], Awaitable[Response]]


async def visitor_of(request: Request) -> Visitor | None:
    """The visitor, or None: for pages where signing in is optional."""
    return await site_of(request).gate.visitor(request.scope["headers"])


def signed_in(page: VisitorPage) -> Page:
    """For pages that need a visitor. Others are sent to sign in, and come back."""

    @wraps(page)
    async def guarded(request: Request) -> Response:
        visitor = await visitor_of(request)
        return await page(request, visitor) if visitor else turned_away(request, SignIn())

    return guarded


def paid(feature: str) -> Callable[[VisitorPage], Page]:
    """For pages that need a feature. Visitors who have not paid are sent to the landing page, where it is sold."""

    def guard(page: VisitorPage) -> Page:
        @wraps(page)
        async def guarded(request: Request) -> Response:
            visitor = await visitor_of(request)
            decision = site_of(request).gate.decide(visitor, feature)
            if isinstance(decision, Allow):
                return await page(request, decision.visitor)
            return turned_away(request, decision)

        return guarded

    return guard


def turned_away(request: Request, decision: NotAllowed) -> Response:
    """Send a browser to sign in and back here, or to where the product is sold.

    Raises ``Refused`` for a program, and where neither helps.
    """
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    again = request.method in {"GET", "HEAD"}  # a form cannot be sent again by a redirect
    sign_in = "/login" + query({"return_to": here} if again else {})
    refused = refusal(decision, sign_in=sign_in, buy="/", nothing_helps=PAGE_NOT_FOR_SALE)
    if refused.remedy is None or wants_json(request):
        raise Refused(refused.status, refused.detail)
    return go(request, refused.remedy, 302 if again and refused.status == 401 else 303)


def go(request: Request, path: str, status: int = 303) -> Response:
    """Send the browser to one of our own pages."""
    root = request.scope.get("root_path", "")
    return redirect(root + path, status)
