"""Tells systemd how a service is doing: the protocol of ``sd_notify(3)``. Elsewhere, nothing happens."""

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send a state to the socket that systemd named, if it did. If nobody listens there any more, go on without."""
    address = environ.get("NOTIFY_SOCKET", "")
    if address.startswith(("/", "@")):
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(address.replace("@", "\0", 1) if address.startswith("@") else address)
            sender.sendall(state.encode())


async def keep_alive(environ: Mapping[str, str] = os.environ) -> None:
    """Say regularly that this event loop still runs, twice as often as systemd asks, if it asks. Ends only if not."""
    microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    while microseconds:
        notify(ALIVE, environ)
        await asyncio.sleep(microseconds / 2_000_000)
