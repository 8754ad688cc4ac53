"""When an event is tried again, and what one that cannot be handled does to the others."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tollkeeper.catalog import Catalog
from tollkeeper.errors import ProviderUnavailable
from tollkeeper.inbox import LEASE, RETRY_DELAYS, drain, next_try
from tollkeeper.model import Customer, Event, Identity, Realm, Snapshot
from tollkeeper.provider import PaymentProvider
from tollkeeper.reconcile import Books
from tollkeeper.storage import customers, events, people
from tollkeeper.storage.database import Database
from tollkeeper.storage.tables import events as events_table

pytestmark = pytest.mark.anyio
REALM = Realm("stripe", "acct_1", live=False)


@pytest.mark.parametrize(
    ("attempts", "due"), [*((number, 1000 + delay) for number, delay in enumerate(RETRY_DELAYS, start=1)), (11, None)]
)
def test_each_try_waits_longer_and_the_last_is_the_last(attempts: int, due: int | None) -> None:
    assert next_try(attempts, 1000) == due


def test_tries_go_on_for_about_a_day() -> None:
    assert list(RETRY_DELAYS) == sorted(RETRY_DELAYS)
    assert 12 * 3600 < sum(RETRY_DELAYS) < 48 * 3600


@dataclass
class Provider:
    """Answers with an empty snapshot, but has trouble with some customers."""

    trouble: dict[str, Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def snapshot(self, customer: Customer) -> Snapshot:
        self.asked.append(customer.external_id)
        if customer.external_id in self.trouble:
            raise self.trouble[customer.external_id]
        return Snapshot(customer, ())

    async def bought(self, source: str) -> None:
        self.asked.append(source)


async def round_at(database: Database, provider: Provider, now: int = 1000) -> int:
    """One round of the worker. Of a provider, it asks for snapshots alone."""
    return await drain(Books(database, cast(PaymentProvider, provider), Catalog(()), lambda: now), REALM)


async def keep(database: Database, event_id: str, customer: str | None, *, relevant: bool = True) -> None:
    event = Event(REALM, event_id, "checkout.session.completed", 1, "cs_1", customer, relevant)
    await database.write(events.keep, event, 1000)


async def with_customers(database: Database, *names: str) -> None:
    for name in names:
        identity = Identity("https://id.example", name, name, None)
        person = await database.write(people.person_of, identity, new_id=f"per_{name}", now=1)
        await database.write(customers.add, person.id, REALM, name, 1)


async def rows(database: Database) -> dict[str, tuple[object, ...]]:
    """What became of each event: when handled, outcome, when due, tries, error."""
    found: Any = await database.read(lambda conn: conn.execute(events_table.select()).all())
    return {row.event_id: (row.handled_at, row.outcome, row.due_at, row.attempts, row.error) for row in found}


async def test_an_event_that_fails_does_not_hold_up_the_others(database: Database) -> None:
    await with_customers(database, "cus_bad", "cus_worse", "cus_good")
    provider = Provider({"cus_bad": ProviderUnavailable("away"), "cus_worse": RuntimeError("a fault of ours")})
    await keep(database, "evt_1", "cus_bad")
    await keep(database, "evt_2", "cus_worse")
    await keep(database, "evt_3", "cus_good")
    assert await round_at(database, provider) == 3
    assert await rows(database) == {
        "evt_1": (None, None, 1000 + RETRY_DELAYS[0], 1, "away"),
        "evt_2": (None, None, 1000 + RETRY_DELAYS[0], 1, "a fault of ours"),
        "evt_3": (1000, "0 changed", None, 1, None),
    }


async def test_after_its_last_try_an_event_is_parked_with_its_error(database: Database) -> None:
    await with_customers(database, "cus_bad")
    provider = Provider({"cus_bad": ProviderUnavailable("away")})
    await keep(database, "evt_1", "cus_bad")
    for number in range(len(RETRY_DELAYS) + 5):
        await round_at(database, provider, 1000 + number * RETRY_DELAYS[-1])
    tries = len(RETRY_DELAYS) + 1
    assert await rows(database) == {"evt_1": (None, None, None, tries, "away")}
    assert len(provider.asked) == tries


async def test_events_of_one_customer_are_settled_together(database: Database) -> None:
    await with_customers(database, "cus_1")
    provider = Provider()
    for number in range(5):
        await keep(database, f"evt_{number}", "cus_1")
    assert await round_at(database, provider) == 5
    assert provider.asked == ["cus_1"]
    assert {outcome for _, outcome, *_ in (await rows(database)).values()} == {"0 changed"}
    assert await round_at(database, provider) == 0


@pytest.mark.parametrize("customer", [None, "cus_of_nobody"])
async def test_of_an_event_of_nobody_the_provider_is_asked_what_was_bought(
    database: Database, customer: str | None
) -> None:
    await keep(database, "evt_1", customer)
    provider = Provider()
    await round_at(database, provider)
    assert provider.asked == ["cs_1"]
    assert (await rows(database))["evt_1"][:3] == (1000, "no purchase", None)


async def test_what_an_event_is_about_is_asked_for_before_its_payment_and_once_for_all(database: Database) -> None:
    """A refund may come before its payment is known here: then the payment leads to the purchase."""
    for number, object_id in enumerate(("re_1", "cs_1")):
        event = Event(REALM, f"evt_{number}", "refund.created", 1, object_id, "cus_of_nobody", True, "pi_1")
        await database.write(events.keep, event, 1000)
    provider = Provider()
    await round_at(database, provider)
    assert provider.asked == ["re_1", "cs_1", "pi_1"]


async def test_an_event_claimed_by_a_process_that_died_is_claimed_again(database: Database) -> None:
    await with_customers(database, "cus_1")
    await keep(database, "evt_1", "cus_1")
    await database.write(events.claim, REALM, 1000, 10, LEASE)
    provider = Provider()
    assert await round_at(database, provider, 1000 + LEASE - 1) == 0
    assert await round_at(database, provider, 1000 + LEASE) == 1
    assert (await rows(database))["evt_1"][1] == "0 changed"


async def test_an_ignored_event_is_never_worked_on(database: Database) -> None:
    await keep(database, "evt_1", "cus_1", relevant=False)
    assert await round_at(database, Provider()) == 0
    assert (await rows(database))["evt_1"][1] == "ignored"
