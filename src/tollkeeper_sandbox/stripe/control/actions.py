"""The actions of the control page's forms on payments and subscriptions. Scripts can use the same addresses.

A browser is sent back to the page it came from; any other client gets the changed object as JSON.
"""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tollkeeper_sandbox.pages import render
from tollkeeper_sandbox.stripe.control import subscription_actions
from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Handler
from tollkeeper_sandbox.stripe.engine.posts import check_origin, is_browser, read_form
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.money import minor_units
from tollkeeper_sandbox.stripe.objects import bank_debits, debits, disputes, invoices, refunds
from tollkeeper_sandbox.stripe.objects.happenings import happen

Action = Callable[[Work, str, Mapping[str, str]], JSON]


class Actions:
    """The actions. ``begin`` opens a unit of work; ``done`` is called after one that may have caused events."""

    def __init__(self, begin: Callable[[], Work], done: Callable[[], None]) -> None:
        self._begin = begin
        self._done = done
        self.routes = [Route(path, self._endpoint(action), methods=["POST"]) for path, action in ACTIONS.items()]

    def _endpoint(self, action: Action) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            try:
                check_origin(request)
                changed = self._transact(action, request.path_params["id"], await read_form(request))
            except ApiError as error:
                return _refused(request, error)
            self._done()
            return _done(request, changed)

        return answer

    def _transact(self, action: Action, id_: str, form: Mapping[str, str]) -> JSON:
        work = self._begin()
        with work.ledger.transaction():
            happen(work)
            return action(work, id_, form)


def _done(request: Request, changed: JSON) -> Response:
    if is_browser(request):
        return RedirectResponse(f"/control/objects/{changed.get('payment_intent') or changed['id']}", 303)
    return JSONResponse(changed)


def _refused(request: Request, error: ApiError) -> Response:
    if not is_browser(request):
        return JSONResponse(error.body(), error.status)
    return render(request, "message.html", error.status, heading="That cannot be done", words=error.message)


def _refund(work: Work, id_: str, form: Mapping[str, str]) -> JSON:
    """Refund a payment.

    ``amount`` is as a person writes it, such as 5.00; without one, all that is left is refunded.
    """
    charge = refunds.paid_charge(work, work.get("payment_intent", id_))
    params: JSON = {"charge": charge["id"], "reason": "requested_by_customer"}
    if written := form.get("amount", "").strip():
        amount = minor_units(written, charge["currency"])
        if amount is None:
            raise invalid(f"This is no amount of {charge['currency'].upper()}: {written[:40]}", "amount")
        params["amount"] = amount
    return refunds.create(work, params, "")


def _settle_refund(status: str) -> Action:
    def settle(work: Work, id_: str, _form: Mapping[str, str]) -> JSON:
        return refunds.settle(work, work.get("refund", id_), status)

    return settle


def _dispute(work: Work, id_: str, form: Mapping[str, str]) -> JSON:
    """Dispute a payment. ``reason`` is one of Stripe's dispute reasons; by default ``fraudulent``."""
    charge = refunds.paid_charge(work, work.get("payment_intent", id_))
    reason = form.get("reason", "fraudulent")
    if reason not in disputes.REASONS:
        raise invalid(f"Invalid reason: must be one of {', '.join(disputes.REASONS)}", "reason")
    if charge["refunded"]:
        raise invalid("A payment that was refunded in full cannot be disputed.")
    return disputes.dispute(work, charge, reason)


def _review_dispute(work: Work, id_: str, _form: Mapping[str, str]) -> JSON:
    return disputes.review(work, work.get("dispute", id_))


def _settle_dispute(outcome: str) -> Action:
    def settle(work: Work, id_: str, _form: Mapping[str, str]) -> JSON:
        return disputes.settle(work, work.get("dispute", id_), outcome)

    return settle


def _settle_payment(outcome: str) -> Action:
    def settle(work: Work, id_: str, _form: Mapping[str, str]) -> JSON:
        payment = work.get("payment_intent", id_)
        if payment["status"] != debits.PROCESSING:
            raise invalid(f"This payment has a status of `{payment['status']}`; nothing about it is left to settle.")
        return bank_debits.settle(work, payment, outcome)

    return settle


def _on_invoice(call: Handler) -> Action:
    """Return an action that makes the same change to an invoice as a call of the API."""

    def act(work: Work, id_: str, _form: Mapping[str, str]) -> JSON:
        return call(work, {}, id_)

    return act


def _other_mode(work: Work, id_: str, _form: Mapping[str, str]) -> JSON:
    """From test mode to live mode, or back."""
    back = work.ledger.find(id_, "price") is None and work.from_other_mode("price", id_)
    if back:
        return back
    price = work.get_live("price", id_)
    work.to_other_mode(price)
    return price


ACTIONS: dict[str, Action] = {
    "/control/prices/{id}/other_mode": _other_mode,
    "/control/payments/{id}/refund": _refund,
    "/control/payments/{id}/succeed": _settle_payment("succeeded"),
    "/control/payments/{id}/fail": _settle_payment("failed"),
    "/control/payments/{id}/dispute": _dispute,
    "/control/disputes/{id}/review": _review_dispute,
    "/control/disputes/{id}/win": _settle_dispute("won"),
    "/control/disputes/{id}/lose": _settle_dispute("lost"),
    "/control/disputes/{id}/escalate": _settle_dispute("escalated"),
    "/control/refunds/{id}/succeed": _settle_refund("succeeded"),
    "/control/refunds/{id}/fail": _settle_refund("failed"),
    "/control/invoices/{id}/finalize": _on_invoice(invoices.finalize_one),
    "/control/invoices/{id}/void": _on_invoice(invoices.void),
    "/control/invoices/{id}/uncollectible": _on_invoice(invoices.mark_uncollectible),
    "/control/subscriptions/{id}/renew": subscription_actions.renew,
    "/control/subscriptions/{id}/fail": subscription_actions.let_fail,
    "/control/subscriptions/{id}/replace-card": subscription_actions.replace_card,
    "/control/subscriptions/{id}/debit": subscription_actions.debit,
    "/control/subscriptions/{id}/cancel": subscription_actions.cancel,
}
