"""Events as Stripe sends them, with valid and invalid signatures."""

import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.support.issuers import serving
from tests.support.running import Site

SECRET = "whsec_f3ZkQ9Lw2Xc7Vb5Nm1Rt8Yp4Hj6Gd0Sa"
OLD_SECRET = "whsec_a8Tn4Jc1Wq6Zs3Xe9Ub2Lk7Rf5Mo0VgYd"


def an_event(id: str = "evt_1", **changes: Any) -> dict[str, Any]:
    """Return an event that is accepted if it is signed, but changes nothing, because its customer is unknown."""
    subject = {"id": "cs_test_1", "object": "checkout.session", "customer": "cus_nobody"}
    usual = {"id": id, "object": "event", "type": "checkout.session.completed", "livemode": False}
    return usual | {"created": 1_790_000_000, "data": {"object": subject}} | changes


def body_of(event: object) -> bytes:
    return json.dumps(event).encode()


def signature(body: bytes, *, secret: str = SECRET, at: int | None = None) -> str:
    """Compute a signature by hand, so that any bytes can be signed. https://docs.stripe.com/webhooks#verify-manually"""
    at = int(time.time()) if at is None else at
    return f"t={at},v1={digest(body, at, secret)}"


def digest(body: bytes, at: int, secret: str = SECRET) -> str:
    return hmac.digest(secret.encode(), b"%d.%b" % (at, body), "sha256").hex()


@cache
def client() -> httpx2.Client:
    """Return a shared client, because creating one takes longer than most responses."""
    return httpx2.Client(timeout=20)


def post(site: Site, body: bytes, *signatures: str | bytes) -> httpx2.Response:
    """Post a webhook with the given signatures."""
    headers = [(b"Stripe-Signature", one.encode() if isinstance(one, str) else one) for one in signatures]
    headers.append((b"Content-Type", b"application/json; charset=utf-8"))
    return client().post(f"{site.url}/webhooks/stripe", content=body, headers=headers)


def deliver(site: Site, event: object, **signing: Any) -> httpx2.Response:
    """Send an event as Stripe would."""
    body = body_of(event)
    return post(site, body, signature(body, **signing))


@dataclass
class Receiver:
    """A webhook address that accepts and stores everything."""

    url: str = ""
    taken: list[tuple[list[tuple[str, str]], bytes]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        self.taken.append((request.headers.items(), await request.body()))
        return Response()


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    with serving(Starlette(routes=[Route("/{any:path}", receiver.take, methods=["POST"])])) as receiver.url:
        yield receiver
