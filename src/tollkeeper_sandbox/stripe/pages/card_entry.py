"""A customer enters a card to be saved: in the customer portal, or to pay an invoice.

The card's bank is asked through a setup intent. ``owner`` is the id of the object that the card is for.
"""

from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.cards import card_of
from tollkeeper_sandbox.stripe.objects import charges, payment_methods, setups
from tollkeeper_sandbox.stripe.objects.card_form import CardForm


def enter(work: Work, owner: str, customer: str, form: CardForm, back: str) -> JSON:
    """Return a setup intent that succeeded, failed, or waits for the customer, who is asked on the page ``back``."""
    card, setup = card_of(form.number), setups.begun(work, customer)
    billing = payment_methods.billing_details(form.name, form.email, form.country)
    method = payment_methods.of_card(work, card, form.month, form.year, billing)
    if not card.authenticate:
        return setups.charge(work, setup, method, card, customer)
    work.ledger.hide(owner, {**work.ledger.hidden(owner), "setup": setup["id"]})
    return setups.ask(work, setup, method, {"return_url": back, "url": f"{back}/authenticate"})


def waiting(work: Work, owner: str) -> JSON | None:
    """Return the setup intent that waits for the customer's bank."""
    id_ = work.ledger.hidden(owner).get("setup")
    setup = work.ledger.find(id_) if id_ else None
    return setup if setup and setup["status"] == charges.AUTHENTICATE else None


def answer(work: Work, setup: JSON, *, agreed: bool) -> JSON:
    """Continue after the customer's answer to their bank, which may still decline."""
    method = work.get(payment_methods.KIND, setup["payment_method"])
    if not agreed:
        return setups.failed(work, setup, charges.unauthenticated(method))
    return setups.charge(work, setup, method, payment_methods.card_behind(work, method), setup["customer"])


def method_of(work: Work, setup: JSON) -> JSON | None:
    """Return the card that was saved; None if its bank declined."""
    kept = setup["status"] == charges.PAID
    return work.get(payment_methods.KIND, setup["payment_method"]) if kept else None
