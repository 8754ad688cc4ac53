"""Refunds of charges: full or partial, immediate or later (https://docs.stripe.com/refunds).

A refund counts against its charge from the moment it is created, unless it fails later.
"""

from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params, page_of
from tollkeeper_sandbox.stripe.engine.shapes import make
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known.money import formatted
from tollkeeper_sandbox.stripe.objects import disputes
from tollkeeper_sandbox.stripe.objects.common import merged_metadata

KIND = "refund"
SOME_TIME = 180  # how long a refund takes that does not settle at once, in seconds
OF_CHARGE = ("json_extract(body, '$.charge') = :charge",)
NOT_FINAL = ("pending", "succeeded")


def create(work: Work, params: Params, _id: str) -> JSON:
    """Create a refund. Raises Stripe's errors if the charge cannot be refunded, or not that much of it."""
    charge = _charge(work, params)
    amount = _amount(charge, params.get("amount"))
    metadata = merged_metadata({}, params.get("metadata", {}))
    return refund(work, charge, amount, params.get("reason"), metadata)


def refund(work: Work, charge: JSON, amount: int, reason: str | None, metadata: JSON) -> JSON:
    """Refund a charge.

    The test card decides whether the refund keeps its first state (https://docs.stripe.com/testing#refunds).
    """
    fate = work.ledger.hidden(charge["id"]).get("refund", "succeeded")
    made = _refund(work, charge, amount, reason, metadata, "pending" if fate == "pending" else "succeeded")
    work.add(made)
    if fate != "succeeded":
        work.later(made["id"], "failed" if fate == "failed" else "succeeded", SOME_TIME)
    _count(work, charge, amount)
    return made


def _refund(work: Work, charge: JSON, amount: int, reason: str | None, metadata: JSON, status: str) -> JSON:
    return make(
        KIND,
        id=work.new_id("re"),
        amount=amount,
        charge=charge["id"],
        created=work.now,
        currency=charge["currency"],
        customer=charge["customer"],
        destination_details=_destination(charge),
        metadata=metadata,
        payment_intent=charge["payment_intent"],
        payment_method=charge["payment_method"],
        pending_reason="processing" if status == "pending" else None,
        reason=reason,
        status=status,
    )


def _destination(charge: JSON) -> JSON | None:
    if charge["payment_method_details"]["type"] != "card":
        return None
    reference = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
    return {"type": "card", "card": reference}


def _count(work: Work, charge: JSON, amount: int) -> None:
    refunded = charge["amount_refunded"] + amount
    changes = {"amount_refunded": refunded, "refunded": refunded == charge["amount"]}
    previous = {name: charge[name] for name, value in changes.items() if charge[name] != value}
    charge = {**charge, **changes}
    work.ledger.save(charge)
    work.emit("charge.refunded", charge, previous)
    if charge["refunded"]:
        for inquiry in disputes.open_inquiries(work, charge):
            disputes.settle(work, inquiry, "lost")


def _charge(work: Work, params: Params) -> JSON:
    """Return the charge that the parameters name, directly or by its payment."""
    given = [name for name in ("charge", "payment_intent") if name in params]
    if not given:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise invalid(message, code="parameter_missing")
    if len(given) == 2:
        raise invalid("You may only specify one of these parameters: charge, payment_intent.", "charge")
    charge = work.refer(given[0], params[given[0]], given[0])
    if given[0] == "payment_intent":
        charge = paid_charge(work, charge)
    check_refundable(work, charge)
    return charge


def paid_charge(work: Work, payment: JSON) -> JSON:
    """Return the successful charge of a payment intent. Raises Stripe's 400 if there is none."""
    charge = work.ledger.find(payment["latest_charge"]) if payment["latest_charge"] else None
    if charge is None or charge["status"] != "succeeded":
        message = f"This PaymentIntent ({payment['id']}) does not have a successful charge to refund."
        raise invalid(message, "payment_intent")
    return charge


def check_refundable(work: Work, charge: JSON) -> None:
    if charge["status"] != "succeeded":
        raise invalid(f"Charge {charge['id']} was not successful; there is nothing to refund.", "charge")
    if charge["refunded"]:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    over = work.ledger.page("dispute", OF_CHARGE, {"charge": charge["id"]}, 100)
    if not all(dispute["is_charge_refundable"] for dispute in over):
        raise invalid(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")


def _amount(charge: JSON, asked: int | None) -> int:
    """Return the amount in minor units: by default all that is left."""
    left: int = charge["amount"] - charge["amount_refunded"]
    if asked is None:
        return left
    if asked < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    if asked > left:
        raise _too_much(charge, asked, left)
    return asked


def _too_much(charge: JSON, asked: int, left: int) -> ApiError:
    wanted, most = (formatted(sum_, charge["currency"]) for sum_ in (asked, left))
    whole = "unrefunded amount on charge" if charge["amount_refunded"] else "charge amount"
    return invalid(f"Refund amount ({wanted}) is greater than {whole} ({most})", "amount")


def update(work: Work, params: Params, id_: str) -> JSON:
    made = work.get(KIND, id_)
    if "metadata" not in params:
        return made
    metadata = merged_metadata(made["metadata"], params["metadata"])
    return _changed(work, made, {"metadata": metadata}, "refund.updated")


def settle(work: Work, made: JSON, status: str) -> JSON:
    """Let a refund succeed or fail. One that has failed stays so."""
    work.not_later(made["id"])
    if made["status"] not in NOT_FINAL or made["status"] == status:
        return made
    if status == "succeeded":
        return _changed(work, made, {"status": "succeeded", "pending_reason": None}, "refund.updated")
    failure = {"status": "failed", "pending_reason": None, "failure_reason": "expired_or_canceled_card"}
    _give_back(work, made)
    return _changed(work, made, failure, "refund.failed", "refund.updated")


def _give_back(work: Work, made: JSON) -> None:
    charge = work.get("charge", made["charge"])
    work.ledger.save({**charge, "amount_refunded": charge["amount_refunded"] - made["amount"], "refunded": False})


def _changed(work: Work, made: JSON, changes: JSON, *types: str) -> JSON:
    previous = {name: made[name] for name, value in changes.items() if made[name] != value}
    made = {**made, **changes}
    work.ledger.save(made)
    for type_ in (*types, "charge.refund.updated"):
        work.emit(type_, made, previous if type_.endswith("updated") else None)
    return made


def of_charge(work: Work, params: Params, id_: str) -> JSON:
    charge = work.get("charge", id_)
    return page_of(work, KIND, f"/v1/charges/{charge['id']}/refunds", params, [*OF_CHARGE], {"charge": charge["id"]})


def latest_of_charge(work: Work, charge: JSON) -> JSON:
    """Return what `expand` puts into a charge: the newest ten refunds."""
    return of_charge(work, {}, charge["id"])
