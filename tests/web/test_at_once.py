"""Responses that are sent before a task is created are the same as on the usual way, and in the right order."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.support.databases import fresh_sqlite
from tests.support.running import Browser, Sandbox, Site, eventually, newcomer, running_site

from tollkeeper.serving import heads

AT_ONCE = "/gate?feature=dashboard"
USUAL = "/gate?feature=dashboard&"  # written so that it is not known word for word
NOBODY = "/gate?feature=nothing"


@pytest.fixture(scope="module")
def shop(sandbox: Sandbox, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with running_site(sandbox, fresh_sqlite(sqlite_template, folder), folder) as site:
        yield site


@pytest.fixture(scope="module")
def payer(shop: Site) -> Browser:
    browser = newcomer(shop, "Zoë Müller, 50% Ltd")
    browser.follow(browser.pay())
    return browser


def request(browser: Browser, target: str, *more: str, method: str = "GET", version: str = "1.1") -> bytes:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
    lines = [f"{method} {target} HTTP/{version}", f"Host: {urlsplit(browser.site).netloc}", f"Cookie: {cookies}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def said(browser: Browser, sent: bytes) -> list[bytes]:
    """The answers on one connection, until it ends. Without the dates, and what differs from answer to answer."""
    parts = urlsplit(browser.site)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=20) as connection:
        connection.sendall(sent)
        received = b""
        while more := connection.recv(65536):
            received += more
    plain = re.sub(rb"(date|x-request-id): [^\r]*\r\n", b"", received)
    return [b"HTTP/1.1 " + answer for answer in plain.split(b"HTTP/1.1 ")[1:]]


def last(browser: Browser) -> bytes:
    """A request after whose answer the connection ends."""
    return request(browser, NOBODY, "Connection: close")


def statuses(answers: list[bytes]) -> list[bytes]:
    return [answer.split(b" ", 2)[1] for answer in answers]


@pytest.mark.parametrize("door", ["/gate", "/gate/auth-request"])
def test_both_ways_give_the_same_answer(payer: Browser, door: str) -> None:
    at_once, usual = (door + target.removeprefix("/gate") for target in (AT_ONCE, USUAL))
    one, other, _ = said(payer, request(payer, at_once) + request(payer, usual) + last(payer))
    assert one == other
    assert one.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nremote-name: Zo%C3%AB M%C3%BCller, 50%25 Ltd\r\n" in one


def test_answers_come_in_the_order_of_the_questions(payer: Browser) -> None:
    targets = [AT_ONCE, "/healthz", AT_ONCE, AT_ONCE, NOBODY, "/nowhere", AT_ONCE, USUAL, AT_ONCE]
    answers = said(payer, b"".join(request(payer, target) for target in targets) + last(payer))
    expected = {AT_ONCE: b"200", USUAL: b"200", "/healthz": b"200", NOBODY: b"403", "/nowhere": b"404"}
    assert statuses(answers) == [expected[target] for target in targets] + [b"403"]
    reported = [b"remote-user" in answer for answer in answers[:-1]]
    assert reported == [target in {AT_ONCE, USUAL} for target in targets]


@pytest.mark.parametrize(
    "unusual",
    [
        {"method": "POST"},
        {"method": "HEAD"},
        {"version": "1.0"},
    ],
    ids=str,
)
def test_by_any_method_and_version(payer: Browser, unusual: dict[str, str]) -> None:
    answers = said(payer, request(payer, AT_ONCE, **unusual) + request(payer, NOBODY, "Connection: close"))
    assert b"remote-user: " in answers[0]
    assert statuses(answers)[0] == b"200"


def test_a_connection_ends_where_it_is_asked_to(payer: Browser) -> None:
    [answer] = said(payer, request(payer, AT_ONCE, "Connection: close"))
    assert b"connection: close\r\n" in answer


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("Content-Length: 7", b"payload"),
        ("Transfer-Encoding: chunked", b"7\r\npayload\r\n0\r\n\r\n"),
    ],
)
def test_a_body_is_no_next_question(payer: Browser, header: str, body: bytes) -> None:
    sent = request(payer, AT_ONCE, header) + body + request(payer, AT_ONCE) + last(payer)
    assert statuses(said(payer, sent)) == [b"200", b"200", b"403"]


def test_a_question_may_come_in_pieces(payer: Browser) -> None:
    sent = request(payer, AT_ONCE) * 2 + last(payer)
    parts = urlsplit(payer.site)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(sent)):
            connection.sendall(sent[at : at + 1])
        received = b""
        while more := connection.recv(65536):
            received += more
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"200", b"403"]


def test_who_has_signed_out_meanwhile_is_sent_to_sign_in(shop: Site) -> None:
    browser = newcomer(shop)
    browser.follow(browser.pay())
    asked = request(browser, AT_ONCE) + last(browser)
    assert statuses(said(browser, asked))[0] == b"200"
    browser.submit(browser.get("/"), "Logout")
    assert statuses(said(browser, asked))[0] == b"401"


def test_b16_who_reads_no_answer_is_shown_out(shop: Site, payer: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "HEAD_SECONDS", 0.3)
    asked = request(payer, AT_ONCE) * 20
    shop.thread.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # for those that it accepts
    parts = urlsplit(shop.url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=20) as connection:
        connection.setblocking(False)

        def gone() -> bool:
            try:
                connection.send(asked)
            except BlockingIOError:  # nothing is read there, either
                return False
            except OSError:
                return True
            return False

        eventually(gone)
