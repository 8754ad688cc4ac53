"""Loads the settings from the environment, ``.env`` and ``tollkeeper.toml``, and reports every fault at once."""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from tollkeeper.config.checks import cookie_faults, mode_faults, place_files
from tollkeeper.config.config import Config, SiteSettings, Wishes
from tollkeeper.config.products import products_of
from tollkeeper.config.providers import PROVIDERS
from tollkeeper.config.settings import settings_of
from tollkeeper.errors import ConfigurationError, Fault
from tollkeeper.model.selling import Product
from tollkeeper.providers.protocol import ConfiguredProvider, ProviderKind
from tollkeeper.settings import Setting
from tollkeeper.settings.sources import Texts, read_sources, without_files
from tollkeeper.settings.values import parse_values
from tollkeeper.signin import settings as signin


def load(
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    providers: Collection[ProviderKind] = PROVIDERS,
) -> Config:
    """The configuration of this process. The environment outranks ``.env``, and that ``tollkeeper.toml``.

    ``environ`` is the process's own if left out. ``folder`` is the working folder, the current one if left out: it
    holds both files, if they exist, and relative paths start there. A blank value counts as unset. ``providers`` are
    those that can be configured. Raises ``ConfigurationError`` with every fault there is.
    """
    environ, folder = os.environ if environ is None else environ, folder or Path()
    faults: list[Fault] = []
    sources = read_sources(settings_of(providers), environ, folder, faults)
    texts, tables = sources.texts, sources.tables
    if not sources.whole:
        raise ConfigurationError((*faults, *_of_what_is_set(settings_of(providers), texts)))
    chosen = _chosen(providers, texts, faults)
    unset = {setting.name for one in providers if one not in chosen for setting in one.settings}
    sellers = chosen or providers  # where none is chosen, that is the fault, and not whose prices these are
    values = parse_values([one for one in settings_of(sellers) if one.name not in unset], texts, "", faults)
    products = products_of(tables, texts, values, sellers, faults)
    place_files(values, folder.absolute(), faults)
    for provider in chosen:
        faults += mode_faults(values, provider)
        faults += provider.faults(values)
    faults += cookie_faults(values)
    faults += signin.faults(texts)
    if faults:
        raise ConfigurationError((*without_files(folder, settings_of(providers), texts), *faults))
    return _config(values, chosen, products)


def load_wishes(
    environ: Mapping[str, str], folder: Path, provider: ProviderKind, providers: Collection[ProviderKind] = PROVIDERS
) -> Wishes:
    """The part of the configuration that an account is set up by, before there is any price. Faults as in ``load``."""
    faults: list[Fault] = []
    sources = read_sources(settings_of(providers), environ, folder, faults)
    texts, tables = sources.texts, sources.tables
    if not sources.whole:
        raise ConfigurationError((*faults, *_of_what_is_set(settings_of(providers), texts)))
    wanted = _TO_SET_UP | {setting.name for setting in provider.settings}
    values = parse_values([one for one in settings_of([provider]) if one.name in wanted], texts, "", faults)
    products: tuple[Product, ...] = ()
    if tables or "PRODUCT_PRICE_ID" in texts:
        products = products_of(tables, texts, values, [provider], faults, priced=False)
    else:
        faults.append(Fault("products", "are not there: nothing is for sale", _EXAMPLE))
    faults += [
        Fault(f"products.{key}.offers", "is not set, and there are no prices", _EXAMPLE)
        for key, table in tables.items()
        if isinstance(table, dict) and not {"offers", provider.name} & {name.lower() for name in table}
    ]
    faults += mode_faults(values, provider)
    faults += provider.faults(values)
    if faults:
        raise ConfigurationError((*without_files(folder, settings_of(providers), texts), *faults))
    address = values["PUBLIC_URL"].origin + values["PUBLIC_URL"].path
    configured = ConfiguredProvider(provider, provider.read(values))
    return Wishes(address, configured, products, texts.get(provider.webhook_secret, ()))


def _of_what_is_set(settings: Iterable[Setting], texts: Texts) -> list[Fault]:
    """What is wrong with the values that are known. What is missing may stand in a file that could not be read."""
    faults: list[Fault] = []
    parse_values([one for one in settings if one.name in texts], texts, "", faults)
    return faults


_TO_SET_UP = {"PUBLIC_URL", "PRODUCT_PRICE_ID", "ALLOW_TEST_MODE"}


_EXAMPLE = """Write what you sell into tollkeeper.toml, for example:

      [products.pro]
      name = "Pro"
      unlocks = ["dashboard"]
      offers = ["9.99 EUR per month", "99 EUR per year"]"""


def _chosen(providers: Collection[ProviderKind], texts: Texts, faults: list[Fault]) -> tuple[ProviderKind, ...]:
    """The providers of which anything is set; the one there is, if there is one alone."""
    if len(providers) == 1:
        return tuple(providers)
    chosen = tuple(one for one in providers if any(setting.name in texts for setting in one.settings))
    if not chosen:
        keys = [one.key for one in providers]
        faults.append(Fault(keys[0], "is not set, and neither is another provider's key", f"Set {' or '.join(keys)}"))
    if len(chosen) > 1:
        problem = f"is set together with {chosen[0].key}, but a site sells through one provider"
        faults += [Fault(one.key, problem, "Remove the settings of the other one") for one in chosen[1:]]
    return chosen


def _config(values: Mapping[str, Any], providers: Collection[ProviderKind], products: tuple[Product, ...]) -> Config:
    return Config(
        public_url=values["PUBLIC_URL"].origin,
        path=values["PUBLIC_URL"].path,
        secret_keys=values["SECRET_KEY"],
        database_url=values["DATABASE_URL"],
        providers=tuple(ConfiguredProvider(one, one.read(values)) for one in providers),
        issuers=tuple(signin.read(values)),
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


def _site(values: Mapping[str, Any]) -> SiteSettings:
    return SiteSettings(
        name=values["SITE_NAME"],
        accent=values["ACCENT_COLOR"],
        logo=values["SITE_LOGO"],
        dashboard_file=values["DASHBOARD_FILE"],
        templates_dir=values["TEMPLATES_DIR"],
    )
