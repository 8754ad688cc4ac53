"""The payment provider, in our own types. Only rooms under ``providers/`` know an SDK."""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from tollkeeper.errors import Fault, Obstacle
from tollkeeper.model.bought import Purchase, Snapshot, Subscription
from tollkeeper.model.events import Event
from tollkeeper.model.orders import Customer, Order
from tollkeeper.model.people import Person
from tollkeeper.model.selling import Offer, Price, Product
from tollkeeper.settings import Setting

Headers = Sequence[tuple[str, str]]

Asked = Callable[[int | None, float], None]
"""Is told of each request to a provider: the status of its answer, None for no answer, and how many seconds it took."""


class CheckoutState(StrEnum):
    """How far a hosted checkout page has come."""

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
    """Where the hosted page sends the browser. Both are absolute and on our own public address."""

    success: str
    cancel: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """A hosted checkout page and how far it has come."""

    id: str
    url: str | None
    """Set while the page can be used."""
    state: CheckoutState


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


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """What is so of every account of a provider. Times are in seconds."""

    title: str
    """Its name as people read it."""
    checkout_placeholder: str
    """What stands for the id of a checkout in return addresses: the provider fills it in."""
    checkout_id: re.Pattern[str]
    """The whole form of that id."""
    key_lifetime: int
    """For how long trying again with an order's idempotency key makes nothing twice."""
    events_kept: int
    """How far back events can be listed."""
    longest_return_url: int
    """How many characters an address may have that its pages lead back to."""
    remedies: Mapping[Obstacle, str]
    """What an operator is to do about what stands in the way of a sale."""


class ProviderSettings(Protocol):
    """What is set of one account, ready for use."""

    @property
    def live(self) -> bool:
        """Whether real money moves."""
        ...

    @property
    def receives_webhooks(self) -> bool:
        """Whether a secret is set to verify webhooks with. Without one there is no address for them."""
        ...

    @property
    def hosted_origins(self) -> frozenset[str]:
        """Where the pages are that buyers are sent to."""
        ...


class SetUpAccount(Protocol):
    """How an account is set up to sell a catalog."""

    async def __call__(
        self, settings: Any, base_url: str, products: tuple[Product, ...], *, dry_run: bool, new_endpoint: bool
    ) -> SetUp:
        """Make what the account lacks to sell these products, or only tell what that would be.

        ``base_url`` is what every address of ours begins with. ``new_endpoint`` makes another webhook endpoint, for a
        secret that was lost. Raises ``ProviderUnavailable`` and ``ProviderRefused`` if the account cannot be looked
        into; trouble after that is in the result.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """A provider that can be configured: its settings, and what is done with them.

    ``Any`` stands for its own settings, which ``read`` makes.
    """

    name: str
    """As in the webhook address, in ``[products.KEY]``, and in ``tollkeeper setup NAME``."""
    facts: ProviderFacts
    settings: tuple[Setting, ...]
    key: str
    """The setting that holds the API key, without which the provider is not configured."""
    is_live: Callable[[str], bool]
    """Whether such a key moves real money."""
    webhook_secret: str
    """The setting that holds the secret of the webhook endpoint."""
    price_id: Callable[[str], str]
    """Parses the id of a price. Raises ``InvalidValue``."""
    price_example: str
    read: Callable[[Mapping[str, Any]], ProviderSettings]
    """The settings from their values, none of which has a fault."""
    faults: Callable[[Mapping[str, Any]], Iterable[Fault]]
    """What no setting can tell by itself. Values with a fault are missing."""
    check_offer: Callable[[Offer], None]
    """Raises ``NoOffer`` for what no price can be made of."""
    open: Callable[[Any, Asked], "PaymentProvider"]
    """The account, to be asked."""
    set_up: SetUpAccount


@dataclass(frozen=True, slots=True)
class ConfiguredProvider:
    """One account of a provider, as it is set."""

    kind: ProviderKind
    settings: ProviderSettings

    def open(self, asked: Asked) -> "PaymentProvider":
        """The account, to be asked."""
        return self.kind.open(self.settings, asked)

    async def set_up(
        self, base_url: str, products: tuple[Product, ...], *, dry_run: bool = False, new_endpoint: bool = False
    ) -> SetUp:
        """See ``SetUpAccount``."""
        return await self.kind.set_up(self.settings, base_url, products, dry_run=dry_run, new_endpoint=new_endpoint)


class PaymentProvider(Protocol):
    """What the house needs of a payment provider.

    Every coroutine raises ``ProviderUnavailable`` when there is no definite answer within the time limit, and
    ``ProviderRefused`` (or its subclasses) when there is one and it is no; that says what is in the way, and stays.
    """

    @property
    def name(self) -> str:
        """That of its kind."""
        ...

    @property
    def facts(self) -> ProviderFacts:
        """What is so of every account of it."""
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

    async def mark_deleted(self, customer: Customer) -> None:
        """Note that the customer's person has deleted their account here: ``customers`` tells it from then on.

        Marking again does no harm. Raises ``CustomerMissing`` where the customer is gone.
        """
        ...

    def customers(self) -> AsyncIterator[Sequence[CustomerRecord]]:
        """All customers of the account, page by page, also those whom others made; without those who are gone."""
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
