"""PURE. Money, time and names in words, the same on pages and in commands."""

from datetime import UTC, datetime
from decimal import Decimal

# https://docs.stripe.com/currencies#zero-decimal and #three-decimal
DECIMALS = dict.fromkeys(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"], 0
) | dict.fromkeys(["bhd", "jod", "kwd", "omr", "tnd"], 3)
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


def money(amount: int, currency: str) -> str:
    """Minor units in words: ``money(1900, "eur")`` is ``€19.00``."""
    decimals = DECIMALS.get(currency, 2)
    number = f"{Decimal(amount).scaleb(-decimals):,.{decimals}f}"
    return f"{SYMBOLS[currency]}{number}" if currency in SYMBOLS else f"{number} {currency.upper()}"


def price(amount: int | None, currency: str | None) -> str:
    """An amount that there may be none of: nothing is paid for what an operator grants."""
    return "nothing" if amount is None or currency is None else money(amount, currency)


def day(at: int) -> str:
    """A date in words, UTC."""
    when = datetime.fromtimestamp(at, UTC)
    return f"{when.day} {when:%B %Y}"


def moment(at: int) -> str:
    """A date and time in words, UTC."""
    return f"{day(at)}, {datetime.fromtimestamp(at, UTC):%H:%M}\N{NO-BREAK SPACE}UTC"


def iso(at: int) -> str:
    """A time for machines (RFC 3339)."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def printable(text: str) -> str:
    """Words from outside, without what could steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\N{NO-BREAK SPACE}" else "\N{REPLACEMENT CHARACTER}" for c in text)
