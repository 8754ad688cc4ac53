"""PURE. Money, time and names as text, the same on pages and in commands."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

# https://docs.stripe.com/currencies#zero-decimal and #three-decimal
DECIMALS = dict.fromkeys(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"], 0
) | dict.fromkeys(["bhd", "jod", "kwd", "omr", "tnd"], 3)
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}

# How amounts are written: the thousands separator, the decimal separator, and whether the currency sign comes first
# (with or without a space), as in CLDR (https://cldr.unicode.org). The list has the most common languages of buyers;
# all others see amounts as in English.
NARROW, BLANK = "\N{NARROW NO-BREAK SPACE}", "\N{NO-BREAK SPACE}"
LANGUAGES: Mapping[str, tuple[str, str, str]] = {
    **dict.fromkeys(["en", "es-mx", "es-us", "ja", "ko", "th", "zh"], (",", ".", "¤")),
    **dict.fromkeys(["da", "de", "el", "es", "hr", "it", "ro", "sl"], (".", ",", "")),
    **dict.fromkeys(["bg", "cs", "et", "fi", "hu", "lt", "lv", "nb", "no", "pl", "sk", "sv"], (BLANK, ",", "")),
    **dict.fromkeys(["fr-ca", "pt-pt", "ru", "uk"], (BLANK, ",", "")),
    **dict.fromkeys(["de-ch", "it-ch"], ("’", ".", "¤" + BLANK)),
    **dict.fromkeys(["de-at", "nl", "pt"], (".", ",", "¤" + BLANK)),
    **dict.fromkeys(["es-ar", "es-co", "id", "tr"], (".", ",", "¤")),
    "fr": (NARROW, ",", ""),
}


# The replacement for characters that are not shown, and which those are, apart from the ones that Python calls
# unprintable: Default_Ignorable_Code_Point in https://www.unicode.org/Public/UNIDATA/DerivedCoreProperties.txt, and the
# blank Braille pattern. The two variation selectors that choose how an emoji looks are kept.
REPLACED = "\N{REPLACEMENT CHARACTER}"
UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code) for codes in (range(0x180B, 0x1810), range(0xFE00, 0xFE0E), range(0xE0100, 0xE01F0)) for code in codes
}


def money(amount: int, currency: str, language: str = "en") -> str:
    """Write minor units as text: ``money(1900, "eur")`` is ``€19.00``, and ``19,00 €`` in German.

    ``language`` is one of ``LANGUAGES``.
    """
    comma, point, symbol_first = LANGUAGES[language]
    decimals = DECIMALS.get(currency, 2)
    number = f"{Decimal(amount).scaleb(-decimals):,.{decimals}f}".translate({ord(","): comma, ord("."): point})
    if currency in SYMBOLS and symbol_first:
        return f"{SYMBOLS[currency]}{symbol_first[1:]}{number}"
    return f"{number}{BLANK}{SYMBOLS[currency]}" if currency in SYMBOLS else f"{number} {currency.upper()}"


def per(interval: str | None, count: int = 1) -> str:
    """Write how often a price is paid: ``per month``, ``every 3 months``; ``once`` if there is no interval."""
    if interval is None:
        return "once"
    return f"per {interval}" if count == 1 else f"every {count} {interval}s"


def price(amount: int | None, currency: str | None) -> str:
    """Write an amount that may be missing: nothing is paid for what an operator grants."""
    return "nothing" if amount is None or currency is None else money(amount, currency)


def day(at: int) -> str:
    """Write a date, in UTC."""
    when = datetime.fromtimestamp(at, UTC)
    return f"{when.day} {when:%B %Y}"


def moment(at: int) -> str:
    """Write a date and time, in UTC."""
    return f"{day(at)}, {datetime.fromtimestamp(at, UTC):%H:%M}\N{NO-BREAK SPACE}UTC"


def iso(at: int) -> str:
    """Write a time for machines (RFC 3339)."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def printable(text: str) -> str:
    """Replace the characters of a foreign text that could control a terminal, reverse the text, or are invisible.

    Which they are: https://docs.python.org/3/library/stdtypes.html#str.isprintable, and the few letters and marks that
    are blank although they count as printable.
    """
    if text.isascii() and text.isprintable():
        return text  # as most texts are
    return "".join(
        c if c in "\n\N{NO-BREAK SPACE}" or (c.isprintable() and c not in UNSEEN) else REPLACED for c in text
    )
