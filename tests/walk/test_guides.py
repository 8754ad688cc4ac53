"""A stranger's walk: README and the guides, word for word, in a fresh clone of the last commit, with the sandbox."""

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.deploy.world import ROOT, in_a_world_of_its_own, require
from tests.walk.story import STORIES
from tests.walk.stranger import Shell, commands, printed


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which the demo has installed what it needs, and then Tollkeeper as for those without pipx."""
    folder = tmp_path_factory.mktemp("stranger") / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True, timeout=60)
    shell = Shell(folder.parent, folder)
    assert "--reset" in shell.types("scripts/demo --help")
    shell.types(*commands(printed(folder / "README.md", "Install")[1]))
    shell.types(*commands(printed(folder / "docs/library.md", "In your Python app")[0]))
    shell.types(commands(printed(folder / "examples/README.md", "Examples")[0])[0])
    assert "tollkeeper 0." in shell.types("tollkeeper --version")
    return folder


@pytest.mark.parametrize("story", STORIES)
def test_it_works_as_it_is_written(clone: Path, tmp_path: Path, story: str) -> None:
    require(*({"nginx", "caddy"} & {story}))
    shutil.copy(clone.parent / "shell", tmp_path)
    said = in_a_world_of_its_own("tests.walk.story", story, clone, tmp_path, seconds=180)
    assert said.endswith("Arrived.\n"), said
