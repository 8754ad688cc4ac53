"""Test cards and what happens to them (https://docs.stripe.com/testing)."""

from dataclasses import dataclass

AUTHENTICATION_FAILED = (
    "We are unable to authenticate your payment method. Please choose a different payment method and try again."
)


@dataclass(frozen=True, slots=True)
class Decline:
    code: str
    decline_code: str
    message: str


@dataclass(frozen=True, slots=True)
class Card:
    """``decline`` is what the bank says; with ``authenticate`` it says so only after the buyer's consent.

    ``refund`` is how refunds to it begin and end: succeeded; pending, then succeeded; or succeeded, then failed.
    ``dispute`` is the reason for which a payment with it is disputed. A card that ``attaches`` can be kept for later
    though it is declined; one that asks ``always`` does so for every payment, and cannot be charged without its owner.
    """

    number: str
    brand: str
    funding: str = "credit"
    country: str = "US"
    decline: Decline | None = None
    authenticate: bool = False
    refund: str = "succeeded"
    dispute: str | None = None
    attaches: bool = False
    always: bool = False

    @property
    def last4(self) -> str:
        return self.number[-4:]

    @property
    def spaced(self) -> str:
        """The number as it is printed on the card."""
        groups = (4, 6, 5) if self.brand == "amex" else (4, 4, 4, 4)
        parts, rest = [], self.number
        for size in groups:
            parts.append(rest[:size])
            rest = rest[size:]
        return " ".join(part for part in parts if part)


def _declined(decline_code: str) -> Decline:
    return Decline("card_declined", decline_code, "Your card was declined.")


DECLINED = _declined("generic_decline")
INSUFFICIENT_FUNDS = Decline("card_declined", "insufficient_funds", "Your card has insufficient funds.")
EXPIRED = Decline("expired_card", "expired_card", "Your card has expired.")
WRONG_CVC = Decline("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.")
PROCESSING = Decline(
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
)
NOT_A_TEST_CARD = Decline(
    "card_declined",
    "test_mode_live_card",
    "Your card was declined. Your request was in test mode, but used a non test card. "
    "For a list of valid test cards, visit: https://stripe.com/docs/testing.",
)

CARDS = (
    Card("4242424242424242", "visa"),
    Card("4000056655665556", "visa", "debit"),
    Card("4000002760000016", "visa", country="DE"),
    Card("4000008260000000", "visa", country="GB"),
    Card("5555555555554444", "mastercard"),
    Card("2223003122003222", "mastercard"),
    Card("5200828282828210", "mastercard", "debit"),
    Card("5105105105105100", "mastercard", "prepaid"),
    Card("378282246310005", "amex"),
    Card("371449635398431", "amex"),
    Card("6011111111111117", "discover"),
    Card("6011000990139424", "discover"),
    Card("6011981111111113", "discover", "debit"),
    Card("3056930009020004", "diners"),
    Card("36227206271667", "diners"),
    Card("3566002020360505", "jcb", country="JP"),
    Card("6200000000000005", "unionpay", country="CN"),
    Card("4000002500003155", "visa", country="FR", authenticate=True),
    Card("4000002760003184", "visa", country="DE", authenticate=True, always=True),
    Card("4000000000003220", "visa", authenticate=True),
    Card("4000008260003178", "visa", country="GB", authenticate=True, decline=INSUFFICIENT_FUNDS),
    Card("4000000000000259", "visa", dispute="fraudulent"),
    Card("4000000000002685", "visa", dispute="product_not_received"),
    Card("4000000000001976", "visa", dispute="inquiry"),
    Card("4000000000007726", "visa", refund="pending"),
    Card("4000000000005126", "visa", refund="failed"),
    Card("4000000000000341", "visa", decline=DECLINED, attaches=True),
    Card("4000000000000002", "visa", decline=DECLINED),
    Card("4000000000009995", "visa", decline=INSUFFICIENT_FUNDS),
    Card("4000000000009987", "visa", decline=_declined("lost_card")),
    Card("4000000000009979", "visa", decline=_declined("stolen_card")),
    Card("4000000000006975", "visa", decline=_declined("card_velocity_exceeded")),
    Card("4000000000000069", "visa", decline=EXPIRED),
    Card("4000000000000127", "visa", decline=WRONG_CVC),
    Card("4000000000000119", "visa", decline=PROCESSING),
)
BRANDS = {
    "amex": "American Express",
    "diners": "Diners Club",
    "discover": "Discover",
    "jcb": "JCB",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}
BY_NUMBER = {card.number: card for card in CARDS}

# Cards by the names that code may use for them: pm_card_visa, tok_visa (https://docs.stripe.com/testing#cards).
NAMED = {
    "visa": "4242424242424242",
    "visa_debit": "4000056655665556",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "authenticationRequiredOnSetup": "4000002500003155",
    "authenticationRequired": "4000002760003184",
    "chargeCustomerFail": "4000000000000341",
    "chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "visa_chargeDeclined": "4000000000000002",
    "createDispute": "4000000000000259",
}

SUGGESTED = (
    ("4242424242424242", "pays"),
    ("4000002500003155", "asks for authentication"),
    ("4000000000009995", "declined: insufficient funds"),
    ("4000000000000002", "declined"),
)


def card_of(number: str) -> Card:
    """The test card of this number; any other one is declined, as a live card is in test mode."""
    return BY_NUMBER.get(number) or Card(number, brand_of(number), decline=NOT_A_TEST_CARD)


def brand_of(number: str) -> str:
    for prefixes, brand in (
        (("34", "37"), "amex"),
        (("4",), "visa"),
        (("51", "52", "53", "54", "55", "22", "23", "24", "25", "26", "27"), "mastercard"),
        (("6011", "65"), "discover"),
        (("30", "36", "38"), "diners"),
        (("35",), "jcb"),
        (("62",), "unionpay"),
    ):
        if number.startswith(prefixes):
            return brand
    return "unknown"


def passes_luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
