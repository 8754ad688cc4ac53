"""C. Order, duplication, loss: the result is that of the payment, however often it is reported."""

import asyncio
import json
from typing import Any

import httpx2
from tests.support.running import Browser, Site, eventually, newcomer
from tests.support.webhooks import body_of, signature

from tollkeeper.storage.tables import audit, customers, events, grants, orders

TIMES = 100


def paid_event(site: Site, buyer: Browser) -> dict[str, Any]:
    """What the provider tells of the buyer's payment."""
    reported = site.sandbox.stripe.v1.events.list({"type": "checkout.session.completed", "limit": 1}).data[0]
    event: dict[str, Any] = json.loads(str(reported))
    assert event["data"]["object"]["customer"] == site.rows_of(buyer, customers)[0].external_id
    return event


async def all_at_once(site: Site, *bodies: bytes) -> list[int]:
    """Deliver each on a connection of its own, all in the same instant."""
    ready = asyncio.Barrier(len(bodies))
    limits = httpx2.Limits(max_connections=len(bodies))

    async def deliver(client: httpx2.AsyncClient, body: bytes) -> int:
        headers = {"Stripe-Signature": signature(body)}
        await ready.wait()
        return (await client.post(f"{site.url}/webhooks/stripe", content=body, headers=headers)).status_code

    async with httpx2.AsyncClient(timeout=30, limits=limits) as client:
        return await asyncio.gather(*(deliver(client, body) for body in bodies))


def handled(site: Site, *ids: str) -> bool:
    return all(row.handled_at for row in site.rows(events) if row.event_id in ids)


def has_one_effect(site: Site, buyer: Browser) -> bool:
    states = [row.state for row in site.rows_of(buyer, orders)]
    changes = [row.change for row in site.rows_of(buyer, audit)]
    return (states, changes, len(site.rows_of(buyer, grants))) == (["complete"], ["granted"], 1)


def test_c21_the_same_event_a_hundred_times_at_once_has_one_effect(door: Site) -> None:
    buyer = newcomer(door)
    buyer.pay()
    event = paid_event(door, buyer)
    assert not buyer.enters()

    assert asyncio.run(all_at_once(door, *[body_of(event)] * TIMES)) == [200] * TIMES
    eventually(lambda: buyer.enters() and handled(door, event["id"]))
    (row,) = [row for row in door.rows(events) if row.event_id == event["id"]]
    assert (row.attempts, row.outcome, row.error) == (1, "1 changed", None)
    assert has_one_effect(door, buyer)


def test_c21_a_hundred_events_of_one_payment_at_once_have_one_effect(door: Site) -> None:
    buyer = newcomer(door)
    buyer.pay()
    event = paid_event(door, buyer)
    ids = [f"{event['id']}_{number}" for number in range(TIMES)]

    bodies = [body_of({**event, "id": id}) for id in ids]
    assert asyncio.run(all_at_once(door, *bodies)) == [200] * TIMES
    eventually(lambda: buyer.enters() and handled(door, *ids))
    assert sorted(row.event_id for row in door.rows(events) if row.event_id in ids) == sorted(ids)
    assert has_one_effect(door, buyer)


def test_c21_events_and_the_success_page_at_once_have_one_effect(door: Site) -> None:
    buyer = newcomer(door)
    paid = buyer.pay()
    event = paid_event(door, buyer)

    async def look() -> list[int]:
        return [(await asyncio.to_thread(buyer.get, paid.headers["Location"])).status_code]

    async def race() -> list[int]:
        answers = await asyncio.gather(all_at_once(door, *[body_of(event)] * 5), *(look() for _ in range(5)))
        return [status for statuses in answers for status in statuses]

    assert asyncio.run(race()) == [200] * 10
    eventually(lambda: handled(door, event["id"]))
    assert has_one_effect(door, buyer)


def test_c21_an_event_reported_again_long_after_it_was_handled_is_acknowledged_and_changes_nothing(door: Site) -> None:
    buyer = newcomer(door)
    buyer.pay()
    event = paid_event(door, buyer)
    asyncio.run(all_at_once(door, body_of(event)))
    eventually(lambda: buyer.enters() and handled(door, event["id"]))
    before = [row for row in door.rows(events) if row.event_id == event["id"]]

    assert asyncio.run(all_at_once(door, *[body_of(event)] * 3)) == [200] * 3
    assert [row for row in door.rows(events) if row.event_id == event["id"]] == before
    assert has_one_effect(door, buyer)
