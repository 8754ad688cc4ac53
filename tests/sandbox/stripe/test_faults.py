"""Requested faults and the moved clock, set through the control API, and seen by the SDK and a merchant."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

import httpx2
import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from tests.sandbox.stripe.support import Receiver, Running, running, wait_for

from tollkeeper_sandbox.stripe.engine.errors import ApiError
from tollkeeper_sandbox.stripe.engine.faults import read

CUSTOMERS = {"method": "POST", "path": "/v1/customers"}


@pytest.fixture
def sandbox(stripe_sandbox: Running) -> Iterator[Running]:
    """Without faults before and after."""
    yield stripe_sandbox
    stripe_sandbox.browser.delete(f"{stripe_sandbox.url}/control/faults")


def ask(sandbox: Running, effect: str, **settings: Any) -> Any:
    answer = sandbox.browser.post(f"{sandbox.url}/control/faults", json={"effect": effect, **settings})
    assert answer.status_code == 201, answer.text
    return answer.json()


def active(sandbox: Running) -> Any:
    return sandbox.browser.get(f"{sandbox.url}/control/faults").json()["faults"]


def customers(sandbox: Running, email: str) -> int:
    return len(sandbox.sdk.v1.customers.list({"email": email}).data)


def test_an_error_instead_of_work(sandbox: Running) -> None:
    ask(sandbox, "error", **CUSTOMERS, times=2, status=503)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failed:
            sandbox.sdk.v1.customers.create({"email": "error@example.com"})
        assert (failed.value.http_status, customers(sandbox, "error@example.com")) == (503, 0)
    assert sandbox.sdk.v1.customers.create({"email": "error@example.com"})
    assert active(sandbox) == []


def test_an_error_after_the_work_and_the_key_that_tells_what_happened(sandbox: Running) -> None:
    ask(sandbox, "error", **CUSTOMERS, after=True)
    options: Any = {"idempotency_key": "error-after"}
    with pytest.raises(stripe.APIError):
        sandbox.sdk.v1.customers.create({"email": "after@example.com"}, options)
    assert customers(sandbox, "after@example.com") == 1
    sandbox.sdk.v1.customers.create({"email": "after@example.com"}, options)
    assert customers(sandbox, "after@example.com") == 1


def test_a_rate_limit(sandbox: Running) -> None:
    ask(sandbox, "rate_limit", path="/v1/customers*", seconds=7)
    with pytest.raises(stripe.RateLimitError) as limited:
        sandbox.sdk.v1.customers.list()
    assert limited.value.headers
    assert limited.value.headers["retry-after"] == "7"
    assert cast(Any, limited.value.json_body)["error"]["code"] == "rate_limit"
    assert sandbox.sdk.v1.customers.list()


@pytest.mark.parametrize(("after", "made"), [(False, 0), (True, 1)])
def test_a_dropped_connection(sandbox: Running, after: bool, made: int) -> None:
    email = f"dropped-{made}@example.com"
    ask(sandbox, "drop", **CUSTOMERS, after=after)
    with pytest.raises(stripe.APIConnectionError):
        sandbox.sdk.v1.customers.create({"email": email}, {"idempotency_key": email})
    assert customers(sandbox, email) == made
    sandbox.sdk.v1.customers.create({"email": email}, {"idempotency_key": email})
    assert customers(sandbox, email) == 1


@pytest.mark.parametrize(("after", "made"), [(False, 0), (True, 1)])
def test_a_hang(sandbox: Running, after: bool, made: int) -> None:
    email = f"hung-{made}@example.com"
    ask(sandbox, "hang", **CUSTOMERS, after=after, seconds=0.5)
    headers = {"Authorization": "Bearer sk_test_sandbox"}
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(f"{sandbox.url}/v1/customers", data={"email": email}, headers=headers, timeout=0.2)
    assert customers(sandbox, email) == made
    wait_for(lambda: customers(sandbox, email) == 1)


def test_faults_meet_only_what_they_name(sandbox: Running) -> None:
    ask(sandbox, "error", method="post", path="/v1/products/*")
    sandbox.sdk.v1.products.create({"name": "A"})
    sandbox.get("/v1/products/prod_x")
    sandbox.browser.get(sandbox.url)
    assert len(active(sandbox)) == 1
    assert sandbox.post("/v1/products/prod_x").status_code == 500


def test_a_refused_key_uses_no_fault_up(sandbox: Running) -> None:
    ask(sandbox, "error")
    assert sandbox.browser.get(f"{sandbox.url}/v1/customers").status_code == 401
    assert len(active(sandbox)) == 1


def test_the_first_fault_is_met_first(sandbox: Running) -> None:
    ask(sandbox, "error", status=501)
    ask(sandbox, "error", status=502, times=None)
    found = [sandbox.get("/v1/customers").status_code for _ in range(3)]
    assert found == [501, 502, 502]


def test_faults_are_listed_and_removed(sandbox: Running) -> None:
    made = ask(sandbox, "delay", event="charge.*", seconds=1.5, times=3)
    assert made == {"id": made["id"], "effect": "delay", "event": "charge.*", "seconds": 1.5, "times": 3}
    kept = ask(sandbox, "hang")
    where = f"{sandbox.url}/control/faults/{made['id']}"
    assert [sandbox.browser.delete(where).status_code for _ in range(2)] == [204, 404]
    assert [fault["id"] for fault in active(sandbox)] == [kept["id"]]


def test_the_control_page_shows_faults_and_clears_them(sandbox: Running) -> None:
    ask(sandbox, "drop", **CUSTOMERS, after=True, times=None)
    ask(sandbox, "reorder", event="checkout.*", seconds=3, times=4)
    page = sandbox.browser.get(sandbox.url).text
    for words in ("drop the connection after doing the work", "POST /v1/customers", "always", "4 more"):
        assert words in page
    answer = sandbox.browser.post(f"{sandbox.url}/control/faults/clear")
    assert (answer.status_code, answer.headers["Location"], active(sandbox)) == (303, "/#faults", [])
    assert "everything works" in sandbox.browser.get(sandbox.url).text


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({}, "effect"),
        ({"effect": "explode"}, "effect"),
        ({"effect": ["hang"]}, "effect"),
        ({"effect": "hang", "seconds": 301}, "seconds"),
        ({"effect": "hang", "seconds": -1}, "seconds"),
        ({"effect": "hang", "seconds": True}, "seconds"),
        ({"effect": "hang", "seconds": "1"}, "seconds"),
        ({"effect": "hang", "times": 0}, "times"),
        ({"effect": "hang", "times": 1.5}, "times"),
        ({"effect": "hang", "times": 10**7}, "times"),
        ({"effect": "hang", "path": ""}, "path"),
        ({"effect": "hang", "path": "/v1/[a]"}, "path"),
        ({"effect": "hang", "event": "*"}, "event"),
        ({"effect": "hang", "after": 1}, "after"),
        ({"effect": "error", "status": 200}, "status"),
        ({"effect": "rate_limit", "after": True}, "after"),
        ({"effect": "lose", "path": "/v1/*"}, "path"),
        ({"effect": "lose", "id": "mine"}, "id"),
    ],
)
def test_faults_that_cannot_be(sandbox: Running, body: Any, param: str | None) -> None:
    answer = sandbox.browser.post(f"{sandbox.url}/control/faults", json=body)
    assert (answer.status_code, answer.json()["error"].get("param")) == (400, param)
    assert active(sandbox) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["effect", "times", "path"]), inner)
        ),
        max_leaves=6,
    )
)
def test_reading_a_fault_refuses_or_returns(body: Any) -> None:
    with suppress(ApiError):
        assert read(body, "fault_1").id == "fault_1"


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"\xff", {}, 400),
        (b"[" * 15_000, {}, 400),
        (b'{"effect": "hang", "seconds": NaN}', {}, 400),
        (b"a" * 17_000, {}, 413),
        (b'{"effect": "hang"}', {"Content-Type": "text/plain"}, 415),
        (b'{"effect": "hang"}', {"Origin": "https://evil.example"}, 403),
        (b'{"effect": "hang"}', {"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_strange_requests_are_refused(sandbox: Running, content: bytes, headers: dict[str, str], status: int) -> None:
    sent = {"Content-Type": "application/json", **headers}
    for path in ("/control/faults", "/control/clock"):
        answer = sandbox.browser.post(sandbox.url + path, content=content, headers=sent)
        assert answer.status_code == status
    assert active(sandbox) == []


def test_the_number_of_faults_is_bounded(sandbox: Running) -> None:
    for _ in range(100):
        ask(sandbox, "lose", event="payout.paid")
    answer = sandbox.browser.post(f"{sandbox.url}/control/faults", json={"effect": "lose"})
    assert answer.status_code == 409


def listen(sandbox: Running, receiver: Receiver, *events: Any) -> str:
    made = sandbox.sdk.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": list(events) or ["*"]})
    return made.secret or ""


def test_a_lost_webhook_is_an_event_all_the_same(receiver: Receiver) -> None:
    with running() as sandbox:
        listen(sandbox, receiver)
        ask(sandbox, "lose", event="customer.*")
        for name in ("Lost", "Kept"):
            sandbox.sdk.v1.customers.create({"name": name})
        wait_for(lambda: receiver.received)
        time.sleep(0.1)
        assert [json.loads(body)["data"]["object"]["name"] for body, _ in receiver.received] == ["Kept"]
        assert len(sandbox.sdk.v1.events.list({"type": "customer.created"}).data) == 2
        assert "lost on purpose" in sandbox.browser.get(sandbox.url).text


def test_a_duplicated_webhook(receiver: Receiver) -> None:
    with running() as sandbox:
        listen(sandbox, receiver)
        ask(sandbox, "duplicate")
        sandbox.sdk.v1.customers.create({})
        wait_for(lambda: len(receiver.received) == 2)
        first, second = (json.loads(body)["id"] for body, _ in receiver.received)
        assert first == second


def test_a_delayed_webhook(receiver: Receiver) -> None:
    with running() as sandbox:
        listen(sandbox, receiver)
        ask(sandbox, "delay", seconds=60)
        sandbox.sdk.v1.customers.create({})
        sandbox.sdk.v1.products.create({"name": "A"})
        wait_for(lambda: receiver.received)
        assert receiver.types() == ["product.created"]
        sandbox.clock.ahead += 61
        receiver.wait_for_types("customer.created")


def test_reordered_webhooks(receiver: Receiver) -> None:
    with running() as sandbox:
        listen(sandbox, receiver)
        ask(sandbox, "reorder", times=4, seconds=3)
        for number in "1234":
            sandbox.sdk.v1.customers.create({"name": number})
        wait_for(lambda: len(receiver.received) == 4, seconds=10)
        names = [json.loads(body)["data"]["object"]["name"] for body, _ in receiver.received]
        assert names == ["4", "3", "2", "1"]


def test_a_webhook_in_the_wrong_mode(receiver: Receiver) -> None:
    with running() as sandbox:
        secret = listen(sandbox, receiver)
        ask(sandbox, "wrong_mode")
        sandbox.sdk.v1.customers.create({})
        body, signature = wait_for(lambda: receiver.received)[0]
        event = stripe.Webhook.construct_event(body, signature, secret)
        assert event.livemode is True
        assert sandbox.sdk.v1.events.retrieve(event.id).livemode is False


def test_an_event_that_nobody_hears_uses_no_fault_up(sandbox: Running) -> None:
    ask(sandbox, "lose", event="*")
    sandbox.sdk.v1.customers.create({})
    assert len(active(sandbox)) == 1


def test_the_clock_moves_ahead(receiver: Receiver) -> None:
    with running() as sandbox:
        listen(sandbox, receiver, "checkout.session.expired")
        session = sandbox.checkout()
        day = 24 * 3600 + 1
        where = f"{sandbox.url}/control/clock"
        assert sandbox.browser.get(where).json()["ahead"] == 0
        events_about = sandbox.browser.post(where, json={"ahead": day}).json()
        assert events_about["ahead"] == day
        assert abs(events_about["now"] - day - time.time()) < 5
        body, signature = wait_for(lambda: receiver.received)[0]
        assert json.loads(body)["data"]["object"]["id"] == session.id
        assert sandbox.read(session).status == "expired"
        # The merchant's clock was not moved: the signature must be fresh by that one.
        assert abs(int(signature.split(",")[0].removeprefix("t=")) - time.time()) < 5
        assert "1 day" in sandbox.browser.get(sandbox.url).text


@pytest.mark.parametrize("body", [{}, [], {"ahead": -1}, {"ahead": True}, {"ahead": "1"}, {"ahead": 10**12}, {"by": 1}])
def test_the_clock_moves_only_so(sandbox: Running, body: Any) -> None:
    assert sandbox.browser.post(f"{sandbox.url}/control/clock", json=body).status_code == 400


def test_the_clock_does_not_go_back() -> None:
    with running() as sandbox:
        where = f"{sandbox.url}/control/clock"
        assert sandbox.browser.post(where, json={"ahead": 100}).status_code == 200
        assert sandbox.browser.post(where, json={"ahead": 99}).status_code == 400
        assert sandbox.browser.get(where).json()["ahead"] == 100
