"""Loads the settings from the environment, ``.env`` and ``tollkeeper.toml``, and reports every fault at once."""

import difflib
import io
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv.parser import parse_stream

from tollkeeper.config.settings import KEY, PRODUCT_SETTINGS, SETTINGS, InvalidValue, Network, Setting, on_this_machine
from tollkeeper.errors import ConfigurationError, Fault
from tollkeeper.model import Policy, Product
from tollkeeper.redirects import login_reaches

GOOGLE_ISSUER = "https://accounts.google.com"
GITHUB_ISSUER = "https://github.com"
STRIPE_CHECKOUT = "https://checkout.stripe.com"
STRIPE_PORTAL = "https://billing.stripe.com"


@dataclass(frozen=True, slots=True)
class StripeSettings:
    """How to reach Stripe. Without webhook secrets there is no webhook address."""

    api_key: str = field(repr=False)
    publishable_key: str | None = None
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    automatic_tax: bool = False
    api_base: str | None = None
    """Origin of another server that speaks Stripe's API; None for Stripe itself."""
    checkout_origin: str = STRIPE_CHECKOUT

    @property
    def hosted_origins(self) -> frozenset[str]:
        """Where the pages are to which buyers are sent: the checkout, and the portal where cards and plans are kept."""
        return frozenset({self.checkout_origin, self.api_base or STRIPE_PORTAL})

    @property
    def live(self) -> bool:
        """Whether the key moves real money."""
        return _is_live(self.api_key)


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """One way to sign in. ``id`` is its place in addresses, ``name`` the word on its button."""

    id: str
    name: str
    kind: Literal["openid", "github"]
    issuer_url: str
    """The issuer, exactly as it names itself; where discovery starts, except at GitHub, which has none."""
    client_id: str
    client_secret: str = field(repr=False)
    client_auth: str = "client_secret_basic"


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """What the pages look like. Paths are absolute, and exist."""

    name: str = "Tollkeeper"
    accent: str = "#ffb81c"
    logo: Path | None = None
    dashboard_file: Path | None = None
    templates_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Settings that hold together, ready for use. ``load`` makes it."""

    public_url: str
    """Our origin: lower-case, with neither a default port nor a trailing slash."""
    secret_keys: tuple[str, ...] = field(repr=False)
    """The first signs, all verify."""
    database_url: str = field(repr=False)
    """``sqlite:///`` and an absolute path, or ``postgresql://``."""
    stripe: StripeSettings
    issuers: tuple[IssuerSettings, ...]
    products: tuple[Product, ...]
    """A product named "" goes by the provider's name for it."""
    path: str = ""
    """Where on that origin our pages are, if they share it: such as ``/pay``."""
    gated_hosts: frozenset[str] = frozenset()
    cookie_domain: str | None = None
    """``public_url`` is a host of this domain, and https. Without one the login cookie is our own host's alone."""
    trusted_proxies: tuple[Network, ...] = ()
    site: SiteSettings = SiteSettings()
    metrics_tokens: tuple[str, ...] = field(default=(), repr=False)
    """Any of them opens the metrics. Without one there is no such address."""
    sweep_hours: int = 24
    sign_in_rate: str = "30/minute"
    """As the limits library writes rates; so is ``purchase_rate``."""
    purchase_rate: str = "20/minute"

    @property
    def secure(self) -> bool:
        """Whether visitors come over https, so that cookies can insist on it."""
        return self.public_url.startswith("https://")

    @property
    def base_url(self) -> str:
        """What every address of ours begins with: the origin, and our path on it."""
        return self.public_url + self.path

    @property
    def front_page(self) -> str:
        """The path of our first page."""
        return f"{self.path}/"

    @property
    def gated_origins(self) -> frozenset[str]:
        """The origins of the gated hosts: https, and plain http where we are on this machine ourselves."""
        schemes = ("https",) if self.secure else ("https", "http")
        return frozenset(f"{scheme}://{host}" for scheme in schemes for host in self.gated_hosts)

    def cookie(self, name: str, prefix: str = "__Host-") -> str:
        """What a cookie of ours is called. Two Tollkeepers on one host have cookies of their own: no path has a dot.

        Over https the prefix has browsers refuse it from plain http, and ``__Host-`` also from other hosts of the
        domain (RFC 6265bis, section 4.1.3).
        """
        return f"{prefix if self.secure else ''}{name}{self.path.replace('/', '.')}"

    @property
    def login_cookie(self) -> str:
        """The login session's cookie: for every page of the host, those beside ours too."""
        return self.cookie("tollkeeper", "__Secure-" if self.cookie_domain else "__Host-")

    @property
    def login_cookie_apart(self) -> str:
        """The login session's cookie at a host that has one of its own."""
        return self.cookie("tollkeeper")

    @property
    def live(self) -> bool:
        """Whether real money moves."""
        return self.stripe.live

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """What is allowed, but is hardly meant."""
        return (NO_PROXY,) if self.secure and not self.trusted_proxies else ()


NO_PROXY = Fault(
    "TRUSTED_PROXIES",
    "PUBLIC_URL is https, which Tollkeeper does not speak itself: a proxy stands before it, but none is trusted. So all"
    " visitors count as one, who uses up SIGN_IN_RATE, and the gate cannot tell which page or host was asked for.",
    "Set it to the address that the proxy's requests come from, such as 127.0.0.1.",
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a provider's account is to be set up for. ``load_wishes`` makes it."""

    base_url: str
    """What every address of ours begins with."""
    stripe: StripeSettings
    products: tuple[Product, ...]
    """Some may have no prices yet, but then they have offers."""


Texts = dict[str, tuple[str, ...]]
"""What is set, by the name of the setting: one text, or several for a list; stripped, never blank."""

_BY_NAME = {setting.name: setting for setting in SETTINGS}


def load(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Config:
    """The configuration of this process. The environment outranks ``.env``, and that ``tollkeeper.toml``.

    ``environ`` is the process's own if left out. ``folder`` is the working folder, the current one if left out: it
    holds both files, if they exist, and relative paths start there. A blank value counts as unset. Raises
    ``ConfigurationError`` with every fault there is.
    """
    environ, folder = os.environ if environ is None else environ, folder or Path()
    faults: list[Fault] = []
    texts, tables = _sources(environ, folder, faults)
    values = _parse(SETTINGS, texts, "", faults)
    products = _catalog(tables, texts, values, faults)
    _place_files(values, folder.absolute(), faults)
    faults += _mode_faults(values)
    faults += _cookie_faults(values)
    faults += _issuer_faults(texts)
    if faults:
        raise ConfigurationError(tuple(faults))
    return _config(values, products)


def load_wishes(environ: Mapping[str, str], folder: Path) -> Wishes:
    """The part of the configuration that an account is set up by, before there is any price. Faults as in ``load``."""
    faults: list[Fault] = []
    texts, tables = _sources(environ, folder, faults)
    values = _parse([setting for setting in SETTINGS if setting.name in _TO_SET_UP], texts, "", faults)
    if tables or "PRODUCT_PRICE_ID" in texts:
        products = _catalog(tables, texts, values, faults, _WISHED)
    else:
        products = ()
        faults.append(Fault("products", "are not there: nothing is for sale", _EXAMPLE))
    faults += [
        Fault(f"products.{key}.offers", "is not set, and there are no prices", _EXAMPLE)
        for key, table in tables.items()
        if isinstance(table, dict) and not {"offers", "stripe"} & {name.lower() for name in table}
    ]
    faults += _mode_faults(values)
    if faults:
        raise ConfigurationError(tuple(faults))
    address = values["PUBLIC_URL"].origin + values["PUBLIC_URL"].path
    return Wishes(address, _stripe(values), products)


_TO_SET_UP = {
    "PUBLIC_URL",
    "STRIPE_API_KEY",
    "STRIPE_PUBLIC",
    "STRIPE_WEBHOOK_SECRET",
    "PRODUCT_PRICE_ID",
    "STRIPE_AUTOMATIC_TAX",
    "ALLOW_TEST_MODE",
    "STRIPE_API_BASE",
    "STRIPE_CHECKOUT_URL",
}
_WISHED = tuple(
    replace(setting, required=setting.required and setting.name != "stripe") for setting in PRODUCT_SETTINGS
)
_EXAMPLE = """Write what you sell into tollkeeper.toml, for example:

      [products.pro]
      name = "Pro"
      unlocks = ["dashboard"]
      offers = ["9.99 EUR per month", "99 EUR per year"]"""


def _sources(environ: Mapping[str, str], folder: Path, faults: list[Fault]) -> tuple[Texts, dict[str, Any]]:
    """What is set anywhere, and the tables of products by their keys."""
    env_file = _read_env_file(folder / ".env", faults)
    toml_file, tables = _read_toml(folder / "tollkeeper.toml", faults)
    faults += _near_misses(environ)
    return toml_file | env_file | _texts(environ), tables


def _read(path: Path, faults: list[Fault]) -> str:
    """A file's text; nothing if there is no such file."""
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        faults.append(Fault(str(path), f"cannot be read ({type(error).__name__})", "Make it a readable text in UTF-8"))
    return ""


def _read_env_file(path: Path, faults: list[Fault]) -> Texts:
    """Values are taken as they stand: ``$`` is not expanded, since secrets may contain it."""
    found: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(_read(path, faults))):
        if binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
        elif binding.key is not None or binding.error:
            faults.append(Fault(f"{path.name}, line {binding.original.line}", "is not NAME=value", "Mend or remove it"))
    faults += [_unknown(name, name, _BY_NAME, path.name) for name in found if name not in _BY_NAME]
    return _texts(found)


def _texts(source: Mapping[str, str]) -> Texts:
    """Our settings in a source that knows only text."""
    split = {name: _split(setting, source.get(name, "")) for name, setting in _BY_NAME.items()}
    return {name: items for name, items in split.items() if items}


def _split(setting: Setting, text: str) -> tuple[str, ...]:
    items = text.split(",") if setting.many else [text]
    return tuple(item.strip() for item in items if item.strip())


def _read_toml(path: Path, faults: list[Fault]) -> tuple[Texts, dict[str, Any]]:
    """The settings, and the tables of products by their keys."""
    try:
        content = tomllib.loads(_read(path, faults))
    except tomllib.TOMLDecodeError as error:
        faults.append(Fault(path.name, f"is not TOML: {error}", "Mend that line"))
        return {}, {}
    tables = content.pop("products", {})
    if not isinstance(tables, dict):
        faults.append(Fault("products", "is not a table", "Write [products.KEY] with name, unlocks and stripe"))
        tables = {}
    return _from_toml(content, SETTINGS, "", path.name, faults), tables


def _from_toml(
    content: Mapping[str, Any], settings: Iterable[Setting], prefix: str, place: str, faults: list[Fault]
) -> Texts:
    """The settings in one TOML table, whose keys may be in lower or upper case."""
    by_key = {setting.name.lower(): setting for setting in settings}
    names = [setting.name for setting in settings] + ([] if prefix else ["products"])
    texts: Texts = {}
    for key, value in content.items():
        setting = by_key.get(key.lower())
        if setting is None:
            faults.append(_unknown(f"{prefix}{key}", key, names, place))
        elif setting.name in texts:
            faults.append(Fault(f"{prefix}{setting.name}", f"is in {place} twice", "Keep one of them"))
        elif (items := _toml_items(setting, value)) is None:
            faults.append(Fault(f"{prefix}{setting.name}", "is neither text nor a list of texts", "Put it in quotes"))
        elif items:
            texts[setting.name] = items
    return texts


def _toml_items(setting: Setting, value: object) -> tuple[str, ...] | None:
    """A TOML value as texts; None for a type that no setting has."""
    match value:
        case str():
            return _split(setting, value)
        case bool() | int():
            return (str(value).lower(),)
        case list() if all(isinstance(item, str) for item in value):
            return tuple(item.strip() for item in value if item.strip())
    return None


def _unknown(variable: str, name: str, names: Iterable[str], place: str) -> Fault:
    by_lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    remedy = f"Did you mean {by_lower[close[0]]}?" if close else "Remove it; docs/settings.md lists what there is"
    return Fault(variable, f"is not a setting, but stands in {place}", remedy)


def _near_misses(environ: Mapping[str, str]) -> Iterator[Fault]:
    """Slips of the pen in the environment. It belongs to other programs too, so only what is nearly ours counts.

    A number at the end is no slip: that is how another program names its second database or key.
    """
    for name, value in environ.items():
        if name in _BY_NAME or name.rstrip("0123456789").rstrip("_") in _BY_NAME or not value.strip():
            continue
        for close in difflib.get_close_matches(name.upper(), _BY_NAME, n=1, cutoff=0.9):
            yield Fault(name, "is not a setting, but nearly one, in the environment", f"Did you mean {close}?")


def _parse(settings: Iterable[Setting], texts: Texts, prefix: str, faults: list[Fault]) -> dict[str, Any]:
    """The values of the settings that have no fault. One that is not set is its default, None, or an empty tuple."""
    values: dict[str, Any] = {}
    for setting in settings:
        value, unfit = _value(setting, texts.get(setting.name) or ((setting.default,) if setting.default else ()))
        if not unfit:
            values[setting.name] = value
        variable = f"{prefix}{setting.name}"
        example = f"For example: {variable}={setting.example}"
        faults += [Fault(variable, each.problem, each.remedy or example) for each in unfit]
    return values


def _value(setting: Setting, items: tuple[str, ...]) -> tuple[Any, list[InvalidValue]]:
    """The value that some texts make, and all that is wrong with them."""
    if setting.required and not items:
        return None, [InvalidValue("is not set", f"{setting.help} For example: {setting.example}")]
    if len(items) > 1 and not setting.many:
        return None, [InvalidValue("is a list, but takes one value")]
    parsed, unfit = [], []
    for place, item in enumerate(items, start=1):
        try:
            parsed.append(setting.parse(item))
        except InvalidValue as error:
            entry = f"entry {place} " if len(items) > 1 else ""
            unfit.append(InvalidValue(f"{entry}{error.problem}", error.remedy))
    return tuple(parsed) if setting.many else next(iter(parsed), None), unfit


def _catalog(
    tables: Mapping[str, Any],
    texts: Texts,
    values: Mapping[str, Any],
    faults: list[Fault],
    settings: Sequence[Setting] = PRODUCT_SETTINGS,
) -> tuple[Product, ...]:
    """The products, from ``[products]`` or from the one price."""
    one = "PRODUCT_PRICE_ID" in texts
    if tables and one:
        faults.append(
            Fault("PRODUCT_PRICE_ID", "is set beside [products]", "Move the price into a product, or remove [products]")
        )
    if not tables and not one:
        remedy = "Set it to the id of a price, or write [products.KEY] in tollkeeper.toml"
        faults.append(Fault("PRODUCT_PRICE_ID", "is not set, and there are no products: nothing is for sale", remedy))
    if tables:
        products = [_product(key, table, faults, settings) for key, table in tables.items()]
        faults += _shared_prices(products)
        return tuple(products)
    prices = (values.get("PRODUCT_PRICE_ID"),)
    return tuple(Product("dashboard", "", frozenset({"dashboard"}), {"stripe": (price,)}) for price in prices if price)


def _product(key: str, table: object, faults: list[Fault], settings: Sequence[Setting]) -> Product:
    """One product; where it has faults, as much of it as has none."""
    place = f"products.{key if KEY.fullmatch(key) else repr(key[:64])}"
    if not KEY.fullmatch(key):
        remedy = "Use a lower-case letter, then letters, digits, - and _, 64 in all"
        faults.append(Fault(place, "is not a key", remedy))
    if not isinstance(table, dict):
        faults.append(Fault(place, "is not a table", f"Write [{place}] with name, unlocks and stripe"))
        return Product(key, "", frozenset(), {"stripe": ()})
    texts = _from_toml(table, settings, f"{place}.", "tollkeeper.toml", faults)
    values = _parse(settings, texts, f"{place}.", faults)
    listed, also, offers = (values.get(name, ()) for name in ("stripe", "stripe_also", "offers"))
    if len(set(offers)) < len(offers):
        faults.append(Fault(f"{place}.offers", "has the same offer twice", "Keep one of them"))
    return Product(
        key,
        values.get("name", ""),
        frozenset(values.get("unlocks", ())),
        {"stripe": listed + also},
        _policy(values),
        {"stripe": listed[:1] + also} if also else {},
        offers,
    )


def _policy(values: Mapping[str, Any]) -> Policy:
    """What the seller decided; what has a fault is as by default."""
    usual = Policy()
    return Policy(
        refund_revokes_from=values.get("refund_revokes_from", usual.refund_revokes_from),
        dispute_suspends=values.get("dispute") != "keep",
        earlier_dispute_counts=values.get("earlier_dispute") != "tell",
        promotion_codes=values.get("promotion_codes", usual.promotion_codes),
        grace_days=values.get("grace_days", usual.grace_days),
        trial_grace_days=values.get("trial_grace_days", usual.trial_grace_days),
        trial_days=values.get("trial_days", usual.trial_days),
        trial_without_card=values.get("trial_without_card", usual.trial_without_card),
        ends_subscription=values.get("ends_subscription", usual.ends_subscription),
    )


def _shared_prices(products: Iterable[Product]) -> Iterator[Fault]:
    owner: dict[str, str] = {}
    for product in products:
        for price in product.prices["stripe"]:
            if price in owner:
                problem = f"lists a price that products.{owner[price]} lists already"
                yield Fault(f"products.{product.key}.stripe", problem, "A price belongs to one product, once")
            owner[price] = product.key


def _place_files(values: dict[str, Any], folder: Path, faults: list[Fault]) -> None:
    """Make paths absolute, and see that what must exist does."""
    for name, exists in {
        "SITE_LOGO": Path.is_file,
        "DASHBOARD_FILE": Path.is_file,
        "TEMPLATES_DIR": Path.is_dir,
    }.items():
        if values.get(name) is not None:
            values[name] = folder / values[name]
            if not exists(values[name]):
                kind = "folder" if exists is Path.is_dir else "file"
                faults.append(Fault(name, f"names no {kind}: {values[name]}", "Paths start in the working folder"))
    scheme, _, path = values.get("DATABASE_URL", "").partition(":///")
    if scheme == "sqlite":
        values["DATABASE_URL"] = f"sqlite:///{(folder / path).as_posix()}"


def _is_live(key: str) -> bool:
    """Stripe's keys tell their mode: https://docs.stripe.com/keys"""
    return key.split("_")[1] == "live"


def _mode_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Test and live never mix: no test card opens a public door, no real card is charged on somebody's desk."""
    key, public_url = values.get("STRIPE_API_KEY"), values.get("PUBLIC_URL")
    if key is None:
        return
    live = _is_live(key)
    if public_url and live and on_this_machine(public_url.origin):
        yield Fault(
            "PUBLIC_URL", "is on this machine, but STRIPE_API_KEY is live", "Use a test key, or a public address"
        )
    if public_url and not live and not on_this_machine(public_url.origin) and not values.get("ALLOW_TEST_MODE", True):
        remedy = "Use the live key; on a staging site set ALLOW_TEST_MODE=true, and test cards will open every door"
        yield Fault("STRIPE_API_KEY", "is a test key, but PUBLIC_URL is a public address", remedy)
    publishable = values.get("STRIPE_PUBLIC")
    if publishable and _is_live(publishable) != live:
        yield Fault("STRIPE_PUBLIC", "is not in the mode of STRIPE_API_KEY", "Use both in test mode, or both live")
    if live and values.get("STRIPE_API_BASE"):
        remedy = "Remove it, or use a test key"
        yield Fault("STRIPE_API_BASE", "would send a live key to a server that is not Stripe's", remedy)


def _cookie_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """A cookie for a domain is set only by a host of it (RFC 6265, section 5.3)."""
    domain, public_url = values.get("COOKIE_DOMAIN"), values.get("PUBLIC_URL")
    if not domain or not public_url:
        return
    if not public_url.origin.startswith("https://"):
        yield Fault("COOKIE_DOMAIN", "is set, but PUBLIC_URL is not https", "Leave it out on this machine")
    elif not login_reaches(public_url.origin, public_url=f"https://{domain}", cookie_domain=domain):
        remedy = "Name a domain that PUBLIC_URL's host is under"
        yield Fault("COOKIE_DOMAIN", "is not a domain of PUBLIC_URL's host: no browser would keep the cookie", remedy)


_ISSUER_SETTINGS = (
    ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"),
    ("GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"),
    ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"),
)


def _issuer_faults(texts: Texts) -> Iterator[Fault]:
    """An issuer is set completely or not at all, and there is at least one."""
    for names in _ISSUER_SETTINGS:
        missing = [name for name in names if name not in texts]
        if len(missing) < len(names):
            for name in missing:
                yield Fault(name, "is not set, though its companions are", f"Set all or none of {', '.join(names)}")
    if not any(name in texts for names in _ISSUER_SETTINGS for name in names):
        remedy = f"Set {', or '.join(' and '.join(names) for names in _ISSUER_SETTINGS)}"
        yield Fault("OIDC_ISSUER", "is not set, and neither is another issuer: nobody could sign in", remedy)


def _config(values: Mapping[str, Any], products: tuple[Product, ...]) -> Config:
    return Config(
        public_url=values["PUBLIC_URL"].origin,
        path=values["PUBLIC_URL"].path,
        secret_keys=values["SECRET_KEY"],
        database_url=values["DATABASE_URL"],
        stripe=_stripe(values),
        issuers=tuple(_issuers(values)),
        products=products,
        gated_hosts=frozenset(values["GATED_HOSTS"]),
        cookie_domain=values["COOKIE_DOMAIN"],
        trusted_proxies=values["TRUSTED_PROXIES"],
        site=_site(values),
        metrics_tokens=values["METRICS_TOKEN"],
        sweep_hours=values["SWEEP_HOURS"],
        sign_in_rate=values["SIGN_IN_RATE"],
        purchase_rate=values["PURCHASE_RATE"],
    )


def _stripe(values: Mapping[str, Any]) -> StripeSettings:
    return StripeSettings(
        api_key=values["STRIPE_API_KEY"],
        publishable_key=values["STRIPE_PUBLIC"],
        webhook_secrets=values["STRIPE_WEBHOOK_SECRET"],
        automatic_tax=values["STRIPE_AUTOMATIC_TAX"],
        api_base=values["STRIPE_API_BASE"],
        checkout_origin=values["STRIPE_CHECKOUT_URL"] or values["STRIPE_API_BASE"] or STRIPE_CHECKOUT,
    )


def _issuers(values: Mapping[str, Any]) -> Iterator[IssuerSettings]:
    if client_id := values["GOOGLE_CLIENT_ID"]:
        yield IssuerSettings("google", "Google", "openid", GOOGLE_ISSUER, client_id, values["GOOGLE_CLIENT_SECRET"])
    if client_id := values["GITHUB_CLIENT_ID"]:
        # GitHub documents the secret as a form parameter only.
        yield IssuerSettings(
            "github", "GitHub", "github", GITHUB_ISSUER, client_id, values["GITHUB_CLIENT_SECRET"], "client_secret_post"
        )
    if issuer := values["OIDC_ISSUER"]:
        yield IssuerSettings(
            "oidc",
            values["OIDC_NAME"] or str(urlsplit(issuer).hostname),
            "openid",
            issuer,
            values["OIDC_CLIENT_ID"],
            values["OIDC_CLIENT_SECRET"],
            values["OIDC_CLIENT_AUTH"],
        )


def _site(values: Mapping[str, Any]) -> SiteSettings:
    return SiteSettings(
        name=values["SITE_NAME"],
        accent=values["ACCENT_COLOR"],
        logo=values["SITE_LOGO"],
        dashboard_file=values["DASHBOARD_FILE"],
        templates_dir=values["TEMPLATES_DIR"],
    )
