"""The whole thing on one machine: the app as in production, and the sandbox in place of Stripe and the issuer.

Everything is set up through the sandbox's API, as one would in a real account, and written into files in the demo's
folder, which the app then reads as it would anywhere else.
"""

import fcntl
import secrets
import shutil
from asyncio import Lock
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from urllib.parse import urlsplit

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
from tollkeeper_sandbox.proxy import create_gated_app

API_KEY = "sk_test_sandbox"

# What is on sale: something that is paid once, and something that goes on, by the month or by the year.
ONCE, GOES_ON = "The Flying Machine", "Season ticket"
FEATURE = "dashboard"
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
    """Where the demo, its sandbox and the app behind its gate answer."""

    app: str
    sandbox: str
    gated: str


def addresses(host: str, port: int) -> Addresses:
    """The addresses to open in a browser. Raises ``TollkeeperError`` for a host that no browser here could use."""
    if host not in BROWSER_NAMES:
        raise TollkeeperError(
            f"Demo and sandbox are for this machine alone and cannot be opened at {host}."
            " Use --host 127.0.0.1, localhost, or (in a container) 0.0.0.0."
        )
    return Addresses(*(f"http://{BROWSER_NAMES[host]}:{port + step}" for step in range(3)))


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


def forget_app(folder: Path) -> None:
    """Forget what the app has, touching only what the demo made."""
    for name in FILES:
        (folder / name).unlink(missing_ok=True)


def reset(folder: Path) -> None:
    """Forget everything, touching only what the demo made."""
    forget_app(folder)
    shutil.rmtree(folder / SANDBOX_FOLDER, ignore_errors=True)


async def run(host: str, port: int, folder: Path, ready: Callable[[Addresses], None], *, forget: bool = False) -> None:
    """Serve the demo until told to stop. ``ready`` is called once it answers; ``forget`` begins afresh.

    Raises ``TollkeeperError`` when a port is taken or the folder cannot be used, before anything is forgotten.
    """
    where = addresses(host, port)
    sockets = [server.listen(host, port + step) for step in range(3)]
    with alone_in(folder):
        if forget:
            reset(folder)
        await _serve(where, folder, sockets, ready)


async def _serve(where: Addresses, folder: Path, sockets: list[socket], ready: Callable[[Addresses], None]) -> None:
    servers = server.Servers()
    app_socket, sandbox_socket, gated_socket = sockets
    app = App(where, folder, app_socket, servers.stop_soon)
    try:
        sandbox = create_sandbox(
            base_url=where.sandbox,
            folder=folder / SANDBOX_FOLDER,
            one_clock=True,
            emptied=app.emptied,
            gated_app=where.gated,
        )
        await servers.start(server.Listener(sandbox, sandbox_socket, dated=False))
        # Time is moved on the sandbox's control page. With a time of its own the app would contradict what it shows.
        await app.start(lambda: int(sandbox.state.now()))
        gate = f"{where.app}/gate?feature={FEATURE}"
        gated = create_gated_app(gate=gate, address=where.gated, shop=where.app, control=where.sandbox)
        await servers.start(server.Listener(gated, gated_socket))
        ready(where)
        await servers.until_stopped()
    finally:
        await app.stop()
        await servers.stop()
    if app.failure:
        raise app.failure


class App:
    """The app, which can be emptied and started again while the sandbox runs.

    ``give_up`` is called if that fails: there is nothing to serve then.
    """

    def __init__(self, where: Addresses, folder: Path, listening: socket, give_up: Callable[[], None]) -> None:
        self.failure: Exception | None = None
        self._where = where
        self._folder = folder
        self._socket = listening
        self._give_up = give_up
        self._servers = server.Servers()
        self._changing = Lock()
        self._stopped = False

    async def start(self, clock: Callable[[], int]) -> None:
        """Set everything up, and serve it. Raises ``TollkeeperError``."""
        self._clock = clock
        await set_up(self._where, self._folder)
        settings = config.load({}, self._folder)
        migrate(settings.database_url)
        # A copy of the socket, for a server closes its own: meanwhile, browsers wait instead of being refused.
        await self._servers.start(server.Listener(create_app(settings, clock=clock), self._socket.dup()))

    async def stop(self) -> None:
        """Stop for good, after a reset that is under way."""
        async with self._changing:
            await self._servers.stop()
            self._stopped = True

    @asynccontextmanager
    async def emptied(self) -> AsyncIterator[None]:
        """Stop and delete the app's own files; when this is left, begin as if for the first time."""
        async with self._changing:
            if self._stopped:
                raise TollkeeperError("The demo is stopping, so nothing was reset.")
            try:
                await self._servers.stop()
                forget_app(self._folder)
                yield
                await self.start(self._clock)
            except Exception as error:
                self.failure = TollkeeperError(f"The demo could not be reset: {error} Start it again with --reset.")
                self._give_up()
                raise


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
        # Of one host: cookies do not distinguish ports, so the app behind the gate needs no handover.
        "GATED_HOSTS": urlsplit(where.gated).netloc,
        "TRUSTED_PROXIES": "127.0.0.1,::1",
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
