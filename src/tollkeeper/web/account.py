"""What I own, and where I am signed in."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tollkeeper.access import open_until
from tollkeeper.model import Grant, LoginSession, Visitor
from tollkeeper.storage import grants, login_sessions, people
from tollkeeper.web.home import price_of, shown
from tollkeeper.web.site import Site, site_of
from tollkeeper.web.visitors import signed_in, visitor_of
from tollkeeper.words import iso


@signed_in
async def account(request: Request, visitor: Visitor) -> Response:
    """``GET /account``."""
    site = site_of(request)
    now = site.books.clock()
    held = await site.books.database.read(grants.held, visitor.person.id, site.books.provider.live, now)
    sessions = await site.books.database.read(login_sessions.of_person, visitor.person.id, now)
    identities = await site.books.database.read(people.identities, visitor.person.id)
    return site.pages.render(
        "account.html",
        visitor=visitor,
        grants=await asyncio.gather(*(_grant(site, grant) for grant in held)),
        login_sessions=[_browser(session, visitor) for session in sessions],
        issuer_names=[_issuer_name(site, issuer) for issuer, _ in identities],
    )


async def me(request: Request) -> Response:
    """``GET /api/me``: who it is and what they may use, for the app's own front end. 200 for nobody, too."""
    site = site_of(request)
    visitor = await visitor_of(request)
    base = site.config.base_url
    until = open_until(visitor, site.books.catalog, site.books.clock()) if visitor else {}
    person = visitor.person if visitor else None
    return JSONResponse(
        {
            "visitor": {"id": person.id, "name": person.name, "email": person.email} if person else None,
            "features": [
                {"feature": feature, "until": None if at is None else iso(at)} for feature, at in until.items()
            ],
            "sign_in": f"{base}/login",
            "buy": f"{base}/",
        },
        headers={"Cache-Control": "no-store", **_readable_by(request)},
    )


def _readable_by(request: Request) -> dict[str, str]:
    """Lets pages of gated hosts read the answer, and no others: https://fetch.spec.whatwg.org/#http-cors-protocol"""
    origin = request.headers.get("origin")
    if origin not in site_of(request).config.gated_origins:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Vary": "Origin"}


async def _grant(site: Site, grant: Grant) -> dict[str, object]:
    product = site.books.catalog.find(grant.product)
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
