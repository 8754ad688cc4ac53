"""Issuers for signing in: one for OpenID Connect that lies on demand, and a stand-in for GitHub's four addresses."""

import base64
import hashlib
import hmac
import json
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import uvicorn
from joserfc import jwt
from joserfc.jwk import Key, RSAKey
from joserfc.jws import JWSRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tollkeeper.signin import GitHubAddresses
from tollkeeper.signin.settings import IssuerSettings

CLIENT_ID = "our-client"
CLIENT_SECRET = "our-client-secret"
CALLBACK = "http://localhost:4000/login/acme/callback"
Detour = Callable[[Request], Awaitable[Response]]


def settings(issuer_url: str, **others: Any) -> IssuerSettings:
    """One configured issuer."""
    usual = IssuerSettings("acme", "Acme", "openid", issuer_url, CLIENT_ID, CLIENT_SECRET)
    return replace(usual, **others)


class Stage:
    """An ASGI app that can be replaced while the server runs. A detour responds instead of a path."""

    def __init__(self) -> None:
        self.play: ASGIApp = Starlette()
        self.detours: dict[str, Detour] = {}
        self.asked: Counter[str] = Counter()

    def show(self, play: ASGIApp) -> None:
        self.play, self.detours, self.asked = play, {}, Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.asked[scope["path"]] += 1
        detour = self.detours.get(scope["path"])
        if detour is None:
            await self.play(scope, receive, send)
        else:
            await (await detour(Request(scope, receive)))(scope, receive, send)


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve on a free port of this machine; yields the base address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(5)
        listener.close()


async def visit(url: str) -> dict[str, str]:
    """Return what a browser brings back from an issuer that shows no page: the query of the callback."""
    async with httpx2.AsyncClient() as browser:
        answer = await browser.get(url)
    assert answer.status_code == 302, answer.text
    location = answer.headers["Location"]
    assert location.startswith(CALLBACK + "?")
    return query_of(location)


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def answers(status: int = 200, body: object = None, **headers: str) -> Detour:
    """Return a detour that always sends this response."""

    async def answer(_: Request) -> Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Response(content, status, {name.replace("_", "-"): value for name, value in headers.items()})

    return answer


@dataclass
class _Grant:
    challenge: str
    redirect_uri: str
    nonce: str


class _CodeFlow:
    """What both issuers share: codes that are redeemed once, by the client that started, with PKCE."""

    def __init__(self) -> None:
        self.response: dict[str, str | None] = {}
        """Added to what the browser brings back; None takes away."""
        self._grants: dict[str, _Grant] = {}

    async def authorize(self, request: Request) -> Response:
        asked = request.query_params
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._grants[code] = _Grant(asked["code_challenge"], asked["redirect_uri"], asked.get("nonce", ""))
        answer = edited({"code": code, "state": asked["state"]}, self.response)
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 302)

    async def spend(self, request: Request) -> _Grant | None:
        form = await request.form()
        grant = self._grants.pop(str(form.get("code")), None)
        digest = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        honest = grant is not None and (segment(digest), form.get("redirect_uri")) == (
            grant.challenge,
            grant.redirect_uri,
        )
        return grant if honest and form.get("grant_type") == "authorization_code" else None


def edited(facts: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the facts with changes; None removes one."""
    return {name: value for name, value in (facts | changes).items() if value is not None}


class LyingIssuer(_CodeFlow):
    """An OpenID Connect issuer that follows the rules, except for what a test changes."""

    def __init__(self, url: str, key: Key) -> None:
        super().__init__()
        self.url = url
        self.key = key
        """Signs ID tokens."""
        self.shared_secret: bytes | None = None
        """Signs them instead, by HS256."""
        self.published: list[dict[str, Any]] = [public(key)]
        self.discovery: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.token: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}

    def app(self) -> ASGIApp:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/authorize", self.authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/keys", self._keys),
                Route("/userinfo", self._userinfo),
            ]
        )

    async def _discovery(self, _: Request) -> Response:
        facts = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        return JSONResponse(edited(facts, self.discovery))

    async def _token(self, request: Request) -> Response:
        given = base64.b64decode(request.headers.get("Authorization", "Basic ").removeprefix("Basic "))
        if given != f"{CLIENT_ID}:{CLIENT_SECRET}".encode():
            return JSONResponse({"error": "invalid_client"}, 401)
        grant = await self.spend(request)
        if grant is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        facts = {"access_token": "an-access-token", "token_type": "Bearer", "id_token": self._id_token(grant.nonce)}
        return JSONResponse(edited(facts, self.token))

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        facts = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": "person-1",
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "name": "Ada Example",
            "email": "ada@example.com",
            "email_verified": True,
        }
        header = edited({"alg": "RS256", "kid": self.key.kid}, self.header)
        claims = edited(facts, self.claims)
        if self.shared_secret is not None:
            return hs256(header, claims, self.shared_secret)
        signing = JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
        return jwt.encode(header, claims, self.key, registry=signing)

    async def _keys(self, _: Request) -> Response:
        return JSONResponse({"keys": self.published})

    async def _userinfo(self, request: Request) -> Response:
        if request.headers.get("Authorization") != "Bearer an-access-token":
            return Response(status_code=401)
        return JSONResponse(edited({"sub": "person-1"}, self.userinfo))


def hs256(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """Create a token by hand, because libraries refuse a public key as a shared secret."""
    signed = f"{segment(json.dumps(header | {'alg': 'HS256'}).encode())}.{segment(json.dumps(claims).encode())}"
    return f"{signed}.{segment(hmac.digest(secret, signed.encode(), 'sha256'))}"


def segment(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def public(key: Key) -> dict[str, Any]:
    return dict(key.as_dict(private=False))


def new_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid})


@dataclass
class GitHubFacts:
    user: dict[str, Any] = field(default_factory=lambda: {"id": 583231, "login": "octo", "name": "Octo Example"})
    emails: object = field(
        default_factory=lambda: [
            {"email": "old@example.com", "primary": False, "verified": True},
            {"email": "octo@example.com", "primary": True, "verified": True},
        ]
    )


class GitHubStandIn(_CodeFlow):
    """GitHub's four addresses, with its habit of answering 200 to a refused code."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.facts = GitHubFacts()
        self.addresses = GitHubAddresses(
            authorize=f"{url}/login/oauth/authorize",
            token=f"{url}/login/oauth/access_token",
            user=f"{url}/user",
            emails=f"{url}/user/emails?per_page=100",
        )

    def app(self) -> ASGIApp:
        return Starlette(
            routes=[
                Route("/login/oauth/authorize", self.authorize),
                Route("/login/oauth/access_token", self._token, methods=["POST"]),
                Route("/user", self._user),
                Route("/user/emails", self._emails),
            ]
        )

    async def _token(self, request: Request) -> Response:
        assert request.headers["Accept"] == "application/json"
        form = await request.form()
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "incorrect_client_credentials"})
        if await self.spend(request) is None:
            return JSONResponse({"error": "bad_verification_code"})
        return JSONResponse({"access_token": "gho_token", "token_type": "bearer", "scope": "read:user,user:email"})

    async def _user(self, request: Request) -> Response:
        return self._known(request, self.facts.user)

    async def _emails(self, request: Request) -> Response:
        return self._known(request, self.facts.emails)

    def _known(self, request: Request, facts: object) -> Response:
        known = request.headers.get("Authorization") == "Bearer gho_token" and "User-Agent" in request.headers
        return JSONResponse(facts) if known else JSONResponse({"message": "Bad credentials"}, 401)
