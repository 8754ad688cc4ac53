"""The gate for apps behind a proxy, which asks here before it lets a request through to the app.

``/gate`` is for proxies that hand a refusal on to the browser as it is: Caddy's ``forward_auth``, Traefik's
``ForwardAuth``. ``/gate/auth-request`` is for nginx, whose ``auth_request`` understands 2xx, 401 and 403 alone. The
gate matches no paths: the proxy names the feature.

It is asked for each request to the app, most of them by somebody who may pass. So it is plain ASGI, works out for an
allow only what that needs, and writes no line about an answer: the proxy's own log has one.
"""

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import parse_qsl, quote, urlencode

import structlog
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tollkeeper.access import Allow, Decision, Pay, SignIn
from tollkeeper.config import Config
from tollkeeper.errors import TollkeeperError
from tollkeeper.redirects import login_reaches, may_return_to
from tollkeeper.web.errors import DETAILS, problem
from tollkeeper.web.guards import believed, security_headers
from tollkeeper.web.site import Site

log = structlog.get_logger()

NO_STORE = {"Cache-Control": "no-store"}
ALLOWED = [(b"cache-control", b"no-store"), (b"content-length", b"0")]

# What stands in a header as it is: what RFC 9110, section 5.5, calls visible characters, and blanks. Not the percent
# sign, so that whoever decodes gets back what was encoded.
AS_IT_IS = "".join(set(string.printable) - set(string.whitespace) - {"%"}) + " "

Answer: TypeAlias = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers and body."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody may not pass, and where they can change that."""

    status: int
    detail: str
    base: str
    """Where our own pages are. Never what a request says about itself."""
    feature: str
    remedy: str | None = None
    """The address where a browser signs in or buys."""


class AheadOfPages:
    """Answers the two addresses of the gate, by any method, and leaves all others to the pages."""

    def __init__(self, pages: ASGIApp, config: Config, site: Callable[[], Site]) -> None:
        """``site`` is asked when a request comes: there is none before the app has started."""
        self.pages = pages
        self.config = config
        self.site = site
        # What a proxy asks, word for word. Written otherwise, it takes a little longer.
        self.usual = {
            query({"feature": feature})[1:].encode(): feature
            for product in config.products
            for feature in product.unlocks
        }
        self.careful = security_headers(config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = DOORS.get(path_of(scope)) if scope["type"] == "http" else None
        if door is None:
            await self.pages(scope, receive, send)
            return
        site = self.site()
        status, headers, body = await self._answer(scope, site, door)
        site.books.metrics.answered(status)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, site: Site, door: Callable[[Headers, Refusal], Response]) -> Answer:
        """Only a decision lets anybody pass: whatever goes wrong on the way to one is answered by 503."""
        request_id = ""
        try:
            asked = scope["query_string"]
            feature = self.usual.get(asked) or the_feature(asked)
            decision = site.gate.decide(await site.gate.visitor(scope["headers"]), feature)
            if isinstance(decision, Allow):
                return 200, ALLOWED + identity(decision), b""
            headers = Headers(raw=believed(scope, self.config.trusted_proxies))
            return self._carefully(door(headers, self._refusal(decision, feature, scope, headers)))
        except TollkeeperError as error:
            request_id = secrets.token_hex(8)
            log.warning("the gate cannot decide", reason=str(error), error=type(error).__name__, request_id=request_id)
        except Exception:
            request_id = secrets.token_hex(8)
            log.exception("the gate cannot decide", request_id=request_id)
        told = NO_STORE | {"Retry-After": "60", "X-Request-Id": request_id}
        return self._carefully(PlainTextResponse(DETAILS[503], 503, told))

    def _refusal(self, decision: Decision, feature: str, scope: Scope, headers: Headers) -> Refusal:
        """What to tell whoever may not pass."""
        page = page_asked_for(headers, self.config)
        back = {"return_to": page} if page else {}
        base = self.config.public_url + str(scope.get("root_path", ""))
        match decision:
            case SignIn():
                return Refusal(401, "Sign in first.", base, feature, base + "/login" + query(back))
            case Pay():
                remedy = base + "/" + query({"feature": feature} | back)
                return Refusal(402, "This has to be bought first.", base, feature, remedy)
        log.warning("the gate is asked for a feature that nothing unlocks", feature=feature[:64])
        return Refusal(403, "Nothing that is sold here opens this.", base, feature)

    def _carefully(self, response: Response) -> Answer:
        """With the headers of every page: a proxy may hand a refusal on to a browser, but never an allow."""
        for name, value in self.careful.items():
            response.headers.setdefault(name, value)
        return response.status_code, response.raw_headers, bytes(response.body)


def path_of(scope: Scope) -> str:
    """The path, from where the app is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def the_feature(query_string: bytes) -> str:
    """The feature asked for; if none or several are, one that nothing unlocks."""
    named = [value for name, value in parse_qsl(query_string.decode("latin-1"), True) if name == "feature"]
    return named[0] if len(named) == 1 else ""


def by_itself(headers: Headers, refused: Refusal) -> Response:
    """``/gate``: the answer that the proxy hands on. 302 for a browser; problem details for a program."""
    if refused.remedy and is_navigation(headers):
        return RedirectResponse(refused.remedy, 302, NO_STORE)
    challenge = {"WWW-Authenticate": "Cookie"} if refused.status == 401 else {}
    buy = refused.base + "/" + query({"feature": refused.feature})
    links = {"sign_in": f"{refused.base}/login", "buy": buy} if refused.remedy else {}
    return problem(refused.status, refused.detail, challenge, **links)


def for_nginx(headers: Headers, refused: Refusal) -> Response:
    """``/gate/auth-request``: the status that nginx understands. 401 to sign in; 403 to buy, or for nobody.

    ``Location`` is where nginx may send the browser. A program's answer has none.
    """
    told = NO_STORE | ({"Location": refused.remedy} if refused.remedy and is_navigation(headers) else {})
    if refused.status == 401:
        return Response(status_code=401, headers=told | {"WWW-Authenticate": "Cookie"})
    return Response(status_code=403, headers=told)


DOORS = {"/gate": by_itself, "/gate/auth-request": for_nginx}
"""The gate's addresses, and how each refuses."""


def identity(allowed: Allow) -> list[tuple[bytes, bytes]]:
    """Who may pass, in the headers that self-hosted apps understand.

    Always all four, if need be empty: where one is missing, a proxy could leave the visitor's own in its place.
    """
    person = allowed.visitor.person
    return [
        (b"remote-user", person.id.encode("latin-1")),
        (b"remote-name", field_value(person.name).encode()),
        (b"remote-email", field_value(person.email or "").encode()),
        (b"remote-groups", ",".join(sorted(allowed.features)).encode("latin-1")),
    ]


def field_value(text: str) -> str:
    """Text in the form that any HTTP field may have: printable ASCII, the rest percent-encoded as in addresses."""
    if text.isascii() and text.isprintable() and "%" not in text:
        return text  # as most is
    return quote(text, safe=AS_IT_IS, errors="replace")


def query(parameters: dict[str, str]) -> str:
    """The end of an address, if there is anything to say."""
    return f"?{urlencode(parameters)}" if parameters else ""


def is_navigation(headers: Headers) -> bool:
    """Whether a person waits for a page. Browsers say so themselves (Fetch Metadata); of others, who accepts HTML."""
    mode = headers.get("sec-fetch-mode")
    return mode == "navigate" if mode else "text/html" in headers.get("accept", "")


def page_asked_for(headers: Headers, config: Config) -> str | None:
    """The page that the visitor asked the app for, by the word of our own proxy; its front page if it can't be that.

    None where a browser may not be sent, or where it would not bring our cookie.
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
        and login_reaches(address, public_url=config.public_url, cookie_domain=config.cookie_domain)
    )
    return next(allowed, None)
