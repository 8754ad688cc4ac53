"""A provider that only this folder knows sells in the real app: nothing else depends on a certain provider."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.docs.documents import ROOT, tracked
from tests.providers.pebble.kind import PEBBLE
from tests.providers.pebble.server import signature
from tests.providers.worlds import PebbleWorld, pebble_world
from tests.support.running import (
    Browser,
    Sandbox,
    Site,
    Thread,
    eventually,
    forms,
    newcomer,
    running_sandbox,
    settings_without_provider,
)

from tollkeeper.app import create_app, open_services
from tollkeeper.config.config import Config
from tollkeeper.config.load import load, load_wishes
from tollkeeper.errors import ConfigurationError, Obstacle, ProviderRefused
from tollkeeper.operating import adoption
from tollkeeper.providers.stripe.kind import STRIPE
from tollkeeper.storage.tables import audit, grants, login_sessions

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY
RENEWED = WEEK + 2 * HOUR

CATALOG = """
[products.flying]
name = "Flying lessons"
unlocks = ["dashboard"]
pebble = ["{once}"]

[products.basic]
name = "Basic"
unlocks = ["dashboard"]
pebble = ["{weekly}"]
grace_days = 3

[products.pro]
name = "Pro"
unlocks = ["dashboard", "reports"]
pebble = ["{yearly}"]
pebble_also = ["{for_good}"]
"""


@dataclass
class Shop:
    """A running app that sells through Pebble. One clock goes for all."""

    site: Site
    world: PebbleWorld
    prices: dict[str, str]
    folder: Path

    @property
    def hears(self) -> bool:
        """Whether it is sent what happens."""
        return "PEBBLE_SECRET" in self.site.settings

    def configured(self) -> Config:
        return load(self.site.settings, self.folder, (PEBBLE,))

    def order(self, browser: Browser, price: str) -> httpx2.Response:
        """Press the button of a price. Answers the redirect."""
        page = browser.get("/pricing")
        form = next(form for form in forms(page) if form.fields.get("price") == self.prices[price])
        return browser.client.post(f"{self.site.url}{form.action}", data=form.fields, headers={"Origin": self.site.url})

    def buy(self, browser: Browser, price: str) -> httpx2.Response:
        """Buy from the page of prices. Returns the page after payment."""
        return browser.follow(browser.get(self.world.pay(self.order(browser, price).headers["Location"])))

    def buyer_of(self, price: str) -> Browser:
        browser = newcomer(self.site)
        self.buy(browser, price)
        assert browser.enters()
        return browser

    def grant(self, browser: Browser) -> Any:
        """The one they have."""
        (found,) = self.site.rows_of(browser, grants)
        return found


@contextmanager
def running_shop(database_url: str, folder: Path, *, webhooks: bool = True) -> Iterator[Shop]:
    with running_sandbox() as sandbox, pebble_world(sandbox.clock) as world:
        prices = {
            "once": world.price(),
            "weekly": world.price(900, name="Basic", interval="week"),
            "yearly": world.price(29_900, name="Pro", interval="year"),
            "for_good": world.price(99_000, name="Pro"),
        }
        (folder / "tollkeeper.toml").write_text(CATALOG.format(**prices))
        settings: dict[str, str] = {}
        thread = Thread(lambda: create_app(load(settings, folder, (PEBBLE,)), clock=sandbox.clock))
        settings |= settings_without_provider(thread.url, sandbox, database_url)
        settings |= {"PEBBLE_KEY": world.pebble.key, "PEBBLE_URL": world.pebble.url}
        settings |= {"PEBBLE_SECRET": world.send_events_to(thread.url)} if webhooks else {}
        thread.start()
        try:
            yield Shop(Site(thread, sandbox, settings, sandbox.clock), world, prices, folder)
        finally:
            thread.stop()


@pytest.fixture(params=[True, False], ids=["webhooks", "polling"])
def shop(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> Iterator[Shop]:
    """Hears of everything at once; or only when it asks, every half a minute."""
    with running_shop(sqlite_url, tmp_path, webhooks=request.param) as shop:
        yield shop


@pytest.fixture
def quick_shop(sqlite_url: str, tmp_path: Path) -> Iterator[Shop]:
    with running_shop(sqlite_url, tmp_path) as shop:
        yield shop


def heard(shop: Shop, condition: Callable[[], object]) -> None:
    """What happened at the provider arrives by itself: at once, or when it is next asked."""
    if not shop.hears:
        shop.world.pass_time(60)
    assert eventually(condition, 20)


# Bought once


def test_anybody_who_pays_gets_in_and_a_refund_ends_it(shop: Shop) -> None:
    browser = newcomer(shop.site)
    assert not browser.enters()
    page = shop.buy(browser, "once")
    assert "Payment done" in page.text
    assert browser.enters()
    assert "Flying lessons" in browser.get("/account").text
    grant = shop.grant(browser)
    assert (grant.product, grant.amount, grant.until) == ("flying", 1900, None)
    shop.world.refund(grant.reference, 1900)
    heard(shop, lambda: not browser.enters())


def test_anybody_who_closes_the_window_after_paying_gets_in(shop: Shop) -> None:
    browser = newcomer(shop.site)
    shop.world.pay(shop.order(browser, "once").headers["Location"])
    heard(shop, browser.enters)


def test_a_dispute_that_names_nobody_finds_who_paid(shop: Shop) -> None:
    browser = shop.buyer_of("once")
    shop.world.dispute(shop.grant(browser).reference)
    heard(shop, lambda: not browser.enters())


def test_a_page_that_was_left_is_found_again(quick_shop: Shop) -> None:
    browser = newcomer(quick_shop.site)
    first = quick_shop.order(browser, "once").headers["Location"]
    assert quick_shop.order(browser, "once").headers["Location"] == first
    left = browser.follow(browser.get(f"/purchase/cancel?session_id={first.rsplit('/', 1)[1]}"))
    assert "Flying lessons" in left.text
    assert not browser.enters()


def test_a_card_that_is_declined_buys_nothing(quick_shop: Shop) -> None:
    browser = newcomer(quick_shop.site)
    page = quick_shop.order(browser, "once").headers["Location"]
    assert quick_shop.world.pay_with("0000", page).status_code == 402
    assert not browser.enters()
    quick_shop.world.pay(page)
    assert eventually(browser.enters)


@pytest.mark.parametrize("place", ["/purchase/success", "/purchase/cancel"])
def test_anothers_page_opens_nothing(quick_shop: Shop, place: str) -> None:
    payer = newcomer(quick_shop.site)
    page = quick_shop.order(payer, "once").headers["Location"]
    payer.get(quick_shop.world.pay(page))
    assert eventually(payer.enters)
    forger = newcomer(quick_shop.site)
    before = quick_shop.site.rows(audit), quick_shop.site.rows(grants)
    for id in (page.rsplit("/", 1)[1], "page-0000000000000000", "__PAGE__", "cs_test_1", ""):
        answer = forger.get(place, session_id=id)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert not forger.enters()
    assert (quick_shop.site.rows(audit), quick_shop.site.rows(grants)) == before


def test_news_with_a_wrong_seal_are_refused_and_without_a_secret_there_is_no_door(shop: Shop) -> None:
    news = b'{"id": "news-0"}'
    for seal in ("", "1:00", signature("seal-00", news, shop.site.clock())):
        answer = httpx2.post(f"{shop.site.url}/webhooks/pebble", content=news, headers={"Pebble-Signature": seal})
        assert answer.status_code == (400 if shop.hears else 404)
    assert httpx2.post(f"{shop.site.url}/webhooks/stripe", content=news).status_code == 404


async def adopted(shop: Shop, person: str, payment: str) -> adoption.Adopted:
    async with open_services(shop.configured(), shop.site.clock) as services:
        return await adoption.adopt(services, person, payment, note="Sold by telephone")


def test_what_a_stranger_bought_is_adopted_and_followed_from_then_on(shop: Shop) -> None:
    browser = newcomer(shop.site)
    page = shop.world.pay_elsewhere(shop.prices["once"], "stranger@example.com")
    payment = shop.world.pebble.pages[page].payment
    assert payment is not None
    (session,) = shop.site.rows_of(browser, login_sessions)
    assert asyncio.run(adopted(shop, session.person_id, payment.id)).trouble is None
    assert browser.enters()
    shop.world.refund(payment.id, 1900)
    heard(shop, lambda: not browser.enters())


# By subscription


def test_a_subscription_is_renewed_and_ends_when_its_grace_is_over(shop: Shop) -> None:
    browser = newcomer(shop.site)
    shop.buy(browser, "weekly")
    assert browser.enters()
    first = shop.grant(browser)
    shop.world.pass_time(RENEWED)
    heard(shop, lambda: shop.grant(browser).until == first.until + WEEK)
    shop.world.pass_time(2 * DAY)
    assert browser.enters()
    shop.world.let_renewals(first.source, succeed=False)
    shop.world.pass_time(WEEK - 2 * DAY)
    due = shop.world.pebble.memberships[first.source].bills[0].due_at
    assert due is not None
    heard(shop, lambda: shop.grant(browser).until == due + 3 * DAY)
    assert browser.enters()
    shop.world.pass_time(3 * DAY)
    assert not browser.enters()
    shop.world.let_renewals(first.source, succeed=True)
    heard(shop, browser.enters)


def test_a_refund_of_a_subscription_ends_it(shop: Shop) -> None:
    browser = shop.buyer_of("weekly")
    shop.world.refund(shop.grant(browser).reference, 900)
    heard(shop, lambda: not browser.enters())


def at_the_desk(browser: Browser, button: str, **fields: str) -> httpx2.Response:
    """Go there from the account page, press a button, and come back."""
    account = browser.get("/account")
    leads = next(word for form in forms(account) if form.action.endswith("/billing") for word in form.buttons)
    desk = browser.follow(browser.submit(account, leads.strip()))
    return browser.follow(browser.submit(desk, button, **fields))


def test_it_is_ended_at_the_providers_own_desk(quick_shop: Shop) -> None:
    browser = quick_shop.buyer_of("weekly")
    back = at_the_desk(browser, "End Basic")
    assert str(back.url) == f"{quick_shop.site.url}/account"
    until = quick_shop.grant(browser).until
    assert quick_shop.site.clock() + WEEK - HOUR < until <= quick_shop.site.clock() + WEEK
    assert browser.enters()
    quick_shop.world.pass_time(WEEK)
    assert not browser.enters()


def test_what_is_owed_is_paid_at_the_desk_and_opens_at_once(quick_shop: Shop) -> None:
    browser = quick_shop.buyer_of("weekly")
    quick_shop.world.let_renewals(quick_shop.grant(browser).source, succeed=False)
    quick_shop.world.pass_time(RENEWED + 3 * DAY)
    assert eventually(lambda: not browser.enters())
    at_the_desk(browser, "Keep card", card="2222")
    assert browser.enters()


def test_another_plan_is_shown_with_its_cost_and_agreed_to_at_the_desk(quick_shop: Shop) -> None:
    browser = quick_shop.buyer_of("weekly")
    offered = browser.follow(quick_shop.order(browser, "yearly"))
    assert "/purchase/change" in str(offered.url)
    assert "€290.00" in offered.text
    button = next(word for form in forms(offered) if form.action.endswith("/change") for word in form.buttons)
    desk = browser.follow(browser.submit(offered, button.strip()))
    browser.follow(browser.submit(desk, "Change"))
    (one,) = quick_shop.world.pebble.memberships.values()
    assert one.plan.id == quick_shop.prices["yearly"]
    assert [bill.minor for bill in one.bills] == [29_000, 900]
    grant = quick_shop.grant(browser)
    assert (grant.product, grant.amount) == ("pro", 29_900)
    assert browser.enters()


def test_anybody_who_buys_it_all_for_good_has_their_subscription_ended(quick_shop: Shop) -> None:
    browser = quick_shop.buyer_of("weekly")
    (one,) = quick_shop.world.pebble.memberships.values()
    reported = quick_shop.order(browser, "for_good")
    assert "Continue to payment" in reported.text
    page = browser.submit(reported, "Continue to payment").headers["Location"]
    browser.get(quick_shop.world.pay(page))
    assert eventually(lambda: one.over_at == one.ends)
    assert one.marks["ended_for"] == page.rsplit("/", 1)[1]
    quick_shop.world.pass_time(WEEK)
    assert browser.enters()


# Set up, and set


PRODUCTS = """
[products.pro]
name = "Pro"
unlocks = ["dashboard"]
offers = ["9 EUR per week", "299 EUR per year"]
"""


@pytest.mark.anyio
async def test_an_account_is_set_up_by_what_the_seller_wrote(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "tollkeeper.toml").write_text(PRODUCTS)
    with pebble_world() as world:
        keys = {"PEBBLE_KEY": world.pebble.key, "PEBBLE_URL": world.pebble.url}
        environ = settings_without_provider("http://127.0.0.1:4000", sandbox, "sqlite:///a.db") | keys

        async def set_up(**options: bool) -> Any:
            wishes = load_wishes(environ, tmp_path, PEBBLE, (PEBBLE,))
            return await wishes.provider.set_up(wishes.base_url, wishes.products, **options)

        reported = await set_up(dry_run=True)
        assert [(step.what, step.id) for step in reported.steps] == [("plan", None), ("plan", None), ("endpoint", None)]
        assert (reported.prices, reported.webhook_secret, world.pebble.plans) == ({}, None, {})
        done = await set_up()
        assert (done.account, done.live, done.trouble) == (world.pebble.shop, False, None)
        week, year = (step.id for step in done.steps if step.what == "plan")
        assert done.prices == {"pro": {"pebble": (week,), "pebble_also": (year,)}}
        assert world.pebble.endpoints == {"http://127.0.0.1:4000/webhooks/pebble": done.webhook_secret}
        (tmp_path / "tollkeeper.toml").write_text(f'{PRODUCTS}pebble = ["{week}"]\npebble_also = ["{year}"]\n')
        again = await set_up()
        assert (again.steps, again.webhook_secret, again.prices) == ((), None, done.prices)
        assert (await set_up(new_endpoint=True)).webhook_secret != done.webhook_secret
        config = load(environ | {"PEBBLE_SECRET": done.webhook_secret}, tmp_path, (STRIPE, PEBBLE))
        assert (config.live, config.hosted_origins) == (False, frozenset({world.pebble.url}))
        environ["PEBBLE_KEY"] = world.wrong_key.replace("live", "test")
        with pytest.raises(ProviderRefused) as refused:
            await set_up()
        assert refused.value.obstacle is Obstacle.KEY_REFUSED


SITE = {
    "PUBLIC_URL": "http://localhost:4000",
    "SECRET_KEY": "q3ZbT0v9LxM7cRk2WnYs8HdJf5GpAeUi",
    "OIDC_ISSUER": "https://id.example.com",
    "OIDC_CLIENT_ID": "tollkeeper",
    "OIDC_CLIENT_SECRET": "oidc-secret-1",
}
PLAN = "plan-0123456789abcdef"
OURS = {"PEBBLE_KEY": "pb_test_1", "PEBBLE_URL": "https://pebble.example"}
THEIRS = {"STRIPE_API_KEY": "sk_test_1"}


def faults_of(folder: Path, **settings: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(SITE | settings, folder, (STRIPE, PEBBLE))
    return [str(fault) for fault in caught.value.faults]


def test_of_two_providers_the_one_that_is_set_sells(tmp_path: Path) -> None:
    config = load(SITE | OURS | {"PRODUCT_PRICE_ID": PLAN}, tmp_path, (STRIPE, PEBBLE))
    assert [one.kind for one in config.providers] == [PEBBLE]
    assert [one.prices for one in config.products] == [{"pebble": (PLAN,)}]
    config = load(SITE | THEIRS | {"PRODUCT_PRICE_ID": "price_1"}, tmp_path, (STRIPE, PEBBLE))
    assert [one.kind for one in config.providers] == [STRIPE]


@pytest.mark.parametrize("price", [PLAN, "price_1"])
def test_where_no_provider_is_set_that_is_the_one_fault(tmp_path: Path, price: str) -> None:
    (fault,) = faults_of(tmp_path, PRODUCT_PRICE_ID=price)
    assert "Set STRIPE_API_KEY or PEBBLE_KEY" in fault


def test_a_site_sells_through_one_provider(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, **OURS, **THEIRS, PRODUCT_PRICE_ID=PLAN)
    assert fault.startswith("PEBBLE_KEY: is set together with STRIPE_API_KEY, but a site sells through one provider")


def test_the_price_of_another_provider_sells_nothing_here(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, **OURS, PRODUCT_PRICE_ID="price_1")
    assert "starts with plan-" in fault


def test_an_offer_that_the_provider_cannot_make_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "tollkeeper.toml").write_text(PRODUCTS.replace("per week", "per 2 weeks") + f'pebble = ["{PLAN}"]')
    (fault,) = faults_of(tmp_path, **OURS)
    assert "entry 1 is for several periods at once" in fault


def test_nothing_else_knows_it() -> None:
    here = Path(__file__).parent
    named = [path for path in tracked() if path.suffix != ".svg" and b"pebble" in path.read_bytes().lower()]
    assert [path.relative_to(ROOT).as_posix() for path in named if here not in path.parents] == []
    assert len(named) > 5
