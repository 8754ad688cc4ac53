"""How pages show money, times, colours and browsers."""

import pytest
from starlette.requests import Request

from tollkeeper.web.home import readable_on
from tollkeeper.web.login import browser_label
from tollkeeper.words import day, iso, moment, money


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        (1900, "eur", "€19.00"),
        (5, "usd", "$0.05"),
        (0, "gbp", "£0.00"),
        (123456789, "eur", "€1,234,567.89"),
        (1900, "jpy", "¥1,900"),
        (500, "krw", "500 KRW"),
        (12345, "kwd", "12.345 KWD"),
        (1900, "chf", "19.00 CHF"),
        (99999999999999, "usd", "$999,999,999,999.99"),
    ],
)
def test_money(amount: int, currency: str, words: str) -> None:
    assert money(amount, currency) == words


@pytest.mark.parametrize(
    ("at", "date", "time", "machine"),
    [
        (0, "1 January 1970", "00:00", "1970-01-01T00:00:00Z"),
        (1735689599, "31 December 2024", "23:59", "2024-12-31T23:59:59Z"),
        (1709164800, "29 February 2024", "00:00", "2024-02-29T00:00:00Z"),
    ],
)
def test_times(at: int, date: str, time: str, machine: str) -> None:
    assert (day(at), iso(at)) == (date, machine)
    assert moment(at) == f"{date}, {time}\N{NO-BREAK SPACE}UTC"


@pytest.mark.parametrize(
    ("colour", "text"),
    [
        ("#ffffff", "#000"),
        ("#000000", "#fff"),
        ("#ffb81c", "#000"),
        ("#0f766e", "#fff"),
        ("#0000FF", "#fff"),
        ("#00ff00", "#000"),
        ("#ff0000", "#000"),
        ("#757575", "#fff"),
        ("#777777", "#000"),
    ],
)
def test_text_on_a_colour(colour: str, text: str) -> None:
    assert readable_on(colour) == text


@pytest.mark.parametrize(
    ("agent", "label"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537 Chrome/120 Mobile Safari/537", "Chromium on Android"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/120 Safari/537 Edg/120", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14) AppleWebKit/605 Version/17 Safari/605", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17 like Mac OS X) Version/17 Safari/604", "Safari on iPhone"),
        ("curl/8.0", "A browser"),
        ("", "A browser"),
    ],
)
def test_a_browser_is_named_as_its_owner_knows_it(agent: str, label: str) -> None:
    request = Request({"type": "http", "headers": [(b"user-agent", agent.encode())]})
    assert browser_label(request) == label
