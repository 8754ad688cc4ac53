"""What was configured, ready for use: settings that hold together."""

from dataclasses import dataclass, field
from pathlib import Path

from tollkeeper.errors import Fault
from tollkeeper.model.selling import Product
from tollkeeper.providers.protocol import ConfiguredProvider
from tollkeeper.settings.parsers import Network
from tollkeeper.signin.settings import IssuerSettings


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
    providers: tuple[ConfiguredProvider, ...]
    """Where it can be paid."""
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
        return any(provider.settings.live for provider in self.providers)

    @property
    def hosted_origins(self) -> frozenset[str]:
        """Where the providers' pages are that buyers are sent to."""
        return frozenset(origin for provider in self.providers for origin in provider.settings.hosted_origins)

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
    provider: ConfiguredProvider
    products: tuple[Product, ...]
    """Some may have no prices yet, but then they have offers."""
