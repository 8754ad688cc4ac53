"""The compose file: each service started as it says, and somebody gets into the app."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy.compose_story import DEPLOY
from tests.deploy.world import ROOT, in_a_world_of_its_own, require


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    said: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return said


def test_somebody_signs_in_pays_and_gets_in(tmp_path: Path) -> None:
    require("caddy")
    assert "In." in in_a_world_of_its_own("tests.deploy.compose_story", tmp_path, seconds=150)


def test_what_the_file_names_is_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    sources = [volume.split(":")[0] for one in services.values() for volume in one.get("volumes", [])]
    assert [name for name in sources if name.startswith(".") and not (DEPLOY / name).exists()] == []
    assert {name for name in sources if not name.startswith(".")} == set(compose["volumes"])
    assert {name for one in services.values() for name in one.get("networks", [])} == set(compose["networks"])
    assert {name for one in services.values() for name in one.get("depends_on", {})} <= set(services)
    build = compose["x-tollkeeper"]["build"]
    assert ((DEPLOY / build["context"]).resolve(), (ROOT / build["dockerfile"]).is_file()) == (ROOT, True)


def test_nothing_is_reached_from_other_machines(compose: dict[str, Any]) -> None:
    """It is for trying: there is a sandbox in it, at which anybody may pay with a test card."""
    ports = [port for one in compose["services"].values() for port in one.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_an_app_behind_the_gate_reaches_no_database(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services["app"]["networks"]).isdisjoint(services["postgres"]["networks"])


def test_caddy_is_told_what_its_guide_says() -> None:
    """The guard around the app is the guide's own, word for word, with other ports."""
    guide, ours = ((ROOT / name).read_text("utf-8") for name in ("docs/caddy.md", "deploy/Caddyfile"))

    def route(text: str) -> str:
        return text[text.index("\troute {") :].split("\n}\n")[0]

    assert route(ours).replace("app:9000", "127.0.0.1:9000") == route(guide)
