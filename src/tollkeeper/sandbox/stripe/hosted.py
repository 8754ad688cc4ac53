"""The hosted checkout page and the bank's authentication page, for a browser without scripts."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tollkeeper.sandbox.pages import render
from tollkeeper.sandbox.stripe import bank_debits, card_form, debit_form, payments
from tollkeeper.sandbox.stripe.accounts import NAME
from tollkeeper.sandbox.stripe.cards import BY_NUMBER, SUGGESTED
from tollkeeper.sandbox.stripe.checkout_sessions import DEBIT, KIND, amounts
from tollkeeper.sandbox.stripe.countries import COUNTRIES
from tollkeeper.sandbox.stripe.errors import ApiError
from tollkeeper.sandbox.stripe.happenings import happen
from tollkeeper.sandbox.stripe.ibans import IBANS, spaced
from tollkeeper.sandbox.stripe.ledger import JSON
from tollkeeper.sandbox.stripe.money import TAX_PERCENT, formatted
from tollkeeper.sandbox.stripe.posts import check_origin, read_form
from tollkeeper.sandbox.stripe.work import Work

LABELS = {
    "email": "Email",
    "card_number": "Card number",
    "expiration": "Expiration",
    "cvc": "CVC",
    "cardholder_name": "Cardholder name",
    "country": "Country",
}
DEBIT_LABELS = {"email": "Email", "iban": "IBAN", "account_holder": "Name on the account"}
PLACEHOLDER = "{CHECKOUT_SESSION_ID}"

Step = Callable[[Request, Work, JSON, Mapping[str, str]], Response]


class Hosted:
    """``begin`` opens a unit of work; ``done`` is told after one that may have caused events."""

    def __init__(self, begin: Callable[[], Work], done: Callable[[], None]) -> None:
        self._begin = begin
        self._done = done
        checkout, bank, debit = "/c/pay/{id}", "/c/pay/{id}/authenticate", "/c/pay/{id}/debit"
        self.routes = [
            Route(checkout, self._page(_offering("card", _checkout)), methods=["GET"]),
            Route(checkout, self._page(_offering("card", _pay)), methods=["POST"]),
            Route(bank, self._page(_bank), methods=["GET"]),
            Route(bank, self._page(_answer_bank), methods=["POST"]),
            Route(debit, self._page(_offering(DEBIT, _debit)), methods=["GET"]),
            Route(debit, self._page(_offering(DEBIT, _pay_by_debit)), methods=["POST"]),
        ]

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
            return step(request, work, session, form)


def _offering(type_: str, step: Step) -> Step:
    """The step for sessions that can be paid this way; others lead to the page that they can be paid on."""

    def offered(request: Request, work: Work, session: JSON, form: Mapping[str, str]) -> Response:
        if _page_for(type_, session):
            return step(request, work, session, form)
        return RedirectResponse(_page_for(session["payment_method_types"][0], session), 303)

    return offered


def _page_for(type_: str, session: JSON) -> str:
    """Where this session is paid with this type of payment method; empty if it cannot be."""
    if type_ not in session["payment_method_types"]:
        return ""
    return f"/c/pay/{session['id']}" + ("/debit" if type_ == DEBIT else "")


def address(session: JSON, name: str) -> str:
    """The merchant's address, with the checkout session's id where its template asks for it.

    Without an address for success, as a Payment Link may be, it is the session's own page.
    """
    template: str = session[name] or f"/c/pay/{session['id']}"
    return template.replace(PLACEHOLDER, session["id"])


def _checkout(request: Request, work: Work, session: JSON, _form: Mapping[str, str]) -> Response:
    buyer = work.ledger.hidden(session["id"]).get("buyer", {})
    values = {
        "email": buyer.get("email", ""),
        "cardholder_name": buyer.get("name", ""),
        "country": buyer.get("country", "US"),
    }
    return _form_page(request, work, session, values, payments.errors_of(payments.of_session(work, session)))


def _pay(request: Request, work: Work, session: JSON, values: Mapping[str, str]) -> Response:
    form = card_form.read(values, _known_email(work, session), work.now)
    if form.errors:
        return _form_page(request, work, session, card_form.kept(values), form.errors, status=422)
    payment = payments.confirm(work, session, form)
    if payment["status"] == payments.AUTHENTICATE:
        return RedirectResponse(f"{request.url.path}/authenticate", 303)
    if payment["status"] == payments.PAID:
        return RedirectResponse(address(session, "success_url"), 303)
    return _form_page(request, work, session, card_form.kept(values), payments.errors_of(payment), status=402)


def _form_page(
    request: Request,
    work: Work,
    session: JSON,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    status: int = 200,
) -> Response:
    return render(
        request,
        "checkout.html",
        status,
        **_summary(work, session),
        values=values,
        errors=errors,
        labels=LABELS,
        known_email=_known_email(work, session),
        countries=COUNTRIES,
        debit=_page_for(DEBIT, session),
        cards=[(BY_NUMBER[number].spaced, words) for number, words in SUGGESTED],
    )


def _debit(request: Request, work: Work, session: JSON, _form: Mapping[str, str]) -> Response:
    buyer = work.ledger.hidden(session["id"]).get("buyer", {})
    values = {"email": buyer.get("email", ""), "account_holder": buyer.get("name", "")}
    return _debit_page(request, work, session, values, {})


def _pay_by_debit(request: Request, work: Work, session: JSON, values: Mapping[str, str]) -> Response:
    form = debit_form.read(values, _known_email(work, session))
    if form.errors:
        return _debit_page(request, work, session, debit_form.kept(values), form.errors, status=422)
    bank_debits.debit(work, session, form)
    return RedirectResponse(address(session, "success_url"), 303)


def _debit_page(
    request: Request,
    work: Work,
    session: JSON,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    status: int = 200,
) -> Response:
    return render(
        request,
        "checkout_debit.html",
        status,
        **_summary(work, session),
        values=values,
        errors=errors,
        labels=DEBIT_LABELS,
        known_email=_known_email(work, session),
        card=_page_for("card", session),
        accounts=[(spaced(iban), one.words) for iban, one in IBANS.items()],
    )


def _known_email(work: Work, session: JSON) -> str | None:
    """The e-mail address that the merchant gave: what the form begins with."""
    customer = work.ledger.find(session["customer"]) if session["customer"] else None
    email: str | None = (customer or {}).get("email") or session["customer_email"]
    return email


def _summary(work: Work, session: JSON) -> dict[str, Any]:
    """What is bought, with the tax that paying will add."""
    items = work.ledger.hidden(session["id"])["line_items"]
    taxed = session["automatic_tax"]["enabled"]
    sums = amounts(items, session, taxed)
    currency = session["currency"]
    return {
        "merchant": NAME,
        "cancel": address(session, "cancel_url") if session["cancel_url"] else None,
        "lines": [
            (item["description"], item["quantity"], formatted(item["amount_subtotal"], currency)) for item in items
        ],
        "subtotal": formatted(sums["amount_subtotal"], currency),
        "tax": formatted(sums["total_details"]["amount_tax"], currency) if taxed else None,
        "tax_percent": TAX_PERCENT,
        "tax_included": sums["amount_total"] == sums["amount_subtotal"],
        "total": formatted(sums["amount_total"], currency),
    }


def _bank(request: Request, work: Work, session: JSON, _form: Mapping[str, str]) -> Response:
    if not _asked(work, session):
        return RedirectResponse(f"/c/pay/{session['id']}", 303)
    return render(request, "authenticate.html", **_summary(work, session))


def _answer_bank(request: Request, work: Work, session: JSON, form: Mapping[str, str]) -> Response:
    payment = _asked(work, session)
    back = RedirectResponse(f"/c/pay/{session['id']}", 303)
    if payment is None:
        return back
    if form.get("answer") != "complete":
        payments.authentication_failed(work, payment)
        return back
    paid = payments.authenticated(work, session, payment)["status"] == payments.PAID
    return RedirectResponse(address(session, "success_url"), 303) if paid else back


def _asked(work: Work, session: JSON) -> JSON | None:
    """The payment that waits for the buyer's bank."""
    payment = payments.of_session(work, session)
    return payment if payment and payment["status"] == payments.AUTHENTICATE else None


def _closed(request: Request, session: JSON) -> Response:
    if session["status"] == "complete":
        words = "This checkout has been completed, and you were charged once."
        if session["payment_status"] != "paid":
            words = "This checkout has been completed. The money is not there yet: your bank has the last word."
        back = address(session, "success_url") if session["success_url"] else None
        return _message(request, 200, "You’re all done here", words, back)
    words = "This checkout has expired. Nothing was charged."
    back = address(session, "cancel_url") if session["cancel_url"] else None
    return _message(request, 410, "This checkout has timed out", words, back)


def _message(request: Request, status: int, heading: str, words: str, back: str | None = None) -> Response:
    link = (back, "Return to the merchant") if back else None
    return render(request, "message.html", status, heading=heading, words=words, link=link)
