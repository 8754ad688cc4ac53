"""The landing page, the pricing page, the protected example page, and their colour and logo."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from tollkeeper.errors import Refused
from tollkeeper.gate.access import Allow
from tollkeeper.model.access import Visitor
from tollkeeper.model.selling import Product
from tollkeeper.storage import orders
from tollkeeper.web.elsewhere import had_elsewhere
from tollkeeper.web.languages import language_of
from tollkeeper.web.offers import OfferCard, name_shown, offer_cards
from tollkeeper.web.plans import lost, needing_action, plans_of
from tollkeeper.web.return_to import wanted_page
from tollkeeper.web.site import Site, site_of
from tollkeeper.web.visitors import paid, visitor_of


async def landing(request: Request) -> Response:
    """``GET /``: what is sold here, and the visitor's next step."""
    site = site_of(request)
    visitor = await visitor_of(request)
    return await shop(request, "landing.html", visitor, site.services.catalog.products)


async def pricing(request: Request) -> Response:
    """``GET /pricing``: everything on sale, at every price.

    ``feature`` shows only the products that unlock it; ``return_to`` is where the visitor goes once they have access.
    """
    site = site_of(request)
    visitor = await visitor_of(request)
    wanted = wanted_page(site, request.query_params.get("return_to"))
    feature = request.query_params.get("feature", "")
    unlocking = site.services.catalog.unlocking(feature)
    return await shop(
        request,
        "pricing.html",
        visitor,
        unlocking or site.services.catalog.products,
        feature=feature if unlocking else None,
        wanted=wanted,
        here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        opens=isinstance(site.gate.decide(visitor, feature), Allow) if unlocking else False,
    )


async def shop(
    request: Request, template: str, visitor: Visitor | None, products: Sequence[Product], **more: Any
) -> Response:
    """A page with offers."""
    site = site_of(request)
    plans = await plans_of(site, visitor) if visitor else ()
    elsewhere = await had_elsewhere(site, visitor) if visitor else {}
    offers = await offer_cards(site, products, visitor, plans, elsewhere)
    return site.pages.render(
        template,
        visitor=visitor,
        owns=isinstance(site.gate.decide(visitor, "dashboard"), Allow),
        language=language_of(request),
        offers=offers,
        recurring=any(choice.price and choice.price.recurring for offer in offers for choice in offer.choices),
        notice=needing_action(plans),
        lost=[(await name_shown(site, one.product), one.words) for one in await lost(site, visitor, plans)]
        if visitor
        else [],
        open_checkout=visitor is not None and await _has_open_checkout(site, visitor, offers),
        **more,
    )


async def _has_open_checkout(site: Site, visitor: Visitor, offers: Sequence[OfferCard]) -> bool:
    """Whether one of the buttons shown leads back to an open checkout."""
    live = site.services.provider.live
    for offer in offers:
        if offer.buyable:
            order = await site.services.database.read(orders.open_order, visitor.person.id, offer.key, live)
            if order is not None and order.checkout_id is not None:
                return True
    return False


@paid("dashboard")
async def dashboard(request: Request, visitor: Visitor) -> Response:
    """``GET /dashboard``: for payers only."""
    site = site_of(request)
    opened_by = {product.key for product in site.services.catalog.unlocking("dashboard")}
    untils = [held.until for held in visitor.holdings if held.product in opened_by]
    until = None if None in untils else max(at for at in untils if at is not None)
    file = site.config.site.dashboard_file
    return site.pages.render(
        "dashboard.html",
        visitor=visitor,
        entitlement={"until": until},
        content=file.read_text("utf-8") if file else None,
    )


async def theme(request: Request) -> Response:
    """``GET /static/theme.css``: the operator's accent colour, and a text colour that can be read on it."""
    accent = site_of(request).config.site.accent
    css = f":root {{ --accent: {accent}; --on-accent: {readable_on(accent)}; }}\n"
    return Response(css, media_type="text/css", headers={"Cache-Control": "max-age=300"})


def readable_on(colour: str) -> str:
    """Black or white, whichever has more contrast with ``#rrggbb`` (WCAG 2.2, relative luminance)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#fff"


async def logo(request: Request) -> Response:
    """``GET /static/logo``: the operator's logo."""
    file = site_of(request).config.site.logo
    if file is None:
        raise Refused(404, "This site has no logo.")
    return FileResponse(file, headers={"Cache-Control": "max-age=300"})
