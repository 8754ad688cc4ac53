"""What subscriptions entitle to: readable rows, and every combination against a judge of its own."""

from dataclasses import replace
from itertools import product as every
from typing import Any

import pytest

from tollkeeper.catalog import Catalog
from tollkeeper.entitlements import LATE, derive, judge_subscription, unclaimed
from tollkeeper.explanations import told
from tollkeeper.model import (
    Customer,
    Dispute,
    Finding,
    Line,
    Order,
    OrderState,
    Payment,
    Policy,
    Product,
    Realm,
    Snapshot,
    Standing,
    Subscription,
    Verdict,
)

DAY = 86_400
START = 1_800_000_000  # 15 January 2027
END = START + 30 * DAY
TEST = Realm("stripe", "acct_1", live=False)

PRO = Product("pro", "Pro", frozenset({"dashboard"}), {"stripe": ("price_month", "price_year")})
BASIC = Product("basic", "Basic", frozenset({"reports"}), {"stripe": ("price_basic",)})
CATALOG = Catalog((PRO, BASIC))
CUSTOMER = Customer(1, TEST, "cus_1", "per_1")
ORDER = Order(
    id="ord_1",
    person_id="per_1",
    product="pro",
    realm=TEST,
    price_id="price_month",
    quantity=1,
    amount=900,
    currency="eur",
    state=OrderState.OPEN,
    idempotency_key="order-1",
    created_at=START,
    recurring=True,
)
RUNNING = Subscription(
    source="sub_1",
    order_id="ord_1",
    person_id="per_1",
    live=False,
    currency="eur",
    payment=Payment.PAID,
    created_at=START - 60 * DAY,
    amount_total=900,
    reference="pi_3",
    standing=Standing.ACTIVE,
    items=(Line("price_month", 1),),
    period_start=START,
    period_end=END,
    ever_paid=True,
)
FAILED = replace(
    RUNNING, standing=Standing.PAST_DUE, payment=Payment.UNPAID, amount_total=0, owed_since=START + 3600, reference=None
)
UNPAID_PERIOD: dict[str, Any] = {"payment": Payment.UNPAID, "amount_total": 0}
TRIAL = replace(
    RUNNING, standing=Standing.TRIALING, payment=Payment.FREE, amount_total=0, ever_paid=False, trial_end=END
)


def found(
    subscription: Subscription = RUNNING,
    order: Order = ORDER,
    customer: Customer = CUSTOMER,
    policy: Policy | None = None,
    held: str | None = None,
) -> Finding:
    products = (replace(PRO, policy=policy), BASIC) if policy else CATALOG.products
    return judge_subscription(subscription, {order.id: order}, customer, Catalog(products), held)


def test_what_is_paid_gives_its_product_to_the_end_of_the_period_and_a_day_longer() -> None:
    snapshot = Snapshot(CUSTOMER, (), subscriptions=(RUNNING,))
    assert derive(snapshot, {"ord_1": ORDER}, CATALOG) == (
        Finding(
            RUNNING,
            Verdict.GRANTED,
            "Paid until 14 February 2027.",
            product="pro",
            until=END + DAY,
            line=Line("price_month", 1),
        ),
    )


# what the subscription is -> the verdict, until when, the reason, and what an operator reads after "subscription sub_1"
ROWS: list[tuple[str, Subscription, Verdict, int | None, str, str]] = [
    (
        "on trial",
        TRIAL,
        Verdict.GRANTED,
        END + LATE,
        "On trial until 14 February 2027.",
        "is on trial until 14 February 2027",
    ),
    (
        "ends with the period",
        replace(RUNNING, ends_at=END),
        Verdict.GRANTED,
        END,
        "Paid until 14 February 2027; it ends on 14 February 2027.",
        "is paid until 14 February 2027; it ends on 14 February 2027",
    ),
    (
        "covered by a coupon",
        replace(RUNNING, payment=Payment.FREE, amount_total=0, ever_paid=False),
        Verdict.GRANTED,
        END + LATE,
        "Nothing to pay until 14 February 2027.",
        "took no money until 14 February 2027",
    ),
    (
        "renewed a moment ago, and the payment is under way",
        replace(RUNNING, payment=Payment.PENDING, amount_total=0),
        Verdict.GRANTED,
        END + LATE,
        "Renewed on 15 January 2027, and the payment for that is under way.",
        "was renewed on 15 January 2027, and the payment for that is under way",
    ),
    (
        "renewal failed",
        FAILED,
        Verdict.GRANTED,
        START + 3600 + 7 * DAY,
        "The payment that was due on 15 January 2027 failed, and access lasts until 22 January 2027.",
        "was not renewed: the payment that was due on 15 January 2027 failed, and access lasts until 22 January 2027",
    ),
    (
        "renewal failed, nobody says since when",
        replace(FAILED, owed_since=None),
        Verdict.GRANTED,
        START + 7 * DAY,
        "The payment that was due on 15 January 2027 failed, and access lasts until 22 January 2027.",
        "was not renewed: the payment that was due on 15 January 2027 failed, and access lasts until 22 January 2027",
    ),
    (
        "renewal failed, and it ends before the grace does",
        replace(FAILED, ends_at=START + DAY),
        Verdict.GRANTED,
        START + DAY,
        "The payment that was due on 15 January 2027 failed, and access lasts until 16 January 2027;"
        " it ends on 16 January 2027.",
        "was not renewed: the payment that was due on 15 January 2027 failed,"
        " and access lasts until 16 January 2027; it ends on 16 January 2027",
    ),
    (
        "paused, and the period is paid",
        replace(RUNNING, collection_paused=True),
        Verdict.GRANTED,
        END,
        "Paid until 14 February 2027; its payments are paused from then on.",
        "is paid until 14 February 2027; its payments are paused from then on",
    ),
    (
        "paused, and the period is not paid",
        replace(RUNNING, collection_paused=True, **UNPAID_PERIOD),
        Verdict.SUSPENDED,
        None,
        "Its payments are paused, and this period is not paid.",
        "is on hold: its payments are paused, and this period is not paid",
    ),
    (
        "the first payment failed",
        replace(FAILED, ever_paid=False),
        Verdict.SUSPENDED,
        None,
        "Its first payment has failed.",
        "was never paid: its first payment has failed",
    ),
    (
        "the first payment is a debit that takes days",
        replace(RUNNING, payment=Payment.PENDING, amount_total=0, ever_paid=False),
        Verdict.PENDING,
        None,
        "The payment is still being processed.",
        "is still being processed",
    ),
    (
        "incomplete",
        replace(RUNNING, standing=Standing.INCOMPLETE, ever_paid=False, **UNPAID_PERIOD),
        Verdict.SUSPENDED,
        None,
        "Its first payment has not been made.",
        "was never paid: its first payment has not been made",
    ),
    (
        "incomplete, and the payment is being processed",
        replace(RUNNING, standing=Standing.INCOMPLETE, ever_paid=False, payment=Payment.PENDING, amount_total=0),
        Verdict.PENDING,
        None,
        "The payment is still being processed.",
        "is still being processed",
    ),
    (
        "unpaid",
        replace(RUNNING, standing=Standing.UNPAID, **UNPAID_PERIOD),
        Verdict.SUSPENDED,
        None,
        "Its payments failed, and it is on hold until what is owed is paid.",
        "is on hold: its payments failed, and it is on hold until what is owed is paid",
    ),
    (
        "paused after a trial without a card",
        replace(TRIAL, standing=Standing.PAUSED),
        Verdict.SUSPENDED,
        None,
        "Its trial ended without a card, and it is on hold until there is one.",
        "is on hold: its trial ended without a card, and it is on hold until there is one",
    ),
    (
        "canceled",
        replace(RUNNING, standing=Standing.CANCELED, ends_at=START + DAY, period_end=END),
        Verdict.ENDED,
        None,
        "Ended on 16 January 2027.",
        "ended on 16 January 2027",
    ),
    (
        "never begun",
        replace(RUNNING, standing=Standing.INCOMPLETE_EXPIRED),
        Verdict.ENDED,
        None,
        "Its first payment was never made, and the time for it is over.",
        "was never paid: its first payment was never made, and the time for it is over",
    ),
    (
        "in a state of which we never heard",
        replace(RUNNING, standing=Standing.UNKNOWN),
        Verdict.QUARANTINED,
        None,
        "How it stands with the provider is not known here.",
        "stands in a way that is not known here",
    ),
    (
        "refunded in full",
        replace(RUNNING, amount_refunded=900),
        Verdict.REVOKED,
        None,
        "Refunded in full.",
        "was refunded in full",
    ),
    (
        "refunded in part",
        replace(RUNNING, amount_refunded=450),
        Verdict.GRANTED,
        END + LATE,
        "Paid until 14 February 2027; 50 % refunded since, and access ends from 100 % on.",
        "is paid until 14 February 2027; 50 % refunded since, and access ends from 100 % on",
    ),
    (
        "disputed",
        replace(RUNNING, dispute=Dispute.OPEN),
        Verdict.REVOKED,
        None,
        "The payment is disputed.",
        "is disputed by the buyer's bank, and gives no access unless that is won",
    ),
    (
        "somebody else's",
        replace(RUNNING, person_id="per_2"),
        Verdict.QUARANTINED,
        None,
        "The payment and the order name different people.",
        "and its order name different people",
    ),
    (
        "of the other mode",
        replace(RUNNING, live=True),
        Verdict.QUARANTINED,
        None,
        "The payment and the order are of different accounts or modes.",
        "and its order are of different accounts or modes",
    ),
]


@pytest.mark.parametrize(("subscription", "verdict", "until", "reason", "sentence"), [row[1:] for row in ROWS],
                         ids=[row[0] for row in ROWS])  # fmt: skip
def test_each_verdict_says_until_when_and_why(
    subscription: Subscription, verdict: Verdict, until: int | None, reason: str, sentence: str
) -> None:
    one = found(subscription)
    assert (one.verdict, one.until, one.reason) == (verdict, until, reason)
    assert told(reason) == sentence
    assert one.product == "pro"


def test_what_was_ordered_to_be_paid_once_is_no_subscription() -> None:
    one = found(order=replace(ORDER, recurring=False))
    assert (one.verdict, one.reason) == (
        Verdict.QUARANTINED,
        "What was ordered is paid once, and this is a subscription.",
    )
    assert told(one.reason) == "is no payment for what was ordered: that is paid once, and this is a subscription"


@pytest.mark.parametrize("days", [0, 3, 90])
def test_the_seller_sets_the_grace(days: int) -> None:
    assert found(FAILED, policy=Policy(grace_days=days)).until == START + 3600 + days * DAY


@pytest.mark.parametrize(
    ("standing", "verdict"),
    [
        (Standing.ACTIVE, Verdict.UNCLAIMED),
        (Standing.TRIALING, Verdict.UNCLAIMED),
        (Standing.PAST_DUE, Verdict.UNCLAIMED),
        (Standing.UNPAID, Verdict.UNCLAIMED),
        (Standing.PAUSED, Verdict.UNCLAIMED),
        (Standing.UNKNOWN, Verdict.UNCLAIMED),
        (Standing.INCOMPLETE, Verdict.UNPAID),
        (Standing.INCOMPLETE_EXPIRED, Verdict.ENDED),
        (Standing.CANCELED, Verdict.ENDED),
    ],
)
def test_what_was_made_by_hand_opens_no_door(standing: Standing, verdict: Verdict) -> None:
    made = replace(RUNNING, standing=standing, order_id=None, person_id=None)
    for one in (found(made), found(replace(made, order_id="ord_2")), unclaimed(made)):
        assert (one.verdict, one.product, one.until, one.line) == (verdict, None, None, Line("price_month", 1))
        assert not told(one.reason).startswith("stands so")


def test_every_standing_that_may_give_access_is_named() -> None:
    giving = [one for one in Standing if found(replace(RUNNING, standing=one)).verdict is Verdict.GRANTED]
    assert giving == [Standing.TRIALING, Standing.ACTIVE, Standing.PAST_DUE]


OTHER = Line("price_other", 1)


@pytest.mark.parametrize(
    ("items", "held", "product", "sold", "remark"),
    [
        (("price_month",), None, "pro", "price_month", None),
        (("price_year",), "basic", "pro", "price_year", None),
        (("price_basic",), "pro", "basic", "price_basic", None),
        (
            ("price_gone",),
            None,
            "pro",
            "price_gone",
            "No product in the catalog has its price (price_gone): access stays as it was.",
        ),
        (
            ("price_gone",),
            "basic",
            "basic",
            "price_gone",
            "No product in the catalog has its price (price_gone): access stays as it was.",
        ),
        (
            ("price_gone", "price_basic"),
            None,
            "basic",
            "price_basic",
            "It has other prices beside, which give nothing here: price_gone.",
        ),
        (
            ("price_month", "price_basic"),
            None,
            "pro",
            "price_month",
            "It has other prices beside, which give nothing here: price_basic.",
        ),
        ((), None, "pro", None, "No product in the catalog has its price (it has none): access stays as it was."),
    ],
)
def test_it_sells_the_product_of_the_first_price_that_is_known(
    items: tuple[str, ...], held: str | None, product: str, sold: str | None, remark: str | None
) -> None:
    changed = replace(RUNNING, items=tuple(Line(price, 1) for price in items))
    one = found(changed, held=held)
    assert (one.verdict, one.product, one.remark) == (Verdict.GRANTED, product, remark)
    assert (one.line.price_id if one.line else None) == sold
    assert found(replace(changed, standing=Standing.CANCELED), held=held).remark is None


def test_each_product_has_its_own_policy_and_a_changed_plan_is_judged_by_the_new_one() -> None:
    lenient = replace(BASIC, policy=Policy(dispute_suspends=False, grace_days=1))
    for price, verdict in (("price_month", Verdict.REVOKED), ("price_basic", Verdict.GRANTED)):
        disputed = replace(RUNNING, items=(Line(price, 1),), dispute=Dispute.OPEN)
        assert judge_subscription(disputed, {"ord_1": ORDER}, CUSTOMER, Catalog((PRO, lenient))).verdict is verdict


# The judge: what must hold of a subscription that opens a door at a time, said once more and in another way.

TIMES = {
    "ended": START - DAY,  # where the end is past
    "in the period": START + DAY,
    "in the grace": START + 5 * DAY,
    "after the grace": START + 9 * DAY,
    "end of the period": END,
    "late": END + LATE - 1,
    "too late": END + LATE,
}


def is_open(one: Subscription, policy: Policy, now: int) -> bool:
    """Whether the door is open at this time, by the table of the decision."""
    if one.ends_at is not None and now >= one.ends_at:
        return False
    money_is_gone = one.dispute == "lost" or (one.dispute == "open" and policy.dispute_suspends)
    if one.amount_refunded:
        money_is_gone |= 100 * one.amount_refunded >= policy.refund_revokes_from * one.amount_total
    if money_is_gone:
        return False
    paid = one.payment in ("paid", "free")
    if one.collection_paused and not paid:
        return False
    match one.standing.value:
        case "trialing":
            pass
        case "active":
            if not (paid or one.ever_paid):
                return False
        case "past_due":
            if not (paid or one.ever_paid):
                return False
            due = one.owed_since if one.owed_since is not None else one.period_start
            return now - due < policy.grace_days * DAY
        case _:
            return False
    return now < one.period_end if one.collection_paused else now < one.period_end + 24 * 60 * 60


EXPECTED = {
    Standing.UNPAID: Verdict.SUSPENDED,
    Standing.PAUSED: Verdict.SUSPENDED,
    Standing.CANCELED: Verdict.ENDED,
    Standing.INCOMPLETE_EXPIRED: Verdict.ENDED,
    Standing.UNKNOWN: Verdict.QUARANTINED,
}


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("policy", [Policy(), Policy(50, dispute_suspends=False, grace_days=3)])
def test_every_combination_opens_the_door_exactly_when_it_should(standing: Standing, policy: Policy) -> None:
    combinations = every(
        (Payment.PAID, Payment.FREE, Payment.PENDING, Payment.UNPAID),
        (True, False),  # ever paid
        (None, START, START + 4 * DAY, START - 20 * DAY),  # owed since: the grace is running, late, or over
        (None, END, START + DAY, START - 5 * DAY),  # no end set, with the period, sooner, and past
        (False, True),  # payments paused
        (0, 449, 450, 899, 900),  # refunded: below the share of one policy, at it, and in full
        Dispute,
    )
    for payment, ever_paid, owed, end, paused, refunded, dispute in combinations:
        paid = payment is Payment.PAID
        one = replace(
            RUNNING,
            standing=standing,
            payment=payment,
            amount_total=900 if paid else 0,
            amount_refunded=refunded if paid else 0,
            dispute=dispute if paid else Dispute.NONE,
            ever_paid=ever_paid or paid,
            owed_since=owed,
            ends_at=end,
            collection_paused=paused,
        )
        judged = found(one, policy=policy)
        for now in TIMES.values():
            given = judged.verdict is Verdict.GRANTED and judged.until is not None and judged.until > now
            assert given == is_open(one, policy, now), (one, judged, now)
        assert judged.verdict is EXPECTED.get(standing, judged.verdict)
        assert judged == found(one, policy=policy)
        assert not told(judged.reason).startswith("stands so"), judged.reason
