"""A shop with products in every relation: contained, overlapping, apart, for a time and for good."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.support.running import Sandbox, running_site
from tests.support.shops import Shop

from tollkeeper.config import load as config
from tollkeeper.providers.stripe.kind import STRIPE

CATALOG = """
[products.basic]
name = "Basic"
unlocks = ["dashboard"]
stripe = ["{basic}"]

[products.pro]
name = "Pro"
unlocks = ["dashboard", "reports"]
stripe = ["{pro}"]
stripe_also = ["{year}", "{ever}"]
{terms}

[products.news]
name = "News"
unlocks = ["dashboard", "news"]
stripe = ["{news}"]

[products.flying]
name = "Flying lessons"
unlocks = ["dashboard"]
stripe = ["{once}"]
{once_terms}

[products.all]
name = "Everything"
unlocks = ["dashboard", "reports", "news"]
stripe = ["{all}"]

[products.apart]
name = "Apart"
unlocks = ["hangar"]
stripe = ["{apart}"]
"""


def set_up(settings: dict[str, str], folder: Path) -> None:
    """Set up the account as ``tollkeeper setup stripe`` does.

    This runs in another thread, because a real browser has its event loop in this one.
    """
    with ThreadPoolExecutor() as beside:
        wishes = config.load_wishes(settings, folder, STRIPE)
        done = beside.submit(lambda: asyncio.run(wishes.provider.set_up(wishes.base_url, wishes.products))).result()
    assert done.trouble is None, done


@contextmanager
def running_shelves(
    sandbox: Sandbox,
    database_url: str,
    folder: Path,
    terms: str = "",
    once_terms: str = "",
    *,
    portal: bool = True,
    **settings: str,
) -> Iterator[Shop]:
    """Run the shop. ``terms`` are lines of the catalog about Pro, ``once_terms`` about the lessons.

    With ``portal``, the account was set up so that customers may change their plan.
    """
    pro = sandbox.stripe.v1.products.create({"name": "Pro"}).id
    v1 = sandbox.stripe.v1
    prices = {
        "basic": sandbox.price(500, name="Basic", interval="month"),
        "pro": v1.prices.create(
            {"product": pro, "unit_amount": 900, "currency": "eur", "recurring": {"interval": "month"}}
        ).id,
        "year": v1.prices.create(
            {"product": pro, "unit_amount": 9000, "currency": "eur", "recurring": {"interval": "year"}}
        ).id,
        "ever": v1.prices.create({"product": pro, "unit_amount": 99_000, "currency": "eur"}).id,
        "news": sandbox.price(700, name="News", interval="month"),
        "once": sandbox.price(1900, name="Flying lessons"),
        "all": sandbox.price(199_000, name="Everything"),
        "apart": sandbox.price(300, name="Apart", interval="month"),
    }
    (folder / "tollkeeper.toml").write_text(CATALOG.format(terms=terms, once_terms=once_terms, **prices))
    with running_site(sandbox, database_url, folder, PRODUCT_PRICE_ID="", **settings) as site:
        if portal:
            set_up(site.settings, folder)
        yield Shop(site, sandbox, prices)
