"""L82 to L88 at the gate itself. Behind real proxies, and in a real browser: ``tests/proxies``."""

import json
import os
import pty
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from structlog.testing import capture_logs
from tests.faults.conftest import OpenSite
from tests.support.processes import Installation, clean_environment, installed, listens, run_here
from tests.support.running import Browser, Sandbox, Site, eventually, newcomer

from tollkeeper.web.guards.proxies import TrustedHeaders
from tollkeeper.words import UNSEEN, printable

on_one_engine = pytest.mark.parametrize("shared_engine", ["sqlite"], indirect=True, scope="module")

DOORS = ["/gate", "/gate/auth-request"]
METRICS_TOKEN = "metrics-token-of-32-characters-0"
APP = "app.example.net"


@pytest.fixture(scope="module")
def proxied_shop(open_site: OpenSite) -> Iterator[Site]:
    """A shop behind a proxy on this machine, where only a few may begin to sign in."""
    settings = {"SIGN_IN_RATE": "2/day", "METRICS_TOKEN": METRICS_TOKEN}
    with open_site(TRUSTED_PROXIES="127.0.0.1", GATED_HOSTS=APP, **settings) as site:
        yield site


def exchanged(site: Site, *pieces: bytes) -> bytes:
    """Everything that is answered on one connection to what is sent on it, in pieces that arrive apart."""
    parts, answer = urlsplit(site.url), b""
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=20) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            wire.sendall(piece)
            time.sleep(0.02 * (len(pieces) > 1))
        while more := wire.recv(65536):
            answer += more
    return answer


def with_trailers(
    target: str, head: dict[str, str], trailers: dict[str, str], method: str = "GET"
) -> tuple[bytes, ...]:
    """A request with a body in chunks, and its trailers, which are also announced."""
    reported = {"Host": "127.0.0.1", "Transfer-Encoding": "chunked", "Trailer": ", ".join(trailers)} | head
    lines = "".join(f"{name}: {value}\r\n" for name, value in reported.items())
    behind = "".join(f"{name}: {value}\r\n" for name, value in trailers.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode(), b"1\r\nx\r\n", f"0\r\n{behind}\r\n".encode()


def answered(site: Site, request: tuple[bytes, ...], in_pieces: bool) -> bytes:
    last = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    return exchanged(site, *request, last) if in_pieces else exchanged(site, b"".join(request) + last)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@on_one_engine
@pytest.mark.parametrize("in_pieces", [True, False])
def test_l82_a_trailer_does_not_say_where_somebody_comes_from(open_site: OpenSite, in_pieces: bool) -> None:
    """As the proxies that hand trailers on, such as HAProxy, would send it: one who is trusted."""
    with open_site(TRUSTED_PROXIES="127.0.0.1", SIGN_IN_RATE="2/day") as site:
        statuses = [
            status(
                answered(
                    site,
                    with_trailers(
                        "/login/oidc", {"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": f"198.51.100.{n}"}
                    ),
                    in_pieces,
                )
            )
            for n in range(2, 6)
        ]
        assert statuses == [302, 302, 429, 429]


@on_one_engine
@pytest.mark.parametrize("in_pieces", [True, False])
def test_l82_a_trailer_opens_nothing(proxied_shop: Site, in_pieces: bool) -> None:
    payer = a_payer(proxied_shop)
    cookie = {"Cookie": f"tollkeeper={payer.client.cookies['tollkeeper']}"}
    token = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    for target, opener, denied in (
        *((f"{door}?feature=dashboard", cookie, 401) for door in DOORS),
        ("/dashboard", cookie, 302),
        ("/metrics", token, 401),
    ):
        in_head = answered(proxied_shop, with_trailers(target, opener, {"X": "y"}), in_pieces)
        assert status(in_head) == 200, target
        assert status(answered(proxied_shop, with_trailers(target, {}, opener), in_pieces)) == denied, target


@on_one_engine
def test_l82_nor_does_it_say_what_was_asked_for(proxied_shop: Site) -> None:
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": APP, "X-Forwarded-Uri": "/planted"}
    for in_pieces in (True, False):
        for head, trailers in ((said, {"X": "y"}), ({}, said)):
            request = with_trailers("/gate?feature=dashboard", {"Accept": "text/html"} | head, trailers)
            assert (b"planted" in answered(proxied_shop, request, in_pieces)) == bool(head)


@on_one_engine
def test_l82_what_follows_a_trailer_is_a_request_of_its_own(proxied_shop: Site) -> None:
    payer = a_payer(proxied_shop)
    cookie = f"Cookie: tollkeeper={payer.client.cookies['tollkeeper']}\r\n"
    asks = b"GET /gate?feature=dashboard HTTP/1.1\r\nHost: 127.0.0.1\r\n%bConnection: close\r\n\r\n"
    nobody = b"".join(with_trailers("/gate?feature=dashboard", {}, {"Cookie": cookie[8:].strip()}))
    for headers, last in ((cookie.encode(), b"200"), (b"", b"401")):
        assert re.findall(rb"HTTP/1\.1 (\d+)", exchanged(proxied_shop, nobody + asks % headers)) == [b"401", last]


def a_payer(site: Site) -> Browser:
    """Somebody who paid, whose browser comes from an address of its own each time."""
    browser = Browser(site.url)
    browser.client.headers["X-Forwarded-For"] = f"203.0.113.{next(ADDRESSES)}"
    browser.sign_in("Penny Payer", f"{browser.client.headers['X-Forwarded-For']}@example.com")
    browser.follow(browser.pay())
    return browser


ADDRESSES = iter(range(1, 250))


# --- L84

TAB = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
THROUGH_A_SERVICE_WORKER = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "empty"}
IN_A_FRAME = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
BY_A_SCRIPT = [{"Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": "empty"} for mode in ("cors", "no-cors", "same-origin")]
AS_AN_IMAGE = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}


@pytest.mark.parametrize("asked", [TAB, THROUGH_A_SERVICE_WORKER, {}])
def test_l84_a_tab_is_handed_over(proxied_shop: Site, asked: dict[str, str]) -> None:
    assert handed_over(proxied_shop, a_payer(proxied_shop), asked, asked) == (303, 303)


@pytest.mark.parametrize("asked", [IN_A_FRAME, AS_AN_IMAGE, *BY_A_SCRIPT])
def test_l84_no_token_is_made_for_a_frame_or_a_script(proxied_shop: Site, asked: dict[str, str]) -> None:
    """Which nobody sees, and which may name the hash of a secret that is in somebody else's browser."""
    assert handed_over(proxied_shop, a_payer(proxied_shop), asked, TAB) == (403, None)


@pytest.mark.parametrize("asked", [IN_A_FRAME, AS_AN_IMAGE, *BY_A_SCRIPT])
def test_l84_nor_taken_from_one(proxied_shop: Site, asked: dict[str, str]) -> None:
    assert handed_over(proxied_shop, a_payer(proxied_shop), TAB, asked) == (303, 400)


def handed_over(site: Site, payer: Browser, asked: dict[str, str], arriving: dict[str, str]) -> tuple[int, int | None]:
    """How a handover is answered where it is made, and where it is redeemed."""
    said = {"X-Forwarded-Host": APP, "X-Forwarded-Proto": "https"}
    refused = httpx2.get(
        f"{site.url}/gate?feature=dashboard", headers=said | {"X-Forwarded-Uri": "/", "Accept": "text/html"}
    )
    secret = re.search(r"tollkeeper_handover=([^;]+)", refused.headers["Set-Cookie"])
    assert secret
    made = payer.client.get(refused.headers["Location"], headers=asked)
    if made.status_code != 303:
        return made.status_code, None
    cookie = {"Cookie": f"tollkeeper_handover={secret[1]}"}
    query = urlsplit(made.headers["Location"]).query
    arrived = httpx2.get(f"{site.url}/.tollkeeper/handover?{query}", headers=said | cookie | arriving)
    assert ("tollkeeper=" in arrived.headers.get("Set-Cookie", "")) == (arrived.status_code == 303)
    return 303, arrived.status_code


# --- L86

HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x9b31m\x00\x7f\r\n2026-01-01 [info] granted\u202e\u2066\u200b\u2028\ufeff\u3164\U000e0101"
)
SPEAKING = """
import logging, structlog
from tollkeeper.serving import logs
logs.configure(logging.INFO)
hostile = {hostile!r}
log = structlog.get_logger()
log.info("request", path=hostile)
log.info(hostile)
log.info("alone", path="a" + chr(27) + "b")
logging.getLogger("theirs").warning("said %s", hostile)
for say in (log.exception, logging.getLogger("theirs").exception):
    try:
        raise ValueError(hostile)
    except ValueError:
        say("failed", reason=hostile) if say == log.exception else say(hostile)
"""
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def on_a_terminal(*command: str, folder: Path) -> subprocess.Popen[bytes]:
    """A command whose standard error is a terminal; ``stdout`` reads what is shown there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=clean_environment(folder) | {"TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    process.stdout = os.fdopen(ours, "rb", 0)
    return process


def shown_by(process: subprocess.Popen[bytes]) -> str:
    """All that a command on a terminal has shown, once it has ended."""
    assert process.stdout
    said = b""
    with process.stdout, process:
        try:
            while more := process.stdout.read(65536):
                said += more
        except OSError:  # so a terminal ends
            pass
    return said.decode()


def harmless(text: str) -> bool:
    """Whether lines have nothing in them that steers a terminal, or is not seen."""
    return all(c.isprintable() and c not in UNSEEN for line in text.split("\n") for c in line)


def test_l86_nothing_said_steers_the_terminal_that_the_log_is_on(tmp_path: Path) -> None:
    shown = shown_by(on_a_terminal("-c", SPEAKING.format(hostile=HOSTILE), folder=tmp_path))
    lines = COLOURS.sub("", shown.replace("\r\n", "\n"))
    assert "\x1b[" in shown  # it does take this for a terminal
    assert lines.count("owned") == 7
    assert "ValueError" in lines
    assert "_record" not in lines
    assert harmless(lines), ascii(lines)
    assert not re.search("^2026-01-01", lines, re.MULTILINE)


def test_l86_nor_the_one_on_which_json_is_read(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", SPEAKING.format(hostile=HOSTILE)],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        capture_output=True,
        check=True,
    ).stderr
    assert said.isascii()
    assert harmless(said.decode())
    lines = [json.loads(line) for line in said.splitlines()]
    assert len(lines) == 6
    assert all(harmless(value) for line in lines for value in line.values())
    assert {line["level"] for line in lines} == {"info", "warning", "error"}


def test_l86_nor_does_a_path_that_was_asked_for(sandbox: Sandbox, sqlite_url: str, tmp_path: Path) -> None:
    place: Installation = installed(sandbox, sqlite_url, tmp_path)
    process = on_a_terminal("-m", "tollkeeper", "serve", f"--port={place.port}", folder=tmp_path)
    try:
        eventually(lambda: process.poll() is not None or listens(place.port), 20)
        for path in ("%1b%5d0;owned%07%e2%80%ae%c2%9b2J", "%1b%5d0;owned%07%0a2026-01-01%20granted"):
            httpx2.get(f"{place.url}/{path}")
    finally:
        process.terminate()
    shown = COLOURS.sub("", shown_by(process).replace("\r\n", "\n"))
    assert "]0;owned" in shown
    assert harmless(shown), ascii(shown)
    assert not re.search("^2026-01-01", shown, re.MULTILINE)


@pytest.mark.parametrize("character", "\x00\x07\x1b\x7f\x9b\r\u202e\u2066\u200b\u2028\ufeff\u3164\U000e0101")
def test_l86_nor_does_a_table(character: str) -> None:
    assert printable(f"a{character}b") == "a\N{REPLACEMENT CHARACTER}b"


def test_l86_what_people_are_called_is_left_alone() -> None:
    for name in ("Zoë Müller", "李小龍", "محمد", "नरेंद्र", "O’Brien", "❤️ Ann", "1\N{NO-BREAK SPACE}€"):
        assert printable(name) == name


# --- L87

AS_BROWSERS_ASK = {
    "a preflight": ("OPTIONS", {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Origin": "https://a.example"}),
    "a service worker": ("GET", {"Service-Worker": "script", "Sec-Fetch-Mode": "same-origin"}),
    "a manifest": ("GET", {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "manifest"}),
    "a favicon": ("GET", {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Accept": "image/avif,*/*;q=0.8"}),
    "a script's fetch": ("GET", {"Sec-Fetch-Mode": "cors", "Accept": "text/html"}),
}


@on_one_engine
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", AS_BROWSERS_ASK)
def test_l87_what_is_no_page_is_refused_without_a_redirect(shop: Site, door: str, what: str) -> None:
    method, headers = AS_BROWSERS_ASK[what]
    for browser, refused in ((Browser(shop.url), {401}), (newcomer(shop), {402, 403})):
        asked = {"Accept": "*/*"} | headers | {"Access-Control-Request-Method": "PUT"}
        answer = browser.client.request(method, f"{shop.url}{door}?feature=dashboard", headers=asked)
        assert answer.status_code in refused
        assert not {"Location", "Set-Cookie"} & {name.title() for name in answer.headers}
        assert answer.headers["Cache-Control"] == "no-store"


# --- L88


@on_one_engine
def test_l88_a_proxy_that_is_not_trusted_is_reported_once(open_site: OpenSite) -> None:
    with capture_logs() as lines, open_site(TRUSTED_PROXIES="192.0.2.1") as site:
        for path in ("/", "/gate?feature=dashboard", "/", "/login"):
            httpx2.get(site.url + path, headers={"X-Forwarded-For": "198.51.100.1"})
    (reported,) = [line for line in lines if line["event"] == "not believed"]
    assert reported["sent_by"] == "127.0.0.1"
    assert "TRUSTED_PROXIES" in reported["advice"]
    assert reported["log_level"] == "warning"


@on_one_engine
@pytest.mark.parametrize("said", [{}, {"X-Forwarded-For": "198.51.100.1"}])
def test_l88_a_trusted_one_is_not(open_site: OpenSite, said: dict[str, str]) -> None:
    with capture_logs() as lines, open_site(TRUSTED_PROXIES="127.0.0.1") as site:
        for path in ("/", "/gate?feature=dashboard"):
            httpx2.get(site.url + path, headers=said)
    assert "not believed" not in str(lines)


def test_l88_strangers_do_not_fill_the_log() -> None:
    trusted_headers = TrustedHeaders(())
    with capture_logs() as lines:
        for number in [*range(1, 50), *range(1, 50)]:
            scope = {"headers": [(b"x-forwarded-for", b"192.0.2.1")], "client": (f"198.51.100.{number}", 1)}
            assert trusted_headers(scope) == []
        assert trusted_headers({"headers": [(b"x-forwarded-for", b"192.0.2.1")], "client": None}) == []
    assert [line["sent_by"] for line in lines] == [f"198.51.100.{n}" for n in range(1, TrustedHeaders.MOST_LOGGED + 1)]


@pytest.mark.parametrize(
    ("public_url", "trusted", "warned"),
    [
        ("https://pay.example.com", "", True),
        ("https://pay.example.com", "127.0.0.1", False),
        ("http://127.0.0.1:4000", "", False),
    ],
)
def test_l88_check_says_when_no_proxy_is_trusted(
    sandbox: Sandbox, sqlite_url: str, tmp_path: Path, public_url: str, trusted: str, warned: bool
) -> None:
    settings = {"PUBLIC_URL": public_url, "TRUSTED_PROXIES": trusted, "ALLOW_TEST_MODE": "true"}
    installed(sandbox, sqlite_url, tmp_path, **settings)
    reported = run_here("check", folder=tmp_path)
    assert (reported.returncode, "TRUSTED_PROXIES" in reported.stderr) == (0, warned)
    machine = json.loads(run_here("check", "--json", folder=tmp_path).stdout)
    assert machine["ok"] is True
    assert [one["variable"] for one in machine["warnings"]] == ["TRUSTED_PROXIES"] * warned
