"""Sites that the tests of a module share, once on each engine; each test brings people of its own."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from tests.support.databases import fresh_postgresql, fresh_sqlite
from tests.support.running import Sandbox, Site, running_site
from tests.support.webhooks import OLD_SECRET, SECRET

OpenSite = Callable[..., AbstractContextManager[Site]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def open_site(
    sandbox: Sandbox, shared_engine: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> OpenSite:
    """Starts the app on an empty database of its own."""

    @contextmanager
    def opening(**settings: str) -> Iterator[Site]:
        folder = tmp_path_factory.mktemp("site")
        if shared_engine == "sqlite":
            url = fresh_sqlite(request.getfixturevalue("sqlite_template"), folder)
            with running_site(sandbox, url, folder, **settings) as site:
                yield site
        else:
            cluster = request.getfixturevalue("postgresql")
            with fresh_postgresql(cluster) as url, running_site(sandbox, url, folder, **settings) as site:
                yield site

    return opening


@pytest.fixture(scope="module")
def shop(open_site: OpenSite) -> Iterator[Site]:
    """The app, told of payments by webhooks."""
    with open_site() as site:
        yield site


@pytest.fixture(scope="module")
def deaf_shop(open_site: OpenSite) -> Iterator[Site]:
    """The app with no webhook secret: it hears of a payment only when somebody comes and asks."""
    with open_site(STRIPE_WEBHOOK_SECRET="") as site:
        yield site


@pytest.fixture(scope="module")
def door(open_site: OpenSite) -> Iterator[Site]:
    """The app, with two webhook secrets that the sandbox does not know: what arrives comes from the test alone."""
    with open_site(STRIPE_WEBHOOK_SECRET=f"{SECRET},{OLD_SECRET}") as site:
        yield site
