"""F41 to F46: the database is busy, full, read-only, gone, restarted or out of reach, while people use the app."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx2
import psycopg
import pytest
from psycopg import sql
from tests.faults.conftest import leave_unpolled
from tests.support.databases import TEMPLATE, Cluster, new_cluster
from tests.support.processes import Installation, installed, run
from tests.support.running import Browser, Sandbox, Site, eventually, newcomer, running_sandbox, running_site
from tests.support.trouble import file_of, full, locked, name_of, out_of_reach, serving_read_only, tell
from tests.support.webhooks import an_event, body_of, client, deliver, signature

from tollkeeper.billing.inbox import LEASE
from tollkeeper.storage.migrate import migrate
from tollkeeper.storage.tables import audit, events, grants, orders

PAID: Final = "checkout.session.completed"
DOORS = ["/gate", "/gate/auth-request"]


def member_of(site: Site) -> Browser:
    """Somebody who has paid, and is signed in."""
    browser = newcomer(site)
    assert "Payment done" in browser.follow(browser.pay()).text
    return browser


def send(site: Site, id: str) -> int:
    """Send a webhook. The status of the answer."""
    return deliver(site, an_event(id), secret=site.settings["STRIPE_WEBHOOK_SECRET"]).status_code


def kept(site: Site | Installation) -> set[str]:
    return {row.event_id for row in site.rows(events)}


def assert_denied(answer: httpx2.Response) -> None:
    """Neither the page, nor anything that a proxy could take for a way in, nor anything it could keep."""
    assert answer.status_code == 503
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Retry-After"] == "60"
    assert not any(name.startswith("remote-") for name in answer.headers)
    assert "We cannot answer at the moment" in answer.text
    assert "Traceback" not in answer.text


def dashboard(member: Browser, path: str = "/dashboard") -> httpx2.Response:
    """Open it on a connection of its own: one that was idle may be closed by the server just as it is used again."""
    cookies = {"tollkeeper": member.client.cookies["tollkeeper"]}
    return httpx2.get(f"{member.site}{path}", headers={"Accept": "text/html"}, cookies=cookies, timeout=20)


def enters_again(member: Browser) -> bool:
    """Whether the dashboard opens within the 30 seconds that a recovery may take."""
    return eventually(lambda: dashboard(member).status_code == 200, 30)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


def test_f41_a_busy_database_is_waited_for(site: Site, threads: ThreadPoolExecutor) -> None:
    with locked(site.settings["DATABASE_URL"]):
        sending = threads.submit(send, site, "evt_patient")
        assert not wait([sending], timeout=0.7).done
    assert sending.result() == 200
    assert "evt_patient" in kept(site)


def test_f41_one_that_stays_busy_costs_writes_a_503_and_readers_nothing(
    site: Site, threads: ThreadPoolExecutor
) -> None:
    member, buyer, stranger = member_of(site), newcomer(site), Browser(site.url)
    landing = buyer.get("/")
    with locked(site.settings["DATABASE_URL"]):
        sending = [threads.submit(send, site, f"evt_{number}") for number in range(5)]
        buying = threads.submit(buyer.submit, landing, "Purchase")
        arriving = threads.submit(stranger.sign_in, "Sven Stranger")
        answers: list[Future[Any]] = [*sending, buying, arriving]
        while wait(answers, timeout=0.2).done != set(answers):
            assert member.enters()
            assert "Hello" in member.get("/").text
        assert {answer.result() for answer in sending} == {503}
        assert_denied(buying.result())
        assert_denied(arriving.result())
    assert send(site, "evt_0") == 200
    assert "evt_0" in kept(site)
    assert buyer.press_purchase().status_code == 303
    assert "Hello, Sven" in stranger.sign_in("Sven Stranger").text


@pytest.fixture
def own_sandbox() -> Iterator[Sandbox]:
    """One whose clock a test may move."""
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def app(own_sandbox: Sandbox, database_url: str, tmp_path: Path) -> Installation:
    """An app that hears of payments alone."""
    made = installed(own_sandbox, database_url, tmp_path, PRODUCT_PRICE_ID=own_sandbox.price())
    endpoint = own_sandbox.stripe.v1.webhook_endpoints.list().data[0]
    own_sandbox.stripe.v1.webhook_endpoints.update(endpoint.id, {"enabled_events": [PAID]})
    return made


def undelivered(sandbox: Sandbox) -> int:
    """How many deliveries of the last payment's event have not been answered with 2xx."""
    return sandbox.stripe.v1.events.list({"type": PAID}).data[0].pending_webhooks


def visit(app: Installation, name: str) -> Browser:
    browser = Browser(app.url)
    browser.sign_in(name)
    return browser


def assert_members_go_on_and_nothing_is_acknowledged(
    app: Installation, member: Browser, buyer: Browser, hosted: httpx2.Response
) -> None:
    """Somebody pays while nothing can be written."""
    paid = buyer.pay(hosted)
    event = an_event("evt_by_hand")
    body = body_of(event)
    headers = {"Stripe-Signature": signature(body, secret=app.settings["STRIPE_WEBHOOK_SECRET"])}
    assert_denied(client().post(f"{app.url}/webhooks/stripe", content=body, headers=headers))
    assert_denied(buyer.follow(paid))
    assert not buyer.enters()
    for _ in range(3):
        assert member.enters()
        assert "Hello" in member.get("/").text


def assert_nothing_was_lost(app: Installation, sandbox: Sandbox, buyer: Browser) -> None:
    """Once there is space, the provider's next attempt is accepted and handled."""
    sandbox.clock.ahead = 60
    eventually(buyer.enters)
    eventually(lambda: undelivered(sandbox) == 0)
    # What the process that was killed had just claimed, of what it read in the list, comes when its lease has ended.
    eventually(lambda: all(row.handled_at for row in app.rows(events)), LEASE + 15)
    assert "evt_by_hand" not in kept(app)
    assert [row.change for row in app.rows(audit)] == ["granted", "granted"]


def test_f42_a_full_disk(app: Installation, own_sandbox: Sandbox) -> None:
    with app.serving() as process:
        member, buyer = visit(app, "Mia Member"), visit(app, "Bob Buyer")
        member.follow(member.pay())
        eventually(lambda: undelivered(own_sandbox) == 0)
        hosted = buyer.checkout()
        with full(app.settings["DATABASE_URL"], process):
            assert_members_go_on_and_nothing_is_acknowledged(app, member, buyer, hosted)
            assert undelivered(own_sandbox) == 1
        assert_nothing_was_lost(app, own_sandbox, buyer)


def test_f42_a_read_only_database(app: Installation, own_sandbox: Sandbox) -> None:
    with app.serving():
        member, buyer = visit(app, "Mia Member"), visit(app, "Bob Buyer")
        member.follow(member.pay())
        eventually(lambda: undelivered(own_sandbox) == 0)
        hosted = buyer.checkout()
    with serving_read_only(app):
        assert_members_go_on_and_nothing_is_acknowledged(app, member, buyer, hosted)
        assert undelivered(own_sandbox) == 1
    with app.serving():
        assert_nothing_was_lost(app, own_sandbox, buyer)


def whole(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.startswith("log-")}


def refused_to_serve(app: Installation) -> str:
    """Try to serve, and return the error output."""
    before = whole(app.folder)
    ended = run("serve", f"--port={app.port}", folder=app.folder)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Traceback" not in ended.stderr
    assert whole(app.folder) == before
    return ended.stderr


def test_f43_a_database_that_is_not_there_is_never_made(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> None:
    app = installed(sandbox, sqlite_url, tmp_path)
    file = tmp_path / "tollkeeper.db"
    file.unlink()
    assert "if there was one, find out first where it is" in refused_to_serve(app)
    assert not file.exists()


def test_f43_nor_is_a_schema_in_postgresql(sandbox: Sandbox, postgresql: Cluster, tmp_path: Path) -> None:
    name = f"nothing_{uuid4().hex}"
    postgresql.create(name)
    assert "tollkeeper migrate" in refused_to_serve(installed(sandbox, postgresql.url(name), tmp_path))
    with psycopg.connect(postgresql.url(name)) as conn:
        assert conn.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'").fetchall() == []
    postgresql.drop(name)


@pytest.mark.parametrize("left", [0, 0.5])
def test_f43_a_damaged_database_is_refused_and_left_alone(
    sandbox: Sandbox, sqlite_url: str, tmp_path: Path, left: float
) -> None:
    app = installed(sandbox, sqlite_url, tmp_path)
    file = tmp_path / "tollkeeper.db"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * left)])
    assert "Restore it from a backup" in refused_to_serve(app)


def test_f43_none_is_made_next_to_what_a_lost_one_left(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> None:
    """SQLite would write the last writes of the lost one into the new one."""
    app = installed(sandbox, sqlite_url, tmp_path)
    with closing(sqlite3.connect(tmp_path / "tollkeeper.db")) as conn:
        conn.execute("INSERT INTO people (id, name, created_at) VALUES ('per_1', 'Ada', 1)")
        conn.commit()
        (tmp_path / "tollkeeper.db").rename(tmp_path / "elsewhere")
    refused = run("migrate", folder=app.folder)
    assert refused.returncode == 1
    assert "tollkeeper.db-wal" in refused.stderr
    assert not (tmp_path / "tollkeeper.db").exists()


def move_away(file: Path, away: Path) -> None:
    file.rename(away)


def replace_by_a_new_one(file: Path, away: Path) -> None:
    migrate(f"sqlite:///{away}.new")
    file.rename(away)
    Path(f"{away}.new").rename(file)


def replace_by_a_copy(file: Path, away: Path) -> None:
    shutil.copy(file, f"{away}.copy")
    file.rename(away)
    Path(f"{away}.copy").rename(file)


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("take", [move_away, replace_by_a_new_one, replace_by_a_copy])
def test_f43_a_file_that_is_taken_away_while_it_is_served(site: Site, take: Callable[[Path, Path], None]) -> None:
    member, buyer = member_of(site), newcomer(site)
    file = file_of(site.settings["DATABASE_URL"])
    assert file
    away = file.with_name("elsewhere")
    take(file, away)
    there = file.exists()
    assert_denied(member.get("/dashboard"))
    assert_denied(member.get("/account"))
    assert_denied(buyer.get("/"))
    assert send(site, "evt_lost") == 503
    assert file.exists() is there
    away.replace(file)
    assert member.enters()
    assert send(site, "evt_found") == 200


@pytest.mark.parametrize("engine", ["sqlite"])
def test_f43_a_write_ahead_log_that_is_deleted_while_it_is_used(site: Site) -> None:
    member = member_of(site)
    Path(f"{file_of(site.settings['DATABASE_URL'])}-wal").unlink()
    assert_denied(member.get("/dashboard"))
    assert send(site, "evt_lost") == 503


@pytest.fixture
def own_cluster(postgresql: Cluster) -> Iterator[Cluster]:
    """A server that a test may stop. (That of all tests is asked for first, for it knows if there can be one.)"""
    cluster = new_cluster()
    cluster.create(TEMPLATE)
    migrate(cluster.url(TEMPLATE))
    yield cluster
    cluster.remove()


def test_f44_after_a_restart_of_postgresql(
    own_cluster: Cluster, sandbox: Sandbox, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    with running_site(sandbox, own_cluster.url(TEMPLATE), tmp_path) as site:
        member, buyer = member_of(site), newcomer(site)
        landing = buyer.get("/")
        own_cluster.stop()
        entering = threads.submit(dashboard, member)
        buying = threads.submit(buyer.submit, landing, "Purchase")
        assert send(site, "evt_down") == 503
        assert_denied(entering.result())
        assert_denied(buying.result())

        own_cluster.start()
        assert enters_again(member)
        eventually(lambda: send(site, "evt_up") == 200, 30)
        assert "Payment done" in buyer.follow(buyer.pay()).text
        assert buyer.enters()

        own_cluster.stop()
        own_cluster.start()
        assert dashboard(member).status_code == 200, "a restart that nobody saw costs nobody an answer"
        assert send(site, "evt_unseen") == 200
        assert {"evt_up", "evt_unseen"} <= kept(site)


@pytest.fixture
def quiet_site(sandbox: Sandbox, postgresql_url: str, tmp_path: Path) -> Iterator[Site]:
    """An app on PostgreSQL in which nothing is written but what a browser asks for."""
    leave_unpolled(postgresql_url)
    isolation = sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'")
    tell(postgresql_url, isolation.format(name_of(postgresql_url)))
    with running_site(sandbox, postgresql_url, tmp_path, STRIPE_WEBHOOK_SECRET="") as site:
        yield site


def waits_for_a_lock(conn: "psycopg.Connection[Any]") -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return conn.execute(waiting).fetchone() is not None


def assert_granted_once(site: Site, browser: Browser, page: httpx2.Response) -> None:
    assert "Payment done" in page.text
    assert browser.enters()
    assert len(site.rows(grants)) == 1
    assert [row.change for row in site.rows(audit)] == ["granted"]
    assert [row.state for row in site.rows(orders)] == ["complete"]


def test_f45_a_deadlock_has_the_whole_transaction_run_again(
    quiet_site: Site, postgresql_url: str, threads: ThreadPoolExecutor
) -> None:
    buyer = newcomer(quiet_site)
    paid = buyer.pay()
    with psycopg.connect(postgresql_url) as other, psycopg.connect(postgresql_url, autocommit=True) as looking:
        other.execute("SET deadlock_timeout = '1h'")  # so that it is the app's transaction that PostgreSQL ends
        other.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        other.execute("UPDATE orders SET id = id")
        coming = threads.submit(buyer.follow, paid)
        eventually(lambda: waits_for_a_lock(looking))
        other.execute("UPDATE customers SET person_id = person_id")
        other.commit()
        assert_granted_once(quiet_site, buyer, coming.result())
        assert eventually(lambda: deadlocks(looking)) == 1


def deadlocks(conn: "psycopg.Connection[Any]") -> int:
    found = conn.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert found
    return int(found[0])


def test_f45_a_serialization_failure_has_the_whole_transaction_run_again(
    quiet_site: Site, postgresql_url: str, threads: ThreadPoolExecutor
) -> None:
    buyer = newcomer(quiet_site)
    paid = buyer.pay()
    with psycopg.connect(postgresql_url) as other, psycopg.connect(postgresql_url, autocommit=True) as looking:
        other.execute("UPDATE customers SET person_id = person_id")
        coming = threads.submit(buyer.follow, paid)
        eventually(lambda: waits_for_a_lock(looking))
        other.commit()
        assert_granted_once(quiet_site, buyer, coming.result())


def test_f46_a_gate_that_cannot_reach_the_database_denies(site: Site, threads: ThreadPoolExecutor) -> None:
    member, stranger = member_of(site), Browser(site.url)
    as_a_program = {"Accept": "application/json", "Cookie": f"tollkeeper={member.client.cookies['tollkeeper']}"}
    with out_of_reach(site.settings["DATABASE_URL"]):
        asking = [threads.submit(dashboard, member) for _ in range(12)]
        asking += [threads.submit(dashboard, member, f"{door}?feature=dashboard") for door in DOORS]
        ready = threads.submit(stranger.get, "/readyz")
        reported = client().get(f"{site.url}/dashboard", headers=as_a_program)
        assert (reported.status_code, reported.headers["Content-Type"]) == (503, "application/problem+json")
        for answer in asking:
            assert_denied(answer.result())
        assert ready.result().status_code == 503
        assert stranger.get("/healthz").status_code == 200
    assert enters_again(member)
    assert stranger.get("/readyz").status_code == 200


@pytest.mark.parametrize("engine", ["postgresql"])
def test_f46_a_database_that_hangs_is_given_up(site: Site, threads: ThreadPoolExecutor) -> None:
    member = member_of(site)
    with locked(site.settings["DATABASE_URL"], "ACCESS EXCLUSIVE"):
        asking = [threads.submit(dashboard, member) for _ in range(12)]  # more than there are connections
        while wait(asking, timeout=0.2).done != set(asking):
            assert client().get(f"{site.url}/healthz").status_code == 200
        for answer in asking:
            assert_denied(answer.result())
    assert enters_again(member)
