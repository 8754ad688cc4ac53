"""D28 to D33: the process dies at the worst moment, and starts again."""

import json
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx2
import pytest
from sqlalchemy import Connection, func, select, text
from stripe import WebhookSignature
from tests.support.processes import Installation, installed, listens
from tests.support.running import Browser, Sandbox, eventually, look, running_sandbox

from tollkeeper.billing.inbox import LEASE
from tollkeeper.model.events import Event
from tollkeeper.model.orders import Realm
from tollkeeper.storage import events as stored_events
from tollkeeper.storage.database import Database, open_database
from tollkeeper.storage.tables import audit, customers, events, grants, orders

PAID: Final = "checkout.session.completed"
KILLED = -signal.SIGKILL


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """One for each test: its clock is moved, and what it holds is counted."""
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def app(sandbox: Sandbox, database_url: str, tmp_path: Path) -> Installation:
    """An app that hears of payments alone, so that the first event is the one that matters."""
    made = installed(sandbox, database_url, tmp_path, PRODUCT_PRICE_ID=sandbox.price())
    endpoint = sandbox.stripe.v1.webhook_endpoints.list().data[0]
    sandbox.stripe.v1.webhook_endpoints.update(endpoint.id, {"enabled_events": [PAID]})
    return made


@pytest.fixture
def deaf_app(sandbox: Sandbox, database_url: str, tmp_path: Path) -> Installation:
    """An app without webhooks, where nothing happens but what a browser asks for."""
    return installed(sandbox, database_url, tmp_path, STRIPE_WEBHOOK_SECRET="")


def undelivered(sandbox: Sandbox) -> int:
    """How many deliveries of the payment's event have not been answered with 2xx."""
    return sandbox.stripe.v1.events.list({"type": PAID}).data[0].pending_webhooks


def sign_in_and_pay(app: Installation) -> Browser:
    """Pay, and close the tab before the way back."""
    browser = Browser(app.url)
    browser.sign_in("Alice Example")
    assert browser.pay().is_redirect
    return browser


def assert_done_once(app: Installation) -> None:
    assert [row.product for row in app.rows(grants)] == ["dashboard"]
    assert [row.change for row in app.rows(audit)] == ["granted"]
    assert [row.state for row in app.rows(orders)] == ["complete"]


def test_d28_killed_before_the_inbox_commit(app: Installation, sandbox: Sandbox) -> None:
    with app.serving(after="tollkeeper.storage.events:keep") as process:
        browser = sign_in_and_pay(app)
        assert process.ended() == KILLED
    assert not [row for row in app.rows(events) if row.outcome != "ignored"]
    assert undelivered(sandbox) == 1

    with app.serving():
        assert not browser.enters()
        sandbox.clock.ahead = 30  # the provider's next try is due
        eventually(browser.enters)
        eventually(lambda: app.rows(events)[0].handled_at)
    assert undelivered(sandbox) == 0
    assert_done_once(app)


def test_d29_killed_between_the_commit_and_the_answer(app: Installation, sandbox: Sandbox) -> None:
    with app.serving(before="tollkeeper.billing.worker:Worker.wake") as process:
        browser = sign_in_and_pay(app)
        assert process.ended() == KILLED
    assert [(row.type, row.handled_at) for row in app.rows(events)] == [(PAID, None)]
    assert undelivered(sandbox) == 1

    with app.serving():
        eventually(browser.enters)
        sandbox.clock.ahead = 30
        eventually(lambda: undelivered(sandbox) == 0)
        eventually(lambda: app.rows(events)[0].handled_at)
    assert len(app.rows(events)) == 1
    assert_done_once(app)


@pytest.mark.parametrize("halfway", ["tollkeeper.storage.grants:add", "tollkeeper.storage.audit:record"])
def test_d30_killed_in_the_middle_of_the_effect(app: Installation, sandbox: Sandbox, halfway: str) -> None:
    with app.serving(after=halfway) as process:
        browser = sign_in_and_pay(app)
        assert process.ended() == KILLED
    eventually(lambda: undelivered(sandbox) == 0)
    assert (app.rows(grants), app.rows(audit)) == ([], [])
    assert [row.state for row in app.rows(orders)] == ["open"]
    assert [row.handled_at for row in app.rows(events)] == [None]

    with app.serving(ahead=LEASE + 1):
        eventually(browser.enters)
        eventually(lambda: app.rows(events)[0].handled_at)
    assert_done_once(app)


def test_d30_killed_in_the_middle_of_the_success_page(deaf_app: Installation) -> None:
    with deaf_app.serving(after="tollkeeper.storage.grants:add") as process:
        browser = Browser(deaf_app.url)
        browser.sign_in("Alice Example")
        paid = browser.pay()
        with pytest.raises(httpx2.TransportError):
            browser.follow(paid)
        assert process.ended() == KILLED
    assert (deaf_app.rows(grants), deaf_app.rows(audit)) == ([], [])

    with deaf_app.serving():
        assert not browser.enters()
        assert "Payment done" in browser.follow(paid).text
        assert browser.enters()
    assert_done_once(deaf_app)


def test_d31_killed_before_the_checkout_session_is_stored(deaf_app: Installation, sandbox: Sandbox) -> None:
    browser = Browser(deaf_app.url)
    with deaf_app.serving(before="tollkeeper.storage.orders:set_checkout") as process:
        browser.sign_in("Alice Example")
        with pytest.raises(httpx2.TransportError):
            browser.press_purchase()
        assert process.ended() == KILLED
    (made,) = sandbox.stripe.v1.checkout.sessions.list().data
    assert [(row.state, row.checkout_id) for row in deaf_app.rows(orders)] == [("open", None)]

    with deaf_app.serving():
        assert browser.press_purchase().headers["Location"] == made.url
        assert "Payment done" in browser.follow(browser.pay()).text
    assert [row.checkout_id for row in deaf_app.rows(orders)] == [made.id]
    assert len(sandbox.stripe.v1.checkout.sessions.list().data) == 1
    assert len(sandbox.stripe.v1.charges.list().data) == 1


def test_d31_killed_before_the_customer_is_stored(deaf_app: Installation, sandbox: Sandbox) -> None:
    browser = Browser(deaf_app.url)
    with deaf_app.serving(before="tollkeeper.storage.customers:add") as process:
        browser.sign_in("Alice Example")
        with pytest.raises(httpx2.TransportError):
            browser.press_purchase()
        assert process.ended() == KILLED
    (made,) = sandbox.stripe.v1.customers.list().data
    assert deaf_app.rows(customers) == []

    with deaf_app.serving():
        assert "Payment done" in browser.follow(browser.pay()).text
    assert [row.external_id for row in deaf_app.rows(customers)] == [made.id]
    assert len(sandbox.stripe.v1.customers.list().data) == 1


EVENT = Event(Realm("stripe", "acct_1", False), "evt_1", PAID, 1, "cs_test_1", "cus_1", relevant=True)


def count_events(conn: Connection) -> int:
    return conn.execute(select(func.count()).select_from(events)).scalar_one()


@pytest.mark.anyio
async def test_d32_what_is_acknowledged_is_in_the_files(sqlite_url: str, tmp_path: Path) -> None:
    database = await open_database(sqlite_url)
    await database.write(stored_events.keep, EVENT, 1)
    after_the_power_cut = tmp_path / "after.db"
    for suffix in ("", "-wal"):  # all else is memory: the -shm file is made anew from these two
        shutil.copy(f"{sqlite_url.removeprefix('sqlite:///')}{suffix}", f"{after_the_power_cut}{suffix}")
    await database.close()
    assert look(f"sqlite:///{after_the_power_cut}", count_events) == 1


@pytest.mark.anyio
async def test_d32_every_commit_waits_for_the_disk(database: Database) -> None:
    question = "PRAGMA synchronous" if database.dialect == "sqlite" else "SHOW synchronous_commit"
    wanted = "2" if database.dialect == "sqlite" else "on"  # 2 is FULL: https://www.sqlite.org/pragma.html
    assert await database.write(lambda conn: str(conn.execute(text(question)).scalar_one())) == wanted


class SlowSender:
    """Sends the first half of a webhook, and the rest only on request."""

    def __init__(self, app: Installation) -> None:
        body = json.dumps(
            {
                "id": "evt_slow",
                "type": "customer.created",
                "livemode": False,
                "created": int(time.time()),
                "data": {"object": {"id": "cus_slow"}},
            }
        )
        signature = WebhookSignature.generate_signature_header(body, app.settings["STRIPE_WEBHOOK_SECRET"])
        head = (
            f"POST /webhooks/stripe HTTP/1.1\r\nHost: 127.0.0.1\r\nStripe-Signature: {signature}\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
        )
        self._rest = body[10:].encode()
        self._socket = socket.create_connection(("127.0.0.1", app.port), 10)
        self._socket.sendall(head.encode())
        assert self._socket.recv(1000).startswith(b"HTTP/1.1 100 ")  # so the request is under way
        self._socket.sendall(body[:10].encode())

    def finish(self) -> bytes:
        """Send the rest. The answer."""
        self._socket.sendall(self._rest)
        return self.hear()

    def hear(self) -> bytes:
        """What is answered until the connection is closed."""
        answer = b""
        with suppress(ConnectionError):
            while part := self._socket.recv(10_000):
                answer += part
        return answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_d33_told_to_stop(app: Installation, number: signal.Signals) -> None:
    with app.serving() as process:
        sender = SlowSender(app)
        told_at = time.monotonic()
        process.tell(number)
        eventually(lambda: not listens(app.port))
        assert process.popen.poll() is None
        assert sender.finish().startswith(b"HTTP/1.1 200 ")
        assert process.ended() == 0, process.output()
        assert time.monotonic() - told_at < 10
    assert [row.event_id for row in app.rows(events)] == ["evt_slow"]
    assert "Traceback" not in process.output()


def test_d33_nobody_can_hold_it_up(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> None:
    app = installed(sandbox, sqlite_url, tmp_path)
    with app.serving() as process:
        never = SlowSender(app)
        told_at = time.monotonic()
        process.tell(signal.SIGTERM)
        assert process.ended() == 0, process.output()
        assert time.monotonic() - told_at < 10
        assert not never.hear().startswith(b"HTTP/1.1 200 ")
    assert not [row for row in app.rows(events) if row.outcome != "ignored"]
