"""PURE. May this visitor use this feature? A decision, not yet an answer to a request."""

from dataclasses import dataclass

from tollkeeper.catalog import Catalog
from tollkeeper.model.access import Visitor
from tollkeeper.model.selling import Product


@dataclass(frozen=True, slots=True)
class Allow:
    """Let the visitor in. ``features`` is everything they may use."""

    visitor: Visitor
    features: frozenset[str]


@dataclass(frozen=True, slots=True)
class SignIn:
    """Nobody is signed in: sign in first."""


@dataclass(frozen=True, slots=True)
class Pay:
    """Signed in, but holds nothing that unlocks the feature. ``products`` would."""

    visitor: Visitor
    products: tuple[Product, ...]


@dataclass(frozen=True, slots=True)
class Deny:
    """No product unlocks this feature: nobody gets in."""

    feature: str


NotAllowed = SignIn | Pay | Deny
Decision = Allow | NotAllowed


def decide(visitor: Visitor | None, feature: str, catalog: Catalog, now: int) -> Decision:
    """Decide from what the visitor holds at ``now`` (Unix seconds). Only ``Allow`` lets anybody in."""
    products = catalog.unlocking(feature)
    if not products:
        return Deny(feature)
    if visitor is None:
        return SignIn()
    features = features_of(visitor, catalog, now)
    return Allow(visitor, features) if feature in features else Pay(visitor, products)


def open_until(visitor: Visitor, catalog: Catalog, now: int) -> dict[str, int | None]:
    """Until when (Unix seconds; None: for good) the visitor may use each feature, of those they may use at ``now``."""
    until: dict[str, int | None] = {}
    for feature in sorted(features_of(visitor, catalog, now)):
        keys = {product.key for product in catalog.unlocking(feature)}
        ends = [held.until for held in visitor.holdings if held.product in keys]
        until[feature] = None if None in ends else max(at for at in ends if at is not None)
    return until


def features_of(visitor: Visitor, catalog: Catalog, now: int) -> frozenset[str]:
    """Every feature the visitor may use at ``now`` (Unix seconds)."""
    return catalog.features([held.product for held in visitor.holdings if held.in_force(now)])
