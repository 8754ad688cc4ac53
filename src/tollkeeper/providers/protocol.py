"""The payment provider, in our own types. Only rooms under ``providers/`` know an SDK."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tollkeeper.model.bought import Purchase, Snapshot, Subscription
from tollkeeper.model.events import Event
from tollkeeper.model.orders import Customer, Order
from tollkeeper.model.people import Person
from tollkeeper.model.selling import Price

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ReturnAddresses:
    """Where the hosted page sends the browser. Both are absolute and on our own public address."""

    success: str
    cancel: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """A hosted checkout page and how far it has come."""

    id: str
    url: str | None
    """Set while the page can be used."""
    state: str
    """``open``, ``complete`` or ``expired``."""


@dataclass(frozen=True, slots=True)
class PlanChange:
    """What a change of plan costs, as reckoned at this moment. Amounts are in minor units, and with tax."""

    due_now: int
    """What is charged at once."""
    credit: int
    """What is left over of what was paid, and taken off later invoices."""
    currency: str
    renews_at: int
    """From when on the new price is paid for each period. Unix seconds."""
    trial_goes_on: bool = False
    """Whether it is free until then."""


@dataclass(frozen=True, slots=True)
class SetUpStep:
    """One thing that is made or changed in a provider's account, once done with its id."""

    action: str
    """``make`` or ``change``."""
    what: str
    words: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class PricesToSet:
    """The price ids to set for one product."""

    settings: Mapping[str, tuple[str, ...]]
    """By the name of the product's setting."""
    as_set: bool
    """Whether they are set so already."""


@dataclass(frozen=True, slots=True)
class SetUp:
    """A provider's account after it was set up, or what would have to be done to it."""

    account: str
    live: bool
    steps: tuple[SetUpStep, ...]
    notices: tuple[str, ...]
    """What else the operator should know, or do."""
    prices: Mapping[str, PricesToSet]
    """By product, as far as they are there."""
    webhook_secret: str | None = None
    """Told once: when the webhook endpoint is made."""
    trouble: str | None = None
    """Why it came to a stop before it was through."""


class PaymentProvider(Protocol):
    """What the house needs of a payment provider.

    Every coroutine raises ``ProviderUnavailable`` when there is no definite answer within the time limit, and
    ``ProviderRefused`` (or its subclasses) when there is one and it is no; that says what is in the way, and stays.
    """

    @property
    def name(self) -> str:
        """Such as ``stripe``; also the last part of the webhook address."""
        ...

    @property
    def live(self) -> bool:
        """Whether real money moves."""
        ...

    async def account(self) -> str:
        """The id of the account that the key belongs to."""
        ...

    async def price(self, price_id: str) -> Price:
        """A price with its amount. Amounts of a price never change, so this may be kept."""
        ...

    async def create_customer(self, person: Person, replacing: str | None = None) -> str:
        """Make the provider's record of a person; trying again finds the one made before.

        ``replacing`` is the id of one that is gone.
        """
        ...

    async def update_customer(self, customer: Customer, person: Person) -> None:
        """Tell the person's e-mail address of now.

        Where they have none, or the provider does not take it, the customer has none from then on. Telling again does
        no harm. Raises ``CustomerMissing`` where the customer is gone.
        """
        ...

    async def create_checkout(self, order: Order, customer: Customer, returns: ReturnAddresses) -> Checkout:
        """Make the hosted page for an order; trying again with the same order finds the one made before."""
        ...

    async def try_sale(self, price_id: str, returns: ReturnAddresses) -> None:
        """Whether a hosted page can be made at a price: makes one for nobody, and ends it. Raises if not."""
        ...

    async def checkout(self, checkout_id: str) -> Checkout:
        """How far a hosted page has come."""
        ...

    async def expire_checkout(self, checkout_id: str) -> Checkout:
        """End a hosted page so that nobody can pay there any more.

        The answer is expired, or complete where somebody has been through it; never open.
        """
        ...

    async def checkout_of_order(self, order: Order, customer: Customer) -> Checkout | None:
        """The hosted page made for an order, when its id was never stored."""
        ...

    async def snapshot(self, customer: Customer) -> Snapshot:
        """Everything the customer bought, purchases and subscriptions; of a guest, the one purchase they go by.

        Raises ``CustomerMissing`` where the provider no longer tells.
        """
        ...

    async def bought(self, source: str) -> Purchase | Subscription | None:
        """One completed checkout or one subscription of the account, whoever made it and paid.

        ``source`` is its id, or that of the payment for a checkout. A checkout for a subscription leads to that. None
        if there is none by that id, or nobody has completed it.
        """
        ...

    async def payer(self, reference: str) -> str | None:
        """The customer who made the payment with this id. None: there is no such payment, or nobody's name on it."""
        ...

    async def billing_portal(self, customer: Customer, return_url: str) -> str:
        """The address of a page where the customer may change, mend and end subscriptions, and see invoices.

        It is for one visit, soon, and leads back to ``return_url``. Raises ``CustomerMissing``, and
        ``ProviderRefused`` with advice where the operator has not set the portal up.
        """
        ...

    async def preview_change(self, subscription: str, price_id: str) -> PlanChange:
        """What it would cost to have this subscription at this price from now on. Changes nothing.

        Raises ``ProviderRefused`` where that cannot be done, with advice if the operator has to do something first.
        """
        ...

    async def change_plan(self, customer: Customer, subscription: str, price_id: str, return_url: str) -> str:
        """The address of a page where the customer confirms that change, and pays for it.

        It is for one visit, soon, and leads back to ``return_url``. Raises as ``preview_change`` does.
        """
        ...

    async def end_subscription(self, source: str, *, at_period_end: bool, purchase: str | None = None) -> None:
        """End one subscription: at once, or when what is paid runs out. Nothing is paid back.

        ``purchase`` is the source of what was bought in its place: the subscription tells it from then on. Raises
        ``ProviderMissing`` where there is none, or none that goes on.
        """
        ...

    async def read_webhook(self, headers: Headers, body: bytes, now: int) -> Event:
        """Verify and parse a webhook. Raises ``BadWebhook``."""
        ...

    def events(self, since: int) -> AsyncIterator[Sequence[Event]]:
        """The events that matter since a time (Unix seconds), page by page; each page has a time limit of its own.

        All of them, each once, in no order. Whoever stops before the end knows nothing of what was not read.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
