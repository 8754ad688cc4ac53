"""What is sold, and what it unlocks."""

import pytest

from tollkeeper.catalog import Catalog
from tollkeeper.model.selling import Product

PRO = Product("pro", "Pro", frozenset({"dashboard", "reports"}), {"stripe": ("price_new", "price_old")})
BASIC = Product("basic", "Basic", frozenset({"dashboard"}), {"stripe": ("price_basic",), "paddle": ("pri_basic",)})
GIFT = Product("gift", "Gift", frozenset(), {"stripe": ()})
CATALOG = Catalog((PRO, BASIC, GIFT), "stripe")


@pytest.mark.parametrize(("key", "product"), [("pro", PRO), ("basic", BASIC), ("gift", GIFT)])
def test_a_product_is_found_by_its_key(key: str, product: Product) -> None:
    assert CATALOG.find(key) is product


@pytest.mark.parametrize("key", ["", "Pro", " pro", "pro\0", "price_new", "dashboard"])
def test_nothing_else_is_a_key(key: str) -> None:
    assert CATALOG.find(key) is None


@pytest.mark.parametrize(
    ("feature", "products"),
    [("dashboard", (PRO, BASIC)), ("reports", (PRO,)), ("", ()), ("Reports", ()), ("pro", ())],
)
def test_what_unlocks_a_feature_in_the_order_of_the_catalog(feature: str, products: tuple[Product, ...]) -> None:
    assert CATALOG.unlocking(feature) == products


@pytest.mark.parametrize(
    ("keys", "features"),
    [
        ([], set()),
        (["basic"], {"dashboard"}),
        (["pro"], {"dashboard", "reports"}),
        (["basic", "pro", "pro"], {"dashboard", "reports"}),
        (["gift"], set()),
        (["no longer sold"], set()),
        (["no longer sold", "basic"], {"dashboard"}),
    ],
)
def test_what_products_unlock_together(keys: list[str], features: set[str]) -> None:
    assert CATALOG.features(keys) == features
    assert CATALOG.features(iter(keys)) == features


@pytest.mark.parametrize(
    ("product", "provider", "price"),
    [
        (PRO, "stripe", "price_new"),
        (PRO, "paddle", None),
        (BASIC, "paddle", "pri_basic"),
        (GIFT, "stripe", None),
        (GIFT, "", None),
    ],
)
def test_the_first_price_is_on_sale(product: Product, provider: str, price: str | None) -> None:
    assert Catalog(CATALOG.products, provider).price_on_sale(product) == price


def test_an_empty_catalog_sells_and_unlocks_nothing() -> None:
    empty = Catalog((), "stripe")
    assert empty.find("pro") is None
    assert empty.unlocking("dashboard") == ()
    assert empty.features(["pro"]) == frozenset()


@pytest.mark.parametrize(
    ("provider", "price", "product"),
    [
        ("stripe", "price_new", PRO),
        ("stripe", "price_old", PRO),
        ("paddle", "pri_basic", BASIC),
        ("stripe", "pri_basic", None),
        ("stripe", "", None),
    ],
)
def test_a_price_leads_to_its_product(provider: str, price: str, product: Product | None) -> None:
    assert Catalog(CATALOG.products, provider).product_of_price(price) is product


def test_several_prices_may_be_on_sale() -> None:
    both = Product("both", "Both", frozenset(), {"stripe": ("a", "b", "c")}, on_sale={"stripe": ("c", "a")})
    assert CATALOG.prices_on_sale(both) == ("c", "a")
    assert CATALOG.price_on_sale(both) == "c"
    assert CATALOG.prices_on_sale(PRO) == ("price_new",)
    assert CATALOG.prices_on_sale(GIFT) == Catalog(CATALOG.products, "paddle").prices_on_sale(both) == ()
