"""The page that a visitor first asked for: kept in the browser while they pay, and judged anew whenever it is used."""

from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tollkeeper.gate import cookie_in
from tollkeeper.redirects import may_return_to
from tollkeeper.web.site import Site, site_of

# As long as a checkout session stays open: https://docs.stripe.com/api/checkout/sessions/create, expires_at.
KEPT_SECONDS = 24 * 3600


def wanted_page(site: Site, address: object) -> str | None:
    """The page that somebody asked to be sent to, if a browser may be sent there."""
    config = site.config
    allowed = isinstance(address, str) and may_return_to(
        address, public_url=config.public_url, gated_hosts=config.gated_hosts
    )
    return str(address) if allowed else None


def keep(request: Request, answer: Response, page: str) -> None:
    """Have the browser bring the page along when it comes back from the hosted checkout page."""
    answer.set_cookie(
        _cookie(request),
        quote(page, safe=""),
        max_age=KEPT_SECONDS,
        secure=site_of(request).config.secure,
        httponly=True,
        samesite="lax",
    )


def kept(request: Request) -> str | None:
    """The page that was kept in this browser."""
    return wanted_page(site_of(request), unquote(cookie_in(request.headers.raw, _cookie(request))))


def arrive(request: Request, page: str) -> Response:
    """Send the browser to the page that was kept, which it need not bring along any longer."""
    answer = RedirectResponse(page, 303, {"Cache-Control": "no-store"})
    answer.delete_cookie(_cookie(request), secure=site_of(request).config.secure, httponly=True, samesite="lax")
    return answer


def _cookie(request: Request) -> str:
    return site_of(request).config.cookie("tollkeeper_wanted")
