"""The catalog as a seller writes it, in ``[products]`` or as one price."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tollkeeper.config.parsers import KEY
from tollkeeper.config.settings import PRODUCT_SETTINGS, Setting
from tollkeeper.config.sources import Texts, from_toml
from tollkeeper.config.values import parse_values
from tollkeeper.errors import Fault
from tollkeeper.model.selling import Policy, Product


def products_of(
    tables: Mapping[str, Any],
    texts: Texts,
    values: Mapping[str, Any],
    faults: list[Fault],
    settings: Sequence[Setting] = PRODUCT_SETTINGS,
) -> tuple[Product, ...]:
    """The products, from ``[products]`` or from the one price."""
    one = "PRODUCT_PRICE_ID" in texts
    if tables and one:
        faults.append(
            Fault("PRODUCT_PRICE_ID", "is set beside [products]", "Move the price into a product, or remove [products]")
        )
    if not tables and not one:
        remedy = "Set it to the id of a price, or write [products.KEY] in tollkeeper.toml"
        faults.append(Fault("PRODUCT_PRICE_ID", "is not set, and there are no products: nothing is for sale", remedy))
    if tables:
        products = [_product(key, table, faults, settings) for key, table in tables.items()]
        faults += _shared_prices(products)
        return tuple(products)
    prices = (values.get("PRODUCT_PRICE_ID"),)
    return tuple(Product("dashboard", "", frozenset({"dashboard"}), {"stripe": (price,)}) for price in prices if price)


def _product(key: str, table: object, faults: list[Fault], settings: Sequence[Setting]) -> Product:
    """One product; where it has faults, as much of it as has none."""
    place = f"products.{key if KEY.fullmatch(key) else repr(key[:64])}"
    if not KEY.fullmatch(key):
        remedy = "Use a lower-case letter, then letters, digits, - and _, 64 in all"
        faults.append(Fault(place, "is not a key", remedy))
    if not isinstance(table, dict):
        faults.append(Fault(place, "is not a table", f"Write [{place}] with name, unlocks and stripe"))
        return Product(key, "", frozenset(), {"stripe": ()})
    texts = from_toml(table, settings, f"{place}.", "tollkeeper.toml", faults)
    values = parse_values(settings, texts, f"{place}.", faults)
    listed, also, offers = (values.get(name, ()) for name in ("stripe", "stripe_also", "offers"))
    if len(set(offers)) < len(offers):
        faults.append(Fault(f"{place}.offers", "has the same offer twice", "Keep one of them"))
    return Product(
        key,
        values.get("name", ""),
        frozenset(values.get("unlocks", ())),
        {"stripe": listed + also},
        _policy(values),
        {"stripe": listed[:1] + also} if also else {},
        offers,
    )


def _policy(values: Mapping[str, Any]) -> Policy:
    """What the seller decided; what has a fault is as by default."""
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
    owner: dict[str, str] = {}
    for product in products:
        for price in product.prices["stripe"]:
            if price in owner:
                problem = f"lists a price that products.{owner[price]} lists already"
                yield Fault(f"products.{product.key}.stripe", problem, "A price belongs to one product, once")
            owner[price] = product.key
