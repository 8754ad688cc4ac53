"""The whole thing on one machine: the app as in production, and the sandbox in place of Stripe and the issuer.

Everything is set up through the sandbox's API, as one would in a real account, and written into a ``.env`` file in the
demo's folder, which the app then reads as it would anywhere else.
"""

import fcntl
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any, Literal

from dotenv import dotenv_values

from tollkeeper.app import create_app
from tollkeeper.config import load as config
from tollkeeper.errors import TollkeeperError
from tollkeeper.serving import server
from tollkeeper.storage.migrate import migrate
from tollkeeper_sandbox import CLIENT_ID, CLIENT_SECRET, create_sandbox

if TYPE_CHECKING:
    import stripe
    from stripe.params import PriceCreateParams

API_KEY = "sk_test_sandbox"
CURRENCY = "eur"

# What is on sale: something that is paid once, and something that goes on, by the month or by the year.
ONCE, GOES_ON = "The Flying Machine", "Season ticket"
CATALOG = """# Written by the demo at each start.

[products.dashboard]
name = "{once_name}"
unlocks = ["dashboard"]
stripe = ["{once}"]

[products.season]
name = "{goes_on_name}"
unlocks = ["dashboard", "hangar"]
stripe = ["{month}"]
stripe_also = ["{year}"]
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

    @property
    def webhooks(self) -> str:
        """Where the sandbox sends its events."""
        return f"{self.app}/webhooks/stripe"


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
        await servers.start(server.Listener(sandbox, sandbox_socket))
        await set_up(where, folder)
        settings = config.load({}, folder)
        migrate(settings.database_url)
        # Time is moved on the sandbox's control page. With a time of its own the app would contradict what it shows.
        app = create_app(settings, clock=lambda: int(sandbox.state.now()))
        await servers.start(server.Listener(app, app_socket))
        ready(where)
        await servers.until_told()
    finally:
        await servers.stop()


async def set_up(where: Addresses, folder: Path) -> None:
    """What one does once in a new account: products, prices, a webhook endpoint, what the customer portal offers; and
    the settings for them.
    """
    import stripe

    file = folder / ".env"
    before = dotenv_values(file) if file.exists() else {}
    client = stripe.StripeClient(
        API_KEY, base_addresses={"api": where.sandbox}, http_client=stripe.HTTPXClient(timeout=10)
    )
    settings = {
        "PUBLIC_URL": where.app,
        "SECRET_KEY": before.get("SECRET_KEY") or secrets.token_urlsafe(48),
        "STRIPE_API_KEY": API_KEY,
        "STRIPE_API_BASE": where.sandbox,
        "STRIPE_WEBHOOK_SECRET": await _webhook_secret(client, where.webhooks, before.get("STRIPE_WEBHOOK_SECRET")),
        "OIDC_ISSUER": f"{where.sandbox}/identity",
        "OIDC_CLIENT_ID": CLIENT_ID,
        "OIDC_CLIENT_SECRET": CLIENT_SECRET,
        "OIDC_NAME": "Sandbox",
        # Everybody comes from one address here, tests that sign in again and again among them.
        "SIGN_IN_RATE": "1000/minute",
    }
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    prices = await _prices(client)
    await _let_plans_change(client, prices["month"], prices["year"])
    catalog = CATALOG.format(once_name=ONCE, goes_on_name=GOES_ON, **{name: one.id for name, one in prices.items()})
    (folder / "tollkeeper.toml").write_text(catalog)


async def _webhook_secret(client: "stripe.StripeClient", address: str, known: str | None) -> str:
    """The secret of our webhook endpoint, which Stripe tells only once: when the endpoint is made."""
    endpoints = (await client.v1.webhook_endpoints.list_async()).data
    if known and endpoints:
        if endpoints[0].url != address:
            await client.v1.webhook_endpoints.update_async(endpoints[0].id, {"url": address})
        return known
    made = await client.v1.webhook_endpoints.create_async({"url": address, "enabled_events": ["*"]})
    return made.secret or ""


async def _prices(client: "stripe.StripeClient") -> dict[str, "stripe.Price"]:
    """The prices on sale, made once, and found again by their keys."""
    found = {price.lookup_key: price for price in (await client.v1.prices.list_async({"limit": 100})).data}
    if "year" in found:  # which is made last
        return {key: found[key] for key in ("once", "month", "year")}
    once = await client.v1.products.create_async({"name": ONCE})
    goes_on = await client.v1.products.create_async({"name": GOES_ON})
    return {
        "once": await _price(client, "once", once, 1900),
        "month": await _price(client, "month", goes_on, 900),
        "year": await _price(client, "year", goes_on, 9000),
    }


async def _price(
    client: "stripe.StripeClient", key: Literal["once", "month", "year"], product: "stripe.Product", amount: int
) -> "stripe.Price":
    params: PriceCreateParams = {"product": product.id, "unit_amount": amount, "currency": CURRENCY}
    params |= {"lookup_key": key, "transfer_lookup_key": True}  # of a start that was broken off
    if key != "once":
        params["recurring"] = {"interval": key}
    return await client.v1.prices.create_async(params)


async def _let_plans_change(client: "stripe.StripeClient", *prices: "stripe.Price") -> None:
    """Have the customer portal offer these prices of one product, as one sets it up in the dashboard."""
    known = (await client.v1.billing_portal.configurations.list_async({"is_default": True})).data
    offered = [{"product": str(prices[0].product), "prices": [price.id for price in prices]}]
    change: Any = {"enabled": True, "default_allowed_updates": ["price"], "products": offered}
    for configuration in known:
        features: Any = {"subscription_update": change}
        await client.v1.billing_portal.configurations.update_async(configuration.id, {"features": features})
