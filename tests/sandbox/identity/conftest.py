"""One issuer on one real server for all tests of the issuer."""

from collections.abc import Iterator

import httpx2
import pytest
from tests.sandbox.identity.parties import NOW, Clock, Parties, app_with, serving

from tollkeeper_sandbox.identity import IdentitySandbox


@pytest.fixture(scope="session")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def served(clock: Clock) -> Iterator[str]:
    with serving(lambda url: app_with(IdentitySandbox(base_url=url, clock=clock))) as url:
        yield url


@pytest.fixture
def parties(served: str, clock: Clock) -> Iterator[Parties]:
    clock.now = NOW
    with httpx2.Client(timeout=10) as http:
        yield Parties(served, clock, http)
