"""Who answers at ``PUBLIC_URL``: whatever stands there instead of us is named, with what to do about it."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from tests.support.running import API_KEY, SECRET_KEY, Thread

from tollkeeper.config import load as config
from tollkeeper.config.config import Config
from tollkeeper.model.checks import CheckResult
from tollkeeper.readiness import address, presence
from tollkeeper.storage.examination import space


def config_at(url: str, folder: Path, **more: str) -> Config:
    made = {"PUBLIC_URL": url, "SECRET_KEY": SECRET_KEY, "STRIPE_API_KEY": API_KEY, "PRODUCT_PRICE_ID": "price_1"}
    issuer = {"OIDC_ISSUER": "https://id.example.com", "OIDC_CLIENT_ID": "us", "OIDC_CLIENT_SECRET": "secret"}
    return config.load(made | issuer | {"ALLOW_TEST_MODE": "true"} | more, folder)


def asked(url: str, folder: Path, *, serving: bool = False) -> CheckResult:
    found = asyncio.run(address.examine(config_at(url, folder), serving=serving))
    assert not found.by_us
    return found.examination.results[0]


@contextmanager
def answering(response: Response) -> Iterator[str]:
    async def answer(_: Request) -> Response:
        return response

    thread = Thread(lambda: Starlette(routes=[Route("/check", answer)]))
    thread.start()
    try:
        yield thread.url
    finally:
        thread.stop()


@pytest.mark.parametrize(("serving", "code"), [(False, "address_silent"), (True, "address_unreached")])
def test_nobody_answers(tmp_path: Path, serving: bool, code: str) -> None:
    assert asked("http://127.0.0.1:9", tmp_path, serving=serving).code == code
    with answering(PlainTextResponse("Bad gateway", 502)) as url:
        found = asked(url, tmp_path, serving=serving)
    assert found.code == code
    assert "502" in found.said


def test_a_host_without_an_address(tmp_path: Path) -> None:
    found = asked("https://no-such-host.invalid", tmp_path)
    assert found.code == "address_unknown"
    assert "DNS" in found.fix


def test_a_redirect_to_another_host(tmp_path: Path) -> None:
    with answering(RedirectResponse("https://www.example.com/check")) as url:
        found = asked(url, tmp_path)
    assert found.code == "address_redirects"
    assert "https://www.example.com/check" in found.said


@pytest.mark.parametrize("text", ["", "hello", "x" * 10_000, "IiI.AAAA"])
def test_another_program(tmp_path: Path, text: str) -> None:
    with answering(PlainTextResponse(text)) as url:
        assert asked(url, tmp_path).code == "address_other"


def test_no_tls_where_it_is_expected(tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        threading.Thread(target=lambda: listening.accept()[0].sendall(b"HTTP/1.1 400 No\r\n\r\n"), daemon=True).start()
        found = asked(f"https://127.0.0.1:{listening.getsockname()[1]}", tmp_path)
    assert found.code == "address_certificate"
    assert ssl.OPENSSL_VERSION


def test_an_answer_belongs_to_its_question() -> None:
    keys, other = (SECRET_KEY,), ("Zk3vQ8mW1xR6tY9bN4cL7pS2dF5gH0jA",)
    told = presence.Presence("n", "p", "s", "192.0.2.1", forwarded=True, trusted=False)
    answer = presence.answer(keys, told)
    assert presence.presence_of(keys, "n", answer) == told
    assert presence.presence_of(keys, "m", answer) is None
    assert presence.presence_of(other, "n", answer) is None
    assert presence.presence_of((*other, *keys), "n", answer) == told, "while keys are rotated"
    assert presence.nonce_of(keys, presence.ask(keys, "n")) == "n"
    assert presence.nonce_of(keys, answer) is None, "an answer is no question"


def test_a_digest_tells_settings_apart(tmp_path: Path) -> None:
    one = config_at("https://pay.example.com", tmp_path, GATED_HOSTS="a.example.com,b.example.com")
    same = config_at("https://pay.example.com", tmp_path, GATED_HOSTS="b.example.com,a.example.com")
    assert presence.digest(one) == presence.digest(same)
    for name, value in {
        "TRUSTED_PROXIES": "192.0.2.1",
        "STRIPE_API_KEY": "sk_test_2",
        "OIDC_CLIENT_SECRET": "x",
    }.items():
        other = config_at(
            "https://pay.example.com", tmp_path, GATED_HOSTS="a.example.com,b.example.com", **{name: value}
        )
        assert presence.digest(other) != presence.digest(one), name


@pytest.mark.parametrize(("mib", "code"), [(10, "disk_full"), (100, "disk_nearly_full"), (1000, "disk_ok")])
def test_little_space(mib: int, code: str) -> None:
    assert space(mib * 2**20, Path("/var/lib")).code == code
