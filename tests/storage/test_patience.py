import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tollkeeper.errors import StorageBusy
from tollkeeper.storage.patience import answer_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def thread(go_on: threading.Event) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor
        go_on.set()


async def test_an_answer_in_time(thread: ThreadPoolExecutor) -> None:
    assert await answer_of(thread.submit(lambda: "answer")) == "answer"


async def test_an_error_is_raised_as_it_is(thread: ThreadPoolExecutor) -> None:
    with pytest.raises(ZeroDivisionError):
        await answer_of(thread.submit(lambda: 1 // 0))


async def test_e37_nobody_waits_for_ever_and_what_had_not_begun_is_never_begun(
    thread: ThreadPoolExecutor, go_on: threading.Event
) -> None:
    begun = thread.submit(go_on.wait, 10)
    waiting = thread.submit(lambda: "never")
    with pytest.raises(StorageBusy):
        await answer_of(waiting, 0.02)
    with pytest.raises(StorageBusy):
        await answer_of(begun, 0.02)
    go_on.set()
    assert begun.result(10)
    assert waiting.cancelled()
