"""L84 and L87 in a real browser: what a service worker of an app sees of a handover, and how it is kept out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, expect
from tests.journeys.visitor import PATIENCE_MS, Visitor, new_email
from tests.proxies.proxies import APART, APP, PAY, PROXIES, Proxy, running_proxy
from tests.proxies.third_party import ThirdParty
from tests.support.chromium import running_chromium
from tests.support.running import Site

SPIED_ON = f"https://{APART}/spied-on"
PUT_IN = """async () => {
    await navigator.serviceWorker.register("/spy.js")
    await navigator.serviceWorker.ready
    return navigator.serviceWorker.controller !== null || new Promise(done =>
        navigator.serviceWorker.addEventListener("controllerchange", () => done(true)))
}"""
SEEN = """() => new Promise(done => {
    navigator.serviceWorker.addEventListener("message", event => done(event.data))
    navigator.serviceWorker.controller.postMessage("tell")
})"""


@pytest.fixture(params=sorted(PROXIES))
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def third_partys_site(gated_site: Site, third_party: ThirdParty) -> tuple[str, str]:
    return gated_site.url.removeprefix("http://"), f"127.0.0.1:{third_party.port}"


@contextmanager
def visiting(proxy: Proxy) -> Iterator[Visitor]:
    """Somebody who has paid, on a page of the app that is on a host apart."""
    rules = ",".join(f"MAP *.example.{top}:443 127.0.0.1:{proxy.port}" for top in ("com", "net"))
    expect.set_options(timeout=PATIENCE_MS)
    # Without a certificate that it trusts, a browser takes no service worker, whatever its pages may.
    with running_chromium(f"--host-resolver-rules={rules}", "--ignore-certificate-errors") as browser:
        yield paid(browser)


def paid(browser: Browser) -> Visitor:
    visitor = Visitor(f"https://{PAY}", browser.new_context(ignore_https_errors=True), new_email())
    visitor.open(SPIED_ON)
    visitor.introduce()
    visitor.purchase("Flying lessons")
    visitor.pay()
    expect(visitor.page).to_have_url(SPIED_ON)
    return visitor


def test_l84_with_the_guide_none_is_put_in_at_a_host_apart(
    name: str, third_partys_site: tuple[str, str], tmp_path: Path
) -> None:
    with running_proxy(name, tmp_path / "proxy", *third_partys_site) as proxy, visiting(proxy) as visitor:
        with pytest.raises(Error, match=r"bad HTTP response code \(403\)"):
            visitor.page.evaluate(PUT_IN)
        visitor.open(f"https://{APP}/spied-on")
        assert visitor.page.evaluate(PUT_IN) is True


def test_l84_where_one_is_wanted_it_sees_the_token_and_can_hand_it_on(
    name: str, third_partys_site: tuple[str, str], tmp_path: Path
) -> None:
    with (
        running_proxy(f"{name}, service workers wanted", tmp_path / "proxy", *third_partys_site) as proxy,
        visiting(proxy) as visitor,
    ):
        assert visitor.page.evaluate(PUT_IN) is True
        visitor.context.clear_cookies(domain=APART)
        visitor.open(SPIED_ON)
        expect(visitor.page).to_have_url(SPIED_ON)
        visitor.reads("Hello")
        seen = visitor.page.evaluate(SEEN)
        assert [one for one in seen if one.startswith(f"https://{APART}/.tollkeeper/handover?token=")]


def test_l87_a_page_with_a_manifest_and_an_icon_goes_in_no_circles(
    name: str, third_partys_site: tuple[str, str], tmp_path: Path
) -> None:
    with running_proxy(name, tmp_path / "proxy", *third_partys_site) as proxy, visiting(proxy) as visitor:
        visitor.context.clear_cookies()
        for path in ("/manifest.webmanifest", "/favicon.ico"):
            fetch = f"async () => (await fetch({path!r}, {{redirect: 'manual'}})).status"
            assert visitor.page.evaluate(fetch) == 401
