"""Folders and files that are not there or cannot be read: each is one fault, and causes no second one."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tollkeeper.config.load import load, load_wishes
from tollkeeper.errors import ConfigurationError, Fault
from tollkeeper.providers.stripe.kind import STRIPE

SET = {
    "PUBLIC_URL": "http://localhost:4000",
    "SECRET_KEY": "q3ZbT0v9LxM7cRk2WnYs8HdJf5GpAeUi",
    "STRIPE_API_KEY": "sk_test_51abc",
    "OIDC_ISSUER": "https://id.example.com",
    "OIDC_CLIENT_ID": "tollkeeper",
    "OIDC_CLIENT_SECRET": "oidc-secret-1",
}
PRO = '[products.pro]\nname = "Pro"\nunlocks = ["dashboard"]\n'


def faults_of(environ: Mapping[str, str], folder: Path) -> list[Fault]:
    with pytest.raises(ConfigurationError) as caught:
        load(environ, folder)
    with pytest.raises(ConfigurationError):
        load_wishes(environ, folder, STRIPE)
    return list(caught.value.faults)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (fault,) = faults_of(SET, tmp_path / "etc")
    assert (fault.variable, fault.problem) == (str(tmp_path / "etc"), "does not exist")
    (tmp_path / "file").touch()
    (fault,) = faults_of(SET, tmp_path / "file")
    assert fault.problem == "is not a folder"


def test_a_folder_with_nothing_in_it(tmp_path: Path) -> None:
    first, *others = faults_of({}, tmp_path)
    assert first.variable == str(tmp_path)
    assert "--folder" in first.remedy
    assert others
    (tmp_path / ".env").touch()
    assert faults_of({}, tmp_path) == others


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b'stripe = ["price_1"', "is not TOML"), (b"\xff\xfe", "cannot be read"), (b"products = 3", "is not a table")],
)
def test_a_catalog_that_cannot_be_read(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "tollkeeper.toml").write_bytes(content)
    (fault,) = faults_of({**SET, "PUBLIC_URL": ""}, tmp_path)
    assert fault.problem.startswith(problem)
    # What is set elsewhere, and wrong for sure, is told beside it.
    assert [one.variable for one in faults_of({**SET, "SECRET_KEY": "short"}, tmp_path)][1:] == ["SECRET_KEY"]


@pytest.mark.parametrize("line", ["stripe = [1]", 'strip = ["price_1"]', "stripe = 4.5", "stripe = {}"])
def test_one_wrong_line_of_a_product(tmp_path: Path, line: str) -> None:
    (tmp_path / "tollkeeper.toml").write_text(f"{PRO}{line}\n")
    with pytest.raises(ConfigurationError) as caught:
        load(SET, tmp_path)
    assert len(caught.value.faults) == 1


def test_another_product_is_told_of_all_the_same(tmp_path: Path) -> None:
    other = PRO.replace("products.pro", "products.other")
    (tmp_path / "tollkeeper.toml").write_text(f'{PRO}strip = ["price_1"]\n{other}')
    with pytest.raises(ConfigurationError) as caught:
        load(SET, tmp_path)
    assert [fault.variable for fault in caught.value.faults] == ["products.pro.strip", "products.other.stripe"]
