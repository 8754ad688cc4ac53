"""Every page, on a phone and on a desktop, light and dark: axe finds nothing, and nothing is too wide."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page
from tests.journeys.demo import Demo
from tests.journeys.tours import (
    Stops,
    behind_the_counter,
    beside_each_other,
    from_trial_to_deletion,
    no_change_of_plan,
    off_sale,
    only_product_off_sale,
    several_of_everything,
    way_in,
    wrong_turns,
)
from tests.journeys.visitor import Lobby
from tests.storage.makers import keep_grant
from tests.support.running import Sandbox, Site, running_sandbox, running_site
from tests.support.shelves import running_shelves
from tests.support.shops import running_shop

from tollkeeper.model.people import Identity
from tollkeeper.reasons import Code, because
from tollkeeper.storage import people

SIZES = ((390, 844), (1280, 800))
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
NARROWEST = 320  # WCAG 2.2, 1.4.10 Reflow

FAULTS = """() => axe.run({resultTypes: ["violations"]}).then(found => found.violations.flatMap(
    violation => violation.nodes.map(node => `${violation.id}: ${node.target} ${node.failureSummary}`)))"""

PRODUCTS = """
[products.flying]
name = "Flying lessons"
unlocks = ["dashboard"]
stripe = ["{}"]

[products.reports]
name = "Reports"
unlocks = ["reports"]
stripe = ["{}"]
"""


def assert_nothing(faults: list[str]) -> None:
    assert not faults, "\n".join(faults)


def inspect(stops: Stops) -> list[str]:
    return [f"{name} {fault}" for name, page in stops for fault in [*overflow(page), *objections(page)]]


def objections(page: Page) -> list[str]:
    page.evaluate(AXE_SCRIPT)
    found: list[str] = []
    for (width, height), scheme in product(SIZES, SCHEMES):
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        found += [f"({width}, {scheme}) {fault}" for fault in page.evaluate(FAULTS)]
    return found


def overflow(page: Page) -> list[str]:
    page.set_viewport_size({"width": NARROWEST, "height": 800})
    needed: int = page.evaluate("document.documentElement.scrollWidth")
    return [f"needs {needed} of {NARROWEST} pixels"] if needed > NARROWEST else []


@pytest.mark.parametrize("tour", [way_in, wrong_turns, behind_the_counter])
def test_pages_of_the_demo(browser: Browser, demo: Demo, tour: Callable[[Lobby, Demo], Stops]) -> None:
    with Lobby(browser, demo.site, bypass_csp=True) as visit:
        assert_nothing(inspect(tour(visit, demo)))


def test_pages_with_several_of_everything(browser: Browser, sqlite_url: str, tmp_path: Path) -> None:
    with ExitStack() as provider:
        sandbox = provider.enter_context(running_sandbox())
        with shop(sandbox, sqlite_url, tmp_path) as site, Lobby(browser, site.url, bypass_csp=True) as visit:
            assert_nothing(inspect(several_of_everything(visit, partial(has_the_lessons, site), provider.close)))


def has_the_lessons(site: Site, email: str) -> None:
    """Give the lessons to somebody who signs in with GitHub."""
    twin = Identity("https://github.com", email, "Theo Twin", email)
    site.look(partial(people.person_of, new_id="per_twin", now=1_700_000_000), twin)
    site.look(partial(keep_grant, product="flying", reason=because(Code.PAID)), "per_twin", "cs_test_of_the_twin")


def test_pages_of_a_subscription(browser: Browser, sqlite_url: str, tmp_path: Path) -> None:
    with (
        running_sandbox() as sandbox,
        running_shop(sandbox, sqlite_url, tmp_path) as shop,
        Lobby(browser, shop.url, bypass_csp=True) as visit,
    ):
        assert_nothing(inspect(from_trial_to_deletion(visit, shop)))


def test_pages_of_products_that_contain_each_other(browser: Browser, sqlite_url: str, tmp_path: Path) -> None:
    with (
        running_sandbox() as sandbox,
        running_shelves(sandbox, sqlite_url, tmp_path) as shop,
        Lobby(browser, shop.url, bypass_csp=True) as visit,
    ):
        assert_nothing(inspect(beside_each_other(visit, shop)))


def test_pages_of_a_change_that_cannot_be_made(browser: Browser, sqlite_url: str, tmp_path: Path) -> None:
    with (
        running_sandbox() as sandbox,
        running_shelves(sandbox, sqlite_url, tmp_path, portal=False) as shop,
        Lobby(browser, shop.url, bypass_csp=True) as visit,
    ):
        assert_nothing(inspect(no_change_of_plan(visit, shop)))


def test_pages_of_what_is_off_sale(browser: Browser, sqlite_url: str, tmp_path: Path) -> None:
    with (
        running_sandbox() as sandbox,
        running_shop(sandbox, sqlite_url, tmp_path) as shop,
        Lobby(browser, shop.url, bypass_csp=True) as visit,
    ):
        assert_nothing(inspect(off_sale(visit, shop)))


def test_pages_of_an_only_product_that_is_off_sale(browser: Browser, sqlite_url: str, tmp_path: Path) -> None:
    with running_sandbox() as sandbox:
        price = sandbox.price(name="The Flying Machine")
        with (
            running_site(sandbox, sqlite_url, tmp_path, PRODUCT_PRICE_ID=price) as site,
            Lobby(browser, site.url, bypass_csp=True) as visit,
        ):
            archive = partial(sandbox.stripe.v1.prices.update, price, {"active": False})
            assert_nothing(inspect(only_product_off_sale(visit, archive)))


def shop(sandbox: Sandbox, database_url: str, folder: Path) -> AbstractContextManager[Site]:
    """Two products, two issuers, and a dark accent colour."""
    (folder / "tollkeeper.toml").write_text(PRODUCTS.format(sandbox.price(), sandbox.price(4900, name="Reports")))
    looks = {"SITE_NAME": "Example Reports", "ACCENT_COLOR": "#0b3d91"}
    github = {"GITHUB_CLIENT_ID": "Iv1.0123456789abcdef", "GITHUB_CLIENT_SECRET": "never-used"}
    return running_site(sandbox, database_url, folder, PRODUCT_PRICE_ID="", OIDC_NAME="Sandbox", **looks, **github)
