"""A complete and valid configuration, ready for use."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tollkeeper.errors import Fault
from tollkeeper.model.selling import Product
from tollkeeper.providers.protocol import ConfiguredProvider
from tollkeeper.settings.offers import fingerprint
from tollkeeper.settings.parsers import Network
from tollkeeper.signin.settings import IssuerSettings


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """What the pages look like. Paths are absolute and exist."""

    name: str = "Tollkeeper"
    accent: str = "#ffb81c"
    logo: Path | None = None
    dashboard_file: Path | None = None
    templates_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """A complete and valid configuration, ready for use. ``load`` creates it."""

    public_url: str
    """Our origin: lower-case, without a default port or a trailing slash."""
    secret_keys: tuple[str, ...] = field(repr=False)
    """The first one signs; all of them verify."""
    database_url: str = field(repr=False)
    """``sqlite:///`` and an absolute path, or ``postgresql://``."""
    providers: tuple[ConfiguredProvider, ...]
    """The provider accounts that can take payments."""
    issuers: tuple[IssuerSettings, ...]
    products: tuple[Product, ...]
    """A product whose name is "" is shown with the provider's name for it."""
    path: str = ""
    """The path of our pages on that origin, such as ``/pay``; empty if the origin is ours alone."""
    gated_hosts: frozenset[str] = frozenset()
    cookie_domain: str | None = None
    """If set, ``public_url`` is https and a host of this domain. If not, the login cookie belongs to our host alone."""
    trusted_proxies: tuple[Network, ...] = ()
    site: SiteSettings = SiteSettings()
    metrics_tokens: tuple[str, ...] = field(default=(), repr=False)
    """Any of these tokens gives access to the metrics. Without one, there is no address for metrics."""
    sweep_hours: int = 24
    sign_in_rate: str = "30/minute"
    """In the notation of the limits library, as ``purchase_rate`` is."""
    purchase_rate: str = "20/minute"

    @property
    def secure(self) -> bool:
        """Whether visitors use https, so that cookies can require it."""
        return self.public_url.startswith("https://")

    @property
    def base_url(self) -> str:
        """The start of all our addresses: the origin, and our path on it."""
        return self.public_url + self.path

    @property
    def front_page(self) -> str:
        """The path of the landing page."""
        return f"{self.path}/"

    @property
    def gated_origins(self) -> frozenset[str]:
        """The origins of the gated hosts: https, and plain http if our own pages are on this machine."""
        schemes = ("https",) if self.secure else ("https", "http")
        return frozenset(f"{scheme}://{host}" for scheme in schemes for host in self.gated_hosts)

    def cookie(self, name: str, prefix: str = "__Host-") -> str:
        """Return the full name of a cookie. It contains our path, so that two Tollkeepers on one host do not clash.

        Slashes of the path become dots, which no path contains. Over https, the prefix makes browsers refuse the cookie
        from plain http, and ``__Host-`` also from other hosts of the domain (RFC 6265bis, section 4.1.3).
        """
        return f"{prefix if self.secure else ''}{name}{self.path.replace('/', '.')}"

    @property
    def login_cookie(self) -> str:
        """The name of the login session's cookie, which every page of the host receives, not only ours."""
        return self.cookie("tollkeeper", "__Secure-" if self.cookie_domain else "__Host-")

    @property
    def login_cookie_apart(self) -> str:
        """The name of the login session's cookie on a host apart."""
        return self.cookie("tollkeeper")

    @property
    def live(self) -> bool:
        """Whether real money moves."""
        return any(provider.settings.live for provider in self.providers)

    @property
    def hosted_origins(self) -> frozenset[str]:
        """The origins of the providers' pages that buyers are sent to."""
        return frozenset(origin for provider in self.providers for origin in provider.settings.hosted_origins)

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """Settings that are allowed, but probably a mistake."""
        unproxied = (NO_PROXY,) if self.secure and not self.trusted_proxies else ()
        names = [provider.kind.name for provider in self.providers]
        return (*unproxied, *(found for product in self.products for name in names for found in _stale(product, name)))


def _stale(product: Product, provider: str) -> Iterator[Fault]:
    """Whether the offers of a product were edited after its prices were created."""
    made_from = product.made_from.get(provider, ())
    if not product.offers or made_from == tuple(map(fingerprint, product.offers)):
        return
    yield Fault(
        f"products.{product.key}.offers",
        "have changed since the prices were created, so buyers pay the earlier prices."
        if made_from
        else f"may not be what the prices were created from: {provider}_made_from is not set.",
        f"Run `tollkeeper setup {provider} --write`, then restart the server.",
    )


NO_PROXY = Fault(
    "TRUSTED_PROXIES",
    "PUBLIC_URL is https, which Tollkeeper does not speak itself. So there is a proxy, but none is trusted. All"
    " visitors then count as one for SIGN_IN_RATE, and the gate cannot see which page or host was requested.",
    "Set it to the address that the proxy's requests come from, such as 127.0.0.1.",
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a provider's account should be set up for. ``load_wishes`` creates it."""

    base_url: str
    """The start of all our addresses."""
    provider: ConfiguredProvider
    products: tuple[Product, ...]
    """Each has prices, or offers from which prices will be created."""
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    """Those that are set already."""
