"""Sites that the tests of a module share, once on each engine; each test uses people of its own."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest
from tests.support.databases import fresh_postgresql, fresh_sqlite
from tests.support.running import Sandbox, Site, look, running_site
from tests.support.webhooks import OLD_SECRET, SECRET

DAY = 24 * 3600
OpenSite = Callable[..., AbstractContextManager[Site]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def open_site(
    sandbox: Sandbox, shared_engine: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> OpenSite:
    """Starts the app on an empty database. It learns of payments from webhooks, or by asking."""

    @contextmanager
    def opening(toml: str = "", **settings: Any) -> Iterator[Site]:
        folder = tmp_path_factory.mktemp("site")
        (folder / "tollkeeper.toml").write_text(toml)
        with ExitStack() as stack:
            if shared_engine == "sqlite":
                url = fresh_sqlite(request.getfixturevalue("sqlite_template"), folder)
            else:
                url = stack.enter_context(fresh_postgresql(request.getfixturevalue("postgresql")))
            leave_unpolled(url)
            yield stack.enter_context(running_site(sandbox, url, folder, **settings))

    return opening


def leave_unpolled(database_url: str) -> None:
    """Ensure that the provider's list of events is never due to be read."""
    look(database_url, lambda conn: [conn.exec_driver_sql(one) for one in NOBODYS_TURN[conn.dialect.name]])


NOBODYS_TURN = {
    "sqlite": [
        f"CREATE TRIGGER nobodys_turn_to_{change} BEFORE {change} ON polls BEGIN SELECT RAISE(IGNORE); END"
        for change in ("INSERT", "UPDATE")
    ],
    "postgresql": [
        "CREATE FUNCTION nobodys_turn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "CREATE TRIGGER nobodys_turn BEFORE INSERT OR UPDATE ON polls FOR EACH ROW EXECUTE FUNCTION nobodys_turn()",
    ],
}


@pytest.fixture(scope="module")
def shop(open_site: OpenSite) -> Iterator[Site]:
    """The app, which learns of payments from webhooks."""
    with open_site() as site:
        yield site


@pytest.fixture(scope="module")
def deaf_shop(open_site: OpenSite) -> Iterator[Site]:
    """The app without a webhook secret: it learns of a payment only when somebody opens a page."""
    with open_site(STRIPE_WEBHOOK_SECRET="") as site:
        yield site


@pytest.fixture(scope="module")
def door(open_site: OpenSite) -> Iterator[Site]:
    """The app with two webhook secrets that the sandbox does not know, so only the test can send events."""
    with open_site(STRIPE_WEBHOOK_SECRET=f"{SECRET},{OLD_SECRET}") as site:
        yield site
