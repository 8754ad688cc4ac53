"""Which orders are found again after a restore, and what they ask for. Everything must agree, or nothing is found."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.storage.makers import DAY, LIVE_MODE, NOW, TEST_MODE, a_finding, a_subscription_finding, keep_person
from tests.support.running import look

from tollkeeper.billing.entitlements import judge
from tollkeeper.billing.lost_orders import lost, order_of
from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Verdict
from tollkeeper.model.bought import Bought, Line, Snapshot, Subscription
from tollkeeper.model.orders import Customer, OrderState
from tollkeeper.model.selling import Price, Product
from tollkeeper.storage import gaps, orders

ID = f"ord_{'a' * 24}"
CUSTOMER = Customer(1, TEST_MODE, "cus_1", "ada")
PRODUCT = Product("dashboard", "Dashboard", frozenset({"dashboard"}), {"stripe": ("price_1",)})
CATALOG = Catalog((PRODUCT,), "stripe")
PRICE = Price("price_1", 990, "eur", "Dashboard")


@pytest.fixture
def url(sqlite_url: str) -> str:
    """A database with a gap of a week."""
    look(sqlite_url, keep_person, "ada")
    look(sqlite_url, lambda conn: gaps.open_one(conn, NOW + 7 * DAY, since=NOW))
    return sqlite_url


def purchase(**changes: Any) -> Bought:
    return a_finding("cs_1", **{"order_id": ID, "created_at": NOW + DAY, **changes}).bought


def subscription(**changes: Any) -> Subscription:
    found = a_subscription_finding("sub_1", **{"order_id": ID, "created_at": NOW + DAY, **changes}).bought
    assert isinstance(found, Subscription)
    return found


def is_lost(url: str, bought: Bought, *, customer: Customer = CUSTOMER, **known: Any) -> bool:
    subscriptions = (bought,) if isinstance(bought, Subscription) else ()
    purchases = () if isinstance(bought, Subscription) else (bought,)
    snapshot = Snapshot(customer, purchases, subscriptions=subscriptions)

    def ask(conn: Connection) -> bool:
        asked: dict[str, Any] = {"ordered": (), "ours": (), "catalog": CATALOG, **known}
        return bool(lost(conn, snapshot, **asked))

    return look(url, ask)


def test_i62_where_all_agrees_an_order_was_lost(url: str) -> None:
    assert is_lost(url, purchase())
    assert is_lost(url, subscription())


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": None},
        {"order_id": "ord_1"},
        {"order_id": f"{ID}0"},
        {"order_id": ID.upper()},
        {"person_id": None},
        {"person_id": "eve"},
        {"live": True},
        {"created_at": NOW - gaps.BEFORE - 1},
        {"created_at": NOW + 7 * DAY + gaps.AFTER + 1},
        {"lines": (Line("price_2", 1),)},
        {"lines": ()},
    ],
    ids=str,
)
def test_i62_where_anything_does_not_agree_nothing_was_lost(url: str, changes: dict[str, Any]) -> None:
    assert not is_lost(url, purchase(**changes))


def test_i62_what_is_known_was_not_lost(url: str) -> None:
    assert not is_lost(url, purchase(), ordered={ID})
    assert not is_lost(url, purchase(), ours={ID})
    assert not is_lost(url, purchase(), customer=replace(CUSTOMER, person_id="eve"))
    assert not is_lost(url, purchase(), customer=replace(CUSTOMER, realm=LIVE_MODE))


def test_i62_the_order_asks_for_the_price_whatever_was_paid() -> None:
    paid_less = purchase(amount_subtotal=1, amount_total=1)
    order = order_of(paid_less, CUSTOMER, PRODUCT, PRICE)
    assert (order.amount, order.quantity, order.currency, order.recurring) == (990, 1, "eur", False)
    for bought, verdict in [
        (purchase(), Verdict.GRANTED),
        (paid_less, Verdict.QUARANTINED),
        (purchase(lines=(Line("price_1", 2),), amount_subtotal=1980, amount_total=1980), Verdict.QUARANTINED),
        (purchase(currency="usd"), Verdict.QUARANTINED),
        (purchase(amount_refunded=990), Verdict.REVOKED),
        (purchase(amount_discount=90, amount_total=900), Verdict.GRANTED),
    ]:
        assert not isinstance(bought, Subscription)
        made = order_of(bought, CUSTOMER, PRODUCT, PRICE)
        assert judge(bought, {made.id: made}, CUSTOMER, CATALOG).verdict is verdict


def test_i62_a_trial_that_was_had_is_remembered() -> None:
    month = replace(PRICE, interval="month")
    assert order_of(subscription(), CUSTOMER, PRODUCT, month).trial_days is None
    tried = order_of(subscription(trial_end=NOW + 15 * DAY + 30), CUSTOMER, PRODUCT, month)
    assert (tried.trial_days, tried.recurring, tried.checkout_id) == (14, True, None)


def test_i62_an_order_is_put_back_beside_what_was_ordered_since(url: str) -> None:
    order = order_of(purchase(), CUSTOMER, PRODUCT, PRICE)
    assert look(url, orders.put_back, order)
    assert not look(url, orders.put_back, order)
    other = replace(order, id=f"ord_{'b' * 24}", idempotency_key="b", checkout_id="cs_2")
    assert look(url, orders.put_back, other)
    kept = {one.id: one.state for one in look(url, orders.of_person, "ada", TEST_MODE)}
    assert kept == {order.id: OrderState.OPEN, other.id: OrderState.EXPIRED}
