"""``check --online`` finds whatever is set up wrongly, and says how to fix it: one thing is changed at a time.

One sandbox, one account set up as ``tollkeeper setup stripe`` does it, and one running site serve them all; each test
puts back what it changes.
"""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.processes import clean_environment, run_here
from tests.support.running import API_KEY, Sandbox, Thread, running_sandbox, settings_for
from tests.support.trouble import OBEDIENT

from tollkeeper.app import create_app
from tollkeeper.config import load as config
from tollkeeper.config.config import Config
from tollkeeper.model.checks import CheckResult, Level
from tollkeeper.readiness.checks import Checked, Checks
from tollkeeper.storage.schema import VERSION_TABLE

PRO = """
[products.pro]
name = "Pro"
unlocks = ["dashboard"]
offers = ["9.99 EUR per month", "99 EUR per year"]
"""
NAME = "Example ID"


class Shop:
    """A site that is set up as it should be, and runs."""

    def __init__(self, sandbox: Sandbox, folder: Path, thread: Thread, settings: dict[str, str]) -> None:
        self.sandbox, self.folder, self.thread, self.settings = sandbox, folder, thread, settings

    @property
    def config(self) -> Config:
        return config.load(self.settings, self.folder)

    @property
    def endpoint(self) -> Any:
        return self.sandbox.stripe.v1.webhook_endpoints.list().data[0]

    def check(self, *, ahead: int = 0, toml: str = "", **settings: str) -> Checked:
        """What a check finds, with some settings changed, or with another clock."""
        with self.catalog(toml or self.toml):
            loaded = config.load(self.settings | settings, self.folder)
        return asyncio.run(Checks(loaded, lambda: self.sandbox.clock() + ahead).run())

    @property
    def toml(self) -> str:
        return (self.folder / "tollkeeper.toml").read_text()

    @contextmanager
    def catalog(self, toml: str) -> Iterator[None]:
        file = self.folder / "tollkeeper.toml"
        before = file.read_text()
        file.write_text(toml)
        try:
            yield
        finally:
            file.write_text(before)

    @contextmanager
    def control(self, name: str, usual: str, **value: str) -> Iterator[None]:
        """A setting of the sandbox's account, for a while."""
        address = f"{self.sandbox.url}/control/{name}"
        httpx2.post(address, data=value).raise_for_status()
        try:
            yield
        finally:
            httpx2.post(address, data=dict.fromkeys(value, usual)).raise_for_status()

    @contextmanager
    def changed(self, kind: str, id: str, wrong: Mapping[str, Any], right: Mapping[str, Any]) -> Iterator[None]:
        """An object at Stripe, for a while."""
        service = getattr(self.sandbox.stripe.v1, kind)
        service.update(id, dict(wrong))
        try:
            yield
        finally:
            service.update(id, dict(right))

    @property
    def monthly(self) -> str:
        return next(price for product in self.config.products for price in product.prices["stripe"])


@pytest.fixture(scope="module")
def shop(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    shutil.copy(sqlite_template, folder / "shop.db")
    (folder / "tollkeeper.toml").write_text(PRO)
    made: dict[str, str] = {}
    thread = Thread(lambda: create_app(config.load(made, folder)))
    with running_sandbox() as sandbox:
        left_out = {"PRODUCT_PRICE_ID": "", "STRIPE_WEBHOOK_SECRET": "", "OIDC_NAME": NAME}
        url = f"sqlite:///{folder}/shop.db"
        made |= settings_for(thread.url, sandbox, url, **left_out, TRUSTED_PROXIES="192.0.2.7")
        done = json.loads(run_here("setup", "stripe", "--json", folder=folder, environment=made).stdout)
        prices = done["settings"]["products"]["pro"]
        lines = "".join(f"{name} = {json.dumps(ids)}\n" for name, ids in prices.items())
        (folder / "tollkeeper.toml").write_text(f"{PRO}{lines}")
        made["STRIPE_WEBHOOK_SECRET"] = done["settings"]["STRIPE_WEBHOOK_SECRET"]
        thread.start()
        try:
            yield Shop(sandbox, folder, thread, made)
        finally:
            thread.stop()


# The server that runs has the right settings.
BESIDE = {"address_other_settings"}


def only_fault(checked: Checked, code: str, *fix: str) -> CheckResult:
    """The one thing that is wrong: found, reported once, and with what fixes it."""
    wrong = [one for one in checked.results if one.level is not Level.OK and one.code not in BESIDE - {code}]
    assert [one.code for one in wrong] == [code], wrong
    assert all(part in wrong[0].fix for part in fix), wrong[0].fix
    return wrong[0]


def codes(checked: Checked) -> set[str]:
    return {one.code for one in checked.results}


def test_nothing_is_wrong_at_first(shop: Shop) -> None:
    checked = shop.check()
    assert [one for one in checked.results if one.level is not Level.OK] == []
    assert codes(checked) == {
        *("database_ok", "disk_ok", "address_ok_other", "proxy_none", "account_ok", "price_ok", "portal_ok"),
        *("webhooks_ok", "sale_ok", "webhook_secret_ok", "issuer_ok", "clock_ok"),
    }


# The key and the prices


@pytest.mark.parametrize("key", ["sk_test_unknown_to_stripe", "sk_test_expired_yesterday"])
def test_a_wrong_key(shop: Shop, key: str) -> None:
    found = only_fault(shop.check(STRIPE_API_KEY=key), "key_refused", "STRIPE_API_KEY", "/apikeys")
    assert key not in found.said


@pytest.mark.parametrize(
    ("lacks", "named"),
    [
        ("prices_read", "read Prices"),
        ("events_read", "read Events"),
        ("customers_write", "write Customers"),
        ("checkout_sessions_write", "write Checkout Sessions"),
        ("subscriptions_write", "write Subscriptions"),
        ("billing_portal_sessions_write", "write Customer portal"),
    ],
)
def test_a_restricted_key_that_may_not_enough(shop: Shop, lacks: str, named: str) -> None:
    checked = shop.check(STRIPE_API_KEY=f"rk_test_without_{lacks}")
    found = [one for one in checked.results if one.level is Level.FAULT]
    assert [one.code for one in found] == ["key_not_permitted"]
    assert named in found[0].said
    assert "/apikeys" in found[0].fix


def test_a_restricted_key_that_may_enough(shop: Shop) -> None:
    assert "key_permissions_ok" in codes(shop.check(STRIPE_API_KEY="rk_test_of_the_server"))
    only_fault(shop.check(STRIPE_API_KEY="rk_test_without_webhook_endpoints_read"), "webhooks_not_seen", "/apikeys")


def test_a_price_of_the_other_mode(shop: Shop) -> None:
    move = f"{shop.sandbox.url}/control/prices/{shop.monthly}/other_mode"
    httpx2.post(move).raise_for_status()
    try:
        checked = shop.check()
    finally:
        httpx2.post(move).raise_for_status()
    found = only_fault(checked, "price_other_mode", "tollkeeper setup stripe")
    assert "live mode" in found.said


def test_a_live_key_on_this_machine(shop: Shop) -> None:
    environment = shop.settings | {"STRIPE_API_KEY": "sk_live_1", "STRIPE_API_BASE": ""}
    ended = run_here("check", "--online", "--json", folder=shop.folder, environment=environment)
    assert [fault["variable"] for fault in json.loads(ended.stdout)["faults"]] == ["PUBLIC_URL"]


def test_a_price_that_is_missing(shop: Shop) -> None:
    toml = shop.toml.replace(shop.monthly, "price_nowhere")
    only_fault(shop.check(toml=toml), "price_missing", "tollkeeper setup stripe")


def test_an_old_price_that_is_missing(shop: Shop) -> None:
    toml = shop.toml.replace(f'"{shop.monthly}"]', f'"{shop.monthly}", "price_nowhere"]', 1)
    only_fault(shop.check(toml=toml), "price_kept_missing")


def test_an_archived_price(shop: Shop) -> None:
    with shop.changed("prices", shop.monthly, {"active": False}, {"active": True}):
        only_fault(shop.check(), "price_archived", f"/prices/{shop.monthly}")


def test_an_archived_product(shop: Shop) -> None:
    product = shop.sandbox.stripe.v1.prices.retrieve(shop.monthly).product
    with shop.changed("products", str(product), {"active": False}, {"active": True}):
        checked = shop.check()
    faults = checked.of(Level.FAULT)
    assert {one.code for one in faults} == {"price_product_archived"}
    assert all(f"/products/{product}" in one.fix for one in faults)


def test_another_amount(shop: Shop) -> None:
    toml = shop.toml.replace("9.99 EUR per month", "8.99 EUR per month")
    found = only_fault(shop.check(toml=toml), "price_other_offer", "tollkeeper setup stripe")
    assert "€9.99 per month" in found.said
    assert "€8.99 per month" in found.said


@pytest.mark.parametrize("other", ["9.99 USD per month", "9.99 EUR per week", "9.99 EUR per 3 months", "9.99 EUR"])
def test_another_currency_or_interval(shop: Shop, other: str) -> None:
    toml = shop.toml.replace("9.99 EUR per month", other)
    only_fault(shop.check(toml=toml), "price_other_offer", "tollkeeper setup stripe")


def test_an_offer_without_a_price(shop: Shop) -> None:
    toml = shop.toml.replace('"99 EUR per year"', '"99 EUR per year", "199 EUR per 2 years"')
    only_fault(shop.check(toml=toml), "offer_without_price", "tollkeeper setup stripe")


# Webhooks


def test_no_webhook_endpoint(shop: Shop) -> None:
    away = {"url": "https://elsewhere.example/hook"}
    with shop.changed("webhook_endpoints", shop.endpoint.id, away, {"url": shop.endpoint.url}):
        only_fault(shop.check(), "webhooks_missing", "tollkeeper setup stripe")


def test_a_webhook_endpoint_with_another_address(shop: Shop) -> None:
    endpoint, other = shop.endpoint, "https://old.example.com/webhooks/stripe"
    with shop.changed("webhook_endpoints", endpoint.id, {"url": other}, {"url": endpoint.url}):
        found = only_fault(shop.check(), "webhooks_other_address", f"/webhooks/{endpoint.id}")
    assert other in found.said
    assert endpoint.url in found.said


def test_a_disabled_webhook_endpoint(shop: Shop) -> None:
    with shop.changed("webhook_endpoints", shop.endpoint.id, {"disabled": True}, {"disabled": False}):
        only_fault(shop.check(), "webhooks_disabled", "tollkeeper setup stripe")


def test_too_few_events(shop: Shop) -> None:
    endpoint = shop.endpoint
    fewer = [one for one in endpoint.enabled_events if one != "charge.refunded"]
    right = {"enabled_events": list(endpoint.enabled_events)}
    with shop.changed("webhook_endpoints", endpoint.id, {"enabled_events": fewer}, right):
        found = only_fault(shop.check(), "webhooks_too_few_events", "tollkeeper setup stripe")
    assert "charge.refunded" in found.said


def test_two_webhook_endpoints(shop: Shop) -> None:
    service = shop.sandbox.stripe.v1.webhook_endpoints
    again = service.create(
        {"url": shop.endpoint.url, "enabled_events": ["charge.refunded"], "api_version": shop.endpoint.api_version}
    )
    try:
        assert "webhooks_several" in codes(shop.check())
    finally:
        service.delete(again.id)


def test_another_secret(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a server that runs with it: nobody but Stripe knows the right one."""
    monkeypatch.setattr("tollkeeper.providers.stripe.examination.DELIVERY_SECONDS", 1)
    shop.thread.stop()
    wrong = {"STRIPE_WEBHOOK_SECRET": "whsec_of_somebody_else"}
    port = int(shop.thread.url.rpartition(":")[2])
    other = Thread(lambda: create_app(config.load(shop.settings | wrong, shop.folder)), port)
    other.start()
    try:
        checked = shop.check(STRIPE_WEBHOOK_SECRET=wrong["STRIPE_WEBHOOK_SECRET"])
        seen_from_outside = shop.check()
    finally:
        other.stop()
        shop.thread = Thread(lambda: create_app(config.load(shop.settings, shop.folder)), port)
        shop.thread.start()
    only_fault(checked, "webhook_secret_refused", "STRIPE_WEBHOOK_SECRET", f"/webhooks/{shop.endpoint.id}")
    assert "webhook_secret_refused" in codes(seen_from_outside)


def test_the_secret_without_a_server(shop: Shop) -> None:
    """Then the last delivery has to do, and the check says so."""
    with stopped(shop):
        checked = shop.check()
    assert "address_silent" in codes(checked)
    (found,) = [one for one in checked.results if one.what == "STRIPE_WEBHOOK_SECRET"]
    assert found.code in {"webhook_secret_untested", "webhook_secret_ok_last"}
    assert "no test event was sent" in found.said
    assert checked.of(Level.FAULT) == ()


@contextmanager
def stopped(shop: Shop) -> Iterator[None]:
    port = int(shop.thread.url.rpartition(":")[2])
    shop.thread.stop()
    try:
        yield
    finally:
        shop.thread = Thread(lambda: create_app(config.load(shop.settings, shop.folder)), port)
        shop.thread.start()


# The portal, tax, and the account


def test_no_portal(shop: Shop) -> None:
    portals = shop.sandbox.stripe.v1.billing_portal.configurations
    ours = portals.list({"is_default": False}).data[0].id
    portals.update(ours, {"active": False})
    try:
        with shop.control("portal", "yes", saved="no"):
            only_fault(shop.check(), "portal_missing", "tollkeeper setup stripe", "/settings/billing/portal")
        assert "portal_ok" in codes(shop.check()), "the default one does"
    finally:
        portals.update(ours, {"active": True})


def test_tax_that_is_not_activated(shop: Shop) -> None:
    with shop.control("tax", "yes", active="no"):
        checked = shop.check(STRIPE_AUTOMATIC_TAX="true")
        found = [one for one in checked.results if one.code == "tax_inactive"]
        assert "tax_inactive" not in codes(shop.check()), "nobody asked for tax"
    assert "head_office" in found[0].said
    assert "settings/tax" in found[0].fix
    assert [one.code for one in checked.of(Level.FAULT)] == ["tax_inactive"]
    assert "tax_ok" in codes(shop.check(STRIPE_AUTOMATIC_TAX="true"))


def test_an_account_that_may_not_sell(shop: Shop) -> None:
    with shop.control("account", "enabled", charges="disabled"):
        checked = shop.check()
    assert codes(checked) >= {"account_limited", "sale_refused"}
    assert [one.code for one in checked.of(Level.FAULT)] == ["sale_refused"]
    assert "onboarding" in checked.of(Level.FAULT)[0].fix


def test_a_provider_that_does_not_answer(shop: Shop) -> None:
    base = "http://127.0.0.1:9"
    found = only_fault(shop.check(STRIPE_API_BASE=base), "provider_unreachable", "status.stripe.com", base)
    assert "Stripe" in found.said


# Signing in


def test_an_issuer_that_is_down(shop: Shop) -> None:
    with shop.control("issuer", "up", state="down"):
        found = only_fault(shop.check(), "issuer_unreachable", "OIDC_ISSUER")
    assert found.what == f"issuer {NAME}"
    assert "503" in found.said


def test_an_issuer_without_keys(shop: Shop) -> None:
    with shop.control("issuer", "up", state="no_keys"):
        only_fault(shop.check(), "issuer_keys", "signing key")


@pytest.mark.parametrize("auth", ["client_secret_basic", "client_secret_post"])
def test_a_wrong_client_secret(shop: Shop, auth: str) -> None:
    checked = shop.check(OIDC_CLIENT_SECRET="wrong", OIDC_CLIENT_AUTH=auth)
    found = only_fault(checked, "issuer_client_refused", "OIDC_CLIENT_SECRET")
    assert "invalid_client" in found.said
    only_fault(shop.check(OIDC_CLIENT_ID="another", OIDC_CLIENT_AUTH=auth), "issuer_client_refused", "OIDC_CLIENT_ID")
    assert "issuer_ok" in codes(shop.check(OIDC_CLIENT_AUTH=auth))


def test_an_issuer_by_another_name(shop: Shop) -> None:
    checked = shop.check(OIDC_ISSUER=f"{shop.sandbox.url}/identity/")
    only_fault(checked, "issuer_other_name", f"Set OIDC_ISSUER={shop.sandbox.url}/identity")


def test_an_issuer_that_is_none(shop: Shop) -> None:
    only_fault(shop.check(OIDC_ISSUER=f"{shop.sandbox.url}/nothing"), "issuer_unreachable", "OIDC_ISSUER")


# The database


def test_a_database_that_is_read_only(shop: Shop) -> None:
    (shop.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in shop.settings.items() if value))
    file = shop.folder / "readonly.db"
    shutil.copy(shop.folder / "shop.db", file)
    file.chmod(0o400)
    command = ["-c", OBEDIENT, "check", "--online", "--json"]
    try:
        ended = run_obedient(shop, *command, DATABASE_URL=f"sqlite:///{file}")
    finally:
        (shop.folder / ".env").unlink()
        file.unlink()
    told = json.loads(ended.stdout)
    found = [one for one in told["online"]["checks"] if one["level"] == "fault"]
    assert [one["code"] for one in found] == ["database_not_writable"], ended.stderr
    assert "chmod" in found[0]["fix"]
    assert (told["ok"], ended.returncode) == (False, 1)


def run_obedient(shop: Shop, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command that has to obey the permissions of files, even when tests run as root."""
    import sys

    environment = clean_environment(shop.folder) | settings
    return subprocess.run(
        [sys.executable, *arguments], cwd=shop.folder, env=environment, capture_output=True, text=True, timeout=60
    )


def other_database(shop: Shop, statement: str) -> str:
    import sqlite3

    file = shop.folder / "other.db"
    shutil.copy(shop.folder / "shop.db", file)
    with sqlite3.connect(file) as conn:
        conn.execute(statement)
    conn.close()
    return f"sqlite:///{file}"


@pytest.mark.parametrize(("revision", "code"), [("0001", "schema_older"), ("9999", "schema_newer")])
def test_another_schema(shop: Shop, revision: str, code: str) -> None:
    url = other_database(shop, f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'")  # noqa: S608
    found = find(shop.check(DATABASE_URL=url), code)
    assert revision in found.said
    assert "tollkeeper migrate" in found.fix or code == "schema_newer"


def find(checked: Checked, code: str) -> CheckResult:
    """Beside it: the server that runs has other settings than these."""
    assert [one.code for one in checked.of(Level.FAULT)] == [code]
    return checked.of(Level.FAULT)[0]


def test_other_places_of_the_database(shop: Shop, tmp_path: Path) -> None:
    found = find(shop.check(DATABASE_URL=f"sqlite:///{tmp_path}/no/such/app.db"), "database_folder_missing")
    assert f"{tmp_path}/no/such" in found.said
    assert "DATABASE_URL" in found.fix
    assert "tollkeeper migrate" in find(shop.check(DATABASE_URL=f"sqlite:///{tmp_path}/a.db"), "database_missing").fix
    (tmp_path / "text.db").write_text("This is no database." * 10)
    find(shop.check(DATABASE_URL=f"sqlite:///{tmp_path}/text.db"), "database_unusable")
    find(shop.check(DATABASE_URL="postgresql://nobody@127.0.0.1:9/none"), "database_unreachable")


def test_a_postgresql_database_that_is_read_only(shop: Shop, postgresql_url: str) -> None:
    import psycopg
    from psycopg import sql
    from tests.support.trouble import name_of, tell

    assert "database_ok" in codes(shop.check(DATABASE_URL=postgresql_url))
    tell(
        postgresql_url,
        sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name_of(postgresql_url)),
    )
    try:
        found = find(shop.check(DATABASE_URL=postgresql_url), "database_not_writable")
    finally:
        tell(postgresql_url, sql.SQL("ALTER DATABASE {} RESET ALL").format(name_of(postgresql_url)))
    assert "default_transaction_read_only" in found.fix
    with psycopg.connect(postgresql_url, autocommit=True) as conn:
        conn.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0001'")  # noqa: S608
    find(shop.check(DATABASE_URL=postgresql_url), "schema_older")


# Where we are found


def test_other_settings_than_those_of_the_server(shop: Shop) -> None:
    only_fault(shop.check(SITE_NAME="Another name"), "address_other_settings", "Restart")


def test_another_secret_key_than_that_of_the_server(shop: Shop) -> None:
    checked = shop.check(SECRET_KEY="Zk3vQ8mW1xR6tY9bN4cL7pS2dF5gH0jA")
    assert [one.code for one in checked.of(Level.FAULT)] == ["address_other"]


def test_somebody_else_at_our_address(shop: Shop) -> None:
    checked = shop.check(PUBLIC_URL=shop.sandbox.url)
    assert "address_other" in codes(checked)
    assert "PUBLIC_URL" in next(one for one in checked.results if one.code == "address_other").fix


@pytest.mark.parametrize(
    ("trusted", "sent", "code"),
    [
        ("192.0.2.7", True, "proxy_not_trusted"),
        ("127.0.0.1", True, "proxy_ok"),
        ("127.0.0.1", False, "proxy_none"),
    ],
)
def test_a_proxy(shop: Shop, trusted: str, sent: bool, code: str) -> None:
    """A proxy in front of a server of its own, and the address of the proxy is the public one."""
    made = dict(shop.settings) | {"TRUSTED_PROXIES": trusted, "STRIPE_WEBHOOK_SECRET": ""}
    upstream = Thread(lambda: create_app(config.load(made, shop.folder)))
    proxy = Thread(lambda: passing_on(upstream.url, sent))
    made["PUBLIC_URL"] = proxy.url
    upstream.start()
    proxy.start()
    try:
        checked = shop.check(PUBLIC_URL=proxy.url, TRUSTED_PROXIES=trusted, STRIPE_WEBHOOK_SECRET="")
    finally:
        proxy.stop()
        upstream.stop()
    assert code in codes(checked)
    if code == "proxy_not_trusted":
        only_fault(checked, code, "Set TRUSTED_PROXIES=127.0.0.1")


def passing_on(upstream: str, sent: bool) -> Any:
    """A small proxy, which says for whom it asks if ``sent``."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def pass_on(request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        headers |= {"X-Forwarded-For": "198.51.100.4"} if sent else {}
        async with httpx2.AsyncClient() as client:
            answer = await client.request(request.method, upstream + request.url.path, headers=headers)
        return Response(answer.content, answer.status_code)

    return Starlette(routes=[Route("/{path:path}", pass_on)])


# Folders and files


def online(shop: Shop, folder: Path, **settings: str) -> Any:
    ended = run_here("check", "--online", "--json", folder=folder, environment=settings)
    assert ended.returncode == 1
    return json.loads(ended.stdout)["faults"]


def test_another_folder(shop: Shop, tmp_path: Path) -> None:
    (fault,) = online(shop, tmp_path / "nowhere", **shop.settings)
    assert fault["variable"] == str(tmp_path / "nowhere")
    assert "does not exist" in fault["problem"]
    assert "--folder" in fault["remedy"]
    first, *_ = online(shop, tmp_path)
    assert first["variable"] == str(tmp_path)
    assert "neither .env nor tollkeeper.toml" in first["problem"]


@pytest.mark.parametrize(
    "broken", ['stripe = ["price_1"', "offers = 9.99 EUR", "[products.pro", 'name = "Pro"\nname = "Pro"']
)
def test_one_toml_error_is_one_fault(shop: Shop, tmp_path: Path, broken: str) -> None:
    (tmp_path / "tollkeeper.toml").write_text(f'public_url = "{shop.thread.url}"\n{PRO}{broken}\n')
    (fault,) = online(shop, tmp_path, **{**shop.settings, "PUBLIC_URL": ""})
    assert fault["variable"] == "tollkeeper.toml"


@pytest.mark.parametrize("wrong", ["stripe = [1]", 'strip = ["price_1"]', "stripe = 4.5"])
def test_one_wrong_line_is_one_fault(shop: Shop, tmp_path: Path, wrong: str) -> None:
    (tmp_path / "tollkeeper.toml").write_text(f"{PRO}{wrong}\n")
    assert len(online(shop, tmp_path, **shop.settings)) == 1


# How it is told


def test_people_read_the_fix(shop: Shop) -> None:
    ended = run_here("check", "--online", folder=shop.folder, environment=shop.settings | {"OIDC_CLIENT_SECRET": "no"})
    assert ended.returncode == 1
    assert "FAULT" in ended.stdout
    assert "Fix: Copy the client id and the secret again" in ended.stdout
    assert "1 fault(s), 1 warning(s)" in ended.stdout, "the server runs with other settings"
    assert "Asking database, PUBLIC_URL, Stripe, Example ID" in ended.stderr
    assert API_KEY not in ended.stdout + ended.stderr


def test_without_online_nobody_is_asked(shop: Shop) -> None:
    ended = run_here("check", folder=shop.folder, environment=shop.settings | {"STRIPE_API_BASE": "http://127.0.0.1:9"})
    assert ended.returncode == 0
    assert "Nobody was asked" in ended.stdout
    assert "--online" in ended.stdout


def test_strangers_are_told_nothing(shop: Shop) -> None:
    for headers in ({}, {"Tollkeeper-Check": "guessed"}, {"Tollkeeper-Check": "IiI.AAAA"}):
        assert httpx2.get(f"{shop.thread.url}/check", headers=headers).status_code == 404


@pytest.mark.parametrize(("ahead", "words"), [(300, "s ahead of"), (-300, "s behind")])
def test_a_clock_that_is_off_by_five_minutes(shop: Shop, ahead: int, words: str) -> None:
    said = only_fault(shop.check(ahead=ahead), "clock_wrong", "timedatectl").said
    assert re.search(rf"\b(29\d|30\d) {words}", said), said  # asking takes its time
