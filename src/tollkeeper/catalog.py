"""What is sold: products, their prices, and the features they unlock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tollkeeper.model.selling import Policy, Product


@dataclass(frozen=True, slots=True)
class Catalog:
    """All products of a site: those on sale at one provider, and those that only old prices still unlock."""

    products: tuple[Product, ...]
    provider: str = ""
    """The name of the provider that the prices belong to. The gate does not need it."""
    # Computed once, because the gate needs them at each request.
    _by_key: Mapping[str, Product] = field(init=False, repr=False, compare=False)
    _unlocking: Mapping[str, tuple[Product, ...]] = field(init=False, repr=False, compare=False)
    _by_price: Mapping[str, Product] = field(init=False, repr=False, compare=False)
    containing: frozenset[tuple[str, str]] = field(init=False, repr=False, compare=False)
    """The keys of all pairs of products of which the first unlocks everything that the second does."""

    def __post_init__(self) -> None:
        features = {feature for product in self.products for feature in product.unlocks}
        by_feature = {
            feature: tuple(product for product in self.products if feature in product.unlocks) for feature in features
        }
        by_price = {price: product for product in self.products for price in product.prices.get(self.provider, ())}
        pairs = {
            (one.key, other.key)
            for one in self.products
            for other in self.products
            if one.key != other.key and other.unlocks and one.unlocks >= other.unlocks
        }
        object.__setattr__(self, "containing", frozenset(pairs))
        object.__setattr__(self, "_by_price", by_price)
        object.__setattr__(self, "_by_key", {product.key: product for product in self.products})
        object.__setattr__(self, "_unlocking", by_feature)

    def find(self, key: str) -> Product | None:
        """Return the product with this key, or None."""
        return self._by_key.get(key)

    def unlocking(self, feature: str) -> tuple[Product, ...]:
        """Return the products that unlock a feature, in the catalog's order."""
        return self._unlocking.get(feature, ())

    def features(self, product_keys: Iterable[str]) -> frozenset[str]:
        """Return every feature that these products unlock. A product no longer in the catalog unlocks nothing."""
        unlocked = [self._by_key[key].unlocks for key in product_keys if key in self._by_key]
        return unlocked[0] if len(unlocked) == 1 else frozenset[str]().union(*unlocked)

    def contains(self, key: str, other: str) -> bool:
        """Return whether one product unlocks everything that another does, by their keys. Each contains itself."""
        return key == other or (key, other) in self.containing

    def policy(self, key: str) -> Policy:
        """Return the seller's policy for a product; the careful defaults if it is no longer in the catalog."""
        product = self.find(key)
        return product.policy if product else Policy()

    def product_of_price(self, price_id: str) -> Product | None:
        """Return the product that a price unlocks, whether or not it is still on sale."""
        return self._by_price.get(price_id)

    def prices_on_sale(self, product: Product) -> tuple[str, ...]:
        """Return the price ids that a new order may use, the usual one first; none if the provider sells none."""
        return product.on_sale.get(self.provider) or product.prices.get(self.provider, ())[:1]

    def price_on_sale(self, product: Product) -> str | None:
        """Return the price id that a new order uses if none was chosen; None if the provider does not sell it."""
        return next(iter(self.prices_on_sale(product)), None)
