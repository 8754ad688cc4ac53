"""Stripe's settings, and what can be sold through Stripe."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tollkeeper.errors import Fault
from tollkeeper.model.selling import Offer
from tollkeeper.settings import Setting
from tollkeeper.settings.offers import NoOffer
from tollkeeper.settings.parsers import flag, matching, origin, whole
from tollkeeper.words import DECIMALS

CHECKOUT = "https://checkout.stripe.com"
PORTAL = "https://billing.stripe.com"

# Stripe allows 100 requests a second in live mode and 25 in test mode, and 25 to any single endpoint in either mode
# (https://docs.stripe.com/rate-limits). 20 is below the lowest of these, and five processes share one live account
# without meeting its limit.
RATE = 20

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "STRIPE_API_KEY",
        matching(r"(?:sk|rk)_(?:test|live)_[A-Za-z0-9_]+", "is not a secret or restricted key of Stripe"),
        "Stripe's secret or restricted key, from Developers > API keys in its dashboard.",
        "sk_test_...",
        required=True,
        secret=True,
    ),
    Setting(
        "STRIPE_PUBLIC",
        matching(r"pk_(?:test|live)_[A-Za-z0-9_]+", "is not a publishable key of Stripe"),
        "Stripe's publishable key. Hosted checkout does not need it. If set, it must be in the mode of STRIPE_API_KEY.",
        "pk_test_...",
    ),
    Setting(
        "STRIPE_WEBHOOK_SECRET",
        matching(r"whsec_[A-Za-z0-9+/=_-]+", "is not a webhook secret, which starts with whsec_"),
        "Signing secrets of the webhook endpoint. Without one there is no webhook address, "
        "and events arrive only by polling.",
        "whsec_...",
        many=True,
        secret=True,
    ),
    Setting(
        "STRIPE_AUTOMATIC_TAX",
        flag,
        "Let Stripe Tax compute tax at checkout. Turn on Stripe Tax in Stripe's dashboard first.",
        "true",
        default="false",
    ),
    Setting(
        "STRIPE_API_BASE",
        origin,
        "Another server that speaks Stripe's API, such as the sandbox. Test keys only.",
        "http://127.0.0.1:4001",
    ),
    Setting(
        "STRIPE_CHECKOUT_URL",
        origin,
        "Origin of the hosted checkout pages, for a custom checkout domain. Otherwise STRIPE_API_BASE, "
        "or https://checkout.stripe.com.",
        "https://checkout.example.com",
    ),
    Setting(
        "STRIPE_REQUESTS_PER_SECOND",
        whole(2, 10_000),
        "How many requests to Stripe each process may begin in one second. Stripe allows an account 100 in live mode "
        "and 25 in test mode: lower it if you run more than five processes, raise it if Stripe raised your limit.",
        "50",
        default=str(RATE),
    ),
)

# https://docs.stripe.com/currencies#presentment-currencies
_CODES = (
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf "
    "clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl hrk htg huf "
    "idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop "
    "mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd "
    "scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd "
    "xof xpf yer zar zmw"
)
CURRENCIES = frozenset(_CODES.split())

# These have no smaller unit, although Stripe counts in hundredths: https://docs.stripe.com/currencies#special-cases
WHOLE_ONLY = frozenset({"isk", "ugx"})

# The longest billing interval is three years: https://docs.stripe.com/api/prices/create
MOST_INTERVALS = {"day": 1095, "week": 156, "month": 36, "year": 3}


def is_live(key: str) -> bool:
    """Return whether a key moves real money. Its prefix names the mode (https://docs.stripe.com/keys)."""
    return key.split("_")[1] == "live"


@dataclass(frozen=True, slots=True)
class StripeSettings:
    """How to reach an account: Stripe's ``ProviderSettings``. Without webhook secrets there is no webhook address."""

    api_key: str = field(repr=False)
    publishable_key: str | None = None
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    automatic_tax: bool = False
    api_base: str | None = None
    """The origin of another server with Stripe's API, such as the sandbox; None for Stripe itself."""
    checkout_origin: str = CHECKOUT
    rate: int = RATE
    """How many requests may begin in one second."""

    @property
    def live(self) -> bool:
        """See ``ProviderSettings``."""
        return is_live(self.api_key)

    @property
    def receives_webhooks(self) -> bool:
        """See ``ProviderSettings``."""
        return bool(self.webhook_secrets)

    @property
    def hosted_origins(self) -> frozenset[str]:
        """See ``ProviderSettings``: the checkout, and the portal where customers manage cards and plans."""
        return frozenset({self.checkout_origin, self.api_base or PORTAL})


def read(values: Mapping[str, Any]) -> StripeSettings:
    """Return the settings from their values, which have no faults."""
    return StripeSettings(
        api_key=values["STRIPE_API_KEY"],
        publishable_key=values["STRIPE_PUBLIC"],
        webhook_secrets=values["STRIPE_WEBHOOK_SECRET"],
        automatic_tax=values["STRIPE_AUTOMATIC_TAX"],
        api_base=values["STRIPE_API_BASE"],
        checkout_origin=values["STRIPE_CHECKOUT_URL"] or values["STRIPE_API_BASE"] or CHECKOUT,
        rate=values["STRIPE_REQUESTS_PER_SECOND"],
    )


def faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Return the faults of settings that do not fit together. Values with a fault of their own are missing."""
    key, publishable = values.get("STRIPE_API_KEY"), values.get("STRIPE_PUBLIC")
    if key is None:
        return
    if publishable and is_live(publishable) != is_live(key):
        yield Fault("STRIPE_PUBLIC", "is not in the mode of STRIPE_API_KEY", "Use both in test mode, or both live")
    if is_live(key) and values.get("STRIPE_API_BASE"):
        remedy = "Remove it, or use a test key"
        yield Fault("STRIPE_API_BASE", "would send a live key to a server that is not Stripe's", remedy)


def check_offer(offer: Offer) -> None:
    """Raise ``NoOffer`` if no price at Stripe can be created from an offer."""
    code = offer.currency.upper()
    if offer.currency not in CURRENCIES:
        raise NoOffer("names a currency that Stripe does not know", "Write its code of three letters, such as EUR")
    if DECIMALS.get(offer.currency) == 3 and offer.amount % 10:
        raise NoOffer("is not rounded to the nearest ten", f"Stripe takes {code} with a 0 at the end, as in 1.230")
    if offer.currency in WHOLE_ONLY and offer.amount % 100:
        raise NoOffer(f"is not whole, but {code} has no smaller unit", f"Write it as in 500 {code}")
    if offer.interval and offer.interval_count > MOST_INTERVALS[offer.interval]:
        raise NoOffer("is billed less often than every three years", "Stripe allows no longer period")
