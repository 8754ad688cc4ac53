"""Each provider with its other side: a stand-in for its servers, which tests may look into and play the buyer at."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from tests.support.running import API_KEY, Browser, Sandbox

from tollkeeper.budget import Budget
from tollkeeper.config import StripeSettings
from tollkeeper.provider import PaymentProvider
from tollkeeper.providers.stripe import PATIENCE, StripeProvider


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

    def pay(self, page: str, code: str | None = None) -> None:
        """Pay on a hosted page, as a buyer in Germany; with a promotion code, if any. Pay nothing if nothing is due."""
        ...

    def promotion_code(self, percent: int) -> str:
        """A code that takes this much off."""
        ...

    def takes_promotion_codes(self, page: str) -> bool:
        """Whether a hosted page has a field for one."""
        ...

    def expire(self, checkout_id: str) -> None:
        """End a checkout that nobody has paid."""
        ...

    def pay_elsewhere(self, price_id: str, email: str) -> str:
        """Pay as a stranger, on a page of the account that we never asked for. Answers the checkout's id."""
        ...

    def delete_customer(self, external_id: str) -> None:
        """Remove a customer, as an operator would at the provider."""
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
        # A budget that nobody meets: the sandbox takes as many requests as it can.
        return StripeProvider(settings, patience=patience or PATIENCE, budget=Budget(rate=10_000))

    def price(self, amount: int = 1900, currency: str = "eur", name: str = "Flying lessons") -> str:
        return self.sandbox.price(amount, currency, name)

    def pay(self, page: str, code: str | None = None) -> None:
        buyer = Browser(self.sandbox.url)
        hosted = buyer.follow(buyer.get(page))
        if code:
            hosted = buyer.follow(buyer.submit(hosted, "Apply", promotion_code=code))
        free = "Complete order" in hosted.text
        paid = buyer.submit(hosted, "Complete order", email="buyer@example.com") if free else buyer.pay(hosted)
        assert paid.status_code == 303

    def promotion_code(self, percent: int) -> str:
        v1 = self.sandbox.stripe.v1
        coupon = v1.coupons.create({"percent_off": percent})
        return v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}}).code

    def takes_promotion_codes(self, page: str) -> bool:
        return "Promotion code" in Browser(self.sandbox.url).get(page).text

    def expire(self, checkout_id: str) -> None:
        self.sandbox.stripe.v1.checkout.sessions.expire(checkout_id)

    def pay_elsewhere(self, price_id: str, email: str) -> str:
        link = self.sandbox.stripe.v1.payment_links.create({"line_items": [{"price": price_id, "quantity": 1}]})
        buyer = Browser(self.sandbox.url)
        page = buyer.follow(buyer.get(link.url, prefilled_email=email))
        assert buyer.pay(page).status_code == 303
        return page.url.path.rsplit("/", 1)[-1]

    def delete_customer(self, external_id: str) -> None:
        self.sandbox.stripe.v1.customers.delete(external_id)

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
