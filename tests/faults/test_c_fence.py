"""C24: two workers reconcile one customer at the same time. The older reading never wins."""

import asyncio
from pathlib import Path

import pytest
from tests.support.running import Browser, Sandbox, Site, eventually, running_site
from tests.support.stripe_settings import stripe_of

from tollkeeper.billing.reconcile import Services, reconcile
from tollkeeper.catalog import Catalog
from tollkeeper.config import load as loading
from tollkeeper.model.bought import Snapshot
from tollkeeper.model.orders import Customer, Realm
from tollkeeper.providers.stripe.account import StripeProvider
from tollkeeper.providers.stripe.settings import StripeSettings
from tollkeeper.storage import customers
from tollkeeper.storage.database import open_database
from tollkeeper.storage.tables import audit, grants
from tollkeeper.storage.tables import customers as customers_table

pytestmark = pytest.mark.anyio


class Dawdling(StripeProvider):
    """Stripe, whose answer about a customer arrives when a test lets it."""

    def __init__(self, settings: StripeSettings) -> None:
        super().__init__(settings)
        self.read = asyncio.Event()
        self.arrive = asyncio.Event()

    async def snapshot(self, customer: Customer) -> Snapshot:
        answer = await super().snapshot(customer)
        self.read.set()
        await self.arrive.wait()
        return answer


@pytest.fixture
def paid(sandbox: Sandbox, database_url: str, tmp_path: Path) -> Site:
    """A site with one payer, and no process that works on it any more."""
    with running_site(sandbox, database_url, tmp_path, STRIPE_WEBHOOK_SECRET="") as site:
        browser = Browser(site.url)
        browser.sign_in("Faye Fence")
        browser.follow(browser.pay())
        eventually(lambda: site.rows(grants))
    return site


async def test_c24_the_older_reading_never_wins(paid: Site, tmp_path: Path) -> None:
    settings = loading.load(paid.settings, tmp_path)
    (payer,), (grant,) = paid.rows(customers_table), paid.rows(grants)
    database = await open_database(settings.database_url)
    slow, quick = Dawdling(stripe_of(settings)), StripeProvider(stripe_of(settings))
    try:
        realm = Realm("stripe", await quick.account(), live=False)
        customer = await database.read(customers.find, realm, payer.external_id)
        assert customer is not None

        def services(provider: StripeProvider) -> Services:
            return Services(database, provider, Catalog(settings.products, "stripe"), paid.clock)

        older = asyncio.create_task(reconcile(services(slow), customer, evidence="older"))
        await slow.read.wait()
        await asyncio.to_thread(paid.sandbox.stripe.v1.refunds.create, {"payment_intent": grant.reference})
        newer = await reconcile(services(quick), customer, evidence="newer")
        slow.arrive.set()

        assert (newer.changes, newer.superseded) == (1, False)
        assert ((await older).changes, (await older).superseded) == (0, False)  # it has asked once more
        assert paid.rows(grants)[0].revoked_at is not None
        assert [(entry.change, entry.evidence) for entry in paid.rows(audit)][1:] == [("revoked", "newer")]
    finally:
        for part in (slow, quick, database):
            await part.close()
