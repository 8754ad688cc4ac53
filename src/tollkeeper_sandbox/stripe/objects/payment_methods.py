"""Payment methods, used once or saved for a customer: cards and bank accounts (https://docs.stripe.com/api/payment_methods)."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid, no_such, unsupported_value
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.listing import Params, lister
from tollkeeper_sandbox.stripe.engine.shapes import make
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.known import ibans
from tollkeeper_sandbox.stripe.known.cards import (
    ABROAD,
    BY_NUMBER,
    DECLINED,
    NAMED,
    NOT_A_TEST_CARD,
    UNSERVED,
    Card,
    Decline,
    card_of,
)
from tollkeeper_sandbox.stripe.objects import debits
from tollkeeper_sandbox.stripe.objects.common import address_of, null_if_empty

KIND = "payment_method"
OF_CUSTOMER = ("json_extract(body, '$.customer') = :customer",)
MAX_YEARS_AHEAD = 50
PREFIX = "pm_card_"
EXPIRED_DATE = Decline("invalid_expiry_year", "", "Your card's expiration date is invalid.")


def create(work: Work, params: Params, _id: str) -> JSON:
    """Create a card from its test number or a token such as ``tok_visa``, or a bank account from its test number."""
    kind = params.get("type", "card")
    if kind not in params:
        raise invalid(f"Missing required param: {kind}.", kind, "parameter_missing")
    given = params[kind]
    if kind == debits.TYPE:
        return _of_account(work, given["iban"], params.get("billing_details", {}))
    if ("token" in given) == ("number" in given):
        raise invalid("You must specify exactly one of `card[number]` and `card[token]`.", "card")
    billing = params.get("billing_details", {})
    known = {name: null_if_empty(billing.get(name)) for name in ("email", "name", "phone")}
    address = address_of(billing.get("address")) or _address(None)
    year = datetime.fromtimestamp(work.now, UTC).year
    if "token" in given:
        return of_card(work, _named(given["token"], "tok_", "card[token]"), 12, year + 5, {**known, "address": address})
    month, until = given.get("exp_month", 0), given.get("exp_year", 0)
    if not (1 <= month <= 12 and year <= until <= year + MAX_YEARS_AHEAD):
        raise _refused(EXPIRED_DATE)
    return of_card(work, card_of(given["number"]), month, until, {**known, "address": address})


def _of_account(work: Work, iban: str, billing: Params) -> JSON:
    """Create a bank account.

    Stripe requires the holder's name and e-mail address (https://docs.stripe.com/payments/sepa-debit).
    """
    for name in ("name", "email"):
        if not billing.get(name):
            raise invalid(f"Missing required param: billing_details[{name}].", f"billing_details[{name}]")
    iban = "".join(iban.split()).upper()
    if iban not in ibans.IBANS:
        raise invalid("The bank account number provided is invalid.", "sepa_debit[iban]", "invalid_bank_account_iban")
    return debits.method_of(work, iban, billing_details(billing["name"], billing["email"], iban[:2]))


def attach(work: Work, params: Params, id_: str) -> JSON:
    """Attach a payment method. For names such as ``pm_card_visa``, a new one is created each time."""
    if "customer" not in params:
        raise invalid("Missing required param: customer.", "customer", "parameter_missing")
    customer = work.refer("customer", params["customer"], "customer")
    return kept(work, _named_or_made(work, id_), customer["id"])


def detach(work: Work, _params: Params, id_: str) -> JSON:
    method = work.get(KIND, id_)
    if method["customer"] is None:
        raise invalid("The payment method you provided is not attached to a customer so detachment is impossible.")
    previous, method = {"customer": method["customer"]}, {**method, "customer": None}
    customer = work.get("customer", previous["customer"])
    if default_of(customer) == id_:
        work.change(customer, {"invoice_settings": {**customer["invoice_settings"], "default_payment_method": None}})
    work.ledger.save(method)
    work.emit("payment_method.detached", method, previous)
    return method


def of_customer(work: Work, params: Params, id_: str) -> JSON:
    customer = work.get_live("customer", id_)
    list_ = lister(KIND, f"/v1/customers/{customer['id']}/payment_methods")
    return list_(work, {**params, "customer": customer["id"]}, "")


def given(work: Work, id_: str, customer: JSON, param: str) -> JSON:
    """Return the customer's payment method that a parameter names. Raises Stripe's 400 for somebody else's."""
    if id_.startswith(PREFIX) or id_ in ibans.NAMED:
        return kept(work, _named_or_made(work, id_), customer["id"])
    method = work.refer(KIND, id_, param)
    if method["customer"] != customer["id"]:
        message = (
            f"The customer does not have a payment method with the ID {id_}. The payment method must be attached "
            "to the customer."
        )
        raise invalid(message, param, "resource_missing")
    return method


def kept(work: Work, method: JSON, customer: str) -> JSON:
    """Return the method, attached to the customer. The bank declines some cards even then."""
    if method["customer"] == customer:
        return method
    if method["customer"]:
        message = "The payment method you provided has already been attached to a customer."
        raise invalid(message, "payment_method", "resource_already_exists")
    card = card_behind(work, method)
    if method["type"] == "card" and card.decline and not card.attaches:
        raise _refused(card.decline)
    method = {**method, "customer": customer}
    work.ledger.save(method)
    work.emit("payment_method.attached", method)
    return method


def card_behind(work: Work, method: JSON) -> Card:
    """Return the test card, which decides the bank's answer.

    An unknown card is declined, as is one that was set to fail.
    """
    card = _by_fingerprint().get((method.get("card") or {}).get("fingerprint"), card_of(""))
    return replace(card, decline=DECLINED) if work.ledger.hidden(method["id"]).get("fails") else card


def let_fail(work: Work, method: JSON) -> None:
    """Let the bank decline every charge from now on."""
    work.ledger.hide(method["id"], {"fails": True})


def use_for(work: Work, subscription: JSON, method: JSON) -> JSON:
    """Save the card for this subscription and as the customer's default. Raises a decline by the bank."""
    method = kept(work, method, subscription["customer"])
    make_default(work, work.get("customer", subscription["customer"]), method)
    return work.change(subscription, {"default_payment_method": method["id"]})


def default_of(customer: JSON) -> str | None:
    """Return the payment method for the customer's invoices."""
    id_: str | None = (customer["invoice_settings"] or {}).get("default_payment_method")
    return id_


def make_default(work: Work, customer: JSON, method: JSON) -> JSON:
    settings = {**customer["invoice_settings"], "default_payment_method": method["id"]}
    return work.change(customer, {"invoice_settings": settings})


def _named_or_made(work: Work, id_: str) -> JSON:
    if id_ in ibans.NAMED:
        return of_test_account(work, ibans.NAMED[id_])
    if not id_.startswith(PREFIX):
        return work.get(KIND, id_)
    return of_test_card(work, _named(id_, PREFIX, KIND))


def of_test_card(work: Work, card: Card) -> JSON:
    """Create a payment method from a test card, without any input."""
    year = datetime.fromtimestamp(work.now, UTC).year
    return of_card(work, card, 12, year + 5, {"address": _address(None)})


def of_test_account(work: Work, iban: str) -> JSON:
    return debits.method_of(work, iban, billing_details("Test Holder", "holder@example.com", iban[:2]))


def _named(id_: str, prefix: str, param: str) -> Card:
    name = id_.removeprefix(prefix) if id_.startswith(prefix) else ""
    if name in UNSERVED:
        raise unsupported_value(param, id_, tuple(f"{prefix}{one}" for one in NAMED if one not in ABROAD))
    number = NAMED.get(name)
    if number is None:
        raise no_such("token" if prefix == "tok_" else "PaymentMethod", id_, param=param, status=400)
    return card_of(number)


def _refused(decline: Decline) -> ApiError:
    return ApiError(
        402, decline.message, type_="card_error", code=decline.code, decline_code=decline.decline_code or None
    )


def of_card(work: Work, card: Card, month: int, year: int, billing: JSON) -> JSON:
    """Create a payment method. The number is not stored; the fingerprint identifies the test card."""
    method = make(
        KIND,
        id=work.new_id("pm"),
        allow_redisplay="limited",
        billing_details=billing,
        card={
            "brand": card.brand,
            "checks": {"cvc_check": "pass"},
            "country": card.country,
            "display_brand": card.brand,
            "exp_month": month,
            "exp_year": year,
            "fingerprint": _fingerprint(card),
            "funding": card.funding,
            "last4": card.last4,
            "networks": {"available": [card.brand]},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
        },
        created=work.now,
        customer=None,
        customer_account=None,
        livemode=False,
        metadata={},
        radar_options={},
        type="card",
    )
    work.ledger.add(method)
    return method


@cache
def _by_fingerprint() -> dict[str | None, Card]:
    return {_fingerprint(card): card for card in BY_NUMBER.values()}


def _fingerprint(card: Card) -> str | None:
    """Return the fingerprint, which is equal for equal test cards. Of a real number, only the last digits are kept."""
    if card.decline is NOT_A_TEST_CARD:
        return None
    return hashlib.sha256(card.number.encode()).hexdigest()[:16]


def billing_details(name: str, email: str, country: str) -> JSON:
    return {"address": _address(country), "email": email, "name": name}


def _address(country: str | None) -> JSON:
    parts = ("city", "country", "line1", "line2", "postal_code", "state")
    return {part: country if part == "country" else None for part in parts}
