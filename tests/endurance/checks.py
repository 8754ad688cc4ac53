"""What must be true after a crash, derived from the sandbox's ledger and the tables, without the app's code."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.endurance.buyers import Buyer
from tests.endurance.shop import Shop
from tests.support.running import Account

from tollkeeper.storage.tables import events

# https://docs.stripe.com/api/disputes/object#dispute_object-status
TAKES_AWAY: Final = frozenset({"needs_response", "under_review", "lost"})

# The allowed order of rows in the audit of one grant, and whether there is access after each.
FOLLOWS: Final[Mapping[str | None, frozenset[str]]] = {
    None: frozenset({"granted"}),
    "granted": frozenset({"revoked"}),
    "revoked": frozenset({"restored"}),
    "restored": frozenset({"revoked"}),
}


@dataclass(frozen=True)
class Charge:
    """A payment that succeeded, according to the sandbox. Amounts are in minor units."""

    payment: str
    email: str
    amount: int
    refunded: int = 0
    dispute: str | None = None

    @property
    def stands(self) -> bool:
        """Whether it still counts."""
        return self.refunded < self.amount and self.dispute not in TAKES_AWAY


def charges(account: Account) -> list[Charge]:
    """Return every payment, from the sandbox's API."""
    stripe = account.stripe.v1
    emails = {one.id: one.email for one in stripe.customers.list({"limit": 100}).auto_paging_iter()}
    disputes = {one.payment_intent: one.status for one in stripe.disputes.list({"limit": 100}).auto_paging_iter()}
    return [
        Charge(
            payment=str(one.payment_intent),
            email=emails[str(one.customer)] or "",
            amount=one.amount,
            refunded=one.amount_refunded,
            dispute=disputes.get(one.payment_intent),
        )
        for one in stripe.charges.list({"limit": 100}).auto_paging_iter()
        if one.paid
    ]


def wrong_charges(buyers: Iterable[Buyer], made: Iterable[Charge]) -> Iterator[str]:
    """Yield buyers who were charged more often than they meant to pay, and charges of unknown people."""
    meant = {buyer.email: buyer.meant_to_pay for buyer in buyers}
    by_email: dict[str, list[str]] = defaultdict(list)
    for charge in made:
        by_email[charge.email].append(charge.payment)
    for email, payments in by_email.items():
        if len(payments) > meant.get(email, 0):
            yield f"{email} meant to pay {meant.get(email, 0)} times, and was charged by {', '.join(payments)}"


def wrong_access(buyers: Iterable[Buyer], made: Iterable[Charge], inside: set[str]) -> Iterator[str]:
    """People with a valid payment have access; nobody else has. ``inside`` has e-mail addresses."""
    payments: dict[str, list[Charge]] = defaultdict(list)
    for charge in made:
        payments[charge.email].append(charge)
    for buyer in buyers:
        wanted = any(charge.stands for charge in payments[buyer.email])
        if wanted != (buyer.email in inside):
            yield f"{buyer.email}, who {buyer.story}, is {'out' if wanted else 'in'}: {payments[buyer.email]}"


def wrong_audit(grants: Iterable[Any], audit: Iterable[Any]) -> Iterator[str]:
    """Check that each change of access has one audit row. Takes rows of these tables, the audit's in order."""
    changes: dict[str, list[str]] = defaultdict(list)
    for row in audit:
        changes[row.source].append(row.change)
    held = {row.source: row.revoked_at is None for row in grants}
    for source in held.keys() | changes.keys():
        reported = changes[source]
        in_order = all(after in FOLLOWS[before] for before, after in zip([None, *reported], reported, strict=False))
        if not reported or not in_order or (reported[-1] != "revoked") != held.get(source):
            yield f"the grant of {source} {_state(held.get(source))}, and its audit says {reported}"


def _state(held: bool | None) -> str:
    return {None: "does not exist", True: "holds", False: "is revoked"}[held]


def wrong_orders(orders: Iterable[Any], grants: Iterable[Any]) -> Iterator[str]:
    """Check that a grant and the end of its order were one transaction. Takes rows of these tables."""
    granted = {row.source for row in grants}
    for row in orders:
        if row.state != "complete" and row.checkout_id in granted:
            yield f"the order {row.id} is {row.state}, and was granted"


@dataclass(frozen=True)
class Delivery:
    """One event on its way to the app: how often it was sent, whether it was taken, whether it will be sent again."""

    event: str
    tries: int
    acknowledged: bool
    waiting: bool


def deliveries(ledger: Path) -> list[Delivery]:
    """What the sandbox sent, from its own file; it may be running."""
    question = """
    SELECT event, (SELECT count(*) FROM tries WHERE delivery = id), delivered, next_at IS NOT NULL FROM deliveries
    """
    connection = sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        rows = connection.execute(question).fetchall()
    finally:
        connection.close()
    return [Delivery(event, tries, bool(taken), bool(waiting)) for event, tries, taken, waiting in rows]


def lost_events(sent: Iterable[Delivery], kept: Iterable[Any]) -> Iterator[str]:
    """Check that everything acknowledged with 2xx is stored. Takes rows of the table of events."""
    known = {row.event_id for row in kept}
    for delivery in sent:
        if delivery.acknowledged and delivery.event not in known:
            yield f"the event {delivery.event} was acknowledged, and is lost"


def unhandled_events(kept: Iterable[Any]) -> Sequence[str]:
    """Return events that are not handled, or were parked. Takes rows of the table of events."""
    return [row.event_id for row in kept if row.handled_at is None]


def on_the_way(shop: Shop) -> Sequence[str]:
    """Return events that the sandbox still has to deliver, or else the app still has to handle."""
    waiting = [one.event for one in deliveries(shop.ledger) if one.waiting]
    return waiting or unhandled_events(shop.app.rows(events))
