"""Attempts to sign in, kept in the browser until it comes back: one cookie each, as tabs may sign in at once."""

import re
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from tollkeeper.model.access import Visitor
from tollkeeper.signin import Attempt, Pending
from tollkeeper.web import cookies, return_to
from tollkeeper.web.site import site_of

MOST = 8
"""How many attempts one browser keeps. The oldest are dropped."""

SHORT = 256
"""Characters of the longest page that fits into the attempt's own cookie. All of those are sent at once, and must
fit into 8 KiB, the longest header that common proxies accept. A longer page has its own cookies.
"""


def mark_of(state: str) -> str:
    """Tells a browser's attempts apart: by their states, which are 256 random bits each."""
    return sha256(state.encode()).hexdigest()[:16]


def keep(request: Request, answer: Response, attempt: Attempt, page: str, visitor: Visitor | None) -> None:
    """Have the browser send the attempt when it comes back, together with the page it wants."""
    site = site_of(request)
    _make_room(request, answer)
    mark = mark_of(attempt.secrets["state"])
    if len(page) > SHORT:
        return_to.keep(answer, page, cookies.after_sign_in(site.config, mark))
        page = cookies.long_page_path(site.config, mark)
    sealed = site.attempts.seal(attempt.secrets, page, visitor.login_session_id if visitor else "")
    cookies.attempt(site.config, mark).set(answer, sealed)


def find(request: Request, state: str) -> Pending | None:
    """The attempt of this state, if this browser began it in time."""
    site = site_of(request)
    return site.attempts.unseal(cookies.attempt(site.config, mark_of(state)).read(request.headers.raw))


def forget(request: Request, answer: Response, mark: str) -> None:
    """Delete an attempt from the browser."""
    cookies.attempt(site_of(request).config, mark).delete(answer)


def _make_room(request: Request, answer: Response) -> None:
    """Browsers send the oldest cookies first (RFC 6265, section 5.4)."""
    config = site_of(request).config
    begin, end = cookies.attempt(config, "/").name.split("/")
    pattern = re.compile(rf"{re.escape(begin)}([0-9a-f]{{16}}){re.escape(end)}")
    names = [pair.partition("=")[0].strip(" \t") for pair in "; ".join(request.headers.getlist("cookie")).split(";")]
    marks = [found[1] for found in map(pattern.fullmatch, names) if found]
    for mark in marks[: 1 - MOST]:
        forget(request, answer, mark)
        return_to.forget(answer, cookies.after_sign_in(config, mark))
