"""Settings: their values, all faults at once, and documents that agree with the table."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.stripe_settings import stripe_of

from tollkeeper.config.config import Config
from tollkeeper.config.load import load
from tollkeeper.config.settings import PRODUCT_SETTINGS, SETTINGS
from tollkeeper.errors import ConfigurationError, Fault
from tollkeeper.model.selling import Policy, Product
from tollkeeper.settings import Setting
from tollkeeper.signin.settings import IssuerSettings

ROOT = Path(__file__).parents[2]
GOOD_SECRET = "q3ZbT0v9LxM7cRk2WnYs8HdJf5GpAeUi"
OLD_SECRET = "e8a1f60b2c94d7358e1f0a6b9c2d4735"
MINIMAL = {
    "PUBLIC_URL": "http://localhost:4000",
    "SECRET_KEY": GOOD_SECRET,
    "STRIPE_API_KEY": "sk_test_51abc",
    "PRODUCT_PRICE_ID": "price_123",
    "OIDC_ISSUER": "https://id.example.com/realms/main/",
    "OIDC_CLIENT_ID": "tollkeeper",
    "OIDC_CLIENT_SECRET": "oidc-secret-1",
}
LIVE = {"PUBLIC_URL": "https://pay.example.com", "STRIPE_API_KEY": "sk_live_51abc"}


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in MINIMAL.items() if name not in names}


def faults_of(environ: Mapping[str, str], folder: Path) -> list[Fault]:
    with pytest.raises(ConfigurationError) as caught:
        load(environ, folder)
    assert all(fault.problem and fault.remedy for fault in caught.value.faults)
    return list(caught.value.faults)


def variables(faults: list[Fault]) -> list[str]:
    return [fault.variable for fault in faults]


# What the settings become


def test_the_least_that_works(tmp_path: Path) -> None:
    config = load(MINIMAL, tmp_path)
    assert config.public_url == "http://localhost:4000"
    assert config.secret_keys == (GOOD_SECRET,)
    assert config.database_url == f"sqlite:///{tmp_path}/tollkeeper.sqlite3"
    assert (config.live, config.secure) == (False, False)
    assert stripe_of(config).api_base is None
    assert stripe_of(config).checkout_origin == "https://checkout.stripe.com"
    assert stripe_of(config).publishable_key is None
    assert stripe_of(config).webhook_secrets == ()
    assert stripe_of(config).automatic_tax is False
    assert config.products == (Product("dashboard", "", frozenset({"dashboard"}), {"stripe": ("price_123",)}),)
    assert config.issuers == (
        IssuerSettings(
            "oidc",
            "id.example.com",
            "openid",
            "https://id.example.com/realms/main/",
            "tollkeeper",
            "oidc-secret-1",
            "client_secret_basic",
        ),
    )
    assert (config.gated_hosts, config.trusted_proxies, config.cookie_domain) == (frozenset(), (), None)
    assert (config.site.name, config.site.accent, config.site.logo) == ("Tollkeeper", "#ffb81c", None)
    assert (config.sign_in_rate, config.purchase_rate) == ("30/minute", "20/minute")


def test_a_live_site(tmp_path: Path) -> None:
    config = load(MINIMAL | LIVE | {"STRIPE_PUBLIC": "pk_live_1"}, tmp_path)
    assert (config.live, config.secure, stripe_of(config).publishable_key) == (True, True, "pk_live_1")
    assert load(MINIMAL | LIVE | {"GATED_HOSTS": "a.example.com"}, tmp_path).gated_origins == {"https://a.example.com"}


def test_all_three_issuers(tmp_path: Path) -> None:
    more = {
        "GOOGLE_CLIENT_ID": "g",
        "GOOGLE_CLIENT_SECRET": "gs",
        "GITHUB_CLIENT_ID": "h",
        "GITHUB_CLIENT_SECRET": "hs",
    }
    named = {"OIDC_NAME": "Example ID", "OIDC_CLIENT_AUTH": "client_secret_post"}
    google, github, oidc = load(MINIMAL | more | named, tmp_path).issuers
    assert google == IssuerSettings("google", "Google", "openid", "https://accounts.google.com", "g", "gs")
    assert github == IssuerSettings("github", "GitHub", "github", "https://github.com", "h", "hs", "client_secret_post")
    assert (oidc.name, oidc.client_auth) == ("Example ID", "client_secret_post")


def test_the_site_has_files(tmp_path: Path) -> None:
    (tmp_path / "brand" / "templates").mkdir(parents=True)
    (tmp_path / "brand" / "logo.svg").touch()
    (tmp_path / "dashboard.html").touch()
    brand = {
        "SITE_LOGO": "brand/logo.svg",
        "DASHBOARD_FILE": str(tmp_path / "dashboard.html"),
        "TEMPLATES_DIR": "brand/templates",
        "SITE_NAME": "Ada’s Reports",
        "ACCENT_COLOR": "#0F766E",
    }
    site = load(MINIMAL | brand, tmp_path).site
    assert site.logo == tmp_path / "brand/logo.svg"
    assert site.dashboard_file == tmp_path / "dashboard.html"
    assert site.templates_dir == tmp_path / "brand/templates"
    assert (site.name, site.accent) == ("Ada’s Reports", "#0F766E")


GOOD_VALUES: list[tuple[str, str, Callable[[Config], object], object]] = [
    ("PUBLIC_URL", "http://LOCALHOST:80/", lambda c: c.public_url, "http://localhost"),
    ("PUBLIC_URL", "HTTP://127.0.0.1:4000", lambda c: c.public_url, "http://127.0.0.1:4000"),
    ("PUBLIC_URL", "http://[0:0::1]:4000", lambda c: c.public_url, "http://[::1]:4000"),
    ("PUBLIC_URL", "https://localhost:0443", lambda c: c.public_url, "https://localhost"),
    ("PUBLIC_URL", "http://LOCALHOST/Pay/", lambda c: (c.public_url, c.path), ("http://localhost", "/Pay")),
    ("PUBLIC_URL", "http://localhost/a/b", lambda c: (c.base_url, c.front_page), ("http://localhost/a/b", "/a/b/")),
    ("PUBLIC_URL", "  http://localhost  ", lambda c: c.public_url, "http://localhost"),
    ("SECRET_KEY", f"{GOOD_SECRET}, {OLD_SECRET},", lambda c: c.secret_keys, (GOOD_SECRET, OLD_SECRET)),
    ("DATABASE_URL", "sqlite:////var/lib/toll.db", lambda c: c.database_url, "sqlite:////var/lib/toll.db"),
    ("DATABASE_URL", "postgres://u:p%23@db:5433/toll", lambda c: c.database_url, "postgresql://u:p%23@db:5433/toll"),
    ("DATABASE_URL", "postgresql:///toll?host=/run/pg", lambda c: c.database_url, "postgresql:///toll?host=/run/pg"),
    ("STRIPE_API_KEY", "rk_test_a_1", lambda c: stripe_of(c).api_key, "rk_test_a_1"),
    ("STRIPE_PUBLIC", "pk_test_1", lambda c: stripe_of(c).publishable_key, "pk_test_1"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_a,whsec_b", lambda c: stripe_of(c).webhook_secrets, ("whsec_a", "whsec_b")),
    ("STRIPE_WEBHOOK_SECRET", " , ", lambda c: stripe_of(c).webhook_secrets, ()),
    ("STRIPE_AUTOMATIC_TAX", "Yes", lambda c: stripe_of(c).automatic_tax, True),
    ("STRIPE_AUTOMATIC_TAX", "off", lambda c: stripe_of(c).automatic_tax, False),
    ("STRIPE_API_BASE", "http://127.0.0.1:4001/", lambda c: stripe_of(c).api_base, "http://127.0.0.1:4001"),
    ("STRIPE_API_BASE", "http://127.0.0.1:4001", lambda c: stripe_of(c).checkout_origin, "http://127.0.0.1:4001"),
    ("STRIPE_API_BASE", "https://stripe.example.com", lambda c: stripe_of(c).api_base, "https://stripe.example.com"),
    (
        "STRIPE_CHECKOUT_URL",
        "https://buy.example.com",
        lambda c: stripe_of(c).checkout_origin,
        "https://buy.example.com",
    ),
    ("OIDC_ISSUER", "http://localhost:4001/identity", lambda c: c.issuers[0].name, "localhost"),
    ("OIDC_ISSUER", "https://ID.example.com", lambda c: c.issuers[0].issuer_url, "https://ID.example.com"),
    (
        "GATED_HOSTS",
        "App.example.com, reports.example.com:8443, b.example.com:443, [2001:DB8:0::1]:99, 192.0.2.1",
        lambda c: c.gated_hosts,
        {"app.example.com", "reports.example.com:8443", "b.example.com", "[2001:db8::1]:99", "192.0.2.1"},
    ),
    ("GATED_HOSTS", "a.example.com", lambda c: c.gated_origins, {"http://a.example.com", "https://a.example.com"}),
    (
        "TRUSTED_PROXIES",
        "127.0.0.1,10.0.0.0/8,::1,fc00::/7",
        lambda c: c.trusted_proxies,
        tuple(map(ipaddress.ip_network, ("127.0.0.1", "10.0.0.0/8", "::1", "fc00::/7"))),
    ),
    ("SIGN_IN_RATE", "5 per 10 minutes", lambda c: c.sign_in_rate, "5 per 10 minutes"),
    ("PURCHASE_RATE", "3/hour", lambda c: c.purchase_rate, "3/hour"),
    ("METRICS_TOKEN", f"{GOOD_SECRET},{OLD_SECRET}=", lambda c: c.metrics_tokens, (GOOD_SECRET, f"{OLD_SECRET}=")),
    ("METRICS_TOKEN", " ", lambda c: c.metrics_tokens, ()),
    ("SWEEP_HOURS", "1", lambda c: c.sweep_hours, 1),
    ("SWEEP_HOURS", "720", lambda c: c.sweep_hours, 720),
    ("SWEEP_HOURS", "", lambda c: c.sweep_hours, 24),
]


@pytest.mark.parametrize(("name", "text", "got", "expected"), GOOD_VALUES)
def test_values(tmp_path: Path, name: str, text: str, got: Callable[[Config], object], expected: object) -> None:
    assert got(load(MINIMAL | {name: text}, tmp_path)) == expected


def test_a_custom_checkout_domain_outranks_the_api_base(tmp_path: Path) -> None:
    both = {"STRIPE_API_BASE": "http://127.0.0.1:4001", "STRIPE_CHECKOUT_URL": "http://localhost:4002"}
    assert stripe_of(load(MINIMAL | both, tmp_path)).checkout_origin == "http://localhost:4002"


# Where they come from


def test_the_environment_outranks_the_env_file_which_outranks_toml(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SITE_NAME=from .env\nPURCHASE_RATE=2/minute\nACCENT_COLOR=\n")
    (tmp_path / "tollkeeper.toml").write_text(
        'site_name = "from toml"\npurchase_rate = "3/minute"\nSIGN_IN_RATE = "3/minute"\nAccent_Color = "#333333"\n'
    )
    config = load(MINIMAL | {"SITE_NAME": "from environ", "PURCHASE_RATE": "  "}, tmp_path)
    assert config.site.name == "from environ"
    assert config.purchase_rate == "2/minute"
    assert config.sign_in_rate == "3/minute"
    assert config.site.accent == "#333333"


def test_the_env_file_is_taken_as_it_stands(tmp_path: Path) -> None:
    lines = [
        "\ufeff# a comment",
        "export SITE_NAME='Café $HOME ${HOME}'  # another",
        "ACCENT_COLOR=#123456",
        "",
        f'SECRET_KEY="{GOOD_SECRET}"',
    ]
    (tmp_path / ".env").write_text("\n".join(lines), "utf-8")
    config = load(without("SECRET_KEY"), tmp_path)
    assert config.site.name == "Café $HOME ${HOME}"
    assert config.site.accent == "#123456"
    assert config.secret_keys == (GOOD_SECRET,)


def test_toml_types(tmp_path: Path) -> None:
    (tmp_path / "tollkeeper.toml").write_text(
        f'\ufeffsecret_key = ["{GOOD_SECRET}", " ", "{OLD_SECRET}"]\nstripe_automatic_tax = true\nsite_name = 1984\n'
        'trusted_proxies = "127.0.0.1, ::1"\ngated_hosts = []\noidc_name = ["Example ID"]\n',
        "utf-8",
    )
    config = load(without("SECRET_KEY"), tmp_path)
    assert config.secret_keys == (GOOD_SECRET, OLD_SECRET)
    assert stripe_of(config).automatic_tax is True
    assert config.site.name == "1984"
    assert len(config.trusted_proxies) == 2
    assert config.gated_hosts == frozenset()
    assert config.issuers[0].name == "Example ID"


@pytest.mark.parametrize(
    ("file", "content", "variable", "problem"),
    [
        (".env", b"SITE_NAME=a\nSITE NAME=b\n", ".env, line 2", "NAME=value"),
        (".env", b"SITE_NAME\n", ".env, line 1", "NAME=value"),
        (".env", b"SITE_NAME='open\n", ".env, line 1", "NAME=value"),
        (".env", b"SITE_NAME=\xff\n", ".env", "cannot be read"),
        ("tollkeeper.toml", b"site_name = \n", "tollkeeper.toml", "line 1"),
        ("tollkeeper.toml", b"site_name = '\xff'\n", "tollkeeper.toml", "cannot be read"),
        ("tollkeeper.toml", b"site_name = 'a'\nSITE_NAME = 'b'\n", "SITE_NAME", "twice"),
        ("tollkeeper.toml", b"site_name = ['a', 'b']\n", "SITE_NAME", "is a list"),
        ("tollkeeper.toml", b"site_name = 1.5\n", "SITE_NAME", "neither text"),
        ("tollkeeper.toml", b"gated_hosts = ['a', 1]\n", "GATED_HOSTS", "neither text"),
        ("tollkeeper.toml", b"[site_name]\na = 1\n", "SITE_NAME", "neither text"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, file: str, content: bytes, variable: str, problem: str) -> None:
    (tmp_path / file).write_bytes(content)
    [fault] = faults_of(MINIMAL, tmp_path)
    assert fault.variable.endswith(variable)
    assert problem in fault.problem


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    [fault] = faults_of(MINIMAL, tmp_path)
    assert "cannot be read" in fault.problem


# Bad values

BAD_VALUES = [
    ("PUBLIC_URL", "pay.example.com", "form https://host"),
    ("PUBLIC_URL", "ftp://pay.example.com", "form https://host"),
    ("PUBLIC_URL", "https://", "form https://host"),
    ("PUBLIC_URL", "https://ada@localhost", "form https://host"),
    ("PUBLIC_URL", "https://localhost?a=1", "form https://host"),
    ("PUBLIC_URL", "https://local host", "form https://host"),
    ("PUBLIC_URL", "https://localhost\\evil", "form https://host"),
    ("PUBLIC_URL", "http://localhost/pay/../shop", "unusual path"),
    ("PUBLIC_URL", "http://localhost/./shop", "unusual path"),
    ("PUBLIC_URL", "http://localhost/pay.shop", "unusual path"),
    ("PUBLIC_URL", "http://localhost//shop", "unusual path"),
    ("PUBLIC_URL", "http://localhost/pay%2fshop", "unusual path"),
    ("PUBLIC_URL", "http://localhost/pay;shop", "unusual path"),
    ("PUBLIC_URL", "https://localhost:0", "port"),
    ("PUBLIC_URL", "https://localhost:65536", "port"),
    ("PUBLIC_URL", "https://café.example", "host that is not valid"),
    ("PUBLIC_URL", "https://-a.example", "host that is not valid"),
    ("PUBLIC_URL", "https://example.com.", "host that is not valid"),
    ("PUBLIC_URL", "https://a:b:4000", "host that is not valid"),
    ("PUBLIC_URL", "https://" + ".".join(["a" * 63] * 4), "host that is not valid"),
    ("PUBLIC_URL", "https://127.1", "IP address"),
    ("PUBLIC_URL", "https://0x7f000001", "IP address"),
    ("PUBLIC_URL", "https://[::1::2]", "IP address"),
    ("SECRET_KEY", GOOD_SECRET[:31], "shorter than 32"),
    ("DATABASE_URL", "mysql://localhost/toll", "neither SQLite nor PostgreSQL"),
    ("DATABASE_URL", "toll.db", "neither SQLite nor PostgreSQL"),
    ("DATABASE_URL", "sqlite://", "name a file"),
    ("DATABASE_URL", "sqlite:///", "name a file"),
    ("DATABASE_URL", "sqlite://toll.db", "name a file"),
    ("DATABASE_URL", "sqlite:///:memory:", "name a file"),
    ("DATABASE_URL", "sqlite:///toll.db?mode=ro", "name a file"),
    ("DATABASE_URL", "postgresql://", "complete"),
    ("DATABASE_URL", "postgresql://db", "complete"),
    ("DATABASE_URL", "postgresql://db:port/toll", "complete"),
    ("DATABASE_URL", "postgresql://db:0/toll", "complete"),
    ("DATABASE_URL", "postgresql://u:p#ss@db/toll", "complete"),
    ("DATABASE_URL", "postgresql://db/toll#x", "complete"),
    ("TRUSTED_PROXIES", "*", "trusts everybody"),
    ("TRUSTED_PROXIES", "0.0.0.0/0", "nearly everybody"),
    ("TRUSTED_PROXIES", "::/0", "nearly everybody"),
    ("TRUSTED_PROXIES", "128.0.0.0/1", "nearly everybody"),
    ("TRUSTED_PROXIES", "8000::/1", "nearly everybody"),
    ("TRUSTED_PROXIES", "::ffff:0:0/96", "IPv4 addresses"),
    ("TRUSTED_PROXIES", "::ffff:10.0.0.1", "IPv4 addresses"),
    ("TRUSTED_PROXIES", "10.0.0.1/8", "neither an IP address"),
    ("TRUSTED_PROXIES", "proxy", "neither an IP address"),
    ("GATED_HOSTS", "*.example.com", "wildcard"),
    ("GATED_HOSTS", "https://app.example.com", "not a host"),
    ("GATED_HOSTS", "app.example.com/", "not a host"),
    ("GATED_HOSTS", "ada@app.example.com", "not a host"),
    ("GATED_HOSTS", "app_1.example.com", "host that is not valid"),
    ("GATED_HOSTS", "app.example.com:99999", "port"),
    ("COOKIE_DOMAIN", "com", "many owners"),
    ("COOKIE_DOMAIN", "localhost", "many owners"),
    ("COOKIE_DOMAIN", "co.uk", "many owners"),
    ("COOKIE_DOMAIN", "Com.AU", "many owners"),
    ("COOKIE_DOMAIN", "192.0.2.1", "IP address"),
    ("COOKIE_DOMAIN", "[2001:db8::1]", "IP address"),
    ("COOKIE_DOMAIN", ".example.com", "host that is not valid"),
    ("COOKIE_DOMAIN", "*.example.com", "host that is not valid"),
    ("COOKIE_DOMAIN", "https://example.com", "host that is not valid"),
    ("COOKIE_DOMAIN", "example.com:443", "host that is not valid"),
    ("SIGN_IN_RATE", "often", "not a rate"),
    ("SIGN_IN_RATE", "0/minute", "not one rate"),
    ("PURCHASE_RATE", "1/second;5/minute", "not one rate"),
    ("METRICS_TOKEN", GOOD_SECRET[:31], "shorter than 32"),
    ("METRICS_TOKEN", f"{GOOD_SECRET} ü", "Authorization header"),
    ("SWEEP_HOURS", "0", "from 1 to 720"),
    ("SWEEP_HOURS", "721", "from 1 to 720"),
    ("SWEEP_HOURS", "1.5", "from 1 to 720"),
    ("STRIPE_API_KEY", "pk_test_1", "key of Stripe"),
    ("STRIPE_API_KEY", "sk_test_...", "key of Stripe"),
    ("STRIPE_API_KEY", "sk_other_1", "key of Stripe"),
    ("STRIPE_PUBLIC", "sk_test_1", "publishable"),
    ("STRIPE_WEBHOOK_SECRET", "secret", "whsec_"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_", "whsec_"),
    ("STRIPE_AUTOMATIC_TAX", "maybe", "neither true nor false"),
    ("ALLOW_TEST_MODE", "2", "neither true nor false"),
    ("STRIPE_API_BASE", "http://127.0.0.1:4001/v1", "has a path"),
    ("STRIPE_CHECKOUT_URL", "checkout.stripe.com", "form https://host"),
    ("PRODUCT_PRICE_ID", "prod_123", "price_"),
    ("GOOGLE_CLIENT_ID", "two words", "characters"),
    ("GOOGLE_CLIENT_ID", "a" * 513, "characters"),
    ("OIDC_CLIENT_SECRET", "...", "placeholder"),
    ("OIDC_ISSUER", "id.example.com", "form https://host"),
    ("OIDC_ISSUER", "https://id.example.com/?a=1", "form https://host"),
    ("OIDC_NAME", "a" * 81, "80 characters"),
    ("OIDC_CLIENT_AUTH", "none", "client_secret_basic"),
    ("SITE_NAME", "two\nlines", "one line"),
    ("ACCENT_COLOR", "blue", "#rrggbb"),
    ("SITE_LOGO", "logo.jpg", ".svg"),
    ("SITE_LOGO", "missing.svg", "names no file"),
    ("DASHBOARD_FILE", "missing.html", "names no file"),
    ("DASHBOARD_FILE", ".", "names no file"),
    ("TEMPLATES_DIR", "missing", "names no folder"),
]
COMPANIONS = {"GOOGLE_CLIENT_ID": {"GOOGLE_CLIENT_SECRET": "s"}}


@pytest.mark.parametrize(("name", "text", "problem"), BAD_VALUES)
def test_bad_values(tmp_path: Path, name: str, text: str, problem: str) -> None:
    [fault] = faults_of(MINIMAL | COMPANIONS.get(name, {}) | {name: text}, tmp_path)
    assert fault.variable == name
    assert problem in fault.problem


@pytest.mark.parametrize(
    ("public_url", "domain", "gated", "faulty"),
    [
        ("https://pay.example.com", "Example.COM", "app.example.com,example.com:8443,a.b.example.com", []),
        ("https://example.com", "example.com", "", []),
        ("https://pay.example.co.uk:8443", "example.co.uk", "app.example.co.uk", []),
        ("https://pay.example.com", "pay.example.com", "", []),
        ("http://localhost:4000", "example.com", "", ["COOKIE_DOMAIN"]),
        ("https://pay.example.com", "other.com", "", ["COOKIE_DOMAIN"]),
        ("https://payexample.com", "example.com", "", ["COOKIE_DOMAIN"]),
        ("https://example.com", "pay.example.com", "", ["COOKIE_DOMAIN"]),
        ("https://192.0.2.1", "example.com", "", ["COOKIE_DOMAIN"]),
        ("https://pay.example.com", "example.com", "app.example.com,app.other.com,192.0.2.1", []),
        ("nonsense", "example.com", "app.other.com", ["PUBLIC_URL"]),
    ],
)
def test_a_shared_cookie_reaches_our_own_host(
    tmp_path: Path, public_url: str, domain: str, gated: str, faulty: list[str]
) -> None:
    changes = {"PUBLIC_URL": public_url, "COOKIE_DOMAIN": domain, "GATED_HOSTS": gated, "ALLOW_TEST_MODE": "true"}
    if faulty:
        assert variables(faults_of(MINIMAL | changes, tmp_path)) == faulty
    else:
        assert load(MINIMAL | changes, tmp_path).cookie_domain == domain.lower()


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS if setting.required])
@pytest.mark.parametrize("blank", [None, "", "  ", "\t\n"])
def test_required_settings(tmp_path: Path, name: str, blank: str | None) -> None:
    [fault] = faults_of(without(name) | ({} if blank is None else {name: blank}), tmp_path)
    assert (fault.variable, fault.problem) == (name, "is not set")


def test_every_bad_entry_of_a_list_is_a_fault(tmp_path: Path) -> None:
    faults = faults_of(MINIMAL | {"TRUSTED_PROXIES": "*,127.0.0.1,proxy"}, tmp_path)
    assert variables(faults) == ["TRUSTED_PROXIES", "TRUSTED_PROXIES"]
    assert faults[0].problem.startswith("entry 1 trusts")
    assert faults[1].problem.startswith("entry 3 is neither")


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        (["GOOGLE_CLIENT_ID"], ["GOOGLE_CLIENT_SECRET"]),
        (["GOOGLE_CLIENT_SECRET"], ["GOOGLE_CLIENT_ID"]),
        (["GITHUB_CLIENT_ID"], ["GITHUB_CLIENT_SECRET"]),
        (["OIDC_ISSUER"], ["OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"]),
        (["OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"], ["OIDC_ISSUER"]),
        ([], ["OIDC_ISSUER"]),
    ],
)
def test_issuers_are_complete(tmp_path: Path, present: list[str], missing: list[str]) -> None:
    base = without("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
    given = {name: MINIMAL.get(name, "value") for name in present}
    assert variables(faults_of(base | given, tmp_path)) == missing


def test_an_issuer_with_a_bad_value_is_not_called_missing(tmp_path: Path) -> None:
    assert variables(faults_of(MINIMAL | {"OIDC_CLIENT_ID": "two words"}, tmp_path)) == ["OIDC_CLIENT_ID"]


# Products


def with_products(tmp_path: Path, toml: str) -> dict[str, str]:
    (tmp_path / "tollkeeper.toml").write_text(toml, "utf-8")
    return without("PRODUCT_PRICE_ID")


def test_products(tmp_path: Path) -> None:
    environ = with_products(
        tmp_path,
        '[products.basic]\nname = " Basic "\nunlocks = "dashboard"\nstripe = "price_1"\n'
        '[products.pro-2]\nname = "Pro"\nunlocks = ["dashboard", "reports"]\nstripe = ["price_2", "price_old"]\n',
    )
    assert load(environ, tmp_path).products == (
        Product("basic", "Basic", frozenset({"dashboard"}), {"stripe": ("price_1",)}),
        Product("pro-2", "Pro", frozenset({"dashboard", "reports"}), {"stripe": ("price_2", "price_old")}),
    )


def test_what_is_on_sale_next_to_the_first_price(tmp_path: Path) -> None:
    toml = '[products.pro]\nname = "Pro"\nunlocks = "reports"\nstripe = ["price_1", "price_0"]\n'
    (pro,) = load(with_products(tmp_path, f'{toml}stripe_also = ["price_year", "price_once"]\n'), tmp_path).products
    assert pro.prices == {"stripe": ("price_1", "price_0", "price_year", "price_once")}
    assert pro.on_sale == {"stripe": ("price_1", "price_year", "price_once")}
    assert variables(faults_of(with_products(tmp_path, f'{toml}stripe_also = "price_0"\n'), tmp_path)) == [
        "products.pro.stripe"
    ]


@pytest.mark.parametrize(
    ("lines", "policy"),
    [
        ("", Policy(refund_revokes_from=100, dispute_suspends=True, promotion_codes=False)),
        ("refund_revokes_from = 1", Policy(refund_revokes_from=1)),
        ("refund_revokes_from = 100", Policy()),
        ('refund_revokes_from = " 050 "', Policy(refund_revokes_from=50)),
        ('refund_revokes_from = ""', Policy()),
        ('dispute = "suspend"', Policy()),
        ('dispute = "keep"', Policy(dispute_suspends=False)),
        ("promotion_codes = true", Policy(promotion_codes=True)),
        ("promotion_codes = false", Policy()),
        ('Promotion_Codes = "yes"', Policy(promotion_codes=True)),
        ('refund_revokes_from = 50\ndispute = "keep"\npromotion_codes = 1', Policy(50, False, True)),
        ("grace_days = 0", Policy(grace_days=0)),
        ("trial_days = 14", Policy(trial_days=14)),
        ("trial_days = 14\ntrial_without_card = true", Policy(trial_days=14, trial_without_card=True)),
        ("ends_subscription = false", Policy(ends_subscription=False)),
    ],
)
def test_the_policy_of_a_product(tmp_path: Path, lines: str, policy: Policy) -> None:
    products = f"[products.other]\n{GOOD_PRODUCT.replace('price_1', 'price_2')}[products.pro]\n{GOOD_PRODUCT}{lines}\n"
    other, pro = load(with_products(tmp_path, products), tmp_path).products
    assert (pro.policy, other.policy) == (policy, Policy())


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("refund_revokes_from = 0", "from 1 to 100"),
        ("refund_revokes_from = 101", "from 1 to 100"),
        ("refund_revokes_from = 1000", "from 1 to 100"),
        ("refund_revokes_from = -5", "from 1 to 100"),
        ("refund_revokes_from = true", "from 1 to 100"),
        ('refund_revokes_from = "50 %"', "from 1 to 100"),
        ('refund_revokes_from = "½"', "from 1 to 100"),
        ('refund_revokes_from = "٥٠"', "from 1 to 100"),
        ("refund_revokes_from = 50.0", "neither text"),
        ("refund_revokes_from = ['50', '60']", "is a list"),
        ('dispute = "Keep"', "neither suspend nor keep"),
        ('dispute = "revoke"', "neither suspend nor keep"),
        ("dispute = false", "neither suspend nor keep"),
        ('promotion_codes = "SUMMER"', "neither true nor false"),
        ("promotion_codes = 100", "neither true nor false"),
        ("grace_days = 91", "from 0 to 90"),
        ("trial_days = 731", "from 0 to 730"),
        ('trial_without_card = "maybe"', "neither true nor false"),
        ('ends_subscription = "later"', "neither true nor false"),
        ('stripe_also = ["prod_1"]', "not a price id"),
        ("promotion_codes = ['SUMMER', 'WINTER']", "is a list"),
    ],
)
def test_bad_policies(tmp_path: Path, line: str, problem: str) -> None:
    [fault] = faults_of(with_products(tmp_path, f"[products.pro]\n{GOOD_PRODUCT}{line}\n"), tmp_path)
    assert fault.variable == f"products.pro.{line.split()[0]}"
    assert problem in fault.problem


GOOD_PRODUCT = 'name = "Pro"\nunlocks = ["reports"]\nstripe = ["price_1"]\n'


@pytest.mark.parametrize(
    ("toml", "faulty"),
    [
        ("", ["PRODUCT_PRICE_ID"]),
        ("[products]\n", ["PRODUCT_PRICE_ID"]),
        ("products = 3\n", ["products"]),
        ("[products]\npro = 3\n", ["products.pro"]),
        ("[products.pro]\n", ["products.pro.name", "products.pro.unlocks", "products.pro.stripe"]),
        (f"[products.Pro]\n{GOOD_PRODUCT}", ["products.'Pro'"]),
        (f'[products."a b"]\n{GOOD_PRODUCT}', ["products.'a b'"]),
        (f"[products.{'p' * 65}]\n{GOOD_PRODUCT}", [f"products.'{'p' * 64}'"]),
        (f"[products.pro]\n{GOOD_PRODUCT}unlock = ['a']\n", ["products.pro.unlock"]),
        (f"[products.pro]\n{GOOD_PRODUCT}NAME = 'a'\n", ["products.pro.name"]),
        (f"[products.pro]\n{GOOD_PRODUCT}".replace('"Pro"', "['a', 'b']"), ["products.pro.name"]),
        (f"[products.pro]\n{GOOD_PRODUCT}".replace('"Pro"', '" "'), ["products.pro.name"]),
        (f"[products.pro]\n{GOOD_PRODUCT}".replace('["reports"]', "[]"), ["products.pro.unlocks"]),
        (f"[products.pro]\n{GOOD_PRODUCT}".replace('"reports"', '"Re ports", "x,y"'), ["products.pro.unlocks"] * 2),
        (f"[products.pro]\n{GOOD_PRODUCT}".replace("price_1", "prod_1"), ["products.pro.stripe"]),
        (
            f"[products.pro]\n{GOOD_PRODUCT}refund_revokes_from = 0\ndispute = 'off'\n"
            "promotion_codes = 2\nrefunds = 1\n",
            [f"products.pro.{name}" for name in ("refunds", "refund_revokes_from", "dispute", "promotion_codes")],
        ),
        (f"[products.pro]\n{GOOD_PRODUCT}".replace('["price_1"]', "[1]"), ["products.pro.stripe"]),
        (f"[products.a]\n{GOOD_PRODUCT}[products.b]\n{GOOD_PRODUCT}", ["products.b.stripe"]),
        (f"[products.a]\n{GOOD_PRODUCT}".replace('"price_1"', '"price_1", "price_1"'), ["products.a.stripe"]),
    ],
)
def test_bad_products(tmp_path: Path, toml: str, faulty: list[str]) -> None:
    assert variables(faults_of(with_products(tmp_path, toml), tmp_path)) == faulty


def test_one_price_next_to_products(tmp_path: Path) -> None:
    with_products(tmp_path, f"[products.pro]\n{GOOD_PRODUCT}")
    assert variables(faults_of(MINIMAL, tmp_path)) == ["PRODUCT_PRICE_ID"]


# Fault I58: a configuration that must not start, and says so at once


def test_i58_every_fault_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("STRIPE_WEBHOK_SECRET=whsec_1\nnot a setting\n")
    (tmp_path / "tollkeeper.toml").write_text("sitename = 'x'\n[products.pro]\nname = 'Pro'\n")
    environ = {
        "PUBLIC_URL": "https://pay.example.com",
        "SECRET_KEY": "changeme",
        "DATABASE_URL": "mysql://localhost",
        "STRIPE_API_KEY": "sk_test_1",
        "STRIPE_PUBLIC": "pk_live_1",
        "GITHUB_CLIENT_ID": "x",
        "TRUSTED_PROXIES": "*",
        "SITE_LOGO": "missing.svg",
        "GATED_HOST": "app.example.com",
    }
    with pytest.raises(ConfigurationError) as caught:
        load(environ, tmp_path)
    names = variables(list(caught.value.faults))
    assert sorted(names) == sorted(
        [
            ".env, line 2",
            "STRIPE_WEBHOK_SECRET",
            "sitename",
            "GATED_HOST",
            "SECRET_KEY",
            "DATABASE_URL",
            "TRUSTED_PROXIES",
            "products.pro.unlocks",
            "products.pro.stripe",
            "SITE_LOGO",
            "STRIPE_API_KEY",
            "STRIPE_PUBLIC",
            "GITHUB_CLIENT_SECRET",
        ]
    )
    assert all(f"{name}: " in str(caught.value) for name in names)


@pytest.mark.parametrize(
    ("changes", "faulty"),
    [
        ({"PUBLIC_URL": "https://pay.example.com"}, ["STRIPE_API_KEY"]),
        ({"PUBLIC_URL": "https://localhost.example.com"}, ["STRIPE_API_KEY"]),
        ({"PUBLIC_URL": "https://pay.example.com", "ALLOW_TEST_MODE": "false"}, ["STRIPE_API_KEY"]),
        ({"PUBLIC_URL": "https://pay.example.com", "ALLOW_TEST_MODE": "true"}, []),
        ({"PUBLIC_URL": "https://pay.example.com", "ALLOW_TEST_MODE": "perhaps"}, ["ALLOW_TEST_MODE"]),
        ({"PUBLIC_URL": "https://localhost:4000"}, []),
        ({"STRIPE_API_KEY": "sk_live_1"}, ["PUBLIC_URL"]),
        ({"STRIPE_API_KEY": "rk_live_1", "PUBLIC_URL": "https://127.0.0.1"}, ["PUBLIC_URL"]),
        ({"STRIPE_API_KEY": "sk_live_1", "PUBLIC_URL": "http://pay.example.com"}, ["PUBLIC_URL"]),
        (LIVE, []),
        (LIVE | {"STRIPE_PUBLIC": "pk_test_1"}, ["STRIPE_PUBLIC"]),
        ({"STRIPE_PUBLIC": "pk_live_1"}, ["STRIPE_PUBLIC"]),
        ({"STRIPE_PUBLIC": "pk_live_1", "STRIPE_API_KEY": "nonsense"}, ["STRIPE_API_KEY"]),
        (LIVE | {"STRIPE_API_BASE": "http://127.0.0.1:4001"}, ["STRIPE_API_BASE"]),
        (LIVE | {"STRIPE_API_BASE": "https://stripe.example.com"}, ["STRIPE_API_BASE"]),
        ({"STRIPE_API_KEY": "sk_live_1", "STRIPE_PUBLIC": "pk_test_1"}, ["PUBLIC_URL", "STRIPE_PUBLIC"]),
    ],
)
def test_i58_test_and_live_never_mix(tmp_path: Path, changes: dict[str, str], faulty: list[str]) -> None:
    if faulty:
        assert variables(faults_of(MINIMAL | changes, tmp_path)) == faulty
    else:
        load(MINIMAL | changes, tmp_path)


def test_i58_the_remedy_for_a_test_key_names_the_setting_that_allows_it(tmp_path: Path) -> None:
    [fault] = faults_of(MINIMAL | {"PUBLIC_URL": "https://pay.example.com"}, tmp_path)
    assert "ALLOW_TEST_MODE=true" in fault.remedy


@pytest.mark.parametrize(
    "weak",
    [
        "",
        "a" * 64,
        "abababababababababababababababababab",
        "0123456789" * 4,
        "q3ZbT0v9Lx" * 4,
        "changeme-changeme-to-something-else-please",
        "Change-Me-q3ZbT0v9LxM7cRk2WnYs8HdJf5GpAeUi",
        "my-very-long-password-for-tollkeeper-2026",
        "abcdefghijklmnopqrstuvwxyz-and-some-more",
        "1122334411223344112233441122334455",
        next(setting.example for setting in SETTINGS if setting.name == "SECRET_KEY"),
        "replace-with-random-text-replace-with-random-text",
    ],
)
def test_i58_weak_secret_keys(tmp_path: Path, weak: str) -> None:
    [alone] = faults_of(MINIMAL | {"SECRET_KEY": weak}, tmp_path)
    assert alone.variable == "SECRET_KEY"
    if weak:
        [second] = faults_of(MINIMAL | {"SECRET_KEY": f"{GOOD_SECRET},{weak}"}, tmp_path)
        assert second.problem.startswith("entry 2")
        assert "secrets.token_urlsafe" in second.remedy


@pytest.mark.parametrize("name", ["PUBLIC_URL", "STRIPE_API_BASE", "STRIPE_CHECKOUT_URL", "OIDC_ISSUER"])
@pytest.mark.parametrize("host", ["pay.example.com", "192.168.0.9", "127.0.0.2", "localhost.example", "[::2]"])
def test_i58_http_outside_this_machine(tmp_path: Path, name: str, host: str) -> None:
    [fault] = faults_of(MINIMAL | {name: f"http://{host}:4001"}, tmp_path)
    assert (fault.variable, fault.problem) == (name, "uses http outside this machine")


@pytest.mark.parametrize(
    ("file", "line", "variable", "meant"),
    [
        (".env", "STRIPE_KEY=1", "STRIPE_KEY", "STRIPE_API_KEY"),
        (".env", "site_name=1", "site_name", "SITE_NAME"),
        (".env", "PUBLIC_URI=", "PUBLIC_URI", "PUBLIC_URL"),
        (".env", "QQQQ=1", "QQQQ", None),
        ("tollkeeper.toml", "site_nam = '1'", "site_nam", "SITE_NAME"),
        ("tollkeeper.toml", "GATEDHOSTS = ['a']", "GATEDHOSTS", "GATED_HOSTS"),
        ("tollkeeper.toml", "[product.pro]\nname = 'Pro'", "product", "products"),
        ("tollkeeper.toml", "qqqq = 1.5", "qqqq", None),
    ],
)
def test_i58_unknown_settings_in_files(tmp_path: Path, file: str, line: str, variable: str, meant: str | None) -> None:
    (tmp_path / file).write_text(line)
    [fault] = faults_of(MINIMAL, tmp_path)
    assert fault.variable == variable
    assert file in fault.problem
    assert (f"Did you mean {meant}?" if meant else "docs/settings.md") in fault.remedy


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("STRIPE_APIKEY", "STRIPE_API_KEY"),
        ("STRIPE_WEBHOOK_SECRETS", "STRIPE_WEBHOOK_SECRET"),
        ("PUBLIC_URI", "PUBLIC_URL"),
        ("SECRET_KEYS", "SECRET_KEY"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("stripe_api_key", "STRIPE_API_KEY"),
        ("OIDC_CLIENTID", "OIDC_CLIENT_ID"),
        ("TEMPLATE_DIR", "TEMPLATES_DIR"),
    ],
)
def test_i58_near_misses_in_the_environment(tmp_path: Path, name: str, meant: str) -> None:
    [fault] = faults_of(MINIMAL | {name: "x"}, tmp_path)
    assert (fault.variable, fault.remedy) == (name, f"Did you mean {meant}?")


def test_other_programs_may_have_their_variables(tmp_path: Path) -> None:
    theirs = """PATH HOME LANG GITHUB_TOKEN GITHUB_REPOSITORY STRIPE_DEVICE_NAME STRIPE_SECRET_KEY GOOGLE_CLOUD_PROJECT
    GOOGLE_APPLICATION_CREDENTIALS DATABASE_URL2 DATABASE_URL_2 DATABASE_URL_TEST SECRET_KEY_BASE GITLAB_CLIENT_ID
    SITE_URL SECRET_KEY1 TEMPLATES PUBLIC_HOST PORT"""
    load(MINIMAL | dict.fromkeys(theirs.split(), "x") | {"PUBLIC_URI": " "}, tmp_path)


# Secrets stay secret

CANARY = "wXk7Vq2NcZp9"


def test_secrets_are_in_no_repr(tmp_path: Path) -> None:
    secrets: dict[str, str] = {
        "SECRET_KEY": GOOD_SECRET + CANARY,
        "METRICS_TOKEN": GOOD_SECRET + CANARY,
        "DATABASE_URL": f"postgresql://u:{CANARY}@db/toll",
        "STRIPE_API_KEY": f"sk_test_{CANARY}",
        "STRIPE_WEBHOOK_SECRET": f"whsec_{CANARY}",
        "GOOGLE_CLIENT_SECRET": CANARY,
        "GITHUB_CLIENT_SECRET": CANARY,
        "OIDC_CLIENT_SECRET": CANARY,
    }
    assert set(secrets) == {setting.name for setting in SETTINGS if setting.secret}
    config = load(MINIMAL | secrets | {"GOOGLE_CLIENT_ID": "g", "GITHUB_CLIENT_ID": "h"}, tmp_path)
    assert CANARY in config.database_url
    assert CANARY not in repr(config)
    assert CANARY not in str(config)


PASTED_BY_MISTAKE = (
    f"sk_live_{CANARY}\n!",
    f"postgres://u:{CANARY}@db:x/",
    f"https://u:{CANARY}@h/",
    f"[{CANARY}]\x00 *",
)


def words_about(environ: Mapping[str, str], folder: Path) -> str:
    try:
        load(environ, folder)
    except ConfigurationError as error:
        return str(error)
    return ""


# Paths are shown, for it matters where they lead.
@pytest.mark.parametrize("setting", [s for s in SETTINGS if s.parse is not Path], ids=lambda setting: setting.name)
def test_i57_faults_never_show_values(tmp_path: Path, setting: Setting) -> None:
    said = [words_about(MINIMAL | {setting.name: value}, tmp_path) for value in PASTED_BY_MISTAKE]
    assert any(said)
    assert CANARY not in " ".join(said)


def test_i57_a_secret_on_a_line_of_its_own_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"sk_live_{CANARY}\n")
    (tmp_path / "tollkeeper.toml").write_text(f"stripe_api_key = sk_live_{CANARY}\n")
    assert CANARY not in " ".join(map(str, faults_of(MINIMAL, tmp_path)))


def test_configuration_is_frozen(tmp_path: Path) -> None:
    config: Any = load(MINIMAL, tmp_path)
    with pytest.raises(AttributeError):
        config.public_url = "https://evil.example"


# Documents


def row(setting: Setting, prefix: str = "") -> str:
    kinds = {"required": setting.required, "list": setting.many, "secret": setting.secret}
    default = f"`{setting.default}`" if setting.default else ""
    kind = ", ".join(kind for kind in kinds if kinds[kind])
    return f"| `{prefix}{setting.name}` | {kind} | {default} | {setting.help} |"


def test_docs_settings_has_a_row_for_each_setting_and_no_other() -> None:
    lines = (ROOT / "docs/settings.md").read_text("utf-8").splitlines()
    rows = [*(row(setting) for setting in SETTINGS), *(row(setting, "products.KEY.") for setting in PRODUCT_SETTINGS)]
    assert [line for line in lines if line.startswith("| `")] == rows


def test_the_toml_in_docs_settings_loads(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/settings.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 1
    (tmp_path / "tollkeeper.toml").write_text(blocks[0], "utf-8")
    config = load(without("PRODUCT_PRICE_ID", "PUBLIC_URL") | {"STRIPE_API_KEY": "sk_live_1"}, tmp_path)
    assert [product.key for product in config.products] == ["basic", "pro", "club"]
    policies = [Policy(), Policy(50, False, True), Policy(grace_days=3, trial_days=14)]
    assert [product.policy for product in config.products] == policies
    assert config.products[2].on_sale == {"stripe": ("price_club_monthly", "price_club_yearly")}
    assert config.gated_hosts == {"app.example.com", "reports.example.com:8443"}


ENV_EXAMPLE = (ROOT / ".env.example").read_text("utf-8")


def test_env_example_names_each_setting_and_no_other() -> None:
    found = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=(.*)$", ENV_EXAMPLE, re.MULTILINE)
    assert [name for name, _ in found] == [setting.name for setting in SETTINGS]
    commented = dict(re.findall(r"^# ([A-Z][A-Z0-9_]+)=(.*)$", ENV_EXAMPLE, re.MULTILINE))
    assert commented == {setting.name: setting.example for setting in SETTINGS if setting.name in commented}
    flowing = " ".join(ENV_EXAMPLE.replace("\n# ", " ").split())
    assert [setting.name for setting in SETTINGS if setting.help not in flowing] == []
    assert [s.name for s in SETTINGS if s.default and f"# Default: {s.default}\n" not in ENV_EXAMPLE] == []


def test_env_example_unfilled_says_what_to_fill(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(ENV_EXAMPLE, "utf-8")
    names = ["SECRET_KEY", "STRIPE_API_KEY", "PRODUCT_PRICE_ID", "OIDC_ISSUER"]
    assert variables(faults_of({}, tmp_path)) == names


def test_env_example_loads_when_filled(tmp_path: Path) -> None:
    filled = {
        "SECRET_KEY": GOOD_SECRET,
        "STRIPE_API_KEY": "sk_test_1",
        "PRODUCT_PRICE_ID": "price_1",
        "GOOGLE_CLIENT_ID": "1234-abcd.apps.googleusercontent.com",
        "GOOGLE_CLIENT_SECRET": "GOCSPX-1",
    }
    text = ENV_EXAMPLE
    for name, value in filled.items():
        text, count = re.subn(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        assert count == 1
    (tmp_path / ".env").write_text(text, "utf-8")
    config = load({}, tmp_path)
    assert config.public_url == "http://localhost:8000"
    assert [issuer.id for issuer in config.issuers] == ["google"]


@pytest.mark.parametrize("setting", [s for s in SETTINGS if "..." not in s.example and s.name != "SECRET_KEY"])
def test_examples_can_be_used(setting: Setting) -> None:
    for text in setting.example.split(",") if setting.many else [setting.example]:
        assert setting.parse(text) is not None
