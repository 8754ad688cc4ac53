"""What was bought, as the provider reports it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from tollkeeper.model.orders import Customer


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
    """What a purchase and a subscription have in common, as the provider reports it."""

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
    """The provider's id of the customer who bought it; None for a guest, who has no record there."""


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
        """The checkout session in which it was bought."""
        return self.source

    @property
    def bought_at(self) -> int:
        """When it was paid, or otherwise started."""
        return self.paid_at or self.created_at

    @property
    def amount_back(self) -> int:
        """How much of the buyer's money went back: what was refunded, or all of it if the dispute was lost."""
        return self.amount_total if self.dispute is Dispute.LOST else self.amount_refunded

    @property
    def paid_back(self) -> bool:
        """Whether none of the buyer's money is left: all of it went back, or none was due."""
        return self.amount_total <= self.amount_back


class Bill(StrEnum):
    """The state of an invoice."""

    DRAFT = "draft"
    """It can still change, and nobody has been asked to pay it."""
    OPEN = "open"
    """It is final, and no payment has been attempted yet."""
    PROCESSING = "processing"
    """A payment is being processed, as a bank debit is for days."""
    FAILED = "failed"
    """A payment was attempted and did not succeed."""
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"
    """Written off: the seller does not expect the money any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """One invoice of a subscription, and what happened to its money."""

    id: str
    bill: Bill
    starts: int
    """The start of the time that it covers. Unix seconds, like all times."""
    ends: int
    created_at: int
    total: int
    """The amount, in minor units; negative for a credit."""
    paid: int = 0
    refunded: int = 0
    dispute: Dispute = Dispute.NONE
    due_at: int | None = None
    """When it was due: one that is charged automatically, as soon as it was final. None for a draft."""
    paid_at: int | None = None
    trouble: str | None = None
    """Why a draft is not finalized automatically, in the provider's words."""
    reference: str | None = None
    """The provider's id of the payment that paid it."""
    receipt_url: str | None = None

    @property
    def back(self) -> int:
        """How much of what was paid went back: what was refunded, or all of it if the dispute was lost."""
        return self.paid if self.dispute is Dispute.LOST else self.refunded


def without_receipts(invoices: Iterable[Invoice]) -> tuple[Invoice, ...]:
    """The same without their receipts, which show a name."""
    return tuple(replace(one, receipt_url=None) for one in invoices)


class SubscriptionStatus(StrEnum):
    """The provider's status of a subscription, in our own words, which each provider's own are mapped to.

    None of them says that the present period is paid: its invoices do.
    """

    TRIALING = "trialing"
    ACTIVE = "active"
    """It continues."""
    PAST_DUE = "past_due"
    """A payment for it has failed, and is tried again."""
    UNPAID = "unpaid"
    """A payment for it has failed for good, and it is kept."""
    PAUSED = "paused"
    """Its trial ended with nothing to charge, and it waits for that."""
    CANCELED = "canceled"
    INCOMPLETE = "incomplete"
    """Its first payment has not succeeded yet."""
    INCOMPLETE_EXPIRED = "incomplete_expired"
    """Its first payment never succeeded, and no more can come of it."""
    UNKNOWN = "unknown"
    """The provider uses a word that we do not know. It gives no access."""


# Of several invoices for one period, the one in the worst state decides the state of the period. A void one is not
# due, and pays for nothing.
WORST_FIRST = (
    Bill.FAILED,
    Bill.UNCOLLECTIBLE,
    Bill.VOID,
    Bill.DRAFT,
    Bill.OPEN,
    Bill.PROCESSING,
    Bill.PAID,
)


# The most serious last.
GRAVITY = (Dispute.NONE, Dispute.WARNING, Dispute.WON, Dispute.OPEN, Dispute.LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription(Named):
    """One subscription as it is now, with all its invoices. Its amounts come from the invoices.

    Amounts paid, refunded and disputed are those of the current period.
    """

    standing: SubscriptionStatus
    items: tuple[Line, ...]
    period_start: int
    period_end: int
    invoices: tuple[Invoice, ...] = ()
    """Newest first, including those of earlier periods."""
    trial_end: int | None = None
    ends_at: int | None = None
    """When it will end, or ended; None while it continues."""
    collection_paused: bool = False
    """Whether the seller has paused collection."""
    checkout_id: str | None = None
    """The checkout session in which it was bought, if the provider says so already."""
    ended_for: str | None = None
    """The source of the purchase for which we last set an end: it gives for good what this gives."""

    @property
    def bought_at(self) -> int:
        """When it was started."""
        return self.created_at

    @property
    def over(self) -> bool:
        """Whether nothing more can come of it."""
        return self.standing in {SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED}

    @property
    def present(self) -> tuple[Invoice, ...]:
        """The invoices for the current period, without void ones that were replaced by another."""
        return without_replaced(self.asked)

    @property
    def asked(self) -> tuple[Invoice, ...]:
        """All invoices for the current period."""
        return tuple(one for one in self.invoices if self.period_start <= one.starts < self.period_end)

    @property
    def earlier(self) -> tuple[Invoice, ...]:
        """The invoices for the time before the current period."""
        return tuple(one for one in self.invoices if one.starts < self.period_start)

    @property
    def bill(self) -> Bill:
        """The state of the payment for the current period. If it has no invoice yet, one will come."""
        return min((one.bill for one in self.present), key=WORST_FIRST.index, default=Bill.DRAFT)

    @property
    def amount_total(self) -> int:
        """What was paid for the current period."""
        return sum(one.paid for one in self.present)

    @property
    def amount_refunded(self) -> int:
        """What was refunded of that."""
        return sum(one.refunded for one in self.present)

    @property
    def amount_back(self) -> int:
        """How much of that went back."""
        return sum(one.back for one in self.present)

    @property
    def dispute(self) -> Dispute:
        """The most serious dispute about the current period."""
        return gravest(one.dispute for one in self.present)

    @property
    def reference(self) -> str | None:
        """The payment for the current period."""
        return next((one.reference for one in self.present if one.reference), None)

    @property
    def receipt_url(self) -> str | None:
        """Its receipt."""
        return next((one.receipt_url for one in self.present if one.receipt_url), None)


def without_replaced(invoices: Collection[Invoice]) -> tuple[Invoice, ...]:
    """Those of one period without void ones that were replaced by another: one that asks for money or took some, or
    covers all of their time. A mere credit for a change of plan pays for nothing.

    https://docs.stripe.com/api/invoices/void
    """
    stand = [one for one in invoices if one.bill is not Bill.VOID]
    return tuple(
        one for one in invoices if one.bill is not Bill.VOID or not any(_replaces(other, one) for other in stand)
    )


def _replaces(other: Invoice, void: Invoice) -> bool:
    asks = other.total > 0 and other.bill is not Bill.PAID
    return asks or other.paid > 0 or other.starts <= void.starts


def gravest(disputes: Iterable[Dispute]) -> Dispute:
    """The most serious of several disputes."""
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
    """Including those that are over."""

    @property
    def bought(self) -> tuple[Bought, ...]:
        """All of it."""
        return self.purchases + self.subscriptions
