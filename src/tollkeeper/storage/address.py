"""Where the database is: a file, or a PostgreSQL server."""

from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from tollkeeper.errors import StorageError

FORMS = "Write sqlite:///path/to/file or postgresql://user:password@host/name."

NO_DRIVER = (
    "DATABASE_URL names a PostgreSQL database, but its driver is not installed."
    " Install the extra: pipx install --force 'tollkeeper[postgresql]', or pip install 'tollkeeper[postgresql]'."
)


def parse(url: str) -> Path | URL:
    """The file of a SQLite address, or the address of a PostgreSQL database.

    Raises ``StorageError`` for anything else, and for PostgreSQL if its driver is not installed, which is an extra. The
    message does not repeat the address, which may contain a password.
    """
    try:
        address = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StorageError(f"The database address cannot be understood. {FORMS}") from error
    match address.drivername:
        case "sqlite":
            return _file(address)
        case "postgresql" | "postgres":  # many hosting companies use the second form
            if find_spec("psycopg_pool") is None:
                raise StorageError(NO_DRIVER)
            return address.set(drivername="postgresql+psycopg")
        case other:
            raise StorageError(f"A database of the kind {other!r} is not supported. {FORMS}")


def _file(address: URL) -> Path:
    if address.host or not address.database or address.database == ":memory:" or address.query:
        raise StorageError(f"The SQLite address must name a file and nothing else. {FORMS}")
    return Path(address.database)
