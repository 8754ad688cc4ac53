"""Turns errors into answers, in one place: a page for people, problem details (RFC 9457) for programs."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from tollkeeper.errors import (
    BadWebhook,
    IssuerUnavailable,
    NotForSale,
    ProviderRefused,
    ProviderUnavailable,
    Refused,
    SignInFailed,
    StorageBusy,
    StorageError,
)
from tollkeeper.web.responses import NO_STORE
from tollkeeper.web.site import site_of
from tollkeeper.wording.off_sale import refusal
from tollkeeper.wording.off_sale import title as title_of_refusal
from tollkeeper.wording.pages import NO_ANSWER, REFUSED, TO_BE_BOUGHT

log = structlog.get_logger()

# What to say when an error brings no words of its own for the visitor.
TITLES = {
    400: "That did not work",
    401: "Please sign in",
    402: TO_BE_BOUGHT,
    403: "Not allowed",
    404: "There is nothing here",
    405: "Method not allowed",
    408: "That took too long",
    409: "Please wait",
    413: "That is too much",
    429: "Slow down a little",
    500: "Something went wrong",
    503: "Back in a moment",
}
DETAILS = {
    404: "The address may be old, or mistyped.",
    405: "This address cannot be used in this way.",
    408: "The request did not arrive in time. Please try again.",
    413: "The request was larger than we accept.",
    500: "This is our fault, and it has been logged. Please try again in a minute.",
    503: "We cannot answer at the moment. Please try again in a minute.",
}


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """How one kind of error is answered."""

    status: int
    detail: str


ERROR_RESPONSES: dict[type[Exception], ErrorResponse] = {
    BadWebhook: ErrorResponse(400, "We cannot verify that this event is genuine."),
    SignInFailed: ErrorResponse(400, "Signing in failed. Please start again."),
    IssuerUnavailable: ErrorResponse(
        503, "The sign-in service is not responding at the moment. Please try again in a minute."
    ),
    ProviderUnavailable: ErrorResponse(503, NO_ANSWER),
    ProviderRefused: ErrorResponse(503, REFUSED),
    StorageBusy: ErrorResponse(503, DETAILS[503]),
    StorageError: ErrorResponse(503, DETAILS[503]),
    ClientDisconnect: ErrorResponse(400, "The connection was closed."),
}

AFTER_A_MINUTE = {"Retry-After": "60"}

# What a 401 has to say (RFC 9110, section 11.6.1).
CHALLENGE = {"WWW-Authenticate": "Cookie"}

# Errors that repeating the request cannot fix, so no answer says when to come back.
LASTING = (ProviderRefused,)


def wants_json(request: Request) -> bool:
    """Whether a program asks, not a person."""
    accept = request.headers.get("accept", "")
    return "json" in accept and "text/html" not in accept


async def http_error(request: Request, error: Exception) -> Response:
    """Answer what Starlette raises, such as 404 and 405."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    detail = DETAILS.get(error.status_code, HTTPStatus(error.status_code).phrase)
    return answer(request, error.status_code, detail, error.headers)


async def refused(request: Request, error: Exception) -> Response:
    """Answer a request that is refused."""
    assert isinstance(error, Refused)  # noqa: S101 - registered for nothing else
    headers = {401: CHALLENGE, 429: AFTER_A_MINUTE, 503: AFTER_A_MINUTE}.get(error.status)
    log.info("refused", status=error.status, reason=error.detail)
    return answer(request, error.status, error.detail, headers, title=error.title)


async def known(request: Request, error: Exception) -> Response:
    """Answer our own errors by the table."""
    found = next(ERROR_RESPONSES[kind] for kind in type(error).__mro__ if kind in ERROR_RESPONSES)
    level = logging.ERROR if isinstance(error, (StorageError, *LASTING)) else logging.WARNING
    log.log(level, type(error).__name__, reason=str(error), advice=getattr(error, "advice", "") or None)
    headers = AFTER_A_MINUTE if found.status == 503 and not isinstance(error, LASTING) else None
    return answer(request, found.status, found.detail, headers)


async def not_for_sale(request: Request, error: Exception) -> Response:
    """409: the request is valid, but conflicts with the current state (RFC 9110, section 15.5.10).

    Not 503, which would have browsers, programs and proxies try again. It is logged where it is found.
    """
    assert isinstance(error, NotForSale)  # noqa: S101 - registered for nothing else
    log.info("not for sale", product=error.product, obstacle=error.obstacle.value)
    return answer(request, 409, refusal(error.obstacle, error.facts), title=title_of_refusal(error.obstacle))


async def unexpected(request: Request, error: Exception) -> Response:
    """Answer an unexpected error. It is logged where it is caught, and no detail of it is shown."""
    return answer(request, 500, DETAILS[500])


def answer(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None, *, title: str = ""
) -> Response:
    """One error, as a page or as problem details."""
    if wants_json(request):
        return problem(status, detail, headers, title=title)
    title = title or title_of(status)
    path, label = ("/login", "Login") if status == 401 else ("/", "Front page")
    return site_of(request).pages.render(
        "error.html",
        status=status,
        headers=headers,
        title=title,
        detail=detail,
        action={"href": request.scope.get("root_path", "") + path, "label": label},
        request_id=request.scope.get("request_id"),
    )


def title_of(status: int) -> str:
    """What to say when an error brings no title of its own."""
    return TITLES.get(status, HTTPStatus(status).phrase)


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, *, title: str = "", **more: str
) -> Response:
    """One error for a program: problem details (RFC 9457), with ``more`` members of our own."""
    body = {"type": "about:blank", "title": title or title_of(status), "status": status, "detail": detail, **more}
    return JSONResponse(body, status, {**NO_STORE, **(headers or {})}, "application/problem+json")


HANDLERS = {
    HTTPException: http_error,
    Refused: refused,
    NotForSale: not_for_sale,
    Exception: unexpected,
    **dict.fromkeys(ERROR_RESPONSES, known),
}
