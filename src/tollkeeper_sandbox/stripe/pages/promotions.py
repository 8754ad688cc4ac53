"""Promotion codes on the hosted page: the buyer's input, and its effect on the checkout session."""

from typing import Any

from tollkeeper_sandbox.stripe.engine.errors import ApiError
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects import coupons, discounts, payments
from tollkeeper_sandbox.stripe.objects.checkout_sessions import amounts, check_total


def shown(work: Work, session: JSON) -> dict[str, Any] | None:
    """Return, for a session that accepts codes, the address for them and the entered code."""
    if not session["allow_promotion_codes"]:
        return None
    applied = [work.get(coupons.CODE, one["promotion_code"])["code"] for one in session["discounts"]]
    return {"action": f"/c/pay/{session['id']}/promotion_code", "code": applied[0] if applied else None}


def redeem(work: Work, session: JSON, entered: str) -> str:
    """Apply the code to a session that accepts codes, or return a message for the buyer."""
    if not session["allow_promotion_codes"]:
        return "This checkout takes no promotion codes."
    if not entered:
        return "Enter a promotion code."
    code = coupons.entered(work, entered)
    if code is None:
        return discounts.UNKNOWN
    coupon = discounts.coupon_of(work, code)
    trouble = discounts.trouble_with(code, session["customer"], work.now)
    if trouble or (trouble := discounts.trouble_paying_in(session["currency"], coupon)):
        return trouble
    try:
        _apply(work, session, [{"coupon": None, "promotion_code": code["id"]}], coupon)
    except ApiError as error:
        return error.message
    return ""


def remove(work: Work, session: JSON) -> None:
    if session["allow_promotion_codes"]:
        _apply(work, session, [], None)


def _apply(work: Work, session: JSON, applied: list[JSON], coupon: JSON | None) -> None:
    """Apply a coupon. Raises a 400 if the rest is below the minimum charge."""
    hidden = {**work.ledger.hidden(session["id"]), "coupon": coupon}
    located = session["automatic_tax"]["status"] == "complete"
    session = {**session, "discounts": applied, **amounts(hidden, session, located)}
    check_total(session)
    work.ledger.hide(session["id"], hidden)
    work.ledger.save(payments.reprice(work, session))
