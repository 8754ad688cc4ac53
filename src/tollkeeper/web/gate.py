"""The gate for apps behind a proxy, which asks here before it lets a request through to the app.

``/gate`` is for proxies that hand a refusal on to the browser as it is: Caddy's ``forward_auth``, Traefik's
``ForwardAuth``. ``/gate/auth-request`` is for nginx, whose ``auth_request`` understands 2xx, 401 and 403 alone. The
gate matches no paths: the proxy names the feature.

It is asked about each request to the app, most of them from somebody who may pass. So it is plain ASGI, computes for an
allow only what that needs, and logs no line about an answer: the proxy's own log has one.
"""

import secrets
import string
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import parse_qsl, quote

import structlog
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tollkeeper.config.config import Config
from tollkeeper.errors import TollkeeperError
from tollkeeper.gate.access import Allow, Deny, NotAllowed
from tollkeeper.gate.login_sessions import digest
from tollkeeper.redirects import may_return_to
from tollkeeper.web import cookies, handovers
from tollkeeper.web.errors import DETAILS
from tollkeeper.web.guards.headers import security_headers
from tollkeeper.web.guards.proxies import TrustedHeaders
from tollkeeper.web.refusals import Refusal, is_navigation, query, refusal_at_gate
from tollkeeper.web.responses import NO_STORE
from tollkeeper.web.site import Site

log = structlog.get_logger()

ALLOWED = [*Headers(NO_STORE).raw, (b"content-length", b"0")]

# The characters that a header contains unencoded: the visible ones of RFC 9110, section 5.5, and blanks. Not the
# percent sign, so that decoding returns exactly what was encoded.
AS_IT_IS = "".join(set(string.printable) - set(string.whitespace) - {"%"}) + " "

RawResponse: TypeAlias = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers and body."""


class AheadOfPages:
    """Responds at the two addresses of the gate, to any method, and passes all other requests to the pages."""

    def __init__(
        self, pages: ASGIApp, config: Config, trusted_headers: TrustedHeaders, site: Callable[[], Site]
    ) -> None:
        """``site`` is asked when a request comes: there is none before the app has started."""
        self.pages = pages
        self.config = config
        self.trusted_headers = trusted_headers
        self.site = site
        # With our path, and without it, as ``AtOurPath`` has it for pages.
        self.doors = {path + door: answer for door, answer in DOORS.items() for path in ("", config.path)}
        # What a proxy asks, literally. Any other spelling takes a little longer.
        self.usual = {
            query({"feature": feature})[1:].encode(): feature
            for product in config.products
            for feature in product.unlocks
        }
        # The same for what is answered at once: whole targets, as in the first line of a request.
        self.targets = {
            f"{door}?".encode() + query: feature for door in self.doors for query, feature in self.usual.items()
        }
        self.careful = security_headers(config)
        self.some_apart = any(handovers.apart(f"https://{host}", config) for host in config.gated_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = self.doors.get(scope["path"]) if scope["type"] == "http" else None
        if door is None:
            await self.pages(scope, receive, send)
            return
        site = self.site()
        status, headers, body = await self._answer(scope, site, door)
        site.services.metrics.answered(status)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def at_once(self, target: bytes, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]] | None:
        """Return the headers of an allow (200, without a body), if that can be decided without waiting.

        None leaves it to the normal path, which produces every other answer: see ``tollkeeper.serving.heads``.
        """
        feature = self.targets.get(target)
        if feature is None or self.some_apart:
            return None
        try:
            site = self.site()
            allowed = site.gate.allow_at_once(headers, feature)
        except Exception:  # which the normal path will meet again, and report
            return None
        if allowed is None:
            return None
        site.services.metrics.answered(200)
        return ALLOWED + identity(allowed)

    async def _answer(self, scope: Scope, site: Site, door: Callable[[Headers, Refusal], Response]) -> RawResponse:
        """Only a decision lets anybody pass: any error on the way to one is answered with 503."""
        request_id = ""
        try:
            asked = scope["query_string"]
            feature = self.usual.get(asked) or the_feature(asked)
            host = handovers.asked_host(self._believed(scope), self.config) if self.some_apart else ""
            decision = site.gate.decide(await site.gate.visitor(scope["headers"], host), feature)
            if isinstance(decision, Allow):
                return 200, ALLOWED + identity(decision), b""
            headers = self._believed(scope)
            refused, secret = self._refusal(decision, feature, host, headers)
            response = door(headers, refused)
            if secret and "location" in response.headers:
                cookies.handover_secret(self.config).set(response, secret)
            return self._carefully(response)
        except TollkeeperError as error:
            request_id = secrets.token_hex(8)
            log.warning("the gate cannot decide", reason=str(error), error=type(error).__name__, request_id=request_id)
        except Exception:
            request_id = secrets.token_hex(8)
            log.exception("the gate cannot decide", request_id=request_id)
        head = NO_STORE | {"Retry-After": "60", "X-Request-Id": request_id}
        return self._carefully(PlainTextResponse(DETAILS[503], 503, head))

    def _believed(self, scope: Scope) -> Headers:
        return Headers(raw=self.trusted_headers(scope))

    def _refusal(self, decision: NotAllowed, feature: str, host: str, headers: Headers) -> tuple[Refusal, str]:
        """The refusal for a visitor who may not pass; and the secret to set in a browser at a host apart, if any."""
        if isinstance(decision, Deny):
            log.warning("the gate is asked for a feature that nothing unlocks", feature=feature[:64])
        page = forwarded_page(headers, self.config)
        refused = refusal_at_gate(decision, feature, base_url=self.config.base_url, page=page)
        return (
            sign_in_apart(refused, headers, self.config) if host and page and refused.status == 401 else (refused, "")
        )

    def _carefully(self, response: Response) -> RawResponse:
        """With the headers of every page: a proxy may hand a refusal on to a browser, but never an allow."""
        for name, value in self.careful.items():
            response.headers.setdefault(name, value)
        return response.status_code, response.raw_headers, bytes(response.body)


def sign_in_apart(refused: Refusal, headers: Headers, config: Config) -> tuple[Refusal, str]:
    """The refusal for a visitor who is not signed in, at a host that the login cookie does not reach.

    And the secret to set in their browser, which proves that the same browser comes back signed in.
    """
    if headers.get("x-forwarded-uri", "").startswith(handovers.PATH):  # they would come back here in a loop
        log.error("the proxy asks the gate for an address that belongs to Tollkeeper", path=handovers.PATH)
        return replace(refused, status=403, detail="This address belongs to Tollkeeper.", remedy=None), ""
    secret = handovers.secret_of(headers.raw, config)
    return replace(refused, remedy=f"{refused.remedy}&browser={digest(secret)}"), secret


def the_feature(query_string: bytes) -> str:
    """The feature asked for; if none or several are, one that nothing unlocks."""
    named = [value for name, value in parse_qsl(query_string.decode("latin-1"), True) if name == "feature"]
    return named[0] if len(named) == 1 else ""


def by_itself(headers: Headers, refused: Refusal) -> Response:
    """``/gate``: the answer that the proxy passes on. 302 for a browser; problem details for a program.

    So is a guarded app's own, in the library.
    """
    return refused.as_redirect() or refused.as_problem() if is_navigation(headers) else refused.as_problem()


def for_nginx(headers: Headers, refused: Refusal) -> Response:
    """``/gate/auth-request``: the status that nginx understands. 401 to sign in; 403 to buy, or for nobody.

    ``Location`` is where nginx may send the browser. A program's answer has none.
    """
    head = NO_STORE | refused.challenge
    if refused.remedy and is_navigation(headers):
        head |= {"Location": refused.remedy}
    return Response(status_code=401 if refused.status == 401 else 403, headers=head)


DOORS = {"/gate": by_itself, "/gate/auth-request": for_nginx}
"""Where proxies ask, and how each is answered."""


def identity(allowed: Allow) -> list[tuple[bytes, bytes]]:
    """Who may pass, in the headers that self-hosted apps understand.

    Always all four, even if empty: if one were missing, a proxy could leave the visitor's own in its place.
    """
    person = allowed.visitor.person
    return [
        (b"remote-user", person.id.encode("latin-1")),
        (b"remote-name", field_value(person.name).encode()),
        (b"remote-email", field_value(person.email or "").encode()),
        (b"remote-groups", groups(allowed.features)),
    ]


@lru_cache
def groups(features: frozenset[str]) -> bytes:
    """Features in alphabetical order. There are only as many sets of them as combinations that people own: few."""
    return ",".join(sorted(features)).encode("latin-1")


def field_value(text: str) -> str:
    """Text in the form that any HTTP field may have: printable ASCII, the rest percent-encoded as in addresses."""
    if text.isascii() and text.isprintable() and "%" not in text:
        return text  # as most is
    return quote(text, safe=AS_IT_IS, errors="replace")


def forwarded_page(headers: Headers, config: Config) -> str | None:
    """The page that the visitor asked the app for, as our own proxy reports it; otherwise the host's front page.

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
