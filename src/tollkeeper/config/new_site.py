"""The first ``.env`` and ``tollkeeper.toml`` of a site, from a few answers."""

import re
import secrets
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import tomlkit

from tollkeeper.config.settings import PRODUCT_SETTINGS, SETTINGS
from tollkeeper.errors import Fault
from tollkeeper.model.selling import Offer, Product
from tollkeeper.providers.protocol import ProviderKind
from tollkeeper.settings import Setting, offers
from tollkeeper.settings.parsers import KEY, InvalidValue, text_
from tollkeeper.settings.values import parse_values
from tollkeeper.settings.writing import with_env
from tollkeeper.signin.settings import REGISTRATION, WAYS

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}

DATABASES: Mapping[str, str] = {"sqlite": BY_NAME["DATABASE_URL"].default, "postgresql": ""}
"""The kinds of database, and the address of each where there is a usual one."""

WIDTH = 100


@dataclass(slots=True)
class Answers:
    """What is known of a new site. ``texts`` are settings, secrets among them, each of which was checked."""

    provider: ProviderKind
    products: dict[str, Product] = field(default_factory=dict)
    sign_in: str | None = None
    """One of ``WAYS``."""
    texts: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def later(self) -> list[str]:
        """The settings that are still to be filled in before anything works."""
        needed = ["DATABASE_URL", *_required(self.provider), *WAYS[self.sign_in or "oidc"]]
        return [name for name in needed if not self.texts.get(name)]


def _required(provider: ProviderKind) -> list[str]:
    return [setting.name for setting in provider.settings if setting.required]


def checked(name: str, text: str) -> str:
    """The text of a setting, if it is sound. Raises ``InvalidValue``."""
    setting, faults = BY_NAME[name], list[Fault]()
    items = tuple(item.strip() for item in (text.split(",") if setting.many else [text]) if item.strip())
    if any(not character.isprintable() for character in text):
        raise InvalidValue("has characters that cannot be seen")
    parse_values([setting], {name: items} if items else {}, "", faults)
    for fault in faults:
        raise InvalidValue(fault.problem, fault.remedy)
    return ",".join(items)


def product(text: str) -> Product:
    """A product from its name, or from ``KEY=NAME``. Raises ``InvalidValue``."""
    key, equals, name = text.partition("=")
    if not equals:
        key, name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-"), text
    if not KEY.fullmatch(key.strip()):
        raise InvalidValue("gives no key", 'Write a key of lower-case letters before the name, such as pro="Pro"')
    return Product(key.strip(), text_(_some(name.strip())), frozenset())


def _some(text: str) -> str:
    if not text:
        raise InvalidValue("is empty")
    return text


def price(text: str, provider: ProviderKind) -> Offer:
    """An offer that the provider can sell. Raises ``NoOffer``."""
    offer = offers.parse(text)
    provider.check_offer(offer)
    return offer


def add_product(answers: Answers, text: str) -> str:
    """Add a product, and return its key. Raises ``InvalidValue``."""
    new = product(text)
    if new.key in answers.products:
        raise InvalidValue(f"has the key {new.key}, which another product has", "Write another key: KEY=NAME")
    answers.products[new.key] = new
    return new.key


def add_price(answers: Answers, text: str, key: str | None = None) -> None:
    """Add an offer to a product; without a key, to the one that ``KEY=PRICE`` names, or to the only one.

    Raises ``InvalidValue`` and ``NoOffer``.
    """
    named, equals, words = text.partition("=")
    if key is None:
        key, text = (named.strip(), words) if equals else (next(iter(answers.products), ""), text)
        if key not in answers.products or (not equals and len(answers.products) > 1):
            raise InvalidValue("does not say which product it is for", "Write KEY=PRICE, with the key of a product")
    offer, one = price(text, answers.provider), answers.products[key]
    if offer in one.offers:
        raise InvalidValue(f"is given twice for {key}", "Leave one of them out")
    answers.products[key] = replace(one, offers=(*one.offers, offer))


def lacking(answers: Answers) -> Iterator[Fault]:
    """What has to be answered by options where nobody can be asked."""
    if not answers.products:
        yield Fault("--product", "is not given", 'Say what you sell, for example --product "Pro"')
    for key, one in answers.products.items():
        if not one.offers:
            yield Fault("--price", f"is not given for {key}", f'For example --price "{key}=9.90 EUR/month"')
    if "PUBLIC_URL" not in answers.texts:
        yield Fault("--address", "is not given", "For example --address http://localhost:8000")
    if answers.sign_in is None:
        yield Fault("--sign-in", "is not given", f"One of {', '.join(WAYS)}")
    elif answers.sign_in == "oidc" and "OIDC_ISSUER" not in answers.texts:
        yield Fault("--issuer", "is not given", f"For example --issuer {BY_NAME['OIDC_ISSUER'].example}")


def callback(answers: Answers) -> str:
    """The redirect address to allow where people sign in."""
    return f"{answers.texts['PUBLIC_URL'].rstrip('/')}/login/{answers.sign_in}/callback"


def env_text(answers: Answers) -> str:
    """A ``.env`` with every setting that is needed, each with its help, and with a fresh secret key."""
    texts = {**answers.texts, "SECRET_KEY": secrets.token_urlsafe(48)}
    ways = WAYS[answers.sign_in or "oidc"]
    usual = ["PUBLIC_URL", "SECRET_KEY", "DATABASE_URL", *_required(answers.provider), answers.provider.webhook_secret]
    names = dict.fromkeys([*usual, *ways, *texts])
    to_do = _to_do(answers)
    parts = [
        _paragraph(
            "Written by `tollkeeper init`. docs/settings.md explains every setting, and `tollkeeper check`"
            " finds mistakes. This file holds secrets: keep it private."
        )
    ]
    for name in names:
        help_ = [_paragraph(BY_NAME[name].help), *([] if texts.get(name) else [_paragraph(to_do[name])])]
        parts.append("".join(help_) + with_env("", {name: texts.get(name, "")}))
    if texts["PUBLIC_URL"].startswith("https://") and "TRUSTED_PROXIES" not in texts:
        parts.append(_paragraph(BY_NAME["TRUSTED_PROXIES"].help) + "# TRUSTED_PROXIES=127.0.0.1\n")
    return "\n".join(parts)


def _to_do(answers: Answers) -> dict[str, str]:
    """What to do about each setting that is not known yet."""
    registered = (
        f"To do: register a client {REGISTRATION[answers.sign_in or 'oidc']}. Allow the redirect address"
        f" {callback(answers)}, and copy what it is given."
    )
    first = next((name for name in answers.later if name in WAYS[answers.sign_in or "oidc"]), "")
    return {
        **dict.fromkeys(answers.later, "To do: fill this in."),
        first: registered,
        answers.provider.webhook_secret: f"`tollkeeper setup {answers.provider.name} --write` fills this in.",
    }


def _paragraph(words: str) -> str:
    wrapped = textwrap.wrap(words, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
    return "".join(f"{line}\n" for line in wrapped)


def toml_text(answers: Answers) -> str:
    """A ``tollkeeper.toml`` with the products. Each unlocks the dashboard; several of them also one feature each."""
    head = (
        f"What is for sale. After you change a name or an offer, run `tollkeeper setup {answers.provider.name} --write`"
        " and restart the server. docs/settings.md explains every line."
    )
    several = len(answers.products) > 1
    return "\n".join([_paragraph(head), *(_table(one, several) for one in answers.products.values())])


def _table(one: Product, several: bool) -> str:
    features = list(dict.fromkeys(["dashboard", one.key])) if several else ["dashboard"]
    values = {"name": one.name, "unlocks": features, "offers": list(map(offers.written, one.offers))}
    help_ = {setting.name: setting.help for setting in PRODUCT_SETTINGS}
    lines = (f"{_paragraph(help_[name])}{name} = {tomlkit.item(value).as_string()}\n" for name, value in values.items())
    return f"[products.{one.key}]\n{''.join(lines)}"


def commands(answers: Answers) -> Iterable[str]:
    """What to run next, in this order."""
    live = (
        answers.provider.is_live(answers.texts[answers.provider.key])
        if answers.texts.get(answers.provider.key)
        else False
    )
    yield f"tollkeeper setup {answers.provider.name} --write{' --live' if live else ''}"
    yield "tollkeeper check"
    yield "tollkeeper migrate"
    port = re.fullmatch(r"http://[^/]+?:([0-9]+)(?:/.*)?", answers.texts["PUBLIC_URL"])
    yield f"tollkeeper serve{f' --port {port[1]}' if port else ''}"
