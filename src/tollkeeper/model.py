"""The nouns, frozen. Times are whole Unix seconds in UTC; money is minor units of a lower-case ISO 4217 currency."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tollkeeper.errors import Obstacle
from tollkeeper.reasons import Reason


def in_force(until: int | None, now: int) -> bool:
    """Whether what lasts until a time (Unix seconds; None: for good) still does. The time itself is past the end."""
    return until is None or until > now


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
    dropped: str | None = None
    """Why the address that the issuer told does not count, for the log; without the address."""


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
class Realm:
    """One account of one provider in one mode. Nothing is ever matched across realms."""

    provider: str
    account: str
    live: bool


@dataclass(frozen=True, slots=True)
class Customer:
    """A provider's record of a person. A guest has none, and goes by the source of the one thing they bought."""

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
    adopts: str | None = None
    """What was bought elsewhere and an operator tied to the person: its source. None: it was ordered here."""
    adoption: Reason | None = None
    """Why the operator did, in their words."""


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
class Named:
    """What is common to a purchase and a subscription, as the provider tells it."""

    source: str
    """The provider's id of the checkout session or the subscription: one grant per source, ever."""
    order_id: str | None
    person_id: str | None
    live: bool
    currency: str
    created_at: int
    email: str | None = None
    """The e-mail address that the buyer gave there: a hint for operators, never a proof of who it was."""
    customer_id: str | None = None
    """The provider's id of the customer who bought it; None for a guest, of whom it keeps no record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase(Named):
    """One completed checkout of something that is paid once."""

    payment: Payment
    lines: tuple[Line, ...]
    amount_subtotal: int
    amount_discount: int
    amount_total: int
    amount_refunded: int = 0
    dispute: Dispute = Dispute.NONE
    reference: str | None = None
    """The provider's id of the payment, which a person can quote to support."""
    receipt_url: str | None = None
    paid_at: int | None = None

    @property
    def checkout_id(self) -> str | None:
        """The checkout session that was gone through for it."""
        return self.source

    @property
    def bought_at(self) -> int:
        """When it was paid, or else begun."""
        return self.paid_at or self.created_at

    @property
    def amount_back(self) -> int:
        """How much of the buyer's money did not stay here: what was refunded, or all of it if the dispute was lost."""
        return self.amount_total if self.dispute is Dispute.LOST else self.amount_refunded

    @property
    def paid_back(self) -> bool:
        """Whether nothing of the buyer's money stayed here: all of it went back, or none was asked for."""
        return self.amount_total <= self.amount_back


class Bill(StrEnum):
    """How far an invoice has come."""

    DRAFT = "draft"
    """It can still change, and nobody was asked to pay it."""
    OPEN = "open"
    """It is final, and no payment was tried yet."""
    PROCESSING = "processing"
    """A payment is on its way, as a bank debit is for days."""
    FAILED = "failed"
    """A payment was tried and did not succeed."""
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"
    """Written off: the seller does not expect the money any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """One invoice of a subscription, with what became of its money."""

    id: str
    bill: Bill
    starts: int
    """When the time begins that it is for. Unix seconds, as all times."""
    ends: int
    created_at: int
    total: int
    """What it asks for, in minor units; negative where it is a credit."""
    paid: int = 0
    refunded: int = 0
    dispute: Dispute = Dispute.NONE
    due_at: int | None = None
    """When it was to be paid: one that is charged by itself, as soon as it was final. None for a draft."""
    paid_at: int | None = None
    trouble: str | None = None
    """Why a draft does not become final by itself, in the provider's words."""
    reference: str | None = None
    """The provider's id of the payment that paid it."""
    receipt_url: str | None = None

    @property
    def back(self) -> int:
        """How much of what was paid did not stay here: what was refunded, or all of it if the dispute was lost."""
        return self.paid if self.dispute is Dispute.LOST else self.refunded


def without_receipts(invoices: Iterable[Invoice]) -> tuple[Invoice, ...]:
    """The same without their receipts, which show a name."""
    return tuple(replace(one, receipt_url=None) for one in invoices)


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


# Of several invoices for one period, the one that stands worst tells how the period stands. A void one is not asked
# for, and pays for nothing.
WORST_FIRST = (
    Bill.FAILED,
    Bill.UNCOLLECTIBLE,
    Bill.VOID,
    Bill.DRAFT,
    Bill.OPEN,
    Bill.PROCESSING,
    Bill.PAID,
)

# The gravest last.
GRAVITY = (Dispute.NONE, Dispute.WARNING, Dispute.WON, Dispute.OPEN, Dispute.LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription(Named):
    """One subscription as it is now, with all its invoices. Its money is what they say.

    What it was paid, refunded and disputed by is told of the present period.
    """

    standing: Standing
    items: tuple[Line, ...]
    period_start: int
    period_end: int
    invoices: tuple[Invoice, ...] = ()
    """Newest first, those of earlier periods too."""
    trial_end: int | None = None
    ends_at: int | None = None
    """When it will end, or ended; None while it goes on."""
    collection_paused: bool = False
    """Whether the seller asks for no payments at present."""
    checkout_id: str | None = None
    """The checkout session that was gone through for it, where the provider says so by now."""
    ended_for: str | None = None
    """The source of the purchase for which an end was last set by us: it gives for good what this gives."""

    @property
    def bought_at(self) -> int:
        """When it was begun."""
        return self.created_at

    @property
    def over(self) -> bool:
        """Whether nothing more can come of it."""
        return self.standing in {Standing.CANCELED, Standing.INCOMPLETE_EXPIRED}

    @property
    def present(self) -> tuple[Invoice, ...]:
        """The invoices for the present period, without void ones in whose place there is another."""
        return without_replaced(self.asked)

    @property
    def asked(self) -> tuple[Invoice, ...]:
        """All invoices for the present period."""
        return tuple(one for one in self.invoices if self.period_start <= one.starts < self.period_end)

    @property
    def earlier(self) -> tuple[Invoice, ...]:
        """The invoices for what came before the present period."""
        return tuple(one for one in self.invoices if one.starts < self.period_start)

    @property
    def bill(self) -> Bill:
        """How far the money for the present period has come. Where no invoice tells of it yet, one is to come."""
        return min((one.bill for one in self.present), key=WORST_FIRST.index, default=Bill.DRAFT)

    @property
    def amount_total(self) -> int:
        """What was paid for the present period."""
        return sum(one.paid for one in self.present)

    @property
    def amount_refunded(self) -> int:
        """What was refunded of that."""
        return sum(one.refunded for one in self.present)

    @property
    def amount_back(self) -> int:
        """How much of that did not stay here."""
        return sum(one.back for one in self.present)

    @property
    def dispute(self) -> Dispute:
        """The gravest dispute about the present period."""
        return gravest(one.dispute for one in self.present)

    @property
    def reference(self) -> str | None:
        """The payment for the present period."""
        return next((one.reference for one in self.present if one.reference), None)

    @property
    def receipt_url(self) -> str | None:
        """Its receipt."""
        return next((one.receipt_url for one in self.present if one.receipt_url), None)


def without_replaced(invoices: Collection[Invoice]) -> tuple[Invoice, ...]:
    """Those of one period without void ones in whose place another was issued: one that asks for money or took some, or
    is for all of their time. What is only credited for a change of plan pays for nothing.

    https://docs.stripe.com/api/invoices/void
    """
    stand = [one for one in invoices if one.bill is not Bill.VOID]
    return tuple(
        one for one in invoices if one.bill is not Bill.VOID or not any(_stands_for(other, one) for other in stand)
    )


def _stands_for(other: Invoice, void: Invoice) -> bool:
    asks = other.total > 0 and other.bill is not Bill.PAID
    return asks or other.paid > 0 or other.starts <= void.starts


def gravest(disputes: Iterable[Dispute]) -> Dispute:
    """The gravest of several disputes."""
    return max(disputes, key=GRAVITY.index, default=Dispute.NONE)


Bought = Purchase | Subscription


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one customer bought, fetched at one moment."""

    customer: Customer
    purchases: tuple[Purchase, ...]
    expired_checkouts: frozenset[str] = frozenset()
    """Checkout sessions of the customer that can no longer be paid."""
    subscriptions: tuple[Subscription, ...] = ()
    """Those that are over, too."""

    @property
    def bought(self) -> tuple[Bought, ...]:
        """All of it."""
        return self.purchases + self.subscriptions


class Verdict(StrEnum):
    """What one purchase or subscription gives."""

    GRANTED = "granted"
    PENDING = "pending"
    """The first payment is on its way."""
    UNPAID = "unpaid"
    SUSPENDED = "suspended"
    """Access is withheld for now, and comes back by itself: when a dispute is won, or what is owed is paid."""
    REVOKED = "revoked"
    """Access was taken back, for the money went back."""
    ENDED = "ended"
    """A subscription that is over."""
    QUARANTINED = "quarantined"
    UNCLAIMED = "unclaimed"
    """Never ordered here, but it bears our mark or is for something that is sold here."""
    UNRELATED = "unrelated"
    """Another sale on the account, which nothing here is about."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one purchase or subscription, with its reason."""

    bought: Bought
    verdict: Verdict
    reason: Reason
    product: str | None = None
    until: int | None = None
    """When the access ends that it gives; None: never, or it gives none. The time may be past."""
    line: Line | None = None
    """What of a subscription sells the product."""
    remarks: tuple[Reason, ...] = ()
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
    """When it stopped giving access before its time, for whatever reason; None while it has not."""
    reason: Reason
    amount: int | None
    """What was paid, in minor units; None where an operator granted it."""
    currency: str | None
    reference: str | None
    receipt_url: str | None
    withheld: Reason | None = None
    """Who decided that it gives no access, whatever the provider says; None: nobody did."""

    def in_force(self, now: int) -> bool:
        """Whether it gives access at this time (Unix seconds)."""
        return self.revoked_at is None and in_force(self.until, now)


@dataclass(frozen=True, slots=True)
class Holding:
    """A product a visitor holds right now."""

    product: str
    until: int | None

    def in_force(self, now: int) -> bool:
        """Whether it still is at this time (Unix seconds)."""
        return in_force(self.until, now)


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
