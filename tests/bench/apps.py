"""The minimal apps that the gate is compared with, on our own server.

``python -m tests.bench.apps starlette 8000`` serves one of them.
"""

import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tollkeeper.serving import server


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def raw_hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond like the other one, without a framework."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    headers = [(b"content-length", b"5"), (b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


async def serve(app: ASGIApp, port: int) -> None:
    servers = server.Servers()
    await servers.start(server.Listener(app, server.listen("127.0.0.1", port)))
    await servers.until_stopped()
    await servers.stop()


if __name__ == "__main__":
    chosen: ASGIApp = raw_hello if sys.argv[1] == "raw" else Starlette(routes=[Route("/", hello)])
    server.run(lambda: serve(chosen, int(sys.argv[2])))
