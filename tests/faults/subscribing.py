"""A shop that sells subscriptions, on a sandbox of its own whose time can be moved."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from tests.providers.worlds import StripeWorld, opened
from tests.support.running import running_sandbox

from tollkeeper.billing.checkout import CheckoutService, Hosted
from tollkeeper.billing.inbox import drain
from tollkeeper.billing.reconcile import Services
from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Grant
from tollkeeper.model.people import Identity, Person
from tollkeeper.model.selling import Policy, Product
from tollkeeper.operating import operators
from tollkeeper.operating.explanations import PaymentIssue
from tollkeeper.storage import audit, events, findings, grants, people
from tollkeeper.storage.database import Database
from tollkeeper.storage.findings import Noted

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY
RENEWED = WEEK + 2 * HOUR  # a renewal is paid an hour after the period began
GRACE = 3 * DAY


@dataclass
class Shop:
    """Everything but pages: the products, the checkout service, and the seller's side of the provider."""

    world: StripeWorld
    services: Services
    weekly: str
    yearly: str
    once: str
    plain: str

    @property
    def checkout_service(self) -> CheckoutService:
        return CheckoutService(self.services, "https://pay.example")

    def product(self, key: str = "pro") -> Product:
        found = self.services.catalog.find(key)
        assert found is not None
        return found

    def sell(self, **policy: Any) -> None:
        """Change the policy of every product."""
        changed = tuple(replace(one, policy=replace(one.policy, **policy)) for one in self.services.catalog.products)
        self.services = replace(self.services, catalog=Catalog(changed, "stripe"))

    async def newcomer(self, name: str = "Nova Example") -> Person:
        token = secrets.token_hex(6)
        identity = Identity("https://id.example", token, name, f"{token}@example.com")
        now = self.services.clock()
        return await self.services.database.write(lambda conn: people.person_of(conn, identity, new_id=token, now=now))

    async def page(self, person: Person, key: str = "pro", price_id: str | None = None) -> str:
        found = await self.checkout_service.begin(person, self.product(key), price_id)
        assert isinstance(found, Hosted)
        return found.url

    async def subscriber(
        self, key: str = "pro", price_id: str | None = None, name: str = "Nova Example"
    ) -> tuple[Person, str]:
        """Somebody who has just subscribed, and the subscription's id."""
        person = await self.newcomer(name)
        self.world.pay(await self.page(person, key, price_id))
        await self.hear()
        (grant,) = await self.grants(person)
        return person, grant.source

    async def hear(self) -> None:
        """Read all events, old ones too."""
        realm = await self.services.realm()
        async for page in self.services.provider.events(0):
            await self.services.database.write(events.keep_all, page, self.services.clock())
        while await drain(self.services, realm):
            pass

    async def held(self, person: Person) -> list[str]:
        found = await self.services.database.read(grants.held, person.id, False, self.services.clock())
        return sorted(grant.product for grant in found)

    async def grants(self, person: Person) -> tuple[Grant, ...]:
        return await self.services.database.read(grants.in_mode, person.id, False)

    async def until(self, person: Person) -> int:
        (grant,) = await self.grants(person)
        assert grant.until is not None
        return grant.until

    async def changes(self, person: Person) -> list[str]:
        return [entry.change for entry in await self.services.database.read(audit.of_person, person.id)]

    async def found(self, person: Person) -> Noted:
        """The latest finding on their newest subscription."""
        return (await self.services.database.read(findings.of_person, person.id, False, 10))[0]

    async def to_check(self) -> tuple[PaymentIssue, ...]:
        services = self.services
        return await services.database.read(
            operators.payments_to_check, services.catalog, services.mode, services.clock(), 10
        )


@asynccontextmanager
async def open_shop(database: Database) -> AsyncIterator[Shop]:
    """Open a complete shop in which nobody has bought anything."""
    with running_sandbox() as sandbox:
        world = StripeWorld(sandbox)
        weekly, yearly = world.price(900, interval="week"), world.price(29_900, interval="year")
        once, plain = world.price(99_000), world.price(300, interval="week")
        policy = Policy(grace_days=3)
        pro = Product("pro", "Pro", frozenset({"dashboard", "reports"}), {"stripe": (weekly, yearly, once)}, policy)
        basic = Product("basic", "Basic", frozenset({"dashboard"}), {"stripe": (plain,)}, policy)
        on_sale = replace(pro, on_sale={"stripe": (weekly, yearly, once)})
        async with opened(world.provider()) as provider:
            services = Services(database, provider, Catalog((on_sale, basic), "stripe"), sandbox.clock)
            yield Shop(world, services, weekly, yearly, once, plain)
