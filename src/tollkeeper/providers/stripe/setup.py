"""Sets up a Stripe account for the catalog: reads what exists, decides, then makes one call after the other."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tollkeeper.errors import ProviderRefused, ProviderUnavailable
from tollkeeper.model.selling import Product
from tollkeeper.providers.protocol import SetUp, SetUpStep
from tollkeeper.providers.stripe.calls import account_of, ask, connected, each, path, translated
from tollkeeper.providers.stripe.events import EVENTS_THAT_MATTER
from tollkeeper.providers.stripe.settings import StripeSettings
from tollkeeper.providers.stripe.setup_notices import notices
from tollkeeper.providers.stripe.setup_plan import (
    MARK,
    PORTALS,
    Account,
    Call,
    Shelf,
    Wanted,
    catalog_calls,
    endpoint_calls,
    lookup_key,
    portal_calls,
    shelves,
)
from tollkeeper.settings.parsers import on_this_machine

if TYPE_CHECKING:
    import stripe

# The time limit of one request. Seconds.
PATIENCE = 30

PRODUCTS, PRICES, ENDPOINTS = "/v1/products", "/v1/prices", "/v1/webhook_endpoints"

# The names of the permissions of restricted keys, as in Stripe's dashboard.
PERMISSIONS = {
    PRODUCTS: "Products",
    PRICES: "Prices",
    ENDPOINTS: "Webhook Endpoints",
    PORTALS: "Customer portal",
}
# https://docs.stripe.com/api/prices/list
MOST_LOOKUP_KEYS = 10


async def set_up(
    settings: StripeSettings,
    webhooks: str,
    products: tuple[Product, ...],
    *,
    dry_run: bool,
    new_endpoint: bool,
) -> SetUp:
    """See ``SetUpAccount``. ``webhooks`` is our address for them."""
    async with connected(settings, PATIENCE) as client:
        wanted = _wanted(settings, webhooks, products, new_endpoint)
        with _translating():
            account = await account_of(client)
            found = await _look(client, wanted)
        work = _Work(client, dry_run)
        placed = await work.through(wanted, found)
    return SetUp(
        account=account,
        live=settings.live,
        steps=tuple(work.steps),
        notices=notices(wanted, found, placed),
        prices={shelf.product.key: _to_set(shelf) for shelf in placed if shelf.product.offers and _is_there(shelf)},
        webhook_secret=work.secret,
        trouble=work.trouble,
    )


def _wanted(settings: StripeSettings, webhooks: str, products: tuple[Product, ...], new_endpoint: bool) -> Wanted:
    import stripe

    return Wanted(
        products=products,
        webhook_url=webhooks if can_reach(settings, webhooks) else None,
        secret_known=settings.receives_webhooks,
        events=EVENTS_THAT_MATTER,
        api_version=stripe.api_version,
        live=settings.live,
        new_endpoint=new_endpoint,
    )


def can_reach(settings: StripeSettings, webhooks: str) -> bool:
    """Return whether events can be sent to us. Stripe cannot reach this machine; a sandbox on it can."""
    return not _is_here(webhooks) or _is_here(settings.api_base or "")


def _is_here(address: str) -> bool:
    return on_this_machine("/".join(address.split("/")[:3]))


@contextmanager
def _translating() -> Iterator[None]:
    import stripe

    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise ProviderUnavailable("Stripe did not answer in time.") from error
    except stripe.StripeError as error:
        raise _in_words(error) from error


def _in_words(error: "stripe.StripeError") -> ProviderRefused | ProviderUnavailable:
    """Translate an error as everywhere else, but show the operator what Stripe says about a key."""
    import stripe

    if isinstance(error, stripe.AuthenticationError):
        return ProviderRefused("Stripe does not know STRIPE_API_KEY. Copy it again from Developers > API keys.")
    return translated(error)


async def _look(client: "stripe.StripeClient", wanted: Wanted) -> Account:
    """Read everything relevant in the account. Raises ``ProviderRefused`` with all missing permissions."""
    denied: list[str] = []
    products: dict[str, Any] = {}
    prices: dict[str, Any] = {}
    endpoints: list[Any] = []
    portals: list[Any] = []
    with _noting(PRODUCTS, denied):
        products = {one["id"]: one async for one in each(client, PRODUCTS) if one["metadata"].get(MARK)}
    with _noting(PRICES, denied):
        prices = await _known_prices(client, wanted)
    if not denied:
        await _complete(client, products, prices)
    with _noting(ENDPOINTS, denied):
        endpoints = [one async for one in each(client, ENDPOINTS)]
    if _by_subscription(wanted, prices):
        with _noting(PORTALS, denied):
            portals = [one async for one in each(client, PORTALS, active=True)]
    if denied:
        raise ProviderRefused(_lacking("read", denied))
    return Account(tuple(products.values()), tuple(prices.values()), endpoints, portals)


async def _complete(client: "stripe.StripeClient", products: dict[str, Any], prices: dict[str, Any]) -> None:
    """Add the products of the known prices, and then all prices of those products."""
    for id in sorted({price["product"] for price in prices.values()} - products.keys()):
        products[id] = await ask(client, "get", path(PRODUCTS, id))
    for id in products:
        prices |= {one["id"]: one async for one in each(client, PRICES, product=id)}


def _by_subscription(wanted: Wanted, prices: Mapping[str, Any]) -> bool:
    """Return whether anything is or was sold by subscription, so that a billing portal is needed."""
    offered = any(offer.interval for product in wanted.products for offer in product.offers)
    return offered or any(price["recurring"] for price in prices.values())


async def _known_prices(client: "stripe.StripeClient", wanted: Wanted) -> dict[str, Any]:
    """Return the prices that our settings name, and those with one of our lookup keys."""
    named = [id for product in wanted.products for id in product.prices["stripe"]]
    keys = [lookup_key(product.key, offer) for product in wanted.products for offer in product.offers]
    found = [price for id in named for price in await _price(client, id)]
    for start in range(0, len(keys), MOST_LOOKUP_KEYS):
        some = keys[start : start + MOST_LOOKUP_KEYS]
        found += [price async for price in each(client, PRICES, lookup_keys=some)]
    return {price["id"]: price for price in found}


async def _price(client: "stripe.StripeClient", id: str) -> list[dict[str, Any]]:
    """Return the price, or None if there is none."""
    import stripe

    try:
        return [await ask(client, "get", path(PRICES, id))]
    except stripe.InvalidRequestError as error:
        if error.code != "resource_missing":
            raise
        return []


@contextmanager
def _noting(where: str, denied: list[str]) -> Iterator[None]:
    """Collect the missing permissions of the key, to report all of them at once."""
    import stripe

    try:
        yield
    except stripe.PermissionError:
        denied.append(PERMISSIONS[where])


def _lacking(what: str, denied: Iterable[str]) -> str:
    return (
        f"STRIPE_API_KEY is a restricted key that may not {what} {', '.join(denied)}. To set up an account, a key has"
        f" to be allowed to write {', '.join(PERMISSIONS.values())}. It may be another one than the server uses."
    )


class _Work:
    """Makes the calls one after the other until one fails. A dry run makes none."""

    def __init__(self, client: "stripe.StripeClient", dry_run: bool) -> None:
        self._client = client
        self._dry_run = dry_run
        self._made: dict[str, str] = {}
        self.steps: list[SetUpStep] = []
        self.secret: str | None = None
        self.trouble: str | None = None

    async def through(self, wanted: Wanted, found: Account) -> tuple[Shelf, ...]:
        """Make all calls. The webhook endpoint comes last: its secret is shown once, so nothing may fail after it."""
        placed = shelves(wanted, found)
        await self._do(catalog_calls(placed, found))
        placed = tuple(shelf.settled(self._made) for shelf in placed)
        await self._do(portal_calls(placed, found))
        await self._do(endpoint_calls(wanted, found))
        return placed

    async def _do(self, calls: Iterable[Call]) -> None:
        for call in calls:
            if self.trouble is not None:
                return
            id = None if self._dry_run else await self._one(call)
            if self.trouble is None:
                self.steps.append(SetUpStep(call.action, call.what, call.words, id))

    async def _one(self, call: Call) -> str | None:
        import stripe

        try:
            with _translating():
                answer = await ask(self._client, "post", call.path, **self._resolved(call.params))
        except (ProviderRefused, ProviderUnavailable) as error:
            denied = isinstance(error.__cause__, stripe.PermissionError)
            why = _lacking("write", [PERMISSIONS[_listing(call.path)]]) if denied else str(error)
            self.trouble = f"{call.words}: {why}"
            return None
        self.secret = answer.get("secret", self.secret)
        self._made[call.makes] = id = str(answer["id"])
        return id

    def _resolved(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with the real id of a price's product, if the product was created just now."""
        return {name: self._made.get(value, value) if name == "product" else value for name, value in params.items()}


def _listing(call_path: str) -> str:
    return next(listing for listing in PERMISSIONS if call_path.startswith(listing))


def _is_there(shelf: Shelf) -> bool:
    return not any(price.startswith(f"{MARK}/") for _, price in shelf.on_sale)


def _to_set(shelf: Shelf) -> dict[str, tuple[str, ...]]:
    first, *others = (price for _, price in shelf.on_sale)
    listed, also = (first, *shelf.kept), tuple(others)
    return {"stripe": listed, "stripe_also": also} if also or "stripe" in shelf.product.on_sale else {"stripe": listed}
