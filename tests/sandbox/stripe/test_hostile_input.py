"""Whatever is sent, the response is a clear refusal, never a 500, and nothing is written."""

import socket
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sandbox.stripe.support import KEY, VISA, Running, card_form, paid

from tollkeeper_sandbox.stripe.api.forms import decode
from tollkeeper_sandbox.stripe.engine.errors import ApiError

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PATHS = (
    "/v1/billing_portal/configurations",
    "/v1/billing_portal/sessions",
    "/v1/checkout/sessions",
    "/v1/customers",
    "/v1/disputes/du_x",
    "/v1/payment_links",
    "/v1/prices",
    "/v1/payment_methods",
    "/v1/products",
    "/v1/refunds",
    "/v1/subscriptions",
    "/v1/test_helpers/test_clocks",
    "/v1/webhook_endpoints",
)
ACTED_ON = ("payments/{payment}/refund", "payments/{payment}/dispute", "payments/{payment}/fail", "refunds/re_x/fail")
NAMES = st.sampled_from(
    ["line_items", "metadata", "expand", "name", "email", "limit", "0", "", "price", "created", "url", "mode", "\x00"]
)
KEYS = st.builds(lambda head, rest: head + "".join(f"[{one}]" for one in rest), NAMES, st.lists(NAMES, max_size=4))
VALUES = st.one_of(st.text(max_size=20), st.integers().map(str), st.sampled_from(["", "true", "1e999", "payment"]))


def test_json_is_refused(stripe_sandbox: Running) -> None:
    headers = {"Content-Type": "application/json"}
    answer = stripe_sandbox.post("/v1/customers", content=b'{"name": "a"}', headers=headers)
    assert answer.status_code == 400
    assert "application/x-www-form-urlencoded" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"name=%ff",
        b"name=\xff",
        b"%ff=1",
        b"name=%ed%a0%80",
        b"metadata" + b"[a]" * 50 + b"=1",
        b"&".join(b"metadata[%d]=1" % number for number in range(1001)),
        b"name=1&name[a]=2",
        b"name[a]=1&name=2",
        b"name[=1",
        b"a]b=1",
        b"[a]=1",
        b"=1",
        b"address[line1][a]=1",
        b"address=1",
        b"preferred_locales[0][a]=1",
        b"preferred_locales[-1]=a",
        b"preferred_locales[99999999999]=a",
        b"name=" + b"a" * 6000,
    ],
)
def test_faulty_forms_are_refused(stripe_sandbox: Running, body: bytes) -> None:
    before = len(stripe_sandbox.sdk.v1.customers.list({"limit": 100}).data)
    answer = stripe_sandbox.post("/v1/customers", content=body, headers=FORM)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert len(stripe_sandbox.sdk.v1.customers.list({"limit": 100}).data) == before


@pytest.mark.parametrize("amount", ["9" * 30, "-1", "1_000", "٣", "0x10", " 1", "1e3", "NaN", "99999999999"])
def test_faulty_numbers_are_refused(stripe_sandbox: Running, amount: str) -> None:
    for name in ("unit_amount", "unit_amount_decimal"):
        values = {"currency": "usd", "product_data[name]": "a", name: amount}
        answer = stripe_sandbox.post("/v1/prices", data=values)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] in (name, "unit_amount")


def test_bodies_are_bounded(stripe_sandbox: Running) -> None:
    assert stripe_sandbox.post("/v1/customers", content=b"a" * 70_000, headers=FORM).status_code == 413
    assert stripe_sandbox.get("/v1/customers?" + "a" * 65_000).status_code in (400, 414)
    session = stripe_sandbox.checkout()
    page = stripe_sandbox.page(session)
    assert stripe_sandbox.browser.post(page, content=b"a" * 17_000, headers=FORM).status_code == 413
    assert stripe_sandbox.browser.post(page, content=b"email=%ff", headers=FORM).status_code == 400
    assert stripe_sandbox.browser.post(page, content=b"a=1&" * 100, headers=FORM).status_code == 400


def test_a_request_that_is_broken_off_harms_nobody(stripe_sandbox: Running) -> None:
    host, port = stripe_sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(b"POST /v1/customers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk_test_a\r\n")
        half.sendall(b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nname=")
    assert stripe_sandbox.get("/v1/account").status_code == 200


def test_strange_addresses(stripe_sandbox: Running) -> None:
    for path in ("/v1/customers/%00", "/v1/customers/%ff", "/v1/customers/..%2f", "/c/pay/%00", "/control/objects/%ff"):
        assert stripe_sandbox.get(path).status_code == 404, path
    for method in ("PUT", "PATCH", "HEAD", "OPTIONS"):
        answer = stripe_sandbox.browser.request(
            method, f"{stripe_sandbox.url}/v1/customers", headers={"Authorization": f"Bearer {KEY}"}
        )
        assert answer.status_code == 404


@few
@given(path=st.sampled_from(PATHS), pairs=st.lists(st.tuples(KEYS, VALUES), max_size=6), read=st.booleans())
def test_no_parameters_make_it_fail(stripe_sandbox: Running, path: str, pairs: Any, read: bool) -> None:
    params = dict(pairs)
    answer = stripe_sandbox.get(path, params=params) if read else stripe_sandbox.post(path, data=params)
    assert answer.status_code in (200, 400, 404)


@few
@given(body=st.binary(max_size=200))
def test_no_bytes_make_it_fail(stripe_sandbox: Running, body: bytes) -> None:
    assert stripe_sandbox.post("/v1/customers", content=body, headers=FORM).status_code in (200, 400)


@few
@given(key=st.binary(min_size=1, max_size=40))
def test_no_header_makes_it_fail(stripe_sandbox: Running, key: bytes) -> None:
    clean = bytes(byte for byte in key if byte > 32 and byte != 127)
    for name in (b"Idempotency-Key", b"Stripe-Version", b"Stripe-Account", b"Authorization"):
        headers = [(b"Authorization", b"Bearer sk_test_a"), (name, clean or b"a")]
        answer = stripe_sandbox.browser.post(f"{stripe_sandbox.url}/v1/customers", headers=headers)
        assert answer.status_code in (200, 400, 401, 403)


@few
@given(field=st.sampled_from(sorted(card_form(VISA))), value=st.text(max_size=30))
def test_no_card_form_makes_it_fail(stripe_sandbox: Running, field: str, value: str) -> None:
    session = stripe_sandbox.checkout()
    answer = stripe_sandbox.pay(session, **{field: value})
    assert answer.status_code in (303, 402, 422)


@few
@given(field=st.sampled_from(["email", "iban", "account_holder"]), value=st.text(max_size=40))
def test_no_debit_form_makes_it_fail(stripe_sandbox: Running, field: str, value: str) -> None:
    session = stripe_sandbox.checkout(stripe_sandbox.price(currency="eur"))
    form = {"email": "a@example.com", "iban": "DE08370400440532013003", "account_holder": "A", field: value}
    answer = stripe_sandbox.browser.post(f"{stripe_sandbox.page(session)}/debit", data=form)
    assert answer.status_code in (303, 422)


@few
@given(
    action=st.sampled_from(ACTED_ON), form=st.dictionaries(st.sampled_from(["amount", "reason"]), st.text(max_size=20))
)
def test_no_control_form_makes_it_fail(stripe_sandbox: Running, action: str, form: dict[str, str]) -> None:
    where = f"{stripe_sandbox.url}/control/{action.format(payment=paid(stripe_sandbox).id)}"
    assert stripe_sandbox.browser.post(where, data=form).status_code in (200, 400, 404)


def test_control_forms_are_bounded(stripe_sandbox: Running) -> None:
    for path in ("payments/pi_x/refund", "disputes/%ff/win", "faults", "clock"):
        where = f"{stripe_sandbox.url}/control/{path}"
        assert stripe_sandbox.browser.post(where, content=b"a" * 17_000, headers=FORM).status_code == 413
        assert stripe_sandbox.browser.post(where, content=b"amount=%ff", headers=FORM).status_code in (400, 404, 415)


@pytest.mark.parametrize(
    ("encoded", "form"),
    [
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a[b]=1&a[c][d]=2", {"a": {"b": "1", "c": {"d": "2"}}}),
        (b"a%5Bb%5D=c%20d+e", {"a": {"b": "c d e"}}),
        (b"a[]=1&a[]=2", {"a": {"0": "1", "1": "2"}}),
        (b"a[][b]=1&a[][c]=2&a[][b]=3", {"a": {"0": {"b": "1", "c": "2"}, "1": {"b": "3"}}}),
        (b"a=1&a=2", {"a": "2"}),
        (b"a", {"a": ""}),
        (b"&&", {}),
    ],
)
def test_brackets_are_read_as_stripe_reads_them(encoded: bytes, form: Any) -> None:
    assert decode(encoded) == form


@given(st.binary(max_size=60))
def test_decoding_refuses_or_returns(encoded: bytes) -> None:
    with suppress(ApiError):
        decode(encoded)
