"""Lists inside objects show their first ten; the rest is read page by page."""

from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.subscribing import Subscriber, monthly, subscriber
from tests.sandbox.stripe.support import Running

MANY = 13


@pytest.fixture(scope="module")
def big(stripe_sandbox: Running) -> tuple[Subscriber, Any]:
    """A subscription to thirteen things at once."""
    buyer = subscriber(stripe_sandbox)
    items = [{"price": monthly(stripe_sandbox, unit_amount=100 + n).id} for n in range(MANY)]
    values: Any = {"customer": buyer.customer, "items": items}
    return buyer, stripe_sandbox.sdk.v1.subscriptions.create(values)


def test_an_invoice_shows_ten_lines(stripe_sandbox: Running, big: tuple[Subscriber, Any]) -> None:
    buyer, made = big
    (invoice,) = buyer.invoices(made)
    assert (len(invoice.lines.data), invoice.lines.has_more) == (10, True)
    assert invoice.total == sum(100 + n for n in range(MANY))
    every = list(stripe_sandbox.sdk.v1.invoices.line_items.list(invoice.id, {"limit": 4}).auto_paging_iter())
    assert len({line.id for line in every}) == MANY
    assert [line.id for line in every[:10]] == [line.id for line in invoice.lines.data]
    assert sum(line.amount for line in every) == invoice.total
    rest = list(invoice.lines.auto_paging_iter())
    assert [line.id for line in rest] == [line.id for line in every]


def test_pages_go_back_too(stripe_sandbox: Running, big: tuple[Subscriber, Any]) -> None:
    buyer, made = big
    lines, invoice = stripe_sandbox.sdk.v1.invoices.line_items, buyer.invoices(made)[0]
    every = [line.id for line in lines.list(invoice.id, {"limit": 100}).data]
    before = lines.list(invoice.id, {"ending_before": every[5], "limit": 3})
    assert ([line.id for line in before.data], before.has_more) == (every[2:5], True)
    with pytest.raises(stripe.InvalidRequestError):
        lines.list(invoice.id, {"starting_after": "il_none"})
    with pytest.raises(stripe.InvalidRequestError, match="both starting_after and ending_before"):
        lines.list(invoice.id, {"starting_after": every[0], "ending_before": every[5]})


def test_a_subscription_shows_ten_items(stripe_sandbox: Running, big: tuple[Subscriber, Any]) -> None:
    buyer, made = big
    shown = buyer.read(made)["items"]
    assert (len(shown.data), shown.has_more) == (10, True)
    items = stripe_sandbox.sdk.v1.subscription_items
    every = list(items.list({"subscription": made.id, "limit": 5}).auto_paging_iter())
    assert len({item.id for item in every}) == MANY
    assert items.retrieve(every[-1].id).price.unit_amount == 100 + MANY - 1


def test_events_show_ten_too(stripe_sandbox: Running, big: tuple[Subscriber, Any]) -> None:
    _, made = big
    events = stripe_sandbox.sdk.v1.events.list({"type": "customer.subscription.created", "limit": 100}).data
    (events_about,) = [event.data.object for event in events if event.data.object["id"] == made.id]
    assert (len(events_about["items"]["data"]), events_about["items"]["has_more"]) == (10, True)


def test_lists_within_lists(stripe_sandbox: Running, big: tuple[Subscriber, Any]) -> None:
    buyer, made = big
    (listed,) = stripe_sandbox.sdk.v1.subscriptions.list(
        {"customer": buyer.customer, "expand": ["data.latest_invoice"]}
    )
    assert len(listed["items"].data) == 10
    customer: Any = stripe_sandbox.sdk.v1.customers.retrieve(buyer.customer, {"expand": ["subscriptions"]})
    assert [one.id for one in customer.subscriptions.data] == [made.id]
    assert stripe_sandbox.get(customer.subscriptions.url).json()["data"][0]["id"] == made.id
