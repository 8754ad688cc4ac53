"""A short run of ``scripts/bench gate`` with few people, so that it keeps working. Its figures mean nothing."""

import io
import json
import shutil

import pytest
from rich.console import Console
from tests.bench.__main__ import main
from tests.bench.gate import BASE, Findings, Target
from tests.bench.load import WRK_MISSING, Load
from tests.bench.showing import show

SMALL = ("--people", "50", "--rounds", "1", "--seconds", "1", "--requests", "100")

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")


@needs_wrk
def test_a_short_run_measures_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    main(["gate", *SMALL, "--only", "sqlite", "--only", "imports", "--json"])
    reported = json.loads(capsys.readouterr().out)
    assert set(reported["cases"]) > {BASE, "SQLite, 50 people: allow", "SQLite, 50 people: pay", "dashboard page"}
    for case in reported["cases"].values():
        assert case["rate"] > 0
        assert 0 < case["p50_ms"] <= case["p99_ms"]
        assert [found["wrong"] for found in case["rounds"]] == [0]
    assert all(isinstance(target["reached"], bool) for target in reported["targets"])


def test_people_are_shown_tables() -> None:
    load = Load(requests=300, seconds=2, p50=1.5, p99=2.5, wrong=0, cpu=0.03)
    found = Findings({BASE: [load] * 3}, {"MB: bare": 31.25}, [Target("rate", 0.5, 0.7, at_least=True)])
    written = io.StringIO()
    show(found, Console(width=120, file=written))
    shown = written.getvalue()
    assert [word for word in ("150", "100.00", "31.25", "≥ 0.7", "MISSED") if word not in shown] == []


def test_without_the_load_generator_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit) as stopped:
        main(["gate", *SMALL])
    assert str(stopped.value) == WRK_MISSING
