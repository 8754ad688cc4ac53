"""Tollkeeper inside a Python app: pages to mount, and guards for the app's own pages.

All state belongs to one ``Tollkeeper``; two in one process share nothing.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import update_wrapper, wraps
from typing import Any
from urllib.parse import quote

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.status import WS_1008_POLICY_VIOLATION, WS_1011_INTERNAL_ERROR
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from tollkeeper.app import create_pages, guarded, now
from tollkeeper.config.config import Config
from tollkeeper.errors import NotRunning, TollkeeperError
from tollkeeper.gate.access import Allow, Decision, features_of
from tollkeeper.model.access import Visitor
from tollkeeper.redirects import may_return_to
from tollkeeper.web.errors import DETAILS
from tollkeeper.web.gate import by_itself, identity
from tollkeeper.web.refusals import Refusal, is_navigation, refusal_at_gate
from tollkeeper.web.responses import NO_STORE
from tollkeeper.web.site import Site

log = structlog.get_logger()

TRY_LATER = NO_STORE | {"Retry-After": "60"}

# The headers that tell an app who the visitor is. ``_plain`` covers the spellings that servers treat as the same.
IDENTITY_NAMES = frozenset({"remote-user", "remote-name", "remote-email", "remote-groups"})

# The key under which ``require`` stores, in the scope of a request, that the browser is to be redirected.
SENT_ON = "tollkeeper.sent_on"

Endpoint = Callable[..., Any]


class Tollkeeper:
    """One running Tollkeeper: an ASGI app to mount at ``path``, and guards for the app's other pages.

    ``config`` is the result of ``load()``; ``clock`` returns the time in whole Unix seconds (UTC). Nothing is opened
    before the lifespan is entered. Entering it raises ``StorageError``, which says what to do, if there is no database
    with the current schema.
    """

    def __init__(self, config: Config, *, clock: Callable[[], int] = now) -> None:
        self.config = config
        self.path = config.path
        """Where to mount it: the path of ``PUBLIC_URL``."""
        self._pages = create_pages(config, clock=clock)
        self._app = guarded(self._pages, config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._site()
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Open the database and run the background work for as long as the app runs.

        Give it to the app: ``FastAPI(lifespan=tollkeeper.lifespan)``, or enter it in a lifespan of your own, with the
        app: ``async with tollkeeper.lifespan(app)``.
        """
        async with self._pages.router.lifespan_context(self._pages):
            try:
                with with_redirects(app):
                    yield
            finally:
                del self._pages.state.site

    async def visitor(self, connection: HTTPConnection) -> Visitor | None:
        """Return who sent this request, or None. Reads the database each time, so the result is never out of date.

        Raises ``StorageBusy`` if the database does not respond in time.
        """
        return await self._site().gate.visitor(connection.scope["headers"])

    def features(self, visitor: Visitor | None) -> frozenset[str]:
        """Return every feature that a visitor may use now."""
        site = self._site()
        return features_of(visitor, site.services.catalog, site.services.clock()) if visitor else frozenset()

    def require(self, feature: str) -> "Requirement":
        """Let in only visitors who may use a feature.

        As a FastAPI dependency, ``Depends(tollkeeper.require("reports"))``, it gives the ``Visitor``. As a decorator
        above a Starlette endpoint it leaves the visitor in ``request.state.visitor``. Browsers are sent to sign in or
        to the page that sells the feature, and come back; programs get 401 or 402, websockets are closed (1008).
        """
        return Requirement(self, feature)

    def guard(self, app: ASGIApp, feature: str) -> ASGIApp:
        """Guard a whole ASGI app.

        The app learns who the visitor is from the headers ``Remote-User``, ``Remote-Name``, ``Remote-Email`` and
        ``Remote-Groups``. Anything that the visitor sends under these names is removed.

        As middleware: ``Middleware(tollkeeper.guard, feature="reports")``.
        """
        return Guarded(self, app, feature)

    async def decide(self, connection: HTTPConnection, feature: str) -> Allow | Refusal:
        """Decide whether the sender of this request may use a feature."""
        site = self._site()
        decision: Decision = site.gate.decide(await site.gate.visitor(connection.scope["headers"]), feature)
        if isinstance(decision, Allow):
            return decision
        page = requested_page(connection, self.config)
        return refusal_at_gate(decision, feature, base_url=self.config.base_url, page=page)

    def _site(self) -> Site:
        site: Site | None = getattr(self._pages.state, "site", None)
        if site is None:
            raise NotRunning
        return site


class Requirement:
    """The result of ``Tollkeeper.require``: a FastAPI dependency and a decorator in one.

    FastAPI inspects the function in ``__wrapped__``, and passes that function's parameters by name.
    """

    def __init__(self, tollkeeper: Tollkeeper, feature: str) -> None:
        self._tollkeeper = tollkeeper
        self._feature = feature
        update_wrapper(self, self.visitor)

    def __call__(self, endpoint: Endpoint | None = None, *, connection: HTTPConnection | None = None) -> Any:
        if connection is not None:
            return self._visitor_or_redirect(connection)
        if endpoint is None:
            raise TypeError("require() decorates an endpoint, or is a dependency: Depends(tollkeeper.require(...))")
        return self._guarding(endpoint)

    async def visitor(self, connection: HTTPConnection) -> Visitor:
        """Return the visitor if they may use the feature.

        Raises ``HTTPException``, or ``WebSocketException`` on a websocket, if they may not.
        """
        outcome = await self._outcome(connection)
        if isinstance(outcome, Allow):
            return outcome.visitor
        if connection.scope["type"] == "websocket":
            raise WebSocketException(WS_1008_POLICY_VIOLATION, outcome.detail)
        headers = NO_STORE | outcome.challenge
        if outcome.remedy and is_navigation(connection.headers):
            raise HTTPException(302, outcome.detail, headers | {"Location": outcome.remedy})
        raise HTTPException(outcome.status, outcome.detail, headers)

    async def _visitor_or_redirect(self, connection: HTTPConnection) -> Visitor:
        """Return the same, and store the redirect for ``Redirecting`` before the app handles the exception."""
        try:
            return await self.visitor(connection)
        except HTTPException as refused:
            connection.scope.get(SENT_ON, {}).update(refused.headers or {} if refused.status_code == 302 else {})
            raise

    async def _outcome(self, connection: HTTPConnection) -> Allow | Refusal:
        try:
            return await self._tollkeeper.decide(connection, self._feature)
        except TollkeeperError as error:
            log.warning("the gate cannot decide", reason=str(error), error=type(error).__name__)
            if connection.scope["type"] == "websocket":
                raise WebSocketException(WS_1011_INTERNAL_ERROR) from error
            raise HTTPException(503, DETAILS[503], TRY_LATER) from error

    def _guarding(self, endpoint: Endpoint) -> Callable[..., Awaitable[Any]]:
        @wraps(endpoint)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            connection = next(one for one in (*args, *kwargs.values()) if isinstance(one, HTTPConnection))
            connection.state.visitor = await self._visitor_or_redirect(connection)
            if inspect.iscoroutinefunction(endpoint):
                return await endpoint(*args, **kwargs)
            return await run_in_threadpool(endpoint, *args, **kwargs)

        return guarded


class Redirecting:
    """Middleware around a whole app that redirects browsers which ``require`` refused.

    Many apps have an exception handler that keeps only the status and the detail. So the redirect is stored in the
    request's scope, and this puts it into the response. Body, cookies and CORS headers remain the app's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent_on: dict[str, str] = {}

        async def sending(message: Message) -> None:
            await send(redirected(message, sent_on) if sent_on else message)

        await self.app(dict(scope, **{SENT_ON: sent_on}), receive, sending)


def redirected(message: Message, headers: dict[str, str]) -> Message:
    """Turn the start of a response into a redirect; return any other message unchanged."""
    if message["type"] != "http.response.start":
        return message
    said = MutableHeaders(raw=list(message["headers"]))
    said.update(headers)
    return dict(message, status=302, headers=said.raw)


@contextmanager
def with_redirects(app: object) -> Iterator[None]:
    """Put ``Redirecting`` around a Starlette app, whose middleware stack was built before its lifespan began.

    Any other app responds as its own exception handlers decide.
    """
    if not isinstance(app, Starlette) or app.middleware_stack is None:
        yield
        return
    before, app.middleware_stack = app.middleware_stack, Redirecting(app.middleware_stack)
    try:
        yield
    finally:
        app.middleware_stack = before


class Guarded:
    """An ASGI app behind the gate."""

    def __init__(self, tollkeeper: Tollkeeper, app: ASGIApp, feature: str) -> None:
        self._tollkeeper = tollkeeper
        self._app = app
        self._feature = feature

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        outcome = await self._outcome(HTTPConnection(scope))
        if isinstance(outcome, Allow):
            await self._app(identified(scope, identity(outcome)), receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(WS_1008_POLICY_VIOLATION)(scope, receive, send)
        else:
            await outcome(scope, receive, send)

    async def _outcome(self, connection: HTTPConnection) -> Allow | Response:
        """Return the gate's decision. Any error on the way to it denies access with 503."""
        try:
            outcome = await self._tollkeeper.decide(connection, self._feature)
        except Exception as error:
            log.warning("the gate cannot decide", exc_info=not isinstance(error, TollkeeperError), reason=str(error))
            return PlainTextResponse(DETAILS[503], 503, TRY_LATER)
        return outcome if isinstance(outcome, Allow) else by_itself(connection.headers, outcome)


def identified(scope: Scope, who: list[tuple[bytes, bytes]]) -> Scope:
    """Return the request's scope with our headers about the visitor, and without any that the visitor sent."""
    left = [header for header in scope["headers"] if _plain(header[0]) not in IDENTITY_NAMES]
    return dict(scope, headers=left + who)


def _plain(name: bytes) -> str:
    """Normalise a header's name, as CGI, WSGI and some servers do."""
    return name.decode("latin-1").lower().replace("_", "-").replace(".", "-")


def requested_page(connection: HTTPConnection, config: Config) -> str | None:
    """Return the address to return to. None if a redirect cannot repeat the request, such as a posted form."""
    if connection.scope.get("method", "GET") not in {"GET", "HEAD"}:
        return None
    query = connection.scope["query_string"]
    # The raw path: decoded, some paths would mean something else.
    path = connection.scope.get("raw_path") or quote(connection.scope["path"]).encode()
    address = (path + (b"?" + query if query else b"")).decode("latin-1")
    return address if may_return_to(address, public_url=config.public_url, gated_hosts=frozenset()) else None
