"""The page that a visitor first asked for: kept in the browser while they sign in and pay, checked at each use."""

from itsdangerous import BadData
from itsdangerous.encoding import base64_decode, base64_encode
from starlette.requests import Request
from starlette.responses import Response

from tollkeeper.gate.door import cookie_in
from tollkeeper.redirects import may_return_to
from tollkeeper.web.site import Site, site_of

# As long as a checkout session stays open: https://docs.stripe.com/api/checkout/sessions/create, expires_at.
KEPT_SECONDS = 24 * 3600

# Browsers drop a cookie whose name and value are longer than 4,096 bytes together (RFC 6265bis, section 5.6). So a page
# is kept in pieces, of which the longest address needs three: base64 makes four characters of three.
PIECE = 3_800
PIECES = 3
END = "."

NO_STORE = {"Cache-Control": "no-store"}


def wanted_page(site: Site, address: object) -> str | None:
    """The page that somebody asked to be sent to, if a browser may be sent there."""
    config = site.config
    allowed = isinstance(address, str) and may_return_to(
        address, public_url=config.public_url, gated_hosts=config.gated_hosts
    )
    return str(address) if allowed else None


def to_page(page: str, headers: dict[str, str] = NO_STORE) -> Response:
    """Send the browser to a page that it may be sent to, with exactly the characters that it asked for."""
    return Response(status_code=303, headers={"Location": page} | headers)


def after_paying(site: Site) -> str:
    """The path of ours at which browsers come back from the hosted checkout page."""
    return f"{site.config.path}/purchase/success"


def keep(request: Request, answer: Response, page: str, *, at: str, seconds: int) -> None:
    """Have the browser send a page's address when it comes back to the path ``at``, and nowhere else.

    It must not be part of other requests: servers refuse headers that are too long.
    """
    config = site_of(request).config
    text = base64_encode(page).decode() + END
    for number, start in enumerate(range(0, len(text), PIECE)):
        answer.set_cookie(
            _cookie(request, number),
            text[start : start + PIECE],
            max_age=seconds,
            path=at,
            secure=config.secure,
            httponly=True,
            samesite="lax",
        )


def kept(request: Request) -> str | None:
    """The page that was kept in this browser for the path of this request."""
    text = ""
    for number in range(PIECES):
        piece = cookie_in(request.headers.raw, _cookie(request, number))
        text += piece
        if piece.endswith(END):  # what follows belongs to an earlier, longer page
            return wanted_page(site_of(request), _decoded(text.removesuffix(END)))
        if not piece:  # without it, the others would make a different page
            break
    return None


def _decoded(text: str) -> str | None:
    try:
        return base64_decode(text).decode("ascii")
    except (BadData, UnicodeError):
        return None


def arrive(request: Request, page: str, *, at: str) -> Response:
    """Send the browser to the page that was kept for the path ``at``, and delete it from the browser."""
    answer = to_page(page)
    forget(request, answer, at=at)
    return answer


def forget(request: Request, answer: Response, *, at: str) -> None:
    """Delete the page that was kept for the path ``at`` from the browser."""
    for number in range(PIECES):
        answer.delete_cookie(
            _cookie(request, number), path=at, secure=site_of(request).config.secure, httponly=True, samesite="lax"
        )


def _cookie(request: Request, number: int) -> str:
    # Not __Host-, which allows no path. If another host of the domain plants a value here, it is checked like any link.
    return site_of(request).config.cookie(f"tollkeeper_wanted-{number}", "__Secure-")
