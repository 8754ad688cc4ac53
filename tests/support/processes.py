"""The real commands in processes of their own, which tests can stop and kill."""

import logging
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from tests.support.running import API_KEY, SECRET_KEY, Account, Site, look, settings_for
from typer.testing import CliRunner

from tollkeeper import cli

START_SECONDS = 90
DYING = Path(__file__).with_name("dying.py")
SECRETS = ("canary", SECRET_KEY, API_KEY, "whsec_")


def free_port(neighbours: int = 0) -> int:
    """Return a free port with free ports after it, below those that the system assigns itself."""
    for _ in range(100):
        port = random.randrange(15_000, 32_000)
        if all(_is_free(port + step) for step in range(neighbours + 1)):
            return port
    raise AssertionError("no free port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Return whether a server accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def clean_environment(folder: Path) -> dict[str, str]:
    """Return an environment with none of our settings, and with its own home folder."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "COLUMNS": "200", "LANG": "C.UTF-8"}


def run(
    *arguments: str, folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "tollkeeper", *arguments],
        cwd=folder,
        env=clean_environment(folder) | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )


def run_here(
    *arguments: str, folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself in this process: the same output and status, but faster."""
    with own_logs():
        given = {"COLUMNS": "200", **(environment or {})}
        ended = CliRunner().invoke(cli.app, [*arguments, "--folder", str(folder)], env=given)
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return subprocess.CompletedProcess(arguments, ended.exit_code, ended.stdout, ended.stderr)


def ask(site: Site, folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the site's settings. Whatever it says, it tells no secret."""
    ended = run_here(*arguments, folder=folder, environment=site.settings | settings)
    assert not any(secret in ended.stdout + ended.stderr for secret in SECRETS)
    assert "Traceback" not in ended.stderr
    return ended


@contextmanager
def own_logs() -> Iterator[None]:
    """Keep other logs out of a command's output, and restore the log settings afterwards."""
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        yield
    finally:
        structlog.configure(**config)
        root.handlers[:] = handlers
        root.setLevel(level)


@dataclass
class Process:
    """A command that is running or has ended."""

    popen: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        """What it has written to standard output and standard error."""
        return self.log.read_text()

    def tell(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.popen.send_signal(number)

    def ended(self, seconds: float = 15) -> int:
        """Wait for its end. Returns the exit status, or minus the number of the signal that killed it."""
        return self.popen.wait(seconds)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.popen.kill()
        self.popen.wait(5)


@contextmanager
def started(*command: str, folder: Path) -> Iterator[Process]:
    """Start a command. It is killed at the end, unless it has ended before."""
    with (folder / f"log-{time.monotonic_ns()}").open("wb") as log:
        popen = subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=clean_environment(folder), stdout=log, stderr=subprocess.STDOUT
        )
        process = Process(popen, Path(log.name))
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def running(*command: str, folder: Path, port: int) -> Iterator[Process]:
    """Start a command, and wait until it responds on its port."""
    with started(*command, folder=folder) as process:
        wait_until_up(process, port)
        yield process


def wait_until_up(process: Process, port: int) -> None:
    """Wait until it answers. Fails with its output if it ends instead."""
    end = time.monotonic() + START_SECONDS
    while not _answers(port):
        assert process.popen.poll() is None, f"it ended with {process.popen.returncode}:\n{process.output()}"
        assert time.monotonic() < end, f"it does not listen:\n{process.output()}"
        time.sleep(0.05)


def _answers(port: int) -> bool:
    """Return whether the app responds, which is later than when its port is open."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as probe:
            probe.settimeout(1)
            probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return probe.recv(12).startswith(b"HTTP/1.1 ")
    except OSError:
        return False


@dataclass
class Installation:
    """A folder with settings and a database, from which the app can be served repeatedly."""

    folder: Path
    settings: dict[str, str]

    @property
    def url(self) -> str:
        return self.settings["PUBLIC_URL"]

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port
        return port

    def rows(self, table: Any) -> list[Any]:
        """Every row of a table."""
        return look(self.settings["DATABASE_URL"], lambda conn: list(conn.execute(table.select())))

    @contextmanager
    def serving(self, **faults: str | int) -> Iterator[Process]:
        """``tollkeeper serve``. ``faults`` are the options of ``dying.py``."""
        options = [f"--{name}={value}" for name, value in faults.items()]
        command = [str(DYING), *options] if options else ["-m", "tollkeeper"]
        with running(*command, "serve", f"--port={self.port}", folder=self.folder, port=self.port) as process:
            yield process


def installed(sandbox: Account, database_url: str, folder: Path, path: str = "", **more: str) -> Installation:
    """Write a ``.env`` file for an app on a free port, optionally at a path, with the sandbox behind it."""
    settings = settings_for(f"http://127.0.0.1:{free_port()}{path}", sandbox, database_url, **more)
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return Installation(folder, settings)
