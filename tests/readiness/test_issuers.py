"""What issuers answer to a code that does not exist, in the words of each."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.support.running import Thread

from tollkeeper.model.checks import CheckResult, date_of
from tollkeeper.signin.examination import examine
from tollkeeper.signin.issuer import GitHubAddresses
from tollkeeper.signin.settings import GITHUB_ISSUER, IssuerSettings

BASE = "https://pay.example.com"


@contextmanager
def github(status: int, body: Any, asked: list[dict[str, str]]) -> Iterator[GitHubAddresses]:
    async def token(request: Request) -> Response:
        async with request.form() as form:
            asked.append({name: str(value) for name, value in form.items()})
        return JSONResponse(body, status)

    thread = Thread(lambda: Starlette(routes=[Route("/token", token, methods=["POST"])]))
    thread.start()
    try:
        yield GitHubAddresses(token=f"{thread.url}/token")
    finally:
        thread.stop()


def result(status: int, body: Any) -> tuple[CheckResult, dict[str, str]]:
    asked: list[dict[str, str]] = []
    settings = IssuerSettings("github", "GitHub", "github", GITHUB_ISSUER, "us", "secret", "client_secret_post")
    with github(status, body, asked) as addresses:
        found = asyncio.run(examine(settings, BASE, lambda: int(time.time()), github=addresses))
    (one,) = found.results
    assert len(found.clocks) == 1
    return one, asked[0]


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, {"error": "bad_verification_code"}, "issuer_client_ok"),
        (200, {"error": "incorrect_client_credentials"}, "issuer_client_refused"),
        (404, {"error": "Not Found"}, "issuer_client_refused"),
        (200, {"error": "redirect_uri_mismatch"}, "issuer_redirect_refused"),
        (401, {}, "issuer_client_refused"),
        (400, {"error": "invalid_grant"}, "issuer_client_ok"),
        (400, {"error": "slow_down"}, "issuer_client_unknown"),
        (403, ["no"], "issuer_client_unknown"),
        (503, {}, "issuer_unreachable"),
    ],
)
def test_what_an_answer_means(status: int, body: Any, code: str) -> None:
    found, asked = result(status, body)
    assert found.code == code, found
    assert asked["client_secret"] == "secret"
    assert asked["redirect_uri"] == f"{BASE}/login/github/callback"
    assert "secret" not in found.said.replace("the secret", "")


def test_a_redirect_address_that_is_not_registered() -> None:
    found, _ = result(200, {"error": "redirect_uri_mismatch"})
    assert f"{BASE}/login/github/callback" in found.said
    assert "https://github.com/settings/developers" in found.fix


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Date": "Thu, 01 Jan 1970 00:01:40 GMT"}, 100),
        ({"date": "Thu, 01 Jan 1970 00:01:40 GMT", "age": "20"}, 120),
        ({"date": "Thu, 01 Jan 1970 00:01:40 GMT", "age": "-5"}, 100),
        ({"date": "tomorrow"}, None),
        ({}, None),
    ],
)
def test_the_time_of_an_answer(headers: dict[str, str], seconds: float | None) -> None:
    assert date_of(headers) == seconds
