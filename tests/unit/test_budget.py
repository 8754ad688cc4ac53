"""How fast a provider may be called, in virtual time."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.faults.simulator.virtual import run

from tollkeeper.providers.budget import LONGEST, TICK, Budget, background, in_background

RATE = 6
OWN = 1  # what is the background's own, within any second
Begun = tuple[float, "Caller"]


@dataclass(frozen=True)
class Caller:
    """Asks for a turn at some time, and gives up after a while. Seconds."""

    number: int
    at: float
    in_background: bool = False
    patience: float | None = None


@dataclass
class Journal:
    """Who began when, in order."""

    budget: Budget = field(default_factory=lambda: Budget(RATE))
    begun: list[Begun] = field(default_factory=list)

    async def ask(self, caller: Caller) -> None:
        await asyncio.sleep(caller.at)
        with background() if caller.in_background else nullcontext():
            try:
                async with asyncio.timeout(caller.patience):
                    await self.budget.turn()
            except TimeoutError:
                return
        self.begun.append((now(), caller))

    async def all(self, callers: Sequence[Caller]) -> None:
        async with asyncio.TaskGroup() as group:
            for caller in callers:
                group.create_task(self.ask(caller))


def now() -> float:
    return asyncio.get_running_loop().time()


def begun_by(callers: Sequence[Caller]) -> list[Begun]:
    journal = Journal()
    run(journal.all(callers))
    return journal.begun


def many(count: int, *, at: float = 0, **kind: Any) -> list[Caller]:
    return [Caller(number, at, **kind) for number in range(count)]


MOMENTS = st.integers(0, 24).map(lambda eighths: eighths / 8)
CALLERS = st.lists(
    st.builds(Caller, st.just(0), MOMENTS, st.booleans(), st.none() | MOMENTS.filter(bool)), max_size=60
).map(lambda callers: [Caller(n, one.at, one.in_background, one.patience) for n, one in enumerate(callers)])


def within_any_second(times: Sequence[float], most: int) -> bool:
    return all(late - early >= 1 for early, late in zip(times, times[most:], strict=False))


@given(CALLERS)
def test_e36_never_more_than_the_rate_within_any_second(callers: list[Caller]) -> None:
    assert within_any_second([time for time, _ in begun_by(callers)], RATE)


@given(CALLERS)
def test_e36_background_work_leaves_half_of_it_to_people(callers: list[Caller]) -> None:
    begun = begun_by(callers)
    for number, (time, caller) in enumerate(begun):
        if caller.in_background and not is_own(begun, number):
            assert sum(time - earlier < 1 for earlier, _ in begun[: number + 1]) <= RATE // 2


def is_own(begun: list[Begun], number: int) -> bool:
    """Whether a start in the background is within what is its own, whoever waits."""
    time = begun[number][0]
    lately = [one for earlier, one in begun[: number + 1] if time - earlier < 1]
    return sum(one.in_background for one in lately) <= OWN


@given(CALLERS)
def test_e36_nothing_but_its_own_begins_in_the_background_while_a_person_waits(callers: list[Caller]) -> None:
    begun = begun_by(callers)
    started = {caller.number: time for time, caller in begun}
    for number, (time, caller) in enumerate(begun):
        if caller.in_background and not is_own(begun, number):
            for person in callers:
                gone = min(started.get(person.number, 1000), person.at + (person.patience or 1000))
                assert person.in_background or not person.at < time < gone


@given(CALLERS)
def test_e36_anybody_who_waits_long_enough_gets_a_turn_and_in_the_order_they_came(callers: list[Caller]) -> None:
    begun = [caller for _, caller in begun_by(callers)]
    assert {one.number for one in callers if one.patience is None} <= {one.number for one in begun}
    for kind in (True, False):
        patient = [one for one in begun if one.in_background is kind and one.patience is None]
        assert all(first.at <= second.at for first, second in pairwise(patient))


def test_e36_a_person_goes_at_once_while_there_is_budget() -> None:
    assert [time for time, _ in begun_by(many(RATE))] == [0] * RATE
    queued = many(50, in_background=True)
    late = Caller(99, at=0.5)
    assert (0.5, late) in begun_by([*queued, late])


def test_e36_background_work_goes_on_however_many_people_come() -> None:
    begun = begun_by([*many(20 * RATE), *many(3, in_background=True)])
    assert [int(time) for time, caller in begun if caller.in_background] == [1, 2, 3]
    assert begun[-1][0] < 22


def test_e36_who_gives_up_leaves_their_place_to_the_next() -> None:
    waiting = many(40, at=0.1, patience=0.2)
    begun = begun_by([*many(RATE), *waiting, Caller(99, at=0.2)])
    ((time, caller),) = begun[RATE:]
    assert (round(time, 1), caller.number) == (1, 99)


def test_what_is_started_in_the_background_is_in_the_background() -> None:
    async def main() -> list[bool]:
        with background():
            inherited = asyncio.create_task(asyncio.to_thread(in_background))
            inside = in_background()
        return [inside, await inherited, in_background()]

    assert run(main()) == [True, True, False]


async def waited_after_refusals(budget: Budget, count: int, retry_after: float = 0) -> float:
    """Be refused so many times in a row. Returns how long a caller waited after the last."""
    refused_at = now()
    for _ in range(count):
        refused_at = now()
        budget.refused(f"{retry_after:.9f}")
        await budget.turn()
    return now() - refused_at


@pytest.mark.parametrize(("count", "pause"), [(1, 0.5), (2, 1), (3, 2), (4, 4), (5, 4), (99, 4)])
@pytest.mark.parametrize("jitter", [0.0, 0.25, 0.999])
def test_e36_pauses_double_up_to_a_limit_and_are_spread_over_all_of_it(count: int, pause: float, jitter: float) -> None:
    waited = run(waited_after_refusals(Budget(100, random=lambda: jitter), count))
    assert waited == pytest.approx(jitter * pause, abs=2 * TICK)


@given(st.floats(0, 0.999), st.floats(0, LONGEST))
def test_e36_retry_after_is_honoured(jitter: float, retry_after: float) -> None:
    waited = run(waited_after_refusals(Budget(100, random=lambda: jitter), 1, retry_after))
    assert retry_after - 1e-6 <= waited <= retry_after + 0.5 + TICK


def test_e36_no_refusal_stops_everything_for_long() -> None:
    waited = run(waited_after_refusals(Budget(100, random=lambda: 0.5), 1, retry_after=1e8))
    assert waited == pytest.approx(LONGEST + 0.25, abs=TICK)


def test_e36_an_answer_makes_the_next_pause_short_again() -> None:
    async def main() -> float:
        budget = Budget(100, random=lambda: 0.5)
        await waited_after_refusals(budget, 5)
        budget.answered()
        return await waited_after_refusals(budget, 1)

    assert run(main()) == pytest.approx(0.25, abs=TICK)


def test_e36_requests_that_are_refused_together_count_once() -> None:
    async def main() -> None:
        budget = Budget(100, random=lambda: 1.0)
        for _ in range(30):
            budget.refused()
        await budget.turn()
        assert now() == pytest.approx(0.5, abs=TICK)
        budget.refused()
        await budget.turn()
        assert now() == pytest.approx(1.5, abs=2 * TICK)

    run(main())


def test_e36_background_work_pauses_longest() -> None:
    async def main() -> None:
        budget = Budget(100, random=lambda: 0.5)
        journal = Journal(budget)
        budget.refused("2")
        await journal.all([Caller(0, 0, in_background=True), Caller(1, 0)])
        assert [(round(time, 1), caller.number) for time, caller in journal.begun] == [(2.2, 1), (3.0, 0)]

    run(main())
