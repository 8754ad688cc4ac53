"""The landing page, the protected example page, and what they are dressed in."""

import asyncio

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from tollkeeper.access import Allow
from tollkeeper.errors import ProviderRefused, ProviderUnavailable, Refused
from tollkeeper.model import Price, Product, Visitor
from tollkeeper.storage import orders
from tollkeeper.web.site import Site, site_of
from tollkeeper.web.visitors import paid, visitor_of
from tollkeeper.web.wanted import wanted_page

# How long a page waits to show a price, in seconds.
PRICE_PATIENCE = 2


async def landing(request: Request) -> Response:
    """``GET /``: what is sold here, and the visitor's next step.

    ``feature`` shows only the products that unlock it; ``return_to`` is where it leads, once there is access.
    """
    site = site_of(request)
    visitor = await visitor_of(request)
    held = {holding.product for holding in visitor.holdings} if visitor else set()
    wanted = wanted_page(site, request.query_params.get("return_to"))
    feature = request.query_params.get("feature", "")
    unlocking = site.books.catalog.unlocking(feature)
    products = unlocking or site.books.catalog.products
    prices = await asyncio.gather(*(price_of(site, product) for product in products))
    offers = [
        {"product": shown(product, price), "price": price, "owned": product.key in held}
        for product, price in zip(products, prices, strict=True)
    ]
    return site.pages.render(
        "landing.html",
        visitor=visitor,
        owns=isinstance(site.gate.decide(visitor, feature if unlocking and wanted else "dashboard"), Allow),
        offers=offers,
        wanted=wanted,
        open_checkout=visitor is not None and await _has_open_checkout(site, visitor),
    )


async def _has_open_checkout(site: Site, visitor: Visitor) -> bool:
    for product in site.books.catalog.products:
        live = site.books.provider.live
        order = await site.books.database.read(orders.open_order, visitor.person.id, product.key, live)
        if order is not None and order.checkout_id is not None:
            return True
    return False


async def price_of(site: Site, product: Product) -> Price | None:
    """The price on sale, or None while the provider cannot say. A page without a price is better than no page."""
    price_id = site.books.catalog.price_on_sale(product, site.books.provider.name)
    try:
        async with asyncio.timeout(PRICE_PATIENCE):
            return await site.books.provider.price(price_id) if price_id else None
    except (TimeoutError, ProviderUnavailable, ProviderRefused):
        return None


def shown(product: Product, price: Price | None) -> dict[str, str]:
    """A product under the name that visitors see: ours, or else the provider's."""
    return {"key": product.key, "name": product.name or (price.product_name if price else product.key.title())}


@paid("dashboard")
async def dashboard(request: Request, visitor: Visitor) -> Response:
    """``GET /dashboard``: for payers only."""
    site = site_of(request)
    opened_by = {product.key for product in site.books.catalog.unlocking("dashboard")}
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
        raise Refused(404, "This site has no logo of its own.")
    return FileResponse(file, headers={"Cache-Control": "max-age=300"})


async def healthz(request: Request) -> Response:
    """``GET /healthz``: the process answers."""
    return PlainTextResponse("ok")


async def readyz(request: Request) -> Response:
    """``GET /readyz``: the database answers too."""
    site = site_of(request)
    await site.books.database.find_visitor("", live=site.books.provider.live, now=site.books.clock())
    return PlainTextResponse("ready")
