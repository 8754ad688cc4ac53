"""How to reach a shop at Pebble, and the properties that all shops there share."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tollkeeper.errors import Fault, Obstacle
from tollkeeper.model.selling import Offer
from tollkeeper.providers.protocol import ProviderFacts
from tollkeeper.settings import Setting
from tollkeeper.settings.offers import NoOffer
from tollkeeper.settings.parsers import flag, matching, origin

# Requests a second.
RATE = 1000

FACTS = ProviderFacts(
    title="Pebble",
    checkout_placeholder="__PAGE__",
    checkout_id=re.compile(r"page-[0-9a-f]{16}"),
    key_lifetime=7 * 24 * 3600,
    events_kept=90 * 24 * 3600,
    longest_return_url=2000,
    remedies={
        Obstacle.PRICE_MISSING: "Check that the plan is one of the shop that PEBBLE_KEY belongs to.",
        Obstacle.TAX_INACTIVE: "Turn tax on in the shop, or set PEBBLE_TAX=false.",
        Obstacle.KEY_REFUSED: "Check PEBBLE_KEY.",
    },
)

SETTINGS = (
    Setting(
        "PEBBLE_KEY",
        matching(r"pb_(?:test|live)_[a-z0-9]+", "is not a key of Pebble"),
        "The shop's key.",
        "pb_test_...",
        required=True,
        secret=True,
    ),
    Setting("PEBBLE_URL", origin, "Where Pebble is.", "https://pebble.example", required=True),
    Setting(
        "PEBBLE_SECRET",
        matching(r"seal-[0-9a-f]+", "is not a secret of Pebble"),
        "What news are sealed with.",
        "seal-...",
        many=True,
        secret=True,
    ),
    Setting("PEBBLE_TAX", flag, "Let Pebble add tax.", "true", default="false"),
)


def is_live(key: str) -> bool:
    return key.startswith("pb_live_")


@dataclass(frozen=True, slots=True)
class PebbleSettings:
    """How to reach a shop: ``ProviderSettings`` of Pebble."""

    key: str = field(repr=False)
    url: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    tax: bool = False

    @property
    def live(self) -> bool:
        return is_live(self.key)

    @property
    def receives_webhooks(self) -> bool:
        return bool(self.secrets)

    @property
    def hosted_origins(self) -> frozenset[str]:
        return frozenset({self.url})


def read(values: Mapping[str, Any]) -> PebbleSettings:
    return PebbleSettings(values["PEBBLE_KEY"], values["PEBBLE_URL"], values["PEBBLE_SECRET"], values["PEBBLE_TAX"])


def faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    url = values.get("PEBBLE_URL") or ""
    if is_live(values.get("PEBBLE_KEY") or "") and url.startswith("http:"):
        yield Fault("PEBBLE_URL", "is not https, and the key is live", "Use https, or a test key")


def check_offer(offer: Offer) -> None:
    """Raise ``NoOffer`` if no plan can be created from an offer."""
    if offer.interval_count > 1:
        raise NoOffer("is for several periods at once", "Pebble takes money by the day, week, month or year")
