"""A short run of the quick parts of ``scripts/latency``, so that they keep working."""

import pytest
from tests.endurance.latency import measured, quantile, quick_parts


@pytest.mark.parametrize(
    ("seconds", "share", "expected"),
    [
        ([1.0], 0.99, 1.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([3.0, 1.0, 2.0], 1, 3.0),
        ([float(n) for n in range(1, 201)], 0.99, 198.0),
        ([float(n) for n in range(1, 201)], 0.5, 100.0),
    ],
)
def test_quantiles(seconds: list[float], share: float, expected: float) -> None:
    assert quantile(seconds, share) == expected


QUICK = quick_parts(purchases=10, revocations=3)


@pytest.mark.parametrize("name", QUICK)
def test_a_short_run_measures_something(name: str) -> None:
    outcome = measured({name: QUICK[name]}, lambda words: None)
    (figures,) = outcome.figures.values()
    assert isinstance(figures, dict)
    assert figures["count"] > 0
    assert 0 < figures["p50"] <= figures["p99"] <= figures["max"]
