"""One shop at Pebble as a ``PaymentProvider``, with Pebble's objects in our own types."""

import hmac
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tests.providers.pebble.calls import PATIENCE, Calls
from tests.providers.pebble.settings import FACTS, PebbleSettings

from tollkeeper.errors import BadWebhook, CustomerMissing, EmailRefused, ProviderMissing
from tollkeeper.model.bought import (
    Bill,
    Dispute,
    Invoice,
    Line,
    Payment,
    Purchase,
    Snapshot,
    Subscription,
    SubscriptionStatus,
)
from tollkeeper.model.events import Event
from tollkeeper.model.orders import Customer, Order, Realm
from tollkeeper.model.people import Person
from tollkeeper.model.selling import Price
from tollkeeper.providers.budget import Budget
from tollkeeper.providers.protocol import (
    Asked,
    Checkout,
    CheckoutState,
    CustomerRecord,
    Headers,
    PlanChange,
    ReturnAddresses,
)

Told = Mapping[str, Any]

STATES = {"waiting": CheckoutState.OPEN, "used": CheckoutState.COMPLETE, "shut": CheckoutState.EXPIRED}

TOPICS = frozenset(
    {
        "page.used",
        "page.shut",
        "payment.back",
        "payment.fought",
        "membership.began",
        "membership.changed",
        "membership.ended",
        "bill.paid",
        "bill.failed",
        "bill.unasked",
    }
)

# A signature is accepted for 300 s, and clocks may differ by 60 s.
OLDEST_SEAL = 300
CLOCK_DIFFERENCE = 60
SEAL = re.compile(r"([0-9]{1,12}):([0-9a-f]{128})")

NEWS = {"id": str, "topic": str, "at": int, "about": str, "shop": str, "real": bool}


class PebbleProvider:
    """The ``PaymentProvider`` for one shop at Pebble."""

    name = "pebble"
    facts = FACTS

    def __init__(
        self,
        settings: PebbleSettings,
        *,
        patience: float = PATIENCE,
        budget: Budget | None = None,
        asked: Asked = lambda status, seconds: None,
    ) -> None:
        """``patience`` is in seconds."""
        self._settings = settings
        self._ask = Calls(settings, patience=patience, budget=budget, asked=asked)
        self._shop: str | None = None

    @property
    def live(self) -> bool:
        return self._settings.live

    async def account(self) -> str:
        if self._shop is None:
            self._shop = str((await self._ask("shop"))["shop"])
        return self._shop

    async def price(self, price_id: str) -> Price:
        found = await self._ask("plan", plan=price_id)
        return Price(found["id"], found["minor"], found["money"], found["title"], found["every"])

    async def create_customer(self, person: Person, replacing: str | None = None) -> str:
        """See ``PaymentProvider``. Pebble finds buyers by our name for them, unless they were deleted."""
        try:
            reported = await self._ask("meet_buyer", label=person.id, title=person.name, mail=person.email)
        except EmailRefused:
            return await self.create_customer(replace(person, email=None), replacing)
        return str(reported["buyer"])

    async def update_customer(self, customer: Customer, person: Person) -> None:
        try:
            await self._ask("write_to_buyer", buyer=customer.external_id, mail=person.email)
        except EmailRefused:
            await self._ask("write_to_buyer", buyer=customer.external_id, mail=None)

    async def mark_deleted(self, customer: Customer) -> None:
        await self._ask("part_with_buyer", buyer=customer.external_id, parted=customer.person_id)

    async def customers(self) -> AsyncIterator[Sequence[CustomerRecord]]:
        last = None
        while page := (await self._ask("buyers", after=last))["buyers"]:
            yield [CustomerRecord(one["id"], one["at"], one["label"], one["parted"]) for one in page]
            last = page[-1]["id"]

    async def create_checkout(self, order: Order, customer: Customer, returns: ReturnAddresses) -> Checkout:
        reported = self._page(order.price_id, returns) | {
            "once": order.idempotency_key,
            "count": order.quantity,
            "buyer": customer.external_id,
            "marks": {"order": order.id, "person": order.person_id},
            "codes": order.promotion_codes,
            "free_days": order.trial_days or 0,
            "cardless": order.trial_without_card,
        }
        return _checkout(await self._ask("make_page", **reported))

    def _page(self, price_id: str, returns: ReturnAddresses) -> dict[str, Any]:
        """Create a page for nobody."""
        addresses = {"success": returns.success, "cancel": returns.cancel}
        nothing: dict[str, Any] = {"once": None, "count": 1, "buyer": None, "marks": {}}
        terms = {"codes": False, "free_days": 0, "cardless": False, "taxed": self._settings.tax}
        return {"plan": price_id} | addresses | nothing | terms

    async def try_sale(self, price_id: str, returns: ReturnAddresses) -> str:
        made = await self._ask("make_page", **self._page(price_id, returns))
        await self._ask("shut_page", page=made["page"])
        return str(made["page"])

    async def checkout(self, checkout_id: str) -> Checkout:
        return _checkout(await self._ask("page", page=checkout_id))

    async def expire_checkout(self, checkout_id: str) -> Checkout:
        return _checkout(await self._ask("shut_page", page=checkout_id))

    async def checkout_of_order(self, order: Order, customer: Customer) -> Checkout | None:
        found = (await self._ask("find_page", buyer=customer.external_id, order=order.id))["found"]
        return _checkout(found) if found else None

    async def snapshot(self, customer: Customer) -> Snapshot:
        """See ``PaymentProvider``. A guest is identified by the page where they paid."""
        if FACTS.checkout_id.fullmatch(customer.external_id):
            found = await self.bought(customer.external_id)
            if not isinstance(found, Purchase):
                raise CustomerMissing("Nobody has paid there.")
            return Snapshot(customer, (found,))
        reported = await self._ask("story", buyer=customer.external_id)
        return Snapshot(
            customer,
            purchases=tuple(self._purchase(one) for one in reported["pages"] if one["sale"]),
            expired_checkouts=frozenset(one["page"] for one in reported["pages"] if one["state"] == "shut"),
            subscriptions=tuple(self._subscription(one) for one in reported["memberships"]),
        )

    async def bought(self, source: str) -> Purchase | Subscription | None:
        reported = await self._ask("trace", id=source)
        if reported["membership"]:
            return self._subscription(reported["membership"])
        return self._purchase(reported["page"]) if reported["page"] and reported["page"]["sale"] else None

    async def payer(self, reference: str) -> str | None:
        with suppress(ProviderMissing):
            buyer: str | None = (await self._ask("payer", payment=reference))["buyer"]
            return buyer
        return None

    async def billing_portal(self, customer: Customer, return_url: str) -> str:
        return str((await self._ask("open_desk", buyer=customer.external_id, back=return_url))["link"])

    async def preview_change(self, subscription: str, price_id: str) -> PlanChange:
        reported = await self._ask("quote", membership=subscription, plan=price_id)
        return PlanChange(reported["minor"], 0, reported["money"], reported["next_at"], reported["free"])

    async def change_plan(self, customer: Customer, subscription: str, price_id: str, return_url: str) -> str:
        what = {"membership": subscription, "plan": price_id}
        return str((await self._ask("open_desk", buyer=customer.external_id, back=return_url, **what))["link"])

    async def end_subscription(self, source: str, *, at_period_end: bool, purchase: str | None = None) -> None:
        marks = {"ended_for": purchase} if purchase else {}
        await self._ask("end_membership", membership=source, at_once=not at_period_end, marks=marks)

    async def read_webhook(self, headers: Headers, body: bytes, now: int) -> Event:
        _verify(headers, body, self._settings.secrets, now)
        reported = _news(body)
        realm = await self._realm()
        if (reported["shop"], reported["real"]) != (realm.account, realm.live):
            raise BadWebhook("news of another shop")
        return _event(reported, realm)

    async def events(self, since: int) -> AsyncIterator[Sequence[Event]]:
        realm, place = await self._realm(), 0
        while place is not None:
            reported = await self._ask("news", since=since, topics=sorted(TOPICS), place=place)
            yield [_event(one, realm) for one in reported["news"]]
            place = reported["next"]

    async def close(self) -> None:
        await self._ask.close()

    async def _realm(self) -> Realm:
        return Realm(self.name, await self.account(), self.live)

    def _purchase(self, page: Told) -> Purchase:
        sale, amounts, payment = page["sale"], page["sale"]["amounts"], page["sale"]["payment"] or {}
        return Purchase(
            source=page["page"],
            order_id=sale["marks"].get("order"),
            person_id=sale["marks"].get("person"),
            live=self.live,
            currency=amounts["money"],
            created_at=sale["at"],
            email=sale["mail"],
            customer_id=sale["buyer"],
            payment=Payment.PAID if payment else Payment.FREE,
            lines=(Line(*sale["goods"]),),
            amount_subtotal=amounts["asked"],
            amount_discount=amounts["off"],
            amount_total=amounts["asked"] - amounts["off"] + amounts["tax"],
            amount_refunded=payment.get("back", 0),
            dispute=Dispute(payment.get("fight", "none")),
            reference=payment.get("id"),
            receipt_url=payment.get("slip"),
            paid_at=payment.get("at"),
        )

    def _subscription(self, reported: Told) -> Subscription:
        return Subscription(
            source=reported["id"],
            order_id=reported["marks"].get("order"),
            person_id=reported["marks"].get("person"),
            live=self.live,
            currency=reported["money"],
            created_at=reported["at"],
            email=reported["mail"],
            customer_id=reported["buyer"],
            standing=SubscriptionStatus(reported["state"]),
            items=(Line(*reported["goods"]),),
            period_start=reported["starts"],
            period_end=reported["ends"],
            invoices=tuple(_invoice(one) for one in reported["bills"]),
            trial_end=reported["trial_ends"],
            ends_at=reported["over_at"],
            collection_paused=reported["quiet"] is not None,
            checkout_id=reported["page"],
            ended_for=reported["marks"].get("ended_for"),
        )


def _checkout(page: Told) -> Checkout:
    return Checkout(page["page"], page["link"], STATES[page["state"]])


def _invoice(bill: Told) -> Invoice:
    payment = bill["payment"] or {}
    return Invoice(
        id=bill["id"],
        bill=Bill(bill["state"]),
        starts=bill["starts"],
        ends=bill["ends"],
        created_at=bill["at"],
        total=bill["minor"],
        paid=payment.get("minor", 0),
        refunded=payment.get("back", 0),
        dispute=Dispute(payment.get("fight", "none")),
        due_at=bill["due_at"],
        paid_at=bill["paid_at"],
        reference=payment.get("id"),
        receipt_url=payment.get("slip"),
    )


def _verify(headers: Headers, body: bytes, secrets: Sequence[str], now: int) -> None:
    """Check the signature against every secret, and that its time is neither too old nor in the future."""
    seals = [SEAL.fullmatch(value) for name, value in headers if name.lower() == "pebble-signature"]
    if len(seals) != 1 or seals[0] is None:
        raise BadWebhook("there must be one Pebble-Signature header")
    at, seal = seals[0].groups()
    if not -CLOCK_DIFFERENCE <= now - int(at) <= OLDEST_SEAL:
        raise BadWebhook("the seal is too old, or from the future")
    made = [hmac.digest(one.encode(), f"{at}\n".encode() + body, "sha512").hex() for one in secrets if one.strip()]
    if not any(hmac.compare_digest(one, seal) for one in made):
        raise BadWebhook("the seal does not match")


def _news(body: bytes) -> Told:
    try:
        reported = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadWebhook("not news") from error
    if not isinstance(reported, dict) or not all(type(reported.get(name)) is kind for name, kind in NEWS.items()):
        raise BadWebhook("not news")
    return reported


def _event(news: Told, realm: Realm) -> Event:
    return Event(
        realm=realm,
        id=news["id"],
        type=news["topic"],
        created_at=news["at"],
        object_id=news["about"],
        customer_id=news["buyer"],
        relevant=news["topic"] in TOPICS,
        reference=news["payment"],
    )
