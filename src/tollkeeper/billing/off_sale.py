"""Take off sale what the provider refuses to sell, retry it from time to time, and put it back."""

from collections.abc import Iterable

import structlog

from tollkeeper.billing.reconcile import Services
from tollkeeper.errors import NotForSale, ProviderRefused, ProviderUnavailable, Scope
from tollkeeper.model.selling import OffSale
from tollkeeper.providers.budget import background
from tollkeeper.providers.protocol import ReturnAddresses
from tollkeeper.storage import off_sale

log = structlog.get_logger()

# How often to retry what affects everybody. Seconds.
AGAIN = 300

# What affects one person is retried when they press the button. They see the button again after A_PERSON_WAITS, and
# operators see the entry for A_PERSON_IS_LISTED. Seconds.
A_PERSON_WAITS = 3600
A_PERSON_IS_LISTED = 7 * 24 * 3600

# The most that is stored of what a provider says.
MAX_LENGTH = 500


async def known(services: Services, person_id: str | None) -> tuple[OffSale, ...]:
    """What was refused to everybody, and to this person alone, lately or not."""
    return await services.database.read(off_sale.known, services.mode, person_id)


def in_the_way(known: Iterable[OffSale], product: str, price_id: str | None, now: int) -> OffSale | None:
    """What prevents somebody from buying this at this price now."""
    return next((one for one in known if _concerns(one, product, price_id) and _still_applies(one, now)), None)


def _concerns(one: OffSale, product: str, price_id: str | None) -> bool:
    return one.obstacle.scope is Scope.ACCOUNT or (one.product, one.price_id) == (product, price_id)


def _still_applies(one: OffSale, now: int) -> bool:
    return one.person_id is None or one.tried_at > now - A_PERSON_WAITS


async def take_off(
    services: Services, product: str, price_id: str, person_id: str, refusal: ProviderRefused, sold_in: str = ""
) -> NotForSale:
    """Store and report that a sale was refused. ``sold_in`` is the currency of the price, if known."""
    alone = refusal.obstacle.scope is Scope.PERSON
    facts = refusal.facts | ({"sold_in": sold_in} if alone and sold_in else {})
    now = services.clock()
    found = OffSale(
        product, price_id, person_id if alone else None, refusal.obstacle, facts, str(refusal)[:MAX_LENGTH], now, now
    )
    await _note(services, found)
    return NotForSale(product, found.obstacle, facts)


async def put_back(services: Services, found: OffSale) -> None:
    """It can be sold again, or is no longer to be sold."""
    if await services.database.write(off_sale.lift, services.mode, found):
        log.warning("on sale again", product=found.product, price=found.price_id, person=found.person_id)


async def try_again(services: Services, returns: ReturnAddresses, every: int = AGAIN) -> None:
    """Retry what affects everybody, if it was not tried for ``every`` seconds, and put back what works.

    Raises ``StorageBusy``.
    """
    mode, now = services.mode, services.clock()
    if not await services.database.read(off_sale.due, mode, now, every):
        return
    for found in await services.database.write(off_sale.claim, mode, now, every):
        await _try_again(services, found, returns)


async def _try_again(services: Services, found: OffSale, returns: ReturnAddresses) -> None:
    product = services.catalog.find(found.product)
    sold = product is not None and found.price_id in services.catalog.prices_on_sale(product)
    try:
        with background():
            if sold:
                await services.provider.try_sale(found.price_id, returns)
    except ProviderUnavailable:
        return
    except ProviderRefused as refusal:
        if refusal.obstacle.scope is not Scope.PERSON:
            await take_off(services, found.product, found.price_id, "", refusal)
        return
    await put_back(services, found)


async def _note(services: Services, found: OffSale) -> None:
    """Report each cause to operators once, not once for each visitor who met it."""
    if not await services.database.write(off_sale.note, services.mode, found):
        return
    (log.warning if found.person_id else log.error)(
        "off sale",
        product=found.product,
        price=found.price_id,
        scope=found.obstacle.scope.value,
        obstacle=found.obstacle.value,
        person=found.person_id,
        reason=found.provider_message,
        advice=services.provider.facts.remedies.get(found.obstacle),
        **found.facts,
    )
