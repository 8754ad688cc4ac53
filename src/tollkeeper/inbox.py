"""Keep an event once, hand it on, try again, park. What was answered with 2xx is never lost."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

import structlog
from sqlalchemy import Connection

from tollkeeper.errors import TollkeeperError
from tollkeeper.model import Customer, Event, KeptEvent, Realm
from tollkeeper.neighbours import look_at
from tollkeeper.reconcile import Books, reconcile
from tollkeeper.storage import customers, events, findings, polls

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


async def poll(books: Books, realm: Realm) -> int:
    """Read the provider's own list of events, if that is due, so that nothing depends on webhooks. Answers how many
    were new.

    Reads again what is shortly before the last poll, since an event may be listed a little late; and from the newest
    event that is known, by the provider's own clock, since ours may be ahead of it.
    """
    now = books.clock()
    read_until = await books.database.write(polls.claim, realm, now, POLL_INTERVAL)
    if read_until is None:
        return 0
    newest = await books.database.read(events.newest_created, realm)
    since = min(read_until, newest or read_until) - OVERLAP
    new = 0
    async for page in books.provider.events(max(since, now - PROVIDER_KEEPS)):
        kept = await books.database.write(events.keep_all, page, books.clock())
        books.metrics.events_kept.labels("poll").inc(kept)
        new += kept
    await books.database.write(polls.done, realm, now)
    if new:
        log.info("events polled", new=new)
    return new


async def drain(books: Books, realm: Realm) -> int:
    """Handle one batch of due events. Answers how many there were."""
    claimed = await books.database.write(events.claim, realm, books.clock(), BATCH, LEASE)
    if not claimed:
        return 0
    # One reconcile settles every event of a customer: events are hints, and the snapshot is newer than all of them.
    by_subject = _grouped(zip(await books.database.read(_subjects, claimed), claimed, strict=True))
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_payers(books, realm, subject, kept)) for subject, kept in by_subject.items()]
    by_payer = _grouped(pair for answer in asked for pair in answer.result())
    async with asyncio.TaskGroup() as group:
        for subject, kept in by_payer.items():
            group.create_task(_handle(books, realm, subject, kept))
    return len(claimed)


def _grouped(pairs: Iterable[tuple[Customer | str, KeptEvent]]) -> dict[Customer | str, list[KeptEvent]]:
    grouped: dict[Customer | str, list[KeptEvent]] = defaultdict(list)
    for subject, kept in pairs:
        grouped[subject].append(kept)
    return grouped


def _subjects(conn: Connection, claimed: Iterable[KeptEvent]) -> list[Customer | str]:
    return [_subject(conn, kept.event) for kept in claimed]


def _subject(conn: Connection, event: Event) -> Customer | str:
    """The customer whom an event concerns, if we know them; else the purchase, or the payment, or what else it names.

    A refund may be heard of before its payment is known here, so that the payment has to lead to its purchase.
    """
    if event.customer_id is not None and (known := customers.find(conn, event.realm, event.customer_id)):
        return known
    if event.reference is None:
        return event.object_id
    payer = customers.who_paid(conn, event.realm, event.reference)
    return payer or findings.source_of(conn, event.realm, event.reference) or event.reference


async def _payers(
    books: Books, realm: Realm, subject: Customer | str, kept: Sequence[KeptEvent]
) -> list[tuple[Customer | str, KeptEvent]]:
    """The same events, each with the customer of ours whose payment it is about; none, if that could not be asked."""
    told: list[tuple[Customer | str, KeptEvent]] = []
    async with _trying(books, subject, kept):
        payer = await _payer(books, realm, kept[0].event) if isinstance(subject, str) else None
        told.extend((payer or subject, one) for one in kept)
    return told


async def _payer(books: Books, realm: Realm, event: Event) -> Customer | None:
    """The customer of ours whose payment it is, where the event names none.

    A dispute may come before its payment is known here: whoever reconciles the customer right now asked before it. It
    may be about an earlier payment for a subscription too.
    """
    if event.customer_id is not None or event.reference is None:
        return None
    payer = await books.provider.payer(event.reference)
    return await books.database.read(customers.find, realm, payer) if payer else None


async def _handle(books: Books, realm: Realm, subject: Customer | str, kept: Sequence[KeptEvent]) -> None:
    async with _trying(books, subject, kept):
        outcome = await _outcome(books, realm, subject, kept)
        await books.database.write(events.handled, [one.id for one in kept], outcome, books.clock())
        books.metrics.events_tried.labels("handled").inc(len(kept))


@asynccontextmanager
async def _trying(books: Books, subject: Customer | str, kept: Iterable[KeptEvent]) -> AsyncIterator[None]:
    """Events that trip over anything, a fault of ours too, must not hold up the others."""
    try:
        yield
    except Exception as error:
        log.warning("events not handled", subject=subject, exc_info=not isinstance(error, TollkeeperError))
        with suppress(TollkeeperError):  # where the database cannot be told, they are due again when the lease ends
            await _put_off(books, kept, str(error)[:500])


async def _put_off(books: Books, kept: Iterable[KeptEvent], error: str) -> None:
    """Try again later, or park what has been tried often enough."""
    for one in kept:
        due_at = next_try(one.attempts, books.clock())
        await books.database.write(events.failed, one.id, error, due_at)
        books.metrics.events_tried.labels("parked" if due_at is None else "failed").inc()
        if due_at is None:
            log.error("event parked", event_id=one.event.id, type=one.event.type, tries=one.attempts)


async def _outcome(books: Books, realm: Realm, subject: Customer | str, kept: Sequence[KeptEvent]) -> str:
    evidence = ", ".join(one.event.id for one in kept)
    if isinstance(subject, str):
        for source in dict.fromkeys([*(one.event.object_id for one in kept), subject]):
            if found := await look_at(books, realm, source, evidence=evidence):
                return found.verdict.value
        return "no purchase"
    done = await reconcile(books, subject, evidence=evidence)
    return f"{done.changes} changed"
