"""``tollkeeper demo`` and ``tollkeeper sandbox``, as a newcomer runs them."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx2
import pytest
from stripe import StripeClient
from tests.support.processes import Process, free_port, run, running
from tests.support.running import Browser, eventually

from tollkeeper.words import day


@pytest.fixture
def port() -> int:
    return free_port(neighbours=2)


@contextmanager
def demo(folder: Path, port: int, *options: str) -> Iterator[Process]:
    command = ("-m", "tollkeeper", "demo", f"--port={port}", f"--data={folder / 'data'}", *options)
    with running(*command, folder=folder, port=port) as process:
        yield process


def bought(port: int) -> Browser:
    """Sign in and pay, all the way to the dashboard."""
    browser = Browser(f"http://127.0.0.1:{port}")
    browser.sign_in("Alice Example")
    assert "Payment done" in browser.follow(browser.pay()).text
    assert browser.enters()
    return browser


def test_what_was_paid_outlives_a_power_cut(tmp_path: Path, port: int) -> None:
    with demo(tmp_path, port) as process:
        browser = bought(port)
        process.kill()
    with demo(tmp_path, port):
        assert browser.enters()
        again = Browser(browser.site)
        assert "Enter" in again.sign_in("Alice Example").text
        assert again.enters()
        other = Browser(browser.site)
        other.sign_in("Bob Example")
        assert "Payment done" in other.follow(other.pay()).text


def test_a_payment_whose_event_is_lost_with_the_process_still_opens(tmp_path: Path, port: int) -> None:
    with demo(tmp_path, port) as process:
        browser = Browser(f"http://127.0.0.1:{port}")
        browser.sign_in("Alice Example")
        browser.pay()
        process.kill()
    with demo(tmp_path, port):
        eventually(browser.enters, seconds=45)  # at worst a lease has to run out


def test_when_time_is_moved_all_pages_agree(tmp_path: Path, port: int) -> None:
    """Sandbox, account, gate and dashboard: in a trial, in the first months, after the end. All by one clock."""
    sandbox = f"http://127.0.0.1:{port + 1}"
    stripe = StripeClient("sk_test_sandbox", base_addresses={"api": sandbox}, max_network_retries=0)

    def pass_time(days: int) -> None:
        httpx2.post(f"{sandbox}/control/clock/forward", data={"days": str(days), "hours": "2"}).raise_for_status()

    def period() -> tuple[int, int]:
        item = stripe.v1.subscriptions.list({"status": "all"}).data[0]["items"]["data"][0]
        return item.current_period_start, item.current_period_end

    def tells(words: str) -> bool:
        return words in browser.get("/account").text

    def agree(inside: bool) -> None:
        moved = httpx2.get(f"{sandbox}/control/clock").json()["now"]
        exported = datetime.fromisoformat(browser.get("/account/export").json()["exported_at"]).timestamp()
        assert abs(exported - moved) < 60
        start, end = period()
        assert (start <= moved < end) == inside
        assert browser.get("/gate", feature="hangar").status_code == (200 if inside else 302)
        assert browser.enters() == inside
        reported = browser.get("/api/me").json()["features"]
        untils = {datetime.fromisoformat(one["until"]).timestamp() for one in reported}
        assert all(end <= until <= end + 24 * 3600 for until in untils)
        assert bool(untils) == inside

    def comes_back() -> None:
        """A sign-in lasts for 30 days."""
        assert "Login" in browser.get("/").text
        assert "Hello, Alice Example" in browser.sign_in("Alice Example").text

    with demo(tmp_path, port) as process:
        browser = Browser(f"http://127.0.0.1:{port}")
        browser.sign_in("Alice Example")
        hosted = browser.follow(browser.submit(browser.get("/pricing"), "Start free trial", product="season"))
        browser.follow(browser.pay(hosted))
        assert tells(f"Free until {day(period()[1])}")
        agree(inside=True)

        pass_time(15)
        eventually(lambda: tells(f"Next payment on {day(period()[1])}"))
        agree(inside=True)
        pass_time(31)
        comes_back()
        eventually(lambda: tells(f"Next payment on {day(period()[1])}"))
        agree(inside=True)
        # Whose signatures the app believes, by its own clock.
        eventually(lambda: {event.pending_webhooks for event in stripe.v1.events.list({"limit": 100}).data} == {0})
        process.kill()
    with demo(tmp_path, port):
        agree(inside=True)
        (subscription,) = stripe.v1.subscriptions.list().data
        stripe.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
        eventually(lambda: tells(f"Paid until {day(period()[1])}, when it ends"))
        agree(inside=True)
        pass_time(32)
        comes_back()
        eventually(lambda: tells("Ended on"))
        agree(inside=False)


def test_reset_forgets(tmp_path: Path, port: int) -> None:
    with demo(tmp_path, port):
        browser = bought(port)
    (tmp_path / "data" / "notes.txt").write_text("not the demo's own")
    with demo(tmp_path, port, "--reset"):
        assert not browser.enters()
        assert "Purchase" in browser.sign_in("Alice Example").text
        assert not browser.enters()
    assert (tmp_path / "data" / "notes.txt").exists()


def test_a_reset_while_it_runs(tmp_path: Path, port: int) -> None:
    """Everybody is signed out, nothing is left, prices are there again, and webhooks work."""
    sandbox = f"http://127.0.0.1:{port + 1}"
    stripe = StripeClient("sk_test_sandbox", base_addresses={"api": sandbox}, max_network_retries=0)
    with demo(tmp_path, port) as process:
        browser = bought(port)
        (tmp_path / "data" / "notes.txt").write_text("not the demo's own")
        httpx2.post(f"{sandbox}/control/clock/forward", data={"days": "40"}).raise_for_status()
        assert httpx2.post(f"{browser.site}/control/reset").status_code == 404
        assert httpx2.post(f"{sandbox}/control/reset", headers={"Origin": "http://evil.example"}).status_code == 403
        assert httpx2.post(f"{sandbox}/control/reset", timeout=20).status_code == 204
        assert "Login" in browser.get("/").text
        assert stripe.v1.customers.list().data == []
        assert len(stripe.v1.webhook_endpoints.list().data) == 1
        bought(port)
        eventually(lambda: {event.pending_webhooks for event in stripe.v1.events.list({"limit": 100}).data} == {0})
        assert browser.get(f"http://127.0.0.1:{port + 2}/").status_code == 302
        process.tell(signal.SIGTERM)
        assert process.ended() == 0, process.output()
    assert "Traceback" not in process.output()
    assert (tmp_path / "data" / "notes.txt").exists()


def test_a_reset_that_fails_stops_the_demo_and_says_why(tmp_path: Path, port: int) -> None:
    with demo(tmp_path, port) as process:
        catalog = tmp_path / "data" / "tollkeeper.toml"
        catalog.unlink()
        catalog.mkdir()
        assert httpx2.post(f"http://127.0.0.1:{port + 1}/control/reset", timeout=20).status_code == 500
        assert process.ended() == 1
    assert "could not be reset" in process.output()
    assert "--reset" in process.output()


def test_webhooks_follow_to_another_port(tmp_path: Path, port: int) -> None:
    with demo(tmp_path, port):
        bought(port)
    elsewhere = free_port(neighbours=2)
    with demo(tmp_path, elsewhere):
        browser = Browser(f"http://127.0.0.1:{elsewhere}")
        browser.sign_in("Bob Example")
        browser.pay()
        eventually(browser.enters)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stops_when_told(tmp_path: Path, port: int, number: signal.Signals) -> None:
    with demo(tmp_path, port) as process:
        assert httpx2.get(f"http://127.0.0.1:{port}/").status_code == 200
        process.tell(number)
        assert process.ended() == 0, process.output()
    assert f"http://127.0.0.1:{port}" in process.output()
    assert "Alice Example" in process.output()
    assert "4242 4242 4242 4242" in process.output()
    assert "Stopped" in process.output()
    assert "Traceback" not in process.output()


def test_its_files_are_for_the_owner_alone(tmp_path: Path, port: int) -> None:
    with demo(tmp_path, port):
        data = tmp_path / "data"
        assert data.stat().st_mode & 0o077 == 0
        assert (data / ".env").stat().st_mode & 0o077 == 0


def test_it_needs_no_extra() -> None:
    """Neither does anything else on SQLite: the driver of PostgreSQL is imported when it is used."""
    without = "import sys; sys.modules |= dict.fromkeys(('psycopg', 'psycopg_pool'))"
    needed = "import tollkeeper.demo, tollkeeper.library, tollkeeper.storage.backup, tollkeeper.storage.restore"
    ran = subprocess.run([sys.executable, "-c", f"{without}; {needed}"], capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("taken", [0, 1, 2], ids=["app", "sandbox", "gated app"])
def test_a_taken_port_is_said_clearly(tmp_path: Path, port: int, taken: int) -> None:
    with socket.create_server(("127.0.0.1", port + taken)):
        ended = run("demo", f"--port={port}", f"--data={tmp_path}", folder=tmp_path)
    assert ended.returncode == 1
    assert f"127.0.0.1:{port + taken}" in ended.stderr
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_host_that_no_browser_here_could_open_is_refused(tmp_path: Path, port: int) -> None:
    ended = run("demo", "--host=192.0.2.1", f"--port={port}", f"--data={tmp_path / 'data'}", folder=tmp_path)
    assert ended.returncode == 1
    assert "192.0.2.1" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_sandbox_alone(tmp_path: Path, port: int) -> None:
    command = ("-m", "tollkeeper", "sandbox", f"--port={port}", f"--data={tmp_path / 'ledger'}")
    url = f"http://127.0.0.1:{port}"
    stripe = StripeClient("sk_test_anything", base_addresses={"api": url}, max_network_retries=0)
    with running(*command, folder=tmp_path, port=port) as process:
        made = stripe.v1.products.create({"name": "Flying lessons"})
        issuer = httpx2.get(f"{url}/identity/.well-known/openid-configuration").json()
        assert issuer["issuer"] == f"{url}/identity"
        process.tell(signal.SIGINT)
        assert process.ended() == 0, process.output()
    assert url in process.output()
    with running(*command, folder=tmp_path, port=port):
        assert stripe.v1.products.retrieve(made.id).name == "Flying lessons"


def test_a_taken_port_of_the_sandbox_alone_is_said_clearly(tmp_path: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        ended = run("sandbox", f"--port={port}", folder=tmp_path)
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr
