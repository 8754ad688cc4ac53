"""Serve ASGI apps until a signal asks to stop: then accept no new work, and end cleanly."""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

import uvicorn
from starlette.types import ASGIApp

from tollkeeper.errors import TollkeeperError
from tollkeeper.serving import notify

# How long requests in progress may take to finish, in seconds. With the worker's own grace that is less than the ten
# seconds after which service managers commonly kill a process.
GRACE = 5

# How long after its start a server has imported what it will. Seconds.
SETTLED = 10


class CannotListen(TollkeeperError):
    """Another program listens there already, or the host is not this machine's."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An app and the socket it answers on."""

    app: ASGIApp
    socket: socket.socket
    dated: bool = True
    """Whether the server dates the answers. An app with a clock of its own does that itself."""


def listen(host: str, port: int) -> socket.socket:
    """Take a port before anything else is set up. Raises ``CannotListen``, which says what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, or else asyncio does not recognise TCP, and answers wait 40 ms for Nagle's algorithm.
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        # Listening at once makes a second program fail here too, where SO_REUSEADDR alone might let it in.
        taken.listen(2048)
    except OSError as error:
        taken.close()
        why = error.strerror or error
        raise CannotListen(f"Cannot listen on {host}:{port}: {why}. Choose another --port or --host.") from error
    return taken


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: one handler stops several servers, and the exit status is ours."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Servers:
    """Several servers in one event loop, stopped together."""

    def __init__(self) -> None:
        self._running: list[tuple[Server, asyncio.Task[None]]] = []
        self._stop = asyncio.Event()

    async def start(self, listener: Listener) -> None:
        """Start one app and wait until it answers. Raises what its lifespan raised, if it could not start."""
        config = uvicorn.Config(
            listener.app,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=listener.dated,
            proxy_headers=False,
            lifespan="on",
            timeout_graceful_shutdown=GRACE,
            http=_protocol(listener.app),
            # We speak no websockets, but the gate is asked about those to the app: Caddy then sends their very headers.
            ws="none",
            h11_max_incomplete_event_size=64 * 1024,
        )
        server = Server(config)
        task = asyncio.create_task(server.serve([listener.socket]))
        answering = asyncio.create_task(server.answering.wait())
        await asyncio.wait({task, answering}, return_when=asyncio.FIRST_COMPLETED)
        answering.cancel()
        if not server.started:
            raise TollkeeperError("The app could not start; see the log above.")
        self._running.append((server, task))

    async def until_stopped(self) -> None:
        """Report that everything answers, and wait for SIGINT or SIGTERM."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        # Objects that exist by then are permanent, and searching them for garbage would delay responses again and
        # again. This is done here because a caller of this function owns the whole process.
        loop.call_later(SETTLED, gc.freeze)
        notify.notify(notify.READY)
        alive = asyncio.create_task(notify.keep_alive())
        await self._stop.wait()
        alive.cancel()
        notify.notify(notify.STOPPING)

    def stop_soon(self) -> None:
        """End ``until_stopped``, as a signal does."""
        self._stop.set()

    async def stop(self) -> None:
        """Finish what is in progress, newest server first. Others can be started afterwards."""
        while self._running:
            server, task = self._running.pop()
            server.should_exit = True
            await task


def _protocol(app: ASGIApp) -> type[asyncio.Protocol] | Literal["auto"]:
    """How to parse HTTP for an app: in C if available, but never without limits."""
    try:
        from tollkeeper.serving.heads import BoundedHeads, FastPath
    except ImportError:  # Windows: uvicorn then takes h11, which has bounds of its own
        return "auto"
    bounded = partial(BoundedHeads, app if isinstance(app, FastPath) else None)
    return cast(type[asyncio.Protocol], bounded)  # it is called like one, which is all that uvicorn does


def run(main: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a coroutine on the fastest event loop there is."""
    try:
        import uvloop
    except ImportError:  # Windows
        asyncio.run(main())
    else:
        uvloop.run(main())
