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
    """A test card. ``decline`` is the bank's refusal; with ``authenticate``, it comes only after the buyer's consent.

    ``refund`` is the course of a refund to it: succeeded; pending, then succeeded; or succeeded, then failed.
    ``dispute`` is the reason for which its payments are disputed. A card that ``attaches`` can be saved although
    it is declined; one with ``always`` asks its owner at every payment, and cannot be charged without them.
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
        """Return the number as it is printed on the card."""
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

BRANDS = {
    "amex": "American Express",
    "diners": "Diners Club",
    "discover": "Discover",
    "jcb": "JCB",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}

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
    Card("4100000000000019", "visa", decline=_declined("fraudulent")),
    Card("4000008400001629", "visa", authenticate=True, decline=DECLINED),
    Card("4000003800000446", "visa", country="IT", authenticate=True),
    Card("4000000000003055", "visa"),
    Card("4000000000000077", "visa"),
    Card("4000003720000278", "visa", country="IE"),
)
# One for each country; all of them succeed (https://docs.stripe.com/testing#international-cards).
ABROAD = {
    "ae": "4000007840000001",
    "ar": "4000000320000021",
    "at": "4000000400000008",
    "au": "4000000360000006",
    "be": "4000000560000004",
    "bg": "4000001000000000",
    "br": "4000000760000002",
    "by": "4000001120000005",
    "ca": "4000001240000000",
    "ch": "4000007560000009",
    "cn": "4000001560000002",
    "cy": "4000001960000008",
    "cz": "4000002030000002",
    "de": "4000002760000016",
    "dk": "4000002080000001",
    "ee": "4000002330000009",
    "es": "4000007240000007",
    "fi": "4000002460000001",
    "fr": "4000002500000003",
    "gb": "4000008260000000",
    "gb_debit": "4000058260000005",
    "gb_mastercard": "5555558265554449",
    "gi": "4000002920000005",
    "gr": "4000003000000030",
    "hk": "4000003440000004",
    "hr": "4000001910000009",
    "hu": "4000003480000005",
    "ie": "4000003720000005",
    "in": "4000003560000008",
    "it": "4000003800000008",
    "jp": "4000003920000003",
    "li": "4000004380000004",
    "lt": "4000004400000000",
    "lu": "4000004420000006",
    "lv": "4000004280000005",
    "mt": "4000004700000007",
    "mx": "4000004840008001",
    "my": "4000004580000002",
    "nl": "4000005280000002",
    "no": "4000005780000007",
    "nz": "4000005540000008",
    "pl": "4000006160000005",
    "pt": "4000006200000007",
    "ro": "4000006420000001",
    "se": "4000007520000008",
    "sg": "4000007020000003",
    "si": "4000007050000006",
    "sk": "4000007030000001",
    "th_credit": "4000007640000003",
    "th_debit": "4000057640000008",
}


def _abroad(name: str, number: str) -> Card:
    country, _, kind = name.partition("_")
    brand = kind if kind in BRANDS else "visa"
    return Card(number, brand, "debit" if kind == "debit" else "credit", country.upper())


BY_NUMBER = {number: _abroad(name, number) for name, number in ABROAD.items()}
BY_NUMBER |= {card.number: card for card in CARDS}

# Cards by the names that API calls may use for them: pm_card_visa, tok_visa (https://docs.stripe.com/testing#cards).
NAMED = {
    **ABROAD,
    "us": "4242424242424242",
    "visa": "4242424242424242",
    "visa_debit": "4000056655665556",
    "mastercard": "5555555555554444",
    "mastercard_debit": "5200828282828210",
    "mastercard_prepaid": "5105105105105100",
    "amex": "378282246310005",
    "discover": "6011111111111117",
    "diners": "3056930009020004",
    "jcb": "3566002020360505",
    "unionpay": "6200000000000005",
    "authenticationRequiredOnSetup": "4000002500003155",
    "authenticationRequired": "4000002760003184",
    "authenticationRequiredSetupForOffSession": "4000003800000446",
    "authenticationRequiredChargeDeclinedInsufficientFunds": "4000008260003178",
    "threeDSecure2Required": "4000000000003220",
    "threeDSecureRequired": "4000000000003220",
    "threeDSecureRequiredChargeDeclined": "4000008400001629",
    "threeDSecureOptional": "4000000000003055",
    "chargeCustomerFail": "4000000000000341",
    "chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeDeclinedExpiredCard": "4000000000000069",
    "chargeDeclinedIncorrectCvc": "4000000000000127",
    "chargeDeclinedProcessingError": "4000000000000119",
    "chargeDeclinedFraudulent": "4100000000000019",
    "radarBlock": "4100000000000019",
    "visa_chargeDeclined": "4000000000000002",
    "visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "visa_chargeDeclinedLostCard": "4000000000009987",
    "visa_chargeDeclinedStolenCard": "4000000000009979",
    "visa_chargeDeclinedVelocityLimitExceeded": "4000000000006975",
    "createDispute": "4000000000000259",
    "createDisputeProductNotReceived": "4000000000002685",
    "createDisputeInquiry": "4000000000001976",
    "pendingRefund": "4000000000007726",
    "refundFail": "4000000000005126",
    "bypassPending": "4000000000000077",
    "bypassPendingInternational": "4000003720000278",
}
# Names of Stripe's cards that are not supported here: fraud warnings, and several disputes at once.
UNSERVED = frozenset(
    (
        "ae_mastercard",
        "avsFail",
        "avsLine1Fail",
        "avsUnchecked",
        "avsZipFail",
        "createMultipleDisputes",
        "cvcCheckFail",
        "mastercard_cartesBancaires",
        "mastercard_debit_eftposAuCoBranded",
        "riskLevelElevated",
        "riskLevelHighest",
        "visa_cartesBancaires",
        "visa_debit_eftposAuCoBranded",
    )
)

SUGGESTED = (
    ("4242424242424242", "pays"),
    ("4000002500003155", "asks for authentication"),
    ("4000000000009995", "declined: insufficient funds"),
    ("4000000000000002", "declined"),
)


def card_of(number: str) -> Card:
    """Return the test card with this number; any other number is declined, like a live card in test mode."""
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
