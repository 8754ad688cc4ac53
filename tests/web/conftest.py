"""Apps with the settings that a test asks for. Pages are the same on both databases, so one is enough."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.databases import fresh_sqlite
from tests.support.running import Sandbox, Site, running_sandbox, running_site

OpenSite = Callable[..., Site]


@pytest.fixture
def open_site(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> Iterator[OpenSite]:
    """Starts an app with these settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running_site(sandbox, sqlite_url, tmp_path, **settings))


@pytest.fixture
def plain_site(open_site: OpenSite) -> Site:
    """An app without special settings."""
    return open_site()


@pytest.fixture(scope="module")
def standing_site(sandbox: Sandbox, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An app for all tests of a module that buy nothing, or count nothing."""
    folder = tmp_path_factory.mktemp("site")
    with running_site(sandbox, fresh_sqlite(sqlite_template, folder), folder) as site:
        yield site


@pytest.fixture
def own_sandbox() -> Iterator[Sandbox]:
    """A sandbox for one test, which may change its settings or stop it."""
    with running_sandbox() as sandbox:
        yield sandbox
