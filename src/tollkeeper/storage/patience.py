"""How long a caller waits for a thread that talks to the database."""

import asyncio
from concurrent.futures import Future
from typing import TypeVar

from tollkeeper.errors import StorageBusy

T = TypeVar("T")

SECONDS = 10.0


async def answer_of(work: "Future[T]", seconds: float = SECONDS) -> T:
    """The result of work in a thread. Raises ``StorageBusy`` when it takes longer.

    Work that has not begun by then, or when the caller is cancelled, never begins. Work that has begun continues:
    its outcome is then unknown to the caller, as it is after a broken connection.
    """
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.wrap_future(work)
    except TimeoutError as error:
        raise StorageBusy("the database did not answer in time") from error
