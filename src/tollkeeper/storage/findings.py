"""Findings: the latest one of every purchase and subscription, so that money that gave no access can be listed."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    not_,
    or_,
    select,
)

from tollkeeper.model.access import Finding, Verdict, in_force
from tollkeeper.model.bought import Invoice, Subscription, SubscriptionStatus
from tollkeeper.model.orders import Customer, Mode, Order, Realm
from tollkeeper.model.people import Person
from tollkeeper.reasons import Reason
from tollkeeper.storage.dismissals import dismissed_as_found, dismissed_remarks
from tollkeeper.storage.inserts import insert_into
from tollkeeper.storage.realms import columns_of, in_mode, in_realm, within
from tollkeeper.storage.rows import from_row
from tollkeeper.storage.tables import customers, findings, grants

# The most rows for one id. A payment pays for one thing.
MOST_NAMED = 10

UNEXPLAINED = (Verdict.UNCLAIMED, Verdict.QUARANTINED)

# Subscriptions that renew automatically when their period ends.
RENEWED = (SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE)


@dataclass(frozen=True, slots=True)
class Noted:
    """One purchase or subscription with its latest finding. ``person_id`` is None if somebody unknown paid.

    ``amount`` and ``refunded`` are in minor units, times are Unix seconds (UTC). The fields after ``found_at`` are only
    for subscriptions: the status, the price and quantity that sell the product, until when it gives access, when its
    current period and its trial end, when it will end or ended itself, what an operator should deal with, and its
    invoices, newest first.
    """

    source: str
    person_id: str | None
    order_id: str | None
    product: str | None
    verdict: Verdict
    reason: Reason
    amount: int
    refunded: int
    currency: str
    reference: str | None
    email: str | None
    bought_at: int
    found_at: int
    standing: SubscriptionStatus | None = None
    price_id: str | None = None
    quantity: int | None = None
    until: int | None = None
    period_end: int | None = None
    ends_at: int | None = None
    trial_end: int | None = None
    remarks: tuple[Reason, ...] = ()
    invoices: tuple[Invoice, ...] = ()

    @property
    def recurring(self) -> bool:
        """Whether it is a subscription."""
        return self.standing is not None

    @property
    def payment(self) -> str:
        """The id that a person would use for it: the payment's id, or that of the purchase if there was no payment.

        A subscription has a payment for each period, and is known by its own id.
        """
        return self.source if self.recurring else self.reference or self.source

    @property
    def renews_at(self) -> int | None:
        """When a subscription is renewed next; None if it is not."""
        return self.period_end if self.ends_at is None and self.standing in RENEWED else None

    @property
    def unexplained(self) -> bool:
        """Whether it is money that gave no access and was not refunded, or a subscription that will take money."""
        return self.verdict in UNEXPLAINED and (self.recurring or self.refunded < self.amount)

    @property
    def earlier_invoices(self) -> tuple[Invoice, ...]:
        """The invoices of a subscription for periods before the newest one that has an invoice."""
        newest = max((one.starts for one in self.invoices), default=0)
        return tuple(one for one in self.invoices if one.ends <= newest)

    def gives_access(self, now: int) -> bool:
        """Whether it gives access at this time (Unix seconds), as far as no operator decided otherwise."""
        return self.verdict is Verdict.GRANTED and in_force(self.until, now)


def note(conn: Connection, customer: Customer, found: Iterable[Finding], now: int) -> tuple[Finding, ...]:
    """Store the findings on a customer at ``now`` (Unix seconds). The customer's tickets fence what is written.

    Returns those whose verdict or remarks are new.
    """
    wanted = {one.bought.source: (one, _values(one) | {"customer_id": customer.id}) for one in found}
    if not wanted:
        return ()
    asked = {**columns_of(customer.realm), "sources": list(wanted)}
    known = {row.source: row for row in conn.execute(_KEPT, asked)}
    changed = {source: pair for source, pair in wanted.items() if not _says(known.get(source), pair[1])}
    if changed:
        given = [columns_of(customer.realm) | values | {"found_at": now} for _, values in changed.values()]
        conn.execute(_keeping(conn.dialect.name, True), given)
    return tuple(one for one, _ in changed.values() if _is_news(one, known.get(one.bought.source)))


def note_of_stranger(conn: Connection, realm: Realm, found: Finding, asked_at: int) -> tuple[Finding, ...] | None:
    """Store the finding on a purchase by nobody known here. ``asked_at``: when the provider was asked (Unix seconds).

    It never replaces a finding that was asked for later, nor one on a customer. Returns it if it is new, otherwise
    nothing; None if something different was found in the same second: it is unknown which is newer, so ask again.
    """
    values, asked = _values(found) | {"customer_id": None}, {**columns_of(realm), "sources": [found.bought.source]}
    before = conn.execute(_KEPT, asked).one_or_none()
    if _says(before, values):
        return ()
    given = columns_of(realm) | values | {"found_at": asked_at}
    if conn.execute(_keeping(conn.dialect.name, False), given).first() is not None:
        return (found,) if _is_news(found, before) else ()
    now = conn.execute(_KEPT, asked).one()
    return None if now.customer_id is None and now.found_at == asked_at else ()


def source_of(conn: Connection, realm: Realm, reference: str) -> str | None:
    """The purchase that was paid with this payment."""
    paid = select(findings.c.source).where(findings.c.reference == reference, within(findings, realm))
    source: str | None = conn.scalar(paid)
    return source


def called(conn: Connection, realm: Realm, source: str) -> Noted | None:
    """The latest finding on the purchase or subscription with this id."""
    found = _listed(conn, _NOTED.where(findings.c.source == source, within(findings, realm)), 1)
    return found[0] if found else None


def paid_by(conn: Connection, realm: Realm, payment: str) -> Noted | None:
    """The purchase with this payment id, or the purchase or subscription with this id itself."""
    named = or_(findings.c.source == payment, findings.c.reference == payment)
    found = _listed(conn, _NOTED.where(named, within(findings, realm)), 1)
    return found[0] if found else None


def named(conn: Connection, mode: Mode, payment: str) -> tuple[Noted, ...]:
    """What has this payment id, or has this id itself, in any account."""
    either = or_(findings.c.source == payment, findings.c.reference == payment)
    return _listed(conn, _NOTED.where(in_mode(findings, mode), either), MOST_NAMED)


def held_still(conn: Connection, realm: Realm, source: str) -> Noted | None:
    """The same as ``called``, and nobody else decides about it until the transaction ends."""
    wanted = _NOTED.where(findings.c.source == source, within(findings, realm)).with_for_update(of=findings)
    found = _listed(conn, wanted, 1)
    return found[0] if found else None


def unexplained(conn: Connection, mode: Mode, limit: int, *, dismissed: bool = False) -> tuple[Noted, ...]:
    """Payments that gave no access and were not refunded, newest first: unclaimed and quarantined ones. Subscriptions
    are among them until they are over.

    One that an operator's grant names is explained, until that grant is revoked. With ``dismissed`` only those that an
    operator has dismissed, else all others.
    """
    return _listed(conn, _unexplained(mode, dismissed), limit)


def unexplained_payment(conn: Connection, mode: Mode, payment: str) -> Noted | None:
    """The one of them, dismissed or not, with this payment's id, or this source where there is no payment.

    Nobody else decides about it until the transaction ends.
    """
    wanted = _unexplained(mode, None).where(_payment == payment).with_for_update(of=findings)
    found = _listed(conn, wanted, 1)
    return found[0] if found else None


def unrelated(conn: Connection, mode: Mode, limit: int) -> tuple[Noted, ...]:
    """Other sales on the account, which do not concern this site, newest first."""
    return _listed(conn, _NOTED.where(*_unrelated(mode)), limit)


def count_unrelated(conn: Connection, mode: Mode) -> int:
    """How many there are."""
    return conn.execute(select(func.count()).where(*_unrelated(mode))).scalar_one()


def _unrelated(mode: Mode) -> tuple[ColumnElement[bool], ...]:
    # In the statement itself, as below.
    unrelated = findings.c.verdict == bindparam("unrelated", Verdict.UNRELATED, literal_execute=True)
    return (in_mode(findings, mode), unrelated)


def of_nobody(conn: Connection, realm: Realm, after: str, limit: int) -> tuple[Noted, ...]:
    """What people not known here bought and did not order here, ordered by source, after this one."""
    asked = (within(findings, realm), findings.c.customer_id.is_(None), findings.c.source > after)
    which = findings.c.verdict.in_([Verdict.UNCLAIMED, Verdict.UNRELATED])
    rows = conn.execute(_NOTED.where(*asked, which).order_by(findings.c.source).limit(limit))
    return tuple(_noted(row) for row in rows)


def unexplained_about(conn: Connection, mode: Mode, person: Person, limit: int) -> tuple[Noted, ...]:
    """Those of a person, and those for which somebody unknown gave the same e-mail address."""
    unknown = and_(findings.c.customer_id.is_(None), func.lower(findings.c.email) == (person.email or "").lower())
    about = or_(customers.c.person_id == person.id, unknown if person.email else false())
    return _listed(conn, _unexplained(mode, False).where(about), limit)


def remarked(
    conn: Connection, mode: Mode, limit: int, person_id: str | None = None, *, dismissed: bool = False
) -> tuple[Noted, ...]:
    """Subscriptions with something for an operator to deal with, newest first: of everybody, or of one person.

    With ``dismissed`` only those for which that was dismissed, otherwise all others.
    """
    of_whom = () if person_id is None else (customers.c.person_id == person_id,)
    about = (in_mode(findings, mode), findings.c.remarks.is_not(None))
    return _listed(conn, _NOTED.where(*about, *of_whom, dismissed_remarks() == dismissed), limit)


def running(conn: Connection, order: Order) -> bool:
    """Whether the person has a running subscription to what they order, apart from the result of this order.

    Whether it gives access does not matter.
    """
    asked = {
        "person": order.person_id,
        "live": order.realm.live,
        "product": order.product,
        "order": order.id,
    }
    return conn.scalar(_RUNNING, asked) is not None


def count_unexplained(conn: Connection, mode: Mode) -> dict[Verdict, int]:
    """How many there are of each kind."""
    found = _unexplained(mode, False).subquery()
    counted = conn.execute(select(found.c.verdict, func.count().label("number")).group_by(found.c.verdict))
    return dict.fromkeys(UNEXPLAINED, 0) | {row.verdict: row.number for row in counted}


def of_person(conn: Connection, person_id: str, live: bool, limit: int) -> tuple[Noted, ...]:
    """The latest findings on a person's purchases, newest first."""
    return _listed(conn, _NOTED.where(findings.c.live == live, customers.c.person_id == person_id), limit)


def noted(found: Finding, person_id: str, now: int) -> Noted:
    """A finding of this moment in the form in which it is stored."""
    values = _values(found)
    values["standing"] = found.bought.standing if isinstance(found.bought, Subscription) else None
    return Noted(**values | {"verdict": found.verdict, "person_id": person_id, "found_at": now})


@cache
def _keeping(dialect: str, fenced: bool) -> Executable:
    """A finding without a ticket replaces only what was asked for earlier, and never a finding on a customer."""
    fresh = insert_into(dialect, findings)
    older = and_(findings.c.customer_id.is_(None), findings.c.found_at < fresh.excluded.found_at)
    keeping = fresh.on_conflict_do_update(
        index_elements=["provider", "account", "live", "source"],
        set_={column.name: fresh.excluded[column.name] for column in findings.columns if not column.primary_key},
        where=None if fenced else older,
    )
    return keeping if fenced else keeping.returning(findings.c.id)


# Built once: every reconcile and every purchase asks.
_KEPT = select(findings).where(findings.c.source.in_(bindparam("sources", expanding=True)), in_realm(findings))
_RUNNING = (
    select(findings.c.id)
    .select_from(findings.join(customers))
    .where(
        customers.c.person_id == bindparam("person"),
        findings.c.live == bindparam("live"),
        findings.c.product == bindparam("product"),
        findings.c.standing.is_not(None),
        findings.c.verdict.not_in([Verdict.ENDED, Verdict.UNCLAIMED, Verdict.UNRELATED]),
        findings.c.order_id != bindparam("order"),
    )
    .limit(1)
)
_NOTED = select(findings, customers.c.person_id).select_from(findings.outerjoin(customers))
_payment = case(
    (findings.c.standing.is_not(None), findings.c.source), else_=func.coalesce(findings.c.reference, findings.c.source)
)


def _says(row: Row[Any] | None, values: dict[str, Any]) -> bool:
    return row is not None and all(getattr(row, name) == value for name, value in values.items())


def _is_news(found: Finding, before: Row[Any] | None) -> bool:
    if before is None or before.verdict != found.verdict:
        return True
    return bool(set(found.remarks) - set(before.remarks))


def _values(found: Finding) -> dict[str, Any]:
    bought, line = found.bought, found.line
    return {
        "source": bought.source,
        "order_id": bought.order_id,
        "product": found.product,
        "verdict": found.verdict,
        "reason": found.reason,
        "amount": bought.amount_total,
        "refunded": bought.amount_back,
        "currency": bought.currency,
        "reference": bought.reference,
        "email": bought.email,
        "bought_at": bought.bought_at,
        "until": found.until,
        "price_id": line.price_id if line else None,
        "quantity": line.quantity if line else None,
        "remarks": found.remarks,
        **(_terms(bought) if isinstance(bought, Subscription) else NO_TERMS),
        # Of other sales, only what is needed to count and list them is stored.
        **({"invoices": ()} if found.verdict is Verdict.UNRELATED else {}),
    }


# What is stored only for a subscription.
NO_TERMS = {"standing": None, "period_end": None, "ends_at": None, "trial_end": None, "invoices": ()}


def _terms(subscription: Subscription) -> dict[str, Any]:
    return {
        "invoices": subscription.invoices,
        "standing": subscription.standing,
        "period_end": subscription.period_end,
        "ends_at": subscription.ends_at,
        "trial_end": subscription.trial_end,
    }


def _unexplained(mode: Mode, dismissed: bool | None = False) -> Select[Any]:
    """``dismissed``: only those, or none of those; None: either."""
    granted = exists().where(
        grants.c.provider != findings.c.provider,
        grants.c.live == findings.c.live,
        grants.c.reference == _payment,
        grants.c.revoked_at.is_(None),
    )
    which = () if dismissed is None else (dismissed_as_found() == dismissed,)
    return _NOTED.where(
        *which,
        in_mode(findings, mode),
        # In the statement itself, or SQLite does not see that an index holds just these.
        findings.c.verdict.in_(bindparam("unexplained", UNEXPLAINED, expanding=True, literal_execute=True)),
        or_(findings.c.standing.is_not(None), findings.c.refunded < findings.c.amount),
        not_(granted),
    )


def _listed(conn: Connection, wanted: Select[Any], limit: int) -> tuple[Noted, ...]:
    newest = wanted.order_by(findings.c.bought_at.desc(), findings.c.id.desc()).limit(limit)
    return tuple(_noted(row) for row in conn.execute(newest))


def _noted(row: Row[Any]) -> Noted:
    return from_row(Noted, row)
