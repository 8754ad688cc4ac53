"""Another plan instead of a second subscription: what it costs, and the redirect to where it is confirmed."""

from dataclasses import dataclass
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import Response

from tollkeeper.errors import ProviderRefused, Refused
from tollkeeper.model.access import Visitor
from tollkeeper.model.selling import Product
from tollkeeper.providers.protocol import PlanChange
from tollkeeper.redirects import LONGEST
from tollkeeper.relations import Advice, Course, HeldSubscription
from tollkeeper.storage import customers
from tollkeeper.web.advice import advice_for, advice_from_provider, described
from tollkeeper.web.forms import LOOK_RATE, limit, posted
from tollkeeper.web.languages import language_of
from tollkeeper.web.offers import Choice, chosen, name_shown, price_by_id, price_chosen
from tollkeeper.web.plans import plans_of
from tollkeeper.web.responses import redirect
from tollkeeper.web.return_to import wanted_page
from tollkeeper.web.site import Site, site_of
from tollkeeper.web.visitors import go, signed_in
from tollkeeper.wording.pages import NOT_SOLD_AT_THAT_PRICE
from tollkeeper.wording.products import OTHER_ACCOUNT

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wish:
    """The change that a visitor asks for, as it is in the request: none of it is trusted."""

    product: Product
    price_id: str
    return_to: str | None


def page_of(product: Product, price_id: str, return_to: str | None) -> str:
    """The path of the page that says what a change costs."""
    return _with_return(f"/purchase/change?product={quote(product.key)}&price={quote(price_id)}", "&", return_to)


def _with_return(address: str, mark: str, return_to: str | None, longest: int = LONGEST) -> str:
    """A page that is wanted is left out where the address gets longer than that."""
    onward = f"{address}{mark}return_to={quote(return_to, safe='')}" if return_to else address
    return onward if len(onward) <= longest else address


@signed_in
async def offer(request: Request, visitor: Visitor) -> Response:
    """``GET /purchase/change``: what another plan costs, before anybody leaves for the page where it is confirmed."""
    site, asked = site_of(request), request.query_params
    wish = _wish(site, asked.get("product"), asked.get("price"), asked.get("return_to"))
    limit(site.rates, LOOK_RATE, "look", visitor.person.id)
    advice = await advice_for(site, visitor, wish.product, wish.price_id)
    if advice.course is not Course.CHANGE:
        return go(request, f"/pricing#{wish.product.key}")
    try:
        cost = await site.services.provider.preview_change(_changed(advice).source, wish.price_id)
    except ProviderRefused as refusal:
        return await _refused(request, visitor, wish, advice, refusal)
    return await _page(request, visitor, wish, advice, cost)


@signed_in
async def begin(request: Request, visitor: Visitor) -> Response:
    """``POST /purchase/change``: to the provider's page where the change is confirmed, and paid for."""
    site = site_of(request)
    form = await posted(request, visitor)
    wish = _wish(site, form.get("product"), form.get("price"), form.get("return_to"))
    limit(site.rates, site.config.purchase_rate, "purchase", visitor.person.id)
    advice = await advice_from_provider(site, visitor, wish.product, wish.price_id)
    if advice.course is not Course.CHANGE:
        return go(request, f"/pricing#{wish.product.key}")
    source, realm = _changed(advice).source, await site.services.realm()
    customer = await site.services.database.read(customers.of_finding, realm, source)
    try:
        if customer is None:  # it is another account's
            raise ProviderRefused(OTHER_ACCOUNT)
        url = await site.services.provider.change_plan(customer, source, wish.price_id, _way_back(site, wish.return_to))
    except ProviderRefused as refusal:
        return await _refused(request, visitor, wish, advice, refusal)
    return redirect(url)


def _wish(site: Site, key: object, price_id: object, return_to: object) -> Wish:
    product = chosen(site, key)
    price = price_chosen(site, product, price_id)
    if price is None:
        raise Refused(400, NOT_SOLD_AT_THAT_PRICE)
    return Wish(product, price, wanted_page(site, return_to))


def _changed(advice: Advice) -> HeldSubscription:
    return advice.related[0].subscription


def _way_back(site: Site, return_to: str | None) -> str:
    """Through the page that updates the account."""
    longest = site.services.provider.facts.longest_return_url
    return _with_return(f"{site.config.base_url}/account/billing", "?", return_to, longest)


async def _refused(
    request: Request, visitor: Visitor, wish: Wish, advice: Advice, refusal: ProviderRefused
) -> Response:
    """Tell the visitor what to do instead, and the operator what to fix."""
    log.warning("no change of plan", reason=str(refusal), advice=refusal.advice or None, price=wish.price_id)
    return await _page(request, visitor, wish, advice, None)


async def _page(request: Request, visitor: Visitor, wish: Wish, advice: Advice, cost: PlanChange | None) -> Response:
    """``cost`` is None where the change cannot be made."""
    site = site_of(request)
    plans = {one.found.source: one for one in await plans_of(site, visitor)}
    before = plans[_changed(advice).source].found
    return site.pages.render(
        "change.html",
        visitor=visitor,
        language=language_of(request),
        status=200 if cost else 409,
        wish=wish,
        wanted=wish.return_to,
        product_name=await name_shown(site, wish.product.key),
        choice=Choice(wish.price_id, await price_by_id(site, wish.price_id)),
        choice_before=Choice(before.price_id or "", await price_by_id(site, before.price_id)),
        seats=before.quantity or 1,
        related=[
            await described(site, wish.product, advice, one, plans[one.subscription.source]) for one in advice.related
        ],
        cost=cost,
    )
