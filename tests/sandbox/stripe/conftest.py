"""One sandbox for all tests of a module. Each test creates the objects that it needs."""

from collections.abc import Iterator

import pytest
from tests.sandbox.stripe.support import Receiver, Running, receiving, running


@pytest.fixture(scope="module")
def stripe_sandbox() -> Iterator[Running]:
    with running() as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made
