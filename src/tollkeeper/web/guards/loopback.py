"""One name for this machine, since cookies belong to a name."""

from urllib.parse import urlsplit

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


class OneLoopbackName:
    """On one's own machine, ``localhost`` and ``127.0.0.1`` are the same place but not the same cookies.

    A browser that opens the other name is redirected to the one in PUBLIC_URL, never to a ``Host`` from the request.
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
