"""Sign in at an issuer and come back; sign out, here and on the server."""

import re
from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import Response

from tollkeeper.errors import Refused, SignInFailed
from tollkeeper.gate import login_sessions
from tollkeeper.model.access import Visitor
from tollkeeper.model.people import Identity
from tollkeeper.signin import Pending
from tollkeeper.storage import login_sessions as stored
from tollkeeper.storage import people
from tollkeeper.web import attempts, cookies
from tollkeeper.web.addresses import subscriber
from tollkeeper.web.forms import limit, posted, same_origin
from tollkeeper.web.handovers import onward
from tollkeeper.web.responses import redirect
from tollkeeper.web.return_to import arrive, kept, to_page, wanted_page
from tollkeeper.web.site import Site, site_of
from tollkeeper.web.visitors import go, signed_in, visitor_of

log = structlog.get_logger()

BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrom", "Chromium"), ("Safari/", "Safari"))
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


async def login(request: Request) -> Response:
    """``GET /login``: with one issuer, redirect to it; with several, a choice."""
    site = site_of(request)
    wanted = wanted_page(site, request.query_params.get("return_to")) or site.config.front_page
    visitor = await visitor_of(request)
    if visitor:
        return await onward(request, visitor, wanted)
    issuers = site.config.issuers
    if len(issuers) == 1:
        return await _begin(request, issuers[0].id)
    query = "?" + urlencode({"return_to": wanted})
    root = request.scope.get("root_path", "")
    choices = [{"id": issuer.id, "name": issuer.name, "href": f"{root}/login/{issuer.id}{query}"} for issuer in issuers]
    return site.pages.render("login.html", issuers=choices)


async def begin(request: Request) -> Response:
    """``GET /login/{issuer}``: redirect to the issuer."""
    return await _begin(request, request.path_params["issuer"])


async def _begin(request: Request, issuer_id: str) -> Response:
    site = site_of(request)
    _known(site, issuer_id)
    limit(site.rates, site.config.sign_in_rate, "sign-in", subscriber(request.client))
    attempt = await site.signin.begin(issuer_id, callback_url(site, issuer_id))
    return_to = wanted_page(site, request.query_params.get("return_to")) or site.config.front_page
    answer = redirect(attempt.url, 302)
    attempts.keep(request, answer, attempt, return_to, await visitor_of(request))
    return answer


def callback_url(site: Site, issuer_id: str) -> str:
    """Where an issuer sends the browser back to. Each issuer has its own, so that none can answer for another."""
    return f"{site.config.base_url}/login/{issuer_id}/callback"


def _known(site: Site, issuer_id: str) -> None:
    if issuer_id not in {issuer.id for issuer in site.config.issuers}:
        raise Refused(404, "This way to sign in is not available here.")


async def callback(request: Request) -> Response:
    """``GET /login/{issuer}/callback``: back from the issuer."""
    site = site_of(request)
    issuer_id = request.path_params["issuer"]
    _known(site, issuer_id)
    limit(site.rates, site.config.sign_in_rate, "callback", subscriber(request.client))
    attempt = attempts.find(request, request.query_params.get("state", ""))
    if attempt is None:
        return await _no_attempt(request)
    try:
        identity = await site.signin.finish(
            attempt.secrets, issuer_id, callback_url(site, issuer_id), dict(request.query_params)
        )
    except SignInFailed as failure:
        log.warning("sign-in failed", issuer=issuer_id, reason=failure.reason)
        if not failure.denied and await visitor_of(request):  # by another tab, or by this one before it went back
            return go(request, "/")
        title = "You did not sign in" if failure.denied else "Signing in failed"
        words = "You can start again from the front page."
        raise Refused(403 if failure.denied else 400, words, title=title) from failure
    answer = to_page(attempt.return_to)
    attempts.forget(request, answer, attempts.mark_of(attempt.secrets["state"]))
    await _sign_in(request, answer, identity, attempt)
    return answer


async def to_wanted(request: Request) -> Response:
    """``GET /login/wanted/{mark}``: redirect to the page that somebody signed in for, if its address is long."""
    mark = request.path_params["mark"]
    if not re.fullmatch("[0-9a-f]{16}", mark):
        raise Refused(404, "There is no such page.")
    config = site_of(request).config
    pieces = cookies.after_sign_in(config, mark)
    return arrive(kept(request, pieces) or config.front_page, pieces)


async def _no_attempt(request: Request) -> Response:
    """A second tab that comes back late, or a callback that this browser did not start: nobody is signed in."""
    if await visitor_of(request):
        return go(request, "/")
    raise Refused(400, "This sign-in was not started in this browser, or took too long. Please start again.")


async def _sign_in(request: Request, answer: Response, identity: Identity, attempt: Pending) -> None:
    site = site_of(request)
    before = await visitor_of(request)
    if before is not None and await _by_another_tab(site, before, identity, attempt):
        return
    if before is not None:
        await site.services.database.write(stored.end, before.login_session_id, before.person.id)
    person, token = await login_sessions.issue(
        site.services.database, identity, browser=browser_label(request), now=site.services.clock()
    )
    cookies.login(site.config).set(answer, token)
    log.info("signed in", person=person.id, issuer=identity.issuer)
    if identity.dropped is not None:
        log.info(
            "address dropped",
            person=person.id,
            issuer=identity.issuer,
            subject=identity.subject,
            reason=identity.dropped,
        )


async def _by_another_tab(site: Site, visitor: Visitor, identity: Identity, attempt: Pending) -> bool:
    """Whether this very person was signed in since the attempt began.

    Replacing that login session with a new one would sign the other tab out while its page is loading.
    """
    return visitor.login_session_id != attempt.login_session_id and await site.services.database.read(
        people.has_identity, visitor.person.id, identity
    )


def browser_label(request: Request) -> str:
    """A name by which people recognise their own browser. Only for showing."""
    agent = request.headers.get("user-agent", "")
    browser = next((name for mark, name in BROWSERS if mark in agent), "A browser")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    return f"{browser} on {system}" if system else browser


async def logout_page(request: Request) -> Response:
    """``GET /logout``: a page with the button. A link must not sign anybody out."""
    return site_of(request).pages.render("logout.html", visitor=await visitor_of(request))


async def logout(request: Request) -> Response:
    """``POST /logout``: ends the login session on the server, then in the browser."""
    visitor = await visitor_of(request)
    if visitor is None:
        same_origin(request)
        return go(request, "/")
    return await _logout(request, visitor)


async def _logout(request: Request, visitor: Visitor) -> Response:
    site = site_of(request)
    await posted(request, visitor)
    await site.services.database.write(stored.end, visitor.login_session_id, visitor.person.id)
    return signed_out(request)


def signed_out(request: Request, answer: Response | None = None) -> Response:
    """An answer that deletes the login cookie; a redirect to the landing page, unless another answer is given."""
    answer = answer or go(request, "/")
    cookies.login(site_of(request).config).delete(answer)
    return answer


@signed_in
async def sign_out_everywhere(request: Request, visitor: Visitor) -> Response:
    """``POST /account/sign-out-everywhere``: ends every login session of the person."""
    await posted(request, visitor)
    await site_of(request).services.database.write(stored.end_all, visitor.person.id)
    return signed_out(request)


@signed_in
async def end_login_session(request: Request, visitor: Visitor) -> Response:
    """``POST /account/login-sessions/{id}/end``: signs one other browser out."""
    await posted(request, visitor)
    session_id = request.path_params["id"]
    if not re.fullmatch(r"log_[0-9a-f]{24}", session_id):
        raise Refused(404, "There is no such browser.")
    await site_of(request).services.database.write(stored.end, session_id, visitor.person.id)
    return go(request, "/account")
