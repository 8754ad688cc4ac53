"""Secrets in files of their own: ``SECRET_KEY_FILE`` and so on."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.unit.test_config import CANARY, GOOD_SECRET, MINIMAL, OLD_SECRET, faults_of, without

from tollkeeper.config.load import load
from tollkeeper.config.settings import SETTINGS
from tollkeeper.errors import Fault
from tollkeeper.settings.sources import LARGEST_SECRET

SECRETS = {
    "SECRET_KEY": GOOD_SECRET,
    "METRICS_TOKEN": GOOD_SECRET,
    "DATABASE_URL": "postgresql://u:p@db/toll",
    "STRIPE_API_KEY": "sk_test_1",
    "STRIPE_WEBHOOK_SECRET": "whsec_1",
    "GOOGLE_CLIENT_SECRET": "google-secret-1",
    "GITHUB_CLIENT_SECRET": "github-secret-1",
    "OIDC_CLIENT_SECRET": "oidc-secret-1",
}
COMPANIONS = {"GOOGLE_CLIENT_ID": "g", "GITHUB_CLIENT_ID": "h"}


def in_files(secrets: Mapping[str, str], folder: Path) -> dict[str, str]:
    for name, value in secrets.items():
        (folder / name.lower()).write_text(value + "\n")
    return {f"{name}_FILE": str(folder / name.lower()) for name in secrets}


def fault_of(named: str, folder: Path) -> Fault:
    """The one fault of a secret key that is in a file: nothing more is said to be missing."""
    [fault] = faults_of(without("SECRET_KEY") | {"SECRET_KEY_FILE": named}, folder)
    assert fault.variable == "SECRET_KEY_FILE"
    return fault


def test_every_secret_may_be_in_a_file(tmp_path: Path) -> None:
    assert set(SECRETS) == {setting.name for setting in SETTINGS if setting.secret}
    plain = without(*SECRETS) | COMPANIONS
    assert load(plain | in_files(SECRETS, tmp_path), tmp_path) == load(plain | SECRETS, tmp_path)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", " \n\n"])
def test_what_ends_the_line_is_no_part_of_the_secret(tmp_path: Path, ending: str) -> None:
    (tmp_path / "key").write_bytes(f"{GOOD_SECRET}{ending}".encode())
    config = load(without("SECRET_KEY") | {"SECRET_KEY_FILE": "./key"}, tmp_path)
    assert config.secret_keys == (GOOD_SECRET,)


def test_a_file_may_hold_a_list(tmp_path: Path) -> None:
    environ = without("SECRET_KEY") | in_files({"SECRET_KEY": f"{GOOD_SECRET}, {OLD_SECRET}"}, tmp_path)
    assert load(environ, tmp_path).secret_keys == (GOOD_SECRET, OLD_SECRET)


@pytest.mark.parametrize("place", [".env", "tollkeeper.toml"])
def test_the_file_may_be_named_anywhere(tmp_path: Path, place: str) -> None:
    (tmp_path / "key").write_text(GOOD_SECRET)
    (tmp_path / place).write_text('SECRET_KEY_FILE="./key"\n')
    assert load(without("SECRET_KEY"), tmp_path).secret_keys == (GOOD_SECRET,)


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_i58_a_secret_and_its_file(tmp_path: Path, place: str) -> None:
    """Even in different places: nobody should have to know which of the two wins."""
    environ = MINIMAL | in_files({"SECRET_KEY": OLD_SECRET}, tmp_path)
    if place == ".env":
        (tmp_path / ".env").write_text(f"SECRET_KEY_FILE={environ.pop('SECRET_KEY_FILE')}\n")
    [fault] = faults_of(environ, tmp_path)
    assert (fault.variable, fault.problem) == ("SECRET_KEY_FILE", "is set, and so is SECRET_KEY")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b" , ,\n", "is empty"),
        (CANARY.encode() + b"\n" + CANARY.encode(), "has more than one line"),
        (CANARY.encode() + b"\xff", "is not text in UTF-8"),
        (CANARY.encode() * LARGEST_SECRET, "is larger than 16 KiB"),
        (b"\xc3\xa4" * LARGEST_SECRET, "is larger than 16 KiB"),
    ],
)
def test_i58_files_that_hold_no_secret(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    fault = fault_of(str(file), tmp_path)
    assert fault.problem == f"names {file}, which {problem}"
    assert CANARY not in str(fault)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no file that nobody can read")
def test_i58_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert "/proc/self/mem, which cannot be read: " in fault_of("/proc/self/mem", tmp_path).problem


def test_i58_no_file(tmp_path: Path) -> None:
    assert fault_of(str(tmp_path / "none"), tmp_path).problem == f"names {tmp_path / 'none'}, which does not exist"
    assert fault_of(str(tmp_path), tmp_path).problem == f"names {tmp_path}, which is not a file"
    os.mkfifo(tmp_path / "pipe")
    assert fault_of(str(tmp_path / "pipe"), tmp_path).problem.endswith("which is not a file")


def test_i58_several_files_at_fault_are_each_one_fault(tmp_path: Path) -> None:
    environ = without(*SECRETS) | COMPANIONS | {f"{name}_FILE": "/none" for name in SECRETS}
    faults = faults_of(environ, tmp_path)
    assert sorted(fault.variable for fault in faults) == sorted(f"{name}_FILE" for name in SECRETS)


@pytest.mark.parametrize("pasted", [CANARY, f"sk_live_{CANARY}", f"postgresql://u:{CANARY}@db/toll"])
def test_i57_a_secret_in_place_of_its_path_is_not_shown(tmp_path: Path, pasted: str) -> None:
    fault = fault_of(pasted, tmp_path)
    assert fault.problem == "is not the path of a file"
    assert CANARY not in str(fault)


def test_what_is_no_secret_has_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PUBLIC_URL_FILE=/run/secrets/url\n")
    [fault] = faults_of(MINIMAL, tmp_path)
    assert (fault.variable, fault.remedy) == ("PUBLIC_URL_FILE", "Did you mean PUBLIC_URL?")
