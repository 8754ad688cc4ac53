"""Tell the provider when a person's e-mail address has changed, so that receipts arrive.

There is no queue: the address that the provider knows is stored with the customer, and compared whenever the customer
is asked about anyway. An update that fails now is repeated then.
"""

import structlog

from tollkeeper.billing.reconcile import Services
from tollkeeper.errors import ProviderMissing, ProviderRefused, ProviderUnavailable
from tollkeeper.model.orders import Customer
from tollkeeper.storage import customers

log = structlog.get_logger()

# How often an address is sent again, if another process sent a different one at the same moment.
TRIES = 5


async def tell_address(services: Services, customer: Customer) -> None:
    """Make sure that the provider knows the person's current address. Failures are logged, and block nothing."""
    known = await services.database.read(customers.whose_address, customer.id)
    if known is None or known[0].email == known[1]:
        return
    try:
        await _send(services, customer)
    except (ProviderUnavailable, ProviderRefused) as error:
        log.warning("address not told", customer=customer.external_id, reason=str(error))


async def _send(services: Services, customer: Customer) -> None:
    """If another address was stored in the meantime, this process sent last, and so sends the current one."""
    for _ in range(TRIES):
        known = await services.database.read(customers.whose_address, customer.id)
        if known is None:
            return
        person, before = known
        try:
            await services.provider.update_customer(customer, person)
        except ProviderMissing:  # the customer no longer exists
            log.info("address of nobody", customer=customer.external_id)
        if await services.database.write(customers.set_known_email, customer.id, before, person.email):
            return
