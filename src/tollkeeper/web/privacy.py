"""What is stored about a person, as a file; and deleting it."""

from contextlib import suppress
from dataclasses import asdict

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tollkeeper.billing.reconcile import reconcile
from tollkeeper.errors import CustomerMissing, ProviderMissing, ProviderRefused, ProviderUnavailable, Refused
from tollkeeper.model.access import Finding, Verdict, Visitor
from tollkeeper.model.bought import Invoice, Subscription
from tollkeeper.model.orders import OrderState
from tollkeeper.reasons import Reason
from tollkeeper.storage import customers, orders, privacy
from tollkeeper.web.forms import limit, posted
from tollkeeper.web.login import signed_out
from tollkeeper.web.offers import name_shown
from tollkeeper.web.plans import plans_of
from tollkeeper.web.responses import NO_STORE
from tollkeeper.web.site import Site, site_of
from tollkeeper.web.visitors import signed_in
from tollkeeper.wording.operators import sentence
from tollkeeper.wording.pages import NOT_ENDED, NOT_ENDED_UNTIL_FIXED
from tollkeeper.words import iso

log = structlog.get_logger()

# This reads from everywhere, which takes longer than other pages.
EXPORT_RATE = "10/minute"

# Columns that hold times although their names do not say so.
TIMES = frozenset({"at", "since", "until", "period_end", "trial_end", "starts", "ends"})

DELETION = "deletion of the account"


@signed_in
async def export(request: Request, visitor: Visitor) -> Response:
    """``GET /account/export``: everything we keep about the person, as JSON. No secrets, nor hashes of any."""
    site = site_of(request)
    limit(site.rates, EXPORT_RATE, "export", visitor.person.id)
    found = await site.services.database.read(privacy.everything_about, visitor.person.id)
    readable = {
        table: [{name: _readable(name, value) for name, value in row.items()} for row in rows]
        for table, rows in found.items()
    }
    head = NO_STORE | {"Content-Disposition": 'attachment; filename="account.json"'}
    return JSONResponse({"exported_at": iso(site.services.clock()), **readable}, headers=head)


def _readable(name: str, value: object) -> object:
    """A value in a form that other programs can read: times in RFC 3339, reasons in words."""
    if isinstance(value, Reason):
        return sentence(value)
    if isinstance(value, tuple):
        return [_readable(name, one) for one in value]
    if isinstance(value, Invoice):
        return {field: _readable(field, one) for field, one in asdict(value).items()}
    timed = name in TIMES or name.endswith("_at")
    return iso(value) if timed and isinstance(value, int) else value


@signed_in
async def before_deletion(request: Request, visitor: Visitor) -> Response:
    """``GET /account/delete``: what deleting the account would do."""
    return await _ask(request, visitor)


async def _ask(request: Request, visitor: Visitor, *, unconfirmed: bool = False) -> Response:
    site = site_of(request)
    running = [plan for plan in await plans_of(site, visitor) if not plan.over]
    return site.pages.render(
        "delete.html",
        visitor=visitor,
        status=422 if unconfirmed else 200,
        unconfirmed=unconfirmed,
        running=[await name_shown(site, plan.found.product) for plan in running],
        owned=[await name_shown(site, held.product) for held in visitor.holdings],
    )


@signed_in
async def delete(request: Request, visitor: Visitor) -> Response:
    """``POST /account/delete``: end what is running at the provider, then delete the person's data; or do neither."""
    site = site_of(request)
    form = await posted(request, visitor)
    limit(site.rates, site.config.purchase_rate, "delete", visitor.person.id)
    if form.get("confirmed") != "yes":
        return await _ask(request, visitor, unconfirmed=True)
    try:
        await _end_everything(site, visitor)
    except ProviderRefused as error:
        log.error("account not deleted", person=visitor.person.id, reason=str(error), advice=error.advice or None)
        raise Refused(409, NOT_ENDED_UNTIL_FIXED, title="Nothing was deleted") from error
    except ProviderUnavailable as error:
        log.warning("account not deleted", person=visitor.person.id, reason=str(error))
        raise Refused(503, NOT_ENDED, title="Nothing was deleted") from error
    await site.services.database.write(privacy.erase, visitor.person.id, site.services.clock())
    log.info("account deleted", person=visitor.person.id)
    return signed_out(request, site.pages.render("deleted.html"))


async def _end_everything(site: Site, visitor: Visitor) -> None:
    """Make sure that nothing the person has here takes money any more, and update what is known. What they bought
    from others on the same account is not ours to end.

    Raises ``ProviderUnavailable`` or ``ProviderRefused``. Trying again does no harm.
    """
    services = site.services
    realm = await services.realm()
    for order in await services.database.read(orders.of_person, visitor.person.id, realm):
        if order.state is OrderState.OPEN and order.checkout_id is not None:
            with suppress(ProviderMissing):
                await services.provider.expire_checkout(order.checkout_id)
    for customer in await services.database.read(customers.all_of_person, visitor.person.id, realm):
        with suppress(CustomerMissing):  # deleted there, and their subscriptions with them
            done = await reconcile(services, customer, evidence=DELETION)
            running = [one.bought.source for one in done.findings if _takes_money(one)]
            for source in running:
                with suppress(ProviderMissing):  # ended in the meantime
                    await services.provider.end_subscription(source, at_period_end=False)
            if running:
                await reconcile(services, customer, evidence=DELETION)
            # Last: a backup of today that is restored later learns from it that this account was deleted.
            await services.provider.mark_deleted(customer)


def _takes_money(found: Finding) -> bool:
    bought = found.bought
    return isinstance(bought, Subscription) and not bought.over and found.verdict is not Verdict.UNRELATED
