"""A12: a customer is deleted at the provider. What was paid still counts, and what is taken back still goes."""

import httpx2
import pytest
from tests.support.running import Browser, Site, eventually, newcomer

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
