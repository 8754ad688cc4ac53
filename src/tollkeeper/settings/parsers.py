"""Parsers of the values of settings.

An error message never repeats the value, because a secret is easily pasted into the wrong line.
"""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tollkeeper.model.selling import Offer
from tollkeeper.settings import offers

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class PublicUrl(NamedTuple):
    """The public address of our pages."""

    origin: str
    """Lower-case, without a default port or a trailing slash."""
    path: str
    """Empty, or a path such as ``/pay``: no trailing slash, no ``.`` or ``..``, nothing encoded."""


class InvalidValue(ValueError):
    """A value that cannot be used: what is wrong with it, as a text that follows the setting's name, and the remedy."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def matching(pattern: str, problem: str) -> Callable[[str], str]:
    """Return a parser for text that matches a pattern."""
    form = re.compile(pattern)

    def parse(text: str) -> str:
        if not form.fullmatch(text):
            raise InvalidValue(problem)
        return text

    return parse


def flag(text: str) -> bool:
    if text.lower() in ("true", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "0", "no", "off"):
        return False
    raise InvalidValue("is neither true nor false")


def text_(text: str) -> str:
    if len(text) > 80 or not text.isprintable():
        raise InvalidValue("is not one line of at most 80 characters")
    return text


_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")


_IPV6_HOST = re.compile(r"\[[0-9a-f:.]+\]")


_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


def _host(text: str) -> str:
    """Return a host in the spelling that browsers send, so that hosts can be compared as texts."""
    host = text.lower()
    try:
        if _IPV6_HOST.fullmatch(host):
            return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        # Browsers treat any host whose last part is a number as an IPv4 address.
        if _ENDS_IN_NUMBER.fullmatch(host):
            return str(ipaddress.IPv4Address(host))
    except ipaddress.AddressValueError as error:
        raise InvalidValue("has an IP address that is not valid") from error
    if not _HOST_NAME.fullmatch(host):
        raise InvalidValue("has a host that is not valid", "Write an international name in its ASCII form, xn--…")
    return host


def _port(text: str | None, default: int) -> str:
    """Return ``:port``, or an empty text for the default port."""
    if text is None or int(text) == default:
        return ""
    if not 0 < int(text) < 65_536:
        raise InvalidValue("has a port outside 1 to 65535")
    return f":{int(text)}"


_WEB_ADDRESS = re.compile(r"(https?)://([^/?#@\\\s]+?)(?::([0-9]{1,5}))?(/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*)?", re.I)


_ON_THIS_MACHINE = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?")


def on_this_machine(origin: str) -> bool:
    """Return whether an origin's host is ``localhost``, ``127.0.0.1`` or ``[::1]``."""
    return _ON_THIS_MACHINE.fullmatch(origin) is not None


def _web_address(text: str) -> tuple[str, str]:
    """Return the origin and path of an address. Plain http is accepted only on this machine."""
    parts = _WEB_ADDRESS.fullmatch(text)
    if parts is None:
        raise InvalidValue(
            "is not an address of the form https://host", "Leave out user name, query, fragment and spaces"
        )
    scheme = parts[1].lower()
    origin = f"{scheme}://{_host(parts[2])}{_port(parts[3], 443 if scheme == 'https' else 80)}"
    if scheme == "http" and not on_this_machine(origin):
        raise InvalidValue(
            "uses http outside this machine",
            "Use https; plain http is for http://localhost, http://127.0.0.1 and http://[::1] alone",
        )
    return origin, parts[4] or ""


def origin(text: str) -> str:
    origin, path = _web_address(text)
    if path.strip("/"):
        raise InvalidValue("has a path after the host", "Leave the path out: this setting is scheme, host and port")
    return origin


# Without dots, because slashes become dots in the names of our cookies.
_PATH = re.compile(r"(?:/[A-Za-z0-9_~-]+)*")


def public_url(text: str) -> PublicUrl:
    """Parse the public address of our pages: a host of our own, or a path on a shared host."""
    origin, path = _web_address(text)
    if not _PATH.fullmatch(path.rstrip("/")):
        raise InvalidValue(
            "has an unusual path", "Use letters, digits, hyphens, underscores and single slashes, but no dots"
        )
    return PublicUrl(origin, path.rstrip("/"))


def issuer(text: str) -> str:
    """Check an issuer, and return it unchanged: OpenID Connect Discovery 1.0, section 4.3, requires an exact match."""
    _web_address(text)
    return text


_GATED_HOST = re.compile(r"([^/?#@\\\s]+?)(?::([0-9]{1,5}))?")


def gated_host(text: str) -> str:
    if "*" in text:
        raise InvalidValue("has a wildcard", "Name each host by itself")
    parts = _GATED_HOST.fullmatch(text)
    if parts is None:
        raise InvalidValue("is not a host", "Write host or host:port, without https:// and without a path")
    return _host(parts[1]) + _port(parts[2], 443)


# Second-level names under which registries sell domains. No browser lets hosts under them share a cookie.
_REGISTRIES = re.compile(r"(?:ac|co|com|edu|gov|mil|net|ne|or|org)\.[a-z]{2}")


def cookie_domain(text: str) -> str:
    domain = _host(text)
    if domain.startswith("[") or _ENDS_IN_NUMBER.fullmatch(domain):
        raise InvalidValue("is an IP address, and only the hosts of a domain can share a cookie")
    if "." not in domain or _REGISTRIES.fullmatch(domain):
        raise InvalidValue("belongs to many owners", "Name your own domain, the part that you registered")
    return domain


_LEAST_PREFIX = {4: 8, 6: 7}


_IPV4_IN_IPV6 = ipaddress.IPv6Network("::ffff:0:0/96")


def network(text: str) -> Network:
    if text == "*":
        raise InvalidValue("trusts everybody", "Name the addresses of your own proxies")
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise InvalidValue("is neither an IP address nor a network such as 10.0.0.0/24") from error
    if network.prefixlen < _LEAST_PREFIX[network.version]:
        raise InvalidValue("trusts nearly everybody", "Name the addresses of your own proxies")
    if isinstance(network, ipaddress.IPv6Network) and network.overlaps(_IPV4_IN_IPV6):
        raise InvalidValue("covers IPv4 addresses in their IPv6 form", "Write them as IPv4")
    return network


_LEAST_SECRET = 32


_LEAST_VARIETY = 8


_OBVIOUS = re.compile(
    r"change.?me|replace.?|example|insecure|password|placeholder|your.?secret|qwerty|abcdefgh|01234567|12345678", re.I
)


MAKE_ONE = "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"


def secret_key(text: str) -> str:
    if len(text) < _LEAST_SECRET:
        raise InvalidValue(f"is shorter than {_LEAST_SECRET} characters", MAKE_ONE)
    repeats = text in (text + text)[1:-1]
    if repeats or len(set(text)) < _LEAST_VARIETY or _OBVIOUS.search(text):
        raise InvalidValue("is easily guessed", MAKE_ONE)
    return text


_DATABASES = "Write sqlite:///file, or postgresql://user:password@host/database"


def database_url(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme == "sqlite":
        return _sqlite_url(rest)
    if scheme in ("postgresql", "postgres"):
        return _postgresql_url(rest)
    raise InvalidValue("names a database that is neither SQLite nor PostgreSQL", _DATABASES)


def _sqlite_url(rest: str) -> str:
    path = rest.removeprefix("/")
    if path == rest or path in ("", ":memory:") or "?" in path:
        raise InvalidValue("does not name a file", _DATABASES)
    return f"sqlite:///{path}"


def _postgresql_url(rest: str) -> str:
    url = f"postgresql://{rest}"
    try:
        parts = urlsplit(url)
        complete = parts.path.strip("/") != "" and parts.fragment == "" and parts.port != 0
    except ValueError:
        complete = False
    if not complete:
        raise InvalidValue(
            "is not a complete PostgreSQL address", f"{_DATABASES}; write # / : @ in a password as %23 %2F %3A %40"
        )
    return url


def logo_file(text: str) -> Path:
    if Path(text).suffix.lower() not in (".svg", ".png"):
        raise InvalidValue("is neither an .svg nor a .png file")
    return Path(text)


def rate(text: str) -> str:
    from limits import parse_many  # imported here because it takes a tenth of a second

    remedy = "Write a count per second, minute, hour or day, such as 30/minute"
    try:
        rates = parse_many(text)
    except ValueError as error:
        raise InvalidValue("is not a rate", remedy) from error
    if len(rates) != 1 or rates[0].amount < 1:
        raise InvalidValue("is not one rate above zero", remedy)
    return text


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a parser for whole numbers in a range."""

    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise InvalidValue(f"is not a whole number from {least} to {most}")
        return int(text)

    return parse


def bearer_token(text: str) -> str:
    """Parse a secret in the syntax of RFC 6750, section 2.1."""
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", text):
        raise InvalidValue("has characters that cannot be sent in an Authorization header", MAKE_ONE)
    return secret_key(text)


def offer(text: str) -> Offer:
    try:
        return offers.parse(text)
    except offers.NoOffer as error:
        raise InvalidValue(error.problem, error.remedy) from error


token = matching(r"(?!\.+\Z)[\x21-\x7e]{1,512}", "is a placeholder, or has characters that no such value has")


colour = matching("#[0-9A-Fa-f]{6}", "is not a colour of the form #rrggbb")


KEY = re.compile(r"[a-z][a-z0-9_-]{0,63}")
"""The syntax of the keys of products and features, which appear in addresses and headers."""


feature = matching(KEY.pattern, "is not a key: a lower-case letter, then letters, digits, - and _, 64 in all")
