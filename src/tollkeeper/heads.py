"""Request heads are small and arrive soon: uvicorn bounds neither size nor time when httptools parses for it."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The most that may arrive without any of it being a body, in bytes: request line and headers, or trailers.
HEAD_BYTES = 64 * 1024

# How long a connection may take to ask something, from its beginning or since the last answer. Seconds.
HEAD_SECONDS = 10


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

    def _wait(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._end_of_patience)

    def _end_of_patience(self) -> None:
        left = self._waiting_since + HEAD_SECONDS - self.loop.time() if self._idle() else HEAD_SECONDS
        if left > 0:
            self._wait(left)
        else:
            self.transport.close()

    def _refuse(self) -> None:
        if self._idle():
            self.send_400_response("The head of the request is too large.")
        else:
            self.transport.close()

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete
