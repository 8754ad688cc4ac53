"""A shop with one-time, monthly and yearly prices and a trial, whose time can be moved."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx2
from stripe.params import PriceCreateParams
from tests.support.running import Browser, Sandbox, Site, eventually, forms, running_site

DAY = 24 * 3600
HOUR = 3600

# A card that can be saved, but from which nothing can be collected.
KEPT_BUT_EMPTY = "4000 0000 0000 0341"

CATALOG = """
[products.flying]
name = "Flying lessons"
unlocks = ["dashboard"]
stripe = ["{once}"]

[products.pro]
name = "Pro"
unlocks = ["dashboard", "reports"]
stripe = ["{month}", "{legacy}"]
stripe_also = ["{year}"]
promotion_codes = true
{terms}

[products.basic]
name = "Basic"
unlocks = ["dashboard"]
stripe = ["{basic}"]
"""


def recurring(sandbox: Sandbox, amount: int, interval: Literal["month", "year"], product: str, **more: Any) -> str:
    params: PriceCreateParams = {"product": product, "unit_amount": amount, "currency": "eur"}
    params["recurring"] = {"interval": interval}
    return sandbox.stripe.v1.prices.create({**params, **more}).id  # type: ignore[typeddict-item]


@dataclass
class Shop:
    """A running app, its sandbox, and the prices on sale, by name."""

    site: Site
    sandbox: Sandbox
    prices: dict[str, str]
    emails: dict[Browser, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.site.url

    def newcomer(self) -> Browser:
        """Return the browser of a new person who is signed in."""
        someone = Browser(self.url)
        self.emails[someone] = f"{secrets.token_hex(8)}@example.com"
        self.sign_in_again(someone)
        return someone

    def sign_in_again(self, someone: Browser) -> None:
        """Sign in somebody whose login session has expired."""
        someone.sign_in("Nova Example", self.emails[someone])

    def buy(self, browser: Browser, price: str, **card: str) -> httpx2.Response:
        """Buy from the page of prices. Returns the page after payment."""
        return browser.follow(browser.pay(browser.follow(self.order(browser, price)), **card))

    def order(self, browser: Browser, price: str) -> httpx2.Response:
        """Press the button of a price on the page of prices."""
        page = browser.get("/pricing")
        form = next(form for form in forms(page) if form.fields.get("price") == self.prices[price])
        return browser.client.post(f"{self.url}{form.action}", data=form.fields, headers={"Origin": self.url})

    def pass_time(self, seconds: int) -> None:
        """Let time pass here and at the provider. Afterwards, everything that is due there has happened."""
        self.site.clock.ahead += seconds
        self.sandbox.clock.ahead += seconds
        self.sandbox.stripe.v1.events.list({"limit": 1})

    def subscription(self) -> Any:
        """Return the newest subscription."""
        return self.sandbox.stripe.v1.subscriptions.list({"status": "all", "limit": 1}).data[0]

    def let_card(self, name: str) -> None:
        """Save another card for the newest subscription."""
        found, v1 = self.subscription(), self.sandbox.stripe.v1
        method = v1.payment_methods.attach(name, {"customer": str(found.customer)})
        v1.subscriptions.update(found.id, {"default_payment_method": method.id})

    def shows(self, browser: Browser, path: str, words: str) -> httpx2.Response:
        """Wait until a page has these words, after the provider's events have arrived."""

        eventually(lambda: words in browser.get(path).text)
        return browser.get(path)


@contextmanager
def running_shop(
    sandbox: Sandbox, database_url: str, folder: Path, terms: str = "trial_days = 14", **settings: str
) -> Iterator[Shop]:
    """Run the shop. ``terms`` are lines of the catalog about Pro."""
    product = sandbox.stripe.v1.products.create({"name": "Pro"}).id
    prices = {
        "once": sandbox.price(),
        "month": recurring(sandbox, 900, "month", product),
        "year": recurring(sandbox, 9000, "year", product),
        "legacy": recurring(sandbox, 700, "month", product),
        "basic": sandbox.price(500, name="Basic", interval="month"),
    }
    (folder / "tollkeeper.toml").write_text(CATALOG.format(terms=terms, **prices))
    with running_site(sandbox, database_url, folder, PRODUCT_PRICE_ID="", **settings) as site:
        yield Shop(site, sandbox, prices)
