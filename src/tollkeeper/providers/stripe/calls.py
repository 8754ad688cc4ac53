"""Calls to Stripe's API that return plain data, and what Stripe's errors mean."""

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

from tollkeeper.errors import (
    CustomerMissing,
    EmailRefused,
    IdempotencyConflict,
    Obstacle,
    ProviderFailed,
    ProviderMissing,
    ProviderRefused,
    ProviderUnavailable,
)
from tollkeeper.providers.stripe.facts import FACTS
from tollkeeper.providers.stripe.refusals import facts_of, obstacle_of
from tollkeeper.providers.stripe.settings import StripeSettings

if TYPE_CHECKING:
    import stripe

T = TypeVar("T")

MISSING_ADVICE = "Check that the id belongs to the account and mode of STRIPE_API_KEY."


@asynccontextmanager
async def connected(settings: StripeSettings, patience: float) -> AsyncIterator["stripe.StripeClient"]:
    """The SDK for one piece of work beside the server. ``patience`` is for each request, in seconds."""
    import stripe

    stripe.enable_telemetry = False  # otherwise the SDK writes a file to the home folder
    http = stripe.HTTPXClient(timeout=patience)
    try:
        yield stripe.StripeClient(
            settings.api_key,
            max_network_retries=2,
            http_client=http,
            base_addresses={"api": settings.api_base} if settings.api_base else {},
        )
    finally:
        await http.close_async()  # type: ignore[no-untyped-call]


async def ask(client: "stripe.StripeClient", method: str, path: str, **params: Any) -> dict[str, Any]:
    """Make one call and return plain data. ``idempotency_key`` among the parameters is an option of the SDK.

    The SDK's typed objects would take most of the time of a reconcile, and we read only a few of their fields.
    """
    answer: dict[str, Any] = (await client.raw_request_async(method, path, **params)).data
    return answer


async def each(client: "stripe.StripeClient", path: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
    """Yield everything in a list, newest first. https://docs.stripe.com/api/pagination"""
    more = True
    while more:
        page = await ask(client, "get", path, limit=100, **params)
        for one in page["data"]:
            yield one
        more = page["has_more"]
        params |= {"starting_after": page["data"][-1]["id"]} if more else {}


async def whole(client: "stripe.StripeClient", listing: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all of a list whose first page came inside an object. https://docs.stripe.com/api/pagination"""
    found = list(listing["data"])
    if listing["has_more"]:
        where = urlsplit(listing["url"])  # the address may name its owner in its query
        more = {**dict(parse_qsl(where.query)), "starting_after": found[-1]["id"]}
        found += [one async for one in each(client, where.path, **more)]
    return found


async def together(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run these calls at the same time, as far as the budget allows, and return their results in order.

    If one fails, the others are cancelled and its error is raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(call) for call in calls]
    except ExceptionGroup as several:
        raise several.exceptions[0] from None
    return [one.result() for one in asked]


def path(listing: str, id: str) -> str:
    """Return the path of one object. Ids also come from events, so they are encoded and cannot lead elsewhere."""
    return f"{listing}/{quote(id, safe='')}"


async def account_of(client: "stripe.StripeClient") -> str:
    """Return the account of the key. If a restricted key may not ask for it, Stripe's refusal names the account."""
    import stripe

    try:
        return str((await ask(client, "get", "/v1/account"))["id"])
    except stripe.PermissionError as refusal:
        named = re.search(r"on account '(acct_[A-Za-z0-9]+)'", refusal.user_message or "")
        if named is None:
            raise
        return named[1]


def translated(error: "stripe.StripeError") -> ProviderRefused | ProviderUnavailable:
    """Translate an SDK error into one of ours. https://docs.stripe.com/error-handling"""
    import stripe

    # A 5xx, a 409 (the same request is in progress elsewhere), or a response that is not Stripe's.
    if isinstance(error, stripe.APIError):
        failed = ProviderFailed if (error.http_status or 0) >= 500 else ProviderUnavailable
        return failed("Stripe had trouble answering.")
    message = error.user_message or "Stripe refused the request."
    param = getattr(error, "param", None)
    if isinstance(error, stripe.IdempotencyError):
        return IdempotencyConflict(message)
    obstacle = obstacle_of(error.http_status, error.code, param, message)
    facts = facts_of(obstacle, message)
    if obstacle in {Obstacle.KEY_REFUSED, Obstacle.KEY_LIMITED}:
        message = "Stripe did not accept the key."  # Stripe's message contains a part of the key
    advice = MISSING_ADVICE if error.code == "resource_missing" else FACTS.remedies.get(obstacle, "")
    return _kind(error.code, param)(message, advice, obstacle=obstacle, facts=facts)


def _kind(code: str | None, param: str | None) -> type[ProviderRefused]:
    if code == "resource_missing":
        return CustomerMissing if param == "customer" else ProviderMissing
    return EmailRefused if param == "email" else ProviderRefused
