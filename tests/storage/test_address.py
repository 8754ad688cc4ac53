from pathlib import Path

import pytest

from tollkeeper.errors import StorageError
from tollkeeper.storage.address import parse


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/toll/keeper.db", "/var/lib/toll/keeper.db"),
        ("sqlite:///keeper.db", "keeper.db"),
        ("sqlite:////with space/100%25 #1.db", "/with space/100% #1.db"),
    ],
)
def test_a_file(url: str, path: str) -> None:
    assert parse(url) == Path(path)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_server(scheme: str) -> None:
    address = parse(f"{scheme}://ada:secret@db.example:5433/toll?sslmode=require")
    assert not isinstance(address, Path)
    assert address.drivername == "postgresql+psycopg"
    assert (address.host, address.port, address.database, address.password) == ("db.example", 5433, "toll", "secret")
    assert address.query == {"sslmode": "require"}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "canary",
        "mysql://ada:canary@db.example/toll",
        "postgresql+asyncpg://ada:canary@db.example/toll",
        "postgresql://ada:canary@db.example:port/toll",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://canary/keeper.db",
        "sqlite:///keeper.db?mode=memory&password=canary",
    ],
)
def test_i57_anything_else_is_refused_in_words_that_keep_its_secrets(url: str) -> None:
    with pytest.raises(StorageError, match="Write sqlite:///") as refused:
        parse(url)
    assert "canary" not in str(refused.value)
