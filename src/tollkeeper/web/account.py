"""What I own, and where I am signed in."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from tollkeeper.model import Grant, LoginSession, Visitor
from tollkeeper.storage import grants, login_sessions, people
from tollkeeper.web.home import price_of, shown
from tollkeeper.web.site import Site, site_of
from tollkeeper.web.visitors import signed_in


@signed_in
async def account(request: Request, visitor: Visitor) -> Response:
    """``GET /account``."""
    site = site_of(request)
    now = site.clock()
    held = await site.database.read(grants.held, visitor.person.id, site.provider.live, now)
    sessions = await site.database.read(login_sessions.of_person, visitor.person.id, now)
    identities = await site.database.read(people.identities, visitor.person.id)
    return site.pages.render(
        request,
        "account.html",
        visitor=visitor,
        grants=await asyncio.gather(*(_grant(site, grant) for grant in held)),
        login_sessions=[_browser(session, visitor) for session in sessions],
        issuer_names=[_issuer_name(site, issuer) for issuer, _ in identities],
    )


async def _grant(site: Site, grant: Grant) -> dict[str, object]:
    product = site.catalog.find(grant.product)
    name = shown(product, await price_of(site, product))["name"] if product else grant.product
    return {
        "product_name": name,
        "since": grant.since,
        "until": grant.until,
        "amount": grant.amount,
        "currency": grant.currency,
        "reference": grant.reference,
        "receipt_url": grant.receipt_url,
        "reason": grant.reason,
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
