"""The unit for systemd: it is valid, and leaves little open."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.deploy.world import ROOT, require

OPEN_AT_MOST = 1.2
"""On the scale of ``systemd-analyze security``: 0 is best, a service without any protection is at 9.6."""


@pytest.fixture(params=[False, True], ids=["as it is", "with the secret from a file"])
def unit(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The unit, for the program that is installed here. Optionally with the lines that are left to be uncommented."""
    require("systemd-analyze")
    text = (ROOT / "deploy/tollkeeper.service").read_text()
    assert text.count("ExecStart=/opt/tollkeeper/bin/tollkeeper ") == 1
    text = text.replace("/opt/tollkeeper/bin/tollkeeper", f"{sys.prefix}/bin/tollkeeper")
    if request.param:
        text, lines = re.subn(r"^# (?=LoadCredential=|Environment=)", "", text, flags=re.MULTILINE)
        assert lines == 2
    file = tmp_path / "tollkeeper.service"
    file.write_text(text)
    return file


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)


def test_the_unit_is_valid(unit: Path) -> None:
    found = analyze("verify", "--man=no", unit)
    assert (found.returncode, found.stdout) == (0, "")


def test_an_invalid_unit_would_be_found(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("PrivateTmp=yes", "PrivateTemp=yes"))
    assert "PrivateTemp" in analyze("verify", "--man=no", unit).stdout


def test_the_unit_leaves_little_open(unit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = analyze("security", "--offline=true", unit).stdout
    found = re.search(r"Overall exposure level for tollkeeper\.service: ([0-9.]+)", said)
    assert found, said
    with capsys.disabled():
        print(f"\nsystemd-analyze security: {found[1]}")  # noqa: T201
    assert float(found[1]) <= OPEN_AT_MOST, said
