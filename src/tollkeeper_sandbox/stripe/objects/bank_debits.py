"""Payment by SEPA Direct Debit: the checkout is complete at once, the money arrives or fails later.

https://docs.stripe.com/payments/sepa-debit, https://docs.stripe.com/payments/checkout/fulfillment#delayed-notification
"""

from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import debits, invoices, payment_methods, payments
from tollkeeper_sandbox.stripe.objects.debit_form import DebitForm


def debit(work: Work, session: JSON, form: DebitForm) -> JSON:
    """Accept the mandate. The session is then complete, but not paid yet."""
    buyer = {"name": form.name, "email": form.email, "country": form.iban[:2]}
    session, payment = payments.begun(work, session, buyer)
    billing = payment_methods.billing_details(form.name, form.email, form.iban[:2])
    method = debits.method_of(work, form.iban, billing)
    customer = payments.customer_for(work, session, billing)
    payment = debits.begin(work, payment, method, customer)
    work.ledger.hide(payment["id"], {"session": session["id"]})
    payments.complete(work, {**session, "customer": customer}, billing)
    work.later(payment["id"], *debits.fate(work, method))
    return payment


def settle(work: Work, payment: JSON, outcome: str) -> JSON:
    """Apply the bank's answer: succeeded, failed or disputed. A payment that is not waiting for it does not change."""
    work.not_later(payment["id"])
    if payment["status"] != debits.PROCESSING:
        return payment
    session = work.ledger.find(work.ledger.hidden(payment["id"]).get("session", ""))
    if session is None:
        invoice = invoices.invoice_of(work, payment["id"]) or {}
        invoices.settle(work.on_clock_of(invoice), invoice, outcome)
        return work.get("payment_intent", payment["id"])
    if outcome == "failed":
        payment = debits.failed(work, payment)
        work.emit("checkout.session.async_payment_failed", session)
        return payment
    payment = debits.succeeded(work, payment)
    session = {**session, "payment_status": "paid"}
    work.ledger.save(session)
    work.emit("checkout.session.async_payment_succeeded", session)
    if outcome == "disputed":
        debits.dispute(work, payment)
    return payment
