"""Fetch a customer's snapshot and make the grants match it.

Everything that could change who has access ends here. No database lock is held while the provider is asked; a ticket
taken before asking makes sure that what is written was read after everything written before it.
"""

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog
from sqlalchemy import Connection

from tollkeeper.billing.entitlements import derive
from tollkeeper.billing.lost_orders import OrdersLost, lost, put_back
from tollkeeper.catalog import Catalog
from tollkeeper.errors import CustomerMissing, ProviderMissing, ProviderRefused, ProviderUnavailable
from tollkeeper.metrics import Metrics
from tollkeeper.model.access import Finding, Grant, Verdict, in_force
from tollkeeper.model.bought import Bought, Purchase, Snapshot, Subscription, without_receipts
from tollkeeper.model.orders import Customer, Mode, Order, OrderState, Realm
from tollkeeper.providers.protocol import PaymentProvider
from tollkeeper.reasons import Code, because
from tollkeeper.relations import Ending, Surplus, endings, surplus
from tollkeeper.storage import audit, customers, grants, marks, orders, privacy
from tollkeeper.storage import findings as noted
from tollkeeper.storage.database import Database
from tollkeeper.wording.operators import sentence

log = structlog.get_logger()

# Pending orders stay open, and quarantined ones until they are refunded: paying for them again must be hard.
STATE_AFTER = {
    Verdict.GRANTED: OrderState.COMPLETE,
    Verdict.REVOKED: OrderState.COMPLETE,
    Verdict.SUSPENDED: OrderState.COMPLETE,
    Verdict.ENDED: OrderState.COMPLETE,
    Verdict.UNPAID: OrderState.EXPIRED,
}


# How often to ask for a customer again, when others wrote about them while the answer was on its way.
TRIES = 5


@dataclass(frozen=True, slots=True)
class Services:
    """What a reconcile works with: where grants are stored, whom to ask, what is sold, the time (Unix seconds), where
    events are counted.
    """

    database: Database
    provider: PaymentProvider
    catalog: Catalog
    clock: Callable[[], int]
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def mode(self) -> Mode:
        """The provider, and whether real money moves."""
        return Mode(self.provider.name, self.provider.live)

    async def realm(self) -> Realm:
        """The account and mode that these services are about."""
        return Realm(self.provider.name, await self.provider.account(), self.provider.live)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What one reconcile found and did. ``superseded``: another was written in the meantime, so this one was not."""

    findings: tuple[Finding, ...]
    changes: int = 0
    superseded: bool = False
    news: tuple[Finding, ...] = ()
    """The findings that are new, or whose verdict has changed."""
    surplus: tuple[Surplus, ...] = ()
    """What the person has paid for twice, as far as this reconcile changed anything."""
    endings: tuple[Ending, ...] = ()
    """The subscriptions that must end now, because what they give was bought for good."""

    @property
    def kind(self) -> str:
        """The outcome in one word."""
        return "superseded" if self.superseded else "changed" if self.changes else "unchanged"

    def of_order(self, order: Order) -> Finding | None:
        """The finding for one order, if the customer completed its checkout: preferably of the order's own page."""
        found = [one for one in self.findings if one.bought.order_id == order.id]
        return min(found, key=lambda one: one.bought.checkout_id != order.checkout_id, default=None)


async def reconcile(services: Services, customer: Customer, *, evidence: str) -> Reconciled:
    """Make a customer's grants match the provider. ``evidence`` says what caused it, for the audit.

    Also ends subscriptions, with their period, if the person has bought for good what they give. Raises
    ``ProviderUnavailable``, ``ProviderRefused`` or ``StorageBusy``; then it is incomplete and must be repeated.
    """
    seek = True
    for _ in range(TRIES):
        try:
            outcome = await _reconcile(services, customer, evidence, seek_lost=seek)
        except OrdersLost as found:
            await put_back(services.database, services.provider, services.catalog, customer, found.bought)
            seek = False  # what could not be put back is judged as what nobody ordered here
            continue
        if not outcome.superseded:
            return await _end_what_was_bought(services, customer, outcome) if outcome.endings else outcome
    raise ProviderUnavailable("Others kept writing about this customer while the provider was asked.")


async def reconcile_person(services: Services, person_id: str, *, evidence: str) -> None:
    """The same for every customer that a person is, or was. Raises what ``reconcile`` raises."""
    for customer in await services.database.read(customers.all_of_person, person_id, await services.realm()):
        with suppress(CustomerMissing):  # who is replaced when the person buys
            await reconcile(services, customer, evidence=evidence)


async def _end_what_was_bought(services: Services, customer: Customer, outcome: Reconciled) -> Reconciled:
    """What must be ended is derived from the findings each time, until the provider says that it is done.

    If the provider does not answer, the caller of the reconcile retries; if it refuses, an operator must deal with it.
    """
    for one in outcome.endings:
        try:
            await services.provider.end_subscription(one.subscription, at_period_end=True, purchase=one.purchase)
        except ProviderMissing:  # it has ended in the meantime
            continue
        except ProviderRefused as refusal:
            log.error("subscription not ended", source=one.subscription, reason=str(refusal), advice=refusal.advice)
            return outcome
        log.info("subscription ends", source=one.subscription, purchase=one.purchase)
    purchases = ", ".join(dict.fromkeys(one.purchase for one in outcome.endings))
    after = await _reconcile(services, customer, f"bought for good: {purchases}")
    return replace(after, changes=outcome.changes + after.changes, news=outcome.news + after.news, superseded=False)


async def _reconcile(services: Services, customer: Customer, evidence: str, *, seek_lost: bool = False) -> Reconciled:
    ticket = await services.database.write(customers.take_ticket, customer.id)
    try:
        snapshot = await services.provider.snapshot(customer)
    except (ProviderUnavailable, ProviderRefused):
        services.metrics.reconciles.labels("untold").inc()
        raise
    now = services.clock()
    outcome = await services.database.write(_apply, snapshot, services.catalog, ticket, evidence, now, seek_lost)
    services.metrics.reconciles.labels(outcome.kind).inc()
    _report(services, customer, outcome, evidence)
    return outcome


def _apply(
    conn: Connection, snapshot: Snapshot, catalog: Catalog, ticket: int, evidence: str, now: int, seek_lost: bool
) -> Reconciled:
    customer = snapshot.customer
    written = customers.pass_fence(conn, customer.id, ticket, now)
    ordered = {order.id: order for order in orders.of_person(conn, customer.person_id, customer.realm)}
    ours = marks.known(conn, [one for one in snapshot.bought if one.order_id not in ordered])
    erased = privacy.is_erased(conn, customer.person_id)
    if seek_lost and not erased and (found := lost(conn, snapshot, ordered, ours, catalog)):
        raise OrdersLost(found)
    held = {grant.source: grant for grant in grants.of_person(conn, customer.person_id, customer.realm)}
    findings = derive(snapshot, ordered, catalog, {source: grant.product for source, grant in held.items()}, ours)
    if erased:
        findings = tuple(after_deletion(found, found.bought.source in held) for found in findings)
    if not written:
        return Reconciled(findings, superseded=True)
    _close_orders(conn, snapshot, ordered, findings, now)
    changes = sum(_settle(conn, customer, found, held.get(found.bought.source), evidence, now) for found in findings)
    news = noted.note(conn, customer, findings, now)
    bought = grants.of_person(conn, customer.person_id, customer.realm) if snapshot.subscriptions else ()
    to_end = endings(findings, bought, catalog, now)
    twice = _paid_twice(conn, customer, catalog, to_end, now) if changes else ()
    return Reconciled(findings, changes, news=news, surplus=twice, endings=to_end)


def _paid_twice(
    conn: Connection, customer: Customer, catalog: Catalog, to_end: Collection[Ending], now: int
) -> tuple[Surplus, ...]:
    """What is paid for twice, except what is about to end because of that."""
    pairs = grants.paid_pairs(conn, catalog.containing, customer.realm.live, now, customer.person_id)
    ending = {one.subscription for one in to_end}
    return tuple(one for one in surplus(pairs, catalog) if one.grant.source not in ending)


def after_deletion(found: Finding, known: bool) -> Finding:
    """What is found about somebody who deleted their account, whose name and address are no longer stored.

    Money that arrives now pays for nothing: an operator has to refund it.
    """
    nameless = replace(found, bought=_nameless(found.bought))
    if known or found.verdict is not Verdict.GRANTED:
        return nameless
    return replace(nameless, verdict=Verdict.QUARANTINED, reason=because(Code.PAID_AFTER_DELETION), until=None)


def _nameless(bought: Bought) -> Bought:
    if isinstance(bought, Subscription):
        return replace(bought, email=None, invoices=without_receipts(bought.invoices))
    return replace(bought, email=None)


def _close_orders(
    conn: Connection, snapshot: Snapshot, ordered: dict[str, Order], findings: tuple[Finding, ...], now: int
) -> None:
    for order in ordered.values():
        if order.checkout_id in snapshot.expired_checkouts:
            orders.close(conn, order.id, OrderState.EXPIRED, now)
    for found in findings:
        named, state = ordered.get(found.bought.order_id or ""), _state_after(found)
        # A checkout created elsewhere may also name our order. It does not affect our own page, which stays payable.
        # So may a subscription, which is not always linked to our page at once.
        if named is not None and state is not None and named.checkout_id in {None, found.bought.checkout_id}:
            orders.close(conn, named.id, state, now)


def _state_after(found: Finding) -> OrderState | None:
    """The state that a finding gives its order; None leaves it unchanged."""
    if found.verdict is Verdict.QUARANTINED and isinstance(found.bought, Purchase) and found.bought.paid_back:
        return OrderState.COMPLETE
    return STATE_AFTER.get(found.verdict)


def _settle(conn: Connection, customer: Customer, found: Finding, held: Grant | None, evidence: str, now: int) -> int:
    """Make one grant match one finding. Returns the number of changes of access: 0 or 1."""
    if held is None:
        runs = found.verdict is Verdict.GRANTED and in_force(found.until, now)
        return _begin(conn, customer, found, evidence, now) if runs else 0
    if held.withheld is not None:
        return 0
    after = _renewed(held, found) if found.verdict is Verdict.GRANTED else _ended(held, found, now)
    if after == held:
        return 0
    grants.change(conn, after)
    change = _change(held, after, found.verdict, now)
    if change is None:
        return 0  # another reason for the same access, as when a dispute is lost; or it had run out before
    audit.record(conn, after, change, evidence=evidence, now=now)
    return 1


def _renewed(held: Grant, found: Finding) -> Grant:
    """The grant after a finding that gives access: a renewal moves its end, a change of plan changes its product."""
    bought = found.bought
    return replace(
        held,
        product=found.product or held.product,
        until=found.until,
        revoked_at=None,
        reason=found.reason,
        amount=bought.amount_total,
        currency=bought.currency,
        reference=bought.reference,
        receipt_url=bought.receipt_url,
    )


def _ended(held: Grant, found: Finding, now: int) -> Grant:
    """The grant after a finding that gives no access. If it had run out before, it ended then."""
    ended_at = now if held.until is None else min(now, held.until)
    return replace(held, revoked_at=held.revoked_at or ended_at, reason=found.reason)


# What the audit calls the end of access, by the verdict that ends it. Access that runs out has ended too.
ENDS = {Verdict.SUSPENDED: "suspended", Verdict.PENDING: "suspended", Verdict.REVOKED: "revoked"}


def _change(before: Grant, after: Grant, verdict: Verdict, now: int) -> str | None:
    """What the audit calls the change of access from one to the other; None: it is the same."""
    had, has = before.in_force(now), after.in_force(now)
    if had != has:
        return "restored" if has else ENDS.get(verdict, "ended")
    if not has:
        return None
    if (before.product, before.until) == (after.product, after.until):
        return "ending" if after.reason["ended_for"] and not before.reason["ended_for"] else None
    if before.product != after.product:
        return "changed"
    return "extended" if (after.until or 0) > (before.until or 0) else "shortened"


def _begin(conn: Connection, customer: Customer, found: Finding, evidence: str, now: int) -> int:
    bought = found.bought
    grant = Grant(
        id=0,
        person_id=customer.person_id,
        product=found.product or "",
        origin=customer.realm,
        source=bought.source,
        since=bought.bought_at,
        until=found.until,
        revoked_at=None,
        reason=found.reason,
        amount=bought.amount_total,
        currency=bought.currency,
        reference=bought.reference,
        receipt_url=bought.receipt_url,
    )
    grants.add(conn, grant)
    audit.record(conn, grant, "granted", evidence=evidence, now=now)
    return 1


def _report(services: Services, customer: Customer, outcome: Reconciled, evidence: str) -> None:
    """Operators must see money that gave no access."""
    log.info(
        "reconciled",
        customer=customer.external_id,
        evidence=evidence,
        changes=outcome.changes,
        superseded=outcome.superseded,
    )
    report(services, outcome.news)
    for one in outcome.surplus:
        grant = one.grant
        log.warning(
            "bought twice",
            refund=grant.reference,
            source=grant.source,
            product=grant.product,
            beside=one.covered_by.product,
            person=grant.person_id,
        )


def report(services: Services, news: Iterable[Finding]) -> None:
    """Log payments that gave no access, and what an operator should deal with, once each. Only count other sales."""
    for found in news:
        if found.verdict is Verdict.UNRELATED:
            services.metrics.other_sales.inc()
        if found.verdict in {Verdict.QUARANTINED, Verdict.UNCLAIMED}:
            log.warning(
                "payment not granted",
                verdict=found.verdict.value,
                reason=sentence(found.reason),
                source=found.bought.source,
                payment=found.bought.reference,
            )
        for remark in found.remarks:
            log.warning("subscription to look at", remark=sentence(remark), source=found.bought.source)
