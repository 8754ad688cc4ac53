"""What is bought on the account by somebody who is no customer of ours: for this site after all, or for a neighbour."""

import asyncio

import structlog

from tollkeeper.billing.entitlements import is_marked, unclaimed
from tollkeeper.billing.reconcile import Services, reconcile, report
from tollkeeper.errors import ProviderRefused, ProviderUnavailable
from tollkeeper.model.access import Finding, Verdict
from tollkeeper.model.orders import Realm
from tollkeeper.reasons import Reason
from tollkeeper.storage import customers, findings, marks
from tollkeeper.storage.findings import Noted

log = structlog.get_logger()

BATCH = 100

# How often to ask for a purchase again, when another answer was written in the same second.
TRIES = 5


async def look_at(services: Services, realm: Realm, source: str, *, evidence: str) -> Finding | None:
    """Ask what has been bought, and store the finding for operators to see. It gives no access.

    If it belongs to a customer of ours, they are reconciled. None: the provider knows no such purchase or
    subscription. Raises ``ProviderUnavailable`` or ``ProviderRefused``.
    """
    for _ in range(TRIES):
        asked_at = services.clock()
        bought = await services.provider.bought(source)
        if bought is None:
            return None
        buyer = await services.database.read(customers.find, realm, bought.customer_id or bought.source)
        if buyer is not None:
            done = await reconcile(services, buyer, evidence=evidence)
            return next((one for one in done.findings if one.bought.source == bought.source), None)
        ours = await services.database.read(marks.known, [bought])
        found = unclaimed(bought, is_marked(bought, ours), services.catalog)
        news = await services.database.write(findings.note_of_stranger, realm, found, asked_at)
        if news is not None:
            report(services, news)
            return found
        await asyncio.sleep(1)
    raise ProviderUnavailable("Others kept writing about this payment while the provider was asked.")


async def look_again(services: Services, realm: Realm, *, evidence: str) -> None:
    """Look again at what people not known here bought, if it concerns this site by today's catalog, or did so before.

    Findings stay as they are if the provider gives no answer about them.
    """
    last = ""
    while batch := await services.database.read(findings.of_nobody, realm, last, BATCH):
        for one in batch:
            if one.verdict is Verdict.UNCLAIMED or _is_sold_by_now(services, one.reason):
                await _look_again_at(services, realm, one, evidence)
        last = batch[-1].source


def _is_sold_by_now(services: Services, reason: Reason) -> bool:
    prices = str(reason["prices"] or "").split(", ")
    return any(services.catalog.product_of_price(price) for price in prices)


async def _look_again_at(services: Services, realm: Realm, one: Noted, evidence: str) -> None:
    try:
        await look_at(services, realm, one.source, evidence=evidence)
    except (ProviderUnavailable, ProviderRefused) as error:
        log.warning("payment not looked at", source=one.source, error=str(error))
