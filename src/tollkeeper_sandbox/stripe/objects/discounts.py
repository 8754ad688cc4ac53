"""A checkout session's discount: set by the merchant when it is created, or by a code that the buyer enters.

There is at most one (https://docs.stripe.com/payments/checkout/discounts). Once applied it stays, whatever
happens to the coupon.
"""

from itertools import accumulate, pairwise

from tollkeeper_sandbox.stripe.engine.errors import invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects.coupons import CODE, COUPON, taken_off, usable

UNKNOWN = "This code is invalid."


def given(work: Work, params: Params, customer: JSON | None, currency: str) -> tuple[list[JSON], JSON | None]:
    """Return the session's ``discounts`` and their coupon. Raises Stripe's 400 for one that cannot be applied."""
    asked = params.get("discounts", [])
    if not asked:
        return [], None
    if params.get("allow_promotion_codes"):
        message = "You may only specify one of these parameters: allow_promotion_codes, discounts."
        raise invalid(message, "discounts")
    if len(asked) > 1 or len(asked[0]) != 1:
        raise invalid("One discount is accepted: either a coupon or a promotion code.", "discounts")
    ((kind, id_),) = asked[0].items()
    param = f"discounts[0][{kind}]"
    named = work.refer(kind, id_, param)
    coupon = coupon_of(work, named)
    if kind == COUPON:
        usable(coupon, param)
    elif words := trouble_with(named, customer["id"] if customer else None, work.now):
        raise invalid(words, param)
    if words := trouble_paying_in(currency, coupon):
        raise invalid(words, param)
    return [{COUPON: None, CODE: None, kind: id_}], coupon


def coupon_of(work: Work, named: JSON) -> JSON:
    """Return the coupon, or that of a promotion code; for a deleted one, its stub."""
    return named if named["object"] == COUPON else work.get(COUPON, named["promotion"]["coupon"])


def trouble_with(code: JSON, customer: str | None, now: int) -> str:
    """Return why this customer cannot redeem this promotion code, as a message for buyers; empty if they can."""
    if code["customer"] not in (None, customer):
        return UNKNOWN
    if code["expires_at"] is not None and code["expires_at"] <= now:
        return "This code has expired."
    return "" if code["active"] else "This code is no longer active."


def trouble_paying_in(currency: str, coupon: JSON) -> str:
    """Return why this coupon gives no discount in this currency; empty if it does."""
    if coupon["currency"] in (None, currency):
        return ""
    return f"This discount is for payments in {coupon['currency'].upper()} only."


def shown(coupon: JSON | None) -> str:
    """Return the coupon's name on buyers' pages."""
    if coupon is None:
        return ""
    return coupon["name"] or (f"{coupon['percent_off']:g}% off" if coupon["percent_off"] else "")


def shares(coupon: JSON | None, subtotals: list[int]) -> list[int]:
    """Return each line's share of the discount, in proportion, exact to the minor unit."""
    sums = list(accumulate(subtotals))
    whole = taken_off(coupon, sums[-1]) if coupon else 0
    borne = [whole * sum_ // sums[-1] if whole else 0 for sum_ in sums]
    return [after - before for before, after in pairwise([0, *borne])]
