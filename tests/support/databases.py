"""Real databases for tests: a fresh copy of a migrated one for each test, on either engine."""

import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from tollkeeper.storage.migrate import migrate

FOLDER_VARIABLE = "TOLLKEEPER_TEST_CLUSTER"
TEMPLATE = "tollkeeper_template"
SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{folder}'
max_connections = 300
"""
FORGETFUL = """
fsync = off
full_page_writes = off
"""


class Unavailable(Exception):
    """PostgreSQL cannot be started here, with the reason."""


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL server of our own, kept in one folder and reached by a socket in it.

    Fast, but loses data in a power cut, unless it is ``durable``.
    """

    folder: Path
    durable: bool = False

    def make(self) -> None:
        """Create the files and start the server. Raises ``Unavailable`` if PostgreSQL is not installed."""
        if os.geteuid() == 0:
            owner = _owner()
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self._run(
            "initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", self._data
        )
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(SETTINGS.format(folder=self.folder) + ("" if self.durable else FORGETFUL))
        self.start()

    def start(self) -> None:
        """Start the server and wait until it responds."""
        self._run("pg_ctl", "start", "--wait", "-D", self._data, "-l", self._data / "server.log")

    def stop(self) -> None:
        """Stop the server, even if somebody is connected, and wait until it has ended."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate", "-D", self._data)

    def demote(self) -> None:
        """Restart as a standby, which can be read but not written."""
        self.stop()
        (self._data / "standby.signal").touch()
        self.start()

    def promote(self) -> None:
        """Let a standby take over."""
        self._run("pg_ctl", "promote", "--wait", "-D", self._data)

    def remove(self) -> None:
        """Stop the server and delete its files."""
        if (self._data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder)

    def url(self, name: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def create(self, name: str, *, template: str = "template1") -> None:
        """Create a database as a copy of another."""
        self._command(sql.SQL("CREATE DATABASE {} TEMPLATE {}"), name, template)

    def drop(self, name: str) -> None:
        """Delete a database, even if somebody is connected."""
        self._command(sql.SQL("DROP DATABASE {} WITH (FORCE)"), name)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _command(self, command: sql.SQL, *names: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as conn:
            conn.execute(command.format(*map(sql.Identifier, names)))

    def _run(self, binary: str, *arguments: str | Path) -> None:
        owner = _owner() if os.geteuid() == 0 else None
        done = subprocess.run(
            (_binary(binary), *arguments),
            cwd=self.folder,
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # not a pipe: the server would inherit it, and reading it would never end
            stderr=subprocess.DEVNULL,
            timeout=60,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{binary} failed with {done.returncode}; see the files in {self.folder}")


def new_cluster(*, durable: bool = False) -> Cluster:
    """A server for one test alone, which may stop it. The caller removes it."""
    cluster = Cluster(_new_folder(), durable)
    try:
        cluster.make()
    except BaseException:
        cluster.remove()
        raise
    return cluster


def announce_shared_cluster() -> None:
    """Choose the folder of the server that all tests of this run share; workers inherit the choice."""
    os.environ[FOLDER_VARIABLE] = str(_new_folder())


def shared_cluster() -> Cluster:
    """The server that all tests of this run share, with a migrated template; started when first needed."""
    cluster = Cluster(Path(os.environ[FOLDER_VARIABLE]))
    ready = cluster.folder / "ready"
    with (cluster.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            cluster.make()
            cluster.create(TEMPLATE)
            migrate(cluster.url(TEMPLATE))
            ready.touch()
    return cluster


def remove_shared_cluster() -> None:
    """Stop the shared server, if it was started, and delete its files."""
    Cluster(Path(os.environ.pop(FOLDER_VARIABLE))).remove()


@contextmanager
def fresh_postgresql(cluster: Cluster) -> Iterator[str]:
    """The address of a migrated, empty database; dropped afterwards."""
    name = f"test_{uuid4().hex}"
    cluster.create(name, template=TEMPLATE)
    try:
        yield cluster.url(name)
    finally:
        cluster.drop(name)


def fresh_sqlite(template: Path, folder: Path) -> str:
    """The address of a migrated, empty database: a copy of the template."""
    path = folder / "tollkeeper.db"
    shutil.copy(template, path)  # its mode, too
    return f"sqlite:///{path}"


def _new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="tollkeeper-"))  # short: the name of a socket has about 100 bytes


def _owner() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise Unavailable("PostgreSQL does not run as root, and there is no user 'postgres'") from None


def _binary(name: str) -> str:
    """In the PATH, or where Debian puts it, newest version first."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: _number(folder), reverse=True)
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *map(str, versions))))
    if found is None:
        raise Unavailable(f"PostgreSQL is not installed: no {name}")
    return found


def _number(folder: Path) -> int:
    version = folder.parent.name
    return int(version) if version.isdigit() else 0
