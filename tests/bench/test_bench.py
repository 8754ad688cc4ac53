"""A short run of ``scripts/bench gate`` with few people, so that it cannot rot. How fast it is here says nothing."""

import json
import shutil

import pytest
from tests.bench.__main__ import main
from tests.bench.gate import BASE, WEBHOOK_CASES
from tests.bench.load import WRK_MISSING

SMALL = ("--people", "50", "--rounds", "1", "--seconds", "1", "--requests", "100")

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")


@needs_wrk
def test_a_short_run_measures_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    main(["gate", *SMALL, "--only", "sqlite", "--only", "imports", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert set(told["cases"]) > {BASE, "SQLite, 50 people: allow", "SQLite, 50 people: pay", "dashboard page"}
    for case in told["cases"].values():
        assert case["rate"] > 0
        assert 0 < case["p50_ms"] <= case["p99_ms"]
        assert [found["wrong"] for found in case["rounds"]] == [0]
    assert all(isinstance(target["reached"], bool) for target in told["targets"])


@needs_wrk
def test_people_are_shown_tables(capsys: pytest.CaptureFixture[str]) -> None:
    main(["gate", *SMALL, "--only", "webhooks", "--only", "start"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in (*WEBHOOK_CASES, "first answer", "answers/s", "wanted"))


def test_without_the_load_generator_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit) as stopped:
        main(["gate", *SMALL])
    assert str(stopped.value) == WRK_MISSING
