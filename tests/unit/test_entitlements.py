"""What a snapshot entitles to: each rule, each payment state, and an independent judge over made-up snapshots."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tollkeeper.entitlements import derive, judge
from tollkeeper.model import (
    Customer,
    Dispute,
    Finding,
    Line,
    Order,
    OrderState,
    Payment,
    Purchase,
    Realm,
    Snapshot,
    Verdict,
)

NOW = 1_800_000_000
TEST = Realm("stripe", "acct_1", live=False)
LIVE = Realm("stripe", "acct_1", live=True)
OTHER_ACCOUNT = Realm("stripe", "acct_2", live=False)
OTHER_PROVIDER = Realm("paddle", "acct_1", live=False)

CUSTOMER = Customer(1, TEST, "cus_1", "per_1")
ORDER = Order(
    id="ord_1",
    person_id="per_1",
    product="pro",
    realm=TEST,
    price_id="price_1",
    quantity=1,
    amount=1900,
    currency="eur",
    state=OrderState.OPEN,
    idempotency_key="order-1",
    created_at=NOW,
    checkout_id="cs_1",
)
PURCHASE = Purchase(
    source="cs_1",
    order_id="ord_1",
    person_id="per_1",
    lines=(Line("price_1", 1),),
    amount_subtotal=1900,
    amount_discount=0,
    amount_total=1900,
    currency="eur",
    live=False,
    payment=Payment.PAID,
    created_at=NOW,
    paid_at=NOW + 5,
    reference="pi_1",
)


def verdict(purchase: Purchase = PURCHASE, order: Order = ORDER, customer: Customer = CUSTOMER) -> Verdict:
    return judge(purchase, {order.id: order}, customer).verdict


def test_what_was_ordered_and_paid_is_granted_with_its_product_and_reason() -> None:
    assert derive(Snapshot(CUSTOMER, (PURCHASE,)), {"ord_1": ORDER}) == (
        Finding(PURCHASE, Verdict.GRANTED, "Paid in full.", product="pro"),
    )


def test_nothing_bought_is_nothing_found() -> None:
    assert derive(Snapshot(CUSTOMER, ()), {"ord_1": ORDER}) == ()


@pytest.mark.parametrize("state", OrderState)
def test_a_payment_counts_whatever_we_thought_of_its_order(state: OrderState) -> None:
    assert verdict(order=replace(ORDER, state=state, checkout_id=None)) is Verdict.GRANTED


@pytest.mark.parametrize("order_id", [None, "", "ord_2", "cs_1", "ORD_1", " ord_1"])
def test_a07_what_was_never_ordered_is_unclaimed(order_id: str | None) -> None:
    found = judge(replace(PURCHASE, order_id=order_id), {"ord_1": ORDER}, CUSTOMER)
    assert (found.verdict, found.product) == (Verdict.UNCLAIMED, None)
    assert judge(PURCHASE, {}, CUSTOMER).verdict is Verdict.UNCLAIMED


@pytest.mark.parametrize(
    ("payment", "expected"),
    [
        (Payment.PAID, Verdict.GRANTED),
        (Payment.PENDING, Verdict.PENDING),
        (Payment.UNPAID, Verdict.UNPAID),
        (Payment.FREE, Verdict.QUARANTINED),
    ],
)
def test_a03_only_paid_is_paid(payment: Payment, expected: Verdict) -> None:
    assert verdict(replace(PURCHASE, payment=payment)) is expected


def test_every_payment_state_has_its_verdict() -> None:
    assert [state for state in Payment if verdict(replace(PURCHASE, payment=state)) is Verdict.GRANTED] == ["paid"]


@pytest.mark.parametrize(
    "changes",
    [
        {"lines": ()},
        {"lines": (Line("price_2", 1),)},
        {"lines": (Line("price_1", 2),)},
        {"lines": (Line("price_1", 0),)},
        {"lines": (Line("price_1", 1), Line("price_1", 1))},
        {"lines": (Line("price_1", 1), Line("price_2", 1))},
        {"lines": (Line("price_2", 1), Line("price_1", 1))},
        {"amount_subtotal": 1899},
        {"amount_subtotal": 1901, "amount_total": 1901},
        {"amount_subtotal": 0, "amount_total": 1900},
        {"currency": "usd"},
        {"currency": "EUR"},
        {"currency": "huf"},
    ],
)
def test_a05_other_than_ordered_is_quarantined(changes: dict[str, Any]) -> None:
    assert verdict(replace(PURCHASE, **changes)) is Verdict.QUARANTINED


@pytest.mark.parametrize(
    "changes",
    [
        {"price_id": "price_2"},
        {"quantity": 2},
        {"quantity": 2, "amount": 3800},
        {"amount": 2000},
        {"amount": 100},
        {"currency": "usd"},
    ],
)
def test_a05_an_order_for_something_else_is_not_filled(changes: dict[str, Any]) -> None:
    assert verdict(order=replace(ORDER, **changes)) is Verdict.QUARANTINED


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_discount": 1},
        {"amount_discount": 1, "amount_total": 1899},
        {"amount_discount": 1900, "amount_total": 0},
        {"amount_discount": 1900, "amount_total": 0, "payment": Payment.FREE},
        {"amount_discount": -1},
        {"amount_total": 1899},
        {"amount_total": 0},
        {"amount_total": -1900},
        {"payment": Payment.FREE},
    ],
)
def test_a04_less_than_ordered_is_quarantined(changes: dict[str, Any]) -> None:
    assert verdict(replace(PURCHASE, **changes)) is Verdict.QUARANTINED


def test_tax_comes_on_top() -> None:
    assert verdict(replace(PURCHASE, amount_total=2261)) is Verdict.GRANTED


@pytest.mark.parametrize(
    ("purchase_person", "order_person", "customer_person"),
    [
        ("per_2", "per_1", "per_1"),
        ("per_1", "per_2", "per_1"),
        ("per_1", "per_1", "per_2"),
        ("per_2", "per_2", "per_1"),
        ("per_2", "per_1", "per_2"),
        ("per_1", "per_2", "per_3"),
        (None, "per_1", "per_1"),
        ("", "per_1", "per_1"),
    ],
)
def test_i3_all_three_must_name_the_same_person(
    purchase_person: str | None, order_person: str, customer_person: str
) -> None:
    found = verdict(
        replace(PURCHASE, person_id=purchase_person),
        replace(ORDER, person_id=order_person),
        replace(CUSTOMER, person_id=customer_person),
    )
    assert found is Verdict.QUARANTINED


@pytest.mark.parametrize(
    ("live", "order_realm", "customer_realm"),
    [
        (True, TEST, TEST),
        (False, LIVE, TEST),
        (False, TEST, LIVE),
        (True, LIVE, TEST),
        (True, TEST, LIVE),
        (False, LIVE, LIVE),
        (False, OTHER_ACCOUNT, TEST),
        (False, TEST, OTHER_ACCOUNT),
        (False, OTHER_PROVIDER, TEST),
        (False, TEST, OTHER_PROVIDER),
    ],
)
def test_b19_nothing_crosses_modes_accounts_or_providers(live: bool, order_realm: Realm, customer_realm: Realm) -> None:
    found = verdict(
        replace(PURCHASE, live=live), replace(ORDER, realm=order_realm), replace(CUSTOMER, realm=customer_realm)
    )
    assert found is Verdict.QUARANTINED


@pytest.mark.parametrize("realm", [LIVE, OTHER_ACCOUNT, OTHER_PROVIDER])
def test_each_realm_grants_its_own(realm: Realm) -> None:
    found = verdict(replace(PURCHASE, live=realm.live), replace(ORDER, realm=realm), replace(CUSTOMER, realm=realm))
    assert found is Verdict.GRANTED


@pytest.mark.parametrize(
    ("refunded", "total", "expected"),
    [
        (0, 1900, Verdict.GRANTED),
        (1, 1900, Verdict.GRANTED),
        (1899, 1900, Verdict.GRANTED),
        (1900, 1900, Verdict.REVOKED),
        (1901, 1900, Verdict.REVOKED),
        (1900, 2261, Verdict.GRANTED),
        (2261, 2261, Verdict.REVOKED),
    ],
)
def test_a11_a_full_refund_revokes_and_a_partial_one_does_not(refunded: int, total: int, expected: Verdict) -> None:
    assert verdict(replace(PURCHASE, amount_refunded=refunded, amount_total=total)) is expected


@pytest.mark.parametrize(
    ("dispute", "expected"),
    [
        (Dispute.NONE, Verdict.GRANTED),
        (Dispute.WARNING, Verdict.GRANTED),
        (Dispute.OPEN, Verdict.REVOKED),
        (Dispute.WON, Verdict.GRANTED),
        (Dispute.LOST, Verdict.REVOKED),
    ],
)
def test_a11_an_open_or_lost_dispute_revokes(dispute: Dispute, expected: Verdict) -> None:
    assert verdict(replace(PURCHASE, dispute=dispute)) is expected
    assert verdict(replace(PURCHASE, dispute=dispute, amount_refunded=1)) is expected
    assert verdict(replace(PURCHASE, dispute=dispute, amount_refunded=1900)) is Verdict.REVOKED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # What is not ours to judge comes before what became of the payment.
        ({"order_id": None, "payment": Payment.UNPAID}, Verdict.UNCLAIMED),
        ({"live": True, "payment": Payment.UNPAID}, Verdict.QUARANTINED),
        ({"person_id": "per_2", "dispute": Dispute.OPEN}, Verdict.QUARANTINED),
        ({"currency": "usd", "payment": Payment.PENDING}, Verdict.QUARANTINED),
        ({"amount_total": 1, "amount_refunded": 1}, Verdict.QUARANTINED),
        # A payment that never succeeded cannot be taken back.
        ({"payment": Payment.UNPAID, "dispute": Dispute.OPEN}, Verdict.UNPAID),
        ({"payment": Payment.PENDING, "amount_refunded": 1900}, Verdict.PENDING),
    ],
)
def test_of_several_objections_the_first_is_the_verdict(changes: dict[str, Any], expected: Verdict) -> None:
    assert verdict(replace(PURCHASE, **changes)) is expected


def test_each_verdict_but_granted_says_why_in_words_of_its_own() -> None:
    objectionable = [
        replace(PURCHASE, order_id=None),
        replace(PURCHASE, live=True),
        replace(PURCHASE, person_id=None),
        replace(PURCHASE, currency="usd"),
        replace(PURCHASE, amount_total=1),
        replace(PURCHASE, payment=Payment.PENDING),
        replace(PURCHASE, payment=Payment.UNPAID),
        replace(PURCHASE, amount_refunded=1900),
        replace(PURCHASE, dispute=Dispute.OPEN),
        replace(PURCHASE, dispute=Dispute.LOST),
    ]
    reasons = {judge(purchase, {"ord_1": ORDER}, CUSTOMER).reason for purchase in [PURCHASE, *objectionable]}
    assert len(reasons) == 1 + len(objectionable)


def test_each_purchase_is_judged_by_itself() -> None:
    second_order = replace(ORDER, id="ord_2", product="basic", price_id="price_2", amount=500)
    basic = replace(
        PURCHASE,
        source="cs_2",
        order_id="ord_2",
        lines=(Line("price_2", 1),),
        amount_subtotal=500,
        amount_total=500,
    )
    pending = replace(PURCHASE, source="cs_3", payment=Payment.PENDING)
    swapped = replace(basic, source="cs_4", order_id="ord_1")
    found = derive(Snapshot(CUSTOMER, (PURCHASE, swapped, basic, pending)), {"ord_1": ORDER, "ord_2": second_order})
    assert [(one.purchase.source, one.verdict, one.product) for one in found] == [
        ("cs_1", Verdict.GRANTED, "pro"),
        ("cs_4", Verdict.QUARANTINED, "pro"),
        ("cs_2", Verdict.GRANTED, "basic"),
        ("cs_3", Verdict.PENDING, "pro"),
    ]


# The judge: what must hold of a purchase that opens a door, said once more and in another way.


def deserves_access(purchase: Purchase, orders: dict[str, Order], customer: Customer) -> bool:
    """Person, the product's price, quantity, amount, currency and mode match, and it is paid and not taken back."""
    for order in orders.values():
        if order.id == purchase.order_id:
            bought = [(line.price_id, line.quantity) for line in purchase.lines]
            same_person = purchase.person_id == order.person_id and order.person_id == customer.person_id
            here, there = order.realm, customer.realm
            same_place = (here.provider, here.account) == (there.provider, there.account)
            same_mode = purchase.live is here.live and here.live is there.live
            same_thing = bought == [(order.price_id, order.quantity)]
            same_money = purchase.amount_subtotal == order.amount and purchase.currency == order.currency
            nothing_off = purchase.amount_discount == 0 and not purchase.amount_total < order.amount
            kept = purchase.amount_total - purchase.amount_refunded > 0 and purchase.dispute not in {"open", "lost"}
            paid = purchase.payment == "paid"
            return all((same_person, same_place, same_mode, same_thing, same_money, nothing_off, kept, paid))
    return False


people = st.sampled_from(["per_1", "per_2"])
realms = st.sampled_from([TEST, LIVE, OTHER_ACCOUNT, OTHER_PROVIDER])
prices = st.sampled_from(["price_1", "price_2"])
quantities = st.integers(0, 2)
amounts = st.sampled_from([0, 1, 950, 1899, 1900, 1901, 2261, 3800]) | st.integers(-5000, 5000)
currencies = st.sampled_from(["eur", "usd", "EUR", ""])
lines = st.lists(st.builds(Line, prices, quantities), max_size=2).map(tuple)

PURCHASE_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "source": st.sampled_from(["cs_1", "cs_2"]),
    "order_id": st.none() | st.sampled_from(["ord_1", "ord_2", ""]),
    "person_id": st.none() | people,
    "lines": lines,
    "amount_subtotal": amounts,
    "amount_discount": amounts,
    "amount_total": amounts,
    "currency": currencies,
    "live": st.booleans(),
    "payment": st.sampled_from(Payment),
    "paid_at": st.none() | st.just(NOW),
    "amount_refunded": amounts,
    "dispute": st.sampled_from(Dispute),
}
ORDER_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "person_id": people,
    "realm": realms,
    "price_id": prices,
    "quantity": quantities,
    "amount": amounts,
    "currency": currencies,
    "state": st.sampled_from(OrderState),
}


def slips(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """A few fields with values of their own; the others stay right. Most often it is one, which then decides alone."""
    slip = st.one_of([st.tuples(st.just(name), values) for name, values in fields.items()])
    return (st.lists(slip, max_size=1) | st.lists(slip, max_size=3)).map(dict)


purchases = st.builds(lambda changes: replace(PURCHASE, **changes), slips(PURCHASE_FIELDS))
orders = st.just(ORDER) | st.builds(lambda changes: replace(ORDER, **changes), slips(ORDER_FIELDS))
buyers = st.builds(lambda realm, person: replace(CUSTOMER, realm=realm, person_id=person), realms, people)


@settings(max_examples=500)
@given(bought=st.lists(purchases, max_size=4), first=orders, second=orders, customer=st.just(CUSTOMER) | buyers)
@example(bought=[PURCHASE], first=ORDER, second=ORDER, customer=CUSTOMER)
def test_i2_access_is_granted_exactly_where_everything_matches(
    bought: list[Purchase], first: Order, second: Order, customer: Customer
) -> None:
    ours = {"ord_1": first, "ord_2": replace(second, id="ord_2")}
    found = derive(Snapshot(customer, tuple(bought)), ours)
    assert [one.purchase for one in found] == bought
    for one in found:
        assert (one.verdict is Verdict.GRANTED) == deserves_access(one.purchase, ours, customer)
        assert one.until is None
        assert one.verdict is not Verdict.GRANTED or one.product == ours[one.purchase.order_id or ""].product
