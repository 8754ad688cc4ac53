"""What subscriptions give access to: readable rows, and every combination against an independent judge."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product as every

import pytest

from tollkeeper.billing.entitlements import LATE, ON_ITS_WAY, derive, judge_subscription, unclaimed
from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Finding, Verdict
from tollkeeper.model.bought import Bill, Dispute, Invoice, Line, Snapshot, Subscription, SubscriptionStatus
from tollkeeper.model.orders import Customer, Order, OrderState, Realm
from tollkeeper.model.selling import Policy, Product
from tollkeeper.reasons import Code, because
from tollkeeper.wording.operators import clause, sentence
from tollkeeper.wording.visitors import for_visitor

DAY = 86_400
HOUR = 3_600
START = 1_800_000_000  # 15 January 2027
END = START + 30 * DAY
TEST = Realm("stripe", "acct_1", live=False)

PRO = Product("pro", "Pro", frozenset({"dashboard"}), {"stripe": ("price_month", "price_year")})
BASIC = Product("basic", "Basic", frozenset({"reports"}), {"stripe": ("price_basic",)})
CATALOG = Catalog((PRO, BASIC), "stripe")
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


def invoice(bill: Bill, month: int = 0, **changes: object) -> Invoice:
    """For a month of 30 days: 0 is the present one, -1 the one before."""
    starts = START + month * 30 * DAY
    is_paid, final = bill is Bill.PAID, bill is not Bill.DRAFT
    usual = Invoice(
        id=f"in_{month}",
        bill=bill,
        starts=starts,
        ends=starts + 30 * DAY,
        created_at=starts,
        total=900,
        paid=900 if is_paid else 0,
        due_at=starts + HOUR if final else None,
        paid_at=starts + HOUR if is_paid else None,
        reference=f"pi_{month}" if is_paid else None,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def credited(month: int = 0, **changes: object) -> Invoice:
    """Paid out of a credit: it took no money."""
    return invoice(Bill.PAID, month, **{"paid": 0, "reference": None, **changes})


def free(month: int = 0) -> Invoice:
    """For a trial, or a month that a coupon covers."""
    return credited(month, total=0)


# A year was not paid, and the plan changed back.
UNPAID_YEAR = invoice(Bill.FAILED, starts=START - DAY, ends=START + 364 * DAY, due_at=START - DAY, total=9000)
CREDIT = credited(total=-8100)
PAID, PAID_BEFORE = invoice(Bill.PAID), invoice(Bill.PAID, -1)
RUNNING = Subscription(
    source="sub_1",
    order_id="ord_1",
    person_id="per_1",
    live=False,
    currency="eur",
    created_at=START - 60 * DAY,
    standing=SubscriptionStatus.ACTIVE,
    items=(Line("price_month", 1),),
    period_start=START,
    period_end=END,
    invoices=(PAID, PAID_BEFORE),
)
TRIAL = replace(RUNNING, standing=SubscriptionStatus.TRIALING, invoices=(free(),), trial_end=END)


def renewed(bill: Bill, *before: Invoice, **changes: object) -> Subscription:
    """The present period stands so, after a month that was paid, or others."""
    standing = SubscriptionStatus.PAST_DUE if bill is Bill.FAILED else SubscriptionStatus.ACTIVE
    usual = replace(RUNNING, standing=standing, invoices=(invoice(bill), *(before or (PAID_BEFORE,))))
    return replace(usual, **changes)  # type: ignore[arg-type]


def after_trial(bill: Bill, **changes: object) -> Subscription:
    """The trial is over, and the first payment stands so."""
    return renewed(bill, free(-1), trial_end=START, **changes)


def found(
    subscription: Subscription = RUNNING,
    order: Order = ORDER,
    customer: Customer = CUSTOMER,
    policy: Policy | None = None,
    held: str | None = None,
) -> Finding:
    products = (replace(PRO, policy=policy), BASIC) if policy else CATALOG.products
    return judge_subscription(subscription, {order.id: order}, customer, Catalog(products, "stripe"), held)


def test_what_is_paid_gives_its_product_to_the_end_of_the_period_and_a_day_longer() -> None:
    snapshot = Snapshot(CUSTOMER, (), subscriptions=(RUNNING,))
    assert derive(snapshot, {"ord_1": ORDER}, CATALOG) == (
        Finding(
            RUNNING,
            Verdict.GRANTED,
            because(Code.SUBSCRIBED, until=END),
            product="pro",
            until=END + DAY,
            line=Line("price_month", 1),
        ),
    )


GRANTED, PENDING, SUSPENDED, REVOKED = Verdict.GRANTED, Verdict.PENDING, Verdict.SUSPENDED, Verdict.REVOKED
QUARANTINED, ENDED = Verdict.QUARANTINED, Verdict.ENDED
GRACE = 7 * DAY
STUCK = "The customer's location isn't recognized."

# what the subscription is -> the verdict, until when, and what an operator reads after "subscription sub_1"
ROWS: dict[str, tuple[Subscription, Verdict, int | None, str]] = {
    "on trial": (TRIAL, GRANTED, END + LATE, "is on trial until 14 February 2027"),
    "ends with the period": (
        replace(RUNNING, ends_at=END),
        GRANTED,
        END,
        "is paid until 14 February 2027; it ends on 14 February 2027",
    ),
    "covered by a coupon": (
        replace(RUNNING, invoices=(free(),)),
        GRANTED,
        END + LATE,
        "takes no money until 14 February 2027",
    ),
    "trial over, card good: a draft for an hour, or for 72": (
        after_trial(Bill.DRAFT),
        GRANTED,
        START + 4 * DAY,
        "had its trial until 15 January 2027, and its first payment is on its way",
    ),
    "trial over, final, and not tried yet": (
        after_trial(Bill.OPEN),
        GRANTED,
        START + HOUR + 4 * DAY,
        "had its trial until 15 January 2027, and its first payment is on its way",
    ),
    "trial over, the debit takes days": (
        after_trial(Bill.PROCESSING),
        GRANTED,
        START + HOUR + 14 * DAY,
        "had its trial until 15 January 2027, and its first payment is on its way",
    ),
    "trial over, and the payment failed": (
        after_trial(Bill.FAILED),
        GRANTED,
        START + HOUR,
        "was never paid: its first payment, due on 15 January 2027, failed",
    ),
    "trial over, and the first invoice can't be final": (
        after_trial(Bill.DRAFT, invoices=(invoice(Bill.DRAFT, trouble=STUCK), free(-1))),
        GRANTED,
        START,
        "has not been paid since 15 January 2027 (a draft, payment not requested)",
    ),
    "a month for nothing is over, a draft": (
        renewed(Bill.DRAFT, free(-1)),
        GRANTED,
        START + 4 * DAY,
        "cost nothing until 15 January 2027, and its first payment is on its way",
    ),
    "renewed a moment ago: a draft": (
        renewed(Bill.DRAFT),
        GRANTED,
        START + GRACE,
        "was renewed on 15 January 2027, and its payment is on its way",
    ),
    "renewed, and no invoice yet": (
        replace(RUNNING, invoices=(PAID_BEFORE,)),
        GRANTED,
        START + GRACE,
        "was renewed on 15 January 2027, and its payment is on its way",
    ),
    "renewed by a debit that takes days": (
        renewed(Bill.PROCESSING),
        GRANTED,
        START + HOUR + 14 * DAY,
        "was renewed on 15 January 2027, and its payment is on its way",
    ),
    "renewal stays a draft": (
        renewed(Bill.DRAFT, invoices=(invoice(Bill.DRAFT, trouble=STUCK), PAID_BEFORE)),
        GRANTED,
        START + GRACE,
        "has not been paid since 15 January 2027 (a draft, payment not requested)",
    ),
    "two renewals stay drafts: one grace": (
        replace(
            RUNNING, invoices=(invoice(Bill.DRAFT, trouble=STUCK), invoice(Bill.DRAFT, -1), invoice(Bill.PAID, -2))
        ),
        GRANTED,
        START - 30 * DAY + GRACE,
        "has not been paid since 16 December 2026 (a draft, payment not requested)",
    ),
    "renewal failed": (
        renewed(Bill.FAILED),
        GRANTED,
        START + HOUR + GRACE,
        "was not renewed: the payment that was due on 15 January 2027 failed",
    ),
    "renewal failed, then written off: no second grace, though the provider says active": (
        renewed(Bill.UNCOLLECTIBLE),
        GRANTED,
        START + HOUR + GRACE,
        "has not been paid since 15 January 2027 (written off)",
    ),
    "renewal failed, then voided": (
        renewed(Bill.VOID),
        GRANTED,
        START + HOUR + GRACE,
        "has not been paid since 15 January 2027 (voided)",
    ),
    "written off a month ago, and the next one is a draft: nothing to wait for": (
        renewed(Bill.DRAFT, invoice(Bill.UNCOLLECTIBLE, -1), invoice(Bill.PAID, -2)),
        GRANTED,
        START - 30 * DAY + HOUR + GRACE,
        "has not been paid since 16 December 2026 (a draft, payment not requested)",
    ),
    "voided a month ago, then changed to a year that was not paid, and back: the credit pays for nothing": (
        replace(
            RUNNING,
            invoices=(
                credited(total=-4100),
                invoice(Bill.FAILED, ends=START + 365 * DAY, due_at=START),
                invoice(Bill.VOID, -1),
                invoice(Bill.PAID, -2),
            ),
        ),
        GRANTED,
        START - 30 * DAY + HOUR + GRACE,
        "was not renewed: the payment that was due on 16 December 2026 failed",
    ),
    "changed to a year that was not paid, and back in the next minute: the credit pays for nothing": (
        replace(RUNNING, invoices=(CREDIT, UNPAID_YEAR, invoice(Bill.PAID, -1))),
        GRANTED,
        START - DAY + GRACE,
        "has not been paid since 14 January 2027 (credited for a plan that was not paid)",
    ),
    "a month after that, which the credit covers too": (
        replace(
            RUNNING,
            invoices=(
                credited(),
                replace(CREDIT, starts=START - 30 * DAY, ends=START),
                replace(UNPAID_YEAR, starts=START - 31 * DAY, due_at=START - 31 * DAY, bill=Bill.VOID),
                invoice(Bill.PAID, -2),
            ),
        ),
        GRANTED,
        START - 31 * DAY + GRACE,
        "has not been paid since 15 December 2026 (credited for a plan that was not paid)",
    ),
    "what is left of the credit after a month that was paid: one grace, however many months it covers": (
        replace(
            RUNNING,
            invoices=(
                credited(),
                credited(-1),
                invoice(Bill.PAID, -2),
                replace(UNPAID_YEAR, starts=START - 70 * DAY),
                invoice(Bill.PAID, -3),
            ),
        ),
        GRANTED,
        START - 30 * DAY + HOUR + GRACE,
        "has not been paid since 16 December 2026 (credited for a plan that was not paid)",
    ),
    "voided, then credited for a change of plan, and changed back out of that credit": (
        replace(
            RUNNING,
            invoices=(
                credited(starts=START + 9 * DAY, total=600),
                credited(starts=START + 9 * DAY, total=-600),
                invoice(Bill.VOID),
                PAID_BEFORE,
            ),
        ),
        GRANTED,
        START + HOUR + GRACE,
        "has not been paid since 15 January 2027 (voided)",
    ),
    "being debited, and credited for a change of plan meanwhile": (
        replace(
            RUNNING,
            invoices=(
                credited(starts=START + 9 * DAY, total=-300),
                invoice(Bill.PROCESSING),
                PAID_BEFORE,
            ),
        ),
        GRANTED,
        START + HOUR + ON_ITS_WAY,
        "was renewed on 15 January 2027, and its payment is on its way",
    ),
    "the year is paid after all, and the rest of it credited": (
        replace(RUNNING, invoices=(CREDIT, replace(UNPAID_YEAR, bill=Bill.PAID, paid=9000), invoice(Bill.PAID, -1))),
        GRANTED,
        END + LATE,
        "takes no money until 14 February 2027",
    ),
    "written off a month ago, and the next one is paid": (
        replace(RUNNING, invoices=(PAID, invoice(Bill.UNCOLLECTIBLE, -1), invoice(Bill.PAID, -2))),
        GRANTED,
        END + LATE,
        "is paid until 14 February 2027",
    ),
    "an upgrade in the middle of a paid period failed": (
        replace(
            RUNNING,
            standing=SubscriptionStatus.PAST_DUE,
            invoices=(invoice(Bill.FAILED, starts=START + 9 * DAY, due_at=START + 9 * DAY), PAID),
        ),
        GRANTED,
        START + 9 * DAY + GRACE,
        "was not renewed: the payment that was due on 24 January 2027 failed",
    ),
    "an upgrade that was voided": (
        replace(RUNNING, invoices=(invoice(Bill.VOID, starts=START + 9 * DAY), PAID)),
        GRANTED,
        END + LATE,
        "is paid until 14 February 2027",
    ),
    "renewal failed, and it ends before the grace does": (
        renewed(Bill.FAILED, ends_at=START + DAY),
        GRANTED,
        START + DAY,
        "was not renewed: the payment that was due on 15 January 2027 failed; it ends on 16 January 2027",
    ),
    "paused, and the period is paid": (
        replace(RUNNING, collection_paused=True),
        GRANTED,
        END,
        "is paid until 14 February 2027; its payments are paused after that",
    ),
    "paused, kept as a draft": (
        renewed(Bill.DRAFT, collection_paused=True),
        SUSPENDED,
        None,
        "is on hold: its payments are paused, and this period is not paid",
    ),
    "paused, voided": (
        renewed(Bill.VOID, collection_paused=True),
        SUSPENDED,
        None,
        "is on hold: its payments are paused, and this period is not paid",
    ),
    "paused, written off": (
        renewed(Bill.UNCOLLECTIBLE, collection_paused=True),
        SUSPENDED,
        None,
        "is on hold: its payments are paused, and this period is not paid",
    ),
    "paused for months, resumed, and the present month is voided": (
        renewed(Bill.VOID, invoice(Bill.VOID, -1), invoice(Bill.VOID, -2), invoice(Bill.PAID, -3)),
        GRANTED,
        START - 60 * DAY + HOUR + GRACE,
        "has not been paid since 16 November 2026 (voided)",
    ),
    "paused for months, resumed, and paid": (
        replace(RUNNING, invoices=(PAID, invoice(Bill.DRAFT, -1), invoice(Bill.PAID, -2))),
        GRANTED,
        END + LATE,
        "is paid until 14 February 2027",
    ),
    "the first payment failed": (
        renewed(Bill.FAILED, invoices=(invoice(Bill.FAILED),)),
        SUSPENDED,
        None,
        "was never paid: its first payment has failed",
    ),
    "the first payment is a debit that takes days": (
        renewed(Bill.PROCESSING, invoices=(invoice(Bill.PROCESSING),)),
        PENDING,
        None,
        "is still being processed",
    ),
    "the first payment failed and was written off, and the next is a draft": (
        renewed(Bill.DRAFT, invoice(Bill.UNCOLLECTIBLE, -1)),
        PENDING,
        None,
        "is still being processed",
    ),
    "incomplete": (
        replace(RUNNING, standing=SubscriptionStatus.INCOMPLETE, invoices=(invoice(Bill.FAILED),)),
        SUSPENDED,
        None,
        "was never paid: its first payment has not been made",
    ),
    "incomplete, and the payment is being processed": (
        replace(RUNNING, standing=SubscriptionStatus.INCOMPLETE, invoices=(invoice(Bill.PROCESSING),)),
        PENDING,
        None,
        "is still being processed",
    ),
    "unpaid": (
        renewed(Bill.FAILED, standing=SubscriptionStatus.UNPAID),
        SUSPENDED,
        None,
        "is on hold: its payments failed, and it stays on hold until the amount due is paid",
    ),
    "paused after a trial without a card": (
        replace(TRIAL, standing=SubscriptionStatus.PAUSED),
        SUSPENDED,
        None,
        "is on hold: its trial ended without a card, and it stays on hold until a card is added",
    ),
    "canceled": (
        replace(RUNNING, standing=SubscriptionStatus.CANCELED, ends_at=START + DAY),
        ENDED,
        None,
        "ended on 16 January 2027",
    ),
    "never begun": (
        replace(RUNNING, standing=SubscriptionStatus.INCOMPLETE_EXPIRED),
        ENDED,
        None,
        "was never paid: its first payment was not made in time",
    ),
    "in a state of which we never heard": (
        replace(RUNNING, standing=SubscriptionStatus.UNKNOWN),
        QUARANTINED,
        None,
        "has a status at the provider that is not known here",
    ),
    "refunded in full": (
        renewed(Bill.PAID, invoices=(replace(PAID, refunded=900),)),
        REVOKED,
        None,
        "was refunded in full",
    ),
    "refunded in part": (
        renewed(Bill.PAID, invoices=(replace(PAID, refunded=450),)),
        GRANTED,
        END + LATE,
        "is paid until 14 February 2027; 50 % has been refunded since, and access ends at 100 %",
    ),
    "an earlier period was refunded": (
        replace(RUNNING, invoices=(PAID, replace(PAID_BEFORE, refunded=900))),
        GRANTED,
        END + LATE,
        "is paid until 14 February 2027",
    ),
    "disputed": (
        renewed(Bill.PAID, invoices=(replace(PAID, dispute=Dispute.OPEN),)),
        SUSPENDED,
        None,
        "is disputed by the buyer's bank, and gives no access unless the dispute is won",
    ),
    "an earlier period is disputed": (
        replace(RUNNING, invoices=(PAID, replace(PAID_BEFORE, dispute=Dispute.OPEN))),
        SUSPENDED,
        None,
        "has an earlier payment, for the period from 16 December 2026, that is disputed by the buyer's bank, and gives"
        " no access unless the dispute is won",
    ),
    "an earlier period was disputed, and that is won": (
        replace(RUNNING, invoices=(PAID, replace(PAID_BEFORE, dispute=Dispute.WON))),
        GRANTED,
        END + LATE,
        "is paid until 14 February 2027",
    ),
    "an earlier period was lost in a dispute": (
        replace(RUNNING, invoices=(PAID, replace(PAID_BEFORE, dispute=Dispute.LOST))),
        REVOKED,
        None,
        "has an earlier payment, for the period from 16 December 2026, that was taken back in a dispute",
    ),
    "somebody else's": (
        replace(RUNNING, person_id="per_2"),
        QUARANTINED,
        None,
        "and its order name different people",
    ),
    "of the other mode": (
        replace(RUNNING, live=True),
        QUARANTINED,
        None,
        "and its order belong to different accounts or modes",
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_each_verdict_says_until_when_and_why(row: str) -> None:
    subscription, verdict, until, words = ROWS[row]
    one = found(subscription)
    assert (one.verdict, one.until, clause(one.reason)) == (verdict, until, words)
    assert one.product == "pro"


def test_what_was_ordered_to_be_paid_once_is_no_subscription() -> None:
    one = found(order=replace(ORDER, recurring=False))
    assert (one.verdict, one.reason) == (QUARANTINED, because(Code.ORDERED_ONCE))


@pytest.mark.parametrize("days", [0, 3, 90])
def test_the_seller_sets_the_grace_of_renewals_and_of_the_first_payment_after_a_trial(days: int) -> None:
    assert found(renewed(Bill.FAILED), policy=Policy(grace_days=days)).until == START + HOUR + days * DAY
    assert found(after_trial(Bill.FAILED), policy=Policy(trial_grace_days=days)).until == START + HOUR + days * DAY
    assert found(after_trial(Bill.FAILED), policy=Policy(grace_days=days)).until == START + HOUR


def test_an_earlier_dispute_can_be_reported_and_no_more() -> None:
    lenient = Policy(earlier_dispute_counts=False)
    for dispute, lost in ((Dispute.OPEN, None), (Dispute.LOST, True)):
        one = found(
            replace(RUNNING, invoices=(PAID, replace(PAID_BEFORE, dispute=dispute))), policy=lenient
        )  # fmt: skip
        assert (one.verdict, one.until) == (GRANTED, END + LATE)
        assert [(reported.code, reported["lost"]) for reported in one.remarks] == [(Code.SUBSCRIPTION_DISPUTED, lost)]


def test_a_lenient_seller_keeps_access_while_an_earlier_dispute_is_open() -> None:
    lenient = Policy(dispute_suspends=False)
    earlier = {
        dispute: found(replace(RUNNING, invoices=(PAID, replace(PAID_BEFORE, dispute=dispute))), policy=lenient)
        for dispute in (Dispute.OPEN, Dispute.LOST)
    }
    assert [one.verdict for one in earlier.values()] == [GRANTED, REVOKED]


def test_operators_see_a_draft_that_stays_a_lost_dispute_and_money_after_the_end() -> None:
    stuck = found(renewed(Bill.DRAFT, invoices=(invoice(Bill.DRAFT, trouble=STUCK), PAID_BEFORE)))
    assert [sentence(one) for one in stuck.remarks] == [
        f"Invoice in_0 for the period from 15 January 2027 stays a draft, so nobody is asked to pay it: {STUCK}"
    ]
    assert found(renewed(Bill.DRAFT)).remarks == ()
    paused = renewed(Bill.DRAFT, invoices=(invoice(Bill.DRAFT, trouble=STUCK), PAID_BEFORE), collection_paused=True)
    assert found(paused).remarks == ()
    lost = found(replace(RUNNING, invoices=(replace(PAID, dispute=Dispute.LOST),)))
    assert [one.code for one in lost.remarks] == [Code.SUBSCRIPTION_DISPUTED]
    ended = replace(RUNNING, standing=SubscriptionStatus.CANCELED, ends_at=START + DAY)
    late = replace(ended, invoices=(replace(PAID, paid_at=START + 9 * DAY), PAID_BEFORE))
    assert [sentence(one) for one in found(late).remarks] == [
        "Invoice in_0 (€9.00) was paid on 24 January 2027, after the subscription ended on 16 January 2027: it gave no"
        " access."
    ]
    for settled in (PAID, replace(PAID, paid_at=START + 9 * DAY, refunded=900), replace(PAID, paid=0)):
        assert found(replace(ended, invoices=(settled,))).remarks == ()


@pytest.mark.parametrize(
    ("standing", "verdict"),
    [
        (SubscriptionStatus.ACTIVE, Verdict.UNCLAIMED),
        (SubscriptionStatus.TRIALING, Verdict.UNCLAIMED),
        (SubscriptionStatus.PAST_DUE, Verdict.UNCLAIMED),
        (SubscriptionStatus.UNPAID, Verdict.UNCLAIMED),
        (SubscriptionStatus.PAUSED, Verdict.UNCLAIMED),
        (SubscriptionStatus.UNKNOWN, Verdict.UNCLAIMED),
        (SubscriptionStatus.INCOMPLETE, Verdict.UNPAID),
        (SubscriptionStatus.INCOMPLETE_EXPIRED, Verdict.ENDED),
        (SubscriptionStatus.CANCELED, Verdict.ENDED),
    ],
)
def test_what_was_made_by_hand_gives_no_access(standing: SubscriptionStatus, verdict: Verdict) -> None:
    made = replace(RUNNING, standing=standing, order_id=None, person_id=None)
    for one in (found(made), found(replace(made, order_id="ord_2")), unclaimed(made, False, CATALOG)):
        assert (one.verdict, one.product, one.until, one.line) == (verdict, "pro", None, Line("price_month", 1))


def test_every_standing_that_may_give_access_is_named() -> None:
    giving = [one for one in SubscriptionStatus if found(replace(RUNNING, standing=one)).verdict is GRANTED]
    assert giving == [SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE]


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
            "It also has other prices, which give nothing here: price_gone.",
        ),
        (
            ("price_month", "price_basic"),
            None,
            "pro",
            "price_month",
            "It also has other prices, which give nothing here: price_basic.",
        ),
        ((), None, "pro", None, "It has no price: access stays as it was."),
    ],
)
def test_it_sells_the_product_of_the_first_price_that_is_known(
    items: tuple[str, ...], held: str | None, product: str, sold: str | None, remark: str | None
) -> None:
    changed = replace(RUNNING, items=tuple(Line(price, 1) for price in items))
    one = found(changed, held=held)
    reported = [sentence(reason) for reason in one.remarks]
    assert (one.verdict, one.product, reported) == (Verdict.GRANTED, product, [remark] if remark else [])
    assert (one.line.price_id if one.line else None) == sold
    assert found(replace(changed, standing=SubscriptionStatus.CANCELED), held=held).remarks == ()


def test_each_product_has_its_own_policy_and_a_changed_plan_is_judged_by_the_new_one() -> None:
    lenient = replace(BASIC, policy=Policy(dispute_suspends=False, grace_days=1))
    for price, verdict in (("price_month", SUSPENDED), ("price_basic", Verdict.GRANTED)):
        disputed = replace(RUNNING, items=(Line(price, 1),), invoices=(replace(PAID, dispute=Dispute.OPEN),))
        assert (
            judge_subscription(disputed, {"ord_1": ORDER}, CUSTOMER, Catalog((PRO, lenient), "stripe")).verdict
            is verdict
        )


# The judge: what must hold of a subscription that gives access at a time, said once more and in another way.

TIMES = sorted(
    {
        START - 40 * DAY,
        START - 1,
        START + HOUR - 1,
        *(START + extra + days * DAY for days in (0, 1, 2, 3, 4, 5, 7, 14) for extra in (0, HOUR)),
        END - 1,
        END,
        END + LATE - 1,
        END + LATE,
    }
)

# What came before the present period, oldest last: nothing at all, a trial, a free month, paid, and missed after paid.
BEFORE: dict[str, tuple[Invoice, ...]] = {
    "nothing": (),
    "never paid": (invoice(Bill.UNCOLLECTIBLE, -1),),
    "free": (free(-1),),
    "paid": (PAID_BEFORE, invoice(Bill.PAID, -2)),
    "voided after paid": (invoice(Bill.VOID, -1), invoice(Bill.PAID, -2)),
    "failed after paid": (invoice(Bill.FAILED, -1), invoice(Bill.PAID, -2)),
    "draft after free": (invoice(Bill.DRAFT, -1), free(-2)),
    "paid after written off": (PAID_BEFORE, invoice(Bill.UNCOLLECTIBLE, -2), invoice(Bill.PAID, -3)),
}
PRESENT: dict[str, tuple[Invoice, ...]] = {
    "no invoice": (),
    "free": (free(),),
    "stuck": (invoice(Bill.DRAFT, trouble=STUCK),),
    **{bill.value: (invoice(bill),) for bill in Bill},
}
POLICIES = {
    "usual": Policy(),
    "lenient": Policy(
        refund_revokes_from=50,
        dispute_suspends=False,
        earlier_dispute_counts=False,
        grace_days=2,
        trial_grace_days=5,
    ),
}


def gives(present: str, before: str, one: Subscription, policy: Policy, now: int) -> bool:
    """Whether there is access at this time, by the table of the documentation."""
    if one.standing not in ("trialing", "active", "past_due") or (one.ends_at is not None and now >= one.ends_at):
        return False
    settled = present in ("free", "paid") or one.standing == "trialing"
    earlier = (
        {reported.dispute for reported in one.invoices if reported.starts < START}
        if policy.earlier_dispute_counts
        else set()
    )
    now_disputed = {reported.dispute for reported in one.invoices if reported.starts >= START}
    if "lost" in earlier | now_disputed or ("open" in earlier | now_disputed and policy.dispute_suspends):
        return False
    back = sum(reported.refunded for reported in one.invoices if reported.starts >= START)
    if back and back * 100 >= 900 * policy.refund_revokes_from:
        return False
    if settled:
        return now < (END if one.collection_paused else END + DAY)
    begun = before not in ("nothing", "never paid") or (one.trial_end or END) <= START
    if not begun or (one.collection_paused and present != "processing"):
        return False
    first_missed = {"voided after paid": START - 30 * DAY + HOUR, "failed after paid": START - 30 * DAY + HOUR}
    first_missed |= {"draft after free": START - 30 * DAY, "never paid": START - 30 * DAY + HOUR}
    asked = START if present in ("no invoice", "draft", "stuck") else START + HOUR
    ever_paid = before in ("paid", "voided after paid", "failed after paid", "paid after written off")
    days = policy.grace_days if ever_paid else policy.trial_grace_days
    if before in first_missed:
        return now < first_missed[before] + days * DAY
    waits = {"no invoice": 4, "draft": 4, "open": 4, "processing": 14}.get(present, 0)
    return now < asked + max(days, waits) * DAY


def subscriptions(present: str, before: str) -> Iterator[Subscription]:
    invoices = PRESENT[present] + BEFORE[before]
    disputes = (Dispute.NONE, Dispute.OPEN, Dispute.WON, Dispute.LOST, Dispute.WARNING)
    ends = (None, END, START + DAY, START - 5 * DAY)
    # Those that may give access, and one of those that may not: the others are tried below.
    standings = (
        SubscriptionStatus.TRIALING,
        SubscriptionStatus.ACTIVE,
        SubscriptionStatus.PAST_DUE,
        SubscriptionStatus.UNPAID,
    )
    seen: set[Subscription] = set()
    for standing, paused, end, trial, now_disputed, earlier, back in every(
        standings,
        (False, True),
        ends,
        (None, START),
        disputes,
        (Dispute.NONE, Dispute.OPEN, Dispute.LOST),
        (0, 450, 900),
    ):
        reported = tuple(_moved(one, now_disputed, earlier, back) for one in invoices)
        one = replace(
            RUNNING, standing=standing, collection_paused=paused, ends_at=end, trial_end=trial, invoices=reported
        )  # fmt: skip
        if one not in seen:
            seen.add(one)
            yield one


def _moved(one: Invoice, now_disputed: Dispute, earlier: Dispute, back: int) -> Invoice:
    """Money moves only where some was paid."""
    if not one.paid:
        return one
    if one.starts < START:
        return replace(one, dispute=earlier) if one.id == "in_-2" else one
    return replace(one, dispute=now_disputed, refunded=back)


# The rows above reach every line. To note them here too would take ten times as long.
@pytest.mark.no_cover
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("present", PRESENT)
def test_every_combination_gives_what_it_should_and_says_why(present: str, before: str, policy: str) -> None:
    for one in subscriptions(present, before):
        judged = found(one, policy=POLICIES[policy])
        held = [
            judged.verdict is GRANTED and judged.until is not None and judged.until > now for now in TIMES
        ]  # fmt: skip
        wanted = [gives(present, before, one, POLICIES[policy], now) for now in TIMES]
        assert held == wanted, (one, judged)
        # Time that passes without news takes access away once, and never gives it back.
        assert held == sorted(held, reverse=True)
        assert "None" not in sentence(judged.reason)
        for gone in (False, judged.verdict is GRANTED):
            label, words = for_visitor(judged.reason, until=judged.until, lapsed=gone)
            assert label
            assert "not known" not in words


@pytest.mark.parametrize(
    ("standing", "verdict"),
    [
        (SubscriptionStatus.UNPAID, SUSPENDED),
        (SubscriptionStatus.PAUSED, SUSPENDED),
        (SubscriptionStatus.CANCELED, ENDED),
        (SubscriptionStatus.INCOMPLETE_EXPIRED, ENDED),
        (SubscriptionStatus.UNKNOWN, QUARANTINED),
    ],
)
def test_what_stands_so_gives_nothing_whatever_its_invoices_say(standing: SubscriptionStatus, verdict: Verdict) -> None:
    for present, before in every(PRESENT, BEFORE):
        one = replace(RUNNING, standing=standing, invoices=PRESENT[present] + BEFORE[before])
        assert found(one).verdict is verdict


def test_k66_no_change_of_plan_opens_a_second_grace() -> None:
    """A month was paid and cut short by a year that was not, or a plan was changed in a month that was not paid. When
    the next period is not paid either, nothing is given anew.
    """
    year = invoice(Bill.FAILED, -1, starts=START - 29 * DAY, ends=END, due_at=START - 29 * DAY)
    cut_short = renewed(Bill.FAILED, invoice(Bill.PAID, -1, ends=END + DAY), year)
    assert found(cut_short).until == START - 22 * DAY
    change = invoice(Bill.PAID, -1, id="in_change", starts=START - 15 * DAY, total=300, paid=300)
    not_paid = renewed(Bill.DRAFT, invoice(Bill.FAILED, -1), change, invoice(Bill.PAID, -2))
    assert found(not_paid).until == START - 23 * DAY + HOUR


def test_k66_a_change_of_plan_does_not_pay_for_a_period_that_was_voided() -> None:
    """What is credited for a change pays for nothing; what is asked for in a void invoice's place does."""
    credit = invoice(Bill.PAID, starts=START + 9 * DAY, total=-300, paid=0, id="in_credit")
    voided = renewed(Bill.VOID, credit, PAID_BEFORE)
    assert found(voided).until == START + 7 * DAY + HOUR
    assert found(renewed(Bill.VOID, replace(credit, total=900, paid=900), PAID_BEFORE)).until == END + DAY
    failed = invoice(Bill.FAILED, starts=START + 9 * DAY, due_at=START + 9 * DAY, id="in_upgrade")
    assert found(renewed(Bill.VOID, failed, PAID_BEFORE)).until == START + 7 * DAY + HOUR


def test_k64_of_two_payments_that_are_under_way_the_first_one_ends_the_wait() -> None:
    second = invoice(Bill.PROCESSING, id="in_upgrade", starts=START + 9 * DAY, due_at=START + 9 * DAY)
    both = renewed(Bill.PROCESSING, second, PAID_BEFORE)
    assert found(both).until == START + HOUR + 14 * DAY
