"""The page of prices: what is on sale, on which terms, for whom."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.databases import fresh_sqlite
from tests.support.running import Browser, Sandbox, forms, running_sandbox
from tests.support.shops import Shop, recurring, running_shop
from tests.web.conftest import OpenSite

from tollkeeper.web.languages import language_for
from tollkeeper.words import LANGUAGES, money, per


@pytest.fixture(scope="module")
def shop(sandbox: Sandbox, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    with running_shop(sandbox, fresh_sqlite(sqlite_template, folder), folder) as shop:
        yield shop


@pytest.fixture
def own_shop(sqlite_url: str, tmp_path: Path) -> Iterator[Shop]:
    with running_sandbox() as sandbox, running_shop(sandbox, sqlite_url, tmp_path) as shop:
        yield shop


def offered(page: str) -> str:
    return " ".join(page.split())


def test_everything_on_sale_is_there_for_anybody(shop: Shop) -> None:
    page = Browser(shop.url).get("/pricing")
    for words in ("Flying lessons", "€19.00", "Pro", "€9.00", "per month", "€90.00", "per year", "14 days free"):
        assert words in page.text
    assert "€7.00" not in page.text  # unlocks still, but is sold no more
    assert forms(page) == []
    assert 'href="/login?return_to=/pricing"' in page.text


def test_each_price_has_its_button(shop: Shop) -> None:
    page = shop.newcomer().get("/pricing")
    sold = [(form.fields["product"], form.fields["price"]) for form in forms(page) if "price" in form.fields]
    prices = shop.prices
    assert sold == [
        ("flying", prices["once"]),
        ("pro", prices["month"]),
        ("pro", prices["year"]),
        ("basic", prices["basic"]),
    ]
    buttons = [" ".join(form.buttons).strip() for form in forms(page) if "price" in form.fields]
    assert buttons == [
        "Purchase Flying lessons",
        "Start free trial Pro, per month",
        "Start free trial Pro, per year",
        "Subscribe Basic",
    ]


def test_the_landing_page_offers_the_same(shop: Shop) -> None:
    someone = shop.newcomer()
    pages = [someone.get(path) for path in ("/", "/pricing")]
    offers = [[form.fields for form in forms(page) if "price" in form.fields] for page in pages]
    assert offers[0] == offers[1] != []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "19,00\N{NO-BREAK SPACE}€"),
        ("en-US", "€19.00"),
        ("", "€19.00"),
        ("tlh, nl;q=0.5", "€\N{NO-BREAK SPACE}19,00"),
    ],
)
def test_amounts_are_written_as_the_visitor_reads_them(shop: Shop, asked: str, words: str) -> None:
    assert words in Browser(shop.url).client.get(f"{shop.url}/pricing", headers={"Accept-Language": asked}).text


@pytest.mark.parametrize(
    "asked", ["*", ";;;q=", "de;q=9", "a" * 3000, ",".join(["xx"] * 2000), "de\xff", "../../etc", "<b>"]
)
def test_a_bad_accept_language_is_english(shop: Shop, asked: str) -> None:
    answer = Browser(shop.url).client.get(f"{shop.url}/pricing", headers={b"Accept-Language": asked.encode("latin-1")})
    assert answer.status_code == 200
    assert "€19.00" in answer.text


def test_a_feature_is_sold_by_what_unlocks_it(shop: Shop) -> None:
    someone = shop.newcomer()
    page = someone.get("/pricing", feature="reports")
    assert "To use <strong>reports</strong> you need this." in page.text
    assert [form.fields["product"] for form in forms(page) if "price" in form.fields] == ["pro", "pro"]
    page = someone.get("/pricing", feature="dashboard")
    assert "you need one of these" in page.text
    for unknown in ("nothing", "", "<script>alert(1)</script>", "x" * 5000):
        page = someone.get("/pricing", feature=unknown)
        assert "See everything" not in page.text
        assert "<script>" not in page.text


def test_where_somebody_comes_from_goes_along(shop: Shop) -> None:
    page = shop.newcomer().get("/pricing", feature="reports", return_to="/account")
    assert [form.fields["return_to"] for form in forms(page) if "price" in form.fields] == ["/account"] * 2
    page = shop.newcomer().get("/pricing", feature="reports", return_to="https://evil.example/")
    assert "evil.example" not in page.text


def test_what_one_has_is_not_sold_again(own_shop: Shop) -> None:
    someone = own_shop.newcomer()
    own_shop.buy(someone, "once")
    own_shop.buy(someone, "month")
    page = someone.get("/pricing")
    assert "You have this. Yours for good." in page.text
    assert "You have this. Free until" in page.text
    assert "You have all of this for good with Flying lessons." in page.text
    assert not [form for form in forms(page) if "price" in form.fields]
    assert "You can already use <strong>reports</strong>." in someone.get("/pricing", feature="reports").text


def test_a_trial_is_offered_once(own_shop: Shop) -> None:
    someone = own_shop.newcomer()
    own_shop.buy(someone, "month")
    own_shop.sandbox.stripe.v1.subscriptions.cancel(own_shop.subscription().id)
    page = own_shop.shows(someone, "/pricing", "Subscribe<span")
    assert "free" not in page.text
    assert "Start free trial" not in page.text


def test_while_its_checkout_is_open_a_trial_is_still_offered(own_shop: Shop) -> None:
    someone = own_shop.newcomer()
    own_shop.order(someone, "month")
    page = someone.get("/pricing")
    assert "Start free trial" in page.text
    assert "You have an open checkout" in page.text
    changed = someone.follow(own_shop.order(someone, "year"))
    assert "per year" in changed.text


def test_tax_and_cards_are_reported(sandbox: Sandbox, open_site: OpenSite, tmp_path: Path) -> None:
    product = sandbox.stripe.v1.products.create({"name": "Pro"}).id
    prices = {
        "quarter": recurring(
            sandbox,
            2500,
            "month",
            product,
            recurring={"interval": "month", "interval_count": 3},
            tax_behavior="inclusive",
        ),
        "year": recurring(sandbox, 9000, "year", product, tax_behavior="exclusive"),
    }
    (tmp_path / "tollkeeper.toml").write_text(
        f'[products.pro]\nname = "Pro"\nunlocks = ["dashboard"]\nstripe = ["{prices["quarter"]}"]\n'
        f'stripe_also = ["{prices["year"]}"]\ntrial_days = 7\ntrial_without_card = true\n'
    )
    site = open_site(PRODUCT_PRICE_ID="")
    for path in ("/", "/pricing"):
        someone = Browser(site.url)
        someone.sign_in()
        page = offered(someone.get(path).text)
        assert "7 days free, no card needed." in page
        assert "every 3 months, incl. tax" in page
        assert "per year, plus tax" in page


def test_without_the_provider_there_is_a_page_without_prices(sqlite_url: str, tmp_path: Path) -> None:
    with running_sandbox() as sandbox, running_shop(sandbox, sqlite_url, tmp_path) as shop:
        sandbox.thread.stop()
        page = Browser(shop.url).get("/pricing")
        assert page.status_code == 200
        assert "At checkout" in page.text


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("de", "de"),
        ("DE-de", "de"),
        ("de-CH", "de-ch"),
        ("de-Latn-AT", "de-at"),
        ("fr;q=0.2, it;q=0.8", "it"),
        ("fr;q=0, it;q=0.000", "en"),
        ("en, de", "en"),
        ("xx, yy", "en"),
        (" sv ; q = 0.7 ", "sv"),
        ("de;q=x, nl", "nl"),
        (",".join(["xx"] * 10) + ",de", "en"),
    ],
)
def test_language(asked: str, language: str) -> None:
    assert language_for(asked) == language


# As in CLDR 48 (https://cldr.unicode.org).
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "€1,234.50"),
        ("de", "1.234,50_€"),
        ("de-at", "€_1.234,50"),
        ("de-ch", "€_1’234.50"),
        ("es", "1.234,50_€"),
        ("fr", "1\N{NARROW NO-BREAK SPACE}234,50_€"),
        ("nl", "€_1.234,50"),
        ("pl", "1_234,50_€"),
        ("pt", "€_1.234,50"),
        ("pt-pt", "1_234,50_€"),
        ("tr", "€1.234,50"),
        ("ja", "€1,234.50"),
    ],
)
def test_money_of_a_language(language: str, words: str) -> None:
    assert money(123450, "eur", language) == words.replace("_", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_language_loses_a_digit(language: str) -> None:
    for amount, currency, digits in ((123456789, "eur", "123456789"), (5, "usd", "005"), (12345, "kwd", "12345")):
        assert "".join(filter(str.isdigit, money(amount, currency, language))) == digits


def test_how_often() -> None:
    reported = [per(None), per("month"), per("month", 3), per("year"), per("week", 2)]
    assert reported == ["once", "per month", "every 3 months", "per year", "every 2 weeks"]
