"""The nouns, frozen. Times are whole Unix seconds in UTC; money is minor units of a lower-case ISO 4217 currency."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Person:
    """Who signs in. Known by identities, never by an e-mail address."""

    id: str
    name: str
    email: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Identity:
    """What an issuer said about somebody: (issuer, subject) is who they are, the rest is for display.

    ``email`` is only ever an address that the issuer calls verified.
    """

    issuer: str
    subject: str
    name: str
    email: str | None


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A browser that is signed in. Its token is not here: only a hash of it is kept."""

    id: str
    person_id: str
    issuer: str
    browser: str
    created_at: int
    expires_at: int
    host: str = ""
    """The one host where it counts; empty: wherever the login cookie goes."""
    parent_id: str | None = None
    """The login session that was handed over to that host, with which this one ends."""


@dataclass(frozen=True, slots=True)
class Handover:
    """A login session on its way to a host that the login cookie does not reach. Its token is not here either."""

    login_session_id: str
    host: str
    browser: str
    """The SHA-256 (hexadecimal) of what the browser was left there to show that it is the same one."""
    expires_at: int


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
    grace_days: int = 7
    """How long a subscription goes on giving access after a payment for its renewal has failed."""
    trial_days: int = 0
    """How long a subscription is free to begin with, once for each person."""
    trial_without_card: bool = False
    """Whether a trial begins without a card, and then ends unless the person adds one."""


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
class Realm:
    """One account of one provider in one mode. Nothing is ever matched across realms."""

    provider: str
    account: str
    live: bool


@dataclass(frozen=True, slots=True)
class Customer:
    """A provider's record of a person."""

    id: int
    realm: Realm
    external_id: str
    person_id: str


class OrderState(StrEnum):
    """How far an intent to buy has come. At most one order per person and product is open."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Order:
    """Our own row for one intent to buy, written before the provider is called."""

    id: str
    person_id: str
    product: str
    realm: Realm
    price_id: str
    quantity: int
    amount: int
    """Quantity times the price, before tax and discounts, in minor units."""
    currency: str
    state: OrderState
    idempotency_key: str
    created_at: int
    checkout_id: str | None = None
    promotion_codes: bool = False
    """Whether its checkout takes promotion codes, so that less than the amount, or nothing, counts as paid."""
    recurring: bool = False
    """Whether it is for a subscription; then the amount is that of one period."""
    trial_days: int | None = None
    """How long it is free to begin with; None: no trial was offered."""
    trial_without_card: bool = False


class Payment(StrEnum):
    """Whether the provider says a purchase is paid."""

    PAID = "paid"
    PENDING = "pending"
    UNPAID = "unpaid"
    FREE = "free"


class Dispute(StrEnum):
    """A bank's challenge to a payment. A warning is an inquiry: no money has been taken."""

    NONE = "none"
    WARNING = "warning"
    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a purchase."""

    price_id: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What is common to a purchase and a subscription, as the provider tells it."""

    source: str
    """The provider's id of the checkout session or the subscription: one grant per source, ever."""
    order_id: str | None
    person_id: str | None
    live: bool
    currency: str
    payment: Payment
    created_at: int
    amount_total: int
    """What was paid; of a subscription, for the present period."""
    amount_refunded: int = 0
    dispute: Dispute = Dispute.NONE
    reference: str | None = None
    """The provider's id of the payment, which a person can quote to support."""
    email: str | None = None
    """The e-mail address that the buyer gave there: a hint for operators, never a proof of who it was."""
    receipt_url: str | None = None

    @property
    def amount_back(self) -> int:
        """How much of the buyer's money did not stay here: what was refunded, or all of it if the dispute was lost."""
        return self.amount_total if self.dispute is Dispute.LOST else self.amount_refunded

    @property
    def paid_back(self) -> bool:
        """Whether nothing of the buyer's money stayed here: all of it went back, or none was asked for."""
        return self.amount_total <= self.amount_back


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase(Bought):
    """One completed checkout of something that is paid once."""

    lines: tuple[Line, ...]
    amount_subtotal: int
    amount_discount: int
    paid_at: int | None = None

    @property
    def checkout_id(self) -> str | None:
        """The checkout session that was gone through for it."""
        return self.source

    @property
    def bought_at(self) -> int:
        """When it was paid, or else begun."""
        return self.paid_at or self.created_at


class Standing(StrEnum):
    """How a subscription stands with the provider. One that we have no word for is unknown."""

    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    CANCELED = "canceled"
    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription(Bought):
    """One subscription as it is now. Its payment, amounts, dispute and reference are those of the present period.

    Of one that is over, nothing is asked but that it is.
    """

    standing: Standing
    items: tuple[Line, ...]
    period_start: int
    period_end: int
    trial_end: int | None = None
    ends_at: int | None = None
    """When it will end, or ended; None while it goes on."""
    collection_paused: bool = False
    """Whether the seller asks for no payments at present."""
    owed_since: int | None = None
    """When the oldest invoice that is still owed fell due; None if nothing is."""
    ever_paid: bool = False
    """Whether any money was ever paid for it."""
    checkout_id: str | None = None
    """The checkout session that was gone through for it, where the provider says so by now."""

    @property
    def bought_at(self) -> int:
        """When it was begun."""
        return self.created_at


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one customer bought, fetched at one moment."""

    customer: Customer
    purchases: tuple[Purchase, ...]
    expired_checkouts: frozenset[str] = frozenset()
    """Checkout sessions of the customer that can no longer be paid."""
    subscriptions: tuple[Subscription, ...] = ()
    """Those that are over, too."""


class Verdict(StrEnum):
    """What one purchase or subscription gives."""

    GRANTED = "granted"
    PENDING = "pending"
    UNPAID = "unpaid"
    SUSPENDED = "suspended"
    """A subscription that goes on, but gives no access until something is mended."""
    REVOKED = "revoked"
    ENDED = "ended"
    """A subscription that is over."""
    QUARANTINED = "quarantined"
    UNCLAIMED = "unclaimed"


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one purchase or subscription, with its reason in words."""

    bought: Purchase | Subscription
    verdict: Verdict
    reason: str
    product: str | None = None
    until: int | None = None
    """When the access ends that it gives; None: never, or it gives none. The time may be past."""
    line: Line | None = None
    """What of a subscription sells the product."""
    remark: str | None = None
    """What an operator should see to, although access does not depend on it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One product, for one person, from one source, until a time (None: for good)."""

    id: int
    person_id: str
    product: str
    realm: Realm
    source: str
    since: int
    until: int | None
    revoked_at: int | None
    reason: str
    amount: int | None
    """What was paid, in minor units; None where an operator granted it."""
    currency: str | None
    reference: str | None
    receipt_url: str | None
    withheld: str | None = None
    """An operator's note: revoked, whatever the provider says."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A product a visitor holds right now."""

    product: str
    until: int | None


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person behind a request, with what they hold. A request from nobody has no visitor."""

    person: Person
    login_session_id: str
    holdings: tuple[Holding, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """A provider's message, reduced to a hint: what changed, never how. Payloads are not applied, so not kept."""

    realm: Realm
    id: str
    type: str
    created_at: int
    object_id: str
    customer_id: str | None
    relevant: bool
    reference: str | None = None
    """The payment it concerns. Disputes name no customer, but this leads to the grant that the payment gave."""


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event in the inbox."""

    id: int
    event: Event
    attempts: int
