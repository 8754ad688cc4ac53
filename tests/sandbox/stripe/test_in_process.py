"""The sandbox without a network: calls, payments and webhooks in one process, always with the same result."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from stripe import Webhook
from tests.sandbox.stripe.support import KEY, VISA, card_form

from tollkeeper_sandbox.stripe import StripeSandbox

pytestmark = pytest.mark.anyio

BASE = "http://sandbox.test"
START = 1_800_000_000
TEA = {"currency": "eur", "unit_amount": "500", "product_data[name]": "Tea"}


class World:
    """A sandbox whose time and ids are handed in, and a merchant that keeps what it is sent."""

    def __init__(self) -> None:
        numbers = count(1)
        self.now = float(START)
        self.refusals = 0
        self.received: list[tuple[bytes, str]] = []
        self.sandbox = StripeSandbox(
            base_url=BASE,
            clock=lambda: self.now,
            token=lambda size: f"{next(numbers):0{2 * size}x}",
            transport=httpx2.MockTransport(self._receive),
        )
        transport = httpx2.ASGITransport(Starlette(routes=self.sandbox.routes))
        self.client = httpx2.AsyncClient(base_url=BASE, transport=transport, headers={"Authorization": f"Bearer {KEY}"})

    def _receive(self, request: httpx2.Request) -> httpx2.Response:
        if self.refusals:
            self.refusals -= 1
            raise httpx2.ConnectError("nobody is there")
        self.received.append((request.content, request.headers["stripe-signature"]))
        return httpx2.Response(204)

    async def post(self, path: str, **form: str) -> Any:
        answer = await self.client.post(path, data=form)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def listen(self) -> str:
        form = {"url": "http://merchant.test/", "enabled_events[0]": "checkout.session.completed"}
        secret: str = (await self.post("/v1/webhook_endpoints", **form))["secret"]
        return secret

    async def buy(self) -> str:
        """The id of a checkout session that was paid."""
        price = await self.post("/v1/prices", **TEA)
        items = {"line_items[0][price]": price["id"], "line_items[0][quantity]": "1"}
        session = await self.post(
            "/v1/checkout/sessions", mode="payment", success_url="http://merchant.test/paid", **items
        )
        paid = await self.client.post(f"/c/pay/{session['id']}", data=card_form(VISA))
        assert paid.headers["Location"] == "http://merchant.test/paid"
        return str(session["id"])

    def ledger(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.sandbox.ledger.rows("SELECT * FROM objects ORDER BY seq")]

    def tries(self) -> list[Any]:
        """What came of each try to deliver: an error, or None."""
        return [row["error"] for row in self.sandbox.ledger.rows("SELECT error FROM tries ORDER BY at")]


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    """A world whose webhooks are delivered."""
    world = World()
    deliveries = asyncio.create_task(world.sandbox.run())
    yield world
    deliveries.cancel()
    await asyncio.gather(deliveries, return_exceptions=True)


async def eventually(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited in vain")


async def test_the_same_calls_at_the_same_time_have_the_same_answers() -> None:
    async with running() as first, running() as second:
        for world in (first, second):
            await world.listen()
            await world.buy()
            await eventually(world.tries)
        assert first.ledger() == second.ledger()
        assert first.received == second.received


async def test_a_webhook_is_carried_as_it_would_be_over_the_network() -> None:
    async with running() as world:
        secret = await world.listen()
        session = await world.buy()
        await eventually(lambda: world.received)
    ((body, signature),) = world.received
    event = Webhook.construct_event(body, signature, secret, tolerance=None)  # type: ignore[arg-type]
    assert event.data.object["id"] == session
    assert signature.startswith(f"t={START},")


async def test_what_failed_is_due_when_its_time_has_come() -> None:
    async with running() as world:
        world.refusals = 1
        await world.listen()
        await world.buy()
        await eventually(lambda: world.tries() == ["ConnectError: nobody is there"])
        world.now += 1
        await eventually(lambda: world.received)


async def test_the_clock_ends_what_it_ends() -> None:
    async with running() as world:
        price = await world.post("/v1/prices", **TEA)
        items = {"line_items[0][price]": price["id"], "line_items[0][quantity]": "1"}
        form = {"mode": "payment", "success_url": "http://merchant.test/", **items}
        session = await world.post("/v1/checkout/sessions", **form)
        world.now += 24 * 3600
        ledger = world.sandbox.ledger
        await eventually(lambda: (ledger.find(session["id"]) or {})["status"] == "expired")


async def test_a_dropped_connection_is_one_that_was_aborted() -> None:
    world = World()
    await world.client.post("/control/faults", json={"effect": "drop", "after": True})
    with pytest.raises(ConnectionAbortedError):
        await world.client.post("/v1/customers")
    assert len((await world.client.get("/v1/customers")).json()["data"]) == 1
