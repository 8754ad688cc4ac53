"""Stripe's events: which ones matter, whether a webhook is genuine, and the few fields that we read."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tollkeeper.errors import BadWebhook
from tollkeeper.model.events import Event
from tollkeeper.model.orders import Realm
from tollkeeper.providers.protocol import Headers

# A signature is accepted for 300 s (https://docs.stripe.com/webhooks#replay-attacks), and clocks may differ by 60 s.
OLDEST_SIGNATURE = 300
CLOCK_DIFFERENCE = 60

# Not customer.deleted: each subscription that ends with it has its own event, and earlier payments still count.
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
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "invoice.finalized",
        "invoice.finalization_failed",
        "invoice.paid",
        "invoice.payment_failed",
        "payment_intent.processing",
        "invoice.voided",
        "invoice.marked_uncollectible",
    }
)

# The maximum number of types in one request: https://docs.stripe.com/api/events/list#list_events-types
MOST_TYPES = 20


def batches_of(types: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Split the types into batches of the size that Stripe allows. Each type is in one batch only."""
    wanted = sorted(set(types))
    return tuple(tuple(wanted[at : at + MOST_TYPES]) for at in range(0, len(wanted), MOST_TYPES))


def verify(headers: Headers, body: bytes, secrets: tuple[str, ...], now: int) -> None:
    """Check the signature against every secret, and that its time is neither too old nor in the future.

    Raises ``BadWebhook``.
    """
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
    """Return the one time in a signature, in plain digits. The SDK is less strict, but must not read another time."""
    times = [entry.removeprefix("t=") for entry in header.split(",") if entry.startswith("t=")]
    return int(times[0]) if len(times) == 1 and re.fullmatch(r"[0-9]{1,12}", times[0]) else None


def _signed(header: str, body: bytes, secret: str, sdk: Any) -> bool:
    try:
        return bool(secret.strip() and sdk.WebhookSignature.verify_header(body, header, secret))
    except (sdk.SignatureVerificationError, ValueError, TypeError):  # not UTF-8, or garbage on which the SDK fails
        return False


def message_of(body: bytes) -> dict[str, Any]:
    """Parse a verified body. Raises ``BadWebhook`` for anything but an event as Stripe documents it."""
    try:
        event = hint_of(json.loads(body))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise BadWebhook("not an event") from error
    if not _sound(event):
        raise BadWebhook("not an event")
    return event


def hint_of(message: Any) -> dict[str, Any]:
    """Return the few fields of an event that we read."""
    subject = message["data"]["object"]
    event = {name: message[name] for name in ("id", "type", "livemode", "created")}
    event |= {"account": message.get("account"), "object": _subject(subject), "customer": subject.get("customer")}
    return event | {"payment_intent": subject.get("payment_intent")}


def _subject(subject: Mapping[str, Any]) -> Any:
    """Return what an event is about; for an invoice, its subscription, if it has one."""
    parent = subject.get("parent")
    details = parent.get("subscription_details") if isinstance(parent, dict) else None
    return (details.get("subscription") if isinstance(details, dict) else None) or subject.get("id")


def _sound(event: Mapping[str, Any]) -> bool:
    """Check that the fields we read have the types that Stripe documents (https://docs.stripe.com/api/events)."""
    created, subject = event["created"], event["object"]
    return (
        _plain(event["id"], event["type"])
        and isinstance(event["livemode"], bool)
        and (type(created) is int and 0 < created < 2**40)
        # A balance has no id, and merchants choose the ids of products and coupons.
        and (subject is None or (isinstance(subject, str) and len(subject) <= 255 and subject.isprintable()))
    )


def _plain(*values: object) -> bool:
    """Check that every value is a short string of the characters that Stripe's ids and event types use."""
    return all(isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.]{1,255}", value) for value in values)


def event_of(message: Mapping[str, Any], realm: Realm) -> Event:
    return Event(
        realm=realm,
        id=message["id"],
        type=message["type"],
        created_at=message["created"],
        object_id=message["object"] or "",
        customer_id=plain_id(message["customer"]),
        relevant=message["type"] in EVENTS_THAT_MATTER,
        reference=plain_id(message["payment_intent"]),
    )


def plain_id(value: Any) -> str | None:
    """Return an id that an event names; None if it names none, or contains the whole object."""
    return value if _plain(value) else None
