"""What a visitor has that matters for what they want to buy, and the pages that say so before anything is paid."""

from starlette.datastructures import FormData
from starlette.responses import Response

from tollkeeper import relations
from tollkeeper.billing.reconcile import reconcile_person
from tollkeeper.model.access import Visitor
from tollkeeper.model.selling import Product
from tollkeeper.relations import Advice, Beside, Course
from tollkeeper.storage import grants
from tollkeeper.web.offers import name_shown
from tollkeeper.web.plans import Plan, has, plans_of
from tollkeeper.web.site import Site
from tollkeeper.wording import products as wording_products


async def advice_for(site: Site, visitor: Visitor, product: Product, price_id: str) -> Advice:
    """The advice on the visitor's wish to buy this, from what is known here. Raises as ``PaymentProvider.price``."""
    services = site.services
    held = await services.database.read(grants.held, visitor.person.id, services.provider.live, services.clock())
    subscriptions = has(await plans_of(site, visitor))
    if not held and not subscriptions:
        return relations.GO_ON
    price = await services.provider.price(price_id)
    for_good = [one.product for one in held if one.until is None]
    return relations.advise(product, price.recurring, for_good, subscriptions, services.catalog)


async def advice_of_now(site: Site, visitor: Visitor, product: Product, price_id: str) -> Advice:
    """The same, from what the provider says now: before a purchase is refused because of what they may not have any
    more. Raises ``ProviderUnavailable`` or ``ProviderRefused``.
    """
    known = await advice_for(site, visitor, product, price_id)
    if not known.beside:
        return known
    await reconcile_person(site.services, visitor.person.id, evidence="purchase beside a subscription")
    return await advice_for(site, visitor, product, price_id)


def was_told(form: FormData, advice: Advice) -> bool:
    """Whether the buyer confirms what this page says now, and not what it said before something changed."""
    return advice.course is Course.TELL and form.get("told") == advice.told


async def tell(
    site: Site,
    visitor: Visitor,
    product: Product,
    advice: Advice,
    *,
    price_id: str | None,
    wanted: str | None,
    confirmed: bool,
) -> Response:
    """A page that says what the visitor has. If they may continue anyway, it has a button for that.

    ``confirmed``: they have already confirmed what another account has.
    """
    plans = {one.found.source: one for one in await plans_of(site, visitor)}
    return site.pages.render(
        "beside.html",
        visitor=visitor,
        status=409,
        advice=advice,
        product=product.key,
        product_name=await name_shown(site, product.key),
        price_id=price_id,
        held_name=await name_shown(site, advice.held) if advice.held else None,
        beside=[await described(site, product, advice, one, plans[one.has.source]) for one in advice.beside],
        wanted=wanted,
        confirmed=confirmed,
    )


async def described(site: Site, product: Product, advice: Advice, one: Beside, plan: Plan) -> dict[str, object]:
    """A subscription as these pages show it."""
    other = site.services.catalog.find(one.has.product)
    features = other.unlocks if other else frozenset[str]()
    name = await name_shown(site, one.has.product)
    return {
        "name": name,
        "relation": one.relation,
        "lost": sorted(features - product.unlocks),
        "words": wording_products.beside(
            one,
            advice,
            wanted=await name_shown(site, product.key),
            other=name,
            period_end=plan.found.period_end,
            shared=sorted(features & product.unlocks),
        ),
    }
