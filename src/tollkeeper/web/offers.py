"""What is on sale, as it is offered to one visitor: the same on the landing page and on the page of prices."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tollkeeper import off_sale
from tollkeeper.errors import ProviderRefused, ProviderUnavailable
from tollkeeper.model import Holding, OffSale, Order, Price, Product, Visitor
from tollkeeper.storage import orders
from tollkeeper.web.elsewhere import Elsewhere
from tollkeeper.web.plans import Plan, trial_left
from tollkeeper.web.site import Site
from tollkeeper.wording_off_sale import why_not
from tollkeeper.words import day, per

# How long a page waits to show a price, in seconds.
PRICE_PATIENCE = 2


@dataclass(frozen=True, slots=True)
class Choice:
    """One price at which a product is sold. ``price`` is None while the provider cannot say."""

    price_id: str
    price: Price | None
    trial_days: int = 0
    """How long it would be free for this visitor to begin with."""
    closed: str = ""
    """Why this visitor cannot buy at it at the moment, in words; empty where they can."""

    @property
    def verb(self) -> str:
        """What one does at this price."""
        if self.trial_days:
            return "Start free trial"
        return "Subscribe" if self.price and self.price.recurring else "Purchase"

    @property
    def period(self) -> str:
        """How often it is paid."""
        return per(self.price.interval, self.price.interval_count) if self.price else ""

    @property
    def tax(self) -> str:
        """What the provider says about tax."""
        said = self.price.tax_behavior if self.price else None
        return {"inclusive": "incl. tax", "exclusive": "plus tax"}.get(said or "", "")


@dataclass(frozen=True, slots=True)
class Offer:
    """One product for one visitor: at which prices, or what they have of it already."""

    key: str
    name: str
    features: tuple[str, ...]
    choices: tuple[Choice, ...]
    owned: bool = False
    standing: str = ""
    """What they have, in words; also where it gives no access, but must not be bought once more."""
    to_mend: bool = False
    without_card: bool = False
    elsewhere: tuple[Elsewhere, ...] = ()
    """Accounts with the visitor's address that have it."""

    @property
    def price(self) -> Price | None:
        """The usual price."""
        return self.choices[0].price if self.choices else None

    @property
    def closed(self) -> str:
        """Why this visitor cannot buy it at any price at the moment; empty where they can at one."""
        return self.choices[0].closed if self.choices and all(choice.closed for choice in self.choices) else ""

    @property
    def buyable(self) -> bool:
        """Whether this visitor may buy it."""
        return not self.standing and any(not choice.closed for choice in self.choices)


async def offers_for(
    site: Site,
    products: Sequence[Product],
    visitor: Visitor | None,
    plans: Iterable[Plan] = (),
    elsewhere: Mapping[str, tuple[Elsewhere, ...]] = {},
) -> list[Offer]:
    """The products as offered to a visitor, whose subscriptions are ``plans``; or to anybody.

    ``elsewhere`` tells, by product, of accounts with the visitor's address that have it.
    """
    books = site.books
    recurring = any(product.policy.trial_days for product in products)
    ordered: tuple[Order, ...] = ()
    if visitor and recurring:
        ordered = await books.database.read(orders.in_mode, visitor.person.id, books.provider.live)
    mine = {plan.found.product: plan for plan in plans if not plan.over}
    closed = await off_sale.known(books, visitor.person.id if visitor else None)
    offers = await asyncio.gather(
        *(_offer(site, product, visitor, mine.get(product.key), ordered, closed) for product in products)
    )
    return [replace(offer, elsewhere=elsewhere.get(offer.key, ())) for offer in offers]


async def _offer(
    site: Site,
    product: Product,
    visitor: Visitor | None,
    plan: Plan | None,
    ordered: Iterable[Order],
    closed: Iterable[OffSale],
) -> Offer:
    ids = site.books.catalog.prices_on_sale(product, site.books.provider.name)
    prices = await asyncio.gather(*(price_by_id(site, id) for id in ids))
    trial = product.policy.trial_days if trial_left(ordered, product.key) else 0
    held = [holding for holding in visitor.holdings if holding.product == product.key] if visitor else []
    return Offer(
        key=product.key,
        name=name_of(product, prices[0] if prices else None),
        features=tuple(sorted(product.unlocks)),
        choices=tuple(
            Choice(id, price, trial if price and price.recurring else 0, closed_to(site, closed, product, id))
            for id, price in zip(ids, prices, strict=True)
        ),
        owned=bool(held),
        standing=_standing(held, plan),
        to_mend=plan is not None and plan.state.to_mend,
        without_card=product.policy.trial_without_card,
    )


def closed_to(site: Site, known: Iterable[OffSale], product: Product, price_id: str) -> str:
    """Why a product cannot be bought at a price, by what is known to be off sale; empty where it can."""
    found = off_sale.in_the_way(known, product.key, price_id, site.books.clock())
    return why_not(found.obstacle, found.facts) if found else ""


def _standing(held: Sequence[Holding], plan: Plan | None) -> str:
    if any(holding.until is None for holding in held):
        return "Yours for good."
    if plan:
        return plan.state.words
    ends = [holding.until for holding in held if holding.until is not None]
    return f"Yours until {day(max(ends))}." if ends else ""


async def price_by_id(site: Site, price_id: str | None) -> Price | None:
    """A price, or None while the provider cannot say. A page without a price is better than no page."""
    try:
        async with asyncio.timeout(PRICE_PATIENCE):
            return await site.books.provider.price(price_id) if price_id else None
    except (TimeoutError, ProviderUnavailable, ProviderRefused):
        return None


async def price_of(site: Site, product: Product) -> Price | None:
    """The usual price of a product."""
    return await price_by_id(site, site.books.catalog.price_on_sale(product, site.books.provider.name))


async def name_shown(site: Site, key: str | None) -> str:
    """A product under the name that visitors see, sold any more or not."""
    product = site.books.catalog.find(key or "")
    if product is None:
        return key or "A product"
    return product.name or name_of(product, await price_of(site, product))


def name_of(product: Product, price: Price | None) -> str:
    """A product's name: ours, or else the provider's."""
    return product.name or (price.product_name if price else product.key.title())
