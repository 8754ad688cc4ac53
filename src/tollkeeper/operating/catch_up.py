"""Catch up with the provider after a restore: everything it knows of the time that the database has lost.

Four steps, each of which can be repeated, so that a run that was killed continues where it stopped: take up the
customers that are not known here; read the provider's list of events; handle them; reconcile everybody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection

from tollkeeper.billing.contact import tell_address
from tollkeeper.billing.inbox import drain, poll
from tollkeeper.billing.reconcile import Services, reconcile
from tollkeeper.errors import CustomerMissing, ProviderRefused, ProviderUnavailable
from tollkeeper.model.orders import Customer, Realm
from tollkeeper.providers.budget import background
from tollkeeper.providers.protocol import CustomerRecord
from tollkeeper.storage import audit, customers, gaps, ids, people, privacy
from tollkeeper.storage.gaps import Gap
from tollkeeper.words import iso

log = structlog.get_logger()

EVIDENCE = "tollkeeper restore"
BATCH = 100

Progress = Callable[[str, int, int | None], None]
"""Is given what is being done, how much of it is done, and of how much; None if that is not known."""


@dataclass
class CaughtUp:
    """What catching up did. It is complete if there was no ``trouble``."""

    since: int
    """The time of the last thing that the backup knew, and that of its restore. Unix seconds."""
    until: int
    customers: int = 0
    """Customers who were not known here."""
    people: int = 0
    """People who were not known here: they are recognized at their next sign-in."""
    deleted: int = 0
    """Accounts that their owners deleted in that time, and that were deleted again."""
    events: int = 0
    """Events read from the provider's list."""
    reconciled: int = 0
    changes: int = 0
    """Changes of access, each with its row in the audit."""
    trouble: list[str] = field(default_factory=list)
    """Why a customer could not be reconciled, one line for each."""


async def catch_up(services: Services, progress: Progress, since: int | None = None) -> CaughtUp:
    """Find everything that was bought, refunded and deleted since the last thing that the database knows, or ``since``.

    Continues a catch-up that was interrupted. Raises ``ProviderUnavailable``, ``ProviderRefused`` or ``StorageBusy``
    if it cannot go on; running it again continues.
    """
    with background():
        realm = await services.realm()
        gap = await services.database.write(gaps.open_one, services.clock(), since)
        done, changes = CaughtUp(gap.since, gap.until), await services.database.read(audit.count)
        await _take_up_customers(services, realm, done, progress)
        await _read_events(services, realm, done, progress)
        await _reconcile_everybody(services, realm, gap, done, progress)
        done.changes = await services.database.read(audit.count) - changes
    if not done.trouble:
        await services.database.write(gaps.close, gap, services.clock())
    return done


async def warn_if_behind(services: Services) -> None:
    """Log if the database was restored and has not caught up yet. Raises ``StorageBusy``."""
    gap = await services.database.read(gaps.opened)
    if gap is not None:
        log.warning("restore not caught up with", since=iso(gap.since), advice="Run: tollkeeper restore --catch-up")


async def _take_up_customers(services: Services, realm: Realm, done: CaughtUp, progress: Progress) -> None:
    """All customers, not only new ones: older ones may have deleted their accounts."""
    looked_at = 0
    async for page in services.provider.customers():
        found = await services.database.write(_take_up, page, realm, services.clock())
        done.customers, done.people, done.deleted = (
            before + new for before, new in zip((done.customers, done.people, done.deleted), found, strict=True)
        )
        looked_at += len(page)
        progress("Looking at customers", looked_at, None)


def _take_up(conn: Connection, page: Sequence[CustomerRecord], realm: Realm, now: int) -> tuple[int, int, int]:
    """How many customers and people were new, and how many accounts were deleted."""
    new_customers = new_people = deleted = 0
    for record in page:
        customer = customers.find(conn, realm, record.id)
        if customer is None:
            owner = _owner(conn, record)
            if owner is None:
                continue
            new_people += people.take_up(conn, owner, record.created_at)
            customer = _tie(conn, owner, realm, record, now)
            new_customers += 1
        if record.deleted_person == customer.person_id and not privacy.is_erased(conn, customer.person_id):
            privacy.erase(conn, customer.person_id, now)
            deleted += 1
    return new_customers, new_people, deleted


def _owner(conn: Connection, record: CustomerRecord) -> str | None:
    """Whose customer it is: somebody known here, or with an id of this site. None: of a neighbour on the account."""
    named = record.person_id
    if named is None or (people.find(conn, named) is None and not ids.is_ours(conn, named)):
        return None
    return named


def _tie(conn: Connection, person_id: str, realm: Realm, record: CustomerRecord, now: int) -> Customer:
    person = people.find(conn, person_id)
    if person is None:
        raise LookupError("the person who was just taken up is gone")
    return customers.tie(conn, person, realm, record.id, now, guest=False)


async def _read_events(services: Services, realm: Realm, done: CaughtUp, progress: Progress) -> None:
    """Refunds and disputes, and what nobody known here paid. A server that is running may help."""
    progress("Reading events", 0, None)
    done.events = await poll(services, realm)
    handled = 0
    while batch := await drain(services, realm):
        handled += batch
        progress("Handling events", handled, None)


async def _reconcile_everybody(services: Services, realm: Realm, gap: Gap, done: CaughtUp, progress: Progress) -> None:
    """From where an earlier run stopped. If there is trouble about one, the next run begins again there."""
    total = await services.database.read(customers.count, realm, gap.reached)
    last = gap.reached
    while batch := await services.database.read(customers.after, realm, last, BATCH):
        for customer in batch:
            await _reconcile(services, customer, done)
            progress("Asking about everybody", done.reconciled + len(done.trouble), total)
        last = batch[-1].id
        if not done.trouble:
            await services.database.write(gaps.reach, gap, last)


async def _reconcile(services: Services, customer: Customer, done: CaughtUp) -> None:
    try:
        await reconcile(services, customer, evidence=EVIDENCE)
    except CustomerMissing:  # deleted at the provider: what is known here stays
        pass
    except (ProviderUnavailable, ProviderRefused) as error:
        log.warning("customer not caught up with", customer=customer.external_id, error=str(error))
        done.trouble.append(f"{customer.external_id}: {error}")
        return
    else:
        await tell_address(services, customer)
    done.reconciled += 1
