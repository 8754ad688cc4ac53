"""Every cookie of ours: what it is called, where browsers bring it along, and for how long."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from tollkeeper.config.config import Config
from tollkeeper.gate.door import cookie_in
from tollkeeper.gate.login_sessions import LIFETIME
from tollkeeper.signin.attempt import ATTEMPT_SECONDS

# What the names of attempts begin with, over plain http; a short digest of the attempt's state follows.
ATTEMPT_COOKIE = "tollkeeper_login-"

# How long a browser keeps its handover secret, in seconds. It needs it for two redirects.
SECRET_SECONDS = 600

# As long as a hosted checkout page stays open, which is a day at most.
CHECKOUT_SECONDS = 24 * 3600

# Browsers drop a cookie whose name and value are longer than 4,096 bytes together (RFC 6265bis, section 5.6). So a page
# is kept in pieces, of which the longest address needs three: base64 makes four characters of three.
PIECE = 3_800
PIECES = 3

# Strict would lose an attempt on the way back from the issuer, and sign people out on the way back from the checkout
# page.
SAME_SITE: Final = "lax"


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie, which no script may read."""

    name: str
    lifetime: int
    """Seconds."""
    secure: bool
    path: str = "/"
    domain: str | None = None

    def read(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """What a request says in it; empty if nothing."""
        return cookie_in(headers, self.name)

    def set(self, answer: Response, value: str) -> None:
        """Have the browser keep it."""
        answer.set_cookie(
            self.name,
            value,
            self.lifetime,
            path=self.path,
            domain=self.domain,
            secure=self.secure,
            httponly=True,
            samesite=SAME_SITE,
        )

    def delete(self, answer: Response) -> None:
        """Have the browser forget it."""
        answer.delete_cookie(
            self.name, path=self.path, domain=self.domain, secure=self.secure, httponly=True, samesite=SAME_SITE
        )


def login(config: Config) -> Cookie:
    """The token of a login session."""
    return Cookie(config.login_cookie, LIFETIME, config.secure, domain=config.cookie_domain)


def login_apart(config: Config, lifetime: int) -> Cookie:
    """The same at a host apart, where a login session lasts as long as the one that was handed over."""
    return Cookie(config.login_cookie_apart, lifetime, config.secure)


def handover_secret(config: Config) -> Cookie:
    """What a browser shows at a host apart to be the same one when it comes back signed in."""
    return Cookie(config.cookie("tollkeeper_handover"), SECRET_SECONDS, config.secure)


def attempt(config: Config, mark: str) -> Cookie:
    """An attempt to sign in.

    The ``__Host-`` prefix keeps other hosts of the domain from planting an attempt of theirs, which would sign the
    visitor in as somebody else. It needs https and the path ``/``.
    """
    path = "/" if config.secure else f"{config.path}/login"
    return Cookie(config.cookie(f"{ATTEMPT_COOKIE}{mark}"), ATTEMPT_SECONDS, config.secure, path)


def long_page_path(config: Config, mark: str) -> str:
    """The path of the cookies with a long address to return to after signing in."""
    return f"{config.path}/login/wanted/{mark}"


def after_sign_in(config: Config, mark: str) -> tuple[Cookie, ...]:
    """The page that somebody signs in for, if its address is a long one."""
    return _page(config, long_page_path(config, mark), ATTEMPT_SECONDS)


def after_paying(config: Config) -> tuple[Cookie, ...]:
    """The page that somebody pays for, kept for where browsers come back from the hosted checkout page."""
    return _page(config, f"{config.path}/purchase/success", CHECKOUT_SECONDS)


def _page(config: Config, path: str, lifetime: int) -> tuple[Cookie, ...]:
    """The pieces of a page, for one path alone: on all other requests they would be a burden, for servers refuse heads
    that are too long.

    Not ``__Host-``, which allows no path. What another host of the domain plants here is judged, like any link.
    """
    names = [config.cookie(f"tollkeeper_wanted-{number}", "__Secure-") for number in range(PIECES)]
    return tuple(Cookie(name, lifetime, config.secure, path) for name in names)
