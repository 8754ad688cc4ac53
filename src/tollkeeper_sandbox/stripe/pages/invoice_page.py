"""The page of an invoice, where it can be paid (https://docs.stripe.com/invoicing/hosted-invoice-page)."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tollkeeper_sandbox.pages import render
from tollkeeper_sandbox.stripe.engine.errors import ApiError
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.periods import moment
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.money import formatted
from tollkeeper_sandbox.stripe.objects import intents, invoices, standing
from tollkeeper_sandbox.stripe.objects.accounts import NAME
from tollkeeper_sandbox.stripe.pages.billing_pages import Pages, answered, bank_page, card_page, entered

TONES = {"paid": "badge-good", "open": "badge-wait", "uncollectible": "badge-bad"}


def invoice_routes(begin: Callable[[], Work], done: Callable[[], None]) -> list[Route]:
    pages, at = Pages(invoices.KIND, begin, done), "/i/{id}"
    return [
        pages.route(at, "GET", _show),
        pages.route(f"{at}/pdf", "GET", _show),
        pages.route(f"{at}/pay", "GET", _offer),
        pages.route(f"{at}/pay", "POST", _pay),
        pages.route(f"{at}/pay/authenticate", "GET", _bank),
        pages.route(f"{at}/pay/authenticate", "POST", _answer),
    ]


def _show(request: Request, _work: Work, invoice: JSON, _form: Mapping[str, str]) -> Response:
    if invoice["status"] == "draft":
        raise ApiError(404, "There is no such invoice; it may not have been finalized yet.")
    return render(request, "invoice.html", invoice=shown(invoice), merchant=NAME)


def shown(invoice: JSON) -> JSON:
    """Return an invoice with its amounts as text."""
    currency, off = invoice["currency"], sum(one["amount"] for one in invoice["total_discount_amounts"])
    tax = sum(one["amount"] for one in invoice["total_taxes"])
    return {
        **invoice,
        "at": moment(invoice["created"]),
        "tone": TONES.get(invoice["status"], ""),
        "items": [(line["description"], formatted(line["amount"], currency)) for line in invoice["lines"]["data"]],
        "discount": formatted(off, currency) if off else None,
        "tax": formatted(tax, currency) if tax else None,
        "sum": formatted(invoice["total"], currency),
        "credit": formatted(-invoice["starting_balance"], currency) if invoice["starting_balance"] else None,
        "due": formatted(invoice["amount_remaining"], currency),
        "pay": f"/i/{invoice['id']}/pay" if invoice["status"] == "open" else None,
    }


def _offer(request: Request, work: Work, invoice: JSON, _form: Mapping[str, str]) -> Response:
    """Return the form, with the error of the last attempt."""
    if invoice["status"] != "open":
        return RedirectResponse(_page(invoice), 303)
    payment = invoices.payment_of(work, invoice)
    return card_page(request, work, _customer(work, invoice), {}, errors=intents.errors_of(payment), **_words(invoice))


def _pay(request: Request, work: Work, invoice: JSON, form: Mapping[str, str]) -> Response:
    if invoice["status"] != "open":
        return RedirectResponse(_page(invoice), 303)
    return entered(request, work, invoice, _customer(work, invoice), form, _collect, **_words(invoice))


def _bank(request: Request, work: Work, invoice: JSON, _form: Mapping[str, str]) -> Response:
    question = f"pay {formatted(invoice['amount_remaining'], invoice['currency'])} to"
    return bank_page(request, work, invoice, question, _page(invoice))


def _answer(_request: Request, work: Work, invoice: JSON, form: Mapping[str, str]) -> Response:
    return answered(work, invoice, form, _collect, f"{_page(invoice)}/pay")


def _collect(work: Work, invoice: JSON, method: JSON) -> Response:
    """Collect an invoice from this card, which its subscription uses from now on."""
    work = work.on_clock_of(invoice)
    subscription = standing.of_invoice(work, invoice)
    if subscription:
        work.change(subscription, {"default_payment_method": method["id"]})
    invoice = invoices.collect(work, invoice, method, automatic=False, present=True)
    return RedirectResponse(_page(invoice) if invoice["status"] == "paid" else f"{_page(invoice)}/pay", 303)


def _page(invoice: JSON) -> str:
    return f"/i/{invoice['id']}"


def _customer(work: Work, invoice: JSON) -> JSON:
    return work.get("customer", invoice["customer"])


def _words(invoice: JSON) -> dict[str, Any]:
    due = formatted(invoice["amount_remaining"], invoice["currency"])
    return {
        "heading": f"Pay invoice {invoice['number']}",
        "lead": f"{due} is due. The card is kept for what is due later.",
        "button": f"Pay {due}",
        "action": f"{_page(invoice)}/pay",
        "back": (_page(invoice), "Back to the invoice"),
    }
