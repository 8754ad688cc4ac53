"""What is for sale, and what its seller decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tollkeeper.errors import Obstacle


@dataclass(frozen=True, slots=True)
class Policy:
    """What the seller of a product decides about money that comes back, or never comes.

    A full refund and a lost dispute take access away whatever it says.
    """

    refund_revokes_from: int = 100
    """The share of what was paid, in percent, from which refunds take access away."""
    dispute_suspends: bool = True
    """Whether a dispute takes access away when it is opened, until it is won."""
    promotion_codes: bool = False
    """Whether buyers may use promotion codes, so that less than the price, or nothing, counts as paid."""
    earlier_dispute_counts: bool = True
    """Whether a dispute about an earlier period of a subscription counts as one about the present period does."""
    grace_days: int = 7
    """How long a subscription goes on giving access after a payment for its renewal has failed."""
    trial_grace_days: int = 0
    """The same for the first payment after a trial, or after a period that cost nothing."""
    trial_days: int = 0
    """How long a subscription is free to begin with, once for each person."""
    trial_without_card: bool = False
    """Whether a trial begins without a card, and then ends unless the person adds one."""
    ends_subscription: bool = True
    """Whether a subscription ends by itself, with its period, once all that it gives is bought for good with this."""


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
    """What is sold. ``prices`` maps a provider's name to the price ids that unlock it, sold any more or not."""

    key: str
    name: str
    unlocks: frozenset[str]
    prices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policy: Policy = Policy()
    on_sale: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Those of them that are offered, the usual one first; the first of ``prices`` alone where this says nothing."""
    offers: tuple[Offer, ...] = ()
    """What prices are made of when a provider's account is set up, the usual one first."""


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
    """What was to be bought when the provider refused it, and what stands in the way until somebody changes that.

    For whom and what that is so, ``obstacle.scope`` says: one price, everything, or one person.
    """

    product: str
    price_id: str
    person_id: str | None
    """Set where it concerns that person alone."""
    obstacle: Obstacle
    facts: Mapping[str, str]
    """``currency``: what the customer pays in; ``sold_in``: that of the price; ``permission``: what the key lacks."""
    told: str
    """What the provider said, in its own words."""
    since: int
    tried_at: int
