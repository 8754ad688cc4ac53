"""The hosted checkout page and the bank's authentication page, for a browser without scripts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tollkeeper_sandbox.pages import render
from tollkeeper_sandbox.stripe.engine.errors import ApiError
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.posts import check_origin, read_form
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.cards import BY_NUMBER, SUGGESTED
from tollkeeper_sandbox.stripe.known.countries import COUNTRIES
from tollkeeper_sandbox.stripe.known.ibans import IBANS, spaced
from tollkeeper_sandbox.stripe.known.money import TAX_PERCENT, formatted
from tollkeeper_sandbox.stripe.objects import (
    bank_debits,
    card_form,
    charges,
    debit_form,
    discounts,
    intents,
    payments,
    subscription_checkout,
)
from tollkeeper_sandbox.stripe.objects.accounts import NAME
from tollkeeper_sandbox.stripe.objects.checkout_sessions import DEBIT, KIND, amounts, intent_of
from tollkeeper_sandbox.stripe.objects.happenings import happen
from tollkeeper_sandbox.stripe.pages import promotions

FREE = "free"


@dataclass(frozen=True)
class Way:
    """One way to complete a checkout session: its page, below the session's own, and what that asks for."""

    path: str
    template: str
    labels: Mapping[str, str]


WAYS = {
    "card": Way(
        "",
        "checkout.html",
        {
            "email": "Email",
            "card_number": "Card number",
            "expiration": "Expiration",
            "cvc": "CVC",
            "cardholder_name": "Cardholder name",
            "country": "Country",
        },
    ),
    DEBIT: Way(
        "/debit", "checkout_debit.html", {"email": "Email", "iban": "IBAN", "account_holder": "Name on the account"}
    ),
    FREE: Way("/free", "checkout_free.html", {"email": "Email"}),
}
COMPLETED = {
    "paid": ", and you were charged once.",
    "unpaid": ". The money is not there yet: your bank has the last word.",
    "no_payment_required": ". Nothing was charged.",
}
PLACEHOLDER = "{CHECKOUT_SESSION_ID}"

Step = Callable[[Request, Work, JSON, Mapping[str, str]], Response]


class Hosted:
    """The hosted pages. ``begin`` opens a unit of work; ``done`` is called after one that may have caused events."""

    def __init__(self, begin: Callable[[], Work], done: Callable[[], None]) -> None:
        self._begin = begin
        self._done = done
        bank, code = "/c/pay/{id}/authenticate", "/c/pay/{id}/promotion_code"
        self.routes = [
            Route(bank, self._page(_bank), methods=["GET"]),
            Route(bank, self._page(_answer_bank), methods=["POST"]),
            Route(code, self._page(_back), methods=["GET"]),
            Route(code, self._page(_redeem), methods=["POST"]),
        ]
        for way, step in (("card", _pay), (DEBIT, _pay_by_debit), (FREE, _complete_free)):
            page = f"/c/pay/{{id}}{WAYS[way].path}"
            self.routes.append(Route(page, self._page(_offer(way)), methods=["GET"]))
            self.routes.append(Route(page, self._page(_offering(way, step)), methods=["POST"]))

    def _page(self, step: Step) -> Callable[[Request], Any]:
        async def page(request: Request) -> Response:
            try:
                check_origin(request)
                form = await read_form(request) if request.method == "POST" else {}
            except ApiError as error:
                return _message(request, error.status, "This form could not be read", error.message)
            response = self._transact(step, request, form)
            self._done()
            return response

        return page

    def _transact(self, step: Step, request: Request, form: Mapping[str, str]) -> Response:
        work = self._begin()
        with work.ledger.transaction():
            happen(work)
            session = work.ledger.find(request.path_params["id"], KIND)
            if session is None:
                words = "The address may be incomplete, or belong to another sandbox."
                return _message(request, 404, "There is no such checkout", words)
            if request.method == "POST" and session["status"] == "complete":
                return RedirectResponse(address(session, "success_url"), 303)
            if session["status"] != "open":
                return _closed(request, session)
            if subscription_checkout.lost_its_customer(work, session):
                words = "Whoever was to subscribe here has been deleted. Nothing was charged."
                return _message(request, 410, "This checkout can no longer be completed", words)
            return step(request, work, session, form)


def _offering(way: str, step: Step) -> Step:
    """Return the step for sessions that can be completed this way; others are redirected to the page where they can."""

    def offered(request: Request, work: Work, session: JSON, form: Mapping[str, str]) -> Response:
        if _page_for(way, session):
            return step(request, work, session, form)
        return RedirectResponse(_page_for(_ways(session)[0], session), 303)

    return offered


def _ways(session: JSON) -> list[str]:
    """Return the payment method types for the session; none if there is nothing to pay."""
    types: list[str] = session["payment_method_types"]
    return types if session["amount_total"] or session["payment_method_collection"] == "always" else [FREE]


def _page_for(way: str, session: JSON) -> str:
    """Return the page where this session is completed this way; empty if it cannot be."""
    return f"/c/pay/{session['id']}{WAYS[way].path}" if way in _ways(session) else ""


def address(session: JSON, name: str) -> str:
    """Return the merchant's address, with the checkout session's id in place of its placeholder.

    Without a success address, which a Payment Link may lack, it is the session's own page.
    """
    template: str = session[name] or f"/c/pay/{session['id']}"
    return template.replace(PLACEHOLDER, session["id"])


def _offer(way: str) -> Step:
    def show(request: Request, work: Work, session: JSON, _form: Mapping[str, str]) -> Response:
        return _begin_page(request, work, session, way)

    return _offering(way, show)


def _begin_page(request: Request, work: Work, session: JSON, way: str, **more: Any) -> Response:
    """Return the form, with the buyer's input of the last attempt and the reason why it failed."""
    buyer = work.ledger.hidden(session["id"]).get("buyer", {})
    name = buyer.get("name", "")
    values = {"email": buyer.get("email", ""), "cardholder_name": name, "account_holder": name}
    values["country"] = buyer.get("country", "US")
    errors = intents.errors_of(intent_of(work, session)) if way == "card" else {}
    return _form_page(request, work, session, way, values, errors, **more)


def _pay(request: Request, work: Work, session: JSON, values: Mapping[str, str]) -> Response:
    form = card_form.read(values, _known_email(work, session), work.now)
    if form.errors:
        return _form_page(request, work, session, "card", card_form.kept(values), form.errors, status=422)
    payment = payments.confirm(work, session, form)
    if payment["status"] == charges.AUTHENTICATE:
        return RedirectResponse(f"{request.url.path}/authenticate", 303)
    if payment["status"] == charges.PAID:
        return RedirectResponse(address(session, "success_url"), 303)
    errors = intents.errors_of(payment)
    return _form_page(request, work, session, "card", card_form.kept(values), errors, status=402)


def _pay_by_debit(request: Request, work: Work, session: JSON, values: Mapping[str, str]) -> Response:
    form = debit_form.read(values, _known_email(work, session))
    if form.errors:
        return _form_page(request, work, session, DEBIT, debit_form.kept(values), form.errors, status=422)
    bank_debits.debit(work, session, form)
    return RedirectResponse(address(session, "success_url"), 303)


def _complete_free(request: Request, work: Work, session: JSON, values: Mapping[str, str]) -> Response:
    email = values.get("email", "").strip()[: card_form.MAX_FIELD] or _known_email(work, session) or ""
    if error := card_form.email_error(email):
        return _form_page(request, work, session, FREE, {"email": email}, {"email": error}, status=422)
    payments.complete_free(work, session, email)
    return RedirectResponse(address(session, "success_url"), 303)


def _redeem(request: Request, work: Work, session: JSON, values: Mapping[str, str]) -> Response:
    """Apply or remove a promotion code. Its error is shown where it was entered."""
    if "remove" in values:
        promotions.remove(work, session)
        return _back(request, work, session, values)
    code = values.get("promotion_code", "").strip()[: card_form.MAX_FIELD]
    trouble = promotions.redeem(work, session, code)
    if not trouble:
        return _back(request, work, session, values)
    way = _ways(session)[0]
    return _begin_page(request, work, session, way, status=422, promotion_code=code, promotion_error=trouble)


def _back(_request: Request, _work: Work, session: JSON, _form: Mapping[str, str]) -> Response:
    return RedirectResponse(f"/c/pay/{session['id']}", 303)


def _form_page(
    request: Request,
    work: Work,
    session: JSON,
    way: str,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    status: int = 200,
    **more: Any,
) -> Response:
    return render(
        request,
        WAYS[way].template,
        status,
        **_summary(work, session),
        values=values,
        errors=errors,
        labels=WAYS[way].labels,
        known_email=_known_email(work, session),
        countries=COUNTRIES,
        action=_page_for(way, session),
        other_ways={other: _page_for(other, session) for other in WAYS if other != way},
        cards=[(BY_NUMBER[number].spaced, words) for number, words in SUGGESTED],
        accounts=[(spaced(iban), one.words) for iban, one in IBANS.items()],
        **more,
    )


def _known_email(work: Work, session: JSON) -> str | None:
    """Return the e-mail address from the merchant, with which the form is prefilled."""
    customer = work.ledger.find(session["customer"]) if session["customer"] else None
    email: str | None = (customer or {}).get("email") or session["customer_email"]
    return email


def _summary(work: Work, session: JSON) -> dict[str, Any]:
    """Return what is bought, with the tax that will be added."""
    hidden = work.ledger.hidden(session["id"])
    items, taxed, currency = hidden["line_items"], session["automatic_tax"]["enabled"], session["currency"]
    sums = amounts(hidden, session, taxed)
    off, tax = sums["total_details"]["amount_discount"], sums["total_details"]["amount_tax"]
    return {
        "merchant": NAME,
        "cancel": address(session, "cancel_url") if session["cancel_url"] else None,
        "lines": [
            (item["description"], item["quantity"], formatted(item["amount_subtotal"], currency)) for item in items
        ],
        "subtotal": formatted(sums["amount_subtotal"], currency),
        "tax": formatted(tax, currency) if taxed else None,
        "tax_percent": TAX_PERCENT,
        "tax_included": tax > 0 and sums["amount_total"] == sums["amount_subtotal"] - off,
        "discount": formatted(off, currency) if off else None,
        "discount_words": discounts.shown(hidden["coupon"]),
        "promotion": promotions.shown(work, session),
        "recurs": subscription_checkout.spoken_terms(work, session),
        "total": formatted(sums["amount_total"], currency),
    }


def _bank(request: Request, work: Work, session: JSON, _form: Mapping[str, str]) -> Response:
    if not _asked(work, session):
        return RedirectResponse(f"/c/pay/{session['id']}", 303)
    summary = _summary(work, session)
    question = f"pay {summary['total']} to" if session["amount_total"] else "let your card be charged later by"
    return render(request, "authenticate.html", merchant=NAME, question=question)


def _answer_bank(request: Request, work: Work, session: JSON, form: Mapping[str, str]) -> Response:
    payment = _asked(work, session)
    back = RedirectResponse(f"/c/pay/{session['id']}", 303)
    if payment is None:
        return back
    if form.get("answer") != "complete":
        payments.authentication_failed(work, payment)
        return back
    paid = payments.authenticated(work, session, payment)["status"] == charges.PAID
    return RedirectResponse(address(session, "success_url"), 303) if paid else back


def _asked(work: Work, session: JSON) -> JSON | None:
    """Return the payment that waits for the buyer's bank."""
    payment = intent_of(work, session)
    return payment if payment and payment["status"] == charges.AUTHENTICATE else None


def _closed(request: Request, session: JSON) -> Response:
    if session["status"] == "complete":
        words = f"This checkout has been completed{COMPLETED[session['payment_status']]}"
        back = address(session, "success_url") if session["success_url"] else None
        return _message(request, 200, "You’re all done here", words, back)
    words = "This checkout has expired. Nothing was charged."
    back = address(session, "cancel_url") if session["cancel_url"] else None
    return _message(request, 410, "This checkout has timed out", words, back)


def _message(request: Request, status: int, heading: str, words: str, back: str | None = None) -> Response:
    link = (back, "Return to the merchant") if back else None
    return render(request, "message.html", status, heading=heading, words=words, link=link)
