"""Coupons, and the promotion codes with which buyers redeem them.

https://docs.stripe.com/api/coupons, https://docs.stripe.com/api/promotion_codes
"""

import re
from decimal import ROUND_HALF_UP, Decimal

from tollkeeper_sandbox.stripe.engine.errors import invalid
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params
from tollkeeper_sandbox.stripe.engine.shapes import make
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects.common import check_currency, merged_metadata

COUPON, CODE = "coupon", "promotion_code"
OF_COUPON = ("json_extract(body, '$.promotion.coupon') = :coupon", "json_extract(body, '$.active')")
LIKE_CODE = ("json_extract(body, '$.code') = :code COLLATE NOCASE",)


def create(work: Work, params: Params, _id: str) -> JSON:
    """Create a coupon with either ``percent_off``, or ``amount_off`` in minor units of ``currency``."""
    _check(params, work.now)
    id_ = params.get("id") or work.token(4).upper()
    if work.ledger.find(id_):
        raise invalid("Coupon already exists.", "id", "resource_already_exists")
    coupon = make(
        COUPON,
        id=id_,
        amount_off=params.get("amount_off"),
        created=work.now,
        currency=check_currency(params["currency"], "currency") if "currency" in params else None,
        duration=params.get("duration", "once"),
        duration_in_months=params.get("duration_in_months"),
        livemode=False,
        max_redemptions=params.get("max_redemptions"),
        metadata=merged_metadata({}, params.get("metadata", {})),
        name=params.get("name"),
        percent_off=params.get("percent_off"),
        redeem_by=params.get("redeem_by"),
        times_redeemed=0,
        valid=True,
    )
    _expire_later(work, id_, params.get("redeem_by"))
    return work.add(coupon)


def _check(params: Params, now: int) -> None:
    if ("percent_off" in params) == ("amount_off" in params):
        raise invalid("You must specify exactly one of these parameters: percent_off, amount_off.", "percent_off")
    if not 0 < params.get("percent_off", 100) <= 100:
        raise invalid("percent_off must be more than 0, and 100 at most.", "percent_off")
    if ("amount_off" in params) != ("currency" in params):
        raise invalid("`amount_off` goes with `currency`, and only with it.", "currency")
    if (params.get("duration") == "repeating") != ("duration_in_months" in params):
        raise invalid("`duration_in_months` goes with the duration repeating, and only with it.", "duration_in_months")
    for name in ("amount_off", "duration_in_months", "max_redemptions"):
        _check_positive(params, name)
    _check_ahead(params, "redeem_by", now)


def _check_positive(params: Params, name: str) -> None:
    if params.get(name, 1) < 1:
        raise invalid("This value must be greater than or equal to 1.", name, "parameter_invalid_integer")


def _check_ahead(params: Params, name: str, now: int) -> None:
    if params.get(name, now + 1) <= now:
        raise invalid(f"The timestamp {name} must be in the future.", name)


def _expire_later(work: Work, id_: str, at: int | None) -> None:
    if at is not None:
        work.later(id_, "expired", at - work.now)


def delete(work: Work, _params: Params, id_: str) -> JSON:
    """Delete a coupon. Nobody can redeem it any more, but checkout sessions that have it keep it."""
    coupon = work.get_live(COUPON, id_)
    _end_codes(work, id_)
    work.ledger.delete(id_)
    work.emit("coupon.deleted", coupon)
    return {"id": id_, "object": COUPON, "deleted": True}


def create_code(work: Work, params: Params, _id: str) -> JSON:
    """Create a promotion code.

    ``promotion`` names the coupon; before API version 2025-09-30 that was a parameter itself.
    """
    promotion = params["promotion"]
    if "coupon" not in promotion:
        raise invalid("Missing required param: promotion[coupon].", "promotion[coupon]", "parameter_missing")
    coupon = usable(work.refer(COUPON, promotion["coupon"], "promotion[coupon]"), "promotion[coupon]")
    _check_positive(params, "max_redemptions")
    _check_ahead(params, "expires_at", work.now)
    customer = work.refer("customer", params["customer"], "customer")["id"] if "customer" in params else None
    made = make(
        CODE,
        id=work.new_id("promo"),
        active=params.get("active", True),
        code=_new_code(work, params),
        created=work.now,
        customer=customer,
        expires_at=params.get("expires_at"),
        livemode=False,
        max_redemptions=params.get("max_redemptions"),
        metadata=merged_metadata({}, params.get("metadata", {})),
        promotion={"type": "coupon", "coupon": coupon["id"]},
        restrictions={"first_time_transaction": False},
        times_redeemed=0,
    )
    _expire_later(work, made["id"], params.get("expires_at"))
    return work.add(made)


def _new_code(work: Work, params: Params) -> str:
    code: str = params.get("code") or work.token(4).upper()
    if not re.fullmatch("[A-Za-z0-9-]{1,500}", code):
        raise invalid("Promotion codes may only contain letters (a-z), digits and dashes.", "code")
    if any(one["active"] for one in _called(work, code)):
        raise invalid(f"An active promotion code with `code: {code}` already exists.", "code")
    return code


def _called(work: Work, code: str) -> list[JSON]:
    return work.ledger.page(CODE, LIKE_CODE, {"code": code}, 100)


def entered(work: Work, code: str) -> JSON | None:
    """Return the promotion code that a buyer entered: the active one, or else the last one with this text."""
    found = _called(work, code)
    return next((one for one in found if one["active"]), found[0] if found else None)


def usable(coupon: JSON, param: str) -> JSON:
    """Return the same coupon. Raises Stripe's 400 if it cannot be redeemed any more."""
    if not coupon["valid"]:
        raise invalid(f"Coupon expired: {coupon['id']}", param, "coupon_expired")
    return coupon


def taken_off(coupon: JSON, subtotal: int) -> int:
    """Return the discount in minor units, at most the subtotal. Halves round up."""
    if coupon["amount_off"] is not None:
        return min(int(coupon["amount_off"]), subtotal)
    percent = Decimal(str(coupon["percent_off"]))
    return int((subtotal * percent / 100).quantize(Decimal(1), ROUND_HALF_UP))


def redeem(work: Work, session: JSON, coupon: JSON | None) -> None:
    """Count a redemption. The last one that is allowed ends the coupon or the promotion code."""
    for discount in session["discounts"]:
        code = work.ledger.find(discount["promotion_code"]) if discount["promotion_code"] else None
        if code:
            _count(work, code, "active")
    kept = work.ledger.find(coupon["id"]) if coupon else None
    if kept and not kept.get("deleted") and not _count(work, kept, "valid")["valid"]:
        _end_codes(work, kept["id"])


def _count(work: Work, redeemed: JSON, field: str) -> JSON:
    """Count one redemption. ``field`` says whether another one is possible."""
    times = redeemed["times_redeemed"] + 1
    left = redeemed["max_redemptions"] is None or times < redeemed["max_redemptions"]
    redeemed = {**redeemed, "times_redeemed": times, field: redeemed[field] and left}
    work.ledger.save(redeemed)
    return redeemed


def expire(work: Work, expired: JSON, _outcome: str) -> JSON:
    """End a coupon or a promotion code whose time has come."""
    work.not_later(expired["id"])
    if expired.get("deleted"):
        return expired
    ended = {**expired, "valid" if expired["object"] == COUPON else "active": False}
    work.ledger.save(ended)
    if expired["object"] == COUPON:
        _end_codes(work, expired["id"])
    return ended


def _end_codes(work: Work, coupon: str) -> None:
    for code in work.ledger.page(CODE, OF_COUPON, {"coupon": coupon}, -1):
        work.change(code, {"active": False})
