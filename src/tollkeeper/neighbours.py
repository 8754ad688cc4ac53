"""What is bought on the account by somebody who is no customer of ours: for us after all, or a neighbour's business."""

import asyncio

import structlog

from tollkeeper.entitlements import is_marked, unclaimed
from tollkeeper.errors import ProviderRefused, ProviderUnavailable
from tollkeeper.model import Finding, Realm, Verdict
from tollkeeper.reasons import Reason
from tollkeeper.reconcile import Books, reconcile, report
from tollkeeper.storage import customers, findings, marks
from tollkeeper.storage.findings import Noted

log = structlog.get_logger()

BATCH = 100

# How often a purchase is asked for again, when another answer was written in the same second.
TRIES = 5


async def look_at(books: Books, realm: Realm, source: str, *, evidence: str) -> Finding | None:
    """Ask what has been bought, and keep what is found of it, for operators to see. It gives no access.

    Where it turns out to be a customer's of ours, they are reconciled. None: the provider knows of no such purchase or
    subscription. Raises ``ProviderUnavailable`` or ``ProviderRefused``.
    """
    for _ in range(TRIES):
        asked_at = books.clock()
        bought = await books.provider.bought(source)
        if bought is None:
            return None
        buyer = await books.database.read(customers.find, realm, bought.customer_id or bought.source)
        if buyer is not None:
            done = await reconcile(books, buyer, evidence=evidence)
            return next((one for one in done.findings if one.bought.source == bought.source), None)
        ours = await books.database.read(marks.known, [bought])
        found = unclaimed(bought, is_marked(bought, ours), books.catalog, realm.provider)
        news = await books.database.write(findings.note_of_stranger, realm, found, asked_at)
        if news is not None:
            report(books, news)
            return found
        await asyncio.sleep(1)
    raise ProviderUnavailable("Others kept writing about this payment while the provider was asked.")


async def look_again(books: Books, realm: Realm, *, evidence: str) -> None:
    """Look again at what nobody known here bought, as far as it is for us by today's catalog, or was thought to be.

    What the provider does not tell of stays as it was found last.
    """
    last = ""
    while batch := await books.database.read(findings.of_nobody, realm, last, BATCH):
        for one in batch:
            if one.verdict is Verdict.UNCLAIMED or _is_sold_by_now(books, one.reason):
                await _look_again_at(books, realm, one, evidence)
        last = batch[-1].source


def _is_sold_by_now(books: Books, reason: Reason) -> bool:
    prices = str(reason["prices"] or "").split(", ")
    return any(books.catalog.product_of_price(books.provider.name, price) for price in prices)


async def _look_again_at(books: Books, realm: Realm, one: Noted, evidence: str) -> None:
    try:
        await look_at(books, realm, one.source, evidence=evidence)
    except (ProviderUnavailable, ProviderRefused) as error:
        log.warning("payment not looked at", source=one.source, error=str(error))
