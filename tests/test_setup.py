"""``tollkeeper setup stripe``, run as a seller runs it, against the sandbox's Stripe over HTTP."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.support.processes import free_port, run, run_here
from tests.support.running import API_KEY, Browser, Sandbox, Thread, running_sandbox, settings_for

from tollkeeper.app import create_app
from tollkeeper.config import files
from tollkeeper.config import load as config
from tollkeeper.model.orders import Customer, Realm
from tollkeeper.model.selling import Offer
from tollkeeper.providers.stripe.account import StripeProvider
from tollkeeper.providers.stripe.events import EVENTS_THAT_MATTER
from tollkeeper.providers.stripe.kind import STRIPE
from tollkeeper.providers.stripe.settings import StripeSettings
from tollkeeper.settings.offers import fingerprint

PUBLIC_URL = "https://pay.example.com"
PRO = """
[products.pro]
name = "Pro"
unlocks = ["dashboard"]
offers = ["9.99 EUR per month", "99 EUR per year"]
"""
ONCE = """
[products.once]
name = "Flying lessons"
unlocks = ["dashboard"]
offers = ["19 EUR"]
"""
OUT_OF_TOML = re.compile(r"line \[products\.(\w+)\], in place of .*\n\n((?:stripe\w* = .*\n)+)")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An account of one's own."""
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def seller(sandbox: Sandbox, tmp_path: Path) -> "Seller":
    return Seller(sandbox, tmp_path)


class Seller:
    """Somebody with a key, an address and a wish."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder
        self.settings = {
            "PUBLIC_URL": PUBLIC_URL,
            "ALLOW_TEST_MODE": "true",
            "STRIPE_API_KEY": API_KEY,
            "STRIPE_API_BASE": sandbox.url,
        }

    def sells(self, toml: str) -> None:
        (self.folder / "tollkeeper.toml").write_text(toml, "utf-8")

    def says(self, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
        before = self.files()
        ended = run_here("setup", "stripe", *options, folder=self.folder, environment=self.settings | settings)
        assert "Traceback" not in ended.stderr
        assert API_KEY not in ended.stdout + ended.stderr
        assert self.files() == before
        return ended

    def writes(self, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
        ended = run_here(
            "setup", "stripe", "--write", *options, folder=self.folder, environment=self.settings | settings
        )
        assert "Traceback" not in ended.stderr
        assert API_KEY not in ended.stdout + ended.stderr
        return ended

    def set_up(self, *options: str, **settings: str) -> Any:
        ended = self.says("--json", *options, **settings)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout)

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.folder.iterdir() if path.is_file()}

    def pastes(self, shown: str) -> None:
        """Copy the printed lines as the words above them say: below that line, in place of those for these names."""
        toml = (self.folder / "tollkeeper.toml").read_text("utf-8")
        for key, lines in OUT_OF_TOML.findall(shown):
            head = f"[products.{key}]\n"
            before, _, after = toml.partition(head)
            table, bracket, rest = after.partition("\n[")
            kept = "".join(f"{line}\n" for line in table.splitlines() if not line.startswith("stripe"))
            toml = before + head + lines + kept + bracket + rest
        self.sells(toml)

    def account(self) -> dict[str, Any]:
        """Everything that setting up could touch, and how much has happened."""
        v1 = self.sandbox.stripe.v1
        lists: dict[str, Any] = {
            "products": v1.products.list({"limit": 100}),
            "prices": v1.prices.list({"limit": 100}),
            "endpoints": v1.webhook_endpoints.list({"limit": 100}),
            "portals": v1.billing_portal.configurations.list({"limit": 100, "is_default": False}),
            "events": v1.events.list({"limit": 100}),
        }
        return {name: [one.to_dict() for one in found.data] for name, found in lists.items()}


def test_the_first_run_makes_all_and_the_second_changes_nothing(seller: Seller) -> None:
    seller.sells(PRO + ONCE)
    first = seller.set_up()
    assert [(step["action"], step["what"]) for step in first["steps"]] == [
        *[("make", what) for what in ("product", "price", "price", "product", "price")],
        ("make", "billing portal configuration"),
        ("make", "webhook endpoint"),
    ]
    assert first["settings"]["STRIPE_WEBHOOK_SECRET"].startswith("whsec_")
    made = seller.account()
    second = seller.set_up(STRIPE_WEBHOOK_SECRET=first["settings"].pop("STRIPE_WEBHOOK_SECRET"))
    assert (second["steps"], second["notices"]) == ([], [])
    assert second["settings"] == first["settings"]
    assert seller.account() == made


def test_what_is_made_is_what_was_wished_for(seller: Seller) -> None:
    seller.sells(PRO)
    listed = seller.set_up()["settings"]["products"]["pro"]
    account = seller.account()
    (product,) = account["products"]
    assert (product["name"], product["metadata"]) == ("Pro", {"tollkeeper": "pro"})
    prices = {price["id"]: price for price in account["prices"]}
    (monthly,), (yearly,) = ([prices[id] for id in listed[name]] for name in ("stripe", "stripe_also"))
    assert (monthly["unit_amount"], monthly["currency"], monthly["recurring"]["interval"]) == (999, "eur", "month")
    assert (yearly["unit_amount"], yearly["recurring"]["interval"]) == (9900, "year")
    assert monthly["lookup_key"] == "tollkeeper/pro/999-eur-month"
    (endpoint,) = account["endpoints"]
    assert endpoint["url"] == f"{PUBLIC_URL}/webhooks/stripe"
    assert set(endpoint["enabled_events"]) == EVENTS_THAT_MATTER
    assert endpoint["api_version"] == stripe.api_version
    (portal,) = account["portals"]
    assert portal["features"]["subscription_update"]["products"][0]["prices"] == [monthly["id"], yearly["id"]]
    assert portal["features"]["subscription_cancel"]["mode"] == "at_period_end"


def test_a_dry_run_changes_nothing_and_tells_what_would_be_done(seller: Seller) -> None:
    seller.sells(PRO)
    before = seller.account()
    dry = seller.set_up("--dry-run")
    assert seller.account() == before
    assert dry["settings"] == {"products": {}}
    assert all(step["id"] is None for step in dry["steps"])
    assert "would make price  €9.99 per month for Pro" in seller.says("--dry-run").stdout
    assert [step["words"] for step in seller.set_up()["steps"]] == [step["words"] for step in dry["steps"]]
    assert "nothing was changed" in seller.says("--dry-run").stdout


def test_a_changed_offer_makes_a_price_and_the_old_one_keeps_unlocking(seller: Seller) -> None:
    seller.sells(PRO)
    shown = seller.says().stdout
    seller.pastes(shown)
    (old,) = config.load_wishes(seller.settings, seller.folder, STRIPE).products
    seller.sells((seller.folder / "tollkeeper.toml").read_text("utf-8").replace("9.99 EUR", "12 EUR"))
    changed = seller.set_up()
    assert [(step["action"], step["what"]) for step in changed["steps"]] == [
        ("make", "price"),
        ("change", "billing portal configuration"),
    ]
    monthly, yearly = old.prices["stripe"]
    listed = changed["settings"]["products"]["pro"]
    assert listed["stripe"] == [changed["steps"][0]["id"], monthly]
    assert listed["stripe_also"] == [yearly]
    assert any(monthly in notice and "archive" in notice for notice in changed["notices"])
    assert all(price["active"] for price in seller.account()["prices"])
    seller.pastes(seller.says().stdout)
    assert "tollkeeper.toml" not in seller.says(STRIPE_WEBHOOK_SECRET="whsec_known").stdout


def test_what_a_seller_lost_is_found_again(seller: Seller) -> None:
    """Without any price in the settings, the old one is known by what Stripe keeps."""
    seller.sells(ONCE)
    (old,) = seller.set_up()["settings"]["products"]["once"]["stripe"]
    seller.sells(ONCE.replace("19 EUR", "29 EUR"))
    new, *kept = seller.set_up()["settings"]["products"]["once"]["stripe"]
    assert kept == [old]
    assert new != old


def test_anybody_who_sells_no_subscriptions_any_more_keeps_one_portal_for_those_there_are(seller: Seller) -> None:
    seller.sells(PRO)
    seller.set_up()
    seller.sells(PRO.replace('"9.99 EUR per month", "99 EUR per year"', '"49 EUR"'))
    changed = seller.set_up()
    assert [step["what"] for step in changed["steps"]] == ["price", "billing portal configuration"]
    assert len(changed["settings"]["products"]["pro"]["stripe"]) == 3
    assert seller.set_up()["steps"] == []
    (portal,) = seller.account()["portals"]
    assert not portal["features"]["subscription_update"]["enabled"]


def test_what_was_changed_by_hand_is_fixed(seller: Seller) -> None:
    seller.sells(ONCE)
    seller.set_up()
    (endpoint,), (price,), (product,) = (seller.account()[name] for name in ("endpoints", "prices", "products"))
    v1 = seller.sandbox.stripe.v1
    v1.webhook_endpoints.update(endpoint["id"], {"enabled_events": ["*"], "disabled": True})
    v1.prices.update(price["id"], {"active": False})
    v1.products.update(product["id"], {"name": "Walking lessons"})
    assert [(step["action"], step["id"]) for step in seller.set_up()["steps"]] == [
        ("change", product["id"]),
        ("change", price["id"]),
        ("change", endpoint["id"]),
    ]
    assert seller.account()["endpoints"] == [endpoint]
    assert seller.set_up()["steps"] == []


def test_an_endpoint_of_another_version_is_reported_and_replaced_when_asked(seller: Seller) -> None:
    seller.sells(ONCE)
    url = f"{PUBLIC_URL}/webhooks/stripe"
    old = seller.sandbox.stripe.v1.webhook_endpoints.create({"url": url, "enabled_events": ["charge.refunded"]})
    set_up = seller.set_up(STRIPE_WEBHOOK_SECRET=str(old.secret))
    assert old.id in set_up["notices"][0]
    assert "--new-endpoint" in set_up["notices"][0]
    assert "STRIPE_WEBHOOK_SECRET" not in set_up["settings"]
    replaced = seller.set_up("--new-endpoint", STRIPE_WEBHOOK_SECRET=str(old.secret))
    (step,) = replaced["steps"]
    assert (step["what"], step["id"] != old.id) == ("webhook endpoint", True)
    assert replaced["settings"]["STRIPE_WEBHOOK_SECRET"] != old.secret
    after = seller.set_up(STRIPE_WEBHOOK_SECRET=replaced["settings"]["STRIPE_WEBHOOK_SECRET"])
    assert after["steps"] == []
    assert [old.id in notice and "could be deleted" in notice for notice in after["notices"]] == [True]


def test_a_lost_secret_is_reported_and_replaced_when_asked(seller: Seller) -> None:
    seller.sells(ONCE)
    lost = seller.set_up()["settings"]["STRIPE_WEBHOOK_SECRET"]
    again = seller.says()
    assert lost not in again.stdout
    assert "STRIPE_WEBHOOK_SECRET is not set" in again.stdout
    assert "--new-endpoint" in again.stdout
    shown = seller.says("--new-endpoint").stdout
    assert re.search(r"^STRIPE_WEBHOOK_SECRET=whsec_\w+$", shown, re.MULTILINE)


@pytest.mark.parametrize(("toml", "button"), [(ONCE, "Purchase"), (PRO, "Subscribe")], ids=["once", "by subscription"])
def test_with_the_printed_settings_a_purchase_opens_the_dashboard(
    seller: Seller, tmp_path: Path, toml: str, button: str
) -> None:
    seller.sells(toml)
    url = f"http://127.0.0.1:{free_port()}"
    shown = seller.says(PUBLIC_URL=url).stdout
    secret = shown.partition("STRIPE_WEBHOOK_SECRET=")[2].split()[0]
    seller.pastes(shown)
    database = f"sqlite:///{tmp_path / 'made.sqlite3'}"
    settings = settings_for(url, seller.sandbox, database, STRIPE_WEBHOOK_SECRET=secret, PRODUCT_PRICE_ID="")
    for command in ("check", "migrate"):
        assert run_here(command, folder=seller.folder, environment=settings).returncode == 0
    app = Thread(lambda: create_app(config.load(settings, seller.folder)), int(url.rpartition(":")[2]))
    app.start()
    try:
        browser = Browser(url)
        browser.sign_in()
        assert not browser.enters()
        browser.follow(browser.pay(browser.follow(browser.submit(browser.get("/"), button))))
        assert browser.enters()
    finally:
        app.stop()


COMMENTED = """# Ours
[products.once] # the only one
name = "Flying lessons"
unlocks = ["dashboard"]
offers = ["19 EUR"] # was 29

# [products.other]
"""
ENV = "# Mine\nSITE_NAME='A # b' # a name\nSTRIPE_WEBHOOK_SECRET= # told once\n"


def test_it_writes_ids_and_secrets_and_nothing_else(seller: Seller) -> None:
    seller.sells(COMMENTED)
    (seller.folder / ".env").write_text(ENV)
    (seller.folder / ".env").chmod(0o640)
    first = seller.writes("--yes")
    assert first.returncode == 0, first.stderr
    written = seller.files()
    secret = written[".env"].partition("SECRET=")[2].split()[0]
    assert written[".env"] == ENV.replace("SECRET= ", f"SECRET={secret} ")
    assert secret.startswith("whsec_")
    assert secret not in first.stdout + first.stderr
    assert "+STRIPE_WEBHOOK_SECRET=********" in first.stdout
    (price,) = seller.account()["prices"]
    new = f'stripe = ["{price["id"]}"]\nstripe_made_from = ["{fingerprint(Offer(1900, "eur"))}"]\n'
    assert written["tollkeeper.toml"] == COMMENTED.replace("# was 29\n", f"# was 29\n{new}")
    assert (seller.folder / ".env").stat().st_mode & 0o777 == 0o640
    again = seller.writes("--yes")
    assert "nothing was written" in again.stdout
    assert seller.files() == written
    assert seller.says().stdout.count("In ") == 0


def test_another_endpoint_adds_its_secret_to_the_first(seller: Seller) -> None:
    seller.sells(ONCE)
    seller.writes("--yes")
    secret = seller.files()[".env"].partition("=")[2].strip()
    assert (seller.folder / ".env").stat().st_mode & 0o777 == 0o600
    told = json.loads(seller.writes("--yes", "--json", "--new-endpoint").stdout)
    new, old = seller.files()[".env"].partition("=")[2].strip().split(",")
    assert (old, new != old, told["written"]) == (secret, True, [".env"])
    assert new not in json.dumps(told)


def test_nothing_is_asked_of_stripe_where_nothing_could_be_written(seller: Seller) -> None:
    seller.sells(ONCE)
    assert "Add --yes" in seller.writes().stderr
    assert seller.writes("--yes", "--dry-run").returncode == 2
    (seller.folder / ".env").mkdir()
    assert seller.writes("--yes").returncode == 1
    assert seller.account()["products"] == []


def test_what_cannot_be_written_is_printed(seller: Seller) -> None:
    """In the environment, in tables of another form, or with two kinds of line ends."""
    seller.sells(ONCE.replace("\n", "\r\n", 1))
    mixed = seller.writes("--yes")
    assert "two kinds of line ends" in mixed.stdout
    assert mixed.returncode == 1
    assert re.search(r"^STRIPE_WEBHOOK_SECRET=whsec_\w+$", mixed.stdout, re.MULTILINE)
    seller.sells(ONCE.replace("\n", "\r\n"))
    known = seller.writes("--yes", "--new-endpoint", STRIPE_WEBHOOK_SECRET="whsec_known")
    assert "outranks .env: set it there" in known.stdout
    assert re.search(r"^STRIPE_WEBHOOK_SECRET=whsec_\w+,whsec_known$", known.stdout, re.MULTILINE)
    text = (seller.folder / "tollkeeper.toml").read_bytes()
    assert b"stripe = [" in text
    assert text.count(b"\n") == text.count(b"\r\n")
    assert not (seller.folder / ".env").exists()


def test_whoever_does_not_agree_gets_the_lines_to_copy(seller: Seller, tmp_path: Path) -> None:
    seller.sells(ONCE)
    wishes = config.load_wishes(seller.settings, seller.folder, STRIPE)
    done = asyncio.run(wishes.provider.set_up(wishes.base_url, wishes.products))
    lines = files.lines_to_set(done, wishes)
    seller.sells("")
    assert files.not_set(lines, tmp_path) == lines
    seller.sells(ONCE)
    refused = files.write_lines(lines, tmp_path, {}, lambda changes: False)
    assert (refused.files, refused.left, refused.trouble) == ((), lines, None)
    before = seller.files()

    def interfere(changes: tuple[files.Change, ...]) -> bool:
        (tmp_path / "tollkeeper.toml").write_text("# changed while the question was open\n" + ONCE)
        return True

    half = files.write_lines(lines, tmp_path, {}, interfere)
    assert (half.files, half.left) == ((tmp_path / ".env",), files.Lines(lines.products, {}))
    assert "changed in the meantime" in str(half.trouble)
    assert seller.files()["tollkeeper.toml"].endswith(before["tollkeeper.toml"])


def test_an_offer_that_was_changed_since_is_known_without_asking(seller: Seller) -> None:
    seller.sells(ONCE)
    settings = settings_for(PUBLIC_URL, seller.sandbox, "sqlite:///x.sqlite3", PRODUCT_PRICE_ID="") | seller.settings
    assert seller.writes("--yes").returncode == 0

    def said() -> list[str]:
        return [one.problem for one in config.load(settings, seller.folder).warnings if "offers" in one.variable]

    assert said() == []
    made = seller.files()["tollkeeper.toml"]
    seller.sells(made.replace("19 EUR", "29 EUR"))
    assert ["have changed since" in one for one in said()] == [True]
    ended = run_here("check", folder=seller.folder, environment=settings)
    assert "tollkeeper setup stripe --write" in ended.stderr
    seller.sells(re.sub(r"stripe_made_from.*\n", "", made))
    assert ["stripe_made_from is not set" in one for one in said()] == [True]
    assert seller.writes("--yes").returncode == 0
    assert said() == []


def test_the_app_opens_the_portal_that_was_made(seller: Seller) -> None:
    seller.sells(PRO)
    customer = seller.sandbox.stripe.v1.customers.create()

    async def open_portal() -> None:
        provider = StripeProvider(StripeSettings(API_KEY, api_base=seller.sandbox.url))
        known = Customer(1, Realm("stripe", "acct", live=False), customer.id, "person")
        await provider.billing_portal(known, f"{PUBLIC_URL}/account")
        await provider.close()

    def used() -> list[str]:
        events = reversed(seller.account()["events"])
        made = [event["data"]["object"] for event in events if event["type"] == "billing_portal.session.created"]
        return [portal["configuration"] for portal in made]

    asyncio.run(open_portal())
    portal = next(step["id"] for step in seller.set_up()["steps"] if "portal" in step["what"])
    asyncio.run(open_portal())
    assert [configuration == portal for configuration in used()] == [False, True]


def test_a_price_of_one_product_needs_no_products(seller: Seller) -> None:
    """The webhook endpoint is set up for those whose only price was made by hand."""
    set_up = seller.set_up(PRODUCT_PRICE_ID=seller.sandbox.price())
    assert [step["what"] for step in set_up["steps"]] == ["webhook endpoint"]
    assert set_up["settings"]["products"] == {}


def test_a_live_key_has_to_be_meant(seller: Seller) -> None:
    seller.sells(ONCE)
    for key, option, words in (("sk_live_1", (), "Add --live"), (API_KEY, ("--live",), "is a test key")):
        ended = seller.says(*option, STRIPE_API_KEY=key, STRIPE_API_BASE="" if key != API_KEY else seller.sandbox.url)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert words in ended.stderr
        assert key not in ended.stderr
    assert seller.account()["products"] == []


def test_all_faults_are_reported_at_once_and_none_that_setting_up_does_not_need(seller: Seller) -> None:
    seller.sells('[products.pro]\nname = "Pro"\nunlocks = ["dashboard"]\noffers = ["9,99 EUR", "1 EUR", "1.00 EUR"]')
    ended = seller.says("--json", PUBLIC_URL="ftp://example.com")
    assert ended.returncode == 1
    assert {fault["variable"] for fault in json.loads(ended.stdout)["faults"]} == {"PUBLIC_URL", "products.pro.offers"}
    seller.sells('[products.pro]\nname = "Pro"\nunlocks = ["dashboard"]\noffers = ["1 EUR", "1.00 EUR"]')
    assert "the same offer twice" in seller.says().stderr


WITHOUT_OFFERS = ["", '[products.pro]\nname = "Pro"\nunlocks = ["dashboard"]\n']


@pytest.mark.parametrize("toml", WITHOUT_OFFERS)
def test_anybody_who_sells_nothing_is_shown_how(seller: Seller, toml: str) -> None:
    seller.sells(toml)
    ended = seller.says()
    assert ended.returncode == 1
    assert 'offers = ["9.99 EUR per month", "99 EUR per year"]' in ended.stderr


def test_a_server_does_not_start_on_offers_alone_and_says_what_makes_prices(seller: Seller) -> None:
    seller.sells(ONCE)
    ended = run_here("check", folder=seller.folder, environment=seller.settings)
    assert "products.once.stripe" in ended.stderr
    assert "tollkeeper setup stripe" in ended.stderr


def test_a_wrong_key_and_no_answer_are_told_in_words(seller: Seller) -> None:
    seller.sells(ONCE)
    with answering(seller, lambda _: JSONResponse({"error": {"message": "Invalid API Key provided"}}, 401)) as url:
        assert "does not know STRIPE_API_KEY" in seller.says(STRIPE_API_BASE=url).stderr
    nobody = f"http://127.0.0.1:{free_port()}"
    assert "did not answer" in seller.says(STRIPE_API_BASE=nobody).stderr


def test_all_that_a_restricted_key_may_not_read_is_reported_at_once(seller: Seller) -> None:
    seller.sells(PRO)
    with answering(seller, lambda request: denied(request, "GET", "/v1/prices", "/v1/webhook_endpoints")) as url:
        ended = seller.says(STRIPE_API_BASE=url)
    assert ended.returncode == 1
    assert "may not read Prices, Webhook Endpoints" in ended.stderr
    assert "to write Products, Prices, Webhook Endpoints, Customer portal" in ended.stderr
    assert seller.account()["products"] == []


def test_what_a_restricted_key_may_not_write_stops_it_and_the_next_run_goes_on(seller: Seller) -> None:
    seller.sells(PRO)
    with answering(seller, lambda request: denied(request, "POST", "/v1/prices")) as url:
        ended = seller.says(STRIPE_API_BASE=url)
    assert ended.returncode == 1
    assert "made product  Pro" in ended.stdout
    assert "may not write Prices" in ended.stdout
    (product,) = seller.account()["products"]
    done = seller.set_up()
    assert [step["what"] for step in done["steps"]][:2] == ["price", "price"]
    assert seller.account()["products"] == [product]


def test_the_secret_of_an_endpoint_survives_all_trouble(seller: Seller) -> None:
    """It is made last, so that nothing that fails can hide it."""
    seller.sells(PRO)
    with answering(seller, lambda request: denied(request, "POST", "/v1/billing_portal/configurations")) as url:
        set_up = json.loads(seller.says("--json", STRIPE_API_BASE=url).stdout)
    assert not set_up["ok"]
    assert "Customer portal" in set_up["trouble"]
    assert seller.account()["endpoints"] == []


def test_help_shows_an_example(tmp_path: Path) -> None:
    shown = run("setup", "stripe", "--help", folder=tmp_path).stdout
    assert "Example: tollkeeper setup stripe" in shown
    assert "[products.pro]" in shown
    assert "stripe" in run("setup", "--help", folder=tmp_path).stdout


def denied(request: Request, method: str, *paths: str) -> Response | None:
    """Stripe's refusal of what a restricted key may not do."""
    if request.method != method or request.url.path not in paths:
        return None
    message = "The provided key does not have the required permissions for this endpoint on account 'acct_1'."
    return JSONResponse({"error": {"type": "invalid_request_error", "message": message}}, 403)


@contextmanager
def answering(seller: Seller, refuse: Any) -> Iterator[str]:
    """A Stripe that refuses some calls, and hands all others on."""

    async def answer(request: Request) -> Response:
        if (refusal := refuse(request)) is not None:
            return refusal  # type: ignore[no-any-return]
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
        where = f"{seller.sandbox.url}{request.url.path}?{request.url.query}"
        async with httpx2.AsyncClient(timeout=20) as client:
            found = await client.request(request.method, where, content=await request.body(), headers=headers)
        return Response(found.content, found.status_code, media_type="application/json")

    thread = Thread(lambda: Starlette(routes=[Route("/{rest:path}", answer, methods=["GET", "POST"])]))
    thread.start()
    try:
        yield thread.url
    finally:
        thread.stop()
