"""Bugs that were found in a review: buyers whom an error at the provider stopped, and attacks by strangers."""

import gc
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from limits.storage import MemoryStorage
from sqlalchemy import update
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.support.running import Sandbox, Site, Thread, eventually, newcomer, running_site
from tests.web.conftest import OpenSite

from tollkeeper.serving import heads
from tollkeeper.storage.tables import customers, orders
from tollkeeper.web.offers import PRICE_PATIENCE

FAILURE = Response(
    '{"error": {"type": "api_error", "message": "An unknown error occurred"}}',
    500,
    {"Stripe-Should-Retry": "false"},
    "application/json",
)


@contextmanager
def in_front_of(sandbox: Sandbox, trouble: Callable[[Request, bytes], Response | None]) -> Iterator[str]:
    """A server that passes everything on to the sandbox, except where ``trouble`` has an answer."""

    async def pass_on(request: Request) -> Response:
        body = await request.body()
        instead = trouble(request, body)
        if instead is not None:
            return instead
        kept = {name: value for name, value in request.headers.items() if name != "host"}
        async with httpx2.AsyncClient() as client:
            answer = await client.request(
                request.method,
                f"{sandbox.url}{request.url.path}?{request.url.query}",
                headers=kept,
                content=body,
            )
        return Response(answer.content, answer.status_code, {"Content-Type": "application/json"})

    thread = Thread(lambda: Starlette(routes=[Route("/{path:path}", pass_on, methods=["GET", "POST"])]))
    thread.start()
    try:
        yield thread.url
    finally:
        thread.stop()


@pytest.mark.parametrize(("call", "given_up"), [("/v1/checkout/sessions", ["expired"]), ("/v1/customers", [])])
def test_e35_a_failure_that_is_remembered_with_its_key_stops_nobody(
    sandbox: Sandbox, database_url: str, tmp_path: Path, call: str, given_up: list[str]
) -> None:
    """Stripe answers a 500 to its key for a day (https://docs.stripe.com/api/idempotent_requests)."""
    failed: set[str] = set()

    def trouble(request: Request, body: bytes) -> Response | None:
        key = request.headers.get("idempotency-key", "")
        if request.method == "POST" and request.url.path == call and not failed:
            failed.add(key)
        return FAILURE if key in failed else None

    with (
        in_front_of(sandbox, trouble) as stripe,
        running_site(sandbox, database_url, tmp_path, STRIPE_API_BASE=stripe, STRIPE_CHECKOUT_URL=sandbox.url) as site,
    ):
        buyer = newcomer(site)
        buyer.follow(buyer.pay())
        assert buyer.enters()
        assert failed
        assert [row.state for row in site.rows(orders) if row.checkout_id is None] == given_up


def test_a_customer_deleted_at_the_provider_can_buy_again(site: Site, sandbox: Sandbox) -> None:
    buyer = newcomer(site)
    buyer.checkout()
    (before,) = site.rows_of(buyer, customers)
    (order,) = site.rows_of(buyer, orders)
    sandbox.stripe.v1.checkout.sessions.expire(order.checkout_id or "")
    sandbox.stripe.v1.customers.delete(before.external_id)

    buyer.follow(buyer.pay())

    assert buyer.enters()
    assert len({row.external_id for row in site.rows_of(buyer, customers)}) == 2


def test_a05_who_was_paid_back_for_what_did_not_match_can_buy_again(site: Site, sandbox: Sandbox) -> None:
    buyer = newcomer(site)
    page = buyer.checkout()
    site.look(lambda conn: conn.execute(update(orders).values(amount=1)))
    buyer.pay(page)
    assert buyer.press_purchase().status_code == 409
    assert not buyer.enters()

    (order,) = site.rows_of(buyer, orders)
    paid = sandbox.stripe.v1.checkout.sessions.retrieve(order.checkout_id)
    sandbox.stripe.v1.refunds.create({"payment_intent": str(paid.payment_intent)})
    assert not buyer.enters()
    buyer.follow(buyer.pay())
    assert buyer.enters()


def test_a05_the_currency_is_the_orders_wherever_the_buyer_is(
    sandbox: Sandbox, sqlite_url: str, tmp_path: Path
) -> None:
    """Of a price's several currencies, Stripe would choose by the buyer's location unless one is requested."""
    asked: list[bytes] = []

    def listen(request: Request, body: bytes) -> None:
        if request.method == "POST" and request.url.path == "/v1/checkout/sessions":
            asked.append(body)

    with (
        in_front_of(sandbox, listen) as stripe,
        running_site(sandbox, sqlite_url, tmp_path, STRIPE_API_BASE=stripe, STRIPE_CHECKOUT_URL=sandbox.url) as site,
    ):
        newcomer(site).checkout()
    (body,) = asked
    assert b"currency=eur" in body.split(b"&")


def test_a_restricted_key_that_may_not_ask_for_its_account_can_sell(
    sandbox: Sandbox, sqlite_url: str, tmp_path: Path
) -> None:
    """Stripe has no permission for it, but its refusal names the account."""
    refusal = "The provided key 'rk_test_***' does not have the required permissions for this endpoint on account '%s'."
    account = sandbox.stripe.v1.accounts.retrieve_current().id
    error = {"error": {"type": "invalid_request_error", "message": refusal % account}}

    def trouble(request: Request, body: bytes) -> Response | None:
        return JSONResponse(error, 403) if request.url.path == "/v1/account" else None

    with (
        in_front_of(sandbox, trouble) as stripe,
        running_site(sandbox, sqlite_url, tmp_path, STRIPE_API_BASE=stripe, STRIPE_CHECKOUT_URL=sandbox.url) as site,
    ):
        buyer = newcomer(site)
        buyer.follow(buyer.pay())
        assert buyer.enters()
        assert {row.account for row in site.rows(orders)} == {account}


def test_e37_a_silent_provider_holds_up_the_landing_page_once_not_for_each_product(
    open_site: OpenSite, tmp_path: Path
) -> None:
    products = (f'[products.p{n}]\nname = "P{n}"\nunlocks = ["a"]\nstripe = ["price_{n}"]\n' for n in range(4))
    (tmp_path / "tollkeeper.toml").write_text("".join(products))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stripe = f"http://127.0.0.1:{silent.getsockname()[1]}"
        site = open_site(STRIPE_API_BASE=stripe, PRODUCT_PRICE_ID="", STRIPE_WEBHOOK_SECRET="")
        before = time.monotonic()
        assert "At checkout" in httpx2.get(site.url, timeout=20).text
        assert time.monotonic() - before < 2 * PRICE_PATIENCE


PADDING = b"X-Padding: %s\r\n" % (b"a" * 8000)


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=20) as connection:
        yield connection


def sent_until_closed(connection: socket.socket, chunk: bytes, most: int) -> int:
    """How many bytes the other side takes before it hangs up."""
    for sent in range(0, most, len(chunk)):
        try:
            connection.sendall(chunk)
        except OSError:
            return sent
    return most


@pytest.mark.parametrize(
    ("beginning", "chunk"),
    [
        (b"GET / HTTP/1.1\r\n", PADDING),
        (b"GET / HTTP/1.1\r\nX-Padding: ", b"a" * 8000),
        (b"GET /", b"a" * 8000),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"X-Padding: %s\r\n" % (b"a" * 8000),
        ),
    ],
    ids=["headers", "header", "address", "trailers"],
)
def test_b16_the_head_of_a_request_is_bounded(plain_site: Site, beginning: bytes, chunk: bytes) -> None:
    with connected(plain_site.url) as connection:
        connection.sendall(beginning)
        assert sent_until_closed(connection, chunk, most=50_000_000) < 20_000_000
    assert httpx2.get(f"{plain_site.url}/healthz").status_code == 200


@pytest.mark.parametrize(
    "beginning", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET"]
)
def test_b16_who_asks_nothing_is_shown_out(plain_site: Site, monkeypatch: pytest.MonkeyPatch, beginning: bytes) -> None:
    monkeypatch.setattr(heads, "HEAD_SECONDS", 0.3)
    with connected(plain_site.url) as connection:
        connection.sendall(beginning)
        connection.settimeout(3)
        while connection.recv(65536):
            pass


@pytest.mark.parametrize(("asked", "answered"), [(10, [b"200"] * 10), (5000, [b"400"])])
def test_b16_few_requests_wait_on_one_connection(plain_site: Site, asked: int, answered: list[bytes]) -> None:
    with connected(plain_site.url) as connection:
        one, last = b"GET /healthz HTTP/1.1\r\n\r\n", b"GET /healthz HTTP/1.0\r\n\r\n"
        connection.sendall(one * (asked - 1) + last)
        connection.settimeout(10)
        said = b""
        while more := connection.recv(65536):
            said += more
    assert re.findall(rb"HTTP/1.1 (\d+) ", said) == answered


def test_b16_who_reads_nothing_is_shown_out(plain_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "HEAD_SECONDS", 0.3)
    plain_site.thread.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # for those that it accepts
    with connected(plain_site.url) as connection:
        connection.setblocking(False)

        def gone() -> bool:
            try:
                connection.send(b"GET /static/style.css HTTP/1.1\r\n\r\n")
            except BlockingIOError:  # nothing is read there, either
                return False
            except OSError:
                return True
            return False

        eventually(gone)


def test_who_tried_to_sign_in_is_forgotten_in_time(open_site: OpenSite) -> None:
    site = open_site(SIGN_IN_RATE="5/second", TRUSTED_PROXIES="127.0.0.1")

    def comes_from(address: str) -> None:
        httpx2.get(f"{site.url}/login/oidc/callback", headers={"X-Forwarded-For": address})

    def remembered() -> int:
        limiters = [one for one in gc.get_objects() if isinstance(one, MemoryStorage)]
        keys = [key for one in limiters for key in (*one.events, *one.storage, *one.expirations, *one.locks)]
        return sum("203.0.113." in key for key in keys)

    for number in range(20):
        comes_from(f"203.0.113.{number}")
    assert remembered() >= 20

    def forgotten() -> bool:
        comes_from("198.51.100.1")
        return remembered() == 0

    eventually(forgotten)
