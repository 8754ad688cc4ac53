"""What is for sale, and what its seller decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tollkeeper.errors import Obstacle


@dataclass(frozen=True, slots=True)
class Policy:
    """What the seller of a product decides about refunds, disputes and missed payments.

    A full refund and a lost dispute always take access away.
    """

    refund_revokes_from: int = 100
    """The share of what was paid, in percent, from which refunds take access away."""
    dispute_suspends: bool = True
    """Whether an open dispute takes access away until it is won."""
    promotion_codes: bool = False
    """Whether buyers may use promotion codes, so that less than the price, or nothing, counts as paid."""
    earlier_dispute_counts: bool = True
    """Whether a dispute about an earlier period of a subscription counts like one about the current period."""
    grace_days: int = 7
    """How long a subscription continues to give access after a renewal payment failed."""
    trial_grace_days: int = 0
    """The same for the first payment after a trial, or after a period that cost nothing."""
    trial_days: int = 0
    """How long a subscription is free at the start, once for each person."""
    trial_without_card: bool = False
    """Whether a trial begins without a card, and then ends unless the person adds one."""
    ends_subscription: bool = True
    """Whether a subscription ends automatically, with its period, once this is bought for good and gives all of it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a seller wants to sell a product for: an amount in minor units, once or for each period."""

    amount: int
    currency: str
    interval: str | None = None
    """``day``, ``week``, ``month`` or ``year``; None: once."""
    interval_count: int = 1


@dataclass(frozen=True, slots=True)
class Product:
    """What is sold. ``prices`` maps a provider's name to the price ids that unlock it, still on sale or not."""

    key: str
    name: str
    unlocks: frozenset[str]
    prices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policy: Policy = Policy()
    on_sale: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Those that are on sale, the usual one first; if empty, only the first of ``prices``."""
    offers: tuple[Offer, ...] = ()
    """What prices are created from when a provider's account is set up, the usual one first."""
    made_from: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By a provider's name: the fingerprints of the offers that its prices were created from, as far as known."""


@dataclass(frozen=True, slots=True)
class Price:
    """A provider's price, as fetched from it. One with an interval is paid again after each."""

    id: str
    amount: int
    currency: str
    product_name: str
    interval: str | None = None
    """``day``, ``week``, ``month`` or ``year``; None: paid once."""
    interval_count: int = 1
    """How many of them make a period."""
    tax_behavior: str | None = None
    """``inclusive`` or ``exclusive``, where the provider says whether tax is in the amount or comes on top."""

    @property
    def recurring(self) -> bool:
        """Whether it makes a subscription."""
        return self.interval is not None


@dataclass(frozen=True, slots=True)
class OffSale:
    """What the provider refused to sell, and the cause, which lasts until somebody changes something.

    ``obstacle.scope`` says what is affected: one price, everything, or one person.
    """

    product: str
    price_id: str
    person_id: str | None
    """Set if it affects only that person."""
    obstacle: Obstacle
    facts: Mapping[str, str]
    """``currency``: what the customer pays in; ``sold_in``: that of the price; ``permission``: what the key lacks."""
    provider_message: str
    """What the provider said, in its own words."""
    since: int
    tried_at: int
