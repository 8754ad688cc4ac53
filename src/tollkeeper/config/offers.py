"""PURE. Offers as a seller writes them, such as ``9.99 EUR per month``, and as buyers read them."""

import re

from tollkeeper.model.selling import Offer
from tollkeeper.words import DECIMALS, money

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

# They have no smaller unit, though Stripe counts in hundredths: https://docs.stripe.com/currencies#special-cases
WHOLE_ONLY = frozenset({"isk", "ugx"})

# Nobody is billed less often than every three years: https://docs.stripe.com/api/prices/create
MOST_INTERVALS = {"day": 1095, "week": 156, "month": 36, "year": 3}

FORM = re.compile(
    r"(?P<whole>[0-9]{1,10})(?:\.(?P<part>[0-9]+))? (?P<currency>[A-Za-z]{3})"
    r"(?: per (?:(?P<one>day|week|month|year)|(?P<count>[1-9][0-9]{0,3}) (?P<interval>day|week|month|year)s?))?"
)


class NoOffer(ValueError):
    """Words that are no offer: what is wrong with them, to follow the name of what holds them, and the remedy."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def parse(text: str) -> Offer:
    """An offer from a seller's words. Raises ``NoOffer`` for whatever could be meant in two ways."""
    if "," in text:
        raise NoOffer("has a comma", "Write a point before the decimals, as in 9.99 EUR, and nothing between thousands")
    found = FORM.fullmatch(" ".join(text.split()))
    if found is None:
        raise NoOffer("is not an offer", "Write 9.99 EUR, 9.99 EUR per month, or 25 EUR per 3 months")
    currency = found["currency"].lower()
    if currency not in CURRENCIES:
        raise NoOffer("names a currency that Stripe does not know", "Write its code of three letters, such as EUR")
    amount = _amount(found["whole"], found["part"], currency)
    interval, count = found["one"] or found["interval"], int(found["count"] or 1)
    if interval and count > MOST_INTERVALS[interval]:
        raise NoOffer("is billed less often than every three years", "Stripe allows no longer period")
    return Offer(amount, currency, interval, count)


def _amount(whole: str, part: str | None, currency: str) -> int:
    """Minor units, as Stripe counts them."""
    places, code = DECIMALS.get(currency, 2), currency.upper()
    if part is not None and len(part) != places:
        example = f"1.{'0' * places}" if places else "1"
        kind = f"not the {places} decimals of {code}" if places else f"decimals, and {code} has none"
        raise NoOffer(f"has {kind}", f"Write it as in {example} {code}")
    amount = int(whole + (part or "0" * places))
    if places == 3 and amount % 10:
        raise NoOffer("is not rounded to the nearest ten", f"Stripe takes {code} with a 0 at the end, as in 1.230")
    if currency in WHOLE_ONLY and amount % 100:
        raise NoOffer(f"is not whole, but {code} has no smaller unit", f"Write it as in 500 {code}")
    return amount


def words(offer: Offer) -> str:
    """An offer as buyers read it: ``€9.99 per month``, ``€25.00 per 3 months``, or ``€9.99, once``."""
    amount = money(offer.amount, offer.currency)
    if offer.interval is None:
        return f"{amount}, once"
    return f"{amount} per {offer.interval if offer.interval_count == 1 else _several(offer, ' ') + 's'}"


def lookup_key(product: str, offer: Offer) -> str:
    """What the price of an offer is called at Stripe, so that it is found again and never made twice."""
    period = "once" if offer.interval is None else offer.interval
    if offer.interval_count > 1:
        period = _several(offer, "-")
    return f"tollkeeper/{product}/{offer.amount}-{offer.currency}-{period}"


def _several(offer: Offer, between: str) -> str:
    return f"{offer.interval_count}{between}{offer.interval}"
