"""The whole thing on one machine: the app as in production, and the sandbox in place of Stripe and the issuer.

Everything is set up through the sandbox's API, as one would in a real account, and written into files in the demo's
folder, which the app then reads as it would anywhere else.
"""

import fcntl
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from dotenv import dotenv_values

from tollkeeper.app import create_app
from tollkeeper.config import files
from tollkeeper.config import load as config
from tollkeeper.errors import TollkeeperError
from tollkeeper.providers.stripe.kind import STRIPE
from tollkeeper.serving import server
from tollkeeper.settings.writing import with_products
from tollkeeper.storage.migrate import migrate
from tollkeeper_sandbox import CLIENT_ID, CLIENT_SECRET, create_sandbox

API_KEY = "sk_test_sandbox"

# What is on sale: something that is paid once, and something that goes on, by the month or by the year.
ONCE, GOES_ON = "The Flying Machine", "Season ticket"
CATALOG = f"""# Written by the demo at each start.

[products.dashboard]
name = "{ONCE}"
unlocks = ["dashboard"]
offers = ["19 EUR"]

[products.season]
name = "{GOES_ON}"
unlocks = ["dashboard", "hangar"]
offers = ["9 EUR per month", "90 EUR per year"]
trial_days = 14
"""

# How a browser on this machine names what we listen on. On every interface: for a container with forwarded ports.
BROWSER_NAMES = {
    "127.0.0.1": "127.0.0.1",
    "localhost": "localhost",
    "::1": "[::1]",
    "0.0.0.0": "127.0.0.1",  # noqa: S104
    "::": "[::1]",
}

# What the demo makes in its folder, and so what --reset may delete there.
FILES = (".env", "tollkeeper.toml", "tollkeeper.sqlite3", "tollkeeper.sqlite3-wal", "tollkeeper.sqlite3-shm")
SANDBOX_FOLDER = "sandbox"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the demo and its sandbox answer."""

    app: str
    sandbox: str


def addresses(host: str, port: int) -> Addresses:
    """The addresses to open in a browser. Raises ``TollkeeperError`` for a host that no browser here could use."""
    if host not in BROWSER_NAMES:
        raise TollkeeperError(
            f"Demo and sandbox are for this machine alone and cannot be opened at {host}."
            " Use --host 127.0.0.1, localhost, or (in a container) 0.0.0.0."
        )
    return Addresses(f"http://{BROWSER_NAMES[host]}:{port}", f"http://{BROWSER_NAMES[host]}:{port + 1}")


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder, and keep other demos out of it. Raises ``TollkeeperError`` if it cannot be used."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError as error:
        raise TollkeeperError(f"Another demo runs in {folder}. Stop it, or choose another --data.") from error
    except OSError as error:
        raise TollkeeperError(f"Cannot use {folder}: {error.strerror or error}. Choose another --data.") from error


def reset(folder: Path) -> None:
    """Forget everything, touching only what the demo made."""
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / SANDBOX_FOLDER, ignore_errors=True)


async def run(host: str, port: int, folder: Path, ready: Callable[[Addresses], None], *, forget: bool = False) -> None:
    """Serve the demo until told to stop. ``ready`` is called once it answers; ``forget`` begins afresh.

    Raises ``TollkeeperError`` when a port is taken or the folder cannot be used, before anything is forgotten.
    """
    where = addresses(host, port)
    app_socket, sandbox_socket = server.listen(host, port), server.listen(host, port + 1)
    with alone_in(folder):
        if forget:
            reset(folder)
        await _serve(where, folder, app_socket, sandbox_socket, ready)


async def _serve(
    where: Addresses,
    folder: Path,
    app_socket: socket,
    sandbox_socket: socket,
    ready: Callable[[Addresses], None],
) -> None:
    servers = server.Servers()
    try:
        sandbox = create_sandbox(base_url=where.sandbox, folder=folder / SANDBOX_FOLDER, one_clock=True)
        await servers.start(server.Listener(sandbox, sandbox_socket, dated=False))
        await set_up(where, folder)
        settings = config.load({}, folder)
        migrate(settings.database_url)
        # Time is moved on the sandbox's control page. With a time of its own the app would contradict what it shows.
        app = create_app(settings, clock=lambda: int(sandbox.state.now()))
        await servers.start(server.Listener(app, app_socket))
        ready(where)
        await servers.until_stopped()
    finally:
        await servers.stop()


async def set_up(where: Addresses, folder: Path) -> None:
    """What one does once in a new account, as ``tollkeeper setup`` does it, and the settings for it.

    The secret of the webhook endpoint is told when that is made, and never again. Raises ``TollkeeperError``.
    """
    file, catalog = folder / ".env", folder / "tollkeeper.toml"
    before = dotenv_values(file) if file.exists() else {}
    secret = before.get(STRIPE.webhook_secret)
    settings = {
        "PUBLIC_URL": where.app,
        "SECRET_KEY": before.get("SECRET_KEY") or secrets.token_urlsafe(48),
        "STRIPE_API_KEY": API_KEY,
        "STRIPE_API_BASE": where.sandbox,
        "OIDC_ISSUER": f"{where.sandbox}/identity",
        "OIDC_CLIENT_ID": CLIENT_ID,
        "OIDC_CLIENT_SECRET": CLIENT_SECRET,
        "OIDC_NAME": "Sandbox",
        # Everybody comes from one address here, tests that sign in again and again among them.
        "SIGN_IN_RATE": "1000/minute",
    }
    catalog.write_text(CATALOG)
    wishes = config.load_wishes(settings | ({STRIPE.webhook_secret: secret} if secret else {}), folder, STRIPE)
    done = await wishes.provider.set_up(wishes.base_url, wishes.products, new_endpoint=not secret)
    if done.trouble is not None:
        raise TollkeeperError(done.trouble)
    settings[STRIPE.webhook_secret] = done.webhook_secret or secret or ""
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    catalog.write_text(with_products(CATALOG, files.lines_to_set(done, wishes).products))
