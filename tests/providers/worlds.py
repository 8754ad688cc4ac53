"""Each provider with its other side: a stand-in for its servers, which tests may look into and play the buyer at."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from tests.support.running import API_KEY, Browser, Sandbox

from tollkeeper.config import StripeSettings
from tollkeeper.provider import PaymentProvider
from tollkeeper.providers.stripe import StripeProvider


class World(Protocol):
    """What the conformance suite needs of a provider and of its other side."""

    name: str
    wrong_key: str
    """Looks like a key, and is none."""

    def provider(
        self,
        *,
        at: str | None = None,
        key: str | None = None,
        webhook_secrets: tuple[str, ...] = (),
        automatic_tax: bool = False,
        patience: float | None = None,
    ) -> PaymentProvider:
        """A new provider. ``at`` is another server than its other side, ``patience`` in seconds."""
        ...

    def price(self, amount: int = 1900, currency: str = "eur", name: str = "Flying lessons") -> str:
        """A new price of a new product."""
        ...

    def pay(self, page: str) -> None:
        """Pay on a hosted page, as a buyer in Germany."""
        ...

    def expire(self, checkout_id: str) -> None:
        """End a checkout that nobody has paid."""
        ...

    def send_events_to(self, url: str) -> str:
        """Deliver events there from now on. Answers the secret that they are signed with."""
        ...

    def set_tax(self, active: bool) -> None:
        """Whether the account can reckon tax by itself."""
        ...


class StripeWorld:
    name = "stripe"
    wrong_key = "sk_live_wrong"

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def provider(
        self,
        *,
        at: str | None = None,
        key: str | None = None,
        webhook_secrets: tuple[str, ...] = (),
        automatic_tax: bool = False,
        patience: float | None = None,
    ) -> StripeProvider:
        settings = StripeSettings(
            api_key=key or API_KEY,
            webhook_secrets=webhook_secrets,
            automatic_tax=automatic_tax,
            api_base=at or self.sandbox.url,
        )
        return StripeProvider(settings) if patience is None else StripeProvider(settings, patience=patience)

    def price(self, amount: int = 1900, currency: str = "eur", name: str = "Flying lessons") -> str:
        return self.sandbox.price(amount, currency, name)

    def pay(self, page: str) -> None:
        buyer = Browser(self.sandbox.url)
        assert buyer.pay(buyer.get(page)).status_code == 303

    def expire(self, checkout_id: str) -> None:
        self.sandbox.stripe.v1.checkout.sessions.expire(checkout_id)

    def send_events_to(self, url: str) -> str:
        return self.sandbox.webhook_secret(url)

    def set_tax(self, active: bool) -> None:
        told = {"active": "yes" if active else "no"}
        assert Browser(self.sandbox.url).client.post(f"{self.sandbox.url}/control/tax", data=told).status_code == 303


# One line for each provider: everything in test_conformance runs for all of them.
WORLDS: dict[str, Callable[[Sandbox], World]] = {
    "stripe": StripeWorld,
}


@asynccontextmanager
async def opened(provider: PaymentProvider) -> AsyncIterator[PaymentProvider]:
    """A provider that lets go of its connections in the end."""
    try:
        yield provider
    finally:
        await provider.close()
