"""Keep an event once, hand it on, try again, park. What was answered with 2xx is never lost."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import structlog
from sqlalchemy import Connection

from tollkeeper.errors import TollkeeperError
from tollkeeper.model import Customer, Event, KeptEvent, Realm
from tollkeeper.provider import PaymentProvider
from tollkeeper.reconcile import reconcile
from tollkeeper.storage import customers, events, polls
from tollkeeper.storage.database import Database

log = structlog.get_logger()

# Seconds until the next try, by tries so far. After the last the event is parked, for an operator to look at.
RETRY_DELAYS = (1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600)

# A claim that is not finished after this many seconds was made by a process that died.
LEASE = 30
BATCH = 50

# How often the provider's own list of events is read, how far back each time, and how long a provider keeps them: 30
# days (https://docs.stripe.com/api/events). Seconds.
POLL_INTERVAL = 30
OVERLAP = 300
PROVIDER_KEEPS = 30 * 24 * 3600


def next_try(attempts: int, now: int) -> int | None:
    """When to try again after this many failed tries, or None to park the event."""
    return now + RETRY_DELAYS[attempts - 1] if attempts <= len(RETRY_DELAYS) else None


async def poll(database: Database, provider: PaymentProvider, realm: Realm, clock: Callable[[], int]) -> int:
    """Read the provider's own list of events, if that is due, so that nothing depends on webhooks. Answers how many
    were new.

    Reads again what is shortly before the last poll, since an event may be listed a little late.
    """
    now = clock()
    read_until = await database.write(polls.claim, realm, now, POLL_INTERVAL)
    if read_until is None:
        return 0
    new = 0
    async for page in provider.events(max(read_until - OVERLAP, now - PROVIDER_KEEPS)):
        new += await database.write(_keep_all, page, clock())
    await database.write(polls.done, realm, now)
    if new:
        log.info("events polled", new=new)
    return new


def _keep_all(conn: Connection, page: Sequence[Event], now: int) -> int:
    return sum(events.keep(conn, event, now) for event in page)


async def drain(database: Database, provider: PaymentProvider, realm: Realm, clock: Callable[[], int]) -> int:
    """Handle one batch of due events. Answers how many there were."""
    claimed = await database.write(events.claim, realm, clock(), BATCH, LEASE)
    by_customer: dict[Customer | None, list[KeptEvent]] = defaultdict(list)
    for kept in claimed:
        by_customer[await database.read(_customer_of, kept.event)].append(kept)
    # One reconcile settles every event of a customer: events are hints, and the snapshot is newer than all of them.
    async with asyncio.TaskGroup() as group:
        for customer, kept_of_customer in by_customer.items():
            group.create_task(_handle(database, provider, customer, kept_of_customer, clock))
    return len(claimed)


def _customer_of(conn: Connection, event: Event) -> Customer | None:
    """Whom an event concerns, as far as we know the customer or the payment that it names."""
    if event.customer_id is not None:
        return customers.find(conn, event.realm, event.customer_id)
    return customers.who_paid(conn, event.realm, event.reference) if event.reference is not None else None


async def _handle(
    database: Database,
    provider: PaymentProvider,
    customer: Customer | None,
    kept: Iterable[KeptEvent],
    clock: Callable[[], int],
) -> None:
    try:
        outcome = await _outcome(database, provider, customer, kept, clock)
    except Exception as error:  # one event that trips over a fault of ours must not hold up the others
        log.warning("events not handled", customer=customer, exc_info=not isinstance(error, TollkeeperError))
        for one in kept:
            due_at = next_try(one.attempts, clock())
            await database.write(events.failed, one.id, str(error)[:500], due_at)
            if due_at is None:
                log.error("event parked", event_id=one.event.id, type=one.event.type, tries=one.attempts)
        return
    for one in kept:
        await database.write(events.handled, one.id, outcome, clock())


async def _outcome(
    database: Database,
    provider: PaymentProvider,
    customer: Customer | None,
    kept: Iterable[KeptEvent],
    clock: Callable[[], int],
) -> str:
    if customer is None:
        return "unclaimed"
    evidence = ", ".join(one.event.id for one in kept)
    done = await reconcile(database, provider, customer, evidence=evidence, clock=clock)
    return "superseded" if done.superseded else f"{done.changes} changed"
