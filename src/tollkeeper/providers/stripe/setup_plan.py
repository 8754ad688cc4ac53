"""PURE. What an account at Stripe still needs so that it sells the catalog: what is there and what is wanted -> steps.

Each step is one call. Nothing is ever deleted or archived. What is not there yet goes by its name, a reference such as
``tollkeeper/pro``, until the step that makes it has told its id.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tollkeeper.model.selling import Offer, Product
from tollkeeper.settings.offers import several, words

# What of an account is ours says so in its metadata: a product and its prices with the product's key.
MARK = "tollkeeper"
PORTAL = "portal"
# Stripe does not tell all of a portal's configuration, so we keep what we asked for, in short.
ASKED_FOR = "tollkeeper_asked_for"

PORTALS = "/v1/billing_portal/configurations"
# https://docs.stripe.com/api/customer_portal/configurations/create
MOST_PLANS = 10

ENDPOINT_CHANGES = {"enabled_events": "the events that matter", "disabled": "enabled again"}

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an account is to be set up for."""

    products: tuple[Product, ...]
    webhook_url: str | None
    """None where Stripe cannot reach us."""
    secret_known: bool
    """Whether a secret of the webhook endpoint is set already."""
    events: frozenset[str]
    api_version: str
    live: bool = False
    new_endpoint: bool = False
    """Make a webhook endpoint even if there is one."""

    @property
    def dashboard(self) -> str:
        """Where a seller finds all this at Stripe."""
        return f"https://dashboard.stripe.com{'' if self.live else '/test'}"


@dataclass(frozen=True, slots=True)
class Account:
    """What is there, as Stripe tells it: what is ours, and what our settings name."""

    products: Sequence[Found] = ()
    prices: Sequence[Found] = ()
    endpoints: Sequence[Found] = ()
    portals: Sequence[Found] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One call that makes or changes one thing. ``makes`` is the reference that the answer's id stands for."""

    action: str
    what: str
    words: str
    path: str
    params: Mapping[str, Any]
    makes: str = ""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where one product of the catalog stands at Stripe. Prices are ids, or references to what is not made yet."""

    product: Product
    home: str
    """Its product at Stripe."""
    on_sale: tuple[tuple[Offer | None, str], ...]
    """The usual one first. An offer that we could not have made is None."""
    kept: tuple[str, ...]
    """Sold no longer, but still unlocking."""

    def settled(self, made: Mapping[str, str]) -> "Shelf":
        """The same, with the ids of what has been made."""
        on_sale = tuple((offer, made.get(price, price)) for offer, price in self.on_sale)
        return replace(self, home=made.get(self.home, self.home), on_sale=on_sale)


def lookup_key(product: str, offer: Offer) -> str:
    """What the price of an offer is called at Stripe, so that it is found again and never made twice."""
    period = "once" if offer.interval is None else offer.interval
    if offer.interval_count > 1:
        period = several(offer, "-")
    return f"tollkeeper/{product}/{offer.amount}-{offer.currency}-{period}"


def reference(key: str) -> str:
    """What the Stripe product of a product of ours goes by until it is made."""
    return f"{MARK}/{key}"


def shelves(wanted: Wanted, found: Account) -> tuple[Shelf, ...]:
    """Where each product stands, or is to stand."""
    return tuple(_shelf(product, found) for product in wanted.products)


def _shelf(product: Product, found: Account) -> Shelf:
    named = product.prices["stripe"]
    by_id = {price["id"]: price for price in found.prices}
    home = home_of(product, found)
    if not product.offers:
        listed = product.on_sale.get("stripe") or named[:1]
        on_sale = tuple((offer_of(by_id[price]) if price in by_id else None, price) for price in listed)
        return Shelf(product, home["id"] if home else "", on_sale, ())
    ours = [price for price in found.prices if home and price["product"] == home["id"]]
    chosen = tuple((offer, _price_for(offer, product, ours)) for offer in product.offers)
    sold = {price for _, price in chosen}
    made_here = [price["id"] for price in ours if price["metadata"].get(MARK) == product.key]
    kept = dict.fromkeys(price for price in [*named, *made_here] if price not in sold)
    return Shelf(product, home["id"] if home else reference(product.key), chosen, tuple(kept))


def home_of(product: Product, found: Account) -> Found | None:
    """The Stripe product of a product of ours: it is marked so, or it has a price that we know for ours."""
    marked = [one for one in found.products if one["metadata"].get(MARK) == product.key]
    known = {price["product"] for price in found.prices if _is_ours(price, product)}
    candidates = marked or [one for one in found.products if one["id"] in known]
    return min(candidates, key=lambda one: (not one["active"], one["created"], one["id"]), default=None)


def _is_ours(price: Found, product: Product) -> bool:
    keys = {lookup_key(product.key, offer) for offer in product.offers}
    return price["id"] in product.prices["stripe"] or price["lookup_key"] in keys


def _price_for(offer: Offer, product: Product, prices: Iterable[Found]) -> str:
    """The price that sells an offer; a reference where there is none."""
    key = lookup_key(product.key, offer)
    fitting = [price for price in prices if offer_of(price) == offer]
    best = min(fitting, key=lambda one: (not one["active"], one["lookup_key"] != key, one["created"]), default=None)
    return best["id"] if best else key


def offer_of(price: Found) -> Offer | None:
    """What a price offers; None for one that has no plain amount. https://docs.stripe.com/api/prices/object"""
    recurring = price["recurring"] or {}
    plain = price["billing_scheme"] == "per_unit" and price["unit_amount"] is not None
    if not plain or recurring.get("usage_type") == "metered" or price.get("transform_quantity"):
        return None
    interval, count = recurring.get("interval"), recurring.get("interval_count", 1)
    return Offer(price["unit_amount"], price["currency"], interval, count)


def catalog_calls(placed: Sequence[Shelf], found: Account) -> Iterator[Call]:
    """The products and prices that are to be made or mended."""
    for shelf in placed:
        if shelf.product.offers:
            yield from _product_calls(shelf, found)
            yield from _price_calls(shelf, found)


def _product_calls(shelf: Shelf, found: Account) -> Iterator[Call]:
    name, mark = shelf.product.name, {MARK: shelf.product.key}
    there = next((one for one in found.products if one["id"] == shelf.home), None)
    if there is None:
        yield Call("make", "product", name, "/v1/products", {"name": name, "metadata": mark}, shelf.home)
        return
    changes: dict[str, Any] = {}
    if there["name"] != name:
        changes["name"] = name
    if not there["active"]:
        changes["active"] = True
    if there["metadata"].get(MARK) != shelf.product.key:
        changes["metadata"] = mark
    if changes:
        yield Call("change", "product", f"{name}: {', '.join(changes)}", f"/v1/products/{shelf.home}", changes)


def _price_calls(shelf: Shelf, found: Account) -> Iterator[Call]:
    archived = {price["id"] for price in found.prices if not price["active"]}
    there = {price["id"] for price in found.prices}
    for offer, price in shelf.on_sale:
        if offer is None:
            continue
        described = f"{words(offer)} for {shelf.product.name}"
        if price not in there:
            yield Call("make", "price", described, "/v1/prices", _price_params(shelf, offer), price)
        elif price in archived:
            yield Call("change", "price", f"{described}: active", f"/v1/prices/{price}", {"active": True})


def _price_params(shelf: Shelf, offer: Offer) -> dict[str, Any]:
    """https://docs.stripe.com/api/prices/create"""
    params: dict[str, Any] = {
        "product": shelf.home,
        "unit_amount": offer.amount,
        "currency": offer.currency,
        "lookup_key": lookup_key(shelf.product.key, offer),
        "metadata": {MARK: shelf.product.key},
    }
    if offer.interval:
        params["recurring"] = {"interval": offer.interval, "interval_count": offer.interval_count}
    return params


def portal_calls(placed: Sequence[Shelf], found: Account) -> Iterator[Call]:
    """The billing portal's configuration, for whoever sells by subscription or did."""
    there = portal_of(found.portals)
    if there is None and not _subscriptions(placed, found):
        return
    features = _features(plans(placed, found))
    digest = hashlib.sha256(json.dumps(features, sort_keys=True).encode()).hexdigest()[:16]
    params = {"features": features, "metadata": {MARK: PORTAL, ASKED_FOR: digest}}
    described = "cancel at the end of the period, fix the payment, invoices"
    if features["subscription_update"]["enabled"]:
        described += ", change the plan"
    if there is None:
        yield Call("make", "billing portal configuration", described, PORTALS, params)
    elif there["metadata"].get(ASKED_FOR) != digest:
        yield Call("change", "billing portal configuration", described, f"{PORTALS}/{there['id']}", params)


def portal_of(portals: Iterable[Found]) -> Found | None:
    """The billing portal configuration that is ours."""
    ours = [one for one in portals if one["active"] and (one["metadata"] or {}).get(MARK) == PORTAL]
    return min(ours, key=lambda one: (one["created"], one["id"]), default=None)


def _subscriptions(placed: Sequence[Shelf], found: Account) -> bool:
    recurring = {price["id"] for price in found.prices if price["recurring"]}
    offered = any(offer and offer.interval for shelf in placed for offer, _ in shelf.on_sale)
    return offered or any(price in recurring for shelf in placed for price in shelf.kept)


def plans(placed: Sequence[Shelf], found: Account) -> list[dict[str, Any]]:
    """What customers may change to: of each Stripe product, one price for each period and currency."""
    homes = {price["id"]: price["product"] for price in found.prices}
    prices: dict[str, dict[tuple[Any, ...], str]] = {}
    for shelf in placed:
        for offer, price in shelf.on_sale:
            if offer and offer.interval:
                period = (offer.currency, offer.interval, offer.interval_count)
                prices.setdefault(homes.get(price, shelf.home), {}).setdefault(period, price)
    return [{"product": home, "prices": list(each.values())} for home, each in prices.items()]


def _features(offered: list[dict[str, Any]]) -> dict[str, Any]:
    """https://docs.stripe.com/api/customer_portal/configurations/create. Who changes to more pays for it at once.

    A trial goes on: without a word from us Stripe ends it (https://docs.stripe.com/changelog/clover/2025-09-30/customer-portal-trial-behavior).
    """
    changing = sum(len(plan["prices"]) for plan in offered[:MOST_PLANS]) > 1
    return {
        "invoice_history": {"enabled": True},
        "payment_method_update": {"enabled": True},
        "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
        "subscription_update": {
            "enabled": True,
            "default_allowed_updates": ["price"],
            "products": offered[:MOST_PLANS],
            "proration_behavior": "always_invoice",
            "trial_update_behavior": "continue_trial",
        }
        if changing
        else {"enabled": False},
    }


def endpoint_calls(wanted: Wanted, found: Account) -> Iterator[Call]:
    """The webhook endpoint. Its secret is told by the answer that makes it, and never again."""
    if wanted.webhook_url is None:
        return
    there, events = endpoint_of(wanted, found), sorted(wanted.events)
    if there is None or wanted.new_endpoint:
        params = {
            "url": wanted.webhook_url,
            "enabled_events": events,
            "api_version": wanted.api_version,
            "metadata": {MARK: "webhooks"},
        }
        yield Call("make", "webhook endpoint", wanted.webhook_url, "/v1/webhook_endpoints", params)
        return
    changes: dict[str, Any] = {}
    if set(there["enabled_events"]) != wanted.events:
        changes["enabled_events"] = events
    if there["status"] != "enabled":
        changes["disabled"] = False
    if changes:
        described = f"{wanted.webhook_url}: {', '.join(ENDPOINT_CHANGES[name] for name in changes)}"
        yield Call("change", "webhook endpoint", described, f"/v1/webhook_endpoints/{there['id']}", changes)


def endpoint_of(wanted: Wanted, found: Account) -> Found | None:
    """The webhook endpoint with our address; of several, the one that fits best."""

    def unfit(one: Found) -> tuple[bool, bool, int]:
        return one["api_version"] != wanted.api_version, one["status"] != "enabled", -one["created"]

    return min(endpoints_of(wanted, found), key=unfit, default=None)


def endpoints_of(wanted: Wanted, found: Account) -> list[Found]:
    """All webhook endpoints with our address."""
    return [one for one in found.endpoints if one["url"].rstrip("/") == wanted.webhook_url]
