"""One real server for the issuer of each test."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest
from joserfc.jwk import RSAKey
from tests.support.issuers import CALLBACK, GitHubStandIn, LyingIssuer, Stage, new_key, serving, settings, visit

from tollkeeper.model.people import Identity
from tollkeeper.signin import SignInService


@dataclass
class Clock:
    """A clock in Unix seconds that a test can move."""

    now: int = field(default_factory=lambda: int(time.time()))

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def first_key() -> RSAKey:
    return new_key("first")


@pytest.fixture(scope="session")
def second_key() -> RSAKey:
    return new_key("second")


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[Stage, str]]:
    stage = Stage()
    with serving(stage) as url:
        yield stage, url


@pytest.fixture
def stage(served: tuple[Stage, str]) -> Stage:
    return served[0]


@pytest.fixture
def issuer(served: tuple[Stage, str], first_key: RSAKey) -> LyingIssuer:
    stage, url = served
    issuer = LyingIssuer(url, first_key)
    stage.show(issuer.app())
    return issuer


@pytest.fixture
def github(served: tuple[Stage, str]) -> GitHubStandIn:
    stage, url = served
    github = GitHubStandIn(url)
    stage.show(github.app())
    return github


@pytest.fixture
async def sign_in(issuer: LyingIssuer, clock: Clock) -> AsyncIterator[SignInService]:
    sign_in = SignInService([settings(issuer.url)], clock=clock)
    yield sign_in
    await sign_in.close()


@dataclass
class Traveller:
    """A browser that completes the sign-in."""

    sign_in: SignInService

    async def arrive(self) -> Identity:
        attempt = await self.sign_in.begin("acme", CALLBACK)
        params = await visit(attempt.url)
        return await self.sign_in.finish(attempt.secrets, "acme", CALLBACK, params)


@pytest.fixture
def traveller(sign_in: SignInService) -> Traveller:
    return Traveller(sign_in)
