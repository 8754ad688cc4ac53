"""Every setting there is, as one table, with how its value is read.

``config`` loads them, and a test keeps ``docs/settings.md`` and ``.env.example`` in step. The words for what is wrong
never repeat a value: a secret is easily pasted into the wrong line.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tollkeeper.config import offers
from tollkeeper.model import Offer

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class PublicUrl(NamedTuple):
    """Where visitors find our pages."""

    origin: str
    """Lower-case, with neither a default port nor a trailing slash."""
    path: str
    """Empty, or such as ``/pay``: no trailing slash, no ``.`` or ``..``, nothing encoded."""


class InvalidValue(ValueError):
    """A value that cannot be used: what is wrong with it, in words that follow the variable's name, and the remedy."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. ``parse`` takes stripped text that is not empty, and raises ``InvalidValue``."""

    name: str
    parse: Callable[[str], Any]
    help: str
    example: str
    default: str = ""
    required: bool = False
    many: bool = False
    """A list: separated by commas, or a list in TOML. Its value is a tuple."""
    secret: bool = False


def _matching(pattern: str, problem: str) -> Callable[[str], str]:
    """A parser of text that has one form."""
    form = re.compile(pattern)

    def parse(text: str) -> str:
        if not form.fullmatch(text):
            raise InvalidValue(problem)
        return text

    return parse


def _flag(text: str) -> bool:
    if text.lower() in ("true", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "0", "no", "off"):
        return False
    raise InvalidValue("is neither true nor false")


def _words(text: str) -> str:
    if len(text) > 80 or not text.isprintable():
        raise InvalidValue("is not one line of at most 80 characters")
    return text


_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_IPV6_HOST = re.compile(r"\[[0-9a-f:.]+\]")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


def _host(text: str) -> str:
    """A host in the one spelling that browsers send, so that comparing texts is enough."""
    host = text.lower()
    try:
        if _IPV6_HOST.fullmatch(host):
            return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        # Browsers take whatever ends in a number for an IPv4 address, whether it is written as one or not.
        if _ENDS_IN_NUMBER.fullmatch(host):
            return str(ipaddress.IPv4Address(host))
    except ipaddress.AddressValueError as error:
        raise InvalidValue("has an IP address that is not valid") from error
    if not _HOST_NAME.fullmatch(host):
        raise InvalidValue("has a host that is not valid", "Write an international name in its ASCII form, xn--…")
    return host


def _port(text: str | None, default: int) -> str:
    """``:port``, or nothing for the default port."""
    if text is None or int(text) == default:
        return ""
    if not 0 < int(text) < 65_536:
        raise InvalidValue("has a port outside 1 to 65535")
    return f":{int(text)}"


_WEB_ADDRESS = re.compile(r"(https?)://([^/?#@\\\s]+?)(?::([0-9]{1,5}))?(/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*)?", re.I)
_ON_THIS_MACHINE = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?")


def on_this_machine(origin: str) -> bool:
    """Whether an origin is http(s)://localhost, 127.0.0.1 or [::1]."""
    return _ON_THIS_MACHINE.fullmatch(origin) is not None


def _web_address(text: str) -> tuple[str, str]:
    """Origin and path of an address that is safe to talk to: plain http never leaves this machine."""
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


def _origin(text: str) -> str:
    origin, path = _web_address(text)
    if path.strip("/"):
        raise InvalidValue("has a path after the host", "Leave the path out: this setting is scheme, host and port")
    return origin


# Without dots, for those are what slashes become in the names of our cookies.
_PATH = re.compile(r"(?:/[A-Za-z0-9_~-]+)*")


def _public_url(text: str) -> PublicUrl:
    """Where visitors find our pages: a host of our own, or a path of a host that is shared."""
    origin, path = _web_address(text)
    if not _PATH.fullmatch(path.rstrip("/")):
        raise InvalidValue(
            "has an unusual path", "Use letters, digits, hyphens, underscores and single slashes, but no dots"
        )
    return PublicUrl(origin, path.rstrip("/"))


def _issuer(text: str) -> str:
    """Kept as it is written: OpenID Connect Discovery 1.0, section 4.3, compares issuers character by character."""
    _web_address(text)
    return text


_GATED_HOST = re.compile(r"([^/?#@\\\s]+?)(?::([0-9]{1,5}))?")


def _gated_host(text: str) -> str:
    if "*" in text:
        raise InvalidValue("has a wildcard", "Name each host by itself")
    parts = _GATED_HOST.fullmatch(text)
    if parts is None:
        raise InvalidValue("is not a host", "Write host or host:port, without https:// and without a path")
    return _host(parts[1]) + _port(parts[2], 443)


# Names under which a country's registry sells names: no browser lets their hosts share a cookie.
_REGISTRIES = re.compile(r"(?:ac|co|com|edu|gov|mil|net|ne|or|org)\.[a-z]{2}")


def _cookie_domain(text: str) -> str:
    domain = _host(text)
    if domain.startswith("[") or _ENDS_IN_NUMBER.fullmatch(domain):
        raise InvalidValue("is an IP address, and only the hosts of a domain can share a cookie")
    if "." not in domain or _REGISTRIES.fullmatch(domain):
        raise InvalidValue("belongs to many owners", "Name your own domain, the part that you registered")
    return domain


_LEAST_PREFIX = {4: 8, 6: 7}
_IPV4_IN_IPV6 = ipaddress.IPv6Network("::ffff:0:0/96")


def _network(text: str) -> Network:
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
_MAKE_ONE = "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"


def _secret_key(text: str) -> str:
    if len(text) < _LEAST_SECRET:
        raise InvalidValue(f"is shorter than {_LEAST_SECRET} characters", _MAKE_ONE)
    repeats = text in (text + text)[1:-1]
    if repeats or len(set(text)) < _LEAST_VARIETY or _OBVIOUS.search(text):
        raise InvalidValue("is easily guessed", _MAKE_ONE)
    return text


_DATABASES = "Write sqlite:///file, or postgresql://user:password@host/database"


def _database_url(text: str) -> str:
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


def _logo(text: str) -> Path:
    if Path(text).suffix.lower() not in (".svg", ".png"):
        raise InvalidValue("is neither an .svg nor a .png file")
    return Path(text)


def _rate(text: str) -> str:
    from limits import parse_many  # a tenth of a second to import

    remedy = "Write a count per second, minute, hour or day, such as 30/minute"
    try:
        rates = parse_many(text)
    except ValueError as error:
        raise InvalidValue("is not a rate", remedy) from error
    if len(rates) != 1 or rates[0].amount < 1:
        raise InvalidValue("is not one rate above zero", remedy)
    return text


def _whole(least: int, most: int) -> Callable[[str], int]:
    """A parser of whole numbers."""

    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise InvalidValue(f"is not a whole number from {least} to {most}")
        return int(text)

    return parse


def _bearer_token(text: str) -> str:
    """A secret as RFC 6750, section 2.1, lets it be sent."""
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", text):
        raise InvalidValue("has characters that cannot be sent in an Authorization header", _MAKE_ONE)
    return _secret_key(text)


def _offer(text: str) -> Offer:
    try:
        return offers.parse(text)
    except offers.NoOffer as error:
        raise InvalidValue(error.problem, error.remedy) from error


_token = _matching(r"(?!\.+\Z)[\x21-\x7e]{1,512}", "is a placeholder, or has characters that no such value has")
_colour = _matching("#[0-9A-Fa-f]{6}", "is not a colour of the form #rrggbb")
_price_id = _matching(r"price_[A-Za-z0-9_]+", "is not a price id, which starts with price_")

KEY = re.compile(r"[a-z][a-z0-9_-]{0,63}")
"""The form of the keys of products and features, which stand in addresses and headers."""
_feature = _matching(KEY.pattern, "is not a key: a lower-case letter, then letters, digits, - and _, 64 in all")

PRODUCT_SETTINGS: tuple[Setting, ...] = (
    Setting("name", _words, "What visitors read.", '"Pro"', required=True),
    Setting("unlocks", _feature, "The features it unlocks.", '["dashboard", "reports"]', required=True, many=True),
    Setting(
        "offers",
        _offer,
        "What it is sold for, the usual offer first: `tollkeeper setup stripe` makes prices of these.",
        '["9.99 EUR per month", "99 EUR per year"]',
        many=True,
    ),
    Setting(
        "stripe",
        _price_id,
        "Price ids at Stripe. The first is on sale, the rest keep unlocking."
        " `tollkeeper setup stripe` makes them of offers.",
        '["price_..."]',
        required=True,
        many=True,
    ),
    Setting(
        "stripe_also",
        _price_id,
        "More price ids that are on sale beside the first, such as the price by the year.",
        '["price_..."]',
        many=True,
    ),
    Setting(
        "refund_revokes_from",
        _whole(1, 100),
        "The share of what was paid, in whole percent, from which refunds end access.",
        "50",
        default="100",
    ),
    Setting(
        "dispute",
        _matching("suspend|keep", "is neither suspend nor keep"),
        "What a dispute that is opened does to access: suspend or keep.",
        '"keep"',
        default="suspend",
    ),
    Setting(
        "earlier_dispute",
        _matching("count|tell", "is neither count nor tell"),
        "What a dispute about an earlier period of a subscription does: count as one about the present period, or only"
        " be told to you (tell).",
        '"tell"',
        default="count",
    ),
    Setting(
        "promotion_codes",
        _flag,
        "Whether buyers may use promotion codes at checkout, so that less than the price, or nothing, counts as paid.",
        "true",
        default="false",
    ),
    Setting(
        "grace_days",
        _whole(0, 90),
        "For how many days a subscription goes on giving access after a payment for its renewal has failed.",
        "3",
        default="7",
    ),
    Setting(
        "trial_grace_days",
        _whole(0, 90),
        "The same for the first payment after a trial, or after a period that cost nothing.",
        "3",
        default="0",
    ),
    Setting(
        "trial_days",
        _whole(0, 730),
        "For how many days a subscription is free to begin with, once for each person.",
        "14",
        default="0",
    ),
    Setting(
        "trial_without_card",
        _flag,
        "Whether a trial begins without a card. It then ends unless the person adds one.",
        "true",
        default="false",
    ),
    Setting(
        "ends_subscription",
        _flag,
        "Whether a subscription ends by itself, with its period, once somebody buys for good all that it gives.",
        "false",
        default="true",
    ),
)
"""What stands in ``[products.KEY]`` of ``tollkeeper.toml``."""

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "PUBLIC_URL",
        _public_url,
        "Where visitors find Tollkeeper: scheme, host and port, and a path if it shares the host. https, except on this"
        " machine.",
        "https://pay.example.com",
        required=True,
    ),
    Setting(
        "SECRET_KEY",
        _secret_key,
        "Random text of 32 characters or more that signs what browsers carry. The first signs, all verify. "
        f"{_MAKE_ONE}",
        "replace-with-random-text",
        required=True,
        many=True,
        secret=True,
    ),
    Setting(
        "DATABASE_URL",
        _database_url,
        "SQLite file (relative to the working folder) or PostgreSQL address.",
        "postgresql://tollkeeper:password@localhost/tollkeeper",
        default="sqlite:///tollkeeper.sqlite3",
        secret=True,
    ),
    Setting(
        "TRUSTED_PROXIES",
        _network,
        "IP addresses or networks of your own proxies, whose X-Forwarded headers are believed. Nobody's by default.",
        "127.0.0.1,10.0.0.0/24",
        many=True,
    ),
    Setting(
        "GATED_HOSTS",
        _gated_host,
        "Other hosts, as host or host:port, that visitors may be sent back to after they sign in or pay.",
        "app.example.com,reports.example.com",
        many=True,
    ),
    Setting(
        "COOKIE_DOMAIN",
        _cookie_domain,
        "Your own domain, if hosts of it share the login cookie. PUBLIC_URL's host must belong to it. "
        "Otherwise the cookie is for PUBLIC_URL's host alone.",
        "example.com",
    ),
    Setting(
        "METRICS_TOKEN",
        _bearer_token,
        "Random text of 32 characters or more, with which Prometheus reads /metrics. Several are all good, so that it "
        "can be changed. Without one there is no such address.",
        "...",
        many=True,
        secret=True,
    ),
    Setting(
        "SWEEP_HOURS",
        _whole(1, 720),
        "Within how many hours everybody who bought something is asked about at the provider, at least once.",
        "6",
        default="24",
    ),
    Setting(
        "SIGN_IN_RATE",
        _rate,
        "How often one IP address, or IPv6 network (/64), may start to sign in.",
        "30/minute",
        default="30/minute",
    ),
    Setting("PURCHASE_RATE", _rate, "How often one person may start to pay.", "20/minute", default="20/minute"),
    Setting(
        "STRIPE_API_KEY",
        _matching(r"(?:sk|rk)_(?:test|live)_[A-Za-z0-9_]+", "is not a secret or restricted key of Stripe"),
        "Stripe's secret or restricted key, from Developers > API keys in its dashboard.",
        "sk_test_...",
        required=True,
        secret=True,
    ),
    Setting(
        "STRIPE_PUBLIC",
        _matching(r"pk_(?:test|live)_[A-Za-z0-9_]+", "is not a publishable key of Stripe"),
        "Stripe's publishable key. Hosted checkout does without; if set, it must be in the mode of STRIPE_API_KEY.",
        "pk_test_...",
    ),
    Setting(
        "STRIPE_WEBHOOK_SECRET",
        _matching(r"whsec_[A-Za-z0-9+/=_-]+", "is not a webhook secret, which starts with whsec_"),
        "Signing secrets of the webhook endpoint. Without one there is no webhook address, "
        "and polling alone brings events.",
        "whsec_...",
        many=True,
        secret=True,
    ),
    Setting(
        "PRODUCT_PRICE_ID",
        _price_id,
        "The price of the one product, which unlocks the dashboard. For more products, or a policy of its own, leave "
        "it out and write [products] in tollkeeper.toml.",
        "price_...",
    ),
    Setting(
        "STRIPE_AUTOMATIC_TAX",
        _flag,
        "Let Stripe Tax compute tax at checkout. It must be turned on in Stripe's dashboard first.",
        "true",
        default="false",
    ),
    Setting(
        "ALLOW_TEST_MODE",
        _flag,
        "Allow a test key on a public address, for staging: anybody can then get in with a test card.",
        "true",
        default="false",
    ),
    Setting(
        "STRIPE_API_BASE",
        _origin,
        "Another server that speaks Stripe's API, such as the sandbox. Test keys only.",
        "http://127.0.0.1:4001",
    ),
    Setting(
        "STRIPE_CHECKOUT_URL",
        _origin,
        "Origin of the hosted checkout pages, for a custom checkout domain. Otherwise STRIPE_API_BASE, "
        "or https://checkout.stripe.com.",
        "https://checkout.example.com",
    ),
    Setting("GOOGLE_CLIENT_ID", _token, "Sign in with Google.", "1234-abcd.apps.googleusercontent.com"),
    Setting("GOOGLE_CLIENT_SECRET", _token, "The secret that belongs to it.", "GOCSPX-...", secret=True),
    Setting(
        "GITHUB_CLIENT_ID",
        _token,
        "Sign in with GitHub: the id of an OAuth app, not of a GitHub App.",
        "Ov23li0123456789abcd",
    ),
    Setting("GITHUB_CLIENT_SECRET", _token, "The secret that belongs to it.", "...", secret=True),
    Setting("OIDC_ISSUER", _issuer, "Sign in with any OpenID Connect issuer.", "https://id.example.com/realms/main"),
    Setting("OIDC_CLIENT_ID", _token, "The client id at that issuer.", "tollkeeper"),
    Setting("OIDC_CLIENT_SECRET", _token, "The secret that belongs to it.", "...", secret=True),
    Setting("OIDC_NAME", _words, "Its name on the sign-in button. The issuer's host if left out.", "Example ID"),
    Setting(
        "OIDC_CLIENT_AUTH",
        _matching("client_secret_basic|client_secret_post", "is neither client_secret_basic nor client_secret_post"),
        "How the client secret is sent to that issuer: client_secret_basic or client_secret_post.",
        "client_secret_post",
        default="client_secret_basic",
    ),
    Setting("SITE_NAME", _words, "The name on every page.", "Example Reports", default="Tollkeeper"),
    Setting("ACCENT_COLOR", _colour, "The colour of buttons, as #rrggbb.", "#0f766e", default="#ffb81c"),
    Setting("SITE_LOGO", _logo, "An .svg or .png file.", "brand/logo.svg"),
    Setting("DASHBOARD_FILE", Path, "An HTML fragment to show as the dashboard.", "brand/dashboard.html"),
    Setting("TEMPLATES_DIR", Path, "A folder of templates that replace ours of the same name.", "brand/templates"),
)
