"""Each provider with a stand-in for its servers, where tests can read the ledger and act as buyers."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import httpx2
from stripe.params import SubscriptionUpdateParams
from tests.providers.pebble import calls
from tests.providers.pebble.adapter import PebbleProvider
from tests.providers.pebble.kind import PEBBLE
from tests.providers.pebble.ledger import BAD_CARD, Ledger
from tests.providers.pebble.server import running_pebble
from tests.providers.pebble.settings import PebbleSettings
from tests.support.running import API_KEY, Browser, Clock, Sandbox, forms, running_sandbox

from tollkeeper.providers.budget import Budget
from tollkeeper.providers.protocol import ConfiguredProvider, PaymentProvider, ProviderKind
from tollkeeper.providers.stripe.account import PATIENCE, StripeProvider
from tollkeeper.providers.stripe.kind import STRIPE
from tollkeeper.providers.stripe.settings import StripeSettings

Interval = Literal["day", "week", "month", "year"]
Behavior = Literal["void", "mark_uncollectible", "keep_as_draft"]


@dataclass(frozen=True)
class Ids:
    """Ids in the provider's format, of objects that do not exist."""

    price: str
    checkout: str
    payment: str
    customer: str
    subscription: str


@dataclass(frozen=True)
class Types:
    """The provider's names for some of its events."""

    completed: str
    """Somebody has completed a checkout."""
    beside: str
    """Comes together with that, and is not relevant."""
    subscription: frozenset[str]
    """One begins, is renewed and paid, changes, is not paid, and ends."""


@dataclass(frozen=True)
class Answers:
    """Bodies of responses, as the provider's servers write them."""

    account: bytes
    """The key belongs to the account ``acct_1``."""
    failed: bytes
    too_soon: bytes
    under_way: bytes
    """The same request is in progress elsewhere."""
    torn: bytes
    """The first half of a good one."""


class World(Protocol):
    """What the conformance suite needs from a provider and from the stand-in for its servers."""

    kind: ProviderKind
    wrong_key: str
    """Looks like a key, but is not one."""
    wrong_secret: str
    """Looks like a webhook endpoint's secret, but is not one."""
    tax_setting: str
    """The setting that turns tax on."""
    signature: str
    """The header with a webhook's signature, in lower case."""
    unknown: Ids
    types: Types
    answers: Answers

    def provider(
        self,
        *,
        at: str | None = None,
        key: str | None = None,
        webhook_secrets: tuple[str, ...] = (),
        automatic_tax: bool = False,
        patience: float | None = None,
    ) -> PaymentProvider:
        """Create a provider. ``at`` is another server than the stand-in; ``patience`` is in seconds."""
        ...

    def configured(self) -> ConfiguredProvider:
        """The account, as an operator has configured it."""
        ...

    def price(
        self, amount: int = 1900, currency: str = "eur", name: str = "Flying lessons", interval: Interval | None = None
    ) -> str:
        """A new price of a new product; paid again after each interval, if one is given."""
        ...

    def pay(self, page: str, code: str | None = None) -> str:
        """Pay on a hosted page as a buyer in Germany, with a promotion code if given, and a card if one is needed.

        Returns the address that the page then leads to.
        """
        ...

    def promotion_code(self, percent: int) -> str:
        """Create a code for a discount of this percentage."""
        ...

    def takes_promotion_codes(self, page: str) -> bool:
        """Whether a hosted page has a field for one."""
        ...

    def expire(self, checkout_id: str) -> None:
        """End a checkout that nobody has paid."""
        ...

    def pay_elsewhere(self, price_id: str, email: str) -> str:
        """Pay as a stranger, on a page of the account that we did not create. Returns the checkout's id."""
        ...

    def delete_customer(self, external_id: str) -> None:
        """Remove a customer, as an operator would at the provider."""
        ...

    def address_of(self, external_id: str) -> str | None:
        """The e-mail address that a customer has there."""
        ...

    def send_events_to(self, url: str) -> str:
        """Deliver events to this address from now on. Returns the secret with which they are signed."""
        ...

    def set_tax(self, active: bool) -> None:
        """Set whether the account can calculate tax."""
        ...

    def now(self) -> int:
        """Return the time at the provider."""
        ...

    def pass_time(self, seconds: int) -> None:
        """Let time pass at the provider, with everything that is due."""
        ...

    def let_renewals(self, subscription: str, succeed: bool) -> None:
        """Set whether a subscription's payments succeed from now on. If they do, what is owed is paid at once."""
        ...

    def change_plan(self, subscription: str, price_id: str) -> None:
        """Change a subscription to another price, at once."""
        ...

    def end(self, subscription: str, *, at_period_end: bool) -> None:
        """End a subscription."""
        ...

    def pause_payments(self, subscription: str, paused: bool, behavior: Behavior = "void") -> None:
        """Pause or resume a subscription's payments. ``behavior`` is what happens to invoices during the pause."""
        ...

    def refund(self, reference: str, amount: int) -> None:
        """Refund a part of a payment."""
        ...

    def pay_owed(self, subscription: str) -> None:
        """Pay what is owed for a subscription on the invoice's page, even if the subscription is over."""
        ...

    def dispute(self, reference: str) -> None:
        """Have the buyer's bank challenge a payment."""
        ...

    def stranger(self, email: str) -> str:
        """Create a customer as an operator would at the provider. Returns its id."""
        ...

    def subscribe_by_hand(self, customer: str, price_id: str) -> str:
        """Create a subscription as an operator would at the provider. Returns its id."""
        ...


class StripeWorld:
    kind = STRIPE
    wrong_key = "sk_live_wrong"
    wrong_secret = "whsec_other"
    tax_setting = "STRIPE_AUTOMATIC_TAX"
    signature = "stripe-signature"
    unknown = Ids("price_unknown", "cs_test_unknown", "pi_unknown", "cus_unknown", "sub_unknown")
    types = Types(
        completed="checkout.session.completed",
        beside="payment_intent.succeeded",
        subscription=frozenset(
            {
                "customer.subscription.created",
                "customer.subscription.updated",
                "customer.subscription.deleted",
                "invoice.paid",
                "invoice.payment_failed",
            }
        ),
    )
    answers = Answers(
        account=b'{"id": "acct_1"}',
        failed=b'{"error": {"type": "api_error", "message": "Sorry."}}',
        too_soon=b'{"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Slow down."}}',
        under_way=(b'{"error": {"type": "idempotency_error", "code": "idempotency_key_in_use", "message": "Wait."}}'),
        torn=b'{"id": "cs_te',
    )

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def provider(
        self,
        *,
        at: str | None = None,
        key: str | None = None,
        webhook_secrets: tuple[str, ...] = (),
        automatic_tax: bool = False,
        patience: float | None = None,
    ) -> StripeProvider:
        settings = StripeSettings(
            api_key=key or API_KEY,
            webhook_secrets=webhook_secrets,
            automatic_tax=automatic_tax,
            api_base=at or self.sandbox.url,
        )
        # A budget that is never reached: the sandbox accepts as many requests as it can.
        return StripeProvider(settings, patience=patience or PATIENCE, budget=Budget(rate=10_000))

    def configured(self) -> ConfiguredProvider:
        return ConfiguredProvider(STRIPE, StripeSettings(API_KEY, api_base=self.sandbox.url))

    def price(
        self, amount: int = 1900, currency: str = "eur", name: str = "Flying lessons", interval: Interval | None = None
    ) -> str:
        return self.sandbox.price(amount, currency, name, interval)

    def pay(self, page: str, code: str | None = None) -> str:
        buyer = Browser(self.sandbox.url)
        hosted = buyer.follow(buyer.get(page))
        if code:
            hosted = buyer.follow(buyer.submit(hosted, "Apply", promotion_code=code))
        cardless = not any("card_number" in form.fields for form in forms(hosted))
        button = next(button for button in ("Complete order", "Subscribe", "Pay") if button in hosted.text)
        paid = buyer.submit(hosted, button, email="buyer@example.com") if cardless else buyer.pay(hosted)
        assert paid.status_code == 303
        return paid.headers["Location"]

    def promotion_code(self, percent: int) -> str:
        v1 = self.sandbox.stripe.v1
        coupon = v1.coupons.create({"percent_off": percent})
        return v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}}).code

    def takes_promotion_codes(self, page: str) -> bool:
        return "Promotion code" in Browser(self.sandbox.url).get(page).text

    def expire(self, checkout_id: str) -> None:
        self.sandbox.stripe.v1.checkout.sessions.expire(checkout_id)

    def pay_elsewhere(self, price_id: str, email: str) -> str:
        link = self.sandbox.stripe.v1.payment_links.create({"line_items": [{"price": price_id, "quantity": 1}]})
        buyer = Browser(self.sandbox.url)
        page = buyer.follow(buyer.get(link.url, prefilled_email=email))
        assert buyer.pay(page).status_code == 303
        return page.url.path.rsplit("/", 1)[-1]

    def delete_customer(self, external_id: str) -> None:
        self.sandbox.stripe.v1.customers.delete(external_id)

    def address_of(self, external_id: str) -> str | None:
        return self.sandbox.stripe.v1.customers.retrieve(external_id).email

    def send_events_to(self, url: str) -> str:
        return self.sandbox.webhook_secret(url)

    def set_tax(self, active: bool) -> None:
        reported = {"active": "yes" if active else "no"}
        assert (
            Browser(self.sandbox.url).client.post(f"{self.sandbox.url}/control/tax", data=reported).status_code == 303
        )

    def set(self, name: str, **reported: str) -> None:
        """Change a setting of the account's owner at Stripe."""
        self.press(f"/control/{name}", **reported)

    def press(self, path: str, **reported: str) -> None:
        """Press a button of the sandbox's control page."""
        assert Browser(self.sandbox.url).client.post(f"{self.sandbox.url}{path}", data=reported).status_code in {
            200,
            303,
        }

    def now(self) -> int:
        return self.sandbox.clock()

    def pass_time(self, seconds: int) -> None:
        self.sandbox.clock.ahead += seconds
        self.sandbox.stripe.v1.events.list({"limit": 1})  # what is due happens before any response

    def let_renewals(self, subscription: str, succeed: bool) -> None:
        v1 = self.sandbox.stripe.v1
        found = v1.subscriptions.retrieve(subscription)
        card = "pm_card_visa" if succeed else "pm_card_chargeCustomerFail"
        method = v1.payment_methods.attach(card, {"customer": str(found.customer)})
        v1.subscriptions.update(subscription, {"default_payment_method": method.id})
        if succeed:
            for owed in v1.invoices.list({"subscription": subscription, "status": "open"}).data:
                v1.invoices.pay(owed.id)

    def change_plan(self, subscription: str, price_id: str) -> None:
        v1 = self.sandbox.stripe.v1
        item = v1.subscriptions.retrieve(subscription)["items"]["data"][0]["id"]
        v1.subscriptions.update(subscription, {"items": [{"id": item, "price": price_id}]})

    def end(self, subscription: str, *, at_period_end: bool) -> None:
        v1 = self.sandbox.stripe.v1
        if at_period_end:
            v1.subscriptions.update(subscription, {"cancel_at_period_end": True})
        else:
            v1.subscriptions.cancel(subscription)

    def pause_payments(self, subscription: str, paused: bool, behavior: Behavior = "void") -> None:
        asked: SubscriptionUpdateParams = {"pause_collection": {"behavior": behavior} if paused else ""}
        self.sandbox.stripe.v1.subscriptions.update(subscription, asked)

    def pay_owed(self, subscription: str) -> None:
        v1 = self.sandbox.stripe.v1
        for owed in v1.invoices.list({"subscription": subscription, "status": "open"}).data:
            method = v1.payment_methods.attach("pm_card_visa", {"customer": str(owed.customer)})
            v1.invoices.pay(owed.id, {"payment_method": method.id})

    def dispute(self, reference: str) -> None:
        self.press(f"/control/payments/{reference}/dispute", reason="product_not_received")

    def stranger(self, email: str) -> str:
        return self.sandbox.stripe.v1.customers.create({"email": email}).id

    def refund(self, reference: str, amount: int) -> None:
        self.sandbox.stripe.v1.refunds.create({"payment_intent": reference, "amount": amount})

    def subscribe_by_hand(self, customer: str, price_id: str) -> str:
        v1 = self.sandbox.stripe.v1
        method = v1.payment_methods.attach("pm_card_visa", {"customer": customer})
        made = v1.subscriptions.create(
            {"customer": customer, "items": [{"price": price_id}], "default_payment_method": method.id}
        )
        return made.id


@contextmanager
def stripe_world() -> Iterator[StripeWorld]:
    with running_sandbox() as sandbox:
        yield StripeWorld(sandbox)


class PebbleWorld:
    kind = PEBBLE
    wrong_key = "pb_live_wrong"
    wrong_secret = "seal-0123456789abcdef"
    tax_setting = "PEBBLE_TAX"
    signature = "pebble-signature"
    unknown = Ids(*(f"{kind}-0000000000000000" for kind in ("plan", "page", "pay", "buyer", "member")))
    types = Types(
        completed="page.used",
        beside="payment.made",
        subscription=frozenset(
            {"membership.began", "membership.changed", "membership.ended", "bill.paid", "bill.failed"}
        ),
    )
    answers = Answers(
        account=b'{"shop": "acct_1"}',
        failed=b'{"wrong": "trouble", "words": "Sorry."}',
        too_soon=b'{"wrong": "too_soon", "words": "Slow down."}',
        under_way=b'{"wrong": "under_way", "words": "Wait."}',
        torn=b'{"page": "page-01',
    )

    def __init__(self, pebble: Ledger, clock: Clock) -> None:
        self.pebble = pebble
        self.clock = clock

    def provider(
        self,
        *,
        at: str | None = None,
        key: str | None = None,
        webhook_secrets: tuple[str, ...] = (),
        automatic_tax: bool = False,
        patience: float | None = None,
    ) -> PebbleProvider:
        settings = PebbleSettings(key or self.pebble.key, at or self.pebble.url, webhook_secrets, automatic_tax)
        return PebbleProvider(settings, patience=patience or calls.PATIENCE, budget=Budget(rate=10_000))

    def configured(self) -> ConfiguredProvider:
        return ConfiguredProvider(PEBBLE, PebbleSettings(self.pebble.key, self.pebble.url))

    def price(
        self, amount: int = 1900, currency: str = "eur", name: str = "Flying lessons", interval: Interval | None = None
    ) -> str:
        with self.pebble.open() as ledger:
            return ledger.add_plan(name, amount, currency, interval).id

    def pay(self, page: str, code: str | None = None) -> str:
        return self.pay_with("1111", page, code).headers["Location"]

    def pay_with(self, card: str, page: str, code: str | None = None) -> httpx2.Response:
        """What the page says to that card."""
        buyer = Browser(self.pebble.url)
        hosted = buyer.get(page)
        asked = forms(hosted)[0].fields
        reported = {"card": card, "mail": "buyer@example.com", "code": code or ""}
        button = next(button for button in ("Complete order", "Subscribe", "Pay") if button in hosted.text)
        return buyer.submit(hosted, button, **{name: value for name, value in reported.items() if name in asked})

    def promotion_code(self, percent: int) -> str:
        with self.pebble.open() as ledger:
            ledger.codes[code := f"LESS{percent}"] = percent
        return code

    def takes_promotion_codes(self, page: str) -> bool:
        return "Promotion code" in Browser(self.pebble.url).get(page).text

    def expire(self, checkout_id: str) -> None:
        with self.pebble.open() as ledger:
            ledger.shut(checkout_id)

    def pay_elsewhere(self, price_id: str, email: str) -> str:
        page = {"plan": price_id, "count": 1, "buyer": None, "marks": {}, "success": "", "cancel": ""}
        terms = {"codes": False, "taxed": False, "free_days": 0, "cardless": False}
        with self.pebble.open() as ledger:
            return ledger.pay(ledger.make_page(None, **page, **terms).id, "1111", email).id

    def delete_customer(self, external_id: str) -> None:
        with self.pebble.open() as ledger:
            ledger.forget(external_id)

    def address_of(self, external_id: str) -> str | None:
        with self.pebble.open() as ledger:
            return ledger.buyer(external_id).mail

    def send_events_to(self, url: str) -> str:
        with self.pebble.open() as ledger:
            return ledger.send_news_to(f"{url}/webhooks/pebble")

    def set_tax(self, active: bool) -> None:
        self.pebble.taxes = active

    def now(self) -> int:
        return self.clock()

    def pass_time(self, seconds: int) -> None:
        self.clock.ahead += seconds
        with self.pebble.open():
            pass

    def let_renewals(self, subscription: str, succeed: bool) -> None:
        with self.pebble.open() as ledger:
            ledger.give_card(subscription, "1111" if succeed else BAD_CARD)

    def change_plan(self, subscription: str, price_id: str) -> None:
        with self.pebble.open() as ledger:
            ledger.change(subscription, price_id)

    def end(self, subscription: str, *, at_period_end: bool) -> None:
        with self.pebble.open() as ledger:
            ledger.end(subscription, at_once=not at_period_end)

    def pause_payments(self, subscription: str, paused: bool, behavior: Behavior = "void") -> None:
        becomes = {"void": "void", "mark_uncollectible": "uncollectible", "keep_as_draft": "draft"}[behavior]
        with self.pebble.open() as ledger:
            ledger.quiet(subscription, becomes if paused else None)

    def refund(self, reference: str, amount: int) -> None:
        with self.pebble.open() as ledger:
            ledger.give_back(reference, amount)

    def pay_owed(self, subscription: str) -> None:
        with self.pebble.open() as ledger:
            ledger.pay_owed(subscription)

    def dispute(self, reference: str) -> None:
        with self.pebble.open() as ledger:
            ledger.fight(reference)

    def stranger(self, email: str) -> str:
        with self.pebble.open() as ledger:
            return ledger.meet(None, "", email).id

    def subscribe_by_hand(self, customer: str, price_id: str) -> str:
        with self.pebble.open() as ledger:
            return ledger.join(ledger.buyer(customer), ledger.plan(price_id), "1111").id


@contextmanager
def pebble_world(clock: Clock | None = None) -> Iterator[PebbleWorld]:
    clock = clock or Clock()
    with running_pebble(clock) as pebble:
        yield PebbleWorld(pebble, clock)


# One line for each provider: everything in test_conformance and test_subscriptions runs for all of them.
WORLDS: dict[str, Callable[[], AbstractContextManager[World]]] = {
    "stripe": stripe_world,
    "pebble": pebble_world,
}


@asynccontextmanager
async def opened(provider: PaymentProvider) -> AsyncIterator[PaymentProvider]:
    """Open a provider, and close its connections at the end."""
    try:
        yield provider
    finally:
        await provider.close()
