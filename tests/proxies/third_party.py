"""A third-party app behind the proxy, which knows nothing of Tollkeeper and reports what it receives."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCRIPTS = {
    "/spied-on": b"<!DOCTYPE html><title>An app</title><link rel=manifest href=/manifest.webmanifest><p>Hello</p>",
    # A service worker that hands on what it sees. Where it could be put in, it would see the addresses of all pages.
    "/spy.js": b"""
        const seen = []
        self.addEventListener("install", () => self.skipWaiting())
        self.addEventListener("activate", event => event.waitUntil(clients.claim()))
        self.addEventListener("message", event => event.source.postMessage(seen))
        self.addEventListener("fetch", event => {
            seen.push(event.request.url)
            event.respondWith(fetch(event.request))
        })
    """,
}

WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


@dataclass
class ThirdParty:
    """The running app."""

    port: int
    seen: list[str] = field(default_factory=list)
    """The paths it was asked for."""
    trailers: list[str] = field(default_factory=list)
    """What came after the body of the last request."""
    go_on: threading.Event = field(default_factory=threading.Event)
    """Until this is set, its stream has sent only one word."""


class Handler(BaseHTTPRequestHandler):
    """Answers with the request as it arrived."""

    protocol_version = "HTTP/1.1"
    app: ThirdParty

    def answer(self) -> None:
        self.app.seen.append(self.path)
        self.app.trailers.clear()
        if self.headers.get("Transfer-Encoding") == "chunked":
            size = self._chunks()
        else:
            size = len(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        if self.path == "/stream":
            self._stream()
        elif "Upgrade" in self.headers:
            self._switch(", ".join(self.headers.get_all("Upgrade", [])))
        elif self.path in SCRIPTS:
            self._send(200, SCRIPTS[self.path], "text/javascript" if self.path.endswith(".js") else "text/html")
        elif self.path == "/refuses":
            self._send(401, b"the app's own refusal")
        else:
            reported = {"path": self.path, "method": self.command, "headers": self.headers.items(), "body": size}
            self._send(200, json.dumps(reported).encode())

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_OPTIONS = do_PROPFIND = answer  # noqa: N815 - as http.server names them

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _chunks(self) -> int:
        """Read a body in chunks, and what follows it. How many bytes it had."""
        total = 0
        while size := int(self.rfile.readline().split(b";")[0], 16):
            total += len(self.rfile.read(size))
            self.rfile.readline()
        while (line := self.rfile.readline()) not in (b"\r\n", b"\n", b""):
            self.app.trailers.append(line.decode("latin-1").strip())
        return total

    def _send(self, status: int, body: bytes, kind: str = "") -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        if self.app.go_on.wait(10):
            self.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")
        else:
            self.close_connection = True

    def _switch(self, protocol: str) -> None:
        """To whatever protocol is asked for, with the handshake of websockets (RFC 6455, section 4.2.2).

        Then say everything twice.
        """
        key = self.headers.get("Sec-WebSocket-Key", "").encode()
        accepted = hashlib.sha1(key + WEBSOCKET_GUID, usedforsecurity=False)
        self.send_response(101)
        self.send_header("Upgrade", protocol)
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accepted.digest()).decode())
        self.send_header("X-Seen", ", ".join(self.headers))
        self.end_headers()
        while said := self.connection.recv(1000):
            self.wfile.write(said * 2)
        self.close_connection = True


@contextmanager
def running_third_party() -> Iterator[ThirdParty]:
    """The app on a free port."""
    app = ThirdParty(0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handling", (Handler,), {"app": app}))
    server.daemon_threads = True
    app.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield app
    finally:
        app.go_on.set()
        server.shutdown()
        server.server_close()
