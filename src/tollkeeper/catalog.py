"""What is sold: products, their prices, and the features they unlock."""

from collections.abc import Iterable
from dataclasses import dataclass

from tollkeeper.model import Policy, Product


@dataclass(frozen=True, slots=True)
class Catalog:
    """The products on sale, and those that old prices still unlock."""

    products: tuple[Product, ...]

    def find(self, key: str) -> Product | None:
        """The product with this key, or None."""
        return next((product for product in self.products if product.key == key), None)

    def unlocking(self, feature: str) -> tuple[Product, ...]:
        """The products that unlock a feature, in the catalog's order."""
        return tuple(product for product in self.products if feature in product.unlocks)

    def features(self, product_keys: Iterable[str]) -> frozenset[str]:
        """Every feature that these products unlock. A product no longer in the catalog unlocks nothing."""
        held = set(product_keys)
        return frozenset(feature for product in self.products if product.key in held for feature in product.unlocks)

    def policy(self, key: str) -> Policy:
        """What the seller decided about a product; the careful defaults for one no longer in the catalog."""
        product = self.find(key)
        return product.policy if product else Policy()

    def price_on_sale(self, product: Product, provider: str) -> str | None:
        """The price id a new order uses, or None where this provider does not sell the product."""
        return next(iter(product.prices.get(provider, ())), None)
