r"""PURE. May a browser be sent to this address?

Browsers parse addresses by the WHATWG URL Standard, servers and libraries by RFC 3986. Open redirects exploit the
differences: a browser drops tabs and newlines, and treats ``\`` as ``/``, ``。`` as a dot, ``%2e%2e`` as ``..``, and
any number of slashes after ``https:`` as two. So this module does not parse an address and then judge the result. It
accepts only a small grammar that both standards read in the same way, and refuses everything else. The grammar is a
subset of RFC 3986, except for six characters that browsers send in queries without encoding them.
"""

import re
from urllib.parse import urlsplit

LONGEST = 8 * 1024
"""The longest address that is accepted, in characters."""

_DEFAULT_PORT = {"http": ":80", "https": ":443"}
_LOOPBACK = re.compile(r"http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?")

# ``(?:25)*`` matches repeated encoding. Encoded control characters could split a header later, so they are refused
# everywhere. A careless server could decode an encoded dot, slash or backslash, so they are refused in paths.
_CONTROL = r"(?:25)*(?:[01][0-9A-Fa-f]|7[Ff])"
_PATH_MARK = r"(?:25)*(?:2[EeFf]|5[Cc])"
_HEX = r"[0-9A-Fa-f]{2}"

# No ``;``, because some servers drop it and everything after it. No segment that is empty, ``.`` or ``..``.
_SEGMENT = rf"(?!\.\.?(?:[/?#]|\Z))(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%(?!{_CONTROL}|{_PATH_MARK}){_HEX})+"
_PATH = rf"/(?:{_SEGMENT}/)*(?:{_SEGMENT})?"
# RFC 3986 does not allow ``| { } ^ ` \``, but browsers send them unencoded in queries (the query percent-encode set of
# the WHATWG URL Standard, section 1.3). In a query they have no special meaning for either; in a path ``\`` has.
_QUERY = rf"(?:[A-Za-z0-9._~!$&'()*+,=:@/?;\[\]|{{}}^`\\-]|%(?!{_CONTROL}){_HEX})*"
_AUTHORITY = r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?"
_ORIGIN = rf"(?P<scheme>https?)://(?P<authority>{_AUTHORITY})"
_ADDRESS = re.compile(rf"(?:{_ORIGIN}(?:{_PATH})?|{_PATH})(?:\?{_QUERY})?(?:#{_QUERY})?")


def may_return_to(address: str, *, public_url: str, gated_hosts: frozenset[str]) -> bool:
    """Return whether a browser may be sent to ``address``, which may come from an attacker.

    Yes for a path on our own host, and for an absolute https address on our own host or one of ``gated_hosts``
    (``host`` or ``host:port``, lower-case, compared exactly). http is accepted only if ``public_url`` is itself http on
    this machine. ``public_url`` is an origin as in ``Config``: lower-case, without a default port or a trailing slash.
    """
    if len(address) > LONGEST:
        return False
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        return False
    scheme = parts["scheme"]
    if scheme is None:
        return True
    host = parts["authority"].lower().removesuffix(_DEFAULT_PORT[scheme])
    if scheme == "http" and not _LOOPBACK.fullmatch(public_url):
        return False
    return f"{scheme}://{host}" == public_url or host in gated_hosts


def login_reaches(address: str, *, public_url: str, cookie_domain: str | None) -> bool:
    """Return whether a browser sends our login cookie to an address that it may be sent to.

    A cookie belongs to one host, on all its ports, or to a domain and all hosts under it (RFC 6265, section 5.1.3).
    On any other host a visitor needs a separate login session.
    """
    host = urlsplit(address).hostname
    if host is None or host == urlsplit(public_url).hostname:
        return True
    return cookie_domain is not None and (host == cookie_domain or host.endswith(f".{cookie_domain}"))


def host_apart(address: str, *, public_url: str, cookie_domain: str | None) -> str | None:
    """Return the host of an address that a browser may be sent to, if the login cookie does not reach it.

    The result has no port, because cookies do not distinguish ports.
    """
    reached = login_reaches(address, public_url=public_url, cookie_domain=cookie_domain)
    return None if reached else urlsplit(address).hostname
