"""Fixtures for every test: databases, and asyncio under every asynchronous test."""

import gc
import os
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from uuid import uuid4

# Reading all certificate authorities takes each of thousands of HTTP clients 25 ms, and no test trusts any of them.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = os.devnull

import pytest
from tests.support.databases import (
    Cluster,
    Unavailable,
    announce_shared_cluster,
    fresh_postgresql,
    fresh_sqlite,
    remove_shared_cluster,
    shared_cluster,
)
from tests.support.running import Sandbox, Site, running_sandbox, running_site

from tollkeeper.storage.database import Database, open_database
from tollkeeper.storage.migrate import migrate

# The longest tests begin first, so that at the end no process is left alone with one. The rest keeps its order.
LONGEST = (
    "deploy/test_image",
    "faults/test_simulator_postgresql",
    "faults/test_simulator_sqlite",
    "endurance",
    "journeys",
    "proxies",
    "bench",
    "library",
    "test_demo",
    "test_operators",
    "faults",
)

# The long lane, which `scripts/prove` runs: what takes minutes, what is mostly waiting, and what starts many processes
# to show again what another test has shown. The short lane, `scripts/test`, has all the rest.
LONG = (
    "faults/test_simulator_postgresql",
    "faults/test_simulator_sqlite",
    "endurance/test_crash",
    "endurance/test_latency",
    "bench",
    "deploy/test_compose",
    "deploy/test_image",
    "deploy/test_release",
    "deploy/test_service",
    "journeys/test_browsers",
    "journeys/test_cards",
    "journeys/test_detours",
    "journeys/test_every_page",
    "journeys/test_gated_app",
    "journeys/test_getting_started",
    "journeys/test_pictures",
    "journeys/test_products",
    "journeys/test_subscriptions",
    "journeys/test_tabs",
    "proxies/test_hosts_apart",
    "proxies/test_in_a_browser",
    "proxies/test_service_workers",
    "sandbox/stripe/test_browser",
    "faults/test_i_restore",
    "walk",
    "library/test_examples",
    "faults/test_d_crash.py::test_d30_",
    "faults/test_d_crash.py::test_d31_",
    "faults/test_d_crash.py::test_d33_nobody_can_hold_it_up",
    "faults/test_e_provider.py::test_e34_a_buyer_who_tries_and_tries_is_charged_once[sqlite-hangs",
    "faults/test_e_provider.py::test_e36_people_who_wait",
    "faults/test_e_provider.py::test_e37_",
    "faults/test_f_database.py::test_f41_one_that_stays_busy",
    "faults/test_f_database.py::test_f42_a_read_only_database",
    "faults/test_f_database.py::test_f44_",
    "faults/test_i_catch_up.py::test_i62_a_catch_up_with_trouble",
    "faults/test_k_people.py::test_k78_",
    "faults/test_k_subscriptions.py::test_k72_an_invoice_of_many_lines",
    "faults/test_l_sign_in_and_returns.py::test_l90_a_browser_is_sent_on_whatever_the_app_does[starlette",
    "faults/test_l_sign_in_and_returns.py::test_l90_what_a_program_is_told_stays_the_apps_affair[starlette",
    "faults/test_l_sign_in_and_returns.py::test_l90_what_the_app_itself_refuses_or_catches_is_its_own_affair[starlette",
    "faults/test_simulator.py::test_a_missing_rule_is_found",
    "faults/test_simulator.py::test_a_plant_is_found",
    "journeys/test_main_path.py::test_a_stranger_signs_in_pays_and_gets_in[browser without scripts]",
    "journeys/test_main_path.py::test_the_keyboard_is_enough",
    "journeys/test_main_path.py::test_what_was_paid_outlives",
    "providers/test_second_provider.py::test_a_dispute_that_names_nobody_finds_who_paid[polling]",
    "providers/test_second_provider.py::test_a_refund_of_a_subscription_ends_it[polling]",
    "providers/test_second_provider.py::test_a_subscription_is_renewed_and_ends_when_its_grace_is_over[polling]",
    "providers/test_second_provider.py::test_anybody_who_closes_the_window_after_paying_gets_in[polling]",
    "providers/test_second_provider.py::test_what_a_stranger_bought_is_adopted_and_followed_from_then_on[polling]",
    "proxies/test_section_l.py::test_l85_no_spelling_of_a_path_gets_past_its_feature[caddy]",
    "sandbox/stripe/test_renewals.py::test_one_jump_or_many",
    "storage/test_migrate.py::test_i60_of_two",
    "storage/test_migrate.py::test_i61_killed",
    "storage/test_postgresql.py::test_f42_a_standby",
    "storage/test_postgresql.py::test_f44_after_a_restart",
    "test_demo.py::test_a_payment_whose_event_is_lost",
    "test_demo.py::test_a_reset_",
    "test_demo.py::test_its_files",
    "test_demo.py::test_reset_forgets",
    "test_demo.py::test_stops_when_told",
    "test_demo.py::test_the_sandbox_alone",
    "test_demo.py::test_webhooks_follow",
    "test_demo.py::test_what_was_paid_outlives",
    "test_demo.py::test_when_time_is_moved",
    "test_operators.py::test_why_explains_six_people",
    "web/test_review.py::test_who_tried_to_sign_in",
)

# What runs on PostgreSQL in the short lane, too, because it is about the database itself. Everything else runs there in
# the long lane. In the short lane, the simulator plays histories on both engines.
ABOUT_THE_DATABASE = ("storage", "faults/test_f_", "faults/test_simulator")

# Where coverage is recorded: these tests cover the modules that must be covered in full. Recording makes a test up to
# three times slower.
COVERED = (
    "unit",
    "web",
    "storage",
    "library",
    "test_init",
    "test_setup",
    "providers/test_second_provider",
    "faults/test_b_",
    "faults/test_f_database.py::test_f46_",
    "faults/test_h_",
    "faults/test_l_door",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set the marks before pytest selects tests by them."""
    for item in items:
        if _is_long(item):
            item.add_marker(pytest.mark.long)
    items.sort(key=_rank)


def pytest_collection_finish() -> None:
    """Thousands of tests stay until the end. To search them for garbage again and again took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _is_long(item: pytest.Item) -> bool:
    place = _place(item)
    if place.startswith(LONG):
        return True
    given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return "postgresql" in given.values() and not place.startswith(ABOUT_THE_DATABASE)


def _rank(item: pytest.Item) -> int:
    place = _place(item)
    return next((rank for rank, name in enumerate(LONGEST) if place.startswith(name)), len(LONGEST))


def _place(item: pytest.Item) -> str:
    """The file below ``tests``, and the test."""
    return item.nodeid.removeprefix("tests/")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Record coverage only where it matters, including fixtures."""
    coverage = item.config.pluginmanager.getplugin("_cov")
    controller = coverage.cov_controller if coverage else None
    if controller is None or item.get_closest_marker("no_cover") or _place(item).startswith(COVERED):
        return (yield)
    controller.pause()
    try:
        return (yield)
    finally:
        controller.resume()


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()
    if not _is_worker(config):
        announce_shared_cluster()
    elif coverage := config.pluginmanager.getplugin("_cov"):
        # A worker begins as if it were the master, with a measurement that nobody reads. It would go on, and slow every
        # test down, whenever the worker's own is paused.
        coverage.cov_controller.cov.stop()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not _is_worker(config):
        remove_shared_cluster()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on: a test that asks for it runs once on each."""
    name: str = request.param
    return name


@pytest.fixture
def database_url(engine: str, request: pytest.FixtureRequest) -> str:
    """The address of an empty database with the current schema, once on each engine."""
    url: str = request.getfixturevalue(f"{engine}_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An empty database, opened, once on each engine."""
    opened = await open_database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    return fresh_sqlite(sqlite_template, tmp_path)


@pytest.fixture
def postgresql_url(postgresql: Cluster) -> Iterator[str]:
    with fresh_postgresql(postgresql) as url:
        yield url


@pytest.fixture
def empty_url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database that a backup may be restored into: nothing is there, not even the folder of a file."""
    if engine == "sqlite":
        yield f"sqlite:///{tmp_path / 'new folder' / 'restored.db'}"
        return
    cluster: Cluster = request.getfixturevalue("postgresql")
    name = f"restored_{uuid4().hex}"
    cluster.create(name)
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql() -> Cluster:
    """A running PostgreSQL with a migrated template. All tests share it; a test that stops a server starts its own."""
    try:
        return shared_cluster()
    except Unavailable as reason:
        if os.environ.get("TOLLKEEPER_TESTS") == "complete":
            pytest.fail(f"the complete tests need PostgreSQL: {reason}")
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for the tests of a module that only buy; tests that break it start their own.

    It is not shared by all modules, because each site asks about everything that happened there recently.
    """
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def site(sandbox: Sandbox, database_url: str, tmp_path: Path) -> Iterator[Site]:
    """The app on an empty database, once on each engine."""
    with running_site(sandbox, database_url, tmp_path) as site:
        yield site
