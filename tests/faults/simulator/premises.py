"""The initial state of every shop: its settings, and its account at Stripe. Created once in a process."""

import asyncio
import atexit
import json
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.types import ASGIApp
from tests.faults.simulator.wire import Answer, ask
from tests.faults.simulator.worth import Offer

from tollkeeper.config import load as configuration
from tollkeeper.config.config import Config
from tollkeeper.model.selling import Policy, Product
from tollkeeper.providers.stripe.events import EVENTS_THAT_MATTER
from tollkeeper.web.pages import Pages
from tollkeeper_sandbox.stripe import StripeSandbox

BEGIN = 1_800_000_000
SHOP, SANDBOX, ISSUER = "https://shop.example", "https://sandbox.example", "https://issuer.example"
SECRET_OF_THE_DASHBOARD = "<p>only who paid reads this</p>"
FORM = (b"content-type", b"application/x-www-form-urlencoded")
KEY = (b"authorization", b"Bearer sk_test_simulator")

# What is sold: the unlocked features, the policy, and each price with its interval, the usual one first.
Sold = tuple[str, Policy, tuple[tuple[int, str | None], ...]]
SOLD: dict[str, dict[str, Sold]] = {
    "once": {
        "pro": ("dashboard", Policy(), ((1900, None),)),
        "extra": (
            "extras",
            Policy(refund_revokes_from=50, dispute_suspends=False, promotion_codes=True),
            ((700, None),),
        ),
    },
    "subscriptions": {
        "club": ("dashboard", Policy(trial_days=7, promotion_codes=True), ((500, "month"), (5000, "year"))),
        "choir": (
            "scores",
            Policy(
                grace_days=2,
                refund_revokes_from=50,
                dispute_suspends=False,
                earlier_dispute_counts=False,
                promotion_codes=True,
            ),
            ((1200, "month"),),
        ),
        "circle": (
            "talks",
            Policy(grace_days=1, trial_days=3, trial_without_card=True, trial_grace_days=2),
            ((300, "month"),),
        ),
    },
    # Products that contain each other, by subscription and for good.
    "related": {
        "basic": ("dashboard", Policy(promotion_codes=True), ((500, "month"),)),
        "pro": ("dashboard reports", Policy(grace_days=2, trial_days=3), ((900, "month"), (9000, "year"))),
        "lifetime": ("dashboard", Policy(), ((4900, None),)),
        "archive": ("dashboard reports", Policy(ends_subscription=False), ((7900, None),)),
    },
}
# Promotion codes that buyers may enter, and their discounts in percent.
CODES = {"half": "50", "gratis": "100"}
NEW_ACCOUNT = "UPDATE objects SET id = ?1, body = json_set(body, '$.id', ?1) WHERE kind = 'account'"


@dataclass(frozen=True)
class Premises:
    """The initial state. ``ledger`` is the sandbox's before the first buyer comes. The catalog does not know
    ``unknown_price``, which recurs, nor of ``neighbours_price``, which does not. ``by_the_month`` are on sale.
    """

    ledger: bytes
    offers: tuple[Offer, ...]
    unknown_price: str
    neighbours_price: str
    by_the_month: tuple[str, ...]
    config: Config
    pages: Pages

    def furnish(self, sandbox: StripeSandbox, account: str) -> None:
        """Copy everything into a sandbox under another account, so that databases can be shared."""
        sandbox.ledger._db.deserialize(self.ledger)
        sandbox.ledger.run(NEW_ACCOUNT, account)


@cache
def premises(sells: str, webhooks: bool) -> Premises:
    """Return the initial state, with a webhook secret or without one."""
    return asyncio.run(_set_up(SOLD[sells], webhooks))


async def _set_up(sold: Mapping[str, Sold], webhooks: bool) -> Premises:
    ids = count(1)
    sandbox = StripeSandbox(
        base_url=SANDBOX, clock=lambda: BEGIN, token=lambda half: f"{next(ids):x}".rjust(2 * half, "0")
    )
    stripe = Starlette(routes=sandbox.routes)
    await call(stripe, "GET", "/v1/account")
    offers = tuple([await _offer(stripe, key, sold[key]) for key in sold])
    by_the_month = tuple([price async for price in _by_the_month(stripe, offers)])
    unknown = await _price(stripe, await _product_at_stripe(stripe, "unknown"), 900, "month")
    neighbours = await _price(stripe, await _product_at_stripe(stripe, "a neighbour's"), 2500, None)
    for code, percent in CODES.items():
        await call(stripe, "POST", "/v1/coupons", id=code, percent_off=percent)
        promotion = {"promotion[type]": "coupon", "promotion[coupon]": code, "code": code}
        await call(stripe, "POST", "/v1/promotion_codes", **promotion)
    secrets_ = (await _webhook_secret(stripe),) if webhooks else ()
    config = _config(sold, offers, secrets_)
    ledger = sandbox.ledger._db.serialize()
    return Premises(ledger, offers, unknown, neighbours, by_the_month, config, Pages(config))


async def call(stripe: ASGIApp, method: str, path: str, **form: str) -> Any:
    """Call Stripe's API as the account's owner. Returns the JSON."""
    return json.loads((await post(stripe, method, path, form)).body)


async def post(stripe: ASGIApp, method: str, path: str, form: dict[str, str]) -> Answer:
    """Post to Stripe's API or to its pages, and return any response."""
    return await ask(stripe, method, path, (KEY, FORM), urlencode(form).encode())


async def _offer(stripe: ASGIApp, key: str, sold: Sold) -> Offer:
    unlocks, policy, prices = sold
    product = await _product_at_stripe(stripe, key)
    usual, *others = [await _price(stripe, product, amount, interval) for amount, interval in prices]
    return Offer(
        product=key,
        price=usual,
        amount=prices[0][0],
        currency="eur",
        refund_revokes_from=policy.refund_revokes_from,
        dispute_suspends=policy.dispute_suspends,
        promotion_codes=policy.promotion_codes,
        others=tuple(others),
        grace_days=policy.grace_days,
        trial_grace_days=policy.trial_grace_days,
        earlier_dispute_counts=policy.earlier_dispute_counts,
        recurring=prices[0][1] is not None,
        unlocks=frozenset(unlocks.split()),
        ends_subscription=policy.ends_subscription,
    )


async def _by_the_month(stripe: ASGIApp, offers: tuple[Offer, ...]) -> AsyncIterator[str]:
    for price in (one for offer in offers for one in (offer.price, *offer.others)):
        recurring = (await call(stripe, "GET", f"/v1/prices/{price}"))["recurring"]
        if recurring and recurring["interval"] == "month":
            yield price


async def _product_at_stripe(stripe: ASGIApp, name: str) -> str:
    return str((await call(stripe, "POST", "/v1/products", name=name))["id"])


async def _price(stripe: ASGIApp, product: str, amount: int, interval: str | None) -> str:
    form = {"product": product, "unit_amount": str(amount), "currency": "eur"}
    form |= {"recurring[interval]": interval} if interval else {}
    return str((await call(stripe, "POST", "/v1/prices", **form))["id"])


async def _webhook_secret(stripe: ASGIApp) -> str:
    wanted = {f"enabled_events[{at}]": type_ for at, type_ in enumerate(sorted(EVENTS_THAT_MATTER))}
    return str((await call(stripe, "POST", "/v1/webhook_endpoints", url=f"{SHOP}/webhooks/stripe", **wanted))["secret"])


def _config(sold: Mapping[str, Sold], offers: tuple[Offer, ...], webhook_secrets: tuple[str, ...]) -> Config:
    """Load a configuration like an operator's, except for the products."""
    folder = Path(mkdtemp(prefix="tollkeeper-"))
    atexit.register(shutil.rmtree, folder)
    (folder / "dashboard.html").write_text(SECRET_OF_THE_DASHBOARD)
    settings = {
        "PUBLIC_URL": SHOP,
        "SECRET_KEY": secrets.token_urlsafe(32),
        "DATABASE_URL": "sqlite:////nowhere",
        "STRIPE_API_KEY": "sk_test_simulator",
        "STRIPE_API_BASE": SANDBOX,
        "STRIPE_WEBHOOK_SECRET": ",".join(webhook_secrets),
        "PRODUCT_PRICE_ID": "price_1",
        "OIDC_ISSUER": ISSUER,
        "OIDC_CLIENT_ID": "shop",
        "OIDC_CLIENT_SECRET": "secret-of-the-shop",
        "ALLOW_TEST_MODE": "true",
        "PURCHASE_RATE": "1000/minute",
        "DASHBOARD_FILE": str(folder / "dashboard.html"),
    }
    loaded = configuration.load(settings, folder)
    return replace(loaded, products=tuple(_product(sold[offer.product], offer) for offer in offers))


def _product(sold: Sold, offer: Offer) -> Product:
    unlocks, policy, _ = sold
    prices = {"stripe": (offer.price, *offer.others)}
    return Product(offer.product, offer.product, frozenset(unlocks.split()), prices, policy, on_sale=prices)
