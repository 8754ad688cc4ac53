"""The gate for apps behind a proxy, which asks here before it lets a request through to the app.

``/gate`` is for proxies that hand a refusal on to the browser as it is: Caddy's ``forward_auth``, Traefik's
``ForwardAuth``. ``/gate/auth-request`` is for nginx, whose ``auth_request`` understands 2xx, 401 and 403 alone. The
gate matches no paths: the proxy names the feature.
"""

import string
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from tollkeeper.access import Allow, Decision, Pay, SignIn
from tollkeeper.config import Config
from tollkeeper.errors import TollkeeperError
from tollkeeper.login_sessions import digest
from tollkeeper.redirects import may_return_to
from tollkeeper.web import handover
from tollkeeper.web.errors import DETAILS, problem
from tollkeeper.web.site import Site, site_of

log = structlog.get_logger()

NO_STORE = {"Cache-Control": "no-store"}

# What stands in a header as it is: what RFC 9110, section 5.5, calls visible characters, and blanks. Not the percent
# sign, so that whoever decodes gets back what was encoded.
AS_IT_IS = "".join(set(string.printable) - set(string.whitespace) - {"%"}) + " "


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody may not pass, and where they can change that."""

    status: int
    detail: str
    remedy: str | None = None
    """The address where a browser signs in or buys."""
    secret: str | None = None
    """What a browser is left here, to show that it is the same one when it comes back signed in."""


class ForwardAuth:
    """``/gate``, by any method: 200 and who it is; or 302 for a browser; or problem details for a program."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self._answer(Request(scope)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        """Only a decision lets anybody pass: whatever goes wrong on the way to one is answered by 503."""
        try:
            site = site_of(request)
            decision = await decide(request, site)
            if isinstance(decision, Allow):
                return Response(headers=NO_STORE | identity(decision))
            return self.refuse(request, site, refusal(decision, request, site))
        except TollkeeperError as error:
            log.warning("the gate cannot decide", reason=str(error), error=type(error).__name__)
        except Exception:
            log.exception("the gate cannot decide")
        return PlainTextResponse(DETAILS[503], 503, NO_STORE | {"Retry-After": "60"})

    def refuse(self, request: Request, site: Site, refused: Refusal) -> Response:
        """The answer that the proxy hands on."""
        if refused.remedy and is_navigation(request.headers):
            return left(request, RedirectResponse(refused.remedy, 302, NO_STORE), refused)
        base = base_url(request, site)
        challenge = {"WWW-Authenticate": "Cookie"} if refused.status == 401 else {}
        buy = base + "/" + query({"feature": the_feature(request)})
        links = {"sign_in": f"{base}/login", "buy": buy} if refused.remedy else {}
        return problem(refused.status, refused.detail, challenge, **links)


class AuthRequest(ForwardAuth):
    """``/gate/auth-request``, by any method: 200 and who it is; 401 to sign in; 403 to buy, or for nobody.

    A refusal's ``Location`` is where nginx may send the browser. A program's has none.
    """

    def refuse(self, request: Request, site: Site, refused: Refusal) -> Response:
        """The status that nginx understands."""
        headers = dict(NO_STORE)
        if refused.remedy and is_navigation(request.headers):
            headers["Location"] = refused.remedy
        if refused.status == 401:
            answer = Response(status_code=401, headers=headers | {"WWW-Authenticate": "Cookie"})
            return left(request, answer, refused) if "Location" in headers else answer
        return Response(status_code=403, headers=headers)


def left(request: Request, answer: Response, refused: Refusal) -> Response:
    """An answer to a browser that leaves it what it has to bring along."""
    if refused.secret:
        handover.leave(request, answer, refused.secret)
    return answer


async def decide(request: Request, site: Site) -> Decision:
    """Whether whoever sends this request may use the feature that the proxy names."""
    feature = the_feature(request)
    host = handover.asked_host(request.headers, site.config)
    return site.gate.decide(await site.gate.visitor(request, host), feature)


def the_feature(request: Request) -> str:
    """The feature asked for; if none or several are, one that nothing unlocks."""
    named = request.query_params.getlist("feature")
    return named[0] if len(named) == 1 else ""


def identity(allowed: Allow) -> dict[str, str]:
    """Who may pass, in the headers that self-hosted apps understand.

    Always all four, if need be empty: where one is missing, a proxy could leave the visitor's own in its place.
    """
    person = allowed.visitor.person
    return {
        "Remote-User": person.id,
        "Remote-Name": field_value(person.name),
        "Remote-Email": field_value(person.email or ""),
        "Remote-Groups": ",".join(sorted(allowed.features)),
    }


def field_value(text: str) -> str:
    """Text in the form that any HTTP field may have: printable ASCII, the rest percent-encoded as in addresses."""
    return quote(text, safe=AS_IT_IS, errors="replace")


def refusal(decision: Decision, request: Request, site: Site) -> Refusal:
    """What to tell whoever may not pass."""
    page = page_asked_for(request.headers, site.config)
    back = {"return_to": page} if page else {}
    base = base_url(request, site)
    match decision:
        case SignIn() if page and handover.asked_host(request.headers, site.config):
            return sign_in_apart(request, base, page)
        case SignIn():
            return Refusal(401, "Sign in first.", base + "/login" + query(back))
        case Pay():
            return Refusal(
                402, "This has to be bought first.", base + "/" + query({"feature": the_feature(request)} | back)
            )
    log.warning("the gate is asked for a feature that nothing unlocks", feature=the_feature(request)[:64])
    return Refusal(403, "Nothing that is sold here opens this.")


def sign_in_apart(request: Request, base: str, page: str) -> Refusal:
    """What to tell whoever is not signed in at a host that the login cookie does not reach."""
    if request.headers.get("x-forwarded-uri", "").startswith(handover.PATH):  # they would come back here for ever
        log.error("the proxy asks the gate for an address that belongs to Tollkeeper", path=handover.PATH)
        return Refusal(403, "This address belongs to Tollkeeper.")
    secret = handover.secret_of(request)
    return Refusal(
        401, "Sign in first.", base + "/login" + query({"return_to": page, "browser": digest(secret)}), secret
    )


def query(parameters: dict[str, str]) -> str:
    """The end of an address, if there is anything to say."""
    return f"?{urlencode(parameters)}" if parameters else ""


def base_url(request: Request, site: Site) -> str:
    """Where our own pages are. Never what a request says about itself."""
    return site.config.public_url + str(request.scope.get("root_path", ""))


def is_navigation(headers: Headers) -> bool:
    """Whether a person waits for a page. Browsers say so themselves (Fetch Metadata); of others, who accepts HTML."""
    mode = headers.get("sec-fetch-mode")
    return mode == "navigate" if mode else "text/html" in headers.get("accept", "")


def page_asked_for(headers: Headers, config: Config) -> str | None:
    """The page that the visitor asked the app for, by the word of our own proxy; its front page if it can't be that.

    None where a browser may not be sent.
    """
    said = [headers.getlist(f"x-forwarded-{part}") for part in ("proto", "host", "uri")]
    if any(len(values) != 1 for values in said):
        return None
    scheme, host, uri = (values[0] for values in said)
    again = headers.get("x-forwarded-method", "GET") in {"GET", "HEAD"}  # a form can't be sent again by a redirect
    addresses = [f"{scheme}://{host}{path}" for path in ([uri] if again else []) + ["/"]]
    allowed = (
        address
        for address in addresses
        if may_return_to(address, public_url=config.public_url, gated_hosts=config.gated_hosts)
    )
    return next(allowed, None)
