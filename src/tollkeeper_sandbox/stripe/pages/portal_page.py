"""The customer portal's pages (https://docs.stripe.com/customer-management), for a browser without scripts."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tollkeeper_sandbox.pages import render
from tollkeeper_sandbox.stripe.engine.errors import ApiError
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.periods import moment, spoken
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.cards import BRANDS
from tollkeeper_sandbox.stripe.known.money import formatted
from tollkeeper_sandbox.stripe.objects import (
    payment_methods,
    portal,
    previews,
    standing,
    subscription_changes,
    subscriptions,
)
from tollkeeper_sandbox.stripe.objects.accounts import NAME
from tollkeeper_sandbox.stripe.pages.billing_pages import Pages, Step, answered, bank_page, card_page, entered, message
from tollkeeper_sandbox.stripe.pages.invoice_page import shown

HOUR = 3600
INVOICES = 12
CHANGEABLE = ("trialing", "active", "past_due")
FLOW_PAGES = {
    "payment_method_update": "card",
    "subscription_cancel": "cancel",
    "subscription_update": "change",
    portal.CONFIRM: "confirm",
}
REASONS = {
    "too_expensive": "It is too expensive",
    "missing_features": "Something is missing",
    "switched_service": "I use something else now",
    "unused": "I do not use it enough",
    "customer_service": "The service could be better",
    "too_complex": "It is too complicated",
    "low_quality": "The quality could be better",
    "other": "Something else",
}


def portal_routes(begin: Callable[[], Work], done: Callable[[], None]) -> list[Route]:
    pages, at = Pages(portal.SESSION, begin, done), "/p/session/{id}"
    steps: tuple[tuple[str, str, str, Step], ...] = (
        ("", "GET", "", _home),
        ("/card", "GET", "payment_method_update", _offer_card),
        ("/card", "POST", "payment_method_update", _take_card),
        ("/card/authenticate", "GET", "payment_method_update", _bank),
        ("/card/authenticate", "POST", "payment_method_update", _answer),
        ("/cancel", "GET", "subscription_cancel", _offer_cancel),
        ("/cancel", "POST", "subscription_cancel", _cancel),
        ("/renew", "POST", "subscription_cancel", _renew),
        ("/change", "GET", "subscription_update", _offer_change),
        ("/change", "POST", "subscription_update", _change),
        ("/confirm", "GET", "subscription_update", _offer_confirm),
        ("/confirm", "POST", "subscription_update", _confirm),
        ("/done", "GET", "", _done),
    )
    return [pages.route(f"{at}{path}", method, _within(feature, step)) for path, method, feature, step in steps]


def _within(feature: str, step: Step) -> Step:
    """Return the step, if the link is valid and its configuration offers the feature."""

    def checked(request: Request, work: Work, session: JSON, form: Mapping[str, str]) -> Response:
        if work.now > session["created"] + HOUR or work.get("customer", session["customer"]).get("deleted"):
            back = (session["return_url"], "Return to the merchant") if session["return_url"] else None
            return message(request, 410, "This link has expired", "Ask the merchant for another one.", back)
        if feature and not _features(work, session)[feature]["enabled"]:
            raise ApiError(403, "The merchant does not offer this here.")
        return step(request, work, session, form)

    return checked


def _features(work: Work, session: JSON) -> JSON:
    features: JSON = work.get(portal.CONFIGURATION, session["configuration"])["features"]
    return features


def _home(request: Request, work: Work, session: JSON, form: Mapping[str, str]) -> Response:
    """Return the overview, or the page that the link is for."""
    flow = session["flow"]
    if flow and "overview" not in form:
        wanted = (flow[flow["type"]] or {}).get("subscription") if flow["type"] in flow else None
        query = f"?subscription={wanted}" if wanted else ""
        return RedirectResponse(f"{_page(session)}/{FLOW_PAGES[flow['type']]}{query}", 303)
    return _overview(request, work, session)


def _overview(request: Request, work: Work, session: JSON) -> Response:
    features, customer = _features(work, session), work.get("customer", session["customer"])
    of_customer = {"customer": customer["id"]}
    subscribed = work.ledger.page(subscriptions.KIND, payment_methods.OF_CUSTOMER, of_customer, -1)
    live = [one for one in subscribed if one["status"] not in standing.ENDED]
    default = next((one["default_payment_method"] for one in live if one["default_payment_method"]), None)
    method = work.ledger.find(payment_methods.default_of(customer) or default or "")
    billed = work.ledger.page("invoice", payment_methods.OF_CUSTOMER, of_customer, INVOICES)
    return render(
        request,
        "portal.html",
        merchant=NAME,
        page=_page(session),
        customer=customer,
        features=features,
        subscriptions=[_subscribed(work, one) for one in live],
        ended=[_subscribed(work, one) for one in subscribed if one not in live],
        method=_method(method) if method else None,
        invoices=[shown(one) for one in billed if one["status"] != "draft"],
        back=session["return_url"],
    )


def _subscribed(work: Work, body: JSON) -> JSON:
    items = body["items"]["data"]
    names = [work.get("product", item["price"]["product"]).get("name", "") for item in items]
    return {
        **body,
        "name": ", ".join(names),
        "price": _price_words(
            items[0]["price"], sum(item["price"]["unit_amount"] * item["quantity"] for item in items)
        ),
        "state": body["status"].replace("_", " "),
        "tone": "badge-good" if body["status"] in ("active", "trialing") else "badge-wait",
        "renews": moment(standing.period_of(body)[1]) if body["status"] in standing.RENEWING else None,
        "ends": moment(body["cancel_at"]) if body["cancel_at"] else None,
        "over": moment(body["ended_at"]) if body["ended_at"] else None,
        "trial": moment(body["trial_end"]) if body["status"] == "trialing" else None,
        "changeable": body["status"] in CHANGEABLE and body["cancel_at"] is None,
    }


def _price_words(price: JSON, amount: int) -> str:
    return f"{formatted(amount, price['currency'])} {spoken(price['recurring'])}"


def _method(method: JSON) -> str:
    card = method["card"]
    until = f"{card['exp_month']:02}/{card['exp_year']}"
    return f"{BRANDS.get(card['brand'], card['brand'])} ending in {card['last4']}, until {until}"


def _page(session: JSON) -> str:
    return f"/p/session/{session['id']}"


def _back(session: JSON) -> Response:
    """Go back to the overview, or to the address in a link that was for one action."""
    after = (session["flow"] or {}).get("after_completion") or {}
    if after.get("type") == "redirect":
        return RedirectResponse(after["redirect"]["return_url"], 303)
    if after.get("type") == "hosted_confirmation":
        return RedirectResponse(f"{_page(session)}/done", 303)
    return RedirectResponse(f"{_page(session)}?overview=yes", 303)


def _done(request: Request, _work: Work, session: JSON, _form: Mapping[str, str]) -> Response:
    """Return the hosted confirmation, with the merchant's message if there is one."""
    after = (session["flow"] or {}).get("after_completion") or {}
    words = (after.get("hosted_confirmation") or {}).get("custom_message") or "You can close this page."
    back = (session["return_url"], "Return to the merchant") if session["return_url"] else None
    return message(request, 200, "That is done", words, back)


def _named(work: Work, session: JSON, form: Mapping[str, str]) -> JSON:
    """Return the customer's subscription that the form names, if it can be changed."""
    found = work.ledger.find(form.get("subscription", ""), subscriptions.KIND)
    if found is None or found["customer"] != session["customer"] or found["status"] in standing.ENDED:
        raise ApiError(404, "There is no such subscription.")
    return found


def _offer_cancel(request: Request, work: Work, session: JSON, form: Mapping[str, str]) -> Response:
    feature = _features(work, session)["subscription_cancel"]
    asked = feature["cancellation_reason"]
    options = {name: REASONS[name] for name in asked["options"]} if asked["enabled"] else {}
    subscription = _subscribed(work, _named(work, session, form))
    at_once = feature["mode"] == "immediately"
    return render(
        request,
        "portal_cancel.html",
        merchant=NAME,
        page=_page(session),
        subscription=subscription,
        at_once=at_once,
        reasons=options,
    )


def _cancel(_request: Request, work: Work, session: JSON, form: Mapping[str, str]) -> Response:
    feature, subscription = _features(work, session)["subscription_cancel"], _named(work, session, form)
    feedback = form.get("feedback", "")
    details = {"feedback": feedback} if feedback in feature["cancellation_reason"]["options"] else {}
    if feature["mode"] == "immediately":
        subscriptions.cancel(work, {"cancellation_details": details}, subscription["id"])
    else:
        params = {"cancel_at_period_end": True, "cancellation_details": details}
        subscription_changes.update(work, params, subscription["id"])
    return _back(session)


def _renew(_request: Request, work: Work, session: JSON, form: Mapping[str, str]) -> Response:
    """Withdraw a cancellation."""
    subscription_changes.update(work, {"cancel_at_period_end": False}, _named(work, session, form)["id"])
    return _back(session)


def _offer_change(
    request: Request, work: Work, session: JSON, form: Mapping[str, str], error: str = "", status: int = 200
) -> Response:
    subscription = _named(work, session, form)
    current = subscription["items"]["data"][0]["price"]["id"]
    offered = [price for price in _offered(work, session) if price["currency"] == subscription["currency"]]
    choices = [
        {
            "id": price["id"],
            "name": work.get("product", price["product"])["name"],
            "price": _price_words(price, price["unit_amount"]),
            "current": price["id"] == current,
        }
        for price in offered
    ]
    context: dict[str, Any] = {"subscription": _subscribed(work, subscription), "choices": choices, "error": error}
    return render(request, "portal_change.html", status, merchant=NAME, page=_page(session), **context)


def _offered(work: Work, session: JSON) -> list[JSON]:
    products = _features(work, session)["subscription_update"]["products"]
    return [work.get("price", id_) for product in products for id_ in product["prices"]]


def _change(request: Request, work: Work, session: JSON, form: Mapping[str, str]) -> Response:
    """Change to the chosen price. If the card is declined, nothing changes."""
    subscription = _named(work, session, form)
    chosen = form.get("price", "")
    if chosen not in [price["id"] for price in _offered(work, session)]:
        return _offer_change(request, work, session, form, "Choose a plan.", 422)
    items = [{"id": subscription["items"]["data"][0]["id"], "price": chosen}]
    if error := _changed(work, session, subscription, {"items": items}):
        return _offer_change(request, work, session, form, error.message, error.status)
    return _back(session)


def _changed(work: Work, session: JSON, subscription: JSON, params: JSON) -> ApiError | None:
    """Change a subscription with the configuration's terms, or change nothing and return the reason."""
    params = {**params, **_terms(work, session, subscription), "payment_behavior": "error_if_incomplete"}
    try:
        with work.ledger.savepoint():
            subscription_changes.update(work, params, subscription["id"])
    except ApiError as error:
        return error
    return None


def _terms(work: Work, session: JSON, subscription: JSON) -> JSON:
    """Return how a change is charged, and what it does to a trial."""
    feature = _features(work, session)["subscription_update"]
    ends_trial = subscription["status"] == "trialing" and feature["trial_update_behavior"] == "end_trial"
    return {"proration_behavior": feature["proration_behavior"], **({"trial_end": "now"} if ends_trial else {})}


def _confirmed(work: Work, session: JSON) -> tuple[JSON, JSON]:
    """Return the subscription of this link, and the change that the merchant proposes."""
    flow = (session["flow"] or {}).get(portal.CONFIRM)
    if flow is None:
        raise ApiError(404, "This link is for something else.")
    wanted = {name: [_named_only(one) for one in flow[name]] for name in ("items", "discounts") if flow[name]}
    return _named(work, session, flow), wanted


def _named_only(given: JSON) -> JSON:
    """Return only the fields that have a value."""
    return {name: value for name, value in given.items() if value is not None}


def _offer_confirm(
    request: Request, work: Work, session: JSON, _form: Mapping[str, str], error: str = "", status: int = 200
) -> Response:
    """Show what the change costs, today and later."""
    subscription, wanted = _confirmed(work, session)
    if _is_done(subscription, wanted):
        return _back(session)
    at = work.on_clock_of(subscription)
    bill = previews.after(at, subscription, {**wanted, **_terms(work, session, subscription)})
    (item,) = wanted["items"]
    price = work.get("price", item["price"])
    context = {
        "subscription": _subscribed(work, subscription),
        "plan": work.get("product", price["product"])["name"],
        "price": _price_words(price, price["unit_amount"] * item["quantity"]),
        "bill": shown(bill),
        "due": formatted(bill["amount_due"], bill["currency"]),
        "later": moment(bill["next_payment_attempt"]) if bill["next_payment_attempt"] else None,
        "error": error,
        "back": session["return_url"] or f"{_page(session)}?overview=yes",
    }
    return render(request, "portal_confirm.html", status, merchant=NAME, page=_page(session), **context)


def _is_done(subscription: JSON, wanted: JSON) -> bool:
    known = {item["id"]: (item["price"]["id"], item["quantity"]) for item in subscription["items"]["data"]}
    return all(known.get(item["id"]) == (item["price"], item["quantity"]) for item in wanted["items"])


def _confirm(request: Request, work: Work, session: JSON, form: Mapping[str, str]) -> Response:
    subscription, wanted = _confirmed(work, session)
    if _is_done(subscription, wanted):
        return _back(session)
    if error := _changed(work, session, subscription, wanted):
        return _offer_confirm(request, work, session, form, error.message, error.status)
    return _back(session)


def _offer_card(request: Request, work: Work, session: JSON, _form: Mapping[str, str]) -> Response:
    return card_page(request, work, work.get("customer", session["customer"]), {}, **_words(session))


def _take_card(request: Request, work: Work, session: JSON, form: Mapping[str, str]) -> Response:
    customer = work.get("customer", session["customer"])
    return entered(request, work, session, customer, form, _keep, **_words(session))


def _bank(request: Request, work: Work, session: JSON, _form: Mapping[str, str]) -> Response:
    return bank_page(request, work, session, "let your card be charged later by", f"{_page(session)}/card")


def _answer(_request: Request, work: Work, session: JSON, form: Mapping[str, str]) -> Response:
    return answered(work, session, form, _keep, f"{_page(session)}/card")


def _keep(work: Work, session: JSON, method: JSON) -> Response:
    """Save the card for all of the customer's subscriptions."""
    customer = payment_methods.make_default(work, work.get("customer", session["customer"]), method)
    for one in work.ledger.page(subscriptions.KIND, payment_methods.OF_CUSTOMER, {"customer": customer["id"]}, -1):
        if one["status"] not in standing.ENDED and one["default_payment_method"]:
            work.change(one, {"default_payment_method": method["id"]})
    return _back(session)


def _words(session: JSON) -> dict[str, Any]:
    return {
        "heading": "Update your card",
        "lead": "It is charged for everything that you subscribe to, from the next time on.",
        "button": "Save card",
        "action": f"{_page(session)}/card",
        "back": (f"{_page(session)}?overview=yes", "Back"),
    }
