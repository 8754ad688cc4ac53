"""The page that a visitor first asked for: kept in the browser while they sign in and pay, checked at each use."""

from collections.abc import Iterable

from itsdangerous import BadData
from itsdangerous.encoding import base64_decode, base64_encode
from starlette.requests import Request
from starlette.responses import Response

from tollkeeper.redirects import may_return_to
from tollkeeper.web.cookies import PIECE, Cookie
from tollkeeper.web.responses import NO_STORE
from tollkeeper.web.site import Site, site_of

# What the last piece of a page ends with.
END = "."


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


def keep(answer: Response, page: str, pieces: Iterable[Cookie]) -> None:
    """Have the browser bring a page along when it comes back to the path of these cookies."""
    text = base64_encode(page).decode() + END
    for cookie, start in zip(pieces, range(0, len(text), PIECE), strict=False):
        cookie.set(answer, text[start : start + PIECE])


def kept(request: Request, pieces: Iterable[Cookie]) -> str | None:
    """The page that was kept in this browser, if it may be sent there."""
    text = ""
    for cookie in pieces:
        piece = cookie.read(request.headers.raw)
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


def arrive(page: str, pieces: Iterable[Cookie]) -> Response:
    """Send the browser to a page, and delete it from the browser."""
    answer = to_page(page)
    forget(answer, pieces)
    return answer


def forget(answer: Response, pieces: Iterable[Cookie]) -> None:
    """Delete the page that was kept from the browser."""
    for cookie in pieces:
        cookie.delete(answer)
