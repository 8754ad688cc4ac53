"""PURE. Compares an account at Stripe with the settings: what is wrong, and how to fix it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tollkeeper.model.checks import CheckResult, kind_table
from tollkeeper.model.selling import Offer, Product
from tollkeeper.providers.stripe.setup_plan import Found, offer_of, portal_of
from tollkeeper.settings.offers import words

ACCOUNT, WEBHOOKS, SECRET, PORTAL, TAX = (
    "STRIPE_API_KEY",
    "webhook endpoint",
    "STRIPE_WEBHOOK_SECRET",
    "billing portal",
    "STRIPE_AUTOMATIC_TAX",
)
KEYS_PAGE = "https://dashboard.stripe.com/apikeys"
SET_UP = "`tollkeeper setup stripe`"

KINDS = kind_table(
    ok={
        "account_ok": "Stripe knows the key: account {account}{name}, {mode} mode.",
        "key_permissions_ok": "The restricted key may do all that is needed.",
        "price_ok": "{price} is active: {words}.",
        "price_kept_ok": "{price} is not on sale here; people who bought at it keep what they have.",
        "webhooks_ok": "{endpoint} is enabled, sends to {url}, all events that matter, as of API version {version}.",
        "webhooks_not_used": "None is set up. Stripe's list of events is read every 30 seconds instead.",
        "webhooks_from_here": "Stripe cannot reach this machine: `stripe listen --forward-to {url}` passes events on.",
        "webhook_secret_ok": "A signed test event, {event}, was sent and accepted.",
        "webhook_secret_ok_last": "The last event, {event}, was delivered and accepted. {why}",
        "sale_ok": "A checkout page can be made (one was made at {price}, and ended at once).",
        "portal_ok": "{portal} is active: customers can end subscriptions and change their card.",
        "tax_ok": "Stripe Tax is active.",
    },
    warnings={
        "account_limited": (
            "The account may not take real payments yet. Test mode works.",
            "See what Stripe asks for at https://dashboard.stripe.com/account/onboarding before you go live.",
        ),
        "price_kept_missing": (
            "{price}, which is no longer on sale here, is not in this account and mode{hint}.",
            "Remove it from tollkeeper.toml if it is a mistake. Keep it if people bought at it.",
        ),
        "price_tax_unsaid": (
            "{price} does not say whether tax is included, and the account has no default for that.",
            "Choose a default tax behaviour at https://dashboard.stripe.com/settings/tax.",
        ),
        "webhook_secret_unset": (
            "{endpoint} sends events to {url}, but STRIPE_WEBHOOK_SECRET is not set, so each is answered 404.",
            "Copy the signing secret from {page} into STRIPE_WEBHOOK_SECRET, or delete the endpoint there.",
        ),
        "webhooks_other_version": (
            "{endpoint} sends events as of API version {version}, and Tollkeeper is made for {ours}.",
            "Make another endpoint with `tollkeeper setup stripe --new-endpoint`, then delete this one at {page}.",
        ),
        "webhooks_several": (
            "Several endpoints send to {url}: {endpoints}. Only those whose secrets are set are accepted.",
            "Delete those that are not needed at {page}.",
        ),
        "webhooks_not_seen": (
            "The restricted key may not list webhook endpoints, so nobody looked at them.",
            "Nothing, if events arrive (see the log). Or let the key read Webhook Endpoints at " + KEYS_PAGE + ".",
        ),
        "webhook_secret_untested": (
            "Whether the secret is that of {endpoint} is not known: no event has been delivered yet. {why}",
            "Start `tollkeeper serve` and run `tollkeeper check --online` again: it then sends a signed test event.",
        ),
        "webhook_secret_unclear": (
            "{event} was not accepted by every endpoint within {seconds} s; other endpoints ({others}) get it too.",
            "See which one fails at {page}.",
        ),
        "webhook_last_failed": (
            "The last event, {event}, has not been accepted. {why}",
            "If the server was down when it was sent, Stripe sends it again. Otherwise copy the signing secret from"
            " {page} into STRIPE_WEBHOOK_SECRET, and see that PUBLIC_URL can be reached from the internet.",
        ),
        "portal_limited": (
            "In {portal} customers cannot {lacking}.",
            f"Run {SET_UP}, or allow it at {{page}}.",
        ),
        "portal_not_seen": (
            "The restricted key may not list the portal's configurations, so nobody looked at them.",
            "Let the key write Customer portal at " + KEYS_PAGE + ".",
        ),
        "tax_not_seen": (
            "The restricted key may not read the settings of Stripe Tax, so nobody looked at them.",
            "See that Stripe Tax is active at https://dashboard.stripe.com/settings/tax.",
        ),
    },
    faults={
        "provider_unreachable": (
            "Stripe did not answer: {trouble}",
            "Try again. If it stays so, see https://status.stripe.com, and this machine's network, DNS, firewall,"
            " certificates{base}.",
        ),
        "key_refused": (
            "Stripe does not accept the key: it is wrong, expired, or was revoked.",
            "Copy it again from " + KEYS_PAGE + " into STRIPE_API_KEY.",
        ),
        "key_not_permitted": (
            "The restricted key may not {lacking}.",
            "Allow that for the key at " + KEYS_PAGE + ", or use another key.",
        ),
        "account_inactive": (
            "The account may not take payments: nothing can be sold.",
            "See what Stripe asks for at https://dashboard.stripe.com/account/onboarding.",
        ),
        "price_missing": (
            "{price} is not in this account and mode{hint}.",
            f"Correct the id, or run {SET_UP}, which prints the ids to set.",
        ),
        "price_other_mode": (
            "{price} is a price of the other mode: it is in {other} mode, and the key is for {mode} mode.",
            f"Use the price of {{mode}} mode (run {SET_UP} with this key), or a key of {{other}} mode.",
        ),
        "price_archived": (
            "{price} is archived: nobody can buy at it.",
            "Unarchive it at {page}, or sell at another price.",
        ),
        "price_product_archived": (
            "{price} is of a product that is archived: nobody can buy at it.",
            "Unarchive the product at {page}, or sell at another price.",
        ),
        "price_other_offer": (
            "{price} is {words}, but tollkeeper.toml offers {offers}.",
            f"Correct the offer or the id in tollkeeper.toml, then run {SET_UP}, which makes prices for the offers.",
        ),
        "price_not_plain": (
            "{price} has no fixed amount: it is tiered, or paid by use.",
            "Use a price with one amount per unit.",
        ),
        "offer_without_price": (
            "No price that is set sells {words}, which tollkeeper.toml offers.",
            f"Run {SET_UP}, and set the ids that it prints.",
        ),
        "webhooks_missing": (
            "STRIPE_WEBHOOK_SECRET is set, but the account has no webhook endpoint for {url}.",
            f"Run {SET_UP}, which makes it and prints its secret.",
        ),
        "webhooks_other_address": (
            "{endpoint} sends events to {found}, not to {url}.",
            f"Correct its address at {{page}}, or run {SET_UP}, which makes another one. Or correct PUBLIC_URL.",
        ),
        "webhooks_disabled": (
            "{endpoint} is disabled: no event is sent to {url}.",
            f"Enable it at {{page}}, or run {SET_UP}.",
        ),
        "webhooks_too_few_events": (
            "{endpoint} does not send {missing}.",
            f"Run {SET_UP}, which adds them, or choose them at {{page}}.",
        ),
        "webhook_secret_refused": (
            "A signed test event, {event}, was not accepted within {seconds} s, though PUBLIC_URL answers: the secret"
            " is not that of {endpoint}, or the event did not reach this server.",
            "Copy the signing secret from {page} into STRIPE_WEBHOOK_SECRET and restart the server, or make another"
            " endpoint with `tollkeeper setup stripe --new-endpoint`.",
        ),
        "sale_refused": (
            "No checkout page can be made at {price}: {trouble}",
            "{remedy}",
        ),
        "portal_missing": (
            "The account has no active configuration of the billing portal: customers cannot end a subscription or"
            " change their card.",
            f"Run {SET_UP}, or save the portal's settings once at {{page}}.",
        ),
        "tax_inactive": (
            "STRIPE_AUTOMATIC_TAX is true, but Stripe Tax is not active{missing}: nothing can be sold.",
            "Complete the settings at https://dashboard.stripe.com/settings/tax, or set STRIPE_AUTOMATIC_TAX=false.",
        ),
    },
)


@dataclass(frozen=True, slots=True)
class Site:
    """What the settings say."""

    live: bool
    webhook_url: str | None
    """None where Stripe cannot reach us."""
    secret_set: bool
    events: frozenset[str]
    api_version: str

    @property
    def mode(self) -> str:
        """As people say it."""
        return "live" if self.live else "test"

    def page(self, *steps: str) -> str:
        """A page of Stripe's dashboard."""
        return "/".join(["https://dashboard.stripe.com", *([] if self.live else ["test"]), *steps])


@dataclass(frozen=True, slots=True)
class Missing:
    """A price that the account does not have in the key's mode."""

    in_other_mode: bool


def of_account(account: Found, site: Site) -> Iterator[CheckResult]:
    """Whose key it is, and whether that account may sell. A restricted key may know no more than the id."""
    profile = account.get("business_profile") or {}
    name = f" ({profile['name']})" if profile.get("name") else ""
    yield KINDS["account_ok"].of(ACCOUNT, account=account["id"], name=name, mode=site.mode)
    if account.get("charges_enabled") is False:
        yield KINDS["account_inactive" if site.live else "account_limited"].of(ACCOUNT)


def of_prices(product: Product, prices: Mapping[str, Found | Missing], site: Site) -> Iterator[CheckResult]:
    """Each price of a product, and whether every offer is sold at one."""
    on_sale = on_sale_at(product)
    for id in product.prices["stripe"]:
        what = f"price of {product.key}"
        found = prices[id]
        if id in on_sale:
            yield _price_on_sale(id, found, product, site).of(what, **_facts(id, found, product, site))
        elif isinstance(found, Missing):
            yield KINDS["price_kept_missing"].of(what, price=id, hint=_hint(found, site))
        else:
            yield KINDS["price_kept_ok"].of(what, price=id)
    yield from _unsold(product, [prices[id] for id in on_sale])


def on_sale_at(product: Product) -> tuple[str, ...]:
    """The prices that a product is sold at."""
    return product.on_sale.get("stripe") or product.prices["stripe"][:1]


def _price_on_sale(id: str, found: Found | Missing, product: Product, site: Site) -> Any:
    if isinstance(found, Missing):
        return KINDS["price_other_mode" if found.in_other_mode else "price_missing"]
    if found["livemode"] != site.live:
        return KINDS["price_other_mode"]
    if not found["active"]:
        return KINDS["price_archived"]
    if not found["product"]["active"]:
        return KINDS["price_product_archived"]
    offer = offer_of(found)
    if offer is None:
        return KINDS["price_not_plain"]
    return KINDS["price_other_offer" if product.offers and offer not in product.offers else "price_ok"]


def _facts(id: str, found: Found | Missing, product: Product, site: Site) -> dict[str, object]:
    facts: dict[str, object] = {"price": id, "mode": site.mode, "other": "test" if site.live else "live"}
    if isinstance(found, Missing):
        return facts | {"hint": _hint(found, site)}
    offer, archived = offer_of(found), not found["product"]["active"] and found["active"]
    page = site.page("products", found["product"]["id"]) if archived else site.page("prices", id)
    offers = ", ".join(map(words, product.offers))
    return facts | {"page": page, "words": words(offer) if offer else "", "offers": offers}


def _hint(found: Missing, site: Site) -> str:
    return f", but in {'test' if site.live else 'live'} mode" if found.in_other_mode else ""


def _unsold(product: Product, prices: Iterable[Found | Missing]) -> Iterator[CheckResult]:
    """Offers without a price; silent where a price that is wrong itself is the reason."""
    sold: list[Offer | None] = [None if isinstance(one, Missing) else offer_of(one) for one in prices]
    if all(offer in product.offers for offer in sold):
        for offer in product.offers:
            if offer not in sold:
                yield KINDS["offer_without_price"].of(f"offers of {product.key}", words=words(offer))


def sellable(products: Iterable[Product], prices: Mapping[str, Found | Missing], site: Site) -> str | None:
    """A price at which something can be sold, as far as it can be seen."""
    for product in products:
        for id in on_sale_at(product):
            if _price_on_sale(id, prices[id], product, site) is KINDS["price_ok"]:
                return id
    return None


def of_taxed_prices(products: Iterable[Product], prices: Mapping[str, Found | Missing]) -> Iterator[CheckResult]:
    """Prices that leave it open whether tax is included (https://docs.stripe.com/tax/products-prices-tax-categories-tax-behavior)."""
    for product in products:
        for id in on_sale_at(product):
            found = prices[id]
            if not isinstance(found, Missing) and found["tax_behavior"] in (None, "unspecified"):
                yield KINDS["price_tax_unsaid"].of(f"price of {product.key}", price=id)


def of_tax(tax: Found, products: Iterable[Product], prices: Mapping[str, Found | Missing]) -> Iterator[CheckResult]:
    """https://docs.stripe.com/api/tax/settings/object."""
    if tax["status"] != "active":
        lacking = ((tax.get("status_details") or {}).get("pending") or {}).get("missing_fields") or ()
        missing = f" (missing: {', '.join(lacking)})" if lacking else ""
        yield KINDS["tax_inactive"].of(TAX, missing=missing)
        return
    yield KINDS["tax_ok"].of(TAX)
    if (tax.get("defaults") or {}).get("tax_behavior") is None:
        yield from of_taxed_prices(products, prices)


def endpoint_of(endpoints: Sequence[Found], site: Site) -> Found | None:
    """The webhook endpoint with our address; of several, one that is enabled and the newest."""
    ours = [one for one in endpoints if one["url"].rstrip("/") == site.webhook_url]
    return max(ours, key=lambda one: (one["status"] == "enabled", one["created"]), default=None)


def of_endpoints(endpoints: Sequence[Found], site: Site) -> Iterator[CheckResult]:
    """Whether events are sent to us: https://docs.stripe.com/api/webhook_endpoints/object."""
    if site.webhook_url is None:
        # As `stripe listen` is told it, the address is ours on this machine.
        yield KINDS["webhooks_from_here" if site.secret_set else "webhooks_not_used"].of(WEBHOOKS, url="PUBLIC_URL")
        return
    found = endpoint_of(endpoints, site)
    if found is None:
        yield _no_endpoint(endpoints, site)
        return
    facts = {"endpoint": found["id"], "url": site.webhook_url, "page": site.page("webhooks", found["id"])}
    if not site.secret_set:
        yield KINDS["webhook_secret_unset"].of(WEBHOOKS, **facts)
        return
    yield from _fitting(found, facts, site)
    same = [one["id"] for one in endpoints if one["url"].rstrip("/") == site.webhook_url]
    if len(same) > 1:
        listed = {"endpoints": ", ".join(same), "page": site.page("webhooks")}
        yield KINDS["webhooks_several"].of(WEBHOOKS, url=site.webhook_url, **listed)


def _no_endpoint(endpoints: Sequence[Found], site: Site) -> CheckResult:
    if not site.secret_set:
        return KINDS["webhooks_not_used"].of(WEBHOOKS)
    theirs = [one for one in endpoints if one["url"].rstrip("/").endswith("/webhooks/stripe")]
    if not theirs:
        return KINDS["webhooks_missing"].of(WEBHOOKS, url=site.webhook_url)
    one = max(theirs, key=lambda one: one["created"])
    facts = {"endpoint": one["id"], "found": one["url"], "page": site.page("webhooks", one["id"])}
    return KINDS["webhooks_other_address"].of(WEBHOOKS, url=site.webhook_url, **facts)


def _fitting(found: Found, facts: Mapping[str, str], site: Site) -> Iterator[CheckResult]:
    if found["status"] != "enabled":
        yield KINDS["webhooks_disabled"].of(WEBHOOKS, **facts)
        return
    missing = set() if "*" in found["enabled_events"] else site.events - set(found["enabled_events"])
    if missing:
        yield KINDS["webhooks_too_few_events"].of(WEBHOOKS, **facts, missing=", ".join(sorted(missing)))
        return
    version = found["api_version"] or "that of the account"
    if version != site.api_version:
        yield KINDS["webhooks_other_version"].of(WEBHOOKS, **facts, version=version, ours=site.api_version)
    else:
        yield KINDS["webhooks_ok"].of(WEBHOOKS, **facts, version=version)


def listening(endpoints: Iterable[Found], ours: Found, type_: str) -> list[str]:
    """The other endpoints that get such an event."""
    return [
        one["id"]
        for one in endpoints
        if one["id"] != ours["id"] and one["status"] == "enabled" and {"*", type_} & set(one["enabled_events"])
    ]


NEEDED_OF_PORTALS = {"subscription_cancel": "end a subscription", "payment_method_update": "change their card"}


def of_portals(portals: Sequence[Found], site: Site) -> Iterator[CheckResult]:
    """https://docs.stripe.com/api/customer_portal/configurations/object. Ours, or else the account's default."""
    default = next((one for one in portals if one["active"] and one["is_default"]), None)
    used = portal_of(portals) or default
    page = site.page("settings", "billing", "portal")
    if used is None:
        yield KINDS["portal_missing"].of(PORTAL, page=page)
        return
    lacking = [words for name, words in NEEDED_OF_PORTALS.items() if not used["features"][name]["enabled"]]
    facts = {"portal": used["id"], "page": page}
    if lacking:
        yield KINDS["portal_limited"].of(PORTAL, **facts, lacking=" or ".join(lacking))
    else:
        yield KINDS["portal_ok"].of(PORTAL, **facts)
