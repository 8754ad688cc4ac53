"""The image: built from the Containerfile without a network, on a base made here, and run as its user."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.deploy.world import ROOT, in_a_world_of_its_own, require

BASE = "localhost/base"


class Builder:
    """buildah, which builds images without an engine and without being asked by anybody, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._options = ["--root", f"{folder}/storage", "--runroot", f"{folder}/run", "--storage-driver", "vfs"]

    def __call__(self, *arguments: str | Path) -> str:
        done = subprocess.run(
            ["buildah", *self._options, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    @contextmanager
    def working(self, image: str) -> Iterator[tuple[str, Path]]:
        """A container of an image, and the folder in which its root is."""
        container = self("from", "--pull-never", image)
        yield container, Path(self("mount", container))
        self("rm", container)


def make_base(builder: Builder) -> str:
    """A small Debian with Python, of the release that runs here. Its version of Python."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    suite = release["VERSION_CODENAME"]
    with builder.working("scratch") as (container, root):
        left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man")]
        options = ["--quiet", "--variant=essential", "--include=python3-venv", *left_out]
        command = ["mmdebstrap", *options, suite, str(root)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        builder("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", container)
        builder("commit", "--quiet", container, BASE)
        return next(root.glob("usr/lib/python3.*")).name.removeprefix("python")


def download(wheels: Path, python: str) -> None:
    """All that the Containerfile installs, as files, for a version of Python."""
    subprocess.run([sys.executable, "-m", "venv", wheels / "pip"], check=True, timeout=60)
    wanted = [item for name in ("build", "app") for item in ("-r", ROOT / f"requirements/{name}.txt")]
    options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", f"--python-version={python}"]
    subprocess.run([wheels / "pip/bin/pip", "download", *options, "-d", wheels, *wanted], check=True, timeout=300)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory: images are many small files, and copied at every step."""
    require("buildah", "mmdebstrap")
    if os.geteuid() != 0:
        pytest.skip("only root may mount an image here")
    with tempfile.TemporaryDirectory(prefix="tollkeeper-") as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6g", "tollkeeper", name], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def test_the_image_sells_something(folder: Path) -> None:
    builder, wheels = Builder(folder), folder / "wheels"
    wheels.mkdir()
    python = make_base(builder)
    download(wheels, python)
    offline = ["--build-arg=PIP_NO_INDEX=1", "--build-arg=PIP_FIND_LINKS=/wheels", f"--volume={wheels}:/wheels:ro"]
    # Docker's format, since the other has no health check.
    how = ["--isolation=chroot", "--format=docker", "--pull-never", "--file=Containerfile"]
    builder("build", "--quiet", *how, f"--build-arg=BASE={BASE}", *offline, "--tag=localhost/tollkeeper", ".")
    with builder.working("localhost/tollkeeper") as (container, root):
        (folder / "config.json").write_text(json.dumps(json.loads(builder("inspect", container))["Docker"]["config"]))
        said = in_a_world_of_its_own("tests.deploy.image_story", root, folder / "config.json", folder, seconds=120)
    assert "Bought." in said
