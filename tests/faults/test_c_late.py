"""C22, C23: events in the wrong order, and old ones that come late, end in the state that the provider reports."""

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from tests.support.running import Browser, Site, eventually, newcomer
from tests.support.webhooks import deliver

from tollkeeper.storage.tables import audit, customers, events, grants, orders

PAID, REFUNDED = "checkout.session.completed", "charge.refunded"


@pytest.fixture
def refunded(door: Site) -> Browser:
    """Somebody who has paid and was refunded, of which the app has heard nothing yet."""
    buyer = newcomer(door)
    buyer.pay()
    checkout_id = door.rows_of(buyer, orders)[0].checkout_id
    payment = door.sandbox.stripe.v1.checkout.sessions.retrieve(checkout_id).payment_intent
    door.sandbox.stripe.v1.refunds.create({"payment_intent": str(payment)})
    assert not door.rows_of(buyer, grants)
    return buyer


def event_about(site: Site, buyer: Browser, type_: str) -> dict[str, Any]:
    """The provider's event of that type about the buyer."""
    (customer,) = (row.external_id for row in site.rows_of(buyer, customers))
    listed = site.sandbox.stripe.v1.events.list({"type": type_, "limit": 100}).data
    return next(event.to_dict() for event in listed if event.data.object["customer"] == customer)


def deliver_all(site: Site, *event_about: dict[str, Any]) -> None:
    """Deliver events one after the other, each when the one before has been handled."""
    for event in event_about:
        assert deliver(site, event).status_code == 200
        eventually(partial(is_handled, site, event["id"]))


def is_handled(site: Site, id: str) -> bool:
    return any(row.handled_at for row in site.rows(events) if row.event_id == id)


@pytest.mark.parametrize("order", list(itertools.permutations((PAID, REFUNDED))))
def test_c22_refund_before_payment_and_payment_before_refund_end_alike(
    door: Site, refunded: Browser, order: Sequence[str]
) -> None:
    deliver_all(door, *(event_about(door, refunded, type_) for type_ in order))
    assert not refunded.enters()
    assert not door.rows_of(refunded, grants)
    assert [row.state for row in door.rows_of(refunded, orders)] == ["complete"]


@pytest.mark.parametrize("first", [PAID, "customer.deleted"])
def test_c22_a_customer_deleted_before_the_payment_is_reported(door: Site, first: str) -> None:
    buyer = newcomer(door)
    buyer.pay()
    (customer,) = (row.external_id for row in door.rows_of(buyer, customers))
    door.sandbox.stripe.v1.customers.delete(customer)
    paid, deleted = event_about(door, buyer, PAID), deletion_of(door, customer)
    deliver_all(door, *((paid, deleted) if first == PAID else (deleted, paid)))
    assert buyer.enters()
    assert [row.change for row in door.rows_of(buyer, audit)] == ["granted"]


def deletion_of(site: Site, customer: str) -> dict[str, Any]:
    listed = site.sandbox.stripe.v1.events.list({"type": "customer.deleted", "limit": 100}).data
    return next(event.to_dict() for event in listed if event.data.object["id"] == customer)


def test_c23_a_payment_reported_late_does_not_undo_the_refund(door: Site) -> None:
    buyer = newcomer(door)
    buyer.pay()
    deliver_all(door, paid := event_about(door, buyer, PAID))
    assert buyer.enters()
    door.sandbox.stripe.v1.refunds.create({"payment_intent": door.rows_of(buyer, grants)[0].reference})
    deliver_all(door, event_about(door, buyer, REFUNDED))
    assert not buyer.enters()
    deliver_all(door, paid | {"id": f"{paid['id']}_late"})
    assert not buyer.enters()
    assert [row.change for row in door.rows_of(buyer, audit)] == ["granted", "revoked"]
