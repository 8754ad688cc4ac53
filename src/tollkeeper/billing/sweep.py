"""Reconcile everybody who bought or ordered something, slowly and continuously: the safety net for lost events."""

import structlog

from tollkeeper.billing.contact import tell_address
from tollkeeper.billing.reconcile import Services, reconcile
from tollkeeper.errors import CustomerMissing, ProviderRefused, ProviderUnavailable
from tollkeeper.model.access import Verdict
from tollkeeper.model.orders import Realm
from tollkeeper.storage import customers
from tollkeeper.wording.operators import sentence

log = structlog.get_logger()

EVIDENCE = "sweep"

# How long to skip a customer about whom the provider gave no answer, or whose process died. Seconds.
LEASE = 600


async def sweep(services: Services, realm: Realm, period: int) -> bool:
    """Reconcile the customer who has waited longest, if that is ``period`` seconds or more.

    Returns whether there may be more to do now: there was a customer, and the provider answered.
    """
    customer = await services.database.write(customers.claim_unchecked, realm, services.clock(), period, LEASE)
    if customer is None:
        return False
    try:
        done = await reconcile(services, customer, evidence=EVIDENCE)
    except CustomerMissing as error:
        log.warning("customer not swept", customer=customer.external_id, error=str(error))
        await services.database.write(customers.set_checked, customer.id, services.clock())
        return True
    except (ProviderUnavailable, ProviderRefused) as error:
        log.warning("customer not swept", customer=customer.external_id, error=str(error))
        return False
    await tell_address(services, customer)
    if done.changes:
        services.metrics.drift.inc(done.changes)
        news = [one for one in done.news if one.verdict is not Verdict.UNRELATED]
        found = [f"{one.bought.source} {one.verdict}: {sentence(one.reason)}" for one in news]
        log.warning("drift", customer=customer.external_id, changes=done.changes, found=found)
    return True
