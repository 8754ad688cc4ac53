"""Invoices: drafted, finalized, and paid or not (https://docs.stripe.com/invoicing/overview#invoice-statuses).

A renewal's invoice is a draft for an hour. If it cannot be collected, it is retried after 3, 5 and 7 days.
"""

from collections.abc import Sequence

from tollkeeper_sandbox.stripe.engine import settings
from tollkeeper_sandbox.stripe.engine.errors import DOCS, ApiError, Declined, invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params, page_within
from tollkeeper_sandbox.stripe.engine.nesting import list_of
from tollkeeper_sandbox.stripe.engine.periods import DAY, months_after
from tollkeeper_sandbox.stripe.engine.shapes import make, part
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import charges, debits, invoice_lines, payment_methods, standing
from tollkeeper_sandbox.stripe.objects.accounts import NAME, tax_is_active

KIND, PAYMENT = "invoice", "invoice_payment"
HOUR = 3600
RETRIES = (3 * DAY, 5 * DAY, 7 * DAY)  # after the first, second and third attempt
FIRST = "subscription_create"
NOT_OPEN = "You can only pass in open invoices. This invoice isn't open."
NO_PLACE = "customer_tax_location_invalid"
NO_PLACE_WORDS = (
    "The customer's location isn't recognized. Set a valid customer address in order to automatically calculate tax."
)
OF_INVOICE = ("json_extract(body, '$.invoice') = :invoice",)


def draft(work: Work, subscription: JSON, lines: Sequence[JSON], reason: str, *, advance: bool = True) -> JSON:
    """Create an invoice with these lines. It is finalized automatically if ``advance`` is true."""
    invoice = composed(work, subscription, lines, reason)
    invoice["auto_advance"] = advance
    if reason == "subscription_cycle" and advance:
        seconds = draft_seconds(work)
        invoice["automatically_finalizes_at"] = invoice["next_payment_attempt"] = work.now + seconds
        work.later(invoice["id"], "finalized", seconds)
    return work.add(invoice)


def draft_seconds(work: Work) -> int:
    """Return how long a renewal stays a draft. If that is forever, it shows after the usual hour."""
    seconds = settings.seconds_of(work.ledger, "drafts")
    return HOUR if seconds is None else seconds


def composed(work: Work, subscription: JSON, lines: Sequence[JSON], reason: str, coupon: JSON | None = None) -> JSON:
    """Return a draft that is not stored, with the discount that this ``coupon`` would give."""
    customer = work.get("customer", subscription["customer"])
    id_ = work.new_id("in")
    discount = (work.new_id("di"), coupon) if coupon else _discount(work, subscription)
    taxed = subscription["automatic_tax"]["enabled"]
    sums = invoice_lines.priced(work, lines, discount, taxed=taxed and tax_is_active(work))
    held = [{**line, "invoice": id_} for line in sums.pop("lines")]
    period = standing.period_of(subscription)
    return make(
        KIND,
        id=id_,
        account_country="DE",
        account_name=NAME,
        **_due(sums["total"], customer["balance"]),
        amount_overpaid=0,
        amount_paid=0,
        amount_shipping=0,
        attempt_count=0,
        attempted=False,
        automatic_tax={**_of_tax(taxed), "status": "complete" if taxed else None},
        billing_reason=reason,
        collection_method="charge_automatically",
        created=work.now,
        currency=subscription["currency"],
        customer=customer["id"],
        customer_address=customer["address"],
        customer_email=customer["email"],
        customer_name=customer["name"],
        customer_phone=customer["phone"],
        customer_shipping=customer["shipping"],
        customer_tax_exempt=customer["tax_exempt"],
        customer_tax_ids=[],
        default_payment_method=None,
        default_tax_rates=[],
        discounts=[discount[0]] if discount else [],
        issuer={"type": "self"},
        lines=list_of(f"/v1/invoices/{id_}/lines", held),
        livemode=False,
        metadata={},
        parent={
            "type": "subscription_details",
            "subscription_details": {"metadata": subscription["metadata"], "subscription": subscription["id"]},
        },
        payment_settings={},
        period_end=work.now,
        period_start=work.now if reason == FIRST else min(period[0], work.now),
        post_payment_credit_notes_amount=0,
        pre_payment_credit_notes_amount=0,
        status="draft",
        status_transitions={},
        test_clock=customer["test_clock"],
        total_pretax_credit_amounts=[],
        **sums,
    )


def _of_tax(enabled: bool) -> JSON:
    return {"enabled": True, "liability": {"type": "self"}, "provider": "stripe"} if enabled else {"enabled": False}


def _due(total: int, balance: int) -> JSON:
    """Return the amount due.

    A negative balance is a credit, which is used first; what is owed to customers adds to it.
    """
    left = total + balance
    return {
        "amount_due": max(left, 0),
        "amount_remaining": max(left, 0),
        "starting_balance": balance,
        "ending_balance": None,
    }


def _discount(work: Work, subscription: JSON) -> tuple[str, JSON] | None:
    """Return the current discount, with its coupon as it was when it was applied."""
    for id_ in subscription["discounts"]:
        given = work.get("discount", id_)
        if given["end"] is None or given["end"] > work.now:
            return id_, work.ledger.hidden(id_)["coupon"]
    return None


def discount_of(work: Work, subscription: str, customer: str, coupon: JSON, code: str | None) -> JSON:
    """Apply a coupon to a subscription for the coupon's duration."""
    months = coupon["duration_in_months"]
    given = make(
        "discount",
        id=work.new_id("di"),
        customer=customer,
        end=months_after(work.now, months) if months else None,
        promotion_code=code,
        source={"type": "coupon", "coupon": coupon["id"]},
        start=work.now,
        subscription=subscription,
    )
    work.ledger.add(given, {"coupon": coupon})
    work.emit("customer.discount.created", given)
    return given


def label_lines(work: Work, subscription: JSON) -> None:
    """Let the lines of subscription items show the subscription's current metadata."""
    for invoice in standing.invoices_of(work, subscription):
        of_items = [line for line in invoice["lines"]["data"] if line["parent"]["subscription_item_details"]]
        for line in of_items:
            line["metadata"] = subscription["metadata"]
        if of_items:
            work.ledger.save(invoice)


def list_lines(work: Work, params: Params, id_: str) -> JSON:
    """Return all lines; the invoice itself has only the first ten."""
    lines = work.get(KIND, id_)["lines"]
    return page_within(lines["data"], params, lines["url"])


def finalize(work: Work, invoice: JSON, payment: JSON | None = None) -> JSON:
    """Finalize an invoice. If it costs nothing, it is paid; otherwise it gets a payment intent, unless it has one."""
    work.not_later(invoice["id"])
    invoice = {**invoice, **work.ledger.hidden(invoice["id"]), "last_finalization_error": None}
    customer = work.get("customer", invoice["customer"])
    number, balance = customer["next_invoice_sequence"], 0 if payment else customer["balance"]
    left = invoice["total"] + balance
    kept = customer["balance"] if payment else min(left, 0)
    work.ledger.save({**customer, "next_invoice_sequence": number + 1, "balance": kept})
    _use_up(work, invoice)
    page = f"{work.base_url}/i/{invoice['id']}"
    invoice = {
        **invoice,
        **_due(invoice["total"], balance),
        "ending_balance": kept,
        "automatically_finalizes_at": None,
        "next_payment_attempt": None,
        "effective_at": work.now,
        "hosted_invoice_url": page,
        "invoice_pdf": f"{page}/pdf",
        "number": f"{customer['invoice_prefix']}-{number:04}",
        "status": "open",
        "status_transitions": {**invoice["status_transitions"], "finalized_at": work.now},
    }
    work.ledger.save(invoice)
    work.emit("invoice.finalized", invoice)
    if not invoice["amount_due"]:
        return paid(work, {**invoice, "attempted": True})
    payment = payment or work.add(_intent(work, invoice))
    _link(work, invoice, payment)
    return invoice


def _use_up(work: Work, invoice: JSON) -> None:
    """End a coupon with duration ``once`` after it has reduced an invoice."""
    for used in invoice["total_discount_amounts"]:
        subscription = standing.of_invoice(work, invoice)
        if subscription and work.ledger.hidden(used["discount"])["coupon"]["duration"] == "once":
            left = [one for one in subscription["discounts"] if one != used["discount"]]
            work.ledger.save({**subscription, "discounts": left})


def _intent(work: Work, invoice: JSON) -> JSON:
    words = "Subscription creation" if invoice["billing_reason"] == FIRST else "Subscription update"
    types = ["card", debits.TYPE] if invoice["currency"] == "eur" else ["card"]
    return charges.intent_of(
        work,
        amount=invoice["amount_due"],
        currency=invoice["currency"],
        customer=invoice["customer"],
        description=words,
        payment_method_options={"card": {"request_three_d_secure": "automatic"}},
        payment_method_types=types,
        setup_future_usage="off_session",
    )


def _link(work: Work, invoice: JSON, payment: JSON) -> None:
    link = make(
        PAYMENT,
        id=work.new_id("inpay"),
        amount_requested=invoice["amount_due"],
        created=work.now,
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        livemode=False,
        payment={"type": "payment_intent", "payment_intent": payment["id"]},
        status="open",
        status_transitions={},
    )
    work.ledger.add(link)


def links(work: Work, invoice: JSON) -> list[JSON]:
    return work.ledger.page(PAYMENT, OF_INVOICE, {"invoice": invoice["id"]}, -1)


def payments_of(work: Work, invoice: JSON) -> JSON:
    """Return what `expand` puts into an invoice: its payments."""
    return list_of("/v1/invoice_payments", links(work, invoice))


def secret_of(work: Work, invoice: JSON) -> JSON | None:
    """Return what `expand` puts into an invoice: the secret to pay it in the buyer's browser."""
    payment = payment_of(work, invoice)
    return {"client_secret": payment["client_secret"], "type": "payment_intent"} if payment else None


def payment_of(work: Work, invoice: JSON) -> JSON | None:
    """Return the payment intent of a finalized invoice that costs something."""
    found = links(work, invoice)
    return work.ledger.find(found[0]["payment"]["payment_intent"]) if found else None


def invoice_of(work: Work, payment: str) -> JSON | None:
    """Return the invoice that a payment intent is for."""
    where = ("json_extract(body, '$.payment.payment_intent') = :payment",)
    found = work.ledger.page(PAYMENT, where, {"payment": payment}, 1)
    return work.ledger.find(found[0]["invoice"]) if found else None


def method_for(work: Work, invoice: JSON) -> JSON | None:
    """Return the payment method for an invoice: the subscription's, or else its customer's."""
    subscription = standing.of_invoice(work, invoice)
    customer = work.get("customer", invoice["customer"])
    known = (subscription or {}).get("default_payment_method") or payment_methods.default_of(customer)
    method = work.ledger.find(known) if known else None
    return method if method and method["customer"] else None


def collect(work: Work, invoice: JSON, method: JSON | None, *, automatic: bool = True, present: bool = False) -> JSON:
    """Try to collect a finalized invoice. If the buyer is ``present``, their bank has asked them, if it does so.

    After the first attempt only the automatic ones count.
    """
    counts = automatic or not invoice["attempt_count"]
    invoice = {**invoice, "attempted": True, "attempt_count": invoice["attempt_count"] + counts}
    payment = payment_of(work, invoice)
    if method is None or payment is None:
        return _not_paid(work, invoice, automatic=automatic)
    if method["type"] == debits.TYPE:
        return _debited(work, invoice, payment, method, automatic=automatic)
    card = payment_methods.card_behind(work, method)
    if card.always and not present:
        there = {"return_url": invoice["hosted_invoice_url"], "url": f"{invoice['hosted_invoice_url']}/authenticate"}
        charges.ask(work, {**payment, "customer": invoice["customer"]}, method, there)
        work.emit("invoice.payment_action_required", invoice)
        return _not_paid(work, invoice, automatic=automatic)
    payment = charges.charge(work, payment, method, card, invoice["customer"])
    if payment["status"] != charges.PAID:
        return _not_paid(work, invoice, automatic=automatic)
    invoice = paid(work, invoice)
    charges.contest(work, payment, card)
    return invoice


def _debited(work: Work, invoice: JSON, payment: JSON, method: JSON, *, automatic: bool) -> JSON:
    """Debit a bank account. The invoice does not change until the bank has answered. Only euros can be debited."""
    if invoice["currency"] != "eur":
        return _not_paid(work, invoice, automatic=automatic)
    debits.begin(work, payment, method, invoice["customer"])
    invoice = _kept(work, {**invoice, "next_payment_attempt": None})
    work.later(invoice["id"], *debits.fate(work, method))
    standing.begun(work, invoice)
    return invoice


def _kept(work: Work, invoice: JSON, *event_types: str) -> JSON:
    """Store the invoice, and emit events of these types, and one about its changes."""
    before = work.get(KIND, invoice["id"])
    work.ledger.save(invoice)
    for type_ in event_types:
        work.emit(type_, invoice)
    if previous := {name: before[name] for name, value in invoice.items() if value != before[name]}:
        work.emit("invoice.updated", invoice, previous)
    return invoice


def paid(work: Work, invoice: JSON) -> JSON:
    work.not_later(invoice["id"])
    changes = {
        "amount_paid": invoice["amount_due"],
        "amount_remaining": 0,
        "next_payment_attempt": None,
        "status": "paid",
        "status_details": None,
        "status_transitions": {**invoice["status_transitions"], "paid_at": work.now},
    }
    invoice = _kept(work, {**invoice, **changes}, "invoice.paid", "invoice.payment_succeeded")
    for link in links(work, invoice):
        times = {**link["status_transitions"], "paid_at": work.now}
        link |= {"status": "paid", "amount_paid": link["amount_requested"], "status_transitions": times}
        work.ledger.save(link)
        work.emit("invoice_payment.paid", link)
    _note_delinquency(work, invoice, owing=False)
    standing.settled(work, invoice)
    return invoice


def _note_delinquency(work: Work, invoice: JSON, *, owing: bool) -> None:
    """Update ``delinquent`` of the customer after an invoice (https://docs.stripe.com/api/customers/object)."""
    customer = work.get("customer", invoice["customer"])
    if not customer.get("deleted"):
        work.change(customer, {"delinquent": owing})


def _not_paid(work: Work, invoice: JSON, *, automatic: bool) -> JSON:
    """Record a failed attempt, and schedule the next one, unless it was the last or the money is no longer expected."""
    tries, awaited = invoice["attempt_count"], invoice["status"] == "open"
    retried = automatic and awaited and invoice["auto_advance"] and invoice["billing_reason"] != FIRST
    if automatic and awaited:
        _note_delinquency(work, invoice, owing=True)
    if retried:
        wait = RETRIES[tries - 1] if tries <= len(RETRIES) else None
        invoice["next_payment_attempt"] = work.now + wait if wait else None
        work.not_later(invoice["id"])
        if wait:
            work.later(invoice["id"], "retried", wait)
    _kept(work, invoice, "invoice.payment_failed")
    if awaited:
        standing.failed(work, invoice)
    if retried and invoice["next_payment_attempt"] is None:
        standing.given_up(work, invoice)
    return work.get(KIND, invoice["id"])


def settle(work: Work, invoice: JSON, outcome: str) -> JSON:
    """Apply what is due: finalize a draft, try to collect an open invoice, or let the bank answer."""
    if outcome not in standing.TRIED_BY_CLOCK:
        return _answered(work, invoice, outcome)
    if invoice["status"] == "draft":
        if _without_place(work):
            return _not_finalized(work, invoice)
        invoice = finalize(work, invoice)
    return collect(work, invoice, method_for(work, invoice)) if invoice["status"] == "open" else invoice


def _answered(work: Work, invoice: JSON, outcome: str) -> JSON:
    """Apply the bank's answer to a debit: succeeded, failed or disputed."""
    work.not_later(invoice["id"])
    payment = payment_of(work, invoice)
    if payment is None or payment["status"] != debits.PROCESSING:
        return invoice
    if outcome == "failed":
        debits.failed(work, payment)
        return _not_paid(work, invoice, automatic=True)
    payment = debits.succeeded(work, payment)
    invoice = paid(work, invoice)
    if outcome == "disputed":
        debits.dispute(work, payment)
    return invoice


def _without_place(work: Work) -> bool:
    """Return whether no renewal can be finalized, as if the customer's location were unknown."""
    return settings.of(work.ledger, "drafts") == settings.NEVER


def _not_finalized(work: Work, invoice: JSON) -> JSON:
    """Leave the invoice a draft until somebody acts: https://docs.stripe.com/tax/customer-locations#finalizing-invoices."""
    error = {
        "code": NO_PLACE,
        "doc_url": f"{DOCS}{NO_PLACE.replace('_', '-')}",
        "message": NO_PLACE_WORDS,
        "type": "invalid_request_error",
    }
    work.ledger.hide(invoice["id"], {"automatic_tax": invoice["automatic_tax"], "auto_advance": True})
    changes = {
        "auto_advance": False,
        "automatic_tax": part(KIND, "automatic_tax", {**_of_tax(True), "status": "requires_location_inputs"}),
        "automatically_finalizes_at": None,
        "last_finalization_error": part(KIND, "last_finalization_error", error),
        "next_payment_attempt": None,
    }
    return _kept(work, {**invoice, **changes}, "invoice.finalization_failed")


def pay(work: Work, params: Params, id_: str) -> JSON:
    """https://docs.stripe.com/api/invoices/pay: a draft is finalized first; a decline has the bank's reason."""
    invoice = work.get(KIND, id_)
    work = work.on_clock_of(invoice)
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid")
    if invoice["status"] == "void":
        raise invalid("This invoice can no longer be paid.")
    _check_not_processing(work, invoice, "paid")
    if invoice["status"] == "draft":
        invoice = finalize(work, _checked(work, invoice))
        if invoice["status"] == "paid":
            return invoice
    if params.get("paid_out_of_band"):
        _cancel_payment(work, invoice)
        return paid(work, invoice)
    customer = work.get("customer", invoice["customer"])
    method = method_for(work, invoice)
    if "payment_method" in params:
        method = payment_methods.given(work, params["payment_method"], customer, "payment_method")
    if method is None:
        raise nothing_to_pay_with()
    invoice = collect(work, invoice, method, automatic=False)
    if invoice["status"] != "paid" and not _is_processing(work, invoice):
        raise declined(work, invoice)
    return invoice


def _is_processing(work: Work, invoice: JSON) -> bool:
    payment = payment_of(work, invoice)
    return payment is not None and payment["status"] == debits.PROCESSING


def _check_not_processing(work: Work, invoice: JSON, wanted: str) -> None:
    if _is_processing(work, invoice):
        message = f"The payment of this invoice is processing; it cannot be {wanted} until the bank has answered."
        raise invalid(message, code="payment_intent_unexpected_state")


def nothing_to_pay_with() -> ApiError:
    message = (
        "This customer has no attached payment source or default payment method. Please consider adding a default "
        "payment method. For more information, visit "
        "https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority."
    )
    return invalid(message, code="resource_missing")


def declined(work: Work, invoice: JSON) -> Declined:
    """Return the bank's answer to the last attempt as an error."""
    payment = payment_of(work, invoice) or {}
    error = payment.get("last_payment_error") or {}
    asking = payment.get("status") == charges.AUTHENTICATE
    message = "Payment for this subscription requires additional user action before it can be completed successfully."
    return Declined(
        402,
        message if asking else error.get("message", "The payment failed."),
        type_="card_error",
        code="subscription_payment_intent_requires_action" if asking else error.get("code"),
        decline_code=error.get("decline_code"),
    )


def finalize_one(work: Work, _params: Params, id_: str) -> JSON:
    invoice = work.get(KIND, id_)
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    return finalize(work.on_clock_of(invoice), _checked(work, invoice))


def _checked(work: Work, invoice: JSON) -> JSON:
    """Check that a draft can be finalized: only one whose automatic finalization failed cannot."""
    if invoice["last_finalization_error"] and _without_place(work):
        raise invalid(NO_PLACE_WORDS, code=NO_PLACE)
    return invoice


def void(work: Work, _params: Params, id_: str) -> JSON:
    invoice = work.get(KIND, id_)
    if invoice["status"] == "paid":
        raise invalid("Invoices with `paid` payments cannot be voided.")
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid(NOT_OPEN)
    work = work.on_clock_of(invoice)
    _check_not_processing(work, invoice, "voided")
    invoice = voided(work, invoice)
    standing.dropped(work, invoice)
    return invoice


def voided(work: Work, invoice: JSON) -> JSON:
    work.not_later(invoice["id"])
    _cancel_payment(work, invoice)
    return _kept(work, _closed(work, invoice, "void", "voided_at"), "invoice.voided")


def mark_uncollectible(work: Work, _params: Params, id_: str) -> JSON:
    invoice = work.get(KIND, id_)
    if invoice["status"] == "uncollectible":
        raise invalid("This invoice has already been marked uncollectible.")
    if invoice["status"] != "open":
        raise invalid(NOT_OPEN)
    work = work.on_clock_of(invoice)
    invoice = uncollectible(work, invoice, "user_forgiven")
    _note_delinquency(work, invoice, owing=False)
    standing.dropped(work, invoice)
    return invoice


def uncollectible(work: Work, invoice: JSON, reason: str) -> JSON:
    """Mark an invoice as uncollectible. It can still be paid, and a bank that was already asked still answers."""
    work.not_later(invoice["id"], *standing.TRIED_BY_CLOCK)
    details = part(KIND, "status_details", {"uncollectible": {"reason": reason}})
    invoice = {**_closed(work, invoice, "uncollectible", "marked_uncollectible_at"), "status_details": details}
    return _kept(work, invoice, "invoice.marked_uncollectible")


def _closed(work: Work, invoice: JSON, status: str, moment: str) -> JSON:
    times = {**invoice["status_transitions"], moment: work.now}
    closed: JSON = {"status": status, "status_details": None, "status_transitions": times, "next_payment_attempt": None}
    return {**invoice, **closed}


def _cancel_payment(work: Work, invoice: JSON) -> None:
    payment = payment_of(work, invoice)
    if payment and payment["status"] not in (charges.PAID, "canceled"):
        charges.cancel(work, payment, "void_invoice")
