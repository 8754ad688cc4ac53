"""What is in the wheel and the sdist of the last commit: ``python -m tests.deploy.artifacts FOLDER``."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

from packaging.metadata import Metadata, parse_email
from tests.deploy.world import ROOT

# What an index shows and an installer needs.
COMPLETE = (
    "summary",
    "description",
    "description_content_type",
    "keywords",
    "classifiers",
    "requires_python",
    "license_expression",
    "license_files",
    "requires_dist",
    "provides_extra",
)

RELATIVE = re.compile(r"\]\((?![a-z]+:)[^)]*\)")
HEADING = re.compile(r"^#+ .*$", re.MULTILINE)


class Unfit(Exception):
    """It must not be released; says why."""


def committed(*paths: str) -> set[str]:
    """The files of the last commit, or those under some paths."""
    listing = ["git", "ls-tree", "-r", "-z", "--name-only", "HEAD", "--", *paths]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True, timeout=30).stdout
    return {name for name in names.split("\0") if name}


def same(place: str, found: Iterable[str], wanted: Iterable[str]) -> None:
    """Raises ``Unfit`` unless both are the same files, each once."""
    listed, wanted = list(found), set(wanted)
    wrong = {"missing": wanted - set(listed), "not expected": set(listed) - wanted}
    said = "; ".join(f"{what}: {', '.join(sorted(names))}" for what, names in wrong.items() if names)
    if said or len(listed) != len(wanted):
        raise Unfit(f"{place}: {said or 'a file is there twice'}")


def check_sdist(file: Path) -> None:
    """All of the commit, and the metadata. Raises ``Unfit``."""
    with tarfile.open(file) as archive:
        names = [member.name for member in archive.getmembers() if not member.isdir()]
    folder = file.name.removesuffix(".tar.gz")
    same(file.name, names, {f"{folder}/{name}" for name in committed() | {"PKG-INFO"}})


def check_wheel(file: Path) -> None:
    """The two packages and what belongs to them, with complete metadata. Raises ``Unfit``."""
    information = "-".join(file.name.split("-")[:2]) + ".dist-info"
    theirs = {f"{information}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    licence = {f"{information}/licenses/LICENSE"}
    with zipfile.ZipFile(file) as archive:
        packages = {name.removeprefix("src/") for name in committed("src")}
        same(file.name, archive.namelist(), packages | theirs | licence)
        check_metadata(archive.read(f"{information}/METADATA"))


def check_metadata(text: bytes) -> None:
    """Valid, complete, and what pyproject.toml says. Raises ``Unfit``, or an exception group that lists every fault."""
    raw, unparsed = parse_email(text)
    found = Metadata.from_raw(raw)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    missing = [name for name in COMPLETE if not getattr(found, name)]
    if unparsed or missing:
        raise Unfit(f"the metadata lacks {missing}, and has {sorted(unparsed)}, which nobody reads")
    if (found.name, str(found.version)) != (project["name"], project["version"]):
        raise Unfit(f"the metadata calls it {found.name} {found.version}")
    check_description(found.description or "")


def check_description(text: str) -> None:
    """README.md, without what can be found only beside it. Raises ``Unfit``."""
    readme = (ROOT / "README.md").read_text("utf-8")
    if lost := RELATIVE.findall(text):
        raise Unfit(f"the description shows or links to what an index does not have: {lost}")
    if HEADING.findall(text) != HEADING.findall(readme):
        raise Unfit("the description does not have the parts of README.md")


def main(folder: Path) -> None:
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    check_sdist(sdist)
    check_wheel(wheel)
    sys.stdout.write("Complete: the files of the commit, and the metadata.\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
