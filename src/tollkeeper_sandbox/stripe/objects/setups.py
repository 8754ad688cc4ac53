"""Setup intents: a card is saved for later, without a charge (https://docs.stripe.com/api/setup_intents)."""

from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.shapes import make, part
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.cards import Card
from tollkeeper_sandbox.stripe.objects import charges, payment_methods

KIND = "setup_intent"


def begun(work: Work, customer: str | None) -> JSON:
    id_ = work.new_id("seti")
    setup = make(
        KIND,
        id=id_,
        client_secret=f"{id_}_secret_{work.token(12)}",
        created=work.now,
        customer=customer,
        livemode=False,
        metadata={},
        payment_method_options={"card": {"request_three_d_secure": "automatic"}},
        payment_method_types=["card"],
        status=charges.DECLINED,
        usage="off_session",
    )
    return work.add(setup)


def charge(work: Work, setup: JSON, method: JSON, card: Card, customer: str | None) -> JSON:
    """Ask the card's bank. Some cards can be saved although charges to them will fail."""
    if card.decline and not card.attaches:
        return failed(work, setup, charges.card_error(card.decline, method))
    done = {"status": charges.PAID, "customer": customer, "payment_method": method["id"], "next_action": None}
    setup = {**setup, **done, "last_setup_error": None}
    work.ledger.save(setup)
    if customer:
        payment_methods.kept(work, method, customer)
    work.emit("setup_intent.succeeded", setup)
    return setup


def ask(work: Work, setup: JSON, method: JSON, there: JSON) -> JSON:
    action = {"type": "redirect_to_url", "redirect_to_url": there}
    setup = {
        **setup,
        "status": charges.AUTHENTICATE,
        "payment_method": method["id"],
        "last_setup_error": None,
        "next_action": part(KIND, "next_action", action),
    }
    work.ledger.save(setup)
    work.emit("setup_intent.requires_action", setup)
    return setup


def failed(work: Work, setup: JSON, error: JSON) -> JSON:
    changes = {"status": charges.DECLINED, "payment_method": None, "next_action": None}
    setup = {**setup, **changes, "last_setup_error": part(KIND, "last_setup_error", error)}
    work.ledger.save(setup)
    work.emit("setup_intent.setup_failed", setup)
    return setup


def cancel(work: Work, setup: JSON, _reason: str) -> None:
    setup = {**setup, "status": "canceled", "cancellation_reason": "abandoned", "next_action": None}
    work.ledger.save(setup)
    work.emit("setup_intent.canceled", setup)
