"""Why somebody may or may not use a feature, in words."""

from dataclasses import replace
from typing import Any

import pytest
from tests.storage.makers import a_grant, an_invoice, an_order

from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Grant, Operator, Verdict
from tollkeeper.model.bought import Dispute, Invoice, SubscriptionStatus
from tollkeeper.model.orders import OrderState
from tollkeeper.model.people import Person
from tollkeeper.model.selling import Product
from tollkeeper.operating.explanations import Explanation, answers, cases, event_words, history, remarks
from tollkeeper.reasons import Code, Reason, because
from tollkeeper.relations import Surplus
from tollkeeper.storage.audit import Entry
from tollkeeper.storage.events import EventState, Kept
from tollkeeper.storage.findings import Noted
from tollkeeper.storage.people import Namesake
from tollkeeper.wording.operators import sentence
from tollkeeper.wording.remedies import KINDS, REMEDIES

DAY = 86_400
NOON = 1_795_348_800  # 22 November 2026, 12:00 UTC
CATALOG = Catalog(
    (
        Product("dashboard", "Dashboard", frozenset({"dashboard"})),
        Product("pro", "Pro", frozenset({"dashboard", "reports"})),
    ),
    "stripe",
)
PAYMENT = "payment pi_1 of €19.00 on 22 November 2026"
GRANT = a_grant("per_1", "cs_1", amount=1900, since=NOON, reason=because(Code.PAID))
ORDER = an_order("or_1", "per_1", amount=1900, created_at=NOON - 60)


def alice(**facts: Any) -> Explanation:
    person = Person("per_1", "Alice Example", "alice@example.com", NOON - DAY)
    return Explanation(person, ("https://id.example",), live=False, now=NOON + 2 * DAY, **facts)


DIFFERS = "differs in price, quantity, amount or currency from what was ordered"
REFUNDED = because(Code.REFUNDED, refunded=1900, amount=1900, currency="eur", limit=100)
DISPUTED, LOST = because(Code.DISPUTED, reference="pi_1"), because(Code.DISPUTE_LOST, reference="pi_1")
DELETED = because(Code.ACCOUNT_DELETED)
SHARED = because(Code.OPERATOR_REVOKED, note="Shared the account.")
REASONS = {
    Verdict.GRANTED: because(Code.PAID),
    Verdict.PENDING: because(Code.PROCESSING),
    Verdict.UNPAID: because(Code.NOT_PAID),
    Verdict.REVOKED: REFUNDED,
    Verdict.SUSPENDED: DISPUTED,
    Verdict.QUARANTINED: because(Code.OTHER_THAN_ORDERED),
    Verdict.UNCLAIMED: because(Code.NEVER_ORDERED),
}


def paid(verdict: Verdict, reason: Reason | None = None, **changes: Any) -> Noted:
    fields: dict[str, Any] = {
        "source": "cs_1",
        "person_id": "per_1",
        "order_id": "or_1",
        "product": "dashboard",
        "amount": 1900,
        "refunded": 0,
        "currency": "eur",
        "reference": "pi_1",
        "email": None,
        "bought_at": NOON,
        "found_at": NOON,
    }
    return Noted(**fields | {"verdict": verdict, "reason": reason or REASONS[verdict]} | changes)


def by_link(**changes: Any) -> Noted:
    """Paid by somebody unknown, who gave the same e-mail address."""
    fields: dict[str, Any] = {"source": "cs_2", "reference": "pi_2", "person_id": None, "product": None}
    return paid(Verdict.UNCLAIMED, order_id=None, email="alice@example.com", **fields | changes)


def until(at: int) -> Reason:
    return because(Code.SUBSCRIBED, until=at)


def ended(reason: Reason, **changes: Any) -> Grant:
    fields: dict[str, Any] = {"revoked_at": NOON + DAY, "reason": reason}
    return replace(GRANT, **fields | changes)


GIVEN = replace(
    GRANT,
    origin=Operator(live=False),
    source="grt_1",
    reason=because(Code.OPERATOR_GRANTED, note="Won it in the raffle."),
    amount=None,
    currency=None,
    reference=None,
)
LINK = (
    "nothing was paid for here: payment pi_2 of €19.00 on 22 November 2026 was made with the same e-mail address,"
    " but through a payment link or something similar; it is unclaimed, because an address is no proof of who paid"
)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "may not use dashboard, because nothing was ever bought."),
        ({"grants": (GRANT,)}, f"may use dashboard, because {PAYMENT} was paid in full."),
        (
            {"grants": (replace(GRANT, source="sub_1", until=NOON + 3 * DAY, reason=until(NOON + 2 * DAY)),)},
            "may use dashboard until 25 November 2026, because subscription sub_1 of 22 November 2026"
            " is paid until 24 November 2026.",
        ),
        (
            {"grants": (replace(GRANT, source="sub_1", until=NOON + 2 * DAY, reason=until(NOON + DAY)),)},
            "may not use dashboard, because the access that subscription sub_1 of 22 November 2026 gave"
            " ended on 24 November 2026: it is paid until 23 November 2026.",
        ),
        (
            {
                "grants": (
                    replace(GRANT, source="sub_1", until=NOON + 9 * DAY, revoked_at=NOON + DAY, reason=until(NOON)),
                ),
                "payments": (
                    paid(
                        Verdict.SUSPENDED,
                        because(Code.FIRST_PAYMENT_FAILED),
                        source="sub_1",
                        standing=SubscriptionStatus.PAST_DUE,
                    ),
                ),
            },
            "may not use dashboard, because subscription sub_1 of 22 November 2026 was never paid: its first payment"
            " has failed; access ended on 23 November 2026.",
        ),
        (
            {
                "payments": (
                    paid(
                        Verdict.SUSPENDED,
                        because(Code.FIRST_PAYMENT_MISSING),
                        source="sub_1",
                        standing=SubscriptionStatus.INCOMPLETE,
                    ),
                )
            },
            "may not use dashboard, because subscription sub_1 of 22 November 2026 was never paid: its first payment"
            " has not been made; access begins when that is fixed.",
        ),
        (
            {"grants": (replace(GIVEN, until=NOON + DAY),)},
            "may not use dashboard, because the access that an operator's grant of 22 November 2026 gave"
            " ended on 23 November 2026.",
        ),
        (
            {"grants": (replace(GRANT, reason=because(Code.WRITTEN, words="A gift.")),)},
            f"may use dashboard, because {PAYMENT} is recorded as follows: A gift.",
        ),
        (
            {"grants": (replace(GRANT, reference=None, product="pro"),)},
            "may use dashboard, because payment cs_1 of €19.00 on 22 November 2026 was paid in full.",
        ),
        (
            {"grants": (ended(REFUNDED),)},
            f"may not use dashboard, because {PAYMENT} was refunded in full; access ended on 23 November 2026.",
        ),
        (
            {"grants": (ended(DISPUTED),)},
            f"may not use dashboard, because {PAYMENT} is disputed by the buyer's bank, and gives no access unless"
            " the dispute is won; access ended on 23 November 2026.",
        ),
        (
            {
                "grants": (ended(DISPUTED),),
                "payments": (paid(Verdict.REVOKED, LOST),),
            },
            f"may not use dashboard, because {PAYMENT} was taken back in a dispute; access ended on 23 November 2026.",
        ),
        (
            {"grants": (ended(REFUNDED), GRANT)},
            f"may use dashboard, because {PAYMENT} was paid in full.",
        ),
        (
            {"grants": (replace(GRANT, since=NOON + 1, until=NOON + 2), ended(REFUNDED))},
            f"may not use dashboard, because {PAYMENT} was refunded in full; access ended on 23 November 2026.",
        ),
        (
            {"grants": (GIVEN,)},
            "may use dashboard, because an operator granted it on 22 November 2026: Won it in the raffle.",
        ),
        (
            {"grants": (replace(GIVEN, until=NOON + 3 * DAY, reference="pi_2"),), "payments": (by_link(),)},
            "may use dashboard until 25 November 2026, because an operator granted it on 22 November 2026"
            " for payment pi_2: Won it in the raffle.",
        ),
        (
            {
                "grants": (
                    replace(GIVEN, revoked_at=NOON + DAY, withheld=because(Code.OPERATOR_REVOKED, note="A mistake.")),
                )
            },
            "may not use dashboard, because an operator revoked the access that an operator's grant of 22 November 2026"
            " gave: A mistake; it ended on 23 November 2026.",
        ),
        (
            {
                "grants": (ended(SHARED, withheld=SHARED),),
                "payments": (paid(Verdict.GRANTED),),
            },
            f"may not use dashboard, because an operator revoked the access that {PAYMENT} gave: Shared the account;"
            " it ended on 23 November 2026.",
        ),
        (
            {"grants": (ended(DELETED, withheld=DELETED),), "payments": (paid(Verdict.GRANTED),)},
            f"may not use dashboard, because the account was deleted on 23 November 2026, and with it ended what"
            f" {PAYMENT} gave.",
        ),
        (
            {"grants": (replace(GIVEN, reason=because(Code.WRITTEN, words="Why not?")),)},
            "may use dashboard, because an operator granted it on 22 November 2026: Why not?",
        ),
        (
            {"payments": (paid(Verdict.SUSPENDED),), "orders": (ORDER,)},
            f"may not use dashboard, because {PAYMENT} is disputed by the buyer's bank, and gives no access unless"
            " the dispute is won.",
        ),
        (
            {"payments": (paid(Verdict.PENDING),), "orders": (ORDER,)},
            f"may not use dashboard, because {PAYMENT} is still being processed; access begins when it succeeds.",
        ),
        (
            {
                "grants": (ended(REFUNDED),),
                "payments": (paid(Verdict.PENDING, source="cs_2", reference="pi_2"), paid(Verdict.REVOKED)),
            },
            "may not use dashboard, because payment pi_2 of €19.00 on 22 November 2026 is still being processed;"
            " access begins when it succeeds.",
        ),
        (
            {"payments": (paid(Verdict.QUARANTINED),)},
            f"may not use dashboard, because {PAYMENT} {DIFFERS}, and gives no access until somebody has looked at it.",
        ),
        (
            {
                "grants": (ended(REFUNDED),),
                "payments": (paid(Verdict.QUARANTINED, source="cs_2", reference="pi_2"), paid(Verdict.REVOKED)),
            },
            f"may not use dashboard, because payment pi_2 of €19.00 on 22 November 2026 {DIFFERS},"
            " and gives no access until somebody has looked at it.",
        ),
        (
            {"payments": (paid(Verdict.QUARANTINED, refunded=1900),)},
            f"may not use dashboard, because {PAYMENT} {DIFFERS}; all of that money has gone back.",
        ),
        (
            {
                "grants": (replace(GIVEN, reference="pi_1", until=NOON + DAY),),
                "payments": (paid(Verdict.QUARANTINED),),
            },
            "may not use dashboard, because the access that an operator's grant of 22 November 2026 gave"
            " ended on 23 November 2026.",
        ),
        (
            {"payments": (paid(Verdict.UNCLAIMED, product=None),)},
            f"may not use dashboard, because {PAYMENT} was made on our account, but never ordered here by this person.",
        ),
        ({"payments": (paid(Verdict.UNPAID),)}, f"may not use dashboard, because {PAYMENT} did not succeed."),
        (
            {"payments": (paid(Verdict.REVOKED),)},
            f"may not use dashboard, because {PAYMENT} was refunded in full.",
        ),
        (
            {"payments": (paid(Verdict.GRANTED),)},
            f"may not use dashboard, because {PAYMENT} was paid in full, but access has not been updated yet.",
        ),
        (
            {"payments": (paid(Verdict.QUARANTINED, product="other"),)},
            "may not use dashboard, because nothing was ever bought.",
        ),
        ({"unexplained": (by_link(),)}, f"may not use dashboard, because {LINK}."),
        ({"unexplained": (by_link(),), "orders": (ORDER,)}, f"may not use dashboard, because {LINK}."),
        (
            {"unexplained": (by_link(),), "grants": (ended(REFUNDED),)},
            f"may not use dashboard, because {PAYMENT} was refunded in full; access ended on 23 November 2026.",
        ),
        (
            {"orders": (ORDER,)},
            "may not use dashboard, because nothing was ever paid:"
            " a purchase was begun on 22 November 2026 and not finished.",
        ),
        (
            {"orders": (replace(ORDER, state=OrderState.EXPIRED),)},
            "may not use dashboard, because nothing was ever paid.",
        ),
        (
            {"orders": (ORDER,), "trouble": "It is away."},
            "may not use dashboard, because no payment is known here, and the provider could not be asked.",
        ),
    ],
)
def test_the_answer_is_one_sentence(facts: dict[str, Any], words: str) -> None:
    dashboard, _ = answers(alice(**facts), CATALOG)
    assert dashboard.sentence == f"Alice Example {words}"
    assert dashboard.allowed is words.startswith("may use")


def test_every_feature_has_its_answer() -> None:
    reported = answers(alice(grants=(GRANT,)), CATALOG)
    assert [(one.feature, one.allowed) for one in reported] == [("dashboard", True), ("reports", False)]


@pytest.mark.parametrize(
    ("facts", "outdated"),
    [
        ({"grants": (GRANT,), "payments": (paid(Verdict.GRANTED),)}, False),
        ({"grants": (GRANT,), "payments": (paid(Verdict.REVOKED),)}, True),
        ({"grants": (GRANT,), "payments": (paid(Verdict.REVOKED),), "trouble": "It is away."}, False),
        ({"grants": (ended(REFUNDED),), "payments": (paid(Verdict.REVOKED),)}, False),
        ({"grants": (ended(REFUNDED),), "payments": (paid(Verdict.GRANTED),)}, True),
        ({"grants": (ended(SHARED, withheld=SHARED),), "payments": (paid(Verdict.GRANTED),)}, False),
        ({"payments": (paid(Verdict.GRANTED),)}, True),
        ({"payments": (paid(Verdict.PENDING),)}, False),
        ({"grants": (replace(GRANT, source="elsewhere"),), "payments": (paid(Verdict.UNPAID),)}, False),
    ],
)
def test_it_shows_when_the_provider_says_otherwise_by_now(facts: dict[str, Any], outdated: bool) -> None:
    assert alice(**facts).outdated is outdated


def test_a_product_that_is_no_longer_in_the_catalog_is_reported() -> None:
    explained = alice(grants=(GRANT, replace(GRANT, product="gold"), ended(REFUNDED, product="silver")))
    assert remarks(explained, CATALOG) == (
        "Alice Example also holds gold, which is not in the catalog (any more), and so unlocks nothing.",
    )


def subscribed(**changes: Any) -> Noted:
    facts: dict[str, Any] = {"source": "sub_1", "reason": until(NOON + 30 * DAY), "standing": SubscriptionStatus.ACTIVE}
    return paid(Verdict.GRANTED, **facts | changes)


def month(number: int, **changes: Any) -> Invoice:
    starts = NOON + number * 30 * DAY
    return an_invoice(f"in_{number}", total=1900, paid=1900, starts=starts, ends=starts + 30 * DAY, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"refunded": 1900}, "was refunded in full; that period is over, and the current one is not affected."),
        ({"refunded": 500}, "was refunded by €5.00; that period is over, and the current one is not affected."),
        (
            {"dispute": Dispute.WARNING},
            "is the subject of an inquiry by the buyer's bank; so far that changes nothing.",
        ),
        ({"dispute": Dispute.OPEN}, "is disputed by the buyer's bank."),
        ({"dispute": Dispute.WON}, "was disputed by the buyer's bank, and the dispute was won."),
        ({"dispute": Dispute.LOST}, "was taken back in a dispute."),
    ],
)
def test_what_became_of_the_money_for_an_earlier_period_is_reported(changes: dict[str, Any], words: str | None) -> None:
    explained = alice(payments=(subscribed(invoices=(month(2), month(1, **changes), month(0))),))
    reported = remarks(explained, CATALOG)
    assert bool(reported) == (words is not None)
    for one in reported:
        assert one.startswith("The payment of €19.00 for the period from 22 December 2026")
        assert one.endswith(str(words))


def test_what_became_of_the_money_for_the_present_period_is_no_remark() -> None:
    explained = alice(payments=(subscribed(invoices=(month(1, refunded=1900, dispute=Dispute.OPEN), month(0))),))
    assert remarks(explained, CATALOG) == ()


REMARKS: list[tuple[Reason, str, str]] = [
    (because(Code.UNKNOWN_PRICE, prices="price_9"), "unknown price", "Add the price to a product of the catalog"),
    (because(Code.OTHER_PRICES, prices="price_9"), "unknown price", "Add the price to a product of the catalog"),
    (because(Code.WRITTEN, words="It has no price."), "unknown price", "Add the price to a product of the catalog"),
    (
        because(Code.NOT_FINALIZED, invoice="in_1", since=NOON, trouble="automatic tax: requires_location_inputs"),
        "not finalized",
        "Fix the problem at the provider",
    ),
    (
        because(Code.PAID_AFTER_END, invoice="in_1", at=NOON, ended=NOON, amount=1900, currency="eur"),
        "paid after the end",
        "Refund it at the provider, or: tollkeeper grant per_1 dashboard --until DATE --note WHY",
    ),
    (
        because(Code.SUBSCRIPTION_DISPUTED, invoice="in_1", since=NOON, amount=1900, currency="eur", lost=True),
        "disputed",
        "To end the subscription: tollkeeper end sub_1 --note WHY",
    ),
]


def test_what_to_do_about_each_remark_on_a_subscription() -> None:
    reported = cases((), (), CATALOG, remarked=(subscribed(remarks=tuple(reason for reason, _, _ in REMARKS)),))
    assert [(one.kind, one.payment) for one in reported] == [(kind, "sub_1") for _, kind, _ in REMARKS]
    for one, (reason, _, remedy) in zip(reported, REMARKS, strict=True):
        assert one.reason == sentence(reason)
        assert one.remedy.startswith(remedy)
    assert {reason.code for reason, _, _ in REMARKS} == set(REMEDIES) == set(KINDS)


def test_what_to_do_about_a_payment() -> None:
    surplus = Surplus(replace(GRANT, reference="pi_3", since=NOON + 1), GRANT)
    reported = cases((by_link(), paid(Verdict.QUARANTINED)), (surplus,), CATALOG)
    assert [(one.kind, one.payment, one.amount, one.remedy) for one in reported] == [
        ("bought twice", "pi_3", 1900, "Refund it at the provider; access stays."),
        (
            "unclaimed",
            "pi_2",
            1900,
            "Refund it at the provider, or: tollkeeper adopt PERSON pi_2 --product PRODUCT --note WHY",
        ),
        (
            "quarantined",
            "pi_1",
            1900,
            "Refund it at the provider, or: tollkeeper grant per_1 dashboard --payment pi_1 --note WHY",
        ),
    ]


def test_what_can_be_filled_in_is_filled_in() -> None:
    (reported,) = cases((by_link(),), (), Catalog(CATALOG.products[:1], "stripe"), "per_1")
    assert reported.remedy.endswith("tollkeeper adopt per_1 pi_2 --product dashboard --note WHY")
    assert (reported.person_id, reported.email) == (None, "alice@example.com")


def kept(state: EventState, **changes: Any) -> Kept:
    fields: dict[str, Any] = dict.fromkeys(Kept.__slots__)
    return Kept(
        **{
            **fields,
            "id": "evt_1",
            "type": "charge.refunded",
            "created_at": NOON,
            "state": state,
            "attempts": 1,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (kept(EventState.IGNORED, outcome="ignored"), "ignored"),
        (kept(EventState.WAITING), "waiting"),
        (kept(EventState.HANDLED, outcome="1 changed"), "handled: 1 changed"),
        (kept(EventState.FAILED, error="no answer"), "failed: no answer"),
        (kept(EventState.PARKED, error="no answer"), "parked: no answer"),
    ],
)
def test_an_event_tells_how_far_it_has_come(event: Kept, words: str) -> None:
    assert event_words(event) == words


def test_history_is_in_order_of_time_and_of_cause() -> None:
    granted = Entry(1, NOON, "per_1", "granted", "dashboard", GRANT.origin, "cs_1", because(Code.PAID), "evt_1")
    later = replace(ORDER, id="or_2", created_at=NOON + 60)
    event = kept(EventState.HANDLED, outcome="1 changed")
    reported = history(alice(changes=(granted,), orders=(later, ORDER), events=(event,)))
    assert [(one.at, one.kind, one.id) for one in reported] == [
        (NOON - 60, "order", "or_1"),
        (NOON, "event", "evt_1"),
        (NOON, "access", "cs_1"),
        (NOON + 60, "order", "or_2"),
    ]
    assert reported[2].words == "dashboard granted. Paid in full. Evidence: evt_1"


def test_k77_the_other_account_with_the_same_address_is_named() -> None:
    other = Person("per_2", "Alice Other", "alice@example.com", NOON)
    holding = Namesake(other, ("https://github.com",), ("dashboard", "pro"), ())
    reported = remarks(alice(namesakes=(holding, replace(holding, holds=()))), CATALOG)
    assert reported == (
        "Alice Other (per_2) signs in with https://github.com with the same verified address, and holds dashboard,"
        " pro.",
        "Alice Other (per_2) signs in with https://github.com with the same verified address, and holds nothing.",
    )
