"""K79: what the provider refuses is shown as off sale, and comes back automatically. K80: its limits are kept."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
import stripe
from structlog.testing import capture_logs
from tests.faults.conftest import OpenSite
from tests.support.processes import run_here
from tests.support.running import (
    API_KEY,
    NO_FILES,
    Browser,
    Sandbox,
    Site,
    eventually,
    newcomer,
    running_sandbox,
    running_site,
)
from tests.support.shops import recurring
from tests.support.stripe_settings import stripe_of

from tollkeeper.app import open_services
from tollkeeper.billing.off_sale import A_PERSON_IS_LISTED, A_PERSON_WAITS, AGAIN
from tollkeeper.billing.reconcile import Services
from tollkeeper.billing.worker import LOOK
from tollkeeper.config.config import Config
from tollkeeper.providers.stripe.account import StripeProvider
from tollkeeper.providers.stripe.events import EVENTS_THAT_MATTER
from tollkeeper.providers.stripe.settings import StripeSettings
from tollkeeper.storage.tables import customers, events, grants, off_sale, orders

TOKEN = "Tj4hWm0cQ8vLr2Zx6Ny1Ks9Bd3Fg7Pa5"
OFF_SALE_TEXT = "This cannot be bought at the moment."

CATALOG = """
[products.pro]
name = "Pro"
unlocks = ["dashboard"]
stripe = ["{month}"]
stripe_also = ["{year}"]

[products.course]
name = "Course"
unlocks = ["course"]
stripe = ["{course}"]
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Of this module alone: its account is changed."""
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def prices(sandbox: Sandbox) -> dict[str, str]:
    product = sandbox.stripe.v1.products.create({"name": "Pro"}).id
    return {
        "month": recurring(sandbox, 900, "month", product),
        "year": recurring(sandbox, 9000, "year", product),
        "course": sandbox.price(4900, name="Course"),
    }


@pytest.fixture
def shop(open_site: OpenSite, prices: dict[str, str]) -> Iterator[Site]:
    with open_site(CATALOG.format(**prices), PRODUCT_PRICE_ID="", METRICS_TOKEN=TOKEN) as site:
        yield site


def press(browser: Browser, product: str, price: str, accept: str = "text/html") -> httpx2.Response:
    fields = {"product": product, "price": price}
    page = browser.get("/account")
    token = page.text.split('name="csrf_token" value="')[1].split('"')[0]
    headers = {"Origin": browser.site, "Accept": accept}
    form = fields | {"csrf_token": token}
    return browser.client.post(f"{browser.site}/purchase/checkout-session", data=form, headers=headers)


def assert_not_for_sale(answer: httpx2.Response, title: str = "Not on sale at the moment") -> None:
    assert answer.status_code == 409
    assert f"<h1>{title}</h1>" in answer.text
    assert "Nothing was charged." in answer.text
    assert "try again" not in answer.text.lower()
    assert "Retry-After" not in answer.headers


def measured(site: Site) -> dict[str, float]:
    text = httpx2.get(f"{site.url}/metrics", headers={"Authorization": "Bearer " + TOKEN}).text
    lines = [line for line in text.splitlines() if line.startswith("tollkeeper_off_sale{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def checked(site: Site, *options: str) -> str:
    """The output of `tollkeeper check` while the app runs."""
    done = run_here("check", *options, folder=NO_FILES, environment=site.settings | {"PRODUCT_PRICE_ID": "price_any"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def archive(sandbox: Sandbox, price: str) -> None:
    sandbox.stripe.v1.prices.update(price, {"active": False})


def unarchive(sandbox: Sandbox, price: str) -> None:
    sandbox.stripe.v1.prices.update(price, {"active": True})


def test_k79_an_archived_price_is_off_sale_for_everybody_until_it_is_back(
    shop: Site, sandbox: Sandbox, prices: dict[str, str]
) -> None:
    archive(sandbox, prices["course"])
    first, second, stranger = newcomer(shop), newcomer(shop), Browser(shop.url)
    with capture_logs() as logs:
        for _ in range(2):
            assert_not_for_sale(press(first, "course", prices["course"]))
        assert_not_for_sale(press(second, "course", prices["course"]))
    (reported,) = [entry for entry in logs if entry["event"] == "off sale"]
    assert (reported["log_level"], reported["product"], reported["obstacle"]) == ("error", "course", "price_archived")
    assert "Unarchive" in reported["advice"]
    assert [row.state for row in shop.rows_of(first, orders)] == ["expired"], "asked once, then known"
    assert shop.rows_of(second, orders) == []

    for browser in (first, second, stranger):
        page = browser.get("/pricing").text
        assert page.count(OFF_SALE_TEXT) == 1
        assert prices["course"] not in page
    assert press(second, "pro", prices["month"]).is_redirect, "the others are on sale"
    assert measured(shop) == {"price": 1, "account": 0, "person": 0}
    (listed,) = json.loads(checked(shop, "--json"))["off_sale"]
    assert (listed["product"], listed["price"], listed["obstacle"]) == ("course", prices["course"], "price_archived")
    words = checked(shop)
    assert f"course at {prices['course']}, off sale since" in words
    assert "Unarchive" in words

    shop.clock.ahead += AGAIN + LOOK
    eventually(lambda: [row.tried_at > row.since for row in shop.rows(off_sale)] == [True])
    assert OFF_SALE_TEXT in first.get("/pricing").text
    before = len(sandbox.stripe.v1.checkout.sessions.list({"limit": 100}).data)
    unarchive(sandbox, prices["course"])
    with capture_logs() as logs:
        shop.clock.ahead += AGAIN + LOOK
        eventually(lambda: shop.rows(off_sale) == [])
        eventually(lambda: [entry["event"] for entry in logs].count("on sale again") == 1)
    assert OFF_SALE_TEXT not in stranger.get("/pricing").text
    sessions = sandbox.stripe.v1.checkout.sessions.list({"limit": 100}).data
    assert len(sessions) == before + 1
    assert (sessions[0].status, sessions[0].customer) == ("expired", None), "nobody can pay on what was tried with"
    assert press(first, "course", prices["course"]).is_redirect
    assert measured(shop) == {"price": 0, "account": 0, "person": 0}


def test_k79_one_of_several_prices_is_off_sale_alone(shop: Site, sandbox: Sandbox, prices: dict[str, str]) -> None:
    archive(sandbox, prices["year"])
    buyer = newcomer(shop)
    assert_not_for_sale(press(buyer, "pro", prices["year"]))
    page = buyer.get("/pricing").text
    assert page.count(OFF_SALE_TEXT) == 1
    assert prices["year"] not in page
    assert prices["month"] in page
    assert "Payment done" in buyer.follow(buyer.pay(buyer.follow(press(buyer, "course", prices["course"])))).text
    assert press(buyer, "pro", prices["month"]).is_redirect


def test_k79_an_archived_product_is_off_sale_too(shop: Site, sandbox: Sandbox, prices: dict[str, str]) -> None:
    price = sandbox.stripe.v1.prices.retrieve(prices["course"])
    sandbox.stripe.v1.products.update(str(price.product), {"active": False})
    assert_not_for_sale(press(newcomer(shop), "course", prices["course"]))
    assert [row.obstacle for row in shop.rows(off_sale)] == ["price_archived"]


def test_k79_a_program_is_told_in_problem_details(shop: Site, sandbox: Sandbox, prices: dict[str, str]) -> None:
    archive(sandbox, prices["course"])
    answer = press(newcomer(shop), "course", prices["course"], accept="application/json")
    assert (answer.status_code, answer.headers["Content-Type"]) == (409, "application/problem+json")
    problem = answer.json()
    assert (problem["status"], problem["title"]) == (409, "Not on sale at the moment")
    assert "try again" not in problem["detail"]


def test_k79_a_price_of_another_account_is_off_sale_and_the_settings_fix_it(
    open_site: OpenSite, prices: dict[str, str]
) -> None:
    with open_site(CATALOG.format(**prices | {"course": "price_elsewhere"}), PRODUCT_PRICE_ID="") as site:
        buyer = newcomer(site)
        assert_not_for_sale(press(buyer, "course", "price_elsewhere"))
        assert "price_elsewhere" not in buyer.get("/pricing").text
        assert [row.obstacle for row in site.rows(off_sale)] == ["price_missing"]


def test_k79_it_holds_over_a_restart_and_is_tried_at_once_by_new_settings(
    sandbox: Sandbox, prices: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    archive(sandbox, prices["course"])

    def serving(course: str) -> AbstractContextManager[Site]:
        (tmp_path / "tollkeeper.toml").write_text(CATALOG.format(**prices | {"course": course}))
        return running_site(sandbox, database_url, tmp_path, PRODUCT_PRICE_ID="")

    with serving(prices["course"]) as site:
        assert_not_for_sale(press(newcomer(site), "course", prices["course"]))
    with serving(prices["course"]) as site:
        assert OFF_SALE_TEXT in Browser(site.url).get("/pricing").text
    with serving(sandbox.price(4900, name="Course")) as site:
        assert OFF_SALE_TEXT not in Browser(site.url).get("/pricing").text
        eventually(lambda: site.rows(off_sale) == [])


@contextmanager
def set_to(sandbox: Sandbox, setting: str, **values: str) -> Iterator[Callable[..., None]]:
    """A setting of the sandbox's account, which may be set anew, and is as it was in the end."""

    def set_(**values: str) -> None:
        httpx2.post(f"{sandbox.url}/control/{setting}", data=values, headers={"Origin": sandbox.url}).raise_for_status()

    before = httpx2.get(f"{sandbox.url}/control/settings").json()[setting]
    set_(**values)
    try:
        yield set_
    finally:
        set_(**before)


ACCOUNTS: dict[str, tuple[dict[str, str], dict[str, str], str, str]] = {
    "tax": ({"active": "no"}, {"active": "yes"}, "tax_inactive", "STRIPE_AUTOMATIC_TAX=false"),
    "account": (
        {"charges": "disabled"},
        {"charges": "enabled"},
        "account_inactive",
        "https://dashboard.stripe.com/account/onboarding",
    ),
}


@pytest.mark.parametrize("setting", ACCOUNTS)
def test_k79_an_account_that_is_not_set_up_sells_nothing_until_it_is(
    open_site: OpenSite, sandbox: Sandbox, prices: dict[str, str], setting: str
) -> None:
    wrong, right, obstacle, advice = ACCOUNTS[setting]
    with (
        set_to(sandbox, setting, **wrong) as set_,
        open_site(
            CATALOG.format(**prices), PRODUCT_PRICE_ID="", STRIPE_AUTOMATIC_TAX="true", METRICS_TOKEN=TOKEN
        ) as site,
    ):
        buyer = newcomer(site)
        assert_not_for_sale(press(buyer, "course", prices["course"]))
        assert buyer.get("/pricing").text.count(OFF_SALE_TEXT) == 2
        assert_not_for_sale(press(buyer, "pro", prices["month"]))
        assert [row.obstacle for row in site.rows(off_sale)] == [obstacle]
        assert measured(site) == {"price": 0, "account": 1, "person": 0}
        assert advice in checked(site)
        assert checked(site).count("Everything, off sale since") == 1
        set_(**right)
        site.clock.ahead += AGAIN + LOOK
        eventually(lambda: OFF_SALE_TEXT not in buyer.get("/pricing").text)
        assert press(buyer, "pro", prices["month"]).is_redirect


@dataclass(eq=False)
class Line(stripe.HTTPXClient):
    """The app's line to Stripe. While it refuses, what is asked of one path is answered as Stripe words it."""

    path: str = "/v1/checkout/sessions"
    answers: tuple[int, dict[str, Any]] | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(timeout=60)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        self.asked.append((method, url))
        if self.answers and method == "post" and urlsplit(url).path == self.path:
            status, error = self.answers
            return json.dumps({"error": {"type": "invalid_request_error", **error}}).encode(), status, {}
        return await super().request_async(method, url, headers, post_data)

    @asynccontextmanager
    async def services(self, config: Config, clock: Callable[[], int]) -> AsyncIterator[Services]:
        async with open_services(config, clock) as services:
            provider = StripeProvider(stripe_of(config), http=self)
            yield replace(services, provider=provider)
            await provider.close()


OpenShop = Callable[..., AbstractContextManager[Site]]


@pytest.fixture
def open_shop(sandbox: Sandbox, prices: dict[str, str], database_url: str, tmp_path: Path) -> OpenShop:
    def opening(line: Line, **settings: str) -> AbstractContextManager[Site]:
        (tmp_path / "tollkeeper.toml").write_text(CATALOG.format(**prices))
        return running_site(sandbox, database_url, tmp_path, line.services, PRODUCT_PRICE_ID="", **settings)

    return opening


KEY = "The provided key 'rk_live_*******S3cr3t' does not have the required permissions for this endpoint on account"
FOR_EVERYBODY: dict[str, tuple[int, dict[str, Any], str, str]] = {
    "key without the permission": (
        403,
        {"message": f"{KEY} 'acct_1'. Having the 'rak_checkout_session_write' permission would allow this request."},
        "key_limited",
        "The key lacks the permission rak_checkout_session_write.",
    ),
    "key revoked": (
        401,
        {"message": "Invalid API Key provided: sk_live_*******S3cr3t"},
        "key_refused",
        "STRIPE_API_KEY",
    ),
}


@pytest.mark.parametrize("what", FOR_EVERYBODY)
def test_k79_trouble_with_the_account_takes_everything_off_sale(
    open_shop: OpenShop, prices: dict[str, str], what: str
) -> None:
    status, error, obstacle, advice = FOR_EVERYBODY[what]
    line = Line(answers=(status, error))
    with open_shop(line) as site:
        buyer = newcomer(site)
        with capture_logs() as logs:
            answer = press(buyer, "course", prices["course"])
            assert_not_for_sale(answer)
            assert_not_for_sale(press(newcomer(site), "pro", prices["month"]))
        assert [entry["obstacle"] for entry in logs if entry["event"] == "off sale"] == [obstacle]
        assert buyer.get("/pricing").text.count(OFF_SALE_TEXT) == 2
        reported = checked(site)
        assert advice in reported
        assert "S3cr3t" not in reported + answer.text + str(logs)
        line.answers = None
        site.clock.ahead += AGAIN + LOOK
        eventually(lambda: OFF_SALE_TEXT not in buyer.get("/pricing").text)
        assert press(buyer, "pro", prices["month"]).is_redirect


SECOND = "You already pay in USD here, and this is sold in EUR."


def subscribe_in_dollars(site: Site, sandbox: Sandbox, buyer: Browser) -> str:
    """Create a subscription by hand, independent of what is sold here. Returns its id."""
    (customer,) = site.rows_of(buyer, customers)
    price = sandbox.price(500, "usd", name="Support", interval="month")
    method = sandbox.stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer.external_id})
    made = sandbox.stripe.v1.subscriptions.create(
        {"customer": customer.external_id, "items": [{"price": price}], "default_payment_method": method.id}
    )
    return made.id


def test_k79_a_second_currency_is_told_to_the_one_whom_it_concerns(
    shop: Site, sandbox: Sandbox, prices: dict[str, str]
) -> None:
    buyer, other = newcomer(shop), newcomer(shop)
    assert press(buyer, "course", prices["course"]).is_redirect
    subscription = subscribe_in_dollars(shop, sandbox, buyer)
    with capture_logs() as logs:
        answer = press(buyer, "pro", prices["month"])
        assert_not_for_sale(answer, "Not in a second currency")
        assert SECOND in answer.text
        assert_not_for_sale(press(buyer, "pro", prices["month"]), "Not in a second currency")
    (reported,) = [entry for entry in logs if entry["event"] == "off sale"]
    assert (reported["log_level"], reported["currency"], reported["sold_in"]) == ("warning", "usd", "eur")
    assert measured(shop) == {"price": 0, "account": 0, "person": 1}

    assert buyer.get("/pricing").text.count(SECOND) == 1
    assert prices["month"] not in buyer.get("/pricing").text
    assert press(buyer, "course", prices["course"]).is_redirect
    for browser in (other, Browser(shop.url)):
        assert SECOND not in browser.get("/pricing").text
    assert press(other, "pro", prices["month"]).is_redirect

    shop.clock.ahead += A_PERSON_WAITS + 1
    assert_not_for_sale(press(buyer, "pro", prices["month"]), "Not in a second currency")
    sandbox.stripe.v1.subscriptions.cancel(subscription)
    shop.clock.ahead += A_PERSON_WAITS + 1
    assert prices["month"] in buyer.get("/pricing").text
    assert len(shop.rows(off_sale)) == 1, "operators still see it"
    assert press(buyer, "pro", prices["month"]).is_redirect
    assert shop.rows(off_sale) == [], "it is over"


def test_k79_what_concerned_one_person_is_forgotten_after_a_week(
    shop: Site, sandbox: Sandbox, prices: dict[str, str]
) -> None:
    buyer = newcomer(shop)
    assert press(buyer, "course", prices["course"]).is_redirect
    subscribe_in_dollars(shop, sandbox, buyer)
    assert press(buyer, "pro", prices["month"]).status_code == 409
    shop.clock.ahead += A_PERSON_IS_LISTED + 1
    eventually(lambda: shop.rows(off_sale) == [])


def test_k79_a_name_that_stripe_does_not_take_takes_nothing_from_others(
    open_shop: OpenShop, prices: dict[str, str]
) -> None:
    line = Line(path="/v1/customers", answers=(400, {"message": "Invalid string: too long", "param": "name"}))
    with open_shop(line) as site:
        buyer, other = newcomer(site), newcomer(site)
        assert press(buyer, "course", prices["course"]).status_code == 409
        assert "let your account buy this" in buyer.get("/pricing").text
        line.answers = None
        assert press(other, "course", prices["course"]).is_redirect


def test_k79_what_nobody_thought_of_stays_too_and_what_stripe_said_is_told_to_operators(
    open_shop: OpenShop, prices: dict[str, str]
) -> None:
    with open_shop(Line(answers=(400, {"message": "Something quite new."}))) as site:
        answer = press(newcomer(site), "course", prices["course"])
        assert_not_for_sale(answer)
        assert "quite new" not in answer.text
        assert "Stripe said: Something quite new." in checked(site)


PASSING: dict[str, tuple[int, dict[str, Any]]] = {
    "a fault of theirs": (500, {"type": "api_error", "message": "Sorry."}),
    "the same request under way": (409, {"type": "api_error", "message": "In use.", "code": "idempotency_key_in_use"}),
}


@pytest.mark.parametrize("what", PASSING)
def test_k79_only_passing_trouble_says_try_again(open_shop: OpenShop, prices: dict[str, str], what: str) -> None:
    with open_shop(Line(answers=PASSING[what])) as site:
        answer = press(newcomer(site), "course", prices["course"])
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "60"
        assert "Please try again in a minute." in answer.text
        assert site.rows(off_sale) == []


def test_k79_the_billing_page_that_is_refused_says_no_try_again(open_shop: OpenShop, prices: dict[str, str]) -> None:
    line = Line(path="/v1/billing_portal/sessions", answers=(400, {"message": "No configuration provided."}))
    with open_shop(line) as site:
        buyer = newcomer(site)
        buyer.follow(buyer.pay(buyer.follow(press(buyer, "pro", prices["month"]))))
        answer = buyer.submit(buyer.get("/account"), "Manage billing")
        assert answer.status_code == 409
        assert "try again" not in answer.text.lower()


MANY = 101  # one more than a page


@pytest.mark.anyio
async def test_k80_more_event_types_than_stripe_lists_at_a_time_are_asked_for_in_batches(
    open_shop: OpenShop, sandbox: Sandbox, prices: dict[str, str]
) -> None:
    """https://docs.stripe.com/api/events/list: `types` takes up to 20."""
    assert len(EVENTS_THAT_MATTER) > 20
    with open_shop(Line(), STRIPE_WEBHOOK_SECRET="") as site:
        buyer = newcomer(site)
        buyer.follow(buyer.pay(buyer.follow(press(buyer, "course", prices["course"]))))
        paid = site.rows_of(buyer, grants)[0].reference
        began = sandbox.clock()
        for _ in range(MANY):
            sandbox.stripe.v1.refunds.create({"payment_intent": paid, "amount": 1})
        site.clock.ahead += AGAIN
        eventually(lambda: {"refund.created", "charge.refunded"} <= {row.type for row in site.rows(events)})

    line = Line()
    provider = StripeProvider(StripeSettings(api_key=API_KEY, api_base=sandbox.url), http=line)
    reported = [event async for page in provider.events(began - 1) for event in page]
    await provider.close()
    asked = [types_of(url) for _, url in line.asked if urlsplit(url).path == "/v1/events"]
    assert all(0 < len(types) <= 20 for types in asked)
    assert {type_ for types in asked for type_ in types} == EVENTS_THAT_MATTER
    assert len({event.id for event in reported}) == len(reported), "each once"
    for type_ in ("refund.created", "charge.refunded"):
        assert len([event for event in reported if event.type == type_ and event.created_at >= began]) == MANY


def types_of(url: str) -> list[str]:
    return [value for name, value in parse_qsl(urlsplit(url).query) if name.startswith("types[")]
