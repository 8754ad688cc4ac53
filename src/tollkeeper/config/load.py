"""Loads the settings from the environment, ``.env`` and ``tollkeeper.toml``, and reports every fault at once."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tollkeeper.config.checks import cookie_faults, issuer_faults, mode_faults, place_files
from tollkeeper.config.config import (
    GITHUB_ISSUER,
    GOOGLE_ISSUER,
    STRIPE_CHECKOUT,
    Config,
    IssuerSettings,
    SiteSettings,
    StripeSettings,
    Wishes,
)
from tollkeeper.config.products import products_of
from tollkeeper.config.settings import PRODUCT_SETTINGS, SETTINGS
from tollkeeper.config.sources import read_sources
from tollkeeper.config.values import parse_values
from tollkeeper.errors import ConfigurationError, Fault
from tollkeeper.model.selling import Product


def load(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Config:
    """The configuration of this process. The environment outranks ``.env``, and that ``tollkeeper.toml``.

    ``environ`` is the process's own if left out. ``folder`` is the working folder, the current one if left out: it
    holds both files, if they exist, and relative paths start there. A blank value counts as unset. Raises
    ``ConfigurationError`` with every fault there is.
    """
    environ, folder = os.environ if environ is None else environ, folder or Path()
    faults: list[Fault] = []
    texts, tables = read_sources(environ, folder, faults)
    values = parse_values(SETTINGS, texts, "", faults)
    products = products_of(tables, texts, values, faults)
    place_files(values, folder.absolute(), faults)
    faults += mode_faults(values)
    faults += cookie_faults(values)
    faults += issuer_faults(texts)
    if faults:
        raise ConfigurationError(tuple(faults))
    return _config(values, products)


def load_wishes(environ: Mapping[str, str], folder: Path) -> Wishes:
    """The part of the configuration that an account is set up by, before there is any price. Faults as in ``load``."""
    faults: list[Fault] = []
    texts, tables = read_sources(environ, folder, faults)
    values = parse_values([setting for setting in SETTINGS if setting.name in _TO_SET_UP], texts, "", faults)
    if tables or "PRODUCT_PRICE_ID" in texts:
        products = products_of(tables, texts, values, faults, _WISHED)
    else:
        products = ()
        faults.append(Fault("products", "are not there: nothing is for sale", _EXAMPLE))
    faults += [
        Fault(f"products.{key}.offers", "is not set, and there are no prices", _EXAMPLE)
        for key, table in tables.items()
        if isinstance(table, dict) and not {"offers", "stripe"} & {name.lower() for name in table}
    ]
    faults += mode_faults(values)
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
