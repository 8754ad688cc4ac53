"""What is on sale for one visitor: the same on the landing page and on the pricing page."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tollkeeper.billing import off_sale
from tollkeeper.errors import ProviderRefused, ProviderUnavailable, Refused
from tollkeeper.model.access import Holding, Visitor
from tollkeeper.model.orders import Order
from tollkeeper.model.selling import OffSale, Price, Product
from tollkeeper.relations import GO_ON, Advice, Course, advise
from tollkeeper.storage import orders
from tollkeeper.web.elsewhere import Elsewhere
from tollkeeper.web.plans import Plan, running, trial_left
from tollkeeper.web.site import Site
from tollkeeper.wording.off_sale import why_not
from tollkeeper.wording.pages import NOT_SOLD_AT_THAT_PRICE
from tollkeeper.wording.products import instead
from tollkeeper.words import day, per

# How long a page waits to show a price, in seconds.
PRICE_PATIENCE = 2


@dataclass(frozen=True, slots=True)
class Choice:
    """One price at which a product is sold. ``price`` is None while the provider cannot say."""

    price_id: str
    price: Price | None
    trial_days: int = 0
    """How many days it would be free at first for this visitor."""
    closed: str = ""
    """Why this visitor cannot buy at this price at the moment, in words; empty if they can."""
    changes: str = ""
    """If it would change the plan of one of their subscriptions: that, in words."""

    @property
    def verb(self) -> str:
        """The label of the button for this price."""
        if self.changes:
            return "Change plan"
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
class OfferCard:
    """One product for one visitor: its prices, or what they have of it already."""

    key: str
    name: str
    features: tuple[str, ...]
    choices: tuple[Choice, ...]
    owned: bool = False
    standing: str = ""
    """What they have, in words; also if it gives no access but must not be bought again."""
    needs_action: bool = False
    without_card: bool = False
    elsewhere: tuple[Elsewhere, ...] = ()
    """Accounts with the visitor's address that have it."""
    for_good: tuple[Choice, ...] = ()
    """The prices at which they can still buy for good what they have for a time."""

    @property
    def price(self) -> Price | None:
        """The usual price."""
        return self.choices[0].price if self.choices else None

    @property
    def closed(self) -> str:
        """Why this visitor cannot buy it at any price at the moment; empty if they can at one."""
        return self.choices[0].closed if self.choices and all(choice.closed for choice in self.choices) else ""

    @property
    def buyable(self) -> bool:
        """Whether this visitor may buy it."""
        return not self.standing and any(not choice.closed for choice in self.choices)


@dataclass(frozen=True, slots=True)
class _Has:
    """What one visitor has, as far as it matters for what they are offered. Empty if nobody is signed in."""

    holdings: tuple[Holding, ...] = ()
    plans: tuple[Plan, ...] = ()
    ordered: tuple[Order, ...] = ()
    closed: tuple[OffSale, ...] = ()
    """What is known to be off sale, for everybody or for them."""

    def of(self, product: Product) -> list[Holding]:
        return [one for one in self.holdings if one.product == product.key]

    def plan_of(self, product: Product) -> Plan | None:
        return next((one for one in reversed(self.plans) if one.found.product == product.key and not one.over), None)


async def offer_cards(
    site: Site,
    products: Sequence[Product],
    visitor: Visitor | None,
    plans: Iterable[Plan] = (),
    elsewhere: Mapping[str, tuple[Elsewhere, ...]] = {},
) -> list[OfferCard]:
    """The products as offered to a visitor, whose subscriptions are ``plans``; or to anybody.

    ``elsewhere`` tells, by product, of accounts with the visitor's address that have it.
    """
    services = site.services
    recurring = any(product.policy.trial_days for product in products)
    ordered: tuple[Order, ...] = ()
    if visitor and recurring:
        ordered = await services.database.read(orders.in_mode, visitor.person.id, services.provider.live)
    closed = await off_sale.known(services, visitor.person.id if visitor else None)
    mine = _Has(visitor.holdings if visitor else (), tuple(plans), ordered, closed)
    offers = await asyncio.gather(*(_offer_card(site, product, mine) for product in products))
    return [replace(offer, elsewhere=elsewhere.get(offer.key, ())) for offer in offers]


async def _offer_card(site: Site, product: Product, mine: _Has) -> OfferCard:
    ids = site.services.catalog.prices_on_sale(product)
    prices = await asyncio.gather(*(price_by_id(site, id) for id in ids))
    held, plan = mine.of(product), mine.plan_of(product)
    advised = [_advice(site, product, price, mine) for price in prices]
    choices = [
        await _choice(site, product, id, price, advice, mine)
        for id, price, advice in zip(ids, prices, advised, strict=True)
    ]
    once = [one for one in choices if one.price and not one.price.recurring and not one.closed]
    return OfferCard(
        key=product.key,
        name=name_of(product, prices[0] if prices else None),
        features=tuple(sorted(product.unlocks)),
        choices=tuple(choices),
        owned=bool(held),
        standing=_standing(held, plan) or await _held_otherwise(site, advised),
        needs_action=plan is not None and plan.state.needs_action,
        without_card=product.policy.trial_without_card,
        for_good=tuple(once) if held and _for_a_time(held) else (),
    )


def closed_to(site: Site, known: Iterable[OffSale], product: Product, price_id: str) -> str:
    """Why a product cannot be bought at a price, by what is known to be off sale; empty where it can."""
    found = off_sale.in_the_way(known, product.key, price_id, site.services.clock())
    return why_not(found.obstacle, found.facts) if found else ""


def _advice(site: Site, product: Product, price: Price | None, mine: _Has) -> Advice:
    """The advice on a purchase at a price; none if the price is unknown."""
    if price is None:
        return GO_ON
    for_good = [one.product for one in mine.holdings if one.until is None]
    return advise(product, price.recurring, for_good, running(mine.plans), site.services.catalog)


async def _choice(
    site: Site, product: Product, price_id: str, price: Price | None, advice: Advice, mine: _Has
) -> Choice:
    closed = closed_to(site, mine.closed, product, price_id)
    if advice.course is Course.CHANGE:
        first = advice.related[0]
        words = instead(first, await name_shown(site, first.subscription.product))
        return Choice(price_id, price, closed=closed, changes=words)
    trial = price is not None and price.recurring and trial_left(mine.ordered, product.key)
    return Choice(price_id, price, product.policy.trial_days if trial else 0, closed)


async def _held_otherwise(site: Site, advised: Iterable[Advice]) -> str:
    """What to say about a product that something else gives in full, for good."""
    held = next((one.held for one in advised if one.held), None)
    return f"You have all of this for good with {await name_shown(site, held)}." if held else ""


def _for_a_time(held: Iterable[Holding]) -> bool:
    return all(one.until is not None for one in held)


async def can_be_bought_for_good(site: Site, product: Product, price_id: str | None, held: Iterable[Holding]) -> bool:
    """Whether somebody who holds a product for a time can buy it for good at this price, or at the usual one."""
    price = await price_by_id(site, price_id) if price_id else await price_of(site, product)
    return _for_a_time(held) and price is not None and not price.recurring


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
            return await site.services.provider.price(price_id) if price_id else None
    except (TimeoutError, ProviderUnavailable, ProviderRefused):
        return None


async def price_of(site: Site, product: Product) -> Price | None:
    """The usual price of a product."""
    return await price_by_id(site, site.services.catalog.price_on_sale(product))


async def name_shown(site: Site, key: str | None) -> str:
    """A product with the name that visitors see, whether or not it is still sold."""
    product = site.services.catalog.find(key or "")
    if product is None:
        return key or "A product"
    return product.name or name_of(product, await price_of(site, product))


def name_of(product: Product, price: Price | None) -> str:
    """A product's name: ours, or else the provider's."""
    return product.name or (price.product_name if price else product.key.title())


def chosen(site: Site, key: object) -> Product:
    """The product named in the form; the only one if none is. Amounts are never taken from a form."""
    products = site.services.catalog.products
    if key is None and len(products) == 1:
        return products[0]
    product = site.services.catalog.find(key) if isinstance(key, str) else None
    if product is None:
        raise Refused(400, "There is no such product here.")
    return product


def price_chosen(site: Site, product: Product, price_id: object) -> str | None:
    """The price named in the form, which must be one at which this product is on sale; None if none is named."""
    if price_id is None or price_id in site.services.catalog.prices_on_sale(product):
        return price_id if isinstance(price_id, str) else None
    raise Refused(400, NOT_SOLD_AT_THAT_PRICE)
