"""The account page: what a person owns, how it is paid for, and where they are signed in."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tollkeeper.billing.reconcile import reconcile
from tollkeeper.errors import CustomerMissing, ProviderRefused, ProviderUnavailable, Refused
from tollkeeper.gate.access import open_until
from tollkeeper.model.access import Grant, Visitor
from tollkeeper.model.bought import Dispute, Invoice
from tollkeeper.model.people import LoginSession
from tollkeeper.relations import surplus
from tollkeeper.storage import customers, grants, login_sessions, people
from tollkeeper.storage.findings import Noted
from tollkeeper.web.forms import LOOK_RATE, limit, posted
from tollkeeper.web.languages import language_of
from tollkeeper.web.offers import name_shown, price_by_id
from tollkeeper.web.plans import Plan, needing_action, plans_of, state_of, taken_back
from tollkeeper.web.responses import NO_STORE, redirect
from tollkeeper.web.return_to import to_page, wanted_page
from tollkeeper.web.site import Site, site_of
from tollkeeper.web.visitors import go, signed_in, visitor_of
from tollkeeper.wording.explanations import of_an_earlier_period
from tollkeeper.wording.pages import BILLING_AWAY, BILLING_REFUSED, NOTHING_LEFT_TO_MANAGE, NOTHING_TO_MANAGE
from tollkeeper.wording.products import paid_twice
from tollkeeper.wording.visitors import for_visitor
from tollkeeper.words import iso

log = structlog.get_logger()


@signed_in
async def account(request: Request, visitor: Visitor) -> Response:
    """``GET /account``. Asks the provider only for prices, which are cached."""
    site = site_of(request)
    now = site.services.clock()
    plans = await plans_of(site, visitor)
    held = await site.services.database.read(grants.held, visitor.person.id, site.services.provider.live, now)
    sessions = await site.services.database.read(login_sessions.of_person, visitor.person.id, now)
    identities = await site.services.database.read(people.identities, visitor.person.id)
    gone = await taken_back(site, visitor)
    # What the page shows already, above or below: it may have changed since the grants were read.
    shown = {plan.found.source for plan in plans} | {one.source for one in gone}
    given = await site.services.database.read(grants.in_mode, visitor.person.id, site.services.provider.live)
    receipts = {grant.source: grant.receipt_url for grant in given}
    twice = await _paid_twice(site, visitor, now)
    owned = [grant for grant in held if grant.source not in shown]
    return site.pages.render(
        "account.html",
        visitor=visitor,
        language=language_of(request),
        notice=needing_action(plans),
        plans=await asyncio.gather(*(_plan(site, plan) for plan in plans)),
        grants=await asyncio.gather(*(_grant(site, grant) for grant in owned)),
        twice=twice,
        taken_back=[await _taken_back(site, one, receipts) for one in gone],
        login_sessions=[_browser(session, visitor) for session in sessions],
        issuer_names=[_issuer_name(site, issuer) for issuer, _ in identities],
    )


@signed_in
async def billing(request: Request, visitor: Visitor) -> Response:
    """``POST /account/billing``: to the provider's own page, where cards, plans and invoices are."""
    site = site_of(request)
    await posted(request, visitor)
    limit(site.rates, site.config.purchase_rate, "billing", visitor.person.id)
    customer = await site.services.database.read(customers.of_person, visitor.person.id, await site.services.realm())
    if customer is None:
        raise Refused(404, NOTHING_TO_MANAGE)
    try:
        url = await site.services.provider.billing_portal(customer, f"{site.config.base_url}/account/billing")
    except CustomerMissing as error:
        raise Refused(404, NOTHING_LEFT_TO_MANAGE) from error
    except ProviderRefused as error:
        log.error("no billing portal", reason=str(error), advice=error.advice or None)
        raise Refused(409, BILLING_REFUSED, title="Billing is unavailable") from error
    except ProviderUnavailable as error:
        log.warning("no billing portal", reason=str(error))
        raise Refused(503, BILLING_AWAY) from error
    return redirect(url)


async def me(request: Request) -> Response:
    """``GET /api/me``: who it is and what they may use, for the app's front end. 200 even if nobody is signed in."""
    site = site_of(request)
    visitor = await visitor_of(request)
    base = site.config.base_url
    until = open_until(visitor, site.services.catalog, site.services.clock()) if visitor else {}
    person = visitor.person if visitor else None
    return JSONResponse(
        {
            "visitor": {"id": person.id, "name": person.name, "email": person.email} if person else None,
            "features": [
                {"feature": feature, "until": None if at is None else iso(at)} for feature, at in until.items()
            ],
            "sign_in": f"{base}/login",
            "buy": f"{base}/pricing",
        },
        headers=NO_STORE | _readable_by(request),
    )


def _readable_by(request: Request) -> dict[str, str]:
    """Lets only pages of gated hosts read the answer: https://fetch.spec.whatwg.org/#http-cors-protocol"""
    origin = request.headers.get("origin")
    if origin not in site_of(request).config.gated_origins:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Vary": "Origin"}


@signed_in
async def back_from_billing(request: Request, visitor: Visitor) -> Response:
    """``GET /account/billing``: back from that page, where anything may have changed. To the account, up to date; or to
    ``return_to``, the page that a visitor wanted who changed their plan for it.
    """
    site = site_of(request)
    limit(site.rates, LOOK_RATE, "look", visitor.person.id)
    with suppress(ProviderUnavailable, ProviderRefused):  # then an event will report it
        realm = await site.services.realm()
        customer = await site.services.database.read(customers.of_person, visitor.person.id, realm)
        if customer is not None:
            await reconcile(site.services, customer, evidence="back from the billing portal")
    wanted = wanted_page(site, request.query_params.get("return_to"))
    return to_page(wanted) if wanted else go(request, "/account")


async def _paid_twice(site: Site, visitor: Visitor, now: int) -> dict[str, str]:
    """What the visitor pays for although something else gives all of it, as sentences by source."""
    services = site.services
    where = (services.catalog.containing, services.provider.live, now, visitor.person.id)
    found = surplus(await services.database.read(grants.paid_pairs, *where), services.catalog)
    return {one.grant.source: paid_twice(one, await name_shown(site, one.covered_by.product)) for one in found}


async def _plan(site: Site, plan: Plan) -> dict[str, object]:
    found = plan.found
    return {
        "product_name": await name_shown(site, found.product),
        "price": await price_by_id(site, found.price_id),
        "seats": found.quantity,
        "since": found.bought_at,
        "state": plan.state,
        "reference": found.source,
        "earlier": [_earlier(invoice, found.currency) for invoice in found.earlier_invoices if _went_back(invoice)],
    }


def _went_back(invoice: Invoice) -> bool:
    return bool(invoice.refunded) or invoice.dispute is not Dispute.NONE


def _earlier(invoice: Invoice, currency: str) -> dict[str, object]:
    """A payment for a period that is over, part or all of which was returned."""
    return {"words": of_an_earlier_period(invoice, currency), "receipt_url": invoice.receipt_url}


async def _taken_back(site: Site, found: Noted, receipts: Mapping[str, str | None]) -> dict[str, object]:
    return {
        "product_name": await name_shown(site, found.product),
        "since": found.bought_at,
        "amount": found.amount,
        "refunded": found.refunded,
        "currency": found.currency,
        "reference": found.reference,
        "receipt_url": receipts.get(found.source),
        "state": state_of(found, site.services.clock()),
    }


async def _grant(site: Site, grant: Grant) -> dict[str, object]:
    return {
        "product_name": await name_shown(site, grant.product),
        "since": grant.since,
        "until": grant.until,
        "amount": grant.amount,
        "currency": grant.currency,
        "source": grant.source,
        "reference": grant.reference,
        "receipt_url": grant.receipt_url,
        "words": for_visitor(grant.reason)[1],
    }


def _browser(session: LoginSession, visitor: Visitor) -> dict[str, object]:
    return {
        "id": session.id,
        "label": session.browser,
        "since": session.created_at,
        "current": session.id == visitor.login_session_id,
    }


def _issuer_name(site: Site, issuer: str) -> str:
    names = {one.issuer_url: one.name for one in site.config.issuers}
    return names.get(issuer, issuer)
