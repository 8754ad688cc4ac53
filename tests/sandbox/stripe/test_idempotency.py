"""https://docs.stripe.com/api/idempotent_requests"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe
from tests.sandbox.stripe.support import Running

CUSTOMERS = "/v1/customers"


def with_key(sandbox: Running, key: str, path: str = CUSTOMERS, **data: str) -> Any:
    return sandbox.post(path, data=data, headers={"Idempotency-Key": key})


def test_the_same_request_gets_the_same_answer(stripe_sandbox: Running) -> None:
    first = with_key(stripe_sandbox, "replay", name="Test Buyer")
    second = with_key(stripe_sandbox, "replay", name="Test Buyer")
    assert second.content == first.content
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert first.headers["Original-Request"] == first.headers["Request-Id"]
    assert second.headers["Original-Request"] == first.headers["Request-Id"] != second.headers["Request-Id"]
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == "replay"
    assert stripe_sandbox.events_about(first.json()["id"]) == ["customer.created"]


def test_concurrent_requests_with_one_key_make_one_object(stripe_sandbox: Running) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: with_key(stripe_sandbox, "crowd", name="A").json()["id"], range(16)))
    assert len(set(made)) == 1


def test_the_key_with_other_parameters_is_an_error(stripe_sandbox: Running) -> None:
    customers = stripe_sandbox.sdk.v1.customers
    customers.create({"name": "A"}, {"idempotency_key": "other-parameters"})
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        customers.create({"name": "B"}, {"idempotency_key": "other-parameters"})


def test_the_key_at_another_address_is_an_error(stripe_sandbox: Running) -> None:
    with_key(stripe_sandbox, "other-path", name="A")
    answer = with_key(stripe_sandbox, "other-path", "/v1/products", name="A")
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "idempotency_error"
    assert "('/v1/customers')" in answer.json()["error"]["message"]


def test_a_refused_parameter_saves_nothing(stripe_sandbox: Running) -> None:
    assert with_key(stripe_sandbox, "mended", foo="1").status_code == 400
    assert with_key(stripe_sandbox, "mended", name="A").status_code == 200


def test_a_refusal_after_work_began_is_saved(stripe_sandbox: Running) -> None:
    first = with_key(stripe_sandbox, "refused", "/v1/customers/cus_none", name="A")
    second = with_key(stripe_sandbox, "refused", "/v1/customers/cus_none", name="A")
    assert first.status_code == second.status_code == 404
    assert second.content == first.content
    assert second.headers["Idempotent-Replayed"] == "true"


def test_a_key_is_forgotten_after_a_day(stripe_sandbox: Running) -> None:
    first = with_key(stripe_sandbox, "day", name="A").json()["id"]
    stripe_sandbox.clock.ahead += 25 * 3600
    assert with_key(stripe_sandbox, "day", name="A").json()["id"] != first


def test_a_key_that_is_too_long_is_refused(stripe_sandbox: Running) -> None:
    assert with_key(stripe_sandbox, "k" * 256, name="A").status_code == 400


def test_reading_takes_no_key(stripe_sandbox: Running) -> None:
    answer = stripe_sandbox.browser.get(
        f"{stripe_sandbox.url}/v1/customers",
        headers={"Authorization": "Bearer sk_test_x", "Idempotency-Key": "read"},
    )
    assert "Original-Request" not in answer.headers
