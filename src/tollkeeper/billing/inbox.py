"""Store an event once, pass it on, retry, park. An event that was answered with 2xx is never lost."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from tollkeeper.billing.neighbours import look_at
from tollkeeper.billing.reconcile import Services, reconcile
from tollkeeper.errors import TollkeeperError
from tollkeeper.model.events import Event, KeptEvent
from tollkeeper.model.orders import Customer, Realm
from tollkeeper.storage import customers, events, findings, polls

log = structlog.get_logger()

# Seconds until the next try, by tries so far. After the last the event is parked, for an operator to look at.
RETRY_DELAYS = (1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600)

# If a claim is not finished after this many seconds, the process that made it has died.
LEASE = 30
BATCH = 50

# How often the provider's own list of events is read, and how far back each time. Seconds.
POLL_INTERVAL = 30
OVERLAP = 300


@dataclass(frozen=True, slots=True)
class OfCustomer:
    """What concerns a customer of ours."""

    customer: Customer


@dataclass(frozen=True, slots=True)
class OfStranger:
    """What concerns what nobody known here bought: the id of that, of its payment, or of whatever the event names."""

    source: str


Subject = OfCustomer | OfStranger


def next_try(attempts: int, now: int) -> int | None:
    """When to try again after this many failed tries, or None to park the event."""
    return now + RETRY_DELAYS[attempts - 1] if attempts <= len(RETRY_DELAYS) else None


async def poll(services: Services, realm: Realm) -> int:
    """Read the provider's own list of events, if due, so that nothing depends on webhooks. Returns how many
    were new.

    Reads the time shortly before the last poll again: an event may be listed a little late. Starts from the newest
    known event, by the provider's own clock, because ours may be ahead of it.
    """
    now = services.clock()
    read_until = await services.database.write(polls.claim, realm, now, POLL_INTERVAL)
    if read_until is None:
        return 0
    newest = await services.database.read(events.newest_created, realm)
    since = min(read_until, newest or read_until) - OVERLAP
    new = 0
    async for page in services.provider.events(max(since, now - services.provider.facts.events_kept)):
        kept = await services.database.write(events.keep_all, page, services.clock())
        services.metrics.events_kept.labels("poll").inc(kept)
        new += kept
    await services.database.write(polls.done, realm, now)
    if new:
        log.info("events polled", new=new)
    return new


async def drain(services: Services, realm: Realm) -> int:
    """Handle one batch of due events. Returns how many there were."""
    claimed = await services.database.write(events.claim, realm, services.clock(), BATCH, LEASE)
    if not claimed:
        return 0
    # One reconcile settles every event of a customer: events are hints, and the snapshot is newer than all of them.
    by_subject = _grouped(zip(await services.database.read(_subjects, claimed), claimed, strict=True))
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_payers(services, realm, subject, kept)) for subject, kept in by_subject.items()]
    by_payer = _grouped(pair for answer in asked for pair in answer.result())
    async with asyncio.TaskGroup() as group:
        for subject, kept in by_payer.items():
            group.create_task(_handle(services, realm, subject, kept))
    return len(claimed)


def _grouped(pairs: Iterable[tuple[Subject, KeptEvent]]) -> dict[Subject, list[KeptEvent]]:
    grouped: dict[Subject, list[KeptEvent]] = defaultdict(list)
    for subject, kept in pairs:
        grouped[subject].append(kept)
    return grouped


def _subjects(conn: Connection, claimed: Iterable[KeptEvent]) -> list[Subject]:
    return [_subject(conn, kept.event) for kept in claimed]


def _subject(conn: Connection, event: Event) -> Subject:
    """The customer that an event concerns, if known; else the purchase, or the payment, or what else the event names.

    A refund may be heard of before its payment is known here, so that the payment has to lead to its purchase.
    """
    if event.customer_id is not None and (known := customers.find(conn, event.realm, event.customer_id)):
        return OfCustomer(known)
    if event.reference is None:
        return OfStranger(event.object_id)
    if (payer := customers.who_paid(conn, event.realm, event.reference)) is not None:
        return OfCustomer(payer)
    return OfStranger(findings.source_of(conn, event.realm, event.reference) or event.reference)


async def _payers(
    services: Services, realm: Realm, subject: Subject, kept: Sequence[KeptEvent]
) -> list[tuple[Subject, KeptEvent]]:
    """The same events, each with our customer whose payment it is about; none if the provider could not be asked."""
    matched: list[tuple[Subject, KeptEvent]] = []
    async with _trying(services, subject, kept):
        if isinstance(subject, OfStranger) and (payer := await _payer(services, realm, kept[0].event)):
            subject = OfCustomer(payer)
        matched.extend((subject, one) for one in kept)
    return matched


async def _payer(services: Services, realm: Realm, event: Event) -> Customer | None:
    """Our customer whose payment it is, if the event names none.

    A dispute may arrive before its payment is known here: a reconcile running right now may have asked before it. It
    may also be about an earlier payment for a subscription.
    """
    if event.customer_id is not None or event.reference is None:
        return None
    payer = await services.provider.payer(event.reference)
    return await services.database.read(customers.find, realm, payer) if payer else None


async def _handle(services: Services, realm: Realm, subject: Subject, kept: Sequence[KeptEvent]) -> None:
    async with _trying(services, subject, kept):
        outcome = await _outcome(services, realm, subject, kept)
        await services.database.write(events.handled, [one.id for one in kept], outcome, services.clock())
        services.metrics.events_tried.labels("handled").inc(len(kept))


@asynccontextmanager
async def _trying(services: Services, subject: Subject, kept: Iterable[KeptEvent]) -> AsyncIterator[None]:
    """Events that fail for any reason, including a bug of ours, must not block the others."""
    try:
        yield
    except Exception as error:
        log.warning("events not handled", subject=subject, exc_info=not isinstance(error, TollkeeperError))
        with suppress(TollkeeperError):  # if the database cannot be updated, they are due again when the lease ends
            await _put_off(services, kept, str(error)[:500])


async def _put_off(services: Services, kept: Iterable[KeptEvent], error: str) -> None:
    """Retry later, or park what has been tried often enough."""
    for one in kept:
        due_at = next_try(one.attempts, services.clock())
        await services.database.write(events.failed, one.id, error, due_at)
        services.metrics.events_tried.labels("parked" if due_at is None else "failed").inc()
        if due_at is None:
            log.error("event parked", event_id=one.event.id, type=one.event.type, tries=one.attempts)


async def _outcome(services: Services, realm: Realm, subject: Subject, kept: Sequence[KeptEvent]) -> str:
    evidence = ", ".join(one.event.id for one in kept)
    if isinstance(subject, OfStranger):
        for source in dict.fromkeys([*(one.event.object_id for one in kept), subject.source]):
            if found := await look_at(services, realm, source, evidence=evidence):
                return found.verdict.value
        return "no purchase"
    done = await reconcile(services, subject.customer, evidence=evidence)
    return f"{done.changes} changed"
