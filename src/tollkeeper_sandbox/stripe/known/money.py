"""Amounts in minor units: how many decimals a currency has, and how amounts are written.

https://docs.stripe.com/currencies
"""

import re
from decimal import ROUND_HALF_UP, Decimal

_CODES = """
usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd
cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd
hkd hnl hrk htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl
mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr
pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd
tzs uah ugx uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw
"""
CURRENCIES = tuple(_CODES.split())
_NO_DECIMALS = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
NO_DECIMALS = frozenset(_NO_DECIMALS.split())
THREE_DECIMALS = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
SIGNS = {
    "aud": "A$",
    "brl": "R$",
    "cad": "CA$",
    "cny": "CN¥",
    "eur": "€",
    "gbp": "£",
    "hkd": "HK$",
    "ils": "₪",
    "inr": "₹",
    "jpy": "¥",
    "krw": "₩",
    "mxn": "MX$",
    "nzd": "NZ$",
    "usd": "$",
    "vnd": "₫",
}
TAX_PERCENT = 19
TAX_RATES = {"exclusive": "txr_sandbox", "inclusive": "txr_sandbox_inclusive"}
MOST = 99_999_999  # https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
LEAST = {"usd": 50, "eur": 50, "gbp": 30, "jpy": 50, "chf": 50, "cad": 50, "aud": 50, "sek": 300, "dkk": 250}
LEAST_ELSEWHERE = 1


def decimals(currency: str) -> int:
    if currency in NO_DECIMALS:
        return 0
    return 3 if currency in THREE_DECIMALS else 2


def plain(amount: int, currency: str) -> str:
    """``plain(2000, "usd") == "20.00"``"""
    places = decimals(currency)
    return f"{Decimal(amount).scaleb(-places):.{places}f}"


def minor_units(text: str, currency: str) -> int | None:
    """``minor_units("20", "usd") == 2000``; None if the text is not an amount of this currency."""
    match = re.fullmatch(r"([0-9]{1,9})(?:[.,]([0-9]{1,3}))?", text)
    places = decimals(currency)
    if match is None or len(match[2] or "") > places:
        return None
    return int(match[1] + (match[2] or "").ljust(places, "0"))


def formatted(amount: int, currency: str) -> str:
    """``formatted(2000, "usd") == "$20.00"``; a currency without a sign is written with its code."""
    places = decimals(currency)
    number = f"{abs(Decimal(amount).scaleb(-places)):,.{places}f}"
    sign = SIGNS.get(currency)
    whole = f"{sign}{number}" if sign else f"{currency.upper()}\N{NO-BREAK SPACE}{number}"
    return f"\N{MINUS SIGN}{whole}" if amount < 0 else whole


def tax_on(amount: int, *, inclusive: bool) -> int:
    """Return the tax that is added to an amount, or that an inclusive amount contains. Halves round up."""
    base = 100 + TAX_PERCENT if inclusive else 100
    return int((Decimal(amount * TAX_PERCENT) / base).quantize(Decimal(1), ROUND_HALF_UP))
