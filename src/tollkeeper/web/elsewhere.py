"""What another account with the visitor's address already has, shown before the same thing is sold again.

Only two facts about such an account are shown: its issuer, and which product it has.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from tollkeeper.model.access import Visitor
from tollkeeper.model.selling import Product
from tollkeeper.storage import people
from tollkeeper.web.site import Site


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """How to sign in to that account.

    The issuer's name and, if one can still sign in there, its place in addresses.
    """

    issuer: str
    issuer_id: str | None


async def had_elsewhere(site: Site, visitor: Visitor) -> Mapping[str, tuple[Elsewhere, ...]]:
    """The accounts that have a product, by its key. Issuers verified the address of both; otherwise there are none."""
    services = site.services
    found = await services.database.read(
        people.sharing_address, visitor.person, services.provider.live, services.clock()
    )
    had: dict[str, tuple[Elsewhere, ...]] = {}
    for one in found:
        for product in {*one.holds, *one.pays_for}:
            had[product] = had.get(product, ()) + tuple(_elsewhere(site, issuer) for issuer in one.issuers)
    return had


def _elsewhere(site: Site, issuer: str) -> Elsewhere:
    known = next((one for one in site.config.issuers if one.issuer_url == issuer), None)
    return Elsewhere(known.name, known.id) if known else Elsewhere(issuer, None)


def ask_first(
    site: Site,
    visitor: Visitor,
    product: Product,
    had: tuple[Elsewhere, ...],
    *,
    name: str,
    price_id: str | None,
    wanted: str | None,
) -> Response:
    """A page that says so, and from which the purchase can continue.

    ``name`` is the product's as visitors see it, ``wanted`` the page that they first asked for.
    """
    return site.pages.render(
        "elsewhere.html",
        visitor=visitor,
        status=409,
        product=product.key,
        product_name=name,
        elsewhere=had,
        price_id=price_id,
        wanted=wanted,
    )
