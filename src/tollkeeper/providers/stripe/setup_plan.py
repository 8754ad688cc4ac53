"""PURE. Plans the setup of a Stripe account: compares what exists with what is wanted, and returns the missing steps.

Each step is one call. Nothing is ever deleted or archived. An object that does not exist yet has a reference such as
``tollkeeper/pro``, until the step that creates it returns its id.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tollkeeper.model.selling import Offer, Product
from tollkeeper.settings.offers import several, words

# Objects that we created have a mark in their metadata: products and prices have the product's key.
MARK = "tollkeeper"
PORTAL = "portal"
# Stripe does not return all of a portal's configuration, so we store a digest of what we sent.
ASKED_FOR = "tollkeeper_asked_for"

PORTALS = "/v1/billing_portal/configurations"
# https://docs.stripe.com/api/customer_portal/configurations/create
MOST_PLANS = 10

ENDPOINT_CHANGES = {"enabled_events": "the events that matter", "disabled": "enabled again"}

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an account should be set up for."""

    products: tuple[Product, ...]
    webhook_url: str | None
    """None if Stripe cannot reach us."""
    secret_known: bool
    """Whether a secret of the webhook endpoint is already set."""
    events: frozenset[str]
    api_version: str
    live: bool = False
    new_endpoint: bool = False
    """Create a webhook endpoint even if there is one."""

    @property
    def dashboard(self) -> str:
        """The address of the seller's dashboard at Stripe."""
        return f"https://dashboard.stripe.com{'' if self.live else '/test'}"


@dataclass(frozen=True, slots=True)
class Account:
    """What exists in the account: the objects that are ours, and those that our settings name."""

    products: Sequence[Found] = ()
    prices: Sequence[Found] = ()
    endpoints: Sequence[Found] = ()
    portals: Sequence[Found] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One call that creates or changes one object. ``makes`` is the reference that the new id replaces."""

    action: str
    what: str
    words: str
    path: str
    params: Mapping[str, Any]
    makes: str = ""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One product of the catalog at Stripe. Prices are ids, or references to prices that do not exist yet."""

    product: Product
    home: str
    """The id of its product at Stripe, or a reference."""
    on_sale: tuple[tuple[Offer | None, str], ...]
    """The prices on sale, the usual one first. The offer is None for a price that we cannot have created."""
    kept: tuple[str, ...]
    """The prices that are no longer on sale, but still unlock the product."""

    def settled(self, made: Mapping[str, str]) -> "Shelf":
        """Return the same, with the ids of what was created in place of the references."""
        on_sale = tuple((offer, made.get(price, price)) for offer, price in self.on_sale)
        return replace(self, home=made.get(self.home, self.home), on_sale=on_sale)


def lookup_key(product: str, offer: Offer) -> str:
    """Return the lookup key of an offer's price at Stripe, so that it is found again and never created twice."""
    period = "once" if offer.interval is None else offer.interval
    if offer.interval_count > 1:
        period = several(offer, "-")
    return f"tollkeeper/{product}/{offer.amount}-{offer.currency}-{period}"


def reference(key: str) -> str:
    """Return the reference to a product's Stripe product until that is created."""
    return f"{MARK}/{key}"


def shelves(wanted: Wanted, found: Account) -> tuple[Shelf, ...]:
    """Return where each product is, or will be, at Stripe."""
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
    """Return the Stripe product of a product: it has our mark, or one of its known prices."""
    marked = [one for one in found.products if one["metadata"].get(MARK) == product.key]
    known = {price["product"] for price in found.prices if _is_ours(price, product)}
    candidates = marked or [one for one in found.products if one["id"] in known]
    return min(candidates, key=lambda one: (not one["active"], one["created"], one["id"]), default=None)


def _is_ours(price: Found, product: Product) -> bool:
    keys = {lookup_key(product.key, offer) for offer in product.offers}
    return price["id"] in product.prices["stripe"] or price["lookup_key"] in keys


def _price_for(offer: Offer, product: Product, prices: Iterable[Found]) -> str:
    """Return the id of the price that sells an offer; a reference if there is none."""
    key = lookup_key(product.key, offer)
    fitting = [price for price in prices if offer_of(price) == offer]
    best = min(fitting, key=lambda one: (not one["active"], one["lookup_key"] != key, one["created"]), default=None)
    return best["id"] if best else key


def offer_of(price: Found) -> Offer | None:
    """Return the offer of a price; None if it has no fixed amount. https://docs.stripe.com/api/prices/object"""
    recurring = price["recurring"] or {}
    plain = price["billing_scheme"] == "per_unit" and price["unit_amount"] is not None
    if not plain or recurring.get("usage_type") == "metered" or price.get("transform_quantity"):
        return None
    interval, count = recurring.get("interval"), recurring.get("interval_count", 1)
    return Offer(price["unit_amount"], price["currency"], interval, count)


def catalog_calls(placed: Sequence[Shelf], found: Account) -> Iterator[Call]:
    """Yield the calls for products and prices that are missing or wrong."""
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
    """Yield the call for the billing portal's configuration, if anything is or was sold by subscription."""
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
    """Return our own billing portal configuration, or None."""
    ours = [one for one in portals if one["active"] and (one["metadata"] or {}).get(MARK) == PORTAL]
    return min(ours, key=lambda one: (one["created"], one["id"]), default=None)


def _subscriptions(placed: Sequence[Shelf], found: Account) -> bool:
    recurring = {price["id"] for price in found.prices if price["recurring"]}
    offered = any(offer and offer.interval for shelf in placed for offer, _ in shelf.on_sale)
    return offered or any(price in recurring for shelf in placed for price in shelf.kept)


def plans(placed: Sequence[Shelf], found: Account) -> list[dict[str, Any]]:
    """Return what customers may change to: for each Stripe product, one price per period and currency."""
    homes = {price["id"]: price["product"] for price in found.prices}
    prices: dict[str, dict[tuple[Any, ...], str]] = {}
    for shelf in placed:
        for offer, price in shelf.on_sale:
            if offer and offer.interval:
                period = (offer.currency, offer.interval, offer.interval_count)
                prices.setdefault(homes.get(price, shelf.home), {}).setdefault(period, price)
    return [{"product": home, "prices": list(each.values())} for home, each in prices.items()]


def _features(offered: list[dict[str, Any]]) -> dict[str, Any]:
    """https://docs.stripe.com/api/customer_portal/configurations/create. An upgrade is charged at once.

    A trial continues. By default Stripe would end it (https://docs.stripe.com/changelog/clover/2025-09-30/customer-portal-trial-behavior).
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
    """Yield the call for the webhook endpoint. Only the response that creates it contains its secret."""
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
    """Return the webhook endpoint with our address; of several, the one that fits best."""

    def mismatches(one: Found) -> tuple[bool, bool, int]:
        return one["api_version"] != wanted.api_version, one["status"] != "enabled", -one["created"]

    return min(endpoints_of(wanted, found), key=mismatches, default=None)


def endpoints_of(wanted: Wanted, found: Account) -> list[Found]:
    """Return all webhook endpoints with our address."""
    return [one for one in found.endpoints if one["url"].rstrip("/") == wanted.webhook_url]
