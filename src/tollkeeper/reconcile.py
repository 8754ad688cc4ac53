"""Fetch a customer's snapshot and make the grants agree with it.

Everything that could change who has access ends here. The provider is asked with no database lock held; a ticket taken
before asking makes sure that an older answer never overwrites a newer one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from tollkeeper.entitlements import derive
from tollkeeper.model import Customer, Finding, Grant, Order, OrderState, Snapshot, Verdict
from tollkeeper.provider import PaymentProvider
from tollkeeper.storage import audit, customers, grants, orders
from tollkeeper.storage.database import Database

log = structlog.get_logger()

# Pending orders stay open, and quarantined ones until they are paid back: paying for them once more must be hard.
STATE_AFTER = {
    Verdict.GRANTED: OrderState.COMPLETE,
    Verdict.REVOKED: OrderState.COMPLETE,
    Verdict.UNPAID: OrderState.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What one reconcile found and did. ``superseded``: a newer one had already been written, so nothing was."""

    findings: tuple[Finding, ...]
    changes: int = 0
    superseded: bool = False

    def of_order(self, order: Order) -> Finding | None:
        """What was found for one order, if the customer completed its checkout."""
        return next((found for found in self.findings if found.purchase.order_id == order.id), None)


async def reconcile(
    database: Database,
    provider: PaymentProvider,
    customer: Customer,
    *,
    evidence: str,
    clock: Callable[[], int],
) -> Reconciled:
    """Make a customer's grants agree with the provider. ``evidence`` says what caused it, for the audit.

    Raises ``ProviderUnavailable``, ``ProviderRefused`` or ``StorageBusy``; then nothing has changed.
    """
    ticket = await database.write(customers.take_ticket, customer.id)
    snapshot = await provider.snapshot(customer)
    outcome = await database.write(_apply, snapshot, ticket, evidence, clock())
    _report(customer, outcome, evidence)
    return outcome


def _apply(conn: Connection, snapshot: Snapshot, ticket: int, evidence: str, now: int) -> Reconciled:
    customer = snapshot.customer
    ordered = {order.id: order for order in orders.of_person(conn, customer.person_id, customer.realm)}
    findings = derive(snapshot, ordered)
    if not customers.pass_fence(conn, customer.id, ticket):
        return Reconciled(findings, superseded=True)
    _close_orders(conn, snapshot, ordered, findings, now)
    held = {grant.source: grant for grant in grants.of_person(conn, customer.person_id, customer.realm)}
    changes = sum(_settle(conn, customer, found, held.get(found.purchase.source), evidence, now) for found in findings)
    return Reconciled(findings, changes)


def _close_orders(
    conn: Connection, snapshot: Snapshot, ordered: dict[str, Order], findings: tuple[Finding, ...], now: int
) -> None:
    for order in ordered.values():
        if order.checkout_id in snapshot.expired_checkouts:
            orders.close(conn, order.id, OrderState.EXPIRED, now)
    for found in findings:
        state = _state_after(found)
        if state is not None and found.purchase.order_id in ordered:
            orders.close(conn, found.purchase.order_id, state, now)


def _state_after(found: Finding) -> OrderState | None:
    """What a finding makes of its order; None leaves it as it is."""
    if found.verdict is Verdict.QUARANTINED and found.purchase.paid_back:
        return OrderState.COMPLETE
    return STATE_AFTER.get(found.verdict)


def _settle(conn: Connection, customer: Customer, found: Finding, held: Grant | None, evidence: str, now: int) -> int:
    """Make one grant agree with one finding. Answers how many changes of access that was: 0 or 1."""
    granted = found.verdict is Verdict.GRANTED
    if held is None:
        return _begin(conn, customer, found, evidence, now) if granted else 0
    revoked_at = None if granted else held.revoked_at or now
    after = replace(held, until=found.until, revoked_at=revoked_at, reason=found.reason)
    if after == held:
        return 0
    grants.change(conn, held.id, until=after.until, revoked_at=after.revoked_at, reason=after.reason)
    if (after.until, after.revoked_at) == (held.until, held.revoked_at):
        return 0  # another reason for the same access, as when a dispute is lost
    _audit(conn, after, "restored" if granted else "revoked", evidence, now)
    return 1


def _begin(conn: Connection, customer: Customer, found: Finding, evidence: str, now: int) -> int:
    purchase = found.purchase
    grant = Grant(
        id=0,
        person_id=customer.person_id,
        product=found.product or "",
        realm=customer.realm,
        source=purchase.source,
        since=purchase.paid_at or purchase.created_at,
        until=found.until,
        revoked_at=None,
        reason=found.reason,
        amount=purchase.amount_total,
        currency=purchase.currency,
        reference=purchase.reference,
        receipt_url=purchase.receipt_url,
    )
    grants.add(conn, grant)
    _audit(conn, grant, "granted", evidence, now)
    return 1


def _audit(conn: Connection, grant: Grant, change: str, evidence: str, now: int) -> None:
    audit.record(
        conn,
        at=now,
        person_id=grant.person_id,
        change=change,
        product=grant.product,
        realm=grant.realm,
        source=grant.source,
        reason=grant.reason,
        evidence=evidence,
    )


def _report(customer: Customer, outcome: Reconciled, evidence: str) -> None:
    """Operators must see money that opened no door."""
    log.info(
        "reconciled",
        customer=customer.external_id,
        evidence=evidence,
        changes=outcome.changes,
        superseded=outcome.superseded,
    )
    for found in outcome.findings:
        if found.verdict in {Verdict.QUARANTINED, Verdict.UNCLAIMED}:
            log.warning(
                "payment not granted",
                verdict=found.verdict.value,
                reason=found.reason,
                source=found.purchase.source,
                customer=customer.external_id,
            )
