"""A stand-in for an OpenID Connect issuer: discovery, a page to choose a person, codes and tokens.

Sources: OpenID Connect Core 1.0 and Discovery 1.0; RFC 6749 (OAuth 2.0), 7636 (PKCE), 8414 (metadata),
9207 (``iss`` in the response). Authlib implements the protocol; this package adds pages, people and one client.
"""

import secrets
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from authlib.oauth2 import OAuth2Error  # type: ignore[import-untyped]
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from tollkeeper_sandbox.identity.client import Client
from tollkeeper_sandbox.identity.forms import Entry, read_entry, read_form, single_values
from tollkeeper_sandbox.identity.keys import signing_key
from tollkeeper_sandbox.identity.metadata import metadata
from tollkeeper_sandbox.identity.server import Grant, IdentityServer
from tollkeeper_sandbox.pages import render
from tollkeeper_sandbox.people import CLIENT_ID, CLIENT_SECRET, PEOPLE

__all__ = ["IdentitySandbox"]

MAX_BODY = 16 * 1024
MAX_QUERY = 8 * 1024


class IdentitySandbox:
    """The issuer, as routes to mount in an app.

    ``base_url`` is the sandbox's own address; the issuer is ``<base_url>/identity``.
    ``folder`` keeps the signing key over a restart; without it each start has a new one.
    Raises ``ValueError`` if the key file contains anything but a key.
    Codes are valid for 60 seconds and once, access tokens for an hour. A restart invalidates both.
    Any redirect address on this machine (http or https) or on https anywhere is accepted.
    ``clock`` returns Unix seconds (UTC); ``token`` returns a URL-safe secret from that many random bytes.
    ``state`` returns ``up``; ``down`` (every address answers 503); or ``no_keys`` (no signing key is published).
    """

    def __init__(
        self,
        *,
        base_url: str,
        folder: Path | None = None,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        clock: Callable[[], float] = time.time,
        token: Callable[[int], str] = secrets.token_urlsafe,
        state: Callable[[], str] = lambda: "up",
    ) -> None:
        self.issuer = base_url.rstrip("/") + "/identity"
        self._key = signing_key(folder)
        self._client = Client(client_id, client_secret)
        self._state = state
        self._server = IdentityServer(self.issuer, self._client, self._key, clock, token)

    @cached_property
    def routes(self) -> list[BaseRoute]:
        """The routes: all of them below ``/identity``, except the one that RFC 8414 puts elsewhere."""
        return [self._unless_down(route) for route in self._routes()]

    def forget(self) -> None:
        """Invalidate all codes and access tokens: when time is set back, they would be valid for longer."""
        self._server.codes.clear()
        self._server.accesses.clear()

    def _unless_down(self, route: Route) -> Route:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            app = PlainTextResponse("The issuer is down.", 503) if self._state() == "down" else served
            await app(scope, receive, send)

        served, route.app = route.app, answer
        return route

    def _routes(self) -> list[Route]:
        return [
            Route("/identity", self._about),
            Route("/identity/.well-known/openid-configuration", self._metadata),
            Route("/.well-known/oauth-authorization-server/identity", self._metadata),
            Route("/identity/jwks.json", self._jwks),
            Route("/identity/authorize", self._authorize, methods=["GET", "POST"], max_body_size=MAX_BODY),
            Route("/identity/token", self._token, methods=["POST"], max_body_size=MAX_BODY),
            Route("/identity/userinfo", self._userinfo, methods=["GET", "POST"], max_body_size=MAX_BODY),
        ]

    async def _about(self, request: Request) -> Response:
        return render(request, "identity_about.html", issuer=self.issuer, client=self._client, people=PEOPLE)

    async def _metadata(self, request: Request) -> Response:
        return JSONResponse(metadata(self.issuer))

    async def _jwks(self, request: Request) -> Response:
        return JSONResponse({"keys": [] if self._state() == "no_keys" else [self._key.as_dict(private=False)]})

    async def _authorize(self, request: Request) -> Response:
        if len(request.url.query) > MAX_QUERY:
            raise HTTPException(414)
        try:
            form = await read_form(request) if request.method == "POST" else {}
            # OpenID Connect Core, 3.1.2.1: a client may send its request as a form post, too.
            if "client_id" in form:
                return RedirectResponse(f"{request.url.path}?{urlencode(form)}", 303)
            parameters = single_values(request.query_params.multi_items())
            grant = self._server.begin(parameters)
        except OAuth2Error as error:
            return self._refuse(request, error)
        if request.method == "POST":
            return self._answer(request, grant, form)
        return self._choose(request, grant)

    def _refuse(self, request: Request, error: OAuth2Error) -> Response:
        if error.redirect_uri:
            return self._server.refuse(error)
        return render(request, "identity_error.html", 400, error=error)

    def _choose(self, request: Request, grant: Grant, *, entry: Entry | None = None, unknown: bool = False) -> Response:
        entry = entry or Entry(email=grant.request.payload.data.get("login_hint", ""))
        return render(
            request,
            "identity_choose.html",
            400 if entry.errors or unknown else 200,
            people=PEOPLE,
            entry=entry,
            unknown=unknown,
            asker=urlsplit(grant.redirect_uri).netloc,
        )

    def _answer(self, request: Request, grant: Grant, form: dict[str, str]) -> Response:
        if "deny" in form:
            return self._server.finish(grant, None)
        if "person" in form:
            ready = {person.email: person for person in PEOPLE}.get(form["person"])
            return self._server.finish(grant, ready) if ready else self._choose(request, grant, unknown=True)
        entry = read_entry(form)
        if entry.errors:
            return self._choose(request, grant, entry=entry)
        return self._server.finish(grant, entry.person)

    async def _token(self, request: Request) -> Response:
        try:
            form = await read_form(request)
        except OAuth2Error as error:
            return self._server.refuse(error)
        return self._server.redeem(form, request.headers)

    async def _userinfo(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        presented = token.strip() if scheme.lower() == "bearer" else ""
        access = self._server.accesses.get(presented)
        headers = {"Cache-Control": "no-store"}
        if access:
            return JSONResponse(access.person.claims(access.scope), headers=headers)
        # RFC 6750, 3.1: no error code for a request that carries no token at all.
        headers["WWW-Authenticate"] = "Bearer" + (' error="invalid_token"' if presented else "")
        return JSONResponse({"error": "invalid_token"}, 401, headers)
