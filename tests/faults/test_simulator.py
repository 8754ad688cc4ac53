"""The simulator itself: a history always plays the same way, the checker finds errors, and histories are shortened."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.faults.simulator import history
from tests.faults.simulator.campaign import run, shorter
from tests.faults.simulator.history import History, Step, generate, load
from tests.faults.simulator.known import Entry, Source
from tests.faults.simulator.ledger import EventFact, Fact, Facts, InvoiceFact, SubscriptionFact, moments
from tests.faults.simulator.planting import ROOT, Plant, hunt, plants
from tests.faults.simulator.play import play, quiet
from tests.faults.simulator.shrink import shrink
from tests.faults.simulator.steps import ACTIONS
from tests.faults.simulator.storage import Store, sqlite_store
from tests.faults.simulator.worth import DAY, Judged, Offer, Worth, of_subscription, to_see_to

from tollkeeper.billing import entitlements, inbox
from tollkeeper.storage import customers

# Telling which lines run would take as long as the histories do.
pytestmark = pytest.mark.no_cover

BUY = Step("buy", 3.0, 1, {"who": 0, "product": 0, "tabs": 1, "returns": True})
REFUND = Step("refund", 1.0, 1, {"which": 0, "percent": 100})


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with quiet(), sqlite_store() as store:
        yield store


def of(*steps: Step, sells: str = "once") -> History:
    return History("by hand", sells, webhooks=True, calls="calm", workers=1, steps=steps)


def test_every_step_can_be_taken() -> None:
    assert set(ACTIONS) == {name for steps in history.STEPS_THERE_ARE.values() for name in steps}


def test_a_history_is_the_same_each_time(store: Store) -> None:
    """With all that is drawn by chance, from ids to delays: how far the clock has come tells."""
    seen = [play(generate(3, number), store) for number in (1, 2, 1, 2)]
    assert seen[:2] == seen[2:]


def test_a_history_survives_its_file(tmp_path: Path) -> None:
    made = generate(7, 7)
    made.save(tmp_path / "history.json")
    assert load(tmp_path / "history.json") == made


def test_buying_opens_and_refunding_closes(store: Store) -> None:
    bought, refunded = play(of(BUY), store), play(of(BUY, REFUND), store)
    assert (bought.violation, refunded.violation) == (None, None)
    assert (bought.held, refunded.held) == (1, 0)


def test_a05_a_checkout_made_elsewhere_in_an_orders_name_leaves_the_order_as_it_is(store: Store) -> None:
    """Found by the simulator: after a refund it closed the order, and a second page was opened next to the first."""
    press = Step("press", 2.0, 1, {"who": 0, "product": 0, "tabs": 1})
    lie = Step("pay_other_session", 1.0, 1, {"which": 0, "lie": "product", "refunded": False})
    assert play(of(press, lie, replace(REFUND, wait=3.0), press), store).violation is None


def test_c22_a_dispute_that_comes_before_its_payment_is_known_is_not_forgotten(store: Store) -> None:
    """Found by the simulator: what was on its way when the dispute came was written after it, and stayed."""
    press = Step("press", 2.0, 1, {"who": 0, "product": 0, "tabs": 1})
    late = Step("stall", 0.0, 1, {"seconds": 8, "times": 1, "way": "back"})
    pay = Step("pay", 1.0, 1, {"which": 0, "card": "pays"})
    dispute = Step("dispute", 8.0, 1, {"which": 0, "reason": "fraudulent"})
    outcome = play(replace(of(press, late, pay, dispute), workers=2), store)
    assert (outcome.violation, outcome.held) == (None, 0)


def test_an_event_that_counts_as_handled_and_was_not_acted_on_is_found(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, although the success page puts it right."""

    async def does_nothing(*args: object) -> str:
        return "nothing was done"

    monkeypatch.setattr(inbox, "_outcome", does_nothing)
    outcome = play(of(BUY, Step("look_in", 1.0, 1, {"who": 0})), store)
    assert outcome.violation is not None
    assert (outcome.violation.invariant, outcome.steps) == ("I5", 1)


def without(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    """Have the app forget one of its rules."""
    left = tuple(one for one in entitlements.RULES if one.__name__ != rule)
    assert len(left) + 1 == len(entitlements.RULES)
    monkeypatch.setattr(entitlements, "RULES", left)


@pytest.mark.parametrize("rule", ["not_paid", "refunded", "disputed", "somebody_elses", "other_than_ordered"])
def test_a_missing_rule_is_found(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, rule)
    assert any(figures.found for figures in run("sqlite", 0, range(100), shrinking=False))


def test_a_missing_fence_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before the refund arrives after it."""
    late = Step("stall", 0.0, 1, {"seconds": 4, "times": 1, "way": "back"})
    asked = Step("reconcile", 1.0, 1, {"who": 0})
    crossed = of(BUY, late, asked, replace(REFUND, wait=8.0))
    assert play(crossed, store).violation is None
    monkeypatch.setattr(customers, "pass_fence", lambda *args: True)
    violation = play(crossed, store).violation
    assert violation is not None
    assert violation.invariant == "I7"


def test_a_fence_by_who_began_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who began first is asked for after the refund, and who began second before it; the second writes last."""
    late, old = (Step("stall", 0.0, 1, {"seconds": 8, "times": 1, "way": way}) for way in ("there", "back"))
    asked = Step("reconcile", 1.0, 1, {"who": 0})
    crossed = replace(of(BUY, late, asked, old, asked, replace(REFUND, wait=8.0)), webhooks=False)
    assert play(crossed, store).violation is None
    passed: dict[int, int] = {}

    def by_who_began(conn: Connection, customer_id: int, ticket: int, now: int) -> bool:
        if ticket < passed.get(customer_id, 0):
            return False
        passed[customer_id] = ticket
        return True

    monkeypatch.setattr(customers, "pass_fence", by_who_began)
    violation = play(crossed, store).violation
    assert violation is not None
    assert violation.invariant == "I7"


def test_what_is_found_is_shrunk_and_found_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "refunded")
    looking, press = Step("look_in", 0.0, 1, {"who": 1}), Step("press", 0.0, 1, {"who": 1, "product": 1, "tabs": 1})
    long = of(looking, press, BUY, looking, looking, press, REFUND, looking)
    outcome = play(long, store)
    assert outcome.violation is not None
    short = shorter(long, outcome, store)
    assert [step.do for step in short.steps] == ["buy", "refund"]
    again = play(short, store).violation
    assert again is not None
    assert again.invariant == outcome.violation.invariant


def test_shrinking_keeps_to_its_budget() -> None:
    played: list[History] = []

    def passes(tried: History) -> bool:
        played.append(tried)
        return False

    shrink(generate(0, 0), passes, budget=17)
    assert len(played) == 17


def test_shrinking_leaves_what_it_takes_to_fail() -> None:
    long = generate(0, 0)
    needed = (long.steps[3], long.steps[17], long.steps[18])
    assert shrink(long, lambda tried: all(step in tried.steps for step in needed)).steps == needed


GOOD: Worth = ("pro", 100)


def worth(since: int, of: Worth) -> Entry:
    return Entry(since, {"": Judged(of)})


@pytest.mark.parametrize(
    ("seen", "possible"),
    [
        ([GOOD], True),
        ([None, GOOD, None], True),
        ([GOOD, None, GOOD], False),  # taken back at 20, for good
        ([None, None, GOOD], True),
        ([("pro", 99)], True),  # made of two moments, it may be less than either
        ([("pro", 101)], False),
        ([("pro", None)], False),
        ([("extra", 100)], False),
    ],
)
def test_what_the_app_knows_only_grows(seen: list[Worth], possible: bool) -> None:
    """A payment that was valid from 10 to 20: after its refund has been seen, older data must not be used again."""
    entries = [worth(0, None), worth(10, GOOD), worth(20, None)]
    source = Source("cs_1", "per_1", "pro", entries)
    assert all(source.learn(held, "pro", now=50) for held in seen) is possible


def test_what_is_reported_exactly_may_be_less_only_if_anything_has_changed_since() -> None:
    source = Source("sub_1", "per_1", "pro", [worth(0, None), worth(10, GOOD)], known=10)
    assert source.learn(GOOD, "pro", 50, exactly=True)
    assert not source.learn(None, "pro", 50, exactly=True)
    assert source.learn(None, "pro", 100, exactly=True)  # it has run out by itself
    source.note(worth(30, ("pro", 200)))
    assert source.learn(None, "pro", 50, exactly=True)


def test_a_price_that_nobody_knows_leaves_the_product_as_it_was() -> None:
    source = Source("sub_1", "per_1", "pro", [Entry(0, {"pro": Judged(GOOD), "extra": Judged(("extra", 70))})])
    assert source.learn(GOOD, "pro", 50)
    assert not source.learn(GOOD, "extra", 50)


def test_an_end_is_called_by_what_the_app_can_have_read() -> None:
    """A dispute was open from 10 on, and is lost since 20."""
    disputed, lost = (Judged(None, frozenset({word})) for word in ("suspended", "revoked"))
    source = Source("cs_1", "per_1", "pro", [worth(0, GOOD), Entry(10, {"": disputed}), Entry(20, {"": lost})])
    assert source.ends("pro", now=99) == {"suspended", "revoked"}  # what it gave lasts until 100
    assert source.ends("pro", now=100) == {"ended", "suspended", "revoked"}
    source.known = 10
    assert source.ends("pro", now=100) == {"suspended", "revoked"}
    source.known = 20
    assert source.ends("pro", now=100) == {"revoked"}


CLUB = Offer(
    product="club",
    price="price_1",
    amount=500,
    currency="eur",
    refund_revokes_from=100,
    dispute_suspends=True,
    promotion_codes=False,
    grace_days=7,
    trial_grace_days=2,
)
HOUR, MONTH = 3600, 30 * DAY
START = 100 * MONTH
END = START + MONTH
RUNS = SubscriptionFact("active", "cus_1", "ord_1", "per_1", ("price_1",), START, END)
TRIED = START + HOUR  # a draft becomes final after an hour, and is tried then


@dataclass(frozen=True)
class Of:
    """An invoice in this state. ``at`` is when its period begins, in seconds from the start of the current one."""

    status: str
    at: int = 0
    total: int = 500
    charge: str | None = None
    """The state of its payment."""
    tried: bool = True
    stays: bool = False


def before(status: str, months: int = 1, **more: Any) -> Of:
    """The renewal of an earlier period."""
    return Of(status, -months * MONTH, **more)


def facts_of(subscription: SubscriptionFact, *bills: Of, trial: bool = False, months: int = 3) -> Facts:
    """A subscription that has so many periods behind it, the first of which may have been a trial."""
    facts = Facts()
    for past in range(months, 0, -1):
        status = "trialing" if trial and past == months else "active"
        begins = START - past * MONTH
        facts.take([("subscriptions", "sub_1", replace(RUNS, status=status, start=begins, end=begins + MONTH))])
    facts.take([("subscriptions", "sub_1", subscription)])
    facts.take([fact for number, bill in enumerate(bills) for fact in billed(str(number), bill)])
    return facts


def billed(name: str, bill: Of) -> Iterator[Fact]:
    begins, final = START + bill.at, bill.status != "draft"
    known = InvoiceFact(
        id=name,
        subscription="sub_1",
        status=bill.status,
        total=bill.total,
        paid=max(bill.total, 0) if bill.status == "paid" else 0,
        begins=begins,
        ends=(begins // MONTH + 1) * MONTH,
        due=begins + HOUR if final else None,
        attempted=final and bill.tried,
        stays=bill.stays,
        paid_at=begins + HOUR if bill.status == "paid" else None,
    )
    yield "invoices", name, known
    charge = bill.charge or ("succeeded" if bill.status == "paid" and bill.total > 0 else None)
    if charge is not None:
        yield "links", name, (name, f"pi_{name}", "paid" if bill.status == "paid" else "open")
        yield "intents", f"pi_{name}", ("", f"ch_{name}")
        yield "charges", f"ch_{name}", (charge, bill.total)


PAUSED = replace(RUNS, paused=True)
OWES = replace(RUNS, status="past_due")
ONCE, PAID_BEFORE = Of("paid"), before("paid")
DEBIT = Of("open", charge="pending")
UPGRADE_PAID, UPGRADE_FAILED = Of("paid", 9 * DAY), Of("open", 9 * DAY)
CREDIT = Of("paid", 9 * DAY, total=-100)


@pytest.mark.parametrize(
    ("subscription", "bills", "until"),
    [
        # Paid, or nothing to pay
        (RUNS, [ONCE], END + DAY),
        (RUNS, [Of("paid", total=0)], END + DAY),
        (replace(RUNS, status="trialing"), [], END + DAY),
        (replace(RUNS, ends=END), [ONCE], END),
        (replace(RUNS, ends=END + 9 * DAY), [ONCE], END + DAY),
        (PAUSED, [ONCE], END),
        (OWES, [before("open"), ONCE], END + DAY),
        # On its way to be paid
        (RUNS, [PAID_BEFORE], START + 7 * DAY),
        (RUNS, [PAID_BEFORE, Of("draft")], START + 7 * DAY),
        (RUNS, [PAID_BEFORE, Of("open", tried=False)], TRIED + 7 * DAY),
        (RUNS, [PAID_BEFORE, DEBIT], TRIED + 14 * DAY),
        (RUNS, [PAID_BEFORE, Of("draft"), DEBIT], START + 7 * DAY),
        (PAUSED, [PAID_BEFORE, DEBIT], TRIED + 14 * DAY),
        # Not paid
        (OWES, [PAID_BEFORE, Of("open")], TRIED + 7 * DAY),
        (OWES, [PAID_BEFORE, Of("open", charge="failed")], TRIED + 7 * DAY),
        (replace(OWES, ends=START + DAY), [PAID_BEFORE, Of("open")], START + DAY),
        (RUNS, [PAID_BEFORE, Of("uncollectible")], TRIED + 7 * DAY),
        (RUNS, [PAID_BEFORE, Of("void")], TRIED + 7 * DAY),
        (RUNS, [PAID_BEFORE, Of("draft", stays=True)], START + 7 * DAY),
        (RUNS, [Of("void"), ONCE], END + DAY),  # another in its place
        (RUNS, [PAID_BEFORE, Of("void"), UPGRADE_PAID], END + DAY),
        (RUNS, [PAID_BEFORE, Of("void"), CREDIT], TRIED + 7 * DAY),
        (RUNS, [PAID_BEFORE, Of("uncollectible"), UPGRADE_PAID], TRIED + 7 * DAY),
        (OWES, [PAID_BEFORE, Of("void"), UPGRADE_FAILED], TRIED + 7 * DAY),
        (OWES, [ONCE, UPGRADE_FAILED], TRIED + 16 * DAY),
        (PAUSED, [PAID_BEFORE, Of("void")], None),
        (PAUSED, [PAID_BEFORE, Of("draft", stays=True)], None),
        (PAUSED, [ONCE, UPGRADE_FAILED], None),
        # One grace for one gap
        (OWES, [before("paid", 2), before("open"), Of("open")], TRIED - MONTH + 7 * DAY),
        (RUNS, [before("paid", 2), before("uncollectible"), Of("draft")], TRIED - MONTH + 7 * DAY),
        (RUNS, [before("paid", 2), before("void"), DEBIT], TRIED - MONTH + 7 * DAY),
        (RUNS, [before("paid", 3), before("void", 2), before("draft"), Of("draft")], TRIED - 2 * MONTH + 7 * DAY),
        (OWES, [before("open", 3), before("paid", 2), before("paid"), Of("open")], TRIED + 7 * DAY),
        (OWES, [before("open"), replace(UPGRADE_PAID, at=9 * DAY - MONTH), Of("open")], TRIED - MONTH + 7 * DAY),
        # Nothing to go on
        (RUNS, [], None),
        (RUNS, [Of("draft")], None),
        (RUNS, [DEBIT], None),
        (OWES, [Of("open")], None),
        *((replace(RUNS, status=status), [ONCE], None) for status in ("unpaid", "paused", "incomplete", "news")),
        (replace(RUNS, status="canceled"), [ONCE], None),
    ],
)
def test_what_a_subscription_is_worth(subscription: SubscriptionFact, bills: list[Of], until: int | None) -> None:
    """The tables of docs/decisions/0023-money-of-a-subscription.md and docs/subscriptions.md."""
    assert of_subscription(facts_of(subscription, *bills), "sub_1", CLUB).worth == (until and ("club", until))


@pytest.mark.parametrize(
    ("bill", "until"),
    [
        (Of("draft"), START + 4 * DAY),
        (DEBIT, TRIED + 14 * DAY),
        (Of("open"), TRIED + 2 * DAY),
        (Of("void"), TRIED + 2 * DAY),
        (Of("paid"), END + DAY),
    ],
)
def test_the_first_payment_after_a_trial_or_a_free_period_has_a_grace_of_its_own(bill: Of, until: int) -> None:
    free = before("paid", total=0)
    for facts in (
        facts_of(RUNS, bill, trial=True, months=1),
        facts_of(RUNS, free, bill),
        facts_of(RUNS, free, bill, trial=True),
    ):
        assert of_subscription(facts, "sub_1", CLUB).worth == ("club", until)


@pytest.mark.parametrize(
    ("refunds", "disputes", "ends"),
    [
        ([(499, "succeeded")], [], None),
        ([(250, "succeeded"), (250, "pending")], [], "revoked"),
        ([(500, "failed")], [], None),
        ([], ["warning_needs_response", "won"], None),
        ([], ["needs_response"], "suspended"),
        ([], ["lost"], "revoked"),
    ],
)
def test_refunds_are_judged_by_period_and_disputes_by_subscription(
    refunds: list[tuple[int, str]], disputes: list[str], ends: str | None
) -> None:
    facts = facts_of(RUNS, ONCE)
    facts.refunds = {str(number): ("ch_0", *how) for number, how in enumerate(refunds)}
    facts.disputes = {str(number): ("ch_0", status) for number, status in enumerate(disputes)}
    taken_back = Judged(None, frozenset({ends or ""}))
    assert of_subscription(facts, "sub_1", CLUB) == (taken_back if ends else Judged(("club", END + DAY)))
    later = replace(RUNS, start=END, end=END + MONTH)
    facts.take([("subscriptions", "sub_1", later), *billed("1", Of("paid", MONTH))])
    goes_on = Judged(("club", later.end + DAY))
    assert of_subscription(facts, "sub_1", CLUB) == (taken_back if ends and disputes else goes_on)
    assert of_subscription(facts, "sub_1", replace(CLUB, earlier_dispute_counts=False)) == goes_on


def test_what_operators_are_told_of_a_subscription() -> None:
    stuck = facts_of(RUNS, PAID_BEFORE, Of("draft", stays=True))
    assert to_see_to(stuck, "sub_1", CLUB) == {"not finalized"}
    over = replace(RUNS, status="canceled", ended=START)
    late = facts_of(over, ONCE)
    assert to_see_to(late, "sub_1", CLUB) == {"paid after the end"}
    late.refunds = {"1": ("ch_0", 500, "succeeded")}
    assert not to_see_to(late, "sub_1", CLUB)
    goes_on = facts_of(RUNS, PAID_BEFORE, ONCE)
    goes_on.disputes = {"1": ("ch_0", "needs_response")}
    assert not to_see_to(goes_on, "sub_1", CLUB)
    assert to_see_to(goes_on, "sub_1", replace(CLUB, earlier_dispute_counts=False)) == {"disputed"}
    goes_on.disputes = {"1": ("ch_0", "lost")}
    assert to_see_to(goes_on, "sub_1", CLUB) == {"disputed"}


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_every_plant_fits_the_code_as_it_is(plant: Plant) -> None:
    plant.apply(ROOT, "--check")
    assert plant.words.endswith(".")


def test_there_are_plants_enough() -> None:
    assert len(plants()) >= 80


def test_a_plant_is_found() -> None:
    (plant,) = (plant for plant in plants() if plant.name == "refund-ignored")
    assert hunt(plant, "sqlite", 100, 0).invariant == "I5"


def a_story() -> st.SearchStrategy[tuple[str, list[Step]]]:
    """What a shop sells, and the steps that go with it."""
    randoms = st.randoms(use_true_random=False)
    return st.sampled_from(tuple(history.STEPS_THERE_ARE)).flatmap(
        lambda sells: st.tuples(
            st.just(sells), st.lists(st.builds(history.a_step, randoms, st.just(sells)), max_size=40)
        )
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    story=a_story(),
    webhooks=st.booleans(),
    calls=st.sampled_from(("calm", "rough", "wild")),
    workers=st.integers(1, 2),
)
def test_whatever_hypothesis_thinks_of(
    store: Store, story: tuple[str, list[Step]], webhooks: bool, calls: str, workers: int
) -> None:
    """The same steps, chosen by hypothesis, which looks where chance does not, and shrinks by itself."""
    sells, steps = story
    assert play(History("hypothesis", sells, webhooks, calls, workers, tuple(steps)), store).violation is None


def test_what_happened_one_after_the_other_is_reported_so_though_committed_at_once() -> None:
    def an_event(at: int) -> tuple[str, str, EventFact]:
        return "events", f"evt_{at}", EventFact("invoice.paid", frozenset(), at)

    a, b, c = (("intents", name, None) for name in "abc")
    first, again, later = an_event(10), an_event(10), an_event(20)
    assert list(moments([a, first, again, b, later, c])) == [[a, first, again], [b, later, c]]
    assert list(moments([a])) == [[a]]
    assert list(moments([])) == []
