"""The calendar of subscriptions: when a period ends, counted from an anchor.

https://docs.stripe.com/billing/subscriptions/billing-cycle: a month without the anchor's day ends on its last
day, and the next one that has it ends on that day again.
"""

from calendar import monthrange
from datetime import UTC, datetime

from tollkeeper_sandbox.stripe.engine.ledger import JSON

DAY = 24 * 3600
LENGTHS = {"day": DAY, "week": 7 * DAY}
MONTHS = {"month": 1, "year": 12}


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def advanced(anchor: int, recurring: JSON, times: int) -> int:
    """Return the anchor, moved by a number of a price's intervals."""
    interval, count = recurring["interval"], int(recurring["interval_count"]) * times
    if interval in LENGTHS:
        return anchor + count * LENGTHS[interval]
    return months_after(anchor, count * MONTHS[interval])


def months_after(anchor: int, months: int) -> int:
    at = datetime.fromtimestamp(anchor, UTC)
    year, month = divmod(_months(at) + months, 12)
    day = min(at.day, monthrange(year, month + 1)[1])
    return int(at.replace(year=year, month=month + 1, day=day).timestamp())


def end_of_period(anchor: int, recurring: JSON, moment: int) -> int:
    """Return the end of the period that contains this moment. Until an anchor in the future it is one period."""
    if anchor > moment:
        return anchor
    times = _whole_intervals(anchor, recurring, moment)
    while advanced(anchor, recurring, times) <= moment:
        times += 1
    return advanced(anchor, recurring, times)


def _whole_intervals(anchor: int, recurring: JSON, moment: int) -> int:
    """Return how many intervals have passed since the anchor, or one more: the day and the hour do not count."""
    interval, count = recurring["interval"], int(recurring["interval_count"])
    if interval in LENGTHS:
        return (moment - anchor) // (count * LENGTHS[interval])
    begin, end = (datetime.fromtimestamp(one, UTC) for one in (anchor, moment))
    return (_months(end) - _months(begin)) // (count * MONTHS[interval])


def _months(at: datetime) -> int:
    return at.year * 12 + at.month - 1


def spoken(recurring: JSON) -> str:
    """Write an interval: ``per month``, ``every 3 months``."""
    interval, count = recurring["interval"], recurring["interval_count"]
    return f"per {interval}" if count == 1 else f"every {count} {interval}s"
