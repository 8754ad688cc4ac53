"""Tollkeeper inside a Python app: pages to mount, and guards for the app's own pages.

Everything belongs to one ``Tollkeeper``; two in one process share nothing.
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

# Under these names apps are told who it is, in any of the spellings that servers take for the same.
IDENTITY_NAMES = frozenset({"remote-user", "remote-name", "remote-email", "remote-groups"})

# Where ``require`` notes, in the scope of a request, that it sends the browser on.
SENT_ON = "tollkeeper.sent_on"

Endpoint = Callable[..., Any]


class Tollkeeper:
    """One running Tollkeeper: an ASGI app to mount at ``path``, and guards for pages beside it.

    ``config`` is what ``load()`` answers; ``clock`` answers the time in whole Unix seconds (UTC). Nothing is opened
    before the lifespan is entered: then it raises ``StorageError``, with words on what to do, if there is no database
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
        """Open the database and do the background work for as long as the app runs.

        Give it to the app: ``FastAPI(lifespan=tollkeeper.lifespan)``, or enter it in a lifespan of your own, with the
        app: ``async with tollkeeper.lifespan(app)``.
        """
        async with self._pages.router.lifespan_context(self._pages):
            try:
                with sending_on(app):
                    yield
            finally:
                del self._pages.state.site

    async def visitor(self, connection: HTTPConnection) -> Visitor | None:
        """Who sends this request, or None. Asked of the database each time, so never old.

        Raises ``StorageBusy`` when the database does not answer.
        """
        return await self._site().gate.visitor(connection.scope["headers"])

    def features(self, visitor: Visitor | None) -> frozenset[str]:
        """Everything that a visitor may use now."""
        site = self._site()
        return features_of(visitor, site.services.catalog, site.services.clock()) if visitor else frozenset()

    def require(self, feature: str) -> "Requirement":
        """Let only those in who may use a feature.

        As a FastAPI dependency, ``Depends(tollkeeper.require("reports"))``, it gives the ``Visitor``. As a decorator
        above a Starlette endpoint it leaves the visitor in ``request.state.visitor``. Browsers are sent to sign in or
        to the page that sells the feature, and come back; programs get 401 or 402, websockets are closed (1008).
        """
        return Requirement(self, feature)

    def guard(self, app: ASGIApp, feature: str) -> ASGIApp:
        """Guard a whole ASGI app, which learns who it is from the headers ``Remote-User``, ``-Name``, ``-Email`` and
        ``-Groups``, whatever the visitor sends under these names.

        As middleware: ``Middleware(tollkeeper.guard, feature="reports")``.
        """
        return Guarded(self, app, feature)

    async def decide(self, connection: HTTPConnection, feature: str) -> Allow | Refusal:
        """Whether whoever sends this request may use a feature; if not, what to tell them."""
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
    """What ``Tollkeeper.require`` answers: a FastAPI dependency and a decorator in one.

    FastAPI sees the function it stands for (``__wrapped__``), and calls it with that function's parameters by name.
    """

    def __init__(self, tollkeeper: Tollkeeper, feature: str) -> None:
        self._tollkeeper = tollkeeper
        self._feature = feature
        update_wrapper(self, self.visitor)

    def __call__(self, endpoint: Endpoint | None = None, *, connection: HTTPConnection | None = None) -> Any:
        if connection is not None:
            return self._visitor_or_sent_on(connection)
        if endpoint is None:
            raise TypeError("require() decorates an endpoint, or is a dependency: Depends(tollkeeper.require(...))")
        return self._guarding(endpoint)

    async def visitor(self, connection: HTTPConnection) -> Visitor:
        """The visitor, who may use the feature. Raises ``HTTPException``, or ``WebSocketException`` on a websocket."""
        outcome = await self._outcome(connection)
        if isinstance(outcome, Allow):
            return outcome.visitor
        if connection.scope["type"] == "websocket":
            raise WebSocketException(WS_1008_POLICY_VIOLATION, outcome.detail)
        headers = NO_STORE | outcome.challenge
        if outcome.remedy and is_navigation(connection.headers):
            raise HTTPException(302, outcome.detail, headers | {"Location": outcome.remedy})
        raise HTTPException(outcome.status, outcome.detail, headers)

    async def _visitor_or_sent_on(self, connection: HTTPConnection) -> Visitor:
        """The same where nobody catches what it raises but the app's handler of such exceptions."""
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
            connection.state.visitor = await self._visitor_or_sent_on(connection)
            if inspect.iscoroutinefunction(endpoint):
                return await endpoint(*args, **kwargs)
            return await run_in_threadpool(endpoint, *args, **kwargs)

        return guarded


class SendsOn:
    """Around a whole app: a browser that ``require`` refuses is sent on, whatever the app makes of the exception.

    A handler of the app's own may keep no more than status and detail, as many do. So the refusal is noted in the
    request's scope, and put into the head of the answer. All else of it stays the app's: body, cookies, CORS.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent_on: dict[str, str] = {}

        async def sending(message: Message) -> None:
            await send(redirected(message, sent_on) if sent_on else message)

        await self.app(dict(scope, **{SENT_ON: sent_on}), receive, sending)


def redirected(message: Message, headers: dict[str, str]) -> Message:
    """The head of an answer as a redirect; what is not a head as it is."""
    if message["type"] != "http.response.start":
        return message
    said = MutableHeaders(raw=list(message["headers"]))
    said.update(headers)
    return dict(message, status=302, headers=said.raw)


@contextmanager
def sending_on(app: object) -> Iterator[None]:
    """``SendsOn`` around an app of Starlette's kind, which has put its middleware together before its lifespan begins.

    An app of another kind, or of none, answers as its handlers have it.
    """
    if not isinstance(app, Starlette) or app.middleware_stack is None:
        yield
        return
    before, app.middleware_stack = app.middleware_stack, SendsOn(app.middleware_stack)
    try:
        yield
    finally:
        app.middleware_stack = before


class Guarded:
    """An ASGI app behind a gate of its own."""

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
        """Only a decision lets anybody pass: whatever goes wrong on the way to one is answered by 503."""
        try:
            outcome = await self._tollkeeper.decide(connection, self._feature)
        except Exception as error:
            log.warning("the gate cannot decide", exc_info=not isinstance(error, TollkeeperError), reason=str(error))
            return PlainTextResponse(DETAILS[503], 503, TRY_LATER)
        return outcome if isinstance(outcome, Allow) else by_itself(connection.headers, outcome)


def identified(scope: Scope, who: list[tuple[bytes, bytes]]) -> Scope:
    """A request that says who it is in our words alone."""
    left = [header for header in scope["headers"] if _plain(header[0]) not in IDENTITY_NAMES]
    return dict(scope, headers=left + who)


def _plain(name: bytes) -> str:
    """A header's name without the differences that CGI, WSGI and some servers do not see."""
    return name.decode("latin-1").lower().replace("_", "-").replace(".", "-")


def requested_page(connection: HTTPConnection, config: Config) -> str | None:
    """The page of the app to come back to. None for what a redirect cannot ask for again, such as a posted form."""
    if connection.scope.get("method", "GET") not in {"GET", "HEAD"}:
        return None
    query = connection.scope["query_string"]
    # As it was sent: once decoded, some paths would be others.
    path = connection.scope.get("raw_path") or quote(connection.scope["path"]).encode()
    address = (path + (b"?" + query if query else b"")).decode("latin-1")
    return address if may_return_to(address, public_url=config.public_url, gated_hosts=frozenset()) else None
