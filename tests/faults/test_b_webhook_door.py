"""B. The webhook door: only what Stripe signed gets in, once, and nothing else leaves a trace."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.support.running import Browser, Sandbox, Site, eventually, running_site
from tests.support.webhooks import (
    OLD_SECRET,
    SECRET,
    an_event,
    body_of,
    deliver,
    digest,
    post,
    signature,
)

from tollkeeper.storage.tables import events, orders

MIB = 1024 * 1024
NOW = 1_790_000_000

# For what has nothing to do with the database.
on_one_engine = pytest.mark.parametrize("shared_engine", ["sqlite"], indirect=True, scope="module")
numbers = count()
BLANKS = bytes(range(32)) + b"\x7f"


def new_event(**changes: Any) -> dict[str, Any]:
    """An event that was never sent before."""
    return an_event(f"evt_{next(numbers)}") | changes


def ids(site: Site) -> list[str]:
    """Every event in the inbox."""
    return sorted(row.event_id for row in site.rows(events))


def kept(site: Site, event: dict[str, Any]) -> list[Any]:
    """The rows of the inbox that an event has left."""
    return [row for row in site.rows(events) if row.event_id == event["id"]]


@pytest.fixture
def stopped(door: Site) -> Iterator[Site]:
    """The door at one moment, for limits that are exact to the second."""
    door.clock.stopped_at = NOW
    yield door
    door.clock.stopped_at = None


@pytest.mark.parametrize("secret", ["", "   ", " , ,"])
def test_b13_without_a_secret_there_is_no_such_address(
    sandbox: Sandbox, sqlite_url: str, tmp_path: Path, secret: str
) -> None:
    with running_site(sandbox, sqlite_url, tmp_path, STRIPE_WEBHOOK_SECRET=secret) as site:
        assert site.settings["STRIPE_WEBHOOK_SECRET"] == secret
        assert post(site, b"{}").status_code == 404
        assert httpx2.get(f"{site.url}/webhooks/stripe").status_code == 404
        for guess in ("", " ", secret, SECRET):
            assert deliver(site, event := new_event(), secret=guess).status_code == 404
            assert kept(site, event) == []


def test_b13_with_a_secret_the_address_takes_posts_alone(door: Site) -> None:
    assert deliver(door, new_event()).status_code == 200
    assert httpx2.get(f"{door.url}/webhooks/stripe").status_code == 405
    assert httpx2.get(f"{door.url}/webhooks/paddle").status_code == 404


def signatures_that_do_not_hold(body: bytes) -> dict[str, tuple[str, ...]]:
    right, long_ago = digest(body, NOW), NOW - 301
    return {
        "missing": (),
        "empty": ("",),
        "of another secret": (signature(body, secret="whsec_other", at=NOW),),
        "of an empty secret": (signature(body, secret="", at=NOW),),
        "of another body": (signature(body + b" ", at=NOW),),
        "of another time": (f"t={NOW - 1},v1={right}",),
        "of another scheme": (f"t={NOW},v0={right}",),
        "without a time": (f"v1={right}",),
        "without a signature": (f"t={NOW}",),
        "cut short": (f"t={NOW},v1={right[:-1]}",),
        "no list at all": (right,),
        "stale": (signature(body, at=long_ago),),
        "from the future": (signature(body, at=NOW + 61),),
        "twice": (f"t={NOW},t={NOW},v1={right}",),
        "in words": (f"t=now,v1={right}",),
        # What is signed must be the time that is looked at.
        "stale, and fresh": (f"t={long_ago},t={NOW},v1={digest(body, long_ago)}",),
        "fresh, and stale": (f"t={NOW},t={long_ago},v1={digest(body, long_ago)}",),
        "stale with a tail, and fresh": (f"t={long_ago}=,t={NOW},v1={digest(body, long_ago)}",),
        "stale with a sign, and fresh": (f"t=+{long_ago},t={NOW},v1={digest(body, long_ago)}",),
        "stale with a blank, and fresh": (f"t= {long_ago},t={NOW},v1={digest(body, long_ago)}",),
    }


@pytest.mark.parametrize("name", signatures_that_do_not_hold(b""))
def test_b14_a_signature_that_does_not_hold_is_refused(stopped: Site, name: str) -> None:
    body = body_of(event := new_event())
    answer = post(stopped, body, *signatures_that_do_not_hold(body)[name])
    assert answer.status_code == 400, answer.text
    assert kept(stopped, event) == []


@pytest.mark.parametrize("at", [NOW - 300, NOW, NOW + 60])
def test_b14_a_signature_is_believed_to_the_last_second(stopped: Site, at: int) -> None:
    assert deliver(stopped, event := new_event(), at=at).status_code == 200
    assert len(kept(stopped, event)) == 1


def test_b14_an_event_that_was_believed_once_is_refused_when_its_signature_has_grown_old(stopped: Site) -> None:
    signed = signature(body := body_of(event := new_event()), at=NOW)
    assert post(stopped, body, signed).status_code == 200
    stopped.clock.stopped_at = NOW + 301
    assert post(stopped, body, signed).status_code == 400
    assert len(kept(stopped, event)) == 1


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_b15_both_secrets_are_believed_during_rotation(door: Site, secret: str) -> None:
    assert deliver(door, event := new_event(), secret=secret).status_code == 200
    assert len(kept(door, event)) == 1


@pytest.mark.parametrize("right_one", [0, 1, 2])
def test_b15_one_right_signature_of_several_is_enough(door: Site, right_one: int) -> None:
    """Stripe signs with each secret that is in force, and puts all signatures into one header."""
    at = int(time.time())
    body = body_of(event := new_event())
    several = [digest(body, at, secret) for secret in ("whsec_a", "whsec_b", "whsec_c")]
    several[right_one] = digest(body, at)
    assert post(door, body, f"t={at}," + ",".join(f"v1={one}" for one in several)).status_code == 200
    assert len(kept(door, event)) == 1


def chunks(size: int) -> Iterator[bytes]:
    """A body that comes in pieces, without a length."""
    yield from (b" " * 65536 for _ in range(size // 65536))
    yield b" " * (size % 65536)


@on_one_engine
@pytest.mark.parametrize("length_given", [True, False])
def test_b16_more_than_one_mebibyte_is_refused(door: Site, length_given: bool) -> None:
    address = f"{door.url}/webhooks/stripe"
    answers = [
        httpx2.post(address, content=b" " * size if length_given else chunks(size)) for size in (MIB, MIB + 1, 20 * MIB)
    ]
    assert [answer.status_code for answer in answers] == [400, 413, 413]


@on_one_engine
def test_b16_an_event_of_one_mebibyte_is_taken(door: Site) -> None:
    small = body_of(event := new_event())
    body = small + b" " * (MIB - len(small))
    assert post(door, body, signature(body)).status_code == 200
    assert len(kept(door, event)) == 1


FRAMES = {"announced": (b"Content-Length: 5000", b"x"), "chunked": (b"Transfer-Encoding: chunked", b"1\r\nx\r\n")}


def drip(site: Site, frame: str) -> tuple[bytes, float]:
    """Send a body a byte at a time, until an answer comes. What it says, and after how many seconds."""
    parts = urlsplit(site.url)
    length, piece = FRAMES[frame]
    with socket.create_connection((parts.hostname, parts.port), timeout=0.2) as connection:
        began = time.monotonic()
        connection.sendall(b"POST /webhooks/stripe HTTP/1.1\r\nHost: " + parts.netloc.encode() + b"\r\n")
        connection.sendall(length + b"\r\n\r\n")
        while time.monotonic() < began + 10:
            connection.sendall(piece)
            try:
                return connection.recv(65536).split(b"\r\n")[0], time.monotonic() - began
            except TimeoutError:
                continue
    raise AssertionError("no answer to a slow sender")


@on_one_engine
def test_b16_slow_senders_are_sent_away_and_hold_up_nobody(door: Site) -> None:
    with ThreadPoolExecutor(20) as pool:
        slow = [pool.submit(drip, door, frame) for frame in list(FRAMES) * 10]
        took = []
        for _ in range(20):
            began = time.monotonic()
            assert deliver(door, new_event()).status_code == 200
            took.append(time.monotonic() - began)
            time.sleep(0.05)
        answers = [one.result() for one in slow]
    assert {line for line, _ in answers} == {b"HTTP/1.1 408 Request Timeout"}
    assert max(seconds for _, seconds in answers) < 6.5
    assert max(took) < 1


def test_b17_two_signature_headers_are_refused_though_both_are_right(door: Site) -> None:
    signed = signature(body := body_of(event := new_event()))
    assert post(door, body, signed, signed).status_code == 400
    assert post(door, body, signed, "t=1,v1=00").status_code == 400
    assert kept(door, event) == []


@pytest.mark.parametrize(
    "header",
    [
        b"\xff\xfe",
        "t=1,v1=é".encode(),
        "t=١٧٩٠٠٠٠٠٠٠,v1=00".encode(),
        b"t=1,v1=\x80",
        b"t" * 8000,
        b"t=" + b"9" * 5000 + b",v1=00",
        b"t=1," + b",".join([b"v1=00"] * 1000),
        b",,,=,==",
        b"t,v1",
    ],
)
def test_b17_a_signature_of_any_bytes_is_refused(door: Site, header: bytes) -> None:
    body = body_of(event := new_event())
    assert post(door, body, header).status_code == 400
    assert kept(door, event) == []


@pytest.mark.parametrize("junk", [b"v1=\xe9", b"v1=", b"v2=00", b"\xff"])
def test_b17_junk_next_to_a_right_signature_is_never_an_error_of_ours(door: Site, junk: bytes) -> None:
    body = body_of(new_event())
    signed = signature(body).encode()
    for header in (signed + b"," + junk, junk + b"," + signed):
        assert post(door, body, header).status_code in {200, 400}


BODIES_THAT_ARE_NO_EVENT = {
    "nothing": b"",
    "a blank": b" ",
    "half": b'{"id": "evt_1"',
    "two": b"{}{}",
    "bad UTF-8": b'{"id": "\xff"}',
    "UTF-16": '{"id": "evt_1"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a NUL": b"\0",
    "a form": b"id=evt_1&type=charge.refunded",
    "deep lists": b"[" * 100_000,
    "deep closed lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"data":' * 100_000,
    "a long number": b"1" * 5000,
    "a large number": b"1e999",
    "a list": b"[]",
    "null": b"null",
    "true": b"true",
    "a text": b'"evt_1"',
    "an empty object": b"{}",
    "a thin event": b'{"id": "evt_1", "object": "v2.core.event", "type": "v2.core.account.created"}',
}


@on_one_engine
@pytest.mark.parametrize("name", BODIES_THAT_ARE_NO_EVENT)
def test_b17_a_body_that_is_no_event_is_refused_signed_or_not(door: Site, name: str) -> None:
    body = BODIES_THAT_ARE_NO_EVENT[name]
    before = ids(door)
    assert post(door, body).status_code == 400
    assert post(door, body, signature(body)).status_code == 400
    assert ids(door) == before


NO_TEXTS: list[Any] = [None, 1, True, 1.5, [], {}, ["evt_1"], {"id": "evt_1"}]
NO_NAMES: list[Any] = [*NO_TEXTS, "", " ", "evt 1", "evt_1\0", "evt_\n", "évt", "x" * 256, "'; --", "\ud800"]
WRONG_FIELDS: dict[str, list[Any]] = {
    "id": NO_NAMES,
    "type": NO_NAMES,
    "livemode": [None, 0, 1, "", "false", "true", [], {}],
    "created": [None, True, "1790000000", 1.5, 0, -1, 2**40, 2**63, 10**400, float("nan"), float("inf"), [], {}],
    "account": [1, True, [], {}, "", "acct_other", "acct_\0"],
    "data": [None, 1, True, "object", [], {}, {"object": None}, {"object": []}, {"object": "cs_1"}, {"object": 1}],
}
WRONG_OBJECT_IDS: list[Any] = [1, True, [], {}, {"id": "cs_1"}, "cs_\0", "\0", "x" * 256, "cs_\n", "\ud800"]


@pytest.mark.parametrize("field", WRONG_FIELDS)
def test_b17_an_event_of_the_wrong_shape_is_refused(door: Site, field: str) -> None:
    before = ids(door)
    for value in WRONG_FIELDS[field]:
        assert deliver(door, new_event(**{field: value})).status_code == 400, value
        lacking = new_event()
        lacking.pop(field, None)
        assert field == "account" or deliver(door, lacking).status_code == 400
    assert ids(door) == before


def test_b17_an_event_about_an_object_of_the_wrong_shape_is_refused(door: Site) -> None:
    before = ids(door)
    for value in WRONG_OBJECT_IDS:
        assert deliver(door, new_event(data={"object": {"id": value}})).status_code == 400, value
    assert ids(door) == before


@pytest.mark.parametrize("customer", [None, {"id": "cus_1"}, 1, [], "", "cus_\0", "x" * 256])
def test_b17_a_customer_that_is_no_id_is_no_customer(door: Site, customer: object) -> None:
    event = new_event(data={"object": {"id": "cs_test_1", "customer": customer}})
    assert deliver(door, event).status_code == 200
    assert [row.customer_id for row in kept(door, event)] == [None]


names = st.sampled_from(["id", "type", "livemode", "created", "account", "data", "object", "customer"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["evt_1", "cus_1", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
nearly_events = st.builds(
    lambda whole, changes, subject: an_event(**(whole | changes), data={"object": subject}),
    st.fixed_dictionaries({"id": st.from_regex(r"evt_[a-z0-9]{8}", fullmatch=True)}),
    st.dictionaries(names.filter(lambda name: name != "data"), values, max_size=1),
    st.dictionaries(names, values, max_size=3),
)
bodies = st.binary(max_size=300) | st.builds(body_of, values) | st.builds(body_of, nearly_events)


@on_one_engine
@pytest.mark.no_cover
@settings(max_examples=100, deadline=None)
@given(body=bodies, header=st.none() | st.binary(max_size=100).map(lambda raw: raw.translate(None, BLANKS).strip()))
def test_b17_no_unsigned_bytes_are_believed(door: Site, body: bytes, header: bytes) -> None:
    answer = post(door, body, *([header] if header is not None else []))
    assert answer.status_code == 400


@on_one_engine
@pytest.mark.no_cover
@settings(max_examples=100, deadline=None)
@given(body=bodies)
def test_b17_no_signed_bytes_are_an_error_of_ours(door: Site, body: bytes) -> None:
    answer = post(door, body, signature(body))
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        assert kept(door, json.loads(body))


@pytest.mark.parametrize(
    ("type", "subject"),
    [
        ("customer.updated", {"id": "cus_1", "object": "customer"}),
        ("something.never.heard.of", {"id": "x_1"}),
        ("balance.available", {"object": "balance", "available": []}),
        ("invoice.upcoming", {"id": None, "object": "invoice", "customer": "cus_1"}),
        ("coupon.created", {"id": "Summer sale, 20 % off", "object": "coupon"}),
        ("product.updated", {"id": "our-café", "object": "product"}),
    ],
)
def test_b18_an_event_of_no_concern_is_taken_and_ignored(door: Site, type: str, subject: dict[str, Any]) -> None:
    event = new_event(type=type, data={"object": subject})
    assert deliver(door, event).status_code == 200
    (row,) = kept(door, event)
    assert (row.type, row.outcome, row.due_at, row.error) == (type, "ignored", None, None)
    assert row.handled_at is not None


@pytest.mark.parametrize("changes", [{"livemode": True}, {"account": "acct_somebody"}])
def test_b19_the_wrong_mode_or_account_is_refused_and_reported(door: Site, changes: dict[str, Any]) -> None:
    with capture_logs() as lines:
        assert deliver(door, event := new_event(**changes)).status_code == 400
    assert kept(door, event) == []
    (line,) = [line for line in lines if line["log_level"] == "warning"]
    assert line["event"] == "BadWebhook"
    assert next(iter(changes)).removesuffix("mode") in line["reason"]


def test_b19_our_own_account_is_not_the_wrong_one(door: Site) -> None:
    ours = door.sandbox.stripe.v1.accounts.retrieve_current().id
    assert deliver(door, event := new_event(account=ours)).status_code == 200
    assert len(kept(door, event)) == 1


def test_b20_a_flood_of_forged_events_writes_nothing_and_shuts_out_nobody(door: Site) -> None:
    before = ids(door)
    forged = [body_of(an_event(f"evt_forged_{number}")) for number in range(500)]
    real = body_of(event := new_event())

    async def flood() -> list[int]:
        async with httpx2.AsyncClient(timeout=20, limits=httpx2.Limits(max_connections=50)) as client:

            async def knock(body: bytes, signed: str) -> int:
                headers = {"Stripe-Signature": signed}
                return (await client.post(f"{door.url}/webhooks/stripe", content=body, headers=headers)).status_code

            lies = [knock(body, signature(body, secret="whsec_guess")) for body in forged]
            return await asyncio.gather(*lies[:250], knock(real, signature(real)), *lies[250:])

    answers = asyncio.run(flood())
    assert (answers.count(400), answers.count(200)) == (500, 1)
    assert ids(door) == sorted([*before, event["id"]])


def test_b20_a_payment_is_believed_in_the_middle_of_a_flood(door: Site) -> None:
    """The event that the provider made for a real payment, among forged ones for the same customer."""
    browser = Browser(door.url)
    browser.sign_in("Flora Flood")
    browser.pay()
    real = next(iter(door.sandbox.stripe.v1.events.list({"type": "checkout.session.completed"}).data)).to_dict()
    for number in range(20):
        assert deliver(door, {**real, "id": f"evt_forged_{number}"}, secret="whsec_guess").status_code == 400
    assert not browser.enters()
    assert deliver(door, real).status_code == 200
    eventually(browser.enters)
    assert [row.state for row in door.rows(orders)] == ["complete"]
