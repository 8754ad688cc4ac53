"""Attempts to sign in, kept in the browser until it comes back: one cookie each, as tabs may sign in at once."""

import re
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from tollkeeper.gate.door import cookie_in
from tollkeeper.model.access import Visitor
from tollkeeper.signin import Attempt, Pending
from tollkeeper.signin.attempt import ATTEMPT_SECONDS
from tollkeeper.web import return_to
from tollkeeper.web.site import site_of

# What the cookies' names begin with, over plain http; a short digest of the attempt's state follows.
ATTEMPT_COOKIE = "tollkeeper_login-"

MOST = 8
"""How many attempts one browser keeps. The oldest make room."""

SHORT = 256
"""Characters of the longest page that fits into the attempt's own cookie. All of those are sent at once, and must
fit into 8 KiB, the longest header that common proxies accept. A longer page has its own cookies.
"""


def mark_of(state: str) -> str:
    """Tells a browser's attempts apart: by their states, which are 256 random bits each."""
    return sha256(state.encode()).hexdigest()[:16]


def resting_place(request: Request, mark: str) -> str:
    """The path that leads a browser to the long page that it signed in for."""
    return f"{site_of(request).config.path}/login/wanted/{mark}"


def keep(request: Request, answer: Response, attempt: Attempt, page: str, visitor: Visitor | None) -> None:
    """Have the browser send the attempt when it comes back, together with the page it wants."""
    _make_room(request, answer)
    mark = mark_of(attempt.secrets["state"])
    if len(page) > SHORT:
        place = resting_place(request, mark)
        return_to.keep(request, answer, page, at=place, seconds=ATTEMPT_SECONDS)
        page = place
    site = site_of(request)
    answer.set_cookie(
        _name(request, mark),
        site.attempts.seal(attempt.secrets, page, visitor.login_session_id if visitor else ""),
        max_age=ATTEMPT_SECONDS,
        path=_path(request),
        secure=site.config.secure,
        httponly=True,
        samesite="lax",  # strict would lose it on the way back
    )


def find(request: Request, state: str) -> Pending | None:
    """The attempt of this state, if this browser began it in time."""
    return site_of(request).attempts.unseal(cookie_in(request.headers.raw, _name(request, mark_of(state))))


def forget(request: Request, answer: Response, mark: str) -> None:
    """Delete an attempt from the browser."""
    secure = site_of(request).config.secure
    answer.delete_cookie(_name(request, mark), path=_path(request), secure=secure, httponly=True, samesite="lax")


def _make_room(request: Request, answer: Response) -> None:
    """Browsers send the oldest cookies first (RFC 6265, section 5.4)."""
    begin, end = _name(request, "/").split("/")
    pattern = re.compile(rf"{re.escape(begin)}([0-9a-f]{{16}}){re.escape(end)}")
    names = [pair.partition("=")[0].strip(" \t") for pair in "; ".join(request.headers.getlist("cookie")).split(";")]
    marks = [found[1] for found in map(pattern.fullmatch, names) if found]
    for mark in marks[: 1 - MOST]:
        forget(request, answer, mark)
        return_to.forget(request, answer, at=resting_place(request, mark))


def _name(request: Request, mark: str) -> str:
    """The ``__Host-`` prefix stops other hosts of the domain from planting their own attempt, which would sign the
    visitor in as somebody else. It needs https and the path ``/``.
    """
    return site_of(request).config.cookie(f"{ATTEMPT_COOKIE}{mark}")


def _path(request: Request) -> str:
    config = site_of(request).config
    return "/" if config.secure else f"{config.path}/login"
