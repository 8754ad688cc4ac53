"""Looks at an account at Stripe as the settings name it: key, prices, webhook endpoint, portal, tax, a test event.

What was found is judged in ``examined.py``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tollkeeper.errors import Obstacle, ProviderRefused, ProviderUnavailable
from tollkeeper.model.checks import CheckResult, ClockReading, Examination, clock_reading, date_of
from tollkeeper.model.selling import Product
from tollkeeper.providers.protocol import ReturnAddresses
from tollkeeper.providers.stripe.account import StripeProvider
from tollkeeper.providers.stripe.calls import account_of, ask, connected, each, path, together, translated
from tollkeeper.providers.stripe.events import EVENTS_THAT_MATTER, batches_of
from tollkeeper.providers.stripe.examined import (
    ACCOUNT,
    KINDS,
    PORTAL,
    SECRET,
    TAX,
    WEBHOOKS,
    Missing,
    Site,
    endpoint_of,
    listening,
    of_account,
    of_endpoints,
    of_portals,
    of_prices,
    of_tax,
    sellable,
)
from tollkeeper.providers.stripe.facts import FACTS
from tollkeeper.providers.stripe.settings import StripeSettings
from tollkeeper.providers.stripe.setup import ENDPOINTS, can_reach
from tollkeeper.providers.stripe.setup_plan import PORTALS, Found
from tollkeeper.words import moment

if TYPE_CHECKING:
    import stripe

# The longest that one request may take, and that a test event is waited for. Seconds.
PATIENCE = 10
DELIVERY_SECONDS = 10
LOOK_AGAIN = 0.25

# How old an event is before it is expected to have been delivered. Seconds.
DELIVERED_BY = 60

# As many prices are asked for at once as leave room in Stripe's rate limit.
AT_ONCE = 8

TEST_EVENT = "checkout.session.expired"

NOBODY = "tollkeeper_check"
# What a restricted key needs (docs/settings.md), by what Stripe's dashboard calls it; and a call that shows it, because
# Stripe looks at the key before it looks for the object: none of these exists, and nothing is written.
NEEDED: tuple[tuple[str, str, str, Mapping[str, Any]], ...] = (
    ("read Prices", "get", "/v1/prices", {"limit": 1}),
    ("read Products", "get", "/v1/products", {"limit": 1}),
    ("read PaymentIntents", "get", "/v1/payment_intents", {"limit": 1}),
    ("read Charges", "get", "/v1/charges", {"limit": 1}),
    ("read Disputes", "get", "/v1/disputes", {"limit": 1}),
    ("read Invoices", "get", "/v1/invoices", {"limit": 1}),
    ("read Events", "get", "/v1/events", {"limit": 1}),
    ("write Customers", "post", f"/v1/customers/cus_{NOBODY}", {}),
    ("write Checkout Sessions", "post", f"/v1/checkout/sessions/cs_{NOBODY}/expire", {}),
    ("write Subscriptions", "post", f"/v1/subscriptions/sub_{NOBODY}", {}),
    ("write Customer portal", "post", "/v1/billing_portal/sessions", {"customer": f"cus_{NOBODY}"}),
)


async def examine(
    settings: StripeSettings,
    base_url: str,
    products: tuple[Product, ...],
    clock: Callable[[], int],
    *,
    reached: Callable[[], Awaitable[bool]] | None,
) -> Examination:
    """See ``ExamineAccount``."""
    import stripe

    webhooks = f"{base_url}/webhooks/stripe"
    site = Site(
        live=settings.live,
        webhook_url=webhooks if can_reach(settings, webhooks) else None,
        secret_set=settings.receives_webhooks,
        events=EVENTS_THAT_MATTER,
        api_version=stripe.api_version,
    )
    async with connected(settings, PATIENCE) as client:
        look = _Look(client, settings, site, base_url, clock)
        try:
            await look.through(products, reached)
        except (stripe.StripeError, ProviderRefused, ProviderUnavailable) as error:
            look.results.append(_unreachable(error, settings))
    return Examination(tuple(look.results), tuple(look.clocks))


def _unreachable(error: Exception, settings: StripeSettings) -> CheckResult:
    import stripe

    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError):
        error = ProviderUnavailable("no answer in time.")
    told = translated(error) if isinstance(error, stripe.StripeError) else error
    if isinstance(told, ProviderRefused) and told.obstacle is Obstacle.KEY_REFUSED:
        return KINDS["key_refused"].of(ACCOUNT)
    base = f", and STRIPE_API_BASE ({settings.api_base})" if settings.api_base else ""
    return KINDS["provider_unreachable"].of(ACCOUNT, trouble=told, base=base)


class _Look:
    """One look at an account. What one finding explains is not reported a second time."""

    def __init__(
        self,
        client: "stripe.StripeClient",
        settings: StripeSettings,
        site: Site,
        base_url: str,
        clock: Callable[[], int],
    ) -> None:
        self._client = client
        self._settings = settings
        self._site = site
        self._base_url = base_url
        self._clock = clock
        self._prices: dict[str, Found | Missing] = {}
        self.results: list[CheckResult] = []
        self.clocks: list[ClockReading] = []

    async def through(self, products: tuple[Product, ...], reached: Callable[[], Awaitable[bool]] | None) -> None:
        """Raises what the SDK raises when there is no answer, or the key is not accepted."""
        self.results += of_account(await self._account(), self._site)
        lacking = await self._lacking()
        if lacking:
            self.results.append(KINDS["key_not_permitted"].of(ACCOUNT, lacking=", ".join(lacking)))
        elif self._restricted:
            self.results.append(KINDS["key_permissions_ok"].of(ACCOUNT))
        if "read Prices" in lacking or "read Products" in lacking:
            return
        await self._look_at_prices(products)
        for product in products:
            self.results += of_prices(product, self._prices, self._site)
        await self._look_at_tax(products)
        await self._look_at_portal(products, lacking)
        endpoints = await self._list(ENDPOINTS)
        if endpoints is None:
            self.results.append(KINDS["webhooks_not_seen"].of(WEBHOOKS))
        else:
            await self._look_at_webhooks(products, endpoints, reached)

    @property
    def _restricted(self) -> bool:
        return self._settings.api_key.startswith("rk_")

    async def _account(self) -> Found:
        """https://docs.stripe.com/api/accounts/retrieve. Restricted keys may know no more than the id."""
        import stripe

        try:
            answer = await self._client.raw_request_async("get", "/v1/account")
        except stripe.PermissionError:
            return {"id": await account_of(self._client)}
        self.clocks += clock_reading("Stripe", date_of(answer.headers), self._clock(), well_kept=True)
        account: Found = answer.data
        return account

    async def _lacking(self) -> list[str]:
        """What a restricted key may not do. Secret keys may do everything (https://docs.stripe.com/keys)."""
        if not self._restricted:
            return []
        allowed = await together(self._may(method, where, params) for _, method, where, params in NEEDED)
        return [name for (name, *_), may in zip(NEEDED, allowed, strict=True) if not may]

    async def _may(self, method: str, where: str, params: Mapping[str, Any]) -> bool:
        import stripe

        try:
            await ask(self._client, method, where, **params)
        except stripe.PermissionError:
            return False
        except stripe.InvalidRequestError:  # there is no such object: so far it would not have come
            return True
        return True

    async def _look_at_prices(self, products: Iterable[Product]) -> None:
        ids = [id for product in products for id in product.prices["stripe"]]
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            self._prices |= zip(some, await together(map(self._price, some)), strict=True)

    async def _price(self, id: str) -> Found | Missing:
        """Stripe says in words if the other mode has it (https://docs.stripe.com/error-codes#resource-missing)."""
        import stripe

        try:
            return await ask(self._client, "get", path("/v1/prices", id), expand=["product"])
        except stripe.InvalidRequestError as error:
            if error.code != "resource_missing":
                raise
            return Missing(in_other_mode="similar object exists in" in (error.user_message or ""))

    async def _look_at_tax(self, products: Sequence[Product]) -> None:
        import stripe

        if not self._settings.automatic_tax:
            return
        try:
            tax = await ask(self._client, "get", "/v1/tax/settings")
        except stripe.PermissionError:
            self.results.append(KINDS["tax_not_seen"].of(TAX))
        else:
            self.results += of_tax(tax, products, self._prices)

    async def _look_at_portal(self, products: Iterable[Product], lacking: Sequence[str]) -> None:
        offered = any(offer.interval for product in products for offer in product.offers)
        found = (one for one in self._prices.values() if not isinstance(one, Missing))
        if not (offered or any(one["recurring"] for one in found)) or "write Customer portal" in lacking:
            return
        portals = await self._list(PORTALS, active=True)
        if portals is None:
            self.results.append(KINDS["portal_not_seen"].of(PORTAL))
        else:
            self.results += of_portals(portals, self._site)

    async def _list(self, where: str, **params: Any) -> list[Found] | None:
        """All of a list; None where the key may not see it."""
        import stripe

        try:
            return [one async for one in each(self._client, where, **params)]
        except stripe.PermissionError:
            return None

    async def _look_at_webhooks(
        self, products: Sequence[Product], endpoints: Sequence[Found], reached: Callable[[], Awaitable[bool]] | None
    ) -> None:
        found = list(of_endpoints(endpoints, self._site))
        self.results += found
        ours = endpoint_of(endpoints, self._site)
        if self._has("key_not_permitted"):  # to make a test event, or to see what became of the last one
            return
        if ours is None or not self._site.secret_set or any(one.level == "fault" for one in found):
            return
        price = sellable(products, self._prices, self._site)
        if reached is None or not await reached():
            why = "" if reached is None else "PUBLIC_URL does not answer, so no test event was sent."
            await self._last_delivery(ours, why)
        elif price is None or self._cannot_sell():
            await self._last_delivery(ours, "Nothing can be sold now, so no test event could be made.")
        else:
            await self._send_test(price, ours, endpoints)

    def _cannot_sell(self) -> bool:
        """Whether it is known already that no checkout page can be made, by a fault that says why."""
        return self._has("account_inactive", "tax_inactive")

    def _has(self, *codes: str) -> bool:
        return any(one.code in codes for one in self.results)

    async def _send_test(self, price: str, ours: Found, endpoints: Sequence[Found]) -> None:
        """Make a checkout page for nobody and end it, which is an event; then see whether we accept that."""
        made = await self._try_sale(price)
        if made is None:
            return
        event = await self._event_about(made)
        others = listening(endpoints, ours, TEST_EVENT)
        facts = {"event": event["id"] if event else made, "seconds": DELIVERY_SECONDS, "endpoint": ours["id"]}
        facts |= {"page": self._site.page("webhooks", ours["id"]), "others": ", ".join(others)}
        code = "webhook_secret_unclear" if others else "webhook_secret_refused"
        self.results.append(KINDS["webhook_secret_ok" if _accepted(event) else code].of(SECRET, **facts))

    async def _try_sale(self, price: str) -> str | None:
        """The id of the page; None if none can be made, which is then among the results."""
        provider = StripeProvider(self._settings)
        page = f"{self._base_url}/purchase"
        try:
            made = await provider.try_sale(price, ReturnAddresses(f"{page}/success", f"{page}/cancel"))
        except ProviderRefused as error:
            remedy = error.advice or FACTS.remedies.get(error.obstacle, "See the message.")
            self.results.append(KINDS["sale_refused"].of(f"price {price}", price=price, trouble=error, remedy=remedy))
            return None
        finally:
            await provider.close()
        self.results.append(KINDS["sale_ok"].of("checkout", price=price))
        return made

    async def _event_about(self, checkout_id: str) -> Found | None:
        """The event of its end, as soon as it is delivered, or as it is when our patience ends."""
        loop = asyncio.get_running_loop()
        until, event = loop.time() + DELIVERY_SECONDS, None
        while not _accepted(event) and loop.time() < until:
            page = await ask(self._client, "get", "/v1/events", type=TEST_EVENT, limit=10)
            event = next((one for one in page["data"] if one["data"]["object"]["id"] == checkout_id), None)
            if not _accepted(event):
                await asyncio.sleep(LOOK_AGAIN)
        return event

    async def _last_delivery(self, ours: Found, why: str) -> None:
        """What became of the last event that our endpoint was sent."""
        pages = [await self._events(types) for types in batches_of(EVENTS_THAT_MATTER)]
        before = self._clock() - DELIVERED_BY
        sent = [one for page in pages for one in page if ours["created"] < one["created"] < before]
        last = max(sent, key=lambda one: one["created"], default=None)
        facts = {"endpoint": ours["id"], "why": why, "page": self._site.page("webhooks", ours["id"])}
        if last is None:
            self.results.append(KINDS["webhook_secret_untested"].of(SECRET, **facts))
            return
        facts["event"] = f"{last['id']} of {moment(last['created'])}"
        code = "webhook_secret_ok_last" if _accepted(last) else "webhook_last_failed"
        self.results.append(KINDS[code].of(SECRET, **facts))

    async def _events(self, types: Sequence[str]) -> list[Found]:
        page = await ask(self._client, "get", "/v1/events", types=types, limit=50)
        events: list[Found] = page["data"]
        return events


def _accepted(event: Found | None) -> bool:
    """Whether every endpoint that was sent it has accepted it (https://docs.stripe.com/api/events/object)."""
    return event is not None and event["pending_webhooks"] == 0
