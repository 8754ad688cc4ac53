"""What a visitor already has that matters for what they want to buy, and the page that shows it before they pay."""

from starlette.datastructures import FormData
from starlette.responses import Response

from tollkeeper import relations
from tollkeeper.billing.reconcile import reconcile_person
from tollkeeper.model.access import Visitor
from tollkeeper.model.selling import Product
from tollkeeper.relations import Advice, Course, RelatedSubscription
from tollkeeper.storage import grants
from tollkeeper.web.offers import name_shown
from tollkeeper.web.plans import Plan, plans_of, running
from tollkeeper.web.site import Site
from tollkeeper.wording import products as wording_products


async def advice_for(site: Site, visitor: Visitor, product: Product, price_id: str) -> Advice:
    """Return the advice for a visitor who wants to buy this, from our own records.

    Raises the same errors as ``PaymentProvider.price``.
    """
    services = site.services
    held = await services.database.read(grants.held, visitor.person.id, services.provider.live, services.clock())
    subscriptions = running(await plans_of(site, visitor))
    if not held and not subscriptions:
        return relations.GO_ON
    price = await services.provider.price(price_id)
    for_good = [one.product for one in held if one.until is None]
    return relations.advise(product, price.recurring, for_good, subscriptions, services.catalog)


async def advice_from_provider(site: Site, visitor: Visitor, product: Product, price_id: str) -> Advice:
    """Return the same from what the provider reports now, so that nothing out of date prevents a purchase.

    Raises ``ProviderUnavailable`` or ``ProviderRefused``.
    """
    known = await advice_for(site, visitor, product, price_id)
    if not known.related:
        return known
    await reconcile_person(site.services, visitor.person.id, evidence="purchase beside a subscription")
    return await advice_for(site, visitor, product, price_id)


def has_confirmed(form: FormData, advice: Advice) -> bool:
    """Return whether the buyer confirmed this advice, and not an earlier one that no longer applies."""
    return advice.course is Course.WARN and form.get("acknowledged") == advice.confirmation


async def before_paying(
    site: Site,
    visitor: Visitor,
    product: Product,
    advice: Advice,
    *,
    price_id: str | None,
    wanted: str | None,
    confirmed: bool,
) -> Response:
    """Return a page that shows what the visitor has, with a button to continue if they may.

    ``confirmed``: they have already confirmed that another account has the product.
    """
    plans = {one.found.source: one for one in await plans_of(site, visitor)}
    return site.pages.render(
        "before_paying.html",
        visitor=visitor,
        status=409,
        advice=advice,
        product=product.key,
        product_name=await name_shown(site, product.key),
        price_id=price_id,
        held_name=await name_shown(site, advice.held) if advice.held else None,
        related=[await described(site, product, advice, one, plans[one.subscription.source]) for one in advice.related],
        wanted=wanted,
        confirmed=confirmed,
    )


async def described(
    site: Site, product: Product, advice: Advice, one: RelatedSubscription, plan: Plan
) -> dict[str, object]:
    """Return what these pages show of a subscription."""
    other = site.services.catalog.find(one.subscription.product)
    features = other.unlocks if other else frozenset[str]()
    name = await name_shown(site, one.subscription.product)
    return {
        "name": name,
        "relation": one.relation,
        "lost": sorted(features - product.unlocks),
        "words": wording_products.before_paying(
            one,
            advice,
            wanted=await name_shown(site, product.key),
            other=name,
            period_end=plan.found.period_end,
            shared=sorted(features & product.unlocks),
        ),
    }
