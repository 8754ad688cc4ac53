"""What operators ask and do: who people are, why somebody has access, what the provider says now, giving access."""

import difflib
import secrets
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from tollkeeper.billing.contact import tell_address
from tollkeeper.billing.entitlements import derive
from tollkeeper.billing.neighbours import look_again
from tollkeeper.billing.reconcile import Services, reconcile
from tollkeeper.catalog import Catalog
from tollkeeper.errors import NoSuchEvent, NotDone, ProviderRefused, ProviderUnavailable
from tollkeeper.model.access import Grant, Operator, Verdict
from tollkeeper.model.orders import Customer, Mode, OrderState
from tollkeeper.model.people import Person
from tollkeeper.operating.explanations import Explanation, PaymentIssue, as_dismissed, cases, other_sale
from tollkeeper.operating.lookup import Found, somebody_called, the_person
from tollkeeper.providers.budget import background
from tollkeeper.reasons import Code, Reason, because
from tollkeeper.relations import Surplus, surplus
from tollkeeper.storage import audit, customers, dismissals, events, findings, grants, marks, orders, people
from tollkeeper.storage.audit import Entry
from tollkeeper.storage.findings import Noted, noted
from tollkeeper.wording.adoption import nothing_to_look_at, nothing_to_restore
from tollkeeper.wording.explanations import no_such_subscription, nothing_to_grant_for
from tollkeeper.words import printable

log = structlog.get_logger()

EVIDENCE = "tollkeeper reconcile"
BATCH = 100

# How many of somebody's events and payments are shown.
EVENTS_SHOWN = 500
PAYMENTS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """A person in a list, with the issuers they sign in with and the products they hold now."""

    person: Person
    issuers: tuple[str, ...]
    holds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What asking the provider about one person changed. ``trouble``: it could not be asked, and why."""

    person: Person
    changes: tuple[Entry, ...] = ()
    trouble: str | None = None


def list_people(conn: Connection, query: str, live: bool, now: int, limit: int) -> tuple[Listed, ...]:
    """People whose id, name or e-mail address contains the query, newest first."""
    found = people.search(conn, query, limit)
    ids = [person.id for person in found]
    issuers, holds = people.issuers_of(conn, ids), grants.products_held(conn, ids, live, now)
    return tuple(Listed(person, issuers[person.id], holds[person.id]) for person in found)


async def why(services: Services, who: str) -> Explanation:
    """Explain what a person may use. Changes nothing. Raises ``PersonUnclear``.

    If the provider cannot be asked, the explanation uses what is stored here.
    """
    kept = await services.database.read(_kept, who, services.mode, services.catalog, services.clock())
    try:
        return replace(kept, payments=await _payments(services, kept))
    except (ProviderUnavailable, ProviderRefused) as error:
        return replace(kept, trouble=str(error))


def _kept(conn: Connection, who: str, mode: Mode, catalog: Catalog, now: int) -> Explanation:
    found, live = somebody_called(conn, who), mode.live
    person = found.person
    return Explanation(
        person=person,
        issuers=found.issuers,
        live=live,
        now=now,
        grants=grants.in_mode(conn, person.id, live),
        changes=tuple(entry for entry in reversed(audit.of_person(conn, person.id)) if entry.origin.live == live),
        orders=orders.in_mode(conn, person.id, live),
        events=events.of_person(conn, person.id, live, EVENTS_SHOWN),
        payments=findings.of_person(conn, person.id, live, PAYMENTS_SHOWN),
        unexplained=findings.unexplained_about(conn, mode, person, PAYMENTS_SHOWN),
        remarked=findings.remarked(conn, mode, PAYMENTS_SHOWN, person.id),
        surplus=_paid_twice(conn, catalog, live, now, person.id),
        namesakes=people.sharing_address(conn, person, live, now),
    )


async def _payments(services: Services, kept: Explanation) -> tuple[Noted, ...]:
    """What the provider says now of every customer that the person is or was."""
    known = await services.database.read(customers.all_of_person, kept.person.id, await services.realm())
    ordered = {order.id: order for order in kept.orders}
    held = {grant.source: grant.product for grant in kept.grants}
    snapshots = [await services.provider.snapshot(who) for who in known]
    bought = [one for snapshot in snapshots for one in snapshot.bought]
    ours = await services.database.read(marks.known, bought)
    found = [one for snapshot in snapshots for one in derive(snapshot, ordered, services.catalog, held, ours)]
    payments = [noted(one, kept.person.id, kept.now) for one in found]
    return tuple(sorted(payments, key=lambda one: one.bought_at, reverse=True))


async def grant(
    services: Services, who: str, product: str, *, note: str, until: int | None = None, payment: str | None = None
) -> tuple[Found, Grant]:
    """Let a person use a product, until a time (Unix seconds) or for good. ``payment`` is what it is given for.

    Asks no provider. Raises ``PersonUnclear``, and ``NotDone`` for a product that is not in the catalog, a time that is
    past, or a payment that is not unexplained here.
    """
    now = services.clock()
    if services.catalog.find(product) is None:
        raise NotDone(no_such_product(services.catalog, product))
    if until is not None and until <= now:
        raise NotDone("That time is in the past.")
    given = Grant(
        id=0,
        person_id="",
        product=product,
        origin=Operator(services.provider.live),
        source=f"grt_{secrets.token_hex(12)}",
        since=now,
        until=until,
        revoked_at=None,
        reason=because(Code.OPERATOR_GRANTED, note=note),
        amount=None,
        currency=None,
        reference=payment,
        receipt_url=None,
    )
    return await services.database.write(_grant, who, given, services.mode, now)


def _grant(conn: Connection, who: str, given: Grant, mode: Mode, now: int) -> tuple[Found, Grant]:
    found = the_person(conn, who)
    if given.reference is not None:
        _explain(conn, mode, given.reference, now)
    kept = grants.add(conn, replace(given, person_id=found.person.id))
    audit.record(conn, kept, "granted", evidence="tollkeeper grant", now=now)
    return found, kept


def _explain(conn: Connection, mode: Mode, payment: str, now: int) -> None:
    found = findings.unexplained_payment(conn, mode, payment)
    if found is None:
        raise NotDone(nothing_to_grant_for(payment))
    # Otherwise the next purchase would lead to the page that was paid for this one.
    orders.close(conn, found.order_id or "", OrderState.COMPLETE, now)


def no_such_product(catalog: Catalog, product: str) -> str:
    """What is wrong with a product's key, and which there are."""
    known = [one.key for one in catalog.products]
    close = difflib.get_close_matches(product.lower(), known, n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    return f"There is no product {product} in the catalog.{meant} There are: {', '.join(known)}."


async def revoke(services: Services, who: str, product: str, *, note: str) -> tuple[Found, tuple[Grant, ...]]:
    """End every grant of a product that a person has now. It stays ended, whatever the provider says.

    Asks no provider. Raises ``PersonUnclear``, and ``NotDone`` if there is nothing to end.
    """
    return await services.database.write(_revoke, who, product, note, services.provider.live, services.clock())


def _revoke(
    conn: Connection, who: str, product: str, note: str, live: bool, now: int
) -> tuple[Found, tuple[Grant, ...]]:
    found = the_person(conn, who)
    person = found.person
    customers.lock(conn, person.id)
    held = grants.held(conn, person.id, live, now)
    decided = because(Code.OPERATOR_REVOKED, note=note)
    ended = tuple(
        replace(one, revoked_at=now, withheld=decided, reason=decided) for one in held if one.product == product
    )
    if not ended:
        holds = ", ".join(sorted({one.product for one in held})) or "nothing"
        raise NotDone(printable(f"{person.name} ({person.id}) does not hold {product} now, but {holds}."))
    for one in ended:
        grants.change(conn, one)
        audit.record(conn, one, "revoked", evidence="tollkeeper revoke", now=now)
    for one in grants.in_mode(conn, person.id, live):
        if one.product == product and one.withheld is None:  # suspended for a dispute, say, which may be won
            grants.change(conn, replace(one, withheld=decided))
    return found, ended


def payments_to_check(
    conn: Connection, catalog: Catalog, mode: Mode, now: int, limit: int, *, dismissed: bool = False
) -> tuple[PaymentIssue, ...]:
    """Payments of everybody that an operator should look at, or has ``dismissed``, newest first."""
    unexplained = findings.unexplained(conn, mode, limit, dismissed=dismissed)
    remarked = findings.remarked(conn, mode, limit, dismissed=dismissed)
    twice = _paid_twice(conn, catalog, mode.live, now, dismissed=dismissed)
    return cases(unexplained, twice, catalog, remarked=remarked)[:limit]


def _paid_twice(
    conn: Connection, catalog: Catalog, live: bool, now: int, person_id: str | None = None, *, dismissed: bool = False
) -> tuple[Surplus, ...]:
    pairs = grants.paid_pairs(conn, catalog.containing, live, now, person_id, dismissed=dismissed)
    return surplus(pairs, catalog)


def all_payments(conn: Connection, catalog: Catalog, mode: Mode, now: int, limit: int) -> tuple[PaymentIssue, ...]:
    """The same, those that were dismissed, and the other sales on the account, newest first."""
    where = (conn, catalog, mode, now, limit)
    known = payments_to_check(*where, dismissed=True)
    why = dismissals.of_sources(conn, mode, {one.source for one in known})
    found = [*payments_to_check(*where), *(as_dismissed(one, why[one.source]) for one in known)]
    found += [other_sale(one) for one in findings.unrelated(conn, mode, limit)]
    return tuple(sorted(found, key=lambda one: one.at, reverse=True)[:limit])


def dismiss(conn: Connection, catalog: Catalog, mode: Mode, payment: str, note: str, now: int) -> tuple[Noted, ...]:
    """Take a payment off the list of those to look at, until something new is found about it.

    ``payment`` is an id that the list shows. Raises ``NotDone`` where there is nothing to look at.
    """
    reason = because(Code.OPERATOR_DISMISSED, note=note)
    named = findings.named(conn, mode, payment)
    done = tuple(one for one in named if _dismiss(conn, catalog, mode, one, reason, now))
    if not done:
        raise NotDone(nothing_to_look_at(payment))
    return done


def _dismiss(conn: Connection, catalog: Catalog, mode: Mode, one: Noted, reason: Reason, now: int) -> bool:
    waits = findings.unexplained_payment(conn, mode, one.payment) is not None
    twice = next((grant for grant in _surplus(conn, catalog, mode.live, now, one) if grant.source == one.source), None)
    if not (waits or one.remarks or twice):
        return False
    dismissals.dismiss(
        conn,
        mode,
        one.source,
        reason,
        now,
        verdict=one.verdict if waits else None,
        remarks=one.remarks,
        product=twice.product if twice else None,
    )
    return True


def _surplus(conn: Connection, catalog: Catalog, live: bool, now: int, one: Noted) -> list[Grant]:
    if one.person_id is None:
        return []
    found = [_paid_twice(conn, catalog, live, now, one.person_id, dismissed=dismissed) for dismissed in (False, True)]
    return [each.grant for some in found for each in some]


def restore(conn: Connection, mode: Mode, payment: str) -> None:
    """Put what was dismissed back on the list. Raises ``NotDone`` where nothing was."""
    if not dismissals.restore(conn, mode, payment):
        raise NotDone(nothing_to_restore(payment))


async def end(services: Services, source: str, *, note: str, at_period_end: bool = False) -> Noted | None:
    """End a subscription at the provider, at once or at the end of the paid period, and make access match.

    Returns the finding now; None if it is nobody's here. Nothing is refunded. Raises ``NotDone`` if no running
    subscription has this id, and ``ProviderUnavailable`` or ``ProviderRefused``.
    """
    realm = await services.realm()
    known = await services.database.read(findings.called, realm, source)
    if known is None or not known.recurring or known.verdict is Verdict.ENDED:
        raise NotDone(no_such_subscription(source))
    await services.provider.end_subscription(source, at_period_end=at_period_end)
    log.info("subscription ended by an operator", source=source, note=note, at_period_end=at_period_end)
    customer = await services.database.read(customers.of_finding, realm, source)
    if customer is None:
        return None
    await reconcile(services, customer, evidence=f"tollkeeper end: {note}")
    return await services.database.read(findings.called, realm, source)


def replay(conn: Connection, mode: Mode, ids: Collection[str], now: int) -> tuple[str, ...]:
    """Make these events due again. Raises ``NoSuchEvent``, and then none of them is."""
    due = events.replay(conn, mode, ids, now)
    missing = ", ".join(sorted(set(ids) - set(due)))
    if missing:
        raise NoSuchEvent(f"Never stored, or ignored because they are not relevant: {missing}. Nothing is replayed.")
    return due


async def reconcile_person(services: Services, who: str) -> Reconciliation:
    """Ask the provider now what a person bought, and make their access match.

    Raises ``PersonUnclear``. Somebody who never began to buy is not known to the provider: nothing changes.
    """
    person = (await services.database.read(the_person, who)).person
    try:
        known = await services.database.read(customers.all_of_person, person.id, await services.realm())
    except (ProviderUnavailable, ProviderRefused) as error:
        return Reconciliation(person, trouble=str(error))
    done = [await _reconcile(services, person, customer) for customer in known]
    trouble = next((one.trouble for one in done if one.trouble is not None), None)
    return Reconciliation(person, tuple(change for one in done for change in one.changes), trouble)


async def reconcile_everybody(services: Services) -> AsyncIterator[tuple[int, Reconciliation]]:
    """The same for every customer, one after the other; each comes with the number of customers there are. In the end,
    it looks again at what customers not known here bought.

    If the provider does not answer about one, the others continue. Raises ``ProviderUnavailable`` or
    ``ProviderRefused`` if it does not even say which account this is.
    """
    realm = await services.realm()
    total = await services.database.read(customers.count, realm)
    last = 0
    while batch := await services.database.read(customers.after, realm, last, BATCH):
        for customer in batch:
            person = (await services.database.read(the_person, customer.person_id)).person
            with background():
                done = await _reconcile(services, person, customer)
            yield total, done
        last = batch[-1].id
    with background():
        await look_again(services, realm, evidence=EVIDENCE)


async def _reconcile(services: Services, person: Person, customer: Customer) -> Reconciliation:
    before = {entry.id for entry in await services.database.read(audit.of_person, person.id)}
    try:
        await reconcile(services, customer, evidence=EVIDENCE)
    except (ProviderUnavailable, ProviderRefused) as error:
        return Reconciliation(person, trouble=str(error))
    await tell_address(services, customer)
    after = await services.database.read(audit.of_person, person.id)
    return Reconciliation(person, tuple(one for one in after if one.id not in before and one.evidence == EVIDENCE))
