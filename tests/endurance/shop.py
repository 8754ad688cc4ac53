"""A shop in processes of its own: a real database, the sandbox, and the settings from which the app is served."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from urllib.parse import urlsplit

import httpx2
from tests.support.databases import new_cluster
from tests.support.processes import Installation, Process, free_port, installed, run, running
from tests.support.running import Account
from tests.support.webhooks import client

ENGINES = ("sqlite", "postgresql")
SQLITE_FILE = "tollkeeper.db"
STOPS = (signal.SIGINT, signal.SIGTERM)
RATE = "100000/minute"  # all requests come from one address here


@dataclass
class Shop:
    """A shop before the app is served: its folder, its installation, and its sandbox."""

    engine: str
    folder: Path
    app: Installation
    account: Account
    sandbox: Process

    @property
    def sandbox_port(self) -> int:
        """The sandbox's port."""
        return int(self.account.url.rpartition(":")[2])

    @property
    def ledger(self) -> Path:
        """The sandbox's file with what it sent and the responses."""
        return self.folder / "sandbox" / "ledger.sqlite3"


@contextmanager
def open_shop(engine: str, **settings: str) -> Iterator[Shop]:
    """An empty shop. ``settings`` are the app's additional settings. Everything is removed at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tollkeeper-")))
        database_url = stack.enter_context(DATABASES[engine](folder))
        port = free_port()
        sandbox = stack.enter_context(serve_sandbox(folder, port))
        account = Account(f"http://127.0.0.1:{port}")
        app = installed(account, database_url, folder, SIGN_IN_RATE=RATE, PURCHASE_RATE=RATE, **settings)
        made = run("migrate", folder=folder)
        assert made.returncode == 0, made.stderr
        yield Shop(engine, folder, app, account, sandbox)


def payment_of(account: Account, page: httpx2.Response) -> str:
    """The id of the payment that was made on a hosted page."""
    checkout = urlsplit(str(page.url)).path.rpartition("/")[2]
    return str(account.stripe.v1.checkout.sessions.retrieve(checkout).payment_intent)


def use_control_page(account: Account, path: str, **form: str) -> str:
    """Send one of the forms of the sandbox's control page. Return the id of the object it created or changed."""
    answer = client().post(f"{account.url}/control/{path}", data=form).raise_for_status()
    return str(answer.json()["id"])


@contextmanager
def serve_sandbox(folder: Path, port: int) -> Iterator[Process]:
    """``tollkeeper sandbox``, which remembers payments in the folder."""
    command = ("-m", "tollkeeper", "sandbox", f"--port={port}", f"--data={folder / 'sandbox'}")
    with running(*command, folder=folder, port=port) as process:
        yield process


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / SQLITE_FILE}"


@contextmanager
def _postgresql(_folder: Path) -> Iterator[str]:
    cluster = new_cluster(durable=True)
    try:
        cluster.create("tollkeeper")
        yield cluster.url("tollkeeper")
    finally:
        cluster.remove()


DATABASES = {"sqlite": _sqlite, "postgresql": _postgresql}


def clean_up_when_stopped() -> None:
    """Let Ctrl-C and SIGTERM end the script through every ``finally``, which they do not interrupt in turn."""

    def leave(number: int, _frame: FrameType | None) -> None:
        for each in STOPS:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    for each in STOPS:
        signal.signal(each, leave)
