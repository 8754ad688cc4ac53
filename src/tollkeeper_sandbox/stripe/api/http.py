"""The API over HTTP: keys, versions, idempotency, and responses in Stripe's format."""

import hashlib
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tollkeeper_sandbox.stripe.api import calls, keys
from tollkeeper_sandbox.stripe.api.call import Call
from tollkeeper_sandbox.stripe.api.expansion import expand
from tollkeeper_sandbox.stripe.api.forms import Form, decode
from tollkeeper_sandbox.stripe.engine import faults
from tollkeeper_sandbox.stripe.engine.errors import (
    ApiError,
    Declined,
    api_failure,
    invalid,
    unrecognized,
    unsupported_value,
)
from tollkeeper_sandbox.stripe.engine.events import API_VERSION
from tollkeeper_sandbox.stripe.engine.ledger import JSON
from tollkeeper_sandbox.stripe.engine.misbehaviour import misbehave
from tollkeeper_sandbox.stripe.engine.nesting import first_pages
from tollkeeper_sandbox.stripe.engine.posts import read_body
from tollkeeper_sandbox.stripe.engine.work import Work
from tollkeeper_sandbox.stripe.objects.accounts import account_id
from tollkeeper_sandbox.stripe.objects.happenings import happen

MAX_BODY = 64 * 1024
KEY_HOURS = 24
METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"]
FORM = "application/x-www-form-urlencoded"
VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[a-z]+)?")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    status: int
    body: str
    replay_of: str | None = None


class Api:
    """The API.

    ``begin`` opens a unit of work for a request id and an idempotency key; ``done`` is called after each.
    """

    def __init__(self, begin: Callable[[str | None, str | None], Work], done: Callable[[], None]) -> None:
        self._begin = begin
        self._done = done
        self.routes = [Route("/v1/{rest:path}", self.answer, methods=METHODS)]

    async def answer(self, request: Request) -> Response:
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        work = self._begin(None, key)
        id_ = work.new_id("req", 7)
        try:
            keys.check(request.headers.get("authorization", ""))
            form = await _form(request)
        except ApiError as error:
            return _response(_refused(error), id_, key)
        return await self._answer(request, form, id_, key)

    async def _answer(self, request: Request, form: Form, id_: str, key: str | None) -> Response:
        def respond() -> Response:
            response = _response(self._transact(request, form, id_, key), id_, key)
            self._done()
            return response

        fault = faults.for_call(self._begin(id_, key).ledger, request.method, request.url.path)
        if fault is None:
            return respond()
        return await misbehave(fault, respond, lambda error: _response(_refused(error), id_, key))

    def _transact(self, request: Request, form: Form, id_: str, key: str | None) -> Answer:
        """Handle one request in one transaction without an await, so that no other request sees partial results."""
        work = self._begin(id_, key)
        try:
            with work.ledger.transaction():
                return _one_call(work, request, form, key)
        except ApiError as error:
            return _refused(error)


def _one_call(work: Work, request: Request, form: Form, key: str | None) -> Answer:
    _check_headers(work, request, key)
    happen(work)
    found = calls.find(request.method, request.url.path)
    if found is None:
        raise unrecognized(request.method, request.url.path[:200])
    call, object_id = found
    if key is None:
        return _run(work, call, call.parameters.check(form), object_id)
    return _run_once(work, call, form, object_id, key, request.url.path)


def _run(work: Work, call: Call, params: JSON, object_id: str) -> Answer:
    """Run one call. A refusal or an error undoes everything, except that a bank was asked."""
    try:
        with work.ledger.savepoint():
            try:
                body = call.run(work, params, object_id)
            except Declined as error:
                return _refused(error)
            return Answer(200, _json(expand(work, first_pages(body), params.get("expand", []))))
    except ApiError as error:
        return _refused(error)
    except Exception:
        log.exception("a call failed")
        return _refused(api_failure())


def _run_once(work: Work, call: Call, form: Form, object_id: str, key: str, path: str) -> Answer:
    """https://docs.stripe.com/api/idempotent_requests: the first response is stored, whatever it was.

    Nothing is stored if a parameter is invalid. Requests run one after the other, so a second one
    with the same key waits for the first instead of being refused.
    """
    work.ledger.run("DELETE FROM answers WHERE created < ?", work.now - KEY_HOURS * 3600)
    fingerprint = hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()
    saved = _saved(work, key, path, fingerprint)
    if saved is not None:
        return saved
    answer = _run(work, call, call.parameters.check(form), object_id)
    work.ledger.run(
        "INSERT INTO answers (key, call, fingerprint, request, status, body, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
        *(key, path, fingerprint, work.request, answer.status, answer.body, work.now),
    )
    return answer


def _saved(work: Work, key: str, path: str, fingerprint: str) -> Answer | None:
    found = work.ledger.rows("SELECT * FROM answers WHERE key = ?", key)
    if not found:
        return None
    saved = found[0]
    if saved["call"] != path:
        raise _reused(key, f"for the same endpoint they were first used for ('{saved['call']}')")
    if saved["fingerprint"] != fingerprint:
        raise _reused(key, "with the same parameters they were first used with")
    return Answer(saved["status"], saved["body"], replay_of=saved["request"])


def _reused(key: str, only: str) -> ApiError:
    message = (
        f"Keys for idempotent requests can only be used {only}. "
        f"Try using a key other than '{key}' if you meant to execute a different request."
    )
    return ApiError(400, message, type_="idempotency_error")


def _check_headers(work: Work, request: Request, key: str | None) -> None:
    """Check the headers. One API version is supported, and earlier ones that it is compatible with.

    https://docs.stripe.com/api/versioning: releases of the same name only add, and never break anything.
    """
    version = request.headers.get("stripe-version", API_VERSION)
    if not VERSION.fullmatch(version):
        raise invalid(f"Invalid Stripe API version: {version[:40]}")
    if version.partition(".")[2] != API_VERSION.partition(".")[2] or version > API_VERSION:
        raise unsupported_value("Stripe-Version", version, (API_VERSION,))
    account = request.headers.get("stripe-account")
    keys.check_permission(request.headers.get("authorization", ""), request.method, request.url.path, account_id(work))
    if account is not None and account != account_id(work):
        message = f"The provided key does not have access to account '{account[:40]}' (or that account does not exist)."
        raise ApiError(403, message, code="account_invalid")
    if key is not None and not 0 < len(key) <= 255:
        raise invalid("Idempotency keys may be up to 255 characters in length.")


async def _form(request: Request) -> Form:
    """Return the parameters of the address and of the body: Stripe merges both."""
    query = request.scope["query_string"]
    if len(query) > MAX_BODY:
        raise ApiError(414, "The address of this request is too long.")
    body = await read_body(request, MAX_BODY)
    if body and request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        message = f"Invalid request (check that your POST content type is {FORM})."
        raise invalid(message)
    return decode(query + b"&" + body)


def _refused(error: ApiError) -> Answer:
    return Answer(error.status, _json(error.body()))


def _json(body: JSON) -> str:
    return json.dumps(body)


def _response(answer: Answer, id_: str, key: str | None) -> Response:
    headers = {
        "Cache-Control": "no-cache, no-store",
        "Request-Id": id_,
        "Stripe-Version": API_VERSION,
    }
    if key is not None and key.isascii() and key.isprintable():
        headers["Idempotency-Key"] = key[:255]
        headers["Original-Request"] = answer.replay_of or id_
    if answer.replay_of is not None:
        headers["Idempotent-Replayed"] = "true"
    return Response(answer.body, answer.status, headers, media_type="application/json")
