"""Handovers to hosts that the login cookie does not reach: the last step before that host, and the first step on it."""

from collections.abc import Iterable
from urllib.parse import urlencode, urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from tollkeeper.config.config import Config
from tollkeeper.errors import HandoverFailed, Refused
from tollkeeper.gate import handovers
from tollkeeper.model.access import Visitor
from tollkeeper.redirects import host_apart, may_return_to
from tollkeeper.web import cookies
from tollkeeper.web.forms import limit
from tollkeeper.web.guards.headers import origin
from tollkeeper.web.responses import NO_STORE
from tollkeeper.web.return_to import to_page, wanted_page
from tollkeeper.web.site import Site, site_of

log = structlog.get_logger()

# The address that the proxies of such hosts pass on to us.
PATH = "/.tollkeeper/handover"

# How often one person may be handed over. Each handover is a row.
RATE = "60/minute"

# The address holds the token.
GUARDED = NO_STORE | {"Referrer-Policy": "no-referrer"}

FAILED = (
    "You were not signed in here. It took too long, or your browser does not accept cookies from this site."
    " Please open the page that you wanted again."
)


def asked_host(headers: Headers, config: Config) -> str:
    """The requested host, as our own proxy reports it, if it is a gated one with its own login sessions.

    Otherwise empty. ``Host`` is not trusted: anybody can set it, and nothing removes it.
    """
    said = headers.getlist("x-forwarded-host")
    address = f"https://{said[0]}" if len(said) == 1 else ""
    allowed = may_return_to(address, public_url=config.public_url, gated_hosts=config.gated_hosts)
    return (apart(address, config) or "") if allowed and address == origin(address) else ""


def apart(page: str, config: Config) -> str | None:
    """The host of a page, which a browser may be sent to, if the login cookie does not reach it."""
    return host_apart(page, public_url=config.public_url, cookie_domain=config.cookie_domain)


def secret_of(headers: Iterable[tuple[bytes, bytes]], config: Config) -> str:
    """The secret that identifies this browser later: the one it has already, or a new one."""
    kept = cookies.handover_secret(config).read(headers)
    return kept if handovers.is_secret(kept) else handovers.new_secret()


def in_a_tab(headers: Headers) -> bool:
    """Whether a tab asks for its page, and not a script or a frame, as far as the browser says; scripts can't fake it.

    https://www.w3.org/TR/fetch-metadata. A service worker that hands a tab's request on does so with no destination.
    """
    mode, destination = headers.get("sec-fetch-mode", "navigate"), headers.get("sec-fetch-dest", "document")
    return mode == "navigate" and destination in {"document", "empty"}


async def onward(request: Request, visitor: Visitor, page: str) -> Response:
    """Send a visitor to a page, by a handover if it is on a host apart and their browser was there before.

    Otherwise they go there first, and the gate sends them back with ``browser``. Raises ``Refused`` (403) for a frame
    and for scripts: what is in a frame is not seen, and the token might be bound to somebody else's browser.
    """
    site = site_of(request)
    host, browser = apart(page, site.config), request.query_params.get("browser", "")
    token = None
    if host and handovers.is_mark(browser):
        if not in_a_tab(request.headers):
            raise Refused(403, "You can sign in to that page only in a separate tab.")
        token = await _begin(request, site, visitor, host, browser)
    if token is None:
        return to_page(page, GUARDED)
    return RedirectResponse(f"{origin(page)}{PATH}?{urlencode({'token': token, 'return_to': page})}", 303, GUARDED)


async def _begin(request: Request, site: Site, visitor: Visitor, host: str, browser: str) -> str | None:
    limit(site.rates, RATE, "handover", visitor.person.id)
    return await handovers.begin(
        site.services.database, visitor.login_session_id, host=host, browser=browser, now=site.services.clock()
    )


async def enter(request: Request) -> Response:
    """``GET /.tollkeeper/handover`` on a host apart: signs the browser in there, and sends it to the page."""
    site = site_of(request)
    host = asked_host(request.headers, site.config)
    if not host:
        raise Refused(404, "Nobody can be signed in here.")
    answer = to_page(_page_on(host, request) or "/", GUARDED)
    if await site.gate.visitor(request.headers.raw, host):  # another tab was faster, or the user went back
        return answer
    now, secret_cookie = site.services.clock(), cookies.handover_secret(site.config)
    token, secret = request.query_params.get("token", ""), secret_cookie.read(request.headers.raw)
    try:
        if not in_a_tab(request.headers):
            raise HandoverFailed("a script or a frame asked for it")
        login, expires_at = await handovers.redeem(site.services.database, token, host=host, secret=secret, now=now)
    except HandoverFailed as failure:
        log.warning("handover failed", host=host, reason=failure.reason)
        return PlainTextResponse(FAILED, 400, GUARDED)  # not one of our pages: their style sheets are not on this host
    cookies.login_apart(site.config, expires_at - now).set(answer, login)
    secret_cookie.delete(answer)
    return answer


def _page_on(host: str, request: Request) -> str | None:
    """The page that the address names, if it is on this very host. Anybody may have written it."""
    site = site_of(request)
    page = wanted_page(site, request.query_params.get("return_to"))
    return page if page and urlsplit(page).hostname == host else None
