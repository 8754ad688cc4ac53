"""The sandbox as one app: both stand-ins and the stylesheet on a real server, and the files in its folder."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.sandbox.identity.parties import serving

from tollkeeper_sandbox import create_sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("sandbox")
    with serving(lambda url: create_sandbox(base_url=url, folder=folder)) as url:
        yield url


def keys_at(base_url: str) -> object:
    return httpx2.get(f"{base_url}/identity/jwks.json").json()


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html"),
        ("/identity", "text/html"),
        ("/static/sandbox.css", "text/css"),
        ("/identity/.well-known/openid-configuration", "application/json"),
    ],
)
def test_everything_is_served(sandbox: str, path: str, media_type: str) -> None:
    response = httpx2.get(sandbox + path)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(media_type)


def test_stripe_answers_in_its_own_way(sandbox: str) -> None:
    response = httpx2.get(f"{sandbox}/v1/customers")
    assert response.status_code == 401
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_it_answers_under_any_name_and_keeps_its_own_address(sandbox: str) -> None:
    address = f"{sandbox}/identity/.well-known/openid-configuration"
    found = httpx2.get(address, headers={"Host": "sandbox.internal"}).json()
    assert found["issuer"] == f"{sandbox}/identity"


def test_a_restart_on_the_same_folder_keeps_the_signing_key(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    kept = []
    for _ in range(2):
        with serving(lambda url: create_sandbox(base_url=url, folder=folder)) as url:
            kept.append(keys_at(url))
    assert kept[0] == kept[1]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "ledger.sqlite3").exists()


def test_without_a_folder_nothing_is_kept() -> None:
    kept = []
    for _ in range(2):
        with serving(lambda url: create_sandbox(base_url=url)) as url:
            kept.append(keys_at(url))
    assert kept[0] != kept[1]


def test_its_facts_come_without_its_weight() -> None:
    light = "import sys, tollkeeper_sandbox; print({'authlib', 'jinja2', 'starlette', 'stripe'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True, timeout=20)
    assert printed.stdout.strip() == "set()"
