"""PostgreSQL's own programs for backups: ``pg_dump`` and ``pg_restore``, found in the PATH.

https://www.postgresql.org/docs/current/app-pgdump.html
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL

from tollkeeper.errors import StorageError

MAGIC = b"PGDMP"

# How often to look how far a program has come. Seconds.
LOOK = 0.5

PACKAGE = "Install PostgreSQL's client programs, of the server's version or a newer one."


@dataclass
class Archive:
    """What is in a dump: its schema, how many rows each table has, and the rows of one."""

    schema: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    rows: list[str] = field(default_factory=list)


def require(server: int) -> None:
    """Raise ``StorageError`` unless ``pg_dump`` can dump a server of this major version."""
    said = subprocess.run([_program("pg_dump"), "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\b(\d+)(?:\.\d+|devel|beta|rc)", said)
    if found is None or int(found[1]) < server:
        which = found[1] if found else "unknown"
        raise StorageError(f"pg_dump has version {which}, and the server {server}: it cannot dump it. {PACKAGE}")


def dump(
    address: URL, to: Path, schema: str, without: Iterable[str], snapshot: str, copied: Callable[[int], None]
) -> None:
    """Dump a schema as a snapshot sees it, without these tables and views, which are another application's.

    Not by naming our tables: their trigger's function would be missing. ``copied`` is given the size of the file so
    far, in bytes.
    """
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}"]
    which = [f"--schema={_pattern(schema)}", *(f"--exclude-table={_pattern(schema, name)}" for name in without)]
    with _running(address, "pg_dump", *options, *which, f"--file={to}") as process:
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK)
            copied(to.stat().st_size)


def read(file: Path, rows_of: str, counted: Callable[[int], None] = lambda rows: None) -> Archive:
    """Read a dump to its end, and count what is in it. Also returns the rows of the table ``rows_of``."""
    archive = Archive()
    with _running(None, "pg_restore", "--data-only", "--file=-", str(file), stdout=subprocess.PIPE) as process:
        _count(process.stdout or (), archive, rows_of, counted)
    return archive


def load(address: URL, file: Path, schema: str) -> None:
    """Load a dump into a database, all of it or nothing. The schema must be there, as ``public`` is everywhere."""
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", f"--schema={schema}"]
    with _running(address, "pg_restore", *options, str(file)):
        pass


def _count(lines: Iterable[bytes], archive: Archive, rows_of: str, counted: Callable[[int], None]) -> None:
    """As SQL, the data of each table stands between a COPY line and a line with a backslash and a dot."""
    table, total = None, 0
    for line in lines:
        if table is None:
            if begun := re.match(rb'COPY "?([^"]+?)"?\."?(\w+)"? \(', line):
                archive.schema, table = begun[1].decode(), begun[2].decode()
                archive.counts[table] = 0
        elif line == b"\\.\n":
            table = None
            counted(total)
        else:
            archive.counts[table] += 1
            total += 1
            if table == rows_of:
                archive.rows.append(line.decode().strip())


def _pattern(*names: str) -> str:
    """A name as these programs take it: literally, in quotes."""
    return ".".join('"{}"'.format(name.replace('"', '""')) for name in names)


@contextmanager
def _running(
    address: URL | None, name: str, *options: str, stdout: int | None = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """A program while it runs. Raises ``StorageError`` with its own words if it fails, and ends it on any error."""
    where, environment = _how_to_connect(address) if address is not None else ([], {})
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [_program(name), "--no-password", *where, *options] if where else [_program(name), *options],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=said,
        )
        try:
            yield process
            process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if process.returncode != 0:
            said.seek(0)
            raise StorageError(f"{name} failed: {said.read(2000).decode('utf-8', 'replace').strip()}")


def _how_to_connect(address: URL) -> tuple[list[str], dict[str, str]]:
    """The options that name a database, and the environment. The password must not be among the options: every user of
    the machine may read those.
    """
    # ``URL.set`` would keep the password.
    plain = address._replace(drivername="postgresql", password=None).render_as_string(hide_password=False)
    secret = {"PGPASSWORD": str(address.password)} if address.password else {}
    return [f"--dbname={plain}"], secret


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise StorageError(f"There is no {name} in the PATH. {PACKAGE}")
    return found
