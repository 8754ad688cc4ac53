"""Limits the size, number and time of request heads; and answers without a task what an app can answer at once.

With httptools, uvicorn limits neither their size nor number nor time, and treats trailers as headers.
It also creates a task for each request, and two messages for its answer, which for the gate would be most of the work.
"""

import asyncio
from typing import Any, Protocol, TypeAlias, runtime_checkable

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The most that may arrive without any of it being a body, in bytes: request line and headers, or trailers.
HEAD_BYTES = 64 * 1024

# How long a connection may take to ask something, from its beginning or since the last answer; or to read on. Seconds.
HEAD_SECONDS = 10

# How many requests may wait for the answer to one before them on the same connection.
MOST_WAITING = 16

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]
"""Names in lower case, and values."""


@runtime_checkable
class FastPath(Protocol):
    """An app that can answer some requests without waiting."""

    def at_once(self, target: bytes, headers: RawHeaders) -> RawHeaders | None:
        """From a request's target and headers to those of a 200 without a body; None to ask the app in the usual way.

        It is called only for a GET, in the event loop, and must not raise.
        """


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol, with limits on what clients can make it store.

    ``fast_path`` is the app, if it has one.
    """

    def __init__(self, fast_path: FastPath | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fast_path = fast_path

    _unread = 0
    _waiting_since: float
    # One for the whole connection, for to set it anew after each answer takes longer than to look at the time.
    _deadline: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting_since = self.loop.time()
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # After what else has arrived by now: then all that is asked in one turn of the loop is older than its answers,
        # and they can share one look at the database.
        self.loop.call_soon(self._read, data)

    def _read(self, data: bytes) -> None:
        if self not in self.connections:  # they have gone
            return
        self._unread += len(data)
        super().data_received(data)
        if self._unread > HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_headers_complete(self) -> None:
        self._unread = 0
        if len(self.pipeline) >= MOST_WAITING:
            raise HttpParserError("too many requests at once")  # upon which uvicorn answers 400 and closes
        answer = self._fast_path.at_once(self.url, self.headers) if self._fast_path and self._plain() else None
        if answer is None:
            super().on_headers_complete()
            # The app has the list of headers now. What comes after a body is parsed as headers, too, but it is none
            # (RFC 9110, section 6.5.1): no proxy has looked at it. So it goes into a list that nobody reads.
            self.headers = []
        else:
            self._answer(answer)

    def _plain(self) -> bool:
        """Whether the request is one that can be answered here: nothing before it waits for an answer, nor after it."""
        parser = self.parser
        return (
            self._idle()
            and not self.flow.write_paused
            and parser.get_method() == b"GET"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
        )

    def _answer(self, headers: RawHeaders) -> None:
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers + headers]
        self.transport.write(b"HTTP/1.1 200 OK\r\n%b\r\n" % b"".join(lines))
        self._waiting_since = self.loop.time()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        if not self._idle():  # else it is of a request that was answered before its end
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        if not self._idle():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._waiting_since = self.loop.time()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._waiting_since = self.loop.time()

    def _wait(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._end_of_patience)

    def _end_of_patience(self) -> None:
        their_turn = self._idle() or self.flow.write_paused
        left = self._waiting_since + HEAD_SECONDS - self.loop.time() if their_turn else HEAD_SECONDS
        if left > 0:
            self._wait(left)
        elif self.transport.is_closing():  # and would be for ever, for they do not read what was still to be sent
            self.transport.abort()
        else:
            self.transport.close()
            self._wait(HEAD_SECONDS)

    def _refuse(self) -> None:
        if self._idle():
            self.send_400_response("The head of the request is too large.")
        else:
            self.transport.close()

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete
