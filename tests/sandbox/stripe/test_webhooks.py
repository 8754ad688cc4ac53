"""Events are delivered as signed posts, retried, logged, and kept over a restart."""

import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.support import Receiver, Running, receiving, running, wait_for


def listen(sandbox: Running, url: str, *events: Any) -> str:
    """The signing secret of a new endpoint."""
    made = sandbox.sdk.v1.webhook_endpoints.create({"url": url, "enabled_events": list(events) or ["*"]})
    assert made.secret
    return made.secret


def test_a_payment_s_event_arrives_signed_and_promptly(receiver: Receiver) -> None:
    with running() as sandbox:
        secret = listen(sandbox, receiver.url, "checkout.session.completed")
        session = sandbox.checkout(metadata={"order": "1"})
        began = time.monotonic()
        sandbox.pay(session)
        body, signature = wait_for(lambda: receiver.received)[0]
        assert time.monotonic() - began < 1
        event = stripe.Webhook.construct_event(body, signature, secret)
        assert event.type == "checkout.session.completed"
        assert event.api_version == "2026-10-28.endive"
        assert event.data.object["id"] == session.id
        assert event.data.object["payment_status"] == "paid"
        assert event.data.object["metadata"]["order"] == "1"
        assert (event.livemode, event.pending_webhooks) == (False, 1)
        assert event["request"].to_dict() == {"id": None, "idempotency_key": None}
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body.replace(b"paid", b"PAID"), signature, secret)


def test_an_endpoint_hears_only_what_it_asked_for(receiver: Receiver) -> None:
    with running() as sandbox:
        listen(sandbox, receiver.url, "customer.created")
        sandbox.sdk.v1.products.create({"name": "Dashboard"})
        sandbox.sdk.v1.customers.create({})
        wait_for(lambda: receiver.received)
        assert receiver.types() == ["customer.created"]


def test_an_event_names_the_request_that_caused_it(stripe_sandbox: Running) -> None:
    customers = stripe_sandbox.sdk.v1.customers
    made = customers.create({}, {"idempotency_key": "cause"})
    events = stripe_sandbox.sdk.v1.events.list({"type": "customer.created", "limit": 1})
    assert made.last_response
    request = {"id": made.last_response.request_id, "idempotency_key": "cause"}
    assert events.data[0]["request"].to_dict() == request


def test_an_update_tells_what_was_before(stripe_sandbox: Running) -> None:
    customers = stripe_sandbox.sdk.v1.customers
    made = customers.create({"name": "Before"})
    customers.update(made.id, {"name": "After"})
    customers.update(made.id, {"name": "After"})
    events = stripe_sandbox.sdk.v1.events.list({"type": "customer.updated"}).data
    mine = [event for event in events if event.data.object["id"] == made.id]
    assert [event.data["previous_attributes"].to_dict() for event in mine] == [{"name": "Before"}]


def test_failed_tries_are_repeated_until_one_succeeds(receiver: Receiver) -> None:
    receiver.answers = [500, 404, 302]
    with running() as sandbox:
        listen(sandbox, receiver.url, "customer.created")
        sandbox.sdk.v1.customers.create({})
        wait_for(lambda: len(receiver.received) == 4)
        assert len({body for body, _ in receiver.received}) == 1
        event = sandbox.sdk.v1.events.list({"type": "customer.created"}).data[0]
        wait_for(lambda: sandbox.sdk.v1.events.retrieve(event.id).pending_webhooks == 0)
        log = _delivery_page(sandbox)
        assert "delivered" in log
        assert all(f"HTTP&nbsp;{status}" in log for status in (500, 404, 302, 200))


def test_a_delivery_that_never_succeeds_is_given_up_and_its_errors_are_logged(receiver: Receiver) -> None:
    with running(delays=(0.01, 0.01)) as sandbox:
        listen(sandbox, "http://127.0.0.1:9/nobody", "customer.created")
        sandbox.sdk.v1.customers.create({})
        wait_for(lambda: "given up" in sandbox.browser.get(sandbox.url).text)
        assert _delivery_page(sandbox).count("ConnectError") == 3


def _delivery_page(sandbox: Running) -> str:
    home = sandbox.browser.get(sandbox.url).text
    path = home.split('href="/control/deliveries/')[1].split('"')[0]
    return sandbox.browser.get(f"{sandbox.url}/control/deliveries/{path}").text


def test_one_slow_endpoint_does_not_hold_up_another(receiver: Receiver) -> None:
    with running() as sandbox, socket.create_server(("127.0.0.1", 0)) as deaf:
        listen(sandbox, f"http://127.0.0.1:{deaf.getsockname()[1]}/", "customer.created")
        listen(sandbox, receiver.url, "customer.created")
        sandbox.sdk.v1.customers.create({})
        wait_for(lambda: receiver.received, seconds=2)


def test_a_disabled_or_deleted_endpoint_hears_nothing_more(receiver: Receiver) -> None:
    with running() as sandbox:
        endpoints = sandbox.sdk.v1.webhook_endpoints
        for url in ("a", "b", "c"):
            listen(sandbox, f"{receiver.url}/{url}", "customer.created")
        _, second, first = (one.id for one in endpoints.list().data)
        endpoints.update(first, {"disabled": True})
        assert endpoints.delete(second).deleted
        sandbox.sdk.v1.customers.create({})
        wait_for(lambda: receiver.received)
        time.sleep(0.1)
        assert len(receiver.received) == 1


def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path: Path) -> None:
    ledger = tmp_path / "stripe.db"
    with receiving() as receiver:
        receiver.answers = [500] * 3
        with running(ledger, delays=(0.3, 0.3, 0.3)) as sandbox:
            secret = listen(sandbox, receiver.url, "customer.created")
            made = sandbox.sdk.v1.customers.create({})
            wait_for(lambda: receiver.received)
        seen = len(receiver.received)
        receiver.answers = []
        with running(ledger):
            wait_for(lambda: len(receiver.received) > seen)
        body, signature = receiver.received[-1]
        assert stripe.Webhook.construct_event(body, signature, secret).data.object["id"] == made.id


def test_a_session_expires_by_the_clock_and_says_so(receiver: Receiver) -> None:
    with running() as sandbox:
        listen(sandbox, receiver.url, "checkout.session.expired", "payment_intent.canceled")
        session = sandbox.checkout()
        sandbox.pay(session, "4000 0000 0000 0002")
        sandbox.clock.ahead = 24 * 3600 + 1
        wait_for(lambda: len(receiver.received) == 2)
        assert sorted(receiver.types()) == ["checkout.session.expired", "payment_intent.canceled"]
        expired = sandbox.read(session, "payment_intent")
        assert (expired.status, expired.url) == ("expired", None)
        assert expired["payment_intent"]["status"] == "canceled"


def test_deliveries_go_on_after_the_ledger_was_locked(receiver: Receiver, tmp_path: Path) -> None:
    ledger = tmp_path / "stripe.db"
    with running(ledger) as sandbox, closing(sqlite3.connect(ledger, isolation_level=None)) as other:
        listen(sandbox, receiver.url, "customer.created")
        other.execute("BEGIN IMMEDIATE")
        time.sleep(1.8)  # longer than the ledger waits, from the loop's next turn on
        other.execute("COMMIT")
        sandbox.sdk.v1.customers.create({})
        wait_for(lambda: receiver.received)
