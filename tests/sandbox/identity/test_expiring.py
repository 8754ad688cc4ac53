"""Secrets kept for a short time: bounded in time and in number."""

from tests.sandbox.identity.parties import NOW, Clock

from tollkeeper_sandbox.identity.expiring import Expiring


def test_a_value_lives_for_its_time_and_no_longer() -> None:
    clock = Clock()
    kept = Expiring[str](lifetime=60, limit=9, clock=clock)
    kept.keep("a", "value")
    clock.now = NOW + 59.9
    assert kept.get("a") == "value"
    clock.now = NOW + 60
    assert kept.get("a") is None


def test_beyond_the_limit_the_oldest_leaves() -> None:
    kept = Expiring[int](lifetime=60, limit=2, clock=Clock())
    for number, key in enumerate("abc"):
        kept.keep(key, number)
    assert [kept.get(key) for key in "abc"] == [None, 1, 2]


def test_a_dropped_value_is_gone_and_may_be_dropped_again() -> None:
    kept = Expiring[int](lifetime=60, limit=2, clock=Clock())
    kept.keep("a", 1)
    kept.drop("a")
    kept.drop("a")
    assert kept.get("a") is None
