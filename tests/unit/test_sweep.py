"""Whom the sweep reconciles, and what it does if the provider does not respond."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import pytest
from sqlalchemy import Connection
from tests.storage.makers import DAY, NOW, TEST_MODE, a_finding, an_order, keep_person

from tollkeeper.billing.reconcile import Services
from tollkeeper.billing.sweep import LEASE, sweep
from tollkeeper.catalog import Catalog
from tollkeeper.errors import CustomerMissing, ProviderRefused, ProviderUnavailable
from tollkeeper.model.bought import Snapshot
from tollkeeper.model.orders import Customer
from tollkeeper.providers.protocol import PaymentProvider
from tollkeeper.storage import customers, findings, orders
from tollkeeper.storage.database import Database, open_database

pytestmark = pytest.mark.anyio


@dataclass
class Provider:
    """Answers with an empty snapshot, but has trouble with some customers."""

    trouble: dict[str, Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def snapshot(self, customer: Customer) -> Snapshot:
        self.asked.append(customer.external_id)
        await asyncio.sleep(0)
        if customer.external_id in self.trouble:
            raise self.trouble[customer.external_id]
        return Snapshot(customer, ())


async def sweep_all(database: Database, provider: Provider, now: int) -> list[str]:
    """Whom a worker asks for at a time before it rests. Of a provider, it asks for snapshots alone."""
    before = len(provider.asked)
    services = Services(database, cast(PaymentProvider, provider), Catalog((), "stripe"), lambda: now)
    while await sweep(services, TEST_MODE, DAY):
        pass
    return provider.asked[before:]


def payers(conn: Connection, names: Iterable[str]) -> None:
    """Customers who bought something, each a second after the one before."""
    for number, name in enumerate(names):
        keep_person(conn, name)
        customer = customers.add(conn, name, TEST_MODE, f"cus_{name}", NOW + number)
        findings.note(conn, customer, [a_finding(f"cs_{name}")], NOW)


async def test_everybody_who_bought_or_ordered_is_asked_for_once_in_a_period(database: Database) -> None:
    def customers_of_all_kinds(conn: Connection) -> None:
        payers(conn, ["ada"])
        for name in ("bob", "cleo"):
            keep_person(conn, name)
            customers.add(conn, name, TEST_MODE, f"cus_{name}", NOW)
        orders.start(conn, an_order("ord_1", "bob"))

    await database.write(customers_of_all_kinds)
    provider = Provider()
    assert await sweep_all(database, provider, NOW + DAY - 1) == []
    assert set(await sweep_all(database, provider, NOW + DAY)) == {"cus_ada", "cus_bob"}
    assert await sweep_all(database, provider, NOW + 2 * DAY - 1) == []
    assert set(await sweep_all(database, provider, NOW + 2 * DAY)) == {"cus_ada", "cus_bob"}


async def test_a12_a_customer_who_was_replaced_is_asked_for_too(database: Database) -> None:
    def with_a_past(conn: Connection) -> None:
        payers(conn, ["ada"])
        gone = customers.of_person(conn, "ada", TEST_MODE)
        assert gone is not None
        customers.replace(conn, gone, "cus_new", NOW)

    await database.write(with_a_past)
    assert await sweep_all(database, Provider(), NOW + DAY) == ["cus_ada"]


@pytest.mark.parametrize("trouble", [ProviderUnavailable("away"), ProviderRefused("a key that was revoked")])
async def test_a_provider_that_does_not_tell_is_left_in_peace(database: Database, trouble: Exception) -> None:
    await database.write(payers, ["ada", "bob", "cleo"])
    provider = Provider({"cus_ada": trouble, "cus_bob": trouble})
    now = NOW + DAY + 2
    assert [await sweep_all(database, provider, now) for _ in range(3)] == [["cus_ada"], ["cus_bob"], ["cus_cleo"]]
    provider.trouble.clear()
    assert await sweep_all(database, provider, now + LEASE - 1) == []
    assert set(await sweep_all(database, provider, now + LEASE)) == {"cus_ada", "cus_bob"}


async def test_a_customer_of_whom_the_provider_knows_nothing_holds_up_nobody(database: Database) -> None:
    await database.write(payers, ["ada", "bob"])
    provider = Provider({"cus_ada": CustomerMissing("no such customer")})
    now = NOW + DAY + 1
    assert await sweep_all(database, provider, now) == ["cus_ada", "cus_bob"]
    assert await sweep_all(database, provider, now + DAY - 1) == []


async def test_i60_workers_share_the_work(database: Database, database_url: str) -> None:
    names = [f"p{number}" for number in range(20)]
    await database.write(payers, names)
    provider = Provider()
    other = await open_database(database_url)
    try:
        await asyncio.gather(*(sweep_all(one, provider, NOW + DAY + 20) for one in (database, other, database, other)))
    finally:
        await other.close()
    assert sorted(provider.asked) == sorted(f"cus_{name}" for name in names)
