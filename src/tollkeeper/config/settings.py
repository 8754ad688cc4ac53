"""Every setting there is, as one table, with how its value is read.

``load`` loads them, and a test keeps ``docs/settings.md`` and ``.env.example`` in step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tollkeeper.config.parsers import (
    MAKE_ONE,
    bearer_token,
    colour,
    cookie_domain,
    database_url,
    feature,
    flag,
    gated_host,
    issuer,
    logo_file,
    matching,
    network,
    offer,
    origin,
    price_id,
    public_url,
    rate,
    secret_key,
    text_,
    token,
    whole,
)


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


PRODUCT_SETTINGS: tuple[Setting, ...] = (
    Setting("name", text_, "The name that visitors see.", '"Pro"', required=True),
    Setting("unlocks", feature, "The features it unlocks.", '["dashboard", "reports"]', required=True, many=True),
    Setting(
        "offers",
        offer,
        "What it is sold for, the usual offer first. `tollkeeper setup stripe` creates the prices from these.",
        '["9.99 EUR per month", "99 EUR per year"]',
        many=True,
    ),
    Setting(
        "stripe",
        price_id,
        "Price ids at Stripe. The first is on sale; people who bought at the others keep their access."
        " `tollkeeper setup stripe` creates them from the offers.",
        '["price_..."]',
        required=True,
        many=True,
    ),
    Setting(
        "stripe_also",
        price_id,
        "More price ids that are on sale in addition to the first, such as a yearly price.",
        '["price_..."]',
        many=True,
    ),
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
"""What stands in ``[products.KEY]`` of ``tollkeeper.toml``."""


SETTINGS: tuple[Setting, ...] = (
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
    Setting(
        "STRIPE_API_KEY",
        matching(r"(?:sk|rk)_(?:test|live)_[A-Za-z0-9_]+", "is not a secret or restricted key of Stripe"),
        "Stripe's secret or restricted key, from Developers > API keys in its dashboard.",
        "sk_test_...",
        required=True,
        secret=True,
    ),
    Setting(
        "STRIPE_PUBLIC",
        matching(r"pk_(?:test|live)_[A-Za-z0-9_]+", "is not a publishable key of Stripe"),
        "Stripe's publishable key. Hosted checkout does not need it. If set, it must be in the mode of STRIPE_API_KEY.",
        "pk_test_...",
    ),
    Setting(
        "STRIPE_WEBHOOK_SECRET",
        matching(r"whsec_[A-Za-z0-9+/=_-]+", "is not a webhook secret, which starts with whsec_"),
        "Signing secrets of the webhook endpoint. Without one there is no webhook address, "
        "and events arrive only by polling.",
        "whsec_...",
        many=True,
        secret=True,
    ),
    Setting(
        "PRODUCT_PRICE_ID",
        price_id,
        "The price of a single product, which unlocks the dashboard. For more products, or to set a product's policy, "
        "leave it out and write [products] in tollkeeper.toml.",
        "price_...",
    ),
    Setting(
        "STRIPE_AUTOMATIC_TAX",
        flag,
        "Let Stripe Tax compute tax at checkout. Turn on Stripe Tax in Stripe's dashboard first.",
        "true",
        default="false",
    ),
    Setting(
        "ALLOW_TEST_MODE",
        flag,
        "Allow a test key on a public address, for staging: anybody can then get in with a test card.",
        "true",
        default="false",
    ),
    Setting(
        "STRIPE_API_BASE",
        origin,
        "Another server that speaks Stripe's API, such as the sandbox. Test keys only.",
        "http://127.0.0.1:4001",
    ),
    Setting(
        "STRIPE_CHECKOUT_URL",
        origin,
        "Origin of the hosted checkout pages, for a custom checkout domain. Otherwise STRIPE_API_BASE, "
        "or https://checkout.stripe.com.",
        "https://checkout.example.com",
    ),
    Setting("GOOGLE_CLIENT_ID", token, "Sign in with Google.", "1234-abcd.apps.googleusercontent.com"),
    Setting("GOOGLE_CLIENT_SECRET", token, "The secret that belongs to it.", "GOCSPX-...", secret=True),
    Setting(
        "GITHUB_CLIENT_ID",
        token,
        "Sign in with GitHub: the id of an OAuth app, not of a GitHub App.",
        "Ov23li0123456789abcd",
    ),
    Setting("GITHUB_CLIENT_SECRET", token, "The secret that belongs to it.", "...", secret=True),
    Setting("OIDC_ISSUER", issuer, "Sign in with any OpenID Connect issuer.", "https://id.example.com/realms/main"),
    Setting("OIDC_CLIENT_ID", token, "The client id at that issuer.", "tollkeeper"),
    Setting("OIDC_CLIENT_SECRET", token, "The secret that belongs to it.", "...", secret=True),
    Setting("OIDC_NAME", text_, "Its name on the sign-in button. By default the issuer's host.", "Example ID"),
    Setting(
        "OIDC_CLIENT_AUTH",
        matching("client_secret_basic|client_secret_post", "is neither client_secret_basic nor client_secret_post"),
        "How the client secret is sent to that issuer: client_secret_basic or client_secret_post.",
        "client_secret_post",
        default="client_secret_basic",
    ),
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
