"""Reads posts to the sandbox within limits, and never from another site's page."""

import asyncio
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import ClientDisconnect, Request

from tollkeeper_sandbox.stripe.engine.errors import ApiError, invalid

MAX_SECONDS = 10.0
MAX_FORM = 16 * 1024


async def read_body(request: Request, most: int) -> bytes:
    """Return the body. Raises a 413 beyond ``most`` bytes and a 408 if the sender takes too long."""
    body = bytearray()
    try:
        async with asyncio.timeout(MAX_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise ApiError(413, f"The body of this request is too large: at most {most} bytes are accepted.")
    except TimeoutError:
        raise ApiError(408, "The body of this request took too long to arrive.") from None
    except ClientDisconnect:
        raise invalid("The connection was closed before the request was complete.") from None
    return bytes(body)


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a small form. Raises a 4xx for anything else."""
    body = await read_body(request, MAX_FORM)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50, errors="strict"))
    except ValueError:
        raise ApiError(400, "The form is not URL-encoded UTF-8.") from None


def check_origin(request: Request) -> None:
    """Refuse a post from another site's page. Simpler than a token, and enough for a tool without secrets."""
    if request.method != "POST":
        return
    origin = urlsplit(request.headers.get("origin", ""))
    elsewhere = origin.netloc and origin.netloc != request.headers.get("host")
    if elsewhere or request.headers.get("sec-fetch-site") == "cross-site":
        raise ApiError(403, "This form was sent from another site.")


def is_browser(request: Request) -> bool:
    """Return whether to respond with a page; other clients get JSON."""
    return "text/html" in request.headers.get("accept", "")
