"""Every possible reason as text: for operators, for the log, for visitors."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import product as every
from typing import Any

import pytest
from tests.storage.makers import a_grant, an_order
from tests.unit import test_entitlements as once
from tests.unit import test_subscriptions as recurring
from tests.unit.test_subscriptions import DAY, END, ORDER, PAID, PAID_BEFORE, RUNNING, START, free, invoice

from tollkeeper.billing.entitlements import judge, judge_subscription
from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Finding, Verdict, in_force
from tollkeeper.model.bought import Bill, Dispute, Line, Payment, SubscriptionStatus
from tollkeeper.model.selling import Policy
from tollkeeper.reasons import Code, Reason, because
from tollkeeper.storage.dismissals import Dismissal
from tollkeeper.wording import explanations as wording
from tollkeeper.wording.forms import Variants, facts_of, fitting
from tollkeeper.wording.operators import ADDED, GIVES_ACCESS, OPERATORS, clause, sentence
from tollkeeper.wording.remedies import KINDS, REMEDIES, remedy
from tollkeeper.wording.visitors import VISITORS, for_visitor

STRICT = Policy(refund_revokes_from=50, grace_days=3, trial_grace_days=2)
Changes = tuple[dict[str, Any], ...]
LENIENT = Policy(refund_revokes_from=100, dispute_suspends=False, earlier_dispute_counts=False, promotion_codes=True)


# Everything that can be found, in every combination that the rules look at


def purchases() -> Iterator[Finding]:
    usual = once.PURCHASE
    short, cheaper = replace(usual, amount_total=1), replace(usual, amount_subtotal=1)
    amounts = (usual, once.HALF, once.ALL, once.GIVEN_AWAY, short, cheaper)
    orders = (once.ORDER, once.OFFERED, once.FREE_ORDER)
    others: Changes = ({}, {"order_id": None}, {"person_id": "per_2"}, {"live": True}, {"lines": (Line("price_2", 1),)})
    for bought, order, payment, refunded, dispute, other, policy, marked in every(
        amounts, orders, Payment, (0, 1, 1000, 1900), Dispute, others, (STRICT, LENIENT), (True, False)
    ):
        one = replace(bought, payment=payment, amount_refunded=refunded, dispute=dispute, **other)
        one = one if marked else replace(one, person_id=None)
        yield judge(one, {order.id: order}, once.CUSTOMER, once.under(policy))


def subscriptions() -> Iterator[Finding]:
    before = (
        (),
        (PAID_BEFORE,),
        (free(-1),),
        (invoice(Bill.UNCOLLECTIBLE, -1), invoice(Bill.PAID, -2)),
        (recurring.UNPAID_YEAR, PAID_BEFORE),
        *((replace(PAID_BEFORE, dispute=dispute),) for dispute in (Dispute.OPEN, Dispute.LOST)),
    )
    stuck = invoice(Bill.DRAFT, trouble="The customer's location isn't recognized.")
    refunds = (0, 9, 500, 900)
    present = (
        None,
        stuck,
        *(invoice(bill) for bill in Bill),
        *(replace(PAID, refunded=back, dispute=dispute) for back, dispute in every(refunds, Dispute)),
        replace(free(), id="in_free"),
        replace(PAID, paid_at=END + DAY),
    )
    ends: Changes = ({}, {"ends_at": END - DAY}, {"ends_at": END - DAY, "ended_for": "cs_1"})
    for standing, now, earlier, paused, end, trial_end, policy in every(
        SubscriptionStatus, present, before, (False, True), ends, (None, START), (STRICT, LENIENT)
    ):
        reported = replace(
            RUNNING,
            standing=standing,
            invoices=(*((now,) if now else ()), *earlier),
            collection_paused=paused,
            trial_end=trial_end,
            **end,
        )
        yield recurring.found(reported, policy=policy)


def other_subscriptions() -> Iterator[Finding]:
    items = ((), (Line("price_9", 1),), (Line("price_month", 1), Line("price_9", 1)))
    others: Changes = (
        {},
        {"order_id": None},
        {"order_id": None, "person_id": None},
        {"person_id": "per_2"},
        {"live": True},
        {"ends_at": END, "ended_for": "course"},
    )
    for standing, lines, other, catalog, is_recurring in every(
        SubscriptionStatus, items, others, (recurring.CATALOG, Catalog((), "stripe")), (True, False)
    ):
        reported = replace(RUNNING, standing=standing, items=lines, **other)
        order = replace(ORDER, recurring=is_recurring)
        yield judge_subscription(reported, {order.id: order}, recurring.CUSTOMER, catalog)


@cache
def findings() -> tuple[Finding, ...]:
    """One for each verdict, reason and time there is."""
    found = {}
    for one in (*purchases(), *subscriptions(), *other_subscriptions()):
        found[one.verdict, repr(one.reason), one.until, repr(one.remarks)] = one
    return tuple(found.values())


# What people decide and what was written before there were codes, as the rooms make them that keep it.
NOTES = ("Won it in the raffle", "Won it in the raffle.", "Why not?", "Yes!", "It's 100 % {amount:money} \\ fine.")
DECIDED = (
    *(because(code, note=note) for code in Code if code.startswith("operator_") for note in NOTES),
    *(because(Code.WRITTEN, words=words) for words in NOTES),
    because(Code.ACCOUNT_DELETED),
    because(Code.PAID_AFTER_DELETION),
)


@cache
def reasons() -> tuple[Reason, ...]:
    """Every reason there is; remarks among them."""
    found = [reason for one in findings() for reason in (one.reason, *one.remarks)]
    return tuple({repr(reason): reason for reason in (*found, *DECIDED)}.values())


def visited() -> Iterator[tuple[Reason, int | None, bool, bool]]:
    """How pages ask of what was found, before the access ends that it gives and after."""
    for one in findings():
        for now in (0, 2**40):
            lapsed = one.verdict is Verdict.GRANTED and not in_force(one.until, now)
            yield from ((one.reason, one.until, lapsed, cardless) for cardless in (False, True))
    for reason in DECIDED:
        yield from ((reason, until, lapsed, False) for until, lapsed in ((None, False), (END, False), (END, True)))


# What is wrong with a text: a fact that is missing, a text that was not filled in, a mark too many.
FAULTS = (
    "None",
    "a day that is not known",
    "..",
    "?.",
    "!.",
    "  ",
    " .",
    " ,",
    ": .",
    "()",
    "{until",
    "{ends",
    ":day}",
)


def faults_of(text: str) -> list[str]:
    return [fault for fault in FAULTS if fault in text]


def is_a_sentence(text: str) -> bool:
    return text.endswith((".", "?", "!")) and text[0].isupper() | text[0].isdigit() | (text[0] in "€$£¥")


# The tests


# To note which lines are reached would take ten times as long, and other tests do.
@pytest.mark.no_cover
def test_every_code_there_is_can_come_about() -> None:
    assert {reason.code for reason in reasons()} == set(Code)


def test_every_code_has_words_for_operators() -> None:
    assert set(OPERATORS) == set(Code)
    assert all("" in variants for variants in OPERATORS.values())


# What is not the buyer's to see to, or to know of: for these a page says that we look at it.
LOOKED_AT = {
    Code.NOT_ASKED_FOR,
    Code.OTHER_REALM,
    Code.OTHER_PERSON,
    Code.OTHER_THAN_ORDERED,
    Code.NOT_ADDING_UP,
    Code.UNEXPECTED_DISCOUNT,
    Code.ORDERED_ONCE,
    Code.UNKNOWN_STANDING,
    Code.PAID_AFTER_DELETION,
}
# What no page ever tells: what is none of ours or nobody's, and what operators decide of payments.
NEVER_TOLD = {
    Code.NEVER_ORDERED,
    Code.NEVER_ORDERED_UNPAID,
    Code.SUBSCRIBED_ELSEWHERE,
    Code.OTHER_SALE,
    Code.OPERATOR_ADOPTED,
    Code.OPERATOR_DISMISSED,
}


def test_every_code_that_a_visitor_can_meet_has_words_for_visitors() -> None:
    remarked = set(KINDS) - {Code.WRITTEN}
    for one, two in every((set(VISITORS), LOOKED_AT, NEVER_TOLD, remarked), repeat=2):
        assert one is two or not one & two
    assert set(VISITORS) | LOOKED_AT | NEVER_TOLD | remarked == set(Code)
    assert all("" in variants for variants in VISITORS.values())


def test_every_code_that_is_remarked_has_its_kind_and_its_remedy() -> None:
    remarks = {reason.code: reason for one in findings() for reason in one.remarks}
    assert set(REMEDIES) == set(KINDS) == {*remarks, Code.WRITTEN}
    for reason in remarks.values():
        reported = remedy(reason, person="per_1", product="pro", source="sub_1")
        assert not faults_of(reported)
        assert "{" not in reported


def test_what_is_quarantined_is_reported_by_no_more_than_that_we_look_at_it() -> None:
    quarantined = {one.reason.code for one in findings() if one.verdict is Verdict.QUARANTINED}
    assert quarantined == LOOKED_AT - {Code.PAID_AFTER_DELETION}


def test_every_reason_is_a_sentence_and_the_rest_of_one() -> None:
    for reason in reasons():
        reported, rest = sentence(reason), clause(reason)
        assert not faults_of(reported), (reported, reason)
        assert not faults_of(rest), (rest, reason)
        assert is_a_sentence(reported), reported
        assert not rest.endswith("."), rest


def test_every_reason_is_told_to_whom_it_is_about() -> None:
    for reason, until, lapsed, cardless in visited():
        label, words = for_visitor(reason, until=until, lapsed=lapsed, cardless=cardless)
        assert not faults_of(words), (words, reason)
        assert is_a_sentence(words), words
        assert is_a_sentence(f"{label}."), label
        assert len(label.split()) <= 3, label


def test_every_text_for_operators_is_reached() -> None:
    reached = {words for reason in reasons() for words in [_chosen(OPERATORS, reason)]}
    assert {words for variants in OPERATORS.values() for words in variants.values()} == reached


def test_every_text_for_visitors_is_reached() -> None:
    reached = {
        _chosen(VISITORS, reason, granted_until=until, lapsed=lapsed, cardless=cardless)
        for reason, until, lapsed, cardless in visited()
        if reason.code in VISITORS
    }
    assert {words for variants in VISITORS.values() for words in variants.values()} == reached


def _chosen(table: Mapping[Code, Variants], reason: Reason, **more: object) -> tuple[str, str]:
    return fitting(table[reason.code], facts_of(reason) | more)


@pytest.mark.parametrize("added", ADDED)
def test_all_that_is_added_to_a_reason_is_reached(added: str) -> None:
    having = [reason for reason in reasons() if reason.code in GIVES_ACCESS and reason[added]]
    assert having
    for reason in having:
        assert ";" in clause(reason)


def test_what_gives_access_is_what_is_granted() -> None:
    granted = {one.reason.code for one in findings() if one.verdict is Verdict.GRANTED}
    assert granted == GIVES_ACCESS


@pytest.mark.parametrize("note", NOTES)
def test_what_an_operator_wrote_stands_as_it_is_and_ends_a_sentence_once(note: str) -> None:
    grant = a_grant("per_1", "grt_1", amount=None, currency=None, reason=because(Code.OPERATOR_GRANTED, note=note))
    revoked = replace(grant, withheld=because(Code.OPERATOR_REVOKED, note=note), revoked_at=START)
    order = an_order("ord_1", "per_1", adopts="sub_1", adoption=because(Code.OPERATOR_ADOPTED, note=note))
    why = Dismissal("cs_1", because(Code.OPERATOR_DISMISSED, note=note), START)
    for reported in (
        wording.allowed("Ada", "dashboard", grant, by_operator=True),
        wording.denied("Ada", "dashboard", wording.withheld(revoked, True, START)),
        wording.adopted(order, "Ada"),
        wording.dismissed("pi_1", why),
        wording.changed("pro", "granted", grant.reason, "evt_1"),
        for_visitor(grant.reason)[1],
    ):
        assert note.rstrip(".") in reported
        assert not faults_of(reported), reported


def test_amounts_are_reported_where_they_differ_and_only_there() -> None:
    reported = {sentence(one) for one in reasons() if one.code is Code.OTHER_THAN_ORDERED}
    words = "The price, quantity, amount or currency is not what was ordered"
    assert reported >= {f"{words}.", f"{words} (€0.01, not €19.00).", f"{words} (€19.00, not €0.00)."}
    assert not any(f"({amount}, not {amount})" in one for one in reported for amount in ("€19.00", "€0.00", "€0.01"))
