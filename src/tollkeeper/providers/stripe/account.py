"""One Stripe account: the requests to it, and how long we wait for a response."""

import asyncio
import hashlib
import importlib
import json
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tollkeeper.errors import (
    BadWebhook,
    CustomerMissing,
    EmailRefused,
    Obstacle,
    ProviderFailed,
    ProviderMissing,
    ProviderRefused,
    ProviderUnavailable,
)
from tollkeeper.model.bought import Purchase, Snapshot, Subscription
from tollkeeper.model.events import Event
from tollkeeper.model.orders import Customer, Order, Realm
from tollkeeper.model.people import Person
from tollkeeper.model.selling import Price
from tollkeeper.providers.budget import Budget, in_background
from tollkeeper.providers.protocol import (
    Asked,
    Checkout,
    CheckoutState,
    CustomerRecord,
    Headers,
    PlanChange,
    ReturnAddresses,
)
from tollkeeper.providers.stripe import plan_changes
from tollkeeper.providers.stripe.calls import account_of, ask, each, path, together, translated
from tollkeeper.providers.stripe.events import (
    EVENTS_THAT_MATTER,
    batches_of,
    event_of,
    hint_of,
    message_of,
    plain_id,
    verify,
)
from tollkeeper.providers.stripe.facts import FACTS
from tollkeeper.providers.stripe.purchases import (
    BOUGHT,
    DELETED,
    checkout_of,
    customer_of,
    is_purchase,
    price_of,
    purchase_of,
)
from tollkeeper.providers.stripe.settings import StripeSettings
from tollkeeper.providers.stripe.setup_plan import PORTALS, portal_of
from tollkeeper.providers.stripe.subscriptions import (
    SUBSCRIPTIONS,
    end_subscription,
    subscription_of,
    subscriptions_of,
)

if TYPE_CHECKING:
    import stripe

# The time limit of one request, and the longest that a visitor waits for a definite answer. Seconds.
PATIENCE = 10

# How many times longer background work waits for an answer, because it lets all visitors go first.
BACKGROUND_PATIENCE = 6

# How long an error about a price is cached. Seconds.
TROUBLE_SECONDS = 5

SESSIONS = "/v1/checkout/sessions"
CUSTOMERS = "/v1/customers"
CHECKOUT = "cs_"

PORTAL_ADVICE = "Run `tollkeeper setup stripe`, or save the portal's settings once: https://dashboard.stripe.com/settings/billing/portal."


def _paying(names: Mapping[str, str]) -> dict[str, Any]:
    return {"mode": "payment", "payment_intent_data": {"metadata": names}}


def _subscribing(order: Order, names: Mapping[str, str]) -> dict[str, Any]:
    """https://docs.stripe.com/payments/checkout/free-trials. A trial without a card is cancelled at its end."""
    data: dict[str, Any] = {"metadata": names}
    if order.trial_days is None:
        return {"mode": "subscription", "subscription_data": data}
    data |= {"trial_period_days": order.trial_days}
    if not order.trial_without_card:
        return {"mode": "subscription", "subscription_data": data}
    data |= {"trial_settings": {"end_behavior": {"missing_payment_method": "cancel"}}}
    return {"mode": "subscription", "subscription_data": data, "payment_method_collection": "if_required"}


class StripeProvider:
    """The ``PaymentProvider`` for one Stripe account and mode."""

    name = "stripe"
    facts = FACTS

    def __init__(
        self,
        settings: StripeSettings,
        *,
        patience: float = PATIENCE,
        http: "stripe.HTTPClient | None" = None,
        budget: Budget | None = None,
        asked: Asked = lambda status, seconds: None,
    ) -> None:
        """Create a client.

        Args:
            patience: the time limit of one request, in seconds.
            http: carries the SDK's requests; by default over the network.
            budget: shared by everything in this process that calls the same account.
            asked: called after every request with the response's status (None without one) and the seconds it took.
        """
        self._settings = settings
        self._patience = patience
        self._budget = budget or Budget(settings.rate)
        self._asked = asked
        self._client: stripe.StripeClient | None = None
        self._http = http
        self._account: str | None = None
        self._prices: dict[str, Price] = {}
        self._price_trouble: dict[str, tuple[float, ProviderUnavailable | ProviderRefused]] = {}
        self._asking_price = asyncio.Lock()

    @property
    def live(self) -> bool:
        """Whether the key moves real money."""
        return self._settings.live

    async def account(self) -> str:
        """See ``PaymentProvider``. Requested only once, because a key always belongs to the same account."""
        if self._account is None:
            async with self._calling() as client:
                self._account = await account_of(client)
        return self._account

    async def price(self, price_id: str) -> Price:
        """See ``PaymentProvider``. Cached: a price's amount never changes (https://docs.stripe.com/api/prices/update).

        Errors are cached briefly, too, because anybody can open the landing page as often as they like.
        """
        async with self._asking_price:
            if price_id in self._prices:
                return self._prices[price_id]
            clock = asyncio.get_running_loop().time
            refused_until, refusal = self._price_trouble.get(price_id, (0.0, None))
            if refusal is not None and refused_until > clock():
                raise refusal
            try:
                self._prices[price_id] = await self._fetch_price(price_id)
            except (ProviderUnavailable, ProviderRefused) as error:
                self._price_trouble[price_id] = (clock() + TROUBLE_SECONDS, error)
                raise
            return self._prices[price_id]

    async def _fetch_price(self, price_id: str) -> Price:
        try:
            async with self._calling() as client:
                return price_of(await ask(client, "get", path("/v1/prices", price_id), expand=["product"]))
        except ProviderMissing as refusal:
            refusal.obstacle = Obstacle.PRICE_MISSING
            raise

    async def create_customer(self, person: Person, replacing: str | None = None) -> str:
        """See ``PaymentProvider``. The idempotency key covers the parameters, so a new name cannot conflict with it."""
        params: dict[str, Any] = {"name": person.name, "metadata": {"person": person.id}}
        if person.email:
            params["email"] = person.email
        digest = hashlib.sha256(json.dumps([params, replacing], sort_keys=True).encode()).hexdigest()[:16]
        key = f"customer-{person.id}-{digest}"
        try:
            return await self._create_customer(key, params)
        except EmailRefused:  # an issuer may report addresses that are valid only inside its own network
            return await self.create_customer(replace(person, email=None), replacing)
        except ProviderFailed:  # Stripe repeats that error for the same key for a day; an unused customer does no harm
            return await self._create_customer(f"{key}-{secrets.token_hex(8)}", params)

    async def _create_customer(self, key: str, params: Mapping[str, Any]) -> str:
        try:
            async with self._calling() as client:
                return str((await ask(client, "post", "/v1/customers", idempotency_key=key, **params))["id"])
        except ProviderRefused as refusal:
            if refusal.obstacle is Obstacle.OTHER:  # such as a name of 5,000 letters, which concerns only this person
                refusal.obstacle = Obstacle.CUSTOMER_REFUSED
            raise

    async def update_customer(self, customer: Customer, person: Person) -> None:
        """See ``PaymentProvider``. https://docs.stripe.com/api/customers/update

        An empty value removes the address:
        https://docs.stripe.com/changelog/2013-08-12/allows-description-email-fields-null
        """
        try:
            async with self._calling() as client:
                await ask(client, "post", path("/v1/customers", customer.external_id), email=person.email or "")
        except EmailRefused:  # as in ``create_customer``
            if person.email is None:
                raise
            await self.update_customer(customer, replace(person, email=None))
        except ProviderMissing as error:
            raise CustomerMissing(str(error), error.advice) from error

    async def mark_deleted(self, customer: Customer) -> None:
        """See ``PaymentProvider``. https://docs.stripe.com/api/customers/update"""
        mark = {DELETED: customer.person_id}
        try:
            async with self._calling() as client:
                await ask(client, "post", path(CUSTOMERS, customer.external_id), metadata=mark)
        except ProviderMissing as error:
            raise CustomerMissing(str(error), error.advice) from error

    async def customers(self) -> AsyncIterator[Sequence[CustomerRecord]]:
        """See ``PaymentProvider``. https://docs.stripe.com/api/customers/list"""
        async for page in self._pages(CUSTOMERS, {"limit": 100}):
            yield [customer_of(one) for one in page]

    async def create_checkout(self, order: Order, customer: Customer, returns: ReturnAddresses) -> Checkout:
        """See ``PaymentProvider``. https://docs.stripe.com/api/checkout/sessions/create"""
        params = self._checkout_params(order, customer, returns)
        if order.promotion_codes:
            params["allow_promotion_codes"] = True
        async with self._calling() as client:
            return checkout_of(await ask(client, "post", SESSIONS, idempotency_key=order.idempotency_key, **params))

    def _checkout_params(self, order: Order, customer: Customer, returns: ReturnAddresses) -> dict[str, Any]:
        names = {"order": order.id, "person": order.person_id, "product": order.product}
        params = self._page_params(order.price_id, order.currency, order.quantity, returns)
        if self._settings.automatic_tax:
            # Tax needs an address, which the buyer enters on the hosted page.
            params["customer_update"] = {"address": "auto"}
        return params | {
            "customer": customer.external_id,
            "client_reference_id": order.id,
            "metadata": names,
            **(_subscribing(order, names) if order.recurring else _paying(names)),
        }

    def _page_params(self, price_id: str, currency: str, quantity: int, returns: ReturnAddresses) -> dict[str, Any]:
        params: dict[str, Any] = {
            "mode": "payment",
            "line_items": [{"price": price_id, "quantity": quantity}],
            # If a price has several currencies, Stripe would choose one by the buyer's location.
            "currency": currency,
            "success_url": returns.success,
            "cancel_url": returns.cancel,
        }
        return params | ({"automatic_tax": {"enabled": True}} if self._settings.automatic_tax else {})

    async def try_sale(self, price_id: str, returns: ReturnAddresses) -> str:
        """See ``PaymentProvider``. Only creating a page shows that it is possible. Nobody is sent to this page."""
        price = await self.price(price_id)
        params = {**self._page_params(price.id, price.currency, 1, returns), "metadata": {"tollkeeper": "try_sale"}}
        if price.recurring:
            params["mode"] = "subscription"
        async with self._calling() as client:
            made = await ask(client, "post", SESSIONS, **params)
        return (await self.expire_checkout(made["id"])).id

    async def checkout(self, checkout_id: str) -> Checkout:
        """See ``PaymentProvider``."""
        async with self._calling() as client:
            return checkout_of(await ask(client, "get", path(SESSIONS, checkout_id)))

    async def expire_checkout(self, checkout_id: str) -> Checkout:
        """See ``PaymentProvider``. https://docs.stripe.com/api/checkout/sessions/expire"""
        try:
            async with self._calling() as client:
                return checkout_of(await ask(client, "post", f"{path(SESSIONS, checkout_id)}/expire"))
        except ProviderRefused:  # only an open one can be expired
            found = await self.checkout(checkout_id)
            if found.state is CheckoutState.OPEN:
                raise
            return found

    async def checkout_of_order(self, order: Order, customer: Customer) -> Checkout | None:
        """See ``PaymentProvider``. Stripe cannot search by reference, so this goes through the customer's pages."""
        async with self._calling() as client:
            async for found in each(client, SESSIONS, customer=customer.external_id):
                if found["client_reference_id"] == order.id:
                    return checkout_of(found)
        return None

    async def snapshot(self, customer: Customer) -> Snapshot:
        """See ``PaymentProvider``. https://docs.stripe.com/api/checkout/sessions/list"""
        if customer.external_id.startswith(CHECKOUT):
            return await self._snapshot_of_guest(customer)
        async with self._calling() as client:
            expand = [f"data.{part}" for part in BOUGHT]
            found = [one async for one in each(client, SESSIONS, customer=customer.external_id, expand=expand)]
            purchases = await together(purchase_of(client, one) for one in found if is_purchase(one))
            through = {one["subscription"]: one["id"] for one in found if one["status"] == "complete"}
            subscriptions = await subscriptions_of(client, customer.external_id, through)
        return Snapshot(
            customer,
            purchases=tuple(purchases),
            expired_checkouts=frozenset(session["id"] for session in found if session["status"] == "expired"),
            subscriptions=subscriptions,
        )

    async def _snapshot_of_guest(self, guest: Customer) -> Snapshot:
        """Return what a guest bought: Stripe creates no customer for some one-time payments.

        https://docs.stripe.com/api/checkout/sessions/create#create_checkout_session-customer_creation
        """
        found = await self.bought(guest.external_id)
        if not isinstance(found, Purchase):
            raise CustomerMissing("Stripe does not know this checkout session (any more).")
        return Snapshot(guest, (found,))

    async def bought(self, source: str) -> Purchase | Subscription | None:
        """See ``PaymentProvider``."""
        try:
            async with self._calling() as client:
                if source.startswith("sub_"):
                    return await _subscription(client, source)
                if source.startswith("pi_"):
                    return await _paid_for(client, source)
                return await _gone_through(client, source) if source.startswith(CHECKOUT) else None
        except ProviderMissing:
            return None

    async def payer(self, reference: str) -> str | None:
        """See ``PaymentProvider``. https://docs.stripe.com/api/payment_intents/retrieve"""
        try:
            async with self._calling() as client:
                return plain_id((await ask(client, "get", path("/v1/payment_intents", reference)))["customer"])
        except ProviderMissing:
            return None

    async def billing_portal(self, customer: Customer, return_url: str) -> str:
        """See ``PaymentProvider``. https://docs.stripe.com/api/customer_portal/sessions/create

        Uses the configuration that ``tollkeeper setup`` created, or else the account's default.
        """
        params = {"customer": customer.external_id, "return_url": return_url}
        with advised(PORTAL_ADVICE):
            async with self._calling() as client:
                ours = portal_of([one async for one in each(client, PORTALS, active=True)])
                params |= {"configuration": ours["id"]} if ours else {}
                return str((await ask(client, "post", "/v1/billing_portal/sessions", **params))["url"])

    async def preview_change(self, subscription: str, price_id: str) -> PlanChange:
        """See ``PaymentProvider``."""
        price = await self.price(price_id)
        with advised(plan_changes.ADVICE):
            async with self._calling() as client:
                return await plan_changes.preview(client, subscription, price)

    async def change_plan(self, customer: Customer, subscription: str, price_id: str, return_url: str) -> str:
        """See ``PaymentProvider``."""
        with advised(plan_changes.ADVICE):
            async with self._calling() as client:
                return await plan_changes.confirmation(client, customer.external_id, subscription, price_id, return_url)

    async def end_subscription(self, source: str, *, at_period_end: bool, purchase: str | None = None) -> None:
        """See ``PaymentProvider``. https://docs.stripe.com/api/subscriptions/cancel"""
        async with self._calling() as client:
            await end_subscription(client, source, at_period_end=at_period_end, purchase=purchase)

    async def read_webhook(self, headers: Headers, body: bytes, now: int) -> Event:
        """See ``PaymentProvider``. https://docs.stripe.com/webhooks#verify-manually"""
        await self._sdk()
        verify(headers, body, self._settings.webhook_secrets, now)
        message = message_of(body)
        if message["livemode"] != self.live:
            raise BadWebhook("an event of the other mode (live or test)")
        account = await self.account()
        if message["account"] not in (None, account):
            raise BadWebhook("an event of another account")
        return event_of(message, Realm(self.name, account, self.live))

    async def events(self, since: int) -> AsyncIterator[Sequence[Event]]:
        """See ``PaymentProvider``. Stripe keeps 30 days (https://docs.stripe.com/api/events/list)."""
        realm = Realm(self.name, await self.account(), self.live)
        for types in batches_of(EVENTS_THAT_MATTER):
            async for page in self._pages("/v1/events", {"created": {"gte": since}, "types": types, "limit": 100}):
                yield [event_of(hint_of(event), realm) for event in page]

    async def _pages(self, listing: str, params: dict[str, Any]) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield all pages of a list, newest first. Each page has a time limit of its own."""
        more = True
        while more:
            async with self._calling() as client:
                page = await ask(client, "get", listing, **params)
            yield page["data"]
            more = page["has_more"]
            params |= {"starting_after": page["data"][-1]["id"]} if more else {}

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close_async()  # type: ignore[no-untyped-call]

    async def _sdk(self) -> "stripe.StripeClient":
        """Return the SDK's client. Importing the SDK is slow, so it is done when first needed, in a thread."""
        if self._client is None:
            await asyncio.to_thread(importlib.import_module, "stripe")
            self._client = self._client or self._connect()
        return self._client

    def _connect(self) -> "stripe.StripeClient":
        import stripe

        from tollkeeper.providers.stripe.paced import Paced

        stripe.enable_telemetry = False  # otherwise the SDK writes a file to the home folder
        self._http = self._http or stripe.HTTPXClient(timeout=self._patience)
        return stripe.StripeClient(
            self._settings.api_key,
            max_network_retries=2,
            http_client=Paced(self._http, self._budget, self._patience, self._asked),
            base_addresses={"api": self._settings.api_base} if self._settings.api_base else {},
        )

    @asynccontextmanager
    async def _calling(self) -> AsyncIterator["stripe.StripeClient"]:
        """Call the SDK within the time limit, and translate its errors."""
        client = await self._sdk()
        import stripe

        try:
            async with asyncio.timeout(self._patience * (BACKGROUND_PATIENCE if in_background() else 1)):
                yield client
        except (TimeoutError, stripe.APIConnectionError, stripe.RateLimitError) as error:
            raise ProviderUnavailable("Stripe did not answer in time.") from error
        except stripe.StripeError as error:
            raise translated(error) from error


@contextmanager
def advised(advice: str) -> Iterator[None]:
    """Add this advice to a refusal that has none."""
    try:
        yield
    except ProviderRefused as refusal:
        refusal.advice = refusal.advice or advice
        raise


async def _gone_through(client: "stripe.StripeClient", checkout_id: str) -> Purchase | Subscription | None:
    """Return what a checkout session led to. https://docs.stripe.com/api/checkout/sessions/retrieve"""
    return await _led_to(client, await ask(client, "get", path(SESSIONS, checkout_id), expand=list(BOUGHT)))


async def _paid_for(client: "stripe.StripeClient", payment: str) -> Purchase | Subscription | None:
    """Return what a payment in a checkout was for. https://docs.stripe.com/api/checkout/sessions/list"""
    found = await ask(client, "get", SESSIONS, payment_intent=payment, expand=[f"data.{part}" for part in BOUGHT])
    return await _led_to(client, found["data"][0]) if found["data"] else None


async def _led_to(client: "stripe.StripeClient", session: Mapping[str, Any]) -> Purchase | Subscription | None:
    if is_purchase(session):
        return await purchase_of(client, session)
    begun = session["subscription"] if (session["mode"], session["status"]) == ("subscription", "complete") else None
    return await _subscription(client, begun) if begun else None


async def _subscription(client: "stripe.StripeClient", id: str) -> Subscription:
    """https://docs.stripe.com/api/subscriptions/retrieve"""
    return await subscription_of(client, await ask(client, "get", path(SUBSCRIPTIONS, id)))
