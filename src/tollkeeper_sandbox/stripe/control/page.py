"""The control page: what the sandbox is, what happened in it, each object and delivery in full, and receipts."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tollkeeper_sandbox.pages import render
from tollkeeper_sandbox.stripe.control.subscription_actions import MOVES
from tollkeeper_sandbox.stripe.engine import clock, faults, settings
from tollkeeper_sandbox.stripe.engine.events import API_VERSION
from tollkeeper_sandbox.stripe.engine.ledger import JSON, Ledger
from tollkeeper_sandbox.stripe.engine.periods import moment, spoken
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.cards import BRANDS, CARDS, SUGGESTED, Card
from tollkeeper_sandbox.stripe.known.ibans import IBANS, spaced
from tollkeeper_sandbox.stripe.known.money import TAX_PERCENT, formatted, plain
from tollkeeper_sandbox.stripe.objects import accounts, disputes, invoices, refunds, standing

SHOWN = 20
LATER_FATES = {
    "succeeded": "",
    "pending": "; a refund is pending for a while",
    "failed": "; a refund succeeds, then fails",
    "fraudulent": ", and is disputed as fraudulent",
    "product_not_received": ", and is disputed as not received",
    "inquiry": ", and the bank inquires",
}
FAULTS = {
    "error": "answer {status}",
    "rate_limit": "answer 429, with Retry-After: {seconds:g}",
    "hang": "hang {seconds:g} seconds",
    "drop": "drop the connection",
    "lose": "lose",
    "duplicate": "send twice",
    "delay": "send {seconds:g} seconds late",
    "reorder": "gather for {seconds:g} seconds, and send in reverse",
    "wrong_mode": "send as if in live mode",
}
SUBSCRIPTION_TONES = {
    "active": "badge-good",
    "trialing": "badge-good",
    "unpaid": "badge-bad",
    "canceled": "",
    "incomplete_expired": "",
}
UNPAID = {"canceled": "cancel it", "unpaid": "mark it unpaid", "past_due": "leave it past due"}
DRAFT_TIMES = {
    "0": "not at all",
    "3600": "an hour",
    "259200": "three days",
    settings.NEVER: "for good: it cannot be taxed",
}
PORTAL_STATES = {"yes": "yes", "no": "no: it has no default configuration"}
ISSUER_STATES = {"up": "up", "down": "down: it answers 503", "no_keys": "up, but without a signing key"}
DEBIT_TIMES = {settings.AS_TESTED: "as its test number says", "432000": "five days", "1209600": "two weeks"}
INVOICE_TONES = {"paid": "badge-good", "open": "badge-wait", "uncollectible": "badge-bad"}
INVOICE_MOVES = {
    "draft": {"finalize": "Finalize it"},
    "open": {"void": "Void it", "uncollectible": "Mark it uncollectible"},
    "uncollectible": {"void": "Void it"},
}
DELIVERIES = """
SELECT d.id, d.event, d.endpoint, d.created, d.next_at, d.delivered,
    json_extract(e.body, '$.type') AS type, json_extract(w.body, '$.url') AS url,
    (SELECT count(*) FROM tries t WHERE t.delivery = d.id) AS tries,
    (SELECT group_concat(f.effect, ', ') FROM faulted f WHERE f.delivery = d.id) AS faults
FROM deliveries d JOIN objects e ON e.id = d.event JOIN objects w ON w.id = d.endpoint
"""


class Control:
    def __init__(self, begin: Callable[[], Work], gated_app: str) -> None:
        self._begin = begin
        self._gated_app = gated_app
        self.routes = [
            Route("/", self.home, methods=["GET"]),
            Route("/control/objects/{id}", self.an_object, methods=["GET"]),
            Route("/control/deliveries/{id}", self.a_delivery, methods=["GET"]),
            Route("/receipts/{id}", self.a_receipt, methods=["GET"]),
        ]

    async def home(self, request: Request) -> Response:
        work = self._begin()
        with work.ledger.transaction():
            return render(request, "control.html", gated_app=self._gated_app, **_overview(work))

    async def an_object(self, request: Request) -> Response:
        ledger = self._begin().ledger
        found = ledger.find(request.path_params["id"])
        if found is None:
            return _nothing(request)
        text = json.dumps(found, indent=2, ensure_ascii=False)
        deliveries = _deliveries(ledger, "WHERE d.event = ?", found["id"])
        more = DETAILS[found["object"]](ledger, found) if found["object"] in DETAILS else {}
        return render(request, "object.html", object=found, json=text, deliveries=deliveries, **more)

    async def a_delivery(self, request: Request) -> Response:
        ledger = self._begin().ledger
        found = _deliveries(ledger, "WHERE d.id = ?", request.path_params["id"])
        if not found:
            return _nothing(request)
        tries = ledger.rows("SELECT * FROM tries WHERE delivery = ? ORDER BY at", found[0]["id"])
        shown = [{**dict(one), "at": moment(one["at"])} for one in tries]
        return render(request, "delivery.html", delivery=found[0], tries=shown)

    async def a_receipt(self, request: Request) -> Response:
        charge = self._begin().ledger.find(request.path_params["id"], "charge")
        if charge is None or not charge["paid"]:
            return _nothing(request)
        return render(request, "receipt.html", charge=_payment(charge), merchant=accounts.NAME)


def _overview(work: Work) -> dict[str, Any]:
    ledger = work.ledger
    return {
        "api": work.base_url,
        "account": accounts.current(work),
        "tax_is_active": accounts.tax_is_active(work),
        "cards": [_card(card) for card in CARDS],
        "accounts": [(spaced(iban), one.words) for iban, one in IBANS.items()],
        "tax_percent": TAX_PERCENT,
        "version": API_VERSION,
        "payments": [_listed(ledger, one) for one in ledger.page("payment_intent", (), {}, SHOWN)],
        "subscriptions": [_subscribed(ledger, one) for one in ledger.page("subscription", (), {}, SHOWN)],
        "settings": settings.shown(ledger),
        "unpaid_outcomes": UNPAID,
        "draft_times": DRAFT_TIMES,
        "debit_times": DEBIT_TIMES,
        "portal_states": PORTAL_STATES,
        "issuer_states": ISSUER_STATES,
        "customers": [_dated(one) for one in ledger.page("customer", (), {}, SHOWN)],
        "events": [_dated(one) for one in ledger.page("event", (), {}, SHOWN)],
        "endpoints": [_dated(one) for one in ledger.page("webhook_endpoint", (), {}, SHOWN)],
        "deliveries": _deliveries(ledger, f"ORDER BY d.rowid DESC LIMIT {SHOWN}"),
        "faults": [_fault(one) for one in faults.active(ledger)],
        "ahead": timedelta(seconds=clock.ahead(ledger)),
        "now": moment(work.now),
        "shown": SHOWN,
    }


def _listed(ledger: Ledger, body: JSON) -> JSON:
    return {**_payment(body), **_state(body, _charge(ledger, body))}


def _charge(ledger: Ledger, body: JSON) -> JSON | None:
    return ledger.find(body["latest_charge"]) if body["latest_charge"] else None


def _paid(ledger: Ledger, body: JSON) -> JSON:
    """Return a payment with its refunds and disputes."""
    charge = _charge(ledger, body)
    left = charge["amount"] - charge["amount_refunded"] if charge and charge["paid"] else 0
    of_charge = {"charge": charge["id"] if charge else None}
    return {
        **_listed(ledger, body),
        "refunds": [_payment(one) for one in ledger.page("refund", refunds.OF_CHARGE, of_charge, SHOWN)],
        "disputes": [_contest(one) for one in ledger.page("dispute", disputes.OF_CHARGE, of_charge, SHOWN)],
        "left": formatted(left, body["currency"]) if left else None,
        "left_plain": plain(left, body["currency"]),
    }


def _subscribed(ledger: Ledger, body: JSON) -> JSON:
    """Return a subscription with what happens next, and its possible actions."""
    items = body["items"]["data"]
    sums = sum(item["price"]["unit_amount"] * item["quantity"] for item in items)
    product = ledger.find(items[0]["price"]["product"]) or {}
    over = body["status"] in standing.ENDED
    renews = body["status"] in standing.RENEWING
    return {
        **_dated(body),
        "name": product.get("name", items[0]["price"]["product"]),
        "sum": f"{formatted(sums, body['currency'])} {spoken(items[0]['price']['recurring'])}",
        "state": body["status"].replace("_", " "),
        "tone": SUBSCRIPTION_TONES.get(body["status"], "badge-wait"),
        "until": _until(body) if renews else "",
        "moves": {} if over else {name: words for name, words in MOVES.items() if _makes_sense(name, body)},
    }


def _makes_sense(move: str, body: JSON) -> bool:
    if move == "renew":
        return body["status"] in standing.RENEWING
    return bool(move != "debit" or body["currency"] == "eur")


def _until(body: JSON) -> str:
    end = standing.period_of(body)[1]
    if body["cancel_at"] is not None and body["cancel_at"] <= end:
        return f"ends {moment(body['cancel_at'])}"
    return f"renews {moment(end)}"


def _billed(ledger: Ledger, body: JSON) -> JSON:
    """Return an invoice with the reason why it is not finalized, its payment, and its possible actions."""
    error = body["last_finalization_error"] or {}
    links = ledger.page("invoice_payment", invoices.OF_INVOICE, {"invoice": body["id"]}, 1)
    return {
        **_dated(body),
        "sum": formatted(body["total"], body["currency"]),
        "tone": INVOICE_TONES.get(body["status"], ""),
        "trouble": error.get("message", ""),
        "payment": links[0]["payment"]["payment_intent"] if links else None,
        "pay": body["hosted_invoice_url"] if body["status"] == "open" else None,
        "moves": INVOICE_MOVES.get(body["status"], {}),
    }


def _with_invoices(ledger: Ledger, body: JSON) -> dict[str, Any]:
    of_this = ledger.page("invoice", standing.OF_SUBSCRIPTION, {"subscription": body["id"]}, SHOWN)
    return {"subscription": _subscribed(ledger, body), "invoices": [_billed(ledger, one) for one in of_this]}


DETAILS: dict[str, Callable[[Ledger, JSON], dict[str, Any]]] = {
    "invoice": lambda ledger, body: {"invoices": [_billed(ledger, body)]},
    "payment_intent": lambda ledger, body: {"payment": _paid(ledger, body)},
    "subscription": _with_invoices,
}


def _contest(body: JSON) -> JSON:
    """Return a dispute with its possible actions."""
    status, inquiry = body["status"], disputes.is_inquiry(body)
    moves = {"review": "Send evidence"} if status in disputes.UNANSWERED else {}
    if status in disputes.OPEN:
        moves |= {"lose": "Close it", "escalate": "Escalate it"} if inquiry else {"win": "Win it", "lose": "Lose it"}
    tones = {"won": "badge-good", "lost": "badge-bad", "warning_closed": ""}
    words = {"noun": "Inquiry" if inquiry else "Dispute", "state": status.removeprefix("warning_").replace("_", " ")}
    return {**_payment(body), **words, "tone": tones.get(status, "badge-wait"), "moves": moves}


def _state(body: JSON, charge: JSON | None) -> JSON:
    """Return the payment's state in plain words, and its badge."""
    if charge and charge["disputed"]:
        return {"state": "disputed", "tone": "badge-bad"}
    if charge and charge["refunded"]:
        return {"state": "refunded", "tone": ""}
    if charge and charge["amount_refunded"]:
        return {"state": "refunded in part", "tone": "badge-wait"}
    tones = {"succeeded": "badge-good", "canceled": ""}
    return {"state": body["status"].replace("_", " "), "tone": tones.get(body["status"], "badge-wait")}


def _card(card: Card) -> JSON:
    suggested = card.number in dict(SUGGESTED)
    return {"number": card.spaced, "brand": BRANDS[card.brand], "fate": _fate(card), "suggested": suggested}


def _fate(card: Card) -> str:
    """Return what happens to a payment with this card, in a few words."""
    asked = "asks for authentication" if card.authenticate else ""
    if card.decline is None:
        pays = f"pays{LATER_FATES[card.dispute or card.refund]}"
        return f"{asked}, then {pays}" if asked else pays
    kept = "can be kept, then is " if card.attaches else ""
    refused = f"{kept}declined: {card.decline.decline_code.replace('_', ' ')}"
    return f"{asked}, then {refused}" if asked else refused


def _fault(fault: faults.Fault) -> JSON:
    """Return a fault in plain words."""
    call = fault.path if fault.method == "*" else f"{fault.method} {fault.path}"
    about = fault.event if fault.effect in faults.EVENTS else call
    when = " after doing the work" if fault.after else ""
    times = "always" if fault.times is None else f"{fault.times} more"
    return {"effect": FAULTS[fault.effect].format(**fault.shown()) + when, "about": about, "times": times}


def _dated(body: JSON) -> JSON:
    return {**body, "at": moment(body["created"])}


def _payment(body: JSON) -> JSON:
    return {**_dated(body), "sum": formatted(body["amount"], body["currency"])}


def _deliveries(ledger: Ledger, which: str, *values: object) -> list[JSON]:
    return [{**dict(row), "at": moment(row["created"])} for row in ledger.rows(DELIVERIES + which, *values)]


def _nothing(request: Request) -> Response:
    return _message(request, 404, "Not found", "There is nothing with this id in the sandbox.")


def _message(request: Request, status: int, heading: str, words: str) -> Response:
    return render(request, "message.html", status, heading=heading, words=words, link=("/", "To the control page"))
