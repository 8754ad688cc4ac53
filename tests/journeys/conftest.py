"""A real browser in front of the real demo."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from tests.journeys.demo import Demo
from tests.journeys.visitor import PATIENCE_MS, Lobby
from tests.support.chromium import running_chromium
from tests.support.processes import free_port


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("demo"), free_port(neighbours=2))
    with demo.started():
        yield demo


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each module, no longer: its event loop keeps asynchronous tests of the same process from running."""
    expect.set_options(timeout=PATIENCE_MS)
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, demo: Demo) -> Iterator[Lobby]:
    """Visitors of the demo. A test fails if their browsers report any error."""
    with Lobby(browser, demo.site) as lobby:
        yield lobby
