"""Offers as sellers write them: every syntax, and ambiguous texts."""

import re
from pathlib import Path

import pytest

from tollkeeper.config.load import load_wishes
from tollkeeper.model.selling import Offer
from tollkeeper.providers.stripe.kind import STRIPE
from tollkeeper.providers.stripe.settings import check_offer
from tollkeeper.providers.stripe.setup_plan import lookup_key
from tollkeeper.settings.offers import NoOffer, parse, words

GUIDE = Path(__file__).parents[2] / "docs" / "stripe.md"

READ = [
    ("9.99 EUR", Offer(999, "eur"), "€9.99, once", "999-eur-once"),
    ("9 EUR", Offer(900, "eur"), "€9.00, once", "900-eur-once"),
    ("0 USD per month", Offer(0, "usd", "month"), "$0.00 per month", "0-usd-month"),
    ("9.99 eur per month", Offer(999, "eur", "month"), "€9.99 per month", "999-eur-month"),
    ("99  EUR  per  year ", Offer(9900, "eur", "year"), "€99.00 per year", "9900-eur-year"),
    ("25 USD per 3 months", Offer(2500, "usd", "month", 3), "$25.00 per 3 months", "2500-usd-3-month"),
    ("5 CHF per 1 week", Offer(500, "chf", "week"), "5.00 CHF per week", "500-chf-week"),
    ("3 GBP per day", Offer(300, "gbp", "day"), "£3.00 per day", "300-gbp-day"),
    ("500 JPY per month", Offer(500, "jpy", "month"), "¥500 per month", "500-jpy-month"),
    ("1.230 KWD", Offer(1230, "kwd"), "1.230 KWD, once", "1230-kwd-once"),
    ("2 KWD", Offer(2000, "kwd"), "2.000 KWD, once", "2000-kwd-once"),
    ("500 ISK", Offer(50000, "isk"), "500.00 ISK, once", "50000-isk-once"),
    ("99 EUR per 3 years", Offer(9900, "eur", "year", 3), "€99.00 per 3 years", "9900-eur-3-year"),
]


@pytest.mark.parametrize(("text", "offer", "reported", "key"), READ)
def test_offers_are_read_written_and_named(text: str, offer: Offer, reported: str, key: str) -> None:
    assert parse(text) == offer
    check_offer(offer)
    assert words(offer) == reported
    assert lookup_key("pro", offer) == f"tollkeeper/pro/{key}"


UNCLEAR = [
    ("9,99 EUR", "comma"),
    ("1,000.00 EUR", "comma"),
    ("9.9 EUR", "not the 2 decimals of EUR"),
    ("9.999 EUR", "not the 2 decimals of EUR"),
    ("500.00 JPY", "decimals, and JPY has none"),
    ("1.23 KWD", "not the 3 decimals of KWD"),
    ("1.234 KWD", "rounded"),
    ("500.50 ISK", "no smaller unit"),
    ("9.99 EUE", "currency"),
    ("9.99 EUR per 4 years", "every three years"),
    ("9.99 EUR per 37 months", "every three years"),
    *[
        (text, "is not an offer")
        for text in ("", "9.99", "EUR 9.99", "€9.99", "-1 EUR", "9. EUR", ".99 EUR", "9.99EUR")
    ],
    *[
        (f"9 EUR {rest}", "is not an offer")
        for rest in ("monthly", "a month", "per months", "per 0 months", "per quarter")
    ],
    ("٩ EUR", "is not an offer"),
]


@pytest.mark.parametrize(("text", "problem"), UNCLEAR)
def test_what_could_be_meant_in_two_ways_is_refused(text: str, problem: str) -> None:
    with pytest.raises(NoOffer, match=problem) as refused:
        check_offer(parse(text))
    assert refused.value.remedy


def test_what_the_guide_sells_can_be_set_up(tmp_path: Path) -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "tollkeeper.toml").write_text(toml, "utf-8")
    wishes = load_wishes({"PUBLIC_URL": "http://localhost:8000", "STRIPE_API_KEY": "sk_test_1"}, tmp_path, STRIPE)
    assert [len(product.offers) for product in wishes.products] == [2, 1]
    assert wishes.products[0].offers[0] == Offer(999, "eur", "month")
