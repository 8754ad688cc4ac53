"""The delivery loop ends on request, whatever it was about to do."""

import asyncio
import time

import pytest

from tollkeeper_sandbox.stripe.engine.deliveries import Deliveries
from tollkeeper_sandbox.stripe.engine.ledger import Ledger

pytestmark = pytest.mark.anyio


async def test_told_to_end_in_the_moment_it_is_woken() -> None:
    deliveries = Deliveries(Ledger(":memory:"), time.time, delays=(), signing_clock=time.time)
    loop = asyncio.create_task(deliveries.run(tick=lambda: None))
    await asyncio.sleep(0.1)
    deliveries.wake()
    await asyncio.sleep(0)  # what wakes it has happened, and it has not run yet
    loop.cancel()
    ended, _ = await asyncio.wait({loop}, timeout=3)
    loop.cancel()
    assert ended
