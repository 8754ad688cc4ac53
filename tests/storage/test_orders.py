from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from tests.storage.conftest import Begin
from tests.storage.makers import LIVE_MODE, NOW, OTHER_ACCOUNT, OTHER_PROVIDER, TEST_MODE, an_order, keep_person

from tollkeeper.model.orders import Order, OrderState
from tollkeeper.storage import orders


@pytest.fixture
def order(conn: Connection) -> Order:
    keep_person(conn, "ada")
    return orders.start(conn, an_order("o1", "ada"))


def test_an_order_is_kept_as_given(conn: Connection, order: Order) -> None:
    assert order == an_order("o1", "ada")
    assert orders.find(conn, "o1") == order
    assert orders.open_order(conn, "ada", "dashboard", live=False) == order


def test_a09_a_second_order_for_the_same_product_is_the_first(conn: Connection, order: Order) -> None:
    assert orders.start(conn, an_order("o2", "ada")) == order
    assert orders.start(conn, an_order("o3", "ada", realm=OTHER_PROVIDER)) == order
    assert orders.find(conn, "o2") is None


def test_other_people_products_and_modes_have_orders_of_their_own(conn: Connection, order: Order) -> None:
    keep_person(conn, "bob")
    others = (
        an_order("o2", "bob", promotion_codes=True),
        an_order("o3", "ada", product="reports"),
        an_order("o4", "ada", realm=LIVE_MODE),
    )
    assert tuple(orders.start(conn, other) for other in others) == others
    assert orders.open_order(conn, "ada", "dashboard", live=False) == order


def test_after_one_is_closed_a_new_one_can_be_started(conn: Connection, order: Order) -> None:
    assert orders.close(conn, order.id, OrderState.COMPLETE, NOW)
    assert orders.open_order(conn, "ada", "dashboard", live=False) is None
    fresh = an_order("o2", "ada")
    assert orders.start(conn, fresh) == fresh


def test_an_idempotency_key_is_used_for_one_order(conn: Connection, order: Order) -> None:
    with pytest.raises(IntegrityError), conn.begin_nested():
        orders.start(conn, an_order("o2", "ada", product="reports", idempotency_key=order.idempotency_key))


def test_the_checkout_session_of_an_order(conn: Connection, order: Order) -> None:
    orders.set_checkout(conn, order.id, "cs_1")
    kept = replace(order, checkout_id="cs_1")
    assert orders.own(conn, "ada", "cs_1", live=False) == kept
    assert orders.own(conn, "ada", "cs_2", live=False) is None


@pytest.mark.parametrize("state", OrderState)
def test_nobody_is_sent_to_the_page_of_an_order_that_has_expired(
    conn: Connection, order: Order, state: OrderState
) -> None:
    if state is not OrderState.OPEN:
        orders.close(conn, order.id, state, NOW)
    assert orders.set_checkout(conn, order.id, "cs_1") is (state is not OrderState.EXPIRED)
    assert (orders.own(conn, "ada", "cs_1", live=False) is None) is (state is OrderState.EXPIRED)


@pytest.mark.parametrize(("person", "live"), [("bob", False), ("ada", True)])
def test_a02_a_checkout_session_of_somebody_else_or_another_mode_is_unknown(
    conn: Connection, order: Order, person: str, live: bool
) -> None:
    orders.set_checkout(conn, order.id, "cs_1")
    assert orders.own(conn, person, "cs_1", live=live) is None


def test_orders_of_a_person_in_one_realm_newest_first(conn: Connection, order: Order) -> None:
    keep_person(conn, "bob")
    later = orders.start(conn, an_order("o2", "ada", product="reports", created_at=NOW + 5))
    orders.start(conn, an_order("o3", "ada", realm=LIVE_MODE))
    orders.start(conn, an_order("o4", "bob"))
    assert orders.of_person(conn, "ada", TEST_MODE) == (later, order)


@pytest.mark.parametrize(
    ("before", "to", "allowed"),
    [
        (OrderState.OPEN, OrderState.COMPLETE, True),
        (OrderState.OPEN, OrderState.EXPIRED, True),
        (OrderState.EXPIRED, OrderState.COMPLETE, True),
        (OrderState.EXPIRED, OrderState.EXPIRED, False),
        (OrderState.COMPLETE, OrderState.EXPIRED, False),
        (OrderState.COMPLETE, OrderState.COMPLETE, False),
    ],
)
def test_how_orders_close(conn: Connection, order: Order, before: OrderState, to: OrderState, allowed: bool) -> None:
    if before is not OrderState.OPEN:
        orders.close(conn, order.id, before, NOW)
    assert orders.close(conn, order.id, to, NOW + 1) is allowed
    kept = orders.find(conn, order.id)
    assert kept is not None
    assert kept.state is (to if allowed else before)


@pytest.mark.parametrize(
    ("made", "unusable", "expires"),
    [
        (None, None, True),
        ("cs_1", "cs_1", True),
        ("cs_1", None, False),
        ("cs_1", "cs_2", False),
    ],
)
def test_an_order_with_another_page_than_the_unusable_one_is_not_given_up(
    conn: Connection, order: Order, made: str | None, unusable: str | None, expires: bool
) -> None:
    if made is not None:
        orders.set_checkout(conn, order.id, made)
    assert orders.give_up(conn, order.id, unusable, NOW) is expires
    kept = orders.find(conn, order.id)
    assert kept is not None
    assert kept.state is (OrderState.EXPIRED if expires else OrderState.OPEN)


def test_a_complete_order_is_not_given_up(conn: Connection, order: Order) -> None:
    orders.close(conn, order.id, OrderState.COMPLETE, NOW)
    assert not orders.give_up(conn, order.id, None, NOW)


def test_closing_an_unknown_order_does_nothing(conn: Connection) -> None:
    assert not orders.close(conn, "o1", OrderState.COMPLETE, NOW)


def test_orders_of_a_person_in_one_mode_at_every_account(conn: Connection, order: Order) -> None:
    elsewhere = orders.start(conn, an_order("o2", "ada", realm=OTHER_ACCOUNT, product="reports", created_at=NOW + 5))
    orders.start(conn, an_order("o3", "ada", realm=LIVE_MODE))
    assert orders.in_mode(conn, "ada", live=False) == (elsewhere, order)


def test_a_subscription_s_order_is_kept_as_given(conn: Connection) -> None:
    keep_person(conn, "ada")
    given = an_order("o1", "ada", recurring=True, trial_days=14, trial_without_card=True)
    assert orders.start(conn, given) == given == orders.find(conn, "o1")


def test_one_trial_for_each_person_and_mode(conn: Connection) -> None:
    trial = {"recurring": True, "trial_days": 14, "trial_without_card": True}
    for person in ("ada", "bob"):
        keep_person(conn, person)
    first = orders.start(conn, an_order("o1", "ada", **trial))
    assert orders.start(conn, an_order("o2", "ada", **trial)) == first
    second = orders.start(conn, an_order("o3", "ada", product="reports", **trial))
    assert (second.trial_days, second.trial_without_card) == (None, False)
    for another in (an_order("o4", "bob", **trial), an_order("o5", "ada", realm=LIVE_MODE, **trial)):
        assert orders.start(conn, another) == another
    assert orders.close(conn, "o1", OrderState.COMPLETE, NOW)
    assert orders.start(conn, an_order("o6", "ada", product="services", **trial)).trial_days is None


def test_an_order_that_was_thought_expired_leaves_the_trial_to_the_next(conn: Connection) -> None:
    keep_person(conn, "ada")
    trial = {"recurring": True, "trial_days": 14}
    orders.start(conn, an_order("o1", "ada", **trial))
    orders.close(conn, "o1", OrderState.EXPIRED, NOW)
    assert orders.start(conn, an_order("o2", "ada", product="reports", **trial)).trial_days == 14
    assert orders.close(conn, "o1", OrderState.COMPLETE, NOW)
    found = [orders.find(conn, id) for id in ("o1", "o2")]
    assert [one and (one.state, one.trial_days) for one in found] == [("complete", None), ("open", 14)]


@pytest.mark.parametrize("engine", ["postgresql"])
def test_of_two_who_begin_a_trial_at_once_one_has_it(begin: Begin) -> None:
    """SQLite has one writer at a time."""
    with begin() as conn:
        keep_person(conn, "ada")

    def start(id: str, product: str) -> int | None:
        with begin() as other:
            return orders.start(other, an_order(id, "ada", product=product, recurring=True, trial_days=14)).trial_days

    with ThreadPoolExecutor() as pool:
        with begin() as conn:
            assert orders.start(conn, an_order("o1", "ada", recurring=True, trial_days=14)).trial_days == 14
            waiting = pool.submit(start, "o2", "reports")
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
        assert waiting.result(10) is None
