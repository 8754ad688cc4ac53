"""Why somebody may or may not use a feature, in words."""

from dataclasses import replace
from typing import Any

import pytest
from tests.storage.makers import a_grant, an_order

from tollkeeper.catalog import Catalog
from tollkeeper.model import Finding, Line, OrderState, Payment, Person, Product, Purchase, Verdict
from tollkeeper.operators import Explanation, answers, event_words, history
from tollkeeper.storage.audit import Entry
from tollkeeper.storage.events import Kept, State

DAY = 86_400
NOON = 1_795_348_800  # 22 November 2026, 12:00 UTC
CATALOG = Catalog(
    (
        Product("dashboard", "Dashboard", frozenset({"dashboard"})),
        Product("pro", "Pro", frozenset({"dashboard", "reports"})),
    )
)
PAYMENT = "payment pi_1 of €19.00 on 22 November 2026"
GRANT = a_grant("per_1", "cs_1", amount=1900, since=NOON, reason="Paid in full.")
ORDER = an_order("or_1", "per_1", amount=1900, created_at=NOON - 60)


def alice(**facts: Any) -> Explanation:
    person = Person("per_1", "Alice Example", "alice@example.com", NOON - DAY)
    return Explanation(person, ("https://id.example",), live=False, now=NOON + 2 * DAY, **facts)


def purchase(source: str = "cs_1", reference: str | None = "pi_1", **changes: Any) -> Purchase:
    fields: dict[str, Any] = {
        "order_id": "or_1",
        "person_id": "per_1",
        "lines": (Line("price_1", 1),),
        "amount_subtotal": 1900,
        "amount_discount": 0,
        "amount_total": 1900,
        "currency": "eur",
        "live": False,
        "payment": Payment.PAID,
        "created_at": NOON,
    }
    return Purchase(source=source, reference=reference, **{**fields, **changes})


def found(verdict: Verdict, reason: str = "", product: str | None = "dashboard", **changes: Any) -> Finding:
    return Finding(purchase(**changes), verdict, reason, product=product)


def ended(reason: str) -> Any:
    return replace(GRANT, revoked_at=NOON + DAY, reason=reason)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "may not use dashboard, because nothing was ever bought."),
        ({"grants": (GRANT,)}, f"may use dashboard, because {PAYMENT} was paid in full."),
        (
            {"grants": (replace(GRANT, until=NOON + 3 * DAY),)},
            f"may use dashboard until 25 November 2026, because {PAYMENT} was paid in full.",
        ),
        (
            {"grants": (replace(GRANT, until=NOON + 2 * DAY),)},
            f"may not use dashboard, because the access that {PAYMENT} gave ended on 24 November 2026.",
        ),
        (
            {"grants": (replace(GRANT, reason="A gift."),)},
            f"may use dashboard, because {PAYMENT} stands so: A gift.",
        ),
        (
            {"grants": (replace(GRANT, reference=None, product="pro"),)},
            "may use dashboard, because payment cs_1 of €19.00 on 22 November 2026 was paid in full.",
        ),
        (
            {"grants": (ended("Refunded in full."),)},
            f"may not use dashboard, because {PAYMENT} was refunded in full; access ended on 23 November 2026.",
        ),
        (
            {"grants": (ended("The payment is disputed."),)},
            f"may not use dashboard, because {PAYMENT} is disputed by the buyer's bank;"
            " access ended on 23 November 2026.",
        ),
        (
            {
                "grants": (ended("The payment is disputed."),),
                "findings": (found(Verdict.REVOKED, "The dispute was lost."),),
            },
            f"may not use dashboard, because {PAYMENT} was taken back in a dispute; access ended on 23 November 2026.",
        ),
        (
            {"grants": (ended("Refunded in full."), GRANT)},
            f"may use dashboard, because {PAYMENT} was paid in full.",
        ),
        (
            {"findings": (found(Verdict.PENDING),), "orders": (ORDER,)},
            f"may not use dashboard, because a payment is still being processed: {PAYMENT}.",
        ),
        (
            {"grants": (ended("Refunded in full."),), "findings": (found(Verdict.PENDING, reference="pi_2"),)},
            "may not use dashboard, because a payment is still being processed:"
            " payment pi_2 of €19.00 on 22 November 2026.",
        ),
        (
            {"findings": (found(Verdict.QUARANTINED),)},
            f"may not use dashboard, because {PAYMENT} does not match what was ordered,"
            " and gives no access until somebody has looked at it.",
        ),
        (
            {"findings": (found(Verdict.UNCLAIMED, product=None),)},
            f"may not use dashboard, because {PAYMENT} was made on our account, but not for a purchase begun here.",
        ),
        ({"findings": (found(Verdict.UNPAID),)}, f"may not use dashboard, because {PAYMENT} did not succeed."),
        (
            {"findings": (found(Verdict.GRANTED),)},
            f"may not use dashboard, because {PAYMENT} was paid in full, but has not been taken into account yet.",
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
            {"orders": (ORDER,), "findings": None},
            "may not use dashboard, because no payment is known here, and the provider could not be asked.",
        ),
    ],
)
def test_the_answer_is_one_sentence(facts: dict[str, Any], words: str) -> None:
    dashboard, _ = answers(alice(**facts), CATALOG)
    assert dashboard.sentence == f"Alice Example {words}"
    assert dashboard.allowed is words.startswith("may use")


def test_every_feature_has_its_answer() -> None:
    told = answers(alice(grants=(GRANT,)), CATALOG)
    assert [(one.feature, one.allowed) for one in told] == [("dashboard", True), ("reports", False)]


@pytest.mark.parametrize(
    ("facts", "outdated"),
    [
        ({"grants": (GRANT,), "findings": (found(Verdict.GRANTED),)}, False),
        ({"grants": (GRANT,), "findings": (found(Verdict.REVOKED),)}, True),
        ({"grants": (ended("Refunded in full."),), "findings": (found(Verdict.REVOKED),)}, False),
        ({"grants": (ended("Refunded in full."),), "findings": (found(Verdict.GRANTED),)}, True),
        ({"findings": (found(Verdict.GRANTED),)}, True),
        ({"findings": (found(Verdict.PENDING),)}, False),
        ({"grants": (GRANT,), "findings": None}, False),
        ({"grants": (replace(GRANT, source="elsewhere"),), "findings": (found(Verdict.UNPAID),)}, False),
    ],
)
def test_it_shows_when_the_provider_says_otherwise_by_now(facts: dict[str, Any], outdated: bool) -> None:
    assert alice(**facts).outdated is outdated


def kept(state: State, **changes: Any) -> Kept:
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
        (kept(State.IGNORED, outcome="ignored"), "ignored"),
        (kept(State.WAITING), "waiting"),
        (kept(State.HANDLED, outcome="1 changed"), "handled: 1 changed"),
        (kept(State.FAILED, error="no answer"), "failed: no answer"),
        (kept(State.PARKED, error="no answer"), "parked: no answer"),
    ],
)
def test_an_event_tells_how_far_it_has_come(event: Kept, words: str) -> None:
    assert event_words(event) == words


def test_history_is_in_order_of_time_and_of_cause() -> None:
    granted = Entry(1, NOON, "per_1", "granted", "dashboard", GRANT.realm, "cs_1", "Paid in full.", "evt_1")
    later = replace(ORDER, id="or_2", created_at=NOON + 60)
    event = kept(State.HANDLED, outcome="1 changed")
    told = history(alice(changes=(granted,), orders=(later, ORDER), events=(event,)))
    assert [(one.at, one.kind, one.id) for one in told] == [
        (NOON - 60, "order", "or_1"),
        (NOON, "event", "evt_1"),
        (NOON, "access", "cs_1"),
        (NOON + 60, "order", "or_2"),
    ]
    assert told[2].words == "dashboard granted. Paid in full. Evidence: evt_1"
