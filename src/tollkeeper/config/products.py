"""The products as a seller configures them: in ``[products]``, or as one price."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tollkeeper.config.settings import product_settings
from tollkeeper.errors import Fault
from tollkeeper.model.selling import Offer, Policy, Product
from tollkeeper.providers.protocol import ProviderKind
from tollkeeper.settings import Setting
from tollkeeper.settings.offers import NoOffer
from tollkeeper.settings.parsers import KEY, InvalidValue
from tollkeeper.settings.sources import Texts, from_toml
from tollkeeper.settings.values import parse_values


def products_of(
    tables: Mapping[str, Any],
    texts: Texts,
    values: Mapping[str, Any],
    providers: Collection[ProviderKind],
    faults: list[Fault],
    *,
    priced: bool = True,
) -> tuple[Product, ...]:
    """Return the products, from ``[products]`` or from the one price. ``priced``: each must have a price."""
    one = "PRODUCT_PRICE_ID" in texts
    if tables and one:
        faults.append(
            Fault(
                "PRODUCT_PRICE_ID",
                "is set together with [products]",
                "Move the price into a product, or remove [products]",
            )
        )
    if not tables and not one:
        remedy = "Set it to the id of a price, or write [products.KEY] in tollkeeper.toml"
        faults.append(Fault("PRODUCT_PRICE_ID", "is not set, and there are no products: nothing is for sale", remedy))
    if tables:
        settings = product_settings(providers, priced=priced)
        products = [_product(key, table, providers, settings, faults) for key, table in tables.items()]
        faults += _shared_prices(products)
        return tuple(products)
    price = values.get("PRODUCT_PRICE_ID")
    prices = {provider.name: (price,) for provider in providers if price and _is_price_of(provider, price)}
    return (Product("dashboard", "", frozenset({"dashboard"}), prices),) if prices else ()


def _is_price_of(provider: ProviderKind, text: str) -> bool:
    try:
        return bool(provider.price_id(text))
    except InvalidValue:
        return False


def _product(
    key: str, table: object, providers: Iterable[ProviderKind], settings: Collection[Setting], faults: list[Fault]
) -> Product:
    """Return one product; if it has faults, only its valid parts."""
    place = f"products.{key if KEY.fullmatch(key) else repr(key[:64])}"
    if not KEY.fullmatch(key):
        remedy = "Use a lower-case letter, then letters, digits, - and _, 64 in all"
        faults.append(Fault(place, "is not a key", remedy))
    if not isinstance(table, dict):
        faults.append(Fault(place, "is not a table", f"Write [{place}] with name, unlocks and prices"))
        return Product(key, "", frozenset())
    texts = from_toml(table, settings, f"{place}.", "tollkeeper.toml", faults)
    values = parse_values(settings, texts, f"{place}.", faults)
    offers = values.get("offers", ())
    faults += _offer_faults(f"{place}.offers", offers, providers)
    listed = {one.name: values.get(one.name, ()) for one in providers}
    also = {one.name: values.get(f"{one.name}_also", ()) for one in providers}
    return Product(
        key,
        values.get("name", ""),
        frozenset(values.get("unlocks", ())),
        {name: prices + also[name] for name, prices in listed.items()},
        _policy(values),
        {name: listed[name][:1] + prices for name, prices in also.items() if prices},
        offers,
        {one.name: made for one in providers if (made := values.get(f"{one.name}_made_from"))},
    )


def _offer_faults(place: str, offers: Sequence[Offer], providers: Iterable[ProviderKind]) -> Iterator[Fault]:
    if len(set(offers)) < len(offers):
        yield Fault(place, "has the same offer twice", "Keep one of them")
    for number, offer in enumerate(offers, start=1):
        for provider in providers:
            try:
                provider.check_offer(offer)
            except NoOffer as error:
                entry = f"entry {number} " if len(offers) > 1 else ""
                yield Fault(place, f"{entry}{error.problem}", error.remedy)


def _policy(values: Mapping[str, Any]) -> Policy:
    """Return the seller's policy, with the default for every value that has a fault."""
    usual = Policy()
    return Policy(
        refund_revokes_from=values.get("refund_revokes_from", usual.refund_revokes_from),
        dispute_suspends=values.get("dispute") != "keep",
        earlier_dispute_counts=values.get("earlier_dispute") != "tell",
        promotion_codes=values.get("promotion_codes", usual.promotion_codes),
        grace_days=values.get("grace_days", usual.grace_days),
        trial_grace_days=values.get("trial_grace_days", usual.trial_grace_days),
        trial_days=values.get("trial_days", usual.trial_days),
        trial_without_card=values.get("trial_without_card", usual.trial_without_card),
        ends_subscription=values.get("ends_subscription", usual.ends_subscription),
    )


def _shared_prices(products: Iterable[Product]) -> Iterator[Fault]:
    owner: dict[tuple[str, str], str] = {}
    for product in products:
        for provider, prices in product.prices.items():
            for price in prices:
                if (provider, price) in owner:
                    problem = f"lists a price that products.{owner[provider, price]} lists already"
                    yield Fault(f"products.{product.key}.{provider}", problem, "A price belongs to one product, once")
                owner[provider, price] = product.key
