"""A real browser in front of the real demo."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from tests.journeys.demo import Demo
from tests.journeys.visitor import PATIENCE_MS, Lobby
from tests.support.processes import free_port

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = ["--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update"]
QUIET += ["--disable-sync", "--no-first-run"]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("demo"), free_port(neighbours=1))
    with demo.started():
        yield demo


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found:
        return found
    reason = f"journeys need a browser: none of {', '.join(BROWSERS)} is installed"
    if os.environ.get("TOLLKEEPER_TESTS") == "complete":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One for each module, no longer: its event loop keeps asynchronous tests of the same process from running."""
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET + as_root)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, demo: Demo) -> Iterator[Lobby]:
    """Visitors of the demo. A test fails if their browsers had anything to complain of."""
    with Lobby(browser, demo.site) as lobby:
        yield lobby
