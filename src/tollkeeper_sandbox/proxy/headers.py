"""PURE. Which headers go where: what the gate is asked with, what the app gets, and what the browser gets back."""

from collections.abc import Iterable, Mapping

Headers = list[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""

IDENTITY = (b"remote-user", b"remote-name", b"remote-email", b"remote-groups")
"""What the gate says about the visitor, and nobody else may."""

# Between two neighbours only (RFC 9110, section 7.6.1). What `connection` names is not removed as well: a visitor could
# name what the gate says.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
BODY = frozenset({b"content-length", b"content-type", b"content-encoding", b"expect"})
BY_THE_SERVER = frozenset({b"content-length", b"date", b"server"})

LOGIN_COOKIE = b"tollkeeper"
COOKIE_PREFIXES = (b"__Host-", b"__Secure-")


def to_gate(headers: Headers, *, host: str, method: str, uri: bytes) -> Headers:
    """The visitor's headers for the gate, with what was asked for. ``host`` is the app's own, never the visitor's."""
    asked = {
        b"x-forwarded-proto": b"http",
        b"x-forwarded-host": host.encode(),
        b"x-forwarded-uri": uri,
        b"x-forwarded-method": method.encode(),
    }
    return [*_without(_from_visitor(headers), BODY | {b"host"}), *asked.items()]


def to_app(headers: Headers, identity: Mapping[bytes, bytes]) -> Headers:
    """The visitor's headers for the app, with who they are. Without the login cookie: it would make the app them."""
    kept = _without(_from_visitor(headers), {b"cookie"})
    cookies = b"; ".join(_cookies_of_the_app(value for name, value in headers if name == b"cookie"))
    return [*kept, *([(b"cookie", cookies)] if cookies else []), *identity.items()]


def to_browser(headers: Headers) -> Headers:
    """The headers of a refusal, which the browser gets as it is."""
    return _without(headers, HOP_BY_HOP | BY_THE_SERVER)


def identity_in(headers: Headers) -> dict[bytes, bytes] | None:
    """Who the visitor is, as the gate says it; None unless it says each of the four exactly once, and who it is."""
    said = [(name.lower(), value) for name, value in headers if name.lower() in IDENTITY]
    found = dict(said)
    return found if len(said) == len(found) == len(IDENTITY) and found[b"remote-user"] else None


def _from_visitor(headers: Headers) -> Headers:
    return [(name, value) for name, value in headers if name not in HOP_BY_HOP and not _is_forged(name)]


def _is_forged(name: bytes) -> bool:
    """Whether only a proxy or the gate may say this. Many servers take ``Remote_User`` and ``remote.user`` for it."""
    return name.replace(b"_", b"-").replace(b".", b"-").startswith((b"remote-", b"x-forwarded-", b"forwarded"))


def _without(headers: Headers, names: Iterable[bytes]) -> Headers:
    return [(name, value) for name, value in headers if name.lower() not in names]


def _cookies_of_the_app(values: Iterable[bytes]) -> list[bytes]:
    pairs = [pair.strip(b" \t") for value in values for pair in value.split(b";")]
    return [pair for pair in pairs if pair and not _is_login(pair.partition(b"=")[0])]


def _is_login(name: bytes) -> bool:
    for prefix in COOKIE_PREFIXES:
        name = name.removeprefix(prefix)
    return name.startswith(LOGIN_COOKIE)
