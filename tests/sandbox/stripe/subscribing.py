"""Subscribers on test clocks, so that each test moves only its own time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from tests.sandbox.stripe.support import Running

DAY = 24 * 3600
START = int(datetime(2027, 1, 31, 10, tzinfo=UTC).timestamp())


@dataclass
class Subscriber:
    """A customer with a card, on a test clock of their own."""

    sandbox: Running
    clock: str
    customer: str
    now: int = START

    def subscribe(self, price: Any = None, **params: Any) -> Any:
        items = [{"price": (price or monthly(self.sandbox)).id}]
        values = {"customer": self.customer, "items": items, **params}
        return self.sandbox.sdk.v1.subscriptions.create(cast(Any, values))

    def go(self, seconds: int) -> None:
        """Move the test clock forward."""
        self.now += seconds
        self.sandbox.sdk.v1.test_helpers.test_clocks.advance(self.clock, {"frozen_time": self.now})

    def go_to(self, *date: int) -> None:
        self.go(int(datetime(*date, tzinfo=UTC).timestamp()) - self.now)  # type: ignore[misc, arg-type]

    def read(self, subscription: Any, *expand: str) -> Any:
        return self.sandbox.sdk.v1.subscriptions.retrieve(subscription.id, {"expand": list(expand)})

    def update(self, subscription: Any, **params: Any) -> Any:
        return self.sandbox.sdk.v1.subscriptions.update(subscription.id, cast(Any, params))

    def invoices(self, subscription: Any) -> list[Any]:
        """Return all of them, oldest first."""
        return self.sandbox.sdk.v1.invoices.list({"subscription": subscription.id, "limit": 100}).data[::-1]

    def use_card(self, name: str) -> None:
        """Pay invoices with this card from now on."""
        values: Any = {"invoice_settings": {"default_payment_method": f"pm_card_{name}"}}
        self.sandbox.sdk.v1.customers.update(self.customer, values)

    def events_about(self, subscription: Any, *prefixes: str) -> list[tuple[str, int]]:
        """Return the events about a subscription and its invoices, with their times, counted from the start."""
        ids = {subscription.id, *(one.id for one in self.invoices(subscription))}
        events: list[Any] = []
        for event in self.sandbox.sdk.v1.events.list({"limit": 100}).auto_paging_iter():
            body = event.data.object
            if body["id"] in ids or body.to_dict().get("invoice") in ids:
                events.append(event)
        return [(one.type, one.created - START) for one in events[::-1] if one.type.startswith(prefixes or ("",))]


def monthly(sandbox: Running, **params: Any) -> Any:
    return sandbox.price(**{"recurring": {"interval": "month"}, **params})


def subscriber(sandbox: Running, card: str | None = "visa", **params: Any) -> Subscriber:
    stripe = sandbox.sdk.v1
    clock = stripe.test_helpers.test_clocks.create({"frozen_time": START}).id
    values = {"email": "buyer@example.com", "test_clock": clock, **params}
    if card:
        name = f"pm_card_{card}"
        values |= {"payment_method": name, "invoice_settings": {"default_payment_method": name}}
    return Subscriber(sandbox, clock, stripe.customers.create(cast(Any, values)).id)
