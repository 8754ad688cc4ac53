"""Each proxy in front of a third-party app and Tollkeeper."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.proxies.proxies import Proxy, guide_settings, running_proxy
from tests.proxies.third_party import ThirdParty, running_third_party
from tests.support.databases import fresh_sqlite
from tests.support.running import Browser, Sandbox, Site, running_site

SETTINGS = guide_settings("nginx") | {"ALLOW_TEST_MODE": "true"}


@pytest.fixture(scope="module")
def gated_site(sandbox: Sandbox, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Tollkeeper with the settings that the guides name."""
    folder = tmp_path_factory.mktemp("site")
    with running_site(sandbox, fresh_sqlite(sqlite_template, folder), folder, **SETTINGS) as site:
        yield site


@pytest.fixture(scope="session")
def third_party() -> Iterator[ThirdParty]:
    with running_third_party() as app:
        yield app


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxy(
    request: pytest.FixtureRequest, gated_site: Site, third_party: ThirdParty, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """Each proxy, in front of both."""
    folder = tmp_path_factory.mktemp("proxy") / request.param
    where = gated_site.url.removeprefix("http://")
    with running_proxy(request.param, folder, where, f"127.0.0.1:{third_party.port}") as proxy:
        yield proxy


@pytest.fixture(scope="module")
def payer(proxy: Proxy) -> Browser:
    """Somebody who has paid."""
    browser = proxy.browser()
    browser.sign_in("Penny Payer", f"{secrets.token_hex(8)}@example.com")
    browser.follow(browser.pay())
    return browser
