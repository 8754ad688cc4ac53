"""Issuers that are down, slow, or try to exhaust their callers."""

import asyncio
import socket
import threading
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from tests.signin.conftest import Clock, Traveller
from tests.support.issuers import CALLBACK, LyingIssuer, Stage, answers, public, settings, visit

from tollkeeper.errors import IssuerUnavailable, SignInFailed, TollkeeperError
from tollkeeper.signin import SignInService
from tollkeeper.signin.wire import Wire

pytestmark = pytest.mark.anyio

DISCOVERY = "/.well-known/openid-configuration"
MEBIBYTE = 1024 * 1024


async def hanging(_: Request) -> Response:
    await asyncio.sleep(1)
    return Response()


async def dripping(_: Request) -> Response:
    async def drops() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" "
            await asyncio.sleep(0.05)

    return StreamingResponse(drops())


@pytest.mark.parametrize("path", [DISCOVERY, "/keys", "/token", "/userinfo"])
@pytest.mark.parametrize(
    "detour",
    [
        answers(500, {"error": "server_error"}),
        answers(503, b"down for maintenance"),
        answers(429, b"slow down"),
        answers(302, {"error": "invalid_grant"}, Location="/elsewhere"),
        answers(404, {"error": "invalid_grant"}),
        answers(307, b"", Location="/elsewhere"),
        answers(200, b" " * (MEBIBYTE + 1)),
        answers(200, zlib.compress(b" " * 64 * MEBIBYTE), Content_Encoding="deflate"),
    ],
    ids=["500", "503", "429", "302", "404", "307", "huge", "bomb"],
)
async def test_e38_an_issuer_in_trouble_is_unavailable_and_is_tried_again(
    traveller: Traveller, issuer: LyingIssuer, stage: Stage, path: str, detour: Any
) -> None:
    issuer.claims = {"name": None}
    stage.detours[path] = detour
    with pytest.raises(IssuerUnavailable):
        await traveller.arrive()
    assert stage.asked["/elsewhere"] == 0
    del stage.detours[path]
    assert (await traveller.arrive()).subject == "person-1"


@pytest.mark.parametrize("path", [DISCOVERY, "/token"])
@pytest.mark.parametrize("detour", [hanging, dripping])
async def test_e38_a_slow_issuer_is_given_up(
    issuer: LyingIssuer, clock: Clock, stage: Stage, path: str, detour: Any
) -> None:
    sign_in = SignInService([settings(issuer.url)], clock=clock, timeout=0.4)
    stage.detours[path] = detour
    with pytest.raises(IssuerUnavailable, match="TimeoutError"):
        await Traveller(sign_in).arrive()
    await sign_in.close()


async def test_a_connection_that_was_idle_is_not_used_again() -> None:
    """For the issuer may be closing it. One that has just been used is: that saves a handshake."""
    opened = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        with suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    wire = Wire(timeout=5)
    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        address = "http://{}:{}".format(*server.sockets[0].getsockname())
        for idle, connections in ((0, 1), (0, 1), (2.2, 2)):
            await asyncio.sleep(idle)
            assert await wire.get_json(address) == {}
            assert opened == connections
        await wire.close()


async def test_e38_an_issuer_that_is_not_there_is_unavailable(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    sign_in = SignInService([settings(f"http://127.0.0.1:{port}")], clock=clock)
    with pytest.raises(IssuerUnavailable, match="ConnectError"):
        await sign_in.begin("acme", CALLBACK)
    await sign_in.close()


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff\xfe\xfd", b"[" * 500_000, b"null", b"[]", b"1", b'"x"', b"{}", b'{"keys": 1}'],
    ids=["empty", "html", "not utf-8", "deep", "null", "list", "number", "string", "object", "keys"],
)
@pytest.mark.parametrize("path", [DISCOVERY, "/keys", "/token", "/userinfo"])
async def test_an_answer_of_another_shape_never_signs_in_and_nothing_raw_escapes(
    traveller: Traveller, issuer: LyingIssuer, stage: Stage, path: str, body: bytes
) -> None:
    issuer.claims = {"name": None}
    stage.detours[path] = answers(200, body)
    with pytest.raises(TollkeeperError) as failed:
        await traveller.arrive()
    assert type(failed.value) in (SignInFailed, IssuerUnavailable)
    assert failed.value.__suppress_context__ or failed.value.__context__ is None


@pytest.mark.parametrize("token", [{"expires_in": "soon"}, {"expires_in": [1]}, {"expires_at": {}}])
async def test_a_token_answer_that_trips_a_library_is_refused(
    traveller: Traveller, issuer: LyingIssuer, token: dict[str, Any]
) -> None:
    issuer.token = token
    with pytest.raises(SignInFailed, match="could not be used"):
        await traveller.arrive()


@pytest.mark.parametrize("named", ["https://evil.example", None, "", 1])
async def test_g47_the_discovery_document_of_another_issuer_is_refused(
    sign_in: SignInService, issuer: LyingIssuer, named: object
) -> None:
    issuer.discovery = {"issuer": named}
    with pytest.raises(SignInFailed, match="does not name the configured issuer"):
        await sign_in.begin("acme", CALLBACK)


async def test_g47_an_issuer_is_compared_character_by_character(issuer: LyingIssuer, clock: Clock) -> None:
    sign_in = SignInService([settings(issuer.url + "/")], clock=clock)
    with pytest.raises(SignInFailed, match="does not name the configured issuer"):
        await sign_in.begin("acme", CALLBACK)
    await sign_in.close()


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"])
@pytest.mark.parametrize(
    "address",
    ["", 1, "/relative", "javascript:alert(1)", "https://", "file:///etc/passwd", "https://a\r\nb", "https://ä"],
)
async def test_g47_an_unsafe_endpoint_is_refused(
    sign_in: SignInService, issuer: LyingIssuer, name: str, address: object
) -> None:
    issuer.discovery = {name: address}
    with pytest.raises(SignInFailed, match=name):
        await sign_in.begin("acme", CALLBACK)


async def test_g47_metadata_cannot_change_how_we_talk(traveller: Traveller, issuer: LyingIssuer) -> None:
    issuer.discovery = {
        "proxy": "http://127.0.0.1:9",
        "verify": False,
        "timeout": 0.000001,
        "base_url": "http://127.0.0.1:9",
        "client_id": "theirs",
        "response_type": "token",
        "grant_type": "password",
        "jwks": {"keys": []},
        "follow_redirects": True,
    }
    assert (await traveller.arrive()).subject == "person-1"


async def test_e39_rotated_keys_are_fetched_again(
    traveller: Traveller, issuer: LyingIssuer, second_key: RSAKey, clock: Clock, stage: Stage
) -> None:
    await traveller.arrive()
    issuer.key, issuer.published = second_key, [public(second_key)]
    clock.now += 60
    await traveller.arrive()
    assert stage.asked["/keys"] == 2


async def test_e39_a_key_replaced_under_its_old_id_is_fetched_again(
    traveller: Traveller, issuer: LyingIssuer, second_key: RSAKey, clock: Clock
) -> None:
    await traveller.arrive()
    issuer.key, issuer.header, issuer.published = second_key, {"kid": "first"}, [public(second_key) | {"kid": "first"}]
    clock.now += 60
    assert (await traveller.arrive()).subject == "person-1"


async def test_e39_unknown_keys_ask_at_most_once_a_minute(
    traveller: Traveller, issuer: LyingIssuer, second_key: RSAKey, clock: Clock, stage: Stage
) -> None:
    issuer.key = second_key
    for seconds, fetches in [(0, 1), (59, 1), (1, 2), (30, 2)]:
        clock.now += seconds
        with pytest.raises(SignInFailed, match="invalid_key_id"):
            await traveller.arrive()
        assert stage.asked["/keys"] == fetches


async def test_e39_many_unknown_keys_at_once_ask_once(
    traveller: Traveller, issuer: LyingIssuer, second_key: RSAKey, clock: Clock, stage: Stage
) -> None:
    await traveller.arrive()
    issuer.key = second_key
    clock.now += 60
    outcomes = await asyncio.gather(*(traveller.arrive() for _ in range(8)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {SignInFailed}
    assert stage.asked["/keys"] == 2


async def test_discovery_is_kept_for_an_hour(sign_in: SignInService, clock: Clock, stage: Stage) -> None:
    for seconds, fetches in [(0, 1), (3599, 1), (1, 2), (-86400, 3)]:
        clock.now += seconds
        await sign_in.begin("acme", CALLBACK)
        assert stage.asked[DISCOVERY] == fetches


async def test_visitors_who_come_at_once_share_one_discovery(sign_in: SignInService, stage: Stage) -> None:
    await asyncio.gather(*(sign_in.begin("acme", CALLBACK) for _ in range(20)))
    assert stage.asked[DISCOVERY] == 1


async def test_e38_visitors_who_wait_for_a_hanging_issuer_wait_together(
    issuer: LyingIssuer, clock: Clock, stage: Stage
) -> None:
    sign_in = SignInService([settings(issuer.url)], clock=clock, timeout=0.4)
    stage.detours[DISCOVERY] = hanging
    async with asyncio.timeout(3):
        outcomes = await asyncio.gather(*(sign_in.begin("acme", CALLBACK) for _ in range(20)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {IssuerUnavailable}
    assert stage.asked[DISCOVERY] == 1
    await sign_in.close()


async def test_one_who_gives_up_does_not_spoil_it_for_the_others(sign_in: SignInService, stage: Stage) -> None:
    arrived = threading.Event()

    async def late(request: Request) -> Response:
        arrived.set()
        await asyncio.sleep(0.2)
        del stage.detours[DISCOVERY]
        return Response(status_code=503)

    stage.detours[DISCOVERY] = late
    impatient, patient = (asyncio.create_task(sign_in.begin("acme", CALLBACK)) for _ in range(2))
    assert await asyncio.to_thread(arrived.wait, 5)
    impatient.cancel()
    with pytest.raises(IssuerUnavailable):
        await patient
    assert impatient.cancelled()
    assert (await sign_in.begin("acme", CALLBACK)).url


async def test_people_who_sign_in_at_once_stay_apart(traveller: Traveller, issuer: LyingIssuer, stage: Stage) -> None:
    attempts = [await traveller.sign_in.begin("acme", CALLBACK) for _ in range(8)]
    answered = [await visit(attempt.url) for attempt in attempts]
    pairs = zip(attempts, answered, strict=True)
    people = await asyncio.gather(
        *(traveller.sign_in.finish(attempt.secrets, "acme", CALLBACK, params) for attempt, params in pairs)
    )
    assert {person.subject for person in people} == {"person-1"}
    assert stage.asked["/token"] == 8


async def test_cookies_of_an_issuer_do_not_travel_to_the_next_sign_in(
    traveller: Traveller, issuer: LyingIssuer, stage: Stage
) -> None:
    brought: list[str | None] = []

    async def baking(request: Request) -> Response:
        brought.append(request.headers.get("Cookie"))
        return Response('{"sub": "person-1"}', headers={"Set-Cookie": "person=first"})

    issuer.claims = {"name": None}
    stage.detours["/userinfo"] = baking
    await traveller.arrive()
    await traveller.arrive()
    assert brought == [None, None]


async def test_i57_neither_reasons_nor_logs_hold_secrets(
    sign_in: SignInService, issuer: LyingIssuer, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    attempt = await sign_in.begin("acme", CALLBACK)
    params = await visit(attempt.url)

    async def parrot(request: Request) -> Response:
        return Response(await request.body(), 400)

    async def echo(request: Request) -> Response:
        form = await request.form()
        said = {"error": f"{form['code']} {form['code_verifier']}", "error_description": f"{form['code']}"}
        return await answers(400, said)(request)

    for detour in (parrot, echo, answers(400, {"error": {"code": "x"}})):
        stage.detours["/token"] = detour
        with pytest.raises(TollkeeperError) as failed:
            await sign_in.finish(attempt.secrets, "acme", CALLBACK, params)
        said = str(failed.value) + caplog.text
        for secret in ("our-client-secret", params["code"], attempt.secrets["code_verifier"]):
            assert secret not in said
