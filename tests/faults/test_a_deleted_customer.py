"""A12: a customer is deleted at the provider. Earlier payments still count, and refunds still end access."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest
from tests.storage.makers import keep_person
from tests.support.running import Browser, Sandbox, Site, eventually, newcomer, settings_for
from tests.support.stripe_settings import stripe_of

from tollkeeper.app import now
from tollkeeper.billing.checkout import CheckoutService, Hosted
from tollkeeper.billing.reconcile import Services
from tollkeeper.catalog import Catalog
from tollkeeper.config import load as loading
from tollkeeper.model.orders import Customer, Order
from tollkeeper.providers.protocol import Checkout, ReturnAddresses
from tollkeeper.providers.stripe.account import StripeProvider
from tollkeeper.providers.stripe.settings import StripeSettings
from tollkeeper.storage import customers as kept_customers
from tollkeeper.storage.database import open_database
from tollkeeper.storage.tables import audit, customers, grants, orders

REFUND_FAILS = "4000 0000 0000 5126"


@pytest.fixture
def payer(shop: Site) -> Browser:
    """Somebody who paid, and whose customer was deleted since."""
    buyer = newcomer(shop)
    buyer.pay()
    eventually(buyer.enters)
    shop.sandbox.stripe.v1.customers.delete(shop.rows_of(buyer, customers)[0].external_id)
    return buyer


def refund_first(site: Site, buyer: Browser) -> None:
    first = min(site.rows_of(buyer, grants), key=lambda row: row.id)
    site.sandbox.stripe.v1.refunds.create({"payment_intent": first.reference})


def test_a12_the_purchase_still_counts(shop: Site, payer: Browser) -> None:
    order = shop.rows_of(payer, orders)[0]
    assert payer.get("/purchase/success", session_id=order.checkout_id).status_code == 200
    assert payer.enters()
    assert [row.change for row in shop.rows_of(payer, audit)] == ["granted"]


def test_a12_a_refund_is_still_seen(shop: Site, payer: Browser) -> None:
    refund_first(shop, payer)
    eventually(lambda: not payer.enters())


def test_a12_who_buys_again_is_another_customer_and_the_old_payments_refund_changes_nothing_for_the_new_one(
    shop: Site, payer: Browser
) -> None:
    refund_first(shop, payer)
    eventually(lambda: not payer.enters())
    payer.pay()
    eventually(payer.enters)
    gone, current = sorted(shop.rows_of(payer, customers), key=lambda row: row.id)
    assert gone.external_id != current.external_id
    assert (gone.replaced_at is not None, current.replaced_at) == (True, None)


def test_a12_what_becomes_of_a_replaced_customers_refund_is_still_seen(shop: Site) -> None:
    buyer = newcomer(shop)
    buyer.pay(card=REFUND_FAILS)
    eventually(buyer.enters)
    refund_first(shop, buyer)
    eventually(lambda: not buyer.enters())
    shop.sandbox.stripe.v1.customers.delete(shop.rows_of(buyer, customers)[0].external_id)
    buyer.pay()
    eventually(buyer.enters)
    first, second = sorted(shop.rows_of(buyer, grants), key=lambda row: row.id)
    (refund,) = shop.sandbox.stripe.v1.refunds.list({"payment_intent": first.reference}).data
    httpx2.post(f"{shop.sandbox.url}/control/refunds/{refund.id}/fail").raise_for_status()
    eventually(lambda: [row.change for row in shop.rows_of(buyer, audit)][-1] == "restored")
    shop.sandbox.stripe.v1.refunds.create({"payment_intent": second.reference})
    eventually(lambda: len(shop.rows_of(buyer, audit)) == 5)
    assert buyer.enters()


class Interrupted(StripeProvider):
    """Stripe, which is asked for a checkout page only once something else has happened."""

    def __init__(self, settings: StripeSettings, first: Callable[[], Awaitable[None]]) -> None:
        super().__init__(settings)
        self.first: Callable[[], Awaitable[None]] | None = first

    async def create_checkout(self, order: Order, customer: Customer, returns: ReturnAddresses) -> Checkout:
        if self.first is not None:
            first, self.first = self.first, None
            await first()
        return await super().create_checkout(order, customer, returns)


@pytest.mark.anyio
async def test_a12_two_tabs_lead_to_one_page_even_if_one_of_them_still_knows_the_deleted_customer(
    sandbox: Sandbox, database_url: str, tmp_path: Path
) -> None:
    settings = loading.load(settings_for("http://127.0.0.1:4000", sandbox, database_url), tmp_path)
    database = await open_database(settings.database_url)
    ada = await database.write(keep_person, f"ada-{database.dialect}")
    product, catalog = settings.products[0], Catalog(settings.products, "stripe")
    pages = []

    async def other_tab() -> None:
        """Finds the customer deleted, puts another in its place, and is sent to the page of the order that is open."""
        renewed = await provider.create_customer(ada, replacing=old.external_id)
        await database.write(kept_customers.replace, old, renewed, now())
        pages.append(
            await CheckoutService(Services(database, provider, catalog, now), settings.base_url).begin(ada, product)
        )

    provider, late = StripeProvider(stripe_of(settings)), Interrupted(stripe_of(settings), other_tab)
    try:
        realm = await Services(database, provider, catalog, now).realm()
        old = await database.write(kept_customers.add, ada.id, realm, await provider.create_customer(ada), now())
        sandbox.stripe.v1.customers.delete(old.external_id)
        pages.append(
            await CheckoutService(Services(database, late, catalog, now), settings.base_url).begin(ada, product)
        )
    finally:
        for part in (provider, late, database):
            await part.close()

    assert isinstance(pages[0], Hosted)
    assert pages[0] == pages[1]
