"""Every setting and its parser: our own, the providers' and those of sign-in.

``load`` loads them. A test checks that ``docs/settings.md`` and ``.env.example`` list the same ones.
"""

from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from tollkeeper.config.providers import PROVIDERS
from tollkeeper.providers.protocol import ProviderKind
from tollkeeper.settings import Setting
from tollkeeper.settings.parsers import (
    MAKE_ONE,
    InvalidValue,
    bearer_token,
    colour,
    cookie_domain,
    database_url,
    feature,
    flag,
    gated_host,
    logo_file,
    matching,
    network,
    offer,
    public_url,
    rate,
    secret_key,
    text_,
    whole,
)
from tollkeeper.signin import settings as signin

POLICY: tuple[Setting, ...] = (
    Setting(
        "refund_revokes_from",
        whole(1, 100),
        "Access ends once this share of the payment is refunded, in whole percent.",
        "50",
        default="100",
    ),
    Setting(
        "dispute",
        matching("suspend|keep", "is neither suspend nor keep"),
        "What happens to access while a dispute is open: suspend or keep.",
        '"keep"',
        default="suspend",
    ),
    Setting(
        "earlier_dispute",
        matching("count|tell", "is neither count nor tell"),
        "What a dispute about an earlier period of a subscription does: it counts like one about the current period"
        " (count), or is only listed for you (tell).",
        '"tell"',
        default="count",
    ),
    Setting(
        "promotion_codes",
        flag,
        "Whether buyers may use promotion codes at checkout. Then less than the price, or nothing, counts as paid.",
        "true",
        default="false",
    ),
    Setting(
        "grace_days",
        whole(0, 90),
        "For how many days a subscription continues to give access after a renewal payment fails.",
        "3",
        default="7",
    ),
    Setting(
        "trial_grace_days",
        whole(0, 90),
        "The same as grace_days, for the first payment after a trial, or after a period that cost nothing.",
        "3",
        default="0",
    ),
    Setting(
        "trial_days",
        whole(0, 730),
        "For how many days a subscription is free at the start, once for each person.",
        "14",
        default="0",
    ),
    Setting(
        "trial_without_card",
        flag,
        "Whether a trial starts without a card. The subscription then ends with the trial unless the person adds"
        " a card.",
        "true",
        default="false",
    ),
    Setting(
        "ends_subscription",
        flag,
        "Whether a subscription ends automatically, with its period, once its owner buys this product for good, if"
        " the product gives everything that the subscription does.",
        "false",
        default="true",
    ),
)
"""The policy of a product, in ``[products.KEY]`` of ``tollkeeper.toml``."""


GENERAL: tuple[Setting, ...] = (
    Setting(
        "PUBLIC_URL",
        public_url,
        "Where visitors find Tollkeeper: scheme, host and port, and a path if it shares the host. https, except on this"
        " machine.",
        "https://pay.example.com",
        required=True,
    ),
    Setting(
        "SECRET_KEY",
        secret_key,
        "Random text of 32 characters or more. It signs the data that browsers carry. The first key signs, all verify."
        f" {MAKE_ONE}",
        "replace-with-random-text",
        required=True,
        many=True,
        secret=True,
    ),
    Setting(
        "DATABASE_URL",
        database_url,
        "SQLite file (relative to the working folder) or PostgreSQL address.",
        "postgresql://tollkeeper:password@localhost/tollkeeper",
        default="sqlite:///tollkeeper.sqlite3",
        secret=True,
    ),
    Setting(
        "TRUSTED_PROXIES",
        network,
        "IP addresses or networks of your own proxies, whose X-Forwarded headers are trusted. None by default.",
        "127.0.0.1,10.0.0.0/24",
        many=True,
    ),
    Setting(
        "GATED_HOSTS",
        gated_host,
        "Other hosts, as host or host:port, that visitors may be sent back to after they sign in or pay.",
        "app.example.com,reports.example.com",
        many=True,
    ),
    Setting(
        "COOKIE_DOMAIN",
        cookie_domain,
        "Your own domain, if hosts of it share the login cookie. PUBLIC_URL's host must belong to it. "
        "Otherwise the cookie is only for PUBLIC_URL's host.",
        "example.com",
    ),
    Setting(
        "METRICS_TOKEN",
        bearer_token,
        "Random text of 32 characters or more, with which Prometheus reads /metrics. If there are several, each is"
        " valid, so that you can rotate them. Without a token, /metrics does not exist.",
        "...",
        many=True,
        secret=True,
    ),
    Setting(
        "SWEEP_HOURS",
        whole(1, 720),
        "Each customer's purchases are checked at the provider at least once within this many hours.",
        "6",
        default="24",
    ),
    Setting(
        "SIGN_IN_RATE",
        rate,
        "How often one IP address, or IPv6 network (/64), may start to sign in.",
        "30/minute",
        default="30/minute",
    ),
    Setting("PURCHASE_RATE", rate, "How often one person may start to pay.", "20/minute", default="20/minute"),
)

TEST_MODE = Setting(
    "ALLOW_TEST_MODE",
    flag,
    "Allow a test key on a public address, for staging: anybody can then get in with a test card.",
    "true",
    default="false",
)

LOOKS: tuple[Setting, ...] = (
    Setting("SITE_NAME", text_, "The name on every page.", "Example Reports", default="Tollkeeper"),
    Setting("ACCENT_COLOR", colour, "The colour of buttons, as #rrggbb.", "#0f766e", default="#ffb81c"),
    Setting("SITE_LOGO", logo_file, "An .svg or .png file.", "brand/logo.svg"),
    Setting("DASHBOARD_FILE", Path, "An HTML fragment to show as the dashboard.", "brand/dashboard.html"),
    Setting(
        "TEMPLATES_DIR",
        Path,
        "A folder of templates that replace the built-in ones of the same name.",
        "brand/templates",
    ),
)

PRODUCT: tuple[Setting, ...] = (
    Setting("name", text_, "The name that visitors see.", '"Pro"', required=True),
    Setting("unlocks", feature, "The features it unlocks.", '["dashboard", "reports"]', required=True, many=True),
    Setting(
        "offers",
        offer,
        "What it is sold for, the usual offer first. `tollkeeper setup` creates the prices from these.",
        '["9.99 EUR per month", "99 EUR per year"]',
        many=True,
    ),
)
"""The description of a product, in ``[products.KEY]`` of ``tollkeeper.toml``."""


def settings_of(providers: Collection[ProviderKind]) -> tuple[Setting, ...]:
    """Return the settings for the environment, for ``.env`` and for the top level of ``tollkeeper.toml``."""
    price = Setting(
        "PRODUCT_PRICE_ID",
        partial(_price_of_any, providers),
        "The price of a single product, which unlocks the dashboard. For more products, or to set a product's policy, "
        "leave it out and write [products] in tollkeeper.toml.",
        next(iter(providers)).price_example,
    )
    theirs = (setting for provider in providers for setting in provider.settings)
    return (*GENERAL, *theirs, price, TEST_MODE, *signin.SETTINGS, *LOOKS)


def _price_of_any(providers: Collection[ProviderKind], text: str) -> str:
    for provider in providers:
        try:
            return provider.price_id(text)
        except InvalidValue as error:
            refused = error
    raise refused


def product_settings(providers: Collection[ProviderKind], *, priced: bool = True) -> tuple[Setting, ...]:
    """Return the settings for ``[products.KEY]`` of ``tollkeeper.toml``. ``priced``: a price is required."""
    return (*PRODUCT, *(each for one in providers for each in _prices(one, priced and len(providers) == 1)), *POLICY)


def _prices(provider: ProviderKind, required: bool) -> Iterator[Setting]:
    yield Setting(
        provider.name,
        provider.price_id,
        f"Price ids at {provider.facts.title}. The first is on sale; people who bought at the others keep their access."
        f" `tollkeeper setup {provider.name}` creates them from the offers.",
        f'["{provider.price_example}"]',
        required=required,
        many=True,
    )
    yield Setting(
        f"{provider.name}_also",
        provider.price_id,
        "More price ids that are on sale in addition to the first, such as a yearly price.",
        f'["{provider.price_example}"]',
        many=True,
    )
    yield Setting(
        f"{provider.name}_made_from",
        matching(r"[0-9a-f]{12}", "is not a fingerprint of an offer"),
        f"Fingerprints of the offers that these prices were created from, as `tollkeeper setup {provider.name}` prints"
        " them. `tollkeeper check` says when the offers have changed since.",
        '["c0fab41f4bae"]',
        many=True,
    )


SETTINGS = settings_of(PROVIDERS)
PRODUCT_SETTINGS = product_settings(PROVIDERS)
