"""May a browser be sent to this address? Pure.

Browsers read addresses by the WHATWG URL Standard, servers and libraries by RFC 3986, and redirects to strangers live
in the difference: a browser drops tabs and newlines, takes ``\\`` for ``/``, any number of slashes after ``https:``,
``。`` for a dot and ``%2e%2e`` for ``..``. So nothing is parsed and judged here. What may pass is a small grammar
that both read alike, and whatever the grammar does not name is refused. It lies inside RFC 3986, but for the six
characters that browsers send in queries as they are typed.
"""

import re
from urllib.parse import urlsplit

LONGEST = 8 * 1024
"""Characters of the longest address that is considered."""

_DEFAULT_PORT = {"http": ":80", "https": ":443"}
_LOOPBACK = re.compile(r"http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?")

# ``(?:25)*`` sees through repeated encoding. Encoded control characters could split a header further on, so they pass
# nowhere; an encoded dot, slash or backslash would become a real one in a careless server, so it passes in no path.
_CONTROL = r"(?:25)*(?:[01][0-9A-Fa-f]|7[Ff])"
_PATH_MARK = r"(?:25)*(?:2[EeFf]|5[Cc])"
_HEX = r"[0-9A-Fa-f]{2}"

# No ``;``, which some servers cut off together with what follows; no segment that is empty, ``.`` or ``..``.
_SEGMENT = rf"(?!\.\.?(?:[/?#]|\Z))(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%(?!{_CONTROL}|{_PATH_MARK}){_HEX})+"
_PATH = rf"/(?:{_SEGMENT}/)*(?:{_SEGMENT})?"
# And what RFC 3986 has nowhere, but browsers leave in queries: the query percent-encode set of the WHATWG URL Standard,
# section 1.3, names none of ``| { } ^ ` \``. After a question mark they mean nothing to either; in a path ``\`` does.
_QUERY = rf"(?:[A-Za-z0-9._~!$&'()*+,=:@/?;\[\]|{{}}^`\\-]|%(?!{_CONTROL}){_HEX})*"
_AUTHORITY = r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?"
_ORIGIN = rf"(?P<scheme>https?)://(?P<authority>{_AUTHORITY})"
_ADDRESS = re.compile(rf"(?:{_ORIGIN}(?:{_PATH})?|{_PATH})(?:\?{_QUERY})?(?:#{_QUERY})?")


def may_return_to(address: str, *, public_url: str, gated_hosts: frozenset[str]) -> bool:
    """Whether a browser may be sent to ``address``, which anybody may have written.

    Yes for a path on our own host, and for an absolute https address on our own host or one of ``gated_hosts``
    (``host`` or ``host:port``, lower-case, compared exactly). http is accepted only where ``public_url`` is itself http
    on this machine. ``public_url`` is an origin as ``Config`` keeps it: lower-case, with
    neither a default port nor a trailing slash.
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
    """Whether a browser that goes to an address, which it may be sent to, takes our login cookie along.

    A cookie belongs to one host, whatever the port, or to a domain and all hosts under it (RFC 6265, section 5.1.3).
    At any other host a visitor needs a login session of that host.
    """
    host = urlsplit(address).hostname
    if host is None or host == urlsplit(public_url).hostname:
        return True
    return cookie_domain is not None and (host == cookie_domain or host.endswith(f".{cookie_domain}"))


def host_apart(address: str, *, public_url: str, cookie_domain: str | None) -> str | None:
    """The host of an address, which a browser may be sent to, if the login cookie does not reach it.

    Without the port: cookies do not tell ports apart.
    """
    reached = login_reaches(address, public_url=public_url, cookie_domain=cookie_domain)
    return None if reached else urlsplit(address).hostname
