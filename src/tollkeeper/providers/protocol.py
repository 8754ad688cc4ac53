"""What the app needs from a payment provider, in our own types. Only packages in ``providers/`` know an SDK."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from tollkeeper.errors import Fault, Obstacle
from tollkeeper.model.bought import Purchase, Snapshot, Subscription
from tollkeeper.model.checks import Examination
from tollkeeper.model.events import Event
from tollkeeper.model.orders import Customer, Order
from tollkeeper.model.people import Person
from tollkeeper.model.selling import Offer, Price, Product
from tollkeeper.settings import Setting

Headers = Sequence[tuple[str, str]]

Asked = Callable[[int | None, float], None]
"""Called after each request to a provider with the response's status (None without one) and the seconds it took."""


class CheckoutState(StrEnum):
    """The state of a hosted checkout page."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class CustomerRecord:
    """A customer as the provider has it, with what we wrote there."""

    id: str
    created_at: int
    """Unix seconds."""
    person_id: str | None
    """Whose record it is. None: it was made by somebody else."""
    deleted_person: str | None = None
    """The person who had it, and deleted their account here."""


@dataclass(frozen=True, slots=True)
class ReturnAddresses:
    """Where the hosted page sends the browser. Both addresses are absolute and start with our public address."""

    success: str
    cancel: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """A hosted checkout page and its state."""

    id: str
    url: str | None
    """Set while the page can be used."""
    state: CheckoutState


@dataclass(frozen=True, slots=True)
class PlanChange:
    """What a change of plan costs if it is made now. Amounts are in minor units, including tax."""

    due_now: int
    """What is charged at once."""
    credit: int
    """The unused part of earlier payments, which is deducted from later invoices."""
    currency: str
    renews_at: int
    """When the first full period at the new price begins. Unix seconds (UTC)."""
    trial_goes_on: bool = False
    """Whether a trial continues until then."""


@dataclass(frozen=True, slots=True)
class SetUpStep:
    """One object that is created or changed in a provider's account. Once that is done, it has an id."""

    action: str
    """``make`` or ``change``."""
    what: str
    words: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class SetUp:
    """The result of setting up a provider's account; after a dry run, what would be done."""

    account: str
    live: bool
    steps: tuple[SetUpStep, ...]
    notices: tuple[str, ...]
    """What else the operator should know or do."""
    prices: Mapping[str, Mapping[str, tuple[str, ...]]]
    """Price ids by product and by the name of the setting that holds them, as far as all prices of a product exist."""
    webhook_secret: str | None = None
    """The webhook secret, only if the endpoint was created just now: the provider never shows it again."""
    trouble: str | None = None
    """Why the setup stopped before it was complete."""


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """Properties that all accounts of a provider share. Durations are in seconds."""

    title: str
    """The provider's name, as shown to people."""
    checkout_placeholder: str
    """The placeholder for the checkout's id in return addresses, which the provider fills in."""
    checkout_id: re.Pattern[str]
    """A pattern that matches the whole id."""
    key_lifetime: int
    """For how long a repeated request with the same idempotency key creates nothing twice."""
    events_kept: int
    """How old an event may be and still be listed."""
    longest_return_url: int
    """The maximum length of a return address, in characters."""
    remedies: Mapping[Obstacle, str]
    """What an operator should do about each obstacle to a sale."""


class ProviderSettings(Protocol):
    """The settings of one account, parsed."""

    @property
    def live(self) -> bool:
        """Whether real money moves."""
        ...

    @property
    def receives_webhooks(self) -> bool:
        """Whether a secret to verify webhooks is set. Without one there is no webhook address."""
        ...

    @property
    def hosted_origins(self) -> frozenset[str]:
        """The origins of the pages that buyers are sent to."""
        ...


class SetUpAccount(Protocol):
    """Sets up an account so that it can sell a catalog."""

    async def __call__(
        self, settings: Any, base_url: str, products: tuple[Product, ...], *, dry_run: bool, new_endpoint: bool
    ) -> SetUp:
        """Create what the account lacks to sell these products, or, in a dry run, only report it.

        ``base_url`` is the start of all our addresses. ``new_endpoint`` creates another webhook endpoint, because a
        secret was lost. Raises ``ProviderUnavailable`` or ``ProviderRefused`` if the account cannot be read; an error
        after that is part of the result.
        """
        ...


class ExamineAccount(Protocol):
    """How an account is checked: whether it is as the settings say, and able to sell the catalog."""

    async def __call__(
        self,
        settings: Any,
        base_url: str,
        products: tuple[Product, ...],
        clock: Callable[[], int],
        *,
        reached: Callable[[], Awaitable[bool]] | None,
    ) -> Examination:
        """Look at everything that the settings name. Trouble is in the result; nothing is raised on purpose.

        ``base_url`` is what every address of ours begins with. ``reached`` tells whether we answer there, so that a
        signed test event can be sent; None sends none, and the last delivery has to do.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """A provider that can be configured: its settings, and what is created from them.

    ``Any`` is the type of the provider's own settings, which ``read`` returns.
    """

    name: str
    """The name in the webhook address, in ``[products.KEY]``, and in ``tollkeeper setup NAME``."""
    facts: ProviderFacts
    settings: tuple[Setting, ...]
    key: str
    """The setting with the API key. Without it, the provider is not configured."""
    is_live: Callable[[str], bool]
    """Returns whether an API key moves real money."""
    webhook_secret: str
    """The setting with the secret of the webhook endpoint."""
    price_id: Callable[[str], str]
    """Parses the id of a price. Raises ``InvalidValue``."""
    price_example: str
    read: Callable[[Mapping[str, Any]], ProviderSettings]
    """Returns the settings from their values, none of which has a fault."""
    faults: Callable[[Mapping[str, Any]], Iterable[Fault]]
    """Returns the faults of settings that do not fit together. Values with a fault of their own are missing."""
    check_offer: Callable[[Offer], None]
    """Raises ``NoOffer`` if no price can be created from an offer."""
    open: Callable[[Any, Asked], "PaymentProvider"]
    """Returns a client for the account."""
    set_up: SetUpAccount
    examine: ExamineAccount


@dataclass(frozen=True, slots=True)
class ConfiguredProvider:
    """One account of a provider, as configured."""

    kind: ProviderKind
    settings: ProviderSettings

    def open(self, asked: Asked) -> "PaymentProvider":
        """Return a client for the account."""
        return self.kind.open(self.settings, asked)

    async def set_up(
        self, base_url: str, products: tuple[Product, ...], *, dry_run: bool = False, new_endpoint: bool = False
    ) -> SetUp:
        """See ``SetUpAccount``."""
        return await self.kind.set_up(self.settings, base_url, products, dry_run=dry_run, new_endpoint=new_endpoint)

    async def examine(
        self,
        base_url: str,
        products: tuple[Product, ...],
        clock: Callable[[], int],
        *,
        reached: Callable[[], Awaitable[bool]] | None = None,
    ) -> Examination:
        """See ``ExamineAccount``."""
        return await self.kind.examine(self.settings, base_url, products, clock, reached=reached)


class PaymentProvider(Protocol):
    """What the app needs from a payment provider.

    Every coroutine raises ``ProviderUnavailable`` if there is no definite answer within the time limit, and
    ``ProviderRefused`` (or a subclass) if the provider refuses. A refusal has a cause, and trying again does not help.
    """

    @property
    def name(self) -> str:
        """The name of the provider."""
        ...

    @property
    def facts(self) -> ProviderFacts:
        """The properties that all its accounts share."""
        ...

    @property
    def live(self) -> bool:
        """Whether real money moves."""
        ...

    async def account(self) -> str:
        """Return the id of the account that the key belongs to."""
        ...

    async def price(self, price_id: str) -> Price:
        """Return a price with its amount. A price's amount never changes, so the result may be cached."""
        ...

    async def create_customer(self, person: Person, replacing: str | None = None) -> str:
        """Create the provider's record of a person, or return the one that an earlier try created.

        ``replacing`` is the id of a deleted record that the new one replaces.
        """
        ...

    async def update_customer(self, customer: Customer, person: Person) -> None:
        """Send the person's current e-mail address to the provider.

        If they have none, or the provider does not accept it, the customer has none from then on. Sending it again is
        harmless. Raises ``CustomerMissing`` if the customer was deleted.
        """
        ...

    async def mark_deleted(self, customer: Customer) -> None:
        """Note that the customer's person has deleted their account here: ``customers`` tells it from then on.

        Marking again does no harm. Raises ``CustomerMissing`` where the customer is gone.
        """
        ...

    def customers(self) -> AsyncIterator[Sequence[CustomerRecord]]:
        """All customers of the account, page by page, also those whom others made; without those who are gone."""
        ...

    async def create_checkout(self, order: Order, customer: Customer, returns: ReturnAddresses) -> Checkout:
        """Create the hosted page for an order, or return the one that an earlier try created."""
        ...

    async def try_sale(self, price_id: str, returns: ReturnAddresses) -> str:
        """Check that a price can be sold: create a hosted page for nobody, and expire it.

        Returns the id of that page. Raises ``ProviderRefused`` if it cannot be sold.
        """
        ...

    async def checkout(self, checkout_id: str) -> Checkout:
        """Return a hosted page with its state."""
        ...

    async def expire_checkout(self, checkout_id: str) -> Checkout:
        """Expire a hosted page, so that nobody can pay there any more.

        The result is expired, or complete if somebody has finished the checkout; never open.
        """
        ...

    async def checkout_of_order(self, order: Order, customer: Customer) -> Checkout | None:
        """Return the hosted page of an order whose page id was never stored, or None."""
        ...

    async def snapshot(self, customer: Customer) -> Snapshot:
        """Return everything the customer bought, purchases and subscriptions; for a guest, their one purchase.

        Raises ``CustomerMissing`` if the provider no longer shows it.
        """
        ...

    async def bought(self, source: str) -> Purchase | Subscription | None:
        """Return one completed checkout or subscription of the account, no matter who created or paid for it.

        ``source`` is its id, or the id of the payment for a checkout. For the checkout of a subscription, the result is
        the subscription. None if there is nothing with that id, or the checkout is not complete.
        """
        ...

    async def payer(self, reference: str) -> str | None:
        """Return the customer who made a payment; None if there is no such payment, or it has no customer."""
        ...

    async def billing_portal(self, customer: Customer, return_url: str) -> str:
        """Return the address of a page where the customer can change, fix and end subscriptions, and see invoices.

        It is valid for one visit and a short time, and leads back to ``return_url``. Raises ``CustomerMissing``, or
        ``ProviderRefused`` with advice if the operator has not set up the portal.
        """
        ...

    async def preview_change(self, subscription: str, price_id: str) -> PlanChange:
        """Return what it would cost to change this subscription to this price now. Changes nothing.

        Raises ``ProviderRefused`` if that is impossible, with advice if the operator has to do something first.
        """
        ...

    async def change_plan(self, customer: Customer, subscription: str, price_id: str, return_url: str) -> str:
        """Return the address of a page where the customer confirms that change and pays for it.

        It is valid for one visit and a short time, and leads back to ``return_url``. Raises the same errors as
        ``preview_change``.
        """
        ...

    async def end_subscription(self, source: str, *, at_period_end: bool, purchase: str | None = None) -> None:
        """End one subscription, at once or with the period that is paid. Nothing is refunded.

        ``purchase`` is the source of what was bought instead. It is stored with the subscription. Raises
        ``ProviderMissing`` if there is no such subscription, or it is over.
        """
        ...

    async def read_webhook(self, headers: Headers, body: bytes, now: int) -> Event:
        """Verify a webhook and return its event, or None. Raises ``BadWebhook``."""
        ...

    def events(self, since: int) -> AsyncIterator[Sequence[Event]]:
        """Yield the relevant events since a time (Unix seconds, UTC), page by page, each page with its own time limit.

        Yields each event once, in no particular order. After an early stop, nothing is known about the other pages.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
