"""Buy: to the hosted checkout page, and back. Nothing is granted because a browser says so."""

from collections.abc import Iterable

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tollkeeper.billing import off_sale
from tollkeeper.billing.checkout import Completed
from tollkeeper.errors import AlreadyHeld, ProviderRefused, ProviderUnavailable, SubscriptionNeedsAction
from tollkeeper.model.access import Grant, Verdict, Visitor
from tollkeeper.model.orders import Order
from tollkeeper.model.selling import Product
from tollkeeper.providers.protocol import CheckoutState
from tollkeeper.relations import Course
from tollkeeper.storage import grants, orders
from tollkeeper.web import cookies
from tollkeeper.web.advice import advice_from_provider, before_paying, has_confirmed
from tollkeeper.web.elsewhere import ask_first, had_elsewhere
from tollkeeper.web.forms import LOOK_RATE, limit, posted
from tollkeeper.web.languages import language_of
from tollkeeper.web.offers import (
    Choice,
    can_be_bought_for_good,
    chosen,
    closed_to,
    name_of,
    name_shown,
    price_by_id,
    price_chosen,
)
from tollkeeper.web.plan_change import page_of
from tollkeeper.web.plans import plans_of
from tollkeeper.web.responses import redirect
from tollkeeper.web.return_to import arrive, keep, kept, wanted_page
from tollkeeper.web.site import Site, site_of
from tollkeeper.web.visitors import go, signed_in

# The confirming page checks again after this many seconds: soon at first, then less often, as some payments take
# days.
LOOK_AGAIN = 3
LOOK_AGAIN_AT_MOST = 300

# Includes granted: a reconcile that began later will write it.
STILL_CONFIRMING = frozenset({Verdict.PENDING, Verdict.GRANTED})


@signed_in
async def begin(request: Request, visitor: Visitor) -> Response:
    """``POST /purchase/checkout-session``: to the hosted page, or to what they already own."""
    site = site_of(request)
    form = await posted(request, visitor)
    product = chosen(site, form.get("product"))
    price_id = price_chosen(site, product, form.get("price"))
    wanted = wanted_page(site, form.get("return_to"))
    held = [one for one in visitor.holdings if one.product == product.key]
    if held and not await can_be_bought_for_good(site, product, price_id, held):
        return _to_what_they_have(site, request, wanted)
    await site.checkout_service.check_it_is_sold(visitor.person, product, price_id)
    had = (await had_elsewhere(site, visitor)).get(product.key)
    if had and form.get("confirmed") != "yes":
        name = await name_shown(site, product.key)
        return ask_first(site, visitor, product, had, name=name, price_id=price_id, wanted=wanted)
    limit(site.rates, site.config.purchase_rate, "purchase", visitor.person.id)
    if answer := await _before_paying(request, visitor, form, product, price_id, wanted):
        return answer
    try:
        found = await site.checkout_service.begin(visitor.person, product, price_id)
    except AlreadyHeld:  # since the page was opened
        return _to_what_they_have(site, request, wanted)
    except SubscriptionNeedsAction:
        return await needs_action_first(site, visitor, product)
    if isinstance(found, Completed):
        answer = go(request, f"/purchase/success?session_id={found.checkout_id}")
    else:
        answer = redirect(found.url)
    if wanted:
        keep(answer, wanted, cookies.after_paying(site.config))
    return answer


def _to_what_they_have(site: Site, request: Request, wanted: str | None) -> Response:
    return arrive(wanted, cookies.after_paying(site.config)) if wanted else go(request, "/dashboard")


async def _before_paying(
    request: Request, visitor: Visitor, form: FormData, product: Product, price_id: str | None, wanted: str | None
) -> Response | None:
    """Return a page for a visitor who already has something related and has not confirmed that; otherwise None."""
    site = site_of(request)
    price = price_id or site.services.catalog.price_on_sale(product)
    if price is None:
        return None
    try:
        advice = await advice_from_provider(site, visitor, product, price)
    except ProviderRefused as refusal:
        raise await off_sale.take_off(site.services, product.key, price, visitor.person.id, refusal) from refusal
    if advice.course is Course.GO_ON or has_confirmed(form, advice):
        return None
    if advice.course is Course.CHANGE:
        return go(request, page_of(product, price, wanted))
    if advice.course is Course.FIX_FIRST:
        to_fix = site.services.catalog.find(advice.related[0].subscription.product)
        return await needs_action_first(site, visitor, to_fix or product)
    confirmed = form.get("confirmed") == "yes"
    return await before_paying(site, visitor, product, advice, price_id=price_id, wanted=wanted, confirmed=confirmed)


async def needs_action_first(site: Site, visitor: Visitor, product: Product) -> Response:
    """Return a page that asks the visitor to fix or end a subscription before they subscribe again."""
    plans = await plans_of(site, visitor)
    return site.pages.render(
        "needs_action.html",
        visitor=visitor,
        status=409,
        product_name=await name_shown(site, product.key),
        plan=next((plan for plan in plans if plan.found.product == product.key and not plan.over), None),
    )


@signed_in
async def success(request: Request, visitor: Visitor) -> Response:
    """``GET /purchase/success``: what the provider says became of the visitor's own order.

    A visitor who paid to see a page behind a gate is sent to that page.
    """
    site = site_of(request)
    order = await own_order(request, visitor)
    if order is None:
        return go(request, "/")
    limit(site.rates, LOOK_RATE, "look", visitor.person.id)
    verdict = await _verdict(site, order)
    given = await site.services.database.read(grants.of_order, order)
    if grant := _in_force(given, site.services.clock()):
        pieces = cookies.after_paying(site.config)
        wanted = kept(request, pieces)
        return arrive(wanted, pieces) if wanted else await _done(request, visitor, order, grant)
    taken_back = any(one.withheld is not None for one in given)  # by an operator: nothing is left to be confirmed
    if verdict not in STILL_CONFIRMING or taken_back:
        return go(request, "/")
    return confirming(request, visitor, order)


async def _verdict(site: Site, order: Order) -> Verdict | None:
    """What the provider says now; pending while it does not say."""
    try:
        done = await site.checkout_service.settle(order, f"success page of {order.checkout_id}")
    except (ProviderUnavailable, ProviderRefused):
        return Verdict.PENDING
    found = done.of_order(order) if done else None
    if found is None and order.recurring and await _checkout_state(site, order) is CheckoutState.COMPLETE:
        return Verdict.PENDING  # a subscription may be reported a little later
    return found.verdict if found else None


def _in_force(given: Iterable[Grant], now: int) -> Grant | None:
    return next((one for one in given if one.in_force(now)), None)


async def _done(request: Request, visitor: Visitor, order: Order, grant: Grant) -> Response:
    site = site_of(request)
    product = site.services.catalog.find(grant.product)
    purchase = {
        "product_name": await name_shown(site, grant.product),
        "amount": grant.amount,
        "currency": grant.currency,
        "paid_at": grant.since,
        "reference": grant.reference,
        "receipt_url": grant.receipt_url,
    }
    opens = product is not None and "dashboard" in product.unlocks
    plans = await plans_of(site, visitor) if order.recurring else ()
    return site.pages.render(
        "subscribed.html" if order.recurring else "success.html",
        visitor=visitor,
        owns=opens,
        language=language_of(request),
        purchase=purchase,
        plan=next((plan for plan in plans if plan.found.source == grant.source), None),
        choice=Choice(order.price_id, await price_by_id(site, order.price_id)),
    )


def confirming(request: Request, visitor: Visitor, order: Order) -> Response:
    """Paid, as far as the buyer can tell, but not yet according to the provider. The page keeps checking."""
    here = f"{request.url.path}?{request.url.query}"
    site = site_of(request)
    age = site.services.clock() - order.created_at
    refresh = {"Refresh": str(max(LOOK_AGAIN, min(age // 20, LOOK_AGAIN_AT_MOST)))}
    return site.pages.render("confirming.html", visitor=visitor, headers=refresh, check_url=here, order=order)


@signed_in
async def cancel(request: Request, visitor: Visitor) -> Response:
    """``GET /purchase/cancel``: nothing was charged, and the same checkout is still open. Shown only if true."""
    site = site_of(request)
    order = await own_order(request, visitor)
    product = site.services.catalog.find(order.product) if order else None
    if order is None or product is None:
        return go(request, "/")
    if _in_force(await site.services.database.read(grants.of_order, order), site.services.clock()):
        return go(request, "/")
    limit(site.rates, LOOK_RATE, "look", visitor.person.id)
    state = await _checkout_state(site, order)
    if state is not CheckoutState.OPEN:
        return go(
            request, f"/purchase/success?session_id={order.checkout_id}" if state is CheckoutState.COMPLETE else "/"
        )
    closed = closed_to(site, await off_sale.known(site.services, visitor.person.id), product, order.price_id)
    choice = Choice(order.price_id, await price_by_id(site, order.price_id), order.trial_days or 0, closed)
    return site.pages.render(
        "cancel.html",
        visitor=visitor,
        language=language_of(request),
        product={"key": product.key, "name": name_of(product, choice.price)},
        choice=choice,
        on_sale=order.price_id in site.services.catalog.prices_on_sale(product),
    )


async def _checkout_state(site: Site, order: Order) -> CheckoutState | None:
    """How far the order's checkout has come, or None while the provider cannot say."""
    try:
        return (await site.services.provider.checkout(order.checkout_id or "")).state
    except (ProviderUnavailable, ProviderRefused):
        return None


async def own_order(request: Request, visitor: Visitor) -> Order | None:
    """The visitor's own order for ``session_id``. Somebody else's order and no order look the same from outside."""
    site = site_of(request)
    given = request.query_params.getlist("session_id")
    if len(given) != 1 or not site.services.provider.facts.checkout_id.fullmatch(given[0]):
        return None
    return await site.services.database.read(orders.own, visitor.person.id, given[0], site.services.provider.live)
