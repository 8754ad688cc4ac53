"""``scripts/release``: what it makes, and that it finds what must not be released."""

import gzip
import io
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.deploy.artifacts import Unfit, check_metadata, check_sdist, check_wheel
from tests.deploy.world import ROOT


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It builds everything twice itself, and compares."""
    folder = tmp_path_factory.mktemp("dist")
    command = [ROOT / "scripts/release", folder]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    assert "the same bytes" in done.stdout
    assert "answers 200" in done.stdout
    return folder


def only(folder: Path, pattern: str) -> Path:
    (file,) = folder.glob(pattern)
    return file


def test_it_makes_a_wheel_and_an_sdist(released: Path) -> None:
    assert sorted(file.suffix for file in released.iterdir()) == [".gz", ".whl"]


def test_a_file_too_many_is_found(released: Path, tmp_path: Path) -> None:
    wheel = Path(shutil.copy(only(released, "*.whl"), tmp_path))
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("tollkeeper/notes.txt", "")
    with pytest.raises(Unfit, match=r"not expected: tollkeeper/notes\.txt"):
        check_wheel(wheel)


def test_a_file_too_few_is_found(released: Path, tmp_path: Path) -> None:
    sdist = only(released, "*.tar.gz")
    made = tmp_path / sdist.name
    with tarfile.open(sdist) as full, gzip.open(made, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as less:
        for member in full.getmembers():
            if not member.name.endswith("/LICENSE"):
                less.addfile(member, full.extractfile(member) or io.BytesIO())
    with pytest.raises(Unfit, match=r"missing: .*/LICENSE"):
        check_sdist(made)


@pytest.mark.parametrize("line", ["License-Expression", "Requires-Python", "Keywords", "Provides-Extra"])
def test_metadata_that_lack_something_are_found(released: Path, line: str) -> None:
    wheel = only(released, "*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(name)
    check_metadata(text)
    head, _, description = text.partition(b"\n\n")
    kept = [one for one in head.splitlines() if not one.startswith(line.encode() + b":")]
    with pytest.raises(Unfit, match="lacks"):
        check_metadata(b"\n".join(kept) + b"\n\n" + description)
