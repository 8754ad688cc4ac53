"""Stripe, through its official SDK (API version 2026-10-28.endive)."""

import asyncio
import hashlib
import importlib
import json
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tollkeeper.budget import Budget, in_background
from tollkeeper.config import StripeSettings
from tollkeeper.errors import (
    BadWebhook,
    CustomerMissing,
    EmailRefused,
    IdempotencyConflict,
    ProviderFailed,
    ProviderMissing,
    ProviderRefused,
    ProviderUnavailable,
)
from tollkeeper.model import Customer, Dispute, Event, Line, Order, Payment, Person, Price, Purchase, Realm, Snapshot
from tollkeeper.provider import Checkout, Headers, ReturnAddresses

if TYPE_CHECKING:
    import stripe

# The longest that one request may take, and that a visitor waits for a definite answer. Seconds.
PATIENCE = 10

# How many times as long background work waits for one, since it lets everybody pass.
BACKGROUND_PATIENCE = 6

# How long trouble with a price is remembered before it is asked for again. Seconds.
TROUBLE_SECONDS = 5

# A signature is believed for 300 s (https://docs.stripe.com/webhooks#replay-attacks), and clocks may differ by 60 s.
OLDEST_SIGNATURE = 300
CLOCK_DIFFERENCE = 60

EVENTS_THAT_MATTER = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
        "charge.refunded",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "refund.created",
        "refund.updated",
        "refund.failed",
    }
)

SESSIONS = "/v1/checkout/sessions"

# What of a checkout session tells a purchase, and comes only when it is asked for.
BOUGHT = ("line_items", "payment_intent.latest_charge")

# What a payment of a completed checkout waits for: a bank, or a buyer who was given a voucher to pay in a shop.
# Or it has just ended well, and the checkout does not say so yet. https://docs.stripe.com/payments/paymentintents/lifecycle
UNDER_WAY = frozenset({"processing", "requires_action", "succeeded"})

# https://docs.stripe.com/api/disputes/object#dispute_object-status. Where the money has gone back for now, as while a
# lost one is appealed against, or was given back so that there was no dispute, it is lost.
DISPUTES = {
    "warning_needs_response": Dispute.WARNING,
    "warning_under_review": Dispute.WARNING,
    "warning_closed": Dispute.WARNING,
    "needs_response": Dispute.OPEN,
    "under_review": Dispute.OPEN,
    "won": Dispute.WON,
    "lost": Dispute.LOST,
    "prevented": Dispute.LOST,
    "appeal_needs_response": Dispute.LOST,
    "appeal_under_review": Dispute.LOST,
}
GRAVITY = (Dispute.NONE, Dispute.WARNING, Dispute.WON, Dispute.OPEN, Dispute.LOST)

TAX_ADVICE = "Turn on Stripe Tax (https://dashboard.stripe.com/settings/tax), or set STRIPE_AUTOMATIC_TAX=false."
KEY_ADVICE = "Check STRIPE_API_KEY, and what a restricted key is allowed to do."


class StripeProvider:
    """A ``PaymentProvider`` over one Stripe account and mode."""

    name = "stripe"

    def __init__(
        self,
        settings: StripeSettings,
        *,
        patience: float = PATIENCE,
        http: "stripe.HTTPClient | None" = None,
        budget: Budget | None = None,
        asked: Callable[[int | None, float], None] = lambda status, seconds: None,
    ) -> None:
        """``patience`` is in seconds; ``http`` carries the SDK's requests, over the network if left out.

        ``budget`` is shared by all that ask the same account from here. ``asked`` is told of every request: the status
        of its answer, None if there was none, and how many seconds it took.
        """
        self._settings = settings
        self._patience = patience
        self._budget = budget or Budget()
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
        """See ``PaymentProvider``. Asked once: a key belongs to one account for good."""
        if self._account is None:
            async with self._calling() as client:
                self._account = await _account(client)
        return self._account

    async def price(self, price_id: str) -> Price:
        """See ``PaymentProvider``. Kept: a price's amount never changes (https://docs.stripe.com/api/prices/update).

        Trouble is kept for a moment too: landing pages ask, and anybody can open those as often as they like.
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
        async with self._calling() as client:
            return _price(await _ask(client, "get", _path("/v1/prices", price_id), expand=["product"]))

    async def create_customer(self, person: Person, replacing: str | None = None) -> str:
        """See ``PaymentProvider``. The key covers the parameters, so a new name cannot clash with an earlier try."""
        params: dict[str, Any] = {"name": person.name, "metadata": {"person": person.id}}
        if person.email:
            params["email"] = person.email
        digest = hashlib.sha256(json.dumps([params, replacing], sort_keys=True).encode()).hexdigest()[:16]
        key = f"customer-{person.id}-{digest}"
        try:
            return await self._create_customer(key, params)
        except EmailRefused:  # an issuer may know addresses that mean nothing outside its own network
            return await self.create_customer(replace(person, email=None), replacing)
        except ProviderFailed:  # which is remembered with its key for a day; a customer too many does no harm
            return await self._create_customer(f"{key}-{secrets.token_hex(8)}", params)

    async def _create_customer(self, key: str, params: Mapping[str, Any]) -> str:
        async with self._calling() as client:
            made = await _ask(client, "post", "/v1/customers", idempotency_key=key, **params)
        return str(made["id"])

    async def create_checkout(self, order: Order, customer: Customer, returns: ReturnAddresses) -> Checkout:
        """See ``PaymentProvider``. https://docs.stripe.com/api/checkout/sessions/create"""
        params = self._checkout_params(order, customer, returns)
        if order.promotion_codes:
            params["allow_promotion_codes"] = True
        async with self._calling() as client:
            return _checkout(await _ask(client, "post", SESSIONS, idempotency_key=order.idempotency_key, **params))

    def _checkout_params(self, order: Order, customer: Customer, returns: ReturnAddresses) -> dict[str, Any]:
        names = {"order": order.id, "person": order.person_id, "product": order.product}
        params: dict[str, Any] = {
            "mode": "payment",
            "customer": customer.external_id,
            "client_reference_id": order.id,
            "line_items": [{"price": order.price_id, "quantity": order.quantity}],
            # A price may have other currencies too, of which Stripe would choose one by where the buyer is.
            "currency": order.currency,
            "success_url": returns.success,
            "cancel_url": returns.cancel,
            "metadata": names,
            "payment_intent_data": {"metadata": names},
        }
        if self._settings.automatic_tax:
            # Tax needs an address, which the buyer types on the hosted page.
            params |= {"automatic_tax": {"enabled": True}, "customer_update": {"address": "auto"}}
        return params

    async def checkout(self, checkout_id: str) -> Checkout:
        """See ``PaymentProvider``."""
        async with self._calling() as client:
            return _checkout(await _ask(client, "get", _path(SESSIONS, checkout_id)))

    async def checkout_of_order(self, order: Order, customer: Customer) -> Checkout | None:
        """See ``PaymentProvider``. Stripe cannot search by reference, so look through the customer's own."""
        async with self._calling() as client:
            async for found in _each(client, SESSIONS, customer=customer.external_id):
                if found["client_reference_id"] == order.id:
                    return _checkout(found)
        return None

    async def snapshot(self, customer: Customer) -> Snapshot:
        """See ``PaymentProvider``. https://docs.stripe.com/api/checkout/sessions/list"""
        async with self._calling() as client:
            expand = [f"data.{part}" for part in BOUGHT]
            found = [one async for one in _each(client, SESSIONS, customer=customer.external_id, expand=expand)]
            purchases = [_purchase(one, await _disputes(client, one)) for one in found if _is_purchase(one)]
        return Snapshot(
            customer,
            purchases=tuple(purchases),
            expired_checkouts=frozenset(session["id"] for session in found if session["status"] == "expired"),
        )

    async def purchase(self, checkout_id: str) -> Purchase | None:
        """See ``PaymentProvider``. https://docs.stripe.com/api/checkout/sessions/retrieve"""
        if not checkout_id.startswith("cs_"):
            return None
        try:
            async with self._calling() as client:
                session = await _ask(client, "get", _path(SESSIONS, checkout_id), expand=list(BOUGHT))
                return _purchase(session, await _disputes(client, session)) if _is_purchase(session) else None
        except ProviderMissing:
            return None

    async def payer(self, reference: str) -> str | None:
        """See ``PaymentProvider``. https://docs.stripe.com/api/payment_intents/retrieve"""
        try:
            async with self._calling() as client:
                return _id((await _ask(client, "get", _path("/v1/payment_intents", reference)))["customer"])
        except ProviderMissing:
            return None

    async def read_webhook(self, headers: Headers, body: bytes, now: int) -> Event:
        """See ``PaymentProvider``. https://docs.stripe.com/webhooks#verify-manually"""
        await self._sdk()
        _verify(headers, body, self._settings.webhook_secrets, now)
        message = _message(body)
        if message["livemode"] != self.live:
            raise BadWebhook("an event of the other mode (live or test)")
        account = await self.account()
        if message["account"] not in (None, account):
            raise BadWebhook("an event of another account")
        return _event(message, Realm(self.name, account, self.live))

    async def events(self, since: int) -> AsyncIterator[Sequence[Event]]:
        """See ``PaymentProvider``. Stripe keeps 30 days (https://docs.stripe.com/api/events/list)."""
        realm = Realm(self.name, await self.account(), self.live)
        params: dict[str, Any] = {"created": {"gte": since}, "types": sorted(EVENTS_THAT_MATTER), "limit": 100}
        more = True
        while more:
            async with self._calling() as client:
                page = await _ask(client, "get", "/v1/events", **params)
            yield [_event(_hint(event), realm) for event in page["data"]]
            more = page["has_more"]
            params |= {"starting_after": page["data"][-1]["id"]} if more else {}

    async def close(self) -> None:
        """Let go of connections."""
        if self._http is not None:
            await self._http.close_async()  # type: ignore[no-untyped-call]

    async def _sdk(self) -> "stripe.StripeClient":
        """The SDK's client. Importing the SDK takes a while, so it happens at first need and off the event loop."""
        if self._client is None:
            await asyncio.to_thread(importlib.import_module, "stripe")
            self._client = self._client or self._connect()
        return self._client

    def _connect(self) -> "stripe.StripeClient":
        import stripe

        from tollkeeper.providers.paced import Paced

        stripe.enable_telemetry = False  # or the SDK writes a file in the home folder
        self._http = self._http or stripe.HTTPXClient(timeout=self._patience)
        return stripe.StripeClient(
            self._settings.api_key,
            max_network_retries=2,
            http_client=Paced(self._http, self._budget, self._patience, self._asked),
            base_addresses={"api": self._settings.api_base} if self._settings.api_base else {},
        )

    @asynccontextmanager
    async def _calling(self) -> AsyncIterator["stripe.StripeClient"]:
        """Call the SDK within the time limit, and translate what it raises."""
        client = await self._sdk()
        import stripe

        try:
            async with asyncio.timeout(self._patience * (BACKGROUND_PATIENCE if in_background() else 1)):
                yield client
        except (TimeoutError, stripe.APIConnectionError, stripe.RateLimitError) as error:
            raise ProviderUnavailable("Stripe did not answer in time.") from error
        except stripe.StripeError as error:
            raise _translated(error) from error


async def _account(client: "stripe.StripeClient") -> str:
    """Whose key it is. Restricted keys may not ask, but Stripe names the account in the refusal."""
    import stripe

    try:
        return str((await _ask(client, "get", "/v1/account"))["id"])
    except stripe.PermissionError as refusal:
        named = re.search(r"on account '(acct_[A-Za-z0-9]+)'", refusal.user_message or "")
        if named is None:
            raise
        return named[1]


def _translated(error: "stripe.StripeError") -> ProviderRefused | ProviderUnavailable:
    """Map an SDK error. https://docs.stripe.com/error-handling"""
    import stripe

    # A 5xx, a 409 (the same request is under way elsewhere), or an answer that is not Stripe's: nothing definite.
    if isinstance(error, stripe.APIError):
        failed = ProviderFailed if (error.http_status or 0) >= 500 else ProviderUnavailable
        return failed("Stripe had trouble answering.")
    message = error.user_message or "Stripe refused the request."
    param = getattr(error, "param", None)
    if isinstance(error, stripe.IdempotencyError):
        return IdempotencyConflict(message)
    if error.code == "resource_missing":
        missing = CustomerMissing if param == "customer" else ProviderMissing
        return missing(message, "Check that the id belongs to the account and mode of STRIPE_API_KEY.")
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return ProviderRefused("Stripe did not accept the key.", KEY_ADVICE)
    if param == "email":
        return EmailRefused(message)
    return ProviderRefused(message, TAX_ADVICE if "Stripe Tax" in message else "")


async def _each(client: "stripe.StripeClient", path: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
    """Everything in a list, newest first. https://docs.stripe.com/api/pagination"""
    more = True
    while more:
        page = await _ask(client, "get", path, limit=100, **params)
        for one in page["data"]:
            yield one
        more = page["has_more"]
        params |= {"starting_after": page["data"][-1]["id"]} if more else {}


def _path(listing: str, id: str) -> str:
    """The path of one object. Ids come with events too, and must lead nowhere else."""
    return f"{listing}/{quote(id, safe='')}"


async def _ask(client: "stripe.StripeClient", method: str, path: str, **params: Any) -> dict[str, Any]:
    """One call, answered with plain data: to make the SDK's typed objects takes most of the time of a reconcile, and
    we read a few of their fields. ``idempotency_key`` is the SDK's own option among the parameters.
    """
    answer: dict[str, Any] = (await client.raw_request_async(method, path, **params)).data
    return answer


def _price(found: Mapping[str, Any]) -> Price:
    if found["unit_amount"] is None:
        raise ProviderRefused(f"Price {found['id']} has no fixed amount.", "Use a price with one amount per unit.")
    if found["type"] != "one_time":
        raise ProviderRefused(f"Price {found['id']} is for subscriptions.", "Use a one-time price.")
    return Price(
        id=found["id"],
        amount=found["unit_amount"],
        currency=found["currency"],
        product_name=found["product"]["name"],
    )


def _checkout(found: Mapping[str, Any]) -> Checkout:
    return Checkout(id=found["id"], url=found["url"], state=found["status"])


async def _disputes(client: "stripe.StripeClient", session: Mapping[str, Any]) -> list[str]:
    """The statuses of all disputes of a session's payment. The charge only says that there were any."""
    intent = session["payment_intent"] or {}
    if not (intent.get("latest_charge") or {}).get("disputed"):
        return []
    return [dispute["status"] async for dispute in _each(client, "/v1/disputes", payment_intent=intent["id"])]


def _is_purchase(session: Mapping[str, Any]) -> bool:
    """Whether a checkout session is for a payment, and not for a subscription, and was gone through to its end."""
    return (session["mode"], session["status"]) == ("payment", "complete")


def _purchase(session: Mapping[str, Any], disputes: Sequence[str] = ()) -> Purchase:
    """A completed checkout session in our own words. https://docs.stripe.com/api/checkout/sessions/object"""
    intent = session["payment_intent"] or {}
    charge = intent.get("latest_charge") or {}
    names = session["metadata"] or {}
    return Purchase(
        source=session["id"],
        order_id=session["client_reference_id"],
        person_id=names.get("person"),
        lines=tuple(_line(item) for item in session["line_items"]["data"]),
        amount_subtotal=session["amount_subtotal"],
        amount_discount=session["total_details"]["amount_discount"],
        amount_total=session["amount_total"],
        currency=session["currency"],
        live=session["livemode"],
        payment=_payment(session["payment_status"], intent.get("status")),
        created_at=session["created"],
        paid_at=charge.get("created"),
        amount_refunded=charge.get("amount_refunded", 0),
        dispute=_dispute(disputes, bool(charge.get("disputed"))),
        reference=intent.get("id"),
        email=(session["customer_details"] or {}).get("email"),
        receipt_url=charge.get("receipt_url"),
    )


def _line(item: Mapping[str, Any]) -> Line:
    """A line of somebody else's checkout may have neither price nor quantity. Then it is nothing that is sold here."""
    return Line((item["price"] or {}).get("id", ""), item["quantity"] or 0)


def _payment(status: str, intent_status: str | None) -> Payment:
    """An allow-list: what is not known to be paid is not. https://docs.stripe.com/payments/payment-intents/verifying-status"""
    if status == "paid":
        return Payment.PAID
    if status == "no_payment_required":
        return Payment.FREE
    return Payment.PENDING if intent_status in UNDER_WAY else Payment.UNPAID


def _dispute(statuses: Sequence[str], disputed: bool) -> Dispute:
    """The gravest of a payment's disputes. One that is not listed, or has a status we do not know, counts as open."""
    found = [DISPUTES.get(status, Dispute.OPEN) for status in statuses]
    if disputed and not found:
        return Dispute.OPEN
    return max(found, key=GRAVITY.index, default=Dispute.NONE)


def _verify(headers: Headers, body: bytes, secrets: tuple[str, ...], now: int) -> None:
    """Check the signature against every secret, and its time against the clock, both ways."""
    import stripe

    signatures = [value for name, value in headers if name.lower() == "stripe-signature"]
    if len(signatures) != 1:
        raise BadWebhook("there must be one Stripe-Signature header")
    signed_at = _signed_at(signatures[0])
    if signed_at is None or not -CLOCK_DIFFERENCE <= now - signed_at <= OLDEST_SIGNATURE:
        raise BadWebhook("the signature is too old, or from the future")
    if not any(_signed(signatures[0], body, secret, stripe) for secret in secrets):
        raise BadWebhook("the signature does not match")


def _signed_at(header: str) -> int | None:
    """The one time in a signature, in plain digits. The SDK reads more loosely, but must not read another time."""
    times = [entry.removeprefix("t=") for entry in header.split(",") if entry.startswith("t=")]
    return int(times[0]) if len(times) == 1 and re.fullmatch(r"[0-9]{1,12}", times[0]) else None


def _signed(header: str, body: bytes, secret: str, sdk: Any) -> bool:
    try:
        return bool(secret.strip() and sdk.WebhookSignature.verify_header(body, header, secret))
    except (sdk.SignatureVerificationError, ValueError, TypeError):  # not UTF-8, or junk that the SDK trips over
        return False


def _message(body: bytes) -> dict[str, Any]:
    """Parse a verified body. Raises ``BadWebhook`` for anything that is not an event as Stripe documents it."""
    try:
        event = _hint(json.loads(body))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise BadWebhook("not an event") from error
    if not _sound(event):
        raise BadWebhook("not an event")
    return event


def _hint(message: Any) -> dict[str, Any]:
    """The few fields of an event that we read."""
    subject = message["data"]["object"]
    event = {name: message[name] for name in ("id", "type", "livemode", "created")}
    event |= {"account": message.get("account"), "object": subject.get("id"), "customer": subject.get("customer")}
    return event | {"payment_intent": subject.get("payment_intent")}


def _sound(event: Mapping[str, Any]) -> bool:
    """Whether what we read of an event has the types that Stripe documents (https://docs.stripe.com/api/events)."""
    created, subject = event["created"], event["object"]
    return (
        _plain(event["id"], event["type"])
        and isinstance(event["livemode"], bool)
        and (type(created) is int and 0 < created < 2**40)
        # A balance has no id, and merchants choose those of products and coupons.
        and (subject is None or (isinstance(subject, str) and len(subject) <= 255 and subject.isprintable()))
    )


def _plain(*values: object) -> bool:
    """Whether every value is a short string of the characters that Stripe's ids and event types use."""
    return all(isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.]{1,255}", value) for value in values)


def _event(message: Mapping[str, Any], realm: Realm) -> Event:
    return Event(
        realm=realm,
        id=message["id"],
        type=message["type"],
        created_at=message["created"],
        object_id=message["object"] or "",
        customer_id=_id(message["customer"]),
        relevant=message["type"] in EVENTS_THAT_MATTER,
        reference=_id(message["payment_intent"]),
    )


def _id(value: Any) -> str | None:
    """An id that an event names; None where it names none, or holds the whole object."""
    return value if _plain(value) else None
