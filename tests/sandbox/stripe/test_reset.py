"""A reset: everything is forgotten while the sandbox runs, and it works on as a new one."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx2
import pytest
from tests.sandbox.identity.parties import serving
from tests.sandbox.stripe.support import Receiver, Running, running, wait_for

from tollkeeper_sandbox import create_sandbox

BROWSER = {"Accept": "text/html"}


def reset(sandbox: Running, **headers: str) -> httpx2.Response:
    return sandbox.browser.post(f"{sandbox.url}/control/reset", headers=headers)


def has_arrived(receiver: Receiver, events: int) -> bool:
    return len(receiver.received) == events


def test_everything_is_forgotten() -> None:
    with running() as sandbox:
        session = sandbox.checkout()
        sandbox.pay(session)
        sandbox.browser.post(f"{sandbox.url}/control/clock", json={"ahead": 86400})
        sandbox.browser.post(f"{sandbox.url}/control/faults", json={"effect": "error", "path": "/v1/none"})
        sandbox.browser.post(f"{sandbox.url}/control/tax", data={"active": "no"})
        account = sandbox.sdk.v1.accounts.retrieve_current().id
        assert reset(sandbox).status_code == 204
        assert sandbox.sdk.v1.prices.list().data == []
        assert sandbox.sdk.v1.events.list().data == []
        assert sandbox.browser.get(sandbox.page(session)).status_code == 404
        assert sandbox.browser.get(f"{sandbox.url}/control/clock").json()["ahead"] == 0
        assert sandbox.browser.get(f"{sandbox.url}/control/faults").json() == {"faults": []}
        assert sandbox.browser.get(f"{sandbox.url}/control/settings").json()["tax"] == {"active": "yes"}
        assert sandbox.sdk.v1.accounts.retrieve_current().id != account
        page = sandbox.browser.get(sandbox.url).text
        assert "Nobody has paid yet." in page
        assert "Reset the sandbox" in page
        assert "gate" not in page


def test_webhooks_work_on(receiver: Receiver) -> None:
    with running() as sandbox:
        for arrived in (1, 2):
            sandbox.sdk.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["product.created"]})
            sandbox.sdk.v1.products.create({"name": "Flying lessons"})
            wait_for(partial(has_arrived, receiver, arrived))
            assert reset(sandbox, **BROWSER).headers["location"] == "/"


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_not_from_another_sites_page(stripe_sandbox: Running, headers: dict[str, str]) -> None:
    product = stripe_sandbox.sdk.v1.products.create({"name": "Kept"})
    assert reset(stripe_sandbox, **headers).status_code == 403
    assert stripe_sandbox.browser.get(f"{stripe_sandbox.url}/control/reset").status_code == 405
    assert stripe_sandbox.sdk.v1.products.retrieve(product.id).name == "Kept"


def test_what_depends_on_it_is_emptied_around_it_and_only_once_at_a_time() -> None:
    stopped, go_on = threading.Event(), threading.Event()

    @asynccontextmanager
    async def emptied() -> AsyncIterator[None]:
        stopped.set()
        await asyncio.to_thread(go_on.wait, 20)
        yield

    answers: list[httpx2.Response] = []
    with serving(lambda url: create_sandbox(base_url=url, emptied=emptied)) as url:
        first = threading.Thread(target=lambda: answers.append(httpx2.post(f"{url}/control/reset", timeout=20)))
        first.start()
        assert stopped.wait(20)
        assert httpx2.post(f"{url}/control/reset").status_code == 409
        go_on.set()
        first.join(20)
    assert [answer.status_code for answer in answers] == [204]
