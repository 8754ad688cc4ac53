"""What stands around every page, as plain ASGI: request ids and the log, security headers, limits on bodies."""

import asyncio
import re
import secrets
import time
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tollkeeper.config.config import Config
from tollkeeper.config.parsers import Network
from tollkeeper.errors import Misplaced
from tollkeeper.metrics import Metrics
from tollkeeper.web.addresses import address_of, plain
from tollkeeper.web.site import site_of

log = structlog.get_logger()

# The longest that a request body may take to arrive, in seconds, and the most it may hold, in bytes.
BODY_SECONDS = 5
BODY_BYTES = 1024 * 1024

NAME_YOUR_PROXY = (
    "If that is your own proxy, add its address to TRUSTED_PROXIES. If not, a stranger reached us past it."
)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


class RequestLog:
    """Gives each request an id, writes one line about it, and lets no error out.

    Only the path is logged: query strings carry authorization codes and checkout session ids.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["request_id"] = secrets.token_hex(8)
        status = 500
        began = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", scope["request_id"].encode()))
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=scope["request_id"]):
            try:
                await self.app(scope, receive, noting)
            except Exception:  # answered already, by the handler for what nobody thought of
                log.exception("unexpected error")
            finally:
                metrics_of(scope).answered(status)
                took = round((time.perf_counter() - began) * 1000, 1)
                log.info("request", method=scope["method"], path=scope["path"], status=status, ms=took)


def metrics_of(scope: Scope) -> Metrics:
    """Where the site that answered a request counts."""
    return site_of(Request(scope)).services.metrics


class OnlyOurProxies:
    """Whatever strangers say in ``X-Forwarded-…`` is unsaid before anybody reads it: what is left, our proxies said."""

    def __init__(self, app: ASGIApp, trusted_headers: "TrustedHeaders") -> None:
        self.app = app
        self.trusted_headers = trusted_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            # uvicorn, which goes by the same list to tell whom a proxy speaks for, must know it by the same address.
            scope = dict(scope, headers=self.trusted_headers(scope), client=plain(scope.get("client")))
        await self.app(scope, receive, send)


class TrustedHeaders:
    """A request's headers, without ``X-Forwarded-…`` unless one of our proxies sent it.

    A proxy that the settings do not name makes all its visitors one, and the gate forget their pages. So the first few
    addresses that send such headers in vain are told of, once each: a stranger who is first must not hide a proxy.
    """

    MOST_TOLD = 5

    def __init__(self, trusted: tuple[Network, ...]) -> None:
        self._trusted = trusted
        self._told: set[str] = set()

    def __call__(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if not any(map(_forwarded, headers)):
            return headers
        address = address_of(scope["client"])
        if address is not None and any(address in network for network in self._trusted):
            return headers
        self._tell(str(address or "unknown"))
        return [header for header in headers if not _forwarded(header)]

    def _tell(self, address: str) -> None:
        if address not in self._told and len(self._told) < self.MOST_TOLD:
            self._told.add(address)
            log.warning("not believed", header="X-Forwarded-...", sent_by=address, advice=NAME_YOUR_PROXY)


def _forwarded(header: tuple[bytes, bytes]) -> bool:
    return header[0].startswith(b"x-forwarded-")


class AtOurPath:
    """Our pages are at the path of PUBLIC_URL, which whoever mounts us, or a proxy, may have taken off the address."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self.app = app
        self.path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = placed(scope, self.path)
        await self.app(scope, receive, send)


def placed(scope: Scope, path: str) -> Scope:
    """A request with our path as ``root_path`` and at the start of ``path``, as ASGI has it.

    https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope. Raises ``Misplaced``.
    """
    mounted = scope.get("root_path", "")
    if mounted not in {"", path}:
        raise Misplaced(mounted)
    if not path:
        return scope
    within = _without(path, scope["path"])
    raw = _without(path, scope.get("raw_path", b"").decode("latin-1"))
    return dict(scope, root_path=path, path=path + within, raw_path=(path + raw).encode("latin-1"))


def _without(path: str, address: str) -> str:
    within = address.removeprefix(path) if f"{address}/".startswith(f"{path}/") else address
    return within or "/"


class SecurityHeaders:
    """The same careful headers on every answer."""

    def __init__(self, app: ASGIApp, config: Config) -> None:
        self.app = app
        headers = security_headers(config)
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}  # in lower case, as ASGI has it
                message["headers"].extend(header for header in self.headers if header[0] not in said)
            await send(message)

        await self.app(scope, receive, adding)


def security_headers(config: Config) -> dict[str, str]:
    """Nothing is loaded from elsewhere, nothing is scripted, nobody may frame us.

    ``form-action`` also holds for where a posted form is redirected to (CSP level 3, section 6.4.1): the hosted
    checkout page and the billing portal, the issuers when a form is posted after the login session has ended, and the
    page behind a gate that the visitor first asked for.
    """
    issuers = {origin(issuer.issuer_url) for issuer in config.issuers}
    policy = {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": " ".join(["'self'", *sorted(issuers | config.gated_origins | config.stripe.hosted_origins)]),
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # Not no-referrer: that would make our own forms post with "Origin: null".
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if config.secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


def origin(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class BoundedBody:
    """A request body is small and arrives within a few seconds, or the request is answered without it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        size, arrived = 0, False

        async def bounded() -> Message:
            nonlocal size, arrived
            if arrived:
                return await receive()
            if announced(scope) > BODY_BYTES:
                raise HTTPException(413, headers={"Connection": "close"})
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, headers={"Connection": "close"}) from None
            size += len(message.get("body", b""))
            if size > BODY_BYTES:
                raise HTTPException(413, headers={"Connection": "close"})
            arrived = not message.get("more_body", False)
            return message

        await self.app(scope, bounded, send)


def announced(scope: Scope) -> int:
    """The size in bytes that a request's body is said to have; 0 if nothing is said."""
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if re.fullmatch(r"[0-9]{1,20}", length) else 0


class OneLoopbackName:
    """On one's own machine, ``localhost`` and ``127.0.0.1`` are the same place but not the same cookies.

    Whoever opens the other name is sent to the one that PUBLIC_URL says. Only ever to PUBLIC_URL, never to a ``Host``.
    """

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self.app = app
        self.public_url = public_url
        self.here = urlsplit(public_url).netloc
        self.port = urlsplit(public_url).port or 80

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("raw_path", b"").decode("latin-1")
        looking = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"} and path.startswith("/")
        if looking and self._other_name(scope):
            query = scope["query_string"].decode("latin-1")
            target = self.public_url + path + (f"?{query}" if query else "")
            await RedirectResponse(target, 307)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _other_name(self, scope: Scope) -> bool:
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
        name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "80")
        return host != self.here and name in LOOPBACK and port == str(self.port)
