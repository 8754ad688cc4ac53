"""Request heads are small, few at once, and arrive soon.

uvicorn bounds neither their size nor number nor time when httptools parses for it.
"""

import asyncio

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The most that may arrive without any of it being a body, in bytes: request line and headers, or trailers.
HEAD_BYTES = 64 * 1024

# How long a connection may take to ask something, from its beginning or since the last answer; or to read on. Seconds.
HEAD_SECONDS = 10

# How many requests may wait for the answer to one before them on the same connection.
MOST_WAITING = 16


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol, with an end to what strangers can make it keep."""

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
        self._unread += len(data)
        super().data_received(data)
        if self._unread > HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_headers_complete(self) -> None:
        self._unread = 0
        if len(self.pipeline) >= MOST_WAITING:
            raise HttpParserError("too many requests at once")  # upon which uvicorn answers 400 and closes
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
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
