"""Periods end where the calendar says: on the anchor's day, or on a shorter month's last."""

from calendar import monthrange
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper_sandbox.stripe.engine.periods import advanced, end_of_period, months_after, spoken
from tollkeeper_sandbox.stripe.objects.catalog import MOST_INTERVALS

MOMENTS = st.integers(1_500_000_000, 2_500_000_000)
RECURRING = st.sampled_from(sorted(MOST_INTERVALS)).flatmap(
    lambda interval: st.fixed_dictionaries(
        {"interval": st.just(interval), "interval_count": st.integers(1, MOST_INTERVALS[interval])}
    )
)


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("anchor", "interval", "ends"),
    [
        ("2027-01-31T10:00", "month", ["2027-02-28T10:00", "2027-03-31T10:00", "2027-04-30T10:00"]),
        ("2028-01-30T10:00", "month", ["2028-02-29T10:00", "2028-03-30T10:00"]),
        ("2028-02-29T10:00", "year", ["2029-02-28T10:00", "2030-02-28T10:00", "2031-02-28T10:00", "2032-02-29T10:00"]),
        ("2027-12-31T23:59", "week", ["2028-01-07T23:59", "2028-01-14T23:59"]),
        ("2027-12-31T23:59", "day", ["2028-01-01T23:59"]),
    ],
)
def test_a_period_ends_on_the_anchor_s_day_or_on_the_month_s_last(anchor: str, interval: str, ends: list[str]) -> None:
    recurring = {"interval": interval, "interval_count": 1}
    moment, found = seconds(anchor), []
    for _ in ends:
        moment = end_of_period(seconds(anchor), recurring, moment)
        found.append(moment)
    assert found == [seconds(end) for end in ends]


@given(MOMENTS, RECURRING, MOMENTS)
def test_a_period_holds_the_moment_it_is_of(anchor: int, recurring: dict[str, Any], moment: int) -> None:
    end = end_of_period(anchor, recurring, moment)
    assert end > moment
    earlier = [advanced(anchor, recurring, times) for times in range(200)]
    assert not [one for one in earlier if moment < one < end]


@given(MOMENTS, RECURRING, st.integers(0, 60))
def test_the_next_period_begins_where_the_last_one_ends(anchor: int, recurring: dict[str, Any], times: int) -> None:
    assert end_of_period(anchor, recurring, advanced(anchor, recurring, times)) == advanced(
        anchor, recurring, times + 1
    )


@given(MOMENTS, st.integers(0, 200))
def test_so_many_months_later_is_in_that_month_at_the_same_hour(anchor: int, months: int) -> None:
    begin, end = (datetime.fromtimestamp(one, UTC) for one in (anchor, months_after(anchor, months)))
    assert (end.year * 12 + end.month) - (begin.year * 12 + begin.month) == months
    assert end.time() == begin.time()
    assert end.day == min(begin.day, monthrange(end.year, end.month)[1])


def test_an_interval_is_spoken_of() -> None:
    assert spoken({"interval": "month", "interval_count": 1}) == "per month"
    assert spoken({"interval": "month", "interval_count": 3}) == "every 3 months"
