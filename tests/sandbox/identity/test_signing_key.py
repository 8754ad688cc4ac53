"""The signing key over restarts."""

import stat
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.sandbox.identity.parties import app_with

from tollkeeper_sandbox.identity import IdentitySandbox
from tollkeeper_sandbox.identity.keys import FILE_NAME, signing_key


def published(folder: Path | None) -> object:
    issuer = IdentitySandbox(base_url="http://127.0.0.1:4001", folder=folder)
    return TestClient(app_with(issuer)).get("/identity/jwks.json").json()


def test_a_restart_on_the_same_folder_keeps_the_key(tmp_path: Path) -> None:
    assert published(tmp_path) == published(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def test_without_a_folder_each_start_has_its_own() -> None:
    assert published(None) != published(None)


def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    signing_key(tmp_path)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"kty":"RSA","n":"AQ","e":"AQAB"}'])
def test_a_file_that_is_no_key_stops_the_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(ValueError, match="delete it to have a new one made"):
        IdentitySandbox(base_url="http://127.0.0.1:4001", folder=tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == content
