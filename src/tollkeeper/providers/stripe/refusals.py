"""PURE. What Stripe's refusals mean: what prevents the sale.

Stripe reports some causes by a code (https://docs.stripe.com/error-codes) and others only in its message.
"""

import re

from tollkeeper.errors import Obstacle

BY_CODE = {
    "account_closed": Obstacle.ACCOUNT_INACTIVE,
    "account_invalid": Obstacle.ACCOUNT_INACTIVE,
    "testmode_charges_only": Obstacle.ACCOUNT_INACTIVE,
    "api_key_expired": Obstacle.KEY_REFUSED,
    "platform_api_key_expired": Obstacle.KEY_REFUSED,
    "secret_key_required": Obstacle.KEY_REFUSED,
    "stripe_tax_inactive": Obstacle.TAX_INACTIVE,
    "product_inactive": Obstacle.PRICE_ARCHIVED,
    "customer_max_subscriptions": Obstacle.CUSTOMER_REFUSED,
    "customer_tax_location_invalid": Obstacle.CUSTOMER_REFUSED,
}

# Messages without a code, as users have reported them. We match the words that are least likely to change.
BY_MESSAGE = {
    re.compile(pattern, re.IGNORECASE): obstacle
    for pattern, obstacle in {
        r"only accepts active (prices|products)|(price|product)\b.* (inactive|not active)": Obstacle.PRICE_ARCHIVED,
        r"combine currencies|does not match the customer currency": Obstacle.OTHER_CURRENCY,
        r"stripe tax|automatic tax": Obstacle.TAX_INACTIVE,
        r"make (live )?charges|only make test|account has not been activated|activate your account": (
            Obstacle.ACCOUNT_INACTIVE
        ),
        r"set an account or business name": Obstacle.ACCOUNT_INACTIVE,
    }.items()
}

CURRENCY = re.compile(r"with currency ([a-z]{3})\b|customer currency \(([a-z]{3})\)", re.IGNORECASE)
PERMISSION = re.compile(r"'(rak_[a-z_]{1,80})' permission")


def obstacle_of(status: int | None, code: str | None, param: str | None, message: str) -> Obstacle:
    """Return the obstacle that Stripe's response reports; ``OTHER`` if it is not a known one."""
    if status == 401:
        return Obstacle.KEY_REFUSED
    if code in BY_CODE:
        return BY_CODE[code]
    if status == 403 and PERMISSION.search(message):
        return Obstacle.KEY_LIMITED
    by_message = (obstacle for pattern, obstacle in BY_MESSAGE.items() if pattern.search(message))
    return next(by_message, None) or _by_shape(status, code, param or "")


def _by_shape(status: int | None, code: str | None, param: str) -> Obstacle:
    if status == 403:
        return Obstacle.KEY_LIMITED
    if code == "resource_missing" and re.search(r"\bprice\b", param):
        return Obstacle.PRICE_MISSING
    return Obstacle.CUSTOMER_REFUSED if param.partition("[")[0] == "customer" else Obstacle.OTHER


def facts_of(obstacle: Obstacle, message: str) -> dict[str, str]:
    """Return the facts of the message that our own wording uses."""
    if obstacle is Obstacle.OTHER_CURRENCY and (found := CURRENCY.search(message)):
        return {"currency": (found[1] or found[2]).lower()}
    if obstacle is Obstacle.KEY_LIMITED and (found := PERMISSION.search(message)):
        return {"permission": found[1]}
    return {}
