"""Optional and required sign-in, for any page that asks."""

from collections.abc import Awaitable, Callable
from functools import wraps
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tollkeeper.errors import Refused
from tollkeeper.gate.access import Allow, Deny, SignIn
from tollkeeper.model.access import Visitor
from tollkeeper.web.errors import wants_json
from tollkeeper.web.site import site_of
from tollkeeper.wording.pages import PAGE_NOT_FOR_SALE, TO_BE_BOUGHT_FIRST

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
        return await page(request, visitor) if visitor else to_sign_in(request)

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
            if isinstance(decision, SignIn):
                return to_sign_in(request)
            if isinstance(decision, Deny):
                raise Refused(403, PAGE_NOT_FOR_SALE)
            return to_landing(request)

        return guarded

    return guard


def to_sign_in(request: Request) -> Response:
    """Send a browser to sign in and back here; tell a program that it must."""
    if wants_json(request):
        raise Refused(401, "Sign in first.")
    if request.method not in {"GET", "HEAD"}:  # a form cannot be sent again by a redirect
        return go(request, "/login")
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return go(request, "/login?" + urlencode({"return_to": here}), 302)


def to_landing(request: Request) -> Response:
    """Send a browser to where the product is sold; tell a program that it must be paid for."""
    if wants_json(request):
        raise Refused(402, TO_BE_BOUGHT_FIRST)
    return go(request, "/")


def go(request: Request, path: str, status: int = 303) -> Response:
    """Send the browser to one of our own pages."""
    root = request.scope.get("root_path", "")
    return RedirectResponse(root + path, status, {"Cache-Control": "no-store"})
