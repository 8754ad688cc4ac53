"""Tell the provider when a person's e-mail address is another one than it was told, so that receipts arrive.

There is no queue: what the provider was told is kept with the customer and compared wherever somebody is asked about
anyhow. What could not be told now is told then.
"""

import structlog

from tollkeeper.billing.reconcile import Services
from tollkeeper.errors import ProviderMissing, ProviderRefused, ProviderUnavailable
from tollkeeper.model.orders import Customer
from tollkeeper.storage import customers

log = structlog.get_logger()

# How often an address is told again, where somebody else told another one at the same moment.
TRIES = 5


async def tell_address(services: Services, customer: Customer) -> None:
    """See that the provider knows the person's address of now. Trouble is logged, and holds up nothing."""
    known = await services.database.read(customers.whose_address, customer.id)
    if known is None or known[0].email == known[1]:
        return
    try:
        await _tell(services, customer)
    except (ProviderUnavailable, ProviderRefused) as error:
        log.warning("address not told", customer=customer.external_id, reason=str(error))


async def _tell(services: Services, customer: Customer) -> None:
    """Whoever finds that another was noted meanwhile has told last, and so tells the one of now."""
    for _ in range(TRIES):
        known = await services.database.read(customers.whose_address, customer.id)
        if known is None:
            return
        person, before = known
        try:
            await services.provider.update_customer(customer, person)
        except ProviderMissing:  # nobody is left to be told of
            log.info("address of nobody", customer=customer.external_id)
        if await services.database.write(customers.set_told, customer.id, before, person.email):
            return
